"""Every action that there is, called with each official SDK: a new action without a call fails here."""

import http.server
import itertools
import json
import threading
from types import SimpleNamespace

import pytest

import every_action
from every_action import PARTS, Place, Teller
from harness.accounts import admin, attach_policy, new_key, statement
from harness.cloud import SIGNATURES
from harness.coverage import ACTIONS, VERSIONS
from harness.sdk import (
    Caller,
    FirstOf,
    PythonSdk,
    Refused,
    descriptions,
    go_generic_sdk,
    go_typed_sdk,
    node_sdk,
    own_caller,
)
from test_schema import faults

OTHER_SIGNATURES = [name for name in SIGNATURES if name != "TC3 POST"]
CLIENTS = {
    "Python": lambda server, directory: PythonSdk(server),
    "Node": lambda server, directory: node_sdk(server),
    # What the first of each pair does not have, the second calls.
    "Go, typed clients": lambda server, directory: FirstOf(
        go_typed_sdk(server, directory), go_generic_sdk(server, directory)
    ),
    "Go, newest structures": lambda server, directory: FirstOf(
        go_generic_sdk(server, directory), go_typed_sdk(server, directory)
    ),
    # The generic client of Go writes its parameters into TC3 POST alone.
    "Go, typed clients, else Python": lambda server, directory: FirstOf(
        go_typed_sdk(server, directory), PythonSdk(server)
    ),
}
SIGN_IN_EACH_WAY = ("Python", "Node", "Go, typed clients, else Python")


@pytest.fixture(scope="module")
def sdk(request, server, tmp_path_factory):
    """A client, for all tests of it."""
    client = CLIENTS[request.param](server, tmp_path_factory.mktemp("programs"))
    yield client
    client.close()


@pytest.fixture(scope="module")
def place(server, tmp_path_factory):
    """Machines, a second account and a role."""
    directory = tmp_path_factory.mktemp("role")
    trust = directory / "trust.json"
    principal = {"qcs": [f"qcs::cam::uin/{every_action.ACCOUNT}:root"]}
    allowed = {"effect": "allow", "action": "name/sts:AssumeRole", "principal": principal}
    trust.write_text(json.dumps({"version": "2.0", "statement": [allowed]}))
    admin(server, "role", "add", "reader", "--trust", trust)
    attach_policy(server, directory, "read", statement("allow", "cbs:DescribeDisks"), holder=("--role", "reader"))
    partner = str(admin(server, "account", "add", "partner")["uin"])
    machine = admin(server, "instance", "add", "--zone", every_action.ZONE, "--system-disk", "20")
    product = ("--product", "lighthouse", "--system-disk", "10")
    lighthouse = admin(server, "instance", "add", "--zone", every_action.ZONE, *product)
    return Place(
        server=server,
        machine=machine["instance_id"],
        node=server.add_instance(),
        lighthouse=lighthouse["instance_id"],
        fixed=admin(server, "fix-snapshot", "--instance", machine["instance_id"], "--name", "story"),
        partner=partner,
        partner_secret=new_key(server, "--account", partner),
        role="reader",
    )


@pytest.fixture(scope="module")
def objects():
    """The structures of each product, as the vendor's newest description has them."""
    folder = descriptions()
    files = {name: folder / name / f"v{version.replace('-', '')}" / "api.json" for name, version in VERSIONS.items()}
    return {name: json.loads(file.read_text())["objects"] for name, file in files.items()}


def tell_everything(sdk, server, place, check=lambda product, action, answer: None, signature="TC3 POST"):
    """Tells the whole story; returns the actions that were answered."""
    answered = set()
    teller = Teller(sdk, own_caller(server, signature), place, answered, check)
    for part in PARTS:
        part(teller)
    return answered


@pytest.mark.parametrize(
    ("sdk", "signature"),
    [(name, "TC3 POST") for name in CLIENTS] + list(itertools.product(SIGN_IN_EACH_WAY, OTHER_SIGNATURES)),
    indirect=["sdk"],
)
def test_an_official_sdk_calls_every_action(server, place, sdk, signature):
    answered = tell_everything(sdk, server, place, signature=signature)
    never = sorted(ACTIONS - answered)
    assert not never, f"no part of the story calls {never}"
    assert answered == ACTIONS


def test_every_answer_has_every_documented_field_with_its_type(server, place, objects):
    wrong = set()

    def check(product, action, answer):
        if f"{action}Response" in objects[product]:
            wrong.update(faults(objects[product], f"{action}Response", answer, f"{product} {action}"))

    sdk = node_sdk(server)
    try:
        assert tell_everything(sdk, server, place, check) == ACTIONS
    finally:
        sdk.close()
    assert not wrong, "\n".join(sorted(wrong))


class OneText(http.server.BaseHTTPRequestHandler):
    """Answers every call with one number that came as a text."""

    def do_POST(self):
        """Answers a call."""
        self.rfile.read(int(self.headers["Content-Length"]))
        body = b'{"Response": {"TotalCount": "1", "DiskSet": [], "RequestId": "x"}}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing is printed."""


@pytest.mark.parametrize("client", [go_typed_sdk, go_generic_sdk])
def test_the_go_clients_refuse_a_number_that_came_as_a_text(tmp_path, client):
    with http.server.HTTPServer(("127.0.0.1", 0), OneText) as wrong:
        thread = threading.Thread(target=wrong.serve_forever, daemon=True)
        thread.start()
        sdk = client(SimpleNamespace(host="127.0.0.1", port=wrong.server_port), tmp_path)
        try:
            with pytest.raises(Refused, match="ParseJsonError.*cannot unmarshal string"):
                sdk.call(Caller(("id", "key"), every_action.REGION), "cbs", "DescribeDisks", {})
        finally:
            sdk.close()
            wrong.shutdown()
            thread.join()
