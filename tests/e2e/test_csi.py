"""What the Kubernetes CSI driver does with a volume: its calls, its waits and the fields that it reads.

It is written in Go on the official SDK, so the calls go through that SDK here too, and through Python's, where Go is
not installed.
"""

import pytest

from harness.sdk import Tool, own_caller, sdk_of_a_go_program
from harness.server import REGION, ZONE
from harness.waiting import wait_until

CLUSTER_TAGS = {"tke-cbs-provisioner-createBy-flag": "yes", "tke-clusterId": "cls-12345678"}
# The driver gives up after 100 to 120 s.
PATIENCE_S = 100


class Driver(Tool):
    """The driver's own way to provision and to wait."""

    def volume(self, disk):
        """A disk as the driver reads it; None if it is gone. It compares the instance with its node."""
        found = self.call("DescribeDisks", DiskIds=[disk])["DiskSet"]
        if not found:
            return None
        (one,) = found
        assert one["DiskState"] and one["InstanceId"] is not None and one["DiskSize"] > 0
        return one

    def wait(self, disk, what, **fields):
        """Waits until the volume has these fields."""
        so = lambda: all(self.volume(disk)[name] == value for name, value in fields.items())  # noqa: E731
        wait_until(so, f"{disk} {what}", PATIENCE_S)

    def create(self, name, **parameters):
        """CreateVolume: asks before each creation what can be had."""
        wanted = {"InquiryType": "INQUIRY_CBS_CONFIG", "Zones": [ZONE], "DiskChargeType": "POSTPAID_BY_HOUR"}
        offered = self.call("DescribeDiskConfigQuota", **wanted)["DiskConfigSet"]
        for one in offered:
            assert None not in (one["Available"], one["DiskType"], one["MinDiskSize"], one["MaxDiskSize"])
        size_gib = parameters.setdefault("DiskSize", 20)
        (config,) = [one for one in offered if one["DiskType"] == "CLOUD_PREMIUM"]
        assert config["Available"] is True and config["MinDiskSize"] <= size_gib <= config["MaxDiskSize"]
        disks = self.call(
            "CreateDisks",
            DiskName=name,
            ClientToken=name,
            DiskType="CLOUD_PREMIUM",
            DiskChargeType="POSTPAID_BY_HOUR",
            DiskCount=1,
            Placement={"Zone": ZONE},
            Tags=[{"Key": key, "Value": value} for key, value in CLUSTER_TAGS.items()],
            **parameters,
        )["DiskIdSet"]
        assert len(disks) >= 1
        usable = lambda: self.volume(disks[0])["DiskState"] in {"ATTACHED", "UNATTACHED"}  # noqa: E731
        wait_until(usable, "it can be used", PATIENCE_S)
        return disks[0]

    def snapshot(self, snapshot):
        """A snapshot as the driver reads it; None if it is gone."""
        found = self.call("DescribeSnapshots", SnapshotIds=[snapshot])["SnapshotSet"]
        return found[0] if found else None

    def tags(self, disk):
        """Tags of a volume, from the tag service."""
        named = {"ServiceType": "cvm", "ResourcePrefix": "volume", "ResourceRegion": REGION, "ResourceIds": [disk]}
        found = self.call("DescribeResourceTagsByResourceIds", "tag", Limit=50, Offset=0, **named)["Tags"]
        return {one["TagKey"]: one["TagValue"] for one in found}


@pytest.fixture(scope="module", params=["Go", "Python"])
def driver(request, server, tmp_path_factory):
    """The driver's calls through each SDK."""
    sdk = sdk_of_a_go_program(server, tmp_path_factory.mktemp("programs"), request.param)
    yield Driver(sdk, own_caller(server))
    sdk.close()


@pytest.fixture
def node(server):
    """A node's instance; the driver refuses ids of another length."""
    instance = server.add_instance(zone=ZONE)
    assert len(instance) == 12
    return instance


def test_a_node_learns_how_many_volumes_it_may_have_and_where_it_stands(driver, node):
    (detail,) = driver.call("DescribeInstancesDiskNum", InstanceIds=[node])["AttachDetail"]
    assert detail["InstanceId"] == node and detail["MaxAttachCount"] > 2
    # A node may know its zone by its number alone.
    zones = driver.call("DescribeZones", "cvm")["ZoneSet"]
    names = {one["ZoneId"]: one["Zone"] for one in zones}
    assert len(names) == len(zones) and ZONE in names.values()
    assert all(number.isdigit() for number in names)


def test_a_volume_is_provisioned_used_and_removed(driver, node):
    name = f"cls-12345678/pvc-{node}"
    policy = driver.call("CreateAutoSnapshotPolicy", Policy=[{"DayOfWeek": [0], "Hour": [3]}])["AutoSnapshotPolicyId"]
    disk = driver.create(name)
    assert driver.create(name) == disk, "a repeated call gives the same disk"
    driver.call("BindAutoSnapshotPolicy", AutoSnapshotPolicyId=policy, DiskIds=[disk])
    # The cluster's tags are asked for; there is no such cluster here, and the driver only logs that.
    cluster = {"ServiceType": "ccs", "ResourcePrefix": "cluster", "ResourceRegion": REGION, "ResourceIds": ["cls-1"]}
    assert driver.call("DescribeResourceTagsByResourceIds", "tag", **cluster)["Tags"] == []
    account = driver.call("GetCallerIdentity", "sts")["AccountId"]
    resource = f"qcs::cvm:{REGION}:uin/{account}:volume/{disk}"
    driver.call("ModifyResourceTags", "tag", Resource=resource, ReplaceTags=[{"TagKey": "user", "TagValue": "x"}])
    assert driver.tags(disk) == CLUSTER_TAGS | {"user": "x"}

    # For nodes of one kind the driver adds a parameter that no page has.
    driver.call("AttachDisks", DiskIds=[disk], InstanceId=node, InstanceType="eks")
    driver.wait(disk, "is attached", DiskState="ATTACHED", InstanceId=node)
    driver.call("ResizeDisk", DiskId=disk, DiskSize=30)
    driver.wait(disk, "is expanded", DiskState="ATTACHED", DiskSize=30)
    # The driver does not name the instance here.
    driver.call("DetachDisks", DiskIds=[disk])
    driver.wait(disk, "is detached", DiskState="UNATTACHED", InstanceId="")
    driver.call("TerminateDisks", DiskIds=[disk])
    assert driver.volume(disk) is None
    driver.call("DeleteAutoSnapshotPolicies", AutoSnapshotPolicyIds=[policy])


def test_a_volume_is_restored_from_a_snapshot(driver, node):
    disk = driver.create(f"cls-12345678/pvc-of-{node}")
    snapshot = driver.call("CreateSnapshot", DiskId=disk, SnapshotName="snapshot-1")["SnapshotId"]
    assert driver.snapshot(snapshot), "it has to be there at once"

    def ready():
        found = driver.snapshot(snapshot)
        assert found["SnapshotState"] in {"CREATING", "NORMAL"}
        return found if found["SnapshotState"] == "NORMAL" and found["Percent"] == 100 else None

    taken = wait_until(ready, f"{snapshot} is ready", PATIENCE_S)
    assert (taken["DiskId"], taken["DiskSize"], taken["SnapshotName"]) == (disk, 20, "snapshot-1")
    restored = driver.create(f"cls-12345678/restored-for-{node}", SnapshotId=snapshot, DiskSize=30)
    assert driver.volume(restored)["DiskSize"] == 30
    driver.call("TerminateDisks", DiskIds=[disk, restored])
    driver.call("DeleteSnapshots", SnapshotIds=[snapshot])
    assert driver.snapshot(snapshot) is None
    assert driver.code_of("DeleteSnapshots", SnapshotIds=[snapshot]) == "InvalidSnapshotId.NotFound"


def test_a_volume_that_is_gone_is_an_empty_set(driver, node):
    gone = "disk-00000000"
    assert driver.volume(gone) is None
    assert driver.code_of("AttachDisks", DiskIds=[gone], InstanceId=node) == "InvalidDiskId.NotFound"
    assert driver.code_of("DetachDisks", DiskIds=[gone]) == "InvalidDiskId.NotFound"
