"""What Terraform's provider and the Kubernetes CSI driver do with a disk, call by call.

The calls, the waits and the fields are those of these clients: the provider dereferences a field without a look
whether it is there, and takes an unexpected state for an error.
"""

import pytest

from harness.server import OTHER_ZONE, REGION, ZONE
from harness.siblings import Sibling
from harness.waiting import wait_until


@pytest.fixture(scope="module")
def tag(server):
    """Calls to the tag service."""
    return Sibling(server, "tag")


class Terraform:
    """The provider's own way to read and to wait."""

    def __init__(self, cloud, tag):
        self.cloud, self.tag = cloud, tag

    def read_storage(self, disk):
        """Reads a disk as `cbs_storage` does; None if it is gone."""
        found = self.cloud.call("DescribeDisks", DiskIds=[disk], Limit=100)["DiskSet"]
        if not found:
            return None
        (one,) = found
        assert one["Placement"]["Zone"] and one["Placement"]["ProjectId"] is not None
        for field in ("DiskState", "DiskSize", "DiskType", "DiskName", "DiskChargeType", "MigratePercent", "Attached"):
            assert one[field] is not None, field
        one["tags"] = self.read_tags("volume", disk)
        return one

    def read_tags(self, prefix, resource):
        """Reads tags page by page, until a page is short."""
        tags, offset = {}, 0
        while True:
            page = self.tag.call(
                "DescribeResourceTagsByResourceIds",
                ServiceType="cvm",
                ResourcePrefix=prefix,
                ResourceRegion=REGION,
                ResourceIds=[resource],
                Limit=100,
                Offset=offset,
            )["Tags"]
            assert all(one["ResourceId"] == resource for one in page)
            tags |= {one["TagKey"]: one["TagValue"] for one in page}
            if len(page) < 100:
                return tags
            offset += 100

    def write_tags(self, prefix, resource, replace, delete=()):
        """Changes tags; the account's number is left out of the name."""
        self.tag.call(
            "ModifyResourceTags",
            Resource=f"qcs::cvm:{REGION}:uin/:{prefix}/{resource}",
            ReplaceTags=[{"TagKey": key, "TagValue": value} for key, value in replace.items()],
            DeleteTags=[{"TagKey": key} for key in delete],
        )

    def wait(self, disk, pending, done, what):
        """Waits until the disk is `done`; a state that is not `pending` meanwhile is an error."""

        def arrived():
            found = self.read_storage(disk)
            if done(found):
                return found or True
            assert found and found["DiskState"] in pending, found
            return None

        return wait_until(arrived, what)


def test_terraform_manages_a_disk_from_its_creation_to_its_end(server, cloud, tag):
    terraform = Terraform(cloud, tag)
    instance = server.add_instance(zone=ZONE)
    # cbs_storage: create. The provider sends 0 and empty texts for what is not set.
    (disk,) = cloud.call(
        "CreateDisks",
        DiskName="tf",
        DiskType="CLOUD_PREMIUM",
        DiskSize=50,
        Placement={"Zone": ZONE, "ProjectId": 0},
        DiskChargeType="POSTPAID_BY_HOUR",
        ThroughputPerformance=0,
        BurstPerformance=False,
        EncryptType="",
        Tags=[{"Key": "createdBy", "Value": "terraform"}],
    )["DiskIdSet"]
    found = terraform.wait(disk, {"UNATTACHED"}, bool, "the disk is there")
    assert (found["DiskSize"], found["tags"]) == (50, {"createdBy": "terraform"})

    # Update: name and burst, size, tags, quota of backup points, medium.
    cloud.call("ModifyDiskAttributes", DiskIds=[disk], DiskName="tf-2", ProjectId=0, BurstPerformanceOperation="CREATE")
    cloud.call("ResizeDisk", DiskId=disk, DiskSize=60)
    terraform.wait(
        disk,
        {"EXPANDING", "UNATTACHED"},
        lambda one: one["DiskState"] != "EXPANDING" and one["DiskSize"] == 60,
        "the disk has grown",
    )
    terraform.write_tags("volume", disk, {"env": "test"}, ["createdBy"])
    cloud.call("ModifyDiskBackupQuota", DiskId=disk, DiskBackupQuota=2)
    cloud.call("ModifyDiskAttributes", DiskIds=[disk], DiskType="CLOUD_SSD")
    found = terraform.wait(disk, {"UNATTACHED"}, lambda one: one["MigratePercent"] == 100, "the medium is changed")
    assert (found["DiskName"], found["DiskType"], found["tags"]) == ("tf-2", "CLOUD_SSD", {"env": "test"})
    assert found["DiskBackupQuota"] == 2 and found["BurstPerformance"] is True

    # cbs_storage_attachment.
    cloud.call("AttachDisks", DiskIds=[disk], InstanceId=instance)
    terraform.wait(disk, {"ATTACHING", "UNATTACHED"}, lambda one: one["DiskState"] == "ATTACHED", "it is attached")

    # cbs_snapshot: the tags come when it is NORMAL.
    snapshot = cloud.call("CreateSnapshot", DiskId=disk, SnapshotName="tf", DiskUsage="DATA_DISK")["SnapshotId"]
    taken = wait_until(lambda: _snapshot(cloud, snapshot, {"CREATING"}), "the snapshot is NORMAL")
    for field in ("SnapshotName", "DiskId", "DiskUsage", "DiskSize", "Percent", "CreateTime", "Encrypt"):
        assert taken[field] is not None, field
    terraform.write_tags("snapshot", snapshot, {"of": "tf"})
    assert terraform.read_tags("snapshot", snapshot) == {"of": "tf"}
    cloud.call("ModifySnapshotAttribute", SnapshotId=snapshot, SnapshotName="tf-2")

    # cbs_snapshot_policy and its attachment.
    policy = cloud.call(
        "CreateAutoSnapshotPolicy",
        AutoSnapshotPolicyName="tf",
        Policy=[{"DayOfWeek": [0, 3], "Hour": [0]}],
        RetentionDays=30,
    )["AutoSnapshotPolicyId"]
    cloud.call(
        "ModifyAutoSnapshotPolicyAttribute",
        AutoSnapshotPolicyId=policy,
        Policy=[{"DayOfWeek": [1, 4], "Hour": [1]}],
        RetentionDays=7,
    )
    read = cloud.call("DescribeAutoSnapshotPolicies", AutoSnapshotPolicyIds=[policy])["AutoSnapshotPolicySet"][0]
    assert (read["Policy"][0]["DayOfWeek"], read["Policy"][0]["Hour"], read["RetentionDays"]) == ([1, 4], [1], 7)
    cloud.call("BindAutoSnapshotPolicy", AutoSnapshotPolicyId=policy, DiskIds=[disk])
    bound = cloud.call("DescribeDiskAssociatedAutoSnapshotPolicy", DiskId=disk)["AutoSnapshotPolicySet"]
    assert [one["AutoSnapshotPolicyId"] for one in bound] == [policy]

    # Data sources: by filters, page after page.
    filters = [
        {"Name": "disk-name", "Values": ["tf-2"]},
        {"Name": "zone", "Values": [ZONE]},
        {"Name": "portable", "Values": ["TRUE"]},
        {"Name": "tag-key", "Values": ["env"]},
    ]
    assert cloud.call("DescribeDisks", Filters=filters, Limit=100, Offset=0)["TotalCount"] == 1
    named = [{"Name": "auto-snapshot-policy-name", "Values": ["tf"]}]
    assert cloud.call("DescribeAutoSnapshotPolicies", Filters=named, Limit=100)["TotalCount"] == 1

    # Destroy, in the opposite order; what is deleted is gone at once.
    cloud.call("UnbindAutoSnapshotPolicy", AutoSnapshotPolicyId=policy, DiskIds=[disk])
    cloud.call("DeleteAutoSnapshotPolicies", AutoSnapshotPolicyIds=[policy])
    assert cloud.call("DescribeAutoSnapshotPolicies", AutoSnapshotPolicyIds=[policy])["AutoSnapshotPolicySet"] == []
    cloud.call("DeleteSnapshots", SnapshotIds=[snapshot])
    assert cloud.call("DescribeSnapshots", SnapshotIds=[snapshot])["SnapshotSet"] == []
    cloud.call("DetachDisks", DiskIds=[disk], InstanceId=instance)
    terraform.wait(disk, {"DETACHING", "ATTACHED"}, lambda one: not one["Attached"], "it is detached")
    cloud.call("TerminateDisks", DiskIds=[disk])
    terraform.wait(disk, {"UNATTACHED"}, lambda one: one is None, "it is gone")


def _snapshot(cloud, snapshot, pending):
    (found,) = cloud.call("DescribeSnapshots", SnapshotIds=[snapshot])["SnapshotSet"]
    if found["SnapshotState"] == "NORMAL" and found["Percent"] == 100:
        return found
    assert found["SnapshotState"] in pending, found
    return None


def test_terraform_isolates_and_removes_a_prepaid_disk(cloud, tag):
    terraform = Terraform(cloud, tag)
    (disk,) = cloud.call(
        "CreateDisks",
        DiskName="tf-prepaid",
        DiskType="CLOUD_SSD",
        DiskSize=20,
        Placement={"Zone": ZONE},
        DiskChargeType="PREPAID",
        DiskChargePrepaid={"Period": 1, "RenewFlag": "NOTIFY_AND_AUTO_RENEW"},
    )["DiskIdSet"]
    cloud.call("ModifyDisksRenewFlag", DiskIds=[disk], RenewFlag="NOTIFY_AND_MANUAL_RENEW")
    assert terraform.read_storage(disk)["RenewFlag"] == "NOTIFY_AND_MANUAL_RENEW"
    cloud.call("TerminateDisks", DiskIds=[disk])
    terraform.wait(disk, {"UNATTACHED"}, lambda one: one is None or one["DiskState"] == "TORECYCLE", "it is isolated")
    cloud.call("TerminateDisks", DiskIds=[disk])
    terraform.wait(disk, {"TORECYCLE"}, lambda one: one is None, "it is gone")


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


def test_a_set_of_disks_is_made_attached_and_removed(server, cloud):
    instance = server.add_instance(zone=OTHER_ZONE)
    disks = cloud.create_disks(10, 3, Placement={"Zone": OTHER_ZONE})
    cloud.call("AttachDisks", DiskIds=disks, InstanceId=instance)
    for disk in disks:
        cloud.wait_disk(disk, "ATTACHED")
    first = cloud.call("DescribeDisks", Filters=[{"Name": "instance-id", "Values": [instance]}])
    assert first["TotalCount"] == 3
    cloud.detach(*disks)
    cloud.terminate(*disks)


def test_a_disk_is_named_as_another_tool_names_it(cloud, tag):
    disk = cloud.create_disk(Tags=[{"Key": "owner", "Value": "c7n"}])
    account = _account(cloud.server)
    resource = f"qcs::cbs:{REGION}:uin/{account}:instance/{disk}"
    (found,) = tag.call("GetResources", ResourceList=[resource])["ResourceTagMappingList"]
    assert found["Resource"] == resource
    assert [(one["TagKey"], one["TagValue"]) for one in found["Tags"]] == [("owner", "c7n")]
