-- Snapshots of machines of Lighthouse, and the snapshots that a fix of a machine made before it.

-- The machine of Lighthouse whose disk the snapshot was taken from. Both may be gone.
ALTER TABLE snapshots ADD COLUMN lighthouse_instance_id TEXT;
UPDATE snapshots SET lighthouse_instance_id = (
    SELECT i.instance_id FROM disks d JOIN instances i ON i.instance_id = d.instance_id
    WHERE d.disk_id = snapshots.disk_id AND i.product = 'lighthouse'
);
CREATE INDEX snapshots_of_lighthouse ON snapshots (uin, region, created_ms, sequence)
    WHERE lifecycle = 'LIVE' AND lighthouse_instance_id IS NOT NULL;
CREATE INDEX snapshots_by_lighthouse_instance ON snapshots (uin, region, lighthouse_instance_id, created_ms, sequence)
    WHERE lifecycle = 'LIVE' AND lighthouse_instance_id IS NOT NULL;

-- Nothing was ever written into the first form of this table. The machine is described as it was then: it may be gone.
DROP TABLE fix_snapshots;
CREATE TABLE fix_snapshots (
    snapshot_id TEXT PRIMARY KEY REFERENCES snapshots (snapshot_id) ON DELETE CASCADE,
    -- The same number for all snapshots of one fix, and a greater one for each later fix.
    fix BIGINT NOT NULL,
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    instance_id TEXT NOT NULL,
    product TEXT NOT NULL,
    quuid TEXT NOT NULL,
    host_name TEXT NOT NULL,
    host_ip TEXT
);
CREATE INDEX fix_snapshots_by_machine ON fix_snapshots (uin, quuid, fix, snapshot_id);
