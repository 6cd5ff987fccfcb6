"""A small Linux machine under QEMU, without hardware help: for clients that live in a kernel.

The kernel is Debian's for clouds, as `./test` unpacks it; the rest is busybox and programs of this machine in an
initial file system. Commands go to a shell on the serial line, one after the other.
"""

import gzip
import os
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from harness.server import REPOSITORY
from harness.tools import need
from harness.waiting import wait_until

# In the order in which they are loaded.
MODULES = (
    *("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci"),
    *("failover", "net_failover", "virtio_net", "virtio_blk", "nbd"),
)
# Where the guest finds this machine's loopback addresses, behind QEMU's own network.
HOST = "10.0.2.2"
BOOT_DEADLINE_S = 60
COMMAND_DEADLINE_S = 60

INIT = """#!/bin/busybox sh
/bin/busybox --install -s /bin
# Where busybox has a program of the same name the shell takes that: name the folder then.
export PATH=/programs:/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
for module in {modules}; do insmod /modules/$module.ko; done
ip link set lo up
ip link set eth0 up
ip addr add 10.0.2.15/24 dev eth0
stty -F /dev/ttyS0 raw -echo
exec </dev/ttyS0 >/dev/ttyS0 2>&1
echo '@@ready'
while read -r line; do
    eval "$line" </dev/null
    echo "@@status $?"
done
"""


def guest_files():
    """The folder with the guest's kernel; skips the calling test by name where it cannot be had."""
    need("qemu-system-x86_64", "busybox", "nbd-client", "mkfs.ext4")
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    folder = Path(os.environ.get("ASHLAR_GUEST_KERNEL", target / "guest"))
    if not list(folder.glob("boot/vmlinuz-*")):
        pytest.skip(f"{folder}: no kernel for a guest, which `./test` unpacks there")
    return folder


class Archive:
    """An initial file system, in the format that kernels unpack (`newc`)."""

    def __init__(self):
        self._bytes = bytearray()
        self._names = set()

    def add(self, name, data=b"", mode=0o100755):
        """Adds a file, a folder or a link, and the folders above it."""
        if name in self._names:
            return
        parent = str(Path(name).parent)
        if parent != ".":
            self.add(parent, mode=0o040755)
        self._names.add(name)
        fields = (len(self._names), mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0)
        self._bytes += b"070701" + b"".join(b"%08x" % field for field in fields) + name.encode() + b"\0"
        self._pad()
        self._bytes += data
        self._pad()

    def add_program(self, path, folder="programs"):
        """Adds a program of this machine with the libraries that it loads."""
        self.add(f"{folder}/{Path(path).name}", Path(path).read_bytes())
        libraries = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        for library in re.findall(r"(/\S+) \(0x", libraries):
            self.add(library.lstrip("/"), Path(library).read_bytes())

    def _pad(self):
        self._bytes += bytes(-len(self._bytes) % 4)

    def compressed(self):
        """The whole archive."""
        self.add("TRAILER!!!", mode=0)
        return gzip.compress(bytes(self._bytes), 1)


def initial_file_system(kernel_folder, programs, files):
    """Busybox as everything, `programs` of this machine, the modules, and `files` by name."""
    archive = Archive()
    archive.add("init", INIT.format(modules=" ".join(MODULES)).encode())
    # A busybox that needs libraries finds them beside itself.
    archive.add_program(shutil.which("busybox"), "bin")
    for program in programs:
        archive.add_program(shutil.which(program))
    for module in MODULES:
        [path] = kernel_folder.glob(f"lib/modules/**/{module.replace('_', '[_-]')}.ko")
        archive.add(f"modules/{module}.ko", path.read_bytes())
    for folder in ("proc", "sys", "dev", "mnt", "tmp", "etc"):
        archive.add(folder, mode=0o040755)
    for name, data in files.items():
        archive.add(name, data, mode=0o100600)
    return archive.compressed()


class Guest:
    """A machine that runs, with more `devices` if QEMU is told of some. Leaving the block turns it off."""

    def __init__(self, directory, programs=(), files=None, devices=()):
        kernel_folder = guest_files()
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        initial = directory / "initial.gz"
        initial.write_bytes(initial_file_system(kernel_folder, programs, files or {}))
        [kernel, *_] = sorted(kernel_folder.glob("boot/vmlinuz-*"))
        self._line = directory / "line.sock"
        self._heard = bytearray()
        self._socket = None
        self._process = subprocess.Popen(
            [
                *("qemu-system-x86_64", "-M", "pc", "-accel", "tcg", "-m", "256M", "-nodefaults", "-no-user-config"),
                *("-display", "none", "-no-reboot", "-kernel", str(kernel), "-initrd", str(initial)),
                *("-append", "console=ttyS0 quiet panic=-1 loglevel=3"),
                *("-chardev", f"socket,id=line,path={self._line},server=on,wait=off", "-serial", "chardev:line"),
                *("-netdev", "user,id=net", "-device", "virtio-net-pci,netdev=net,romfile="),
                *devices,
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )

    def __enter__(self):
        try:
            wait_until(self._connect, "QEMU listens on the serial line", BOOT_DEADLINE_S)
            self._hear(b"@@ready\n", BOOT_DEADLINE_S)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self._socket:
            self._socket.close()
        self._process.kill()
        self._process.wait()
        self._process.stderr.close()

    def _connect(self):
        assert self._process.poll() is None, self._process.stderr.read().decode()
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            line.connect(str(self._line))
        except OSError:
            line.close()
            return False
        line.settimeout(0.2)
        self._socket = line
        return True

    def _hear(self, wanted, deadline_s):
        """What came on the line before `wanted`, a pattern, and the pattern's groups."""

        def more():
            try:
                piece = self._socket.recv(1 << 16)
                assert piece, f"the guest ended: {self._heard.decode(errors='replace')}"
                self._heard.extend(piece.replace(b"\r", b""))
            except TimeoutError:
                pass
            return re.search(wanted, self._heard)

        try:
            found = re.search(wanted, self._heard) or wait_until(more, f"{wanted} of the guest", deadline_s)
        except AssertionError as error:
            raise AssertionError(f"{error}\nheard: {self._heard.decode(errors='replace')}") from None
        text, groups = bytes(self._heard[: found.start()]).decode(errors="replace"), found.groups()
        del self._heard[: found.end()]
        return text, groups

    def run(self, command, status=0, deadline_s=COMMAND_DEADLINE_S):
        """Runs a line of shell in the guest and returns what it printed; `status`: the wanted one, None for any."""
        self._socket.sendall(command.encode() + b"\n")
        text, [ended] = self._hear(rb"@@status (\d+)\n", deadline_s)
        if status is not None:
            assert int(ended) == status, f"`{command}` ended with {int(ended)} in the guest:\n{text}"
        return text.strip()
