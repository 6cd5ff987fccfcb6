"""The story of a disk, told once in each way in which the official Python SDK can sign and write a call."""

import os

import pytest
from tencentcloud.cbs.v20170312 import models

from harness.cloud import SIGNATURES, Cloud, sdk_client
from harness.server import ZONE
from harness.tools import need, qemu_io, run
from harness.waiting import wait_until

MIB = 1 << 20
FIRST_BYTES = 8 * MIB


@pytest.fixture
def first_bytes(tmp_path):
    """A file whose bytes come back at the end of the story."""
    path = tmp_path / "first"
    path.write_bytes(os.urandom(FIRST_BYTES))
    return path


def read_back(server, disk, path):
    """The first bytes of an export, copied out with a stock client."""
    run("nbdcopy", f"--request-size={MIB}", server.nbd_uri(disk), path)
    with path.open("rb") as copied:
        return copied.read(FIRST_BYTES)


def disk_state(client, disk):
    request = models.DescribeDisksRequest()
    request.DiskIds = [disk]
    return client.DescribeDisks(request).DiskSet[0].DiskState


@pytest.mark.parametrize("signature", SIGNATURES)
def test_a_disk_from_creation_to_rollback(servers, tmp_path, first_bytes, signature):
    need("nbdcopy", "qemu-io")
    server = servers.start()
    client = sdk_client(server, signature)
    instance = server.add_instance()

    create = models.CreateDisksRequest()
    create.Placement = models.Placement()
    create.Placement.Zone = ZONE
    create.Placement.ProjectId = 0
    create.DiskChargeType = "POSTPAID_BY_HOUR"
    create.DiskType = "CLOUD_PREMIUM"
    create.DiskSize = 10
    create.DiskName = "story/ÄÖ 盘 *~"
    create.Shareable = False
    (disk,) = client.CreateDisks(create).DiskIdSet
    wait_until(lambda: disk_state(client, disk) == "UNATTACHED", "the disk is made")

    attach = models.AttachDisksRequest()
    attach.InstanceId = instance
    attach.DiskIds = [disk]
    client.AttachDisks(attach)
    wait_until(lambda: disk_state(client, disk) == "ATTACHED", "the disk is attached")

    run("nbdcopy", "--flush", first_bytes, server.nbd_uri(disk))

    take = models.CreateSnapshotRequest()
    take.DiskId = disk
    take.SnapshotName = "first bytes"
    snapshot = client.CreateSnapshot(take).SnapshotId
    describe = models.DescribeSnapshotsRequest()
    describe.SnapshotIds = [snapshot]
    wait_until(
        lambda: client.DescribeSnapshots(describe).SnapshotSet[0].SnapshotState == "NORMAL",
        "the snapshot is taken",
    )

    qemu_io(server.nbd_uri(disk), f"write -P 0xee 0 {FIRST_BYTES}", "flush")

    detach = models.DetachDisksRequest()
    detach.DiskIds = [disk]
    client.DetachDisks(detach)
    wait_until(lambda: disk_state(client, disk) == "UNATTACHED", "the disk is detached")

    apply = models.ApplySnapshotRequest()
    apply.DiskId = disk
    apply.SnapshotId = snapshot
    client.ApplySnapshot(apply)
    wait_until(lambda: disk_state(client, disk) == "UNATTACHED", "the disk is rolled back")

    client.AttachDisks(attach)
    wait_until(lambda: disk_state(client, disk) == "ATTACHED", "the disk is attached again")
    assert read_back(server, disk, tmp_path / "copied") == first_bytes.read_bytes()

    described = models.DescribeDisksRequest()
    described.DiskIds = [disk]
    shown = client.DescribeDisks(described).DiskSet[0]
    assert shown.DiskName == create.DiskName
    assert shown.InstanceId == instance
    assert shown.Placement.Zone == ZONE


def test_what_was_answered_and_flushed_survives_kill_9(servers, tmp_path, first_bytes):
    need("nbdcopy", "qemu-io")
    server = servers.start()
    cloud = Cloud(server)
    instance = server.add_instance(name="survivor")
    disk, spare = cloud.create_disks(count=2, DiskName="kept", Tags=[{"Key": "team", "Value": "storage"}])
    cloud.attach(instance, disk)
    run("nbdcopy", "--flush", first_bytes, server.nbd_uri(disk))
    snapshot = cloud.create_snapshot(disk, "kept as well")
    qemu_io(
        server.nbd_uri(disk), f"write -f -P 0x5a {FIRST_BYTES} {MIB}", f"write -P 0x5b {2 * FIRST_BYTES} {MIB}", "flush"
    )
    before = cloud.call("DescribeDisks"), cloud.call("DescribeSnapshots")

    server.kill()
    server.start()

    after = cloud.call("DescribeDisks"), cloud.call("DescribeSnapshots")
    for old, new in zip(before, after, strict=True):
        assert {**old, "RequestId": ""} == {**new, "RequestId": ""}
    assert cloud.disk(spare)["DiskName"] == "kept"
    assert read_back(server, disk, tmp_path / "copied") == first_bytes.read_bytes()
    assert read_back(server, snapshot, tmp_path / "snapshot") == first_bytes.read_bytes()
    qemu_io(
        server.nbd_uri(disk),
        f"read -P 0x5a {FIRST_BYTES} {MIB}",
        f"read -P 0x5b {2 * FIRST_BYTES} {MIB}",
        read_only=True,
    )


def test_keys_of_nobody_and_wrong_keys_are_refused(server, cloud):
    secret_id, secret_key = (
        server.admin_environment()[name] for name in ("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY")
    )
    for signature in SIGNATURES:
        wrong = Cloud(server, signature, secret=(secret_id, secret_key[:-1] + "#"))
        with wrong.refused("AuthFailure.SignatureFailure"):
            wrong.call("DescribeDisks")
        nobody = Cloud(server, signature, secret=("AKID" + "x" * 32, secret_key))
        with nobody.refused("AuthFailure.SecretIdNotFound"):
            nobody.call("DescribeDisks")
    assert cloud.call("DescribeDisks")["TotalCount"] == 0
