"""The documented request rates: so many calls a second for each action and account."""

import concurrent.futures

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from harness.cloud import Cloud, sdk_client
from harness.waiting import wait_until

DOCUMENTED = 'rate_limits = "documented"\n'


def burst(server, action, count):
    """The error codes of `count` calls made as fast as possible; None for each that was answered."""
    client = sdk_client(server)

    def call(_):
        try:
            client.call_json(action, {})
        except TencentCloudSDKException as error:
            return error.code
        return None

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(call, range(count)))


@pytest.mark.parametrize("config", [DOCUMENTED, ""], ids=["documented", "default"])
def test_calls_beyond_the_rate_are_refused_and_come_back(servers, config):
    server = servers.start(config)
    codes = burst(server, "DescribeSnapshots", 120)
    assert set(codes) == {None, "RequestLimitExceeded"}
    # A burst of a few seconds at 20 a second: some windows' worth is answered, most is not.
    assert codes.count(None) >= 20
    assert None in burst(server, "GetSnapOverview", 5), "another action has its own rate"
    cloud = Cloud(server)

    def answered():
        try:
            return cloud.call("DescribeSnapshots")
        except TencentCloudSDKException as error:
            assert error.code == "RequestLimitExceeded"
            return None

    assert wait_until(answered, "the rate recovers")["TotalCount"] == 0


def test_without_limits_every_call_is_answered(servers):
    assert set(burst(servers.start(), "DescribeSnapshots", 120)) == {None}
