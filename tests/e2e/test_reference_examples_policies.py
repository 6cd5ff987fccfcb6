"""The worked examples of scheduled snapshot policies."""

import pytest

from harness.accounts import new_key
from harness.cloud import Cloud
from harness.examples import ENCODINGS, Example, Tenant, check_answer, new_account, send

EXAMPLES = {
    "CreateAutoSnapshotPolicy": Example(
        "CreateAutoSnapshotPolicy",
        '{"AutoSnapshotPolicyName": "backup_data_friday", "Policy": [{"DayOfWeek": [4], "Hour": [0]}]}',
        '{"AutoSnapshotPolicyId": "asp-1lebc9r3", "NextTriggerTime": "2018-08-08 16:00:00"}',
    ),
    "ModifyAutoSnapshotPolicyAttribute 1": Example(
        "ModifyAutoSnapshotPolicyAttribute",
        """{"AutoSnapshotPolicyId": "asp-nqu08k21", "AutoSnapshotPolicyName": "data_disk_auto_snapshot",
            "IsPermanent": "TRUE"}""",
        "{}",
    ),
    "ModifyAutoSnapshotPolicyAttribute 2": Example(
        "ModifyAutoSnapshotPolicyAttribute", '{"AutoSnapshotPolicyId": "asp-01928374", "IsActivated": "true"}'
    ),
    "BindAutoSnapshotPolicy": Example(
        "BindAutoSnapshotPolicy", "AutoSnapshotPolicyId=asp-mrsrn243&DiskIds.0=disk-dw0bbzws"
    ),
    "UnbindAutoSnapshotPolicy": Example(
        "UnbindAutoSnapshotPolicy", "AutoSnapshotPolicyId=asp-mrsrn243&DiskIds.0=disk-dw0bbzws"
    ),
    "DeleteAutoSnapshotPolicies": Example(
        "DeleteAutoSnapshotPolicies", "AutoSnapshotPolicyIds.0=asp-mrsrn243&AutoSnapshotPolicyIds.1=asp-3lp17ev3"
    ),
    "DescribeAutoSnapshotPolicies": Example(
        "DescribeAutoSnapshotPolicies",
        '{"Filters": [{"Name": "auto-snapshot-policy-state", "Values": ["NORMAL"]}]}',
        """{"AutoSnapshotPolicySet": [{
            "DiskIdSet": [], "IsActivated": true, "AdvancedRetentionPolicy": null, "IsCopyToRemote": 0,
            "IsPermanent": false, "AutoSnapshotPolicyState": "NORMAL", "Tags": [],
            "NextTriggerTime": "2023-03-03 07:00:00", "AutoSnapshotPolicyName": "default-policy",
            "AutoSnapshotPolicyId": "asp-3stvwfxx", "CopyFromAccountUin": null, "InstanceIdSet": [],
            "RetentionAmount": 0, "RetentionDays": 15, "Policy": [{"DayOfWeek": [6, 5], "Hour": [7]}],
            "RetentionMonths": 0, "CreateTime": "2022-05-16 14:00:48", "CopyToAccountUin": null
        }], "TotalCount": 1}""",
        free={"DayOfWeek": "days are a set; they are shown in order"},
    ),
    "DescribeDiskAssociatedAutoSnapshotPolicy": Example(
        "DescribeDiskAssociatedAutoSnapshotPolicy",
        "DiskId=disk-dw0bbzws",
        """{"AutoSnapshotPolicySet": [{
            "DiskIdSet": [], "IsActivated": true, "AdvancedRetentionPolicy": null, "IsCopyToRemote": 0,
            "IsPermanent": false, "AutoSnapshotPolicyState": "NORMAL", "NextTriggerTime": "2023-02-24 23:00:00",
            "AutoSnapshotPolicyName": "Orch-data-1h-3d", "AutoSnapshotPolicyId": "asp-3drodm1k",
            "CopyFromAccountUin": null, "InstanceIdSet": [], "RetentionAmount": 0, "RetentionDays": 3,
            "Policy": [{"DayOfWeek": [0, 1, 2, 3, 4, 5, 6], "Hour": [
                0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23
            ]}], "RetentionMonths": 0,
            "CreateTime": "2023-02-15 16:56:04", "CopyToAccountUin": null
        }], "TotalCount": 1}""",
    ),
    # Newer than the pages: the example of the newest description. The second of its two inputs is another call's.
    "CopyAutoSnapshotPolicyCrossAccount": Example(
        "CopyAutoSnapshotPolicyCrossAccount",
        '{"AutoSnapshotPolicyIds": ["asp-1h6gs2"], "TargetAccountUin": "1044849112"}',
        '{"AutoSnapshotPolicyIds": ["asp-1h6gs2"], "TargetAccountUin": "1044849112"}',
    ),
}


class World(Tenant):
    """Policies and disks for one example."""

    def make(self, **parameters):
        """A policy."""
        wanted = {"Policy": [{"Hour": [0], "DayOfWeek": [4]}]} | parameters
        return self.cloud.call("CreateAutoSnapshotPolicy", **wanted)["AutoSnapshotPolicyId"]

    def bound(self, **parameters):
        """A policy and a disk that is bound to it."""
        policy, disk = self.make(**parameters), self.disk()
        self.cloud.call("BindAutoSnapshotPolicy", AutoSnapshotPolicyId=policy, DiskIds=[disk])
        return policy, disk

    def shown(self, policy):
        """What DescribeAutoSnapshotPolicies says of a policy; None if there is none."""
        found = self.cloud.call("DescribeAutoSnapshotPolicies", AutoSnapshotPolicyIds=[policy])["AutoSnapshotPolicySet"]
        return found[0] if found else None

    def prepare(self, name):
        """The ids that stand in for the page's."""
        if name == "ModifyAutoSnapshotPolicyAttribute 1":
            return {"asp-nqu08k21": self.make()}
        if name == "ModifyAutoSnapshotPolicyAttribute 2":
            return {"asp-01928374": self.make(IsActivated=False)}
        if name == "BindAutoSnapshotPolicy":
            return {"asp-mrsrn243": self.make(), "disk-dw0bbzws": self.disk()}
        if name == "UnbindAutoSnapshotPolicy":
            return dict(zip(("asp-mrsrn243", "disk-dw0bbzws"), self.bound(), strict=True))
        if name == "DeleteAutoSnapshotPolicies":
            return {"asp-mrsrn243": self.make(), "asp-3lp17ev3": self.make()}
        if name == "DescribeAutoSnapshotPolicies":
            wanted = {"AutoSnapshotPolicyName": "default-policy", "RetentionDays": 15}
            return {"asp-3stvwfxx": self.make(Policy=[{"DayOfWeek": [6, 5], "Hour": [7]}], **wanted)}
        if name == "DescribeDiskAssociatedAutoSnapshotPolicy":
            wanted = {"AutoSnapshotPolicyName": "Orch-data-1h-3d", "RetentionDays": 3}
            every_hour = [{"DayOfWeek": list(range(7)), "Hour": list(range(24))}]
            policy, disk = self.bound(Policy=every_hour, **wanted)
            return {"asp-3drodm1k": policy, "disk-dw0bbzws": disk}
        if name == "CopyAutoSnapshotPolicyCrossAccount":
            return {"asp-1h6gs2": self.make(), "1044849112": new_account(self.server)}
        return {}

    def check_effect(self, name, ids, answer):
        """What the example's page says that the call does."""
        real = list(ids.values())
        if name == "CreateAutoSnapshotPolicy":
            found = self.shown(answer["AutoSnapshotPolicyId"])
            assert (found["AutoSnapshotPolicyName"], found["RetentionDays"]) == ("backup_data_friday", 7)
            assert found["Policy"] == [{"DayOfWeek": [4], "Hour": [0]}]
            assert found["NextTriggerTime"] == answer["NextTriggerTime"]
        elif name == "ModifyAutoSnapshotPolicyAttribute 1":
            found = self.shown(*real)
            assert (found["AutoSnapshotPolicyName"], found["IsPermanent"]) == ("data_disk_auto_snapshot", True)
        elif name == "ModifyAutoSnapshotPolicyAttribute 2":
            assert self.shown(*real)["IsActivated"] is True
        elif name == "BindAutoSnapshotPolicy":
            assert self.shown(real[0])["DiskIdSet"] == real[1:]
        elif name == "UnbindAutoSnapshotPolicy":
            assert self.shown(real[0])["DiskIdSet"] == []
        elif name == "DeleteAutoSnapshotPolicies":
            assert [self.shown(policy) for policy in real] == [None, None]
        elif name == "CopyAutoSnapshotPolicyCrossAccount":
            theirs = Cloud(self.server, secret=new_key(self.server, "--account", real[1]))
            (copy,) = theirs.call("DescribeAutoSnapshotPolicies")["AutoSnapshotPolicySet"]
            assert copy["CopyFromAccountUin"] == self.account
        elif name == "DescribeAutoSnapshotPolicies":
            assert answer["AutoSnapshotPolicySet"][0]["Policy"][0]["DayOfWeek"] == [5, 6]
        else:
            assert name.startswith("Describe"), f"no check for {name}"


@pytest.mark.parametrize("written", ENCODINGS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_about_policies_is_answered_as_documented(server, name, written):
    example, world = EXAMPLES[name], World(server)
    ids = world.prepare(name)
    answer = send(world.raw, example, ids, written)
    check_answer(example, ids, answer)
    world.check_effect(name, ids, answer)
