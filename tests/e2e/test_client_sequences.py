"""What the Kubernetes CSI driver and other tools do with a disk, call by call, with their waits and fields.

Terraform's provider has `test_terraform.py`.
"""

import pytest

from harness.server import REGION, ZONE
from harness.siblings import Sibling
from harness.waiting import wait_until


@pytest.fixture(scope="module")
def tag(server):
    """Calls to the tag service."""
    return Sibling(server, "tag")


def _snapshot(cloud, snapshot, pending):
    (found,) = cloud.call("DescribeSnapshots", SnapshotIds=[snapshot])["SnapshotSet"]
    if found["SnapshotState"] == "NORMAL" and found["Percent"] == 100:
        return found
    assert found["SnapshotState"] in pending, found
    return None


def test_the_csi_driver_provisions_attaches_snapshots_and_restores(server, cloud, tag):
    node = server.add_instance(zone=ZONE)
    assert len(node) == 12, "the driver refuses other node ids"
    # The node's limit, before anything else.
    (detail,) = cloud.call("DescribeInstancesDiskNum", InstanceIds=[node])["AttachDetail"]
    assert detail["InstanceId"] == node and detail["MaxAttachCount"] > 2

    def create_volume(name, **parameters):
        quota = cloud.call(
            "DescribeDiskConfigQuota",
            InquiryType="INQUIRY_CBS_CONFIG",
            Zones=[ZONE],
            DiskChargeType="POSTPAID_BY_HOUR",
        )["DiskConfigSet"]
        (config,) = [one for one in quota if one["DiskType"] == "CLOUD_PREMIUM"]
        assert config["Available"] is True and config["MinDiskSize"] <= 20 <= config["MaxDiskSize"]
        return cloud.call(
            "CreateDisks",
            DiskName=name,
            ClientToken=name,
            DiskType="CLOUD_PREMIUM",
            DiskChargeType="POSTPAID_BY_HOUR",
            DiskSize=20,
            Placement={"Zone": ZONE},
            Tags=[
                {"Key": "tke-cbs-provisioner-createBy-flag", "Value": "yes"},
                {"Key": "tke-clusterId", "Value": "cls-12345678"},
            ],
            **parameters,
        )["DiskIdSet"]

    (disk,) = create_volume("cls-12345678/pvc-1")
    assert create_volume("cls-12345678/pvc-1") == [disk], "a repeated call gives the same disk"

    def state():
        found = cloud.call("DescribeDisks", DiskIds=[disk])["DiskSet"][0]
        assert found["InstanceId"] is not None
        return found

    wait_until(lambda: state()["DiskState"] in {"ATTACHED", "UNATTACHED"}, "the volume can be used")
    # The cluster's tags are asked for; there is no such cluster here, and the driver only logs that.
    cluster = {"ServiceType": "ccs", "ResourcePrefix": "cluster", "ResourceRegion": REGION, "ResourceIds": ["cls-1"]}
    assert tag.call("DescribeResourceTagsByResourceIds", **cluster)["Tags"] == []
    resource = f"qcs::cvm:{REGION}:uin/{_account(server)}:volume/{disk}"
    tag.call("ModifyResourceTags", Resource=resource, ReplaceTags=[{"TagKey": "user", "TagValue": "x"}])
    assert {"Key": "user", "Value": "x"} in state()["Tags"]

    cloud.call("AttachDisks", DiskIds=[disk], InstanceId=node, InstanceType="CVM")
    wait_until(lambda: (one := state())["DiskState"] == "ATTACHED" and one["InstanceId"] == node, "it is attached")
    cloud.call("ResizeDisk", DiskId=disk, DiskSize=30)
    wait_until(lambda: (one := state())["DiskState"] != "EXPANDING" and one["DiskSize"] == 30, "it is expanded")

    snapshot = cloud.call("CreateSnapshot", DiskId=disk, SnapshotName="snapshot-1")["SnapshotId"]
    taken = wait_until(lambda: _snapshot(cloud, snapshot, {"CREATING"}), "the snapshot is ready")
    assert (taken["DiskId"], taken["DiskSize"]) == (disk, 30)
    wanted = {"SnapshotId": snapshot, "DiskName": "cls-12345678/pvc-2", "DiskSize": 30}
    (restored,) = cloud.create_disks(None, 1, ClientToken="cls-12345678/pvc-2", **wanted)

    cloud.call("DetachDisks", DiskIds=[disk])
    wait_until(lambda: (one := state())["DiskState"] == "UNATTACHED" and one["InstanceId"] == "", "it is detached")
    cloud.call("TerminateDisks", DiskIds=[disk, restored])
    assert cloud.call("DescribeDisks", DiskIds=[disk])["DiskSet"] == [], "a missing disk is an empty set"
    cloud.call("DeleteSnapshots", SnapshotIds=[snapshot])
    with cloud.refused("InvalidSnapshotId.NotFound", snapshot):
        cloud.call("DeleteSnapshots", SnapshotIds=[snapshot])


def _account(server):
    """The account's number."""
    return Sibling(server, "sts").call("GetCallerIdentity")["AccountId"]


def test_a_disk_is_named_as_another_tool_names_it(cloud, tag):
    disk = cloud.create_disk(Tags=[{"Key": "owner", "Value": "c7n"}])
    account = _account(cloud.server)
    resource = f"qcs::cbs:{REGION}:uin/{account}:instance/{disk}"
    (found,) = tag.call("GetResources", ResourceList=[resource])["ResourceTagMappingList"]
    assert found["Resource"] == resource
    assert [(one["TagKey"], one["TagValue"]) for one in found["Tags"]] == [("owner", "c7n")]
