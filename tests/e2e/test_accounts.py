"""Accounts, users, keys, policies, networks and one-time codes, through the operator's commands and the SDK."""

import json
import time

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from harness.accounts import admin, attach_policy, new_key, statement, totp
from harness.cloud import Cloud
from harness.server import RATE_LIMIT_OFF, ZONE, run_ashlar
from harness.signing import RawHttp, error_code

DENIED = "AuthFailure.UnauthorizedOperation"
HOURLY = {
    "Placement": {"Zone": ZONE},
    "DiskChargeType": "POSTPAID_BY_HOUR",
    "DiskType": "CLOUD_PREMIUM",
    "DiskSize": 10,
}


@pytest.fixture
def alice(server, tmp_path):
    """A user without rights: calls with her key."""
    admin(server, "user", "add", "alice")
    yield Cloud(server, secret=new_key(server, "--user", "alice"))
    admin(server, "user", "remove", "alice")


def test_a_user_may_do_what_policies_say_and_from_the_next_call_on(server, cloud, alice, tmp_path):
    disk = cloud.create_disk()
    with alice.refused(DENIED, "cbs:DescribeDisks", f"volume/{disk}"):
        alice.call("DescribeDisks", DiskIds=[disk])
    attach_policy(server, tmp_path, "read", statement("allow", "cbs:Describe*"))
    assert alice.disk(disk)["DiskId"] == disk
    with alice.refused(DENIED, "cbs:ResizeDisk"):
        alice.call("ResizeDisk", DiskId=disk, DiskSize=20)
    attach_policy(server, tmp_path, "one", statement("allow", "name/cbs:*", f"qcs::cbs:::volume/{disk}"))
    alice.resize(disk, 20)
    with alice.refused(DENIED, "volume/*"):
        alice.call("CreateDisks", **HOURLY)
    attach_policy(server, tmp_path, "never", statement("deny", "cbs:DescribeDisks", f"qcs::cbs:::volume/{disk}"))
    with alice.refused(DENIED):
        alice.call("DescribeDisks", DiskIds=[disk])
    names = [policy["name"] for policy in admin(server, "policy", "list", "--user", "alice")]
    assert names == ["never", "one", "read"]
    for name in names:
        admin(server, "policy", "detach", "--user", "alice", "--file", tmp_path / f"{name}.json")
    with alice.refused(DENIED):
        alice.call("DescribeDisks", DiskIds=[disk])


def test_a_refusal_says_nothing_about_what_exists(cloud, alice):
    disk = cloud.create_disk()
    messages = []
    for named in (disk, "disk-00000000"):
        with pytest.raises(TencentCloudSDKException) as refused:
            alice.call("TerminateDisks", DiskIds=[named])
        assert refused.value.code == DENIED
        messages.append(refused.value.message.replace(named, "ID"))
    assert messages[0] == messages[1]
    with alice.refused("InvalidParameter"):
        # What is no request at all is refused before rights are looked at.
        alice.call("TerminateDisks", DiskIds=["no disk"])


def test_tags_and_networks_are_conditions(server, cloud, alice, tmp_path):
    tag = {"for_any_value:string_equal": {"qcs:resource_tag": ["team&blue"]}}
    request = {"for_any_value:string_equal": {"qcs:request_tag": ["team&blue"]}}
    attach_policy(
        server,
        tmp_path,
        "tags",
        statement("allow", "cbs:ModifyDiskAttributes", condition=tag),
        statement("allow", "cbs:CreateDisks", condition=request),
        statement("allow", "cbs:DescribeDisks", condition={"ip_equal": {"qcs:ip": ["127.0.0.0/8"]}}),
        statement("deny", "cbs:DescribeDisks", condition={"ip_not_equal": {"qcs:ip": ["127.0.0.1"]}}),
    )
    blue = alice.create_disk(Tags=[{"Key": "team", "Value": "blue"}])
    red = cloud.create_disk(Tags=[{"Key": "team", "Value": "red"}])
    alice.call("ModifyDiskAttributes", DiskIds=[blue], DiskName="mine")
    for disks in ([red], [blue, red], ["disk-00000000"]):
        with alice.refused(DENIED):
            alice.call("ModifyDiskAttributes", DiskIds=disks, DiskName="mine")
    with alice.refused(DENIED):
        alice.call("CreateDisks", **HOURLY, Tags=[{"Key": "team", "Value": "red"}])
    attach_policy(
        server,
        tmp_path,
        "elsewhere",
        statement("deny", "cbs:DescribeDisks", condition={"ip_equal": {"qcs:ip": ["127.0.0.1"]}}),
    )
    with alice.refused(DENIED):
        alice.disk(blue)


def test_another_account_sees_what_does_not_exist(server, cloud, instance):
    account = admin(server, "account", "add", "other")
    other = Cloud(server, secret=new_key(server, "--account", account["uin"]))
    disk = cloud.create_disk(Tags=[{"Key": "k", "Value": "v"}])
    snapshot = cloud.create_snapshot(disk)
    assert other.call("DescribeDisks")["TotalCount"] == 0
    assert other.call("DescribeSnapshots")["TotalCount"] == 0
    assert other.call("GetSnapOverview")["TotalNums"] == 0
    assert other.call("DescribeInstancesDiskNum", InstanceIds=[instance])["AttachDetail"] == []
    calls = [
        ("ResizeDisk", {"DiskId": disk, "DiskSize": 20}),
        ("AttachDisks", {"DiskIds": [disk], "InstanceId": instance}),
        ("DetachDisks", {"DiskIds": [disk]}),
        ("TerminateDisks", {"DiskIds": [disk]}),
        ("InitializeDisks", {"DiskIds": [disk]}),
        ("ModifyDiskAttributes", {"DiskIds": [disk], "DiskName": "x"}),
        ("CreateSnapshot", {"DiskId": disk}),
        ("ApplySnapshot", {"DiskId": disk, "SnapshotId": snapshot}),
        ("DeleteSnapshots", {"SnapshotIds": [snapshot]}),
        ("ModifySnapshotAttribute", {"SnapshotId": snapshot, "SnapshotName": "x"}),
        ("CreateDisks", HOURLY | {"SnapshotId": snapshot}),
    ]
    missing = {disk: "disk-00000000", snapshot: "snap-00000000", instance: "ins-00000000"}
    for action, wanted in calls:
        answers = []
        for names in ({}, missing):
            text = json.dumps(wanted)
            for real, replaced in names.items():
                text = text.replace(real, replaced)
            with pytest.raises(TencentCloudSDKException) as refused:
                other.call(action, **json.loads(text))
            message = refused.value.message
            for real, replaced in missing.items():
                message = message.replace(real, replaced)
            answers.append((refused.value.code, message))
        assert answers[0] == answers[1], action
    admin(server, "account", "disable", account["uin"])
    with other.refused("AuthFailure.SecretIdNotFound"):
        other.call("DescribeDisks")
    admin(server, "account", "enable", account["uin"])
    assert other.call("DescribeDisks")["TotalCount"] == 0


def test_keys_are_two_at_most_and_can_be_disabled_and_removed(server):
    admin(server, "user", "add", "bob")
    first, second = (new_key(server, "--user", "bob") for _ in range(2))
    assert "2 keys" in admin(server, "key", "add", "--user", "bob", status=1)
    bob = Cloud(server, secret=first)
    with bob.refused(DENIED):
        bob.call("DescribeDisks")
    admin(server, "key", "disable", first[0])
    with bob.refused("AuthFailure.SecretIdNotFound"):
        bob.call("DescribeDisks")
    shown = admin(server, "key", "list", "--user", "bob")
    assert {key["secret_id"]: key["enabled"] for key in shown} == {first[0]: False, second[0]: True}
    assert not any("secret_key" in key for key in shown), "the secret half is shown once"
    admin(server, "key", "enable", first[0])
    with bob.refused(DENIED):
        bob.call("DescribeDisks")
    admin(server, "key", "remove", first[0])
    with bob.refused("AuthFailure.SecretIdNotFound"):
        bob.call("DescribeDisks")
    admin(server, "user", "remove", "bob")
    with Cloud(server, secret=second).refused("AuthFailure.SecretIdNotFound"):
        Cloud(server, secret=second).call("DescribeDisks")


@pytest.mark.parametrize(
    ("document", "texts"),
    [
        ("nonsense", ["no JSON"]),
        ('{"version": "1.0", "statement": []}', ["version"]),
        ('{"version": "2.0", "statement": []}', ["statement"]),
        (
            '{"version": "2.0", "statement": [{"effect": "maybe", "action": "*", "resource": "*"}]}',
            ["statement 1, effect"],
        ),
        ('{"version": "2.0", "statement": [{"effect": "allow", "resource": "*"}]}', ["statement 1, action"]),
        (
            '{"version": "2.0", "statement": [{"effect": "allow", "action": "*", "resource": "*"},'
            ' {"effect": "allow", "action": ["cbs:*", "cbs"], "resource": "*"}]}',
            ["statement 2, action 2", "`cbs`"],
        ),
        (
            '{"version": "2.0", "statement": [{"effect": "allow", "action": "*", "resource": "volume/disk-1"}]}',
            ["statement 1, resource 1", "volume/disk-1"],
        ),
        (
            '{"version": "2.0", "statement": [{"effect": "allow", "action": "*", "resource": "*",'
            ' "condition": {"ip_equal": {"qcs:ip": ["10.0.0.0/99"]}}}]}',
            ["statement 1, condition ip_equal qcs:ip", "10.0.0.0/99"],
        ),
        (
            '{"version": "2.0", "statement": [{"effect": "allow", "action": "*", "resource": "*", "colour": 1}]}',
            ["statement 1", "colour"],
        ),
    ],
)
def test_a_policy_that_is_none_is_refused_with_its_place(server, alice, tmp_path, document, texts):
    file = tmp_path / "policy.json"
    file.write_text(document)
    line = admin(server, "policy", "attach", "--user", "alice", "--file", file, status=1)
    assert len(line.splitlines()) == 1
    for text in texts:
        assert text in line
    assert admin(server, "policy", "list", "--user", "alice") == []


def test_networks_of_an_account(server):
    account = str(admin(server, "account", "add", "fenced")["uin"])
    fenced = Cloud(server, secret=new_key(server, "--account", account))
    admin(server, "network", "deny", "127.0.0.1", "--account", account)
    with fenced.refused("IpInBlacklist", "127.0.0.1"):
        fenced.call("DescribeDisks")
    with fenced.refused("IpInBlacklist"):
        fenced.call("NoSuchAction")
    admin(server, "network", "remove", "127.0.0.1", "--account", account)
    admin(server, "network", "allow", "10.0.0.0/8", "--account", account)
    with fenced.refused("IpNotInWhitelist", "127.0.0.1"):
        fenced.call("DescribeDisks")
    admin(server, "network", "allow", "127.0.0.0/8", "--account", account)
    assert fenced.call("DescribeDisks")["TotalCount"] == 0
    rules = admin(server, "network", "list", "--account", account)
    assert rules == [{"effect": "allow", "network": "10.0.0.0/8"}, {"effect": "allow", "network": "127.0.0.0/8"}]
    assert "network" in admin(server, "network", "deny", "10.0.0.1/8", "--account", account, status=1)


def test_trusted_proxies_say_who_called(servers):
    def answer(server, forwarded):
        return error_code(RawHttp(server).tc3("DescribeDisks", headers={"X-Forwarded-For": forwarded}))

    there, elsewhere = "203.0.113.9", "198.51.100.1"
    behind = servers.start(RATE_LIMIT_OFF + 'trusted_proxies = ["127.0.0.0/8", "10.1.0.0/16"]\n')
    account = str(admin(behind, "account", "list")[0]["uin"])
    admin(behind, "network", "deny", "203.0.113.0/24", "--account", account)
    assert answer(behind, there) == "IpInBlacklist"
    assert answer(behind, f"{elsewhere}, {there}, 10.1.2.3") == "IpInBlacklist"
    assert answer(behind, f"{there}, {elsewhere}") is None
    assert answer(behind, None) is None
    alone = servers.start()
    account = str(admin(alone, "account", "list")[0]["uin"])
    admin(alone, "network", "deny", "203.0.113.0/24", "--account", account)
    assert answer(alone, there) is None, "anybody can write the header"


def test_what_cannot_be_taken_back_asks_for_a_code(server, cloud, instance):
    account = str(admin(server, "account", "add", "careful")["uin"])
    careful = Cloud(server, secret=new_key(server, "--account", account))
    disk = careful.create_disk()
    snapshot = careful.create_snapshot(disk)
    device = admin(server, "mfa", "enrol", "--account", account)
    assert device["secret"] in device["uri"]

    def call(action, code=None, **parameters):
        headers = {"X-TC-MFA-Code": code} if code else {}
        return careful.client.call_json(action, parameters, headers=headers)["Response"]

    careful.resize(disk, 20)
    with careful.refused("UnauthorizedOperation.MFAExpired", "X-TC-MFA-Code"):
        call("DeleteSnapshots", SnapshotIds=[snapshot])
    with careful.refused("UnauthorizedOperation.MFAExpired"):
        call("ApplySnapshot", DiskId=disk, SnapshotId="snap-00000000")
    with careful.refused("UnauthorizedOperation.MFAExpired"):
        call("DetachDisks", DiskIds=[disk])
    group = {"SnapshotGroupId": "csnap-00000000"}
    target = {"DiskId": disk, "SnapshotId": snapshot}
    for action, parameters in [
        ("ApplyDiskBackup", {"DiskId": disk, "DiskBackupId": "dbp-00000000"}),
        ("ApplySnapshotGroup", group | {"ApplyDisks": [target]}),
        ("DeleteDiskBackups", {"DiskBackupIds": ["dbp-00000000"]}),
        ("DeleteSnapshotGroup", group),
        ("ModifyDisksRenewFlag", {"DiskIds": [disk], "RenewFlag": "NOTIFY_AND_AUTO_RENEW"}),
    ]:
        with careful.refused("UnauthorizedOperation.MFAExpired"):
            call(action, **parameters)
    with careful.refused("AuthFailure.MFAFailure"):
        call("DeleteSnapshots", "000000", SnapshotIds=[snapshot])
    code = totp(device["secret"], time.time())
    with careful.refused("InvalidSnapshotId.NotFound"):
        call("DeleteSnapshots", code, SnapshotIds=["snap-00000000"])
    with careful.refused("AuthFailure.MFAFailure", "used before"):
        call("DescribeDisks", code)
    # The good code has opened the key's window.
    call("DeleteSnapshots", SnapshotIds=[snapshot])
    again = admin(server, "mfa", "remove", "--account", account)
    assert again["done"] == "removed"
    with careful.refused("AuthFailure.MFAFailure", "no device"):
        call("DescribeDisks", code)


def test_commands_without_a_server_or_with_wrong_words(server, tmp_path):
    assert "no server runs" in run_ashlar("account", "list", "--data-dir", tmp_path).stderr
    assert "no account `7`" in admin(server, "user", "add", "x", "--account", "7", status=1)
    assert "no user `nobody`" in admin(server, "key", "add", "--user", "nobody", status=1)
    assert "no name for a user" in admin(server, "user", "add", "a b", status=1)
    assert "no key `AKID0`" in admin(server, "key", "remove", "AKID0", status=1)
    assert "first account" in admin(server, "account", "disable", "100000000001", status=1)
    assert {account["name"] for account in admin(server, "account", "list")} >= {"first"}


def test_instances_belong_to_an_account(server, cloud):
    account = str(admin(server, "account", "add", "machines")["uin"])
    other = Cloud(server, secret=new_key(server, "--account", account))
    instance = admin(server, "instance", "add", "--zone", ZONE, "--account", account)["instance_id"]
    assert [one["instance_id"] for one in admin(server, "instance", "list", "--account", account)] == [instance]
    assert instance not in [one["instance_id"] for one in admin(server, "instance", "list")]
    disk = other.create_disk()
    other.attach(instance, disk)
    mine = cloud.create_disk()
    with cloud.refused("InvalidInstanceId.NotFound"):
        cloud.call("AttachDisks", InstanceId=instance, DiskIds=[mine])
    other.detach(disk)
    admin(server, "instance", "remove", instance, "--account", account)
    assert "no account `7`" in admin(server, "instance", "list", "--account", "7", status=1)


def test_no_secret_is_in_the_log(server):
    secret_id, secret_key = new_key(server, "--account", str(admin(server, "account", "add", "quiet")["uin"]))
    Cloud(server, secret=(secret_id, secret_key)).call("DescribeDisks")
    assert secret_key not in server.log_path.read_text()
