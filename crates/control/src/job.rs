//! Jobs: work that outlives the call that asked for it, and the server that began it.
//!
//! A job is written in the transaction that changes the states ([`Work`] says what is to be done). It runs
//! forward through its steps; a step that fails turns it round, and it runs through the steps that take back
//! what was done. Every step may be run twice. The last step of either way is one transaction that sets the
//! states and ends the job, so a job ends exactly once.
//!
//! Reading order: this file (what the jobs are), `effect` (what each step does to pools and exports), `copy` (the steps
//! between two pools), `ending` (what the last step does to the database), `runner` (who runs them), `expectation` (what an
//! off-line check may expect while they have not ended).

mod copy;
mod effect;
mod ending;
mod expectation;
mod runner;
mod text;

#[cfg(test)]
mod tests;

use ashlar_types::{DiskBackupId, DiskId, DiskType, InstanceId, Region, SnapshotId};
use ashlar_volume::{ErrorKind, VolumeError};
use serde::{Deserialize, Serialize};

use crate::error::{JobError, JobErrorKind};

pub(crate) use ashlar_db::JobId as JobHold;
pub use expectation::{JobsExpectation, jobs_expectation};
#[cfg(test)]
pub(crate) use runner::Fault;
pub(crate) use runner::{Runner, StepHook};

/// What a job does, as the journal keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Work {
    CreateDisks {
        #[serde(with = "text::list")]
        disks: Vec<DiskId>,
        size_gib: u64,
        #[serde(with = "text::option")]
        from: Option<SnapshotId>,
        /// Whether disks that are made empty are encrypted; others are as their snapshot.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        encrypts: bool,
    },
    AttachDisks {
        #[serde(with = "text::list")]
        disks: Vec<DiskId>,
        #[serde(with = "text")]
        instance: InstanceId,
        /// Whether the disks go when their instance goes, if the call says so.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delete_with_instance: Option<bool>,
    },
    DetachDisks {
        #[serde(with = "text::list")]
        disks: Vec<DiskId>,
        #[serde(with = "text")]
        instance: InstanceId,
    },
    ResizeDisk {
        #[serde(with = "text")]
        disk: DiskId,
        size_gib: u64,
    },
    TerminateDisks {
        #[serde(with = "text::list")]
        disks: Vec<DiskId>,
        #[serde(with = "text::list")]
        snapshots: Vec<SnapshotId>,
        #[serde(with = "text::list", default)]
        backups: Vec<DiskBackupId>,
        /// Whether the snapshots are kept in the recycle bin.
        #[serde(default)]
        recycle: bool,
    },
    InitializeDisks {
        targets: Vec<Initialization>,
    },
    ChangeDiskType {
        #[serde(with = "text")]
        disk: DiskId,
        #[serde(with = "text")]
        disk_type: DiskType,
    },
    CreateSnapshot {
        #[serde(with = "text")]
        disk: DiskId,
        #[serde(with = "text")]
        snapshot: SnapshotId,
    },
    ApplySnapshot {
        #[serde(with = "text")]
        disk: DiskId,
        #[serde(with = "text")]
        snapshot: SnapshotId,
    },
    DeleteSnapshots {
        #[serde(with = "text::list")]
        snapshots: Vec<SnapshotId>,
        /// Whether they are kept in the recycle bin.
        #[serde(default)]
        recycle: bool,
    },
    CreateDiskBackup {
        #[serde(with = "text")]
        disk: DiskId,
        #[serde(with = "text")]
        backup: DiskBackupId,
    },
    ApplyDiskBackup {
        #[serde(with = "text")]
        disk: DiskId,
        #[serde(with = "text")]
        backup: DiskBackupId,
    },
    DeleteDiskBackups {
        #[serde(with = "text::list")]
        backups: Vec<DiskBackupId>,
    },
    /// Makes a backup point a snapshot: it is one thing under another name.
    ConvertDiskBackup {
        #[serde(with = "text")]
        disk: DiskId,
        #[serde(with = "text")]
        backup: DiskBackupId,
        #[serde(with = "text")]
        snapshot: SnapshotId,
    },
    /// Brings a snapshot from another region's pool into the job's own.
    CopySnapshot {
        #[serde(with = "text")]
        source: SnapshotId,
        #[serde(with = "text")]
        source_region: Region,
        #[serde(with = "text")]
        snapshot: SnapshotId,
        size_gib: u64,
    },
    CreateSnapshotGroup {
        members: Vec<GroupMember>,
    },
    ApplySnapshotGroup {
        members: Vec<GroupMember>,
    },
    /// Rolls a disk back that stays in its machine, which is cut off it meanwhile.
    ApplyInstanceSnapshot {
        #[serde(with = "text")]
        disk: DiskId,
        #[serde(with = "text")]
        snapshot: SnapshotId,
        #[serde(with = "text")]
        instance: InstanceId,
    },
}

/// A disk and the snapshot of it that belongs to a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupMember {
    #[serde(with = "text")]
    pub(crate) disk: DiskId,
    #[serde(with = "text")]
    pub(crate) snapshot: SnapshotId,
}

/// A disk and the snapshot that it goes back to; none empties it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Initialization {
    #[serde(with = "text")]
    pub(crate) disk: DiskId,
    #[serde(with = "text::option")]
    pub(crate) to: Option<SnapshotId>,
}

/// The steps of all jobs, under the names that the journal keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    MakeVolumes,
    DeleteVolumes,
    ResizeVolume,
    ResetVolumes,
    RollBackVolume,
    PublishExports,
    WithdrawExports,
    TakeSnapshot,
    WithdrawSnapshots,
    DeleteSnapshots,
    PublishSnapshots,
    RenameSnapshot,
    RenameSnapshotBack,
    PrepareCopy,
    CopyBlocks,
    VerifyCopy,
    FreezeCopy,
    DropCopy,
    /// The last step of the way forward: the states say what was done.
    Settle,
    /// The last step of the way back: the states are given back.
    GiveBack,
}

impl Step {
    pub(crate) const ALL: [Step; 20] = [
        Step::MakeVolumes,
        Step::DeleteVolumes,
        Step::ResizeVolume,
        Step::ResetVolumes,
        Step::RollBackVolume,
        Step::PublishExports,
        Step::WithdrawExports,
        Step::TakeSnapshot,
        Step::WithdrawSnapshots,
        Step::DeleteSnapshots,
        Step::PublishSnapshots,
        Step::RenameSnapshot,
        Step::RenameSnapshotBack,
        Step::PrepareCopy,
        Step::CopyBlocks,
        Step::VerifyCopy,
        Step::FreezeCopy,
        Step::DropCopy,
        Step::Settle,
        Step::GiveBack,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Step::MakeVolumes => "make_volumes",
            Step::DeleteVolumes => "delete_volumes",
            Step::ResizeVolume => "resize_volume",
            Step::ResetVolumes => "reset_volumes",
            Step::RollBackVolume => "roll_back_volume",
            Step::PublishExports => "publish_exports",
            Step::WithdrawExports => "withdraw_exports",
            Step::TakeSnapshot => "take_snapshot",
            Step::WithdrawSnapshots => "withdraw_snapshots",
            Step::DeleteSnapshots => "delete_snapshots",
            Step::PublishSnapshots => "publish_snapshots",
            Step::RenameSnapshot => "rename_snapshot",
            Step::RenameSnapshotBack => "rename_snapshot_back",
            Step::PrepareCopy => "prepare_copy",
            Step::CopyBlocks => "copy_blocks",
            Step::VerifyCopy => "verify_copy",
            Step::FreezeCopy => "freeze_copy",
            Step::DropCopy => "drop_copy",
            Step::Settle => "settle",
            Step::GiveBack => "give_back",
        }
    }

    pub(crate) fn from_name(name: &str) -> Option<Step> {
        Step::ALL.into_iter().find(|step| step.name() == name)
    }
}

impl Work {
    /// Whether something goes whose blocks others may inherit.
    pub(crate) const fn leaves_blocks(&self) -> bool {
        matches!(
            self,
            Work::DeleteSnapshots { .. } | Work::TerminateDisks { .. } | Work::DeleteDiskBackups { .. }
        )
    }

    /// What sort of job it is, in the journal and in logs.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Work::CreateDisks { .. } => "create_disks",
            Work::AttachDisks { .. } => "attach_disks",
            Work::DetachDisks { .. } => "detach_disks",
            Work::ResizeDisk { .. } => "resize_disk",
            Work::TerminateDisks { .. } => "terminate_disks",
            Work::InitializeDisks { .. } => "initialize_disks",
            Work::ChangeDiskType { .. } => "change_disk_type",
            Work::CreateSnapshot { .. } => "create_snapshot",
            Work::ApplySnapshot { .. } => "apply_snapshot",
            Work::DeleteSnapshots { .. } => "delete_snapshots",
            Work::CreateDiskBackup { .. } => "create_disk_backup",
            Work::ApplyDiskBackup { .. } => "apply_disk_backup",
            Work::DeleteDiskBackups { .. } => "delete_disk_backups",
            Work::ConvertDiskBackup { .. } => "convert_disk_backup",
            Work::CopySnapshot { .. } => "copy_snapshot",
            Work::CreateSnapshotGroup { .. } => "create_snapshot_group",
            Work::ApplySnapshotGroup { .. } => "apply_snapshot_group",
            Work::ApplyInstanceSnapshot { .. } => "apply_instance_snapshot",
        }
    }

    /// The way forward.
    pub(crate) const fn steps(&self) -> &'static [Step] {
        match self {
            Work::CreateDisks { .. } => &[Step::MakeVolumes, Step::Settle],
            Work::AttachDisks { .. } => &[Step::PublishExports, Step::Settle],
            Work::DetachDisks { .. } => &[Step::WithdrawExports, Step::Settle],
            Work::ResizeDisk { .. } => &[Step::ResizeVolume, Step::Settle],
            Work::TerminateDisks { .. } => {
                &[Step::WithdrawSnapshots, Step::DeleteSnapshots, Step::DeleteVolumes, Step::Settle]
            }
            Work::InitializeDisks { .. } => &[Step::ResetVolumes, Step::Settle],
            // All media of a region lie in one pool: no byte moves, only the record changes.
            Work::ChangeDiskType { .. } => &[Step::Settle],
            Work::CreateSnapshot { .. } | Work::CreateSnapshotGroup { .. } => {
                &[Step::TakeSnapshot, Step::PublishSnapshots, Step::Settle]
            }
            Work::ApplySnapshot { .. } | Work::ApplyDiskBackup { .. } | Work::ApplySnapshotGroup { .. } => {
                &[Step::RollBackVolume, Step::Settle]
            }
            Work::ApplyInstanceSnapshot { .. } => {
                &[Step::WithdrawExports, Step::RollBackVolume, Step::PublishExports, Step::Settle]
            }
            // Nobody opens a backup point, so it has no export.
            Work::CreateDiskBackup { .. } => &[Step::TakeSnapshot, Step::Settle],
            Work::DeleteDiskBackups { .. } => &[Step::DeleteSnapshots, Step::Settle],
            Work::ConvertDiskBackup { .. } => &[Step::RenameSnapshot, Step::PublishSnapshots, Step::Settle],
            Work::CopySnapshot { .. } => &[
                Step::PrepareCopy,
                Step::CopyBlocks,
                Step::VerifyCopy,
                Step::FreezeCopy,
                Step::PublishSnapshots,
                Step::Settle,
            ],
            Work::DeleteSnapshots { .. } => &[Step::WithdrawSnapshots, Step::DeleteSnapshots, Step::Settle],
        }
    }

    /// The way back.
    pub(crate) const fn undo_steps(&self) -> &'static [Step] {
        match self {
            Work::CreateDisks { .. } => &[Step::DeleteVolumes, Step::GiveBack],
            Work::AttachDisks { .. } => &[Step::WithdrawExports, Step::GiveBack],
            Work::DetachDisks { .. } | Work::ApplyInstanceSnapshot { .. } => {
                &[Step::PublishExports, Step::GiveBack]
            }
            // What was deleted stays deleted; what is left is shown again.
            Work::TerminateDisks { .. } | Work::DeleteSnapshots { .. } => {
                &[Step::PublishSnapshots, Step::GiveBack]
            }
            Work::CreateSnapshot { .. } | Work::CreateSnapshotGroup { .. } => {
                &[Step::WithdrawSnapshots, Step::DeleteSnapshots, Step::GiveBack]
            }
            Work::CreateDiskBackup { .. } => &[Step::DeleteSnapshots, Step::GiveBack],
            Work::ConvertDiskBackup { .. } => {
                &[Step::WithdrawSnapshots, Step::RenameSnapshotBack, Step::GiveBack]
            }
            Work::CopySnapshot { .. } => &[Step::WithdrawSnapshots, Step::DropCopy, Step::GiveBack],
            // A store's call has changed nothing when it fails.
            Work::ResizeDisk { .. }
            | Work::InitializeDisks { .. }
            | Work::ChangeDiskType { .. }
            | Work::ApplySnapshot { .. }
            | Work::ApplyDiskBackup { .. }
            | Work::DeleteDiskBackups { .. }
            | Work::ApplySnapshotGroup { .. } => &[Step::GiveBack],
        }
    }

    /// Whether the snapshots that it takes from their owner are kept in the recycle bin.
    pub(crate) const fn recycles(&self) -> bool {
        matches!(
            self,
            Work::TerminateDisks { recycle: true, .. } | Work::DeleteSnapshots { recycle: true, .. }
        )
    }

    /// The disks that the job works on.
    pub(crate) fn disks(&self) -> Vec<DiskId> {
        match self {
            Work::CreateDisks { disks, .. }
            | Work::AttachDisks { disks, .. }
            | Work::DetachDisks { disks, .. }
            | Work::TerminateDisks { disks, .. } => disks.clone(),
            Work::InitializeDisks { targets } => targets.iter().map(|target| target.disk).collect(),
            Work::ResizeDisk { disk, .. }
            | Work::ChangeDiskType { disk, .. }
            | Work::CreateSnapshot { disk, .. }
            | Work::ApplySnapshot { disk, .. }
            | Work::ApplyInstanceSnapshot { disk, .. }
            | Work::CreateDiskBackup { disk, .. }
            | Work::ApplyDiskBackup { disk, .. }
            | Work::ConvertDiskBackup { disk, .. } => vec![*disk],
            Work::CreateSnapshotGroup { members } | Work::ApplySnapshotGroup { members } => {
                members.iter().map(|member| member.disk).collect()
            }
            Work::DeleteSnapshots { .. } | Work::DeleteDiskBackups { .. } | Work::CopySnapshot { .. } => {
                Vec::new()
            }
        }
    }

    /// The snapshots that the job makes or deletes.
    pub(crate) fn snapshots(&self) -> Vec<SnapshotId> {
        match self {
            Work::TerminateDisks { snapshots, .. } | Work::DeleteSnapshots { snapshots, .. } => {
                snapshots.clone()
            }
            Work::CreateSnapshot { snapshot, .. }
            | Work::ConvertDiskBackup { snapshot, .. }
            | Work::CopySnapshot { snapshot, .. } => vec![*snapshot],
            Work::CreateSnapshotGroup { members } => members.iter().map(|member| member.snapshot).collect(),
            Work::CreateDisks { .. }
            | Work::AttachDisks { .. }
            | Work::DetachDisks { .. }
            | Work::ResizeDisk { .. }
            | Work::InitializeDisks { .. }
            | Work::ChangeDiskType { .. }
            | Work::ApplySnapshot { .. }
            | Work::ApplyInstanceSnapshot { .. }
            | Work::CreateDiskBackup { .. }
            | Work::ApplyDiskBackup { .. }
            | Work::DeleteDiskBackups { .. }
            | Work::ApplySnapshotGroup { .. } => Vec::new(),
        }
    }

    /// The backup points that the job makes or deletes.
    pub(crate) fn backups(&self) -> Vec<DiskBackupId> {
        match self {
            Work::TerminateDisks { backups, .. } | Work::DeleteDiskBackups { backups } => backups.clone(),
            Work::CreateDiskBackup { backup, .. } | Work::ConvertDiskBackup { backup, .. } => vec![*backup],
            Work::CreateDisks { .. }
            | Work::AttachDisks { .. }
            | Work::DetachDisks { .. }
            | Work::ResizeDisk { .. }
            | Work::InitializeDisks { .. }
            | Work::ChangeDiskType { .. }
            | Work::CreateSnapshot { .. }
            | Work::ApplySnapshot { .. }
            | Work::DeleteSnapshots { .. }
            | Work::ApplyDiskBackup { .. }
            | Work::CopySnapshot { .. }
            | Work::CreateSnapshotGroup { .. }
            | Work::ApplyInstanceSnapshot { .. }
            | Work::ApplySnapshotGroup { .. } => Vec::new(),
        }
    }
}

impl From<&VolumeError> for JobError {
    fn from(error: &VolumeError) -> Self {
        let kind = match error.kind() {
            ErrorKind::NoSpace => JobErrorKind::NoSpace,
            ErrorKind::InUse => JobErrorKind::InUse,
            ErrorKind::NotFound
            | ErrorKind::AlreadyExists
            | ErrorKind::InvalidArgument
            | ErrorKind::Latched
            | ErrorKind::Corrupt
            | ErrorKind::Io => JobErrorKind::StoreFailed,
        };
        Self { kind, detail: error.to_string() }
    }
}
