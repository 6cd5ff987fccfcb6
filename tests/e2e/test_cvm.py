"""The calls of `cvm` that clients of block storage make, and images made of snapshots."""

import subprocess

import pytest

from harness.server import OTHER_ZONE, REGION, ZONE, run_ashlar
from harness.siblings import Sibling


@pytest.fixture(scope="module")
def cvm(server):
    """Calls to Cloud Virtual Machine."""
    return Sibling(server, "cvm")


@pytest.fixture(scope="module")
def machine(server):
    """An instance with a system disk of 20 GiB."""
    return add(server, "--name", "booted", "--system-disk", "20")


def add(server, *arguments):
    """`ashlar instance add`; returns what it printed."""
    done = run_ashlar("instance", "add", "--zone", ZONE, *arguments, "--data-dir", server.data_dir)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def shown(cvm, instance):
    """What DescribeInstances says of an instance."""
    answer = cvm.call("DescribeInstances", InstanceIds=[instance])
    assert answer["TotalCount"] == len(answer["InstanceSet"]) <= 1
    return answer["InstanceSet"][0] if answer["InstanceSet"] else None


@pytest.fixture(scope="module")
def system_disk(cvm, machine):
    """The machine's system disk."""
    return shown(cvm, machine)["SystemDisk"]["DiskId"]


def test_regions_and_zones(cvm):
    regions = cvm.call("DescribeRegions")
    assert regions["TotalCount"] == len(regions["RegionSet"])
    assert {"Region": REGION, "RegionName": REGION, "RegionState": "AVAILABLE"} in regions["RegionSet"]
    zones = cvm.call("DescribeZones")
    assert zones["TotalCount"] == len(zones["ZoneSet"]) == 7
    assert {ZONE, OTHER_ZONE} <= {zone["Zone"] for zone in zones["ZoneSet"]}
    assert len({zone["ZoneId"] for zone in zones["ZoneSet"]}) == 7, "one client knows zones by their numbers"


def test_a_system_disk_is_a_real_one_that_stays(server, cloud, cvm, machine, system_disk):
    disk = cloud.disk(system_disk)
    assert (disk["DiskUsage"], disk["DiskState"], disk["InstanceId"]) == ("SYSTEM_DISK", "ATTACHED", machine)
    assert (disk["DiskSize"], disk["Portable"]) == (20, False)
    with cloud.refused("InvalidDisk.NotPortable", system_disk):
        cloud.call("DetachDisks", DiskIds=[system_disk])
    data = cloud.create_disk()
    cloud.attach(machine, data)
    found = shown(cvm, machine)
    assert [one["DiskId"] for one in found["DataDisks"]] == [data]
    assert (found["InstanceState"], found["InstanceName"], found["Placement"]["Zone"]) == ("RUNNING", "booted", ZONE)
    done = run_ashlar("instance", "remove", machine, "--data-dir", server.data_dir)
    assert done.returncode == 1 and "detach" in done.stderr
    cloud.detach(data)


def test_a_system_disk_goes_with_its_machine(server, cloud, cvm):
    machine = add(server, "--system-disk", "10")
    disk = shown(cvm, machine)["SystemDisk"]["DiskId"]
    done = run_ashlar("instance", "remove", machine, "--data-dir", server.data_dir)
    assert done.returncode == 0, done.stderr
    assert cloud.disk(disk) is None and shown(cvm, machine) is None


def test_lists_of_instances_are_filtered_and_paged(server, cvm):
    named = [add(server, "--name", f"list {number % 2}") for number in range(4)]

    def found(**parameters):
        answer = cvm.call("DescribeInstances", **parameters)
        return answer["TotalCount"], [one["InstanceId"] for one in answer["InstanceSet"]]

    odd = [{"Name": "instance-name", "Values": ["list 1"]}]
    assert found(Filters=odd) == (2, [named[3], named[1]])
    assert found(Filters=odd, Limit=1, Offset=1) == (2, [named[1]])
    assert found(Filters=[*odd, {"Name": "zone", "Values": [OTHER_ZONE]}]) == (0, [])
    assert found(Filters=[*odd, {"Name": "instance-state", "Values": ["RUNNING"]}])[0] == 2
    assert found(Filters=[{"Name": "instance-state", "Values": ["STOPPED"]}]) == (0, [])
    status = cvm.call("DescribeInstancesStatus", InstanceIds=named[:2])
    assert {(one["InstanceId"], one["InstanceState"]) for one in status["InstanceStatusSet"]} == {
        (named[0], "RUNNING"),
        (named[1], "RUNNING"),
    }
    with cvm.refused("InvalidFilter", "color"):
        found(Filters=[{"Name": "color", "Values": ["red"]}])


def test_machines_are_found_by_their_addresses(server, cvm):
    old = server.add_instance("--address", "10.7.0.1")
    new = server.add_instance("--address", "2001:DB8:0:0::7")

    def found(*addresses):
        answer = cvm.call("DescribeInstances", Filters=[{"Name": "private-ip-address", "Values": addresses}])
        return [one["InstanceId"] for one in answer["InstanceSet"]]

    assert found("10.7.0.1", "10.7.0.2") == [old]
    assert found("2001:db8::7") == found("2001:0db8::0007") == [new]
    assert found("10.7.0.2") == found("10.7.0") == []
    shown = {one["InstanceId"]: one for one in cvm.call("DescribeInstances", InstanceIds=[old, new])["InstanceSet"]}
    assert (shown[old]["PrivateIpAddresses"], shown[old]["IPv6Addresses"]) == (["10.7.0.1"], None)
    assert (shown[new]["PrivateIpAddresses"], shown[new]["IPv6Addresses"]) == ([], ["2001:db8::7"])
    listed = {one["instance_id"]: one["address"] for one in server.admin("instance", "list")}
    assert (listed[old], listed[new]) == ("10.7.0.1", "2001:db8::7")
    for wrong in ("0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "10.7.0.256", "::ffff:127.0.0.1"):
        done = run_ashlar("instance", "add", "--zone", ZONE, "--address", wrong, "--data-dir", server.data_dir)
        assert done.returncode != 0 and "address" in done.stderr, done


def test_an_image_holds_its_snapshots(cloud, cvm, system_disk):
    system, data = cloud.create_snapshot(system_disk), cloud.create_snapshot(cloud.create_disk())
    tags = [{"ResourceType": "image", "Tags": [{"Key": "k", "Value": "v"}]}]
    wanted = {"ImageName": "golden", "ImageDescription": "d", "SnapshotIds": [data, system]}
    assert cvm.call("CreateImage", DryRun=True, **wanted)["ImageId"] == ""
    image = cvm.call("CreateImage", TagSpecification=tags, **wanted)["ImageId"]
    (found,) = cvm.call("DescribeImages", ImageIds=[image])["ImageSet"]
    assert (found["ImageName"], found["ImageState"], found["ImageSize"]) == ("golden", "NORMAL", 20)
    assert found["Tags"] == [{"Key": "k", "Value": "v"}]
    assert [(one["SnapshotId"], one["DiskUsage"]) for one in found["SnapshotSet"]] == [
        (system, "SYSTEM_DISK"),
        (data, "DATA_DISK"),
    ]
    bound = cloud.snapshot(system)
    assert (bound["ImageCount"], bound["Images"]) == (1, [{"ImageId": image, "ImageName": "golden"}])

    with cloud.refused("UnsupportedOperation.SnapshotHasBindedImage", system, image):
        cloud.call("DeleteSnapshots", SnapshotIds=[system])
    with cloud.refused("UnsupportedOperation.SnapshotHasBindedImage", system):
        cloud.call("ModifySnapshotAttribute", SnapshotId=system, Deadline="2099-01-01T00:00:00+00:00")
    with cvm.refused("InvalidImageName.Duplicate", "golden"):
        cvm.call("CreateImage", **wanted)
    cloud.call("DeleteSnapshots", SnapshotIds=[data], DeleteBindImages=True)
    assert cvm.call("DescribeImages", ImageIds=[image])["TotalCount"] == 0
    assert cloud.snapshot(data) is None
    assert cloud.snapshot(system)["ImageCount"] == 0


def test_images_are_deleted_alone_or_with_their_snapshots(cloud, cvm, system_disk):
    snapshot = cloud.create_snapshot(system_disk)
    images = [cvm.call("CreateImage", ImageName=name, SnapshotIds=[snapshot])["ImageId"] for name in ("a", "b")]
    listed = cvm.call("DescribeImages", Filters=[{"Name": "image-name", "Values": ["a", "b"]}], Limit=1)
    assert (listed["TotalCount"], listed["ImageSet"][0]["ImageId"]) == (2, images[1])
    with cvm.refused("InvalidImageId.NotFound", "img-00000000"):
        cvm.call("DeleteImages", ImageIds=[images[0], "img-00000000"])
    # The other image still stands on the snapshot.
    with cvm.refused("UnsupportedOperation", snapshot, images[1]):
        cvm.call("DeleteImages", ImageIds=images[:1], DeleteBindedSnap=True)
    cvm.call("DeleteImages", ImageIds=images[:1], DryRun=True)
    assert cvm.call("DescribeImages", ImageIds=images)["TotalCount"] == 2
    cvm.call("DeleteImages", ImageIds=images[:1])
    assert cloud.snapshot(snapshot)["ImageCount"] == 1
    cvm.call("DeleteImages", ImageIds=images[1:], DeleteBindedSnap=True)
    assert cloud.snapshot(snapshot) is None


@pytest.mark.parametrize(
    ("code", "parameters"),
    [
        ("MissingParameter", {}),
        ("InvalidParameter.SnapshotNotFound", {"SnapshotIds": ["snap-00000000"]}),
        ("InvalidParameter.SystemSnapshotNotFound", {"SnapshotIds": ["data"]}),
        ("InvalidParameter.DuplicateSystemSnapshots", {"SnapshotIds": ["one", "two"]}),
        ("InvalidParameterValue", {"ImageName": "n" * 61, "SnapshotIds": ["one"]}),
        ("UnsupportedOperation", {"InstanceId": "ins-00000000"}),
        ("UnsupportedOperation", {"SnapshotIds": ["one"], "Sysprep": "true"}),
    ],
)
def test_wrong_images_are_refused(cloud, cvm, system_disk, code, parameters):
    real = {"one": system_disk, "two": system_disk, "data": None}
    wanted = {"ImageName": "wrong"} | parameters
    if "SnapshotIds" in wanted:
        wanted["SnapshotIds"] = [
            cloud.create_snapshot(real[name] or cloud.create_disk()) if name in real else name
            for name in wanted["SnapshotIds"]
        ]
    with cvm.refused(code, "`"):
        cvm.call("CreateImage", **wanted)
    assert cvm.call("DescribeImages")["TotalCount"] == 0
    if made := [one for one in wanted.get("SnapshotIds", []) if one != "snap-00000000"]:
        cloud.delete_snapshots(*made)


def test_ids_and_filters_of_images_exclude_each_other(cvm):
    with cvm.refused("InvalidParameter.InvalidParameterCoexistImageIdsFilters", "ImageIds", "Filters"):
        filters = [{"Name": "image-type", "Values": ["PRIVATE_IMAGE"]}]
        cvm.call("DescribeImages", ImageIds=["img-00000000"], Filters=filters)


def test_the_system_disk_can_be_opened_by_nbd(server, system_disk):
    uri = server.nbd_uri(system_disk)
    done = subprocess.run(["nbdinfo", "--size", uri], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and int(done.stdout) == 20 << 30, done.stderr
