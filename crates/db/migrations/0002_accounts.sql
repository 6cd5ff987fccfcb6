-- Users, roles and what they may do. A holder is a number of an account, a user or a role: the three never meet.

ALTER TABLE accounts ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE accounts ADD COLUMN enabled BOOLEAN NOT NULL DEFAULT TRUE;

CREATE TABLE users (
    user_uin BIGINT PRIMARY KEY,
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    name TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    UNIQUE (uin, name)
);

-- Null: the key of the account itself.
ALTER TABLE api_keys ADD COLUMN user_uin BIGINT REFERENCES users (user_uin);
CREATE INDEX api_keys_by_owner ON api_keys (uin, user_uin);

CREATE TABLE roles (
    role_id BIGINT PRIMARY KEY,
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    name TEXT NOT NULL,
    trust TEXT NOT NULL,
    session_seconds_max BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    UNIQUE (uin, name)
);

CREATE TABLE policies (
    holder BIGINT NOT NULL,
    name TEXT NOT NULL,
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    document TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (holder, name)
);

-- Keys for a while. holder: the role, or who asked for a federation token. asked_by: the account or user
-- that asked, asked_by_uin its account.
CREATE TABLE temporary_keys (
    secret_id TEXT PRIMARY KEY,
    secret_key TEXT NOT NULL,
    token TEXT NOT NULL,
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    kind TEXT NOT NULL,
    holder BIGINT NOT NULL,
    session_name TEXT NOT NULL,
    asked_by BIGINT NOT NULL,
    asked_by_uin BIGINT NOT NULL REFERENCES accounts (uin),
    policy TEXT,
    verified_ms BIGINT,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX temporary_keys_by_end ON temporary_keys (expires_ms);
CREATE INDEX temporary_keys_by_holder ON temporary_keys (holder);
CREATE INDEX temporary_keys_by_asker ON temporary_keys (asked_by);

CREATE TABLE network_rules (
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    effect TEXT NOT NULL,
    network TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    PRIMARY KEY (uin, effect, network)
);

-- last_step: the time step of the last code that was taken; no code works twice.
CREATE TABLE mfa_devices (
    holder BIGINT PRIMARY KEY,
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    secret TEXT NOT NULL,
    last_step BIGINT NOT NULL,
    created_ms BIGINT NOT NULL
);

-- For forgetting what is old.
CREATE INDEX client_tokens_by_time ON client_tokens (created_ms);
CREATE INDEX operations_by_start ON operations (started_ms);
