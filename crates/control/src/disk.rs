//! Disks: what calls ask for and what they see. The rules are in the files beneath: `state` (the life of a disk
//! as pure functions), `create`, `list`, `modify`, `performance`, `pay`, `attach`, `auto_mount`, `terminate`, `show`.

mod attach;
mod auto_mount;
mod cache;
mod create;
mod encryption;
mod expire;
mod list;
mod modify;
mod pay;
mod performance;
mod show;
pub(crate) mod state;
pub(crate) mod system;
mod terminate;

use ashlar_db::{Disk, EncryptType, LatestOperation, Tag, Transaction};
use ashlar_types::{
    DiskBackupState, DiskChargeType, DiskId, DiskType, InstanceId, ProjectId, RenewFlag, SnapshotId,
    SnapshotPolicyId, SnapshotState, UnixMillis, Zone,
};

pub use auto_mount::AutoMountConfiguration;
pub(crate) use cache::DiskLists;
pub(crate) use create::check_size_of_type;
pub use pay::{ModifyDisksChargeType, ModifyDisksRenewFlag};
pub(crate) use pay::{check_not_recycled, check_payment, check_still_paid, prepaid_deadline, renewable};
pub(crate) use performance::{check_backup_quota, check_count, check_extra, check_extra_of_disk};
pub use show::DiskReport;
pub(crate) use state::is_exported;

use crate::caller::Caller;
use crate::disk_backup::DiskBackupError;
use crate::error::{ControlError, DiskError};
use crate::filter::Filter;

/// Where a new disk shall be. Reference: `cbs/data-types`, `Placement`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The zone.
    pub zone: Zone,
    /// The project; the default one is 0.
    pub project: Option<ProjectId>,
    /// Refused unless empty: there are no cages.
    pub cage_id: Option<String>,
    /// Refused unless empty: there are no dedicated clusters.
    pub cdc_id: Option<String>,
    /// Refused unless empty: there are no dedicated clusters.
    pub dedicated_cluster_id: Option<String>,
}

/// How a prepaid disk is paid. Reference: `cbs/data-types`, `DiskChargePrepaid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskChargePrepaid {
    /// Months: 1 to 12, 24 or 36.
    pub period_months: u64,
    /// What happens at the end. Default: NOTIFY_AND_MANUAL_RENEW.
    pub renew_flag: Option<RenewFlag>,
    /// When the instance's paid time ends; then the period is the instance's, and the disk's time ends with it.
    pub cur_instance_deadline: Option<UnixMillis>,
}

/// What CreateDisks asks for. Reference: `cbs/CreateDisks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateDisks {
    /// Where.
    pub placement: Placement,
    /// How it is paid.
    pub charge_type: DiskChargeType,
    /// The medium.
    pub disk_type: DiskType,
    /// The name, at most 60 bytes. Default: "Unnamed". Several disks of one call share it.
    pub name: Option<String>,
    /// Tags for each of the disks.
    pub tags: Vec<Tag>,
    /// The snapshot whose content the disks begin with.
    pub snapshot: Option<SnapshotId>,
    /// How many. Default: 1.
    pub count: Option<u64>,
    /// Throughput beyond the baseline in MiB/s; enhanced types only.
    pub throughput_performance_mib: Option<u64>,
    /// The size in GiB; with a snapshot, its size by default.
    pub size_gib: Option<u64>,
    /// Whether several machines may have each disk at once. Such disks are not encrypted, have no snapshots and cannot be
    /// initialized. Default: no.
    pub shareable: Option<bool>,
    /// At most 64 ASCII characters; the same call again gives the same disks.
    pub client_token: Option<String>,
    /// Whether the disks are encrypted. Default: as the snapshot, else no. Excludes `shareable` and `auto_mount`.
    pub encrypt: Option<bool>,
    /// The name of the key that encrypts them, as disks show it. There is one. Needs `encrypt`.
    pub kms_key_id: Option<String>,
    /// The generation of the encryption. Default: as the snapshot, else the second. Both are AES-256-XTS here; which one was
    /// wanted is kept and shown. For encrypted disks only.
    pub encrypt_type: Option<EncryptType>,
    /// For prepaid disks, and only for them.
    pub prepaid: Option<DiskChargePrepaid>,
    /// Whether the disk's snapshots go with it. Default: no.
    pub delete_snapshot: Option<bool>,
    /// Where to attach and mount the disks; kept, and not carried out yet.
    pub auto_mount: Option<AutoMountConfiguration>,
    /// How many backup points each disk may have.
    pub backup_quota: Option<u64>,
    /// Whether it may go beyond its baseline.
    pub burst_performance: Option<bool>,
    /// The scheduled snapshot policy that each disk is bound to.
    pub policy: Option<SnapshotPolicyId>,
}

/// What DescribeDisks asks for. Reference: `cbs/DescribeDisks`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DescribeDisks {
    /// These disks; excludes filters.
    pub disks: Vec<DiskId>,
    /// Disks that meet all of these.
    pub filters: Vec<Filter>,
    /// How many to leave out. Default: 0.
    pub offset: Option<u64>,
    /// How many to show, 1 to 100. Default: 20.
    pub limit: Option<u64>,
    /// ASC or DESC. Default: DESC.
    pub order: Option<String>,
    /// CREATE_TIME or DEADLINE. Default: CREATE_TIME.
    pub order_field: Option<String>,
    /// Whether the policies bound to a disk are asked for.
    pub return_bind_auto_snapshot_policy: Option<bool>,
}

/// Why a disk cannot be given back against money. Reference: `cbs/data-types`, `Disk.ReturnFailCode`, and the
/// recorded value for postpaid disks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReturnFail {
    /// It can.
    Returnable,
    /// It was given back already.
    AlreadyReturned,
    /// Its paid time is over.
    Expired,
    /// Nothing was paid in advance.
    NotPrepaid,
}

impl ReturnFail {
    /// The number on the wire.
    #[must_use]
    pub const fn code(self) -> u64 {
        match self {
            ReturnFail::Returnable => 0,
            ReturnFail::AlreadyReturned => 1,
            ReturnFail::Expired => 2,
            ReturnFail::NotPrepaid => 10,
        }
    }
}

/// A disk as DescribeDisks shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskView {
    /// The disk itself.
    pub disk: Disk,
    /// The name of its project.
    pub project_name: String,
    /// Its tags, by key.
    pub tags: Vec<Tag>,
    /// How many snapshots there are of it.
    pub snapshot_count: u64,
    /// How many bytes its snapshots hold together (the wire shows MiB).
    pub snapshot_bytes: u64,
    /// How many backup points there are of it.
    pub backup_count: u64,
    /// What was done to it last.
    pub latest_operation: Option<LatestOperation>,
    /// Whole days until its paid time ends, negative afterwards; prepaid disks only.
    pub days_to_deadline: Option<i64>,
    /// The name of the key that it is encrypted with, if it is.
    pub encryption_key: Option<String>,
    /// Why it cannot be given back against money.
    pub return_fail: ReturnFail,
    /// Whether a last snapshot is taken before it is deleted because its paid time is over.
    pub backup_disk: bool,
    /// The policies bound to it, if they were asked for.
    pub snapshot_policies: Option<Vec<SnapshotPolicyId>>,
}

/// What ModifyDiskAttributes asks for. Reference: `cbs/ModifyDiskAttributes`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModifyDiskAttributes {
    /// The disks.
    pub disks: Vec<DiskId>,
    /// A new name.
    pub name: Option<String>,
    /// Only true changes anything: an elastic disk stays one.
    pub portable: Option<bool>,
    /// Another project; elastic disks only.
    pub project: Option<ProjectId>,
    /// Whether it goes when its machine goes; postpaid data disks only.
    pub delete_with_instance: Option<bool>,
    /// Another medium; alone, and for one disk.
    pub disk_type: Option<DiskType>,
    /// Whether it may go beyond its baseline.
    pub burst_performance: Option<BurstPerformanceOperation>,
}

/// `BurstPerformanceOperation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BurstPerformanceOperation {
    /// `CREATE`.
    Create,
    /// `CANCEL`.
    Cancel,
}

impl std::str::FromStr for BurstPerformanceOperation {
    type Err = crate::error::ParameterError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "CREATE" => Ok(Self::Create),
            "CANCEL" => Ok(Self::Cancel),
            other => Err(crate::filter::invalid("BurstPerformanceOperation", other, "CREATE or CANCEL")),
        }
    }
}

/// What AttachDisks asks for. Reference: `cbs/AttachDisks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttachDisks {
    /// The instance.
    pub instance: InstanceId,
    /// The disks, at most 10.
    pub disks: Vec<DiskId>,
    /// Whether they go when the instance goes.
    pub delete_with_instance: Option<bool>,
    /// PF or VF: refused, it is for bare-metal machines.
    pub attach_mode: Option<String>,
}

/// What DetachDisks asks for. Reference: `cbs/DetachDisks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DetachDisks {
    /// The disks, at most 10, all of one instance.
    pub disks: Vec<DiskId>,
    /// The instance to take them out of: needed where a shareable disk is in several, and checked otherwise.
    pub instance: Option<InstanceId>,
}

/// What TerminateDisks asks for. Reference: `cbs/TerminateDisks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminateDisks {
    /// The disks, at most 50.
    pub disks: Vec<DiskId>,
    /// Whether their snapshots go too, unless they are kept for ever. Default: what each disk says.
    pub delete_snapshot: Option<bool>,
}

/// What a disk or snapshot is called when nobody says.
const UNNAMED: &str = "Unnamed";

/// The name that an empty one stands for.
pub(crate) fn named(name: String) -> String {
    if name.is_empty() { UNNAMED.to_owned() } else { name }
}

/// Finds all of these disks, or refuses for the first that is missing.
pub(crate) async fn find_all(
    tx: &mut Transaction,
    caller: &Caller,
    ids: &[DiskId],
) -> Result<Vec<Disk>, ControlError> {
    let mut disks = Vec::with_capacity(ids.len());
    for id in ids {
        disks.push(find(tx, caller, *id).await?);
    }
    Ok(disks)
}

/// Finds a disk, or refuses.
pub(crate) async fn find(tx: &mut Transaction, caller: &Caller, id: DiskId) -> Result<Disk, ControlError> {
    let found = tx.disks().find(caller.account, &caller.region, id).await?;
    found.ok_or_else(|| DiskError::NotFound(id).into())
}

/// Makes the refusal of a busy disk more telling when it is a snapshot that keeps it busy.
pub(crate) async fn told_apart(tx: &mut Transaction, error: DiskError) -> Result<ControlError, ControlError> {
    let DiskError::Busy { disk, .. } = error else { return Ok(error.into()) };
    let snapshots = tx.snapshots().of_disk(disk).await?;
    let creating = snapshots.iter().any(|snapshot| snapshot.state == SnapshotState::Creating);
    Ok(state::as_snapshot_creating(error, creating).into())
}

/// The same for a call whose page has a word for a backup point that keeps the disk busy.
pub(crate) async fn told_backup_apart(
    tx: &mut Transaction,
    error: DiskError,
) -> Result<ControlError, ControlError> {
    if let DiskError::Busy { disk, .. } = error {
        let backups = tx.disk_backups().of_disk(disk).await?;
        if let Some(backup) = backups.iter().find(|backup| backup.state == DiskBackupState::Creating) {
            return Ok(DiskBackupError::Creating(backup.id).into());
        }
    }
    told_apart(tx, error).await
}
