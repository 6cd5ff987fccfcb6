-- Lists of disks and snapshots, anew. Rows stand in blocks, each a stretch of one order, and have a place in theirs: block * 4096 +
-- a number below 4096. What a row can be listed by is a term; for each term the places that have it are kept, block by
-- block. A place is null while the row is in no list. The index is built from the rows when the file is next opened.

CREATE TABLE list_terms (
    term_id BIGINT PRIMARY KEY,
    uin BIGINT NOT NULL,
    region TEXT NOT NULL,
    term TEXT NOT NULL,
    UNIQUE (uin, region, term)
);

-- A block holds what stands from its first key on and before the next block's.
CREATE TABLE list_blocks (
    block BIGINT PRIMARY KEY,
    uin BIGINT NOT NULL,
    region TEXT NOT NULL,
    list_order BIGINT NOT NULL,
    first_deadline_ms BIGINT NOT NULL,
    first_created_ms BIGINT NOT NULL,
    first_sequence BIGINT NOT NULL,
    places BYTEA NOT NULL
);
CREATE INDEX list_blocks_by_key
    ON list_blocks (uin, region, list_order, first_deadline_ms, first_created_ms, first_sequence);

CREATE TABLE list_marks (
    term_id BIGINT NOT NULL REFERENCES list_terms (term_id),
    list_order BIGINT NOT NULL,
    block BIGINT NOT NULL,
    places BYTEA NOT NULL,
    PRIMARY KEY (term_id, list_order, block)
);

-- 0: what stands in the tables is not in the index yet.
INSERT INTO counters (name, value) VALUES ('list_index', 0);

DROP INDEX disks_by_facet;
DROP INDEX disks_by_create_time;
DROP INDEX disks_by_deadline;
DROP INDEX disks_by_name;
ALTER TABLE disks DROP COLUMN facet_id;
DROP TABLE disk_facets;

ALTER TABLE disks ADD COLUMN created_place BIGINT;
ALTER TABLE disks ADD COLUMN deadline_place BIGINT;
CREATE INDEX disks_by_create_time ON disks (uin, region, created_ms, sequence, created_place)
    WHERE lifecycle = 'LIVE';
CREATE INDEX disks_by_deadline ON disks (uin, region, deadline_ms, created_ms, sequence, deadline_place)
    WHERE lifecycle = 'LIVE' AND deadline_ms IS NOT NULL;
CREATE UNIQUE INDEX disks_by_created_place ON disks (created_place);
CREATE UNIQUE INDEX disks_by_deadline_place ON disks (deadline_place);

DROP INDEX snapshots_by_create_time;
DROP INDEX snapshots_of_lighthouse;
DROP INDEX snapshots_by_lighthouse_instance;
ALTER TABLE snapshots ADD COLUMN created_place BIGINT;
CREATE INDEX snapshots_by_create_time ON snapshots (uin, region, created_ms, sequence, created_place)
    WHERE lifecycle = 'LIVE';
CREATE UNIQUE INDEX snapshots_by_created_place ON snapshots (created_place);
