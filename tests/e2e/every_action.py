"""One story that makes every call that there is, whichever client tells it. Each part checks what the answers say.

A part takes a `Teller`. What is slow to make (machines, accounts, roles) is in its `place`.
"""

import json
import os
import urllib.parse
from dataclasses import dataclass, replace

from harness.nbd_client import NbdClient
from harness.sdk import Refused
from harness.server import REGION, ZONE, Server
from harness.waiting import wait_until

ELSEWHERE = "ap-beijing"
ACCOUNT = "100000000001"
KIB = 1 << 10
POSTPAID = {"DiskChargeType": "POSTPAID_BY_HOUR", "Placement": {"Zone": ZONE, "ProjectId": 0}}
PREPAID = {
    "DiskChargeType": "PREPAID",
    "DiskChargePrepaid": {"Period": 1, "RenewFlag": "NOTIFY_AND_AUTO_RENEW"},
    "Placement": {"Zone": ZONE},
}
RULE = {"DayOfWeek": [0, 3], "Hour": [0, 12]}


@dataclass(frozen=True)
class Place:
    """What the operator made for the story."""

    server: Server
    machine: str  # with a system disk of 20 GiB
    node: str
    lighthouse: str  # a machine of Lighthouse
    fixed: dict  # what `ashlar fix-snapshot` took of the machine
    partner: str  # another account's number
    partner_secret: tuple
    role: str  # the name of a role that may read disks


class Teller:
    """Makes calls with one client; remembers which actions were answered."""

    def __init__(self, sdk, caller, place, answered, check=lambda product, action, answer: None):
        self._sdk, self._caller, self._answered, self._check = sdk, caller, answered, check
        self.place = place

    def call(self, product, action, /, **parameters):
        """Makes the call and returns its answer."""
        answer = self._sdk.call(self._caller, product, action, parameters)
        assert len(answer["RequestId"]) == 36, answer
        self._check(product, action, answer)
        self._answered.add((product, action))
        return answer

    def cbs(self, action, /, **parameters):
        """A call to block storage."""
        return self.call("cbs", action, **parameters)

    def at(self, region):
        """The same account in another region."""
        return self._with(region=region)

    def by(self, secret):
        """Someone else in the same region."""
        return self._with(secret=secret)

    def _with(self, **changes):
        return Teller(self._sdk, replace(self._caller, **changes), self.place, self._answered, self._check)

    def refused(self, code, product, action, /, **parameters):
        """The call is refused with this code."""
        try:
            self._sdk.call(self._caller, product, action, parameters)
        except Refused as refused:
            assert refused.code == code and refused.message and len(refused.request_id) == 36, refused
            return
        raise AssertionError(f"{action} was answered, {code} expected")

    # The usual steps

    def disk(self, disk):
        """What DescribeDisks says of a disk; None if there is none."""
        answer = self.cbs("DescribeDisks", DiskIds=[disk])
        assert answer["TotalCount"] == len(answer["DiskSet"]) <= 1
        return answer["DiskSet"][0] if answer["DiskSet"] else None

    def until(self, disk, **fields):
        """Waits until the disk has these fields."""

        def so():
            found = self.disk(disk)
            return found if found and all(found[name] == value for name, value in fields.items()) else None

        return wait_until(so, f"{disk}: {fields}")

    def made(self, size_gib=10, **parameters):
        """A disk that is ready."""
        wanted = {"DiskType": "CLOUD_PREMIUM", "DiskSize": size_gib} | POSTPAID | parameters
        (disk,) = self.cbs("CreateDisks", **wanted)["DiskIdSet"]
        self.until(disk, DiskState="UNATTACHED", DiskSize=size_gib)
        return disk

    def attach(self, *disks):
        """Attaches disks to the node."""
        self.cbs("AttachDisks", InstanceId=self.place.node, DiskIds=list(disks))
        for disk in disks:
            self.until(disk, DiskState="ATTACHED", InstanceId=self.place.node)

    def detach(self, *disks):
        """Detaches disks."""
        self.cbs("DetachDisks", DiskIds=list(disks))
        for disk in disks:
            self.until(disk, DiskState="UNATTACHED", InstanceId="")

    def snapshot(self, snapshot):
        """A snapshot, once it is NORMAL."""

        def normal():
            (found,) = self.cbs("DescribeSnapshots", SnapshotIds=[snapshot])["SnapshotSet"]
            return found if found["SnapshotState"] == "NORMAL" and found["Percent"] == 100 else None

        return wait_until(normal, f"{snapshot} is NORMAL")

    def write(self, disk, data):
        """Writes the first bytes of a disk."""
        with NbdClient(self.place.server.nbd_socket, disk) as client:
            client.write(0, data)
            client.flush()

    def read(self, export, length):
        """Reads the first bytes of a disk or snapshot."""
        with NbdClient(self.place.server.nbd_socket, export) as client:
            return client.read(0, length)


def where_disks_can_be(tell):
    """Regions, zones, machines, and what can be bought there."""
    regions = tell.call("cvm", "DescribeRegions")
    assert regions["TotalCount"] == len(regions["RegionSet"])
    assert {REGION, ELSEWHERE} <= {one["Region"] for one in regions["RegionSet"]}
    zones = {one["Zone"]: one for one in tell.call("cvm", "DescribeZones")["ZoneSet"]}
    assert zones[ZONE]["ZoneState"] == "AVAILABLE" and zones[ZONE]["ZoneId"]
    machines = tell.call("cvm", "DescribeInstances", InstanceIds=[tell.place.machine])
    (machine,) = machines["InstanceSet"]
    assert (machine["InstanceState"], machine["SystemDisk"]["DiskSize"]) == ("RUNNING", 20)
    (status,) = tell.call("cvm", "DescribeInstancesStatus", InstanceIds=[tell.place.node])["InstanceStatusSet"]
    assert (status["InstanceId"], status["InstanceState"]) == (tell.place.node, "RUNNING")
    wanted = {"InquiryType": "INQUIRY_CBS_CONFIG", "DiskChargeType": "POSTPAID_BY_HOUR", "Zones": [ZONE]}
    (config,) = tell.cbs("DescribeDiskConfigQuota", DiskTypes=["CLOUD_PREMIUM"], **wanted)["DiskConfigSet"]
    assert (config["Available"], config["MinDiskSize"], config["MaxDiskSize"]) == (True, 10, 32000)
    projects = tell.call("tag", "DescribeProjects", AllList=1, Limit=10, Offset=0)
    assert projects["Total"] == len(projects["Projects"])
    who = tell.call("sts", "GetCallerIdentity")
    assert (who["AccountId"], who["Type"]) == (ACCOUNT, "CAMUser")


def a_disk(tell):
    """Made, renamed, attached, enlarged, faster, emptied, returned."""
    token = f"cluster/{os.urandom(8).hex()}"
    wanted = POSTPAID | {"DiskType": "CLOUD_HSSD", "DiskSize": 500, "DiskName": "ä *~' /?", "ClientToken": token}
    disks = tell.cbs("CreateDisks", DiskCount=2, Shareable=False, **wanted)["DiskIdSet"]
    assert tell.cbs("CreateDisks", DiskCount=2, Shareable=False, **wanted)["DiskIdSet"] == disks
    one, two = disks
    found = tell.until(one, DiskState="UNATTACHED")
    assert (found["DiskName"], found["Attached"], found["Placement"]["Zone"]) == ("ä *~' /?", False, ZONE)
    tell.cbs("ModifyDiskAttributes", DiskIds=disks, DiskName="renamed")
    assert [tell.disk(disk)["DiskName"] for disk in disks] == ["renamed"] * 2

    before = _attached_count(tell)
    tell.attach(one)
    assert _attached_count(tell) == before + 1
    tell.cbs("ModifyDiskAttributes", DiskIds=[one], DeleteWithInstance=True)
    assert tell.disk(one)["DeleteWithInstance"] is True
    data = os.urandom(64 * KIB)
    tell.write(one, data)
    tell.cbs("ResizeDisk", DiskId=one, DiskSize=510)
    tell.until(one, DiskState="ATTACHED", DiskSize=510)
    assert tell.read(one, len(data)) == data
    tell.detach(one)
    tell.cbs("ModifyDiskExtraPerformance", DiskId=two, ThroughputPerformance=100)
    tell.until(two, ThroughputPerformance=100)
    tell.cbs("InitializeDisks", DiskIds=[one])
    tell.until(one, DiskState="UNATTACHED", DiskSize=510)
    tell.attach(one)
    assert tell.read(one, len(data)) == bytes(len(data))
    tell.detach(one)

    filters = [{"Name": "disk-name", "Values": ["nobody", "renamed"]}, {"Name": "portable", "Values": ["TRUE"]}]
    page = tell.cbs("DescribeDisks", Filters=filters, Limit=1, Offset=1)
    assert (page["TotalCount"], len(page["DiskSet"])) == (2, 1)
    logs = tell.cbs("DescribeDiskOperationLogs", Filters=[{"Name": "disk-id", "Values": [two]}])
    operations = [log["Operation"] for log in logs["DiskOperationLogSet"]]
    assert operations[-1] == "CBS_OPERATION_CREATE" and len(operations) > 1
    tell.cbs("TerminateDisks", DiskIds=disks)
    assert [tell.disk(disk) for disk in disks] == [None, None]
    tell.refused("InvalidDiskId.NotFound", "cbs", "ResizeDisk", DiskId=one, DiskSize=520)


def a_shared_disk(tell):
    """In two machines at once: what one writes the other reads, and each lets go by itself."""
    disk, machines = tell.made(Shareable=True), [tell.place.node, tell.place.machine]
    for count, machine in enumerate(machines, 1):
        tell.cbs("AttachDisks", InstanceId=machine, DiskIds=[disk])
        tell.until(disk, DiskState="ATTACHED", InstanceIdList=machines[:count])
    found = tell.disk(disk)
    assert (found["Shareable"], found["InstanceId"], found["InstanceIdList"]) == (True, "", machines)
    data = os.urandom(64 * KIB)
    tell.write(f"{disk}@{machines[0]}", data)
    assert tell.read(f"{disk}@{machines[1]}", len(data)) == data
    tell.refused("MissingParameter", "cbs", "DetachDisks", DiskIds=[disk])
    tell.cbs("DetachDisks", DiskIds=[disk], InstanceId=machines[0])
    tell.until(disk, DiskState="ATTACHED", InstanceIdList=machines[1:])
    assert tell.read(disk, len(data)) == data
    tell.detach(disk)
    tell.cbs("TerminateDisks", DiskIds=[disk])


def _attached_count(tell):
    """How many disks hang on the node."""
    (detail,) = tell.cbs("DescribeInstancesDiskNum", InstanceIds=[tell.place.node])["AttachDetail"]
    assert detail["InstanceId"] == tell.place.node and detail["MaxAttachCount"] > detail["AttachedDiskCount"]
    return detail["AttachedDiskCount"]


def tags(tell):
    """The same tags through block storage and through the tag service."""
    disk = tell.made(Tags=[{"Key": "team", "Value": "a"}])
    named = {"ServiceType": "cvm", "ResourcePrefix": "volume", "ResourceRegion": REGION, "ResourceIds": [disk]}

    def read():
        listed = tell.call("tag", "DescribeResourceTagsByResourceIds", Limit=100, Offset=0, **named)["Tags"]
        return {(one["ResourceId"], one["TagKey"], one["TagValue"]) for one in listed}

    assert read() == {(disk, "team", "a")}
    resource = f"qcs::cvm:{REGION}:uin/:volume/{disk}"
    change = {"ReplaceTags": [{"TagKey": "env", "TagValue": "x"}], "DeleteTags": [{"TagKey": "team"}]}
    tell.call("tag", "ModifyResourceTags", Resource=resource, **change)
    assert read() == {(disk, "env", "x")}
    assert [(one["Key"], one["Value"]) for one in tell.disk(disk)["Tags"]] == [("env", "x")]
    mapping = tell.call("tag", "GetResources", ResourceList=[f"qcs::cbs:{REGION}:uin/{ACCOUNT}:instance/{disk}"])
    (found,) = mapping["ResourceTagMappingList"]
    assert [(one["TagKey"], one["TagValue"]) for one in found["Tags"]] == [("env", "x")]
    tell.cbs("TerminateDisks", DiskIds=[disk])


def snapshots(tell):
    """Taken, renamed, rolled back to, made into a disk, counted, deleted."""
    disk, before = tell.made(), os.urandom(64 * KIB)
    tell.attach(disk)
    tell.write(disk, before)
    overview = tell.cbs("GetSnapOverview")
    taken = tell.cbs("CreateSnapshot", DiskId=disk, SnapshotName="first", DiskUsage="DATA_DISK")["SnapshotId"]
    found = tell.snapshot(taken)
    assert (found["DiskId"], found["DiskSize"], found["SnapshotName"], found["Encrypt"]) == (disk, 10, "first", False)
    tell.write(disk, bytes(len(before)))
    assert tell.read(taken, len(before)) == before
    tell.cbs("ModifySnapshotAttribute", SnapshotId=taken, SnapshotName="kept", Deadline="2099-01-08T09:47:55+00:00")
    found = tell.snapshot(taken)
    kept = (found["SnapshotName"], found["DeadlineTime"], found["IsPermanent"])
    assert kept == ("kept", "2099-01-08 17:47:55", False)
    assert tell.cbs("GetSnapOverview")["TotalNums"] == overview["TotalNums"] + 1
    assert tell.cbs("DescribeSnapshotOverview")["TotalNums"] == overview["TotalNums"] + 1
    tell.detach(disk)
    tell.cbs("ApplySnapshot", DiskId=disk, SnapshotId=taken)
    tell.until(disk, DiskState="UNATTACHED", Rollbacking=False)
    copy = tell.made(SnapshotId=taken)
    tell.attach(disk, copy)
    assert tell.read(disk, len(before)) == tell.read(copy, len(before)) == before
    tell.detach(disk, copy)
    tell.cbs("DeleteSnapshots", SnapshotIds=[taken])
    assert tell.cbs("DescribeSnapshots", SnapshotIds=[taken])["SnapshotSet"] == []
    logs = tell.cbs("DescribeSnapshotOperationLogs", Filters=[{"Name": "snapshot-id", "Values": [taken]}])
    operations = [log["Operation"] for log in logs["SnapshotOperationLogSet"]]
    assert operations[0] == "SNAP_OPERATION_DELETE" and operations[-1] == "SNAP_OPERATION_CREATE"
    tell.refused("InvalidSnapshotId.NotFound", "cbs", "DeleteSnapshots", SnapshotIds=[taken])
    tell.cbs("TerminateDisks", DiskIds=[disk, copy])


def images(tell):
    """A snapshot of a system disk as an image."""
    (machine,) = tell.call("cvm", "DescribeInstances", InstanceIds=[tell.place.machine])["InstanceSet"]
    taken = tell.cbs("CreateSnapshot", DiskId=machine["SystemDisk"]["DiskId"])["SnapshotId"]
    tell.snapshot(taken)
    name = f"golden {os.urandom(4).hex()}"
    image = tell.call("cvm", "CreateImage", ImageName=name, SnapshotIds=[taken])["ImageId"]
    (found,) = tell.call("cvm", "DescribeImages", ImageIds=[image])["ImageSet"]
    assert (found["ImageName"], found["ImageState"], found["ImageSize"]) == (name, "NORMAL", 20)
    assert [(one["ImageId"], one["ImageName"]) for one in tell.snapshot(taken)["Images"]] == [(image, name)]
    tell.call("cvm", "DeleteImages", ImageIds=[image])
    assert tell.call("cvm", "DescribeImages", ImageIds=[image])["TotalCount"] == 0
    tell.cbs("DeleteSnapshots", SnapshotIds=[taken])


def backup_points(tell):
    """A disk's own points to return to."""
    disk, before = tell.made(), os.urandom(64 * KIB)
    inquiry = {"DiskId": disk, "DiskBackupQuota": 2}
    assert tell.cbs("InquirePriceModifyDiskBackupQuota", **inquiry)["DiskPrice"]["UnitPrice"] > 0
    tell.cbs("ModifyDiskBackupQuota", **inquiry)
    tell.attach(disk)
    tell.write(disk, before)
    backup = tell.cbs("CreateDiskBackup", DiskId=disk, DiskBackupName="point")["DiskBackupId"]

    def normal():
        (found,) = tell.cbs("DescribeDiskBackups", DiskBackupIds=[backup])["DiskBackupSet"]
        return found if found["DiskBackupState"] == "NORMAL" else None

    found = wait_until(normal, f"{backup} is NORMAL")
    assert (found["DiskId"], found["DiskBackupName"], found["DiskSize"]) == (disk, "point", 10)
    shown = tell.disk(disk)
    # Structures of older typed clients do not have these two.
    assert (shown.get("DiskBackupQuota", 2), shown.get("DiskBackupCount", 1)) == (2, 1)
    tell.write(disk, bytes(len(before)))
    tell.detach(disk)
    tell.cbs("ApplyDiskBackup", DiskId=disk, DiskBackupId=backup)
    tell.until(disk, DiskState="UNATTACHED", Rollbacking=False)
    tell.attach(disk)
    assert tell.read(disk, len(before)) == before
    tell.detach(disk)
    tell.cbs("DeleteDiskBackups", DiskBackupIds=[backup])
    assert tell.cbs("DescribeDiskBackups", DiskBackupIds=[backup])["DiskBackupSet"] == []
    tell.cbs("TerminateDisks", DiskIds=[disk])


def groups(tell):
    """Snapshots of several disks of one moment."""
    disks = [tell.made(), tell.made()]
    tell.attach(*disks)
    for disk in disks:
        tell.write(disk, b"before")
    group = tell.cbs("CreateSnapshotGroup", DiskIds=disks, SnapshotGroupName="both")["SnapshotGroupId"]
    filters = [{"Name": "snapshot-group-id", "Values": [group]}]

    def normal():
        (found,) = tell.cbs("DescribeSnapshotGroups", Filters=filters)["SnapshotGroupSet"]
        return found if found["SnapshotGroupState"] == "NORMAL" else None

    found = wait_until(normal, f"{group} is NORMAL")
    assert (found["SnapshotGroupName"], found["Percent"], len(found["SnapshotIdSet"])) == ("both", 100, 2)
    for disk in disks:
        tell.write(disk, b"after!")
    tell.detach(*disks)
    members = {tell.snapshot(member)["DiskId"]: member for member in found["SnapshotIdSet"]}
    targets = [{"SnapshotId": members[disk], "DiskId": disk} for disk in disks]
    tell.cbs("ApplySnapshotGroup", SnapshotGroupId=group, ApplyDisks=targets)
    for disk in disks:
        tell.until(disk, DiskState="UNATTACHED", Rollbacking=False)
    tell.attach(*disks)
    assert [tell.read(disk, 6) for disk in disks] == [b"before"] * 2
    tell.detach(*disks)
    tell.cbs("DeleteSnapshotGroup", SnapshotGroupId=group)
    assert tell.cbs("DescribeSnapshotGroups", Filters=filters)["SnapshotGroupSet"] == []
    tell.cbs("TerminateDisks", DiskIds=disks)


def shares_and_copies(tell):
    """A snapshot for another account, and one in another region."""
    disk, data = tell.made(), os.urandom(64 * KIB)
    tell.attach(disk)
    tell.write(disk, data)
    taken = tell.cbs("CreateSnapshot", DiskId=disk)["SnapshotId"]
    tell.snapshot(taken)
    tell.detach(disk)
    sharing = {"SnapshotIds": [taken], "AccountIds": [tell.place.partner]}
    tell.cbs("ModifySnapshotsSharePermission", Permission="SHARE", **sharing)
    (shared,) = tell.cbs("DescribeSnapshotSharePermission", SnapshotId=taken)["SharePermissionSet"]
    assert shared["AccountId"] == tell.place.partner and shared["CreatedTime"]
    theirs = tell.by(tell.place.partner_secret)
    assert theirs.snapshot(taken)["SnapshotType"] == "SHARED_SNAPSHOT"
    theirs.cbs("TerminateDisks", DiskIds=[theirs.made(SnapshotId=taken)])
    tell.cbs("ModifySnapshotsSharePermission", Permission="CANCEL", **sharing)
    assert tell.cbs("DescribeSnapshotSharePermission", SnapshotId=taken)["SharePermissionSet"] == []

    wanted = {"SnapshotId": taken, "DestinationRegions": [ELSEWHERE], "SnapshotName": "copy"}
    (result,) = tell.cbs("CopySnapshotCrossRegions", **wanted)["SnapshotCopyResultSet"]
    assert (result["Code"], result["DestinationRegion"], result["Message"]) == ("Success", ELSEWHERE, "")
    there, copy = tell.at(ELSEWHERE), result["SnapshotId"]
    found = there.snapshot(copy)
    assert (found["SnapshotName"], found["CopyFromRemote"], found["DiskId"]) == ("copy", True, "")
    assert tell.read(copy, len(data)) == data
    there.cbs("DeleteSnapshots", SnapshotIds=[copy], DeleteBindImages=False)
    assert there.cbs("DescribeSnapshots", SnapshotIds=[copy])["SnapshotSet"] == []
    tell.cbs("DeleteSnapshots", SnapshotIds=[taken])
    tell.cbs("TerminateDisks", DiskIds=[disk])


def policies(tell):
    """A scheduled snapshot policy: made, changed, bound, copied, unbound, deleted."""
    disk = tell.made()
    made = tell.cbs("CreateAutoSnapshotPolicy", AutoSnapshotPolicyName="nightly", Policy=[RULE], RetentionDays=30)
    policy = made["AutoSnapshotPolicyId"]
    assert made["NextTriggerTime"]
    change = {"Policy": [{"DayOfWeek": [1], "Hour": [7]}], "RetentionDays": 7}
    tell.cbs("ModifyAutoSnapshotPolicyAttribute", AutoSnapshotPolicyId=policy, **change)
    tell.cbs("BindAutoSnapshotPolicy", AutoSnapshotPolicyId=policy, DiskIds=[disk])
    (found,) = tell.cbs("DescribeAutoSnapshotPolicies", AutoSnapshotPolicyIds=[policy])["AutoSnapshotPolicySet"]
    assert (found["AutoSnapshotPolicyName"], found["RetentionDays"], found["DiskIdSet"]) == ("nightly", 7, [disk])
    assert (found["Policy"][0]["DayOfWeek"], found["Policy"][0]["Hour"]) == ([1], [7])
    bound = tell.cbs("DescribeDiskAssociatedAutoSnapshotPolicy", DiskId=disk)
    assert [one["AutoSnapshotPolicyId"] for one in bound["AutoSnapshotPolicySet"]] == [policy]
    wanted = {"AutoSnapshotPolicyIds": [policy], "TargetAccountUin": tell.place.partner}
    copied = tell.cbs("CopyAutoSnapshotPolicyCrossAccount", **wanted)
    assert (copied["AutoSnapshotPolicyIds"], copied["TargetAccountUin"]) == ([policy], tell.place.partner)
    theirs = tell.by(tell.place.partner_secret)
    (found,) = theirs.cbs("DescribeAutoSnapshotPolicies")["AutoSnapshotPolicySet"]
    # Structures of older typed clients do not have the last one.
    assert (found["AutoSnapshotPolicyName"], found.get("CopyFromAccountUin", ACCOUNT)) == ("nightly", ACCOUNT)
    theirs.cbs("DeleteAutoSnapshotPolicies", AutoSnapshotPolicyIds=[found["AutoSnapshotPolicyId"]])
    tell.cbs("UnbindAutoSnapshotPolicy", AutoSnapshotPolicyId=policy, DiskIds=[disk])
    assert tell.cbs("DescribeDiskAssociatedAutoSnapshotPolicy", DiskId=disk)["TotalCount"] == 0
    tell.cbs("DeleteAutoSnapshotPolicies", AutoSnapshotPolicyIds=[policy])
    assert tell.cbs("DescribeAutoSnapshotPolicies", AutoSnapshotPolicyIds=[policy])["AutoSnapshotPolicySet"] == []
    tell.cbs("TerminateDisks", DiskIds=[disk])


def money(tell):
    """Prices, and a disk that is paid by the hour, then by the month, renewed and returned twice."""
    wanted = {"DiskType": "CLOUD_PREMIUM", "DiskSize": 100, "DiskCount": 1, "DiskChargeType": "POSTPAID_BY_HOUR"}
    price = tell.cbs("InquiryPriceCreateDisks", **wanted)["DiskPrice"]
    assert (price["UnitPrice"], price["ChargeUnit"], price["OriginalPrice"]) == (0.04, "HOUR", None)
    disk = tell.made(500, DiskType="CLOUD_HSSD")
    assert tell.cbs("InquiryPriceResizeDisk", DiskId=disk, DiskSize=600)["DiskPrice"]["UnitPrice"] > 0
    faster = {"DiskId": disk, "ThroughputPerformance": 100}
    assert tell.cbs("InquirePriceModifyDiskExtraPerformance", **faster)["DiskPrice"]["UnitPrice"] > 0
    tell.cbs("ModifyDisksChargeType", DiskIds=[disk], DiskChargePrepaid={"Period": 1})
    found = tell.until(disk, DiskChargeType="PREPAID", RenewFlag="NOTIFY_AND_MANUAL_RENEW")
    tell.cbs("ModifyDisksRenewFlag", DiskIds=[disk], RenewFlag="NOTIFY_AND_AUTO_RENEW")
    assert tell.disk(disk)["RenewFlag"] == "NOTIFY_AND_AUTO_RENEW"
    renewal = {"DiskIds": [disk], "DiskChargePrepaids": [{"Period": 1}]}
    assert tell.cbs("InquiryPriceRenewDisks", **renewal)["DiskPrice"]["OriginalPrice"] == 450
    tell.cbs("RenewDisk", DiskId=disk, DiskChargePrepaid={"Period": 1})
    assert tell.disk(disk)["DeadlineTime"] > found["DeadlineTime"]
    tell.cbs("TerminateDisks", DiskIds=[disk])
    tell.until(disk, DiskState="TORECYCLE")
    tell.cbs("TerminateDisks", DiskIds=[disk])
    assert tell.disk(disk) is None


def temporary_keys(tell):
    """Keys that may only read disks, and end."""
    disk = tell.made()
    arn = f"qcs::cam::uin/{ACCOUNT}:roleName/{tell.place.role}"
    reading = {"effect": "allow", "action": "cbs:DescribeDisks", "resource": "*"}
    policy = urllib.parse.quote(json.dumps({"version": "2.0", "statement": [reading]}))
    for given in (
        tell.call("sts", "AssumeRole", RoleArn=arn, RoleSessionName="story", DurationSeconds=900),
        tell.call("sts", "GetFederationToken", Name="guest", Policy=policy, DurationSeconds=900),
    ):
        key = given["Credentials"]
        guest = tell.by((key["TmpSecretId"], key["TmpSecretKey"], key["Token"]))
        assert guest.disk(disk)["DiskId"] == disk and given["ExpiredTime"] > 0
        guest.refused("AuthFailure.UnauthorizedOperation", "cbs", "TerminateDisks", DiskIds=[disk])
    tell.cbs("TerminateDisks", DiskIds=[disk])


def machines_of_lighthouse(tell):
    """A machine that goes back to a snapshot of the disk that it boots from."""
    machine = tell.place.lighthouse
    of_machine = [{"Name": "instance-id", "Values": ["ins-" + machine.split("-")[1]]}]
    (disk,) = [one["DiskId"] for one in tell.cbs("DescribeDisks", Filters=of_machine)["DiskSet"]]
    tell.write(disk, b"a" * 4 * KIB)
    tags = [{"Key": "story", "Value": "lighthouse"}]
    wanted = {"InstanceId": machine, "SnapshotName": "before", "Tags": tags}
    taken = tell.call("lighthouse", "CreateInstanceSnapshot", **wanted)["SnapshotId"]
    tell.write(disk, b"b" * 4 * KIB)

    def shown():
        wanted = {"Filters": [{"Name": "snapshot-id", "Values": [taken]}], "Offset": 0, "Limit": 10}
        answer = tell.call("lighthouse", "DescribeSnapshots", **wanted)
        assert answer["TotalCount"] == len(answer["SnapshotSet"]) <= 1
        return answer["SnapshotSet"][0] if answer["SnapshotSet"] else None

    def finished(operation):
        found = shown()
        return (found["LatestOperation"], found["LatestOperationState"]) == (operation, "SUCCESS")

    wait_until(lambda: finished("CreateInstanceSnapshot"), "the snapshot is taken")
    tell.call("lighthouse", "ApplyInstanceSnapshot", InstanceId=machine, SnapshotId=taken)
    wait_until(lambda: finished("RollbackInstanceSnapshot"), "the machine went back")
    assert tell.read(disk, 4 * KIB) == b"a" * 4 * KIB
    tell.call("lighthouse", "ModifySnapshotAttribute", SnapshotId=taken, SnapshotName="after")
    assert (shown()["SnapshotName"], shown()["Percent"]) == ("after", 100)
    tell.call("lighthouse", "DeleteSnapshots", SnapshotIds=[taken])
    wait_until(lambda: shown() is None, "the snapshot is gone")


def before_a_fix(tell):
    """What was taken of a machine before it was fixed."""
    (machine,) = tell.call("cvm", "DescribeInstances", InstanceIds=[tell.place.machine])["InstanceSet"]
    wanted = {"Quuids": [machine["Uuid"]], "Type": 1, "Limit": 10, "Offset": 0}
    answer = tell.call("cwp", "DescribeMachineSnapshot", **wanted)
    (shown,) = answer["List"]
    assert (answer["TotalCount"], answer["SnapshotCheck"], shown["SnapshotName"]) == (1, True, "story")
    assert shown["SnapshotId"] == tell.place.fixed["snapshots"][0]["snapshot_id"]
    assert (shown["InstanceId"], shown["DiskId"]) == (tell.place.machine, machine["SystemDisk"]["DiskId"])


PARTS = (
    where_disks_can_be,
    a_disk,
    a_shared_disk,
    tags,
    snapshots,
    images,
    backup_points,
    groups,
    shares_and_copies,
    policies,
    money,
    machines_of_lighthouse,
    before_a_fix,
    temporary_keys,
)
