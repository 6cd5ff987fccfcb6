"""Clients that want the server's memory: what they can make it hold is bounded, and it serves others meanwhile."""

import contextlib
import socket
import struct
from pathlib import Path

import pytest

from harness.cloud import Cloud
from harness.nbd_client import NbdClient

MIB = 1 << 20
CONNECTIONS = 60
# The longest request there is.
REQUEST_BYTES = 32 * MIB
# `waiting_total_mib_max` of the configuration below, and what the server has beside it: threads, sockets, the map.
BOUND_BYTES = (128 + 160) * MIB
CONFIG = 'rate_limits = "off"\n[nbd]\nwaiting_total_mib_max = 128\nstall_timeout_s = 600\nhandshake_timeout_s = 600\n'

READ, WRITE = 0, 1


@pytest.fixture
def world(servers):
    server = servers.start(config=CONFIG)
    cloud, instance = Cloud(server), server.add_instance()
    disk = cloud.create_disk()
    cloud.attach(instance, disk)
    with NbdClient(server.nbd_socket, disk) as client:
        for offset in range(0, 64 * MIB, 4 * MIB):
            client.write(offset, bytes([7]) * (4 * MIB))
        client.flush()
    return server, disk


def resident_bytes(server):
    status = Path(f"/proc/{server.pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024


def request(command, length, cookie=1):
    return struct.pack(">IHHQQI", 0x25609513, 0, command, cookie, 0, length)


def greedy_reader(client):
    """Asks for far more than it takes."""
    client.settimeout(1)
    for cookie in range(8):
        client.sendall(request(READ, REQUEST_BYTES, cookie))


def stuck_writer(client):
    """Announces a long write, sends some of it, and stops."""
    client.settimeout(5)
    client.sendall(request(WRITE, REQUEST_BYTES))
    with contextlib.suppress(TimeoutError):
        client.sendall(bytes(3 * MIB))


def half_handshake(server):
    """Announces an option of 2 GiB and never sends it."""
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(server.nbd_socket))
    client.recv(18)
    client.sendall(struct.pack(">I", 3) + b"IHAVEOPT" + struct.pack(">II", 7, 1 << 31))
    return client


@pytest.mark.parametrize("misbehave", [greedy_reader, stuck_writer, None], ids=["reads", "writes", "handshakes"])
def test_many_hostile_clients_hold_little_memory(world, misbehave):
    server, disk = world
    before = resident_bytes(server)
    with contextlib.ExitStack() as held:
        highest = before
        for _ in range(CONNECTIONS):
            if misbehave is None:
                held.callback(half_handshake(server).close)
            else:
                client = held.enter_context(NbdClient(server.nbd_socket, disk))
                with contextlib.suppress(OSError):
                    misbehave(client.socket)
            highest = max(highest, resident_bytes(server))
        # Another client is served all the same, while none of them has been ended.
        with NbdClient(server.nbd_socket, disk) as other:
            other.write(100 * MIB, b"served")
            other.flush()
            assert other.read(100 * MIB, 6) == b"served"
        highest = max(highest, resident_bytes(server))
    print(f"{CONNECTIONS} clients: {(highest - before) // MIB} MiB more than {before // MIB}")
    assert highest - before < BOUND_BYTES
