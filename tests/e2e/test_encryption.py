"""Encrypted disks with the official SDK: what is stored of them, what follows from it, and what their key is worth."""

import json

import pytest

from harness.cloud import Cloud
from harness.nbd_client import NbdClient
from harness.server import run_ashlar

MIB = 1 << 20
SECRET = b"The cellar key hangs behind the third barrel. "


def write(server, disk, offset, data):
    with NbdClient(server.nbd_socket, disk) as client:
        client.write(offset, data)
        client.flush()


def read(server, export, offset, length):
    with NbdClient(server.nbd_socket, export) as client:
        return client.read(offset, length)


def holds(server, wanted):
    """Whether any file of the data directory holds these bytes, also across the borders of what is read at once."""
    for path in server.data_dir.rglob("*"):
        if not path.is_file():
            continue
        tail = b""
        with path.open("rb") as file:
            while piece := file.read(8 * MIB):
                if wanted in tail + piece:
                    return True
                tail = piece[-len(wanted) :]
    return False


@pytest.fixture
def world(servers):
    server = servers.start()
    cloud = Cloud(server)
    instance = server.add_instance()

    def attached(**parameters):
        disk = cloud.create_disk(**parameters)
        cloud.attach(instance, disk)
        return disk

    return server, cloud, attached


@pytest.mark.parametrize("wish", ["ENCRYPT", True], ids=["word", "boolean"])
def test_nothing_of_an_encrypted_disk_is_stored_in_plain(world, wish):
    server, cloud, attached = world
    disk = attached(Encrypt=wish)
    found = cloud.disk(disk)
    assert (found["Encrypt"], found["EncryptType"]) == (True, "ENCRYPT_V2")
    text = (SECRET * (MIB // len(SECRET) + 1))[:MIB]
    write(server, disk, 0, text)
    write(server, disk, 3 * MIB + 77, SECRET)
    snapshot = cloud.create_snapshot(disk)
    assert cloud.snapshot(snapshot)["Encrypt"] is True
    write(server, disk, 1000, SECRET)
    copy = attached(size_gib=None, SnapshotId=snapshot)
    assert cloud.disk(copy)["Encrypt"] is True
    assert read(server, snapshot, 0, MIB) == text
    assert read(server, copy, 3 * MIB, 200)[77 : 77 + len(SECRET)] == SECRET
    assert read(server, disk, 1000, len(SECRET)) == SECRET
    assert read(server, disk, 2 * MIB, 4096) == bytes(4096)
    assert not holds(server, SECRET[:32])

    # The search finds what is there: the same bytes on a plain disk.
    plain = attached()
    write(server, plain, 0, text)
    assert cloud.disk(plain)["Encrypt"] is False
    assert holds(server, SECRET[:32])


def test_disks_stay_readable_over_crashes_and_a_new_master_key(world):
    server, cloud, attached = world
    disk = attached(Encrypt="ENCRYPT", EncryptType="ENCRYPT_V1")
    assert cloud.disk(disk)["EncryptType"] == "ENCRYPT_V1"
    write(server, disk, 5, SECRET)
    server.kill()
    server.start()
    assert read(server, disk, 5, len(SECRET)) == SECRET
    with NbdClient(server.nbd_socket, disk) as client:
        rotated = run_ashlar("key", "rotate-master", "--json", "--data-dir", server.data_dir)
        assert rotated.returncode == 0, rotated.stderr
        assert json.loads(rotated.stdout)["data_keys"] == 1
        assert client.read(5, len(SECRET)) == SECRET, "an open session goes on"
    server.kill()
    server.start()
    assert read(server, disk, 5, len(SECRET)) == SECRET


def test_a_rollback_and_an_erased_disk_stay_encrypted(world):
    server, cloud, attached = world
    disk = attached(Encrypt="ENCRYPT")
    write(server, disk, 0, SECRET)
    snapshot = cloud.create_snapshot(disk)
    write(server, disk, 0, b"x" * 100)
    cloud.detach(disk)
    cloud.roll_back(disk, snapshot)
    assert cloud.disk(disk)["Encrypt"] is True
    instance = server.add_instance()
    cloud.attach(instance, disk)
    assert read(server, disk, 0, len(SECRET)) == SECRET
    with cloud.refused("InvalidParameterValue", "Encrypt"):
        cloud.call(
            "CreateDisks",
            Placement={"Zone": cloud.disk(disk)["Placement"]["Zone"]},
            DiskChargeType="POSTPAID_BY_HOUR",
            DiskType="CLOUD_PREMIUM",
            SnapshotId=snapshot,
            Encrypt=False,
        )
    assert not holds(server, SECRET[:32])


def test_the_data_key_goes_with_the_last_of_its_disks(world):
    server, cloud, attached = world
    disk = attached(Encrypt="ENCRYPT")
    write(server, disk, 0, SECRET)
    snapshot = cloud.create_snapshot(disk)
    keys = next(server.data_dir.glob("pools/*/keys"))
    used = [slot for slot in _slots(keys) if any(slot)]
    assert len(used) == 1
    cloud.detach(disk)
    cloud.terminate(disk)
    assert [slot for slot in _slots(keys) if any(slot)] == used, "the snapshot needs it"
    cloud.delete_snapshots(snapshot)
    assert not any(any(slot) for slot in _slots(keys))
    assert not holds(server, used[0][32:96])


def _slots(path):
    content = path.read_bytes()
    return [content[at : at + 512] for at in range(0, len(content), 512)]
