"""Snapshots: their content, rollback, disks made from them, and what each action refuses."""

import os
from datetime import UTC, datetime, timedelta

import pytest

from harness.cloud import refused_for_good
from harness.nbd_client import NbdClient
from harness.waiting import wait_until

NO_DISK = "disk-00000000"
NO_SNAPSHOT = "snap-00000000"
MIB = 1 << 20


def write(server, disk, offset, data):
    with NbdClient(server.nbd_socket, disk) as client:
        client.write(offset, data)
        client.flush()


def read(server, export, offset, length):
    with NbdClient(server.nbd_socket, export) as client:
        return client.read(offset, length)


def test_a_snapshot_shows_what_it_is(cloud, server, disk):
    write(server, disk, 0, os.urandom(MIB))
    snapshot = cloud.create_snapshot(disk, "shown", Tags=[{"Key": "k", "Value": "v"}])
    found = cloud.snapshot(snapshot)
    expected = {
        "SnapshotId": snapshot,
        "SnapshotName": "shown",
        "SnapshotState": "NORMAL",
        "Percent": 100,
        "DiskId": disk,
        "DiskSize": 10,
        "DiskUsage": "DATA_DISK",
        "Encrypt": False,
        "IsPermanent": True,
        "DeadlineTime": "",
        "CopyFromRemote": False,
        "CopyingToRegions": [],
        "Images": [],
        "ImageCount": 0,
        "ShareReference": 0,
        "SnapshotType": "PRIVATE_SNAPSHOT",
        "Tags": [{"Key": "k", "Value": "v"}],
    }
    assert {name: found[name] for name in expected} == expected
    assert found["Placement"]["Zone"] == cloud.disk(disk)["Placement"]["Zone"]
    unnamed = cloud.create_snapshot(disk)
    assert cloud.snapshot(unnamed)["SnapshotName"] == "Unnamed"
    of_disk = cloud.disk(disk)
    assert (of_disk["SnapshotCount"], of_disk["SnapshotSize"]) == (2, 1)
    cloud.delete_snapshots(snapshot, unnamed)
    assert cloud.disk(disk)["SnapshotCount"] == 0


def test_a_snapshot_keeps_its_bytes_whatever_happens_to_the_disk(cloud, server, disk):
    old, new = os.urandom(MIB), os.urandom(MIB)
    write(server, disk, 3 * MIB, old)
    snapshot = cloud.create_snapshot(disk)
    write(server, disk, 3 * MIB, new)
    assert read(server, disk, 3 * MIB, MIB) == new
    assert read(server, snapshot, 3 * MIB, MIB) == old
    cloud.detach(disk)
    cloud.terminate(disk)
    assert read(server, snapshot, 3 * MIB, MIB) == old
    with NbdClient(server.nbd_socket, snapshot) as client:
        assert client.is_read_only
        with pytest.raises(OSError, match="not permitted"):
            client.write(0, b"x" * 4096)
    cloud.delete_snapshots(snapshot)


def test_rollback_forwards_and_backwards(cloud, server, instance, disk):
    states = []
    for _ in range(3):
        content = os.urandom(256 * 1024)
        write(server, disk, 0, content)
        states.append((cloud.create_snapshot(disk), content))
    for snapshot, content in [states[0], states[2], states[1]]:
        cloud.detach(disk)
        cloud.roll_back(disk, snapshot)
        cloud.attach(instance, disk)
        assert read(server, disk, 0, len(content)) == content
    for snapshot, content in states:
        assert read(server, snapshot, 0, len(content)) == content
    middle = states[1][0]
    cloud.delete_snapshots(middle)
    assert read(server, states[2][0], 0, len(states[2][1])) == states[2][1]
    assert read(server, disk, 0, len(states[1][1])) == states[1][1]


def test_rollback_of_a_grown_disk_reads_zeroes_beyond(cloud, server, instance, disk):
    write(server, disk, 0, b"\xaa" * MIB)
    snapshot = cloud.create_snapshot(disk)
    cloud.resize(disk, 12)
    write(server, disk, 11 << 30, b"\xbb" * MIB)
    cloud.detach(disk)
    cloud.roll_back(disk, snapshot)
    cloud.attach(instance, disk)
    assert cloud.disk(disk)["DiskSize"] == 12
    assert read(server, disk, 0, MIB) == b"\xaa" * MIB
    assert read(server, disk, 11 << 30, MIB) == bytes(MIB)


def test_a_disk_made_from_a_snapshot_is_its_own(cloud, server, instance, disk):
    content = os.urandom(MIB)
    write(server, disk, MIB, content)
    snapshot = cloud.create_snapshot(disk)
    same = cloud.create_disk(None, SnapshotId=snapshot)
    larger = cloud.create_disk(15, SnapshotId=snapshot, DiskName="larger")
    assert (cloud.disk(same)["DiskSize"], cloud.disk(larger)["DiskSize"]) == (10, 15)
    with cloud.refused("InvalidParameterValue", "DiskSize"):
        cloud.create_disk(9, SnapshotId=snapshot)
    cloud.attach(instance, same, larger)
    assert read(server, same, MIB, MIB) == content == read(server, larger, MIB, MIB)
    assert read(server, larger, 14 << 30, 4096) == bytes(4096)
    write(server, same, MIB, b"\x01" * MIB)
    assert read(server, larger, MIB, MIB) == content == read(server, disk, MIB, MIB)
    # Its first state is the snapshot's: initialisation goes back to it while the snapshot exists.
    cloud.detach(same)
    cloud.call("InitializeDisks", DiskIds=[same])
    cloud.wait_disk(same, "UNATTACHED")
    cloud.attach(instance, same)
    assert read(server, same, MIB, MIB) == content
    cloud.detach(same)
    cloud.delete_snapshots(snapshot)
    refused_for_good(cloud, None, [snapshot], "InitializeDisks", {"DiskIds": [same]})
    assert read(server, larger, MIB, MIB) == content
    cloud.detach(larger)
    cloud.terminate(same, larger)


def test_initialising_a_plain_disk_clears_it(cloud, server, instance, disk):
    write(server, disk, 0, b"\xff" * MIB)
    snapshot = cloud.create_snapshot(disk)
    cloud.detach(disk)
    cloud.call("InitializeDisks", DiskIds=[disk])
    cloud.wait_disk(disk, "UNATTACHED")
    cloud.attach(instance, disk)
    assert read(server, disk, 0, MIB) == bytes(MIB)
    assert read(server, snapshot, 0, MIB) == b"\xff" * MIB


def test_a_rollback_that_cannot_be_is_refused(cloud, server, instance, disk):
    write(server, disk, 0, b"\x11" * 4096)
    snapshot = cloud.create_snapshot(disk)
    write(server, disk, 0, b"\x22" * 4096)
    stranger = cloud.create_disk()
    refused_for_good(cloud, None, [disk], "ApplySnapshot", {"DiskId": disk, "SnapshotId": snapshot})
    refused_for_good(cloud, None, [stranger], "ApplySnapshot", {"DiskId": stranger, "SnapshotId": snapshot})
    refused_for_good(
        cloud,
        None,
        ["AutoStopInstance"],
        "ApplySnapshot",
        {"DiskId": disk, "SnapshotId": snapshot, "AutoStopInstance": True},
    )
    for wanted, code, text in [
        ({"DiskId": NO_DISK, "SnapshotId": snapshot}, "InvalidDiskId.NotFound", NO_DISK),
        ({"DiskId": disk, "SnapshotId": NO_SNAPSHOT}, "InvalidSnapshotId.NotFound", NO_SNAPSHOT),
        ({"DiskId": disk}, "MissingParameter", "SnapshotId"),
        ({"SnapshotId": snapshot}, "MissingParameter", "DiskId"),
    ]:
        with cloud.refused(code, text):
            cloud.call("ApplySnapshot", **wanted)
    assert read(server, disk, 0, 4096) == b"\x22" * 4096


def test_attributes_of_a_snapshot(cloud, disk):
    deadline = "2099-01-08T09:47:55+00:00"
    snapshot = cloud.create_snapshot(disk, Deadline=deadline)
    assert cloud.snapshot(snapshot)["IsPermanent"] is False
    assert cloud.snapshot(snapshot)["DeadlineTime"] == "2099-01-08 17:47:55"
    cloud.call("ModifySnapshotAttribute", SnapshotId=snapshot, SnapshotName="renamed", IsPermanent=True)
    found = cloud.snapshot(snapshot)
    assert (found["SnapshotName"], found["IsPermanent"], found["DeadlineTime"]) == ("renamed", True, "")
    cloud.call("ModifySnapshotAttribute", SnapshotId=snapshot, Deadline=deadline)
    assert cloud.snapshot(snapshot)["IsPermanent"] is False
    for wanted, code, text in [
        ({"SnapshotId": NO_SNAPSHOT, "SnapshotName": "x"}, "InvalidSnapshotId.NotFound", NO_SNAPSHOT),
        ({"SnapshotId": snapshot, "SnapshotName": "x" * 61}, "InvalidParameterValue", "SnapshotName"),
        ({"SnapshotId": snapshot, "Deadline": "2001-01-01T00:00:00+00:00"}, "InvalidParameterValue", "Deadline"),
        ({"SnapshotId": snapshot, "Deadline": "tomorrow"}, None, "Deadline"),
        ({"SnapshotId": snapshot, "IsPermanent": True, "Deadline": deadline}, None, "Deadline"),
        ({"SnapshotName": "x"}, "MissingParameter", "SnapshotId"),
    ]:
        refused_for_good(cloud, code, [text], "ModifySnapshotAttribute", wanted)
    assert cloud.snapshot(snapshot)["SnapshotName"] == "renamed"


def test_a_wrong_snapshot_is_refused_and_none_is_made(cloud, disk):
    for wanted, code, text in [
        ({"DiskId": NO_DISK}, "InvalidDiskId.NotFound", NO_DISK),
        ({"DiskId": disk, "SnapshotName": "x" * 61}, "InvalidParameterValue", "SnapshotName"),
        ({"DiskId": disk, "Deadline": "2001-01-01T00:00:00+00:00"}, None, "Deadline"),
        ({"DiskId": disk, "Deadline": "soon"}, None, "Deadline"),
        ({"DiskId": disk, "DiskBackupId": "dbp-00000000"}, None, "dbp-00000000"),
        ({"DiskId": disk, "DiskUsage": "FLOPPY"}, "InvalidParameterValue", "FLOPPY"),
        ({"DiskId": 7}, None, "DiskId"),
        ({}, "MissingParameter", "DiskId"),
    ]:
        refused_for_good(cloud, code, [text], "CreateSnapshot", wanted)
    assert cloud.disk(disk)["SnapshotCount"] == 0


def test_a_disk_has_at_most_64_snapshots(cloud):
    disk = cloud.create_disk()
    snapshots = [cloud.call("CreateSnapshot", DiskId=disk)["SnapshotId"] for _ in range(64)]
    for snapshot in snapshots:
        cloud.wait_snapshot(snapshot)
    refused_for_good(cloud, None, ["64"], "CreateSnapshot", {"DiskId": disk})
    cloud.delete_snapshots(*snapshots)
    cloud.terminate(disk)


def test_deletion_of_snapshots_is_all_or_nothing(cloud, disk):
    first, second = cloud.create_snapshot(disk), cloud.create_snapshot(disk)
    with cloud.refused("InvalidSnapshotId.NotFound", NO_SNAPSHOT):
        cloud.call("DeleteSnapshots", SnapshotIds=[first, NO_SNAPSHOT])
    with cloud.refused("MissingParameter", "SnapshotIds"):
        cloud.call("DeleteSnapshots")
    assert cloud.snapshot(first)["SnapshotState"] == "NORMAL"
    cloud.delete_snapshots(first, second)
    with cloud.refused("InvalidSnapshotId.NotFound", first):
        cloud.call("DeleteSnapshots", SnapshotIds=[first])


def test_a_snapshot_goes_at_its_deadline(cloud, disk):
    deadline = datetime.now(UTC) + timedelta(seconds=2)
    snapshot = cloud.create_snapshot(disk, Deadline=deadline.strftime("%Y-%m-%dT%H:%M:%S+00:00"))
    wait_until(lambda: cloud.snapshot(snapshot) is None, "the snapshot is deleted at its deadline")


def test_deleting_a_snapshot_ends_the_sessions_on_it(cloud, server, disk):
    write(server, disk, 0, b"\x07" * 4096)
    snapshot = cloud.create_snapshot(disk)
    with NbdClient(server.nbd_socket, snapshot) as reader, NbdClient(server.nbd_socket, disk) as writer:
        assert reader.read(0, 4096) == b"\x07" * 4096
        cloud.delete_snapshots(snapshot)
        wait_until(reader.is_lost, "the session on the snapshot has ended")
        writer.write(4096, b"\x08" * 4096)
        assert writer.read(0, 8192) == b"\x07" * 4096 + b"\x08" * 4096


def test_the_overview_counts_snapshots_and_their_size(cloud, server, disk):
    before = cloud.call("GetSnapOverview")
    write(server, disk, 0, os.urandom(4 * MIB))
    snapshot = cloud.create_snapshot(disk)
    after = cloud.call("GetSnapOverview")
    assert after["TotalNums"] == before["TotalNums"] + 1
    assert after["TotalSize"] > before["TotalSize"]
    cloud.delete_snapshots(snapshot)
    wait_until(lambda: cloud.call("GetSnapOverview")["TotalNums"] == before["TotalNums"], "the count falls again")
