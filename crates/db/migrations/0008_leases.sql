-- Who of several servers on this database does what may be done by one alone. The fence grows with each change of
-- hands: a holder that was overtaken finds another number there and changes nothing.
CREATE TABLE leases (
    lease TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    fence BIGINT NOT NULL,
    until_ms BIGINT NOT NULL
);
