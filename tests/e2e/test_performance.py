"""Disks are no faster than their type promises, when the operator wants it so."""

import json
import time

from harness.cloud import Cloud
from harness.nbd_client import NbdClient
from harness.server import RATE_LIMIT_OFF, ZONE, run_ashlar

MIB = 1 << 20
# A tenth of a second's worth is free.
SLACK_S = 0.1


def seconds_to_write(client, mib):
    """How long so many writes of one MiB take."""
    begin = time.monotonic()
    for place in range(mib):
        client.write(place * MIB, b"x" * MIB)
    return time.monotonic() - begin


def test_a_disk_is_no_faster_than_it_promises_and_changes_while_it_is_open(servers):
    # CLOUD_BASIC of 10 GB: 40 MiB/s and a MiB/s more.
    server = servers.start("enforce_performance = true\n" + RATE_LIMIT_OFF)
    cloud = Cloud(server)
    instance = server.add_instance(zone=ZONE)
    disk = cloud.create_disk(DiskType="CLOUD_BASIC")
    cloud.attach(instance, disk)
    shown = json.loads(run_ashlar("disk", "show", disk, "--data-dir", server.data_dir, "--json").stdout)
    assert shown["performance"]["enforced"] and shown["performance"]["iops"] == 120
    with NbdClient(server.nbd_socket, disk) as client:
        slow_s = seconds_to_write(client, 60)
        assert slow_s >= 60 / 41 - SLACK_S
        # CLOUD_HSSD of 500 GB: 350 MiB/s, on the connection that is open.
        cloud.call("ResizeDisk", DiskId=disk, DiskSize=500)
        cloud.call("ModifyDiskAttributes", DiskIds=[disk], DiskType="CLOUD_HSSD")
        cloud.wait_disk(disk, "ATTACHED")
        fast_s = seconds_to_write(client, 60)
        assert fast_s >= 60 / 350 - SLACK_S
        assert fast_s < slow_s


def test_without_the_setting_a_disk_is_as_fast_as_the_medium(servers):
    server = servers.start()
    cloud = Cloud(server)
    disk = cloud.create_disk(DiskType="CLOUD_BASIC")
    cloud.attach(server.add_instance(zone=ZONE), disk)
    shown = json.loads(run_ashlar("disk", "show", disk, "--data-dir", server.data_dir, "--json").stdout)
    assert not shown["performance"]["enforced"]
