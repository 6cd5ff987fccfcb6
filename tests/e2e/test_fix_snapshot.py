"""Snapshots of machines before a fix: `ashlar fix-snapshot`, and what Cloud Workload Protection shows of it."""

import json
import threading
import urllib.parse

import pytest

from harness.accounts import admin, attach_policy, new_key, statement
from harness.examples import differences, tree
from harness.nbd_client import NbdClient
from harness.server import REGION, ZONE, run_ashlar
from harness.siblings import Sibling, tccli_of
from harness.signing import RawHttp

VERSION = "2018-02-28"
NO_MACHINE = "ins-00000000"


@pytest.fixture(scope="module")
def cwp(server):
    """Calls to Cloud Workload Protection."""
    return Sibling(server, "cwp")


@pytest.fixture(scope="module")
def cvm(server):
    """Calls to Cloud Virtual Machine."""
    return Sibling(server, "cvm")


def add(server, *arguments):
    """`ashlar instance add`; returns what it printed."""
    done = run_ashlar("instance", "add", "--zone", ZONE, *arguments, "--data-dir", server.data_dir)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def fix(server, instance, name, status=0):
    """`ashlar fix-snapshot --json`: its answer, or the line of a refusal."""
    return admin(server, "fix-snapshot", "--instance", instance, "--name", name, status=status)


def quuid_of(cvm, instance):
    """The UUID by which other products know a machine."""
    return cvm.call("DescribeInstances", InstanceIds=[instance])["InstanceSet"][0]["Uuid"]


def describe(cwp, *quuids, latest=False, offset=0, limit=100):
    """DescribeMachineSnapshot."""
    wanted = {"Quuids": list(quuids), "Type": 0 if latest else 1, "Offset": offset, "Limit": limit}
    return cwp.call("DescribeMachineSnapshot", **wanted)


def ids(answer):
    """The snapshots of an answer."""
    return [one["SnapshotId"] for one in answer["List"]]


def taken_ids(taken):
    """The snapshots that a fix has taken."""
    return [one["snapshot_id"] for one in taken["snapshots"]]


def test_every_disk_is_taken_at_one_moment_and_found_again(server, cloud, cwp, cvm):
    machine = add(server, "--name", "web 1", "--system-disk", "20", "--address", "10.0.0.7")
    system = cvm.call("DescribeInstances", InstanceIds=[machine])["InstanceSet"][0]["SystemDisk"]["DiskId"]
    data = cloud.create_disk()
    cloud.attach(machine, data)
    quuid = quuid_of(cvm, machine)
    assert describe(cwp, quuid) | {"RequestId": ""} == {
        "List": [],
        "TotalCount": 0,
        "SnapshotCheck": False,
        "RequestId": "",
    }
    with NbdClient(server.nbd_socket, system) as boot, NbdClient(server.nbd_socket, data) as database:
        boot.write(0, b"\x01" * 4096)
        database.write(0, b"\x02" * 4096)
        first = fix(server, machine, "Fixing vulnerability - OpenSSL")
        boot.write(0, b"\x03" * 4096)
        database.write(0, b"\x04" * 4096)
    assert (first["instance_id"], first["quuid"]) == (machine, quuid)
    assert [(one["disk_id"], one["disk_usage"]) for one in first["snapshots"]] == [
        (system, "SYSTEM_DISK"),
        (data, "DATA_DISK"),
    ]
    # They hold what was there, whatever was written since, and are snapshots like all others.
    for snapshot, byte in zip(taken_ids(first), (1, 2), strict=True):
        with NbdClient(server.nbd_socket, snapshot) as nbd:
            assert nbd.is_read_only and nbd.read(0, 4096) == bytes([byte]) * 4096
        found = cloud.snapshot(snapshot)
        assert (found["SnapshotState"], found["SnapshotName"]) == ("NORMAL", "Fixing vulnerability - OpenSSL")
    second = fix(server, machine, "kernel")

    answer = describe(cwp, quuid)
    assert (answer["TotalCount"], answer["SnapshotCheck"]) == (4, True)
    assert ids(answer) == taken_ids(second) + taken_ids(first)
    shown = answer["List"][2]
    assert shown == {
        "Quuid": quuid,
        "HostName": "web 1",
        "HostIp": "10.0.0.7",
        "SnapshotName": "Fixing vulnerability - OpenSSL",
        "CreateTime": cloud.snapshot(taken_ids(first)[0])["CreateTime"],
        "DiskId": system,
        "InstanceId": machine,
        "RegionId": 1,
        "SnapshotId": taken_ids(first)[0],
    }
    assert ids(describe(cwp, quuid, latest=True)) == taken_ids(second)
    page = describe(cwp, quuid, offset=1, limit=2)
    assert (page["TotalCount"], ids(page)) == (4, ids(answer)[1:3])

    # A data disk goes back to what it was before the fix.
    cloud.detach(data)
    cloud.roll_back(data, taken_ids(first)[1])
    cloud.attach(machine, data)
    with NbdClient(server.nbd_socket, data) as database:
        assert database.read(0, 4096) == b"\x02" * 4096
    cloud.delete_snapshots(*taken_ids(second))
    assert ids(describe(cwp, quuid, latest=True)) == taken_ids(first)


def test_the_disks_are_of_one_moment_while_they_are_written(server, cloud):
    machine = add(server)
    disks = cloud.create_disks(count=2)
    cloud.attach(machine, *disks)
    stop, written = threading.Event(), []

    def write():
        with NbdClient(server.nbd_socket, disks[0]) as journal, NbdClient(server.nbd_socket, disks[1]) as data:
            while not stop.is_set():
                number = len(written) + 1
                for disk in (journal, data):
                    disk.write(0, number.to_bytes(8, "big") + bytes(504))
                written.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        taken = [fix(server, machine, f"fix {number}") for number in range(5)]
    finally:
        stop.set()
        writer.join()
    last = 0
    for one in taken:
        numbers = {}
        for snapshot in one["snapshots"]:
            with NbdClient(server.nbd_socket, snapshot["snapshot_id"]) as nbd:
                numbers[snapshot["disk_id"]] = int.from_bytes(nbd.read(0, 8), "big")
        journal, data = (numbers[disk] for disk in disks)
        assert journal - 1 <= data <= journal, "the second disk knows what the first one does not"
        assert journal >= last
        last = journal
    assert last > 0, "nothing was written meanwhile"


def test_a_machine_of_lighthouse_goes_back_to_before_its_fix(server, cwp):
    machine = add(server, "--product", "lighthouse", "--system-disk", "10")
    disk = "disk-" + fix(server, machine, "probe")["snapshots"][0]["disk_id"].split("-")[1]
    with NbdClient(server.nbd_socket, disk) as nbd:
        nbd.write(0, b"\x01" * 4096)
        nbd.flush()
    taken = fix(server, machine, "fix")
    (snapshot,) = taken_ids(taken)
    assert (taken["instance_id"], snapshot.split("-")[0]) == (machine, "lhsnap")
    with NbdClient(server.nbd_socket, disk) as nbd:
        nbd.write(0, b"\x02" * 4096)
        nbd.flush()
    (shown,) = describe(cwp, taken["quuid"], latest=True)["List"]
    assert (shown["InstanceId"], shown["SnapshotId"]) == (machine, snapshot)
    assert shown["DiskId"] == "lhdisk-" + disk.split("-")[1]
    Sibling(server, "lighthouse").call("ApplyInstanceSnapshot", InstanceId=machine, SnapshotId=snapshot)
    with NbdClient(server.nbd_socket, disk) as nbd:
        assert nbd.read(0, 4096) == b"\x01" * 4096


def test_a_script_can_rely_on_what_the_command_says(server, cloud):
    machine, bare = add(server), add(server)
    disk = cloud.create_disk()
    cloud.attach(machine, disk)
    words = ("fix-snapshot", "--instance", machine, "--name", "fix", "--data-dir", server.data_dir)
    done = run_ashlar(*words)
    assert (done.returncode, done.stderr) == (0, "")
    snapshot, of, *_ = done.stdout.split()
    assert of == disk and cloud.snapshot(snapshot)["SnapshotState"] == "NORMAL"
    assert len(done.stdout.splitlines()) == 1, "a line for each snapshot"
    for instance, name, text in [
        (bare, "fix", "has no disks"),
        (NO_MACHINE, "fix", "does not exist"),
        (machine, "", "`name` is missing"),
        (machine, "n" * 61, "at most 60 characters"),
    ]:
        refused = fix(server, instance, name, status=1)
        assert text in refused and len(refused.splitlines()) == 1, refused
    for wrong in [("--instance", machine), ("--instance", "disk-00000000", "--name", "n")]:
        assert run_ashlar("fix-snapshot", *wrong, "--data-dir", server.data_dir).returncode == 2
    nowhere = server.directory / "nowhere"
    assert run_ashlar("fix-snapshot", "--instance", machine, "--name", "n", "--data-dir", nowhere).returncode == 2
    assert cloud.call("DescribeSnapshots", Filters=[{"Name": "disk-id", "Values": [disk]}])["TotalCount"] == 1


def test_the_check_is_of_the_last_day_and_of_every_machine(servers):
    server = servers.start(flags=("--test-clock",))
    cvm, cwp = Sibling(server, "cvm"), Sibling(server, "cwp")
    one, other = add(server, "--system-disk", "10"), add(server, "--system-disk", "10")
    quuids = [quuid_of(cvm, machine) for machine in (one, other)]
    fix(server, one, "fix")
    assert describe(cwp, quuids[0])["SnapshotCheck"]
    assert not describe(cwp, *quuids)["SnapshotCheck"], "the other machine has none"
    fix(server, other, "fix")
    assert describe(cwp, *quuids, limit=1)["SnapshotCheck"], "whatever page is asked for"
    assert not describe(cwp, *quuids, "djskldjksld")["SnapshotCheck"], "nobody knows this machine"
    admin(server, "clock", "advance", "25h")
    late = describe(cwp, *quuids)
    assert (late["TotalCount"], late["SnapshotCheck"]) == (2, False)
    fix(server, one, "again")
    assert describe(cwp, quuids[0])["SnapshotCheck"] and not describe(cwp, *quuids)["SnapshotCheck"]


def test_rights_are_to_machines_and_another_account_sees_nothing(server, cwp, cvm, tmp_path):
    one, other = add(server, "--system-disk", "10"), add(server, "--system-disk", "10")
    quuids = [quuid_of(cvm, machine) for machine in (one, other)]
    for machine in (one, other):
        fix(server, machine, "fix")
    admin(server, "user", "add", "alice")
    alice = Sibling(server, "cwp", secret=new_key(server, "--user", "alice"))
    resource = f"qcs::cwp:::machine/{quuids[0]}"
    attach_policy(server, tmp_path, "one", statement("allow", "cwp:DescribeMachineSnapshot", resource))
    assert describe(alice, quuids[0])["TotalCount"] == 1
    with alice.refused("AuthFailure.UnauthorizedOperation", quuids[1]):
        describe(alice, *quuids)
    uin = str(admin(server, "account", "add", "stranger")["uin"])
    stranger = Sibling(server, "cwp", secret=new_key(server, "--account", uin))
    seen = describe(stranger, *quuids)
    assert (seen["List"], seen["TotalCount"], seen["SnapshotCheck"]) == ([], 0, False)
    assert describe(cwp, *quuids)["TotalCount"] == 2


def test_the_official_command_line(server, cvm, tmp_path):
    machine = add(server, "--system-disk", "10")
    taken = fix(server, machine, "fix")
    tccli = tccli_of(server, "cwp", tmp_path)
    quuids = json.dumps([quuid_of(cvm, machine)])
    words = ("--Quuids", quuids, "--Type", "0", "--Limit", "10", "--Offset", "0")
    answer = tccli("DescribeMachineSnapshot", *words)
    assert (ids(answer), answer["TotalCount"], answer["SnapshotCheck"]) == (taken_ids(taken), 1, True)


DOCUMENTED = {
    "List": [
        {
            "CreateTime": "2021-04-06 17:25:57",
            "DiskId": "disk-fc19gd5w",
            "HostIp": "10.104.9.143",
            "HostName": "win_poc testing (129.204.117.208)",
            "InstanceId": "ins-lamp8810",
            "Quuid": "b9b4f569-22fc-4a90-8d7f-c9e45349cd5b",
            "RegionId": 1,
            "SnapshotId": "snap-fav9fuhd",
            "SnapshotName": "Fixing vulnerability - OpenSSL DoS vulnerability",
        }
    ],
    "TotalCount": 1,
    "SnapshotCheck": True,
}


@pytest.mark.parametrize("encoding", ["query", "JSON"])
def test_the_example_of_the_reference_is_answered_as_documented(server, cvm, encoding):
    named = ("--name", "win_poc testing (129.204.117.208)", "--address", "10.104.9.143")
    machine = add(server, *named, "--system-disk", "10")
    taken = fix(server, machine, "Fixing vulnerability - OpenSSL DoS vulnerability")
    given = f"Limit=10&Offset=0&Quuids.0={quuid_of(cvm, machine)}&Type=0"
    pairs, raw = urllib.parse.parse_qsl(given), RawHttp(server)
    if encoding == "query":
        answer = raw.v1_get("DescribeMachineSnapshot", dict(pairs), Version=VERSION, Region=REGION)
    else:
        body = json.dumps(tree(pairs)).encode()
        answer = raw.tc3("DescribeMachineSnapshot", body, version=VERSION, service="cwp", region=None)
    assert "Error" not in answer, answer
    wrong = list(differences(DOCUMENTED, answer))
    assert not wrong, "\n".join(wrong)
    assert set(answer) == {*DOCUMENTED, "RequestId"}
    assert (answer["TotalCount"], answer["SnapshotCheck"]) == (1, True)
    (shown,) = answer["List"]
    known = {"CreateTime": shown["CreateTime"], "Quuid": taken["quuid"], "InstanceId": machine}
    of_taken = {"SnapshotId": taken_ids(taken)[0], "DiskId": taken["snapshots"][0]["disk_id"]}
    assert shown == DOCUMENTED["List"][0] | known | of_taken


UNREACHABLE = {
    "InternalError": "needs a fault of the server",
    "InvalidParameter.InvalidFormat": "InvalidParameter says the same for every product",
    "InvalidParameter.MissingParameter": "MissingParameter says the same for every product",
    "UnauthorizedOperation": "policies refuse with AuthFailure.UnauthorizedOperation, as for every product",
}

ALL = {"Quuids": ["a"], "Type": 1, "Limit": 10, "Offset": 0}


@pytest.mark.parametrize(
    ("code", "parameters", "text"),
    [
        ("MissingParameter", {"Quuids": None}, "Quuids"),
        ("MissingParameter", {"Type": None}, "Type"),
        ("MissingParameter", {"Limit": None}, "Limit"),
        ("MissingParameter", {"Offset": None}, "Offset"),
        ("InvalidParameter", {"Type": "latest"}, "Type"),
        ("InvalidParameterValue", {"Type": 2}, "Type"),
        ("InvalidParameterValue", {"Limit": 0}, "Limit"),
        ("InvalidParameterValue", {"Limit": 101}, "Limit"),
        ("InvalidParameterValue", {"Offset": -1}, "Offset"),
        ("InvalidParameterValue", {"Quuids": ["a"] * 101}, "101"),
    ],
)
def test_wrong_calls_are_refused_with_the_documented_code(cwp, code, parameters, text):
    assert code not in UNREACHABLE
    wanted = {name: value for name, value in (ALL | parameters).items() if value is not None}
    with cwp.refused(code, text):
        cwp.call("DescribeMachineSnapshot", **wanted)
