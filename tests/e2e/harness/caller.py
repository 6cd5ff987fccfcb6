"""A user of the control plane who keeps a record of every answered call and of the one that was not."""

import random
import threading

from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from harness.nbd_client import NbdClient
from harness.server import ZONE
from harness.waiting import wait_until
from harness.writer import assert_allowed, read_values

SPARE_DISKS_MAX = 6
SNAPSHOTS_MAX = 8
SETTLED_DISK_STATES = {"UNATTACHED", "ATTACHED"}


class Unanswered(Exception):
    """The connection broke before the answer came."""


class Records:
    """What has to be there: each attribute as the set of values that it may have."""

    def __init__(self):
        self.disks = {}  # id -> {"DiskName": {..}, "DiskSize": {..}, "DiskState": {..}, "present": {True, False}}
        self.snapshots = {}  # id -> {"disk": id, "blocks": [{value}], "present": {True, False}}
        self.pending_create = None  # parameters of a CreateDisks without an answer
        self.pending_snapshot = None  # name, disk and blocks of a CreateSnapshot without an answer

    def change(self, kind, identity, **fields):
        """A call is about to be sent: each field may have its new value too."""
        for name, value in fields.items():
            kind[identity].setdefault(name, set()).add(value)

    def settle(self, kind, identity, **fields):
        """The call was answered: each field has its new value alone."""
        for name, value in fields.items():
            kind[identity][name] = {value}
        if fields.get("present") is False:
            del kind[identity]


class Caller(threading.Thread):
    """Random calls, one after the other, until the server is lost."""

    def __init__(self, cloud, instance, records, writers, seed):
        super().__init__(daemon=True)
        self.error = None
        self.answered = 0
        self._cloud = cloud
        self._instance = instance
        self._records = records
        self._writers = writers  # disk id -> Writer
        self._random = random.Random(seed)

    def run(self):
        try:
            while True:
                self._random.choices(
                    (
                        self._create,
                        self._terminate,
                        self._rename,
                        self._resize,
                        self._move,
                        self._snapshot,
                        self._delete_snapshot,
                    ),
                    (4, 2, 4, 2, 5, 4, 2),
                )[0]()
        except Unanswered:
            return  # The server was killed: whether it should have been is the main thread's question.
        except BaseException as error:  # noqa: BLE001 - handed to the main thread
            self.error = error

    def _call(self, action, **parameters):
        try:
            answer = self._cloud.call(action, **parameters)
        except TencentCloudSDKException as error:
            if error.code == "ClientNetworkError":
                raise Unanswered from error
            raise AssertionError(f"{action} {parameters}: {error.code}: {error.message}") from error
        self.answered += 1
        return answer

    def _settled_disk(self, disk):
        def settled():
            answer = self._call("DescribeDisks", DiskIds=[disk])["DiskSet"]
            assert answer, f"{disk} is gone"
            return answer[0]["DiskState"] in SETTLED_DISK_STATES

        wait_until(settled, f"{disk} has arrived in a lasting state")

    def _spare(self):
        return [disk for disk in self._records.disks if disk not in self._writers]

    def _create(self):
        if len(self._spare()) >= SPARE_DISKS_MAX:
            return
        number = self._random.getrandbits(32)
        wanted = {
            "Placement": {"Zone": ZONE},
            "DiskChargeType": "POSTPAID_BY_HOUR",
            "DiskType": "CLOUD_PREMIUM",
            "DiskSize": self._random.randrange(10, 20),
            "DiskName": f"spare-{number}",
            "ClientToken": f"token/{number}",
        }
        usable = [name for name, snapshot in self._records.snapshots.items() if snapshot["present"] == {True}]
        if usable and self._random.random() < 0.3:
            wanted["SnapshotId"] = self._random.choice(usable)
        self._records.pending_create = wanted
        (disk,) = self._call("CreateDisks", **wanted)["DiskIdSet"]
        self._records.pending_create = None
        adopt_disk(self._records, disk, wanted)
        self._settled_disk(disk)

    def _terminate(self):
        loose = [disk for disk in self._spare() if self._records.disks[disk]["DiskState"] == {"UNATTACHED"}]
        if len(loose) < 2:
            return
        disk = self._random.choice(loose)
        self._records.change(self._records.disks, disk, present=False)
        self._call("TerminateDisks", DiskIds=[disk])
        self._records.settle(self._records.disks, disk, present=False)

    def _rename(self):
        self._modify("ModifyDiskAttributes", "DiskName", f"named-{self._random.getrandbits(32)}", many=True)

    def _resize(self):
        disks = self._spare()
        if disks:
            disk = self._random.choice(disks)
            (size,) = self._records.disks[disk]["DiskSize"]
            self._modify("ResizeDisk", "DiskSize", size + 1, disk=disk)
            self._settled_disk(disk)

    def _modify(self, action, field, value, disk=None, many=False):
        if disk is None and not self._records.disks:
            return
        disk = disk or self._random.choice(list(self._records.disks))
        self._records.change(self._records.disks, disk, **{field: value})
        self._call(action, **({"DiskIds": [disk]} if many else {"DiskId": disk}), **{field: value})
        self._records.settle(self._records.disks, disk, **{field: value})

    def _move(self):
        disks = self._spare()
        if not disks:
            return
        disk = self._random.choice(disks)
        (state,) = self._records.disks[disk]["DiskState"]
        goal = "ATTACHED" if state == "UNATTACHED" else "UNATTACHED"
        self._records.change(self._records.disks, disk, DiskState=goal)
        if goal == "ATTACHED":
            self._call("AttachDisks", InstanceId=self._instance, DiskIds=[disk])
        else:
            self._call("DetachDisks", DiskIds=[disk])
        self._records.settle(self._records.disks, disk, DiskState=goal)
        self._settled_disk(disk)

    def _snapshot(self):
        if len(self._records.snapshots) >= SNAPSHOTS_MAX:
            return
        disk, writer = self._random.choice(list(self._writers.items()))
        name = f"snapshot-{self._random.getrandbits(32)}"
        # The disk stands still, so what the snapshot has to hold is known: without a crash exactly what the
        # disk holds, after one whatever the disk may have come back with.
        with writer.turn:
            self._records.pending_snapshot = {"name": name, "disk": disk, "blocks": writer.model.after_crash()}
            snapshot = self._call("CreateSnapshot", DiskId=disk, SnapshotName=name)["SnapshotId"]
            record = {"disk": disk, "blocks": self._records.pending_snapshot["blocks"], "present": {True}}
            self._records.snapshots[snapshot] = record
            self._records.pending_snapshot = None

            def ready():
                found = self._call("DescribeSnapshots", SnapshotIds=[snapshot])["SnapshotSet"]
                return found and found[0]["SnapshotState"] == "NORMAL" and found[0]["Percent"] == 100

            wait_until(ready, f"{snapshot} is NORMAL")
            record["blocks"] = writer.model.now()

    def _delete_snapshot(self):
        if len(self._records.snapshots) < 3:
            return
        snapshot = self._random.choice(list(self._records.snapshots))
        self._records.change(self._records.snapshots, snapshot, present=False)
        self._call("DeleteSnapshots", SnapshotIds=[snapshot])
        self._records.settle(self._records.snapshots, snapshot, present=False)


def adopt_disk(records, disk, wanted):
    """Records a disk that was made with these parameters of CreateDisks."""
    records.disks[disk] = {
        "DiskName": {wanted["DiskName"]},
        "DiskSize": {wanted["DiskSize"]},
        "DiskState": {"UNATTACHED"},
        "present": {True},
    }


def verify_records(cloud, server, records):
    """After a restart: everything reaches a lasting state, and all that was answered is there, once."""
    if records.pending_create:
        wanted, records.pending_create = records.pending_create, None
        (disk,) = cloud.call("CreateDisks", **wanted)["DiskIdSet"]
        adopt_disk(records, disk, wanted)
    everything = lambda: cloud.call("DescribeDisks", Limit=100)["DiskSet"]  # noqa: E731 - asked twice
    snapshots = lambda: cloud.call("DescribeSnapshots", Limit=100)["SnapshotSet"]  # noqa: E731 - asked twice
    wait_until(lambda: all(disk["DiskState"] in SETTLED_DISK_STATES for disk in everything()), "no disk is under way")
    wait_until(lambda: all(one["SnapshotState"] == "NORMAL" for one in snapshots()), "no snapshot is under way")

    found = {disk["DiskId"]: disk for disk in everything()}
    _verify_presence(records.disks, found)
    for identity, record in records.disks.items():
        for field in ("DiskName", "DiskSize", "DiskState"):
            assert found[identity][field] in record[field], (identity, field, found[identity][field], record[field])
            record[field] = {found[identity][field]}

    found = {one["SnapshotId"]: one for one in snapshots()}
    pending, records.pending_snapshot = records.pending_snapshot, None
    for identity, one in found.items():
        if pending and one["SnapshotName"] == pending["name"]:
            records.snapshots[identity] = {"disk": pending["disk"], "blocks": pending["blocks"], "present": {True}}
    _verify_presence(records.snapshots, found)
    for identity, record in records.snapshots.items():
        with NbdClient(server.nbd_socket, identity) as client:
            values = read_values(client)
        assert_allowed(values, record["blocks"], f"{identity} of {record['disk']}")
        record["blocks"] = [{value} for value in values]


def _verify_presence(recorded, found):
    strangers = set(found) - set(recorded)
    assert not strangers, f"nobody made {strangers}"
    for identity in list(recorded):
        assert (identity in found) in recorded[identity]["present"], f"{identity} there: {identity in found}"
        if identity in found:
            recorded[identity]["present"] = {True}
        else:
            del recorded[identity]
