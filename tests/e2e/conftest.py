"""Fixtures: servers that end by themselves and are checked after they have ended, and clients for them."""

import os
import random

import pytest

from harness.cloud import Cloud
from harness.server import RATE_LIMIT_OFF, Server, binary_path


def pytest_configure(config):
    """Without a server there is nothing to test: that is a failure of the run, not a skipped test."""
    # The server is on this machine: no client may go to it through a proxy.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = "127.0.0.1,localhost"
    if not os.access(binary_path(), os.X_OK) and not config.option.collectonly:
        raise pytest.UsageError(f"{binary_path()} is missing: `cargo build --release`, or set ASHLAR_BIN")


class ServerRoom:
    """Makes servers and, when their test is over, ends and examines each."""

    def __init__(self, tmp_path_factory):
        self._tmp_path_factory = tmp_path_factory
        self._servers = []

    def make(self, config=RATE_LIMIT_OFF, **options):
        """A server that is not started yet."""
        server = Server(self._tmp_path_factory.mktemp("server"), config, **options)
        self._servers.append(server)
        return server

    def start(self, config=RATE_LIMIT_OFF, **options):
        """A server that accepts calls."""
        return self.make(config, **options).start()

    def close(self):
        """Ends every server: it has to stop in time, without a panic, with every invariant kept."""
        try:
            for server in self._servers:
                if server.is_running:
                    server.stop()
                    server.assert_clean()
                assert not server.panics(), server.panics()
                assert not server.leaked_secrets(), "the log has the secret key"
        finally:
            for server in self._servers:
                server.discard()

    def logs(self):
        """What the servers printed last."""
        return "\n".join(f"--- {server.directory}\n{server.log_tail()}" for server in self._servers)


@pytest.fixture
def servers(tmp_path_factory, request):
    """Servers for one test."""
    room = ServerRoom(tmp_path_factory)
    request.node.server_rooms = [room]
    yield room
    room.close()


@pytest.fixture(scope="module")
def module_servers(tmp_path_factory, request):
    """Servers for the tests of one module."""
    room = ServerRoom(tmp_path_factory)
    request.node.server_rooms = [room]
    yield room
    room.close()


@pytest.fixture(scope="module")
def server(module_servers):
    """The server that the tests of a module share. Each test makes the disks it uses."""
    return module_servers.start()


@pytest.fixture(scope="module")
def cloud(server):
    """Calls to the module's server with the official Python SDK."""
    return Cloud(server)


@pytest.fixture(scope="module")
def instance(server):
    """An instance of the module's server."""
    return server.add_instance(name="e2e")


@pytest.fixture
def disk(cloud, instance):
    """An attached disk of 10 GiB; its place in the instance is free again after the test."""
    made = cloud.create_disk()
    cloud.attach(instance, made)
    yield made
    found = cloud.disk(made)
    if found and found["Attached"]:
        cloud.detach(made)


@pytest.fixture
def seed():
    """`$ASHLAR_E2E_SEED`, else a random one; printed, so that a failure can be replayed."""
    chosen = int(os.environ.get("ASHLAR_E2E_SEED") or random.SystemRandom().getrandbits(32))
    print(f"ASHLAR_E2E_SEED={chosen}")
    return chosen


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Adds the servers' last lines to the report of a failed test."""
    report = yield
    if report.failed:
        for node in item.listchain():
            for room in getattr(node, "server_rooms", []):
                report.sections.append(("servers", room.logs()))
    return report
