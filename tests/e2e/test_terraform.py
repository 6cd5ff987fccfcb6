"""What Terraform's provider does, resource by resource: its calls, its waits and the fields that it reads.

The provider is written in Go on the official SDK, so the calls go through that SDK here too (and through Python's,
where Go is not installed). It dereferences a field without a look whether it is there, and takes a state that it does
not expect for an error. It reads tags from the tag service alone, and pages by 100 until a page is short.
"""

from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.accounts import admin
from harness.sdk import PythonSdk, Tool, own_caller, sdk_of_a_go_program
from harness.server import OTHER_ZONE, REGION, ZONE
from harness.waiting import wait_until

ELSEWHERE = "ap-beijing"
PAGE = 100
# What the provider sends for a disk whose other attributes are not set: zeroes and empty texts.
UNSET = {"ThroughputPerformance": 0, "BurstPerformance": False, "EncryptType": ""}
HOURLY = {
    "DiskType": "CLOUD_PREMIUM",
    "DiskChargeType": "POSTPAID_BY_HOUR",
    "Placement": {"Zone": ZONE, "ProjectId": 0},
}
STORAGE_FIELDS = (
    "DiskId",
    "DiskState",
    "DiskSize",
    "DiskType",
    "DiskName",
    "DiskChargeType",
    "MigratePercent",
    "Attached",
    "InstanceId",
    "Encrypt",
    "ThroughputPerformance",
    "BurstPerformance",
    "DiskBackupQuota",
    "RenewFlag",
    "CreateTime",
)
SNAPSHOT_FIELDS = (
    "SnapshotId",
    "SnapshotName",
    "DiskId",
    "DiskUsage",
    "DiskSize",
    "Percent",
    "CreateTime",
    "Encrypt",
)


class Provider(Tool):
    """The provider's own way to read, to wait and to write tags."""

    # Reading

    def pages(self, action, field, product="cbs", /, **parameters):
        """Every entry of a list, page by page."""
        found = []
        while True:
            page = self.call(action, product, Limit=PAGE, Offset=len(found), **parameters)
            found += page[field]
            if len(page[field]) < PAGE:
                return found

    def storage(self, disk):
        """`cbs_storage`: a disk with its tags; None if it is gone."""
        found = self.call("DescribeDisks", DiskIds=[disk], Limit=PAGE)["DiskSet"]
        if not found:
            return None
        (one,) = found
        assert [name for name in STORAGE_FIELDS if one[name] is None] == []
        assert one["Placement"]["Zone"] and one["Placement"]["ProjectId"] is not None
        return one | {"tags": self.tags("volume", disk)}

    def snapshot(self, snapshot):
        """`cbs_snapshot`: None if it is gone."""
        found = self.call("DescribeSnapshots", SnapshotIds=[snapshot])["SnapshotSet"]
        if not found:
            return None
        (one,) = found
        assert [name for name in SNAPSHOT_FIELDS if one[name] is None] == []
        assert one["Placement"]["Zone"] and one["Placement"]["ProjectId"] is not None
        return one

    def tags(self, prefix, resource):
        """Tags, from the tag service alone."""
        named = {"ServiceType": "cvm", "ResourcePrefix": prefix, "ResourceRegion": REGION, "ResourceIds": [resource]}
        found = self.pages("DescribeResourceTagsByResourceIds", "Tags", "tag", **named)
        assert {one["ResourceId"] for one in found} <= {resource}
        return {one["TagKey"]: one["TagValue"] for one in found}

    def policy(self, policy):
        """`cbs_snapshot_policy`: None if it is gone."""
        found = self.call("DescribeAutoSnapshotPolicies", AutoSnapshotPolicyIds=[policy])["AutoSnapshotPolicySet"]
        return found[0] if found else None

    def backup(self, backup):
        """`cbs_disk_backup`: None if it is gone."""
        found = self.call("DescribeDiskBackups", DiskBackupIds=[backup])["DiskBackupSet"]
        return found[0] if found else None

    # Writing and waiting

    def create(self, **parameters):
        """Creates disks and waits until they are visible."""
        wanted = HOURLY | UNSET | {"DiskSize": 50} | parameters
        disks = self.call("CreateDisks", **wanted)["DiskIdSet"]
        assert len(disks) >= wanted.get("DiskCount", 1)
        for disk in disks:
            self.wait(disk, {"UNATTACHED"}, bool, "it is there")
        return disks

    def write_tags(self, prefix, resource, replaced, deleted=()):
        """Changes tags; the account's number is left out of the name."""
        self.call(
            "ModifyResourceTags",
            "tag",
            Resource=f"qcs::cvm:{REGION}:uin/:{prefix}/{resource}",
            ReplaceTags=[{"TagKey": key, "TagValue": value} for key, value in replaced.items()],
            DeleteTags=[{"TagKey": key} for key in deleted],
        )

    def wait(self, disk, pending, done, what):
        """Waits until the disk is `done`; a state that is not `pending` meanwhile is an error."""

        def arrived():
            found = self.storage(disk)
            if done(found):
                return found or True
            assert found and found["DiskState"] in pending, found
            return None

        return wait_until(arrived, f"{disk}: {what}")

    def attach(self, instance, *disks):
        """`cbs_storage_attachment`: any state but these is a hard error."""
        self.call("AttachDisks", DiskIds=list(disks), InstanceId=instance)
        for disk in disks:
            self.wait(disk, {"ATTACHING", "UNATTACHED"}, lambda one: one["DiskState"] == "ATTACHED", "it is attached")

    def detach(self, instance, *disks):
        """Detaches, with the instance named."""
        self.call("DetachDisks", DiskIds=list(disks), InstanceId=instance)
        for disk in disks:
            self.wait(disk, {"DETACHING", "ATTACHED"}, lambda one: not one["Attached"], "it is detached")

    def resize(self, disk, size_gib):
        """Enlarges a disk."""
        self.call("ResizeDisk", DiskId=disk, DiskSize=size_gib)
        grown = lambda one: one["DiskState"] != "EXPANDING" and one["DiskSize"] == size_gib  # noqa: E731
        self.wait(disk, {"EXPANDING", "UNATTACHED", "ATTACHED"}, grown, "it has grown")

    def take(self, disk, name):
        """`cbs_snapshot`: takes one; a state that is neither CREATING nor NORMAL is a hard error."""
        taken = self.call("CreateSnapshot", DiskId=disk, SnapshotName=name, DiskUsage="DATA_DISK")["SnapshotId"]

        def normal():
            found = self.snapshot(taken)
            assert found["SnapshotState"] in {"CREATING", "NORMAL"}, found
            return found["SnapshotState"] == "NORMAL" and found["Percent"] == 100

        wait_until(normal, f"{taken} is NORMAL")
        return taken

    def destroy(self, disk):
        """Destroys a disk: it is gone or isolated; an isolated one is destroyed again when that is forced."""
        self.call("TerminateDisks", DiskIds=[disk])
        ended = lambda one: one is None or one["DiskState"] == "TORECYCLE"  # noqa: E731
        if self.wait(disk, {"UNATTACHED"}, ended, "it is gone or isolated") is not True:
            self.call("TerminateDisks", DiskIds=[disk])
            self.wait(disk, {"TORECYCLE"}, lambda one: one is None, "it is gone")
        assert self.storage(disk) is None


@pytest.fixture(scope="module", params=["Go", "Python"])
def terraform(request, server, tmp_path_factory):
    """The provider's calls through each SDK."""
    sdk = sdk_of_a_go_program(server, tmp_path_factory.mktemp("programs"), request.param)
    yield Provider(sdk, own_caller(server))
    sdk.close()


def test_a_disk_with_everything_that_hangs_on_it_from_creation_to_its_end(server, terraform):
    instance = server.add_instance(zone=ZONE)
    # cbs_storage: create, read, and each kind of update.
    (disk,) = terraform.create(DiskName="tf", Tags=[{"Key": "createdBy", "Value": "terraform"}])
    assert terraform.storage(disk)["tags"] == {"createdBy": "terraform"}
    renamed = {"DiskName": "tf-2", "ProjectId": 0}
    terraform.call("ModifyDiskAttributes", DiskIds=[disk], BurstPerformanceOperation="CREATE", **renamed)
    assert terraform.storage(disk)["BurstPerformance"] is True
    terraform.call("ModifyDiskAttributes", DiskIds=[disk], BurstPerformanceOperation="CANCEL", **renamed)
    terraform.resize(disk, 60)
    terraform.write_tags("volume", disk, {"env": "test"}, ["createdBy"])
    terraform.call("ModifyDiskBackupQuota", DiskId=disk, DiskBackupQuota=2)
    terraform.call("ModifyDiskAttributes", DiskIds=[disk], DiskType="CLOUD_SSD")
    found = terraform.wait(disk, {"UNATTACHED"}, lambda one: one["MigratePercent"] == 100, "the type is changed")
    assert (found["DiskName"], found["DiskType"], found["tags"]) == ("tf-2", "CLOUD_SSD", {"env": "test"})
    assert (found["DiskBackupQuota"], found["BurstPerformance"], found["DiskSize"]) == (2, False, 60)

    snapshot = snapshots_of(terraform, disk)
    policy = policies_of(terraform, disk)
    terraform.attach(instance, disk)
    share(server, terraform, snapshot)
    copy(terraform, snapshot)

    # Destroyed in the opposite order: what is deleted is gone at once.
    terraform.detach(instance, disk)
    terraform.call("UnbindAutoSnapshotPolicy", AutoSnapshotPolicyId=policy, DiskIds=[disk])
    assert terraform.policy(policy)["DiskIdSet"] == []
    terraform.call("DeleteAutoSnapshotPolicies", AutoSnapshotPolicyIds=[policy])
    assert terraform.policy(policy) is None
    terraform.call("DeleteSnapshots", SnapshotIds=[snapshot])
    assert terraform.snapshot(snapshot) is None
    terraform.destroy(disk)
    assert terraform.tags("volume", disk) == {}


def snapshots_of(terraform, disk):
    """`cbs_snapshot`: its tags come when it is NORMAL; renamed, and rolled back to by `cbs_storage`."""
    snapshot = terraform.take(disk, "tf")
    terraform.write_tags("snapshot", snapshot, {"of": "tf"})
    assert terraform.tags("snapshot", snapshot) == {"of": "tf"}
    terraform.call("ModifySnapshotAttribute", SnapshotId=snapshot, SnapshotName="tf-2")
    found = terraform.snapshot(snapshot)
    assert (found["SnapshotName"], found["DiskId"], found["DiskSize"], found["Encrypt"]) == ("tf-2", disk, 60, False)
    terraform.call("ApplySnapshot", DiskId=disk, SnapshotId=snapshot)
    back = lambda one: one["DiskState"] != "ROLLBACKING"  # noqa: E731
    assert terraform.wait(disk, {"ROLLBACKING", "UNATTACHED"}, back, "it is rolled back")["Rollbacking"] is False
    return snapshot


def policies_of(terraform, disk):
    """`cbs_snapshot_policy` and both kinds of `cbs_snapshot_policy_attachment`."""
    rule = {"DayOfWeek": [0, 3], "Hour": [0]}
    wanted = {"AutoSnapshotPolicyName": "tf", "Policy": [rule], "RetentionDays": 30}
    policy = terraform.call("CreateAutoSnapshotPolicy", **wanted)["AutoSnapshotPolicyId"]
    assert (terraform.policy(policy)["Policy"][0]["Hour"], terraform.policy(policy)["RetentionDays"]) == ([0], 30)
    change = {"Policy": [{"DayOfWeek": [1, 4], "Hour": [1]}], "RetentionDays": 7}
    terraform.call("ModifyAutoSnapshotPolicyAttribute", AutoSnapshotPolicyId=policy, **change)
    read = terraform.policy(policy)
    assert (read["Policy"][0]["DayOfWeek"], read["Policy"][0]["Hour"], read["RetentionDays"]) == ([1, 4], [1], 7)
    assert read["AutoSnapshotPolicyName"] == "tf", "only what has changed is sent"
    terraform.call("BindAutoSnapshotPolicy", AutoSnapshotPolicyId=policy, DiskIds=[disk])
    bound = terraform.call("DescribeDiskAssociatedAutoSnapshotPolicy", DiskId=disk)["AutoSnapshotPolicySet"]
    assert [one["AutoSnapshotPolicyId"] for one in bound] == [policy]
    assert terraform.policy(policy)["DiskIdSet"] == [disk]
    # data cbs_snapshot_policies: exactly the one, by name and by id.
    for name, value in (("auto-snapshot-policy-name", "tf"), ("auto-snapshot-policy-id", policy)):
        filters = [{"Name": name, "Values": [value]}]
        found = terraform.pages("DescribeAutoSnapshotPolicies", "AutoSnapshotPolicySet", Filters=filters)
        assert [one["AutoSnapshotPolicyId"] for one in found] == [policy]
    return policy


def share(server, terraform, snapshot):
    """`cbs_snapshot_share_permission`: shared, read, cancelled."""
    account = str(admin(server, "account", "add", f"for-{snapshot}")["uin"])
    sharing = {"SnapshotIds": [snapshot], "AccountIds": [account]}
    assert terraform.call("DescribeSnapshotSharePermission", SnapshotId=snapshot)["SharePermissionSet"] == []
    terraform.call("ModifySnapshotsSharePermission", Permission="SHARE", **sharing)
    shared = terraform.call("DescribeSnapshotSharePermission", SnapshotId=snapshot)["SharePermissionSet"]
    assert [one["AccountId"] for one in shared] == [account]
    terraform.call("ModifySnapshotsSharePermission", Permission="CANCEL", **sharing)
    assert terraform.call("DescribeSnapshotSharePermission", SnapshotId=snapshot)["SharePermissionSet"] == []


def copy(terraform, snapshot):
    """`cbs_copy_snapshot_cross_region`: read and deleted with the region of the copy in the requests."""
    wanted = {"SnapshotId": snapshot, "DestinationRegions": [ELSEWHERE], "SnapshotName": "tf-copy"}
    (result,) = terraform.call("CopySnapshotCrossRegions", **wanted)["SnapshotCopyResultSet"]
    assert (result["Code"], result["DestinationRegion"]) == ("Success", ELSEWHERE) and result["SnapshotId"]
    there = terraform.at(ELSEWHERE)
    wait_until(lambda: there.snapshot(result["SnapshotId"])["SnapshotState"] == "NORMAL", "the copy is NORMAL")
    assert there.snapshot(result["SnapshotId"])["SnapshotName"] == "tf-copy"
    assert terraform.snapshot(result["SnapshotId"]) is None, "it is in the other region alone"
    there.call("DeleteSnapshots", SnapshotIds=[result["SnapshotId"]], DeleteBindImages=True)
    wait_until(lambda: there.snapshot(result["SnapshotId"]) is None, "the copy is gone")


def test_a_backup_point_and_a_return_to_it(server, terraform):
    (disk,) = terraform.create(DiskBackupQuota=1)
    backup = terraform.call("CreateDiskBackup", DiskId=disk, DiskBackupName="tf")["DiskBackupId"]
    assert terraform.backup(backup), "it has to be there at once"
    wait_until(lambda: terraform.backup(backup)["DiskBackupState"] == "NORMAL", "the backup point is NORMAL")
    # A second one is over the quota: a code that the provider takes for `try again` would keep it for five minutes.
    code = terraform.code_of("CreateDiskBackup", DiskId=disk, DiskBackupName="tf-2")
    assert code and code.split(".")[0] not in {"ResourceInUse", "ResourceBusy", "InternalError"}, code
    assert code.split(".")[0] != "ResourceUnavailable" or code == "ResourceUnavailable.NotSupported"
    terraform.call("ApplyDiskBackup", DiskId=disk, DiskBackupId=backup)
    back = lambda one: one["Rollbacking"] is False  # noqa: E731
    terraform.wait(disk, {"ROLLBACKING", "UNATTACHED"}, back, "it is rolled back")
    terraform.call("DeleteDiskBackups", DiskBackupIds=[backup])
    assert terraform.backup(backup) is None
    terraform.destroy(disk)


def test_a_disk_is_paid_in_advance_isolated_and_removed(terraform):
    (disk,) = terraform.create(DiskType="CLOUD_HSSD", DiskSize=500)
    terraform.call("ModifyDiskExtraPerformance", DiskId=disk, ThroughputPerformance=100)
    terraform.wait(disk, {"UNATTACHED"}, lambda one: one["ThroughputPerformance"] == 100, "it is faster")
    prepaid = {"Period": 1, "RenewFlag": "NOTIFY_AND_AUTO_RENEW"}
    terraform.call("ModifyDisksChargeType", DiskIds=[disk], DiskChargePrepaid=prepaid)
    paid = lambda one: one["DiskChargeType"] == "PREPAID"  # noqa: E731
    assert terraform.wait(disk, {"UNATTACHED"}, paid, "it is paid")["RenewFlag"] == "NOTIFY_AND_AUTO_RENEW"
    terraform.call("ModifyDisksRenewFlag", DiskIds=[disk], RenewFlag="NOTIFY_AND_MANUAL_RENEW")
    assert terraform.storage(disk)["RenewFlag"] == "NOTIFY_AND_MANUAL_RENEW"
    terraform.destroy(disk)


def test_a_set_of_disks_is_attached_to_an_instance_and_goes_with_it(server, terraform):
    """`cbs_storage_set`, `cbs_storage_set_attachment`, and the data disks of `tencentcloud_instance`."""
    instance = server.add_instance(zone=OTHER_ZONE)
    disks = terraform.create(DiskCount=3, DiskSize=10, Placement={"Zone": OTHER_ZONE, "ProjectId": 0})
    terraform.attach(instance, *disks)
    assert {terraform.storage(disk)["InstanceId"] for disk in disks} == {instance}
    terraform.resize(disks[0], 20)
    terraform.detach(instance, *disks)
    terraform.call("TerminateDisks", DiskIds=disks)
    assert terraform.call("DescribeDisks", DiskIds=disks)["DiskSet"] == []
    config = terraform.call("DescribeDiskConfigQuota", InquiryType="INQUIRY_CVM_CONFIG", Zones=[OTHER_ZONE])
    assert {one["Zone"] for one in config["DiskConfigSet"]} == {OTHER_ZONE}


def test_the_data_sources_find_what_they_filter_by(server, terraform):
    instance = admin(server, "instance", "add", "--zone", ZONE, "--name", "tf data source")["instance_id"]
    (disk,) = terraform.create(DiskName="tf data", Tags=[{"Key": "tf-key", "Value": "tf-value"}])
    terraform.attach(instance, disk)
    snapshot = terraform.take(disk, "tf data")
    filters = {
        "disk-id": disk,
        "disk-name": "tf data",
        "zone": ZONE,
        "project-id": "0",
        "disk-type": "CLOUD_PREMIUM",
        "disk-usage": "DATA_DISK",
        "disk-charge-type": "POSTPAID_BY_HOUR",
        "portable": "TRUE",
        "disk-state": "ATTACHED",
        "instance-name": "tf data source",
        "tag-key": "tf-key",
        "tag-value": "tf-value",
    }
    named = [{"Name": name, "Values": [value]} for name, value in filters.items()]
    # At most ten at once; each of them alone as well.
    for some in (named[:10], named[-10:]):
        found = terraform.pages("DescribeDisks", "DiskSet", Filters=some)
        assert [one["DiskId"] for one in found] == [disk]
        assert found[0]["Tags"] == [{"Key": "tf-key", "Value": "tf-value"}]
    for filter_ in named:
        assert disk in {one["DiskId"] for one in terraform.pages("DescribeDisks", "DiskSet", Filters=[filter_])}
    for name in ("instance-ip-address", "dedicated-cluster-id"):
        nowhere = [{"Name": name, "Values": ["10.9.9.9" if "ip" in name else "cluster-00000000"]}]
        assert terraform.pages("DescribeDisks", "DiskSet", Filters=nowhere) == []

    wanted = {
        "snapshot-id": snapshot,
        "snapshot-name": "tf data",
        "disk-id": disk,
        "disk-usage": "DATA_DISK",
        "project-id": "0",
        "zone": ZONE,
    }
    named = [{"Name": name, "Values": [value]} for name, value in wanted.items()]
    found = terraform.pages("DescribeSnapshots", "SnapshotSet", Filters=named)
    assert [one["SnapshotId"] for one in found] == [snapshot]
    terraform.detach(instance, disk)
    terraform.call("DeleteSnapshots", SnapshotIds=[snapshot])
    terraform.destroy(disk)


def test_pages_that_are_read_side_by_side_make_up_the_whole(server):
    """`data cbs_storages_set`: a first call without a limit tells how many pages of a hundred there are."""
    terraform = Provider(PythonSdk(server), own_caller(server))
    named = {"Filters": [{"Name": "disk-name", "Values": ["tf many"]}]}
    wanted = HOURLY | {"DiskName": "tf many", "DiskSize": 10}
    disks = sum((terraform.call("CreateDisks", DiskCount=count, **wanted)["DiskIdSet"] for count in (100, 100, 7)), [])
    total = terraform.call("DescribeDisks", **named)["TotalCount"]
    assert total == len(disks)
    with ThreadPoolExecutor() as threads:
        page = lambda number: terraform.call("DescribeDisks", Limit=PAGE, Offset=number * PAGE, **named)  # noqa: E731
        pages = list(threads.map(page, range(total // PAGE + 1)))
    assert {one["TotalCount"] for one in pages} == {total}
    assert sorted(one["DiskId"] for page in pages for one in page["DiskSet"]) == sorted(disks)
    for start in range(0, total, 50):
        terraform.call("TerminateDisks", DiskIds=disks[start : start + 50])
