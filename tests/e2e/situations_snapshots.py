"""The documented error codes of backup points, shares, copies, groups of snapshots and logs: part of the tables of
`test_reference_errors.py`."""

from datetime import UTC, datetime, timedelta

from harness.server import ZONE

NO_DISK, NO_SNAPSHOT, NO_BACKUP, NO_GROUP = "disk-00000000", "snap-00000000", "dbp-00000000", "csnap-00000000"
RED = {"Filters": [{"Name": "colour", "Values": ["red"]}]}
TOMORROW = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%S+00:00")

# Small quotas, so that few calls exhaust them.
LIMITS = "shares_per_snapshot = 1\n"

BALANCE = "snapshots are paid by use, not in advance"
BROKEN = "needs storage that fails: the engine's and the rules' own tests have it"
IMAGE = "needs an image made of the snapshot: test_snapshot_kin.py has one"
OTHER_CODE = "another listed code says the same: "
PASSING = "the state passes at once; the rules' own tests meet that of copies only"
OFFLINE = "a setting turns the action off: test_snapshot_kin.py has it"
OTHER_SIDE = "told to another account or in another region: not met by a test yet"
ENCRYPTED = "needs an encrypted disk, and so a master key"
NO_PARAMETER = "the action has no parameters"

UNREACHABLE = {
    "CreateDiskBackup": {
        OTHER_CODE + "ResourceBusy": ["InvalidDisk.Busy", "ResourceInUse"],
        OTHER_CODE + "InvalidDiskId.NotFound": ["ResourceNotFound.NotFound"],
        PASSING: ["ResourceBusy", "ResourceInUse.DiskRollbacking", "ResourceUnavailable.SnapshotCreating"],
    },
    "DescribeDiskBackups": {},
    "ApplyDiskBackup": {
        OTHER_CODE + "ResourceBusy": ["InvalidDisk.Busy", "ResourceUnavailable"],
        OTHER_CODE + "ResourceUnavailable.NotSupported": ["InvalidDisk.NotSupported"],
        OTHER_CODE + "ResourceNotFound.NotFound": ["ResourceNotFound"],
        PASSING: ["ResourceBusy", "ResourceInUse.DiskRollbacking"],
    },
    "DeleteDiskBackups": {
        OTHER_CODE + "ResourceNotFound.NotFound": ["ResourceNotFound"],
        PASSING: ["ResourceBusy"],
    },
    "ModifySnapshotsSharePermission": {OTHER_SIDE: ["InvalidSnapshot.NotSupported"]},
    "DescribeSnapshotSharePermission": {},
    "CopySnapshotCrossRegions": {
        BALANCE: ["InvalidAccount.InsufficientBalance"],
        BROKEN: ["InternalError.ComponentError"],
        ENCRYPTED: ["UnsupportedOperation.SnapshotNotSupportCopy"],
        OTHER_SIDE: ["InsufficientSnapshotQuota", "InvalidSnapshot.NotSupported"],
        PASSING: ["ResourceBusy", "ResourceInUse.CopySnapshotConflict"],
    },
    "CreateSnapshotGroup": {
        BALANCE: ["InvalidAccount.InsufficientBalance"],
        BROKEN: ["InternalError.ComponentError"],
        "the rule is that of one snapshot": ["InsufficientSnapshotQuota"],
        PASSING: [
            "ResourceInUse",
            "ResourceInUse.DiskMigrating",
            "ResourceInUse.DiskRollbacking",
            "ResourceUnavailable.SnapshotCreating",
        ],
        OTHER_CODE + "ResourceUnavailable.SnapshotCreating": ["InvalidDisk.SnapshotCreating"],
        OTHER_CODE + "InvalidDiskId.NotFound": ["ResourceNotFound.NotFound"],
        OTHER_CODE + "InvalidDisk.NotSupported": ["ResourceUnavailable.NotSupported"],
    },
    "DescribeSnapshotGroups": {},
    "ApplySnapshotGroup": {},
    "DeleteSnapshotGroup": {IMAGE: ["UnsupportedOperation.SnapshotHasBindedImage"]},
    "DescribeSnapshotOverview": {NO_PARAMETER: ["InvalidFilter", "InvalidParameter"]},
    "DescribeDiskOperationLogs": {OFFLINE: ["ActionOffline"]},
    "DescribeSnapshotOperationLogs": {OFFLINE: ["ActionOffline"]},
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
        "ResourceInsufficient.OverQuota": lambda w: w.sharing | {"AccountIds": w.accounts},
    },
    "DescribeSnapshotSharePermission": {
        "InvalidParameter": lambda w: {"SnapshotId": "snapshot"},
        "InvalidParameterValue": lambda w: {"SnapshotId": NO_SNAPSHOT},
        "MissingParameter": lambda w: {},
    },
    "CopySnapshotCrossRegions": {
        "InvalidParameterValue": lambda w: {"SnapshotId": w.member, "DestinationRegions": ["ap-nowhere"]},
        "InvalidSnapshotId.NotFound": lambda w: {"SnapshotId": NO_SNAPSHOT, "DestinationRegions": ["ap-beijing"]},
    },
    "CreateSnapshotGroup": {
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


def prepare(world):
    """A backup point of an attached disk, and a group whose disks are in two instances and whose first snapshot is
    shared."""
    here, there = world.server.add_instance(zone=ZONE), world.server.add_instance(zone=ZONE)
    world.backed_up = world.cloud.create_disk(DiskBackupQuota=1)
    world.backup = world.cloud.call("CreateDiskBackup", DiskId=world.backed_up)["DiskBackupId"]
    world.roll_back_backup = {"DiskId": world.backed_up, "DiskBackupId": world.backup}
    world.cloud.attach(there, world.backed_up)

    world.grouped, world.elsewhere_grouped = world.cloud.create_disks(count=2)
    disks = [world.grouped, world.elsewhere_grouped]
    world.cloud.attach(here, *disks)
    world.group = world.cloud.call("CreateSnapshotGroup", DiskIds=disks)["SnapshotGroupId"]
    members = world.cloud.call("DescribeSnapshotGroups")["SnapshotGroupSet"][0]["SnapshotIdSet"]
    world.cloud.detach(world.elsewhere_grouped)
    world.cloud.attach(there, world.elsewhere_grouped)
    targets = [{"SnapshotId": member, "DiskId": disk} for member, disk in zip(members, disks, strict=True)]
    world.roll_back_group = {"SnapshotGroupId": world.group, "ApplyDisks": targets}
    world.shared, world.member = members
    world.tomorrow = TOMORROW

    world.accounts = [str(world.server.admin("account", "add", name)["uin"]) for name in ("one", "two")]
    world.sharing = {"SnapshotIds": [world.member], "AccountIds": world.accounts[:1], "Permission": "SHARE"}
    world.cloud.call("ModifySnapshotsSharePermission", **(world.sharing | {"SnapshotIds": [world.shared]}))


def listed(world):
    """What a refused call could have changed."""
    backups = world.call("DescribeDiskBackups", {"Limit": 100})["DiskBackupSet"]
    groups = world.call("DescribeSnapshotGroups", {"Limit": 100})["SnapshotGroupSet"]
    shares = world.call("DescribeSnapshotSharePermission", {"SnapshotId": world.member})["SharePermissionSet"]
    return backups, groups, shares
