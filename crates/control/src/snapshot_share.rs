//! Sharing snapshots with other accounts.

use std::fmt;

use ashlar_db::{SnapshotShare, Tagged};
use ashlar_types::{AccountUin, DiskUsage, SnapshotId};

use crate::caller::Caller;
use crate::control::Control;
use crate::disk::state;
use crate::error::{ControlError, ParameterError, SnapshotError};
use crate::filter::check_ids;
use crate::snapshot;

/// Sharing a snapshot is forbidden, or forbids something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ShareError {
    /// It is shared with others, who rely on it.
    WithOthers(SnapshotId),
    /// It is another account's, shared with the caller, who may only make disks from it.
    OfOtherAccount(SnapshotId),
    /// There is no such account.
    UnknownAccount(String),
    /// It is the caller's own account.
    OwnAccount(AccountUin),
    /// It would be shared with more accounts than it may be.
    Quota {
        /// The snapshot.
        snapshot: SnapshotId,
        /// With how many accounts it may be shared.
        at_most: u64,
    },
}

impl fmt::Display for ShareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WithOthers(snapshot) => {
                write!(
                    f,
                    "The snapshot `{snapshot}` is shared with other accounts: cancel the sharing first."
                )
            }
            Self::OfOtherAccount(snapshot) => write!(
                f,
                "The snapshot `{snapshot}` is shared by another account: it can only be used to create disks."
            ),
            Self::UnknownAccount(account) => {
                write!(f, "The account `{account}` (`AccountIds`) does not exist.")
            }
            Self::OwnAccount(account) => write!(
                f,
                "The account `{account}` (`AccountIds`) is the owner of the snapshots: name other accounts."
            ),
            Self::Quota { snapshot, at_most } => {
                write!(f, "The snapshot `{snapshot}` can be shared with at most {at_most} accounts.")
            }
        }
    }
}

/// `Permission`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SharePermission {
    /// `SHARE`.
    Share,
    /// `CANCEL`.
    Cancel,
}

/// What ModifySnapshotsSharePermission asks for. Reference: `cbs/ModifySnapshotsSharePermission`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModifySnapshotsSharePermission {
    /// The snapshots.
    pub snapshots: Vec<SnapshotId>,
    /// The accounts, as the request names them.
    pub accounts: Vec<String>,
    /// What to do.
    pub permission: SharePermission,
}

impl Control {
    /// Shares snapshots with accounts, or ends that: all of it, or nothing. What is so already stays so.
    pub async fn modify_snapshots_share_permission(
        &self,
        caller: &Caller,
        wanted: ModifySnapshotsSharePermission,
    ) -> Result<(), ControlError> {
        check_ids("SnapshotIds", &wanted.snapshots, self.limits_of(caller.account).ids_per_call)?;
        check_ids("AccountIds", &wanted.accounts, self.limits_of(caller.account).ids_per_call)?;
        let mut tx = self.db.write().await?;
        let mut accounts = Vec::with_capacity(wanted.accounts.len());
        for text in &wanted.accounts {
            // Only as numbers are written: not with a sign or zeros before it.
            let number = text.parse().map(AccountUin).ok().filter(|number| number.to_string() == *text);
            let account = match number {
                Some(account) if tx.accounts().exists(account).await? => account,
                Some(_) | None => return Err(ShareError::UnknownAccount(text.clone()).into()),
            };
            if account == caller.account {
                return Err(ShareError::OwnAccount(account).into());
            }
            accounts.push(account);
        }
        for id in &wanted.snapshots {
            let snapshot = snapshot::find(&mut tx, caller, *id).await?;
            state::snapshot_ready(&snapshot)?;
            if snapshot.usage == DiskUsage::SystemDisk {
                let why = "only snapshots of data disks can be shared";
                return Err(SnapshotError::NotSupported { snapshot: *id, why }.into());
            }
            if snapshot.encrypt_type.is_some() {
                let why = "snapshots of encrypted disks cannot be shared";
                return Err(SnapshotError::NotSupported { snapshot: *id, why }.into());
            }
            for account in &accounts {
                match wanted.permission {
                    SharePermission::Share => tx.snapshot_shares().insert(*id, *account, self.now()).await?,
                    SharePermission::Cancel => tx.snapshot_shares().delete(*id, *account).await?,
                }
            }
            let at_most = self.limits_of(caller.account).shares_per_snapshot;
            if tx.snapshot_shares().of_snapshot(*id).await?.len() as u64 > at_most {
                // Nothing is committed.
                return Err(ShareError::Quota { snapshot: *id, at_most }.into());
            }
            let resource = Tagged::Snapshot(*id);
            self.log_operation(&mut tx, caller, resource, "ModifySnapshotsSharePermission", None).await?;
        }
        tx.commit().await?;
        if wanted.permission == SharePermission::Cancel {
            self.look_again_at_promises();
        }
        Ok(())
    }

    /// With whom the caller shares a snapshot, the oldest share first.
    pub async fn describe_snapshot_share_permission(
        &self,
        caller: &Caller,
        id: SnapshotId,
    ) -> Result<Vec<SnapshotShare>, ControlError> {
        let mut tx = self.db.read().await?;
        let found = tx.snapshots().find(caller.account, &caller.region, id).await?;
        // The page lists no code for a snapshot that is missing, so it is a wrong value.
        if found.is_none() {
            return Err(ParameterError::Invalid {
                parameter: "SnapshotId",
                value: id.to_string(),
                expected: "a snapshot of the account in this region".to_owned(),
            }
            .into());
        }
        Ok(tx.snapshot_shares().of_snapshot(id).await?)
    }
}
