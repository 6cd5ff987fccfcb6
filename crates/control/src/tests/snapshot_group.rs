//! Groups of snapshots, and the log of what was done.

use ashlar_types::{DiskId, SnapshotId};

use super::harness::{World, caller};
use crate::*;

async fn attached(world: &World, count: usize) -> (ashlar_types::InstanceId, Vec<DiskId>) {
    let instance = world.instance("ap-guangzhou-3").await;
    let mut disks = Vec::new();
    for _ in 0..count {
        disks.push(world.attached_disk(instance).await);
    }
    (instance, disks)
}

fn of(disks: &[DiskId]) -> CreateSnapshotGroup {
    CreateSnapshotGroup { disks: disks.to_vec(), ..CreateSnapshotGroup::default() }
}

fn deleted(groups: &[ashlar_types::SnapshotGroupId]) -> DeleteSnapshotGroups {
    DeleteSnapshotGroups { groups: groups.to_vec(), with_images: None }
}

fn applied(view: &SnapshotGroupView) -> ApplySnapshotGroup {
    let target = |snapshot: &Snapshot| (snapshot.id, snapshot.disk.unwrap());
    ApplySnapshotGroup {
        group: view.group.id,
        targets: view.snapshots.iter().map(target).collect(),
        auto_stop_instance: None,
        auto_start_instance: None,
    }
}

#[tokio::test]
async fn a_group_is_taken_rolled_back_and_deleted_as_one() {
    let world = World::new().await;
    let (_, disks) = attached(&world, 3).await;
    disks.iter().zip(1..).for_each(|(disk, byte)| world.write(*disk, byte));
    let tags = vec![Tag { key: "set".to_owned(), value: "a".to_owned() }];
    let wanted = CreateSnapshotGroup { name: Some("db".to_owned()), tags: tags.clone(), ..of(&disks) };
    let group = world.control.create_snapshot_group(&caller(), wanted).await.unwrap();
    let view = world.groups().await.items.remove(0);
    assert_eq!((view.group.id, view.group.name.as_str(), view.contains_root()), (group, "db", false));
    let names: Vec<_> = view.snapshots.iter().map(|snapshot| snapshot.name.as_str()).collect();
    assert_eq!(names, ["db_0", "db_1", "db_2"]);
    let origins: Vec<_> = view.snapshots.iter().map(|snapshot| snapshot.disk.unwrap()).collect();
    assert_eq!(origins, disks);
    assert_eq!(world.snapshot_view(view.snapshots[1].id).await.tags, tags);

    let refused = world.control.apply_snapshot_group(&caller(), applied(&view)).await.unwrap_err();
    assert!(matches!(refused, ControlError::SnapshotGroup(SnapshotGroupError::State { .. })), "{refused:?}");
    for disk in &disks {
        world.detach(*disk).await.unwrap();
        world.write(*disk, 9);
    }
    world.control.apply_snapshot_group(&caller(), applied(&view)).await.unwrap();
    assert_eq!(disks.iter().map(|disk| world.read(*disk)).collect::<Vec<_>>(), [1, 2, 3]);

    let member = view.snapshots[0].id;
    let refused = world.control.delete_snapshots(&caller(), vec![member]).await.unwrap_err();
    assert!(matches!(refused, ControlError::SnapshotGroup(SnapshotGroupError::Member { .. })), "{refused:?}");
    world.check_rest().await;
    world.control.delete_snapshot_groups(&caller(), deleted(&[group])).await.unwrap();
    assert_eq!((world.groups().await.total_count, world.snapshots().await.total_count), (0, 0));
    world.check_rest().await;
}

#[tokio::test]
async fn wrong_groups_are_refused_and_change_nothing() {
    let world = World::new().await;
    let (_, here) = attached(&world, 2).await;
    let (_, there) = attached(&world, 1).await;
    let lying = world.disk().await;
    let before = world.seen().await;
    for wrong in [
        of(&[]),
        of(&[here[0], here[0]]),
        of(&[here[0], there[0]]),
        of(&[here[0], lying]),
        of(&[here[0], "disk-zzzzzzzz".parse().unwrap()]),
        // 60 bytes are a name, but its snapshots' would be longer.
        CreateSnapshotGroup { name: Some("n".repeat(60)), ..of(&here) },
    ] {
        let context = format!("{wrong:?}");
        assert!(world.control.create_snapshot_group(&caller(), wrong).await.is_err(), "{context}");
    }
    assert_eq!(world.seen().await, before);
    world.check_rest().await;

    let group = world.control.create_snapshot_group(&caller(), of(&here)).await.unwrap();
    let view = world.groups().await.items.remove(0);
    let (one, other) = (view.snapshots[0].id, view.snapshots[1].id);
    let crossed = ApplySnapshotGroup { targets: vec![(one, here[1])], ..applied(&view) };
    let refused = world.control.apply_snapshot_group(&caller(), crossed).await.unwrap_err();
    assert!(matches!(refused, ControlError::SnapshotGroup(SnapshotGroupError::NotOfGroup { .. })));
    let single = world.snapshot(here[0]).await;
    let foreign = ApplySnapshotGroup { targets: vec![(single, here[0])], ..applied(&view) };
    assert!(world.control.apply_snapshot_group(&caller(), foreign).await.is_err());
    let missing = "csnap-zzzzzzzz".parse().unwrap();
    let refused =
        world.control.delete_snapshot_groups(&caller(), deleted(&[group, missing])).await.unwrap_err();
    assert!(matches!(refused, ControlError::SnapshotGroup(SnapshotGroupError::NotFound(_))));
    world.detach(here[1]).await.unwrap();
    let instance = world.instance("ap-guangzhou-3").await;
    world.attach(here[1], instance).await.unwrap();
    let refused = world.control.apply_snapshot_group(&caller(), applied(&view)).await.unwrap_err();
    assert!(matches!(refused, ControlError::SnapshotGroup(SnapshotGroupError::SeveralInstances(_))));
    assert_ne!(one, other);
    world.check_rest().await;
}

#[tokio::test]
async fn groups_are_found_by_each_filter() {
    let world = World::new().await;
    let (_, disks) = attached(&world, 2).await;
    let named = CreateSnapshotGroup { name: Some("one".to_owned()), ..of(&disks) };
    let one = world.control.create_snapshot_group(&caller(), named).await.unwrap();
    let two = world.control.create_snapshot_group(&caller(), of(&disks[..1])).await.unwrap();
    let listed = world.groups().await.items;
    assert_eq!(listed.iter().map(|view| view.group.id).collect::<Vec<_>>(), [two, one], "newest first");
    let member = listed[1].snapshots[1].id.to_string();
    for (name, value, found) in [
        ("snapshot-group-id", one.to_string(), vec![one]),
        ("snapshot-group-name", "one".to_owned(), vec![one]),
        ("snapshot-group-name", "on".to_owned(), vec![]),
        ("snapshot-group-state", "NORMAL".to_owned(), vec![two, one]),
        ("snapshot-group-state", "CREATING".to_owned(), vec![]),
        ("snapshot-id", member, vec![one]),
    ] {
        let filters = vec![Filter { name: name.to_owned(), values: vec![value.clone()] }];
        let wanted = DescribeSnapshotGroups { filters, ..DescribeSnapshotGroups::default() };
        let listed = world.control.describe_snapshot_groups(&caller(), wanted).await.unwrap();
        let ids: Vec<_> = listed.items.iter().map(|view| view.group.id).collect();
        assert_eq!((listed.total_count, ids), (found.len() as u64, found), "{name} {value}");
    }
}

fn logs_of(name: &str, id: &impl ToString) -> DescribeOperationLogs {
    let filters = vec![Filter { name: name.to_owned(), values: vec![id.to_string()] }];
    DescribeOperationLogs { filters, ..DescribeOperationLogs::default() }
}

#[tokio::test]
async fn the_log_tells_what_was_done_also_of_what_is_gone() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let disk = world.disk().await;
    world.clock.advance_ms(60_000);
    world.attach(disk, instance).await.unwrap();
    let snapshot: SnapshotId = world.snapshot(disk).await;
    world.detach(disk).await.unwrap();
    world.apply(snapshot, disk).await.unwrap();
    world.control.delete_snapshots(&caller(), vec![snapshot]).await.unwrap();
    world.terminate(disk).await.unwrap();

    let control = &world.control;
    let words = |logs: Vec<OperationLog>| logs.iter().map(|log| log.word).collect::<Vec<_>>();
    let logs = control.describe_disk_operation_logs(&caller(), logs_of("disk-id", &disk)).await.unwrap();
    assert!(logs.iter().all(|log| log.entry.state == OperationState::Success && log.entry.ended.is_some()));
    assert_eq!(
        words(logs),
        [
            "CBS_OPERATION_ISOLATE",
            "CBS_OPERATION_ROLLBACK",
            "CBS_OPERATION_DETACH",
            "CBS_OPERATION_SNAPSHOT",
            "CBS_OPERATION_ATTACH",
            "CBS_OPERATION_CREATE"
        ]
    );
    let wanted = logs_of("snapshot-id", &snapshot);
    let logs = control.describe_snapshot_operation_logs(&caller(), wanted).await.unwrap();
    assert_eq!(words(logs), ["SNAP_OPERATION_DELETE", "SNAP_OPERATION_ROLLBACK", "SNAP_OPERATION_CREATE"]);

    let first_minute = DescribeOperationLogs {
        begin: Some("2026-01-01 08:00:00".to_owned()),
        end: Some("2026-01-01 08:00:59".to_owned()),
        ..logs_of("disk-id", &disk)
    };
    let logs = control.describe_disk_operation_logs(&caller(), first_minute).await.unwrap();
    assert_eq!(words(logs), ["CBS_OPERATION_CREATE"]);
    let page = DescribeOperationLogs { offset: Some(1), limit: Some(1), ..logs_of("disk-id", &disk) };
    let logs = control.describe_disk_operation_logs(&caller(), page).await.unwrap();
    assert_eq!(words(logs), ["CBS_OPERATION_ROLLBACK"]);
    let stranger = Caller { account: ashlar_types::AccountUin(5), ..caller() };
    let logs = control.describe_disk_operation_logs(&stranger, logs_of("disk-id", &disk)).await.unwrap();
    assert_eq!(logs, vec![]);
    for wrong in [
        DescribeOperationLogs::default(),
        logs_of("snapshot-id", &disk),
        logs_of("disk-id", &"what"),
        DescribeOperationLogs { begin: Some("now".to_owned()), ..logs_of("disk-id", &disk) },
    ] {
        let context = format!("{wrong:?}");
        assert!(control.describe_disk_operation_logs(&caller(), wrong).await.is_err(), "{context}");
    }
}

#[tokio::test]
async fn the_log_can_be_taken_offline() {
    let world = World::with(Settings { operation_logs: false, ..Settings::default() }, None, 1).await;
    let disk = world.disk().await;
    let answer = world.control.describe_disk_operation_logs(&caller(), logs_of("disk-id", &disk)).await;
    assert!(matches!(answer, Err(ControlError::Offline(_))), "{answer:?}");
}
