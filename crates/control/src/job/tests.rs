//! Every job failed, halted and repeated at every step.

use std::collections::VecDeque;
use std::sync::Arc;

use ashlar_types::{
    DiskBackupId, DiskId, DiskState, DiskType, InstanceId, LighthouseSnapshotId, Region, SnapshotGroupId,
    SnapshotId, SnapshotState,
};
use ashlar_volume::VolumeStore as _;
use parking_lot::Mutex;
use tokio::sync::Notify;

use super::runner::{Fault, StepHook};
use super::{Step, Work};
use crate::tests::harness::{World, caller, new_disks};
use crate::*;

/// Plays faults in their order, each at the first step of its kind, once the test has armed it.
#[derive(Default)]
struct Script {
    faults: Mutex<VecDeque<(Step, Fault)>>,
    halted: Notify,
}

impl StepHook for Script {
    fn at(&self, _work: &Work, step: Step) -> Fault {
        let mut faults = self.faults.lock();
        match faults.front() {
            Some((at, fault)) if *at == step => {
                let fault = *fault;
                faults.pop_front();
                fault
            }
            Some(_) | None => Fault::None,
        }
    }

    fn halted(&self) {
        self.halted.notify_one();
    }
}

/// One call for each kind of job, on the same scene.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Call {
    Create,
    Attach,
    Detach,
    AttachMore,
    DetachOne,
    Resize,
    Terminate,
    Initialize,
    ChangeType,
    CreateSnapshot,
    Apply,
    ApplyInside,
    DeleteSnapshots,
    CreateBackup,
    ApplyBackup,
    DeleteBackups,
    ConvertBackup,
    Copy,
    CreateGroup,
    ApplyGroup,
    DeleteGroup,
}

const CALLS: [Call; 21] = [
    Call::Create,
    Call::Attach,
    Call::Detach,
    Call::AttachMore,
    Call::DetachOne,
    Call::Resize,
    Call::Terminate,
    Call::Initialize,
    Call::ChangeType,
    Call::CreateSnapshot,
    Call::Apply,
    Call::ApplyInside,
    Call::DeleteSnapshots,
    Call::CreateBackup,
    Call::ApplyBackup,
    Call::DeleteBackups,
    Call::ConvertBackup,
    Call::Copy,
    Call::CreateGroup,
    Call::ApplyGroup,
    Call::DeleteGroup,
];

/// A lying disk with two snapshots, one of them with a deadline, and a backup point; an attached disk; a disk with a
/// snapshot that belongs to a group; a machine that boots from a disk with a snapshot; and a disk that two others share.
struct Scene {
    world: World,
    script: Arc<Script>,
    instance: InstanceId,
    idle: DiskId,
    attached: DiskId,
    kept: SnapshotId,
    mortal: SnapshotId,
    backup: DiskBackupId,
    grouped: DiskId,
    group: SnapshotGroupId,
    member: SnapshotId,
    machine: InstanceId,
    booted: DiskId,
    boot: LighthouseSnapshotId,
    shared: DiskId,
    sharers: [InstanceId; 2],
}

impl Scene {
    async fn new() -> Self {
        let script = Arc::new(Script::default());
        let world = World::with(Settings::default(), Some(script.clone()), 3).await;
        let instance = world.instance("ap-guangzhou-3").await;
        let wanted = CreateDisks { backup_quota: Some(2), ..new_disks() };
        let idle = world.control.create_disks(&caller(), wanted).await.unwrap()[0];
        world.write(idle, 1);
        let kept = world.snapshot(idle).await;
        world.write(idle, 2);
        let deadline = Some(world.iso_after_ms(3_600_000));
        let wanted = CreateSnapshot { disk: Some(idle), deadline, ..CreateSnapshot::default() };
        let mortal = world.control.create_snapshot(&caller(), wanted).await.unwrap();
        let backup = world.control.create_disk_backup(&caller(), idle, None).await.unwrap();
        world.write(idle, 3);
        let grouped = world.attached_disk(instance).await;
        world.write(grouped, 4);
        let wanted = CreateSnapshotGroup { disks: vec![grouped], ..CreateSnapshotGroup::default() };
        let group = world.control.create_snapshot_group(&caller(), wanted).await.unwrap();
        let member = world.groups().await.items[0].snapshots[0].id;
        world.detach(grouped).await.unwrap();
        world.write(grouped, 5);
        let attached = world.attached_disk(instance).await;
        let (machine, booted) = world.lighthouse().await;
        world.write(booted, 6);
        let boot = world.instance_snapshot(machine).await;
        world.write(booted, 7);
        let shared = world.shareable_disk().await;
        let sharers = [world.instance("ap-guangzhou-3").await, world.instance("ap-guangzhou-3").await];
        for sharer in sharers {
            world.attach(shared, sharer).await.unwrap();
        }
        Self {
            world,
            script,
            instance,
            idle,
            attached,
            kept,
            mortal,
            backup,
            grouped,
            group,
            member,
            machine,
            booted,
            boot,
            shared,
            sharers,
        }
    }

    async fn call(&self, call: Call) -> Result<(), ControlError> {
        let control = &self.world.control;
        match call {
            Call::Create => {
                let token = Some("token".to_owned());
                let wanted = CreateDisks {
                    count: Some(2),
                    client_token: token,
                    snapshot: Some(self.kept),
                    ..new_disks()
                };
                control.create_disks(&caller(), wanted).await.map(drop)
            }
            Call::Attach => self.world.attach(self.idle, self.instance).await,
            Call::Detach => self.world.detach(self.attached).await,
            Call::AttachMore => self.world.attach(self.shared, self.instance).await,
            Call::DetachOne => self.world.detach_from(self.shared, self.sharers[0]).await,
            Call::Resize => control.resize_disk(&caller(), self.attached, 20).await,
            Call::Terminate => {
                let wanted = TerminateDisks { disks: vec![self.idle], delete_snapshot: Some(true) };
                control.terminate_disks(&caller(), wanted).await
            }
            Call::Initialize => control.initialize_disks(&caller(), vec![self.idle]).await,
            Call::ChangeType => {
                let wanted = ModifyDiskAttributes {
                    disks: vec![self.attached],
                    disk_type: Some(DiskType::CloudBasic),
                    ..ModifyDiskAttributes::default()
                };
                control.modify_disk_attributes(&caller(), wanted).await
            }
            Call::CreateSnapshot => {
                let wanted = CreateSnapshot { disk: Some(self.attached), ..CreateSnapshot::default() };
                control.create_snapshot(&caller(), wanted).await.map(drop)
            }
            Call::Apply => self.world.apply(self.kept, self.idle).await,
            Call::ApplyInside => {
                control.apply_instance_snapshot(&caller(), self.machine.into(), self.boot).await
            }
            Call::DeleteSnapshots => control.delete_snapshots(&caller(), vec![self.kept, self.mortal]).await,
            Call::CreateBackup => control.create_disk_backup(&caller(), self.idle, None).await.map(drop),
            Call::ApplyBackup => {
                let wanted = ApplyDiskBackup {
                    backup: self.backup,
                    disk: self.idle,
                    auto_stop_instance: None,
                    auto_start_instance: None,
                };
                control.apply_disk_backup(&caller(), wanted).await
            }
            Call::DeleteBackups => control.delete_disk_backups(&caller(), vec![self.backup]).await,
            Call::ConvertBackup => {
                let wanted = CreateSnapshot { backup: Some(self.backup), ..CreateSnapshot::default() };
                control.create_snapshot(&caller(), wanted).await.map(drop)
            }
            Call::Copy => {
                let wanted = CopySnapshotCrossRegions {
                    snapshot: Some(self.kept),
                    destinations: vec![elsewhere()],
                    name: None,
                };
                control.copy_snapshot_cross_regions(&caller(), wanted).await?;
                // The call answers before the work is done; these tests want to know how that ends.
                let jobs = control.db.read().await.unwrap().jobs().unfinished().await.unwrap();
                match jobs.first() {
                    Some(job) => control.await_any_job(*job).await,
                    None => Ok(()),
                }
            }
            Call::CreateGroup => {
                let wanted =
                    CreateSnapshotGroup { disks: vec![self.attached], ..CreateSnapshotGroup::default() };
                control.create_snapshot_group(&caller(), wanted).await.map(drop)
            }
            Call::ApplyGroup => {
                let wanted = ApplySnapshotGroup {
                    group: self.group,
                    targets: vec![(self.member, self.grouped)],
                    auto_stop_instance: None,
                    auto_start_instance: None,
                };
                control.apply_snapshot_group(&caller(), wanted).await
            }
            Call::DeleteGroup => {
                let wanted = DeleteSnapshotGroups { groups: vec![self.group], with_images: None };
                control.delete_snapshot_groups(&caller(), wanted).await
            }
        }
    }

    /// Whether the call's work is to be seen.
    async fn is_done(world: &World, call: Call, before: &Scenery) -> bool {
        let after = Scenery::of(world, before).await;
        match call {
            Call::Create => after.disk_count == before.disk_count + 2,
            Call::Attach => after.idle_state == Some(DiskState::Attached),
            Call::Detach => after.attached_state == Some(DiskState::Unattached),
            Call::AttachMore => after.sharers.len() == 3,
            Call::DetachOne => after.sharers == before.sharers[1..],
            Call::Resize => after.attached_gib == Some(20),
            Call::Terminate => {
                after.idle_state.is_none() && after.snapshot_count == 3 && after.backup_count == 0
            }
            Call::Initialize => after.first_byte == Some(0),
            Call::ChangeType => after.attached_type == Some(DiskType::CloudBasic),
            Call::CreateSnapshot => after.snapshot_count == before.snapshot_count + 1,
            Call::Apply => after.first_byte == Some(1),
            Call::ApplyInside => after.booted_byte == 6,
            Call::DeleteSnapshots => after.snapshot_count == before.snapshot_count - 2,
            Call::CreateBackup => after.backup_count == before.backup_count + 1,
            Call::ApplyBackup => after.first_byte == Some(2),
            Call::DeleteBackups => after.backup_count == 0,
            Call::ConvertBackup => {
                (after.backup_count, after.snapshot_count) == (0, before.snapshot_count + 1)
            }
            Call::Copy => after.copies == vec![(SnapshotState::Normal, 1)],
            Call::CreateGroup => (after.group_count, after.snapshot_count) == (2, before.snapshot_count + 1),
            Call::ApplyGroup => after.grouped_byte == 4,
            Call::DeleteGroup => (after.group_count, after.snapshot_count) == (0, before.snapshot_count - 1),
        }
    }

    async fn scenery(&self) -> Scenery {
        let before = Scenery {
            idle: self.idle,
            attached: self.attached,
            grouped: self.grouped,
            booted: self.booted,
            shared: self.shared,
            sharers: Vec::new(),
            disk_count: 0,
            snapshot_count: 0,
            idle_state: None,
            attached_state: None,
            attached_gib: None,
            attached_type: None,
            first_byte: None,
            grouped_byte: 0,
            booted_byte: 0,
            backup_count: 0,
            group_count: 0,
            copies: Vec::new(),
        };
        Scenery::of(&self.world, &before).await
    }
}

/// What the calls change.
#[derive(Debug, Clone, PartialEq)]
struct Scenery {
    idle: DiskId,
    attached: DiskId,
    grouped: DiskId,
    booted: DiskId,
    shared: DiskId,
    sharers: Vec<InstanceId>,
    disk_count: u64,
    snapshot_count: u64,
    idle_state: Option<DiskState>,
    attached_state: Option<DiskState>,
    attached_gib: Option<u64>,
    attached_type: Option<DiskType>,
    first_byte: Option<u8>,
    grouped_byte: u8,
    booted_byte: u8,
    backup_count: u64,
    group_count: u64,
    /// The snapshots elsewhere and what each begins with.
    copies: Vec<(SnapshotState, u8)>,
}

impl Scenery {
    async fn of(world: &World, &Scenery { idle, attached, grouped, booted, shared, .. }: &Scenery) -> Self {
        let there = Caller { region: elsewhere(), ..caller() };
        let copies = world.control.describe_snapshots(&there, DescribeSnapshots::default()).await.unwrap();
        let copy = |view: SnapshotView| (view.snapshot.state, first_byte_there(world, view.snapshot.id));
        let disks = world.disks().await;
        let find = |id| disks.items.iter().find(|view| view.disk.id == id).map(|view| view.disk.clone());
        let (lying, used, sharing) = (find(idle), find(attached), find(shared));
        Self {
            idle,
            attached,
            grouped,
            booted,
            shared,
            sharers: sharing.iter().flat_map(|disk| disk.instances()).collect(),
            disk_count: disks.total_count,
            snapshot_count: world.snapshots().await.total_count,
            first_byte: lying.is_some().then(|| world.read(idle)),
            idle_state: lying.map(|disk| disk.state),
            attached_state: used.as_ref().map(|disk| disk.state),
            attached_gib: used.as_ref().map(|disk| disk.size_gib),
            attached_type: used.map(|disk| disk.disk_type),
            grouped_byte: world.read(grouped),
            booted_byte: world.read(booted),
            backup_count: world.backups().await.total_count,
            group_count: world.groups().await.total_count,
            copies: copies.items.into_iter().map(copy).collect(),
        }
    }
}

/// Where snapshots are copied to.
fn elsewhere() -> Region {
    "ap-beijing".parse().unwrap()
}

/// The first byte of a snapshot elsewhere; 0 before it is there.
fn first_byte_there(world: &World, snapshot: SnapshotId) -> u8 {
    let mut buffer = [0; 4096];
    match world.store_of(&elsewhere()).open_snapshot(&snapshot.into()) {
        Ok(device) => device.read(0, &mut buffer).map(|()| buffer[0]).unwrap(),
        Err(_) => 0,
    }
}

/// The steps of the job that a call makes.
fn steps(call: Call) -> (Vec<Step>, Vec<Step>) {
    let disk: DiskId = "disk-00000000".parse().unwrap();
    let instance: InstanceId = "ins-00000000".parse().unwrap();
    let snapshot: SnapshotId = "snap-00000000".parse().unwrap();
    let backup: DiskBackupId = "dbp-00000000".parse().unwrap();
    let work = match call {
        Call::Create => Work::CreateDisks { disks: vec![], size_gib: 1, from: None, encrypts: false },
        Call::Attach | Call::AttachMore => {
            Work::AttachDisks { disks: vec![], instance, delete_with_instance: None }
        }
        Call::Detach | Call::DetachOne => Work::DetachDisks { disks: vec![], instance },
        Call::Resize => Work::ResizeDisk { disk, size_gib: 1 },
        Call::Terminate => {
            Work::TerminateDisks { disks: vec![], snapshots: vec![], backups: vec![], recycle: false }
        }
        Call::Initialize => Work::InitializeDisks { targets: vec![] },
        Call::ChangeType => Work::ChangeDiskType { disk, disk_type: DiskType::CloudSsd },
        Call::CreateSnapshot => Work::CreateSnapshot { disk, snapshot },
        Call::Apply => Work::ApplySnapshot { disk, snapshot },
        Call::ApplyInside => Work::ApplyInstanceSnapshot { disk, snapshot, instance },
        Call::DeleteSnapshots | Call::DeleteGroup => {
            Work::DeleteSnapshots { snapshots: vec![], recycle: false }
        }
        Call::CreateBackup => Work::CreateDiskBackup { disk, backup },
        Call::ApplyBackup => Work::ApplyDiskBackup { disk, backup },
        Call::DeleteBackups => Work::DeleteDiskBackups { backups: vec![] },
        Call::ConvertBackup => Work::ConvertDiskBackup { disk, backup, snapshot },
        Call::Copy => {
            Work::CopySnapshot { source: snapshot, source_region: elsewhere(), snapshot, size_gib: 1 }
        }
        Call::CreateGroup => Work::CreateSnapshotGroup { members: vec![] },
        Call::ApplyGroup => Work::ApplySnapshotGroup { members: vec![] },
    };
    (work.steps().to_vec(), work.undo_steps().to_vec())
}

fn is_last(step: Step) -> bool {
    matches!(step, Step::Settle | Step::GiveBack)
}

/// Runs a call with a script; the answer is none when the server died on the way.
async fn run(scene: &Scene, call: Call, faults: &[(Step, Fault)]) -> Option<Result<(), ControlError>> {
    *scene.script.faults.lock() = faults.iter().copied().collect();
    let answer = tokio::select! {
        answer = scene.call(call) => Some(answer),
        () = scene.script.halted.notified() => None,
    };
    assert!(scene.script.faults.lock().is_empty(), "{call:?} never came to {faults:?}");
    answer
}

#[tokio::test]
async fn a_job_that_dies_at_any_step_goes_on_after_the_restart() {
    for call in CALLS {
        for step in steps(call).0 {
            for fault in [Fault::HaltBefore, Fault::HaltAfter] {
                let scene = Scene::new().await;
                let before = scene.scenery().await;
                assert!(run(&scene, call, &[(step, fault)]).await.is_none());
                scene.world.check_jobs(&format!("{call:?} {step:?} {fault:?}")).await;
                let world = scene.world.restarted().await;
                world.check_rest().await;
                assert!(Scene::is_done(&world, call, &before).await, "{call:?} {step:?} {fault:?}");
            }
        }
    }
}

#[tokio::test]
async fn every_step_may_run_twice() {
    for call in CALLS {
        for step in steps(call).0.into_iter().filter(|step| !is_last(*step)) {
            let scene = Scene::new().await;
            let before = scene.scenery().await;
            run(&scene, call, &[(step, Fault::Twice)]).await.unwrap().unwrap();
            scene.world.check_rest().await;
            assert!(Scene::is_done(&scene.world, call, &before).await, "{call:?} {step:?}");
        }
    }
}

#[tokio::test]
async fn a_step_that_fails_gives_everything_back_and_says_why() {
    for call in CALLS {
        for step in steps(call).0.into_iter().filter(|step| !is_last(*step)) {
            for fault in [Fault::FailBefore, Fault::FailAfter] {
                let scene = Scene::new().await;
                let before = scene.scenery().await;
                let answer = run(&scene, call, &[(step, fault)]).await.unwrap();
                let context = format!("{call:?} {step:?} {fault:?}");
                assert!(matches!(answer, Err(ControlError::Job(_))), "{context}: {answer:?}");
                check_given_back(&scene.world, call, step, fault, &before).await;
                if call != Call::Create {
                    let views = scene.world.disks().await.items;
                    let told = views.iter().filter(|view| !view.disk.error_prompt.is_empty()).count();
                    let expected = usize::from(is_disk_left(call, step, fault));
                    assert_eq!(told, expected, "{context}");
                }
            }
        }
    }
}

/// Whether there is a disk left that can say why the call failed.
fn is_disk_left(call: Call, step: Step, fault: Fault) -> bool {
    let deleted = call == Call::Terminate && (step, fault) == (Step::DeleteVolumes, Fault::FailAfter);
    let without_disks = [Call::DeleteSnapshots, Call::DeleteBackups, Call::Copy, Call::DeleteGroup];
    !without_disks.contains(&call) && !deleted
}

/// What a failed call leaves: what was before, apart from bytes that were deleted, replaced or added already.
async fn check_given_back(world: &World, call: Call, step: Step, fault: Fault, before: &Scenery) {
    let after = Scenery::of(world, before).await;
    let destroyed = fault == Fault::FailAfter
        && matches!(
            step,
            Step::DeleteSnapshots | Step::DeleteVolumes | Step::ResetVolumes | Step::RollBackVolume
        );
    let further = call == Call::Terminate && step == Step::DeleteVolumes
        || call == Call::ApplyInside && step == Step::PublishExports;
    let resized = fault == Fault::FailAfter && step == Step::ResizeVolume;
    if resized {
        // The store grew; the record did not. The next resize brings them together.
        assert_eq!(after.attached_state, Some(DiskState::Attached));
        return;
    }
    world.check_rest().await;
    if !destroyed && !further {
        assert_eq!(after, *before, "{call:?} {step:?} {fault:?}");
    }
}

#[tokio::test]
async fn the_way_back_survives_death_repetition_and_failure() {
    for call in CALLS {
        let (forward, undo) = steps(call);
        let Some(first) = forward.into_iter().find(|step| !is_last(*step)) else { continue };
        for step in undo {
            for fault in [Fault::HaltBefore, Fault::HaltAfter, Fault::FailBefore, Fault::Twice] {
                if is_last(step) && matches!(fault, Fault::FailBefore | Fault::Twice) {
                    continue;
                }
                let scene = Scene::new().await;
                let before = scene.scenery().await;
                let faults = [(first, Fault::FailBefore), (step, fault)];
                let answer = run(&scene, call, &faults).await;
                assert!(!matches!(answer, Some(Ok(()))), "{call:?} {step:?} {fault:?}");
                scene.world.check_jobs(&format!("{call:?} back {step:?} {fault:?}")).await;
                let world = if answer.is_none() {
                    scene.world.restarted().await
                } else {
                    // A blocked way back is tried again by the reconciler.
                    scene.world.control.reconcile().await.unwrap();
                    scene.world.control.runner.idle().await;
                    scene.world
                };
                world.check_rest().await;
                let after = Scenery::of(&world, &before).await;
                assert_eq!(after, before, "{call:?} {step:?} {fault:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_create_call_that_failed_may_be_sent_again_with_its_token() {
    let scene = Scene::new().await;
    let failed = run(&scene, Call::Create, &[(Step::MakeVolumes, Fault::FailAfter)]).await.unwrap();
    assert!(failed.is_err());
    scene.call(Call::Create).await.unwrap();
    assert_eq!(scene.world.disks().await.total_count, 7);
    scene.world.check_rest().await;
}

#[test]
fn the_journal_reads_back_what_it_was_given() {
    for step in Step::ALL {
        assert_eq!(Step::from_name(step.name()), Some(step));
    }
    let work = Work::CreateDisks {
        disks: vec!["disk-00000001".parse().unwrap()],
        size_gib: 7,
        from: Some("snap-00000002".parse().unwrap()),
        encrypts: false,
    };
    let text = serde_json::to_string(&work).unwrap();
    // Journals outlive builds: this spelling must stay readable.
    assert_eq!(
        text,
        r#"{"kind":"create_disks","disks":["disk-00000001"],"size_gib":7,"from":"snap-00000002"}"#
    );
    assert_eq!(serde_json::from_str::<Work>(&text).unwrap(), work);
}
