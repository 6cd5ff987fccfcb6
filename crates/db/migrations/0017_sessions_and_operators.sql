-- The tags that a session of a role was asked for with.

CREATE TABLE session_tags (
    secret_id TEXT NOT NULL REFERENCES temporary_keys (secret_id) ON DELETE CASCADE,
    tag_key TEXT NOT NULL,
    tag_value TEXT NOT NULL,
    PRIMARY KEY (secret_id, tag_key)
);

-- Who did it: the account or one of its users. Older entries do not know.
ALTER TABLE operations ADD COLUMN operator_uin BIGINT;
