//! What disks are paid for, and how: extra performance, backup points, charge types and renewals.

use ashlar_types::{DiskId, RenewFlag};

use super::disk::{DiskChargePrepaid, PERIOD_MONTHS};
use crate::error_code::ErrorCode::InvalidParameterValueLimitExceeded;
use crate::model::model;
use crate::schema::Rules;

/// Extra performance in MB/s. The configured disk types narrow it.
pub(super) const THROUGHPUT: Rules = Rules::NONE.range(0, u32::MAX as i64);

/// A quota of backup points. The configured limits narrow it.
pub(super) const BACKUP_QUOTA: Rules = Rules::NONE.range(0, u32::MAX as i64);

model! {
    /// Gives a disk extra performance. Reference: `cbs/ModifyDiskExtraPerformance`.
    pub struct ModifyDiskExtraPerformance("ModifyDiskExtraPerformanceRequest"): input {
        /// The disk.
        pub disk_id: DiskId = "DiskId",
        /// Extra performance in MB/s; 0 takes it away.
        pub throughput_performance: u64 = "ThroughputPerformance" => THROUGHPUT,
    }

    /// The answer of [`ModifyDiskExtraPerformance`].
    pub struct ModifyDiskExtraPerformanceResponse("ModifyDiskExtraPerformanceResponse"): output {
    }

    /// Says how many backup points a disk may have. Reference: `cbs/ModifyDiskBackupQuota`.
    pub struct ModifyDiskBackupQuota("ModifyDiskBackupQuotaRequest"): input {
        /// The disk.
        pub disk_id: DiskId = "DiskId",
        /// How many.
        pub disk_backup_quota: u64 = "DiskBackupQuota" => BACKUP_QUOTA,
    }

    /// The answer of [`ModifyDiskBackupQuota`].
    pub struct ModifyDiskBackupQuotaResponse("ModifyDiskBackupQuotaResponse"): output {
    }

    /// Changes how disks are paid for, all or none. Newer than the reference pages. One of `DiskChargePrepaid` and
    /// `DiskChargePostpaid` is needed.
    pub struct ModifyDisksChargeType("ModifyDisksChargeTypeRequest"): input {
        /// The disks; 1 to 100.
        pub disk_ids: Vec<DiskId> = "DiskIds" => Rules::NONE.count_max(100, InvalidParameterValueLimitExceeded),
        /// They are prepaid from now on, for this period.
        pub disk_charge_prepaid: Option<DiskChargePrepaid> = "DiskChargePrepaid",
        /// They are paid by the hour from now on.
        pub disk_charge_postpaid: Option<bool> = "DiskChargePostpaid",
    }

    /// The answer of [`ModifyDisksChargeType`].
    pub struct ModifyDisksChargeTypeResponse("ModifyDisksChargeTypeResponse"): output {
    }

    /// Says what happens at the deadline of prepaid disks, all or none. Newer than the reference pages.
    pub struct ModifyDisksRenewFlag("ModifyDisksRenewFlagRequest"): input {
        /// The disks; 1 to 100.
        pub disk_ids: Vec<DiskId> = "DiskIds" => Rules::NONE.count_max(100, InvalidParameterValueLimitExceeded),
        /// What happens.
        pub renew_flag: RenewFlag = "RenewFlag",
        /// For how many months they renew themselves. Default: as before.
        pub auto_renew_period: Option<u64> = "AutoRenewPeriod" => PERIOD_MONTHS,
    }

    /// The answer of [`ModifyDisksRenewFlag`].
    pub struct ModifyDisksRenewFlagResponse("ModifyDisksRenewFlagResponse"): output {
    }

    /// Makes the paid time of a prepaid disk longer. Newer than the reference pages.
    pub struct RenewDisk("RenewDiskRequest"): input {
        /// For how long.
        pub disk_charge_prepaid: DiskChargePrepaid = "DiskChargePrepaid",
        /// The disk.
        pub disk_id: DiskId = "DiskId",
    }

    /// The answer of [`RenewDisk`].
    pub struct RenewDiskResponse("RenewDiskResponse"): output {
    }
}
