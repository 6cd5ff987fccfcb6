//! What disks can be had: DescribeDiskConfigQuota.

use ashlar_types::{DiskChargeType, DiskType, DiskUsage, Zone};

use crate::caller::Caller;
use crate::control::Control;
use crate::error::{ControlError, ParameterError};
use crate::filter::{at_most, invalid};
use crate::price::{Price, Priced};

/// What DescribeDiskConfigQuota asks for. Reference: `cbs/DescribeDiskConfigQuota`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DescribeDiskConfigQuota {
    /// INQUIRY_CBS_CONFIG or INQUIRY_CVM_CONFIG.
    pub inquiry_type: String,
    /// In these zones. Default: all of the region.
    pub zones: Vec<Zone>,
    /// Paid in this way. Default: in every way.
    pub charge_type: Option<DiskChargeType>,
    /// Of these types. Default: all.
    pub disk_types: Vec<DiskType>,
    /// As a system or a data disk. Default: data disks, and system disks too for INQUIRY_CVM_CONFIG.
    pub disk_usage: Option<DiskUsage>,
    /// For machines of these families. Disks here do not depend on the machine: each family has them all.
    pub instance_families: Vec<String>,
    /// For machines of this many cores, at least 1. Disks here do not depend on it.
    pub cpu: Option<u64>,
    /// For machines of this much memory in GiB, at least 1. Disks here do not depend on it.
    pub memory: Option<u64>,
    /// Refused unless empty: there are no dedicated clusters.
    pub dedicated_cluster_id: Option<String>,
}

/// One configuration of a disk. Reference: `cbs/data-types`, `DiskConfig`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskConfig {
    /// Whether it can be had.
    pub available: bool,
    /// How it is paid.
    pub charge_type: DiskChargeType,
    /// Where.
    pub zone: Zone,
    /// The family that was asked for.
    pub instance_family: Option<String>,
    /// The medium.
    pub disk_type: DiskType,
    /// As what.
    pub disk_usage: DiskUsage,
    /// Sizes are multiples of this, in GiB.
    pub step_gib: u64,
    /// The smallest size, in GiB.
    pub min_gib: u64,
    /// The largest size, in GiB.
    pub max_gib: u64,
    /// The extra throughput that can be had, in MiB/s; none if there is none.
    pub extra_performance_range_mib: Option<(u64, u64)>,
    /// What the smallest size costs for an hour, or for a month in advance.
    pub price: Price,
}

impl Control {
    /// Lists every configuration that meets the request, whether it can be had or not.
    pub async fn describe_disk_config_quota(
        &self,
        caller: &Caller,
        wanted: DescribeDiskConfigQuota,
    ) -> Result<Vec<DiskConfig>, ControlError> {
        let usages = check(&wanted, self.limits().ids_per_call)?;
        let known = self.db.look().await?.places().zones(&caller.region).await?;
        if let Some(zone) = wanted.zones.iter().find(|zone| !known.contains(zone)) {
            let expected = format!("a zone of the region {}", caller.region);
            return Err(invalid("Zones", zone, expected).into());
        }
        let zones = if wanted.zones.is_empty() { known } else { wanted.zones.clone() };
        let types = if wanted.disk_types.is_empty() { DiskType::ALL } else { &wanted.disk_types };
        let both = [DiskChargeType::Prepaid, DiskChargeType::PostpaidByHour];
        let charge_types = wanted.charge_type.as_ref().map_or(&both[..], std::slice::from_ref);
        let families: Vec<Option<String>> = match wanted.instance_families.as_slice() {
            [] => vec![None],
            families => families.iter().cloned().map(Some).collect(),
        };

        let mut configs = Vec::new();
        for zone in &zones {
            for disk_type in types {
                for charge_type in charge_types {
                    for usage in &usages {
                        let config = |family: &Option<String>| {
                            self.config(zone, *disk_type, *charge_type, *usage, family.clone())
                        };
                        configs.extend(families.iter().map(config));
                    }
                }
            }
        }
        Ok(configs)
    }

    fn config(
        &self,
        zone: &Zone,
        disk_type: DiskType,
        charge_type: DiskChargeType,
        disk_usage: DiskUsage,
        instance_family: Option<String>,
    ) -> DiskConfig {
        let offered = self.settings.disk_types.of(disk_type);
        // Machines are registered, not made, so nothing here makes a system disk; clusters there are none.
        let possible = match (charge_type, disk_usage) {
            (DiskChargeType::Prepaid | DiskChargeType::PostpaidByHour, DiskUsage::DataDisk) => true,
            (DiskChargeType::CdcPaid, _) | (_, DiskUsage::SystemDisk) => false,
        };
        let priced = Priced { disk_type, size_gib: offered.min_gib, extra_mib: 0, backup_quota: 0 };
        let price = match charge_type {
            DiskChargeType::Prepaid => Price::Prepaid(self.settings.prices.months(&priced, 1)),
            DiskChargeType::PostpaidByHour | DiskChargeType::CdcPaid => {
                Price::Hourly(self.settings.prices.hour(&priced))
            }
        };
        DiskConfig {
            available: offered.available && possible,
            charge_type,
            zone: zone.clone(),
            instance_family,
            disk_type,
            disk_usage,
            step_gib: offered.step_gib,
            min_gib: offered.min_gib,
            max_gib: offered.max_gib,
            extra_performance_range_mib: offered
                .extra_performance_above_gib
                .map(|_| (0, offered.extra_performance_max_mib)),
            price,
        }
    }
}

/// Checks the request and gives the usages to list.
fn check(wanted: &DescribeDiskConfigQuota, ids_per_call: u64) -> Result<Vec<DiskUsage>, ParameterError> {
    at_most("Zones", wanted.zones.len(), ids_per_call)?;
    at_most("DiskTypes", wanted.disk_types.len(), ids_per_call)?;
    at_most("InstanceFamilies", wanted.instance_families.len(), ids_per_call)?;
    for (parameter, value) in [("CPU", wanted.cpu), ("Memory", wanted.memory)] {
        if value == Some(0) {
            return Err(invalid(parameter, 0, "1 or more"));
        }
    }
    if let Some(cluster) = wanted.dedicated_cluster_id.as_ref().filter(|id| !id.is_empty()) {
        return Err(ParameterError::NotOffered {
            parameter: "DedicatedClusterId",
            value: cluster.clone(),
            why: "there are no dedicated clusters; leave it out",
        });
    }
    match (wanted.inquiry_type.as_str(), wanted.disk_usage) {
        ("INQUIRY_CBS_CONFIG" | "INQUIRY_CVM_CONFIG", Some(usage)) => Ok(vec![usage]),
        ("INQUIRY_CBS_CONFIG", None) => Ok(vec![DiskUsage::DataDisk]),
        ("INQUIRY_CVM_CONFIG", None) => Ok(vec![DiskUsage::SystemDisk, DiskUsage::DataDisk]),
        (other, _) => Err(invalid("InquiryType", other, "INQUIRY_CBS_CONFIG or INQUIRY_CVM_CONFIG")),
    }
}
