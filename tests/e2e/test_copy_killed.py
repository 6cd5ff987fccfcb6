"""`kill -9` while a snapshot is on its way to another region: the copy goes on where it was, and is whole."""

import random

from harness.cloud import Cloud
from harness.nbd_client import NbdClient
from harness.server import ZONE
from harness.waiting import wait_until

ELSEWHERE = "ap-beijing"
MIB = 1 << 20
# A copy is noted after each 64 MiB; this many are enough to be caught on the way, several times.
SIZE_MIB = 768
ON_THE_WAY = ["COPYING_FROM_REMOTE", "CHECKING_COPIED", "NORMAL"]


class Watched:
    """A copy, seen again and again: it never goes back, neither in its state nor in its percentage."""

    def __init__(self, cloud, snapshot):
        self.cloud, self.snapshot = cloud, snapshot
        self.state, self.percent = ON_THE_WAY[0], 0

    def look(self):
        found = self.cloud.snapshot(self.snapshot)
        state, percent = found["SnapshotState"], found["Percent"]
        assert ON_THE_WAY.index(state) >= ON_THE_WAY.index(self.state), (state, self.state)
        assert self.percent <= percent <= 100, f"{percent} after {self.percent}"
        assert (percent == 100) == (state == "NORMAL"), (state, percent)
        self.state, self.percent = state, percent
        return found

    def kill_at(self, percent):
        """Kills the server once the copy has come so far, and starts it again; whether it was caught on the way."""

        def so_far():
            self.look()
            return self.percent >= percent

        wait_until(so_far, f"{percent} % of {self.snapshot} are copied", poll_s=0.001)
        server, before, state = self.cloud.server, self.percent, self.state
        server.kill()
        server.start()
        self.look()
        # What was shown was noted: it is not done again from the start.
        assert self.percent >= before
        return state != "NORMAL"

    def complete(self):
        wait_until(lambda: self.look()["SnapshotState"] == "NORMAL", f"{self.snapshot} is copied")


def copy(cloud, there, snapshot):
    wanted = {"SnapshotId": snapshot, "DestinationRegions": [ELSEWHERE]}
    (result,) = cloud.call("CopySnapshotCrossRegions", **wanted)["SnapshotCopyResultSet"]
    assert result["Code"] == "Success", result
    return Watched(there, result["SnapshotId"])


def assert_holds(server, export, pieces):
    with NbdClient(server.nbd_socket, export) as client:
        for number, piece in enumerate(pieces):
            assert client.read(number * MIB, MIB) == piece, f"MiB {number} of {export}"


def bytes_of(server, region):
    """What a region's pool takes on the host's file system."""
    files = (server.data_dir / "pools" / region).rglob("*")
    return sum(path.stat().st_blocks * 512 for path in files if path.is_file())


def test_a_copy_goes_on_after_kill_9(servers, seed):
    chance = random.Random(seed)
    server = servers.start()
    cloud, there = Cloud(server), Cloud(server, region=ELSEWHERE)
    disk = cloud.create_disk(size_gib=10)
    cloud.attach(server.add_instance(zone=ZONE), disk)
    pieces = [chance.randbytes(MIB) for _ in range(SIZE_MIB)]
    with NbdClient(server.nbd_socket, disk) as client:
        for number, piece in enumerate(pieces):
            client.write(number * MIB, piece)
        client.flush()
    first = copy(cloud, there, cloud.create_snapshot(disk))
    # In the middle of copying, near its end, and in the middle of comparing.
    caught = [first.kill_at(percent) for percent in (chance.randrange(4, 30), chance.randrange(32, 48), 55)]
    assert any(caught), "the copy was over before it was killed"
    first.complete()
    assert_holds(server, first.snapshot, pieces)
    whole = bytes_of(server, ELSEWHERE)
    assert whole >= SIZE_MIB * MIB

    # The next one moves what changed, also when it is killed.
    changed = chance.sample(range(SIZE_MIB), SIZE_MIB // 3)
    with NbdClient(server.nbd_socket, disk) as client:
        for number in changed:
            pieces[number] = chance.randbytes(MIB)
            client.write(number * MIB, pieces[number])
        client.flush()
    second = copy(cloud, there, cloud.create_snapshot(disk))
    caught = [second.kill_at(percent) for percent in (chance.randrange(10, 40), 60)]
    assert any(caught), "the copy was over before it was killed"
    second.complete()
    assert_holds(server, second.snapshot, pieces)
    grown = bytes_of(server, ELSEWHERE) - whole
    # A slice that was not noted is compared again, and not written again.
    assert len(changed) * MIB <= grown < len(changed) * MIB + 24 * MIB, f"{grown} bytes for {len(changed)} MiB"
    server.stop()
    server.assert_clean()
