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
