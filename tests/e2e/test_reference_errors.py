"""Every error code that the reference lists for an action: the situation that gives it, or why nothing does.

`test_reference_errors.json` is the reference's list: the codes of each action, as its page and the newest client
library have them. The tables here hold every one of them exactly once. Codes that only a passing state gives are
met by asking again and again while another caller keeps the resource busy; what needs a state to be held, storage that
fails or a clock is met in the server's own tests, and `situations_in_process.json` says which codes these are.
"""

import json
import threading
from itertools import count
from pathlib import Path

import pytest

import situations_policies
import situations_snapshots
from harness.cloud import Cloud
from harness.server import OTHER_ZONE, RATE_LIMIT_OFF, ZONE, run_ashlar
from harness.signing import RawHttp
from harness.waiting import wait_until

DOCUMENTED = json.loads(Path(__file__).with_suffix(".json").read_text())

# Met inside the server's own tests, over the same wire: there a pool can be held, and fail.
IN_PROCESS = json.loads(Path(__file__).with_name("situations_in_process.json").read_text())["cbs"]

# Common codes that a passing state may give too.
# The second disk of a call is one that the call cannot be done on, so that it never succeeds in between.
COMMON = {"InvalidParameterValue", "ResourceInUse", "ResourceUnavailable.NotSupported"}

NO_DISK, NO_SNAPSHOT, NO_INSTANCE = "disk-00000000", "snap-00000000", "ins-00000000"
HOURLY = {
    "Placement": {"Zone": ZONE},
    "DiskChargeType": "POSTPAID_BY_HOUR",
    "DiskType": "CLOUD_PREMIUM",
    "DiskSize": 10,
}
FLAT_HOURLY = {name: value for name, value in HOURLY.items() if name != "Placement"}
MONTH = {"Period": 1}
AUTO = {"RenewFlag": "NOTIFY_AND_AUTO_RENEW"}
ACCOUNT = "100000000001"
TOO_MANY_TAGS = [{"Key": f"key-{number}", "Value": ""} for number in range(51)]

# Small quotas, so that few calls exhaust them; and one type that the operator does not offer.
CONFIG = (
    RATE_LIMIT_OFF
    + """
[limits]
snapshots_per_disk = 8
disks_per_instance = 2
"""
    + situations_policies.LIMITS
    + situations_snapshots.LIMITS
    + """[disk_types.CLOUD_TSSD]
available = false
"""
)


def many_disks(number):
    return [f"disk-{index:08}" for index in range(number)]


# Why a code cannot be met today. One line for each reason, then the codes of each action.

ORDERS = "what is bought is bought at once: there are no orders, certificates and payment rights"
PERMISSION = "policies refuse with AuthFailure.UnauthorizedOperation, and no action needs a role: test_accounts.py"
SYSTEM_DISK = "another listed code says the same of the system disk of a machine: InvalidDisk.NotPortable"
OTHER_CODE = "another listed code says the same: "
RETRY = "clients repeat this for minutes, and no waiting mends it: ResourceUnavailable.NotSupported"
IMAGE = "a snapshot that an image is made of rolls its disk back like any other"
ENCRYPTION = "encrypted disks have snapshots like others"
NO_PARAMETER = "the action has no such parameter"
RETURNS = "disks can be given back without limit, and a second time when they are isolated"

UNREACHABLE = {
    "CreateDisks": {
        ORDERS: [
            "TradeDealConflict",
            "UnauthorizedOperation.NotCertification",
            "UnauthorizedOperation.NotHavePaymentRight",
        ],
        PERMISSION: ["UnauthorizedOperation", "UnauthorizedOperation.RoleNotExists"],
    },
    "DescribeDisks": {"nothing that can be asked is refused as such": ["UnsupportedOperation"]},
    "ModifyDiskAttributes": {
        ORDERS: ["TradeDealConflict"],
        NO_PARAMETER: ["InvalidInstanceId.NotFound"],
        OTHER_CODE + "ResourceUnavailable.NotSupported": ["InvalidDisk.NotSupported"],
        "a change of type moves no bytes": ["ResourceInsufficient", "ResourceInsufficient.UpgradeServiceBusy"],
    },
    "ResizeDisk": {
        ORDERS: ["TradeDealConflict", "UnauthorizedOperation.NotHavePaymentRight"],
        RETRY: ["ResourceUnavailable.Expire"],
        OTHER_CODE + "ResourceUnavailable.NotSupported": ["InvalidDisk.NotSupported"],
        OTHER_CODE + "InvalidDiskId.NotFound": ["ResourceNotFound.NotFound"],
        OTHER_CODE + "InvalidParameterValue": ["InvalidParameter.DiskConfigNotSupported"],
        "a disk grows while its instance runs": ["UnsupportedOperation.InstanceNotStopped"],
    },
    "AttachDisks": {
        SYSTEM_DISK: [
            "InvalidDisk.TypeError",
            "ResourceUnavailable.NotPortable",
            "ResourceUnavailable.TypeError",
        ],
        RETRY: ["ResourceUnavailable.Attached", "ResourceUnavailable.ZoneNotMatch"],
        OTHER_CODE + "ResourceUnavailable.NotSupported": ["InvalidDisk.NotSupported"],
        OTHER_CODE + "InvalidDiskId.NotFound": ["ResourceNotFound.NotFound"],
        "every instance takes disks": ["InvalidInstance.NotSupported"],
    },
    "DetachDisks": {
        SYSTEM_DISK: [
            "InvalidDisk.TypeError",
            "ResourceUnavailable.NotPortable",
            "ResourceUnavailable.TypeError",
        ],
        OTHER_CODE + "ResourceUnavailable.NotSupported": ["InvalidDisk.NotSupported", "UnsupportedOperation"],
        OTHER_CODE + "InvalidDiskId.NotFound": ["ResourceNotFound.NotFound"],
        "every instance gives its disks back": ["InvalidInstance.NotSupported"],
        "there are no pods": ["UnsupportedOperation.DetachPod"],
    },
    "DescribeInstancesDiskNum": {NO_PARAMETER: ["InvalidDisk.NotPortable", "InvalidDiskId.NotFound"]},
    "DescribeDiskConfigQuota": {},
    "InitializeDisks": {},
    "TerminateDisks": {
        ORDERS: ["TradeDealConflict"],
        RETURNS: [
            "InsufficientRefundQuota",
            "InvalidDisk.Expire",
            "ResourceInsufficient.OverRefundQuota",
            "ResourceUnavailable.Expire",
            "ResourceUnavailable.NotSupportRefund",
            "ResourceUnavailable.RepeatRefund",
        ],
        OTHER_CODE + "ResourceUnavailable.NotSupported": ["UnsupportedOperation"],
    },
    "CreateSnapshot": {
        "snapshots are not paid in advance": ["InvalidAccount.InsufficientBalance"],
        ENCRYPTION: ["UnsupportedOperation.DiskEncrypt"],
        NO_PARAMETER: [
            "InvalidParameter.InvalidClientToken",
            "InvalidParameter.ProjectIdNotExist",
            "LimitExceeded.InstanceAttachedDisk",
        ],
        OTHER_CODE + "ResourceUnavailable.NotSupported": ["InvalidDisk.NotSupported"],
        OTHER_CODE + "ResourceBusy": ["InvalidDisk.Busy", "ResourceInUse"],
        OTHER_CODE + "ResourceUnavailable.SnapshotCreating": ["InvalidDisk.SnapshotCreating"],
        OTHER_CODE + "InsufficientSnapshotQuota": ["ResourceInsufficient.OverQuota"],
        "disks of every type have snapshots, at any depth, and any number are taken at once": [
            "InvalidDisk.TypeError",
            "ResourceUnavailable.DiskSnapshotChainTooLarge",
            "ResourceUnavailable.TooManyCreatingSnapshot",
        ],
    },
    "DescribeSnapshots": {"nothing that can be asked is refused as such": ["UnsupportedOperation"]},
    "ModifySnapshotAttribute": {},
    "ApplySnapshot": {
        IMAGE: ["InvalidParameter.ShouldConvertSnapshotToImage"],
        NO_PARAMETER: ["InvalidInstanceId.NotFound"],
        "disks never shrink, so a disk is never smaller than its snapshots": ["InvalidParameter.DiskSizeNotMatch"],
        OTHER_CODE + "ResourceBusy": ["InvalidDisk.Busy"],
        OTHER_CODE + "ResourceUnavailable.NotSupported": ["InvalidDisk.NotSupported"],
        OTHER_CODE + "ResourceUnavailable.SnapshotCreating": ["InvalidDisk.SnapshotCreating"],
        OTHER_CODE + "InvalidDiskId.NotFound": ["ResourceNotFound.NotFound"],
    },
    "DeleteSnapshots": {
        OTHER_CODE + "InvalidSnapshot.NotSupported": ["UnsupportedOperation"],
    },
    "GetSnapOverview": {NO_PARAMETER: ["InvalidParameterValue", "MissingParameter"]},
    "InquiryPriceCreateDisks": {},
    "InquiryPriceResizeDisk": {
        NO_PARAMETER: ["InvalidInstanceId.NotFound"],
        RETRY: ["ResourceUnavailable.Expire"],
    },
    "InquirePriceModifyDiskExtraPerformance": {RETRY: ["ResourceUnavailable.Expire"]},
    "InquirePriceModifyDiskBackupQuota": {},
    "InquiryPriceRenewDisks": {
        SYSTEM_DISK: ["ResourceUnavailable.NotPortable"],
        OTHER_CODE + "ResourceUnavailable.NotSupported": ["InvalidDisk.NotSupported"],
    },
    "ModifyDiskExtraPerformance": {
        OTHER_CODE + "InvalidDisk.NotSupported": ["UnsupportedOperation"],
        "a limit takes no space": ["ResourceInsufficient"],
    },
    "ModifyDiskBackupQuota": {
        ORDERS: ["TradeDealConflict", "UnauthorizedOperation.NotHavePaymentRight"],
        "attached disks have backup points too": ["ResourceUnavailable.Attached"],
    },
    "ModifyDisksChargeType": {
        ORDERS: ["TradeDealConflict", "UnauthorizedOperation.NotHavePaymentRight"],
        SYSTEM_DISK: ["ResourceUnavailable.NotPortable"],
        OTHER_CODE + "ResourceUnavailable.NotSupported": ["InvalidDisk.NotSupported"],
    },
    "ModifyDisksRenewFlag": {
        OTHER_CODE + "InvalidDiskId.NotFound": ["ResourceNotFound.NotFound"],
    },
    "RenewDisk": {
        ORDERS: ["TradeDealConflict"],
        OTHER_CODE + "InternalError.ComponentError": ["InternalError"],
        SYSTEM_DISK: ["ResourceUnavailable.NotPortable"],
        OTHER_CODE + "ResourceUnavailable.NotSupported": ["InvalidDisk.NotSupported"],
        "test_gateway.py has the signatures that are refused": ["AuthFailure"],
    },
}

# Situations that last: the code and the parameters that meet it. `w` is the world below.

LASTING = {
    "CreateDisks": {
        "InvalidParameter.DiskConfigNotSupported": lambda w: HOURLY | {"DiskType": "CLOUD_TSSD", "DiskSize": 500},
        "InvalidParameter.InvalidClientToken": lambda w: HOURLY | {"DiskSize": 11, "ClientToken": w.token},
        "InvalidParameter.ProjectIdNotExist": lambda w: HOURLY | {"Placement": {"Zone": ZONE, "ProjectId": 77}},
        "InvalidParameterValue": lambda w: HOURLY | {"DiskSize": 9},
        "InvalidParameterValue.LimitExceeded": lambda w: HOURLY | {"DiskCount": 201},
        "InvalidInstanceId.NotFound": lambda w: HOURLY | {"AutoMountConfiguration": {"InstanceId": [NO_INSTANCE]}},
        "InvalidSnapshotId.NotFound": lambda w: HOURLY | {"SnapshotId": NO_SNAPSHOT},
        "LimitExceeded.InstanceAttachedDisk": lambda w: HOURLY
        | {"DiskCount": 3, "AutoMountConfiguration": {"InstanceId": [w.instance]}},
        "LimitExceeded.TagQuotaLimitExceeded": lambda w: HOURLY | {"Tags": TOO_MANY_TAGS},
        "MissingParameter": lambda w: {"Placement": {"Zone": ZONE}},
    },
    "DescribeDisks": {
        "InvalidFilter": lambda w: {"Filters": [{"Name": "colour", "Values": ["red"]}]},
        "InvalidParameterValue": lambda w: {"Limit": 101},
        "MissingParameter": lambda w: {"Filters": [{"Name": "zone"}]},
    },
    "ModifyDiskAttributes": {
        "InvalidDiskId.NotFound": lambda w: {"DiskIds": [w.disk, NO_DISK], "DiskName": "x"},
        "InvalidParameter.DiskConfigNotSupported": lambda w: {"DiskIds": [w.disk], "DiskType": "CLOUD_TSSD"},
        "InvalidParameterValue": lambda w: {"DiskIds": [w.disk], "DiskName": "x" * 61},
        "InvalidParameterValue.LimitExceeded": lambda w: {"DiskIds": many_disks(101), "DiskName": "x"},
        "MissingParameter": lambda w: {"DiskIds": [w.disk]},
        "ResourceNotFound.NotFound": lambda w: {"DiskIds": [w.disk], "ProjectId": 77},
        "ResourceUnavailable.NotSupported": lambda w: {"DiskIds": [w.disk], "Portable": False},
    },
    "ResizeDisk": {
        "InvalidDiskId.NotFound": lambda w: {"DiskId": NO_DISK, "DiskSize": 20},
        "InvalidParameterValue": lambda w: {"DiskId": w.disk, "DiskSize": 10},
        "MissingParameter": lambda w: {"DiskId": w.disk},
        "ResourceUnavailable.NotSupported": lambda w: {"DiskId": w.isolated, "DiskSize": 20},
    },
    "AttachDisks": {
        "InvalidDisk.NotPortable": lambda w: {"InstanceId": w.instance, "DiskIds": [w.system]},
        "InvalidDiskId.NotFound": lambda w: {"InstanceId": w.instance, "DiskIds": [NO_DISK]},
        "InvalidInstanceId.NotFound": lambda w: {"InstanceId": NO_INSTANCE, "DiskIds": [w.disk]},
        "InvalidParameterValue": lambda w: {"InstanceId": w.instance, "DiskIds": [w.disk, w.disk]},
        "InvalidParameterValue.LimitExceeded": lambda w: {"InstanceId": w.instance, "DiskIds": many_disks(11)},
        "LimitExceeded.InstanceAttachedDisk": lambda w: {"InstanceId": w.instance, "DiskIds": w.three},
        "MissingParameter": lambda w: {"InstanceId": w.instance},
        "ResourceUnavailable.NotSupported": lambda w: {"InstanceId": w.elsewhere, "DiskIds": [w.disk]},
    },
    "DetachDisks": {
        "InvalidDisk.NotPortable": lambda w: {"DiskIds": [w.system]},
        "InvalidDiskId.NotFound": lambda w: {"DiskIds": [w.attached, NO_DISK]},
        "InvalidInstanceId.NotFound": lambda w: {"DiskIds": [w.attached], "InstanceId": NO_INSTANCE},
        "InvalidParameterValue": lambda w: {"DiskIds": [w.attached, w.attached]},
        "InvalidParameterValue.LimitExceeded": lambda w: {"DiskIds": many_disks(11)},
        "MissingParameter": lambda w: {},
        "ResourceUnavailable.NotSupported": lambda w: {"DiskIds": [w.attached, w.disk]},
    },
    "DescribeInstancesDiskNum": {
        "InvalidParameterValue": lambda w: {"InstanceIds": [w.instance, w.instance]},
        "MissingParameter": lambda w: {"InstanceIds": []},
    },
    "DescribeDiskConfigQuota": {
        "InvalidParameterValue": lambda w: {"InquiryType": "INQUIRY_ALL"},
        "MissingParameter": lambda w: {"Zones": [ZONE]},
        "UnsupportedOperation": lambda w: {"InquiryType": "INQUIRY_CBS_CONFIG", "DedicatedClusterId": "cluster-1"},
    },
    "InitializeDisks": {"InvalidParameterValue.LimitExceeded": lambda w: {"DiskIds": many_disks(21)}},
    "TerminateDisks": {
        "InvalidParameterValue": lambda w: {"DiskIds": [w.disk], "DeleteSnapshot": 2},
        "InvalidParameterValue.LimitExceeded": lambda w: {"DiskIds": many_disks(51)},
        "MissingParameter": lambda w: {"DeleteSnapshot": 1},
        "ResourceUnavailable.NotSupported": lambda w: {"DiskIds": [w.disk, w.attached]},
    },
    "CreateSnapshot": {
        "InsufficientSnapshotQuota": lambda w: {"DiskId": w.exhausted},
        "InvalidDisk.NotSupportSnapshot": lambda w: {"DiskId": w.shareable},
        "InvalidDiskId.NotFound": lambda w: {"DiskId": NO_DISK},
        "MissingParameter": lambda w: {"SnapshotName": "of nothing"},
        "ResourceNotFound.NotFound": lambda w: {"DiskId": w.disk, "DiskBackupId": "dbp-00000000"},
        "ResourceUnavailable.NotSupported": lambda w: {"DiskId": w.isolated},
    },
    "DescribeSnapshots": {
        "InvalidFilter": lambda w: {"Filters": [{"Name": "colour", "Values": ["red"]}]},
        "InvalidParameterValue": lambda w: {"OrderField": "DEADLINE"},
        "MissingParameter": lambda w: {"Filters": [{"Values": ["NORMAL"]}]},
    },
    "ModifySnapshotAttribute": {
        "InvalidSnapshot.NotSupported": lambda w: {"SnapshotId": w.member, "Deadline": w.tomorrow},
        "UnsupportedOperation.SnapHasShared": lambda w: {"SnapshotId": w.shared, "Deadline": w.tomorrow},
        "UnsupportedOperation.SnapshotHasBindedImage": lambda w: {"SnapshotId": w.imaged, "Deadline": w.tomorrow},
        "InvalidParameterValue": lambda w: {"SnapshotId": w.snapshot, "Deadline": "2022-01-08T09:47:55+00:00"},
        "InvalidSnapshotId.NotFound": lambda w: {"SnapshotId": NO_SNAPSHOT, "SnapshotName": "x"},
        "MissingParameter": lambda w: {"SnapshotName": "x"},
    },
    "ApplySnapshot": {
        "InvalidDiskId.NotFound": lambda w: {"DiskId": NO_DISK, "SnapshotId": w.snapshot},
        "InvalidInstance.NotSupported": lambda w: w.roll_back_attached | {"AutoStopInstance": True},
        "InvalidParameterValue": lambda w: {"DiskId": w.attached, "SnapshotId": w.snapshot},
        "InvalidSnapshot.NotSupported": lambda w: {"DiskId": w.disk, "SnapshotId": w.copied},
        "InvalidSnapshotId.NotFound": lambda w: {"DiskId": w.disk, "SnapshotId": NO_SNAPSHOT},
        "MissingParameter": lambda w: {"DiskId": w.disk},
        "ResourceUnavailable.NotSupported": lambda w: w.roll_back_attached,
    },
    "DeleteSnapshots": {
        "InvalidSnapshot.NotSupported": lambda w: {"SnapshotIds": [w.member]},
        "UnsupportedOperation.SnapHasShared": lambda w: {"SnapshotIds": [w.shared]},
        "UnsupportedOperation.SnapshotHasBindedImage": lambda w: {"SnapshotIds": [w.imaged]},
        "InvalidParameterValue": lambda w: {"SnapshotIds": [w.snapshot, w.snapshot]},
        "InvalidSnapshotId.NotFound": lambda w: {"SnapshotIds": [w.snapshot, NO_SNAPSHOT]},
        "MissingParameter": lambda w: {},
    },
    "GetSnapOverview": {},
    "InquiryPriceCreateDisks": {
        "InvalidParameterValue": lambda w: FLAT_HOURLY | {"DiskSize": 9},
        "MissingParameter": lambda w: FLAT_HOURLY | {"DiskChargeType": "PREPAID"},
    },
    "InquiryPriceResizeDisk": {
        "InvalidDisk.Expire": lambda w: {"DiskId": w.isolated, "DiskSize": 20},
        "InvalidDisk.NotPortable": lambda w: {"DiskId": w.system, "DiskSize": 20},
        "InvalidParameterValue": lambda w: {"DiskId": w.disk, "DiskIds": [w.disk], "DiskSize": 20},
        "MissingParameter": lambda w: {"DiskSize": 20},
    },
    "InquirePriceModifyDiskExtraPerformance": {
        "InvalidParameter": lambda w: {"DiskId": w.fast, "ThroughputPerformance": "much"},
        "InvalidParameterValue": lambda w: {"DiskId": w.fast, "ThroughputPerformance": 651},
        "MissingParameter": lambda w: {"DiskId": w.fast},
        "ResourceUnavailable.NotSupported": lambda w: {"DiskId": w.disk, "ThroughputPerformance": 1},
    },
    "InquirePriceModifyDiskBackupQuota": {
        "InvalidDisk.NotSupported": lambda w: {"DiskId": w.isolated, "DiskBackupQuota": 1},
        "InvalidDiskId.NotFound": lambda w: {"DiskId": NO_DISK, "DiskBackupQuota": 1},
        "InvalidParameter": lambda w: {"DiskId": w.disk, "DiskBackupQuota": "many"},
    },
    "InquiryPriceRenewDisks": {
        "InvalidDisk.NotPortable": lambda w: {"DiskIds": [w.system], "DiskChargePrepaids": [MONTH]},
        "InvalidDiskId.NotFound": lambda w: {"DiskIds": [NO_DISK], "DiskChargePrepaids": [MONTH]},
        "InvalidParameterValue": lambda w: {"DiskIds": [w.prepaid], "DiskChargePrepaids": [MONTH, MONTH]},
        "MissingParameter": lambda w: {"DiskIds": [w.prepaid]},
        "ResourceNotFound.NotFound": lambda w: {
            "DiskIds": [w.prepaid],
            "DiskChargePrepaids": [MONTH],
            "ProjectId": 77,
        },
        "ResourceUnavailable.NotSupported": lambda w: {"DiskIds": [w.disk], "DiskChargePrepaids": [MONTH]},
    },
    "ModifyDiskExtraPerformance": {
        "InvalidDisk.Expire": lambda w: {"DiskId": w.isolated, "ThroughputPerformance": 1},
        "InvalidDisk.NotSupported": lambda w: {"DiskId": w.disk, "ThroughputPerformance": 1},
        "InvalidDiskId.NotFound": lambda w: {"DiskId": NO_DISK, "ThroughputPerformance": 1},
        "InvalidParameter": lambda w: {"DiskId": w.fast, "ThroughputPerformance": "much"},
    },
    "ModifyDiskBackupQuota": {
        "InvalidParameter": lambda w: {"DiskId": w.disk, "DiskBackupQuota": "many"},
        "ResourceNotFound.NotFound": lambda w: {"DiskId": NO_DISK, "DiskBackupQuota": 1},
        "ResourceUnavailable.NotSupported": lambda w: {"DiskId": w.isolated, "DiskBackupQuota": 1},
    },
    "ModifyDisksChargeType": {
        "InvalidDisk.NotPortable": lambda w: {"DiskIds": [w.system], "DiskChargePrepaid": MONTH},
        "InvalidDiskId.NotFound": lambda w: {"DiskIds": [w.disk, NO_DISK], "DiskChargePrepaid": MONTH},
        "InvalidParameter": lambda w: {"DiskIds": [w.disk], "DiskChargePostpaid": "perhaps"},
        "InvalidParameterValue": lambda w: {"DiskIds": [w.disk], "DiskChargePrepaid": {"Period": 13}},
        "MissingParameter": lambda w: {"DiskIds": [w.disk]},
        "ResourceUnavailable.NotSupported": lambda w: {"DiskIds": [w.disk, w.isolated], "DiskChargePrepaid": MONTH},
    },
    "ModifyDisksRenewFlag": {
        "InvalidDiskId.NotFound": lambda w: AUTO | {"DiskIds": [w.prepaid, NO_DISK]},
        "InvalidParameterValue": lambda w: AUTO | {"DiskIds": [w.prepaid, w.disk]},
        "InvalidParameterValue.LimitExceeded": lambda w: AUTO | {"DiskIds": many_disks(101)},
        "MissingParameter": lambda w: {"DiskIds": [w.prepaid]},
    },
    "RenewDisk": {
        "InvalidDisk.NotPortable": lambda w: {"DiskId": w.system, "DiskChargePrepaid": MONTH},
        "InvalidDiskId.NotFound": lambda w: {"DiskId": NO_DISK, "DiskChargePrepaid": MONTH},
        "InvalidParameter": lambda w: {"DiskId": w.prepaid, "DiskChargePrepaid": {"Period": "long"}},
        "InvalidParameterValue": lambda w: {"DiskId": w.prepaid, "DiskChargePrepaid": {"Period": 13}},
        "MissingParameter": lambda w: {"DiskId": w.prepaid},
        "ResourceUnavailable.NotSupported": lambda w: {"DiskId": w.disk, "DiskChargePrepaid": MONTH},
    },
}

# What an account without money is refused.

TOO_DEAR = {
    "CreateDisks": lambda w: HOURLY,
    "ModifyDiskAttributes": lambda w: {"DiskIds": [w.prepaid], "DiskType": "CLOUD_SSD"},
    "ResizeDisk": lambda w: {"DiskId": w.prepaid, "DiskSize": 30},
    "ModifyDiskExtraPerformance": lambda w: {"DiskId": w.fast, "ThroughputPerformance": 10},
    "ModifyDiskBackupQuota": lambda w: {"DiskId": w.prepaid, "DiskBackupQuota": 1},
    "ModifyDisksChargeType": lambda w: {"DiskIds": [w.disk], "DiskChargePrepaid": MONTH},
    "RenewDisk": lambda w: {"DiskId": w.prepaid, "DiskChargePrepaid": MONTH},
}

for part in (situations_policies, situations_snapshots):
    UNREACHABLE |= part.UNREACHABLE
    LASTING |= part.LASTING

# Situations that pass: what another caller does meanwhile, the code, and the parameters that meet it. Where the
# call may succeed in between, it leaves the disk as it needs it: a second, attached disk makes it fail.

PASSING = {
    ("CreateDisks", "ResourceBusy"): ("rolls back", lambda w: HOURLY | {"SnapshotId": w.snapshot}),
    ("ModifyDiskAttributes", "ResourceInUse.DiskMigrating"): (
        "changes the type",
        lambda w: {"DiskIds": [w.disk], "DiskType": "CLOUD_BASIC"},
    ),
    ("ResizeDisk", "InvalidDisk.Busy"): ("rolls back", lambda w: {"DiskId": w.disk, "DiskSize": w.larger()}),
    ("InquirePriceModifyDiskBackupQuota", "InvalidDisk.Busy"): (
        "rolls back",
        lambda w: {"DiskId": w.disk, "DiskBackupQuota": 1},
    ),
    ("ModifyDiskExtraPerformance", "InvalidDisk.Busy"): (
        "grows fast",
        lambda w: {"DiskId": w.fast, "ThroughputPerformance": 10},
    ),
    ("ModifyDisksChargeType", "InvalidDisk.Busy"): (
        "rolls back",
        lambda w: {"DiskIds": [w.disk, w.isolated], "DiskChargePrepaid": MONTH},
    ),
    ("RenewDisk", "InvalidDisk.Busy"): ("rolls back", lambda w: {"DiskId": w.disk, "DiskChargePrepaid": MONTH}),
    ("AttachDisks", "ResourceBusy"): (
        "rolls back",
        lambda w: {"InstanceId": w.instance, "DiskIds": [w.disk, w.attached]},
    ),
    ("AttachDisks", "ResourceInUse.DiskMigrating"): (
        "changes the type",
        lambda w: {"InstanceId": w.instance, "DiskIds": [w.disk, w.attached]},
    ),
    ("DetachDisks", "ResourceBusy"): ("rolls back", lambda w: {"DiskIds": [w.disk]}),
    ("DetachDisks", "ResourceInUse.DiskMigrating"): ("changes the type", lambda w: {"DiskIds": [w.disk]}),
    ("InitializeDisks", "ResourceBusy"): ("rolls back", lambda w: {"DiskIds": [w.disk, w.attached]}),
    ("TerminateDisks", "ResourceBusy"): ("rolls back", lambda w: {"DiskIds": [w.disk, w.attached]}),
    ("CreateSnapshot", "ResourceBusy"): ("grows", lambda w: {"DiskId": w.disk}),
    ("CreateSnapshot", "ResourceInUse.DiskMigrating"): ("changes the type", lambda w: {"DiskId": w.disk}),
    ("CreateSnapshot", "ResourceInUse.DiskRollbacking"): ("rolls back", lambda w: {"DiskId": w.disk}),
    ("CreateSnapshot", "ResourceUnavailable.DiskBackupCreating"): ("takes backups", lambda w: {"DiskId": w.spare}),
    ("ApplySnapshot", "ResourceBusy"): ("grows", lambda w: {"DiskId": w.disk, "SnapshotId": w.snapshot}),
    ("ApplySnapshot", "ResourceInUse.DiskRollbacking"): (
        "rolls back",
        lambda w: {"DiskId": w.disk, "SnapshotId": w.other_snapshot},
    ),
    ("DeleteSnapshots", "ResourceBusy"): ("rolls back", lambda w: {"SnapshotIds": [w.snapshot, NO_SNAPSHOT]}),
} | situations_snapshots.PASSING


class World:
    """What the situations speak of, on a server of its own."""

    def __init__(self, server):
        self.server, self.cloud, self.raw = server, Cloud(server), RawHttp(server)
        self.instance = server.add_instance(zone=ZONE)
        self.elsewhere = server.add_instance(zone=OTHER_ZONE)
        self.token = "used"
        (self.disk,) = self.cloud.call("CreateDisks", **HOURLY, ClientToken=self.token)["DiskIdSet"]
        self.snapshot = self.cloud.create_snapshot(self.disk)
        self.other_snapshot = self.cloud.create_snapshot(self.disk)
        self.attached, self.exhausted, *self.three = self.cloud.create_disks(count=5)
        attached_snapshot = self.cloud.create_snapshot(self.attached)
        self.roll_back_attached = {"DiskId": self.attached, "SnapshotId": attached_snapshot}
        self.cloud.attach(self.instance, self.attached)
        self.exhausting = [self.cloud.create_snapshot(self.exhausted) for _ in range(8)]
        self.isolated = self.cloud.create_disk(DiskChargeType="PREPAID", DiskChargePrepaid={"Period": 1})
        self.cloud.call("TerminateDisks", DiskIds=[self.isolated])
        situations_snapshots.prepare(self)
        situations_policies.prepare(self)
        self.prepaid = self.cloud.create_disk(DiskSize=20, DiskChargeType="PREPAID", DiskChargePrepaid=MONTH)
        self.fast = self.cloud.create_disk(DiskType="CLOUD_HSSD", DiskSize=500)
        self.shareable = self.cloud.create_disk(Shareable=True)
        self._sizes, self._exhausted_sizes, self._fast_sizes = count(11), count(11), count(501)

    def set_balance(self, amount):
        """Limits the account, or lets it spend without limit."""
        words = ["set", amount] if amount else ["unlimited"]
        done = run_ashlar("balance", *words, "--account", ACCOUNT, "--data-dir", self.server.data_dir)
        assert done.returncode == 0, done.stderr

    def larger(self):
        """A size that the disk never had."""
        return next(self._sizes)

    def call(self, action, parameters):
        """The answer, be it an error; what it made of a disk is deleted, so that there is room for the next."""
        answer = self.raw.tc3(action, json.dumps(parameters).encode())
        if made := answer.get("SnapshotId"):
            self.raw.tc3("DeleteSnapshots", json.dumps({"SnapshotIds": [made]}).encode())
        if action == "CreateSnapshotGroup" and (made := answer.get("SnapshotGroupId")):
            self.raw.tc3("DeleteSnapshotGroup", json.dumps({"SnapshotGroupId": made}).encode())
        if action == "CreateDiskBackup" and (made := answer.get("DiskBackupId")):
            self.raw.tc3("DeleteDiskBackups", json.dumps({"DiskBackupIds": [made]}).encode())
        return answer

    def meanwhile(self, what):
        """One step of the other caller, on `disk`."""
        if what == "rolls back":
            self.call("ApplySnapshot", {"DiskId": self.disk, "SnapshotId": self.snapshot})
        elif what == "takes backups":
            self.call("CreateDiskBackup", {"DiskId": self.spare})
        elif what == "rolls back to a backup":
            self.call("ApplyDiskBackup", self.roll_back_to_backup)
        elif what == "copies":
            wanted = {"SnapshotId": self.snapshot, "DestinationRegions": ["ap-hongkong"]}
            self.call("CopySnapshotCrossRegions", wanted)
        elif what == "grows in a machine":
            self.call("ResizeDisk", {"DiskId": self.exhausted, "DiskSize": next(self._exhausted_sizes)})
        elif what == "grows":
            self.call("ResizeDisk", {"DiskId": self.disk, "DiskSize": self.larger()})
        elif what == "grows fast":
            self.call("ResizeDisk", {"DiskId": self.fast, "DiskSize": next(self._fast_sizes)})
        elif what in ("changes the type", "changes the type in a machine"):
            disk = self.disk if what == "changes the type" else self.exhausted
            for disk_type in ("CLOUD_BASIC", "CLOUD_PREMIUM"):
                self.call("ModifyDiskAttributes", {"DiskIds": [disk], "DiskType": disk_type})
        else:
            raise AssertionError(what)

    def listed(self):
        """Everything that a refused call could have changed."""
        disks = self.call("DescribeDisks", {"Limit": 100})["DiskSet"]
        snapshots = self.call("DescribeSnapshots", {"Limit": 100})["SnapshotSet"]
        return disks, snapshots, situations_policies.listed(self), situations_snapshots.listed(self)


@pytest.fixture(scope="module")
def world(module_servers):
    """The world, on a server with small quotas."""
    return World(module_servers.start(CONFIG))


def test_the_tables_are_exactly_what_the_reference_lists(world):
    there = {action for action in DOCUMENTED if world.call(action, {}).get("Error", {}).get("Code") != "InvalidAction"}
    for action in there:
        codes = DOCUMENTED[action]
        unreachable = [code for reason in UNREACHABLE[action].values() for code in reason]
        passing = [code for other, code in PASSING if other == action]
        dear = ["InvalidAccount.InsufficientBalance"] if action in TOO_DEAR else []
        in_process = IN_PROCESS.get(action, [])
        assert sorted([*unreachable, *LASTING[action], *passing, *dear, *in_process]) == sorted(codes), action
    assert there == set(UNREACHABLE) == set(LASTING)
    assert {action for action, _ in PASSING} | set(IN_PROCESS) <= there


@pytest.mark.parametrize(
    ("action", "code"), [(action, code) for action, situations in LASTING.items() for code in situations]
)
def test_a_documented_error_of_a_lasting_situation(world, action, code):
    before = world.listed()
    answer = world.call(action, LASTING[action][code](world))
    assert "Error" in answer, answer
    assert answer["Error"]["Code"] == code, answer["Error"]["Message"]
    assert "`" in answer["Error"]["Message"], "the message names the parameter or resource"
    assert world.listed() == before, "a refused call changes nothing"


@pytest.mark.parametrize("action", TOO_DEAR)
def test_an_account_without_money_is_told_so(world, action):
    world.set_balance("0")
    try:
        before = world.listed()
        answer = world.call(action, TOO_DEAR[action](world))
        assert answer["Error"]["Code"] == "InvalidAccount.InsufficientBalance", answer
        assert world.listed() == before, "a refused call changes nothing"
    finally:
        world.set_balance(None)


@pytest.mark.parametrize(("action", "code"), PASSING)
def test_a_documented_error_of_a_passing_situation(world, action, code):
    what, parameters = PASSING[action, code]
    done, seen = threading.Event(), set()

    def other_caller():
        while not done.is_set():
            world.meanwhile(what)

    def met():
        seen.add(world.call(action, parameters(world)).get("Error", {}).get("Code"))
        return code in seen

    caller = threading.Thread(target=other_caller)
    caller.start()
    try:
        wait_until(met, f"{action} is refused with {code}", poll_s=0)
    finally:
        done.set()
        caller.join()
        print("seen:", seen)
    assert seen <= {None, *DOCUMENTED[action], *COMMON}, seen
    wait_until(lambda: world.cloud.disk(world.disk)["DiskState"] == "UNATTACHED", "the disk is at rest")
