//! How fast disks are: what their type, size and extra performance promise, and how the exports are told.

use ashlar_db::Disk;
use ashlar_types::{DiskId, MIB_BYTES};
use ashlar_volume::limit::{Limits, Speed};

use crate::control::Control;
use crate::error::ControlError;
use crate::settings::{DiskTypeSettings, Settings};

const SECOND_NS: u64 = 1_000_000_000;

impl Settings {
    /// What a disk promises.
    #[must_use]
    pub fn performance_of(&self, disk: &Disk) -> Limits {
        let offered = self.disk_types.of(disk.disk_type);
        let extra_mib = disk.throughput_performance_mib;
        let iops = offered.iops_base.saturating_add(offered.iops_per_gib.saturating_mul(disk.size_gib));
        let per_100_gib = offered.throughput_per_100_gib_mib.saturating_mul(disk.size_gib);
        // In bytes from here on, so that a slope of less than a MiB for a GiB counts.
        let ramp_bytes = offered.throughput_base_mib.saturating_mul(MIB_BYTES);
        let ramp_bytes = ramp_bytes.saturating_add(per_100_gib.saturating_mul(MIB_BYTES) / 100);
        let most = Speed {
            iops: offered.iops_max,
            bytes_per_second: offered.throughput_max_mib.saturating_mul(MIB_BYTES),
        };
        let baseline =
            Speed { iops: iops.min(most.iops), bytes_per_second: ramp_bytes.min(most.bytes_per_second) };
        Limits {
            baseline: with_extra(baseline, extra_mib, offered),
            burst: disk.burst_performance.then(|| with_extra(most, extra_mib, offered)),
            credit_ns: self.limits.burst_credit_seconds.saturating_mul(SECOND_NS),
        }
    }
}

/// Extra throughput adds itself, and its share of the requests that all of it would add.
fn with_extra(speed: Speed, extra_mib: u64, offered: &DiskTypeSettings) -> Speed {
    if extra_mib == 0 {
        return speed;
    }
    let more = u128::from(offered.extra_iops_max.saturating_sub(offered.iops_max)) * u128::from(extra_mib)
        / u128::from(offered.extra_performance_max_mib.max(1));
    Speed {
        iops: speed.iops.saturating_add(u64::try_from(more).unwrap_or(u64::MAX)),
        bytes_per_second: speed.bytes_per_second.saturating_add(extra_mib.saturating_mul(MIB_BYTES)),
    }
}

impl Control {
    /// Tells the exports what disks promise now. To be called after every change of it, and before a disk is
    /// published; a server that died in between begins with what the records say.
    pub(crate) fn tell_performance<'a>(&self, disks: impl IntoIterator<Item = &'a Disk>) {
        if self.settings.enforce_performance {
            for disk in disks {
                self.exports.limit(disk.id, self.settings.performance_of(disk));
            }
        }
    }

    /// The same for disks as the records have them now.
    pub(crate) async fn tell_recorded_performance(&self, disks: &[DiskId]) -> Result<(), ControlError> {
        if !self.settings.enforce_performance {
            return Ok(());
        }
        let mut tx = self.db.read().await?;
        for id in disks {
            if let Some((account, region)) = tx.disks().owner(*id).await?
                && let Some(disk) = tx.disks().find(account, &region, *id).await?
            {
                self.tell_performance([&disk]);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use ashlar_types::DiskType;

    use super::*;
    use crate::tests::harness::World;

    /// Size, extra performance, then the requests and MiB a second that the reference page `disk-types` gives.
    const TABLE: [(DiskType, u64, u64, u64, u64); 13] = [
        (DiskType::CloudBasic, 10, 0, 120, 41),
        (DiskType::CloudBasic, 16_000, 0, 1_000, 100),
        (DiskType::CloudPremium, 100, 0, 2_600, 115),
        (DiskType::CloudPremium, 525, 0, 6_000, 150),
        (DiskType::CloudBssd, 100, 0, 3_300, 115),
        (DiskType::CloudBssd, 1_000, 0, 10_000, 190),
        (DiskType::CloudSsd, 100, 0, 4_800, 140),
        (DiskType::CloudSsd, 1_000, 0, 26_000, 260),
        (DiskType::CloudHssd, 460, 0, 24_800, 350),
        (DiskType::CloudHssd, 1_000, 650, 100_000, 1_000),
        (DiskType::CloudTssd, 20, 0, 6_000, 130),
        (DiskType::CloudTssd, 500, 0, 50_000, 350),
        (DiskType::CloudTssd, 500, 3_650, 1_100_000, 4_000),
    ];

    #[tokio::test]
    async fn the_reference_says_how_fast_disks_are() {
        let world = World::new().await;
        let id = world.disk().await;
        let some = world.view(id).await.disk;
        let settings = Settings::default();
        for (disk_type, size_gib, throughput_performance_mib, iops, mib) in TABLE {
            let disk = Disk { disk_type, size_gib, throughput_performance_mib, ..some.clone() };
            let limits = settings.performance_of(&disk);
            assert_eq!(limits.baseline.iops, iops, "{disk_type} {size_gib}");
            assert_eq!(limits.baseline.bytes_per_second / MIB_BYTES, mib, "{disk_type} {size_gib}");
            assert_eq!(limits.burst, None);
        }
        let bursting = Disk { burst_performance: true, ..some };
        let burst = settings.performance_of(&bursting).burst.unwrap();
        assert_eq!((burst.iops, burst.bytes_per_second / MIB_BYTES), (6_000, 150));
    }
}
