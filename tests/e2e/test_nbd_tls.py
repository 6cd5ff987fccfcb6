"""NBD with TLS and the API with HTTPS, as an operator sets them up: who may open what, and what is refused."""

import json
import ssl
import subprocess
import urllib.request

import pytest

from harness.cloud import Cloud
from harness.server import RATE_LIMIT_OFF, ZONE, run_ashlar
from harness.tools import need, run

KEY = "0123456789abcdef0123456789abcdef"


def openssl(folder, *arguments):
    need("openssl")
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def issue(folder, name, common_name):
    """`name.pem` and `name.key`, signed by the authority of the folder."""
    files = ("-keyout", f"{name}.key", "-out", f"{name}.csr")
    openssl(folder, "req", "-newkey", "rsa:2048", "-nodes", *files, "-subj", f"/CN={common_name}")
    (folder / f"{name}.ext").write_text(f"subjectAltName=DNS:{common_name}\n")
    openssl(folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca-cert.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-out", f"{name}.pem", "-days", "2", "-extfile", f"{name}.ext")
    (folder / f"{name}.key").chmod(0o600)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An authority, a server and two clients: one goes by `backup.example`, one is known by keys only."""
    folder = tmp_path_factory.mktemp("tls")
    files = ("-keyout", "ca.key", "-out", "ca-cert.pem")
    openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, "-days", "2", "-subj", "/CN=authority")
    issue(folder, "server", "localhost")
    issue(folder, "client", "backup.example")
    for ours, theirs in (("client.pem", "client-cert.pem"), ("client.key", "client-key.pem")):
        (folder / theirs).write_bytes((folder / ours).read_bytes())
    return folder


def write_keys(folder, *names):
    path = folder / "keys.psk"
    path.write_text("".join(f"{name}:{KEY}\n" for name in names))
    path.chmod(0o600)
    return path


def tls_config(folder, clients=""):
    return RATE_LIMIT_OFF + (
        "[nbd_tls]\n"
        f"certificate = '{folder}/server.pem'\nkey = '{folder}/server.key'\n"
        f"client_ca = '{folder}/ca-cert.pem'\npsk_file = '{folder}/keys.psk'\n{clients}"
    )


def test_clients_open_what_is_theirs_and_nothing_else(servers, folder):
    need("nbdinfo")
    write_keys(folder, "ins-0000000a", "ins-0000000b", "operator")
    clients = "[nbd_tls.clients.operator]\nexports = ['*']\n"
    clients += "[nbd_tls.clients.'backup.example']\ninstances = ['ins-0000000a']\n"
    server = servers.start(tls_config(folder, clients))
    cloud = Cloud(server)
    added = run_ashlar("instance", "add", "--zone", ZONE, "--id", "ins-0000000a", "--data-dir", server.data_dir)
    assert added.returncode == 0, added.stderr
    disk = cloud.create_disk()
    cloud.attach("ins-0000000a", disk)
    snapshot = cloud.create_snapshot(disk)

    def info(export, name=None, status=0):
        proof = f"tls-psk-file={folder}/keys.psk" if name else f"tls-certificates={folder}"
        user = f"{name}@" if name else ""
        return run("nbdinfo", f"nbds+unix://{user}/{export}?socket={server.nbd_socket}&{proof}", status=status)

    for name in ("ins-0000000a", "operator", None):
        assert "with TLS" in info(disk, name).stdout
    assert "export-size" in info(snapshot, "operator").stdout
    for export, name in ((disk, "ins-0000000b"), (snapshot, "ins-0000000a"), (snapshot, None), ("disk-00000000", None)):
        refused = info(export, name, status=1)
        assert "Operation not supported" in refused.stderr, refused.stderr
    assert "may not open the export" in server.log_path.read_text()
    tcp = run("nbdinfo", "--json", f"nbds://operator@localhost:{server.nbd_port}/{disk}?tls-psk-file={folder}/keys.psk")
    assert json.loads(tcp.stdout)["TLS"] is True
    # Programs of this machine need no TLS on the socket.
    assert "without TLS" in run("nbdinfo", f"nbd+unix:///{disk}?socket={server.nbd_socket}").stdout


def test_wrong_files_are_refused_at_the_start(servers, folder):
    write_keys(folder, "a")
    for line, named in (
        ("psk_file = '/nonexistent/keys'", "/nonexistent/keys"),
        (f"certificate = '{folder}/server.pem'", "client_ca"),
        (f"psk_file = '{folder}/server.pem'", "server.pem"),
    ):
        server = servers.make(RATE_LIMIT_OFF + "[nbd_tls]\n" + line + "\n")
        done = run_ashlar("serve", "--config", server.config_path, "--data-dir", server.data_dir)
        assert done.returncode == 2 and named in done.stderr, done.stderr
        assert len(done.stderr.strip().splitlines()) == 1, done.stderr


def test_the_api_speaks_https(servers, folder):
    files = f"api_tls_certificate = '{folder}/server.pem'\napi_tls_key = '{folder}/server.key'\n"
    server = servers.start(files + RATE_LIMIT_OFF)
    context = ssl.create_default_context(cafile=folder / "ca-cert.pem")
    with urllib.request.urlopen(f"https://localhost:{server.port}/", context=context, timeout=10) as answer:
        assert "Response" in json.load(answer)
    with pytest.raises(OSError):
        urllib.request.urlopen(f"http://localhost:{server.port}/", timeout=10)
