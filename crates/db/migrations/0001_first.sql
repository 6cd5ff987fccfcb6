-- The first schema. Times are milliseconds since 1970-01-01T00:00:00Z, sizes carry their unit in the name,
-- enumerations are the API's own words. Everything here is understood by SQLite and PostgreSQL alike.

CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);
-- One sequence for everything that is listed newest first: it breaks ties of the create time.
INSERT INTO counters (name, value) VALUES ('sequence', 0);

CREATE TABLE accounts (
    uin BIGINT PRIMARY KEY,
    app_id BIGINT NOT NULL UNIQUE,
    created_ms BIGINT NOT NULL
);

CREATE TABLE api_keys (
    secret_id TEXT PRIMARY KEY,
    secret_key TEXT NOT NULL,
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    enabled BOOLEAN NOT NULL,
    created_ms BIGINT NOT NULL
);

CREATE TABLE regions (
    region TEXT PRIMARY KEY,
    position BIGINT NOT NULL
);

CREATE TABLE zones (
    zone TEXT PRIMARY KEY,
    region TEXT NOT NULL REFERENCES regions (region),
    position BIGINT NOT NULL
);

CREATE TABLE projects (
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    project_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    PRIMARY KEY (uin, project_id)
);

CREATE TABLE jobs (
    job_id BIGINT PRIMARY KEY,
    region TEXT NOT NULL REFERENCES regions (region),
    kind TEXT NOT NULL,
    work TEXT NOT NULL,
    phase TEXT NOT NULL,
    step TEXT NOT NULL,
    error TEXT,
    created_ms BIGINT NOT NULL,
    ended_ms BIGINT
);
CREATE INDEX jobs_by_end ON jobs (ended_ms, job_id);

CREATE TABLE instances (
    instance_id TEXT PRIMARY KEY,
    sequence BIGINT NOT NULL UNIQUE,
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    zone TEXT NOT NULL REFERENCES zones (zone),
    name TEXT NOT NULL,
    ip_address TEXT,
    created_ms BIGINT NOT NULL
);
CREATE INDEX instances_by_owner ON instances (uin, created_ms, sequence);

CREATE TABLE disks (
    disk_id TEXT PRIMARY KEY,
    sequence BIGINT NOT NULL UNIQUE,
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    region TEXT NOT NULL REFERENCES regions (region),
    zone TEXT NOT NULL REFERENCES zones (zone),
    project_id BIGINT NOT NULL,
    name TEXT NOT NULL,
    disk_type TEXT NOT NULL,
    disk_usage TEXT NOT NULL,
    charge_type TEXT NOT NULL,
    renew_flag TEXT,
    period_months BIGINT,
    deadline_ms BIGINT,
    size_gib BIGINT NOT NULL,
    lifecycle TEXT NOT NULL,
    state TEXT NOT NULL,
    instance_id TEXT REFERENCES instances (instance_id),
    last_instance_id TEXT,
    portable BOOLEAN NOT NULL,
    delete_with_instance BOOLEAN NOT NULL,
    delete_snapshot BOOLEAN NOT NULL,
    source_snapshot_id TEXT,
    throughput_performance_mib BIGINT NOT NULL,
    burst_performance BOOLEAN NOT NULL,
    backup_quota BIGINT NOT NULL,
    migrating BOOLEAN NOT NULL,
    migrate_percent BIGINT NOT NULL,
    rollback_percent BIGINT NOT NULL,
    error_prompt TEXT NOT NULL,
    job_id BIGINT REFERENCES jobs (job_id),
    created_ms BIGINT NOT NULL,
    FOREIGN KEY (uin, project_id) REFERENCES projects (uin, project_id)
);
CREATE INDEX disks_by_create_time ON disks (uin, region, created_ms, sequence);
CREATE INDEX disks_by_deadline ON disks (uin, region, deadline_ms, created_ms, sequence);
CREATE INDEX disks_by_end ON disks (deadline_ms);
CREATE INDEX disks_by_instance ON disks (instance_id);
CREATE INDEX disks_by_name ON disks (uin, region, name);
CREATE INDEX disks_by_job ON disks (job_id);

-- A snapshot outlives its disk: disk_id is no foreign key.
CREATE TABLE snapshots (
    snapshot_id TEXT PRIMARY KEY,
    sequence BIGINT NOT NULL UNIQUE,
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    region TEXT NOT NULL REFERENCES regions (region),
    zone TEXT NOT NULL REFERENCES zones (zone),
    project_id BIGINT NOT NULL,
    disk_id TEXT NOT NULL,
    name TEXT NOT NULL,
    lifecycle TEXT NOT NULL,
    state TEXT NOT NULL,
    percent BIGINT NOT NULL,
    size_gib BIGINT NOT NULL,
    held_bytes BIGINT NOT NULL,
    disk_usage TEXT NOT NULL,
    deadline_ms BIGINT,
    job_id BIGINT REFERENCES jobs (job_id),
    created_ms BIGINT NOT NULL,
    modified_ms BIGINT NOT NULL,
    FOREIGN KEY (uin, project_id) REFERENCES projects (uin, project_id)
);
CREATE INDEX snapshots_by_create_time ON snapshots (uin, region, created_ms, sequence);
CREATE INDEX snapshots_by_disk ON snapshots (disk_id);
CREATE INDEX snapshots_by_deadline ON snapshots (deadline_ms);
CREATE INDEX snapshots_by_job ON snapshots (job_id);

-- Ids of all kinds have their own prefix, so one column holds them without a kind beside it.
CREATE TABLE tags (
    resource_id TEXT NOT NULL,
    tag_key TEXT NOT NULL,
    tag_value TEXT NOT NULL,
    PRIMARY KEY (resource_id, tag_key)
);
CREATE INDEX tags_by_key ON tags (tag_key, tag_value, resource_id);
CREATE INDEX tags_by_value ON tags (tag_value, resource_id);

CREATE TABLE client_tokens (
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    region TEXT NOT NULL REFERENCES regions (region),
    token TEXT NOT NULL,
    request TEXT NOT NULL,
    disk_ids TEXT NOT NULL,
    job_id BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (uin, region, token)
);
CREATE INDEX client_tokens_by_job ON client_tokens (job_id);

-- What was done to a disk or a snapshot, and how it ended. Rows outlive what they speak of.
CREATE TABLE operations (
    sequence BIGINT PRIMARY KEY,
    resource_id TEXT NOT NULL,
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    operation TEXT NOT NULL,
    state TEXT NOT NULL,
    request_id TEXT NOT NULL,
    detail TEXT NOT NULL,
    job_id BIGINT,
    started_ms BIGINT NOT NULL,
    ended_ms BIGINT
);
CREATE INDEX operations_by_resource ON operations (resource_id, sequence);
CREATE INDEX operations_by_job ON operations (job_id);
