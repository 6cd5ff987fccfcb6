-- Machines of two products, images made of snapshots, and the snapshots that a fix of a machine made before it.

ALTER TABLE instances ADD COLUMN product TEXT NOT NULL DEFAULT 'cvm';

CREATE TABLE images (
    image_id TEXT PRIMARY KEY,
    sequence BIGINT NOT NULL UNIQUE,
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    region TEXT NOT NULL REFERENCES regions (region),
    name TEXT NOT NULL,
    description TEXT NOT NULL,
    family TEXT,
    size_gib BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);
CREATE INDEX images_by_create_time ON images (uin, region, created_ms, sequence);
CREATE UNIQUE INDEX images_by_name ON images (uin, region, name);

-- A snapshot is not deleted while an image is made of it.
CREATE TABLE image_snapshots (
    image_id TEXT NOT NULL REFERENCES images (image_id) ON DELETE CASCADE,
    snapshot_id TEXT NOT NULL REFERENCES snapshots (snapshot_id),
    PRIMARY KEY (image_id, snapshot_id)
);
CREATE INDEX image_snapshots_by_snapshot ON image_snapshots (snapshot_id, image_id);

CREATE TABLE fix_snapshots (
    snapshot_id TEXT PRIMARY KEY REFERENCES snapshots (snapshot_id) ON DELETE CASCADE,
    instance_id TEXT NOT NULL
);
CREATE INDEX fix_snapshots_by_instance ON fix_snapshots (instance_id, snapshot_id);
