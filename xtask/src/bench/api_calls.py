"""Calls the API with the official SDK: a JSON line with an action in, a JSON line with its response out.

The first argument is the server's admin.env.
"""

import json
import sys

from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        lines = [line.strip().removeprefix("export ") for line in file]
    settings = {name: value.strip("'\"") for name, _, value in (line.partition("=") for line in lines) if value}
    protocol, _, endpoint = settings["ASHLAR_ENDPOINT"].partition("://")
    credential = Credential(settings["TENCENTCLOUD_SECRET_ID"], settings["TENCENTCLOUD_SECRET_KEY"])
    profile = ClientProfile(httpProfile=HttpProfile(protocol=protocol, endpoint=endpoint, reqTimeout=60))
    client = CommonClient("cbs", "2017-03-12", credential, settings["TENCENTCLOUD_REGION"], profile)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"response": client.call_json(request["action"], request["parameters"])["Response"]}
        except TencentCloudSDKException as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


main()
