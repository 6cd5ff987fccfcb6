"""Stock command-line clients: run them, or skip the test by the name of what is missing."""

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOOL_TIMEOUT_S = 120


def need(*names):
    """Skips the calling test by name when one of the tools is not installed."""
    for name in names:
        if shutil.which(name) is None:
            pytest.skip(f"{name}: not installed")


def run(*arguments, env=None, status=0, input_bytes=None, timeout_s=TOOL_TIMEOUT_S):
    """Runs a tool, checks its exit status (None: any) and returns the completed process with text output."""
    done = subprocess.run(
        [str(argument) for argument in arguments],
        env=env,
        input=input_bytes,
        capture_output=True,
        timeout=timeout_s,
        check=False,
    )
    done.stdout = done.stdout.decode(errors="replace")
    done.stderr = done.stderr.decode(errors="replace")
    if status is not None:
        assert done.returncode == status, f"{arguments[0]} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def nbdinfo(uri):
    """The one export that `nbdinfo --json` describes."""
    need("nbdinfo")
    exports = json.loads(run("nbdinfo", "--json", uri).stdout)["exports"]
    assert len(exports) == 1
    return exports[0]


def extended_client(name):
    """The words that run a program of libnbd which knows extended headers, or skips the calling test by name."""
    need(name)
    version = re.search(r"libnbd (\d+)\.(\d+)", run(name, "--version").stdout)
    if version and (int(version[1]), int(version[2])) >= (1, 18):
        return [name]
    # Unpacked by `./test`, with the libraries that it was made for.
    target = Path(os.environ.get("CARGO_TARGET_DIR", Path(__file__).resolve().parents[3] / "target"))
    folder = target / "libnbd"
    program, loader = folder / "usr" / "bin" / name, next(folder.glob("usr/lib/*/ld-linux-*.so.*"), None)
    if not program.exists() or loader is None:
        pytest.skip(f"{name}: libnbd is older than 1.18, and `./test` has unpacked no newer one")
    return [loader, "--library-path", loader.parent, program]


def qemu_io(uri, *commands, read_only=False, status=0):
    """Runs `qemu-io` commands on an export; a wrong pattern fails the call."""
    need("qemu-io")
    arguments = [word for command in commands for word in ("-c", command)]
    mode = ["-r"] if read_only else []
    done = run("qemu-io", *mode, "-f", "raw", *arguments, uri, status=status)
    assert "Pattern verification failed" not in done.stdout, done.stdout
    return done


def fio(uri, *options):
    """Runs `fio` with its nbd engine on an export and returns the job of its JSON output."""
    need("fio")
    done = run(
        "fio",
        "--name=job",
        "--ioengine=nbd",
        f"--uri={uri}",
        "--thread",
        "--verify_state_save=0",
        "--output-format=json",
        *options,
    )
    report = json.loads(done.stdout[done.stdout.index("{") :])
    job = report["jobs"][0]
    assert job["error"] == 0, done.stdout
    return job
