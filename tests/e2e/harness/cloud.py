"""The control plane through the official Python SDK, with the waits that every user of it needs."""

import contextlib

from tencentcloud.cbs.v20170312.cbs_client import CbsClient
from tencentcloud.common import credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from harness.server import REGION, ZONE
from harness.waiting import wait_until

# The four ways in which the SDK can write one call.
SIGNATURES = {
    "TC3 POST": ("TC3-HMAC-SHA256", "POST"),
    "TC3 GET": ("TC3-HMAC-SHA256", "GET"),
    "HmacSHA1": ("HmacSHA1", "POST"),
    "HmacSHA256": ("HmacSHA256", "GET"),
}

FINAL_DISK_STATES = {"UNATTACHED", "ATTACHED", "TORECYCLE"}


def sdk_client(server, signature="TC3 POST", region=REGION, secret=None, client=CbsClient, authority=None):
    """A client of the official SDK for `server`; `secret` replaces (SecretId, SecretKey), a third part is a token.

    With an `authority`, a file of certificates, it speaks HTTPS.
    """
    sign_method, http_method = SIGNATURES[signature]
    environment = server.admin_environment()
    secret = secret or (environment["TENCENTCLOUD_SECRET_ID"], environment["TENCENTCLOUD_SECRET_KEY"])
    http = HttpProfile(
        protocol="https" if authority else "http",
        endpoint=f"{server.host}:{server.port}",
        reqMethod=http_method,
        reqTimeout=60,
        certification=str(authority) if authority else None,
    )
    profile = ClientProfile(signMethod=sign_method, httpProfile=http, language="en-US")
    return client(credential.Credential(*secret), region, profile)


class Cloud:
    """Calls as plain dictionaries, and the usual steps of a story."""

    def __init__(self, server, signature="TC3 POST", region=REGION, secret=None):
        self.server = server
        self.region = region
        self.client = sdk_client(server, signature, region, secret)

    def call(self, action, /, **parameters):
        """Calls `action` and returns the content of `Response`."""
        return self.client.call_json(action, parameters)["Response"]

    @contextlib.contextmanager
    def refused(self, code, *texts):
        """The block's call is refused with exactly `code` and a message that contains each of `texts`."""
        try:
            yield
        except TencentCloudSDKException as error:
            assert error.code == code, f"{error.code}: {error.message}"
            for text in texts:
                assert text in error.message, f"`{text}` is not in: {error.message}"
            assert error.requestId, "an error carries the id of its request"
            return
        raise AssertionError(f"the call was answered, {code} expected")

    # Disks

    def create_disks(self, size_gib=10, count=1, **parameters):
        """Creates disks and returns their ids when all of them are ready."""
        wanted = {
            "Placement": {"Zone": ZONE},
            "DiskChargeType": "POSTPAID_BY_HOUR",
            "DiskType": "CLOUD_PREMIUM",
            "DiskCount": count,
        }
        if size_gib is not None:
            wanted["DiskSize"] = size_gib
        disks = self.call("CreateDisks", **(wanted | parameters))["DiskIdSet"]
        assert len(disks) == count == len(set(disks))
        for disk in disks:
            self.wait_disk(disk, "UNATTACHED")
        return disks

    def create_disk(self, size_gib=10, **parameters):
        """Creates one disk and returns its id when it is ready."""
        return self.create_disks(size_gib, 1, **parameters)[0]

    def disk(self, disk):
        """What DescribeDisks says of a disk; None if there is none."""
        answer = self.call("DescribeDisks", DiskIds=[disk])
        assert answer["TotalCount"] == len(answer["DiskSet"]) <= 1
        return answer["DiskSet"][0] if answer["DiskSet"] else None

    def wait_disk(self, disk, state):
        """Waits until the disk is in `state` and returns it; any other final state ends the wait."""

        def arrived():
            found = self.disk(disk)
            assert found, f"{disk} is gone, {state} expected"
            if found["DiskState"] == state:
                return found
            assert found["DiskState"] not in FINAL_DISK_STATES or state in FINAL_DISK_STATES, found["DiskState"]
            return None

        return wait_until(arrived, f"{disk} is {state}")

    def wait_disk_gone(self, disk):
        """Waits until the disk is no longer listed."""
        wait_until(lambda: self.disk(disk) is None, f"{disk} is gone")

    def attach(self, instance, *disks, **parameters):
        """Attaches disks and waits until they are in."""
        self.call("AttachDisks", InstanceId=instance, DiskIds=list(disks), **parameters)
        for disk in disks:
            self.wait_disk(disk, "ATTACHED")

    def detach(self, *disks):
        """Detaches disks and waits until they are out."""
        self.call("DetachDisks", DiskIds=list(disks))
        for disk in disks:
            self.wait_disk(disk, "UNATTACHED")

    def resize(self, disk, size_gib):
        """Enlarges a disk and waits until it has its new size."""
        state = self.disk(disk)["DiskState"]
        self.call("ResizeDisk", DiskId=disk, DiskSize=size_gib)
        wait_until(
            lambda: (found := self.disk(disk))["DiskState"] == state and found["DiskSize"] == size_gib,
            f"{disk} has {size_gib} GiB",
        )

    def terminate(self, *disks, **parameters):
        """Returns postpaid disks and waits until they are gone."""
        self.call("TerminateDisks", DiskIds=list(disks), **parameters)
        for disk in disks:
            self.wait_disk_gone(disk)

    # Snapshots

    def create_snapshot(self, disk, name=None, **parameters):
        """Takes a snapshot and returns its id when it is ready."""
        named = {"SnapshotName": name} if name else {}
        snapshot = self.call("CreateSnapshot", DiskId=disk, **named, **parameters)["SnapshotId"]
        self.wait_snapshot(snapshot)
        return snapshot

    def snapshot(self, snapshot):
        """What DescribeSnapshots says of a snapshot; None if there is none."""
        answer = self.call("DescribeSnapshots", SnapshotIds=[snapshot])
        assert answer["TotalCount"] == len(answer["SnapshotSet"]) <= 1
        return answer["SnapshotSet"][0] if answer["SnapshotSet"] else None

    def wait_snapshot(self, snapshot):
        """Waits until the snapshot can be used and returns it."""

        def ready():
            found = self.snapshot(snapshot)
            assert found, f"{snapshot} is gone"
            return found if found["SnapshotState"] == "NORMAL" and found["Percent"] == 100 else None

        return wait_until(ready, f"{snapshot} is NORMAL")

    def roll_back(self, disk, snapshot):
        """Rolls the disk back and waits until it can be attached again."""
        self.call("ApplySnapshot", DiskId=disk, SnapshotId=snapshot)
        wait_until(
            lambda: not (found := self.disk(disk))["Rollbacking"] and found["DiskState"] == "UNATTACHED",
            f"{disk} is rolled back",
        )

    def delete_snapshots(self, *snapshots):
        """Deletes snapshots and waits until they are gone."""
        self.call("DeleteSnapshots", SnapshotIds=list(snapshots))
        for snapshot in snapshots:
            wait_until(lambda one=snapshot: self.snapshot(one) is None, f"{snapshot} is gone")


def refused_as_one_of(cloud, codes, text, action, wanted):
    """The call is refused with one of `codes` and a message that contains `text`."""
    try:
        cloud.call(action, **wanted)
    except TencentCloudSDKException as error:
        assert error.code in codes, f"{error.code}: {error.message}"
        assert text in error.message, error.message
        return
    raise AssertionError(f"{action} was answered: {wanted}")


def refused_for_good(cloud, code, texts, action, wanted):
    """The call is refused with `code`; None stands for a code that the reference leaves open, but never one
    that clients take for `try again`."""
    try:
        cloud.call(action, **wanted)
    except TencentCloudSDKException as error:
        if code:
            assert error.code == code, f"{error.code}: {error.message}"
        family = error.code.split(".")[0]
        assert family not in {"ResourceBusy", "ResourceInUse", "InternalError"}, f"{error.code}: {error.message}"
        assert family != "ResourceUnavailable" or error.code == "ResourceUnavailable.NotSupported", error.code
        for text in texts:
            assert text in error.message, f"`{text}` is not in: {error.message}"
        return
    raise AssertionError(f"{action} was answered: {wanted}")
