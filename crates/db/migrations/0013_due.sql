-- What is due is found by its time. Almost nothing has a job, and an index of everything that has none is no way to find
-- anything: these hold what has one, are small, and cost writers nothing else.
DROP INDEX disks_by_job;
CREATE INDEX disks_by_job ON disks (job_id) WHERE job_id IS NOT NULL;
DROP INDEX snapshots_by_job;
CREATE INDEX snapshots_by_job ON snapshots (job_id) WHERE job_id IS NOT NULL;
DROP INDEX disk_backups_by_job;
CREATE INDEX disk_backups_by_job ON disk_backups (job_id) WHERE job_id IS NOT NULL;
DROP INDEX snapshot_groups_by_job;
CREATE INDEX snapshot_groups_by_job ON snapshot_groups (job_id) WHERE job_id IS NOT NULL;

-- The operator keeps the policy from working, whatever its account has paid.
ALTER TABLE snapshot_policies ADD COLUMN isolated_by_operator BOOLEAN NOT NULL DEFAULT FALSE;
