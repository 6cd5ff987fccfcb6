"""One `ashlar` process in a directory of its own."""

import json
import os
import re
import signal
import socket
import subprocess
from pathlib import Path

from harness.waiting import wait_until

REPOSITORY = Path(__file__).resolve().parents[3]
REGION = "ap-guangzhou"
ZONE = "ap-guangzhou-3"
OTHER_ZONE = "ap-guangzhou-4"

# The suite makes more calls a second than the documented rates allow; one test has its own configuration.
RATE_LIMIT_OFF = 'rate_limits = "off"\n'

# The line that the server prints when it accepts calls.
_READY = re.compile(r"API at https?://127\.0\.0\.1:(\d+), NBD at .* 127\.0\.0\.1:(\d+)")


def binary_path():
    """The `ashlar` under test: `$ASHLAR_BIN`, else the release build of this repository."""
    named = os.environ.get("ASHLAR_BIN")
    if named:
        return Path(named)
    target = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
    return target / "release" / "ashlar"


def run_ashlar(*arguments, env=None, cwd=None, timeout_s=60):
    """Runs `ashlar` to its end and returns the completed process with text output."""
    return subprocess.run(
        [str(binary_path()), *map(str, arguments)],
        env=_clean_environment() | (env or {}),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )


def _clean_environment():
    """The environment without settings of `ashlar` or credentials that the caller may have."""
    foreign = ("ASHLAR_", "TENCENTCLOUD_", "XDG_CONFIG_HOME")
    return {name: value for name, value in os.environ.items() if not name.startswith(foreign)}


class Server:
    """A server that listens on free ports and on a unix socket, with everything under `directory`."""

    def __init__(self, directory, config=RATE_LIMIT_OFF, data_dir=None, flags=()):
        self.flags = tuple(flags)
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.data_dir = Path(data_dir) if data_dir else self.directory / "data"
        self.config_path = self.directory / "ashlar.toml"
        self.config_path.write_text(config)
        self.log_path = self.directory / "server.log"
        self.host, self.port = "127.0.0.1", 0
        self.nbd_port = None
        self._process = None

    # Life

    def start(self, deadline_s=30):
        """Starts the process and returns when its API accepts connections.

        A second start keeps the port of the first, so clients find the server again.
        """
        assert self._process is None, "the server is running"
        before = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    str(binary_path()),
                    "serve",
                    "--config",
                    str(self.config_path),
                    "--data-dir",
                    str(self.data_dir),
                    "--api-listen",
                    f"{self.host}:{self.port}",
                    "--nbd-listen",
                    f"unix:{self.nbd_socket}",
                    "--nbd-listen",
                    "127.0.0.1:0",
                    *self.flags,
                ],
                env=_clean_environment() | {"XDG_CONFIG_HOME": str(self.directory / "config")},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(lambda: self._is_up(before), "the server accepts calls", deadline_s)
        return self

    def _is_up(self, log_offset):
        assert self._process.poll() is None, f"the server ended with {self._process.returncode}:\n{self.log_tail()}"
        printed = self.log_path.read_bytes()[log_offset:].decode(errors="replace")
        ready = _READY.search(printed)
        if not ready:
            return False
        self.port, self.nbd_port = int(ready[1]), int(ready[2])
        socket.create_connection((self.host, self.port), timeout=10).close()
        return self.nbd_socket.exists()

    def kill(self):
        """`kill -9`: nothing of the process runs any more when this returns."""
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self, within_s=10, stop_signal=signal.SIGTERM):
        """Asks the process to stop; it has to end by itself, with status 0, within `within_s` seconds."""
        self._process.send_signal(stop_signal)
        try:
            status = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"SIGTERM did not stop the server within {within_s} s\n{self.log_tail()}") from None
        self._process = None
        assert status == 0, f"the server ended with {status}\n{self.log_tail()}"

    def discard(self):
        """Ends the process if it runs, whatever its state: for tests that failed."""
        if self._process is not None:
            self.kill()

    @property
    def is_running(self):
        return self._process is not None

    @property
    def pid(self):
        return self._process.pid

    # Where it is

    @property
    def nbd_socket(self):
        return self.directory / "nbd.sock"

    @property
    def endpoint(self):
        return f"http://{self.host}:{self.port}"

    def nbd_uri(self, export):
        """The URI of an export on the unix socket, as stock clients take it."""
        return f"nbd+unix:///{export}?socket={self.nbd_socket}"

    def admin_environment(self):
        """The variables of `admin.env`."""
        lines = (self.data_dir / "admin.env").read_text().splitlines()
        pairs = (line.removeprefix("export ").split("=", 1) for line in lines if "=" in line and line[0] != "#")
        return {name: value.strip("'\"") for name, value in pairs}

    # The operator's commands

    def add_instance(self, *arguments, zone=ZONE, name=None):
        """Registers an instance with `ashlar instance add` and returns its id."""
        named = ["--name", name] if name else []
        done = run_ashlar("instance", "add", "--zone", zone, *named, *arguments, "--data-dir", self.data_dir)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def admin(self, *arguments):
        """Runs an administrative command against this server and returns what `--json` prints."""
        done = run_ashlar(*arguments, "--data-dir", self.data_dir, "--json", timeout_s=120)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def check(self):
        """Runs the off-line `ashlar check`: (exit status, parsed `--json` report, text of both streams)."""
        done = run_ashlar("check", "--data-dir", self.data_dir, "--json", timeout_s=120)
        try:
            report = json.loads(done.stdout)
        except ValueError:
            report = None
        return done.returncode, report, done.stdout + done.stderr

    def assert_clean(self):
        """The stopped server's pool and records keep every invariant."""
        status, _, text = self.check()
        assert status == 0, f"`ashlar check` found:\n{text}"

    # What it did

    def pool_allocated_bytes(self):
        """Bytes that the pools take on the host's file system (blocks, not lengths)."""
        return sum(path.stat().st_blocks * 512 for path in (self.data_dir / "pools").rglob("*") if path.is_file())

    def log_tail(self, lines=15):
        """The last lines that the server printed."""
        if not self.log_path.exists():
            return ""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def leaked_secrets(self):
        """Whether the log has the secret key."""
        if not (self.data_dir / "admin.env").exists():
            return False  # The data directory is on a medium that is no longer mounted.
        return self.admin_environment()["TENCENTCLOUD_SECRET_KEY"] in self.log_path.read_text(errors="replace")

    def panics(self):
        """Lines of the log that tell of a panic."""
        if not self.log_path.exists():
            return []
        return [line for line in self.log_path.read_text(errors="replace").splitlines() if "panicked" in line]
