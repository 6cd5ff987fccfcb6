"""Scheduled snapshot policies: their records. Nothing fires yet."""

from datetime import datetime, timedelta, timezone

import pytest

from harness.cloud import Cloud
from harness.server import OTHER_ZONE


@pytest.fixture(scope="module")
def server(module_servers):
    """A server whose accounts may have many policies."""
    return module_servers.start('rate_limits = "off"\n[limits]\nsnapshot_policies_per_region = 100\n')


@pytest.fixture
def make(cloud):
    """Makes policies that are gone after the test."""
    made = []

    def create(**parameters):
        wanted = {"Policy": [{"Hour": [0], "DayOfWeek": [4]}]} | parameters
        answer = cloud.call("CreateAutoSnapshotPolicy", **wanted)
        made.append(answer["AutoSnapshotPolicyId"])
        return answer["AutoSnapshotPolicyId"]

    yield create
    there = [policy for policy in made if shown(cloud, policy)]
    if there:
        cloud.call("DeleteAutoSnapshotPolicies", AutoSnapshotPolicyIds=there)


def shown(cloud, policy):
    """What DescribeAutoSnapshotPolicies says of a policy; None if there is none."""
    answer = cloud.call("DescribeAutoSnapshotPolicies", AutoSnapshotPolicyIds=[policy])
    assert answer["TotalCount"] == len(answer["AutoSnapshotPolicySet"]) <= 1
    return answer["AutoSnapshotPolicySet"][0] if answer["AutoSnapshotPolicySet"] else None


def now():
    """The time on the walls of the service's zone."""
    return datetime.now(timezone(timedelta(hours=8))).replace(tzinfo=None)


def next_time(fits, hours):
    """The next full hour that fits, found by looking at each of them."""
    time = now().replace(minute=0, second=0, microsecond=0)
    while True:
        time += timedelta(hours=1)
        if time.hour in hours and fits(time):
            return time.strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        ({"DayOfWeek": [0, 3]}, lambda time: time.isoweekday() % 7 in (0, 3)),
        ({"DayOfMonth": [1, 15, 31]}, lambda time: time.day in (1, 15, 31)),
        ({"IntervalDays": 1}, lambda time: True),
    ],
)
def test_the_next_time_is_exact(cloud, make, rule, fits):
    hours = [0, 7, 13, 22]
    expected = next_time(fits, hours)
    wanted = {"Policy": [rule | {"Hour": hours}]}
    dry = cloud.call("CreateAutoSnapshotPolicy", DryRun=True, **wanted)
    policy = make(**wanted)
    found = shown(cloud, policy)["NextTriggerTime"]
    # The hour may turn between the calls.
    assert {dry["NextTriggerTime"], found} <= {expected, next_time(fits, hours)}
    assert dry["AutoSnapshotPolicyId"] == ""


def test_a_dry_run_makes_nothing(cloud):
    before = cloud.call("DescribeAutoSnapshotPolicies")["TotalCount"]
    cloud.call("CreateAutoSnapshotPolicy", Policy=[{"Hour": [1], "IntervalDays": 3}], DryRun=True)
    assert cloud.call("DescribeAutoSnapshotPolicies")["TotalCount"] == before


def test_a_policy_that_is_not_activated_has_no_next_time(cloud, make):
    policy = make(IsActivated=False)
    assert shown(cloud, policy)["NextTriggerTime"] == ""
    cloud.call("ModifyAutoSnapshotPolicyAttribute", AutoSnapshotPolicyId=policy, IsActivated=True)
    assert shown(cloud, policy)["NextTriggerTime"] != ""


def test_retention_is_one_of_its_kinds(cloud, make):
    fields = ("IsPermanent", "RetentionDays", "RetentionMonths", "RetentionAmount", "AdvancedRetentionPolicy")

    def kept(policy):
        found = shown(cloud, policy)
        return tuple(found[field] for field in fields)

    policy = make()
    assert kept(policy) == (False, 7, 0, 0, None)
    advanced = {"Days": 7, "Weeks": 4, "Months": 12, "Years": 1}
    for change, expected in [
        ({"RetentionDays": 30}, (False, 30, 0, 0, None)),
        ({"RetentionMonths": 3}, (False, 0, 3, 0, None)),
        ({"RetentionAmount": 5}, (False, 0, 0, 5, None)),
        ({"AdvancedRetentionPolicy": advanced}, (False, 0, 0, 0, advanced)),
        ({"IsPermanent": True}, (True, 0, 0, 0, None)),
    ]:
        cloud.call("ModifyAutoSnapshotPolicyAttribute", AutoSnapshotPolicyId=policy, **change)
        assert kept(policy) == expected
    with cloud.refused("InvalidParameterValue", "RetentionDays", "IsPermanent"):
        cloud.call("ModifyAutoSnapshotPolicyAttribute", AutoSnapshotPolicyId=policy, RetentionDays=3)
    assert kept(policy) == (True, 0, 0, 0, None)
    wanted = {"AutoSnapshotPolicyId": policy, "RetentionDays": 3, "IsPermanent": False}
    cloud.call("ModifyAutoSnapshotPolicyAttribute", **wanted)
    assert kept(policy) == (False, 3, 0, 0, None)


def test_a_binding_is_seen_from_both_ends_and_goes_with_either(cloud, server, make):
    one, two = make(), make()
    instance = server.add_instance(zone=OTHER_ZONE)
    disk = cloud.create_disk(AutoSnapshotPolicyId=one)
    cloud.call("BindAutoSnapshotPolicy", AutoSnapshotPolicyId=two, DiskIds=[disk], InstanceIds=[instance])
    assert cloud.disk(disk)["AutoSnapshotPolicyIds"] is None, "only where it is asked for"
    found = cloud.call("DescribeDisks", DiskIds=[disk], ReturnBindAutoSnapshotPolicy=True)["DiskSet"][0]
    assert found["AutoSnapshotPolicyIds"] == [one, two]
    answer = cloud.call("DescribeDiskAssociatedAutoSnapshotPolicy", DiskId=disk)
    assert answer["TotalCount"] == 2
    assert {policy["AutoSnapshotPolicyId"] for policy in answer["AutoSnapshotPolicySet"]} == {one, two}
    assert shown(cloud, two)["InstanceIdSet"] == [instance]

    cloud.call("UnbindAutoSnapshotPolicy", AutoSnapshotPolicyId=two, InstanceIds=[instance])
    assert shown(cloud, two)["InstanceIdSet"] == []
    cloud.call("DeleteAutoSnapshotPolicies", AutoSnapshotPolicyIds=[one])
    found = cloud.call("DescribeDisks", DiskIds=[disk], ReturnBindAutoSnapshotPolicy=True)["DiskSet"][0]
    assert found["AutoSnapshotPolicyIds"] == [two]
    cloud.terminate(disk)
    assert shown(cloud, two)["DiskIdSet"] == []
    empty = cloud.call("DescribeDiskAssociatedAutoSnapshotPolicy", DiskId=disk)
    assert (empty["TotalCount"], empty["AutoSnapshotPolicySet"]) == (0, [])


def test_unbinding_passes_over_what_is_not_bound(cloud, make):
    policy, bound, other = make(), cloud.create_disk(), cloud.create_disk()
    cloud.call("BindAutoSnapshotPolicy", AutoSnapshotPolicyId=policy, DiskIds=[bound])
    cloud.call("UnbindAutoSnapshotPolicy", AutoSnapshotPolicyId=policy, DiskIds=[other, bound])
    assert shown(cloud, policy)["DiskIdSet"] == []


def test_a_batch_is_all_or_nothing(cloud, make):
    policy, disk = make(), cloud.create_disk()
    with cloud.refused("InvalidDiskId.NotFound", "disk-00000000"):
        cloud.call("BindAutoSnapshotPolicy", AutoSnapshotPolicyId=policy, DiskIds=[disk, "disk-00000000"])
    assert shown(cloud, policy)["DiskIdSet"] == []
    with cloud.refused("InvalidAutoSnapshotPolicyId.NotFound", "asp-00000000"):
        cloud.call("DeleteAutoSnapshotPolicies", AutoSnapshotPolicyIds=[policy, "asp-00000000"])
    assert shown(cloud, policy)


def test_new_disks_need_a_policy_that_exists(cloud):
    before = cloud.call("DescribeDisks", Limit=1)["TotalCount"]
    with cloud.refused("InvalidAutoSnapshotPolicyId.NotFound", "asp-00000000"):
        cloud.create_disk(AutoSnapshotPolicyId="asp-00000000")
    assert cloud.call("DescribeDisks", Limit=1)["TotalCount"] == before


def test_lists_are_filtered_ordered_and_paged(cloud, server, make):
    policies = [make(AutoSnapshotPolicyName=f"name {number % 2}") for number in range(5)]

    def listed(**parameters):
        answer = cloud.call("DescribeAutoSnapshotPolicies", **parameters)
        return answer["TotalCount"], [policy["AutoSnapshotPolicyId"] for policy in answer["AutoSnapshotPolicySet"]]

    odd = [{"Name": "auto-snapshot-policy-name", "Values": ["name 1"]}]
    assert listed(Filters=odd) == (2, [policies[3], policies[1]])
    assert listed(Filters=odd, Order="ASC", OrderField="CREATE_TIME") == (2, [policies[1], policies[3]])
    assert listed(Offset=1, Limit=2) == (5, [policies[3], policies[2]])
    assert listed(Offset=99) == (5, [])
    by_id = [{"Name": "auto-snapshot-policy-id", "Values": [policies[0], "asp-00000000"]}]
    assert listed(Filters=[*by_id, {"Name": "auto-snapshot-policy-state", "Values": ["NORMAL"]}]) == (1, policies[:1])
    assert listed(Filters=[*by_id, {"Name": "AutoSnapshotPolicyState", "Values": ["NORMAL"]}]) == (1, policies[:1])
    assert listed(Filters=[{"Name": "auto-snapshot-policy-state", "Values": ["ISOLATED"]}]) == (0, [])
    with cloud.refused("InvalidParameterValue", "AutoSnapshotPolicyIds", "Filters"):
        listed(AutoSnapshotPolicyIds=policies[:1], Filters=odd)
    assert Cloud(server, region="ap-beijing").call("DescribeAutoSnapshotPolicies")["TotalCount"] == 0
