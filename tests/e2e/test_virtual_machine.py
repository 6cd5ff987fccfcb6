"""A disk as a device of a virtual machine: QEMU opens the export, the guest finds the disk by its id."""

from harness.cloud import Cloud
from harness.guest import Guest
from harness.nbd_client import NbdClient
from harness.server import ZONE

KIB = 1 << 10
# Where ext4 says what it is.
MAGIC_OFFSET, MAGIC = 1080, b"\x53\xef"


def device(server, disk):
    """The disk as a device of QEMU, as the README writes it."""
    export = f"driver=nbd,node-name={disk},export={disk},server.type=unix,server.path={server.nbd_socket}"
    return (
        *("-blockdev", f"{export},reconnect-delay=30,discard=unmap"),
        *("-device", f"virtio-blk-pci,drive={disk},serial={disk}"),
    )


def test_a_guest_finds_its_disks_by_their_ids(servers, tmp_path):
    server = servers.start()
    cloud, instance = Cloud(server), server.add_instance(zone=ZONE)
    disks = cloud.create_disks(10, 2)
    cloud.attach(instance, *disks)
    devices = [word for disk in disks for word in device(server, disk)]
    with Guest(tmp_path / "guest", ("mkfs.ext4",), devices=devices) as guest:
        # Cloud agents and the Kubernetes CSI driver look here.
        found = guest.run("for block in /sys/block/vd*; do echo $(cat $block/serial) ${block##*/}; done")
        names = dict(line.split() for line in found.splitlines())
        assert set(names) == set(disks)
        assert guest.run(f"cat /sys/block/{names[disks[1]]}/size") == str(10 << 21)
        guest.run(f"/programs/mkfs.ext4 -q -E lazy_itable_init=1 /dev/{names[disks[1]]} && sync")
    with NbdClient(server.nbd_socket, disks[1]) as written, NbdClient(server.nbd_socket, disks[0]) as other:
        assert written.read(0, 4 * KIB)[MAGIC_OFFSET : MAGIC_OFFSET + 2] == MAGIC
        assert other.read(0, 4 * KIB) == bytes(4 * KIB)
