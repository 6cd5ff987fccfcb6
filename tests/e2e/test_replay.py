"""Real file systems on a disk that loses power: a workload of ext4 and of xfs is recorded as a block log, and every
flush in it is a moment at which the power may fail. What the store recovers to has to be a sound file system each time.

The file system's own journal is replayed first, as the next mount would; then nothing may be left to repair.
"""

import os
import random
import stat
from pathlib import Path

import pytest

from harness.block_log import Recorder
from harness.cloud import Cloud
from harness.filesystem import block_device, mounted, need_nbdfuse
from harness.server import binary_path
from harness.tools import need, run

ROUNDS = 24

# The log's prefix is an image; $1 is its path. Exit 0: sound.
JUDGE_EXT4 = """set -e
e2fsck -E journal_only -p "$1" >/dev/null || [ $? -le 1 ]
e2fsck -fn "$1"
"""
JUDGE_XFS = """set -e
mount -o loop,nouuid "$1" "$1.mnt"
umount "$1.mnt"
xfs_repair -n "$1"
"""


def replay_binary():
    """The program beside the server's, which `./test` builds with it."""
    path = Path(binary_path()).with_name("ashlar-replay")
    if not os.access(path, os.X_OK):
        pytest.skip("ashlar-replay: not built; cargo build --release --package ashlar-sim")
    return path


def work(files, seed):
    """Files that grow, shrink, move and vanish, some of them synced."""
    dice = random.Random(seed)
    for number in range(ROUNDS):
        folder = files / f"folder-{number % 5}"
        folder.mkdir(exist_ok=True)
        for step in range(4):
            path = folder / f"file-{dice.randrange(6)}"
            with path.open("ab") as file:
                file.write(dice.randbytes(dice.randrange(1, 30_000)))
                if dice.random() < 0.3:
                    file.flush()
                    os.fsync(file.fileno())
            if dice.random() < 0.3:
                os.truncate(path, dice.randrange(1, 10_000))
            if dice.random() < 0.3:
                path.rename(folder / f"moved-{step}")
            if dice.random() < 0.2:
                path.unlink(missing_ok=True)
        if number % 8 == 7:
            os.sync()


@pytest.mark.parametrize(
    ("kind", "make", "options", "judge"),
    [
        ("ext4", ["mkfs.ext4", "-q", "-b", "4096", "-J", "size=4"], ["-o", "discard"], JUDGE_EXT4),
        ("xfs", ["mkfs.xfs", "-q"], ["-o", "discard"], JUDGE_XFS),
    ],
    ids=["ext4", "xfs"],
)
def test_every_flush_leaves_a_sound_file_system(servers, tmp_path, seed, kind, make, options, judge):
    need_nbdfuse()
    need(make[0], "e2fsck" if kind == "ext4" else "xfs_repair")
    program = replay_binary()
    if kind not in Path("/proc/filesystems").read_text() and run("modprobe", kind, status=None).returncode != 0:
        pytest.skip(f"{kind}: the kernel does not know it")
    server = servers.start()
    cloud = Cloud(server)
    disk = cloud.create_disk()
    cloud.attach(server.add_instance(), disk)
    log = tmp_path / "log"
    with (
        Recorder(tmp_path / "recorder.sock", server.nbd_socket, disk, log) as recorder,
        block_device(recorder.uri, tmp_path / "fuse") as device,
    ):
        # The disk is as large as disks are; the file system is only as large as it must be.
        size = ["64m"] if kind == "ext4" else []
        limit = [] if kind == "ext4" else ["-d", "size=320m"]
        run(*make, *limit, device, *size)
        recorder.note_made()
        with mounted(device, tmp_path / "files", *options) as files:
            work(files, seed)
    # The judge looks at no more of the disk than the file system has.
    image = tmp_path / "image"
    (tmp_path / "image.mnt").mkdir()
    script = tmp_path / "judge"
    script.write_text(judge)
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    done = run(program, log, image, "--", "sh", script, image, timeout_s=900)
    print(kind, done.stdout)
    assert "all sound" in done.stdout
    assert int(done.stdout.split(" flushes")[0].split()[-1]) >= 20, done.stdout
