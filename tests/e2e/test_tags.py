"""Tags through the tag service: the same records as the tags of disks and snapshots."""

import hashlib

import pytest

from harness.cloud import Cloud
from harness.server import run_ashlar
from harness.siblings import Sibling

REGION = "ap-guangzhou"


@pytest.fixture(scope="module")
def tag(server):
    """Calls to the tag service."""
    return Sibling(server, "tag")


def name_of(resource, kind="volume", region=REGION, account=""):
    """A resource's name in six parts, as Terraform writes it."""
    return f"qcs::cvm:{region}:uin/{account}:{kind}/{resource}"


def read(tag, *ids, kind="volume", **parameters):
    """The tags of resources as (resource, key, value)."""
    wanted = {"ServiceType": "cvm", "ResourcePrefix": kind, "ResourceRegion": REGION, "ResourceIds": list(ids)}
    answer = tag.call("DescribeResourceTagsByResourceIds", **(wanted | parameters))
    return [(one["ResourceId"], one["TagKey"], one["TagValue"]) for one in answer["Tags"]]


def test_both_faces_show_the_same_tags(cloud, tag):
    disk = cloud.create_disk(Tags=[{"Key": "team", "Value": "a"}])
    snapshot = cloud.create_snapshot(disk, Tags=[{"Key": "of", "Value": "disk"}])
    assert read(tag, disk) == [(disk, "team", "a")]
    assert read(tag, snapshot, kind="snapshot") == [(snapshot, "of", "disk")]

    replace = [{"TagKey": "team", "TagValue": "b"}, {"TagKey": "new", "TagValue": ""}]
    tag.call("ModifyResourceTags", Resource=name_of(disk), ReplaceTags=replace)
    assert cloud.disk(disk)["Tags"] == [{"Key": "new", "Value": ""}, {"Key": "team", "Value": "b"}]
    filters = [{"Name": "tag:team", "Values": ["b"]}]
    assert [one["DiskId"] for one in cloud.call("DescribeDisks", Filters=filters)["DiskSet"]] == [disk]

    # The other tag goes, one that is not bound is passed over, and a third comes in the same call.
    delete = [{"TagKey": "team"}, {"TagKey": "never"}]
    wanted = {"ReplaceTags": [{"TagKey": "third", "TagValue": "3"}], "DeleteTags": delete}
    tag.call("ModifyResourceTags", Resource=name_of(disk), **wanted)
    assert read(tag, disk) == [(disk, "new", ""), (disk, "third", "3")]
    tag.call("ModifyResourceTags", Resource=name_of(snapshot, "snapshot"), DeleteTags=[{"TagKey": "of"}])
    assert cloud.snapshot(snapshot)["Tags"] == []


def test_instances_and_policies_bear_tags(server, cloud, tag):
    instance = server.add_instance(name="tagged")
    rules = [{"Hour": [1], "IntervalDays": 1}]
    policy = cloud.call("CreateAutoSnapshotPolicy", Policy=rules)["AutoSnapshotPolicyId"]
    for resource, kind in ((instance, "instance"), (policy, "autosnapshotpolicy")):
        change = [{"TagKey": "k", "TagValue": "v"}]
        tag.call("ModifyResourceTags", Resource=name_of(resource, kind), ReplaceTags=change)
        assert read(tag, resource, kind=kind) == [(resource, "k", "v")]
    shown = cloud.call("DescribeAutoSnapshotPolicies", AutoSnapshotPolicyIds=[policy])["AutoSnapshotPolicySet"][0]
    assert shown["Tags"] == [{"Key": "k", "Value": "v"}]
    cloud.call("DeleteAutoSnapshotPolicies", AutoSnapshotPolicyIds=[policy])
    done = run_ashlar("instance", "remove", instance, "--data-dir", server.data_dir)
    assert done.returncode == 0, done.stderr
    assert read(tag, policy, kind="autosnapshotpolicy") == read(tag, instance, kind="instance") == []


def test_tags_of_a_deleted_disk_are_gone(cloud, tag):
    disk = cloud.create_disk(Tags=[{"Key": "k", "Value": "v"}])
    cloud.terminate(disk)
    assert read(tag, disk) == []
    with cloud.refused("InvalidParameterValue.ResourceDescriptionError", disk):
        tag.call("ModifyResourceTags", Resource=name_of(disk), DeleteTags=[{"TagKey": "k"}])


def test_every_field_of_a_tag(cloud, tag):
    disk = cloud.create_disk(Tags=[{"Key": "schlüssel", "Value": "值"}])
    wanted = {"ServiceType": "cvm", "ResourcePrefix": "volume", "ResourceRegion": REGION, "ResourceIds": [disk]}
    answer = tag.call("DescribeResourceTagsByResourceIds", **wanted)
    assert {name: answer[name] for name in ("TotalCount", "Offset", "Limit")} == {
        "TotalCount": 1,
        "Offset": 0,
        "Limit": 15,
    }
    assert answer["Tags"] == [
        {
            "TagKey": "schlüssel",
            "TagValue": "值",
            "ResourceId": disk,
            "TagKeyMd5": hashlib.md5("schlüssel".encode()).hexdigest(),
            "TagValueMd5": hashlib.md5("值".encode()).hexdigest(),
            "ServiceType": "cvm",
            "Category": "Custom",
        }
    ]
    assert tag.call("DescribeResourceTagsByResourceIds", Category="System", **wanted)["Tags"] == []


def test_pages_of_tags_are_exact(cloud, tag):
    keys = [f"key-{number:02}" for number in range(17)]
    one = cloud.create_disk(Tags=[{"Key": key, "Value": ""} for key in keys])
    two = cloud.create_disk(Tags=[{"Key": "other", "Value": ""}])
    everything = sorted([*((one, key, "") for key in keys), (two, "other", "")])
    pages = [read(tag, one, two, Limit=6, Offset=offset) for offset in (0, 6, 12, 18)]
    assert [len(page) for page in pages] == [6, 6, 6, 0]
    assert sum(pages, []) == everything
    assert read(tag, one, two) == everything[:15], "15 are the default"
    with cloud.refused("InvalidParameterValue", "Offset", "7"):
        read(tag, one, Limit=6, Offset=7)


def test_resources_are_found_by_their_tags(server, cloud, tag):
    region = "ap-beijing"
    there, tag_there = Cloud(server, region=region), Sibling(server, "tag", region=region)
    zone = {"Placement": {"Zone": f"{region}-1"}}
    disks = sorted(
        there.create_disk(Tags=[{"Key": "app", "Value": f"{number % 2}"}, {"Key": "only", "Value": "here"}], **zone)
        for number in range(5)
    )
    account = cloud_account(tag_there, disks[0], region)

    def found(**parameters):
        answer = tag.call("GetResources", **parameters)
        return answer["PaginationToken"], [one["Resource"] for one in answer["ResourceTagMappingList"]]

    only = [{"TagKey": "only", "TagValue": ["here", "there"]}]
    names = [name_of(disk, region=region, account=account) for disk in disks]
    assert found(TagFilters=only) == ("", names)
    token, first = found(TagFilters=only, MaxResults=3)
    assert (first, token) == (names[:3], disks[2])
    assert found(TagFilters=only, MaxResults=3, PaginationToken=token) == ("", names[3:])
    app = [{"TagKey": "app", "TagValue": ["1"]}, {"TagKey": "only"}]
    assert len(found(TagFilters=app)[1]) == 2
    # One client names a disk as an instance of its own product.
    asked = [f"qcs::cbs:{region}:uin/{account}:instance/{disks[0]}", name_of("disk-00000000", region=region)]
    assert found(ResourceList=asked) == ("", asked[:1])
    assert found(ResourceList=[name_of(disks[0])]) == ("", []), "it is in another region"
    assert found(ResourceList=asked, TagFilters=[{"TagKey": "nothing"}]) == ("", [])


def cloud_account(tag, disk, region):
    """The account's number, as the names of its resources have it."""
    answer = tag.call("GetResources", ResourceList=[name_of(disk, region=region)])
    assert [one["Resource"] for one in answer["ResourceTagMappingList"]] == [name_of(disk, region=region)]
    found = tag.call("GetResources", TagFilters=[{"TagKey": "only"}])["ResourceTagMappingList"]
    return found[0]["Resource"].split(":")[4].removeprefix("uin/")


def test_another_accounts_number_in_a_name_finds_nothing(cloud, tag):
    disk = cloud.create_disk(Tags=[{"Key": "k", "Value": "v"}])
    foreign = name_of(disk, account="100000000777")
    assert tag.call("GetResources", ResourceList=[foreign])["ResourceTagMappingList"] == []
    with cloud.refused("InvalidParameterValue.ResourceDescriptionError", disk):
        tag.call("ModifyResourceTags", Resource=foreign, DeleteTags=[{"TagKey": "k"}])
    assert read(tag, disk) == [(disk, "k", "v")]


def test_kinds_that_are_not_here_have_no_tags(tag):
    wanted = {"ServiceType": "ccs", "ResourcePrefix": "cluster", "ResourceRegion": REGION, "ResourceIds": ["cls-1"]}
    answer = tag.call("DescribeResourceTagsByResourceIds", **wanted)
    assert (answer["TotalCount"], answer["Tags"]) == (0, [])
    assert read(tag, "disk-00000000", "not an id") == []


MANY_TAGS = [{"TagKey": f"key-{number}", "TagValue": ""} for number in range(11)]
READ = {"ServiceType": "cvm", "ResourcePrefix": "volume", "ResourceRegion": REGION, "ResourceIds": ["disk-00000000"]}
KEY = [{"TagKey": "k", "TagValue": "v"}]


@pytest.mark.parametrize(
    ("code", "action", "parameters"),
    [
        ("InvalidParameterValue.RegionInvalid", "DescribeResourceTagsByResourceIds", {"ResourceRegion": "ap-mars"}),
        ("InvalidParameterValue.ResourceIdInvalid", "DescribeResourceTagsByResourceIds", {"ResourceIds": [""]}),
        ("InvalidParameterValue.ResourcePrefixInvalid", "DescribeResourceTagsByResourceIds", {"ResourcePrefix": "x"}),
        ("InvalidParameterValue.ServiceTypeInvalid", "DescribeResourceTagsByResourceIds", {"ServiceType": ""}),
        ("InvalidParameterValue", "DescribeResourceTagsByResourceIds", {"ResourceIds": ["disk-00000000"] * 51}),
        ("InvalidParameter.PaginationTokenInvalid", "GetResources", {"PaginationToken": "tomorrow"}),
        ("InvalidParameterValue.ResourceDescriptionError", "GetResources", {"ResourceList": ["disk-00000000"]}),
        ("InvalidParameterValue.TagKeyDuplicate", "GetResources", {"TagFilters": [{"TagKey": "k"}, {"TagKey": "k"}]}),
        ("InvalidParameterValue.TagKeyEmpty", "GetResources", {"TagFilters": [{"TagKey": ""}]}),
        ("InvalidParameterValue.TagKeyLengthExceeded", "GetResources", {"TagFilters": [{"TagKey": "k" * 128}]}),
        ("LimitExceeded.ResourceNumPerRequest", "GetResources", {"ResourceList": [name_of("disk-00000000")] * 11}),
        ("LimitExceeded.TagNumPerRequest", "GetResources", {"TagFilters": [{"TagKey": str(k)} for k in range(7)]}),
        ("MissingParameter", "ModifyResourceTags", {}),
        ("InvalidParameterValue", "ModifyResourceTags", {"ReplaceTags": MANY_TAGS}),
        (
            "InvalidParameterValue.DeleteTagsParamError",
            "ModifyResourceTags",
            {"ReplaceTags": KEY, "DeleteTags": [{"TagKey": "k"}]},
        ),
        ("InvalidParameterValue.ResourceDescriptionError", "ModifyResourceTags", {"Resource": "x", "ReplaceTags": KEY}),
        ("InvalidParameter.Tag", "ModifyResourceTags", {"ReplaceTags": KEY * 2}),
        ("InvalidParameterValue.TagKeyEmpty", "ModifyResourceTags", {"DeleteTags": [{"TagKey": ""}]}),
        (
            "InvalidParameterValue.TagKeyLengthExceeded",
            "ModifyResourceTags",
            {"ReplaceTags": [{"TagKey": "k" * 128, "TagValue": ""}]},
        ),
        (
            "InvalidParameterValue.TagValueLengthExceeded",
            "ModifyResourceTags",
            {"ReplaceTags": [{"TagKey": "k", "TagValue": "v" * 256}]},
        ),
    ],
)
def test_wrong_calls_are_refused_with_the_documented_code(cloud, tag, code, action, parameters):
    wanted = parameters
    if action == "DescribeResourceTagsByResourceIds":
        wanted = READ | parameters
    elif action == "ModifyResourceTags":
        wanted = {"Resource": name_of("disk-00000000")} | parameters
    with cloud.refused(code, "`"):
        tag.call(action, **wanted)


def test_a_resource_has_no_more_tags_than_it_may(cloud, tag):
    disk = cloud.create_disk(Tags=[{"Key": f"k{number}", "Value": ""} for number in range(50)])
    with cloud.refused("LimitExceeded.ResourceAttachedTags", "51", "50"):
        tag.call("ModifyResourceTags", Resource=name_of(disk), ReplaceTags=KEY)
    # One that goes makes room for one that comes.
    tag.call("ModifyResourceTags", Resource=name_of(disk), ReplaceTags=KEY, DeleteTags=[{"TagKey": "k0"}])
    assert len(cloud.disk(disk)["Tags"]) == 50


def test_projects_are_listed(cloud, tag):
    answer = tag.call("DescribeProjects", AllList=1, Limit=1000, Offset=0)
    default = answer["Projects"][0]
    assert (answer["Total"], default["ProjectId"], default["ProjectName"]) == (1, 0, "default")
    assert default["CreatorUin"] > 0 and len(default["CreateTime"]) == 19
    assert tag.call("DescribeProjects", AllList=0, Limit=10, Offset=1)["Projects"] == []
    assert tag.call("DescribeProjects", AllList=0, Limit=10, Offset=0, ProjectName="none")["Total"] == 0
    with cloud.refused("MissingParameter", "AllList"):
        tag.call("DescribeProjects", Limit=1, Offset=0)
