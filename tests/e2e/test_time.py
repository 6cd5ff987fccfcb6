"""What the API promises to happen later, seen through the official SDK under a clock that the tests move."""

import os
from datetime import datetime, timedelta

import pytest

from harness.cloud import Cloud
from harness.nbd_client import ExportRefused, NbdClient
from harness.server import RATE_LIMIT_OFF

MIB = 1 << 20
PREPAID = {"DiskChargeType": "PREPAID"}


@pytest.fixture
def timed(servers):
    """A server whose clock the test moves, and calls to it."""

    def start(config=""):
        server = servers.start(RATE_LIMIT_OFF + config, flags=["--test-clock"])
        return server, Cloud(server)

    return start


def prepaid(flag="NOTIFY_AND_MANUAL_RENEW", months=1):
    return PREPAID | {"DiskChargePrepaid": {"Period": months, "RenewFlag": flag}}


def go_to(server, plain):
    """Moves the clock to a time of the API, `YYYY-MM-DD HH:MM:SS` in UTC+8, and lets happen what is due."""
    server.admin("clock", "set", plain.replace(" ", "T") + "+08:00")


def later(plain, **span):
    return str(datetime.fromisoformat(plain) + timedelta(**span))


def test_a_policy_fires_keeps_and_deletes(timed):
    server, cloud = timed()
    instance = server.add_instance()
    used, idle = cloud.create_disk(), cloud.create_disk()
    cloud.attach(instance, used)
    payload = os.urandom(MIB)
    with NbdClient(server.nbd_socket, used) as client:
        client.write(0, payload)
        client.flush()
    wanted = {"Policy": [{"IntervalDays": 1, "Hour": [3]}], "RetentionDays": 2}
    policy = cloud.call("CreateAutoSnapshotPolicy", **wanted)
    asp, first = policy["AutoSnapshotPolicyId"], policy["NextTriggerTime"]
    cloud.call("BindAutoSnapshotPolicy", AutoSnapshotPolicyId=asp, DiskIds=[used, idle])

    go_to(server, later(first, seconds=-1))
    assert cloud.call("DescribeSnapshots")["TotalCount"] == 0
    go_to(server, first)
    (taken,) = cloud.call("DescribeSnapshots")["SnapshotSet"]
    assert (taken["DiskId"], taken["AutoSnapshotPolicyId"], taken["SnapshotState"]) == (used, asp, "NORMAL")
    assert taken["SnapshotName"] == f"{asp} {first}"
    assert taken["IsPermanent"] is False
    assert taken["DeadlineTime"][:10] == later(first, days=2)[:10]
    with NbdClient(server.nbd_socket, taken["SnapshotId"]) as client:
        assert client.read(0, MIB) == payload
    (shown,) = cloud.call("DescribeAutoSnapshotPolicies")["AutoSnapshotPolicySet"]
    assert shown["NextTriggerTime"] == later(first, days=1)

    # Three days away: one snapshot makes up for the missed ones, and the first one's time is over.
    go_to(server, later(first, days=3, hours=2))
    (made_up,) = cloud.call("DescribeSnapshots")["SnapshotSet"]
    assert made_up["SnapshotId"] != taken["SnapshotId"]

    (scheduled,) = server.admin("schedule")
    assert (scheduled["pending"], scheduled["failure"]) == (0, None)
    fired = {one["name"]: one for one in server.admin("status")["reconcilers"]}
    assert fired["scheduled-snapshots"]["items"] == 2
    assert fired["snapshot-deadlines"]["items"] == 1


def test_what_a_policy_could_not_have_is_seen(timed):
    server, cloud = timed("[limits]\nsnapshots_per_disk = 1\n")
    instance = server.add_instance()
    full, free = cloud.create_disk(), cloud.create_disk()
    cloud.attach(instance, full, free)
    cloud.create_snapshot(full)
    policy = cloud.call("CreateAutoSnapshotPolicy", Policy=[{"DayOfWeek": list(range(7)), "Hour": [0, 12]}])
    asp = policy["AutoSnapshotPolicyId"]
    cloud.call("BindAutoSnapshotPolicy", AutoSnapshotPolicyId=asp, DiskIds=[full, free])
    go_to(server, policy["NextTriggerTime"])
    # Those of one moment are spread.
    server.admin("clock", "advance", "1s")
    assert cloud.disk(free)["SnapshotCount"] == 1
    assert cloud.disk(full)["SnapshotCount"] == 1
    (shown,) = server.admin("schedule")
    assert (shown["policy_id"], shown["pending"]) == (asp, 0)
    assert full in shown["failure"]
    logged = cloud.call("DescribeDiskOperationLogs", Filters=[{"Name": "disk-id", "Values": [full]}])
    assert logged["DiskOperationLogSet"][0]["OperationState"] == "FAILED"


def test_a_snapshot_goes_at_its_deadline(timed):
    server, cloud = timed()
    disk = cloud.create_disk()
    now = server.admin("clock", "show")["time"]
    deadline = (datetime.fromisoformat(now) + timedelta(days=9)).isoformat()
    mortal = cloud.create_snapshot(disk, Deadline=deadline)
    kept = cloud.create_snapshot(disk)
    end = cloud.snapshot(mortal)["DeadlineTime"]
    go_to(server, later(end, seconds=-1))
    assert cloud.snapshot(mortal)
    go_to(server, later(end, seconds=1))
    assert cloud.snapshot(mortal) is None
    assert cloud.snapshot(kept)


def test_every_state_of_the_prepaid_life(timed):
    server, cloud = timed("[billing]\nfinal_snapshot = true\n")
    instance = server.add_instance()
    disk = cloud.create_disk(**prepaid())
    cloud.attach(instance, disk)
    payload = os.urandom(MIB)
    with NbdClient(server.nbd_socket, disk) as client:
        client.write(0, payload)
        client.flush()
    fresh = cloud.disk(disk)
    assert (fresh["IsReturnable"], fresh["BackupDisk"], fresh["DeadlineError"]) == (True, True, False)
    assert fresh["DifferDaysOfDeadline"] in (28, 29, 30, 31)

    # The end of the paid time: out of the machine, no reading and no writing, the bytes kept.
    go_to(server, later(fresh["DeadlineTime"], seconds=1))
    isolated = cloud.wait_disk(disk, "TORECYCLE")
    assert (isolated["Attached"], isolated["InstanceId"]) == (False, "")
    assert isolated["DifferDaysOfDeadline"] < 0
    with pytest.raises(ExportRefused), NbdClient(server.nbd_socket, disk):
        pass

    # RenewDisk brings it back with everything.
    cloud.call("RenewDisk", DiskId=disk, DiskChargePrepaid={"Period": 1})
    cloud.wait_disk(disk, "UNATTACHED")
    cloud.attach(instance, disk)
    with NbdClient(server.nbd_socket, disk) as client:
        assert client.read(0, MIB) == payload
    cloud.detach(disk)

    # Left alone it runs out again, is kept for seven days, and goes; a last snapshot has its bytes.
    end = cloud.disk(disk)["DeadlineTime"]
    go_to(server, later(end, seconds=1))
    cloud.wait_disk(disk, "TORECYCLE")
    go_to(server, later(end, days=6))
    assert cloud.disk(disk)
    go_to(server, later(end, days=7, seconds=5))
    cloud.wait_disk_gone(disk)
    (last,) = cloud.call("DescribeSnapshots")["SnapshotSet"]
    assert (last["DiskId"], last["IsPermanent"]) == (disk, True)
    with NbdClient(server.nbd_socket, last["SnapshotId"]) as client:
        assert client.read(0, MIB) == payload


def test_a_disk_that_renews_itself_and_one_that_is_given_back(timed):
    server, cloud = timed()
    renewing = cloud.create_disk(**prepaid("NOTIFY_AND_AUTO_RENEW"))
    before = cloud.disk(renewing)["DeadlineTime"]
    go_to(server, later(before, seconds=1))
    after = cloud.disk(renewing)
    assert (after["DiskState"], after["DeadlineTime"] > before) == ("UNATTACHED", True)

    returned = cloud.create_disk(**prepaid())
    cloud.call("TerminateDisks", DiskIds=[returned])
    cloud.wait_disk(returned, "TORECYCLE")
    cloud.call("TerminateDisks", DiskIds=[returned])
    cloud.wait_disk_gone(returned)


def test_a_deleted_snapshot_comes_back_and_a_locked_one_stays(timed):
    server, cloud = timed("[snapshots]\nrecycle_days = 3\n")
    disk = cloud.create_disk()
    snapshot = cloud.create_snapshot(disk, "second thoughts")
    cloud.delete_snapshots(snapshot)
    (deleted,) = server.admin("snapshot", "deleted")
    assert (deleted["snapshot_id"], deleted["name"]) == (snapshot, "second thoughts")
    server.admin("snapshot", "restore", snapshot)
    assert cloud.snapshot(snapshot)["SnapshotState"] == "NORMAL"
    until = server.admin("clock", "show")["time"].replace("T", " ")[:19]
    locked = later(until, days=9).replace(" ", "T") + "+00:00"
    server.admin("snapshot", "lock", snapshot, "--until", locked)
    assert cloud.snapshot(snapshot)["IsLocked"] is True
    with cloud.refused("InvalidSnapshot.NotSupported", snapshot):
        cloud.call("DeleteSnapshots", SnapshotIds=[snapshot])
    server.admin("clock", "advance", "10d")
    cloud.delete_snapshots(snapshot)
    server.admin("clock", "advance", "4d")
    assert server.admin("snapshot", "deleted") == []


def test_the_bill_says_what_was_used(timed):
    server, cloud = timed()
    begin = server.admin("clock", "show")["time"]
    cloud.create_disk(100, Tags=[{"Key": "team", "Value": "red"}])
    server.admin("clock", "advance", "25h")
    end = server.admin("clock", "show")["time"]
    bill = server.admin("bill", "--from", begin, "--to", end, "--by", "tag:team")
    (line,) = bill["lines"]
    assert (line["kind"], line["tag_value"], line["amount"]) == ("USAGE", "red", bill["total"])
    # 100 GB of CLOUD_PREMIUM cost 0.042 an hour; up to the last full hour that is 24 to 25 hours.
    assert 24 * 0.042 <= float(line["amount"]) <= 25 * 0.042
