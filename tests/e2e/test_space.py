"""`ashlar du` against the file system: what is held, and what each single deletion gives back."""

import json
import random

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
        wait_until(lambda: near(allocated(server), expected), f"{entry['returned_bytes']} bytes of {gone} are back", 30)
    assert usage(server)["held_bytes"] == 0
    assert allocated(server) == 0


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
        client.write(2000 * MIB, b"still")
        client.trim(0, 980 * MIB)
        client.flush()
    cloud.create_disk()
