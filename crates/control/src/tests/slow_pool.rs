//! Work that takes longer than a call may wait, and a server that stops meanwhile.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use ashlar_types::{DiskState, SnapshotState};
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::harness::{TestStores, World, caller, new_disks};
use crate::job::{Fault, Step, StepHook, Work};
use crate::*;

/// Shuts the pool's gate before one step.
#[derive(Default)]
pub(super) struct ShutGate {
    before: Mutex<Option<(Step, Arc<TestStores>)>>,
    open: Mutex<Option<Sender<()>>>,
    pub(super) shut: Notify,
}

impl StepHook for ShutGate {
    fn at(&self, _work: &Work, step: Step) -> Fault {
        let mut before = self.before.lock();
        if let Some((_, stores)) = before.take_if(|(at, _)| *at == step) {
            let (open, gate) = channel();
            *self.open.lock() = Some(open);
            *stores.gate.lock() = Some(gate);
            self.shut.notify_one();
        }
        Fault::None
    }

    fn halted(&self) {}
}

impl ShutGate {
    pub(super) fn arm(&self, world: &World, step: Step) {
        *self.before.lock() = Some((step, world.stores.clone()));
    }

    pub(super) fn open(&self) {
        self.open.lock().take();
    }
}

pub(super) async fn slow_world(answer_wait_ms: u64) -> (World, Arc<ShutGate>) {
    let gate = Arc::new(ShutGate::default());
    let limits = Limits { answer_wait_ms, ..Limits::default() };
    (World::with(Settings { limits, ..Settings::default() }, Some(gate.clone()), 5).await, gate)
}

#[tokio::test]
async fn a_create_call_that_takes_too_long_fails_and_leaves_nothing() {
    let (world, gate) = slow_world(20).await;
    gate.arm(&world, Step::MakeVolumes);
    let wanted = CreateDisks { client_token: Some("slow".to_owned()), ..new_disks() };
    let refused = world.control.create_disks(&caller(), wanted.clone()).await.unwrap_err();
    assert!(
        matches!(refused, ControlError::Job(JobError { kind: JobErrorKind::TimedOut, .. })),
        "{refused:?}"
    );
    assert_eq!(world.disks().await.total_count, 0);
    gate.open();
    world.control.runner.idle().await;
    assert_eq!(world.disks().await.total_count, 0);
    world.check_rest().await;
    world.control.create_disks(&caller(), wanted).await.unwrap();
}

#[tokio::test]
async fn other_slow_work_is_answered_and_seen_in_the_state() {
    let (world, gate) = slow_world(20).await;
    let disk = world.disk().await;
    gate.arm(&world, Step::ResizeVolume);
    world.control.resize_disk(&caller(), disk, 20).await.unwrap();
    let view = world.view(disk).await;
    assert_eq!((view.disk.state, view.disk.size_gib), (DiskState::Expanding, 10));
    assert_eq!(view.latest_operation.unwrap().state, OperationState::Processing);
    let refused = world.terminate(disk).await.unwrap_err();
    assert!(matches!(refused, ControlError::Disk(DiskError::Busy { .. })), "{refused:?}");
    gate.open();
    world.control.runner.idle().await;
    let view = world.view(disk).await;
    assert_eq!((view.disk.state, view.disk.size_gib), (DiskState::Unattached, 20));
    world.check_rest().await;
}

#[tokio::test]
async fn a_snapshot_is_seen_while_it_is_taken_and_keeps_its_disk_busy() {
    let (world, gate) = slow_world(20).await;
    let disk = world.disk().await;
    gate.arm(&world, Step::TakeSnapshot);
    let snapshot = world.snapshot(disk).await;
    let view = world.snapshot_view(snapshot).await.snapshot;
    assert_eq!((view.state, view.percent), (ashlar_types::SnapshotState::Creating, 0));
    let second = CreateSnapshot { disk: Some(disk), ..CreateSnapshot::default() };
    let refused = world.control.create_snapshot(&caller(), second).await.unwrap_err();
    assert!(matches!(refused, ControlError::Disk(DiskError::SnapshotCreating(_))), "{refused:?}");
    let refused = world.apply(snapshot, disk).await.unwrap_err();
    assert!(matches!(refused, ControlError::Snapshot(SnapshotError::Creating(_))), "{refused:?}");
    gate.open();
    world.control.runner.idle().await;
    world.check_rest().await;
}

#[tokio::test]
async fn lighthouse_says_what_keeps_a_disk_or_a_snapshot_busy() {
    let (world, gate) = slow_world(500).await;
    let (machine, disk) = world.lighthouse().await;
    let ready = world.instance_snapshot(machine).await;
    let control = &world.control;
    let wanted = || CreateInstanceSnapshot { instance: machine.into(), name: None, tags: vec![] };
    let refusals = async |snapshot| {
        let create = control.create_instance_snapshot(&caller(), wanted()).await.unwrap_err();
        let apply = control.apply_instance_snapshot(&caller(), machine.into(), snapshot).await.unwrap_err();
        let delete = control.delete_instance_snapshots(&caller(), vec![snapshot]).await;
        let told = |error: ControlError| match error {
            ControlError::Lighthouse(error) => error,
            other => panic!("{other:?}"),
        };
        (told(create), told(apply), delete.err().map(told))
    };
    let snapshot_busy = |snapshot, state| LighthouseError::SnapshotBusy { snapshot, state };
    let disk_busy = |doing| LighthouseError::DiskBusy { disk: disk.into(), doing };

    gate.arm(&world, Step::TakeSnapshot);
    let creating = world.instance_snapshot(machine).await;
    let (create, apply, delete) = refusals(creating).await;
    let (_, apply_ready, _) = refusals(ready).await;
    gate.open();
    control.runner.idle().await;
    let taking = DiskWork::Snapshot("creating an instance snapshot");
    assert_eq!(create, disk_busy(taking));
    assert_eq!(apply, snapshot_busy(creating, SnapshotState::Creating));
    assert_eq!(delete, Some(snapshot_busy(creating, SnapshotState::Creating)));
    assert_eq!(apply_ready, disk_busy(taking));

    let ready = world.instance_snapshot(machine).await;
    gate.arm(&world, Step::RollBackVolume);
    control.apply_instance_snapshot(&caller(), machine.into(), ready).await.unwrap();
    let shown = control.describe_instance_snapshots(&caller(), DescribeInstanceSnapshots::default()).await;
    let shown = shown.unwrap().items.remove(0);
    let (create, apply, delete) = refusals(ready).await;
    gate.open();
    control.runner.idle().await;
    assert_eq!((shown.snapshot.state, shown.percent), (SnapshotState::Rollbacking, 0));
    assert_eq!(shown.latest_operation.unwrap().state, OperationState::Processing);
    assert_eq!(create, disk_busy(DiskWork::Snapshot("rolling back an instance snapshot")));
    assert_eq!(apply, snapshot_busy(ready, SnapshotState::Rollbacking));
    assert_eq!(delete, Some(snapshot_busy(ready, SnapshotState::Rollbacking)));

    control.modify_disk_backup_quota(&caller(), disk, 1).await.unwrap();
    gate.arm(&world, Step::TakeSnapshot);
    control.create_disk_backup(&caller(), disk, None).await.unwrap();
    let create = control.create_instance_snapshot(&caller(), wanted()).await.unwrap_err();
    gate.open();
    control.runner.idle().await;
    assert_eq!(create.to_string(), disk_busy(DiskWork::Other(DiskState::Attached)).to_string());

    // What was notified before is no news.
    let _ = tokio::time::timeout(Duration::ZERO, gate.shut.notified()).await;
    gate.arm(&world, Step::CopyBlocks);
    let copy = CopySnapshotCrossRegions {
        snapshot: Some(ready.into()),
        destinations: vec!["ap-beijing".parse().unwrap()],
        name: None,
    };
    control.copy_snapshot_cross_regions(&caller(), copy).await.unwrap();
    gate.shut.notified().await;
    let delete = control.delete_instance_snapshots(&caller(), vec![ready]).await.unwrap_err();
    gate.open();
    control.runner.idle().await;
    assert_eq!(delete.to_string(), snapshot_busy(ready, SnapshotState::Normal).to_string());

    gate.arm(&world, Step::PublishExports);
    let (young, _) = world.lighthouse().await;
    let wanted = CreateInstanceSnapshot { instance: young.into(), name: None, tags: vec![] };
    let refused = control.create_instance_snapshot(&caller(), wanted).await.unwrap_err();
    gate.open();
    control.runner.idle().await;
    let being_made = LighthouseError::InstanceCreating(young.into());
    assert_eq!(refused.to_string(), being_made.to_string());
    world.check_rest().await;
}

#[tokio::test]
async fn a_stop_waits_for_the_step_and_the_next_start_ends_the_job() {
    let (world, gate) = slow_world(60_000).await;
    let disk = world.disk().await;
    gate.arm(&world, Step::ResizeVolume);
    let control = world.control.clone();
    let call = tokio::spawn(async move { control.resize_disk(&caller(), disk, 20).await });
    gate.shut.notified().await;
    let control = world.control.clone();
    let mut stop = tokio::spawn(async move { control.shutdown().await });
    // A stop that does not wait ends at once; one that does cannot end before the gate opens.
    let early = tokio::time::timeout(Duration::from_millis(100), &mut stop).await;
    assert!(early.is_err(), "a step is under way");
    gate.open();
    stop.await.unwrap();
    let answer = call.await.unwrap().unwrap_err();
    assert!(matches!(answer, ControlError::Job(JobError { kind: JobErrorKind::Stopping, .. })), "{answer:?}");
    let world = world.restarted().await;
    assert_eq!(world.view(disk).await.disk.size_gib, 20);
    world.check_rest().await;
}
