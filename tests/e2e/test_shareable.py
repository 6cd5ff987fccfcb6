"""Shareable disks: one disk in several machines at once, each of which reads what the others wrote."""

import json
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from tencentcloud.cbs.v20170312 import models
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from harness.cloud import Cloud, sdk_client
from harness.nbd_client import ConnectionLost, ExportRefused, NbdClient
from harness.server import OTHER_ZONE, RATE_LIMIT_OFF, ZONE, run_ashlar
from harness.tools import fio, nbdinfo, need, qemu_io, run
from harness.waiting import wait_until

MIB = 1 << 20
KEY = "0123456789abcdef0123456789abcdef"


def shareable(cloud, **parameters):
    return cloud.create_disk(Shareable=True, **parameters)


def share(cloud, server, count=2):
    """A shareable disk in so many machines, and these."""
    disk, machines = shareable(cloud), [server.add_instance() for _ in range(count)]
    for machine in machines:
        cloud.attach(machine, disk)
    return disk, machines


def instances(cloud, disk):
    found = cloud.disk(disk)
    assert found["InstanceId"] == "" and found["Shareable"] is True
    return found["InstanceIdList"]


def leave(cloud, machine, *disks):
    """Takes disks out of one machine, and waits until it has them no more."""
    cloud.call("DetachDisks", InstanceId=machine, DiskIds=list(disks))
    for disk in disks:
        wait_until(lambda one=disk: machine not in instances(cloud, one), f"{machine} has let {disk} go")


def sdk_disk(client, disk):
    request = models.DescribeDisksRequest()
    request.DiskIds = [disk]
    return client.DescribeDisks(request).DiskSet[0]


def test_two_machines_share_a_disk_until_one_lets_go(servers):
    """The whole story, with the official SDK and stock clients, and `kill -9` in between."""
    need("qemu-io", "nbdinfo")
    server = servers.start()
    client = sdk_client(server)
    one, two = server.add_instance(name="one"), server.add_instance(name="two")

    create = models.CreateDisksRequest()
    create.Placement = models.Placement()
    create.Placement.Zone = ZONE
    create.DiskChargeType, create.DiskType, create.DiskSize = "POSTPAID_BY_HOUR", "CLOUD_SSD", 20
    create.Shareable = True
    (disk,) = client.CreateDisks(create).DiskIdSet
    wait_until(lambda: sdk_disk(client, disk).DiskState == "UNATTACHED", "the disk is made")
    shown = sdk_disk(client, disk)
    assert (shown.Shareable, shown.SnapshotAbility, shown.InstanceId, shown.InstanceIdList) == (True, False, "", [])

    for machine in (one, two):
        attach = models.AttachDisksRequest()
        attach.InstanceId, attach.DiskIds = machine, [disk]
        client.AttachDisks(attach)
        wait_until(lambda m=machine: m in sdk_disk(client, disk).InstanceIdList, f"{machine} has the disk")
    shown = sdk_disk(client, disk)
    assert (shown.DiskState, shown.Attached, shown.InstanceType) == ("ATTACHED", True, "CVM")
    assert (shown.InstanceId, shown.InstanceIdList, shown.LastAttachInsId) == ("", [one, two], two)

    of_one, of_two = (server.nbd_uri(f"{disk}@{machine}") for machine in (one, two))
    for uri in (of_one, of_two):
        info = nbdinfo(uri)
        assert info["can_multi_conn"] is True and info["is_read_only"] is False and info["export-size"] == 20 << 30
    refused = qemu_io(server.nbd_uri(disk), "read 0 4096", status=1)
    assert f"{disk}@{min(one, two)}" in refused.stderr, "the short name is not clear any more"

    qemu_io(of_one, f"write -P 0x11 0 {MIB}", "flush")
    qemu_io(of_two, f"read -P 0x11 0 {MIB}", f"write -f -P 0x22 {MIB} {MIB}")
    qemu_io(of_one, f"read -P 0x22 {MIB} {MIB}", f"write -P 0x33 {2 * MIB} {MIB}")

    server.kill()
    server.start()
    assert sdk_disk(client, disk).InstanceIdList == [one, two]
    qemu_io(of_two, f"read -P 0x11 0 {MIB}", f"read -P 0x22 {MIB} {MIB}", f"write -f -P 0x44 0 {MIB}")

    socket = server.nbd_socket
    with NbdClient(socket, f"{disk}@{one}") as first, NbdClient(socket, f"{disk}@{two}") as second:
        detach = models.DetachDisksRequest()
        detach.DiskIds = [disk]
        with pytest.raises(TencentCloudSDKException) as missing:
            client.DetachDisks(detach)
        assert missing.value.code == "MissingParameter" and "InstanceId" in missing.value.message
        detach.InstanceId = one
        client.DetachDisks(detach)
        wait_until(lambda: sdk_disk(client, disk).InstanceIdList == [two], "one machine has let go")
        with pytest.raises(ConnectionLost):
            first.read(0, 4096)
            first.read(0, 4096)
        assert second.read(0, 4096) == b"\x44" * 4096, "the other goes on, with the connection that it had"
        second.write(0, b"\x55" * 4096)
        second.flush()
    run("nbdinfo", of_one, status=1)
    qemu_io(of_two, "read -P 0x55 0 4096")
    qemu_io(server.nbd_uri(disk), "read -P 0x55 0 4096")

    server.kill()
    server.start()
    shown = sdk_disk(client, disk)
    assert (shown.DiskState, shown.InstanceIdList) == ("ATTACHED", [two])
    qemu_io(of_two, "read -P 0x55 0 4096")
    detach.InstanceId = None
    client.DetachDisks(detach)
    wait_until(lambda: sdk_disk(client, disk).DiskState == "UNATTACHED", "nobody has the disk")
    assert (sdk_disk(client, disk).InstanceIdList, sdk_disk(client, disk).LastAttachInsId) == ([], two)
    terminate = models.TerminateDisksRequest()
    terminate.DiskIds = [disk]
    client.TerminateDisks(terminate)


def test_machines_write_at_once_and_read_each_other(cloud, server):
    """Each machine owns every other megabyte; both write with fio at once, and check each other's afterwards."""
    need("fio")
    disk, machines = share(cloud, server)
    uris = [server.nbd_uri(f"{disk}@{machine}") for machine in machines]
    pattern = ["--bs=64k", "--size=16M", "--verify=pattern", "--iodepth=8"]
    halves = [["--offset=0", "--verify_pattern=0xa5"], ["--offset=16M", "--verify_pattern=0x5a"]]
    writers = [
        subprocess.Popen(
            ["fio", "--name=job", "--ioengine=nbd", f"--uri={uri}", "--thread", "--rw=randwrite", "--do_verify=0"]
            + ["--verify_state_save=0", "--end_fsync=1", *pattern, *half],
            stdout=subprocess.DEVNULL,
        )
        for uri, half in zip(uris, halves, strict=True)
    ]
    assert [writer.wait(120) for writer in writers] == [0, 0]
    for uri, half in zip(uris, reversed(halves), strict=True):
        fio(uri, "--rw=read", "--verify_only=0", *pattern, *half)
    for machine in machines:
        leave(cloud, machine, disk)
    cloud.terminate(disk)


# What CreateDisks refuses, and with which two names


@pytest.mark.parametrize(
    ("wanted", "other"),
    [
        ({"Encrypt": "ENCRYPT"}, "Encrypt"),
        ({"AutoMountConfiguration": {"InstanceId": ["ins-00000000"]}}, "AutoMountConfiguration"),
        ({"AutoSnapshotPolicyId": "asp-00000000"}, "AutoSnapshotPolicyId"),
    ],
)
def test_what_excludes_the_other_is_named(cloud, wanted, other):
    with cloud.refused("InvalidParameterValue", "Shareable", other):
        shareable(cloud, **wanted)


def test_every_way_of_paying_and_every_type_can_be_shared(cloud):
    types = [("CLOUD_BASIC", 10), ("CLOUD_PREMIUM", 10), ("CLOUD_BSSD", 20), ("CLOUD_SSD", 20), ("CLOUD_HSSD", 20)]
    made = [cloud.create_disk(size, DiskType=name, Shareable=True) for name, size in types]
    made.append(shareable(cloud, DiskChargeType="PREPAID", DiskChargePrepaid={"Period": 1}))
    assert all(cloud.disk(disk)["Shareable"] is True for disk in made)
    cloud.terminate(*made[:-1])


def test_an_encrypted_snapshot_gives_no_shareable_disk_and_another_does(cloud):
    plain, sealed = cloud.create_disk(), cloud.create_disk(Encrypt="ENCRYPT")
    snapshot = cloud.create_snapshot(sealed)
    with cloud.refused("InvalidParameterValue", "Shareable", "encrypted"):
        shareable(cloud, SnapshotId=snapshot)
    disk = cloud.create_disk(None, SnapshotId=cloud.create_snapshot(plain), Shareable=True)
    with cloud.refused("ResourceUnavailable.NotSupported", "shareable"):
        cloud.call("InitializeDisks", DiskIds=[disk])


# What is different from then on


def test_no_snapshots_are_taken_and_backup_points_are(cloud, server):
    disk, _ = share(cloud, server)
    with cloud.refused("InvalidDisk.NotSupportSnapshot", disk, "shareable"):
        cloud.call("CreateSnapshot", DiskId=disk)
    policy = cloud.call("CreateAutoSnapshotPolicy", Policy=[{"DayOfWeek": [0], "Hour": [0]}])["AutoSnapshotPolicyId"]
    for action, wanted in (
        ("CreateSnapshotGroup", {"DiskIds": [disk]}),
        ("BindAutoSnapshotPolicy", {"AutoSnapshotPolicyId": policy, "DiskIds": [disk]}),
    ):
        with cloud.refused("UnsupportedOperation.ShareDiskNotSupportSnap", disk):
            cloud.call(action, **wanted)
    cloud.call("ModifyDiskBackupQuota", DiskId=disk, DiskBackupQuota=1)
    backup = cloud.call("CreateDiskBackup", DiskId=disk)["DiskBackupId"]
    wait_until(lambda: cloud.disk(disk)["DiskBackupCount"] == 1, "the backup point is made")
    with cloud.refused("ResourceUnavailable.NotSupported", "detach"):
        cloud.call("ApplyDiskBackup", DiskId=disk, DiskBackupId=backup)


def test_the_limit_of_instances_is_the_accounts(servers):
    server = servers.start(RATE_LIMIT_OFF + "[limits]\ninstances_per_disk = 2\n")
    cloud = Cloud(server)
    disk, machines = share(cloud, server)
    more = server.add_instance()
    with cloud.refused("LimitExceeded.InstanceAttachedDisk", disk, "2"):
        cloud.call("AttachDisks", InstanceId=more, DiskIds=[disk])
    server.admin("limit", "set", "instances_per_disk", "3", "--account", "100000000001")
    cloud.attach(more, disk)
    assert instances(cloud, disk) == [*machines, more]
    with cloud.refused("ResourceUnavailable.NotSupported", more):
        cloud.call("AttachDisks", InstanceId=more, DiskIds=[disk])
    with cloud.refused("ResourceUnavailable.NotSupported", ZONE, OTHER_ZONE):
        cloud.call("AttachDisks", InstanceId=server.add_instance(zone=OTHER_ZONE), DiskIds=[disk])


def test_a_disk_that_is_not_shareable_stays_in_one_machine(cloud, server):
    disk, one, two = cloud.create_disk(), server.add_instance(), server.add_instance()
    cloud.attach(one, disk)
    with cloud.refused("ResourceUnavailable.NotSupported", one):
        cloud.call("AttachDisks", InstanceId=two, DiskIds=[disk])
    with cloud.refused("ResourceUnavailable.NotSupported", one):
        cloud.call("DetachDisks", InstanceId=two, DiskIds=[disk])
    qemu_io(server.nbd_uri(f"{disk}@{one}"), "read 0 4096")
    run("nbdinfo", server.nbd_uri(f"{disk}@{two}"), status=1)


def test_lists_and_counts_know_each_machine(cloud, server):
    disk, (one, two) = share(cloud, server)
    own = cloud.create_disk()
    cloud.attach(one, own)

    def found(*values, name="instance-id"):
        answer = cloud.call("DescribeDisks", Filters=[{"Name": name, "Values": list(values)}])
        ids = {shown["DiskId"] for shown in answer["DiskSet"]}
        assert answer["TotalCount"] == len(ids) == len(answer["DiskSet"])
        return ids

    assert (found(one), found(two), found(one, two)) == ({disk, own}, {disk}, {disk, own})
    details = cloud.call("DescribeInstancesDiskNum", InstanceIds=[one, two])["AttachDetail"]
    assert [(detail["InstanceId"], detail["AttachedDiskCount"]) for detail in details] == [(one, 2), (two, 1)]
    shown = server.admin("disk", "show", disk)
    assert (shown["shareable"], shown["instance_ids"]) == (True, [one, two])
    assert shown["instance_ids"] == instances(cloud, disk)
    with cloud.refused("ResourceUnavailable.NotSupported", disk):
        cloud.call("TerminateDisks", DiskIds=[disk])
    cloud.resize(disk, 20)
    for machine in (one, two):
        assert nbdinfo(server.nbd_uri(f"{disk}@{machine}"))["export-size"] == 20 << 30
    cloud.call("DetachDisks", InstanceId=one, DiskIds=[disk, own])
    wait_until(lambda: instances(cloud, disk) == [two], "one machine is empty")
    assert (found(one), found(two)) == (set(), {disk})


def test_a_removed_machine_takes_no_disk_that_another_has(cloud, server):
    disk, (one, two) = share(cloud, server)
    cloud.call("ModifyDiskAttributes", DiskIds=[disk], DeleteWithInstance=True)
    assert run_ashlar("instance", "remove", one, "--data-dir", server.data_dir).returncode != 0
    removed = run_ashlar("instance", "remove", one, "--with-disks", "--data-dir", server.data_dir)
    assert removed.returncode == 0, removed.stderr
    assert instances(cloud, disk) == [two]
    qemu_io(server.nbd_uri(f"{disk}@{two}"), "write -P 7 0 4096")
    removed = run_ashlar("instance", "remove", two, "--with-disks", "--data-dir", server.data_dir)
    assert removed.returncode == 0, removed.stderr
    assert cloud.disk(disk) is None, "the last machine takes it along"


def test_each_machine_proves_itself_and_loses_only_its_own(servers, tmp_path):
    """With TLS a machine asks for the disk by its short name: who it is says which attachment is meant."""
    need("nbdinfo", "qemu-io")
    keys = tmp_path / "keys.psk"
    keys.write_text(f"ins-0000000a:{KEY}\nins-0000000b:{KEY}\nbackup:{KEY}\n")
    keys.chmod(0o600)
    server = servers.start(
        RATE_LIMIT_OFF + f"[nbd_tls]\npsk_file = '{keys}'\n[nbd_tls.clients.backup]\nexports = ['*']\n"
    )
    cloud = Cloud(server)
    for machine in ("ins-0000000a", "ins-0000000b"):
        added = run_ashlar("instance", "add", "--zone", ZONE, "--id", machine, "--data-dir", server.data_dir)
        assert added.returncode == 0, added.stderr
    disk = shareable(cloud)
    for machine in ("ins-0000000a", "ins-0000000b"):
        cloud.attach(machine, disk)

    def info(export, name, status=0):
        uri = f"nbds+unix://{name}@/{export}?socket={server.nbd_socket}&tls-psk-file={keys}"
        return run("nbdinfo", uri, status=status)

    for machine in ("ins-0000000a", "ins-0000000b"):
        assert "export-size" in info(disk, machine).stdout
        assert "export-size" in info(f"{disk}@{machine}", machine).stdout
    info(f"{disk}@ins-0000000b", "ins-0000000a", status=1)
    info(disk, "backup", status=1)
    info(f"{disk}@ins-0000000b", "backup")
    leave(cloud, "ins-0000000a", disk)
    refused = info(disk, "ins-0000000a", status=1)
    assert "may not open" in refused.stderr or "Operation not supported" in refused.stderr
    info(disk, "ins-0000000b")
    info(disk, "backup")


def test_a_name_that_is_none_is_refused(cloud, server):
    disk, (one, two) = share(cloud, server)
    for name in (f"{disk}@", f"@{one}", f"{disk}@{one}@{two}", f"{disk}@ins-00000000", f"disk-00000000@{one}"):
        with pytest.raises(ExportRefused), NbdClient(server.nbd_socket, name):
            pass
    listed = run("nbdinfo", "--list", "--json", f"nbd+unix://?socket={server.nbd_socket}").stdout
    assert f'"{disk}@{one}"' in listed and f'"{disk}@{two}"' in listed and f'"{disk}"' not in listed


def until_answered(server, action, **wanted):
    """Makes a call again while it is told that the disk is busy; returns the code of its refusal, or None."""
    cloud = Cloud(server)

    def answered():
        try:
            cloud.call(action, **wanted)
        except TencentCloudSDKException as error:
            return None if error.code == "ResourceBusy" else (error.code,)
        return (None,)

    return wait_until(answered, f"{action} {wanted} is answered")[0]


def test_no_more_machines_than_allowed_come_in_at_once(cloud, server):
    """Twenty machines ask for the disk at the same time; sixteen get it, and each of them opens it."""
    disk, machines = shareable(cloud), [server.add_instance() for _ in range(20)]
    with ThreadPoolExecutor(len(machines)) as pool:
        codes = list(
            pool.map(lambda one: until_answered(server, "AttachDisks", InstanceId=one, DiskIds=[disk]), machines)
        )
    assert sorted(code or "" for code in codes) == [""] * 16 + ["LimitExceeded.InstanceAttachedDisk"] * 4
    inside = [machine for machine, code in zip(machines, codes, strict=True) if code is None]
    assert sorted(instances(cloud, disk)) == sorted(inside)
    clients = [NbdClient(server.nbd_socket, f"{disk}@{machine}") for machine in inside]
    for number, client in enumerate(clients):
        client.write(number * 4096, bytes([number + 1]) * 4096)
    for reader in clients:
        assert [reader.read(number * 4096, 1)[0] for number in range(16)] == list(range(1, 17))
    for client in clients:
        client.close()
    with ThreadPoolExecutor(len(inside)) as pool:
        gone = pool.map(lambda one: until_answered(server, "DetachDisks", InstanceId=one, DiskIds=[disk]), inside)
        assert set(gone) == {None}
    assert instances(cloud, disk) == []
    cloud.terminate(disk)


def test_a_server_that_dies_while_machines_come_and_go_remembers_each(servers, seed):
    """`kill -9` between attaching and detaching: what was answered holds, and what is shown can be opened."""
    chance, server = random.Random(seed), servers.start()
    cloud = Cloud(server)
    disk, (steady, *others) = share(cloud, server, 4)
    known, value = {steady, *others}, 0
    for _ in range(6):
        with NbdClient(server.nbd_socket, f"{disk}@{steady}") as client, ThreadPoolExecutor(1) as pool:
            for machine in chance.sample(others, 2):
                action = "DetachDisks" if machine in known else "AttachDisks"
                assert until_answered(server, action, InstanceId=machine, DiskIds=[disk]) is None
                known ^= {machine}
            value = value % 255 + 1
            client.write(0, bytes([value]) * 4096)
            client.flush()
            last = chance.choice(others)
            action = "DetachDisks" if last in known else "AttachDisks"
            busy = pool.submit(Cloud(server).call, action, InstanceId=last, DiskIds=[disk])
            server.kill()
            busy.exception()
        server.start()
        wait_until(lambda: cloud.disk(disk)["DiskState"] == "ATTACHED", "the job that died has ended")
        shown = set(instances(cloud, disk))
        assert shown ^ known <= {last}, "only the call without an answer may have done either"
        known = shown
        for machine in (steady, *others):
            if machine in known:
                with NbdClient(server.nbd_socket, f"{disk}@{machine}") as client:
                    assert client.read(0, 4096) == bytes([value]) * 4096
            else:
                with pytest.raises(ExportRefused), NbdClient(server.nbd_socket, f"{disk}@{machine}"):
                    pass
        listed = json.loads(run("nbdinfo", "--list", "--json", f"nbd+unix://?socket={server.nbd_socket}").stdout)
        names = {disk} if len(known) == 1 else {f"{disk}@{machine}" for machine in known}
        assert {export["export-name"] for export in listed["exports"]} == names
