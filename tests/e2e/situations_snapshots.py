"""The documented error codes of backup points, shares, copies, groups of snapshots and logs: part of the tables of
`test_reference_errors.py`."""

from datetime import UTC, datetime, timedelta

from harness.accounts import new_key
from harness.cloud import Cloud
from harness.server import REGION, ZONE
from harness.siblings import Sibling

ACCOUNT = "100000000001"

NO_DISK, NO_SNAPSHOT, NO_BACKUP, NO_GROUP = "disk-00000000", "snap-00000000", "dbp-00000000", "csnap-00000000"
RED = {"Filters": [{"Name": "colour", "Values": ["red"]}]}
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S+00:00")

# Small quotas, so that few calls exhaust them.
LIMITS = "shares_per_snapshot = 1\n"

BALANCE = "snapshots are paid by use, not in advance"
OTHER_CODE = "another listed code says the same: "
NO_PARAMETER = "the action has no parameters"

UNREACHABLE = {
    "CreateDiskBackup": {
        OTHER_CODE + "ResourceBusy": ["InvalidDisk.Busy", "ResourceInUse"],
        OTHER_CODE + "InvalidDiskId.NotFound": ["ResourceNotFound.NotFound"],
    },
    "DescribeDiskBackups": {},
    "ApplyDiskBackup": {
        OTHER_CODE + "ResourceBusy": ["InvalidDisk.Busy", "ResourceUnavailable"],
        OTHER_CODE + "ResourceUnavailable.NotSupported": ["InvalidDisk.NotSupported"],
        OTHER_CODE + "ResourceNotFound.NotFound": ["ResourceNotFound"],
    },
    "DeleteDiskBackups": {OTHER_CODE + "ResourceNotFound.NotFound": ["ResourceNotFound"]},
    "ModifySnapshotsSharePermission": {},
    "DescribeSnapshotSharePermission": {},
    "CopySnapshotCrossRegions": {
        BALANCE: ["InvalidAccount.InsufficientBalance"],
    },
    "CreateSnapshotGroup": {
        BALANCE: ["InvalidAccount.InsufficientBalance"],
        OTHER_CODE + "ResourceUnavailable.SnapshotCreating": ["InvalidDisk.SnapshotCreating"],
        OTHER_CODE + "InvalidDiskId.NotFound": ["ResourceNotFound.NotFound"],
        OTHER_CODE + "InvalidDisk.NotSupported": ["ResourceUnavailable.NotSupported"],
    },
    "DescribeSnapshotGroups": {},
    "ApplySnapshotGroup": {},
    "DeleteSnapshotGroup": {},
    "DescribeSnapshotOverview": {NO_PARAMETER: ["InvalidFilter", "InvalidParameter"]},
    "DescribeDiskOperationLogs": {},
    "DescribeSnapshotOperationLogs": {},
}


def logs_of(name, prefix, count):
    return {"Filters": [{"Name": name, "Values": [f"{prefix}-{number:08}" for number in range(count)]}]}


LASTING = {
    "CreateDiskBackup": {
        "InvalidDiskId.NotFound": lambda w: {"DiskId": NO_DISK},
        "InvalidParameter": lambda w: {"DiskId": "disk-no"},
        "ResourceInsufficient.OverQuota": lambda w: {"DiskId": w.backed_up},
        "ResourceUnavailable.NotSupported": lambda w: {"DiskId": w.isolated},
    },
    "DescribeDiskBackups": {
        "InvalidFilter": lambda w: RED,
        "InvalidParameter": lambda w: {"DiskBackupIds": [NO_SNAPSHOT]},
    },
    "ApplyDiskBackup": {
        "InvalidDiskId.NotFound": lambda w: w.roll_back_backup | {"DiskId": NO_DISK},
        "InvalidInstance.NotSupported": lambda w: w.roll_back_backup | {"AutoStopInstance": True},
        "ResourceNotFound.NotFound": lambda w: w.roll_back_backup | {"DiskBackupId": NO_BACKUP},
        "ResourceUnavailable.NotSupported": lambda w: w.roll_back_backup,
    },
    "DeleteDiskBackups": {
        "InvalidParameter": lambda w: {"DiskBackupIds": ["dbp-NO"]},
        "ResourceNotFound.NotFound": lambda w: {"DiskBackupIds": [w.backup, NO_BACKUP]},
    },
    "ModifySnapshotsSharePermission": {
        "InvalidParameter": lambda w: w.sharing | {"AccountIds": ["1"]},
        "InvalidSnapshotId.NotFound": lambda w: w.sharing | {"SnapshotIds": [w.member, NO_SNAPSHOT]},
        "MissingParameter": lambda w: {"SnapshotIds": [w.member], "Permission": "SHARE"},
        "InvalidSnapshot.NotSupported": lambda w: w.sharing | {"SnapshotIds": [w.borrowed]},
        "ResourceInsufficient.OverQuota": lambda w: w.sharing | {"AccountIds": w.accounts},
    },
    "DescribeSnapshotSharePermission": {
        "InvalidParameter": lambda w: {"SnapshotId": "snapshot"},
        "InvalidParameterValue": lambda w: {"SnapshotId": NO_SNAPSHOT},
        "MissingParameter": lambda w: {},
    },
    "CopySnapshotCrossRegions": {
        "InsufficientSnapshotQuota": lambda w: {"SnapshotId": w.exhausting[0], "DestinationRegions": [FULL_REGION]},
        "InvalidParameterValue": lambda w: {"SnapshotId": w.member, "DestinationRegions": ["ap-nowhere"]},
        "InvalidSnapshot.NotSupported": lambda w: {"SnapshotId": w.borrowed, "DestinationRegions": ["ap-beijing"]},
        "InvalidSnapshotId.NotFound": lambda w: {"SnapshotId": NO_SNAPSHOT, "DestinationRegions": ["ap-beijing"]},
        "UnsupportedOperation.SnapshotNotSupportCopy": lambda w: {
            "SnapshotId": w.sealed,
            "DestinationRegions": ["ap-beijing"],
        },
    },
    "CreateSnapshotGroup": {
        "InsufficientSnapshotQuota": lambda w: {"DiskIds": [w.exhausted]},
        "InvalidDisk.NotSupported": lambda w: {"DiskIds": [w.grouped, w.disk]},
        "InvalidDiskId.NotFound": lambda w: {"DiskIds": [w.grouped, NO_DISK]},
        "InvalidParameter": lambda w: {"DiskIds": ["disk-no"]},
        "InvalidParameterValue": lambda w: {"DiskIds": [w.grouped, w.elsewhere_grouped]},
        "MissingParameter": lambda w: {},
    },
    "DescribeSnapshotGroups": {
        "InvalidFilter": lambda w: RED,
        "InvalidParameter": lambda w: {"Filters": "red"},
    },
    "ApplySnapshotGroup": {
        "InvalidParameter": lambda w: w.roll_back_group | {"SnapshotGroupId": NO_GROUP},
        "MissingParameter": lambda w: {"SnapshotGroupId": w.group},
        "UnsupportedOperation.SnapshotGroupDiskAttachMultiInstance": lambda w: w.roll_back_group,
        "UnsupportedOperation.StateError": lambda w: w.roll_back_group
        | {"ApplyDisks": w.roll_back_group["ApplyDisks"][:1]},
    },
    "DeleteSnapshotGroup": {
        "InvalidParameter": lambda w: {"SnapshotGroupId": "csnap-NO"},
        "InvalidSnapshotId.NotFound": lambda w: {"SnapshotGroupIds": [NO_GROUP]},
        "MissingParameter": lambda w: {},
        "UnsupportedOperation.SnapshotHasBindedImage": lambda w: {"SnapshotGroupId": w.imaged_group},
        "UnsupportedOperation.StateError": lambda w: {"SnapshotGroupId": w.group},
    },
    "DescribeSnapshotOverview": {},
    "DescribeDiskOperationLogs": {
        "InvalidFilter": lambda w: RED,
        "InvalidParameterValue": lambda w: logs_of("disk-id", "disk", 11),
        "MissingParameter": lambda w: {},
    },
    "DescribeSnapshotOperationLogs": {
        "InvalidFilter": lambda w: RED,
        "InvalidParameterValue": lambda w: logs_of("snapshot-id", "snap", 11),
        "MissingParameter": lambda w: {},
    },
}


# Situations that pass: what another caller does meanwhile, the code, and the parameters that meet it.

PASSING = {
    ("CreateDiskBackup", "ResourceBusy"): ("grows", lambda w: {"DiskId": w.disk}),
    ("CreateDiskBackup", "ResourceInUse.DiskRollbacking"): ("rolls back", lambda w: {"DiskId": w.disk}),
    ("ApplyDiskBackup", "ResourceBusy"): ("grows", lambda w: w.roll_back_to_backup),
    ("ApplyDiskBackup", "ResourceInUse.DiskRollbacking"): ("rolls back", lambda w: w.roll_back_to_backup),
    ("DeleteDiskBackups", "ResourceBusy"): (
        "rolls back to a backup",
        lambda w: {"DiskBackupIds": [w.roll_back_to_backup["DiskBackupId"], NO_BACKUP]},
    ),
    ("CopySnapshotCrossRegions", "ResourceBusy"): (
        "rolls back",
        lambda w: {"SnapshotId": w.snapshot, "DestinationRegions": ["ap-beijing"]},
    ),
    ("CopySnapshotCrossRegions", "ResourceInUse.CopySnapshotConflict"): (
        "copies",
        lambda w: {"SnapshotId": w.snapshot, "DestinationRegions": ["ap-hongkong"]},
    ),
    ("CreateSnapshotGroup", "ResourceInUse"): ("grows in a machine", lambda w: {"DiskIds": [w.exhausted]}),
    ("CreateSnapshotGroup", "ResourceInUse.DiskMigrating"): (
        "changes the type in a machine",
        lambda w: {"DiskIds": [w.exhausted]},
    ),
}

# Its place for copies of the exhausted disk's snapshots is used up.
FULL_REGION = "ap-shanghai"


def prepare(world):
    """A backup point of an attached disk and one of a resting disk; a group whose disks are in two instances and whose
    first snapshot is shared; images, copies, and what another account shares."""
    here, there = world.server.add_instance(zone=ZONE), world.server.add_instance(zone=ZONE)
    world.backed_up = world.cloud.create_disk(DiskBackupQuota=1)
    world.backup = world.cloud.call("CreateDiskBackup", DiskId=world.backed_up)["DiskBackupId"]
    world.roll_back_backup = {"DiskId": world.backed_up, "DiskBackupId": world.backup}
    world.cloud.attach(there, world.backed_up)
    world.cloud.call("ModifyDiskBackupQuota", DiskId=world.disk, DiskBackupQuota=1)
    backup = world.cloud.call("CreateDiskBackup", DiskId=world.disk)["DiskBackupId"]
    world.roll_back_to_backup = {"DiskId": world.disk, "DiskBackupId": backup}
    world.spare = world.cloud.create_disk(DiskBackupQuota=1)

    world.grouped, world.elsewhere_grouped = world.cloud.create_disks(count=2)
    disks = [world.grouped, world.elsewhere_grouped]
    world.cloud.attach(here, *disks)
    world.group = world.cloud.call("CreateSnapshotGroup", DiskIds=disks)["SnapshotGroupId"]
    members = world.cloud.call("DescribeSnapshotGroups")["SnapshotGroupSet"][0]["SnapshotIdSet"]
    world.cloud.detach(world.elsewhere_grouped)
    world.cloud.attach(there, world.elsewhere_grouped)
    world.cloud.attach(here, world.exhausted)
    targets = [{"SnapshotId": member, "DiskId": disk} for member, disk in zip(members, disks, strict=True)]
    world.roll_back_group = {"SnapshotGroupId": world.group, "ApplyDisks": targets}
    world.shared, world.member = members
    world.tomorrow = TOMORROW

    world.accounts = [str(world.server.admin("account", "add", name)["uin"]) for name in ("one", "two")]
    world.sharing = {"SnapshotIds": [world.member], "AccountIds": world.accounts[:1], "Permission": "SHARE"}
    world.cloud.call("ModifySnapshotsSharePermission", **(world.sharing | {"SnapshotIds": [world.shared]}))
    prepare_images(world)
    prepare_far(world)


def prepare_images(world):
    """A machine with a system disk, and an image of a snapshot and one of a group's."""
    booted = world.server.admin("instance", "add", "--zone", ZONE, "--system-disk", "10")["instance_id"]
    cvm = Sibling(world.server, "cvm")
    (machine,) = cvm.call("DescribeInstances", InstanceIds=[booted])["InstanceSet"]
    world.system = machine["SystemDisk"]["DiskId"]
    world.imaged = world.cloud.create_snapshot(world.system)
    world.imaged_group = world.cloud.call("CreateSnapshotGroup", DiskIds=[world.system])["SnapshotGroupId"]
    groups = world.cloud.call("DescribeSnapshotGroups")["SnapshotGroupSet"]
    (member,) = next(one["SnapshotIdSet"] for one in groups if one["SnapshotGroupId"] == world.imaged_group)
    for name, snapshot in (("one", world.imaged), ("member", member)):
        cvm.call("CreateImage", ImageName=name, SnapshotIds=[snapshot])


def prepare_far(world):
    """Copies from and to other regions, a snapshot that another account shares, and one of an encrypted disk."""
    for snapshot in world.exhausting:
        world.cloud.call("CopySnapshotCrossRegions", SnapshotId=snapshot, DestinationRegions=[FULL_REGION])
    full = Cloud(world.server, region=FULL_REGION)
    copies = [one["SnapshotId"] for one in full.call("DescribeSnapshots", Limit=100)["SnapshotSet"]]
    for copy in copies:
        full.wait_snapshot(copy)

    far = Cloud(world.server, region="ap-beijing")
    disk = far.create_disk(Placement={"Zone": "ap-beijing-1"})
    wanted = {"SnapshotId": far.create_snapshot(disk), "DestinationRegions": [REGION]}
    (copied,) = far.call("CopySnapshotCrossRegions", **wanted)["SnapshotCopyResultSet"]
    world.copied = copied["SnapshotId"]
    world.cloud.wait_snapshot(world.copied)

    other = Cloud(world.server, secret=new_key(world.server, "--account", world.accounts[0]))
    world.borrowed = other.create_snapshot(other.create_disk())
    share = {"SnapshotIds": [world.borrowed], "AccountIds": [ACCOUNT], "Permission": "SHARE"}
    other.call("ModifySnapshotsSharePermission", **share)
    world.sealed = world.cloud.create_snapshot(world.cloud.create_disk(Encrypt="ENCRYPT"))


def listed(world):
    """What a refused call could have changed."""
    backups = world.call("DescribeDiskBackups", {"Limit": 100})["DiskBackupSet"]
    groups = world.call("DescribeSnapshotGroups", {"Limit": 100})["SnapshotGroupSet"]
    shares = world.call("DescribeSnapshotSharePermission", {"SnapshotId": world.member})["SharePermissionSet"]
    return backups, groups, shares
