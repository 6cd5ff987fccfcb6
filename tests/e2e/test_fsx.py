"""Random reads and writes of any alignment against model files, with snapshots, clones and rollbacks in between.

`$ASHLAR_FSX_SECONDS` says how long (default: a few seconds; `./test` takes five minutes, `cargo xtask fsx`
whatever it is told).
"""

import os
import random
import time

import pytest

from harness.cloud import Cloud
from harness.nbd_client import NbdClient
from harness.server import RATE_LIMIT_OFF

SECONDS_DEFAULT = 10
# The part of each disk that is used: two leaves of the map meet in its middle.
WINDOW_START = (32 << 20) - (2 << 20)
WINDOW_BYTES = 4 << 20
LENGTH_MAX = 96 << 10
DISKS_MAX = 4
SNAPSHOTS_MAX = 6
STEPS_KEPT = 40
# What is changed or read between two changes of the disks and snapshots themselves.
OPERATIONS_PER_ROUND = 150


class Fsx:
    """The disks, and a file in memory for each that says what is in it."""

    def __init__(self, server, seed):
        self._cloud = Cloud(server)
        self._server = server
        self._instance = server.add_instance()
        self._dice = random.Random(seed)
        self._files = {}
        self._snapshots = {}  # id -> (disk, bytes)
        self._clients = {}
        self.steps = [f"seed {seed}"]
        self.operations = 0
        self._create()

    def _note(self, *words):
        self.steps.append(" ".join(map(str, words)))
        del self.steps[1:-STEPS_KEPT]

    def _take(self, disk, content):
        self._cloud.attach(self._instance, disk)
        self._files[disk] = bytearray(content)
        self._clients[disk] = [NbdClient(self._server.nbd_socket, disk) for _ in range(2)]

    def _create(self):
        disk = self._cloud.create_disk()
        self._note("create", disk)
        self._take(disk, bytes(WINDOW_BYTES))

    def round(self):
        """Many operations on bytes, then one on a disk or a snapshot."""
        for _ in range(OPERATIONS_PER_ROUND):
            self._operate(self._dice.choice(list(self._files)))
        choices = {self._snapshot: 5, self._verify_snapshot: 3}
        if len(self._files) < DISKS_MAX:
            choices[self._create] = 1
        if self._snapshots:
            choices |= {self._roll_back: 3, self._delete_snapshot: 3}
            if len(self._files) < DISKS_MAX:
                choices[self._clone] = 4
        if len(self._files) > 1:
            choices[self._terminate] = 1
        self._dice.choices(list(choices), list(choices.values()))[0]()

    def _range(self):
        start = self._dice.randrange(WINDOW_BYTES)
        length = self._dice.randrange(1, LENGTH_MAX if self._dice.random() < 0.3 else 9000)
        if self._dice.random() < 0.5:
            start -= start % 4096
        if self._dice.random() < 0.5:
            length = max(4096, length - length % 4096)
        return start, min(length, WINDOW_BYTES - start)

    def _operate(self, disk):
        self.operations += 1
        client, file = self._dice.choice(self._clients[disk]), self._files[disk]
        start, length = self._range()
        chosen = self._dice.random()
        if chosen < 0.4:
            self._note("read", disk, start, length)
            assert client.read(WINDOW_START + start, length) == file[start : start + length]
        elif chosen < 0.75:
            data = self._dice.randbytes(length)
            fua = self._dice.random() < 0.1
            self._note("write", disk, start, length, "fua" if fua else "")
            client.write(WINDOW_START + start, data, fua=fua)
            file[start : start + length] = data
        elif chosen < 0.85:
            self._note("trim", disk, start, length)
            client.trim(WINDOW_START + start, length)
            file[start : start + length] = bytes(length)
        elif chosen < 0.95:
            no_hole = self._dice.random() < 0.5
            self._note("zero", disk, start, length, "no hole" if no_hole else "")
            client.write_zeroes(WINDOW_START + start, length, no_hole=no_hole)
            file[start : start + length] = bytes(length)
        else:
            self._note("flush", disk)
            client.flush()

    def _snapshot(self):
        if len(self._snapshots) >= SNAPSHOTS_MAX:
            return self._delete_snapshot()
        disk = self._dice.choice(list(self._files))
        snapshot = self._cloud.create_snapshot(disk)
        self._note("snapshot", disk, snapshot)
        self._snapshots[snapshot] = (disk, bytes(self._files[disk]))
        return None

    def _verify_snapshot(self):
        for snapshot, (_, content) in self._snapshots.items():
            self._note("read back", snapshot)
            with NbdClient(self._server.nbd_socket, snapshot) as client:
                assert client.read(WINDOW_START, WINDOW_BYTES) == content, snapshot

    def _clone(self):
        snapshot = self._dice.choice(list(self._snapshots))
        disk = self._cloud.create_disk(None, SnapshotId=snapshot)
        self._note("clone", snapshot, disk)
        self._take(disk, self._snapshots[snapshot][1])
        self._verify(disk)

    def _roll_back(self):
        snapshot = self._dice.choice(list(self._snapshots))
        disk, content = self._snapshots[snapshot]
        if disk not in self._files:
            return
        self._let_go(disk)
        self._note("roll back", disk, snapshot)
        self._cloud.roll_back(disk, snapshot)
        self._take(disk, content)
        self._verify(disk)

    def _delete_snapshot(self):
        if self._snapshots:
            snapshot = self._dice.choice(list(self._snapshots))
            self._note("delete", snapshot)
            del self._snapshots[snapshot]
            self._cloud.delete_snapshots(snapshot)

    def _terminate(self):
        disk = self._dice.choice(list(self._files))
        self._let_go(disk)
        self._note("terminate", disk)
        del self._files[disk]
        self._cloud.terminate(disk)

    def _let_go(self, disk):
        for client in self._clients.pop(disk):
            client.close()
        self._cloud.detach(disk)

    def _verify(self, disk):
        assert self._clients[disk][0].read(WINDOW_START, WINDOW_BYTES) == self._files[disk], disk

    def finish(self):
        """Everything is read back once more."""
        self._verify_snapshot()
        for disk, clients in self._clients.items():
            self._verify(disk)
            for client in clients:
                client.close()


# Most of the time with the page cache, the rest past it.
@pytest.mark.parametrize(("cache", "share"), [("page", 0.75), ("direct", 0.25)])
def test_random_operations_against_model_files(servers, seed, cache, share):
    server = servers.make(f'cache = "{cache}"\n' + RATE_LIMIT_OFF)
    try:
        fsx = Fsx(server.start(), seed)
    except AssertionError as failed:
        if "--cache page" in str(failed):
            pytest.skip(f"this machine has no direct transfers: {failed}")
        raise
    seconds = share * int(os.environ.get("ASHLAR_FSX_SECONDS") or SECONDS_DEFAULT)
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            fsx.round()
        fsx.finish()
    except BaseException:
        print("last steps:\n  " + "\n  ".join(fsx.steps))
        raise
    print(f"{fsx.operations} operations in {seconds:.0f} s")
    assert fsx.operations > 0
