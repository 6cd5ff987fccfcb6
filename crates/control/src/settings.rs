//! What an operator can set. The defaults are those of the reference page `disk-types`.

mod billing;
mod schedule;
mod snapshots;

use ashlar_types::DiskType;
use serde::Deserialize;

use crate::price::PriceBook;
pub use billing::BillingSettings;
pub use schedule::ScheduleSettings;
pub use snapshots::SnapshotSettings;

/// Everything that can be set for the rules.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Numbers that calls may not exceed.
    pub limits: Limits,
    /// What disks can be had.
    pub disk_types: DiskTypeTable,
    /// How scheduled snapshots are taken.
    pub schedule: ScheduleSettings,
    /// What becomes of disks whose paid time is over, and how use is charged.
    pub billing: BillingSettings,
    /// What becomes of deleted snapshots.
    pub snapshots: SnapshotSettings,
    /// What disks cost.
    pub prices: PriceBook,
    /// Whether disks are no faster than their type promises.
    pub enforce_performance: bool,
    /// Whether the log of operations can be read. The service itself has retired that.
    pub operation_logs: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            snapshots: SnapshotSettings::default(),
            limits: Limits::default(),
            disk_types: DiskTypeTable::default(),
            schedule: ScheduleSettings::default(),
            billing: BillingSettings::default(),
            prices: PriceBook::default(),
            enforce_performance: false,
            operation_logs: true,
        }
    }
}

/// Numbers that calls may not exceed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Snapshots of one disk.
    pub snapshots_per_disk: u64,
    /// Accounts that a snapshot can be shared with.
    pub shares_per_snapshot: u64,
    /// Disks of one instance.
    pub disks_per_instance: u64,
    /// Instances that one shareable disk can be in at once.
    pub instances_per_disk: u64,
    /// Disks of one AttachDisks or DetachDisks call.
    pub disks_per_attach: u64,
    /// Disks of one TerminateDisks call.
    pub disks_per_terminate: u64,
    /// Disks of one InitializeDisks call.
    pub disks_per_initialize: u64,
    /// Disks of one CreateDisks call.
    pub disks_per_create: u64,
    /// Ids of any other call that takes a list of them.
    pub ids_per_call: u64,
    /// Filters of one describe call, and values of one filter.
    pub filters_per_call: u64,
    /// Values of one filter.
    pub values_per_filter: u64,
    /// Scheduled snapshot policies of one account in one region.
    pub snapshot_policies_per_region: u64,
    /// Images of one account in one region.
    pub images_per_region: u64,
    /// Rules of one scheduled snapshot policy.
    pub rules_per_policy: u64,
    /// Disks, and instances, that one policy is bound to.
    pub disks_per_policy: u64,
    /// Disks of one BindAutoSnapshotPolicy or UnbindAutoSnapshotPolicy call.
    pub disks_per_bind: u64,
    /// Backup points that a disk may be given.
    pub backup_quota_max: u64,
    /// The longest name of a disk or snapshot, in bytes.
    pub name_bytes: u64,
    /// The longest client token, in ASCII characters.
    pub client_token_bytes: u64,
    /// Entries of a describe call that names no limit.
    pub describe_default: u64,
    /// Entries of a describe call at most.
    pub describe_max: u64,
    /// Tags of one resource.
    pub tags_per_resource: u64,
    /// The longest key of a tag, in characters.
    pub tag_key_chars: u64,
    /// The longest value of a tag, in characters.
    pub tag_value_chars: u64,
    /// Snapshot bytes that cost nothing, in GiB.
    pub free_snapshot_gib: u64,
    /// How many GiB of blocks a pool should hold at most; 0: as many as its file system. Writes to existing disks go on
    /// beyond it.
    pub pool_limit_gib: u64,
    /// How full a pool is when the operator is warned, in percent of its file system or of `pool_limit_gib`.
    pub pool_warning_percent: u64,
    /// How full a pool is when no disks are made in it any more, in percent.
    pub pool_full_percent: u64,
    /// How long an idle disk saves credit for bursts above its baseline, in seconds.
    pub burst_credit_seconds: u64,
    /// How long a call waits for its own work before it answers, in milliseconds.
    pub answer_wait_ms: u64,
    /// How long a detach waits for machines to let go of the disk, in milliseconds.
    pub withdraw_wait_ms: u64,
    /// How many jobs may touch the stores at the same time.
    pub jobs_at_once: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            snapshots_per_disk: 64,
            shares_per_snapshot: 50,
            disks_per_instance: 20,
            instances_per_disk: 16,
            disks_per_attach: 10,
            disks_per_terminate: 50,
            disks_per_initialize: 20,
            disks_per_create: 200,
            ids_per_call: 100,
            filters_per_call: 10,
            values_per_filter: 100,
            snapshot_policies_per_region: 10,
            images_per_region: 500,
            rules_per_policy: 10,
            disks_per_policy: 200,
            disks_per_bind: 80,
            backup_quota_max: 500,
            name_bytes: 60,
            client_token_bytes: 64,
            describe_default: 20,
            describe_max: 100,
            tags_per_resource: 50,
            tag_key_chars: 127,
            tag_value_chars: 255,
            free_snapshot_gib: 80,
            burst_credit_seconds: 1_800,
            answer_wait_ms: 20_000,
            withdraw_wait_ms: 5_000,
            jobs_at_once: 4,
            pool_limit_gib: 0,
            pool_warning_percent: 80,
            pool_full_percent: 95,
        }
    }
}

/// What one type of disk can be.
#[derive(Debug, Clone, PartialEq)]
pub struct DiskTypeSettings {
    /// Whether new disks of it can be had.
    pub available: bool,
    /// The smallest size in GiB.
    pub min_gib: u64,
    /// The largest size in GiB.
    pub max_gib: u64,
    /// Sizes are multiples of this many GiB.
    pub step_gib: u64,
    /// The smallest size that extra performance can be had with, in GiB; none if it cannot be had at all.
    pub extra_performance_above_gib: Option<u64>,
    /// The most extra throughput, in MiB/s.
    pub extra_performance_max_mib: u64,
    /// Requests a second of a disk of no size.
    pub iops_base: u64,
    /// Requests a second for each GiB.
    pub iops_per_gib: u64,
    /// Requests a second at most, without extra performance.
    pub iops_max: u64,
    /// Requests a second with the most extra performance; less of it gives its share.
    pub extra_iops_max: u64,
    /// MiB/s of a disk of no size.
    pub throughput_base_mib: u64,
    /// MiB/s for each 100 GiB.
    pub throughput_per_100_gib_mib: u64,
    /// MiB/s at most, without extra performance.
    pub throughput_max_mib: u64,
}

impl Default for DiskTypeSettings {
    fn default() -> Self {
        Self {
            available: true,
            min_gib: 20,
            max_gib: 32_000,
            step_gib: 1,
            extra_performance_above_gib: None,
            extra_performance_max_mib: 0,
            iops_base: 1_800,
            iops_per_gib: 30,
            iops_max: 26_000,
            extra_iops_max: 0,
            throughput_base_mib: 120,
            throughput_per_100_gib_mib: 20,
            throughput_max_mib: 260,
        }
    }
}

impl DiskTypeSettings {
    /// The same with this performance: requests and MiB a second, each from a base by a slope to a maximum.
    const fn with_speed(mut self, iops: [u64; 3], mib: [u64; 3]) -> Self {
        [self.iops_base, self.iops_per_gib, self.iops_max] = iops;
        [self.throughput_base_mib, self.throughput_per_100_gib_mib, self.throughput_max_mib] = mib;
        self
    }
}

/// What every type of disk can be. In a file, a key that is left out keeps the default of its type.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "TableOverlay")]
pub struct DiskTypeTable {
    /// HDD.
    pub cloud_basic: DiskTypeSettings,
    /// Premium.
    pub cloud_premium: DiskTypeSettings,
    /// Balanced SSD.
    pub cloud_bssd: DiskTypeSettings,
    /// SSD.
    pub cloud_ssd: DiskTypeSettings,
    /// Enhanced SSD.
    pub cloud_hssd: DiskTypeSettings,
    /// ulTra SSD.
    pub cloud_tssd: DiskTypeSettings,
}

impl Default for DiskTypeTable {
    fn default() -> Self {
        let plain = DiskTypeSettings::default;
        let extra = |max_mib, extra_iops_max| DiskTypeSettings {
            extra_performance_above_gib: Some(460),
            extra_performance_max_mib: max_mib,
            extra_iops_max,
            ..plain()
        };
        Self {
            cloud_basic: DiskTypeSettings { min_gib: 10, max_gib: 16_000, ..plain() }
                .with_speed([100, 2, 1_000], [40, 10, 100]),
            cloud_premium: DiskTypeSettings { min_gib: 10, ..plain() }
                .with_speed([1_800, 8, 6_000], [100, 15, 150]),
            cloud_bssd: plain().with_speed([1_800, 15, 10_000], [100, 15, 190]),
            cloud_ssd: plain(),
            // The maxima of `disk-types` less the largest baseline of 350 MiB/s.
            cloud_hssd: extra(650, 100_000).with_speed([1_800, 50, 50_000], [120, 50, 350]),
            cloud_tssd: extra(3_650, 1_100_000).with_speed([4_000, 100, 50_000], [120, 50, 350]),
        }
    }
}

impl DiskTypeTable {
    /// What this type can be.
    #[must_use]
    pub const fn of(&self, disk_type: DiskType) -> &DiskTypeSettings {
        match disk_type {
            DiskType::CloudBasic => &self.cloud_basic,
            DiskType::CloudPremium => &self.cloud_premium,
            DiskType::CloudBssd => &self.cloud_bssd,
            DiskType::CloudSsd => &self.cloud_ssd,
            DiskType::CloudHssd => &self.cloud_hssd,
            DiskType::CloudTssd => &self.cloud_tssd,
        }
    }
}

/// One type of disk as a file says it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct TypeOverlay {
    available: Option<bool>,
    min_gib: Option<u64>,
    max_gib: Option<u64>,
    step_gib: Option<u64>,
    extra_performance_above_gib: Option<u64>,
    extra_performance_max_mib: Option<u64>,
    iops_base: Option<u64>,
    iops_per_gib: Option<u64>,
    iops_max: Option<u64>,
    extra_iops_max: Option<u64>,
    throughput_base_mib: Option<u64>,
    throughput_per_100_gib_mib: Option<u64>,
    throughput_max_mib: Option<u64>,
}

impl TypeOverlay {
    fn over(self, under: DiskTypeSettings) -> DiskTypeSettings {
        DiskTypeSettings {
            available: self.available.unwrap_or(under.available),
            min_gib: self.min_gib.unwrap_or(under.min_gib),
            max_gib: self.max_gib.unwrap_or(under.max_gib),
            step_gib: self.step_gib.unwrap_or(under.step_gib),
            extra_performance_above_gib: self
                .extra_performance_above_gib
                .or(under.extra_performance_above_gib),
            extra_performance_max_mib: self
                .extra_performance_max_mib
                .unwrap_or(under.extra_performance_max_mib),
            iops_base: self.iops_base.unwrap_or(under.iops_base),
            iops_per_gib: self.iops_per_gib.unwrap_or(under.iops_per_gib),
            iops_max: self.iops_max.unwrap_or(under.iops_max),
            extra_iops_max: self.extra_iops_max.unwrap_or(under.extra_iops_max),
            throughput_base_mib: self.throughput_base_mib.unwrap_or(under.throughput_base_mib),
            throughput_per_100_gib_mib: self
                .throughput_per_100_gib_mib
                .unwrap_or(under.throughput_per_100_gib_mib),
            throughput_max_mib: self.throughput_max_mib.unwrap_or(under.throughput_max_mib),
        }
    }
}

/// The table as a file says it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "SCREAMING_SNAKE_CASE")]
struct TableOverlay {
    cloud_basic: TypeOverlay,
    cloud_premium: TypeOverlay,
    cloud_bssd: TypeOverlay,
    cloud_ssd: TypeOverlay,
    cloud_hssd: TypeOverlay,
    cloud_tssd: TypeOverlay,
}

impl From<TableOverlay> for DiskTypeTable {
    fn from(overlay: TableOverlay) -> Self {
        let under = Self::default();
        Self {
            cloud_basic: overlay.cloud_basic.over(under.cloud_basic),
            cloud_premium: overlay.cloud_premium.over(under.cloud_premium),
            cloud_bssd: overlay.cloud_bssd.over(under.cloud_bssd),
            cloud_ssd: overlay.cloud_ssd.over(under.cloud_ssd),
            cloud_hssd: overlay.cloud_hssd.over(under.cloud_hssd),
            cloud_tssd: overlay.cloud_tssd.over(under.cloud_tssd),
        }
    }
}

/// A setting that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    /// The key, with its table.
    pub key: String,
    /// What it was set to.
    pub value: String,
    /// What would be right.
    pub expected: String,
}

impl std::fmt::Display for SettingsError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is {}: expected {}", self.key, self.value, self.expected)
    }
}

impl std::error::Error for SettingsError {}

impl Settings {
    /// Refuses settings with which the service could do nothing, or nothing right.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.limits.check()?;
        self.schedule.check()?;
        self.billing.check()?;
        self.prices.check()?;
        DiskType::ALL.iter().try_for_each(|disk_type| self.disk_types.of(*disk_type).check(*disk_type))
    }
}

impl Limits {
    pub(crate) fn check(&self) -> Result<(), SettingsError> {
        let refuse = |key: &str, value: u64, expected: String| {
            let value = value.to_string();
            Err(SettingsError { key: format!("limits.{key}"), value, expected })
        };
        for (key, value) in [
            ("snapshots_per_disk", self.snapshots_per_disk),
            ("disks_per_instance", self.disks_per_instance),
            ("instances_per_disk", self.instances_per_disk),
            ("disks_per_attach", self.disks_per_attach),
            ("disks_per_terminate", self.disks_per_terminate),
            ("disks_per_initialize", self.disks_per_initialize),
            ("disks_per_create", self.disks_per_create),
            ("rules_per_policy", self.rules_per_policy),
            ("disks_per_bind", self.disks_per_bind),
            ("ids_per_call", self.ids_per_call),
            ("name_bytes", self.name_bytes),
            ("describe_default", self.describe_default),
            ("answer_wait_ms", self.answer_wait_ms),
            ("jobs_at_once", self.jobs_at_once),
            ("pool_warning_percent", self.pool_warning_percent),
            ("pool_full_percent", self.pool_full_percent),
        ] {
            if value == 0 {
                return refuse(key, value, "1 or more".to_owned());
            }
        }
        if self.describe_default > self.describe_max {
            let expected = format!("at most describe_max, {}", self.describe_max);
            return refuse("describe_default", self.describe_default, expected);
        }
        Ok(())
    }
}

impl DiskTypeSettings {
    fn check(&self, disk_type: DiskType) -> Result<(), SettingsError> {
        /// A volume's size in bytes must fit 63 bits.
        const GIB_MAX: u64 = 1 << 32;
        let refuse = |key: &str, value: u64, expected: String| {
            let value = value.to_string();
            Err(SettingsError { key: format!("disk_types.{disk_type}.{key}"), value, expected })
        };
        if self.step_gib == 0 {
            return refuse("step_gib", 0, "1 or more".to_owned());
        }
        if !(1..=GIB_MAX).contains(&self.max_gib) {
            return refuse("max_gib", self.max_gib, format!("1 to {GIB_MAX}"));
        }
        if !(1..=self.max_gib).contains(&self.min_gib) {
            return refuse("min_gib", self.min_gib, format!("1 to max_gib, {}", self.max_gib));
        }
        for (key, value) in [("iops_max", self.iops_max), ("throughput_max_mib", self.throughput_max_mib)] {
            if value == 0 {
                return refuse(key, value, "1 or more".to_owned());
            }
        }
        Ok(())
    }
}
