//! What disks can be had.

use ashlar_api::cbs::{DescribeDiskConfigQuota, DescribeDiskConfigQuotaResponse, DiskConfig};
use ashlar_control::{Caller, Control};

use super::price::price;
use crate::service::Handled;

pub(super) async fn describe_disk_config_quota(
    control: &Control,
    caller: &Caller,
    request: DescribeDiskConfigQuota,
) -> Handled<DescribeDiskConfigQuotaResponse> {
    let wanted = ashlar_control::DescribeDiskConfigQuota {
        inquiry_type: request.inquiry_type.as_str().to_owned(),
        zones: request.zones.unwrap_or_default(),
        charge_type: request.disk_charge_type,
        disk_types: request.disk_types.unwrap_or_default(),
        disk_usage: request.disk_usage,
        instance_families: request.instance_families.unwrap_or_default(),
        cpu: request.cpu,
        memory: request.memory,
        dedicated_cluster_id: request.dedicated_cluster_id,
    };
    let configs = control.describe_disk_config_quota(caller, wanted).await?;
    Ok(DescribeDiskConfigQuotaResponse { disk_config_set: configs.into_iter().map(config).collect() })
}

fn config(config: ashlar_control::DiskConfig) -> DiskConfig {
    let signed = |mib: u64| i64::try_from(mib).unwrap_or(i64::MAX);
    DiskConfig {
        available: config.available,
        disk_charge_type: config.charge_type,
        zone: config.zone,
        instance_family: config.instance_family,
        disk_type: config.disk_type,
        step_size: config.step_gib,
        extra_performance_range: config
            .extra_performance_range_mib
            .map(|(least, most)| vec![signed(least), signed(most)]),
        device_class: None,
        disk_usage: config.disk_usage,
        min_disk_size: config.min_gib,
        max_disk_size: config.max_gib,
        price: Some(price(config.price)),
    }
}
