-- Snapshots that were deleted and can be brought back, and those that nobody can delete before a date.
ALTER TABLE snapshots ADD COLUMN recycled_ms BIGINT;
ALTER TABLE snapshots ADD COLUMN locked_until_ms BIGINT;
CREATE INDEX snapshots_by_recycling ON snapshots (recycled_ms);
