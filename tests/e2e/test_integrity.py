"""Damage on the medium: found, told to whoever has to know, never handed out as data."""

import errno
import json

import pytest

from harness.cloud import Cloud
from harness.nbd_client import NbdClient
from harness.server import run_ashlar
from harness.waiting import wait_until

BLOCK = 4096


def ashlar(server, *words):
    return run_ashlar(*words, "--data-dir", server.data_dir)


def spoil(server, wanted):
    """Flips a bit of the one place in the pools that holds these bytes."""
    found = []
    for data in (server.data_dir / "pools").glob("*/data"):
        content = data.read_bytes()
        at = content.find(wanted)
        while at >= 0:
            found.append((data, at))
            at = content.find(wanted, at + 1)
    assert len(found) == 1, found
    path, at = found[0]
    with path.open("r+b") as file:
        file.seek(at + 100)
        byte = file.read(1)[0]
        file.seek(at + 100)
        file.write(bytes([byte ^ 4]))


def block_of(number):
    return bytes([number]) * 8 + bytes((number * 7 + at) % 251 for at in range(BLOCK - 8))


def test_a_spoiled_block_is_an_error_that_everybody_hears_of(servers):
    server = servers.start()
    cloud = Cloud(server)
    instance = server.add_instance()
    (disk,) = cloud.create_disks(10)
    cloud.attach(instance, disk)
    with NbdClient(server.nbd_socket, disk) as client:
        for number in range(1, 9):
            client.write(number * BLOCK, block_of(number))
        client.flush()
        spoil(server, block_of(3))
        for number in (1, 2, 4, 5, 6, 7, 8):
            assert client.read(number * BLOCK, BLOCK) == block_of(number)

        # Nobody has read it yet: the scrub finds it.
        done = ashlar(server, "scrub", "--json")
        assert done.returncode == 1, (done.stdout, done.stderr)
        assert json.loads(done.stdout)["damaged_blocks"] == 1
        status = json.loads(ashlar(server, "status", "--json").stdout)
        assert status["pools"][0]["damaged"] == [[disk, 1]]
        assert "DAMAGED" in ashlar(server, "status").stdout
        metrics = ashlar(server, "status", "--metrics").stdout
        assert 'ashlar_pool_damaged_blocks{region="ap-guangzhou"} 1' in metrics

        with pytest.raises(OSError) as refused:
            client.read(3 * BLOCK, BLOCK)
        assert refused.value.errno == errno.EIO

        def prompt():
            return cloud.disk(disk)["ErrorPrompt"]

        wait_until(lambda: "1 block of 4 KiB is damaged" in prompt(), "the disk is marked")
        client.write(3 * BLOCK, block_of(3))
        client.flush()
        assert client.read(3 * BLOCK, BLOCK) == block_of(3)
        wait_until(lambda: prompt() == "", "the mark goes with the damage")
        done = ashlar(server, "scrub", disk, "--rate", "100")
        assert done.returncode == 0, done.stderr
        assert "100 %" in done.stdout

    done = ashlar(server, "scrub", "disk-zzzzzzzz")
    assert done.returncode == 1 and "disk-zzzzzzzz" in done.stderr
    server.stop()
    server.assert_clean()


def test_a_check_changes_nothing_unless_it_is_asked_to_repair(servers):
    server = servers.start()
    cloud = Cloud(server)
    instance = server.add_instance()
    (disk,) = cloud.create_disks(10)
    cloud.attach(instance, disk)
    with NbdClient(server.nbd_socket, disk) as client:
        for number in range(1, 5):
            client.write(number * BLOCK, block_of(number))
        client.flush()
        server.kill()

    def pools():
        return {path: path.read_bytes() for path in (server.data_dir / "pools").glob("*/*")}

    before = pools()
    assert ashlar(server, "check").returncode == 0
    assert pools() == before, "a killed pool is not recovered by looking at it"
    spoil(server, block_of(2))
    done = ashlar(server, "check", "--repair")
    assert done.returncode == 1, "damage to data cannot be mended"
    assert "does not match its checksum" in done.stdout
    server.start()
    with NbdClient(server.nbd_socket, disk) as client:
        assert client.read(BLOCK, BLOCK) == block_of(1)
        # Whoever has the right bytes mends it.
        client.write(2 * BLOCK, block_of(2))
        client.flush()
