"""The worked examples of the reference pages, sent as they are written there.

Only ids are replaced by real ones; the one number that contradicts a documented limit says so. Each example goes
out twice, in the encoding of its page and in the other one. Of the answer, each field of the documented output
has to be there with the documented JSON type, and what the call does has to have happened.
"""

import json
import urllib.parse
from dataclasses import dataclass

import pytest

from harness.cloud import Cloud
from harness.signing import RawHttp

ZONE = "ap-guangzhou-2"

# Recorded answers of the service, newer than the page, have null here.
NULL_AS_RECORDED = {"DedicatedClusterId"}


@dataclass(frozen=True)
class Example:
    """One example: its input as JSON or as a query, and its output."""

    action: str
    given: str
    answer: str
    region: str = "ap-guangzhou"

    def parameters(self, ids):
        """The parameters as a tree, with real ids in place of the page's."""
        text = self.given
        for documented, real in ids.items():
            assert documented in text, documented
            text = text.replace(documented, real)
        return json.loads(text) if text.startswith("{") else tree(urllib.parse.parse_qsl(text))


EXAMPLES = {
    "CreateDisks 1": Example(
        "CreateDisks",
        """{
          "Placement": {"ProjectId": "0", "Zone": "ap-guangzhou-2"},
          "DiskChargeType": "PREPAID",
          "DiskCount": "1",
          "DiskType": "CLOUD_HSSD",
          "ThroughputPerformance": "100",
          "DiskSize": "500",
          "DiskChargePrepaid": {"RenewFlag": "NOTIFY_AND_AUTO_RENEW", "Period": "1"}
        }""",
        '{"DiskIdSet": ["disk-lzrg2pwi"]}',
    ),
    "CreateDisks 2": Example(
        "CreateDisks",
        """{
          "DiskName": "postPayDisk",
          "Placement": {"ProjectId": "0", "Zone": "ap-guangzhou-3"},
          "DiskChargeType": "POSTPAID_BY_HOUR",
          "DiskCount": "1",
          "DiskType": "CLOUD_PREMIUM",
          "DiskSize": "100"
        }""",
        '{"DiskIdSet": ["disk-ecjc4cpw"]}',
    ),
    "CreateDisks 3": Example(
        "CreateDisks",
        """{
          "Placement": {"ProjectId": "0", "Zone": "ap-guangzhou-2"},
          "DiskChargeType": "PREPAID",
          "DiskCount": "1",
          "DiskType": "CLOUD_BASIC",
          "DiskChargePrepaid": {"RenewFlag": "NOTIFY_AND_AUTO_RENEW", "Period": "1"},
          "SnapshotId": "snap-iepc4w3h"
        }""",
        '{"DiskIdSet": ["disk-6rz0ilvu"]}',
    ),
    "DescribeDisks": Example(
        "DescribeDisks",
        """{"Filters": [{"Values": ["ATTACHED"], "Name": "disk-state"},
                        {"Values": ["DATA_DISK"], "Name": "disk-usage"}]}""",
        """{
          "TotalCount": 1,
          "DiskSet": [{
            "DeleteWithInstance": false, "Encrypt": false, "DiskType": "CLOUD_BASIC", "AutoRenewFlagError": false,
            "Rollbacking": false, "RenewFlag": "NOTIFY_AND_MANUAL_RENEW", "DiskName": "test", "Tags": [],
            "InstanceId": "", "DifferDaysOfDeadline": 1, "DiskId": "disk-b94t5dzt", "DiskState": "ATTACHED",
            "Placement": {"ProjectId": 0, "Zone": "ap-guangzhou-2"}, "IsReturnable": false,
            "DeadlineTime": "2018-10-26 10:55:43", "Attached": true, "DiskSize": 10, "DiskUsage": "DATA_DISK",
            "Portable": true, "DiskChargeType": "PREPAID", "SnapshotAbility": true, "DeadlineError": false,
            "RollbackPercent": 100, "AutoSnapshotPolicyIds": null, "ReturnFailCode": 3,
            "CreateTime": "2018-09-26 17:36:07", "ThroughputPerformance": 1, "Migrating": true,
            "InstanceIdList": ["ins-test1234"], "Shareable": true, "MigratePercent": 100, "SnapshotSize": 100,
            "SnapshotCount": 0, "BackupDisk": true, "AttachMode": "PF", "DiskBackupQuota": 1, "DiskBackupCount": 1,
            "DeleteSnapshot": 0, "InstanceType": "CVM"
          }]
        }""",
    ),
    "ModifyDiskAttributes": Example(
        "ModifyDiskAttributes", '{"DiskName": "test_data_disk", "DiskIds": ["disk-fyctkqsf"]}', "{}"
    ),
    "ResizeDisk": Example("ResizeDisk", '{"DiskSize": "200", "DiskId": "disk-lzrg2pwi"}', "{}"),
    "AttachDisks": Example("AttachDisks", "DiskIds.0=disk-lzrg2pwi&InstanceId=ins-dyzmimrw", "{}"),
    "DetachDisks": Example("DetachDisks", "DiskIds.0=disk-lzrg2pwi", "{}"),
    "DescribeInstancesDiskNum": Example(
        "DescribeInstancesDiskNum",
        "InstanceIds.0=ins-9w5d2buw&InstanceIds.1=ins-jw0vit58",
        """{"AttachDetail": [{"InstanceId": "ins-9w5d2buw", "AttachedDiskCount": 1, "MaxAttachCount": 10},
                             {"InstanceId": "ins-jw0vit58", "AttachedDiskCount": 2, "MaxAttachCount": 10}]}""",
    ),
    "DescribeDiskConfigQuota": Example(
        "DescribeDiskConfigQuota",
        """{"InquiryType": "INQUIRY_CBS_CONFIG", "DiskChargeType": "POSTPAID_BY_HOUR",
            "Zones": ["ap-shanghai-5"], "DiskTypes": ["CLOUD_PREMIUM"]}""",
        """{"DiskConfigSet": [{
          "Available": true, "MaxDiskSize": 32000, "Zone": "ap-shanghai-5", "InstanceFamily": null,
          "DiskType": "CLOUD_PREMIUM", "StepSize": 1, "ExtraPerformanceRange": null, "DeviceClass": null,
          "DiskUsage": "DATA_DISK", "MinDiskSize": 10, "DiskChargeType": "PREPAID"
        }]}""",
        region="ap-shanghai",
    ),
    "InitializeDisks": Example("InitializeDisks", '{"DiskIds": ["disk-ixya2wzy"]}', "{}"),
    "TerminateDisks": Example("TerminateDisks", '{"DiskIds": ["disk-g27hqe02", "disk-lzrg2pwi"]}', "{}"),
    "CreateSnapshot": Example(
        "CreateSnapshot",
        # The page's deadline lies in 2022: in the past, where no deadline may lie. Here it is in 2099.
        """{"SnapshotName": "snap_201711301015", "Deadline": "2099-01-08T09:47:55+00:00",
            "DiskId": "disk-lzrg2pwi"}""",
        '{"SnapshotId": "snap-gybri0zf"}',
    ),
    "DescribeSnapshots": Example(
        "DescribeSnapshots",
        """{"Filters": [{"Name": "snapshot-state", "Values": ["NORMAL"]},
                        {"Name": "zone", "Values": ["ap-guangzhou-2"]}]}""",
        """{
          "TotalCount": 2,
          "SnapshotSet": [{
            "Tags": [],
            "Placement": {"CageId": "", "Zone": "ap-guangzhou-2", "ProjectId": 0, "CdcName": "", "CdcId": "",
                          "ProjectName": "", "DedicatedClusterId": ""},
            "CopyFromRemote": false, "IsPermanent": true, "DiskUsage": "DATA_DISK",
            "DeadlineTime": "2023-04-09 10:45:11", "Percent": 100, "SnapshotId": "snap-0jfkjwl1",
            "ShareReference": 0, "SnapshotType": "PRIVATE_SNAPSHOT", "DiskSize": 70, "DiskId": "disk-omp7wl2m",
            "SnapshotName": "TEST", "Images": [], "CopyingToRegions": [], "Encrypt": false,
            "CreateTime": "2023-03-09 10:45:11", "TimeStartShare": "2023-03-09", "ImageCount": 0,
            "SnapshotState": "NORMAL"
          }]
        }""",
    ),
    "ModifySnapshotAttribute": Example(
        "ModifySnapshotAttribute", "SnapshotId=snap-gybrif0z&SnapshotName=snap_201711301143", "{}"
    ),
    "ApplySnapshot": Example("ApplySnapshot", "DiskId=disk-lzrg2pwi&SnapshotId=snap-gybrif0z", "{}"),
    "DeleteSnapshots": Example("DeleteSnapshots", '{"SnapshotIds": ["snap-cgrmci8t"]}', "{}"),
    # The page's output shows the RequestId alone; its table of output parameters has these four.
    "GetSnapOverview": Example(
        "GetSnapOverview",
        "",
        '{"TotalSize": 0.5, "RealTradeSize": 0.5, "FreeQuota": 80.0, "TotalNums": 1}',
    ),
}

# Encodings


def tree(pairs):
    """Dotted names as the structure that they stand for."""
    root = {}
    for name, value in pairs:
        *parents, last = name.split(".")
        node = root
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return _lists(root)


def _lists(node):
    if not isinstance(node, dict):
        return node
    if node and all(name.isdigit() for name in node):
        return [_lists(node[str(index)]) for index in range(len(node))]
    return {name: _lists(value) for name, value in node.items()}


def pairs(value, name=""):
    """A structure as dotted names."""
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    else:
        return [(name, value)]
    return [pair for key, member in members for pair in pairs(member, f"{name}.{key}" if name else str(key))]


def send(raw, example, ids, encoding):
    """Sends the example and returns the answer, which has to be no error."""
    wanted = example.parameters(ids)
    if encoding == "json":
        answer = raw.tc3(example.action, json.dumps(wanted).encode(), region=example.region)
    elif encoding == "form":
        answer = raw.v1_post(example.action, dict(pairs(wanted)), Region=example.region)
    else:
        answer = raw.v1_get(example.action, dict(pairs(wanted)), Region=example.region, digest="HmacSHA1")
    assert "Error" not in answer, answer["Error"]
    return answer


# What each example needs beforehand, as the page's id and the real one, and what is true afterwards


@pytest.fixture(scope="module")
def raw(server):
    """Requests signed by hand to the module's server."""
    return RawHttp(server)


@pytest.fixture(scope="module")
def place(server):
    """An instance in the zone of the examples."""
    return server.add_instance(zone=ZONE)


@pytest.fixture
def world(cloud, server, place):
    """Makes what an example speaks of."""
    return World(cloud, server, place)


class World:
    """Disks, snapshots and instances for one example."""

    def __init__(self, cloud, server, place):
        self.cloud, self.server, self.instance = cloud, server, place

    def disk(self, **parameters):
        """A disk of 10 GB in the examples' zone."""
        return self.cloud.create_disk(Placement={"Zone": ZONE}, **parameters)

    def attached(self, instance=None, **parameters):
        """The same, attached."""
        disk = self.disk(**parameters)
        self.cloud.attach(instance or self.instance, disk)
        return disk

    def prepare(self, name):
        """The ids that stand in for the page's."""
        return getattr(self, "_for_" + name.replace(" ", "_").lower(), dict)()

    def _for_createdisks_3(self):
        return {"snap-iepc4w3h": self.cloud.create_snapshot(self.disk())}

    def _for_describedisks(self):
        prepaid = {"DiskChargeType": "PREPAID", "DiskChargePrepaid": {"Period": 1}}
        self.attached(**prepaid)
        return {}

    def _for_modifydiskattributes(self):
        return {"disk-fyctkqsf": self.disk()}

    def _for_resizedisk(self):
        return {"disk-lzrg2pwi": self.disk()}

    def _for_attachdisks(self):
        return {"disk-lzrg2pwi": self.disk(), "ins-dyzmimrw": self.server.add_instance(zone=ZONE)}

    def _for_detachdisks(self):
        return {"disk-lzrg2pwi": self.attached()}

    def _for_describeinstancesdisknum(self):
        one, two = self.server.add_instance(zone=ZONE), self.server.add_instance(zone=ZONE)
        for instance in (one, two, two):
            self.attached(instance)
        return {"ins-9w5d2buw": one, "ins-jw0vit58": two}

    def _for_initializedisks(self):
        return {"disk-ixya2wzy": self.disk()}

    def _for_terminatedisks(self):
        return {"disk-g27hqe02": self.disk(), "disk-lzrg2pwi": self.disk()}

    def _for_createsnapshot(self):
        return {"disk-lzrg2pwi": self.disk()}

    def _for_describesnapshots(self):
        self.cloud.create_snapshot(self.disk(), Deadline="2099-01-08T09:47:55+00:00")
        return {}

    def _for_modifysnapshotattribute(self):
        return {"snap-gybrif0z": self.cloud.create_snapshot(self.disk())}

    def _for_applysnapshot(self):
        disk = self.disk()
        return {"disk-lzrg2pwi": disk, "snap-gybrif0z": self.cloud.create_snapshot(disk)}

    def _for_deletesnapshots(self):
        return {"snap-cgrmci8t": self.cloud.create_snapshot(self.disk())}


def check_disk(world, disk, **expected):
    found = world.cloud.disk(disk)
    assert {name: found[name] for name in expected} == expected


def check_effect(world, name, ids, answer):
    """What the example's page says that the call does."""
    cloud, real = world.cloud, list(ids.values())
    if name == "CreateDisks 1":
        check_disk(world, *answer["DiskIdSet"], DiskSize=500, DiskType="CLOUD_HSSD", ThroughputPerformance=100)
        check_disk(world, *answer["DiskIdSet"], DiskChargeType="PREPAID", RenewFlag="NOTIFY_AND_AUTO_RENEW")
    elif name == "CreateDisks 2":
        check_disk(world, *answer["DiskIdSet"], DiskSize=100, DiskName="postPayDisk", RenewFlag="")
    elif name == "CreateDisks 3":
        check_disk(world, *answer["DiskIdSet"], DiskSize=10, DiskType="CLOUD_BASIC", DiskState="UNATTACHED")
    elif name == "DescribeDisks":
        assert answer["TotalCount"] == len(answer["DiskSet"]) >= 1
        assert {(disk["DiskState"], disk["DiskUsage"]) for disk in answer["DiskSet"]} == {("ATTACHED", "DATA_DISK")}
    elif name == "ModifyDiskAttributes":
        check_disk(world, *real, DiskName="test_data_disk")
    elif name == "ResizeDisk":
        check_disk(world, *real, DiskSize=200, DiskState="UNATTACHED")
    elif name == "AttachDisks":
        check_disk(world, real[0], DiskState="ATTACHED", InstanceId=real[1])
    elif name == "DetachDisks":
        check_disk(world, *real, DiskState="UNATTACHED", InstanceId="")
    elif name == "DescribeInstancesDiskNum":
        counts = [(detail["InstanceId"], detail["AttachedDiskCount"]) for detail in answer["AttachDetail"]]
        assert counts == [(real[0], 1), (real[1], 2)]
    elif name == "DescribeDiskConfigQuota":
        (config,) = answer["DiskConfigSet"]
        # The page's output shows another billing mode than its input asks for: the input is followed.
        assert (config["Zone"], config["DiskChargeType"]) == ("ap-shanghai-5", "POSTPAID_BY_HOUR")
        assert (config["MinDiskSize"], config["MaxDiskSize"], config["StepSize"]) == (10, 32000, 1)
    elif name == "InitializeDisks":
        check_disk(world, *real, DiskState="UNATTACHED")
    elif name == "TerminateDisks":
        assert [cloud.disk(disk) for disk in real] == [None, None]
    elif name == "CreateSnapshot":
        found = cloud.wait_snapshot(answer["SnapshotId"])
        assert (found["SnapshotName"], found["DiskId"]) == ("snap_201711301015", real[0])
        assert (found["IsPermanent"], found["DeadlineTime"]) == (False, "2099-01-08 17:47:55")
    elif name == "DescribeSnapshots":
        assert answer["TotalCount"] >= 1
        places = {(one["SnapshotState"], one["Placement"]["Zone"]) for one in answer["SnapshotSet"]}
        assert places == {("NORMAL", ZONE)}
    elif name == "ModifySnapshotAttribute":
        assert cloud.snapshot(real[0])["SnapshotName"] == "snap_201711301143"
    elif name == "ApplySnapshot":
        check_disk(world, real[0], DiskState="UNATTACHED", Rollbacking=False, RollbackPercent=100)
    elif name == "DeleteSnapshots":
        assert cloud.snapshot(real[0]) is None
    elif name == "GetSnapOverview":
        assert answer["TotalNums"] == cloud.call("DescribeSnapshots", Limit=1)["TotalCount"]
    else:
        raise AssertionError(f"no check for {name}")


# The documented output


def kind(value):
    """The JSON type of a value; integers and fractions are one to JSON, but not to strict clients."""
    return type(value).__name__


def differences(documented, answered, where="Response"):
    """Fields of the documented output that the answer lacks or has with another type."""
    if documented is None or (answered is None and where.rsplit(".", 1)[-1] in NULL_AS_RECORDED):
        return
    if kind(documented) != kind(answered):
        yield f"{where} is {answered!r}, documented as {documented!r}"
    elif isinstance(documented, dict):
        for name, value in documented.items():
            if name in answered:
                yield from differences(value, answered[name], f"{where}.{name}")
            else:
                yield f"{where}.{name} is missing"
    elif isinstance(documented, list) and documented:
        for index, value in enumerate(answered):
            yield from differences(documented[0], value, f"{where}[{index}]")


@pytest.mark.parametrize("written", ["as on the page", "in the other encoding"])
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_the_reference_is_answered_as_documented(raw, world, name, written):
    example = EXAMPLES[name]
    is_json = example.given.startswith("{")
    encodings = {"as on the page": ("query", "json"), "in the other encoding": ("json", "form")}
    ids = world.prepare(name)
    answer = send(raw, example, ids, encodings[written][is_json])
    documented, shown = json.loads(example.answer), answer
    if name == "DescribeDisks":
        # The example's disk is prepaid; those that are not have null for the days to a deadline.
        shown = answer | {"DiskSet": [disk for disk in answer["DiskSet"] if disk["DiskChargeType"] == "PREPAID"]}
        assert shown["DiskSet"]
    wrong = list(differences(documented, shown))
    assert not wrong, "\n".join(wrong)
    assert set(answer) == {*documented, "RequestId"}
    check_effect(world, name, ids, answer)


def test_the_comparison_finds_what_differs():
    documented = {"A": 1, "B": [{"C": "x"}], "D": 0.5, "E": None}
    assert not list(differences(documented, {"A": 2, "B": [], "D": 1.0, "E": "y", "F": 1}))
    for wrong in (
        documented | {"A": "1"},
        documented | {"A": True},
        documented | {"A": None},
        documented | {"B": [{}]},
        documented | {"B": [{"C": 1}]},
        documented | {"D": 1},
        {"A": 1, "B": [], "E": None},
    ):
        assert len(list(differences(documented, wrong))) == 1, wrong


def test_regions_of_the_examples_do_not_share_disks(server, world):
    disk = world.disk()
    assert Cloud(server, region="ap-shanghai").disk(disk) is None
