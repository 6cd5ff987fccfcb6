"""`ashlar du` against the file system: what is held, and what each single deletion gives back."""

import json
import random
import time

import pytest

from harness.cloud import Cloud
from harness.nbd_client import NbdClient
from harness.server import run_ashlar
from harness.waiting import wait_until

MIB = 1 << 20
TOLERANCE = 0.01


def usage(server):
    """What `ashlar du` says of the one pool, when nothing waits to be given back."""

    def settled():
        shown = run_ashlar("du", "--json", "--data-dir", server.data_dir)
        assert shown.returncode == 0, shown.stderr
        [pool] = json.loads(shown.stdout)
        return pool if pool["layers_to_reclaim"] == 0 else None

    return wait_until(settled, "all deleted space is back", 30)


def allocated(server):
    return next(server.data_dir.glob("pools/*/data")).stat().st_blocks * 512


def near(found, expected):
    return abs(found - expected) <= max(expected * TOLERANCE, 64 << 10)


@pytest.fixture
def world(servers):
    server = servers.start()
    return server, Cloud(server), server.add_instance()


def write(server, disk, seed, pieces=24):
    """Random blocks in the first 64 MiB; some of them are discarded again."""
    dice = random.Random(seed)
    with NbdClient(server.nbd_socket, disk) as client:
        for number in range(pieces):
            offset = dice.randrange(0, 64 * MIB, 4096)
            length = dice.randrange(4096, MIB, 4096)
            if number % 5 == 4:
                client.trim(offset, length)
            else:
                client.write(offset, dice.randbytes(length))
        client.flush()


def test_what_is_held_and_what_comes_back_is_what_the_file_system_says(world):
    server, cloud, instance = world
    disk = cloud.create_disk()
    cloud.attach(instance, disk)
    snapshots = []
    for seed in range(5):
        write(server, disk, seed)
        snapshots.append(cloud.create_snapshot(disk))
    copy = cloud.create_disk(size_gib=None, SnapshotId=snapshots[2])
    cloud.attach(instance, copy)
    write(server, copy, 99)
    write(server, disk, 100)

    shown = usage(server)
    wait_until(lambda: near(allocated(server), shown["held_bytes"]), "the file takes what is held", 30)
    assert {entry["id"] for entry in shown["entries"]} == {disk, copy, *snapshots}
    overview = cloud.call("GetSnapOverview")
    of_snapshots = sum(cloud.disk(one)["SnapshotSize"] for one in (disk, copy))
    assert abs(overview["TotalSize"] * 1024 - of_snapshots) <= 1

    for gone in [snapshots[1], snapshots[3], snapshots[0], copy, snapshots[2], disk, snapshots[4]]:
        entry = next(entry for entry in usage(server)["entries"] if entry["id"] == gone)
        before = allocated(server)
        if gone.startswith("disk-"):
            cloud.detach(gone)
            cloud.terminate(gone)
        else:
            cloud.delete_snapshots(gone)
        expected = before - entry["returned_bytes"]
        what = f"{entry['returned_bytes']} bytes of {gone} are back"
        wait_until(lambda expected=expected: near(allocated(server), expected), what, 30)
    assert usage(server)["held_bytes"] == 0
    assert allocated(server) == 0


def in_gigabytes(count):
    return count / (1 << 30)


def assert_all_three_agree(server, cloud, disks):
    """While no disk has written anything after its last snapshot, all that the file holds belongs to snapshots.

    What a deletion leaves comes to its heirs in the background, and the records follow within seconds."""
    shown = usage(server)
    wait_until(lambda: near(allocated(server), shown["held_bytes"]), "the file takes what is held", 30)
    held = allocated(server)
    snapshots = [entry for entry in shown["entries"] if entry["id"].startswith("snap-")]

    def total():
        return cloud.call("GetSnapOverview")["TotalSize"]

    wait_until(lambda: near(total() * (1 << 30), held), f"TotalSize is {in_gigabytes(held)}", 30)
    if disks is not None:
        # Whole megabytes for each disk, rounded up.
        of_disks = sum(cloud.disk(disk)["SnapshotSize"] for disk in disks) * MIB
        assert held * (1 - TOLERANCE) <= of_disks <= held * (1 + TOLERANCE) + len(disks) * MIB, (of_disks, held)
    return snapshots


def test_sizes_of_snapshots_are_what_the_file_system_says(world):
    server, cloud, instance = world
    disk = cloud.create_disk()
    cloud.attach(instance, disk)
    snapshots = []
    for seed in range(4):
        write(server, disk, seed)
        snapshots.append(cloud.create_snapshot(disk))
    assert len(assert_all_three_agree(server, cloud, [disk])) == 4
    with NbdClient(server.nbd_socket, disk) as client:
        client.trim(0, 30 * MIB)
        client.write_zeroes(40 * MIB, 5 * MIB)
        client.flush()
    assert_all_three_agree(server, cloud, [disk])
    snapshots.append(cloud.create_snapshot(disk))
    copy = cloud.create_disk(size_gib=None, SnapshotId=snapshots[1])
    cloud.attach(instance, copy)
    write(server, copy, 77)
    of_copy = cloud.create_snapshot(copy)
    assert_all_three_agree(server, cloud, [disk, copy])
    for gone in (snapshots[2], snapshots[0]):
        cloud.delete_snapshots(gone)
        assert_all_three_agree(server, cloud, [disk, copy])
    # A disk that goes takes what it alone has, and leaves its snapshot.
    cloud.detach(copy)
    cloud.terminate(copy)
    assert_all_three_agree(server, cloud, None)
    cloud.delete_snapshots(of_copy)
    assert_all_three_agree(server, cloud, [disk])
    cloud.detach(disk)
    cloud.terminate(disk)
    left = assert_all_three_agree(server, cloud, None)
    assert {entry["id"] for entry in left} == {snapshots[1], snapshots[3], snapshots[4]}
    cloud.delete_snapshots(*(entry["id"] for entry in left))
    assert usage(server)["held_bytes"] == 0
    wait_until(lambda: allocated(server) == 0, "all space is back", 30)


def test_the_middle_of_500_snapshots_comes_back_in_seconds(servers):
    server = servers.start(config='rate_limits = "off"\n[limits]\nsnapshots_per_disk = 600\n')
    cloud, instance = Cloud(server), server.add_instance()
    disk = cloud.create_disk()
    cloud.attach(instance, disk)
    dice = random.Random(500)
    snapshots = []
    with NbdClient(server.nbd_socket, disk) as client:
        for _ in range(500):
            for _ in range(4):
                client.write(dice.randrange(0, 64 * MIB, 4096), dice.randbytes(8192))
            snapshots.append(cloud.call("CreateSnapshot", DiskId=disk)["SnapshotId"])
        cloud.wait_snapshot(snapshots[-1])
        content = client.read(0, 32 * MIB)
        before = server.admin("status")["pools"][0]["reclaim"]
        full = allocated(server)
        middle = snapshots[125:375]
        for start in range(0, len(middle), 100):
            cloud.call("DeleteSnapshots", SnapshotIds=middle[start : start + 100])
        begun = time.monotonic()
        shown = run_ashlar("du", "--wait", "--json", "--data-dir", server.data_dir, timeout_s=60)
        took_s = time.monotonic() - begun
        assert shown.returncode == 0, shown.stderr
        after = server.admin("status")["pools"][0]["reclaim"]
        print(f"250 of 500 snapshots: all space back after {took_s:.1f} s, {full - allocated(server)} bytes")
        assert took_s < 30
        assert (after["layers"], after["punch_bytes"]) == (0, 0)
        assert after["layers_done"] - before["layers_done"] == 250
        assert allocated(server) < full
        [pool] = json.loads(shown.stdout)
        assert near(allocated(server), pool["held_bytes"])
        assert len(pool["entries"]) == 251
        assert client.read(0, 32 * MIB) == content


def test_a_pool_beyond_its_limit_takes_no_new_disks_and_all_writes(servers):
    # The file system counts too: only a limit that is smaller than what it has left can be met on any machine.
    server = servers.start(config='rate_limits = "off"\n[limits]\npool_limit_gib = 1\n')
    cloud, instance = Cloud(server), server.add_instance()
    disk = cloud.create_disk()
    cloud.attach(instance, disk)
    with NbdClient(server.nbd_socket, disk) as client:
        for offset in range(0, 980 * MIB, MIB):
            client.write(offset, bytes([7]) * MIB)
        client.flush()
        with cloud.refused("ResourceInsufficient", "95 %"):
            cloud.create_disk()
        [pool] = server.admin("status")["pools"]
        assert pool["room"] == "full" and pool["percent_full"] >= 95
        metrics = run_ashlar("status", "--metrics", "--data-dir", server.data_dir).stdout
        assert 'ashlar_pool_full{region="ap-guangzhou"} 1' in metrics
        assert "FULL, no new disks" in run_ashlar("status", "--data-dir", server.data_dir).stdout
        wait_until(lambda: "the pool is full" in server.log_path.read_text(), "the log says so")
        client.write(2000 * MIB, b"still")
        client.trim(0, 150 * MIB)
        client.flush()
        wait_until(lambda: server.admin("status")["pools"][0]["room"] == "nearly_full", "there is room for new disks")
        cloud.create_disk()
        wait_until(lambda: "still nearly full" in server.log_path.read_text(), "the log says so")
        client.trim(0, 980 * MIB)
        client.flush()
    wait_until(lambda: server.admin("status")["pools"][0]["room"] == "enough", "there is room")
    cloud.create_disk()
    wait_until(lambda: "the pool has room again" in server.log_path.read_text(), "the log says so")
