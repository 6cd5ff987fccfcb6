"""Damage on the medium: found, told to whoever has to know, never handed out as data."""

import contextlib
import errno
import json
import sqlite3

import pytest

from harness.cloud import Cloud
from harness.nbd_client import NbdClient
from harness.server import run_ashlar
from harness.waiting import wait_until

BLOCK = 4096


def ashlar(server, *words):
    return run_ashlar(*words, "--data-dir", server.data_dir)


def spoil(server, wanted):
    """Flips a bit of the one place in the pools that holds these bytes."""
    found = []
    for data in (server.data_dir / "pools").glob("*/data"):
        content = data.read_bytes()
        at = content.find(wanted)
        while at >= 0:
            found.append((data, at))
            at = content.find(wanted, at + 1)
    assert len(found) == 1, found
    path, at = found[0]
    with path.open("r+b") as file:
        file.seek(at + 100)
        byte = file.read(1)[0]
        file.seek(at + 100)
        file.write(bytes([byte ^ 4]))


def block_of(number):
    return bytes([number]) * 8 + bytes((number * 7 + at) % 251 for at in range(BLOCK - 8))


def test_a_spoiled_block_is_an_error_that_everybody_hears_of(servers):
    server = servers.start()
    cloud = Cloud(server)
    instance = server.add_instance()
    (disk,) = cloud.create_disks(10)
    cloud.attach(instance, disk)
    with NbdClient(server.nbd_socket, disk) as client:
        for number in range(1, 9):
            client.write(number * BLOCK, block_of(number))
        client.flush()
        spoil(server, block_of(3))
        for number in (1, 2, 4, 5, 6, 7, 8):
            assert client.read(number * BLOCK, BLOCK) == block_of(number)

        # Nobody has read it yet: the scrub finds it.
        done = ashlar(server, "scrub", "--json")
        assert done.returncode == 1, (done.stdout, done.stderr)
        assert json.loads(done.stdout)["damaged_blocks"] == 1
        status = json.loads(ashlar(server, "status", "--json").stdout)
        assert status["pools"][0]["damaged"] == [[disk, 1]]
        assert "DAMAGED" in ashlar(server, "status").stdout
        metrics = ashlar(server, "status", "--metrics").stdout
        assert 'ashlar_pool_damaged_blocks{region="ap-guangzhou"} 1' in metrics

        with pytest.raises(OSError) as refused:
            client.read(3 * BLOCK, BLOCK)
        assert refused.value.errno == errno.EIO

        def prompt():
            return cloud.disk(disk)["ErrorPrompt"]

        wait_until(lambda: "1 block of 4 KiB is damaged" in prompt(), "the disk is marked")
        client.write(3 * BLOCK, block_of(3))
        client.flush()
        assert client.read(3 * BLOCK, BLOCK) == block_of(3)
        wait_until(lambda: prompt() == "", "the mark goes with the damage")
        done = ashlar(server, "scrub", disk, "--rate", "100")
        assert done.returncode == 0, done.stderr
        assert "100 %" in done.stdout

    done = ashlar(server, "scrub", "disk-zzzzzzzz")
    assert done.returncode == 1 and "disk-zzzzzzzz" in done.stderr
    server.stop()
    server.assert_clean()


def test_a_check_changes_nothing_unless_it_is_asked_to_repair(servers):
    server = servers.start()
    cloud = Cloud(server)
    instance = server.add_instance()
    (disk,) = cloud.create_disks(10)
    cloud.attach(instance, disk)
    with NbdClient(server.nbd_socket, disk) as client:
        for number in range(1, 5):
            client.write(number * BLOCK, block_of(number))
        client.flush()
        # Of the last commit alone, damage to a block and a commit that was cut off look the same (FORMAT.md).
        client.write(5 * BLOCK, block_of(5))
        client.flush()
        server.kill()

    def pools():
        return {path: path.read_bytes() for path in (server.data_dir / "pools").glob("*/*")}

    before = pools()
    assert ashlar(server, "check").returncode == 0
    assert pools() == before, "a killed pool is not recovered by looking at it"
    spoil(server, block_of(2))
    done = ashlar(server, "check", "--repair")
    assert done.returncode == 1, "damage to data cannot be mended"
    assert "does not match its checksum" in done.stdout
    server.start()
    with NbdClient(server.nbd_socket, disk) as client:
        assert client.read(BLOCK, BLOCK) == block_of(1)
        # Whoever has the right bytes mends it.
        client.write(2 * BLOCK, block_of(2))
        client.flush()


def change_records(server, *statements):
    """What nobody may do: the records are changed by hand."""
    with contextlib.closing(sqlite3.connect(server.data_dir / "control.db")) as records, records:
        for statement in statements:
            records.execute(statement)


def test_jobs_records_and_pools_that_contradict_each_other_are_found(servers):
    server = servers.start()
    cloud = Cloud(server)
    disk, other = cloud.create_disks(count=2)
    snapshot = cloud.create_snapshot(disk)
    server.stop()
    server.assert_clean()
    job = (
        "INSERT INTO jobs (job_id, region, kind, work, phase, step, created_ms)"
        " VALUES (900001, 'ap-guangzhou', '{kind}', '{work}', 'FORWARD', '{step}', 0)"
    )

    def found(*statements):
        kept = (server.data_dir / "control.db").read_bytes()
        change_records(server, *statements)
        status, report, text = server.check()
        (server.data_dir / "control.db").write_bytes(kept)
        assert status == 1, text
        return " / ".join(finding["message"] for finding in report["findings"])

    # In the middle of something that no job will end.
    text = found(f"UPDATE disks SET state = 'EXPANDING' WHERE disk_id = '{disk}'")
    assert f"the disk {disk} is EXPANDING, but no job works on it" in text
    text = found(f"UPDATE disks SET lifecycle = 'DELETING' WHERE disk_id = '{disk}'")
    assert f"the disk {disk} is DELETING, but no job works on it" in text
    text = found(f"UPDATE snapshots SET state = 'ROLLBACKING' WHERE snapshot_id = '{snapshot}'")
    assert f"the snapshot {snapshot} is ROLLBACKING, but no job works on it" in text
    # A job for something that nobody has given to it, or that the pool lacks.
    work = {"kind": "resize_disk", "disk": other, "size_gib": 20}
    resize = job.format(kind="resize_disk", work=json.dumps(work), step="resize_volume")
    text = found(resize)
    assert f"the unfinished job 900001 (resize_disk) works on {other}, but no record of it says so" in text
    held = f"UPDATE disks SET job_id = 900001 WHERE disk_id = '{other}'"
    work = {"kind": "apply_snapshot", "disk": other, "snapshot": "snap-00000000"}
    text = found(job.format(kind="apply_snapshot", work=json.dumps(work), step="roll_back_volume"), held)
    assert "works on the snapshot snap-00000000, but the pool does not have it" in text
    work = {"kind": "create_disks", "disks": ["disk-00000000"], "size_gib": 20, "from": None}
    text = found(job.format(kind="create_disks", work=json.dumps(work), step="settle"))
    assert "works on the volume disk-00000000, but the pool does not have it" in text
    text = found(job.format(kind="dance", work="{}", step="settle"))
    assert "the unfinished job 900001 (dance) cannot be understood" in text

    # What a server that died in the middle leaves is no finding, and the next start ends it.
    change_records(server, resize, held, f"UPDATE disks SET state = 'EXPANDING' WHERE disk_id = '{other}'")
    status, report, text = server.check()
    assert (status, report["unfinished_jobs"]) == (0, 1), text
    server.start()
    assert cloud.wait_disk(other, "UNATTACHED")["DiskSize"] == 20

