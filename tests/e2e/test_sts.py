"""Temporary keys through the official SDK of `sts`, used with the SDK of `cbs`."""

import json
import time
import urllib.parse

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.sts.v20180813 import models
from tencentcloud.sts.v20180813.sts_client import StsClient

from harness.accounts import admin, attach_policy, new_key, statement, totp
from harness.cloud import SIGNATURES, Cloud, sdk_client
from harness.waiting import wait_until

ACCOUNT = "100000000001"
DENIED = "AuthFailure.UnauthorizedOperation"
ANYTHING = json.dumps({"version": "2.0", "statement": [statement("allow", "*")]})
READ = json.dumps({"version": "2.0", "statement": [statement("allow", "cbs:DescribeDisks")]})


def sts(server, secret=None, signature="TC3 POST"):
    return sdk_client(server, signature, secret=secret, client=StsClient)


def assume_role(client, arn, **wanted):
    request = models.AssumeRoleRequest()
    request.from_json_string(json.dumps({"RoleArn": arn, "RoleSessionName": "session"} | wanted))
    return client.AssumeRole(request)


def federation_token(client, policy=READ, **wanted):
    request = models.GetFederationTokenRequest()
    request.from_json_string(json.dumps({"Name": "guest", "Policy": policy} | wanted))
    return client.GetFederationToken(request)


def identity(client):
    return client.GetCallerIdentity(models.GetCallerIdentityRequest())


def secret_of(answer):
    given = answer.Credentials
    return given.TmpSecretId, given.TmpSecretKey, given.Token


def code_of(call, *arguments, **named):
    with pytest.raises(TencentCloudSDKException) as refused:
        call(*arguments, **named)
    return refused.value.code


@pytest.fixture(scope="module")
def role(server, tmp_path_factory):
    """A role of the first account that whoever has the right there may assume; it may read disks."""
    directory = tmp_path_factory.mktemp("role")
    trust = directory / "trust.json"
    principal = {"qcs": [f"qcs::cam::uin/{ACCOUNT}:root"]}
    trust.write_text(
        json.dumps(
            {
                "version": "2.0",
                "statement": [{"effect": "allow", "action": "name/sts:AssumeRole", "principal": principal}],
            }
        )
    )
    made = admin(server, "role", "add", "reader", "--trust", trust, "--max-session", "3600")
    attach_policy(server, directory, "read", statement("allow", "cbs:DescribeDisks"), holder=("--role", "reader"))
    assert admin(server, "role", "list")[0]["arn"] == made["arn"]
    return made


def test_a_role_gives_its_rights_and_no_more(server, cloud, role):
    disk = cloud.create_disk()
    answer = assume_role(sts(server), role["arn"])
    assert answer.ExpiredTime - time.time() == pytest.approx(3600, abs=30), "the role's longest, under the default"
    assert answer.Expiration.endswith("Z")
    secret = secret_of(answer)
    for signature in SIGNATURES:
        reader = Cloud(server, signature, secret=secret)
        assert reader.disk(disk)["DiskId"] == disk
        with reader.refused(DENIED):
            reader.call("TerminateDisks", DiskIds=[disk])
    who = identity(sts(server, secret))
    assert (who.Type, who.AccountId, who.PrincipalId) == ("CAMRole", ACCOUNT, ACCOUNT)
    assert who.UserId == f"{role['role_id']}:session"
    by_number = f"qcs::cam::uin/{ACCOUNT}:role/{role['role_id']}"
    assert assume_role(sts(server), by_number).Credentials.Token


def test_a_session_policy_only_takes_away(server, cloud, role):
    disk = cloud.create_disk()
    encoded = urllib.parse.quote(json.dumps({"version": "2.0", "statement": [statement("allow", "cbs:Create*")]}))
    neither = Cloud(server, secret=secret_of(assume_role(sts(server), role["arn"], Policy=encoded)))
    for action, wanted in [("DescribeDisks", {}), ("CreateSnapshot", {"DiskId": disk})]:
        with neither.refused(DENIED):
            neither.call(action, **wanted)
    assert code_of(assume_role, sts(server), role["arn"], Policy="{") == "InvalidParameter.StrategyFormatError"


def test_a_role_has_to_trust_and_the_user_to_have_the_right(server, role, tmp_path):
    admin(server, "user", "add", "ann")
    ann = sts(server, new_key(server, "--user", "ann"))
    assert code_of(assume_role, ann, role["arn"]) == DENIED
    may_assume = statement("allow", "sts:AssumeRole", role["arn"])
    attach_policy(server, tmp_path, "assume", may_assume, holder=("--user", "ann"))
    assert assume_role(ann, role["arn"]).Credentials.Token
    who = identity(sts(server, secret_of(assume_role(ann, role["arn"]))))
    assert who.PrincipalId == identity(ann).UserId != ACCOUNT
    secret = secret_of(assume_role(ann, role["arn"]))
    admin(server, "user", "remove", "ann")
    with Cloud(server, secret=secret).refused("AuthFailure.SecretIdNotFound"):
        Cloud(server, secret=secret).call("DescribeDisks")
    # Another account's role that does not trust looks like none.
    account = str(admin(server, "account", "add", "elsewhere")["uin"])
    stranger = sts(server, new_key(server, "--account", account))
    for arn in (role["arn"], f"qcs::cam::uin/{ACCOUNT}:roleName/none"):
        assert code_of(assume_role, stranger, arn) == "ResourceNotFound.RoleNotFound"


def test_a_role_of_another_account(server, cloud, tmp_path):
    account = str(admin(server, "account", "add", "partner")["uin"])
    partner = sts(server, new_key(server, "--account", account))
    trust = tmp_path / "trust.json"
    statements = [
        {
            "effect": "allow",
            "action": "sts:AssumeRole",
            "principal": {"qcs": [f"qcs::cam::uin/{account}:root"]},
            "condition": {"string_equal": {"sts:external_id": ["blue"]}},
        }
    ]
    trust.write_text(json.dumps({"version": "2.0", "statement": statements}))
    arn = admin(server, "role", "add", "lent", "--trust", trust)["arn"]
    attach_policy(server, tmp_path, "all", statement("allow", "*"), holder=("--role", "lent"))
    assert code_of(assume_role, partner, arn) == "ResourceNotFound.RoleNotFound"
    secret = secret_of(assume_role(partner, arn, ExternalId="blue"))
    disk = cloud.create_disk()
    assert Cloud(server, secret=secret).disk(disk), "it acts in the account that has the role"
    admin(server, "account", "disable", account)
    with Cloud(server, secret=secret).refused("AuthFailure.SecretIdNotFound"):
        Cloud(server, secret=secret).call("DescribeDisks")


def test_the_tags_of_a_session_decide_what_it_reaches(server, cloud, tmp_path):
    blue, red = (cloud.create_disk(Tags=[{"Key": "team", "Value": team}]) for team in ("blue", "red"))
    trust = tmp_path / "trust.json"
    allowed = {
        "effect": "allow",
        "action": "sts:AssumeRole",
        "principal": {"qcs": [f"qcs::cam::uin/{ACCOUNT}:root"]},
        "condition": {"string_like": {"qcs:request_tag": ["game&*"]}},
    }
    trust.write_text(json.dumps({"version": "2.0", "statement": [allowed]}))
    arn = admin(server, "role", "add", "player", "--trust", trust)["arn"]
    same_team = {"for_any_value:string_equal": {"qcs:resource_tag": ["team&${qcs:principal_tag_value}"]}}
    known = {"string_equal": {"qcs:principal_tag": ["game&blue", "game&red"]}}
    holder = ("--role", "player")
    own = statement("allow", "cbs:*") | {"condition": same_team}
    read = statement("allow", "cbs:GetSnapOverview") | {"condition": known}
    for name, rights in [("own", own), ("read", read)]:
        attach_policy(server, tmp_path, name, rights, holder=holder)
    assert code_of(assume_role, sts(server), arn) == "UnauthorizedOperation", "the role wants a tag"
    for team, own, other in [("blue", blue, red), ("red", red, blue)]:
        tags = [{"Key": "game", "Value": team}, {"Key": "k" * 128, "Value": "v" * 256}]
        player = Cloud(server, secret=secret_of(assume_role(sts(server), arn, Tags=tags)))
        player.call("ModifyDiskAttributes", DiskIds=[own], DiskName=team)
        with player.refused(DENIED):
            player.call("ModifyDiskAttributes", DiskIds=[other], DiskName=team)
        player.call("GetSnapOverview")
    tags = [{"Key": "game", "Value": "green"}]
    stranger = Cloud(server, secret=secret_of(assume_role(sts(server), arn, Tags=tags)))
    with stranger.refused(DENIED):
        stranger.call("GetSnapOverview")


def test_a_federation_token_acts_in_the_name_of_who_asked(server, cloud):
    disk = cloud.create_disk()
    answer = federation_token(sts(server))
    secret = secret_of(answer)
    assert answer.ExpiredTime - time.time() == pytest.approx(1800, abs=30)
    guest = Cloud(server, secret=secret)
    assert guest.disk(disk)
    with guest.refused(DENIED):
        guest.call("DescribeSnapshots")
    who = identity(sts(server, secret))
    assert (who.Type, who.UserId) == ("CAMUser", f"{ACCOUNT}:guest")
    everything = secret_of(federation_token(sts(server), ANYTHING))
    assert code_of(federation_token, sts(server, everything)) == "FailedOperation.TempKeyNotAllowed"
    assert code_of(federation_token, sts(server), DurationSeconds=7201) == "InvalidParameter.OverTimeError"


def test_a_token_ends_and_belongs_to_its_key(server):
    first = secret_of(federation_token(sts(server), DurationSeconds=2))
    other = secret_of(federation_token(sts(server)))
    guest = Cloud(server, secret=first)
    assert "DiskSet" in guest.call("DescribeDisks")

    def ended():
        try:
            guest.call("DescribeDisks")
        except TencentCloudSDKException as error:
            assert error.code == "AuthFailure.TokenFailure", error
            return "expired" in error.message
        return False

    wait_until(ended, "the key has ended")
    environment = server.admin_environment()
    permanent = (environment["TENCENTCLOUD_SECRET_ID"], environment["TENCENTCLOUD_SECRET_KEY"])
    for secret in (other[:2], (*other[:2], first[2]), (*permanent, other[2])):
        for signature in ("TC3 POST", "HmacSHA256"):
            with Cloud(server, signature, secret=secret).refused("AuthFailure.TokenFailure"):
                Cloud(server, signature, secret=secret).call("DescribeDisks")
    assert "DiskSet" in Cloud(server, secret=other).call("DescribeDisks")


def test_a_device_guards_sessions_too(server, tmp_path):
    account = str(admin(server, "account", "add", "guarded")["uin"])
    secret = new_key(server, "--account", account)
    device = admin(server, "mfa", "enrol", "--account", account)
    trust = tmp_path / "trust.json"
    principal = {"qcs": [f"qcs::cam::uin/{account}:root"]}
    statements = [{"effect": "allow", "action": "sts:AssumeRole", "principal": principal}]
    trust.write_text(json.dumps({"version": "2.0", "statement": statements}))
    arn = admin(server, "role", "add", "admin", "--trust", trust, "--account", account)["arn"]
    attach_policy(server, tmp_path, "all", statement("allow", "*"), holder=("--role", "admin", "--account", account))
    client = sts(server, secret)
    plain = Cloud(server, secret=secret_of(assume_role(client, arn)))
    with plain.refused("UnauthorizedOperation.MFAExpired"):
        plain.call("DeleteSnapshots", SnapshotIds=["snap-00000000"])
    serial = device["serial_number"]
    assert code_of(assume_role, client, arn, SerialNumber=serial, TokenCode="000000") == "AuthFailure.MFAFailure"
    code = totp(device["secret"], time.time())
    proved = Cloud(server, secret=secret_of(assume_role(client, arn, SerialNumber=serial, TokenCode=code)))
    with proved.refused("InvalidSnapshotId.NotFound"):
        proved.call("DeleteSnapshots", SnapshotIds=["snap-00000000"])


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        ({"RoleArn": "reader"}, "InvalidParameter.ParamError"),
        ({"RoleSessionName": "x"}, "InvalidParameter.ParamError"),
        ({"DurationSeconds": 3601}, "InvalidParameter.OverTimeError"),
        ({"DurationSeconds": 0}, "InvalidParameter.ParamError"),
        ({"SourceIdentity": "7"}, "InvalidParameter.ParamError"),
        ({"Policy": "{" + " " * 6144 + "}"}, "InvalidParameter.PolicyTooLong"),
        ({"Tags": [{"Key": "", "Value": "v"}]}, "InvalidParameter.ParamError"),
        ({"Tags": [{"Key": "k" * 129, "Value": "v"}]}, "InvalidParameter.ParamError"),
        ({"Tags": [{"Key": "k", "Value": "v" * 257}]}, "InvalidParameter.ParamError"),
        ({"Tags": [{"Key": "k", "Value": "v"}, {"Key": "k", "Value": "w"}]}, "InvalidParameter.ParamError"),
        ({"Tags": [{"Key": f"k{number}", "Value": "v"} for number in range(51)]}, "InvalidParameter.ParamError"),
        ({"SerialNumber": "qcs::cam:uin/7::mfa/softToken", "TokenCode": "1"}, "InvalidParameter.ParamError"),
        ({"SerialNumber": f"qcs::cam:uin/{ACCOUNT}::mfa/softToken"}, "MissingParameter"),
    ],
)
def test_what_assume_role_refuses(server, role, wanted, code):
    arn = wanted.pop("RoleArn", role["arn"])
    assert code_of(assume_role, sts(server), arn, **wanted) == code
