"""Disks of many TiB that hold little: what describes or discards them costs what they hold."""

import json
import time

import pytest

from harness.cloud import Cloud
from harness.nbd_client import NbdClient
from harness.tools import extended_client, need, run

MIB = 1 << 20
GIB = 1 << 30
TIB = 1 << 40
HUGE_GIB = 32000
# A second is what it takes, even unoptimised; a machine that does other things beside may need more.
DEADLINE_S = 20


@pytest.fixture
def huge_disk(servers):
    """A server with an attached, empty disk of the largest size."""
    server = servers.start()
    cloud, instance = Cloud(server), server.add_instance()
    disk = cloud.create_disk(HUGE_GIB)
    cloud.attach(instance, disk)
    return server, cloud, disk


def timed(*command):
    """What a command prints, as JSON, and how long it took."""
    begin = time.monotonic()
    found = json.loads(run(*command, timeout_s=DEADLINE_S).stdout)
    print(f"{' '.join(map(str, command))}: {time.monotonic() - begin:.2f} s")
    return found


def data_of(extents):
    return [(extent["offset"], extent["length"]) for extent in extents if extent["type"] & 1 == 0]


def scatter(client, count):
    """Writes a block in each of so many places, evenly spread, and says where."""
    places = [HUGE_GIB * GIB // 4096 * number // count * 4096 for number in range(count)]
    for place in places:
        client.write(place, b"\x5a" * 4096)
    client.flush()
    return places


@pytest.mark.parametrize("headers", ["compact", "extended"])
def test_a_map_costs_what_a_disk_holds(huge_disk, headers):
    server, cloud, disk = huge_disk
    need("nbdinfo")
    nbdinfo = ["nbdinfo"] if headers == "compact" else extended_client("nbdinfo")
    extents = timed(*nbdinfo, "--map", "--json", server.nbd_uri(disk))
    assert data_of(extents) == [] and sum(extent["length"] for extent in extents) == HUGE_GIB * GIB
    with NbdClient(server.nbd_socket, disk) as client:
        places = scatter(client, 1000)
    snapshot = cloud.create_snapshot(disk)
    extents = timed(*nbdinfo, "--map", "--json", server.nbd_uri(disk))
    assert data_of(extents) == [(place, 4096) for place in places]
    # The same of what changed: nothing, then one block.
    context = f"--map=ashlar:changed-since:{snapshot}"
    extents = timed(*nbdinfo, context, "--json", server.nbd_uri(disk))
    assert [extent for extent in extents if extent["type"]] == []
    with NbdClient(server.nbd_socket, disk) as client:
        client.write(17 * TIB, b"\x5b" * 4096)
    extents = timed(*nbdinfo, context, "--json", server.nbd_uri(disk))
    changed = [(extent["offset"], extent["length"]) for extent in extents if extent["type"] & 1]
    assert changed == [(17 * TIB, 4096)]


def test_qemu_img_maps_and_converts_a_huge_disk(huge_disk, tmp_path):
    server, _, disk = huge_disk
    need("qemu-img", "qemu-io")
    with NbdClient(server.nbd_socket, disk) as client:
        places = scatter(client, 300)
    extents = timed("qemu-img", "map", "--output=json", "-f", "raw", server.nbd_uri(disk))
    assert [extent["start"] for extent in extents if extent["data"]] == places
    image = tmp_path / "disk.qcow2"
    begin = time.monotonic()
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", server.nbd_uri(disk), image, timeout_s=60)
    print(f"convert: {time.monotonic() - begin:.2f} s")
    # `qemu-img compare` reads what one side calls zeroes and the other nothing: all of it. Three places tell enough.
    looks = [word for place in (places[0], places[150], places[-1]) for word in ("-c", f"read -P 0x5a {place} 4k")]
    assert "verification failed" not in run("qemu-io", "-r", "-f", "qcow2", *looks, image).stdout


def test_a_discard_costs_what_a_disk_holds(huge_disk):
    server, _, disk = huge_disk
    with NbdClient(server.nbd_socket, disk) as client:
        scatter(client, 1000)
        begin = time.monotonic()
        step = 2 * GIB
        for start in range(0, HUGE_GIB * GIB, step):
            client.trim(start, step)
        client.flush()
        print(f"discard: {time.monotonic() - begin:.2f} s")
        assert time.monotonic() - begin < 3 * DEADLINE_S
        assert client.read(0, 4096) == bytes(4096)
    nbdinfo = ["nbdinfo", "--map", "--json", server.nbd_uri(disk)]
    assert data_of(timed(*nbdinfo)) == []
