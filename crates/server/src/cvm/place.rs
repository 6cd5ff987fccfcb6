//! Regions and zones. They have no other names here than those in calls.

use ashlar_api::cvm::{
    DescribeRegions, DescribeRegionsResponse, DescribeZones, DescribeZonesResponse, RegionInfo, ZoneInfo,
};
use ashlar_control::{Caller, Control};

use crate::service::Handled;

const AVAILABLE: &str = "AVAILABLE";

/// Zones of one region have numbers next to each other.
const ZONE_IDS_PER_REGION: usize = 10_000;

pub(super) async fn describe_regions(
    control: &Control,
    _: &Caller,
    _: DescribeRegions,
) -> Handled<DescribeRegionsResponse> {
    let regions = control.regions().await?;
    let shown = |region: ashlar_types::Region| RegionInfo {
        region_name: region.to_string(),
        region,
        region_state: AVAILABLE.to_owned(),
    };
    let region_set: Vec<RegionInfo> = regions.into_iter().map(shown).collect();
    Ok(DescribeRegionsResponse { total_count: count(region_set.len()), region_set })
}

pub(super) async fn describe_zones(
    control: &Control,
    caller: &Caller,
    _: DescribeZones,
) -> Handled<DescribeZonesResponse> {
    let regions = control.regions().await?;
    let place = regions.iter().position(|region| *region == caller.region).unwrap_or(0) + 1;
    let zones = control.zones(&caller.region).await?.into_iter().enumerate();
    let shown = |(at, zone): (usize, ashlar_types::Zone)| ZoneInfo {
        zone_name: zone.to_string(),
        zone_id: (place * ZONE_IDS_PER_REGION + at + 1).to_string(),
        zone,
        zone_state: AVAILABLE.to_owned(),
    };
    let zone_set: Vec<ZoneInfo> = zones.map(shown).collect();
    Ok(DescribeZonesResponse { total_count: count(zone_set.len()), zone_set })
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
