//! Regions and zones.

use ashlar_types::{Region, Zone};

use crate::model::model;

model! {
    /// Lists all regions.
    pub struct DescribeRegions("DescribeRegionsRequest"): input {
    }

    /// The answer of [`DescribeRegions`].
    pub struct DescribeRegionsResponse("DescribeRegionsResponse"): output {
        /// How many there are.
        pub total_count: i64 = "TotalCount",
        /// All of them.
        pub region_set: Vec<RegionInfo> = "RegionSet",
    }

    /// A region.
    pub struct RegionInfo("RegionInfo"): output {
        /// Its name in calls.
        pub region: Region = "Region",
        /// Its name for people.
        pub region_name: String = "RegionName",
        /// `AVAILABLE`.
        pub region_state: String = "RegionState",
    }

    /// Lists the zones of the call's region.
    pub struct DescribeZones("DescribeZonesRequest"): input {
    }

    /// The answer of [`DescribeZones`].
    pub struct DescribeZonesResponse("DescribeZonesResponse"): output {
        /// How many there are.
        pub total_count: i64 = "TotalCount",
        /// All of them.
        pub zone_set: Vec<ZoneInfo> = "ZoneSet",
    }

    /// A zone.
    pub struct ZoneInfo("ZoneInfo"): output {
        /// Its name in calls.
        pub zone: Zone = "Zone",
        /// Its name for people.
        pub zone_name: String = "ZoneName",
        /// Its number: one client knows zones by it.
        pub zone_id: String = "ZoneId",
        /// `AVAILABLE`.
        pub zone_state: String = "ZoneState",
    }
}
