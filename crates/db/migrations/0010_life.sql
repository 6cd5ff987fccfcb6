-- What time does to disks and accounts.

-- When a disk was isolated; null while it is not.
ALTER TABLE disks ADD COLUMN isolated_ms BIGINT;
CREATE INDEX disks_by_isolation ON disks (isolated_ms);

-- Up to when the use of a disk that is paid afterwards is in the ledger; null: from its creation on, none of it.
ALTER TABLE disks ADD COLUMN charged_ms BIGINT;
CREATE INDEX disks_by_charge ON disks (charge_type, charged_ms);

-- Up to when the snapshots of an account in a region are in the ledger.
CREATE TABLE snapshot_charges (
    uin BIGINT NOT NULL REFERENCES accounts (uin),
    region TEXT NOT NULL REFERENCES regions (region),
    charged_ms BIGINT NOT NULL,
    PRIMARY KEY (uin, region)
);

CREATE INDEX ledger_by_time ON ledger (created_ms);
