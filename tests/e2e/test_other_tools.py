"""What tools beside Terraform and the Kubernetes CSI driver do, call by call: policies as code, playbooks, brokers."""

import re

import pytest

from harness.cloud import Cloud
from harness.server import REGION, ZONE
from harness.siblings import Sibling

HOURLY = {
    "DiskChargeType": "POSTPAID_BY_HOUR",
    "DiskType": "CLOUD_PREMIUM",
    "DiskSize": 10,
    "Placement": {"Zone": ZONE},
}


@pytest.fixture(scope="module")
def tag(server):
    """Calls to the tag service."""
    return Sibling(server, "tag")


def test_a_disk_is_named_as_cloud_custodian_names_it(cloud, tag):
    disk = cloud.create_disk(Tags=[{"Key": "owner", "Value": "c7n"}])
    account = Sibling(cloud.server, "sts").call("GetCallerIdentity")["AccountId"]
    resource = f"qcs::cbs:{REGION}:uin/{account}:instance/{disk}"
    (found,) = tag.call("GetResources", ResourceList=[resource])["ResourceTagMappingList"]
    assert found["Resource"] == resource
    assert [(one["TagKey"], one["TagValue"]) for one in found["Tags"]] == [("owner", "c7n")]


def test_cloud_custodian_reads_pages_of_twenty_until_one_is_short(server):
    elsewhere = Cloud(server, region="ap-beijing")
    disks = elsewhere.create_disks(10, 43, Placement={"Zone": "ap-beijing-1"})

    def read(**wanted):
        found, offset = [], 0
        while True:
            answer = elsewhere.call("DescribeDisks", Offset=offset, Limit=20, **wanted)
            assert answer["TotalCount"] == len(disks) - 1 if wanted else len(disks)
            found += [disk["DiskId"] for disk in answer["DiskSet"]]
            if len(answer["DiskSet"]) < 20:
                return found
            offset += 20

    assert sorted(read()) == sorted(disks)
    # Ids may come together with a page.
    assert sorted(read(DiskIds=disks[1:])) == sorted(disks[1:])
    beyond = elsewhere.call("DescribeDisks", Offset=60, Limit=20)
    assert (beyond["DiskSet"], beyond["TotalCount"]) == ([], len(disks))


def test_a_playbook_says_true_for_a_number(cloud):
    """Ansible's collection sends DeleteSnapshot, a number of the reference, as a boolean."""
    disk = cloud.create_disk()
    kept, goes = cloud.create_snapshot(disk), cloud.create_snapshot(disk, Deadline="2099-01-08T09:47:55+00:00")
    cloud.call("TerminateDisks", DiskIds=[disk], DeleteSnapshot=True)
    assert cloud.disk(disk) is None
    assert cloud.snapshot(kept) and cloud.snapshot(goes) is None, "those that are kept for ever stay"


def test_a_broker_reads_a_disk_at_once_and_parses_its_time(cloud):
    """cb-spider and others ask for a disk as soon as they have its id, and take the first entry."""
    for _ in range(20):
        (disk,) = cloud.call("CreateDisks", DiskName="spider", **HOURLY)["DiskIdSet"]
        found = cloud.call("DescribeDisks", DiskIds=[disk])["DiskSet"][0]
        assert found["DiskId"] == disk
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", found["CreateTime"])
    named = [{"Name": "disk-name", "Values": ["spider"]}]
    found = cloud.call("DescribeDisks", Filters=named)
    # Newest first.
    assert found["TotalCount"] == len(found["DiskSet"]) == 20
    assert [one["DiskId"] for one in found["DiskSet"]][0] == disk
