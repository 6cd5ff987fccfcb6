"""A full medium: the write gets ENOSPC, nothing is lost, and deleting a disk mends it."""

import errno
import os

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from harness.cloud import Cloud
from harness.filesystem import loop_device, mounted, need_loop_devices
from harness.nbd_client import NbdClient
from harness.server import ZONE
from harness.tools import run
from harness.waiting import wait_until

MIB = 1 << 20
MEDIUM_BYTES = 384 * MIB


@pytest.fixture
def small_medium(tmp_path):
    """A small file system of its own for a data directory."""
    need_loop_devices()
    image = tmp_path / "medium.img"
    with image.open("wb") as file:
        file.truncate(MEDIUM_BYTES)
    run("mkfs.ext4", "-q", "-m", "0", image)
    with loop_device(image) as device, mounted(device, tmp_path / "medium") as directory:
        yield directory


def fill(client, start_mib):
    """Writes blocks of 1 MiB until the medium is full; returns what was answered, by offset."""
    written = {}
    for offset in range(start_mib * MIB, start_mib * MIB + 2 * MEDIUM_BYTES, MIB):
        data = os.urandom(MIB)
        try:
            client.write(offset, data)
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
            return written
        written[offset] = data
    raise AssertionError("the medium never became full")


def calls_that_need_space_are_whole(cloud, disk):
    """On a full medium a call succeeds or is refused as such; either way nothing is left half made."""
    for action, wanted in [
        ("CreateSnapshot", {"DiskId": disk}),
        (
            "CreateDisks",
            {
                "Placement": {"Zone": ZONE},
                "DiskChargeType": "POSTPAID_BY_HOUR",
                "DiskType": "CLOUD_PREMIUM",
                "DiskSize": 10,
            },
        ),
        ("ResizeDisk", {"DiskId": disk, "DiskSize": 11}),
    ]:
        before = cloud.call("DescribeDisks")["TotalCount"], cloud.call("DescribeSnapshots")["TotalCount"]
        try:
            cloud.call(action, **wanted)
        except TencentCloudSDKException as error:
            assert error.code == "ResourceInsufficient", f"{action}: {error.code}: {error.message}"
            assert before == (cloud.call("DescribeDisks")["TotalCount"], cloud.call("DescribeSnapshots")["TotalCount"])
        assert cloud.disk(disk)["DiskState"] == "ATTACHED"
    for snapshot in cloud.call("DescribeSnapshots")["SnapshotSet"]:
        assert snapshot["SnapshotState"] == "NORMAL"


def test_a_full_medium_refuses_writes_and_recovers(small_medium, servers):
    server = servers.start(data_dir=small_medium / "data")
    cloud = Cloud(server)
    instance = server.add_instance()
    kept, victim = cloud.create_disks(10, count=2)
    cloud.attach(instance, kept, victim)
    with NbdClient(server.nbd_socket, kept) as client:
        early = {number * MIB: os.urandom(MIB) for number in range(8)}
        for offset, data in early.items():
            client.write(offset, data)
        client.flush()
        with NbdClient(server.nbd_socket, victim) as other:
            lost = fill(other, 0)
            assert len(lost) > 32, "most of the medium can be used"
            other.flush()
            for offset, data in lost.items():
                assert other.read(offset, MIB) == data
        with pytest.raises(OSError) as refused:
            for number in range(64):
                client.write((100 + number) * MIB, os.urandom(MIB))
        assert refused.value.errno == errno.ENOSPC
        # What needs no new space still works: reads, rewrites in place, a flush, calls that only ask.
        for offset, data in early.items():
            assert client.read(offset, MIB) == data
        early[0] = os.urandom(MIB)
        client.write(0, early[0])
        client.flush()
        assert cloud.disk(kept)["DiskState"] == "ATTACHED"
        calls_that_need_space_are_whole(cloud, kept)

        cloud.detach(victim)
        cloud.terminate(victim)

        def writes_go_on():
            try:
                client.write(200 * MIB, b"\x99" * MIB)
            except OSError as error:
                assert error.errno == errno.ENOSPC, error
                return False
            return True

        wait_until(writes_go_on, "the space of the deleted disk is free")
        early[200 * MIB] = b"\x99" * MIB
        client.flush()

    server.kill()
    server.start()
    with NbdClient(server.nbd_socket, kept) as client:
        for offset, data in early.items():
            assert client.read(offset, MIB) == data
        assert len(fill(client, 300)) > 32
    server.stop()
    server.assert_clean()
