"""The API with HTTPS through the official SDKs, each told whom to trust in its own way. The CSI driver has no other."""

from types import SimpleNamespace

import pytest

from harness.sdk import PythonSdk, Refused, Tool, go_generic_sdk, node_sdk, own_caller
from harness.server import RATE_LIMIT_OFF, ZONE
from test_nbd_tls import issue, openssl

CLIENTS = {
    # Told in its profile: it ignores the environment.
    "Python": lambda server, directory, authority: PythonSdk(server, authority),
    # Told in the environment.
    "Node": lambda server, directory, authority: node_sdk(server, authority),
    "Go": go_generic_sdk,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An authority with a server, and another authority that has nothing to do with it."""
    folder = tmp_path_factory.mktemp("https")
    for name in ("ca", "other"):
        files = ("-keyout", f"{name}.key", "-out", f"{name}-cert.pem")
        openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, "-days", "2", "-subj", f"/CN={name}")
    issue(folder, "server", "localhost")
    return folder


@pytest.fixture(scope="module")
def secure(module_servers, folder):
    """A server that speaks HTTPS, by the name in its certificate."""
    files = f"api_tls_certificate = '{folder}/server.pem'\napi_tls_key = '{folder}/server.key'\n"
    server = module_servers.start(files + RATE_LIMIT_OFF)
    return SimpleNamespace(host="localhost", port=server.port, admin_environment=server.admin_environment)


@pytest.mark.parametrize("name", CLIENTS)
def test_an_sdk_that_trusts_the_authority_is_served(secure, folder, tmp_path, name):
    sdk = CLIENTS[name](secure, tmp_path, folder / "ca-cert.pem")
    try:
        tool = Tool(sdk, own_caller(secure))
        wanted = {"DiskType": "CLOUD_PREMIUM", "DiskSize": 10, "DiskChargeType": "POSTPAID_BY_HOUR"}
        disks = tool.call("CreateDisks", DiskCount=2, Placement={"Zone": ZONE}, **wanted)["DiskIdSet"]
        assert tool.call("DescribeDisks", DiskIds=disks)["TotalCount"] == 2
        tool.call("TerminateDisks", DiskIds=disks)
        assert tool.code_of("ResizeDisk", DiskId=disks[0], DiskSize=20) == "InvalidDiskId.NotFound"
    finally:
        sdk.close()


@pytest.mark.parametrize("name", CLIENTS)
def test_an_sdk_that_trusts_another_authority_sends_nothing(secure, folder, tmp_path, name):
    sdk = CLIENTS[name](secure, tmp_path, folder / "other-cert.pem")
    try:
        with pytest.raises(Refused, match="(?i)certificate|ClientError.NetworkError"):
            Tool(sdk, own_caller(secure)).call("DescribeDisks")
    finally:
        sdk.close()
