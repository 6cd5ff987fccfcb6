"""The official command line, `tccli`, with nothing but an endpoint override and keys in the environment."""

import json
import os
import sys
from pathlib import Path

import pytest

from harness.server import REGION, ZONE
from harness.tools import run
from harness.waiting import wait_until


@pytest.fixture(scope="module")
def tccli(server, tmp_path_factory):
    """Runs `tccli cbs ACTION ...` with a home directory of its own and returns the completed process."""
    program = Path(sys.executable).with_name("tccli")
    if not program.exists():
        pytest.skip("tccli: not installed beside this Python")
    keys = server.admin_environment()
    environment = {
        "HOME": str(tmp_path_factory.mktemp("home")),
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "TENCENTCLOUD_SECRET_ID": keys["TENCENTCLOUD_SECRET_ID"],
        "TENCENTCLOUD_SECRET_KEY": keys["TENCENTCLOUD_SECRET_KEY"],
        "TENCENTCLOUD_REGION": REGION,
    }

    def call(action, *arguments, status=0):
        return run(program, "cbs", action, *arguments, "--endpoint", server.endpoint, env=environment, status=status)

    return call


def answer(done):
    return json.loads(done.stdout)


def test_a_disk_by_command_line(tccli, server, instance):
    made = tccli(
        "CreateDisks",
        "--Placement",
        json.dumps({"Zone": ZONE}),
        "--DiskChargeType",
        "POSTPAID_BY_HOUR",
        "--DiskType",
        "CLOUD_PREMIUM",
        "--DiskSize",
        "10",
        "--DiskName",
        "by tccli",
        "--Tags",
        json.dumps([{"Key": "k", "Value": "v"}]),
    )
    (disk,) = answer(made)["DiskIdSet"]
    disks = json.dumps([disk])

    # The waiter of the tool itself polls until the expression holds.
    def wait_for(state):
        waiter = {"expr": "DiskSet[0].DiskState", "to": state, "timeout": 60, "interval": 1}
        done = tccli("DescribeDisks", "--DiskIds", disks, "--waiter", json.dumps(waiter))
        assert state in done.stdout

    wait_for("UNATTACHED")
    tccli("AttachDisks", "--InstanceId", instance, "--DiskIds", disks)
    wait_for("ATTACHED")
    shown = answer(tccli("DescribeDisks", "--DiskIds", disks))["DiskSet"][0]
    assert (shown["DiskName"], shown["InstanceId"], shown["Tags"]) == (
        "by tccli",
        instance,
        [{"Key": "k", "Value": "v"}],
    )
    tccli("DetachDisks", "--DiskIds", disks)
    wait_for("UNATTACHED")
    tccli("TerminateDisks", "--DiskIds", disks)
    wait_until(lambda: answer(tccli("DescribeDisks", "--DiskIds", disks))["TotalCount"] == 0, "the disk is gone")


def test_an_error_has_its_code_and_the_exit_status_255(tccli):
    done = tccli("ResizeDisk", "--DiskId", "disk-00000000", "--DiskSize", "20", status=255)
    text = done.stdout + done.stderr
    assert "TencentCloudSDKException" in text
    assert "code:InvalidDiskId.NotFound" in text
    assert "disk-00000000" in text


def test_filters_pages_and_output_of_the_tool(tccli):
    filters = json.dumps([{"Name": "disk-usage", "Values": ["DATA_DISK"]}])
    done = tccli("DescribeDisks", "--Filters", filters, "--Limit", "5", "--Offset", "0", "--filter", "TotalCount")
    assert done.stdout.strip() == "0"
    quota = answer(
        tccli("DescribeDiskConfigQuota", "--InquiryType", "INQUIRY_CBS_CONFIG", "--Zones", json.dumps([ZONE]))
    )
    assert {config["Zone"] for config in quota["DiskConfigSet"]} == {ZONE}
