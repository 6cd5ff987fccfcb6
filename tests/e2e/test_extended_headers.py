"""Extended headers and lengths of 64 bits, with a stock client that knows them: libnbd 1.18 or newer."""

import json
import os

import pytest

from harness.cloud import Cloud
from harness.nbd_client import NbdClient
from harness.tools import extended_client, run

MIB = 1 << 20
GIB = 1 << 30


@pytest.fixture
def large_disk(servers):
    """A server with an attached disk of 200 GiB that holds a little in three places."""
    server = servers.start()
    cloud, instance = Cloud(server), server.add_instance()
    disk = cloud.create_disk(200)
    cloud.attach(instance, disk)
    with NbdClient(server.nbd_socket, disk) as client:
        client.write(0, b"\x11" * MIB)
        client.write(120 * GIB, b"\x22" * MIB)
        client.write(200 * GIB - MIB, b"\x33" * MIB)
        client.flush()
    return server, cloud, instance, disk


def test_extended_headers_are_agreed_on(large_disk):
    server, cloud, _, disk = large_disk
    snapshot = cloud.create_snapshot(disk)
    nbdinfo = extended_client("nbdinfo")
    found = json.loads(run(*nbdinfo, "--json", server.nbd_uri(disk)).stdout)
    assert found["protocol"] == "newstyle-fixed"
    assert found["extended"] is True and found["structured"] is True
    [export] = found["exports"]
    assert export["export-size"] == 200 * GIB
    found = json.loads(run(*nbdinfo, "--json", server.nbd_uri(snapshot)).stdout)
    assert found["extended"] is True and found["exports"][0]["is_read_only"] is True


def joined(extents):
    """Neighbours of one type as one."""
    found = []
    for offset, length, kind in extents:
        if found and found[-1][2] == kind:
            assert sum(found[-1][:2]) == offset
            found[-1] = (found[-1][0], found[-1][1] + length, kind)
        else:
            found.append((offset, length, kind))
    return found


def test_one_extent_may_be_longer_than_32_bits(large_disk):
    server, *_, disk = large_disk
    nbdinfo = extended_client("nbdinfo")
    extents = json.loads(run(*nbdinfo, "--map", "--json", server.nbd_uri(disk)).stdout)
    shown = [(extent["offset"], extent["length"], extent["type"]) for extent in extents]
    assert max(length for _, length, _ in shown) > 1 << 32
    assert joined(shown) == [
        (0, MIB, 0),
        (MIB, 120 * GIB - MIB, 3),
        (120 * GIB, MIB, 0),
        (120 * GIB + MIB, 80 * GIB - 2 * MIB, 3),
        (200 * GIB - MIB, MIB, 0),
    ]


def test_bytes_go_both_ways(large_disk, tmp_path):
    server, cloud, instance, _ = large_disk
    nbdcopy = extended_client("nbdcopy")
    disk = cloud.create_disk()
    cloud.attach(instance, disk)
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.write(os.urandom(20 * MIB))
        file.seek(9 * GIB)
        file.write(os.urandom(3 * MIB))
        file.truncate(10 * GIB)
    # What is there before has to be zeroed, in pieces longer than 32 bits.
    with NbdClient(server.nbd_socket, disk) as client:
        client.write(5 * GIB, b"\x44" * MIB)
        client.flush()
    run(*nbdcopy, "--flush", source, server.nbd_uri(disk))
    with NbdClient(server.nbd_socket, disk) as client:
        assert client.read(5 * GIB, MIB) == bytes(MIB)
    run(*nbdcopy, server.nbd_uri(disk), tmp_path / "back")
    with source.open("rb") as wanted, (tmp_path / "back").open("rb") as back:
        for offset, length in ((0, 21 * MIB), (9 * GIB - MIB, 5 * MIB)):
            wanted.seek(offset)
            back.seek(offset)
            assert wanted.read(length) == back.read(length)
    other = cloud.create_disk()
    cloud.attach(instance, other)
    run(*nbdcopy, server.nbd_uri(disk), server.nbd_uri(other))
    with NbdClient(server.nbd_socket, other) as client, source.open("rb") as wanted:
        assert client.read(0, 20 * MIB) == wanted.read(20 * MIB)
