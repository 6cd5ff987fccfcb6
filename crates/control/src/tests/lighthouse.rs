//! Snapshots of machines of Lighthouse.

use ashlar_attach::EndSession;
use ashlar_types::{InstanceId, LighthouseSnapshotId, SnapshotState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::harness::{World, caller};
use crate::*;

async fn listed(world: &World, wanted: DescribeInstanceSnapshots) -> (u64, Vec<LighthouseSnapshotId>) {
    let listed = world.control.describe_instance_snapshots(&caller(), wanted).await.unwrap();
    (listed.total_count, listed.items.iter().map(|view| view.snapshot.id.into()).collect())
}

async fn view(world: &World, id: LighthouseSnapshotId) -> InstanceSnapshotView {
    let wanted = DescribeInstanceSnapshots { snapshots: vec![id], ..DescribeInstanceSnapshots::default() };
    world.control.describe_instance_snapshots(&caller(), wanted).await.unwrap().items.remove(0)
}

async fn take(world: &World, machine: InstanceId, name: &str) -> LighthouseSnapshotId {
    let name = Some(name.to_owned());
    let wanted = CreateInstanceSnapshot { instance: machine.into(), name, tags: vec![] };
    world.control.create_instance_snapshot(&caller(), wanted).await.unwrap()
}

fn filter(name: &str, value: impl ToString) -> DescribeInstanceSnapshots {
    let filters = vec![Filter { name: name.to_owned(), values: vec![value.to_string()] }];
    DescribeInstanceSnapshots { filters, ..DescribeInstanceSnapshots::default() }
}

/// A session that has the disk of a machine open, and lets go when it is told to.
struct Session {
    lease: parking_lot::Mutex<Option<ashlar_attach::Lease>>,
    was_ended: AtomicBool,
}

impl EndSession for Session {
    fn finish(&self) {
        self.was_ended.store(true, Ordering::SeqCst);
        self.lease.lock().take();
    }

    fn abort(&self) {}
}

#[tokio::test]
async fn a_machine_is_cut_off_its_disk_while_that_is_rolled_back() {
    let world = World::new().await;
    let (machine, disk) = world.lighthouse().await;
    world.write(disk, 1);
    let snapshot = world.instance_snapshot(machine).await;
    world.write(disk, 2);
    let lease = world.exports.open(&disk.to_string()).unwrap();
    let session =
        Arc::new(Session { lease: parking_lot::Mutex::new(None), was_ended: AtomicBool::new(false) });
    lease.on_withdraw(session.clone());
    *session.lease.lock() = Some(lease);

    world.control.apply_instance_snapshot(&caller(), machine.into(), snapshot).await.unwrap();
    assert!(
        session.was_ended.load(Ordering::SeqCst),
        "who has the disk open must not write old blocks into it"
    );
    assert_eq!(world.read(disk), 1);
    assert!(world.exports.open(&disk.to_string()).is_ok(), "the machine can start again");
    let seen = view(&world, snapshot).await;
    assert_eq!((seen.snapshot.state, seen.percent), (SnapshotState::Normal, 100));
    let latest = seen.latest_operation.unwrap();
    assert_eq!((latest.operation.as_str(), latest.state), ("ApplySnapshot", OperationState::Success));
    assert_eq!(latest.request_id, caller().request_id.0);
    world.check_rest().await;
}

#[tokio::test]
async fn snapshots_of_lighthouse_are_those_of_its_disks_whatever_took_them() {
    let world = World::new().await;
    let (machine, disk) = world.lighthouse().await;
    let (other, _) = world.lighthouse().await;
    let elsewhere = world.attached_disk(world.instance("ap-guangzhou-3").await).await;
    let foreign = world.snapshot(elsewhere).await;
    let one = take(&world, machine, "one").await;
    let two = LighthouseSnapshotId::from(world.snapshot(disk).await);
    let three = take(&world, other, "three").await;
    let all = DescribeInstanceSnapshots::default();
    assert_eq!(listed(&world, all.clone()).await, (3, vec![three, two, one]));
    let page = DescribeInstanceSnapshots { offset: Some(1), limit: Some(1), ..all };
    assert_eq!(listed(&world, page).await, (3, vec![two]));
    let lighthouse_disk = ashlar_types::LighthouseDiskId::from(disk);
    let lighthouse_machine = ashlar_types::LighthouseInstanceId::from(other);
    assert_eq!(listed(&world, filter("disk-id", lighthouse_disk)).await, (2, vec![two, one]));
    assert_eq!(listed(&world, filter("instance-id", lighthouse_machine)).await, (1, vec![three]));
    assert_eq!(listed(&world, filter("snapshot-name", "one")).await, (1, vec![one]));
    assert_eq!(listed(&world, filter("snapshot-id", two)).await, (1, vec![two]));
    assert_eq!(listed(&world, filter("snapshot-id", LighthouseSnapshotId::from(foreign))).await, (0, vec![]));
    assert_eq!(world.snapshots().await.total_count, 4, "they are snapshots of the block storage too");

    // A rename is no operation that Lighthouse tells of.
    let renamed = Some("é".repeat(60));
    world.control.rename_instance_snapshot(&caller(), one, renamed.clone()).await.unwrap();
    let seen = view(&world, one).await;
    assert_eq!(Some(seen.snapshot.name), renamed);
    assert_eq!(seen.latest_operation.unwrap().operation, "CreateSnapshot");
    world.control.delete_instance_snapshots(&caller(), vec![one, three]).await.unwrap();
    assert_eq!(listed(&world, DescribeInstanceSnapshots::default()).await, (1, vec![two]));
    world.check_rest().await;
}

#[tokio::test]
async fn what_lighthouse_refuses_it_refuses_in_its_own_names() {
    let mut settings = Settings::default();
    settings.limits.snapshots_per_disk = 2;
    let world = World::with(settings, None, 1).await;
    let (machine, _) = world.lighthouse().await;
    let (other, _) = world.lighthouse().await;
    let snapshot = world.instance_snapshot(machine).await;
    let locked = world.instance_snapshot(machine).await;
    world.control.lock_snapshot(locked.into(), world.now().plus_ms(1000)).await.unwrap();
    let before = world.seen().await;
    let control = &world.control;
    let create = |machine: &str, name: &str| CreateInstanceSnapshot {
        instance: machine.parse().unwrap(),
        name: Some(name.to_owned()),
        tags: vec![],
    };
    let own = ashlar_types::LighthouseInstanceId::from(machine).to_string();
    let refusals = [
        control.create_instance_snapshot(&caller(), create("lhins-zzzzzzzz", "n")).await.err(),
        control.create_instance_snapshot(&caller(), create(&own, &"n".repeat(61))).await.err(),
        control.create_instance_snapshot(&caller(), create(&own, "n")).await.err(),
        control.apply_instance_snapshot(&caller(), other.into(), snapshot).await.err(),
        control.delete_instance_snapshots(&caller(), vec![snapshot, locked]).await.err(),
        control.delete_instance_snapshots(&caller(), vec![snapshot, snapshot]).await.err(),
        control.delete_instance_snapshots(&caller(), vec!["lhsnap-zzzzzzzz".parse().unwrap()]).await.err(),
        control.rename_instance_snapshot(&caller(), snapshot, None).await.err(),
    ];
    let texts: Vec<String> = refusals.iter().map(|refusal| refusal.as_ref().unwrap().to_string()).collect();
    for (text, part) in texts.iter().zip([
        "`lhins-zzzzzzzz` does not exist",
        "at most 60 characters",
        "has 2 snapshots already",
        "a snapshot of the system disk of",
        "`lhsnap-",
        "each id once",
        "`lhsnap-zzzzzzzz` does not exist",
        "`SnapshotName` is missing",
    ]) {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(world.seen().await, before);
    world.check_rest().await;
}

#[tokio::test]
async fn tags_of_lighthouse_have_its_names_in_the_tag_service() {
    let world = World::new().await;
    let (machine, _) = world.lighthouse().await;
    let tags = vec![Tag { key: "team".to_owned(), value: "web".to_owned() }];
    let wanted = CreateInstanceSnapshot { instance: machine.into(), name: None, tags: tags.clone() };
    let snapshot = world.control.create_instance_snapshot(&caller(), wanted).await.unwrap();
    let foreign = world.snapshot(world.disk().await).await;
    let all = world.control.tagged_resources(&caller(), GetResources::default()).await.unwrap();
    let name = format!("qcs::lighthouse:ap-guangzhou:uin/{FIRST_ACCOUNT}:snapshot/{snapshot}");
    assert_eq!(all.resources, [(name.clone(), tags)]);
    let change = |resource: String| ModifyResourceTags {
        resource,
        replace: vec![Tag { key: "stage".to_owned(), value: "test".to_owned() }],
        unbind: vec![],
    };
    world.control.modify_resource_tags(&caller(), change(name)).await.unwrap();
    assert_eq!(view(&world, snapshot).await.tags.len(), 2);
    // A snapshot of another product is none of Lighthouse by a name of Lighthouse.
    let pretended = LighthouseSnapshotId::from(foreign);
    let wrong = change(format!("qcs::lighthouse:ap-guangzhou:uin/:snapshot/{pretended}"));
    assert!(world.control.modify_resource_tags(&caller(), wrong).await.is_err());
    let wanted = DescribeResourceTags {
        service: "lighthouse".to_owned(),
        prefix: "snapshot".to_owned(),
        ids: vec![snapshot.to_string(), pretended.to_string()],
        region: "ap-guangzhou".to_owned(),
        offset: None,
        limit: None,
        custom: true,
    };
    let shown = world.control.describe_resource_tags(&caller(), wanted).await.unwrap();
    assert_eq!(shown.tags.total_count, 2);
    assert!(shown.tags.items.iter().all(|(one, _)| *one == Tagged::Snapshot(snapshot.into())));
}

#[tokio::test]
async fn how_it_was_taken_is_told_when_the_log_has_forgotten_the_rest() {
    let world = World::new().await;
    let (machine, _) = world.lighthouse().await;
    let (one, two) = (take(&world, machine, "one").await, take(&world, machine, "two").await);
    for id in [one, two] {
        world.control.rename_instance_snapshot(&caller(), id, Some("later".to_owned())).await.unwrap();
    }
    world.control.apply_instance_snapshot(&caller(), machine.into(), two).await.unwrap();
    world.clock.advance_ms(100 * 24 * 3_600_000);
    let leader = world.control.lead().await.unwrap().unwrap();
    let forgotten = world.control.run_reconciler(Reconciler::OldRecords, leader).await.unwrap().items;
    assert!(forgotten > 0);
    let operation = async |id| view(&world, id).await.latest_operation.unwrap().operation;
    assert_eq!(
        (operation(one).await.as_str(), operation(two).await.as_str()),
        ("CreateSnapshot", "ApplySnapshot")
    );
    // Of the second one nothing is left but the rollback.
    let wanted = DescribeOperationLogs {
        filters: vec![Filter {
            name: "snapshot-id".to_owned(),
            values: vec![ashlar_types::SnapshotId::from(two).to_string()],
        }],
        ..DescribeOperationLogs::default()
    };
    let log = world.control.describe_snapshot_operation_logs(&caller(), wanted).await.unwrap();
    assert_eq!(log.iter().map(|line| line.word).collect::<Vec<_>>(), ["SNAP_OPERATION_ROLLBACK"]);
}
