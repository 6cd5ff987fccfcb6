"""Random histories of disks and snapshots against a model that is nothing but dictionaries of block values."""

import random

import pytest

from harness.cloud import Cloud
from harness.nbd_client import NbdClient
from harness.writer import BLOCKS, ZEROES, block_bytes, block_offset, read_values

STEPS = 150
DISKS_MAX = 5
SNAPSHOTS_MAX = 12
REGION_RUN_MAX = 24
BLANK = (ZEROES,) * BLOCKS


class Model:
    """What every disk and snapshot holds, block by block."""

    def __init__(self):
        self.disks = {}  # id -> list of values
        self.origins = {}  # disk id -> snapshot id it was made from, or None
        self.snapshots = {}  # id -> (disk id, tuple of values)
        self.machines = {}  # disk id -> the machines that have it, in the order in which it came
        self.shareable = set()  # disks that several machines may have

    def plain(self):
        """The disks that snapshots can be taken of."""
        return [disk for disk in self.disks if disk not in self.shareable]


class History:
    """Takes one random step after the other through the API and over NBD, in the model and on the server."""

    def __init__(self, server, seed):
        self._server = server
        self._cloud = Cloud(server)
        self._instances = [server.add_instance() for _ in range(3)]
        self._random = random.Random(seed)
        self._next_value = 1
        self.model = Model()
        self.steps = [f"seed {seed}"]

    def step(self):
        """One random step that the present state allows."""
        choices = {self._write: 8, self._zero: 4, self._create: 2, self._kill: 1, self._verify_one: 2}
        if self.model.disks:
            choices |= {self._roll_back: 4, self._terminate: 1}
        if self.model.plain():
            choices |= {self._snapshot: 5, self._initialise: 1}
        if self.model.shareable:
            choices |= {self._join: 4, self._leave: 3}
        if self.model.snapshots:
            choices |= {self._delete_snapshots: 2, self._clone: 3}
        self._random.choices(list(choices), list(choices.values()))[0]()

    def _note(self, *words):
        self.steps.append(" ".join(map(str, words)))

    def _pick(self, mapping):
        return self._random.choice(list(mapping))

    def _open(self, export):
        """A connection to a snapshot, or to a disk as one of the machines that have it."""
        machines = self.model.machines.get(export, [])
        if len(machines) > 1 or (machines and self._random.random() < 0.5):
            export = f"{export}@{self._random.choice(machines)}"
        return NbdClient(self._server.nbd_socket, export)

    def _run(self):
        start = self._random.randrange(BLOCKS)
        # Runs stay within one region of the model, where blocks are neighbours on the disk.
        end = min(start + self._random.randrange(1, REGION_RUN_MAX), (start // 64 + 1) * 64)
        return range(start, end)

    def _write(self):
        if not self.model.disks:
            return
        disk, run, value = self._pick(self.model.disks), self._run(), self._next_value
        self._next_value += 1
        self._note("write", disk, run, value)
        with self._open(disk) as client:
            client.write(block_offset(run[0]), b"".join(block_bytes(block, value) for block in run))
            client.flush()
        for block in run:
            self.model.disks[disk][block] = value

    def _zero(self):
        if not self.model.disks:
            return
        disk, run, trim = self._pick(self.model.disks), self._run(), self._random.random() < 0.5
        self._note("trim" if trim else "zero", disk, run)
        with self._open(disk) as client:
            offset, length = block_offset(run[0]), block_offset(run[-1]) + 4096 - block_offset(run[0])
            if trim:
                client.trim(offset, length)
            else:
                client.write_zeroes(offset, length, no_hole=self._random.random() < 0.5)
            client.flush()
        for block in run:
            self.model.disks[disk][block] = ZEROES

    def _create(self):
        if len(self.model.disks) < DISKS_MAX:
            shareable = self._random.random() < 0.4
            disk = self._cloud.create_disk(Shareable=shareable)
            self._note("create", disk, "shareable" if shareable else "")
            self._add(disk, BLANK, None, shareable)

    def _clone(self):
        if len(self.model.disks) < DISKS_MAX:
            snapshot = self._pick(self.model.snapshots)
            shareable = self._random.random() < 0.3
            disk = self._cloud.create_disk(None, SnapshotId=snapshot, Shareable=shareable)
            self._note("clone", snapshot, disk, "shareable" if shareable else "")
            self._add(disk, self.model.snapshots[snapshot][1], snapshot, shareable)

    def _add(self, disk, values, origin, shareable):
        self._attach(disk)
        if shareable:
            self.model.shareable.add(disk)
        self.model.disks[disk] = list(values)
        self.model.origins[disk] = origin

    def _attach(self, disk):
        machine = self._random.choice(self._instances)
        self._cloud.attach(machine, disk)
        self.model.machines[disk] = [machine]

    def _join(self):
        disk = self._pick(sorted(self.model.shareable))
        others = [machine for machine in self._instances if machine not in self.model.machines[disk]]
        if others:
            machine = self._random.choice(others)
            self._note("join", disk, machine)
            self._cloud.attach(machine, disk)
            self.model.machines[disk].append(machine)

    def _leave(self):
        """One machine lets a disk go; a connection of another that was there before goes on."""
        disk = self._pick(sorted(self.model.shareable))
        if len(machines := self.model.machines[disk]) > 1:
            leaving, staying = self._random.sample(machines, 2)
            self._note("leave", disk, leaving)
            with NbdClient(self._server.nbd_socket, f"{disk}@{staying}") as client:
                client.flush()
                self._cloud.call("DetachDisks", InstanceId=leaving, DiskIds=[disk])
                self._cloud.wait_disk(disk, "ATTACHED")
                client.flush()
            machines.remove(leaving)

    def _detach(self, disk):
        for machine in self.model.machines.pop(disk):
            self._cloud.call("DetachDisks", InstanceId=machine, DiskIds=[disk])
        self._cloud.wait_disk(disk, "UNATTACHED")

    def _snapshot(self):
        if len(self.model.snapshots) < SNAPSHOTS_MAX:
            disk = self._pick(self.model.plain())
            snapshot = self._cloud.create_snapshot(disk)
            self._note("snapshot", disk, snapshot)
            self.model.snapshots[snapshot] = (disk, tuple(self.model.disks[disk]))

    def _roll_back(self):
        own = [name for name, (disk, _) in self.model.snapshots.items() if disk in self.model.disks]
        if own:
            snapshot = self._random.choice(own)
            disk, values = self.model.snapshots[snapshot]
            self._note("roll back", disk, snapshot)
            self._detach(disk)
            self._cloud.roll_back(disk, snapshot)
            self._attach(disk)
            self.model.disks[disk] = list(values)

    def _initialise(self):
        disk = self._pick(self.model.plain())
        origin = self.model.origins[disk]
        if origin is None or origin in self.model.snapshots:
            self._note("initialise", disk)
            self._detach(disk)
            self._cloud.call("InitializeDisks", DiskIds=[disk])
            self._cloud.wait_disk(disk, "UNATTACHED")
            self._attach(disk)
            self.model.disks[disk] = list(BLANK if origin is None else self.model.snapshots[origin][1])

    def _terminate(self):
        disk = self._pick(self.model.disks)
        self._note("terminate", disk)
        self.terminate(disk)

    def terminate(self, disk):
        """Takes the disk out of its machines and gives it back."""
        self._detach(disk)
        self._cloud.terminate(disk)
        del self.model.disks[disk]
        self.model.shareable.discard(disk)

    def _delete_snapshots(self):
        count = self._random.randrange(1, min(3, len(self.model.snapshots)) + 1)
        snapshots = self._random.sample(list(self.model.snapshots), count)
        self._note("delete", *snapshots)
        self._cloud.delete_snapshots(*snapshots)
        for snapshot in snapshots:
            del self.model.snapshots[snapshot]

    def _kill(self):
        self._note("kill -9")
        self._server.kill()
        self._server.start()

    def _verify_one(self):
        everything = self._expected()
        if everything:
            self._verify(self._pick(everything))

    def _expected(self):
        return self.model.disks | {name: values for name, (_, values) in self.model.snapshots.items()}

    def _verify(self, export):
        with self._open(export) as client:
            found, expected = read_values(client), list(self._expected()[export])
        wrong = [block for block in range(BLOCKS) if found[block] != expected[block]]
        if wrong:
            block, history = wrong[0], "\n".join(self.steps)
            what = f"{export}: {len(wrong)} wrong blocks; {block} holds {found[block]}, expected {expected[block]}"
            raise AssertionError(f"{what}\n{history}")

    def verify_all(self):
        """Every disk and snapshot holds what the model says, and there are no others."""
        for export in self._expected():
            self._verify(export)
        disks = self._cloud.call("DescribeDisks", Limit=100)["DiskSet"]
        assert {disk["DiskId"] for disk in disks} == set(self.model.disks)
        for disk in disks:
            machines = self.model.machines[disk["DiskId"]]
            if disk["DiskId"] in self.model.shareable:
                assert (disk["InstanceId"], disk["InstanceIdList"]) == ("", machines)
            else:
                assert ([disk["InstanceId"]], disk["InstanceIdList"]) == (machines, [])
        for machine in self._instances:
            inside = [{"Name": "instance-id", "Values": [machine]}]
            found = self._cloud.call("DescribeDisks", Limit=100, Filters=inside)
            expected = {disk for disk, machines in self.model.machines.items() if machine in machines}
            assert ({disk["DiskId"] for disk in found["DiskSet"]}, found["TotalCount"]) == (expected, len(expected))
        snapshots = self._cloud.call("DescribeSnapshots", Limit=100)["SnapshotSet"]
        assert {one["SnapshotId"] for one in snapshots} == set(self.model.snapshots)


@pytest.mark.parametrize("number", range(3))
def test_random_histories_agree_with_the_model(servers, seed, number):
    server = servers.start()
    history = History(server, seed + number)
    for _ in range(STEPS):
        history.step()
    history.verify_all()
    server.stop()
    server.assert_clean()
    server.start()
    history.verify_all()


def test_space_of_everything_deleted_comes_back(servers, seed):
    server = servers.start()
    cloud = Cloud(server)
    empty = server.pool_allocated_bytes() if (server.data_dir / "pools").exists() else 0
    assert empty < 1 << 20
    cloud.terminate(cloud.create_disk())
    idle = server.pool_allocated_bytes()
    history = History(server, seed)
    for _ in range(STEPS // 2):
        history.step()
    for disk in list(history.model.disks):
        history.terminate(disk)
    if history.model.snapshots:
        cloud.delete_snapshots(*history.model.snapshots)
    server.stop()
    server.assert_clean()
    server.start()
    server.stop()
    left = server.pool_allocated_bytes() - idle
    assert left < 4 << 20, f"{left} bytes are lost"
