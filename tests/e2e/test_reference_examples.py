"""The worked examples of the reference pages, sent as they are written there.

Only ids are replaced by real ones; the one number that contradicts a documented limit says so. Each example goes
out twice, in the encoding of its page and in the other one. Of the answer, each field of the documented output
has to be there with the documented JSON type and, where the example or what precedes it determines the value, with
that value; what the call does has to have happened.
"""

import json
from importlib import resources
from pathlib import Path

import pytest

import test_reference_examples_money
import test_reference_examples_policies
import test_reference_examples_snapshots
from harness.accounts import admin
from harness.cloud import Cloud
from harness.coverage import ACTIONS
from harness.examples import ENCODINGS, ZONE, Example, Tenant, check_answer, differences, send
from harness.server import RATE_LIMIT_OFF
from harness.waiting import wait_until

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
        free={
            "DifferDaysOfDeadline": "the page's disk is near its end",
            "IsReturnable": "the page's disk was one of those that cannot be returned",
            "ReturnFailCode": "as IsReturnable",
            "ThroughputPerformance": "CLOUD_BASIC has none to buy",
            "Migrating": "true and yet at 100 %: the page shows two moments at once",
            "SnapshotSize": "the page counts no snapshot and yet their size",
            "AttachMode": "there are no physical and virtual functions here",
            "SnapshotAbility": "newer codes refuse snapshots of shareable disks",
            "BackupDisk": "as SnapshotAbility: there is no last snapshot either",
        },
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
        free={"DiskChargeType": "the page's output is of another billing mode than its input asks for"},
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
          }, {
            "Tags": [],
            "Placement": {"CageId": "", "Zone": "ap-guangzhou-2", "ProjectId": 0, "CdcName": "", "CdcId": "",
                          "ProjectName": "", "DedicatedClusterId": ""},
            "CopyFromRemote": false, "IsPermanent": true, "DiskUsage": "SYSTEM_DISK",
            "DeadlineTime": "2023-04-09 10:45:11", "Percent": 100, "SnapshotId": "snap-obgelzpb",
            "ShareReference": 0, "SnapshotType": "PRIVATE_SNAPSHOT", "DiskSize": 50, "DiskId": "disk-1en5p0sq",
            "SnapshotName": "test-stevenkli", "Images": [], "CopyingToRegions": [], "Encrypt": false,
            "CreateTime": "2023-03-08 17:12:42", "ImageCount": 0, "TimeStartShare": "2023-03-09",
            "SnapshotState": "NORMAL"
          }]
        }""",
        free={
            "DeadlineTime": "a time, and yet IsPermanent: what has no end has none in recorded answers",
            "TimeStartShare": "a day, and yet shared with nobody",
            "DedicatedClusterId": "null in recorded answers, which are newer",
            "ProjectName": "the page has none for the default project, other answers do",
        },
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
        '{"TotalSize": 0.0, "RealTradeSize": 0.0, "FreeQuota": 80.0, "TotalNums": 0}',
    ),
}

# What each example needs beforehand, as the page's id and the real one, and what is true afterwards


@pytest.fixture(scope="module")
def server(module_servers):
    """A server that takes a snapshot of a prepaid disk at its end: a field of one example says that it does."""
    return module_servers.start(RATE_LIMIT_OFF + "[billing]\nfinal_snapshot = true\n")


@pytest.fixture
def world(server):
    """Makes what an example speaks of, in an account that has nothing else."""
    return World(server)


class World(Tenant):
    """Disks, snapshots and instances for one example."""

    def prepare(self, name):
        """The ids that stand in for the page's."""
        return getattr(self, "_for_" + name.replace(" ", "_").lower(), dict)()

    def _for_createdisks_3(self):
        return {"snap-iepc4w3h": self.cloud.create_snapshot(self.disk())}

    def _for_describedisks(self):
        prepaid = {"DiskChargeType": "PREPAID", "DiskChargePrepaid": {"Period": 1}}
        disk, instance = self.disk(DiskName="test", DiskBackupQuota=1, Shareable=True, **prepaid), self.machine()
        self.cloud.call("ModifyDiskAttributes", DiskIds=[disk], DiskType="CLOUD_BASIC")
        wait_until(lambda: self.cloud.disk(disk)["MigratePercent"] == 100, "the type is changed")
        backup = self.cloud.call("CreateDiskBackup", DiskId=disk)["DiskBackupId"]
        self.cloud.call("ApplyDiskBackup", DiskId=disk, DiskBackupId=backup)
        self.cloud.wait_disk(disk, "UNATTACHED")
        self.cloud.attach(instance, disk)
        return {"disk-b94t5dzt": disk, "ins-test1234": instance}

    def _for_modifydiskattributes(self):
        return {"disk-fyctkqsf": self.disk()}

    def _for_resizedisk(self):
        return {"disk-lzrg2pwi": self.disk()}

    def _for_attachdisks(self):
        return {"disk-lzrg2pwi": self.disk(), "ins-dyzmimrw": self.machine()}

    def _for_detachdisks(self):
        return {"disk-lzrg2pwi": self.attached()}

    def _for_describeinstancesdisknum(self):
        one, two = self.machine(), self.machine()
        admin(self.server, "limit", "set", "disks_per_instance", "10", "--account", self.account)
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
        self.machine("--system-disk", "50")
        (system,) = self.cloud.call("DescribeDisks")["DiskSet"]
        (data,) = self.cloud.create_disks(70, Placement={"Zone": ZONE})
        disks = {"disk-1en5p0sq": system["DiskId"], "disk-omp7wl2m": data}
        older = self.cloud.create_snapshot(system["DiskId"], "test-stevenkli")
        return disks | {"snap-obgelzpb": older, "snap-0jfkjwl1": self.cloud.create_snapshot(data, "TEST")}

    def _for_modifysnapshotattribute(self):
        return {"snap-gybrif0z": self.cloud.create_snapshot(self.disk())}

    def _for_applysnapshot(self):
        disk = self.disk()
        return {"disk-lzrg2pwi": disk, "snap-gybrif0z": self.cloud.create_snapshot(disk)}

    def _for_deletesnapshots(self):
        return {"snap-cgrmci8t": self.cloud.create_snapshot(self.disk())}


def check_effect(world, name, ids, answer):
    """What the example's page says that the call does."""
    cloud, real = world.cloud, list(ids.values())
    if name == "CreateDisks 1":
        world.check_disk(*answer["DiskIdSet"], DiskSize=500, DiskType="CLOUD_HSSD", ThroughputPerformance=100)
        world.check_disk(*answer["DiskIdSet"], DiskChargeType="PREPAID", RenewFlag="NOTIFY_AND_AUTO_RENEW")
    elif name == "CreateDisks 2":
        world.check_disk(*answer["DiskIdSet"], DiskSize=100, DiskName="postPayDisk", RenewFlag="")
    elif name == "CreateDisks 3":
        world.check_disk(*answer["DiskIdSet"], DiskSize=10, DiskType="CLOUD_BASIC", DiskState="UNATTACHED")
    elif name == "ModifyDiskAttributes":
        world.check_disk(*real, DiskName="test_data_disk")
    elif name == "ResizeDisk":
        world.check_disk(*real, DiskSize=200, DiskState="UNATTACHED")
    elif name == "AttachDisks":
        world.check_disk(real[0], DiskState="ATTACHED", InstanceId=real[1])
    elif name == "DetachDisks":
        world.check_disk(*real, DiskState="UNATTACHED", InstanceId="")
    elif name == "DescribeDiskConfigQuota":
        assert answer["DiskConfigSet"][0]["DiskChargeType"] == "POSTPAID_BY_HOUR"
    elif name == "InitializeDisks":
        world.check_disk(*real, DiskState="UNATTACHED")
    elif name == "TerminateDisks":
        assert [cloud.disk(disk) for disk in real] == [None, None]
    elif name == "CreateSnapshot":
        found = cloud.wait_snapshot(answer["SnapshotId"])
        assert (found["SnapshotName"], found["DiskId"]) == ("snap_201711301015", real[0])
        assert (found["IsPermanent"], found["DeadlineTime"]) == (False, "2099-01-08 17:47:55")
    elif name == "ModifySnapshotAttribute":
        assert cloud.snapshot(real[0])["SnapshotName"] == "snap_201711301143"
    elif name == "ApplySnapshot":
        world.check_disk(real[0], DiskState="UNATTACHED", Rollbacking=False, RollbackPercent=100)
    elif name == "DeleteSnapshots":
        assert cloud.snapshot(real[0]) is None
    else:
        assert name.startswith(("Describe", "Get")), f"no check for {name}"


@pytest.mark.parametrize("written", ENCODINGS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_the_reference_is_answered_as_documented(world, name, written):
    example, ids = EXAMPLES[name], world.prepare(name)
    answer = send(world.raw, example, ids, written)
    check_answer(example, ids, answer)
    check_effect(world, name, ids, answer)


# All of them

TABLES = (
    EXAMPLES,
    test_reference_examples_money.EXAMPLES,
    test_reference_examples_policies.EXAMPLES,
    test_reference_examples_snapshots.EXAMPLES,
)


def sent():
    """How many examples of each action the tables have."""
    counts = {}
    for table in TABLES:
        for example in table.values():
            counts[example.action] = counts.get(example.action, 0) + 1
    return counts


def test_every_example_of_the_reference_pages_is_sent():
    """`test_reference_examples.json` has the pages of the reference with the number of their examples."""
    pages = json.loads(Path(__file__).with_suffix(".json").read_text())
    missing = {action: count for action, count in pages.items() if sent().get(action, 0) < count}
    assert not missing, f"examples without a table entry: {missing}"


def test_every_example_of_the_newest_description_is_sent():
    """The vendor's own list of worked examples is newer than the pages, and grows with the installed `tccli`."""
    try:
        text = resources.files("tccli").joinpath("services/cbs/v20170312/examples.json").read_text()
    except ModuleNotFoundError:
        pytest.skip("tccli: not installed")
    newest = {action: len(examples) for action, examples in json.loads(text)["actions"].items()}
    here = {action for product, action in ACTIONS if product == "cbs"}
    missing = {action: count for action, count in newest.items() if action in here and sent().get(action, 0) < count}
    assert not missing, f"examples without a table entry: {missing}"


def test_the_comparison_finds_what_differs():
    documented = {"A": 1, "B": [{"C": "x"}], "D": 0.5, "E": None, "T": "2018-09-26 17:36:07", "I": "disk-b94t5dzt"}
    alike = documented | {"T": "2026-01-01 00:00:00", "I": "disk-00000000", "F": 1}
    assert not list(differences(documented, alike, {}))
    assert not list(differences(documented, alike | {"A": 2, "D": 1.0, "E": "y"}, {"A": "", "D": "", "E": ""}))
    for wrong in (
        {"A": "1"},
        {"A": True},
        {"A": None},
        {"A": 2},
        {"B": [{}]},
        {"B": []},
        {"B": [{"C": 1}]},
        {"B": [{"C": "y"}]},
        {"B": [{"C": "x"}] * 2},
        {"D": 1},
        {"D": 1.0},
        {"E": "y"},
        {"T": "2018-09-26"},
        {"T": ""},
        {"I": "snap-00000000"},
        {"I": ""},
    ):
        assert len(list(differences(documented, documented | wrong, {}))) == 1, wrong
    assert len(list(differences(documented, {"B": [{"C": "x"}], "D": 0.5, "E": None}, {}))) == 3
    assert list(differences({"I": "disk-b94t5dzt"}, {"I": "disk-00000000"}, {}, known={"disk-b94t5dzt"}))
    # Without values, by types alone.
    assert not list(differences({"A": 1, "B": [{"C": "x"}]}, {"A": 2, "B": [{"C": "y"}, {"C": "z"}]}))
    assert list(differences({"A": 1, "B": [{"C": "x"}]}, {"A": 2, "B": [{"C": "y"}, {"C": 1}]}))


def test_regions_of_the_examples_do_not_share_disks(server, world):
    disk = world.disk()
    assert Cloud(server, region="ap-shanghai").disk(disk) is None
