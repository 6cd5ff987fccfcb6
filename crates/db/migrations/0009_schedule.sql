-- Scheduled snapshots: what of a policy's rules has been seen to, and what it has ordered.

-- The rules are seen to up to this time: no moment before it fires any more.
ALTER TABLE snapshot_policies ADD COLUMN handled_ms BIGINT NOT NULL DEFAULT 0;
-- When it fires next. Null: to be worked out. Beyond all time: not at work.
ALTER TABLE snapshot_policies ADD COLUMN next_trigger_ms BIGINT;
-- The last snapshot that it could not have, and why.
ALTER TABLE snapshot_policies ADD COLUMN failed_ms BIGINT;
ALTER TABLE snapshot_policies ADD COLUMN failure TEXT;
CREATE INDEX snapshot_policies_by_trigger ON snapshot_policies (next_trigger_ms);

-- Snapshots that a policy has ordered and that are not taken yet. A disk waits for one of each policy at most.
CREATE TABLE scheduled_snapshots (
    policy_id TEXT NOT NULL REFERENCES snapshot_policies (policy_id) ON DELETE CASCADE,
    disk_id TEXT NOT NULL REFERENCES disks (disk_id) ON DELETE CASCADE,
    -- The moment of the rules that it is for.
    trigger_ms BIGINT NOT NULL,
    -- When it is to be taken.
    due_ms BIGINT NOT NULL,
    PRIMARY KEY (policy_id, disk_id)
);
CREATE INDEX scheduled_snapshots_by_due ON scheduled_snapshots (due_ms);
CREATE INDEX scheduled_snapshots_by_disk ON scheduled_snapshots (disk_id);

-- The promise under which a policy took a snapshot, where that is no deadline: it depends on the later ones.
ALTER TABLE snapshots ADD COLUMN promise TEXT;
CREATE INDEX snapshots_by_policy ON snapshots (snapshot_policy_id, disk_id, created_ms, sequence);
