-- Money, limits of single accounts, and what CreateDisks was told to mount.

-- What accounts were charged and paid back. Rows outlive what they speak of and are never changed, apart from
-- `closed`: what a refund or a reversal has settled.
CREATE TABLE ledger (
    sequence BIGINT PRIMARY KEY,
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    project_id BIGINT,
    region TEXT,
    resource_id TEXT NOT NULL,
    kind TEXT NOT NULL,
    -- Positive: the account pays. In millionths of the currency's unit.
    amount_micros BIGINT NOT NULL,
    -- The time that it pays for, where it pays for time.
    from_ms BIGINT,
    until_ms BIGINT,
    closed BOOLEAN NOT NULL,
    job_id BIGINT,
    request_id TEXT NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE INDEX ledger_by_owner ON ledger (uin, sequence);
CREATE INDEX ledger_by_resource ON ledger (resource_id, closed, until_ms);
CREATE INDEX ledger_by_job ON ledger (job_id);

-- An account without a row has no limit.
CREATE TABLE balances (
    uin BIGINT PRIMARY KEY REFERENCES accounts (uin),
    balance_micros BIGINT NOT NULL
);

-- Limits that differ from the configuration's for one account.
CREATE TABLE limit_overrides (
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    name TEXT NOT NULL,
    value BIGINT NOT NULL,
    PRIMARY KEY (uin, name)
);

-- `AutoMountConfiguration` of CreateDisks, as it was given: nothing has carried it out yet.
CREATE TABLE auto_mounts (
    disk_id TEXT PRIMARY KEY,
    instance_id TEXT NOT NULL,
    mount_point TEXT,
    file_system_type TEXT,
    created_ms BIGINT NOT NULL
);

-- Lists of disks. A facet is one combination of everything that a disk can be filtered by and that many disks share;
-- it counts its live disks, so that a list knows its total without counting. `facet_id` of a disk is null while its
-- owner does not see it. A page is then a walk over one index that holds all it needs.
CREATE TABLE disk_facets (
    facet_id BIGINT PRIMARY KEY,
    uin BIGINT NOT NULL,
    region TEXT NOT NULL,
    zone TEXT NOT NULL,
    project_id BIGINT NOT NULL,
    disk_type TEXT NOT NULL,
    disk_usage TEXT NOT NULL,
    charge_type TEXT NOT NULL,
    state TEXT NOT NULL,
    portable BOOLEAN NOT NULL,
    disk_count BIGINT NOT NULL,
    UNIQUE (uin, region, zone, project_id, disk_type, disk_usage, charge_type, state, portable)
);
INSERT INTO disk_facets
    SELECT ROW_NUMBER() OVER (ORDER BY uin, region, zone, project_id, disk_type, disk_usage, charge_type, state, portable),
        uin, region, zone, project_id, disk_type, disk_usage, charge_type, state, portable, COUNT(*)
    FROM disks WHERE lifecycle = 'LIVE'
    GROUP BY uin, region, zone, project_id, disk_type, disk_usage, charge_type, state, portable;
ALTER TABLE disks ADD COLUMN facet_id BIGINT;
UPDATE disks SET facet_id = (
    SELECT f.facet_id FROM disk_facets f
    WHERE f.uin = disks.uin AND f.region = disks.region AND f.zone = disks.zone AND f.project_id = disks.project_id
        AND f.disk_type = disks.disk_type AND f.disk_usage = disks.disk_usage AND f.charge_type = disks.charge_type
        AND f.state = disks.state AND f.portable = disks.portable
) WHERE lifecycle = 'LIVE';

DROP INDEX disks_by_create_time;
DROP INDEX disks_by_deadline;
DROP INDEX disks_by_name;
CREATE INDEX disks_by_create_time ON disks (uin, region, created_ms, sequence, facet_id) WHERE lifecycle = 'LIVE';
CREATE INDEX disks_by_deadline ON disks (uin, region, deadline_ms, created_ms, sequence, facet_id)
    WHERE lifecycle = 'LIVE' AND deadline_ms IS NOT NULL;
CREATE INDEX disks_by_facet ON disks (facet_id, created_ms, sequence, deadline_ms);
CREATE INDEX disks_by_name ON disks (uin, region, name, created_ms, sequence, deadline_ms) WHERE lifecycle = 'LIVE';
CREATE INDEX instances_by_address ON instances (ip_address);
CREATE INDEX instances_by_name ON instances (name);
