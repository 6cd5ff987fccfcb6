"""Answers against the vendor's own description: every documented field is there, with its type.

Strict clients (the Go SDK) refuse a whole answer for one number that is a string, others dereference what the
description says is never null.
"""

import json
from datetime import datetime, timedelta, timezone
from importlib import resources

import pytest

SCALARS = {"string": str, "int": int, "bool": bool, "float": (int, float)}
# Fields in which recorded answers of the service, against its description, hold null.
NULL_IN_RECORDINGS = {"DedicatedClusterId", "Price"}


@pytest.fixture(scope="module")
def objects():
    """The vendor's description of every structure, from the installed `tccli`."""
    try:
        text = resources.files("tccli").joinpath("services/cbs/v20170312/api.json").read_text()
    except ModuleNotFoundError:
        pytest.skip("tccli: not installed")
    return json.loads(text)["objects"]


def faults(objects, name, value, where):
    """What is wrong in a structure `name`, as text."""
    for member in objects[name]["members"]:
        field, kind = member["name"], member["type"]
        place = f"{where}.{field}"
        if field not in value:
            if member.get("output_required", True):
                yield f"{place} is missing"
            continue
        found = value[field]
        if found is None:
            if not member.get("value_allowed_null") and field not in NULL_IN_RECORDINGS:
                yield f"{place} is null"
        elif kind == "list":
            yield from _list_faults(objects, member, found, place)
        elif kind == "object":
            yield from faults(objects, member["member"], found, place)
        elif not isinstance(found, SCALARS[kind]) or (kind != "bool" and isinstance(found, bool)):
            yield f"{place} is {found!r}, not a {kind}"
        elif member["member"] == "uint64" and found < 0:
            yield f"{place} is negative"


def _list_faults(objects, member, found, place):
    if not isinstance(found, list):
        yield f"{place} is {found!r}, not a list"
        return
    for number, one in enumerate(found):
        if member["member"] in objects:
            yield from faults(objects, member["member"], one, f"{place}[{number}]")
        elif not isinstance(one, SCALARS[{"int64": "int", "uint64": "int"}.get(member["member"], member["member"])]):
            yield f"{place}[{number}] is {one!r}"


def test_answers_have_every_documented_field_with_its_type(cloud, server, instance, objects):
    disk = cloud.create_disk(Tags=[{"Key": "k", "Value": "v"}])
    prepaid = cloud.create_disk(DiskChargeType="PREPAID", DiskChargePrepaid={"Period": 1})
    cloud.attach(instance, disk)
    snapshot = cloud.create_snapshot(disk, Deadline="2099-01-08T09:47:55+00:00")
    answers = {
        "CreateDisks": cloud.call(
            "CreateDisks",
            Placement={"Zone": "ap-guangzhou-1"},
            DiskChargeType="POSTPAID_BY_HOUR",
            DiskType="CLOUD_SSD",
            DiskSize=20,
        ),
        "DescribeDisks": cloud.call("DescribeDisks", ReturnBindAutoSnapshotPolicy=True),
        "DescribeSnapshots": cloud.call("DescribeSnapshots"),
        "DescribeInstancesDiskNum": cloud.call("DescribeInstancesDiskNum", InstanceIds=[instance]),
        "DescribeDiskConfigQuota": cloud.call("DescribeDiskConfigQuota", InquiryType="INQUIRY_CBS_CONFIG"),
        "GetSnapOverview": cloud.call("GetSnapOverview"),
        "ModifyDiskAttributes": cloud.call("ModifyDiskAttributes", DiskIds=[disk], DiskName="x"),
        "ModifySnapshotAttribute": cloud.call("ModifySnapshotAttribute", SnapshotId=snapshot, SnapshotName="x"),
        "ResizeDisk": cloud.call("ResizeDisk", DiskId=prepaid, DiskSize=11),
        "CreateSnapshot": cloud.call("CreateSnapshot", DiskId=disk),
        "DeleteSnapshots": cloud.call("DeleteSnapshots", SnapshotIds=[snapshot]),
        "DetachDisks": cloud.call("DetachDisks", DiskIds=[disk]),
    }
    wrong = [
        fault for action, answer in answers.items() for fault in faults(objects, f"{action}Response", answer, action)
    ]
    assert not wrong, "\n".join(wrong)


def test_a_disk_that_is_not_shared_lists_no_instances(cloud, instance):
    disk = cloud.create_disk()
    cloud.attach(instance, disk)
    assert cloud.disk(disk)["InstanceIdList"] == [], "the list is for shared disks"
    cloud.detach(disk)


def test_times_are_in_the_zone_of_the_service(cloud):
    created = datetime.strptime(cloud.disk(cloud.create_disk())["CreateTime"], "%Y-%m-%d %H:%M:%S")
    now = datetime.now(timezone(timedelta(hours=8))).replace(tzinfo=None)
    assert abs(now - created) < timedelta(minutes=2)
