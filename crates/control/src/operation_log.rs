//! The log of operations, as two retired actions show it. Operators need it; a setting turns it off.

use ashlar_db::{LoggedOperation, OperationQuery, Tagged};
use ashlar_types::{SnapshotPolicyId, UnixMillis};

use crate::caller::Caller;
use crate::control::Control;
use crate::error::{ControlError, ParameterError};
use crate::filter::{Filter, at_most, invalid, page, resources_of};
use crate::wire_time::parse_plain;

/// Ids of one call. Source: the retired actions' own description.
const IDS_MAX: u64 = 10;

/// What is shown of the log of disks: each action and the word that stands for it. Where the reference has no
/// word, it is formed like its own.
const DISK_OPERATIONS: &[(&str, &str)] = &[
    ("AttachDisks", "CBS_OPERATION_ATTACH"),
    ("DetachDisks", "CBS_OPERATION_DETACH"),
    ("RenewDisk", "CBS_OPERATION_RENEW"),
    ("ResizeDisk", "CBS_OPERATION_EXPAND"),
    ("CreateDisks", "CBS_OPERATION_CREATE"),
    ("TerminateDisks", "CBS_OPERATION_ISOLATE"),
    ("ModifyDiskAttributes", "CBS_OPERATION_MODIFY"),
    ("ModifyDiskExtraPerformance", "CBS_OPERATION_MODIFY"),
    ("ModifyDiskBackupQuota", "CBS_OPERATION_MODIFY"),
    ("ModifyDisksChargeType", "CBS_OPERATION_MODIFY"),
    ("ModifyDisksRenewFlag", "CBS_OPERATION_MODIFY"),
    ("BindAutoSnapshotPolicy", "ASP_OPERATION_BIND"),
    ("UnbindAutoSnapshotPolicy", "ASP_OPERATION_UNBIND"),
    ("InitializeDisks", "CBS_OPERATION_INITIALIZE"),
    ("ApplySnapshot", "CBS_OPERATION_ROLLBACK"),
    ("ApplySnapshotGroup", "CBS_OPERATION_ROLLBACK"),
    ("ApplyDiskBackup", "CBS_OPERATION_ROLLBACK"),
    ("CreateSnapshot", "CBS_OPERATION_SNAPSHOT"),
    ("CreateSnapshotGroup", "CBS_OPERATION_SNAPSHOT"),
    ("CreateDiskBackup", "CBS_OPERATION_BACKUP"),
];

/// The same of the log of snapshots.
const SNAPSHOT_OPERATIONS: &[(&str, &str)] = &[
    ("DeleteSnapshots", "SNAP_OPERATION_DELETE"),
    ("DeleteSnapshotGroup", "SNAP_OPERATION_DELETE"),
    ("ApplySnapshot", "SNAP_OPERATION_ROLLBACK"),
    ("ApplySnapshotGroup", "SNAP_OPERATION_ROLLBACK"),
    ("ModifySnapshotAttribute", "SNAP_OPERATION_MODIFY"),
    ("ModifySnapshotsSharePermission", "SNAP_OPERATION_MODIFY"),
    ("CreateSnapshot", "SNAP_OPERATION_CREATE"),
    ("CreateSnapshotGroup", "SNAP_OPERATION_CREATE"),
    ("CopySnapshotCrossRegions", "SNAP_OPERATION_COPY"),
];

/// The words for what policies do to snapshots by themselves.
const POLICY_OPERATIONS: &[(&str, &str)] =
    &[("CreateSnapshot", "ASP_OPERATION_CREATE_SNAP"), ("DeleteSnapshots", "ASP_OPERATION_DELETE_SNAP")];

/// What the two actions ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DescribeOperationLogs {
    /// One filter, which names the resources.
    pub filters: Vec<Filter>,
    /// Begun at this time or later, `YYYY-MM-DD HH:MM:SS`.
    pub begin: Option<String>,
    /// Begun at this time or before, `YYYY-MM-DD HH:MM:SS`.
    pub end: Option<String>,
    /// How many to leave out. Default: 0.
    pub offset: Option<u64>,
    /// How many to show, 1 to 100. Default: 100.
    pub limit: Option<u64>,
}

/// An entry with the word that the reference has for its operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationLog {
    /// The entry itself.
    pub entry: LoggedOperation,
    /// The word.
    pub word: &'static str,
}

/// The operator has turned the log off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActionOffline;

impl std::fmt::Display for ActionOffline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("This action is offline: the operator of the service has turned it off.")
    }
}

impl Control {
    /// What was done to disks, newest first. Disks that are gone keep their entries.
    pub async fn describe_disk_operation_logs(
        &self,
        caller: &Caller,
        wanted: DescribeOperationLogs,
    ) -> Result<Vec<OperationLog>, ControlError> {
        let disks = self.logged(caller, &wanted, "disk-id", Tagged::Disk)?;
        self.operation_logs(caller, wanted, disks, DISK_OPERATIONS).await
    }

    /// What was done to snapshots, newest first. Snapshots that are gone keep their entries.
    pub async fn describe_snapshot_operation_logs(
        &self,
        caller: &Caller,
        wanted: DescribeOperationLogs,
    ) -> Result<Vec<OperationLog>, ControlError> {
        let snapshots = self.logged(caller, &wanted, "snapshot-id", Tagged::Snapshot)?;
        self.operation_logs(caller, wanted, snapshots, SNAPSHOT_OPERATIONS).await
    }

    /// The resources whose entries are asked for.
    fn logged<T: std::str::FromStr>(
        &self,
        caller: &Caller,
        wanted: &DescribeOperationLogs,
        filter: &'static str,
        resource: fn(T) -> Tagged,
    ) -> Result<Vec<Tagged>, ControlError> {
        if !self.settings.operation_logs {
            return Err(ControlError::Offline(ActionOffline));
        }
        let ids = resources_of(&wanted.filters, filter, &self.limits_of(caller.account))?;
        at_most("Filters.Values", ids.len(), IDS_MAX)?;
        Ok(ids.into_iter().map(resource).collect())
    }

    async fn operation_logs(
        &self,
        caller: &Caller,
        wanted: DescribeOperationLogs,
        resources: Vec<Tagged>,
        words: &'static [(&'static str, &'static str)],
    ) -> Result<Vec<OperationLog>, ControlError> {
        let query = OperationQuery {
            account: caller.account,
            resources,
            operations: words.iter().map(|(operation, _)| (*operation).to_owned()).collect(),
            from: wanted.begin.as_deref().map(|text| time("BeginTime", text)).transpose()?,
            // Entries carry milliseconds; the second that is named belongs to the range as a whole.
            to: wanted
                .end
                .as_deref()
                .map(|text| time("EndTime", text))
                .transpose()?
                .map(|end| end.plus_ms(999)),
            page: page(
                wanted.offset,
                wanted.limit.or(Some(self.limits_of(caller.account).describe_max)),
                &self.limits_of(caller.account),
            )?,
        };
        let is_of_snapshots = matches!(query.resources.first(), Some(Tagged::Snapshot(_)));
        let listed = self.db.read().await?.operations().list(&query).await?;
        let worded = |entry: LoggedOperation| {
            let is_by_policy = entry.request_id.parse::<SnapshotPolicyId>().is_ok();
            let by_policy = POLICY_OPERATIONS.iter().filter(|_| is_by_policy && is_of_snapshots);
            let found = by_policy.chain(words).find(|(operation, _)| *operation == entry.operation);
            found.map(|(_, word)| OperationLog { entry, word })
        };
        Ok(listed.items.into_iter().filter_map(worded).collect())
    }
}

fn time(parameter: &'static str, text: &str) -> Result<UnixMillis, ParameterError> {
    parse_plain(text).ok_or_else(|| invalid(parameter, text, "YYYY-MM-DD HH:MM:SS"))
}
