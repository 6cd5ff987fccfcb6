//! What the steps do to pools and exports. Every one may be run twice: what is done already is a success.

use std::sync::Arc;
use std::time::Duration;

use ashlar_db::JobPhase;
use ashlar_types::{DiskBackupId, DiskId, GIB_BYTES, InstanceId, Region, SnapshotId};
use ashlar_volume::{ErrorKind, VolumeError, VolumeId, VolumeSnapshotId, VolumeStore};

use super::{GroupMember, Step, Work, copy};
use crate::control::Control;

/// What the last step has to know of the pool.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Which of the job's volumes there are.
    pub(crate) volumes: Vec<DiskId>,
    /// Which of the job's snapshots there are.
    pub(crate) snapshots: Vec<SnapshotId>,
    /// Which of the job's backup points there are.
    pub(crate) backups: Vec<DiskBackupId>,
    /// How many bytes each of the job's snapshots holds.
    pub(crate) held_bytes: Vec<(SnapshotId, u64)>,
}

/// Runs one step. Blocks.
pub(crate) fn run(control: &Control, region: &Region, work: &Work, step: Step) -> Result<(), VolumeError> {
    let store = control.stores.store(region)?;
    let wait = withdraw_wait(control);
    match step {
        Step::MakeVolumes => make_volumes(store.as_ref(), work),
        Step::DeleteVolumes => {
            work.disks().iter().try_for_each(|disk| gone(store.delete_volume(&(*disk).into())))
        }
        Step::ResizeVolume => resize_volume(store.as_ref(), work),
        Step::ResetVolumes => reset_volumes(store.as_ref(), work),
        Step::RollBackVolume => roll_back_volume(store.as_ref(), work),
        Step::PublishExports => publish_exports(control, &store, work),
        Step::WithdrawExports => {
            withdraw_exports(control, work, wait)?;
            settle_bytes(store.as_ref(), work)
        }
        Step::TakeSnapshot => take_snapshot(store.as_ref(), work),
        Step::WithdrawSnapshots => work
            .snapshots()
            .iter()
            .try_for_each(|snapshot| control.exports.withdraw_snapshot(*snapshot, wait)),
        Step::DeleteSnapshots => {
            let snapshots = if work.recycles() { Vec::new() } else { work.snapshots() };
            let snapshots = snapshots.into_iter().map(VolumeSnapshotId::from);
            let mut all = snapshots.chain(work.backups().into_iter().map(VolumeSnapshotId::from));
            all.try_for_each(|snapshot| gone(store.delete_snapshot(&snapshot)))
        }
        Step::RenameSnapshot | Step::RenameSnapshotBack => rename_snapshot(store.as_ref(), work, step),
        Step::FreezeCopy => copy::freeze(store.as_ref(), work),
        Step::DropCopy => copy::drop_what_there_is(store.as_ref(), work),
        Step::PublishSnapshots => publish_snapshots(control, &store, work),
        // These are more than one call: `copy` has them.
        Step::PrepareCopy | Step::CopyBlocks | Step::VerifyCopy => Err(misplaced(work, step)),
        // These two are transactions; `ending` has them.
        Step::Settle | Step::GiveBack => Err(misplaced(work, step)),
    }
}

/// Looks at the pool before the last step.
pub(crate) fn survey(
    control: &Control,
    region: &Region,
    work: &Work,
    phase: JobPhase,
) -> Result<Survey, VolumeError> {
    let mut survey = Survey::default();
    match (work, phase) {
        (
            Work::TerminateDisks { .. }
            | Work::DeleteSnapshots { .. }
            | Work::CreateSnapshot { .. }
            | Work::DeleteDiskBackups { .. }
            | Work::ConvertDiskBackup { .. }
            | Work::CopySnapshot { .. }
            | Work::CreateSnapshotGroup { .. },
            _,
        ) => {}
        // The others end without a look at the pool, so a latched pool cannot hold them up.
        (
            Work::CreateDisks { .. }
            | Work::AttachDisks { .. }
            | Work::DetachDisks { .. }
            | Work::ResizeDisk { .. }
            | Work::InitializeDisks { .. }
            | Work::ChangeDiskType { .. }
            | Work::ApplySnapshot { .. }
            | Work::CreateDiskBackup { .. }
            | Work::ApplyDiskBackup { .. }
            | Work::ApplyInstanceSnapshot { .. }
            | Work::ApplySnapshotGroup { .. },
            _,
        ) => return Ok(survey),
    }
    let store = control.stores.store(region)?;
    for disk in work.disks() {
        if there(store.volume(&disk.into()))?.is_some() {
            survey.volumes.push(disk);
        }
    }
    for snapshot in work.snapshots() {
        if let Some(info) = there(store.snapshot(&snapshot.into()))? {
            survey.snapshots.push(snapshot);
            survey.held_bytes.push((snapshot, info.held_bytes));
        }
    }
    for backup in work.backups() {
        if there(store.snapshot(&backup.into()))?.is_some() {
            survey.backups.push(backup);
        }
    }
    Ok(survey)
}

fn make_volumes(store: &dyn VolumeStore, work: &Work) -> Result<(), VolumeError> {
    let Work::CreateDisks { disks, size_gib, from, encrypts } = work else {
        return Err(misplaced(work, Step::MakeVolumes));
    };
    let size_bytes = size_gib * GIB_BYTES;
    for disk in disks {
        // The id was free in the pool when the job was written: a volume of this name is this job's own.
        made(match from {
            Some(snapshot) => store.clone_volume(&(*disk).into(), &(*snapshot).into(), size_bytes),
            None if *encrypts => store.create_encrypted_volume(&(*disk).into(), size_bytes),
            None => store.create_volume(&(*disk).into(), size_bytes),
        })?;
    }
    Ok(())
}

fn resize_volume(store: &dyn VolumeStore, work: &Work) -> Result<(), VolumeError> {
    let Work::ResizeDisk { disk, size_gib } = work else {
        return Err(misplaced(work, Step::ResizeVolume));
    };
    store.resize_volume(&(*disk).into(), size_gib * GIB_BYTES)
}

fn reset_volumes(store: &dyn VolumeStore, work: &Work) -> Result<(), VolumeError> {
    let Work::InitializeDisks { targets } = work else {
        return Err(misplaced(work, Step::ResetVolumes));
    };
    targets.iter().try_for_each(|target| match target.to {
        Some(snapshot) => store.roll_back(&target.disk.into(), &snapshot.into()),
        None => store.clear_volume(&target.disk.into()),
    })
}

fn roll_back_volume(store: &dyn VolumeStore, work: &Work) -> Result<(), VolumeError> {
    let targets = match work {
        Work::ApplySnapshot { disk, snapshot } | Work::ApplyInstanceSnapshot { disk, snapshot, .. } => {
            vec![((*disk).into(), (*snapshot).into())]
        }
        Work::ApplyDiskBackup { disk, backup } => vec![((*disk).into(), (*backup).into())],
        Work::ApplySnapshotGroup { members } => named(members),
        other => return Err(misplaced(other, Step::RollBackVolume)),
    };
    store.roll_back_volumes(&targets)
}

/// The volumes and snapshots of a group, as the store names them.
fn named(members: &[GroupMember]) -> Vec<(VolumeId, VolumeSnapshotId)> {
    members.iter().map(|member| (member.disk.into(), member.snapshot.into())).collect()
}

fn rename_snapshot(store: &dyn VolumeStore, work: &Work, step: Step) -> Result<(), VolumeError> {
    let Work::ConvertDiskBackup { backup, snapshot, .. } = work else {
        return Err(misplaced(work, step));
    };
    let (backup, snapshot) = (VolumeSnapshotId::from(*backup), VolumeSnapshotId::from(*snapshot));
    let (from, to) = if step == Step::RenameSnapshot { (&backup, &snapshot) } else { (&snapshot, &backup) };
    match store.rename_snapshot(from, to) {
        // The second time it has the name already.
        Err(error) if error.kind() == ErrorKind::NotFound && there(store.snapshot(to))?.is_some() => Ok(()),
        other => other,
    }
}

fn withdraw_exports(control: &Control, work: &Work, wait: Duration) -> Result<(), VolumeError> {
    let (Work::AttachDisks { instance, .. }
    | Work::DetachDisks { instance, .. }
    | Work::ApplyInstanceSnapshot { instance, .. }) = work
    else {
        return Err(misplaced(work, Step::WithdrawExports));
    };
    work.disks().iter().try_for_each(|disk| control.exports.withdraw(*disk, *instance, wait))
}

fn publish_exports(control: &Control, store: &Arc<dyn VolumeStore>, work: &Work) -> Result<(), VolumeError> {
    match work {
        Work::AttachDisks { disks, instance, .. } => {
            disks.iter().try_for_each(|disk| control.exports.publish(*disk, *instance, Arc::clone(store)))
        }
        // A disk may be held up by sessions that did not let go in time: a table takes it again only when they have.
        Work::DetachDisks { disks, instance } => {
            disks.iter().try_for_each(|disk| publish_again(control, store, *disk, *instance))
        }
        Work::ApplyInstanceSnapshot { disk, instance, .. } => publish_again(control, store, *disk, *instance),
        Work::CreateDisks { .. }
        | Work::ResizeDisk { .. }
        | Work::TerminateDisks { .. }
        | Work::InitializeDisks { .. }
        | Work::ChangeDiskType { .. }
        | Work::CreateSnapshot { .. }
        | Work::ApplySnapshot { .. }
        | Work::DeleteSnapshots { .. }
        | Work::CreateDiskBackup { .. }
        | Work::ApplyDiskBackup { .. }
        | Work::DeleteDiskBackups { .. }
        | Work::ConvertDiskBackup { .. }
        | Work::CopySnapshot { .. }
        | Work::CreateSnapshotGroup { .. }
        | Work::ApplySnapshotGroup { .. } => Err(misplaced(work, Step::PublishExports)),
    }
}

fn publish_again(
    control: &Control,
    store: &Arc<dyn VolumeStore>,
    disk: DiskId,
    instance: InstanceId,
) -> Result<(), VolumeError> {
    control.exports.withdraw(disk, instance, withdraw_wait(control))?;
    control.exports.publish(disk, instance, Arc::clone(store))
}

/// A disk that is shown as detached has its bytes at rest, whether its machine flushed them or not.
fn settle_bytes(store: &dyn VolumeStore, work: &Work) -> Result<(), VolumeError> {
    let Work::DetachDisks { disks, .. } = work else { return Ok(()) };
    for disk in disks {
        match store.open_volume(&(*disk).into()).and_then(|device| device.flush()) {
            // What such a pool lost is lost: keeping the disk attached would not bring it back.
            Err(error) if error.kind() == ErrorKind::Latched => {
                tracing::warn!(%disk, %error, "detached without a last flush");
            }
            other => other?,
        }
    }
    Ok(())
}

fn withdraw_wait(control: &Control) -> Duration {
    Duration::from_millis(control.limits().withdraw_wait_ms)
}

fn take_snapshot(store: &dyn VolumeStore, work: &Work) -> Result<(), VolumeError> {
    let wanted = match work {
        Work::CreateSnapshot { disk, snapshot } => vec![((*disk).into(), (*snapshot).into())],
        Work::CreateDiskBackup { disk, backup } => vec![((*disk).into(), (*backup).into())],
        Work::CreateSnapshotGroup { members } => named(members),
        other => return Err(misplaced(other, Step::TakeSnapshot)),
    };
    // All of them or none: where one is there, the step was done before.
    made(store.create_snapshots(&wanted))
}

fn publish_snapshots(
    control: &Control,
    store: &Arc<dyn VolumeStore>,
    work: &Work,
) -> Result<(), VolumeError> {
    for snapshot in work.snapshots() {
        // On the way back from a deletion some may be gone already.
        if there(store.snapshot(&snapshot.into()))?.is_some() {
            control.exports.publish_snapshot(snapshot, Arc::clone(store))?;
        }
    }
    Ok(())
}

pub(super) fn made(result: Result<(), VolumeError>) -> Result<(), VolumeError> {
    match result {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

pub(super) fn gone(result: Result<(), VolumeError>) -> Result<(), VolumeError> {
    match result {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

pub(super) fn there<T>(result: Result<T, VolumeError>) -> Result<Option<T>, VolumeError> {
    match result {
        Ok(info) => Ok(Some(info)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn misplaced(work: &Work, step: Step) -> VolumeError {
    VolumeError::new(
        ErrorKind::InvalidArgument,
        format!("step {} does not belong to a job {}", step.name(), work.kind()),
    )
}
