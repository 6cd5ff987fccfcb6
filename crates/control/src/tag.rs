//! Tags of resources, as the tag service shows and changes them: the same records as a disk's own tags.

use std::collections::HashMap;

use ashlar_db::{Listed, Page, Tag, TagCondition, Tagged};
use ashlar_types::{
    AccountUin, LighthouseDiskId, LighthouseInstanceId, LighthouseSnapshotId, ProjectId, Region, UnixMillis,
};

use crate::caller::Caller;
use crate::control::Control;
use crate::error::{ControlError, ParameterError, QuotaError, TagError};
use crate::filter::{at_most, invalid};
use crate::settings::Limits;

/// Tags of a page when nobody says. Source: `DescribeResourceTagsByResourceIds.Limit`.
const TAGS_DEFAULT: u64 = 15;

/// Resources of a page when nobody says. Source: `GetResources.MaxResults`.
const RESOURCES_DEFAULT: u64 = 50;

/// What DescribeResourceTagsByResourceIds asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribeResourceTags {
    /// The service in the resources' names.
    pub service: String,
    /// The word before the slash.
    pub prefix: String,
    /// The ids.
    pub ids: Vec<String>,
    /// Their region; empty for what lies in none.
    pub region: String,
    /// How many tags to leave out, a multiple of the limit. Default: 0.
    pub offset: Option<u64>,
    /// How many tags to show. Default: 15.
    pub limit: Option<u64>,
    /// Whether tags that users bind are wanted.
    pub custom: bool,
}

/// A page of tags, and which page it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceTags {
    /// The tags, each with its resource.
    pub tags: Listed<(Tagged, Tag)>,
    /// Which page.
    pub page: (u64, u64),
}

/// What ModifyResourceTags asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModifyResourceTags {
    /// The resource, in six parts.
    pub resource: String,
    /// Tags to bind or to change.
    pub replace: Vec<Tag>,
    /// Keys of tags to unbind.
    pub unbind: Vec<String>,
}

/// What GetResources asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GetResources {
    /// Only these resources, in six parts.
    pub resources: Vec<String>,
    /// Only those that have a tag of each of these.
    pub conditions: Vec<TagCondition>,
    /// Where the page before ended.
    pub token: String,
    /// How many to show. Default: 50.
    pub limit: Option<u64>,
}

/// A page of resources with their tags.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaggedResources {
    /// Names in six parts, each with the tags of the resource.
    pub resources: Vec<(String, Vec<Tag>)>,
    /// Where the page ends; empty when it is the last.
    pub token: String,
}

/// A project as DescribeProjects shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectView {
    /// Its number.
    pub id: ProjectId,
    /// Its name.
    pub name: String,
    /// When its account was made, which is when projects begin.
    pub created: UnixMillis,
}

/// What DescribeProjects asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DescribeProjects {
    /// Only the one of this number.
    pub project: Option<ProjectId>,
    /// Only those of this name.
    pub name: Option<String>,
    /// How many to leave out.
    pub offset: u64,
    /// How many to show.
    pub limit: u64,
}

/// A resource's name in six parts, `qcs::cvm:REGION:uin/UIN:volume/disk-xxxxxxxx`.
struct ResourceName {
    region: Region,
    resource: Tagged,
    /// Whether it is named as one of Lighthouse.
    is_lighthouse: bool,
}

/// The service whose machines, disks and snapshots have ids of their own.
const LIGHTHOUSE: &str = "lighthouse";

/// What an id stands for in the names of a service.
pub(crate) fn read_id(service: &str, id: &str) -> Option<Tagged> {
    if service != LIGHTHOUSE {
        return id.parse().ok();
    }
    let snapshot = id.parse::<LighthouseSnapshotId>().map(|id| Tagged::Snapshot(id.into()));
    let disk = || id.parse::<LighthouseDiskId>().map(|id| Tagged::Disk(id.into()));
    let instance = || id.parse::<LighthouseInstanceId>().map(|id| Tagged::Instance(id.into()));
    snapshot.or_else(|_| disk()).or_else(|_| instance()).ok()
}

/// The id of a resource in the names of a service.
#[must_use]
pub fn resource_id(service: &str, resource: Tagged) -> String {
    match resource {
        Tagged::Snapshot(id) if service == LIGHTHOUSE => LighthouseSnapshotId::from(id).to_string(),
        Tagged::Disk(id) if service == LIGHTHOUSE => LighthouseDiskId::from(id).to_string(),
        Tagged::Instance(id) if service == LIGHTHOUSE => LighthouseInstanceId::from(id).to_string(),
        other => other.to_string(),
    }
}

/// Whether a service has this word for resources of this kind.
fn is_spelled(service: &str, prefix: &str, resource: Tagged) -> bool {
    if service == LIGHTHOUSE {
        return lighthouse_prefix(resource) == Some(prefix);
    }
    let (services, prefixes) = spellings(resource);
    services.contains(&service) && prefixes.contains(&prefix)
}

/// The word that Lighthouse has for a kind of resource.
const fn lighthouse_prefix(resource: Tagged) -> Option<&'static str> {
    match resource {
        Tagged::Snapshot(_) => Some("snapshot"),
        Tagged::Disk(_) => Some("disk"),
        Tagged::Instance(_) => Some("instance"),
        Tagged::SnapshotPolicy(_) | Tagged::SnapshotGroup(_) | Tagged::DiskBackup(_) | Tagged::Image(_) => {
            None
        }
    }
}

/// The services and words under which clients name a kind of resource, the usual one first.
fn spellings(resource: Tagged) -> (&'static [&'static str], &'static [&'static str]) {
    match resource {
        // Two clients say `instance` for disks and snapshots too.
        Tagged::Disk(_) => (&["cvm", "cbs"], &["volume", "instance"]),
        Tagged::Snapshot(_) => (&["cvm", "cbs"], &["snapshot", "instance"]),
        Tagged::SnapshotPolicy(_) => (&["cvm", "cbs"], &["autosnapshotpolicy", "asp"]),
        Tagged::SnapshotGroup(_) => (&["cvm", "cbs"], &["snapshotgroup"]),
        // It has no tags: no name is its own.
        Tagged::DiskBackup(_) => (&[], &[]),
        Tagged::Instance(_) => (&["cvm"], &["instance"]),
        Tagged::Image(_) => (&["cvm"], &["image"]),
    }
}

/// Services whose resources are here.
const SERVICES: [&str; 3] = ["cvm", "cbs", LIGHTHOUSE];

/// Words before the slash that name a kind of resource here.
const PREFIXES: [&str; 8] =
    ["volume", "disk", "snapshot", "snapshotgroup", "instance", "image", "autosnapshotpolicy", "asp"];

fn name_of(account: AccountUin, region: &Region, resource: Tagged, is_lighthouse: bool) -> String {
    if let Some(prefix) = lighthouse_prefix(resource).filter(|_| is_lighthouse) {
        let id = resource_id(LIGHTHOUSE, resource);
        return format!("qcs::{LIGHTHOUSE}:{region}:uin/{account}:{prefix}/{id}");
    }
    let (services, prefixes) = spellings(resource);
    let (service, prefix) = (services.first().unwrap_or(&""), prefixes.first().unwrap_or(&""));
    format!("qcs::{service}:{region}:uin/{account}:{prefix}/{resource}")
}

/// Reads a name. `None` names what cannot be the caller's or is of a kind that there is none of here.
fn read_name(caller: &Caller, text: &str) -> Result<Option<ResourceName>, TagError> {
    let refuse = || TagError::ResourceName { given: text.to_owned() };
    let parts: Vec<&str> = text.splitn(6, ':').collect();
    let ["qcs", _, service, region, account, resource] = parts.as_slice() else { return Err(refuse()) };
    let (prefix, id) = resource.split_once('/').ok_or_else(refuse)?;
    let uin = account.strip_prefix("uin/").unwrap_or(account);
    if !uin.is_empty() && uin.parse::<u64>().is_err() {
        return Err(refuse());
    }
    if service.is_empty() || prefix.is_empty() || id.is_empty() {
        return Err(refuse());
    }
    let is_own = uin.is_empty() || uin == caller.account.to_string();
    let (Ok(region), Some(resource)) = (region.parse(), read_id(service, id)) else { return Ok(None) };
    let is_spelled = is_spelled(service, prefix, resource);
    let is_lighthouse = *service == LIGHTHOUSE;
    Ok((is_own && is_spelled).then_some(ResourceName { region, resource, is_lighthouse }))
}

impl Control {
    /// Shows the tags of resources of one kind. Those that are not the caller's, or not in the region, have none.
    pub async fn describe_resource_tags(
        &self,
        caller: &Caller,
        wanted: DescribeResourceTags,
    ) -> Result<ResourceTags, ControlError> {
        let limit = wanted.limit.unwrap_or(TAGS_DEFAULT);
        let offset = wanted.offset.unwrap_or(0);
        if !offset.is_multiple_of(limit.max(1)) {
            return Err(invalid("Offset", offset, format!("a multiple of Limit, {limit}")).into());
        }
        let resources = resources_of(&wanted)?;
        let mut tx = self.db.read().await?;
        let regions = tx.places().regions().await?;
        let region = regions.iter().find(|region| region.as_str() == wanted.region);
        if region.is_none() && !wanted.region.is_empty() {
            return Err(TagError::Region { given: wanted.region }.into());
        }
        let owned = tx.tags().owned(caller.account, &resources).await?;
        let of_lighthouse = tx.tags().of_lighthouse(&resources).await?;
        let here = |resource: &Tagged| wanted.custom && owned.get(resource) == region;
        let fits = |resource: &Tagged| wanted.service != LIGHTHOUSE || of_lighthouse.contains(resource);
        let is_owned = |resource: &Tagged| owned.contains_key(resource);
        let shown: Vec<Tagged> = resources.into_iter().filter(is_owned).filter(here).filter(fits).collect();
        let tags = tx.tags().page(&shown, Page { offset, limit }).await?;
        Ok(ResourceTags { tags, page: (offset, limit) })
    }

    /// Binds and unbinds tags of one resource: all of it, or nothing.
    pub async fn modify_resource_tags(
        &self,
        caller: &Caller,
        wanted: ModifyResourceTags,
    ) -> Result<(), ControlError> {
        check_change(&wanted, self.limits())?;
        let absent = || TagError::NoSuchResource { given: wanted.resource.clone() };
        let name = read_name(caller, &wanted.resource)?.ok_or_else(absent)?;
        let mut tx = self.db.write().await?;
        let owned = tx.tags().owned(caller.account, &[name.resource]).await?;
        let is_of_lighthouse = tx.tags().of_lighthouse(&[name.resource]).await?.contains(&name.resource);
        if owned.get(&name.resource) != Some(&name.region) || name.is_lighthouse && !is_of_lighthouse {
            return Err(absent().into());
        }
        tx.tags().unbind(name.resource, &wanted.unbind).await?;
        tx.tags().replace(name.resource, &wanted.replace).await?;
        let has =
            tx.tags().of(&[name.resource]).await?.remove(&name.resource).unwrap_or_default().len() as u64;
        let at_most = self.limits().tags_per_resource;
        if has > at_most {
            return Err(QuotaError::Tags { given: has, at_most }.into());
        }
        self.log_operation(&mut tx, caller, name.resource, "ModifyResourceTags", None).await?;
        Ok(tx.commit().await?)
    }

    /// Lists the caller's resources that have tags, or those that are named, with their tags.
    pub async fn tagged_resources(
        &self,
        caller: &Caller,
        wanted: GetResources,
    ) -> Result<TaggedResources, ControlError> {
        for (at, condition) in wanted.conditions.iter().enumerate() {
            check_key("TagFilters.TagKey", &condition.key, self.limits())?;
            if wanted.conditions[..at].iter().any(|other| other.key == condition.key) {
                return Err(TagError::KeyTwice { key: condition.key.clone() }.into());
            }
        }
        if wanted.resources.is_empty() {
            return self.page_of_resources(caller, &wanted).await;
        }
        let mut named = Vec::with_capacity(wanted.resources.len());
        for text in wanted.resources {
            if let Some(name) = read_name(caller, &text)? {
                named.push((text, name));
            }
        }
        let ids: Vec<Tagged> = named.iter().map(|(_, name)| name.resource).collect();
        let mut tx = self.db.read().await?;
        let owned = tx.tags().owned(caller.account, &ids).await?;
        let tags = tx.tags().of(&ids).await?;
        let of_lighthouse = tx.tags().of_lighthouse(&ids).await?;
        let shown = named.into_iter().filter_map(|(text, name)| {
            let tags = tags.get(&name.resource)?;
            let fits = !name.is_lighthouse || of_lighthouse.contains(&name.resource);
            let is_here = owned.get(&name.resource) == Some(&name.region) && fits;
            (is_here && meets(tags, &wanted.conditions)).then(|| (text, tags.clone()))
        });
        Ok(TaggedResources { resources: shown.collect(), token: String::new() })
    }

    async fn page_of_resources(
        &self,
        caller: &Caller,
        wanted: &GetResources,
    ) -> Result<TaggedResources, ControlError> {
        if !wanted.token.is_empty() && wanted.token.parse::<Tagged>().is_err() {
            return Err(TagError::Token { given: wanted.token.clone() }.into());
        }
        let limit = wanted.limit.unwrap_or(RESOURCES_DEFAULT);
        let mut tx = self.db.read().await?;
        // One more than the page tells whether there is another.
        let mut found = tx
            .tags()
            .bearers(caller.account, &wanted.conditions, &wanted.token, limit.saturating_add(1))
            .await?;
        let has_more = found.len() as u64 > limit;
        found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        let token = found.last().filter(|_| has_more).map(ToString::to_string).unwrap_or_default();
        let owned = tx.tags().owned(caller.account, &found).await?;
        let of_lighthouse = tx.tags().of_lighthouse(&found).await?;
        let mut tags: HashMap<Tagged, Vec<Tag>> = tx.tags().of(&found).await?;
        let resources = found.into_iter().filter_map(|resource| {
            let region = owned.get(&resource)?;
            let is_lighthouse = of_lighthouse.contains(&resource);
            Some((name_of(caller.account, region, resource, is_lighthouse), tags.remove(&resource)?))
        });
        Ok(TaggedResources { resources: resources.collect(), token })
    }

    /// Lists the caller's projects, by number.
    pub async fn describe_projects(
        &self,
        caller: &Caller,
        wanted: DescribeProjects,
    ) -> Result<Listed<ProjectView>, ControlError> {
        let mut tx = self.db.read().await?;
        let page = Page { offset: wanted.offset, limit: wanted.limit };
        let name = wanted.name.as_deref();
        let listed = tx.accounts().projects(caller.account, wanted.project, name, page).await?;
        let account = tx.accounts().find(caller.account).await?;
        let created = account.map_or(UnixMillis(0), |account| account.created);
        let items = listed.items.into_iter().map(|(id, name)| ProjectView { id, name, created }).collect();
        Ok(Listed { total_count: listed.total_count, items })
    }
}

/// The resources that a call names. What is of no kind that lies here has no tags, and is left out.
fn resources_of(wanted: &DescribeResourceTags) -> Result<Vec<Tagged>, ControlError> {
    at_most("ResourceIds", wanted.ids.len(), 50)?;
    if wanted.service.is_empty() {
        return Err(TagError::Service { given: wanted.service.clone() }.into());
    }
    if let Some(id) = wanted.ids.iter().find(|id| id.is_empty()) {
        return Err(TagError::ResourceId { given: id.clone() }.into());
    }
    if !SERVICES.contains(&wanted.service.as_str()) {
        return Ok(Vec::new());
    }
    if !PREFIXES.contains(&wanted.prefix.as_str()) {
        return Err(TagError::Prefix { given: wanted.prefix.clone() }.into());
    }
    let named = wanted.ids.iter().filter_map(|id| read_id(&wanted.service, id));
    Ok(named.filter(|resource| is_spelled(&wanted.service, &wanted.prefix, *resource)).collect())
}

fn check_change(wanted: &ModifyResourceTags, limits: &Limits) -> Result<(), ControlError> {
    if wanted.replace.is_empty() && wanted.unbind.is_empty() {
        let why = "give it or DeleteTags";
        return Err(ParameterError::Missing { parameter: "ReplaceTags", why }.into());
    }
    for (at, tag) in wanted.replace.iter().enumerate() {
        check_key("ReplaceTags.TagKey", &tag.key, limits)?;
        let chars = tag.value.chars().count() as u64;
        if chars > limits.tag_value_chars {
            return Err(
                TagError::ValueTooLong { value: tag.value.clone(), at_most: limits.tag_value_chars }.into()
            );
        }
        if wanted.replace[..at].iter().any(|other| other.key == tag.key) {
            return Err(TagError::KeyTwice { key: tag.key.clone() }.into());
        }
        if wanted.unbind.contains(&tag.key) {
            return Err(TagError::KeyInBoth { key: tag.key.clone() }.into());
        }
    }
    for key in &wanted.unbind {
        check_key("DeleteTags.TagKey", key, limits)?;
    }
    Ok(())
}

fn check_key(parameter: &'static str, key: &str, limits: &Limits) -> Result<(), TagError> {
    match key.chars().count() as u64 {
        0 => Err(TagError::KeyEmpty { parameter }),
        chars if chars > limits.tag_key_chars => {
            Err(TagError::KeyTooLong { parameter, key: key.to_owned(), at_most: limits.tag_key_chars })
        }
        _ => Ok(()),
    }
}

fn meets(tags: &[Tag], conditions: &[TagCondition]) -> bool {
    conditions.iter().all(|condition| {
        let fits = |tag: &Tag| condition.values.is_empty() || condition.values.contains(&tag.value);
        tags.iter().any(|tag| tag.key == condition.key && fits(tag))
    })
}
