"""The official Python SDK's clients of the products around block storage."""

import importlib
import json
import os
import sys
from pathlib import Path

import pytest
from tencentcloud.common import credential
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from harness.cloud import Cloud
from harness.server import REGION
from harness.tools import run

# The module and the class of each product's client.
PRODUCTS = {
    "cvm": ("tencentcloud.cvm.v20170312.cvm_client", "CvmClient"),
    "cwp": ("tencentcloud.cwp.v20180228.cwp_client", "CwpClient"),
    "lighthouse": ("tencentcloud.lighthouse.v20200324.lighthouse_client", "LighthouseClient"),
    "sts": ("tencentcloud.sts.v20180813.sts_client", "StsClient"),
    "tag": ("tencentcloud.tag.v20180813.tag_client", "TagClient"),
}


class Sibling(Cloud):
    """Calls to another product of the same server; `call` and `refused` as of `Cloud`."""

    def __init__(self, server, product, region=REGION, secret=None):
        super().__init__(server, region=region, secret=secret)
        module, name = PRODUCTS[product]
        environment = server.admin_environment()
        secret_id, secret_key = secret or (
            environment["TENCENTCLOUD_SECRET_ID"],
            environment["TENCENTCLOUD_SECRET_KEY"],
        )
        http = HttpProfile(protocol="http", endpoint=f"{server.host}:{server.port}", reqTimeout=60)
        client = getattr(importlib.import_module(module), name)
        profile = ClientProfile(httpProfile=http, language="en-US")
        self.client = client(credential.Credential(secret_id, secret_key), region, profile)


def tccli_of(server, product, home):
    """The official command line for a product: runs `tccli PRODUCT ACTION ...` and returns what it answers."""
    program = Path(sys.executable).with_name("tccli")
    if not program.exists():
        pytest.skip("tccli: not installed beside this Python")
    keys = server.admin_environment()
    environment = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "TENCENTCLOUD_SECRET_ID": keys["TENCENTCLOUD_SECRET_ID"],
        "TENCENTCLOUD_SECRET_KEY": keys["TENCENTCLOUD_SECRET_KEY"],
        "TENCENTCLOUD_REGION": REGION,
    }

    def call(action, *arguments):
        words = (product, action, *arguments, "--endpoint", server.endpoint)
        return json.loads(run(program, *words, env=environment).stdout)

    return call
