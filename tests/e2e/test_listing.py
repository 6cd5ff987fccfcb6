"""DescribeDisks and DescribeSnapshots as lists: filters, pages, order."""

import pytest

from harness.cloud import Cloud, refused_for_good
from harness.server import OTHER_ZONE, ZONE

PAGE_COUNT = 23


@pytest.fixture(scope="module")
def many(cloud):
    """Enough disks for several pages, oldest first."""
    return [cloud.create_disk(DiskName=f"page-{number}") for number in range(PAGE_COUNT)]


def ids(answer):
    return [disk["DiskId"] for disk in answer["DiskSet"]]


def test_pages_are_complete_newest_first_and_count_all(cloud, many):
    first = cloud.call("DescribeDisks")
    assert (first["TotalCount"], ids(first)) == (PAGE_COUNT, many[::-1][:20])
    second = cloud.call("DescribeDisks", Offset=20)
    assert (second["TotalCount"], ids(second)) == (PAGE_COUNT, many[::-1][20:])
    beyond = cloud.call("DescribeDisks", Offset=1000, Limit=100)
    assert (beyond["TotalCount"], beyond["DiskSet"]) == (PAGE_COUNT, [])
    assert ids(cloud.call("DescribeDisks", Limit=100, Order="ASC", OrderField="CREATE_TIME")) == many
    assert ids(cloud.call("DescribeDisks", Limit=100, Order="DESC")) == many[::-1]
    walked = [
        disk for offset in range(0, PAGE_COUNT, 7) for disk in ids(cloud.call("DescribeDisks", Offset=offset, Limit=7))
    ]
    assert walked == many[::-1]


def test_ids_can_be_paged_and_unknown_ones_are_no_error(cloud, many):
    wanted = many[:5]
    page = cloud.call("DescribeDisks", DiskIds=[*wanted, "disk-00000000"], Offset=1, Limit=2)
    assert (page["TotalCount"], ids(page)) == (5, wanted[::-1][1:3])
    nobody = cloud.call("DescribeDisks", DiskIds=["disk-00000000"])
    assert (nobody["TotalCount"], nobody["DiskSet"]) == (0, [])


@pytest.mark.parametrize(
    ("wanted", "code", "text"),
    [
        ({"Limit": 0}, "InvalidParameterValue", "Limit"),
        ({"Limit": 101}, "InvalidParameterValue", "Limit"),
        ({"Offset": -1}, None, "Offset"),
        ({"Limit": "many"}, "InvalidParameter", "Limit"),
        ({"Order": "UP"}, "InvalidParameterValue", "Order"),
        ({"OrderField": "SIZE"}, "InvalidParameterValue", "OrderField"),
        ({"Filters": [{"Name": "colour", "Values": ["red"]}]}, "InvalidFilter", "colour"),
        ({"Filters": [{"Name": "disk-id"}]}, "MissingParameter", "Values"),
        ({"Filters": [{"Values": ["x"]}]}, "MissingParameter", "Name"),
        ({"Filters": [{"Name": "disk-id", "Values": "disk-00000000"}]}, "InvalidParameter", "Values"),
        ({"Filters": {"Name": "disk-id", "Values": []}}, "InvalidParameter", "Filters"),
        ({"DiskIds": ["disk-00000000"], "Filters": [{"Name": "zone", "Values": [ZONE]}]}, None, "Filters"),
        ({"DiskIds": ["ins-00000000"]}, None, "ins-00000000"),
        ({"DiskIds": "disk-00000000"}, "InvalidParameter", "DiskIds"),
        ({"Page": 1}, "UnknownParameter", "Page"),
    ],
    ids=str,
)
def test_a_wrong_question_is_refused(cloud, wanted, code, text):
    refused_for_good(cloud, code, [text], "DescribeDisks", wanted)


@pytest.fixture(scope="module")
def zoo(module_servers):
    """A server of its own with a few disks that differ in everything that can be filtered."""
    server = module_servers.start()
    cloud = Cloud(server)
    instance = server.add_instance("--address", "10.9.9.8", zone=OTHER_ZONE, name="keeper")
    disks = {
        "hourly": cloud.create_disk(10, DiskName="hourly", Tags=[{"Key": "team", "Value": "a"}]),
        "prepaid": cloud.create_disk(
            20,
            DiskName="prepaid",
            DiskChargeType="PREPAID",
            DiskChargePrepaid={"Period": 1},
            Tags=[{"Key": "team", "Value": "b"}, {"Key": "tier", "Value": "a"}],
        ),
        "attached": cloud.create_disk(20, DiskName="attached", DiskType="CLOUD_SSD", Placement={"Zone": OTHER_ZONE}),
    }
    cloud.attach(instance, disks["attached"])
    return cloud, disks, instance


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"disk-name": ["hourly"]}, {"hourly"}),
        ({"disk-name": ["hourly", "prepaid", "nobody"]}, {"hourly", "prepaid"}),
        ({"disk-charge-type": ["PREPAID"]}, {"prepaid"}),
        ({"disk-charge-type": ["POSTPAID_BY_HOUR"]}, {"hourly", "attached"}),
        ({"disk-usage": ["DATA_DISK"]}, {"hourly", "prepaid", "attached"}),
        ({"disk-usage": ["SYSTEM_DISK"]}, set()),
        ({"portable": ["TRUE"]}, {"hourly", "prepaid", "attached"}),
        ({"portable": ["FALSE"]}, set()),
        ({"project-id": ["0"]}, {"hourly", "prepaid", "attached"}),
        ({"disk-type": ["CLOUD_SSD"]}, {"attached"}),
        ({"disk-state": ["ATTACHED"]}, {"attached"}),
        ({"disk-state": ["UNATTACHED", "TORECYCLE"]}, {"hourly", "prepaid"}),
        ({"zone": [OTHER_ZONE]}, {"attached"}),
        ({"instance-name": ["keeper"]}, {"attached"}),
        ({"instance-ip-address": ["10.9.9.9"]}, set()),
        ({"instance-ip-address": ["10.9.9.9", "10.9.9.8"]}, {"attached"}),
        ({"tag-key": ["team"]}, {"hourly", "prepaid"}),
        ({"tag-value": ["a"]}, {"hourly", "prepaid"}),
        ({"tag:team": ["a", "b"]}, {"hourly", "prepaid"}),
        ({"tag:team": ["b"]}, {"prepaid"}),
        ({"tag:tier": ["b"]}, set()),
        ({"zone": [ZONE], "disk-charge-type": ["PREPAID"]}, {"prepaid"}),
        ({"zone": [OTHER_ZONE], "disk-charge-type": ["PREPAID"]}, set()),
    ],
    ids=str,
)
def test_filters_of_disks(zoo, filters, expected):
    cloud, disks, _ = zoo
    names = {disk: name for name, disk in disks.items()}
    answer = cloud.call("DescribeDisks", Filters=[{"Name": name, "Values": values} for name, values in filters.items()])
    assert {names[disk] for disk in ids(answer)} == expected
    assert answer["TotalCount"] == len(expected)


def test_filters_by_id_and_order_by_deadline(zoo):
    cloud, disks, instance = zoo

    def found(name, value):
        return ids(cloud.call("DescribeDisks", Filters=[{"Name": name, "Values": [value]}]))

    assert found("disk-id", disks["hourly"]) == [disks["hourly"]]
    assert found("instance-id", instance) == [disks["attached"]]
    assert found("instance-id", "ins-00000000") == []
    prepaid = {"DiskName": "in order", "DiskChargeType": "PREPAID"}
    late, soon = [cloud.create_disk(**prepaid, DiskChargePrepaid={"Period": months}) for months in (12, 2)]
    wanted = [{"Name": "disk-name", "Values": ["in order"]}]
    for order, expected in [("ASC", [soon, late]), ("DESC", [late, soon])]:
        assert ids(cloud.call("DescribeDisks", Filters=wanted, OrderField="DEADLINE", Order=order)) == expected
    everything = cloud.call("DescribeDisks", OrderField="DEADLINE")
    assert {*disks.values(), late, soon} == set(ids(everything)), "disks without a deadline are listed too"
    for _ in range(2):
        cloud.call("TerminateDisks", DiskIds=[late, soon])


def test_policies_are_named_only_when_asked_for(zoo):
    cloud, disks, _ = zoo
    plain = cloud.call("DescribeDisks", DiskIds=[disks["hourly"]])["DiskSet"][0]
    asked = cloud.call("DescribeDisks", DiskIds=[disks["hourly"]], ReturnBindAutoSnapshotPolicy=True)["DiskSet"][0]
    assert (plain["AutoSnapshotPolicyIds"], asked["AutoSnapshotPolicyIds"]) == (None, [])


def test_snapshots_are_listed_in_pages_and_by_filters(zoo):
    cloud, disks, _ = zoo
    snapshots = [cloud.create_snapshot(disks["hourly"], f"snap-{number}") for number in range(3)]
    other = cloud.create_snapshot(disks["attached"], "other")

    def listed(**wanted):
        answer = cloud.call("DescribeSnapshots", **wanted)
        return answer["TotalCount"], [snapshot["SnapshotId"] for snapshot in answer["SnapshotSet"]]

    def filtered(name, *values):
        return set(listed(Filters=[{"Name": name, "Values": list(values)}])[1])

    everything = [*snapshots, other]
    assert listed() == (4, everything[::-1])
    assert listed(Order="ASC", OrderField="CREATE_TIME") == (4, everything)
    assert listed(Offset=1, Limit=2) == (4, everything[::-1][1:3])
    assert listed(SnapshotIds=[other, "snap-00000000"]) == (1, [other])
    assert listed(SnapshotIds=["snap-00000000"]) == (0, [])
    assert filtered("snapshot-id", other) == {other}
    assert filtered("snapshot-name", "snap-0", "snap-1") == set(snapshots[:2])
    assert filtered("snapshot-state", "NORMAL") == set(everything)
    assert filtered("snapshot-state", "CREATING") == set()
    assert filtered("disk-usage", "DATA_DISK") == set(everything)
    assert filtered("disk-usage", "SYSTEM_DISK") == set()
    assert filtered("project-id", "0") == set(everything)
    assert filtered("disk-id", disks["hourly"]) == set(snapshots)
    assert filtered("zone", OTHER_ZONE) == {other}
    assert filtered("encrypt", "FALSE") == set(everything)
    assert filtered("encrypt", "TRUE") == set()
    assert filtered("snapshot-type", "PRIVATE_SNAPSHOT") == set(everything)
    assert filtered("snapshot-type", "SHARED_SNAPSHOT") == set()
    with cloud.refused("InvalidFilter", "colour"):
        filtered("colour", "red")
    refused_for_good(
        cloud,
        None,
        ["Filters"],
        "DescribeSnapshots",
        {"SnapshotIds": [other], "Filters": [{"Name": "zone", "Values": [ZONE]}]},
    )
    cloud.delete_snapshots(*everything)


@pytest.mark.parametrize("signature", ["TC3 GET", "HmacSHA1", "HmacSHA256"])
def test_every_encoding_carries_lists_of_structures(zoo, signature):
    cloud, disks, _ = zoo
    other = Cloud(cloud.server, signature)
    filters = [{"Name": "disk-name", "Values": ["hourly", "prepaid"]}, {"Name": "tag:team", "Values": ["b"]}]
    answer = other.call("DescribeDisks", Filters=filters, Limit=5, Offset=0, ReturnBindAutoSnapshotPolicy=True)
    assert ids(answer) == [disks["prepaid"]]
    with other.refused("InvalidFilter", "colour"):
        other.call("DescribeDisks", Filters=[{"Name": "colour", "Values": ["red"]}])
