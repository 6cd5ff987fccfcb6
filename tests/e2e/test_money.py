"""What operators and clients see of money: balances, ledgers, limits and the administrative view of a disk."""

import json

import pytest

from harness.cloud import Cloud
from harness.server import ZONE, run_ashlar

ACCOUNT = "100000000001"
PREPAID = {"DiskChargeType": "PREPAID", "DiskChargePrepaid": {"Period": 1}}


def admin(server, *words):
    """An administrative command's answer."""
    done = run_ashlar(*words, "--data-dir", server.data_dir, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refusal(server, *words):
    """Why an administrative command is refused."""
    done = run_ashlar(*words, "--data-dir", server.data_dir, "--json")
    assert done.returncode != 0, done.stdout
    return done.stderr


@pytest.fixture
def own(servers):
    """A server of its own and its client: balances belong to the whole account."""
    server = servers.start()
    return server, Cloud(server)


def test_an_account_pays_until_its_balance_is_used_up(own):
    server, cloud = own
    assert admin(server, "balance", "show", "--account", ACCOUNT)["balance"] is None
    admin(server, "balance", "set", "5", "--account", ACCOUNT)
    disk = cloud.create_disk(**PREPAID)
    assert admin(server, "balance", "show", "--account", ACCOUNT)["balance"] == "3"
    with cloud.refused("InvalidAccount.InsufficientBalance", "balance of 3 does not cover 20"):
        cloud.create_disk(size_gib=100, **PREPAID)
    admin(server, "balance", "add", "17", "--account", ACCOUNT)
    cloud.create_disk(size_gib=100, **PREPAID)
    assert admin(server, "balance", "show", "--account", ACCOUNT)["balance"] == "0"
    ledger = admin(server, "balance", "ledger", "--account", ACCOUNT)
    assert [(entry["kind"], entry["amount"]) for entry in ledger["entries"]] == [
        ("PURCHASE", "20"),
        ("BALANCE", "-17"),
        ("PURCHASE", "2"),
        ("BALANCE", "-5"),
    ]
    assert ledger["entries"][2]["resource"] == disk
    # What is given back at once is paid back nearly whole.
    cloud.call("TerminateDisks", DiskIds=[disk])
    back = float(admin(server, "balance", "show", "--account", ACCOUNT)["balance"])
    assert 1.99 < back <= 2
    assert cloud.disk(disk)["ReturnFailCode"] == 1
    admin(server, "balance", "unlimited", "--account", ACCOUNT)
    cloud.create_disk(size_gib=1000, **PREPAID)


def test_wrong_administration_is_told(own):
    server, _ = own
    assert "is no amount" in refusal(server, "balance", "set", "1e9", "--account", ACCOUNT)
    assert "number of an account" in refusal(server, "balance", "show", "--account", "1")
    assert "one of snapshots_per_disk" in refusal(server, "limit", "set", "moons", "1", "--account", ACCOUNT)
    assert "1 or more" in refusal(server, "limit", "set", "disks_per_create", "0", "--account", ACCOUNT)
    assert "does not exist" in refusal(server, "disk", "show", "disk-00000000")


def test_an_account_can_have_limits_of_its_own(own):
    server, cloud = own
    admin(server, "limit", "set", "disks_per_instance", "1", "--account", ACCOUNT)
    instance = server.add_instance(zone=ZONE)
    one, other = cloud.create_disks(count=2)
    cloud.attach(instance, one)
    with cloud.refused("LimitExceeded.InstanceAttachedDisk"):
        cloud.call("AttachDisks", InstanceId=instance, DiskIds=[other])
    (detail,) = cloud.call("DescribeInstancesDiskNum", InstanceIds=[instance])["AttachDetail"]
    assert (detail["AttachedDiskCount"], detail["MaxAttachCount"]) == (1, 1)
    limits = {limit["name"]: limit for limit in admin(server, "limit", "list", "--account", ACCOUNT)["limits"]}
    assert (limits["disks_per_instance"]["value"], limits["disks_per_instance"]["configured"]) == (1, 20)
    admin(server, "limit", "reset", "disks_per_instance", "--account", ACCOUNT)
    cloud.attach(instance, other)


def test_what_shall_be_mounted_is_shown_as_not_carried_out(own):
    server, cloud = own
    instance = server.add_instance(zone=ZONE)
    mount = {"InstanceId": [instance], "MountPoint": ["/data"], "FileSystemType": "ext4"}
    disk = cloud.create_disk(AutoMountConfiguration=mount)
    shown = admin(server, "disk", "show", disk)
    assert shown["auto_mount"] == {
        "instance_id": instance,
        "mount_point": "/data",
        "file_system_type": "ext4",
        "carried_out": False,
    }
    assert shown["disk_id"] == disk and shown["state"] == "UNATTACHED"


def test_configurations_are_told_with_their_price(cloud):
    configs = cloud.call("DescribeDiskConfigQuota", InquiryType="INQUIRY_CBS_CONFIG", Zones=[ZONE])["DiskConfigSet"]
    by_key = {(one["DiskType"], one["DiskChargeType"]): one for one in configs}
    premium = by_key["CLOUD_PREMIUM", "POSTPAID_BY_HOUR"]
    assert (premium["Price"]["UnitPriceHigh"], premium["Price"]["ChargeUnit"]) == ("0.0042", "HOUR")
    fast = by_key["CLOUD_TSSD", "PREPAID"]
    assert (fast["Price"]["OriginalPrice"], fast["ExtraPerformanceRange"]) == (20, [0, 3650])
