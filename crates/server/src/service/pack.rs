//! What several nouns unpack and pack alike: callers, filters, tags, places, times.

use ashlar_api::cbs::{Filter, PlacementOutput, Tag};
use ashlar_api::{Caller, Date, DateTime, UtcOffset};
use ashlar_control::{ControlError, ParameterError, RequestId};
use ashlar_types::{ProjectId, UnixMillis, Zone};

/// The zone of the service's plain times. Source: reference `clients`, section 6.
const ZONE: UtcOffset = UtcOffset::BEIJING;

/// Who asks, in the words of the rules.
pub(crate) fn caller(caller: &Caller) -> ashlar_control::Caller {
    ashlar_control::Caller {
        account: caller.account,
        operator: caller.operator,
        region: caller.region.clone(),
        request_id: RequestId(caller.request_id.to_string()),
    }
}

pub(crate) fn filters(filters: Option<Vec<Filter>>) -> Vec<ashlar_control::Filter> {
    let filter = |Filter { name, values }| ashlar_control::Filter { name, values };
    filters.into_iter().flatten().map(filter).collect()
}

pub(crate) fn tags(tags: Option<Vec<Tag>>) -> Vec<ashlar_control::Tag> {
    let tag = |Tag { key, value }| ashlar_control::Tag { key, value };
    tags.into_iter().flatten().map(tag).collect()
}

pub(crate) fn tags_shown(tags: Vec<ashlar_control::Tag>) -> Vec<Tag> {
    tags.into_iter().map(|ashlar_control::Tag { key, value }| Tag { key, value }).collect()
}

/// Where something lies. There are no cages and no dedicated clusters.
pub(crate) fn place(zone: Zone, project_id: ProjectId, project_name: String) -> PlacementOutput {
    PlacementOutput {
        zone,
        cage_id: String::new(),
        project_id,
        project_name,
        cdc_name: String::new(),
        cdc_id: String::new(),
        dedicated_cluster_id: None,
    }
}

pub(crate) fn date_time(time: UnixMillis) -> DateTime {
    DateTime::from_unix(time, ZONE)
}

/// The time that a plain text of a request means.
pub(crate) fn unix_millis(time: DateTime) -> UnixMillis {
    time.to_unix(ZONE)
}

pub(crate) fn date(time: UnixMillis) -> Date {
    Date::from_unix(time, ZONE)
}

/// Refuses a parameter that the wire knows and the rules have no word for.
pub(crate) fn not_offered(
    parameter: &'static str,
    value: impl Into<String>,
    why: &'static str,
) -> ControlError {
    ParameterError::NotOffered { parameter, value: value.into(), why }.into()
}

/// A number in a field that could hold negative ones.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// `YYYY-MM-DDThh:mm:ssZ`, as some products write times.
pub(crate) fn utc(time: UnixMillis) -> String {
    ashlar_control::wire_time_iso(time).replace("+00:00", "Z")
}
