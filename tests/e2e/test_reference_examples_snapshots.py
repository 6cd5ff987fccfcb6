"""The worked examples of what snapshots lead to: backup points, shares, copies, groups."""

import pytest

from harness.accounts import new_key
from harness.cloud import Cloud
from harness.examples import ENCODINGS, Example, Tenant, check_answer, new_account, send
from harness.siblings import Sibling
from harness.waiting import wait_until

EXAMPLES = {
    "CreateDiskBackup": Example("CreateDiskBackup", '{"DiskId": "disk-xxxxxxx"}', '{"DiskBackupId": "dbp-xxxxxxx"}'),
    "DescribeDiskBackups": Example(
        "DescribeDiskBackups",
        '{"Limit": 10, "Offset": 0}',
        """{"TotalCount": 1, "DiskBackupSet": [{
            "DiskBackupName": "11111", "Encrypt": false, "Percent": 100, "DiskBackupId": "dbp-xxxxxxx", "DiskSize": 100,
            "DiskBackupState": "NORMAL", "DiskUsage": "DATA_DISK", "CreateTime": "2022-04-02T17:44:55+00:00",
            "DiskId": "disk-xxxxxxx"
        }]}""",
    ),
    "ApplyDiskBackup": Example("ApplyDiskBackup", '{"DiskId": "disk-xxxxxxx", "DiskBackupId": "dbp-xxxxxxx"}'),
    "DeleteDiskBackups": Example("DeleteDiskBackups", '{"DiskBackupIds": ["dbp-xxxxxxx"]}'),
    "CopySnapshotCrossRegions": Example(
        "CopySnapshotCrossRegions",
        '{"SnapshotId": "snap-ckgjwkqh", "DestinationRegions": ["ap-beijing"]}',
        """{"SnapshotCopyResultSet": [{
            "SnapshotId": "snap-d012rm6t", "DestinationRegion": "ap-beijing", "Code": "Success", "Message": ""
        }]}""",
    ),
    "ModifySnapshotsSharePermission": Example(
        "ModifySnapshotsSharePermission",
        """{"AccountIds": ["123456789"], "Permission": "SHARE",
            "SnapshotIds": ["snap-cgrmci8t", "snap-124p951f"]}""",
    ),
    "DescribeSnapshotSharePermission": Example(
        "DescribeSnapshotSharePermission",
        "SnapshotId=snap-asxafa65",
        '{"SharePermissionSet": [{"CreatedTime": "2019-07-08 00:00:06", "AccountId": "123456789"}]}',
    ),
    # Newer than the pages: the examples of the newest description.
    "CreateSnapshotGroup": Example(
        "CreateSnapshotGroup",
        "DiskIds.0=disk-lt8ajfvk&DiskIds.1=disk-1ly0wu8c&SnapshotGroupName=testSnapshotGroup",
        '{"SnapshotGroupId": "csnap-oavcw09g"}',
    ),
    "DescribeSnapshotGroups": Example(
        "DescribeSnapshotGroups",
        "",
        """{"TotalCount": 2, "SnapshotGroupSet": [{
            "SnapshotGroupId": "csnap-csoplz7u", "SnapshotGroupType": "NORMAL", "ContainRootSnapshot": true,
            "SnapshotIdSet": ["snap-31gfd8na", "snap-patkqtz4", "snap-1yirzaum"],
            "SnapshotGroupState": "ROLLBACKING", "Percent": 100, "SnapshotGroupName": "aubreyxu2",
            "ModifyTime": "2020-09-22T00:00:00+00:00", "Images": [], "CreateTime": "2020-09-22T00:00:00+00:00",
            "ImageCount": 0, "DeadlineTime": null, "IsPermanent": true
        }, {
            "SnapshotGroupId": "csnap-orard7la", "SnapshotGroupType": "NORMAL", "ContainRootSnapshot": true,
            "SnapshotIdSet": ["snap-50j8l0o8"], "SnapshotGroupState": "NORMAL", "Percent": 100,
            "SnapshotGroupName": "aubreyxu1", "ModifyTime": "2020-09-22T00:00:00+00:00",
            "Images": [{"ImageName": "快照组自定义镜像", "ImageId": "img-nmz7p8wt"}],
            "CreateTime": "2020-09-22T00:00:00+00:00", "ImageCount": 1, "DeadlineTime": null, "IsPermanent": true
        }]}""",
        free={"SnapshotGroupState": "one of them is being rolled back for a moment"},
    ),
    "ApplySnapshotGroup": Example(
        "ApplySnapshotGroup",
        "SnapshotGroupId=csnap-gv9naz6b&ApplyDisks.0.SnapshotId=snap-cznei4gl&ApplyDisks.0.DiskId=disk-1ly0wu8c"
        "&ApplyDisks.1.SnapshotId=snap-0axttvv9&ApplyDisks.1.DiskId=disk-lt8ajfvk",
    ),
    "DeleteSnapshotGroup": Example(
        "DeleteSnapshotGroup", "SnapshotGroupId=csnap-gv9naz6b&DeleteBindImages=true"
    ),
    # The example's numbers are those of thirteen snapshots; here there is none.
    "DescribeSnapshotOverview": Example(
        "DescribeSnapshotOverview",
        "{}",
        '{"TotalNums": 0, "TotalSize": 0.0, "FreeQuota": 80.0, "RealTradeSize": 0.0}',
    ),
}


class World(Tenant):
    """Snapshots and what is made of them, for one example."""

    def prepare(self, name):
        """The ids that stand in for the page's."""
        return getattr(self, "_for_" + name.lower(), dict)()

    def check_effect(self, name, ids, answer):
        """What the example says that the call does."""
        check = getattr(self, "_after_" + name.lower(), None)
        assert check or name.startswith("Describe"), f"no check for {name}"
        if check:
            check(ids, answer)

    # Backup points

    def _with_quota(self, **parameters):
        return self.disk(100, DiskBackupQuota=1, **parameters)

    def _backup(self):
        disk = self._with_quota()
        return disk, self.cloud.call("CreateDiskBackup", DiskId=disk, DiskBackupName="11111")["DiskBackupId"]

    def _backups(self):
        return self.cloud.call("DescribeDiskBackups")["DiskBackupSet"]

    def _for_creatediskbackup(self):
        return {"disk-xxxxxxx": self._with_quota()}

    def _after_creatediskbackup(self, ids, answer):
        (found,) = self._backups()
        assert (found["DiskBackupId"], found["DiskId"]) == (answer["DiskBackupId"], ids["disk-xxxxxxx"])

    def _for_describediskbackups(self):
        disk, backup = self._backup()
        return {"disk-xxxxxxx": disk, "dbp-xxxxxxx": backup}

    _for_applydiskbackup = _for_describediskbackups

    def _after_applydiskbackup(self, ids, answer):
        disk = ids["disk-xxxxxxx"]
        self.cloud.wait_disk(disk, "UNATTACHED")
        self.check_disk(disk, Rollbacking=False, RollbackPercent=100)

    def _for_deletediskbackups(self):
        return {"dbp-xxxxxxx": self._backup()[1]}

    def _after_deletediskbackups(self, ids, answer):
        assert self._backups() == []

    # Copies and shares

    def _for_copysnapshotcrossregions(self):
        return {"snap-ckgjwkqh": self.cloud.create_snapshot(self.disk())}

    def _after_copysnapshotcrossregions(self, ids, answer):
        there = Cloud(self.server, region="ap-beijing", secret=self.raw.key)
        found = there.wait_snapshot(answer["SnapshotCopyResultSet"][0]["SnapshotId"])
        assert (found["CopyFromRemote"], found["DiskId"]) == (True, "")

    def _for_modifysnapshotssharepermission(self):
        self.partner = new_account(self.server)
        disk = self.disk()
        one, two = self.cloud.create_snapshot(disk), self.cloud.create_snapshot(disk)
        return {"123456789": self.partner, "snap-cgrmci8t": one, "snap-124p951f": two}

    def _after_modifysnapshotssharepermission(self, ids, answer):
        theirs = Cloud(self.server, secret=new_key(self.server, "--account", self.partner))
        assert theirs.call("DescribeSnapshots")["TotalCount"] == 2
        assert self.cloud.snapshot(ids["snap-cgrmci8t"])["ShareReference"] == 1

    def _for_describesnapshotsharepermission(self):
        partner = new_account(self.server)
        snapshot = self.cloud.create_snapshot(self.disk())
        sharing = {"SnapshotIds": [snapshot], "AccountIds": [partner]}
        self.cloud.call("ModifySnapshotsSharePermission", Permission="SHARE", **sharing)
        return {"snap-asxafa65": snapshot, "123456789": partner}

    # Groups

    def _group(self, name, disks):
        group = self.cloud.call("CreateSnapshotGroup", DiskIds=disks, SnapshotGroupName=name)["SnapshotGroupId"]
        filters = [{"Name": "snapshot-group-id", "Values": [group]}]

        def normal():
            (found,) = self.cloud.call("DescribeSnapshotGroups", Filters=filters)["SnapshotGroupSet"]
            return found["SnapshotIdSet"] if found["SnapshotGroupState"] == "NORMAL" else None

        return group, wait_until(normal, f"{group} is NORMAL")

    def _two_disks(self):
        instance, disks = self.machine(), [self.disk(), self.disk()]
        self.cloud.attach(instance, *disks)
        return disks

    def _for_createsnapshotgroup(self):
        return dict(zip(("disk-lt8ajfvk", "disk-1ly0wu8c"), self._two_disks(), strict=True))

    def _after_createsnapshotgroup(self, ids, answer):
        (found,) = self.cloud.call("DescribeSnapshotGroups")["SnapshotGroupSet"]
        told = (found["SnapshotGroupId"], found["SnapshotGroupName"])
        assert told == (answer["SnapshotGroupId"], "testSnapshotGroup")
        taken = {self.cloud.snapshot(snapshot)["DiskId"] for snapshot in found["SnapshotIdSet"]}
        assert taken == set(ids.values())

    def _for_describesnapshotgroups(self):
        instance = self.machine("--system-disk", "20")
        (system,) = self.cloud.call("DescribeDisks")["DiskSet"]
        disks = [self.disk(), self.disk()]
        self.cloud.attach(instance, *disks)
        cvm = Sibling(self.server, "cvm", secret=self.raw.key)
        older, (root,) = self._group("aubreyxu1", [system["DiskId"]])
        image = cvm.call("CreateImage", ImageName="快照组自定义镜像", SnapshotIds=[root])["ImageId"]
        newer, members = self._group("aubreyxu2", [system["DiskId"], *disks])
        ids = {"csnap-csoplz7u": newer, "csnap-orard7la": older, "snap-50j8l0o8": root, "img-nmz7p8wt": image}
        return ids | dict(zip(("snap-31gfd8na", "snap-patkqtz4", "snap-1yirzaum"), members, strict=True))

    def _for_applysnapshotgroup(self):
        disks = self._two_disks()
        group, members = self._group("both", disks)
        self.cloud.detach(*disks)
        ids = {"csnap-gv9naz6b": group, "disk-1ly0wu8c": disks[0], "disk-lt8ajfvk": disks[1]}
        return ids | {"snap-cznei4gl": members[0], "snap-0axttvv9": members[1]}

    def _after_applysnapshotgroup(self, ids, answer):
        for disk in (ids["disk-1ly0wu8c"], ids["disk-lt8ajfvk"]):
            self.cloud.wait_disk(disk, "UNATTACHED")
            self.check_disk(disk, Rollbacking=False, RollbackPercent=100)

    def _for_deletesnapshotgroup(self):
        return {"csnap-gv9naz6b": self._group("both", self._two_disks())[0]}

    def _after_deletesnapshotgroup(self, ids, answer):
        assert self.cloud.call("DescribeSnapshotGroups")["TotalCount"] == 0
        assert self.cloud.call("DescribeSnapshots")["TotalCount"] == 0


@pytest.mark.parametrize("written", ENCODINGS)
@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_about_snapshots_is_answered_as_documented(server, name, written):
    example, world = EXAMPLES[name], World(server)
    ids = world.prepare(name)
    answer = send(world.raw, example, ids, written)
    check_answer(example, ids, answer)
    world.check_effect(name, ids, answer)
