"""Snapshots of Lighthouse machines: real disks rolled back under machines that have them open."""

import json
import urllib.parse
from pathlib import Path

import pytest

from harness.accounts import admin, attach_policy, new_key, statement
from harness.examples import differences, tree
from harness.nbd_client import NbdClient
from harness.server import RATE_LIMIT_OFF, REGION, ZONE, run_ashlar
from harness.siblings import Sibling, tccli_of
from harness.signing import RawHttp
from harness.tools import qemu_io

VERSION = "2020-03-24"
MIB = 1 << 20
NO_MACHINE, NO_SNAPSHOT = "lhins-00000000", "lhsnap-00000000"


@pytest.fixture(scope="module")
def server(module_servers):
    """A server whose disks may have few snapshots."""
    return module_servers.start(RATE_LIMIT_OFF + "\n[limits]\nsnapshots_per_disk = 6\n")


@pytest.fixture(scope="module")
def lighthouse(server):
    """Calls to Lighthouse."""
    return Sibling(server, "lighthouse")


@pytest.fixture(scope="module")
def tag(server):
    """Calls to the tag service."""
    return Sibling(server, "tag")


@pytest.fixture
def machine(server):
    """A machine of Lighthouse with a system disk of 20 GiB."""
    return add(server, "--system-disk", "20")


def add(server, *arguments):
    """`ashlar instance add --product lighthouse`; returns what it printed."""
    words = ("instance", "add", "--zone", ZONE, "--product", "lighthouse", *arguments)
    done = run_ashlar(*words, "--data-dir", server.data_dir)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def same(prefix, name):
    """The id with the same eight characters that another product has for the thing."""
    return f"{prefix}-{name.split('-')[1]}"


def system_disk(cloud, machine):
    """The disk that a machine boots from, as the block storage names it."""
    filters = [{"Name": "instance-id", "Values": [same("ins", machine)]}]
    (disk,) = cloud.call("DescribeDisks", Filters=filters)["DiskSet"]
    assert disk["DiskUsage"] == "SYSTEM_DISK"
    return disk["DiskId"]


def take(lighthouse, machine, **parameters):
    """Takes a snapshot and returns its id."""
    return lighthouse.call("CreateInstanceSnapshot", InstanceId=machine, **parameters)["SnapshotId"]


def shown(lighthouse, snapshot):
    """What DescribeSnapshots says of a snapshot; None if there is none."""
    answer = lighthouse.call("DescribeSnapshots", SnapshotIds=[snapshot])
    assert answer["TotalCount"] == len(answer["SnapshotSet"]) <= 1
    return answer["SnapshotSet"][0] if answer["SnapshotSet"] else None


def listed(lighthouse, **parameters):
    """The total and the ids of a list."""
    answer = lighthouse.call("DescribeSnapshots", **parameters)
    return answer["TotalCount"], [one["SnapshotId"] for one in answer["SnapshotSet"]]


# Data


def test_a_machine_goes_back_to_its_snapshot_with_every_byte(server, cloud, lighthouse, machine):
    disk = system_disk(cloud, machine)
    with NbdClient(server.nbd_socket, disk) as nbd:
        nbd.write(0, b"\x01" * MIB)
        nbd.write(7 * MIB, b"\x02" * MIB)
        nbd.flush()
    snapshot = take(lighthouse, machine, SnapshotName="before")
    found = shown(lighthouse, snapshot)
    assert found["DiskId"] == same("lhdisk", disk)
    assert (found["SnapshotState"], found["Percent"], found["DiskSize"]) == ("NORMAL", 100, 20)
    assert (found["SnapshotName"], found["DiskUsage"], found["Tags"]) == ("before", "SYSTEM_DISK", [])
    assert (found["LatestOperation"], found["LatestOperationState"]) == ("CreateInstanceSnapshot", "SUCCESS")

    session = NbdClient(server.nbd_socket, disk)
    session.write(0, b"\x03" * MIB)
    session.trim(7 * MIB, MIB)
    session.write(9 * MIB, b"\x04" * MIB)
    session.flush()
    answer = lighthouse.call("ApplyInstanceSnapshot", InstanceId=machine, SnapshotId=snapshot)
    assert session.is_lost(), "a machine that runs on must not write what it remembers over the older content"
    with NbdClient(server.nbd_socket, disk) as nbd:
        assert nbd.read(0, MIB) == b"\x01" * MIB
        assert nbd.read(7 * MIB, MIB) == b"\x02" * MIB
        assert nbd.read(9 * MIB, MIB) == bytes(MIB)
        nbd.write(0, b"\x05" * MIB)
        nbd.flush()
    found = shown(lighthouse, snapshot)
    assert (found["LatestOperation"], found["LatestOperationState"]) == ("RollbackInstanceSnapshot", "SUCCESS")
    assert found["LatestOperationRequestId"] == answer["RequestId"]
    # The same disk and the same snapshot are there for the block storage, under their names in it.
    assert cloud.disk(disk)["DiskState"] == "ATTACHED"
    inside = cloud.snapshot(same("snap", snapshot))
    assert (inside["DiskId"], inside["SnapshotName"]) == (disk, "before")
    with NbdClient(server.nbd_socket, same("snap", snapshot)) as nbd:
        assert nbd.is_read_only and nbd.read(0, MIB) == b"\x01" * MIB
    logs = cloud.call("DescribeDiskOperationLogs", Filters=[{"Name": "disk-id", "Values": [disk]}])
    operations = [entry["Operation"] for entry in logs["DiskOperationLogSet"]]
    assert operations[:2] == ["CBS_OPERATION_ROLLBACK", "CBS_OPERATION_SNAPSHOT"]


def test_a_rolled_back_machine_is_there_after_kill_9(servers):
    server = servers.start()
    lighthouse = Sibling(server, "lighthouse")
    machine = add(server, "--system-disk", "10")
    disk = same("disk", shown(lighthouse, take(lighthouse, machine))["DiskId"])
    with NbdClient(server.nbd_socket, disk) as nbd:
        nbd.write(0, b"\x01" * 4096)
        nbd.flush()
    snapshot = take(lighthouse, machine)
    with NbdClient(server.nbd_socket, disk) as nbd:
        nbd.write(0, b"\x02" * 4096)
        nbd.flush()
    lighthouse.call("ApplyInstanceSnapshot", InstanceId=machine, SnapshotId=snapshot)
    server.kill()
    server.start()
    with NbdClient(server.nbd_socket, disk) as nbd:
        assert nbd.read(0, 4096) == b"\x01" * 4096
    assert listed(lighthouse)[0] == 2


def test_the_official_command_line(server, cloud, machine, tmp_path):
    tccli = tccli_of(server, "lighthouse", tmp_path)
    disk = system_disk(cloud, machine)
    uri = server.nbd_uri(disk)
    qemu_io(uri, "write -P 1 0 1M", "flush")
    tags = json.dumps([{"Key": "team", "Value": "web"}])
    made = tccli("CreateInstanceSnapshot", "--InstanceId", machine, "--SnapshotName", "by tccli", "--Tags", tags)
    snapshot = made["SnapshotId"]
    qemu_io(uri, "write -P 2 0 1M", "flush")
    tccli("ApplyInstanceSnapshot", "--InstanceId", machine, "--SnapshotId", snapshot)
    qemu_io(uri, "read -P 1 0 1M")
    tccli("ModifySnapshotAttribute", "--SnapshotId", snapshot, "--SnapshotName", "renamed")
    (found,) = tccli("DescribeSnapshots", "--SnapshotIds", json.dumps([snapshot]))["SnapshotSet"]
    assert (found["SnapshotName"], found["Tags"]) == ("renamed", [{"Key": "team", "Value": "web"}])
    tccli("DeleteSnapshots", "--SnapshotIds", json.dumps([snapshot]))
    assert tccli("DescribeSnapshots", "--SnapshotIds", json.dumps([snapshot]))["TotalCount"] == 0


# Lists, tags, rights


def test_lists_are_filtered_and_paged(server, cloud, lighthouse, machine):
    other = add(server, "--system-disk", "10")
    tags = [{"Key": "stage", "Value": "test"}]
    one = take(lighthouse, machine, SnapshotName="nightly")
    two = take(lighthouse, machine, SnapshotName="nightly", Tags=tags)
    three = take(lighthouse, other, SnapshotName="other")
    cloud.create_snapshot(cloud.create_disk())
    disk = same("lhdisk", system_disk(cloud, machine))
    of_machine = {"Name": "instance-id", "Values": [machine]}
    assert listed(lighthouse, Filters=[of_machine]) == (2, [two, one])
    assert listed(lighthouse, Filters=[of_machine], Limit=1, Offset=1) == (2, [one])
    assert listed(lighthouse, Filters=[of_machine], Offset=2) == (2, [])
    for name, values, expected in [
        ("disk-id", [disk], [two, one]),
        ("snapshot-id", [one, three], [three, one]),
        ("snapshot-name", ["other"], [three]),
        ("instance-id", [machine, other], [three, two, one]),
        ("instance-id", [NO_MACHINE], []),
        ("tag-key", ["stage"], [two]),
        ("tag-value", ["test"], [two]),
        ("tag:stage", ["test"], [two]),
        ("tag:stage", ["live"], []),
    ]:
        assert listed(lighthouse, Filters=[{"Name": name, "Values": values}]) == (len(expected), expected), name
    assert listed(lighthouse, Filters=[of_machine, {"Name": "tag-key", "Values": ["stage"]}]) == (1, [two])
    assert listed(Sibling(server, "lighthouse", region="ap-beijing")) == (0, [])


def test_tags_are_in_the_tag_service(lighthouse, tag, machine):
    snapshot = take(lighthouse, machine, Tags=[{"Key": "k", "Value": "v"}])
    name = f"qcs::lighthouse:{REGION}:uin/:snapshot/{snapshot}"
    wanted = {"ServiceType": "lighthouse", "ResourcePrefix": "snapshot", "ResourceRegion": REGION}
    (bound,) = tag.call("DescribeResourceTagsByResourceIds", ResourceIds=[snapshot], **wanted)["Tags"]
    assert (bound["ResourceId"], bound["TagKey"], bound["TagValue"]) == (snapshot, "k", "v")
    assert bound["ServiceType"] == "lighthouse"
    tag.call("ModifyResourceTags", Resource=name, ReplaceTags=[{"TagKey": "k", "TagValue": "w"}])
    assert shown(lighthouse, snapshot)["Tags"] == [{"Key": "k", "Value": "w"}]
    mapped = tag.call("GetResources", TagFilters=[{"TagKey": "k", "TagValue": ["w"]}])["ResourceTagMappingList"]
    (resource,) = [one["Resource"] for one in mapped]
    assert resource.endswith(f":snapshot/{snapshot}") and resource.startswith("qcs::lighthouse:")


def test_rights_are_to_machines_and_snapshots_of_lighthouse(server, lighthouse, machine, tmp_path):
    other = add(server, "--system-disk", "10")
    snapshot = take(lighthouse, machine, Tags=[{"Key": "env", "Value": "dev"}])
    untagged = take(lighthouse, machine)
    admin(server, "user", "add", "alice")
    alice = Sibling(server, "lighthouse", secret=new_key(server, "--user", "alice"))
    denied = "AuthFailure.UnauthorizedOperation"
    with alice.refused(denied, f"instance/{machine}"):
        take(alice, machine)
    resources = [f"qcs::lighthouse:::instance/{machine}", "qcs::lighthouse:::snapshot/*"]
    attach_policy(server, tmp_path, "one", statement("allow", "lighthouse:CreateInstanceSnapshot", resources))
    take(alice, machine)
    with alice.refused(denied, f"instance/{other}"):
        take(alice, other)
    condition = {"for_any_value:string_equal": {"qcs:resource_tag": ["env&dev"]}}
    allowed = statement("allow", "lighthouse:ModifySnapshotAttribute", condition=condition)
    attach_policy(server, tmp_path, "tagged", allowed)
    alice.call("ModifySnapshotAttribute", SnapshotId=snapshot, SnapshotName="hers")
    with alice.refused(denied, untagged):
        alice.call("ModifySnapshotAttribute", SnapshotId=untagged, SnapshotName="hers")
    lighthouse.call("DeleteSnapshots", SnapshotIds=[untagged])


def test_another_account_sees_nothing(server, lighthouse, machine):
    snapshot = take(lighthouse, machine)
    uin = str(admin(server, "account", "add", "stranger")["uin"])
    stranger = Sibling(server, "lighthouse", secret=new_key(server, "--account", uin))
    assert listed(stranger, SnapshotIds=[snapshot]) == (0, [])
    with stranger.refused("ResourceNotFound.InstanceIdNotFound", machine):
        take(stranger, machine)
    with stranger.refused("ResourceNotFound.SnapshotIdNotFound", snapshot):
        stranger.call("DeleteSnapshots", SnapshotIds=[snapshot])
    assert shown(lighthouse, snapshot)


# The worked examples of the reference


EXAMPLES = {
    "CreateInstanceSnapshot": (
        "InstanceId=lhins-k31c771o&SnapshotName=snap_20200903",
        {"SnapshotId": "lhsnap-nv6aqcv6"},
    ),
    "DescribeSnapshots": (
        "Filters.0.Name=disk-id&Filters.0.Values.0=lhdisk-f71kc5bh",
        {
            "TotalCount": 1,
            "SnapshotSet": [
                {
                    "SnapshotId": "lhsnap-nv6aqcv6",
                    "DiskUsage": "SYSTEM_DISK",
                    "DiskId": "lhdisk-f71kc5bh",
                    "DiskSize": 50,
                    "SnapshotName": "lighthouse-test1-0903145122",
                    "SnapshotState": "NORMAL",
                    "Percent": 100,
                    "LatestOperation": "RollbackInstanceSnapshot",
                    "LatestOperationState": "SUCCESS",
                    "LatestOperationRequestId": "96aee6e3-172c-4f0f-be7c-fc46b9865763",
                    "CreatedTime": "2020-09-03T06:51:23Z",
                }
            ],
        },
    ),
    "ApplyInstanceSnapshot": ("InstanceId=lhins-k31c771o&SnapshotId=lhsnap-nv6aqcv6", {}),
    "ModifySnapshotAttribute": ("SnapshotId=lhsnap-nv6aqcv6&SnapshotName=snap_20200903", {}),
    "DeleteSnapshots": ("SnapshotIds.0=lhsnap-nv6aqcv6", {}),
}


@pytest.mark.parametrize("encoding", ["query", "JSON"])
@pytest.mark.parametrize("action", EXAMPLES)
def test_an_example_of_the_reference_is_answered_as_documented(server, cloud, lighthouse, action, encoding):
    given, documented = EXAMPLES[action]
    machine = add(server, "--system-disk", "50")
    snapshot = take(lighthouse, machine, SnapshotName="lighthouse-test1-0903145122")
    lighthouse.call("ApplyInstanceSnapshot", InstanceId=machine, SnapshotId=snapshot)
    disk = same("lhdisk", system_disk(cloud, machine))
    for written, real in [("lhins-k31c771o", machine), ("lhsnap-nv6aqcv6", snapshot), ("lhdisk-f71kc5bh", disk)]:
        given = given.replace(written, real)
    pairs, raw = urllib.parse.parse_qsl(given), RawHttp(server)
    if encoding == "query":
        answer = raw.v1_get(action, dict(pairs), Version=VERSION, Region=REGION)
    else:
        answer = raw.tc3(action, json.dumps(tree(pairs)).encode(), version=VERSION, service="lighthouse")
    assert "Error" not in answer, answer
    wrong = list(differences(documented, answer))
    assert not wrong, "\n".join(wrong)
    assert set(answer) == {*documented, "RequestId"}
    found = shown(lighthouse, snapshot)
    if action == "DescribeSnapshots":
        (one,) = answer["SnapshotSet"]
        expected = documented["SnapshotSet"][0] | {"SnapshotId": snapshot, "DiskId": disk}
        told_apart = {"LatestOperationRequestId", "CreatedTime"}
        assert {key: one[key] for key in expected.keys() - told_apart} == {
            key: expected[key] for key in expected.keys() - told_apart
        }
        assert len(one["CreatedTime"]) == len("2020-09-03T06:51:23Z") and one["CreatedTime"].endswith("Z")
    elif action == "CreateInstanceSnapshot":
        assert shown(lighthouse, answer["SnapshotId"])["SnapshotName"] == "snap_20200903"
    elif action == "ModifySnapshotAttribute":
        assert found["SnapshotName"] == "snap_20200903"
    elif action == "DeleteSnapshots":
        assert found is None
    else:
        assert found["LatestOperationRequestId"] == answer["RequestId"]


# The documented error codes

# Met inside the server's own tests, over the same wire: there a pool can be held, and fail.
IN_PROCESS = json.loads(Path(__file__).with_name("situations_in_process.json").read_text())["lighthouse"]
ONE_PLACE = "the state of a machine is in the database that the call reads: there is no other service to ask"
OTHER_CODE = "another code says the same: "
NO_RIGHT = "policies refuse with AuthFailure.UnauthorizedOperation, as for every product"
TYPES = "a parameter of another type is InvalidParameter, as for every product"

UNREACHABLE = {
    "ApplyInstanceSnapshot": {
        "FailedOperation.DescribeInstanceStatus": ONE_PLACE,
        "InternalError.DescribeInstanceStatus": ONE_PLACE,
        "InvalidParameterValue.DiskSizeNotMatch": "the disk that a machine boots from keeps its size",
        "OperationDenied.InstanceOperationInProgress": OTHER_CODE + "UnsupportedOperation.InvalidInstanceState",
        "ResourceNotFound.SnapshotNotFound": OTHER_CODE + "ResourceNotFound.SnapshotIdNotFound",
        "UnauthorizedOperation.NoPermission": NO_RIGHT,
        "UnsupportedOperation.LatestOperationUnfinished": OTHER_CODE + "that of the disk",
        "UnsupportedOperation.SnapshotBusy": "a snapshot that is copied to another region can be rolled back to",
        "UnsupportedOperation.SystemBusy": OTHER_CODE + "UnsupportedOperation.DiskBusy",
    },
    "CreateInstanceSnapshot": {
        "FailedOperation.DescribeInstanceStatus": ONE_PLACE,
        "InternalError.DescribeInstanceStatus": ONE_PLACE,
        "OperationDenied.OperationDeniedCreateSnapshot": "every machine with a system disk may have snapshots",
        "OperationDenied.OperationDeniedCreateSnapshotForStorageBundle": "there are no bundles",
        "ResourceNotFound.BlueprintIdNotFound": "machines are not made of images here",
        "UnauthorizedOperation.NoPermission": NO_RIGHT,
        "UnsupportedOperation.LatestOperationUnfinished": OTHER_CODE + "that of the disk",
    },
    "DeleteSnapshots": {
        "InternalError.RequestError": "no other service is asked",
        "ResourceNotFound.SnapshotNotFound": OTHER_CODE + "ResourceNotFound.SnapshotIdNotFound",
        "UnauthorizedOperation.NoPermission": NO_RIGHT,
    },
    "DescribeSnapshots": {
        "FailedOperation": "a list needs nothing but the database",
        "InvalidParameter.InvalidFilter": TYPES,
        "InvalidParameter.InvalidFilterInvalidKey": OTHER_CODE + "InvalidParameter.InvalidFilterNotSupportedName",
        "InvalidParameter.InvalidFilterInvalidNameNotStr": TYPES,
        "InvalidParameter.InvalidFilterInvalidValuesNotList": TYPES,
        "InvalidParameter.InvalidFilterNotDict": TYPES,
        "UnauthorizedOperation.NoPermission": NO_RIGHT,
    },
    "ModifySnapshotAttribute": {},
}


def filters(name, *values):
    """One filter."""
    return {"Filters": [{"Name": name, "Values": list(values)}]}


def situations(server, lighthouse):
    """Each code that can be met: the action, the code, the parameters and what the message names."""
    machine, bare = add(server, "--system-disk", "20"), add(server)
    full, other = add(server, "--system-disk", "10"), add(server, "--system-disk", "10")
    snapshot, elsewhere = take(lighthouse, machine), take(lighthouse, other)
    for _ in range(6):
        take(lighthouse, full)
    held = take(lighthouse, machine)
    Sibling(server, "cvm").call("CreateImage", ImageName="held", SnapshotIds=[same("snap", held)])
    apply, create, delete = "ApplyInstanceSnapshot", "CreateInstanceSnapshot", "DeleteSnapshots"
    describe, modify, long_name = "DescribeSnapshots", "ModifySnapshotAttribute", "é" * 61
    value, missing = "InvalidParameterValue.", "ResourceNotFound."
    pair = {"InstanceId": machine, "SnapshotId": snapshot}
    many = [f"lhsnap-{number:08}" for number in range(101)]
    return [
        (apply, value + "InstanceIdMalformed", pair | {"InstanceId": "ins-00000000"}, "ins-00000000"),
        (apply, value + "SnapshotIdMalformed", pair | {"SnapshotId": "snap-00000000"}, "snap-00000000"),
        (apply, missing + "DiskNotFound", pair | {"InstanceId": bare}, bare),
        (apply, missing + "InstanceIdNotFound", pair | {"InstanceId": NO_MACHINE}, NO_MACHINE),
        (apply, missing + "SnapshotIdNotFound", pair | {"SnapshotId": NO_SNAPSHOT}, NO_SNAPSHOT),
        (create, value + "InstanceIdMalformed", {"InstanceId": "lhins-1"}, "lhins-1"),
        (create, value + "SnapshotNameTooLong", {"InstanceId": machine, "SnapshotName": long_name}, "60"),
        (create, "LimitExceeded.SnapshotQuotaLimitExceeded", {"InstanceId": full}, full),
        (create, missing + "DiskNotFound", {"InstanceId": bare}, bare),
        (create, missing + "InstanceIdNotFound", {"InstanceId": NO_MACHINE}, NO_MACHINE),
        (delete, "FailedOperation.SnapshotOperationFailed", {"SnapshotIds": [snapshot, held]}, held),
        (delete, value + "Duplicated", {"SnapshotIds": [snapshot, snapshot]}, snapshot),
        (delete, value + "LimitExceeded", {"SnapshotIds": many[:11]}, "11"),
        (delete, value + "SnapshotIdMalformed", {"SnapshotIds": ["snap-00000000"]}, "SnapshotIds.0"),
        (delete, missing + "SnapshotIdNotFound", {"SnapshotIds": [snapshot, NO_SNAPSHOT]}, NO_SNAPSHOT),
        (describe, "InvalidParameter.FilterValueLimitExceeded", filters("tag-key", *"abcdef"), "Filters.0.Values"),
        (describe, "InvalidParameter.InvalidFilterNotSupportedName", filters("color", "red"), "color"),
        (describe, "InvalidParameter.ParameterConflict", filters("tag-key", "a") | {"SnapshotIds": many[:1]}, "`"),
        (describe, value + "InstanceIdMalformed", filters("instance-id", "ins-00000000"), "ins-00000000"),
        (describe, value + "InvalidDiskIdMalformed", filters("disk-id", "disk-00000000"), "disk-00000000"),
        (describe, value + "LimitExceeded", {"SnapshotIds": many}, "101"),
        (describe, value + "Negative", {"Offset": -1}, "Offset"),
        (describe, value + "OutOfRange", {"Limit": 101}, "Limit"),
        (describe, value + "SnapshotIdMalformed", filters("snapshot-id", "snap-00000000"), "snap-00000000"),
        (describe, value + "SnapshotNameTooLong", filters("snapshot-name", long_name), "60"),
        (modify, value + "SnapshotIdMalformed", {"SnapshotId": "x", "SnapshotName": "n"}, "SnapshotId"),
        (modify, value + "SnapshotNameTooLong", {"SnapshotId": snapshot, "SnapshotName": long_name}, "60"),
        (modify, missing + "SnapshotIdNotFound", {"SnapshotId": NO_SNAPSHOT, "SnapshotName": "n"}, NO_SNAPSHOT),
        # Not in the lists of the actions, but in that of all.
        (apply, "InvalidParameterValue", {"InstanceId": machine, "SnapshotId": elsewhere}, "system disk of"),
        (modify, "MissingParameter", {"SnapshotId": snapshot}, "SnapshotName"),
        (create, "InvalidParameterValue", {"InstanceId": machine, "SnapshotName": "a\nb"}, "control characters"),
    ]


COMMON = {"InvalidParameterValue", "MissingParameter"}


def test_every_documented_code_is_met_or_says_why_not(server, lighthouse):
    met = {action: set() for action in UNREACHABLE}
    table = situations(server, lighthouse)
    before = listed(lighthouse, Limit=100)
    for action, code, parameters, text in table:
        with lighthouse.refused(code, text):
            lighthouse.call(action, **parameters)
        assert code in COMMON or code not in UNREACHABLE[action], f"{action}: {code} is met after all"
        met[action].add(code)
    assert listed(lighthouse, Limit=100) == before, "calls that were refused have changed something"
    for action, codes in IN_PROCESS.items():
        assert not set(codes) & set(UNREACHABLE[action]), action
        met[action] |= set(codes)
    counts = {action: len((met[action] - COMMON) | set(UNREACHABLE[action])) for action in met}
    assert counts == {
        "ApplyInstanceSnapshot": 20,
        "CreateInstanceSnapshot": 16,
        "DeleteSnapshots": 10,
        "DescribeSnapshots": 17,
        "ModifySnapshotAttribute": 3,
    }
