//! What an operator can set. The defaults are those of the reference page `disk-types`.

use ashlar_types::DiskType;
use serde::Deserialize;

/// Everything that can be set for the rules.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Numbers that calls may not exceed.
    pub limits: Limits,
    /// What disks can be had.
    pub disk_types: DiskTypeTable,
}

/// Numbers that calls may not exceed.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Snapshots of one disk.
    pub snapshots_per_disk: u64,
    /// Disks of one instance.
    pub disks_per_instance: u64,
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
            disks_per_instance: 20,
            disks_per_attach: 10,
            disks_per_terminate: 50,
            disks_per_initialize: 20,
            disks_per_create: 200,
            ids_per_call: 100,
            filters_per_call: 10,
            values_per_filter: 100,
            backup_quota_max: 500,
            name_bytes: 60,
            client_token_bytes: 64,
            describe_default: 20,
            describe_max: 100,
            tags_per_resource: 50,
            tag_key_chars: 127,
            tag_value_chars: 255,
            free_snapshot_gib: 80,
            answer_wait_ms: 20_000,
            withdraw_wait_ms: 5_000,
            jobs_at_once: 4,
        }
    }
}

/// What one type of disk can be.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
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
        }
    }
}

/// What every type of disk can be.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "SCREAMING_SNAKE_CASE")]
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
        let plain = DiskTypeSettings::default();
        let extra = |max_mib| DiskTypeSettings {
            extra_performance_above_gib: Some(460),
            extra_performance_max_mib: max_mib,
            ..DiskTypeSettings::default()
        };
        Self {
            cloud_basic: DiskTypeSettings { min_gib: 10, max_gib: 16_000, ..plain.clone() },
            cloud_premium: DiskTypeSettings { min_gib: 10, ..plain.clone() },
            cloud_bssd: plain.clone(),
            cloud_ssd: plain,
            // The maxima of `disk-types` less the largest baseline of 350 MiB/s.
            cloud_hssd: extra(650),
            cloud_tssd: extra(3_650),
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
