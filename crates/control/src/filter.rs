//! Filters, pages and directions of describe calls: from the words of a request to typed conditions.

use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;

use ashlar_db::{
    DiskBackupFilter, DiskFilter, DiskOrderField, ImageFilter, InstanceFilter, Order, Page, SnapshotFilter,
    SnapshotGroupFilter, SnapshotPolicyFilter, Tag,
};
use ashlar_types::{DiskState, LighthouseDiskId, LighthouseInstanceId, LighthouseSnapshotId, ProjectId};

use crate::error::{ControlError, FilterIdKind, ParameterError, QuotaError};
use crate::settings::Limits;

/// A filter as a request names it. Its values are alternatives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    /// The name, as the reference page of the action lists it.
    pub name: String,
    /// The values, at least one.
    pub values: Vec<String>,
}

/// A number of a project inside a filter, where all values are text.
struct ProjectNumber(ProjectId);

impl FromStr for ProjectNumber {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(|number| Self(ProjectId(number)))
    }
}

/// `TRUE` or `FALSE` in any case.
struct Truth(bool);

impl FromStr for Truth {
    type Err = ParameterError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Self(true)),
            "false" => Ok(Self(false)),
            _ => Err(invalid("Filters", text, "TRUE or FALSE")),
        }
    }
}

pub(crate) fn invalid(
    parameter: &'static str,
    value: impl Display,
    expected: impl Into<String>,
) -> ParameterError {
    ParameterError::Invalid { parameter, value: value.to_string(), expected: expected.into() }
}

/// Refuses a list of more than `at_most` members.
pub(crate) fn at_most(parameter: &'static str, given: usize, at_most: u64) -> Result<(), ParameterError> {
    let given = given as u64;
    if given > at_most {
        return Err(ParameterError::LimitExceeded { parameter, given, at_most });
    }
    Ok(())
}

/// Refuses an empty list, a list that is too long, and a member given twice.
pub(crate) fn check_ids<T: PartialEq + Display>(
    parameter: &'static str,
    ids: &[T],
    limit: u64,
) -> Result<(), ParameterError> {
    if ids.is_empty() {
        return Err(ParameterError::Missing { parameter, why: "name at least one" });
    }
    at_most(parameter, ids.len(), limit)?;
    let twice = ids.iter().enumerate().find(|(at, id)| ids[..*at].contains(id));
    let duplicated = |value: &T| ParameterError::Duplicated { parameter, value: value.to_string() };
    twice.map_or(Ok(()), |(_, id)| Err(duplicated(id)))
}

/// Refuses names over the limit. Characters are free; the limit counts bytes.
pub(crate) fn check_name(parameter: &'static str, name: &str, limits: &Limits) -> Result<(), ParameterError> {
    if name.len() as u64 > limits.name_bytes {
        return Err(invalid(parameter, name, format!("at most {} bytes", limits.name_bytes)));
    }
    if name.chars().any(char::is_control) {
        return Err(invalid(parameter, name.escape_default(), "no control characters"));
    }
    Ok(())
}

/// The same where the limit counts characters.
pub(crate) fn check_name_chars(
    parameter: &'static str,
    name: &str,
    limits: &Limits,
) -> Result<(), ParameterError> {
    if name.chars().count() as u64 > limits.name_bytes {
        let at_most = limits.name_bytes;
        return Err(ParameterError::NameTooLong { parameter, value: name.to_owned(), at_most });
    }
    if name.chars().any(char::is_control) {
        return Err(invalid(parameter, name.escape_default(), "no control characters"));
    }
    Ok(())
}

/// Refuses too many tags, keys given twice, and keys or values that are too long.
pub(crate) fn check_tags(tags: &[Tag], limits: &Limits) -> Result<(), ControlError> {
    if tags.len() as u64 > limits.tags_per_resource {
        let (given, at_most) = (tags.len() as u64, limits.tags_per_resource);
        return Err(QuotaError::Tags { given, at_most }.into());
    }
    for (at, tag) in tags.iter().enumerate() {
        let key_chars = tag.key.chars().count() as u64;
        if !(1..=limits.tag_key_chars).contains(&key_chars) {
            let expected = format!("1 to {} characters", limits.tag_key_chars);
            return Err(invalid("Tags.Key", &tag.key, expected).into());
        }
        if tag.value.chars().count() as u64 > limits.tag_value_chars {
            let expected = format!("at most {} characters", limits.tag_value_chars);
            return Err(invalid("Tags.Value", &tag.value, expected).into());
        }
        if tags[..at].iter().any(|other| other.key == tag.key) {
            return Err(invalid("Tags.Key", &tag.key, "each key once").into());
        }
    }
    Ok(())
}

/// The page that `Offset` and `Limit` ask for.
pub(crate) fn page(offset: Option<u64>, limit: Option<u64>, limits: &Limits) -> Result<Page, ParameterError> {
    let limit = limit.unwrap_or(limits.describe_default);
    if !(1..=limits.describe_max).contains(&limit) {
        return Err(invalid("Limit", limit, format!("1 to {}", limits.describe_max)));
    }
    Ok(Page { offset: offset.unwrap_or(0), limit })
}

/// The direction that `Order` asks for. Newest first, as the service answers without it.
pub(crate) fn order(word: Option<&str>) -> Result<Order, ParameterError> {
    match word {
        None | Some("DESC") => Ok(Order::Descending),
        Some("ASC") => Ok(Order::Ascending),
        Some(other) => Err(invalid("Order", other, "ASC or DESC")),
    }
}

/// The field that `OrderField` asks for in a list of disks.
pub(crate) fn disk_order_field(word: Option<&str>) -> Result<DiskOrderField, ParameterError> {
    match word {
        None | Some("CREATE_TIME") => Ok(DiskOrderField::CreateTime),
        Some("DEADLINE") => Ok(DiskOrderField::Deadline),
        Some(other) => Err(invalid("OrderField", other, "CREATE_TIME or DEADLINE")),
    }
}

/// The same in a list of snapshots, which knows one field.
pub(crate) fn check_snapshot_order_field(word: Option<&str>) -> Result<(), ParameterError> {
    match word {
        None | Some("CREATE_TIME") => Ok(()),
        Some(other) => Err(invalid("OrderField", other, "CREATE_TIME")),
    }
}

/// The values of a filter as typed ones.
fn values<T: FromStr>(filter: &Filter) -> Result<Vec<T>, ParameterError> {
    let unknown = |text: &String| {
        let example = match filter.name.as_str() {
            "disk-id" => "disk ids such as disk-11112222",
            "snapshot-id" => "snapshot ids such as snap-11112222",
            "auto-snapshot-policy-id" => "policy ids such as asp-11112222",
            "image-id" => "image ids such as img-11112222",
            "instance-id" => "instance ids such as ins-11112222",
            "disk-backup-id" => "backup point ids such as dbp-11112222",
            "snapshot-group-id" => "snapshot group ids such as csnap-11112222",
            "project-id" => "project numbers",
            "zone" => "zones such as ap-guangzhou-3",
            _ => "the words of its reference page",
        };
        invalid("Filters", text, format!("for the filter `{}` {example}", filter.name))
    };
    filter.values.iter().map(|text| text.parse().map_err(|_| unknown(text))).collect()
}

/// The values of `disk-state`. Two documented words name no state that a disk here can have: `DUMPING`, and
/// `TORECYCE` as one page spells it.
fn disk_states(filter: &Filter) -> Result<Vec<DiskState>, ParameterError> {
    let possible = |word: &&String| !matches!(word.as_str(), "DUMPING" | "TORECYCE");
    let words = filter.values.iter().filter(possible).cloned().collect();
    values(&Filter { name: filter.name.clone(), values: words })
}

fn projects(filter: &Filter) -> Result<Vec<ProjectId>, ParameterError> {
    Ok(values::<ProjectNumber>(filter)?.into_iter().map(|ProjectNumber(project)| project).collect())
}

fn truths(filter: &Filter) -> Result<Vec<bool>, ParameterError> {
    Ok(values::<Truth>(filter)?.into_iter().map(|Truth(truth)| truth).collect())
}

fn check_filters(filters: &[Filter], limits: &Limits) -> Result<(), ParameterError> {
    at_most("Filters", filters.len(), limits.filters_per_call)?;
    for (at, filter) in filters.iter().enumerate() {
        if filter.values.is_empty() {
            return Err(invalid("Filters", &filter.name, "at least one value for each filter"));
        }
        at_most("Filters.Values", filter.values.len(), limits.values_per_filter)?;
        if filters[..at].iter().any(|other| other.name == filter.name) {
            return Err(invalid("Filters", &filter.name, "each filter once"));
        }
    }
    Ok(())
}

fn unknown(filter: &Filter) -> ParameterError {
    ParameterError::UnknownFilter { name: filter.name.clone() }
}

/// The conditions of a DescribeDisks call.
pub(crate) fn disk_filters(filters: &[Filter], limits: &Limits) -> Result<Vec<DiskFilter>, ParameterError> {
    check_filters(filters, limits)?;
    filters.iter().map(disk_filter).collect()
}

fn disk_filter(filter: &Filter) -> Result<DiskFilter, ParameterError> {
    Ok(match filter.name.as_str() {
        "disk-id" => DiskFilter::Id(values(filter)?),
        "disk-usage" => DiskFilter::Usage(values(filter)?),
        "disk-charge-type" => DiskFilter::ChargeType(values(filter)?),
        "portable" => DiskFilter::Portable(truths(filter)?),
        "project-id" => DiskFilter::Project(projects(filter)?),
        "disk-name" => DiskFilter::Name(filter.values.clone()),
        "disk-type" => DiskFilter::Type(values(filter)?),
        "disk-state" => DiskFilter::State(disk_states(filter)?),
        "instance-id" => DiskFilter::Instance(values(filter)?),
        "zone" => DiskFilter::Zone(values(filter)?),
        "instance-ip-address" => DiskFilter::InstanceAddress(addresses(filter)),
        "instance-name" => DiskFilter::InstanceName(filter.values.clone()),
        "tag-key" => DiskFilter::TagKey(filter.values.clone()),
        "tag-value" => DiskFilter::TagValue(filter.values.clone()),
        // Not in the reference, but Terraform's data source sends it. No disk lies in a dedicated cluster.
        "dedicated-cluster-id" => DiskFilter::Nothing,
        name => match tag_key(name) {
            Some(key) => DiskFilter::Tag { key: key.to_owned(), values: filter.values.clone() },
            None => return Err(unknown(filter)),
        },
    })
}

/// The conditions of a DescribeSnapshots call.
pub(crate) fn snapshot_filters(
    filters: &[Filter],
    limits: &Limits,
) -> Result<Vec<SnapshotFilter>, ParameterError> {
    check_filters(filters, limits)?;
    filters.iter().map(snapshot_filter).collect()
}

fn snapshot_filter(filter: &Filter) -> Result<SnapshotFilter, ParameterError> {
    Ok(match filter.name.as_str() {
        "snapshot-id" => SnapshotFilter::Id(values(filter)?),
        "snapshot-name" => SnapshotFilter::Name(filter.values.clone()),
        "snapshot-state" => SnapshotFilter::State(values(filter)?),
        "disk-usage" => SnapshotFilter::Usage(values(filter)?),
        "project-id" => SnapshotFilter::Project(projects(filter)?),
        "disk-id" => SnapshotFilter::Disk(values(filter)?),
        "zone" => SnapshotFilter::Zone(values(filter)?),
        "encrypt" => SnapshotFilter::Encrypt(truths(filter)?),
        "snapshot-type" => SnapshotFilter::Type(values(filter)?),
        // These three are not on the reference page, but clients filter all resources by tags.
        "tag-key" => SnapshotFilter::TagKey(filter.values.clone()),
        "tag-value" => SnapshotFilter::TagValue(filter.values.clone()),
        name => match tag_key(name) {
            Some(key) => SnapshotFilter::Tag { key: key.to_owned(), values: filter.values.clone() },
            None => return Err(unknown(filter)),
        },
    })
}

/// The conditions of a DescribeSnapshots call of Lighthouse, in whose ids its values are.
pub(crate) fn lighthouse_filters(
    filters: &[Filter],
    limits: &Limits,
) -> Result<Vec<SnapshotFilter>, ParameterError> {
    check_filters(filters, limits)?;
    let condition = |filter: &Filter| {
        Ok(match filter.name.as_str() {
            "snapshot-id" => {
                SnapshotFilter::Id(ids::<LighthouseSnapshotId, _>(filter, FilterIdKind::Snapshot)?)
            }
            "disk-id" => SnapshotFilter::Disk(ids::<LighthouseDiskId, _>(filter, FilterIdKind::Disk)?),
            "instance-id" => SnapshotFilter::LighthouseInstance(ids::<LighthouseInstanceId, _>(
                filter,
                FilterIdKind::Instance,
            )?),
            "snapshot-name" => {
                let mut names = filter.values.iter();
                names.try_for_each(|name| check_name_chars("Filters", name, limits))?;
                SnapshotFilter::Name(filter.values.clone())
            }
            "tag-key" => SnapshotFilter::TagKey(filter.values.clone()),
            "tag-value" => SnapshotFilter::TagValue(filter.values.clone()),
            name => match tag_key(name) {
                Some(key) => SnapshotFilter::Tag { key: key.to_owned(), values: filter.values.clone() },
                None => return Err(unknown(filter)),
            },
        })
    };
    filters.iter().map(condition).collect()
}

/// The values of a filter as ids of one product, in the names that they have inside.
fn ids<I: FromStr, T: From<I>>(filter: &Filter, kind: FilterIdKind) -> Result<Vec<T>, ParameterError> {
    let refused = |text: &String| ParameterError::FilterId { kind, value: text.clone() };
    filter.values.iter().map(|text| text.parse::<I>().map(T::from).map_err(|_| refused(text))).collect()
}

/// The conditions of a DescribeAutoSnapshotPolicies call.
pub(crate) fn snapshot_policy_filters(
    filters: &[Filter],
    limits: &Limits,
) -> Result<Vec<SnapshotPolicyFilter>, ParameterError> {
    check_filters(filters, limits)?;
    let condition = |filter: &Filter| {
        Ok(match filter.name.as_str() {
            "auto-snapshot-policy-id" => SnapshotPolicyFilter::Id(values(filter)?),
            // The newer page spells it in both ways.
            "auto-snapshot-policy-state" | "AutoSnapshotPolicyState" => {
                SnapshotPolicyFilter::State(values(filter)?)
            }
            "auto-snapshot-policy-name" => SnapshotPolicyFilter::Name(filter.values.clone()),
            _ => return Err(unknown(filter)),
        })
    };
    filters.iter().map(condition).collect()
}

/// The conditions of a DescribeDiskBackups call.
pub(crate) fn disk_backup_filters(
    filters: &[Filter],
    limits: &Limits,
) -> Result<Vec<DiskBackupFilter>, ParameterError> {
    check_filters(filters, limits)?;
    let condition = |filter: &Filter| {
        Ok(match filter.name.as_str() {
            "disk-backup-id" => DiskBackupFilter::Id(values(filter)?),
            "disk-id" => DiskBackupFilter::Disk(values(filter)?),
            "disk-usage" => DiskBackupFilter::Usage(values(filter)?),
            _ => return Err(unknown(filter)),
        })
    };
    filters.iter().map(condition).collect()
}

/// The conditions of a DescribeSnapshotGroups call.
pub(crate) fn snapshot_group_filters(
    filters: &[Filter],
    limits: &Limits,
) -> Result<Vec<SnapshotGroupFilter>, ParameterError> {
    check_filters(filters, limits)?;
    let condition = |filter: &Filter| {
        Ok(match filter.name.as_str() {
            "snapshot-group-id" => SnapshotGroupFilter::Id(values(filter)?),
            "snapshot-group-state" => SnapshotGroupFilter::State(values(filter)?),
            "snapshot-group-name" => SnapshotGroupFilter::Name(filter.values.clone()),
            "snapshot-id" => SnapshotGroupFilter::Member(values(filter)?),
            _ => return Err(unknown(filter)),
        })
    };
    filters.iter().map(condition).collect()
}

/// The ids in the one filter that a call takes, and needs.
pub(crate) fn resources_of<T: FromStr>(
    filters: &[Filter],
    name: &'static str,
    limits: &Limits,
) -> Result<Vec<T>, ParameterError> {
    check_filters(filters, limits)?;
    if let Some(other) = filters.iter().find(|filter| filter.name != name) {
        return Err(unknown(other));
    }
    let why = "name the resources in its one filter, disk-id or snapshot-id";
    values(filters.first().ok_or(ParameterError::Missing { parameter: "Filters", why })?)
}

/// The conditions of a DescribeInstances call.
pub(crate) fn instance_filters(
    filters: &[Filter],
    limits: &Limits,
) -> Result<Vec<InstanceFilter>, ParameterError> {
    check_filters(filters, limits)?;
    filters.iter().map(instance_filter).collect()
}

/// Every instance here runs, is postpaid and belongs to the default project.
fn instance_filter(filter: &Filter) -> Result<InstanceFilter, ParameterError> {
    let meets = |word: &str| match filter.values.iter().any(|value| value == word) {
        // A condition that all meet is none: no id stands for any.
        true => InstanceFilter::Everything,
        false => InstanceFilter::Nothing,
    };
    Ok(match filter.name.as_str() {
        "instance-id" => InstanceFilter::Id(values(filter)?),
        "zone" => InstanceFilter::Zone(values(filter)?),
        "instance-name" => InstanceFilter::Name(filter.values.clone()),
        "private-ip-address" => InstanceFilter::Address(addresses(filter)),
        "instance-state" => meets("RUNNING"),
        "instance-charge-type" => meets("POSTPAID_BY_HOUR"),
        "project-id" => meets("0"),
        "tag-key" => InstanceFilter::TagKey(filter.values.clone()),
        "tag-value" => InstanceFilter::TagValue(filter.values.clone()),
        name => match tag_key(name) {
            Some(key) => InstanceFilter::Tag { key: key.to_owned(), values: filter.values.clone() },
            None => return Err(unknown(filter)),
        },
    })
}

/// The conditions of a DescribeImages call.
pub(crate) fn image_filters(filters: &[Filter], limits: &Limits) -> Result<Vec<ImageFilter>, ParameterError> {
    check_filters(filters, limits)?;
    filters.iter().map(image_filter).collect()
}

/// Every image here is its owner's own, and ready.
fn image_filter(filter: &Filter) -> Result<ImageFilter, ParameterError> {
    let meets = |word: &str| match filter.values.iter().any(|value| value == word) {
        true => ImageFilter::Everything,
        false => ImageFilter::Nothing,
    };
    Ok(match filter.name.as_str() {
        "image-id" => ImageFilter::Id(values(filter)?),
        "image-name" => ImageFilter::Name(filter.values.clone()),
        "image-type" => meets("PRIVATE_IMAGE"),
        "image-state" => meets("NORMAL"),
        "tag-key" => ImageFilter::TagKey(filter.values.clone()),
        name => match tag_key(name) {
            Some(key) => ImageFilter::Tag { key: key.to_owned(), values: filter.values.clone() },
            None => return Err(unknown(filter)),
        },
    })
}

/// Addresses in the one way that they are kept in; what is none stays itself, and no machine has it.
fn addresses(filter: &Filter) -> Vec<String> {
    let kept = |value: &String| match value.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => value.clone(),
    };
    filter.values.iter().map(kept).collect()
}

/// The key inside `tag:KEY`.
fn tag_key(name: &str) -> Option<&str> {
    name.strip_prefix("tag:").filter(|key| !key.is_empty())
}
