"""The official Node SDK, which signs another host and another service than it sends."""

import json
import os

import pytest

from harness.sdk import HERE, node_modules
from harness.server import REGION, ZONE
from harness.tools import need, run


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
    modules = node_modules()
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
