"""The NBD client of the Linux kernel, in a machine of its own: what is written there is on the disk here."""

import hashlib
import random
from pathlib import Path

import pytest

from harness.cloud import Cloud
from harness.guest import HOST, Guest
from harness.nbd_client import ExportRefused, NbdClient
from harness.tools import need
from harness.waiting import wait_until

MIB = 1 << 20
GIB = 1 << 30
CONNECTIONS = 4
BLOCK = 4096
READ_A_BLOCK = "dd if=/dev/nbd{} of=/dev/null iflag=direct bs=4k count=1 2>/dev/null"


@pytest.fixture(scope="module")
def guest(tmp_path_factory):
    """A machine with the kernel's NBD client, booted once."""
    need("e2fsck", "blkdiscard")
    with Guest(tmp_path_factory.mktemp("guest"), ("nbd-client", "mkfs.ext4", "e2fsck", "blkdiscard")) as machine:
        yield machine


@pytest.fixture
def attached(servers):
    """A server of its own with an attached disk."""
    server = servers.start()
    cloud = Cloud(server)
    instance = server.add_instance()
    disk = cloud.create_disk()
    cloud.attach(instance, disk)
    return server, cloud, instance, disk


def connect(guest, server, export, number=0, connections=1, status=0):
    """Makes /dev/nbdN of an export."""
    return guest.run(
        f"nbd-client -N {export} -C {connections} -b 512 {HOST} {server.nbd_port} /dev/nbd{number}", status=status
    )


def disconnect(guest, number=0):
    guest.run(f"nbd-client -d /dev/nbd{number}")
    wait_until(lambda: guest.run(f"cat /sys/block/nbd{number}/size") == "0", f"nbd{number} is gone")


def connections_to(server):
    """How many connections there are to the server's NBD port."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    established = f"0100007F:{server.nbd_port:04X}"
    return sum(line.split()[1] == established and line.split()[3] == "01" for line in lines)


def sum_of(guest, device, offset, length):
    """The SHA-256 of a range, past the guest's cache."""
    blocks = f"skip={offset // BLOCK} count={length // BLOCK} bs={BLOCK}"
    return guest.run(f"dd if={device} iflag=direct {blocks} 2>/dev/null | sha256sum").split()[0]


def test_a_file_system_of_the_kernel_over_several_connections(guest, attached):
    server, cloud, _, disk = attached
    connect(guest, server, disk, connections=CONNECTIONS)
    assert guest.run("cat /sys/block/nbd0/size") == str(10 * GIB // 512)
    assert guest.run("cat /sys/block/nbd0/ro") == "0"
    # The kernel uses what the export says of itself: flushes with FUA, and trim.
    assert guest.run("cat /sys/block/nbd0/queue/write_cache") == "write back"
    assert guest.run("cat /sys/block/nbd0/queue/fua") == "1"
    assert int(guest.run("cat /sys/block/nbd0/queue/discard_max_bytes")) > 0
    guest.run("mkfs.ext4 -q -E nodiscard,lazy_itable_init=0 -J size=4 -N 1024 /dev/nbd0 64M")
    guest.run("mount -t ext4 /dev/nbd0 /mnt")
    guest.run("dd if=/dev/urandom of=/mnt/kept bs=64k count=64 2>/dev/null && sync")
    guest.run("dd if=/dev/urandom of=/mnt/large bs=1M count=24 2>/dev/null && sync")
    kept = guest.run("sha256sum </mnt/kept").split()[0]
    assert connections_to(server) == CONNECTIONS

    snapshot = cloud.create_snapshot(disk)
    full = server.pool_allocated_bytes()
    guest.run("rm /mnt/large && sync")
    cloud.delete_snapshots(snapshot)
    guest.run("fstrim /mnt")
    wait_until(lambda: server.pool_allocated_bytes() < full - 20 * MIB, "20 of 24 MiB come back after fstrim")
    snapshot = cloud.create_snapshot(disk)
    guest.run("dd if=/dev/zero of=/mnt/kept bs=64k count=64 conv=notrunc,fsync 2>/dev/null")
    guest.run("umount /mnt")
    guest.run("e2fsck -fn /dev/nbd0")
    disconnect(guest)
    wait_until(lambda: connections_to(server) == 0, "the sessions of the guest have ended")

    connect(guest, server, snapshot)
    assert guest.run("cat /sys/block/nbd0/ro") == "1"
    guest.run("mount -t ext4 -o ro,noload /dev/nbd0 /mnt")
    assert guest.run("sha256sum </mnt/kept").split()[0] == kept
    guest.run("dd if=/dev/zero of=/dev/nbd0 bs=4k count=1 2>/dev/null", status=1)
    guest.run("umount /mnt")
    disconnect(guest)


def test_bytes_are_the_same_on_both_sides(guest, attached, seed):
    server, _, _, disk = attached
    dice = random.Random(seed)
    connect(guest, server, disk, connections=CONNECTIONS)
    with NbdClient(server.nbd_socket, disk) as client:
        for number in range(4):
            offset = dice.randrange(GIB, 9 * GIB, BLOCK)
            there = dice.randrange(BLOCK, 2 * MIB, BLOCK)
            guest.run(
                f"dd if=/dev/urandom of=/dev/nbd0 oflag=direct conv=notrunc,fsync "
                f"bs={BLOCK} count={there // BLOCK} seek={offset // BLOCK} 2>/dev/null"
            )
            here = hashlib.sha256(client.read(offset, there)).hexdigest()
            assert sum_of(guest, "/dev/nbd0", offset, there) == here, f"round {number}"
            written = dice.randbytes(dice.randrange(BLOCK, MIB, BLOCK))
            client.write(offset + there, written)
            assert sum_of(guest, "/dev/nbd0", offset + there, len(written)) == hashlib.sha256(written).hexdigest()
            guest.run(f"/programs/blkdiscard -o {offset} -l {there} /dev/nbd0")
            assert client.read(offset, there) == bytes(there)
            guest.run(f"/programs/blkdiscard -z -o {offset + there} -l {len(written)} /dev/nbd0")
            assert client.read(offset + there, len(written)) == bytes(len(written))
        # To the very end of the disk, in sectors.
        guest.run(f"dd if=/dev/urandom of=/dev/nbd0 bs=512 count=3 seek={10 * GIB // 512 - 3} conv=fsync 2>/dev/null")
        end = client.read(10 * GIB - BLOCK, BLOCK)
        assert sum_of(guest, "/dev/nbd0", 10 * GIB - BLOCK, BLOCK) == hashlib.sha256(end).hexdigest()
        assert end[:-1536] == bytes(BLOCK - 1536) and any(end[-1536:])
    disconnect(guest)


def test_what_the_guest_has_synced_survives_kill_9_and_a_detachment_ends_its_disk(guest, attached):
    server, cloud, instance, disk = attached
    connect(guest, server, disk)
    guest.run("dd if=/dev/urandom of=/dev/nbd0 bs=64k count=32 conv=fsync 2>/dev/null")
    synced = sum_of(guest, "/dev/nbd0", 0, 2 * MIB)
    server.kill()
    server.start()
    with NbdClient(server.nbd_socket, disk) as client:
        assert hashlib.sha256(client.read(0, 2 * MIB)).hexdigest() == synced
    # The kernel has lost its connection: its disk answers with errors, and nothing hangs.
    guest.run(READ_A_BLOCK.format(0), status=1)
    disconnect(guest)

    connect(guest, server, disk, number=1)
    cloud.detach(disk)
    guest.run(READ_A_BLOCK.format(1), status=1)
    disconnect(guest, 1)
    with pytest.raises(ExportRefused):
        NbdClient(server.nbd_socket, disk)
    connect(guest, server, disk, number=2, status=1)
    cloud.attach(instance, disk)
    connect(guest, server, disk, number=2)
    assert sum_of(guest, "/dev/nbd2", 0, 2 * MIB) == synced
    disconnect(guest, 2)
