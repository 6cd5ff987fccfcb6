"""The official Node SDK, which signs another host and another service than it sends."""

import json
import os
from pathlib import Path

import pytest

from harness.server import REGION, ZONE
from harness.tools import need, run

HERE = Path(__file__).parent


def module_path():
    """Where the Node SDK is installed: `$NODE_PATH`, else beside this file."""
    places = [*os.environ.get("NODE_PATH", "").split(os.pathsep), str(HERE / "node_modules")]
    for place in filter(None, places):
        if (Path(place) / "tencentcloud-sdk-nodejs").is_dir():
            return place
    pytest.skip("tencentcloud-sdk-nodejs: not installed (npm ci in tests/e2e)")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize(
    ("signature", "method"),
    [
        ("TC3-HMAC-SHA256", "POST"),
        ("TC3-HMAC-SHA256", "GET"),
        ("HmacSHA1", "POST"),
        ("HmacSHA1", "GET"),
        ("HmacSHA256", "POST"),
        ("HmacSHA256", "GET"),
    ],
)
def test_a_disk_by_node(server, cloud, instance, signature, method, host):
    need("node")
    modules = module_path()
    keys = server.admin_environment()
    settings = {
        "endpoint": f"{host}:{server.port}",
        "signature": signature,
        "method": method,
        "region": REGION,
        "zone": ZONE,
        "secretId": keys["TENCENTCLOUD_SECRET_ID"],
        "secretKey": keys["TENCENTCLOUD_SECRET_KEY"],
        "instance": instance,
    }
    done = run(
        "node",
        HERE / "node_client.js",
        env=os.environ | {"NODE_PATH": modules},
        input_bytes=json.dumps(settings).encode(),
    )
    seen = json.loads(done.stdout)
    assert seen["attached"]["DiskName"] == "by node: ä *~'"
    assert seen["attached"]["InstanceId"] == instance
    assert seen["attached"]["Tags"] == [{"Key": "k", "Value": "v w"}]
    assert seen["found"] == 1
    assert seen["refused"]["code"] == "InvalidDiskId.NotFound" and seen["refused"]["requestId"]
    assert cloud.disk(seen["disk"]) is None
