"""An ext4 on a disk: snapshots under load are consistent, and deleted files give their space back."""

import os
import random
import threading

import pytest

from harness.cloud import Cloud
from harness.filesystem import block_device, mounted, need_nbdfuse
from harness.tools import run
from harness.waiting import wait_until

MIB = 1 << 20


@pytest.fixture
def attached(servers):
    """A server of its own, calls to it, an instance and an attached disk."""
    need_nbdfuse()
    server = servers.start()
    cloud = Cloud(server)
    instance = server.add_instance()
    disk = cloud.create_disk()
    cloud.attach(instance, disk)
    return server, cloud, instance, disk


class Load:
    """Creates, rewrites, renames and removes files, and remembers which contents were made durable."""

    def __init__(self, directory, seed):
        self._directory = directory
        self._random = random.Random(seed)
        self._durable = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self.error = None
        self.rounds = 0
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        """Begins; ends by itself at the first error."""
        self._thread.start()

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join(60)
        if self.error:
            raise self.error

    def durable_files(self):
        """Name and content of each file whose content was synced before this call and never changes again."""
        with self._lock:
            return dict(self._durable)

    def _run(self):
        try:
            while not self._stop.is_set():
                self._round()
        except OSError as error:
            self.error = error

    def _round(self):
        number = self.rounds
        kept = self._directory / f"kept-{number}"
        content = self._random.randbytes(self._random.randrange(1, 200_000))
        with kept.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        directory = os.open(self._directory, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)
        with self._lock:
            self._durable[kept.name] = content
        # Noise beside it: files that grow, shrink, move and vanish without any sync.
        noise = self._directory / f"noise-{number % 7}"
        noise.mkdir(exist_ok=True)
        for step in range(8):
            path = noise / f"file-{step}"
            with path.open("ab") as file:
                file.write(self._random.randbytes(self._random.randrange(1, 50_000)))
            if self._random.random() < 0.3:
                os.truncate(path, self._random.randrange(1, 10_000))
            if self._random.random() < 0.3:
                path.rename(noise / f"moved-{step}")
            if self._random.random() < 0.2:
                path.unlink(missing_ok=True)
        self.rounds += 1


def test_a_snapshot_under_load_is_a_sound_file_system(attached, tmp_path):
    server, cloud, instance, disk = attached
    snapshots = []
    with block_device(server.nbd_uri(disk), tmp_path / "fuse") as device:
        run("mkfs.ext4", "-q", device)
        with mounted(device, tmp_path / "files") as files, Load(files, seed=20) as load:
            for wanted in (5, 15):
                wait_until(lambda least=wanted: load.rounds >= least, f"{wanted} rounds of load")
                durable = load.durable_files()
                snapshots.append((cloud.create_snapshot(disk), durable))
            wait_until(lambda: load.rounds >= 20, "the load goes on after the snapshots")
        run("e2fsck", "-fn", device)

    for number, (snapshot, durable) in enumerate(snapshots):
        clone = cloud.create_disk(None, SnapshotId=snapshot)
        cloud.attach(instance, clone)
        with block_device(server.nbd_uri(clone), tmp_path / f"fuse-{number}") as device:
            with mounted(device, tmp_path / "clone") as files:  # replays the journal
                assert len(durable) >= 5
                for name, content in durable.items():
                    assert (files / name).read_bytes() == content, f"{name} was synced before the snapshot"
            run("e2fsck", "-fn", device)
        cloud.detach(clone)


def test_synced_files_survive_kill_9(attached, tmp_path):
    server, _, _, disk = attached
    with block_device(server.nbd_uri(disk), tmp_path / "fuse") as device:
        run("mkfs.ext4", "-q", device)
        with mounted(device, tmp_path / "files") as files:
            load = Load(files, seed=9)
            load.start()
            wait_until(lambda: load.rounds >= 10, "10 rounds of load")
            server.kill()
            # The file system notices at its next write that its disk is gone.
            wait_until(lambda: load.error, "the load meets an error")
            durable = load.durable_files()
    server.start()
    with block_device(server.nbd_uri(disk), tmp_path / "fuse-again") as device:
        with mounted(device, tmp_path / "files") as files:  # replays the journal
            assert len(durable) >= 10
            for name, content in durable.items():
                assert (files / name).read_bytes() == content, f"{name} was synced before the kill"
        run("e2fsck", "-fn", device)


def test_fstrim_gives_space_back_to_the_host(attached, tmp_path):
    server, _, _, disk = attached
    with block_device(server.nbd_uri(disk), tmp_path / "fuse") as device:
        run("mkfs.ext4", "-q", "-E", "nodiscard", device)
        with mounted(device, tmp_path / "files") as files:
            large = files / "large"
            with large.open("wb") as file:
                for _ in range(96):
                    file.write(os.urandom(MIB))
                file.flush()
                os.fsync(file.fileno())
            full = server.pool_allocated_bytes()
            large.unlink()
            os.sync()
            run("fstrim", files)
            wait_until(
                lambda: server.pool_allocated_bytes() < full - 80 * MIB,
                "80 of 96 MiB come back after fstrim",
            )
