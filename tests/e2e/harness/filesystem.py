"""A Linux file system on an NBD export without a kernel NBD module: nbdfuse shows the export as a file and a
loop device makes a block device of it."""

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from harness.tools import need, run
from harness.waiting import wait_until


def need_loop_devices():
    """Skips the calling test by name where it may not set up loop devices."""
    if os.geteuid() != 0:
        pytest.skip("losetup: needs root")
    need("losetup", "mkfs.ext4", "mount", "umount")
    if subprocess.run(["losetup", "-f"], capture_output=True, check=False).returncode != 0:
        pytest.skip("losetup: no free loop device")


def need_nbdfuse():
    """Skips the calling test by name where it cannot mount an export."""
    need_loop_devices()
    need("nbdfuse", "e2fsck", "fstrim")
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("/dev/fuse: not usable")


@contextlib.contextmanager
def loop_device(backing_file):
    """A loop device on a file, as its path."""
    device = run("losetup", "-f", "--show", backing_file).stdout.strip()
    try:
        yield device
    finally:
        run("losetup", "-d", device)


@contextlib.contextmanager
def block_device(uri, directory):
    """A block device with the bytes of an NBD export. `directory` holds the file between the two."""
    directory = Path(directory)
    directory.mkdir()
    shown = directory / "disk"
    shown.touch()
    process = subprocess.Popen(["nbdfuse", str(shown), uri], stderr=subprocess.PIPE)
    try:

        def is_mounted():
            assert process.poll() is None, process.stderr.read().decode()
            return shown.stat().st_size > 0

        wait_until(is_mounted, "nbdfuse shows the export")
        with loop_device(shown) as device:
            yield device
    finally:
        # A loop device lets go of its file a moment after `losetup -d` has returned.
        # When the server was killed nbdfuse ends by itself and leaves its mount behind.
        wait_until(lambda: _unmounted(shown), f"{shown} is unmounted")
        process.wait(30)
        process.stderr.close()


@contextlib.contextmanager
def mounted(device, directory, *options):
    """The file system of a device under `directory`."""
    directory = Path(directory)
    directory.mkdir(exist_ok=True)
    run("mount", *options, device, directory)
    try:
        yield directory
    finally:
        wait_until(lambda: _unmounted(directory), f"{directory} is unmounted")


def _unmounted(place):
    run("umount", place, status=None)
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    return all(line.split()[1] != str(place) for line in mounts)
