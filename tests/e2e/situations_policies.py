"""The documented error codes of scheduled snapshot policies: part of the tables of `test_reference_errors.py`."""

from harness.accounts import new_key
from harness.cloud import Cloud
from harness.server import ZONE

NO_POLICY, NO_DISK, NO_INSTANCE = "asp-00000000", "disk-00000000", "ins-00000000"
MIDNIGHT = {"Policy": [{"Hour": [0], "DayOfWeek": [1]}]}

# Small quotas, so that few calls exhaust them.
LIMITS = """snapshot_policies_per_region = 3
disks_per_policy = 2
"""

CHARGES = "policies cost nothing"
OTHER_CODE = "another listed code says the same: "
SIGNATURE = "every action answers it to a wrong signature: test_gateway.py has it"
NO_BUSY = "policies are changed at once"

UNREACHABLE = {
    "CreateAutoSnapshotPolicy": {CHARGES: ["InvalidAccount.InsufficientBalance"]},
    "ModifyAutoSnapshotPolicyAttribute": {
        CHARGES: ["InvalidAccount.InsufficientBalance"],
    },
    "DeleteAutoSnapshotPolicies": {SIGNATURE: ["AuthFailure"]},
    "DescribeAutoSnapshotPolicies": {"nothing that can be asked is refused as such": ["UnsupportedOperation"]},
    "BindAutoSnapshotPolicy": {},
    "UnbindAutoSnapshotPolicy": {},
    "DescribeDiskAssociatedAutoSnapshotPolicy": {
        SIGNATURE: ["UnauthorizedOperation.InvalidToken"],
        "a disk that does not exist has no policies": ["UnsupportedOperation", "InvalidParameterValue"],
    },
    "CopyAutoSnapshotPolicyCrossAccount": {
        CHARGES: ["InvalidAccount.InsufficientBalance"],
        OTHER_CODE + "InternalError.FailQueryResource": ["InternalError.ComponentError"],
        NO_BUSY: ["ResourceBusy", "ResourceInsufficient"],
        "the action exists": ["InvalidParameterValue.InvalidAction"],
        SIGNATURE: ["UnauthorizedOperation", "UnauthorizedOperation.AuthFailure"],
    },
}

LASTING = {
    "CreateAutoSnapshotPolicy": {
        "InvalidParameterValue": lambda w: MIDNIGHT | {"IsPermanent": True, "RetentionDays": 3},
        "InvalidParameterValue.LimitExceeded": lambda w: {"Policy": MIDNIGHT["Policy"] * 11},
        "LimitExceeded.AutoSnapshotPolicyOutOfQuota": lambda w: MIDNIGHT,
        "MissingParameter": lambda w: {"Policy": [{"Hour": [1]}]},
    },
    "ModifyAutoSnapshotPolicyAttribute": {
        "InvalidAutoSnapshotPolicyId.NotFound": lambda w: {"AutoSnapshotPolicyId": NO_POLICY, "IsActivated": True},
        "InvalidParameter": lambda w: {"AutoSnapshotPolicyId": "policy", "IsActivated": True},
        "MissingParameter": lambda w: {"AutoSnapshotPolicyId": w.policy},
        "UnsupportedOperation.StateError": lambda w: {"AutoSnapshotPolicyId": w.stopped, "IsActivated": True},
    },
    "DeleteAutoSnapshotPolicies": {
        "InvalidAutoSnapshotPolicyId.NotFound": lambda w: {"AutoSnapshotPolicyIds": [w.policy, NO_POLICY]},
        "InvalidParameterValue": lambda w: {"AutoSnapshotPolicyIds": [w.policy, w.policy]},
        "InvalidParameterValue.LimitExceeded": lambda w: {
            "AutoSnapshotPolicyIds": [f"asp-{number:08}" for number in range(101)]
        },
        "MissingParameter": lambda w: {},
    },
    "DescribeAutoSnapshotPolicies": {
        "InvalidFilter": lambda w: {"Filters": [{"Name": "color", "Values": ["red"]}]},
        "InvalidParameterValue": lambda w: {"Limit": 101},
        "MissingParameter": lambda w: {"Filters": [{"Name": "auto-snapshot-policy-name"}]},
    },
    "BindAutoSnapshotPolicy": {
        "InvalidAutoSnapshotPolicyId.NotFound": lambda w: {"AutoSnapshotPolicyId": NO_POLICY, "DiskIds": [w.disk]},
        "InvalidDisk.AlreadyBound": lambda w: {"AutoSnapshotPolicyId": w.policy, "DiskIds": [w.bound]},
        "InvalidDisk.NotSupported": lambda w: {"AutoSnapshotPolicyId": w.policy, "DiskIds": [w.isolated]},
        "InvalidDiskId.NotFound": lambda w: {"AutoSnapshotPolicyId": w.policy, "DiskIds": [w.disk, NO_DISK]},
        "InvalidParameterValue": lambda w: {"AutoSnapshotPolicyId": w.policy, "DiskIds": [w.disk, w.disk]},
        "InvalidParameterValue.BindDiskLimitExceeded": lambda w: {
            "AutoSnapshotPolicyId": w.policy,
            "DiskIds": [w.disk, w.attached],
        },
        "InvalidParameterValue.LimitExceeded": lambda w: {
            "AutoSnapshotPolicyId": w.policy,
            "DiskIds": [f"disk-{number:08}" for number in range(81)],
        },
        "MissingParameter": lambda w: {"AutoSnapshotPolicyId": w.policy},
        "ResourceNotFound.NotFound": lambda w: {"AutoSnapshotPolicyId": w.policy, "InstanceIds": [NO_INSTANCE]},
        "ResourceUnavailable.NotSupported": lambda w: {"AutoSnapshotPolicyId": w.stopped, "DiskIds": [w.disk]},
    },
    "UnbindAutoSnapshotPolicy": {
        "InvalidAutoSnapshotPolicyId.NotFound": lambda w: {"AutoSnapshotPolicyId": NO_POLICY, "DiskIds": [w.bound]},
        "InvalidDiskId.NotFound": lambda w: {"AutoSnapshotPolicyId": w.policy, "DiskIds": [w.bound, NO_DISK]},
        "InvalidParameterValue": lambda w: {"AutoSnapshotPolicyId": w.policy, "DiskIds": [w.bound, w.bound]},
        "MissingParameter": lambda w: {"AutoSnapshotPolicyId": w.policy},
        "ResourceUnavailable.NotSupported": lambda w: {"AutoSnapshotPolicyId": w.stopped, "DiskIds": [w.disk]},
    },
    "DescribeDiskAssociatedAutoSnapshotPolicy": {"MissingParameter": lambda w: {}},
    "CopyAutoSnapshotPolicyCrossAccount": {
        "InvalidAutoSnapshotPolicyId.NotFound": lambda w: {
            "AutoSnapshotPolicyIds": [NO_POLICY],
            "TargetAccountUin": "1",
        },
        "InvalidParameter": lambda w: {"AutoSnapshotPolicyIds": [w.policy], "TargetAccountUin": "nobody"},
        "MissingParameter": lambda w: {"AutoSnapshotPolicyIds": [w.policy]},
        "ResourceInsufficient.OverQuota": lambda w: {
            "AutoSnapshotPolicyIds": [w.policy],
            "TargetAccountUin": w.accounts[1],
        },
    },
}


def prepare(world):
    """Fills the quota of policies here and in the second account, binds one disk to the first of them, and stops the
    second one."""
    made = [world.cloud.call("CreateAutoSnapshotPolicy", **MIDNIGHT)["AutoSnapshotPolicyId"] for _ in range(3)]
    world.policy = made[0]
    world.bound = world.cloud.create_disk(Placement={"Zone": ZONE})
    world.cloud.call("BindAutoSnapshotPolicy", AutoSnapshotPolicyId=world.policy, DiskIds=[world.bound])
    world.stopped = made[1]
    world.server.admin("schedule", "isolate", world.stopped)
    full = Cloud(world.server, secret=new_key(world.server, "--account", world.accounts[1]))
    for _ in range(3):
        full.call("CreateAutoSnapshotPolicy", **MIDNIGHT)


def listed(world):
    """What a refused call could have changed."""
    return world.call("DescribeAutoSnapshotPolicies", {"Limit": 100})["AutoSnapshotPolicySet"]
