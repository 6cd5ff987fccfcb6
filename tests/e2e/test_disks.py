"""What each action on disks does and what it refuses, with every parameter it documents."""

import pytest

from harness.cloud import Cloud, refused_as_one_of, refused_for_good
from harness.server import OTHER_ZONE, REGION, ZONE
from harness.waiting import wait_until

NO_DISK = "disk-00000000"
NO_SNAPSHOT = "snap-00000000"
NO_INSTANCE = "ins-00000000"
HOURLY = {
    "Placement": {"Zone": ZONE},
    "DiskChargeType": "POSTPAID_BY_HOUR",
    "DiskType": "CLOUD_PREMIUM",
    "DiskSize": 10,
}


def disk_count(cloud):
    return cloud.call("DescribeDisks", Limit=1)["TotalCount"]


# CreateDisks


def test_a_new_disk_shows_what_was_asked_for(cloud):
    disk = cloud.create_disk(
        30,
        Placement={"Zone": OTHER_ZONE, "ProjectId": 0},
        DiskType="CLOUD_SSD",
        DiskName="named",
        Tags=[{"Key": "team", "Value": "storage"}, {"Key": "empty", "Value": ""}],
        DeleteSnapshot=1,
        DiskBackupQuota=3,
        BurstPerformance=True,
    )
    found = cloud.disk(disk)
    expected = {
        "DiskId": disk,
        "DiskName": "named",
        "DiskType": "CLOUD_SSD",
        "DiskSize": 30,
        "DiskState": "UNATTACHED",
        "DiskUsage": "DATA_DISK",
        "DiskChargeType": "POSTPAID_BY_HOUR",
        "Portable": True,
        "Attached": False,
        "InstanceId": "",
        "InstanceType": "",
        "InstanceIdList": [],
        "Encrypt": False,
        "SnapshotAbility": True,
        "SnapshotCount": 0,
        "SnapshotSize": 0,
        "Rollbacking": False,
        "RollbackPercent": 0,
        "Migrating": False,
        "MigratePercent": 0,
        "DeleteWithInstance": False,
        "Shareable": False,
        "DeleteSnapshot": 1,
        "DiskBackupQuota": 3,
        "DiskBackupCount": 0,
        "BurstPerformance": True,
        "RenewFlag": "",
        "DeadlineTime": "",
        "DifferDaysOfDeadline": None,
        "AutoSnapshotPolicyIds": None,
        "LastAttachInsId": None,
        "ErrorPrompt": "",
    }
    assert {name: found[name] for name in expected} == expected
    assert found["Placement"]["Zone"] == OTHER_ZONE and found["Placement"]["ProjectId"] == 0
    assert {(tag["Key"], tag["Value"]) for tag in found["Tags"]} == {("team", "storage"), ("empty", "")}
    assert len(found["CreateTime"]) == len("2020-01-01 00:00:00")


def test_a_disk_without_a_name_is_unnamed_and_many_come_at_once(cloud):
    disks = cloud.create_disks(10, count=5)
    assert {cloud.disk(disk)["DiskName"] for disk in disks} == {"Unnamed"}


def test_a_prepaid_disk_has_a_deadline_and_goes_in_two_steps(cloud):
    disk = cloud.create_disk(
        10,
        DiskChargeType="PREPAID",
        DiskChargePrepaid={"Period": 2, "RenewFlag": "NOTIFY_AND_AUTO_RENEW"},
    )
    found = cloud.disk(disk)
    assert (found["DiskChargeType"], found["RenewFlag"]) == ("PREPAID", "NOTIFY_AND_AUTO_RENEW")
    assert found["DeadlineTime"] > found["CreateTime"]
    assert 58 <= found["DifferDaysOfDeadline"] <= 62
    cloud.call("TerminateDisks", DiskIds=[disk])
    assert cloud.wait_disk(disk, "TORECYCLE")["DiskId"] == disk
    with cloud.refused("ResourceUnavailable.NotSupported", disk):
        cloud.call("AttachDisks", InstanceId=cloud.server.add_instance(), DiskIds=[disk])
    cloud.call("TerminateDisks", DiskIds=[disk])
    cloud.wait_disk_gone(disk)


def test_a_client_token_makes_a_disk_once(cloud):
    wanted = HOURLY | {"ClientToken": "cluster-1/pvc-0001", "DiskCount": 2}
    first = cloud.call("CreateDisks", **wanted)["DiskIdSet"]
    assert cloud.call("CreateDisks", **wanted)["DiskIdSet"] == first
    with cloud.refused("InvalidParameter.InvalidClientToken", "cluster-1/pvc-0001"):
        cloud.call("CreateDisks", **(wanted | {"DiskSize": 20}))
    with cloud.refused("InvalidParameterValue", "ClientToken"):
        cloud.call("CreateDisks", **(wanted | {"ClientToken": "x" * 65}))


@pytest.mark.parametrize(
    ("change", "code", "texts"),
    [
        ({"DiskSize": 9}, "InvalidParameterValue", ["DiskSize", "9"]),
        ({"DiskSize": 32001}, "InvalidParameterValue", ["DiskSize", "32001"]),
        ({"DiskSize": -1}, None, ["DiskSize"]),
        ({"DiskSize": "ten"}, "InvalidParameter", ["DiskSize"]),
        ({"DiskSize": [10]}, "InvalidParameter", ["DiskSize"]),
        ({"DiskSize": None}, "MissingParameter", ["DiskSize"]),
        ({"DiskType": "CLOUD_TAPE"}, "InvalidParameterValue", ["DiskType", "CLOUD_TAPE"]),
        ({"DiskType": None}, "MissingParameter", ["DiskType"]),
        ({"DiskChargeType": "FREE"}, "InvalidParameterValue", ["DiskChargeType", "FREE"]),
        ({"DiskChargeType": None}, "MissingParameter", ["DiskChargeType"]),
        ({"DiskChargeType": "PREPAID"}, "MissingParameter", ["DiskChargePrepaid"]),
        ({"DiskChargeType": "PREPAID", "DiskChargePrepaid": {"Period": 13}}, "InvalidParameterValue", ["Period", "13"]),
        ({"DiskChargeType": "PREPAID", "DiskChargePrepaid": {}}, "MissingParameter", ["Period"]),
        (
            {"DiskChargeType": "PREPAID", "DiskChargePrepaid": {"Period": 1, "RenewFlag": "NEVER"}},
            "InvalidParameterValue",
            ["RenewFlag", "NEVER"],
        ),
        ({"DiskChargePrepaid": {"Period": 1}}, None, ["DiskChargePrepaid"]),
        ({"DiskChargeType": "CDCPAID"}, None, ["DiskChargeType", "CDCPAID"]),
        ({"Shareable": True, "AutoSnapshotPolicyId": "asp-00000000"}, None, ["Shareable"]),
        ({"KmsKeyId": "key"}, None, ["KmsKeyId"]),
        ({"DiskBackupQuota": 501}, None, ["DiskBackupQuota", "501"]),
        ({"AutoMountConfiguration": {"InstanceId": []}}, None, ["AutoMountConfiguration"]),
        ({"Placement": {"Zone": ZONE, "CdcId": "cluster-1"}}, None, ["CdcId"]),
        ({"Placement": None}, "MissingParameter", ["Placement"]),
        ({"Placement": {}}, "MissingParameter", ["Placement.Zone"]),
        ({"Placement": "ap-guangzhou-3"}, "InvalidParameter", ["Placement"]),
        ({"Placement": {"Zone": "ap-guangzhou-99"}}, "InvalidParameterValue", ["Zone", "ap-guangzhou-99"]),
        ({"Placement": {"Zone": "nowhere"}}, "InvalidParameterValue", ["Zone", "nowhere"]),
        ({"Placement": {"Zone": ZONE, "ProjectId": 77}}, "InvalidParameter.ProjectIdNotExist", ["77"]),
        ({"Placement": {"Zone": ZONE, "Rack": "1"}}, "UnknownParameter", ["Rack"]),
        ({"DiskName": "é" * 31}, "InvalidParameterValue", ["DiskName"]),
        ({"DiskCount": 0}, "InvalidParameterValue", ["DiskCount", "0"]),
        ({"DiskCount": 1000}, None, ["DiskCount", "1000"]),
        ({"SnapshotId": NO_SNAPSHOT}, "InvalidSnapshotId.NotFound", [NO_SNAPSHOT]),
        ({"SnapshotId": "snapshot"}, None, ["SnapshotId"]),
        ({"ThroughputPerformance": 100}, None, ["ThroughputPerformance"]),
        ({"DeleteSnapshot": 2}, "InvalidParameterValue", ["DeleteSnapshot", "2"]),
        ({"Encrypt": "YES"}, "InvalidParameterValue", ["Encrypt", "YES"]),
        ({"KmsKeyId": "kms-12345678"}, "MissingParameter", ["Encrypt", "KmsKeyId"]),
        ({"EncryptType": "ENCRYPT_V2"}, "MissingParameter", ["Encrypt", "EncryptType"]),
        ({"Encrypt": "ENCRYPT", "KmsKeyId": "kms-nothing!"}, "InvalidParameterValue", ["KmsKeyId", "kms-nothing!"]),
        ({"Encrypt": "ENCRYPT", "Shareable": True}, "InvalidParameterValue", ["Encrypt", "Shareable"]),
        ({"Tags": [{"Key": "a"}]}, "MissingParameter", ["Tags.0.Value"]),
        ({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}, "InvalidParameterValue", ["a"]),
        ({"Colour": "red"}, "UnknownParameter", ["Colour"]),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_a_wrong_creation_is_refused_and_makes_nothing(cloud, change, code, texts):
    before = disk_count(cloud)
    wanted = {name: value for name, value in (HOURLY | change).items() if value is not None}
    refused_for_good(cloud, code, texts, "CreateDisks", wanted)
    assert disk_count(cloud) == before


# AttachDisks and DetachDisks


def test_attach_and_detach_are_seen_at_once(cloud, instance):
    first, second = cloud.create_disks(10, count=2)
    cloud.attach(instance, first, second)
    found = cloud.disk(first)
    assert (found["Attached"], found["InstanceId"], found["InstanceType"]) == (True, instance, "CVM")
    cloud.detach(first, second)
    found = cloud.disk(first)
    assert (found["Attached"], found["InstanceId"], found["LastAttachInsId"]) == (False, "", instance)


def test_delete_with_instance_is_kept_while_attached(cloud, instance):
    disk = cloud.create_disk()
    cloud.attach(instance, disk, DeleteWithInstance=True)
    assert cloud.disk(disk)["DeleteWithInstance"] is True
    cloud.call("ModifyDiskAttributes", DiskIds=[disk], DeleteWithInstance=False)
    assert cloud.disk(disk)["DeleteWithInstance"] is False
    cloud.detach(disk)


def test_an_attachment_that_cannot_be_is_refused_whole(cloud, instance):
    good, attached = cloud.create_disks(10, count=2)
    elsewhere = cloud.create_disk(Placement={"Zone": OTHER_ZONE})
    cloud.attach(instance, attached)
    for disks, code, text in [
        ([good, NO_DISK], "InvalidDiskId.NotFound", NO_DISK),
        ([good, "snap-00000000"], "InvalidParameter", "snap-00000000"),
        ([good, elsewhere], "ResourceUnavailable.NotSupported", elsewhere),
        ([good, attached], "ResourceUnavailable.NotSupported", attached),
        ([good] * 2, "InvalidParameterValue", good),
        ([], "MissingParameter", "DiskIds"),
    ]:
        refused_as_one_of(
            cloud,
            {code, "ResourceUnavailable.ZoneNotMatch", "ResourceUnavailable.Attached"},
            text,
            "AttachDisks",
            {"InstanceId": instance, "DiskIds": disks},
        )
        assert cloud.disk(good)["DiskState"] == "UNATTACHED"
    with cloud.refused("InvalidInstanceId.NotFound", NO_INSTANCE):
        cloud.call("AttachDisks", InstanceId=NO_INSTANCE, DiskIds=[good])
    with cloud.refused("InvalidParameterValue.LimitExceeded", "DiskIds"):
        cloud.call("AttachDisks", InstanceId=instance, DiskIds=[f"disk-{number:08}" for number in range(11)])
    with cloud.refused("MissingParameter", "InstanceId"):
        cloud.call("AttachDisks", DiskIds=[good])
    refused_for_good(
        cloud, None, ["AttachMode"], "AttachDisks", {"InstanceId": instance, "DiskIds": [good], "AttachMode": "XF"}
    )
    cloud.detach(attached)


def test_an_instance_takes_twenty_disks(cloud):
    instance = cloud.server.add_instance()
    disks = cloud.create_disks(10, count=21)
    cloud.attach(instance, *disks[:10])
    cloud.attach(instance, *disks[10:20])
    with cloud.refused("LimitExceeded.InstanceAttachedDisk", instance):
        cloud.call("AttachDisks", InstanceId=instance, DiskIds=[disks[20]])
    answer = cloud.call("DescribeInstancesDiskNum", InstanceIds=[instance])["AttachDetail"]
    assert answer == [answer[0] | {"InstanceId": instance, "AttachedDiskCount": 20, "MaxAttachCount": 20}]
    cloud.detach(*disks[:10])
    cloud.detach(*disks[10:20])


def test_a_detachment_that_cannot_be_is_refused_whole(cloud, instance):
    attached, loose = cloud.create_disks(10, count=2)
    cloud.attach(instance, attached)
    with cloud.refused("InvalidDiskId.NotFound", NO_DISK):
        cloud.call("DetachDisks", DiskIds=[attached, NO_DISK])
    refused_for_good(cloud, None, [loose], "DetachDisks", {"DiskIds": [attached, loose]})
    refused_for_good(cloud, None, [], "DetachDisks", {"DiskIds": [attached], "InstanceId": cloud.server.add_instance()})
    with cloud.refused("InvalidParameterValue.LimitExceeded", "DiskIds"):
        cloud.call("DetachDisks", DiskIds=[f"disk-{number:08}" for number in range(11)])
    with cloud.refused("MissingParameter", "DiskIds"):
        cloud.call("DetachDisks")
    assert cloud.disk(attached)["DiskState"] == "ATTACHED"
    cloud.call("DetachDisks", DiskIds=[attached], InstanceId=instance)
    cloud.wait_disk(attached, "UNATTACHED")


def test_undocumented_parameters_of_real_clients_are_let_through(cloud, instance):
    disk = cloud.create_disk()
    cloud.attach(instance, disk, InstanceType="eks")
    cloud.call("DetachDisks", DiskIds=[disk], InstanceType="eks")
    cloud.wait_disk(disk, "UNATTACHED")


# ResizeDisk, ModifyDiskAttributes, InitializeDisks, TerminateDisks


def test_a_disk_grows_and_never_shrinks(cloud, instance):
    disk = cloud.create_disk(10)
    cloud.resize(disk, 11)
    cloud.attach(instance, disk)
    cloud.resize(disk, 12)
    for size, code in [(12, "InvalidParameterValue"), (5, "InvalidParameterValue"), (32001, "InvalidParameterValue")]:
        with cloud.refused(code, "DiskSize", str(size)):
            cloud.call("ResizeDisk", DiskId=disk, DiskSize=size)
    with cloud.refused("InvalidDiskId.NotFound", NO_DISK):
        cloud.call("ResizeDisk", DiskId=NO_DISK, DiskSize=20)
    with cloud.refused("MissingParameter", "DiskSize"):
        cloud.call("ResizeDisk", DiskId=disk)
    assert cloud.disk(disk)["DiskSize"] == 12
    cloud.detach(disk)


def test_attributes_of_several_disks_change_together(cloud):
    disks = cloud.create_disks(10, count=2)
    cloud.call("ModifyDiskAttributes", DiskIds=disks, DiskName="renamed", ProjectId=0, Portable=True)
    for disk in disks:
        found = cloud.disk(disk)
        assert (found["DiskName"], found["Placement"]["ProjectId"], found["Portable"]) == ("renamed", 0, True)
    cloud.call("ModifyDiskAttributes", DiskIds=disks[:1], BurstPerformanceOperation="CREATE")
    assert cloud.disk(disks[0])["BurstPerformance"] is True
    cloud.call("ModifyDiskAttributes", DiskIds=disks[:1], BurstPerformanceOperation="CANCEL")
    assert cloud.disk(disks[0])["BurstPerformance"] is False


def test_a_disk_changes_its_type(cloud):
    disk = cloud.create_disk(30)
    cloud.call("ModifyDiskAttributes", DiskIds=[disk], DiskType="CLOUD_SSD")
    wait_until(lambda: cloud.disk(disk)["MigratePercent"] == 100, "the type change is done")
    found = cloud.disk(disk)
    assert (found["DiskType"], found["Migrating"], found["DiskState"]) == ("CLOUD_SSD", False, "UNATTACHED")


def test_a_wrong_modification_is_refused_whole(cloud):
    first, second = cloud.create_disks(10, count=2, DiskName="unchanged")
    for wanted, code, text in [
        ({"DiskIds": [first, NO_DISK], "DiskName": "x"}, "InvalidDiskId.NotFound", NO_DISK),
        ({"DiskIds": [first], "DiskName": "x" * 61}, "InvalidParameterValue", "DiskName"),
        ({"DiskIds": [first, second], "DiskType": "CLOUD_SSD"}, None, "DiskType"),
        ({"DiskIds": [first], "DiskType": "CLOUD_SSD", "DiskName": "x"}, None, "DiskType"),
        ({"DiskIds": [first], "DiskType": "CLOUD_TAPE"}, "InvalidParameterValue", "CLOUD_TAPE"),
        ({"DiskIds": [first], "DiskType": "CLOUD_SSD"}, None, "10"),
        ({"DiskIds": [first], "Portable": False, "DiskName": "x"}, None, "Portable"),
        ({"DiskIds": [first], "BurstPerformanceOperation": "MAYBE"}, "InvalidParameterValue", "MAYBE"),
        ({"DiskIds": [first], "Portable": "perhaps"}, "InvalidParameter", "Portable"),
        ({"DiskName": "x"}, "MissingParameter", "DiskIds"),
    ]:
        refused_for_good(cloud, code, [text], "ModifyDiskAttributes", wanted)
    for disk in (first, second):
        assert (cloud.disk(disk)["DiskName"], cloud.disk(disk)["DiskType"]) == ("unchanged", "CLOUD_PREMIUM")


def test_termination_is_refused_whole(cloud, instance):
    attached, loose = cloud.create_disks(10, count=2)
    cloud.attach(instance, attached)
    refused_as_one_of(
        cloud,
        {"ResourceUnavailable.NotSupported", "UnsupportedOperation"},
        attached,
        "TerminateDisks",
        {"DiskIds": [loose, attached]},
    )
    refused_for_good(cloud, None, [NO_DISK], "TerminateDisks", {"DiskIds": [loose, NO_DISK]})
    refused_for_good(cloud, None, ["DiskIds"], "TerminateDisks", {"DiskIds": [f"disk-{n:08}" for n in range(51)]})
    with cloud.refused("MissingParameter", "DiskIds"):
        cloud.call("TerminateDisks")
    assert cloud.disk(loose)["DiskState"] == "UNATTACHED"
    cloud.detach(attached)
    cloud.terminate(attached, loose)


def test_terminating_a_disk_takes_its_fleeting_snapshots_when_asked(cloud):
    disk = cloud.create_disk()
    kept = cloud.create_snapshot(disk)
    fleeting = cloud.create_snapshot(disk, Deadline="2099-01-08T09:47:55+00:00")
    cloud.terminate(disk, DeleteSnapshot=1)
    wait_until(lambda: cloud.snapshot(fleeting) is None, "the fleeting snapshot is gone")
    assert cloud.snapshot(kept)["IsPermanent"] is True
    cloud.delete_snapshots(kept)


def test_initialisation_has_its_limits(cloud, instance):
    disk = cloud.create_disk()
    cloud.attach(instance, disk)
    refused_for_good(cloud, None, [disk], "InitializeDisks", {"DiskIds": [disk]})
    refused_for_good(cloud, None, [NO_DISK], "InitializeDisks", {"DiskIds": [NO_DISK]})
    with cloud.refused("InvalidParameterValue.LimitExceeded", "DiskIds"):
        cloud.call("InitializeDisks", DiskIds=[f"disk-{number:08}" for number in range(21)])
    cloud.detach(disk)
    cloud.call("InitializeDisks", DiskIds=[disk])
    cloud.wait_disk(disk, "UNATTACHED")


# Quotas and other regions


def test_quota_of_each_type_zone_and_charge(cloud):
    asked = cloud.call(
        "DescribeDiskConfigQuota",
        InquiryType="INQUIRY_CBS_CONFIG",
        Zones=[ZONE],
        DiskTypes=["CLOUD_PREMIUM"],
        DiskChargeType="POSTPAID_BY_HOUR",
        DiskUsage="DATA_DISK",
    )["DiskConfigSet"]
    assert len(asked) == 1
    expected = {
        "Available": True,
        "DiskType": "CLOUD_PREMIUM",
        "DiskChargeType": "POSTPAID_BY_HOUR",
        "Zone": ZONE,
        "DiskUsage": "DATA_DISK",
        "MinDiskSize": 10,
        "MaxDiskSize": 32000,
        "StepSize": 1,
    }
    assert {name: asked[0][name] for name in expected} == expected
    everything = cloud.call("DescribeDiskConfigQuota", InquiryType="INQUIRY_CBS_CONFIG")["DiskConfigSet"]
    assert {config["Zone"] for config in everything} == {f"{REGION}-{number}" for number in range(1, 8)}
    assert len({config["DiskType"] for config in everything}) == 6
    for wanted in ({"InquiryType": "INQUIRY_ALL"}, {"InquiryType": "INQUIRY_CBS_CONFIG", "DiskTypes": ["TAPE"]}):
        with cloud.refused("InvalidParameterValue"):
            cloud.call("DescribeDiskConfigQuota", **wanted)
    with cloud.refused("MissingParameter", "InquiryType"):
        cloud.call("DescribeDiskConfigQuota")


def test_a_region_does_not_show_the_disks_of_another(cloud, server):
    beijing = Cloud(server, region="ap-beijing")
    disk = beijing.create_disk(Placement={"Zone": "ap-beijing-1"})
    assert cloud.disk(disk) is None
    assert beijing.disk(disk)["Placement"]["Zone"] == "ap-beijing-1"
    with cloud.refused("InvalidDiskId.NotFound", disk):
        cloud.call("ResizeDisk", DiskId=disk, DiskSize=20)
    with beijing.refused("InvalidParameterValue", ZONE):
        beijing.call("CreateDisks", **HOURLY)
    beijing.terminate(disk)


def test_instances_report_their_disks(cloud, server):
    with cloud.refused("MissingParameter", "InstanceIds"):
        cloud.call("DescribeInstancesDiskNum")
    busy, idle = server.add_instance(), server.add_instance()
    disks = cloud.create_disks(10, count=2)
    cloud.attach(busy, *disks)
    answer = cloud.call("DescribeInstancesDiskNum", InstanceIds=[busy, idle])["AttachDetail"]
    assert {detail["InstanceId"]: detail["AttachedDiskCount"] for detail in answer} == {busy: 2, idle: 0}
    cloud.detach(*disks)
