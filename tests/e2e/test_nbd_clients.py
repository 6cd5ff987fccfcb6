"""The data plane as stock NBD clients see it."""

import contextlib
import json
import os
import struct
import subprocess

import pytest

from harness.cloud import Cloud
from harness.nbd_client import ConnectionLost, ExportRefused, NbdClient
from harness.server import RATE_LIMIT_OFF, run_ashlar
from harness.tools import fio, nbdinfo, need, qemu_io, run
from harness.waiting import wait_until

GIB = 1 << 30
MIB = 1 << 20


def test_an_export_says_what_it_can_do(cloud, server, disk):
    export = nbdinfo(server.nbd_uri(disk))
    expected = {
        "export-size": 10 * GIB,
        "is_read_only": False,
        "can_flush": True,
        "can_fua": True,
        "can_trim": True,
        "can_zero": True,
        "can_multi_conn": True,
        "can_cache": True,
        "is_rotational": False,
        "can_df": True,
    }
    assert {name: export.get(name) for name in expected} == expected
    assert "base:allocation" in export["contexts"]
    assert export["block_size_minimum"] <= 4096 and export["block_size_preferred"] == 4096
    snapshot = cloud.create_snapshot(disk)
    export = nbdinfo(server.nbd_uri(snapshot))
    assert (export["export-size"], export["is_read_only"]) == (10 * GIB, True)
    assert not export["can_trim"] and not export["can_zero"]


def test_the_list_names_what_can_be_opened(cloud, server, disk):
    need("nbdinfo")
    loose = cloud.create_disk()
    listed = json.loads(run("nbdinfo", "--list", "--json", f"nbd+unix://?socket={server.nbd_socket}").stdout)
    names = {export["export-name"] for export in listed["exports"]}
    assert disk in names and loose not in names


def test_loopback_tcp_serves_the_same_exports(server, disk):
    assert server.nbd_port, "the server prints the port it chose"
    qemu_io(server.nbd_uri(disk), "write -P 0x17 0 64k", "flush")
    qemu_io(f"nbd://127.0.0.1:{server.nbd_port}/{disk}", "read -P 0x17 0 64k")


def test_nbdcopy_both_ways(server, disk, tmp_path):
    need("nbdcopy")
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.write(os.urandom(24 * MIB))
        file.seek(70 * MIB)
        file.write(os.urandom(5 * MIB + 123))
    run("nbdcopy", "--flush", source, server.nbd_uri(disk))
    run("nbdcopy", server.nbd_uri(disk), tmp_path / "back")
    length = source.stat().st_size
    with (tmp_path / "back").open("rb") as back:
        assert back.read(length) == source.read_bytes()
    assert (tmp_path / "back").stat().st_size == 10 * GIB
    assert (tmp_path / "back").stat().st_blocks * 512 < 64 * MIB, "holes stay holes"


def test_qemu_img_converts_compares_and_maps(cloud, server, instance, disk, tmp_path):
    need("qemu-img")
    qemu_io(server.nbd_uri(disk), "write -P 0x41 1M 1M", "write -P 0x42 5G 64k", "discard 1M 256k", "flush")
    found = json.loads(run("qemu-img", "map", "--output=json", "-f", "raw", server.nbd_uri(disk)).stdout)
    data = [(extent["start"], extent["length"]) for extent in found if extent["data"]]
    assert data == [(MIB + 256 * 1024, 768 * 1024), (5 * GIB, 64 * 1024)]
    assert sum(extent["length"] for extent in found) == 10 * GIB
    image = tmp_path / "disk.qcow2"
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", server.nbd_uri(disk), image)
    run("qemu-img", "compare", "-f", "raw", "-F", "qcow2", server.nbd_uri(disk), image)
    other = cloud.create_disk()
    cloud.attach(instance, other)
    run("qemu-img", "convert", "-n", "-f", "qcow2", "-O", "raw", image, server.nbd_uri(other))
    run("qemu-img", "compare", "-f", "raw", "-F", "raw", server.nbd_uri(disk), server.nbd_uri(other))
    qemu_io(server.nbd_uri(other), "write -P 1 9G 512")
    run("qemu-img", "compare", "-f", "raw", "-F", "raw", server.nbd_uri(disk), server.nbd_uri(other), status=1)


def test_qemu_io_patterns_of_every_kind(server, disk):
    qemu_io(
        server.nbd_uri(disk),
        "write -P 0xaa 0 1M",
        "write -f -P 0xbb 512k 4k",
        "flush",
        "write -P 0xcc 700001 3",
        "write -P 0xdd 1048575 2",
        "read -P 0xaa 0 512k",
        "read -P 0xbb 512k 4k",
        "read -P 0xcc 700001 3",
        "read -P 0xaa 700004 1",
        "read -P 0xdd 1048575 2",
        "read -P 0 1048577 4k",
        "discard 0 64k",
        "read -P 0 0 64k",
        "read -P 0xaa 64k 64k",
        "write -z 128k 64k",
        "read -P 0 128k 64k",
        "write -z -u 192k 64k",
        "read -P 0 192k 64k",
        "write -z 300001 17",
        "read -P 0 300001 17",
        "read -P 0xaa 300000 1",
        "read -P 0xaa 300018 1",
        f"write -P 0xee {10 * GIB - 4096} 4k",
        f"read -P 0xee {10 * GIB - 4096} 4k",
        "aio_write -P 1 2M 64k",
        "aio_write -P 2 3M 64k",
        "aio_flush",
        "read -P 1 2M 64k",
        "read -P 2 3M 64k",
    )


@pytest.mark.parametrize(
    "options",
    [
        ["--rw=randwrite", "--bs=4k", "--iodepth=32", "--size=32m"],
        ["--rw=write", "--bs=1m", "--iodepth=4", "--size=128m"],
        ["--rw=randrw", "--bsrange=512-128k", "--bs_unaligned", "--iodepth=8", "--size=32m", "--fsync=16"],
    ],
    ids=["random 4k", "sequential 1m", "mixed and unaligned"],
)
def test_fio_verifies_what_it_wrote(server, disk, options):
    job = fio(server.nbd_uri(disk), *options, "--verify=crc32c", "--verify_fatal=1", "--do_verify=1", "--randseed=7")
    assert job["write"]["total_ios"] > 0 and job["read"]["total_ios"] > 0


def test_an_unattached_or_unknown_disk_is_not_exported(cloud, server, instance):
    disk = cloud.create_disk()
    for name in (disk, "disk-00000000", "snap-00000000", "", "../../etc/passwd", "x" * 4000):
        with pytest.raises(ExportRefused):
            NbdClient(server.nbd_socket, name)
    cloud.attach(instance, disk)
    with NbdClient(server.nbd_socket, disk) as client:
        assert client.size_bytes == 10 * GIB


def test_a_detachment_ends_live_sessions(cloud, server, instance, disk):
    with NbdClient(server.nbd_socket, disk) as first, NbdClient(server.nbd_socket, disk) as second:
        first.write(0, b"\x77" * 4096)
        cloud.detach(disk)
        wait_until(lambda: first.is_lost() and second.is_lost(), "both sessions have ended")
    with pytest.raises(ExportRefused):
        NbdClient(server.nbd_socket, disk)
    cloud.attach(instance, disk)
    with NbdClient(server.nbd_socket, disk) as client:
        assert client.read(0, 4096) == b"\x77" * 4096, "an answered write is not undone by a detachment"


def test_a_detachment_ends_a_client_under_load(cloud, server, instance, disk, tmp_path):
    need("fio")
    load = subprocess.Popen(
        [
            *("fio", "--name=load", "--ioengine=nbd", f"--uri={server.nbd_uri(disk)}", "--thread", "--rw=randwrite"),
            *("--bs=16k", "--iodepth=32", "--size=256m", "--time_based", "--runtime=120"),
        ],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        before = server.pool_allocated_bytes()
        wait_until(lambda: server.pool_allocated_bytes() > before + 16 * MIB, "the load is under way")
        cloud.detach(disk)
        assert load.wait(60) != 0, "fio lost its export"
    finally:
        load.kill()
        load.wait()
    cloud.attach(instance, disk)
    NbdClient(server.nbd_socket, disk).close()


def test_a_resize_is_seen_by_a_new_connection(cloud, server, disk):
    with NbdClient(server.nbd_socket, disk) as old:
        old.write(0, b"\x01" * 4096)
        cloud.resize(disk, 11)
        assert old.read(0, 4096) == b"\x01" * 4096, "a live session goes on"
        with NbdClient(server.nbd_socket, disk) as new:
            assert new.size_bytes == 11 * GIB
            new.write(10 * GIB + 4096, b"\x02" * 4096)
            assert old.read(0, 4096) == b"\x01" * 4096


def test_a_snapshot_and_its_deletion_leave_a_session_alone(cloud, server, disk):
    with NbdClient(server.nbd_socket, disk) as client:
        client.write(0, b"\x0a" * 8192)
        snapshot = cloud.create_snapshot(disk)
        client.write(0, b"\x0b" * 4096)
        assert client.read(0, 8192) == b"\x0b" * 4096 + b"\x0a" * 4096
        with NbdClient(server.nbd_socket, snapshot) as frozen:
            assert frozen.read(0, 8192) == b"\x0a" * 8192
        cloud.delete_snapshots(snapshot)
        assert client.read(0, 8192) == b"\x0b" * 4096 + b"\x0a" * 4096
        with pytest.raises(ExportRefused):
            NbdClient(server.nbd_socket, snapshot)


def test_two_connections_see_each_other_and_share_flushes(server, disk):
    with NbdClient(server.nbd_socket, disk) as first, NbdClient(server.nbd_socket, disk) as second:
        for number in range(50):
            data = struct.pack("<I", number) * 1024
            (first, second)[number % 2].write(number * 4096, data)
            assert (second, first)[number % 2].read(number * 4096, 4096) == data
        second.flush()


def test_wrong_commands_get_an_errno_and_the_session_goes_on(server, disk):
    end = 10 * GIB
    with NbdClient(server.nbd_socket, disk) as client:
        for wrong in (
            lambda: client.read(end, 1),
            lambda: client.read(end - 1, 2),
            lambda: client.read((1 << 64) - 1, 2),
            lambda: client.write(end - 4095, bytes(4096)),
            lambda: client.trim(end, 4096),
            lambda: client.write_zeroes(end - 1, 2),
            lambda: client._command(77),
            lambda: client._command(0, 0, 4096, flags=0x8000),
        ):
            with pytest.raises(OSError):
                wrong()
        client.write(0, b"\x33" * 512)
        assert client.read(0, 512) == b"\x33" * 512


def test_the_largest_disk_works_to_its_end(cloud, server, instance):
    disk = cloud.create_disk(32000)
    cloud.attach(instance, disk)
    end = 32000 * GIB
    with NbdClient(server.nbd_socket, disk) as client:
        assert client.size_bytes == end
        client.write(end - MIB, b"\x21" * MIB)
        client.write(end // 2 - 4096, b"\x22" * 8192)
        client.flush()
        snapshot = cloud.create_snapshot(disk)
        client.trim(end - (1 << 31), (1 << 31))
        client.write_zeroes(end // 2 - (1 << 31), (1 << 32) - 4096)
        assert client.read(end - MIB, MIB) == bytes(MIB)
        assert client.read(end // 2 - 4096, 8192) == bytes(8192)
    with NbdClient(server.nbd_socket, snapshot) as client:
        assert client.read(end - MIB, MIB) == b"\x21" * MIB
        assert client.read(end // 2 - 4096, 8192) == b"\x22" * 8192


def test_large_requests(server, disk):
    data = os.urandom(32 * MIB)
    with NbdClient(server.nbd_socket, disk) as client:
        client.write(4097, data, fua=True)
        assert client.read(4097, len(data)) == data
        with pytest.raises((OSError, ConnectionLost)):
            client.read(0, 32 * MIB + 1)
    with NbdClient(server.nbd_socket, disk) as client, pytest.raises((OSError, ConnectionLost)):
        client.write(0, bytes(64 * MIB))


def test_many_sessions_at_once(cloud, server, disk):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(NbdClient(server.nbd_socket, disk)) for _ in range(60)]
        for number, client in enumerate(clients):
            client.write(number * 4096, struct.pack("<I", number) * 1024)
        for number, client in enumerate(reversed(clients)):
            assert client.read(number * 4096, 4096) == struct.pack("<I", number) * 1024
        cloud.detach(disk)
        wait_until(lambda: all(client.is_lost() for client in clients), "every session has ended")


def test_a_client_that_vanishes_in_a_write_changes_nothing(server, disk):
    with NbdClient(server.nbd_socket, disk) as client:
        client.write(0, b"\x44" * 4096)
    torn = NbdClient(server.nbd_socket, disk)
    torn._send(struct.pack(">IHHQQI", 0x25609513, 0, 1, 9, 0, 4096), b"\x55" * 4000)
    torn._socket.close()
    with NbdClient(server.nbd_socket, disk) as client:
        assert client.read(0, 4096) == b"\x44" * 4096


def test_garbage_on_the_socket_ends_that_session_alone(server, disk):
    with NbdClient(server.nbd_socket, disk) as good:
        bad = NbdClient(server.nbd_socket, disk)
        bad._send(b"\x00" * 28)
        with pytest.raises(ConnectionLost):
            bad._receive(1)
        bad.close()
        good.write(0, b"\x66" * 512)
        assert good.read(0, 512) == b"\x66" * 512


def test_limits_of_connections_are_settings(servers):
    limits = "[nbd]\nconnections_per_export_max = 2\nconnections_max = 4\n"
    server = servers.start(RATE_LIMIT_OFF + limits)
    cloud, instance = Cloud(server), server.add_instance()
    disk, other = cloud.create_disks(count=2)
    cloud.attach(instance, disk, other)

    def connected():
        shown = server.admin("status")["nbd"]
        return shown["connections"], dict(shown["exports"])

    with contextlib.ExitStack() as stack:
        first = stack.enter_context(NbdClient(server.nbd_socket, disk))
        stack.enter_context(NbdClient(server.nbd_socket, disk))
        with pytest.raises(ExportRefused, match="2 connections use the export already"):
            NbdClient(server.nbd_socket, disk)
        stack.enter_context(NbdClient(server.nbd_socket, other))
        wait_until(lambda: connected() == (3, {disk: 2, other: 1}), "the refused one is gone")
        stack.enter_context(NbdClient(server.nbd_socket, other))
        with pytest.raises((ConnectionLost, OSError)):
            NbdClient(server.nbd_socket, other)
        first.write(0, b"\x01" * 512)
        first.close()
        wait_until(lambda: connected() == (3, {disk: 1, other: 2}), "a place is free")
        NbdClient(server.nbd_socket, disk).close()
    wait_until(lambda: connected() == (0, {}), "all connections have ended")
    metrics = run_ashlar("status", "--metrics", "--data-dir", server.data_dir).stdout
    assert "\nashlar_nbd_connections 0\n" in metrics

    for line, named in (
        ("connections_max = 0", "nbd.connections_max 0: expected 1 to 65536"),
        ("stall_timeout_s = 4000", "nbd.stall_timeout_s 4000: expected 1 to 3600"),
        ("waiting_mib_max = 600", "at most waiting_total_mib_max, 512"),
        ("connections = 5", "unknown field `connections`"),
    ):
        wrong = servers.make(RATE_LIMIT_OFF + "[nbd]\n" + line + "\n")
        done = run_ashlar("serve", "--config", wrong.config_path, "--data-dir", wrong.data_dir)
        assert done.returncode == 2 and named in done.stderr, done.stderr
