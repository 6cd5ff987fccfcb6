-- Scheduled snapshot policies. Sets of hours and days are bits of one number, bit n for the number n. Of the ways
-- to keep snapshots (for ever, days, months, an amount, advanced) exactly one is set.

CREATE TABLE snapshot_policies (
    policy_id TEXT PRIMARY KEY,
    sequence BIGINT NOT NULL UNIQUE,
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    region TEXT NOT NULL REFERENCES regions (region),
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    activated BOOLEAN NOT NULL,
    -- Where the days of an interval are counted from.
    anchor_ms BIGINT NOT NULL,
    permanent BOOLEAN NOT NULL,
    retention_days BIGINT,
    retention_months BIGINT,
    retention_amount BIGINT,
    advanced_days BIGINT,
    advanced_weeks BIGINT,
    advanced_months BIGINT,
    advanced_years BIGINT,
    -- The policy of another account that this one was copied from; it may be gone.
    copied_from_uin BIGINT,
    copied_from_policy_id TEXT,
    created_ms BIGINT NOT NULL
);
CREATE INDEX snapshot_policies_by_create_time ON snapshot_policies (uin, region, created_ms, sequence);
CREATE INDEX snapshot_policies_by_origin ON snapshot_policies (copied_from_policy_id, uin);

CREATE TABLE snapshot_policy_rules (
    policy_id TEXT NOT NULL REFERENCES snapshot_policies (policy_id) ON DELETE CASCADE,
    position BIGINT NOT NULL,
    hours BIGINT NOT NULL,
    weekdays BIGINT,
    month_days BIGINT,
    interval_days BIGINT,
    PRIMARY KEY (policy_id, position)
);

-- A binding goes with its policy and with what it binds.
CREATE TABLE snapshot_policy_disks (
    policy_id TEXT NOT NULL REFERENCES snapshot_policies (policy_id) ON DELETE CASCADE,
    disk_id TEXT NOT NULL REFERENCES disks (disk_id) ON DELETE CASCADE,
    PRIMARY KEY (policy_id, disk_id)
);
CREATE INDEX snapshot_policy_disks_by_disk ON snapshot_policy_disks (disk_id, policy_id);

CREATE TABLE snapshot_policy_instances (
    policy_id TEXT NOT NULL REFERENCES snapshot_policies (policy_id) ON DELETE CASCADE,
    instance_id TEXT NOT NULL REFERENCES instances (instance_id) ON DELETE CASCADE,
    PRIMARY KEY (policy_id, instance_id)
);
CREATE INDEX snapshot_policy_instances_by_instance ON snapshot_policy_instances (instance_id, policy_id);

-- The policy that took a snapshot; it may be gone.
ALTER TABLE snapshots ADD COLUMN snapshot_policy_id TEXT;
