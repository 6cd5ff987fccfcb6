//! Sharing snapshots with other accounts.

use ashlar_types::SnapshotId;

use super::choice::SharePermissionOperation;
use crate::model::model;
use crate::time::DateTime;

model! {
    /// Shares snapshots with accounts, or ends that. Reference: `cbs/ModifySnapshotsSharePermission`.
    pub struct ModifySnapshotsSharePermission("ModifySnapshotsSharePermissionRequest"): input {
        /// The accounts, by their number (Uin); a snapshot can be shared with 50.
        pub account_ids: Vec<String> = "AccountIds",
        /// What to do.
        pub permission: SharePermissionOperation = "Permission",
        /// Snapshots of data disks.
        pub snapshot_ids: Vec<SnapshotId> = "SnapshotIds",
    }

    /// The answer of [`ModifySnapshotsSharePermission`].
    pub struct ModifySnapshotsSharePermissionResponse("ModifySnapshotsSharePermissionResponse"): output {
    }

    /// Lists the accounts that a snapshot is shared with. Reference: `cbs/DescribeSnapshotSharePermission`.
    pub struct DescribeSnapshotSharePermission("DescribeSnapshotSharePermissionRequest"): input {
        /// The snapshot.
        pub snapshot_id: SnapshotId = "SnapshotId",
    }

    /// The answer of [`DescribeSnapshotSharePermission`].
    pub struct DescribeSnapshotSharePermissionResponse("DescribeSnapshotSharePermissionResponse"): output {
        /// One entry an account, the oldest share first.
        pub share_permission_set: Vec<SharePermission> = "SharePermissionSet",
    }

    /// An account that a snapshot is shared with. Reference: `cbs/data-types`, `SharePermission`.
    pub struct SharePermission("SharePermission"): output {
        /// Since when.
        pub created_time: DateTime = "CreatedTime",
        /// The account.
        pub account_id: String = "AccountId",
    }
}
