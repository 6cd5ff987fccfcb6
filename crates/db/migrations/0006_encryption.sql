-- How a disk is encrypted, and a snapshot as its disk; NULL where it is not. Never changes.
ALTER TABLE disks ADD COLUMN encrypt_type TEXT;
ALTER TABLE snapshots ADD COLUMN encrypt_type TEXT;
