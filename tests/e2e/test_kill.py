"""`kill -9` at random moments of a mixed workload: nothing that was answered or flushed is lost."""

import os
import random
import threading

import pytest

from harness.cloud import Cloud
from harness.nbd_client import NbdClient
from harness.caller import Caller, Records, adopt_disk, verify_records
from harness.waiting import wait_until
from harness.writer import BlockModel, Writer, assert_allowed, read_values

ROUNDS = 20
WRITTEN_DISKS = 2


@pytest.fixture
def seed(record_property):
    """`$ASHLAR_E2E_SEED`, else a random one; printed, so that a failure can be replayed."""
    chosen = int(os.environ.get("ASHLAR_E2E_SEED") or random.SystemRandom().getrandbits(32))
    record_property("ASHLAR_E2E_SEED", chosen)
    print(f"ASHLAR_E2E_SEED={chosen}")
    return chosen


def run_until_killed(server, cloud, instance, records, models, chance):
    """Runs writers and a caller, kills the server at a random moment and hands on what went wrong before."""
    writers = {disk: Writer(server, disk, model, chance.getrandbits(64)) for disk, model in models.items()}
    caller = Caller(cloud, instance, records, writers, chance.getrandbits(64))
    threads = [*writers.values(), caller]
    for thread in threads:
        thread.start()
    wait_until(
        lambda: any(thread.error for thread in threads)
        or caller.answered > 2 and all(writer.flush_count > 2 for writer in writers.values()),
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


def test_a_job_killed_in_the_middle_ends(servers, seed):
    """Calls that are answered or under way when the server dies leave nothing stuck and nothing half made."""
    chance = random.Random(seed)
    server = servers.start()
    cloud = Cloud(server)
    instance = server.add_instance()
    disks = cloud.create_disks(10, count=4)
    for number in range(6):
        starts = threading.Barrier(5)

        def storm(action, **parameters):
            starts.wait(30)
            try:
                cloud_of_thread = Cloud(server)
                cloud_of_thread.call(action, **parameters)
            except Exception:  # noqa: BLE001 - answered, refused or cut off: all are fair here
                return

        calls = [
            ("AttachDisks", {"InstanceId": instance, "DiskIds": disks[:2]}),
            ("ResizeDisk", {"DiskId": disks[2], "DiskSize": 11 + number}),
            ("CreateSnapshot", {"DiskId": disks[3], "SnapshotName": f"storm-{number}"}),
            ("DetachDisks", {"DiskIds": disks[:2]}),
        ]
        threads = [threading.Thread(target=storm, args=(action,), kwargs=wanted) for action, wanted in calls]
        for thread in threads:
            thread.start()
        starts.wait(30)
        threading.Event().wait(chance.uniform(0.0, 0.05))
        server.kill()
        for thread in threads:
            thread.join(60)
        server.start()
        wait_until(
            lambda: {disk["DiskState"] for disk in cloud.call("DescribeDisks")["DiskSet"]} <= {"ATTACHED", "UNATTACHED"},
            "no disk is stuck",
        )
        wait_until(
            lambda: {one["SnapshotState"] for one in cloud.call("DescribeSnapshots")["SnapshotSet"]} <= {"NORMAL"},
            "no snapshot is stuck",
        )
        assert cloud.call("DescribeDisks")["TotalCount"] == len(disks)
        for disk in cloud.call("DescribeDisks")["DiskSet"]:
            assert disk["Attached"] == (disk["DiskState"] == "ATTACHED") == bool(disk["InstanceId"])
            if disk["Attached"]:
                NbdClient(server.nbd_socket, disk["DiskId"]).close()
