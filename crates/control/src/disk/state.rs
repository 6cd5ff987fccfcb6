//! The life of a disk as pure functions: a disk and a wish in, the changed disk or a typed refusal out. No I/O,
//! no clock; tested as a table.
//!
//! A job holds the disk from `begin_*` to `finish_*` or `give_back`; in between every other wish is refused.

#[cfg(test)]
mod tests;

use ashlar_db::{Attachment, AttachmentState, Disk, Lifecycle, Snapshot};
use ashlar_types::{DiskChargeType, DiskId, DiskState, DiskType, InstanceId, SnapshotState};

use crate::error::{ControlError, DiskError, SnapshotError};

/// Whether a machine can reach a disk of this state that it has so far: what the exports are rebuilt from after a start.
/// Ways in and out are left to their jobs, and other machines that have the disk meanwhile keep it.
pub(crate) const fn is_exported(state: DiskState, attachment: AttachmentState) -> bool {
    match (state, attachment) {
        (
            DiskState::Attached | DiskState::Expanding | DiskState::Attaching | DiskState::Detaching,
            AttachmentState::Inside,
        ) => true,
        (_, AttachmentState::Inside | AttachmentState::Arriving | AttachmentState::Leaving) => false,
    }
}

/// Refuses while another operation is under way. All of these pass by themselves.
pub(crate) fn idle(disk: &Disk) -> Result<(), DiskError> {
    match disk.state {
        DiskState::Attaching | DiskState::Detaching | DiskState::Expanding | DiskState::Rollbacking => {
            Err(DiskError::Busy { disk: disk.id, state: disk.state })
        }
        DiskState::Unattached | DiskState::Attached | DiskState::ToRecycle => {
            if disk.migrating {
                Err(DiskError::Migrating(disk.id))
            } else if disk.job.is_some() {
                Err(DiskError::Busy { disk: disk.id, state: disk.state })
            } else {
                Ok(())
            }
        }
    }
}

/// Where a disk is when nothing happens to it.
const fn resting(disk: &Disk) -> DiskState {
    if disk.attachments.is_empty() { DiskState::Unattached } else { DiskState::Attached }
}

fn unsupported(disk: &Disk, why: &'static str) -> DiskError {
    DiskError::NotSupported { disk: disk.id, state: disk.state, why }
}

const RECYCLED: &str = "it is isolated and only waits to be deleted";

/// Sends the disk into an instance. Only a shareable one may be in others, and in no more than `at_most`.
pub(crate) fn begin_attach(mut disk: Disk, instance: InstanceId, at_most: u64) -> Result<Disk, DiskError> {
    idle(&disk)?;
    if !disk.portable {
        return Err(DiskError::NotPortable(disk.id));
    }
    let named = disk.instances().find(|inside| *inside == instance);
    match disk.state {
        DiskState::Attached if !disk.shareable || named.is_some() => {
            let inside = named.or(disk.instance()).unwrap_or(instance);
            Err(DiskError::AttachedTo { disk: disk.id, instance: inside })
        }
        DiskState::Attached if disk.attachments.len() as u64 >= at_most => {
            Err(DiskError::InstanceLimit { disk: disk.id, at_most })
        }
        DiskState::Unattached | DiskState::Attached => {
            disk.state = DiskState::Attaching;
            disk.attachments.push(Attachment { instance, state: AttachmentState::Arriving });
            Ok(disk)
        }
        DiskState::ToRecycle => Err(unsupported(&disk, RECYCLED)),
        DiskState::Attaching | DiskState::Detaching | DiskState::Expanding | DiskState::Rollbacking => {
            Err(DiskError::Busy { disk: disk.id, state: disk.state })
        }
    }
}

/// Takes the disk out of an instance: of the one named, or else of the only one. Gives that too.
pub(crate) fn begin_detach(
    mut disk: Disk,
    from: Option<InstanceId>,
) -> Result<(Disk, InstanceId), DiskError> {
    idle(&disk)?;
    if !disk.portable {
        return Err(DiskError::NotPortable(disk.id));
    }
    match (disk.state, disk.instance()) {
        (DiskState::Attached, Some(first)) => {
            if from.is_none() && disk.attachments.len() > 1 {
                return Err(DiskError::SeveralInstances {
                    disk: disk.id,
                    count: disk.attachments.len() as u64,
                });
            }
            let from = from.unwrap_or(first);
            let mut all = disk.attachments.iter_mut();
            let Some(attachment) = all.find(|attachment| attachment.instance == from) else {
                return Err(DiskError::AttachedTo { disk: disk.id, instance: first });
            };
            attachment.state = AttachmentState::Leaving;
            disk.state = DiskState::Detaching;
            Ok((disk, from))
        }
        (DiskState::Attached | DiskState::Unattached, _) => Err(unsupported(&disk, "it is not attached")),
        (DiskState::ToRecycle, _) => Err(unsupported(&disk, RECYCLED)),
        (DiskState::Attaching | DiskState::Detaching | DiskState::Expanding | DiskState::Rollbacking, _) => {
            Err(DiskError::Busy { disk: disk.id, state: disk.state })
        }
    }
}

/// Makes the disk larger. Sizes were checked by the caller; the size changes when the work is done.
pub(crate) fn begin_resize(mut disk: Disk) -> Result<Disk, DiskError> {
    idle(&disk)?;
    match disk.state {
        DiskState::Unattached | DiskState::Attached => {
            disk.state = DiskState::Expanding;
            Ok(disk)
        }
        DiskState::ToRecycle => Err(unsupported(&disk, RECYCLED)),
        DiskState::Attaching | DiskState::Detaching | DiskState::Expanding | DiskState::Rollbacking => {
            Err(DiskError::Busy { disk: disk.id, state: disk.state })
        }
    }
}

/// Changes the medium.
pub(crate) fn begin_change_type(mut disk: Disk, to: DiskType) -> Result<Disk, DiskError> {
    idle(&disk)?;
    match disk.state {
        DiskState::Unattached | DiskState::Attached if disk.disk_type == to => {
            Err(unsupported(&disk, "it is of this type already"))
        }
        DiskState::Unattached | DiskState::Attached => {
            disk.migrating = true;
            disk.migrate_percent = 0;
            Ok(disk)
        }
        DiskState::ToRecycle => Err(unsupported(&disk, RECYCLED)),
        DiskState::Attaching | DiskState::Detaching | DiskState::Expanding | DiskState::Rollbacking => {
            Err(DiskError::Busy { disk: disk.id, state: disk.state })
        }
    }
}

/// Refuses unless the disk lies idle outside of machines: what a call needs that replaces its whole content.
pub(crate) fn needs_unattached(disk: &Disk) -> Result<(), DiskError> {
    idle(disk)?;
    match disk.state {
        DiskState::Unattached => Ok(()),
        DiskState::Attached => Err(unsupported(disk, "it is attached: detach it first")),
        DiskState::ToRecycle => Err(unsupported(disk, RECYCLED)),
        DiskState::Attaching | DiskState::Detaching | DiskState::Expanding | DiskState::Rollbacking => {
            Err(DiskError::Busy { disk: disk.id, state: disk.state })
        }
    }
}

/// Sends the disk on its way back to an earlier content.
pub(crate) fn begin_content_change(mut disk: Disk) -> Result<Disk, DiskError> {
    needs_unattached(&disk)?;
    disk.state = DiskState::Rollbacking;
    disk.rollback_percent = 0;
    Ok(disk)
}

/// Rolls the disk back to a snapshot of its own.
pub(crate) fn begin_roll_back(disk: Disk, mut snapshot: Snapshot) -> Result<(Disk, Snapshot), ControlError> {
    fits(&disk, &snapshot)?;
    let disk = begin_content_change(disk)?;
    snapshot.state = SnapshotState::Rollbacking;
    Ok((disk, snapshot))
}

/// The same for a disk that stays in its machine: the machine is cut off it meanwhile.
pub(crate) fn begin_roll_back_inside(
    mut disk: Disk,
    mut snapshot: Snapshot,
) -> Result<(Disk, Snapshot), ControlError> {
    fits(&disk, &snapshot)?;
    idle(&disk)?;
    match disk.state {
        DiskState::Attached => {}
        DiskState::Unattached => return Err(unsupported(&disk, "it is not attached").into()),
        DiskState::ToRecycle => return Err(unsupported(&disk, RECYCLED).into()),
        DiskState::Attaching | DiskState::Detaching | DiskState::Expanding | DiskState::Rollbacking => {
            return Err(DiskError::Busy { disk: disk.id, state: disk.state }.into());
        }
    }
    disk.state = DiskState::Rollbacking;
    disk.rollback_percent = 0;
    snapshot.state = SnapshotState::Rollbacking;
    Ok((disk, snapshot))
}

/// Refuses unless the snapshot is ready and can become the content of the disk.
fn fits(disk: &Disk, snapshot: &Snapshot) -> Result<(), ControlError> {
    match snapshot.disk {
        Some(origin) if origin == disk.id => {}
        Some(origin) => {
            return Err(SnapshotError::OfOtherDisk { snapshot: snapshot.id, origin, disk: disk.id }.into());
        }
        None => {
            let why = "it was copied from another region and has no disk here, create one from it instead";
            return Err(SnapshotError::NotSupported { snapshot: snapshot.id, why }.into());
        }
    }
    snapshot_ready(snapshot)?;
    if snapshot.size_gib > disk.size_gib {
        return Err(SnapshotError::SizeMismatch {
            snapshot: snapshot.id,
            snapshot_gib: snapshot.size_gib,
            disk_gib: disk.size_gib,
        }
        .into());
    }
    Ok(())
}

/// Refuses unless the snapshot is complete and idle.
pub(crate) fn snapshot_ready(snapshot: &Snapshot) -> Result<(), SnapshotError> {
    match snapshot.state {
        SnapshotState::Normal if snapshot.job.is_some() => {
            Err(SnapshotError::Busy { snapshot: snapshot.id, state: snapshot.state })
        }
        SnapshotState::Normal => Ok(()),
        SnapshotState::Creating => Err(SnapshotError::Creating(snapshot.id)),
        SnapshotState::Rollbacking | SnapshotState::CopyingFromRemote | SnapshotState::CheckingCopied => {
            Err(SnapshotError::Busy { snapshot: snapshot.id, state: snapshot.state })
        }
        SnapshotState::ToRecycle => Err(SnapshotError::NotSupported { snapshot: snapshot.id, why: RECYCLED }),
    }
}

/// Refuses snapshots of a disk that several machines may have. Source: the service's codes, among which is that there are
/// none of such a disk; an older example has one with a backup point.
pub(crate) fn check_not_shareable(disk: &Disk) -> Result<(), DiskError> {
    if disk.shareable { Err(DiskError::ShareableHasNoSnapshots(disk.id)) } else { Ok(()) }
}

/// Refuses unless the disk can be made new. Source: the service's description of InitializeDisks.
pub(crate) fn begin_initialize(disk: &Disk) -> Result<(), DiskError> {
    if disk.shareable {
        return Err(unsupported(disk, "it is shareable, and such disks cannot be initialized"));
    }
    needs_unattached(disk)
}

/// Refuses unless a snapshot of the disk can be taken.
pub(crate) fn begin_snapshot(disk: &Disk) -> Result<(), DiskError> {
    check_not_shareable(disk)?;
    begin_backup(disk)
}

/// Refuses unless a backup point of the disk can be made.
pub(crate) fn begin_backup(disk: &Disk) -> Result<(), DiskError> {
    idle(disk)?;
    match disk.state {
        DiskState::Unattached | DiskState::Attached => Ok(()),
        DiskState::ToRecycle => Err(unsupported(disk, RECYCLED)),
        DiskState::Attaching | DiskState::Detaching | DiskState::Expanding | DiskState::Rollbacking => {
            Err(DiskError::Busy { disk: disk.id, state: disk.state })
        }
    }
}

/// What terminating a disk comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Termination {
    /// It is kept, isolated, until it is terminated once more.
    Recycle(Disk),
    /// It is gone for its owner; a job takes its bytes away.
    Delete(Disk),
}

/// Gives the disk back. What was paid in advance is isolated first.
pub(crate) fn begin_terminate(mut disk: Disk) -> Result<Termination, DiskError> {
    idle(&disk)?;
    match (disk.state, disk.charge_type) {
        (DiskState::Unattached, DiskChargeType::Prepaid) => {
            disk.state = DiskState::ToRecycle;
            Ok(Termination::Recycle(disk))
        }
        (DiskState::Unattached, DiskChargeType::PostpaidByHour | DiskChargeType::CdcPaid)
        | (DiskState::ToRecycle, _) => {
            disk.lifecycle = Lifecycle::Deleting;
            Ok(Termination::Delete(disk))
        }
        (DiskState::Attached, _) => Err(unsupported(&disk, "it is attached: detach it first")),
        (DiskState::Attaching | DiskState::Detaching | DiskState::Expanding | DiskState::Rollbacking, _) => {
            Err(DiskError::Busy { disk: disk.id, state: disk.state })
        }
    }
}

/// The attach is done.
pub(crate) fn finish_attach(mut disk: Disk, delete_with_instance: Option<bool>) -> Disk {
    for attachment in &mut disk.attachments {
        if attachment.state == AttachmentState::Arriving {
            attachment.state = AttachmentState::Inside;
            disk.last_instance = Some(attachment.instance);
        }
    }
    disk.delete_with_instance = delete_with_instance.unwrap_or(disk.delete_with_instance);
    disk.state = resting(&disk);
    rested(disk)
}

/// The detach is done.
pub(crate) fn leave_instance(disk: Disk) -> Disk {
    let mut disk = without(disk, AttachmentState::Leaving);
    disk.state = resting(&disk);
    rested(disk)
}

/// The disk without what is so far. One that is in no instance any more goes with none.
fn without(mut disk: Disk, state: AttachmentState) -> Disk {
    disk.attachments.retain(|attachment| attachment.state != state);
    disk.delete_with_instance &= !disk.attachments.is_empty();
    disk
}

/// The disk has its new size.
pub(crate) fn finish_resize(mut disk: Disk, size_gib: u64) -> Disk {
    disk.size_gib = size_gib;
    disk.state = resting(&disk);
    rested(disk)
}

/// The disk has its new medium.
pub(crate) fn finish_change_type(mut disk: Disk, to: DiskType) -> Disk {
    disk.disk_type = to;
    disk.migrating = false;
    disk.migrate_percent = 100;
    rested(disk)
}

/// The disk has the snapshot's content.
pub(crate) fn finish_roll_back(mut disk: Disk) -> Disk {
    disk.rollback_percent = 100;
    disk.state = resting(&disk);
    rested(disk)
}

/// The disk is there.
pub(crate) fn finish_create(mut disk: Disk) -> Disk {
    disk.lifecycle = Lifecycle::Live;
    rested(disk)
}

/// Whatever was done succeeded.
pub(crate) fn rested(mut disk: Disk) -> Disk {
    disk.error_prompt.clear();
    disk
}

/// Whatever was begun has been taken back: the state is that of before, and the owner can read why.
pub(crate) fn give_back(mut disk: Disk, why: &str) -> Disk {
    disk.lifecycle = Lifecycle::Live;
    disk.state = match disk.state {
        // A disk that was to be deleted kept its state.
        DiskState::ToRecycle => DiskState::ToRecycle,
        DiskState::Attaching => {
            disk = without(disk, AttachmentState::Arriving);
            resting(&disk)
        }
        DiskState::Detaching => {
            disk.attachments.iter_mut().for_each(|attachment| attachment.state = AttachmentState::Inside);
            resting(&disk)
        }
        DiskState::Unattached | DiskState::Attached | DiskState::Expanding | DiskState::Rollbacking => {
            resting(&disk)
        }
    };
    if disk.migrating {
        disk.migrating = false;
        disk.migrate_percent = 0;
    }
    why.clone_into(&mut disk.error_prompt);
    disk
}

/// The refusal for a disk whose snapshot is being taken: more telling than that it is busy.
pub(crate) fn as_snapshot_creating(error: DiskError, creating: bool) -> DiskError {
    let told = |disk: DiskId| DiskError::SnapshotCreating(disk);
    match error {
        DiskError::Busy { disk, state: DiskState::Unattached | DiskState::Attached } if creating => {
            told(disk)
        }
        other => other,
    }
}
