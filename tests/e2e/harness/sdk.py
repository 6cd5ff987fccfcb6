"""Each official SDK as one function from a call to its answer, so that one story can be told with all of them."""

import importlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from harness.cloud import SIGNATURES, sdk_client
from harness.coverage import VERSIONS
from harness.server import REGION
from harness.tools import need

HERE = Path(__file__).resolve().parents[1]
GO_BUILD_TIMEOUT_S = 300
END_TIMEOUT_S = 30


@dataclass(frozen=True)
class Caller:
    """Whose key signs a call, in which region, and how."""

    secret: tuple
    region: str
    signature: str = "TC3 POST"


class Refused(Exception):
    """An error of the service, as the SDK told it."""

    def __init__(self, code, message, request_id):
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.request_id = code, message, request_id


class Unsupported(Exception):
    """This client has no such call, or not with these parameters."""


class PythonSdk:
    """The typed clients: request and response models; what they lack goes through the generic call."""

    def __init__(self, server, authority=None):
        self._server, self._authority = server, authority

    def call(self, caller, product, action, parameters):
        module = f"tencentcloud.{product}.v{VERSIONS[product].replace('-', '')}"
        kind = getattr(importlib.import_module(f"{module}.{product}_client"), f"{product.capitalize()}Client")
        models = importlib.import_module(f"{module}.models")
        client = sdk_client(self._server, caller.signature, caller.region, caller.secret, kind, self._authority)
        try:
            if not hasattr(models, f"{action}Request"):
                return client.call_json(action, parameters)["Response"]
            request = getattr(models, f"{action}Request")()
            request.from_json_string(json.dumps(parameters))
            return json.loads(getattr(client, action)(request).to_json_string())
        except TencentCloudSDKException as error:
            raise Refused(error.code, error.message, error.requestId) from error

    def close(self):
        """Nothing is left open."""


class ProgramSdk:
    """An SDK in a program that reads one call a line and writes what came of it."""

    def __init__(self, server, *command, env=None, scheme="HTTP"):
        self._server, self._scheme = server, scheme
        self._program = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | (env or {}),
            text=True,
        )

    def call(self, caller, product, action, parameters):
        sign_method, http_method = SIGNATURES[caller.signature]
        secret_id, secret_key, *token = caller.secret
        call = {
            "Scheme": self._scheme,
            "Endpoint": f"{self._server.host}:{self._server.port}",
            "Product": product,
            "Version": VERSIONS[product],
            "Action": action,
            "Region": caller.region,
            "SecretId": secret_id,
            "SecretKey": secret_key,
            "Token": token[0] if token else "",
            "SignMethod": sign_method,
            "HttpMethod": http_method,
            "Parameters": parameters,
        }
        self._program.stdin.write(json.dumps(call) + "\n")
        self._program.stdin.flush()
        line = self._program.stdout.readline()
        assert line, f"the client ended with {self._program.wait(END_TIMEOUT_S)} at {action}"
        outcome = json.loads(line)
        if "unsupported" in outcome:
            raise Unsupported(f"{product} {action}: {outcome['unsupported']}")
        if "error" in outcome:
            raise Refused(outcome["error"]["code"], outcome["error"]["message"], outcome["error"]["requestId"])
        return outcome["answer"]

    def close(self):
        """Ends the program, which ends by itself when nothing more can come."""
        try:
            self._program.communicate(timeout=END_TIMEOUT_S)
        finally:
            self._program.kill()


class FirstOf:
    """Several clients: the first that has the call makes it."""

    def __init__(self, *clients):
        self._clients = clients

    def call(self, caller, product, action, parameters):
        reasons = []
        for client in self._clients:
            try:
                return client.call(caller, product, action, parameters)
            except Unsupported as why:
                reasons.append(str(why))
        raise AssertionError("; ".join(reasons))

    def close(self):
        for client in self._clients:
            client.close()


class Tool:
    """A program that is written on an SDK: makes its calls as one caller."""

    def __init__(self, sdk, caller):
        self._sdk, self._caller = sdk, caller

    def call(self, action, product="cbs", /, **parameters):
        """A call, to block storage unless told otherwise."""
        return self._sdk.call(self._caller, product, action, parameters)

    def at(self, region):
        """The same with another region in its requests."""
        return type(self)(self._sdk, replace(self._caller, region=region))

    def code_of(self, action, **parameters):
        """The code with which a call is refused; None if it is not."""
        try:
            self.call(action, **parameters)
        except Refused as refused:
            return refused.code
        return None


# Where they are


def own_caller(server, signature="TC3 POST"):
    """The first account's own key."""
    keys = server.admin_environment()
    return Caller((keys["TENCENTCLOUD_SECRET_ID"], keys["TENCENTCLOUD_SECRET_KEY"]), REGION, signature)


def node_modules():
    """Where the Node SDK is installed: `$NODE_PATH`, else beside the tests."""
    places = [*os.environ.get("NODE_PATH", "").split(os.pathsep), str(HERE / "node_modules")]
    for place in filter(None, places):
        if (Path(place) / "tencentcloud-sdk-nodejs").is_dir():
            return place
    pytest.skip("tencentcloud-sdk-nodejs: not installed (npm ci in tests/e2e)")


def node_sdk(server, authority=None):
    """The Node SDK's clients."""
    need("node")
    modules, trusted = {"NODE_PATH": node_modules()}, {"NODE_EXTRA_CA_CERTS": str(authority)} if authority else {}
    return ProgramSdk(server, "node", HERE / "node_driver.js", env=modules | trusted, scheme=scheme_with(authority))


def scheme_with(authority):
    """HTTPS where there is somebody to trust."""
    return "HTTPS" if authority else "HTTP"


def descriptions():
    """The folder with the vendor's descriptions of its products, in the installed `tccli`."""
    try:
        return Path(importlib.import_module("tccli").__file__).parent / "services"
    except ModuleNotFoundError:
        pytest.skip("tccli: not installed")


def go_program(name, directory):
    """Builds one of the Go clients; skips by name without Go or without the modules that `go.sum` names."""
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        pytest.skip("go: not installed")
    folder, program = HERE / "go" / name, directory / name

    def run(*words):
        return subprocess.run(
            [go, *words], cwd=folder, capture_output=True, text=True, timeout=GO_BUILD_TIMEOUT_S, check=False
        )

    fetched = run("mod", "download")
    if fetched.returncode != 0:
        pytest.skip(f"the Go SDK: cannot be had here: {fetched.stderr.strip()[-200:]}")
    built = run("build", "-o", str(program), ".")
    assert built.returncode == 0, built.stderr
    return program


def go_typed_sdk(server, directory):
    """The Go SDK's typed clients, of the version that can be had as one module."""
    return ProgramSdk(server, go_program("typed", directory))


def go_generic_sdk(server, directory, authority=None):
    """The Go SDK's newest generic client, with structures made of the newest description."""
    trusted = {"SSL_CERT_FILE": str(authority)} if authority else {}
    command = (go_program("generic", directory), descriptions())
    return ProgramSdk(server, *command, env=trusted, scheme=scheme_with(authority))


def sdk_of_a_go_program(server, directory, language):
    """What a program in Go calls with: the Go SDK, or Python's where the test is told so."""
    return go_generic_sdk(server, directory) if language == "Go" else PythonSdk(server)
