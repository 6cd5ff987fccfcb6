"""`kill -9` at random moments of a mixed workload: nothing that was answered or flushed is lost."""

import random
import threading

from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from harness.caller import Caller, Records, adopt_disk, verify_records
from harness.cloud import Cloud
from harness.nbd_client import NbdClient
from harness.waiting import wait_until
from harness.writer import BlockModel, Writer, assert_allowed, read_values

ROUNDS = 20
WRITTEN_DISKS = 2


def run_until_killed(server, cloud, instance, records, models, chance):
    """Runs writers and a caller, kills the server at a random moment and hands on what went wrong before."""
    writers = {disk: Writer(server, disk, model, chance.getrandbits(64)) for disk, model in models.items()}
    caller = Caller(cloud, instance, records, writers, chance.getrandbits(64))
    threads = [*writers.values(), caller]
    for thread in threads:
        thread.start()
    wait_until(
        lambda: (
            any(thread.error for thread in threads)
            or caller.answered > 2
            and all(writer.flush_count > 2 for writer in writers.values())
        ),
        "the workload is under way",
    )
    # The moment is random on purpose; nothing waits for this time to have any effect.
    threading.Event().wait(chance.uniform(0.0, 0.6))
    alive = [thread.is_alive() for thread in threads]
    server.kill()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a client hangs after the server died"
        if thread.error:
            raise thread.error
    assert all(alive), "a client lost the server before it was killed"
    return caller.answered, sum(writer.flush_count for writer in writers.values())


def test_kill_9_at_random_moments(servers, seed):
    chance = random.Random(seed)
    server = servers.start()
    cloud = Cloud(server)
    instance = server.add_instance()
    records, models = Records(), {}
    for disk in cloud.create_disks(10, count=WRITTEN_DISKS, DiskName="written"):
        cloud.attach(instance, disk)
        adopt_disk(records, disk, {"DiskName": "written", "DiskSize": 10})
        records.settle(records.disks, disk, DiskState="ATTACHED")
        models[disk] = BlockModel()

    answered = flushed = 0
    for number in range(ROUNDS):
        calls, flushes = run_until_killed(server, cloud, instance, records, models, chance)
        answered, flushed = answered + calls, flushed + flushes
        if number % 4 == 0:
            server.assert_clean()  # What a crash leaves is no damage: `check` reads it without repairing it.
        server.start()
        verify_records(cloud, server, records)
        for disk, model in models.items():
            with NbdClient(server.nbd_socket, disk) as client:
                values = read_values(client)
            assert_allowed(values, model.after_crash(), f"{disk} after kill {number} (seed {seed})")
            model.found(values)
    print(f"{ROUNDS} kills, {answered} answered calls, {flushed} answered flushes")
    server.stop()
    server.assert_clean()


def test_a_detached_disk_is_durable(servers):
    server = servers.start()
    cloud = Cloud(server)
    instance = server.add_instance()
    disk = cloud.create_disk()
    cloud.attach(instance, disk)
    with NbdClient(server.nbd_socket, disk) as client:
        client.write(0, b"\x61" * (1 << 20))  # and no flush
    cloud.detach(disk)
    server.kill()
    server.start()
    cloud.attach(instance, disk)
    with NbdClient(server.nbd_socket, disk) as client:
        assert client.read(0, 1 << 20) == b"\x61" * (1 << 20), "UNATTACHED says that the bytes are at rest"


def test_sigterm_under_load_loses_no_answered_write(servers, seed):
    chance = random.Random(seed)
    server = servers.start()
    cloud = Cloud(server)
    instance = server.add_instance()
    disk = cloud.create_disk()
    cloud.attach(instance, disk)
    model = BlockModel()
    for _ in range(3):
        writer = Writer(server, disk, model, chance.getrandbits(64))
        writer.start()
        wait_until(lambda one=writer: one.error or one.flush_count > 20, "the writer is under way")
        server.stop()
        writer.join(60)
        assert not writer.is_alive()
        assert writer.error is None, writer.error
        server.start()
        with NbdClient(server.nbd_socket, disk) as client:
            values = read_values(client)
        assert_allowed(values, model.answered_or_later(), f"{disk} after SIGTERM (seed {seed})")
        model.found(values)


class Call(threading.Thread):
    """One call that begins together with others; `answer` stays None when it was refused or cut off."""

    def __init__(self, cloud, start, action, wanted):
        super().__init__(daemon=True)
        self.answer = None
        self._cloud, self._start, self._action, self._wanted = cloud, start, action, wanted

    def run(self):
        self._start.wait(30)
        try:
            self.answer = self._cloud.call(self._action, **self._wanted)
        except TencentCloudSDKException:
            self.answer = None


def test_jobs_killed_in_the_middle_end(servers, seed):
    chance = random.Random(seed)
    server = servers.start()
    cloud = Cloud(server)
    instance = server.add_instance()
    disks = cloud.create_disks(10, count=4)
    size_gib, snapshots = 10, set()
    for number in range(8):
        start = threading.Barrier(5)
        attach, resize, snapshot, detach = calls = [
            Call(Cloud(server), start, action, wanted)
            for action, wanted in [
                ("AttachDisks", {"InstanceId": instance, "DiskIds": disks[:2]}),
                ("ResizeDisk", {"DiskId": disks[2], "DiskSize": size_gib + 1}),
                ("CreateSnapshot", {"DiskId": disks[3], "SnapshotName": f"snapshot-{number}"}),
                ("DetachDisks", {"DiskIds": disks[:2]}),
            ]
        ]
        for call in calls:
            call.start()
        start.wait(30)
        # The moment is random on purpose; nothing waits for this time to have any effect.
        threading.Event().wait(chance.uniform(0.0, 0.05))
        server.kill()
        for call in calls:
            call.join(60)
            assert not call.is_alive(), "a client hangs after the server died"

        server.start()
        found = settled_disks(cloud)
        assert set(found) == set(disks)
        for disk in found.values():
            assert disk["Attached"] == (disk["DiskState"] == "ATTACHED") == bool(disk["InstanceId"])
            if disk["Attached"]:
                NbdClient(server.nbd_socket, disk["DiskId"]).close()
        if attach.answer and not detach.answer:
            assert found[disks[0]]["DiskState"] == found[disks[1]]["DiskState"]
        assert found[disks[2]]["DiskSize"] in ({size_gib + 1} if resize.answer else {size_gib, size_gib + 1})
        size_gib = found[disks[2]]["DiskSize"]
        there = {one["SnapshotId"] for one in cloud.call("DescribeSnapshots")["SnapshotSet"]}
        if snapshot.answer:
            snapshots.add(snapshot.answer["SnapshotId"])
        assert snapshots <= there
        assert len(there - snapshots) <= 1, "a call without an answer makes at most one snapshot"
        snapshots = there


def settled_disks(cloud):
    """All disks by id, once nothing is under way any more."""

    def settled():
        disks = cloud.call("DescribeDisks")["DiskSet"]
        snapshots = cloud.call("DescribeSnapshots")["SnapshotSet"]
        if {disk["DiskState"] for disk in disks} <= {"ATTACHED", "UNATTACHED"}:
            return {one["SnapshotState"] for one in snapshots} <= {"NORMAL"} and disks
        return None

    return {disk["DiskId"]: disk for disk in wait_until(settled, "no disk and no snapshot is stuck")}
