//! What a snapshot can be. Names and meanings: reference `cbs/data-types`, `Snapshot`.

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
