-- Each attachment is a record of its own: a shareable disk is in several machines at once.

CREATE TABLE attachments (
    disk_id TEXT NOT NULL REFERENCES disks (disk_id) ON DELETE CASCADE,
    instance_id TEXT NOT NULL REFERENCES instances (instance_id),
    -- The order in which the machines of a disk came, from 0 on.
    position BIGINT NOT NULL,
    state TEXT NOT NULL,
    PRIMARY KEY (disk_id, instance_id)
);
CREATE INDEX attachments_by_instance ON attachments (instance_id, disk_id);

INSERT INTO attachments (disk_id, instance_id, position, state)
    SELECT d.disk_id, d.instance_id, 0,
        CASE d.state WHEN 'ATTACHING' THEN 'ARRIVING' WHEN 'DETACHING' THEN 'LEAVING' ELSE 'INSIDE' END
    FROM disks d WHERE d.instance_id IS NOT NULL;

DROP INDEX disks_by_instance;
ALTER TABLE disks DROP COLUMN instance_id;

-- Whether several machines may have the disk at once. Never changes.
ALTER TABLE disks ADD COLUMN shareable BOOLEAN NOT NULL DEFAULT FALSE;
