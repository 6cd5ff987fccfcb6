"""Many callers at once: each call takes effect once, and of two that exclude each other one is refused."""

import concurrent.futures
import threading

from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from harness.cloud import Cloud
from harness.nbd_client import NbdClient
from harness.server import ZONE

CALLERS = 8
HOURLY = {
    "Placement": {"Zone": ZONE},
    "DiskChargeType": "POSTPAID_BY_HOUR",
    "DiskType": "CLOUD_PREMIUM",
    "DiskSize": 10,
}


def together(server, calls):
    """Makes the calls at the same time, each with a client of its own; answers or SDK errors, in order."""
    start = threading.Barrier(len(calls))

    def one(call):
        cloud = Cloud(server)
        action, wanted = call
        start.wait(30)
        try:
            return cloud.call(action, **wanted)
        except TencentCloudSDKException as error:
            return error

    with concurrent.futures.ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(one, calls))


def split(outcomes):
    """The answers and the error codes of `together`."""
    errors = [outcome for outcome in outcomes if isinstance(outcome, TencentCloudSDKException)]
    return [outcome for outcome in outcomes if not isinstance(outcome, TencentCloudSDKException)], errors


def test_one_client_token_makes_one_set_of_disks(server, cloud):
    wanted = HOURLY | {"ClientToken": "together", "DiskName": "together", "DiskCount": 2}
    answers, errors = split(together(server, [("CreateDisks", wanted)] * CALLERS))
    # A caller that comes while the first is under way may be asked to try again, as the SDKs do.
    assert {error.code for error in errors} <= {"ResourceBusy"}
    assert answers
    first = cloud.call("CreateDisks", **wanted)["DiskIdSet"]
    assert all(answer["DiskIdSet"] == first for answer in answers)
    named = cloud.call("DescribeDisks", Filters=[{"Name": "disk-name", "Values": ["together"]}])
    assert {disk["DiskId"] for disk in named["DiskSet"]} == set(first)


def test_many_creations_at_once_are_all_there(server, cloud):
    answers, errors = split(
        together(server, [("CreateDisks", HOURLY | {"DiskName": "crowd", "DiskCount": 5})] * CALLERS)
    )
    assert not errors
    made = [disk for answer in answers for disk in answer["DiskIdSet"]]
    assert len(set(made)) == 5 * CALLERS
    named = cloud.call("DescribeDisks", Filters=[{"Name": "disk-name", "Values": ["crowd"]}], Limit=100)
    assert {disk["DiskId"] for disk in named["DiskSet"]} == set(made)


def test_a_disk_goes_into_one_instance(server, cloud):
    disk = cloud.create_disk()
    instances = [server.add_instance() for _ in range(CALLERS)]
    calls = [("AttachDisks", {"InstanceId": instance, "DiskIds": [disk]}) for instance in instances]
    outcomes = together(server, calls)
    winners = [
        place
        for place, outcome in zip(instances, outcomes, strict=True)
        if not isinstance(outcome, TencentCloudSDKException)
    ]
    assert len(winners) == 1, outcomes
    assert cloud.wait_disk(disk, "ATTACHED")["InstanceId"] == winners[0]
    NbdClient(server.nbd_socket, disk).close()
    cloud.detach(disk)


def test_a_disk_is_terminated_or_attached_never_both(server, cloud):
    instance = server.add_instance()
    for _ in range(6):
        disk = cloud.create_disk()
        answers, errors = split(
            together(
                server,
                [
                    ("AttachDisks", {"InstanceId": instance, "DiskIds": [disk]}),
                    ("TerminateDisks", {"DiskIds": [disk]}),
                ],
            )
        )
        assert len(answers) == 1 and len(errors) == 1, errors
        found = cloud.disk(disk)
        if found:
            cloud.wait_disk(disk, "ATTACHED")
            cloud.detach(disk)
            cloud.terminate(disk)


def test_snapshots_taken_together_all_succeed_or_say_try_again(server, cloud):
    disk = cloud.create_disk()
    answers, errors = split(together(server, [("CreateSnapshot", {"DiskId": disk})] * CALLERS))
    retriable = {
        "ResourceBusy",
        "InvalidDisk.Busy",
        "InvalidDisk.SnapshotCreating",
        "ResourceUnavailable.SnapshotCreating",
    }
    assert {error.code for error in errors} <= retriable
    assert answers
    for answer in answers:
        cloud.wait_snapshot(answer["SnapshotId"])
    assert cloud.disk(disk)["SnapshotCount"] == len(answers)
