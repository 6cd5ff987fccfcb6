//! What a snapshot, a backup point and a group of snapshots can be. Names and meanings: reference
//! `cbs/data-types`, `Snapshot` and `DiskBackup`.

use crate::wire_enum::wire_enum;

wire_enum! {
    /// Where a snapshot is in its life, as `Snapshot.SnapshotState` shows it.
    pub enum SnapshotState {
        /// Ready.
        Normal = "NORMAL",
        /// Being taken.
        Creating = "CREATING",
        /// Being rolled back onto its disk.
        Rollbacking = "ROLLBACKING",
        /// Being copied from another region.
        CopyingFromRemote = "COPYING_FROM_REMOTE",
        /// Copied, being verified.
        CheckingCopied = "CHECKING_COPIED",
        /// Isolated: kept for the recycle period.
        ToRecycle = "TORECYCLE",
    }
}

wire_enum! {
    /// Whether other accounts may use a snapshot.
    pub enum SnapshotType {
        /// The owner alone.
        Private = "PRIVATE_SNAPSHOT",
        /// Shared with other accounts.
        Shared = "SHARED_SNAPSHOT",
    }
}

wire_enum! {
    /// Where a backup point is in its life, as `DiskBackup.DiskBackupState` shows it.
    pub enum DiskBackupState {
        /// Ready.
        Normal = "NORMAL",
        /// Being made.
        Creating = "CREATING",
        /// Being rolled back onto its disk.
        Rollbacking = "ROLLBACKING",
    }
}

wire_enum! {
    /// Where a group of snapshots is in its life, as `SnapshotGroup.SnapshotGroupState` shows it.
    pub enum SnapshotGroupState {
        /// Ready.
        Normal = "NORMAL",
        /// Being taken.
        Creating = "CREATING",
        /// Being rolled back onto its disks.
        Rollbacking = "ROLLBACKING",
    }
}
