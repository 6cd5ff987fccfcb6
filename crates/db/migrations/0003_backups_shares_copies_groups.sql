-- Backup points, shared snapshots, copies between regions, and groups of snapshots taken at one moment.

CREATE TABLE disk_backups (
    disk_backup_id TEXT PRIMARY KEY,
    sequence BIGINT NOT NULL UNIQUE,
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    region TEXT NOT NULL REFERENCES regions (region),
    disk_id TEXT NOT NULL,
    disk_usage TEXT NOT NULL,
    size_gib BIGINT NOT NULL,
    is_encrypted BOOLEAN NOT NULL,
    name TEXT NOT NULL,
    lifecycle TEXT NOT NULL,
    state TEXT NOT NULL,
    percent BIGINT NOT NULL,
    job_id BIGINT REFERENCES jobs (job_id),
    created_ms BIGINT NOT NULL
);
CREATE INDEX disk_backups_by_create_time ON disk_backups (uin, region, created_ms, sequence);
CREATE INDEX disk_backups_by_disk ON disk_backups (disk_id);
CREATE INDEX disk_backups_by_job ON disk_backups (job_id);

CREATE TABLE snapshot_groups (
    snapshot_group_id TEXT PRIMARY KEY,
    sequence BIGINT NOT NULL UNIQUE,
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    region TEXT NOT NULL REFERENCES regions (region),
    name TEXT NOT NULL,
    lifecycle TEXT NOT NULL,
    state TEXT NOT NULL,
    percent BIGINT NOT NULL,
    job_id BIGINT REFERENCES jobs (job_id),
    created_ms BIGINT NOT NULL,
    modified_ms BIGINT NOT NULL
);
CREATE INDEX snapshot_groups_by_create_time ON snapshot_groups (uin, region, created_ms, sequence);
CREATE INDEX snapshot_groups_by_job ON snapshot_groups (job_id);

-- A copy from another region has no disk: its disk_id is empty.
ALTER TABLE snapshots ADD COLUMN is_instant BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE snapshots ADD COLUMN snapshot_group_id TEXT REFERENCES snapshot_groups (snapshot_group_id);
CREATE INDEX snapshots_by_group ON snapshots (snapshot_group_id);

CREATE TABLE snapshot_shares (
    snapshot_id TEXT NOT NULL REFERENCES snapshots (snapshot_id),
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (snapshot_id, uin)
);
CREATE INDEX snapshot_shares_by_account ON snapshot_shares (uin, snapshot_id);

-- Where a copy came from, and how far it is. The source may be gone when the copy is done. Bytes are counted in
-- the order of the copy's steps: first those that were copied, then those that were compared.
CREATE TABLE snapshot_copies (
    snapshot_id TEXT PRIMARY KEY REFERENCES snapshots (snapshot_id),
    source_snapshot_id TEXT NOT NULL,
    source_region TEXT NOT NULL REFERENCES regions (region),
    destination_region TEXT NOT NULL REFERENCES regions (region),
    origin_disk_id TEXT NOT NULL,
    base_source_id TEXT,
    base_copy_id TEXT,
    is_done BOOLEAN NOT NULL,
    cursor_bytes BIGINT NOT NULL,
    seen_bytes BIGINT NOT NULL,
    total_bytes BIGINT NOT NULL,
    moved_bytes BIGINT NOT NULL
);
CREATE INDEX snapshot_copies_by_source ON snapshot_copies (source_snapshot_id, is_done);
CREATE INDEX snapshot_copies_by_origin ON snapshot_copies (origin_disk_id, destination_region);
CREATE INDEX snapshot_copies_under_way ON snapshot_copies (is_done, base_source_id, base_copy_id);
