"""What snapshots lead to: backup points, shares, copies in other regions, groups, and the log of it all."""

import os
import re

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from harness.accounts import admin, attach_policy, new_key, statement
from harness.cloud import Cloud
from harness.nbd_client import NbdClient
from harness.server import ZONE
from harness.siblings import Sibling
from harness.waiting import wait_until

ELSEWHERE = "ap-beijing"
MIB = 1 << 20
ISO = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00"
PLAIN = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


def write(server, disk, offset, data):
    with NbdClient(server.nbd_socket, disk) as client:
        client.write(offset, data)
        client.flush()


def read(server, export, offset, length):
    with NbdClient(server.nbd_socket, export) as client:
        return client.read(offset, length)


def other_account(server, name):
    """Another account's number and its cloud."""
    uin = str(admin(server, "account", "add", name)["uin"])
    return uin, Cloud(server, secret=new_key(server, "--account", uin))


def normal_copy(cloud, snapshot):
    """The copy, once it is complete; on the way it shows only states of the reference."""

    def complete():
        found = cloud.snapshot(snapshot)
        assert found["SnapshotState"] in {"COPYING_FROM_REMOTE", "CHECKING_COPIED", "NORMAL"}
        return found if found["SnapshotState"] == "NORMAL" else None

    return wait_until(complete, f"{snapshot} is copied")


def test_backup_points_as_the_pages_show_them(cloud, server):
    disk = cloud.create_disk(DiskBackupQuota=2)
    instance = server.add_instance(zone=ZONE)
    cloud.attach(instance, disk)
    data = os.urandom(MIB)
    write(server, disk, 0, data)
    backup = cloud.call("CreateDiskBackup", DiskId=disk, DiskBackupName="11111")["DiskBackupId"]
    assert re.fullmatch(r"dbp-[0-9a-z]{8}", backup)
    answer = cloud.call("DescribeDiskBackups", Limit=10, Offset=0)
    (found,) = [entry for entry in answer["DiskBackupSet"] if entry["DiskBackupId"] == backup]
    assert re.fullmatch(ISO, found.pop("CreateTime"))
    assert found == {
        "DiskBackupName": "11111",
        "Encrypt": False,
        "Percent": 100,
        "DiskBackupId": backup,
        "DiskSize": 10,
        "DiskBackupState": "NORMAL",
        "DiskUsage": "DATA_DISK",
        "DiskId": disk,
    }
    assert (cloud.disk(disk)["DiskBackupQuota"], cloud.disk(disk)["DiskBackupCount"]) == (2, 1)

    write(server, disk, 0, bytes(MIB))
    cloud.detach(disk)
    cloud.call("ApplyDiskBackup", DiskId=disk, DiskBackupId=backup)
    cloud.wait_disk(disk, "UNATTACHED")
    assert not cloud.disk(disk)["Rollbacking"]
    cloud.attach(instance, disk)
    assert read(server, disk, 0, MIB) == data

    snapshot = cloud.call("CreateSnapshot", DiskBackupId=backup, SnapshotName="kept", LocalSnap=True)["SnapshotId"]
    shown = wait_until(lambda: cloud.snapshot(snapshot), "the snapshot is listed")
    assert (shown["DiskId"], shown["SnapshotMode"], shown["SnapshotName"]) == (disk, "INSTANT_SNAPSHOT", "kept")
    assert cloud.call("DescribeDiskBackups", DiskBackupIds=[backup])["TotalCount"] == 0
    assert read(server, snapshot, 0, MIB) == data
    backup = cloud.call("CreateDiskBackup", DiskId=disk)["DiskBackupId"]
    cloud.call("DeleteDiskBackups", DiskBackupIds=[backup])
    assert cloud.disk(disk)["DiskBackupCount"] == 0


def test_another_account_uses_a_shared_snapshot(cloud, server):
    uin, theirs = other_account(server, "partner")
    disk = cloud.create_disk()
    snapshot = cloud.create_snapshot(disk, "shared")
    sharing = {"SnapshotIds": [snapshot], "AccountIds": [uin]}
    with pytest.raises(TencentCloudSDKException, match=snapshot):
        theirs.create_disk(size_gib=10, SnapshotId=snapshot)
    cloud.call("ModifySnapshotsSharePermission", Permission="SHARE", **sharing)
    (entry,) = cloud.call("DescribeSnapshotSharePermission", SnapshotId=snapshot)["SharePermissionSet"]
    assert entry["AccountId"] == uin
    assert re.fullmatch(PLAIN, entry["CreatedTime"])
    own, shown = cloud.snapshot(snapshot), theirs.snapshot(snapshot)
    assert (own["ShareReference"], own["SnapshotType"]) == (1, "PRIVATE_SNAPSHOT")
    assert (shown["SnapshotType"], shown["Tags"]) == ("SHARED_SNAPSHOT", [])
    assert shown["TimeStartShare"] == own["TimeStartShare"] == entry["CreatedTime"][:10]
    filters = [{"Name": "snapshot-type", "Values": ["SHARED_SNAPSHOT"]}]
    assert theirs.call("DescribeSnapshots", Filters=filters)["TotalCount"] == 1
    assert cloud.call("DescribeSnapshots", Filters=filters)["TotalCount"] == 0
    theirs.create_disk(size_gib=10, SnapshotId=snapshot)
    with theirs.refused("InvalidSnapshot.NotSupported", snapshot):
        theirs.call("ModifySnapshotAttribute", SnapshotId=snapshot, SnapshotName="mine")
    with theirs.refused("InvalidSnapshot.NotSupported", snapshot):
        theirs.call("DeleteSnapshots", SnapshotIds=[snapshot])
    with cloud.refused("UnsupportedOperation.SnapHasShared", snapshot):
        cloud.call("DeleteSnapshots", SnapshotIds=[snapshot])
    cloud.call("ModifySnapshotsSharePermission", Permission="CANCEL", **sharing)
    assert theirs.snapshot(snapshot) is None
    cloud.call("DeleteSnapshots", SnapshotIds=[snapshot])


def test_copies_go_to_other_regions(cloud, server):
    there = Cloud(server, region=ELSEWHERE)
    disk = cloud.create_disk()
    instance = server.add_instance(zone=ZONE)
    cloud.attach(instance, disk)
    data = os.urandom(3 * MIB)
    write(server, disk, 5 * MIB, data)
    first = cloud.create_snapshot(disk)
    write(server, disk, 6 * MIB, bytes(MIB))
    second = cloud.create_snapshot(disk)

    (result,) = cloud.call("CopySnapshotCrossRegions", SnapshotId=first, DestinationRegions=[ELSEWHERE])[
        "SnapshotCopyResultSet"
    ]
    copy = result.pop("SnapshotId")
    assert result == {"DestinationRegion": ELSEWHERE, "Code": "Success", "Message": ""}
    shown = normal_copy(there, copy)
    assert (shown["CopyFromRemote"], shown["DiskId"], shown["Percent"]) == (True, "", 100)
    assert shown["SnapshotName"] == f"Copied {first} from ap-guangzhou"
    assert read(server, copy, 5 * MIB, 3 * MIB) == data
    wait_until(lambda: not cloud.snapshot(first)["CopyingToRegions"], "the source is free again")

    wanted = {"SnapshotId": second, "DestinationRegions": [ELSEWHERE, "ap-shanghai"], "SnapshotName": "two"}
    results = cloud.call("CopySnapshotCrossRegions", **wanted)["SnapshotCopyResultSet"]
    assert [result["Code"] for result in results] == ["Success", "Success"]
    for result in results:
        normal_copy(Cloud(server, region=result["DestinationRegion"]), result["SnapshotId"])
        expected = data[:MIB] + bytes(MIB) + data[2 * MIB :]
        assert read(server, result["SnapshotId"], 5 * MIB, 3 * MIB) == expected
    cloud.call("DeleteSnapshots", SnapshotIds=[first, second])
    made = there.create_disk(size_gib=10, SnapshotId=copy, Placement={"Zone": f"{ELSEWHERE}-1"})
    assert there.disk(made)["DiskSize"] == 10


def test_groups_are_of_one_moment(cloud, server):
    instance = server.add_instance(zone=ZONE)
    disks = cloud.create_disks(count=2)
    cloud.attach(instance, *disks)
    for disk in disks:
        write(server, disk, 0, b"before")
    group = cloud.call("CreateSnapshotGroup", DiskIds=disks, SnapshotGroupName="testSnapshotGroup")["SnapshotGroupId"]
    assert re.fullmatch(r"csnap-[0-9a-z]{8}", group)
    filters = [{"Name": "snapshot-group-id", "Values": [group]}]
    (shown,) = cloud.call("DescribeSnapshotGroups", Filters=filters)["SnapshotGroupSet"]
    members = shown.pop("SnapshotIdSet")
    assert re.fullmatch(ISO, shown.pop("CreateTime")) and re.fullmatch(ISO, shown.pop("ModifyTime"))
    assert shown == {
        "SnapshotGroupId": group,
        "SnapshotGroupType": "NORMAL",
        "ContainRootSnapshot": False,
        "SnapshotGroupState": "NORMAL",
        "Percent": 100,
        "SnapshotGroupName": "testSnapshotGroup",
        "Images": [],
        "ImageCount": 0,
        "DeadlineTime": None,
        "IsPermanent": True,
        "AutoSnapshotPolicyId": None,
    }
    names = [cloud.snapshot(member)["SnapshotName"] for member in members]
    assert names == ["testSnapshotGroup_0", "testSnapshotGroup_1"]
    for disk in disks:
        write(server, disk, 0, b"after!")
    cloud.detach(*disks)
    targets = [{"SnapshotId": member, "DiskId": disk} for member, disk in zip(members, disks, strict=True)]
    cloud.call("ApplySnapshotGroup", SnapshotGroupId=group, ApplyDisks=targets)
    for disk in disks:
        cloud.wait_disk(disk, "UNATTACHED")
    cloud.attach(instance, *disks)
    assert [read(server, disk, 0, 6) for disk in disks] == [b"before", b"before"]
    cloud.call("DeleteSnapshotGroup", SnapshotGroupId=group)
    assert cloud.snapshot(members[0]) is None


def test_a_group_goes_with_its_images_if_it_may(cloud, server):
    instance = admin(server, "instance", "add", "--zone", ZONE, "--system-disk", "20")["instance_id"]
    cvm = Sibling(server, "cvm")
    root = cvm.call("DescribeInstances", InstanceIds=[instance])["InstanceSet"][0]["SystemDisk"]["DiskId"]
    disks = [root, cloud.create_disk()]
    cloud.attach(instance, disks[1])
    group = cloud.call("CreateSnapshotGroup", DiskIds=disks)["SnapshotGroupId"]
    named = {"Filters": [{"Name": "snapshot-group-id", "Values": [group]}]}
    (shown,) = cloud.call("DescribeSnapshotGroups", **named)["SnapshotGroupSet"]
    members = shown["SnapshotIdSet"]
    assert (shown["ContainRootSnapshot"], shown["Images"], shown["ImageCount"]) == (True, [], 0)
    # One image of both snapshots is shown once.
    image = cvm.call("CreateImage", ImageName="of a group", SnapshotIds=members)["ImageId"]
    (shown,) = cloud.call("DescribeSnapshotGroups", **named)["SnapshotGroupSet"]
    assert (shown["Images"], shown["ImageCount"]) == ([{"ImageId": image, "ImageName": "of a group"}], 1)
    for wanted in ({}, {"DeleteBindImages": False}):
        with cloud.refused("UnsupportedOperation.SnapshotHasBindedImage", image):
            cloud.call("DeleteSnapshotGroup", SnapshotGroupId=group, **wanted)
    cloud.call("DeleteSnapshotGroup", SnapshotGroupId=group, DeleteBindImages=True)
    assert cloud.call("DescribeSnapshotGroups", **named)["SnapshotGroupSet"] == []
    assert cvm.call("DescribeImages", ImageIds=[image])["TotalCount"] == 0

    # A locked snapshot does not go with its group either.
    group = cloud.call("CreateSnapshotGroup", DiskIds=disks)["SnapshotGroupId"]
    named = {"Filters": [{"Name": "snapshot-group-id", "Values": [group]}]}
    locked = cloud.call("DescribeSnapshotGroups", **named)["SnapshotGroupSet"][0]["SnapshotIdSet"][1]
    admin(server, "snapshot", "lock", locked, "--until", "2099-01-01T00:00:00+08:00")
    with cloud.refused("UnsupportedOperation.StateError", group, locked):
        cloud.call("DeleteSnapshotGroup", SnapshotGroupId=group)
    assert cloud.snapshot(locked)["SnapshotState"] == "NORMAL"
    cloud.detach(disks[1])


def test_overviews_agree(cloud, disk):
    snapshot = cloud.create_snapshot(disk)
    old, new = cloud.call("GetSnapOverview"), cloud.call("DescribeSnapshotOverview")
    del old["RequestId"], new["RequestId"]
    assert old == new
    assert new["TotalNums"] >= 1 and new["FreeQuota"] == 80
    cloud.delete_snapshots(snapshot)


def test_the_log_of_operations(cloud, server, tmp_path):
    disk = cloud.create_disk()
    snapshot = cloud.create_snapshot(disk)
    cloud.delete_snapshots(snapshot)
    filters = [{"Name": "disk-id", "Values": [disk]}]
    logs = cloud.call("DescribeDiskOperationLogs", Filters=filters)["DiskOperationLogSet"]
    assert [log["Operation"] for log in logs] == ["CBS_OPERATION_SNAPSHOT", "CBS_OPERATION_CREATE"]
    for log in logs:
        assert (log["DiskId"], log["OperationState"], log["Operator"]) == (disk, "SUCCESS", "100000000001")
        assert re.fullmatch(PLAIN, log["StartTime"]) and re.fullmatch(PLAIN, log["EndTime"])
    filters = [{"Name": "snapshot-id", "Values": [snapshot]}]
    logs = cloud.call("DescribeSnapshotOperationLogs", Filters=filters)["SnapshotOperationLogSet"]
    assert [log["Operation"] for log in logs] == ["SNAP_OPERATION_DELETE", "SNAP_OPERATION_CREATE"]

    # A user of the account is the operator of what the user does.
    user = admin(server, "user", "add", "grower")["uin"]
    attach_policy(server, tmp_path, "all", statement("allow", "cbs:*"), holder=("--user", "grower"))
    Cloud(server, secret=new_key(server, "--user", "grower")).call("ResizeDisk", DiskId=disk, DiskSize=20)
    filters = [{"Name": "disk-id", "Values": [disk]}]
    wait_until(lambda: cloud.disk(disk)["DiskState"] == "UNATTACHED", "the disk has grown")
    logs = cloud.call("DescribeDiskOperationLogs", Filters=filters)["DiskOperationLogSet"]
    assert (logs[0]["Operation"], logs[0]["Operator"]) == ("CBS_OPERATION_EXPAND", str(user))


def test_a_setting_takes_the_log_offline(servers):
    cloud = Cloud(servers.start("operation_logs = false\n"))
    for action, name, value in [
        ("DescribeDiskOperationLogs", "disk-id", "disk-00000000"),
        ("DescribeSnapshotOperationLogs", "snapshot-id", "snap-00000000"),
    ]:
        with cloud.refused("ActionOffline"):
            cloud.call(action, Filters=[{"Name": name, "Values": [value]}])
