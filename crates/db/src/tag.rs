//! Tags of disks, snapshots, groups of snapshots and policies.

use std::collections::{HashMap, HashSet};
use std::str::FromStr;

use ashlar_types::{
    AccountUin, DiskBackupId, DiskId, IdError, ImageId, InstanceId, Region, SnapshotGroupId, SnapshotId,
    SnapshotPolicyId,
};

use crate::DbError;
use crate::column::{Columns, signed};
use crate::connect::Connection;
use crate::disk_terms::ListedDisks;
use crate::list_index::{self, Entry, ListOrder, entry};
use crate::listing::{Builder, push_in, push_page};
use crate::snapshot_terms::ListedSnapshots;
use crate::{Listed, Page};

/// A key and a value bound to a resource. A resource has at most one tag of a key.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Tag {
    /// The key.
    pub key: String,
    /// The value, which may be empty.
    pub value: String,
}

/// What can bear tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tagged {
    /// A disk.
    Disk(DiskId),
    /// A snapshot.
    Snapshot(SnapshotId),
    /// A scheduled snapshot policy.
    SnapshotPolicy(SnapshotPolicyId),
    /// An instance.
    Instance(InstanceId),
    /// A backup point. It has operations, and no tags.
    DiskBackup(DiskBackupId),
    /// A group of snapshots.
    SnapshotGroup(SnapshotGroupId),
    /// An image.
    Image(ImageId),
}

impl std::fmt::Display for Tagged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Tagged::Disk(id) => id.fmt(f),
            Tagged::Snapshot(id) => id.fmt(f),
            Tagged::SnapshotPolicy(id) => id.fmt(f),
            Tagged::Instance(id) => id.fmt(f),
            Tagged::DiskBackup(id) => id.fmt(f),
            Tagged::SnapshotGroup(id) => id.fmt(f),
            Tagged::Image(id) => id.fmt(f),
        }
    }
}

impl FromStr for Tagged {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        match text.split_once('-').map(|(prefix, _)| prefix) {
            Some("disk") => text.parse().map(Tagged::Disk),
            Some("snap") => text.parse().map(Tagged::Snapshot),
            Some("csnap") => text.parse().map(Tagged::SnapshotGroup),
            Some("asp") => text.parse().map(Tagged::SnapshotPolicy),
            Some("img") => text.parse().map(Tagged::Image),
            Some("ins") => text.parse().map(Tagged::Instance),
            _ => Err(IdError {
                kind: "resource",
                given: text.to_owned(),
                form: "the id of a disk, a snapshot, a group of snapshots, a policy, an image or an instance",
            }),
        }
    }
}

/// A tag that a resource must have to be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagCondition {
    /// The key.
    pub key: String,
    /// The value is one of these; any, if there are none.
    pub values: Vec<String>,
}

/// Queries on tags.
#[derive(Debug)]
pub struct Tags<'t>(pub(crate) &'t mut Connection);

impl Tags<'_> {
    /// Binds tags to a resource. `Conflict` if a key is bound already.
    pub async fn insert(&mut self, resource: Tagged, tags: &[Tag]) -> Result<(), DbError> {
        let before = self.listed(resource).await?;
        for tag in tags {
            sqlx::query("INSERT INTO tags (resource_id, tag_key, tag_value) VALUES ($1, $2, $3)")
                .bind(resource.to_string())
                .bind(&tag.key)
                .bind(&tag.value)
                .execute(&mut *self.0)
                .await?;
        }
        self.relist(resource, before).await
    }

    /// Unbinds all tags of a resource.
    pub async fn delete(&mut self, resource: Tagged) -> Result<(), DbError> {
        let before = self.listed(resource).await?;
        sqlx::query("DELETE FROM tags WHERE resource_id = $1")
            .bind(resource.to_string())
            .execute(&mut *self.0)
            .await?;
        self.relist(resource, before).await
    }

    /// What a resource is listed by, if it is listed by tags.
    async fn listed(&mut self, resource: Tagged) -> Result<Option<Entry>, DbError> {
        match resource {
            Tagged::Disk(id) => entry::<ListedDisks>(self.0, &id.to_string()).await,
            Tagged::Snapshot(id) => entry::<ListedSnapshots>(self.0, &id.to_string()).await,
            Tagged::SnapshotPolicy(_)
            | Tagged::Instance(_)
            | Tagged::DiskBackup(_)
            | Tagged::SnapshotGroup(_)
            | Tagged::Image(_) => Ok(None),
        }
    }

    /// Lists a resource by the tags that it has now.
    async fn relist(&mut self, resource: Tagged, before: Option<Entry>) -> Result<(), DbError> {
        let after = self.listed(resource).await?;
        let (before, after) = (before.as_ref(), after.as_ref());
        match resource {
            Tagged::Disk(_) => list_index::change(self.0, &ListOrder::DISKS, before, after).await,
            Tagged::Snapshot(_) => list_index::change(self.0, &ListOrder::SNAPSHOTS, before, after).await,
            Tagged::SnapshotPolicy(_)
            | Tagged::Instance(_)
            | Tagged::DiskBackup(_)
            | Tagged::SnapshotGroup(_)
            | Tagged::Image(_) => Ok(()),
        }
    }

    /// The tags of each of these resources, by key. Resources without tags are left out.
    pub async fn of(&mut self, resources: &[Tagged]) -> Result<HashMap<Tagged, Vec<Tag>>, DbError> {
        let names: HashMap<String, Tagged> =
            resources.iter().map(|resource| (resource.to_string(), *resource)).collect();
        let mut query = Builder::new("SELECT resource_id, tag_key, tag_value FROM tags WHERE 1 = 1");
        push_in(&mut query, "resource_id", resources, ToString::to_string);
        query.push(" ORDER BY resource_id, tag_key");
        let rows = query.build().fetch_all(&mut *self.0).await?;

        let mut found: HashMap<Tagged, Vec<Tag>> = HashMap::new();
        for row in &rows {
            let columns = Columns(row);
            if let Some(resource) = names.get(&columns.text("resource_id")?) {
                let tag = Tag { key: columns.text("tag_key")?, value: columns.text("tag_value")? };
                found.entry(*resource).or_default().push(tag);
            }
        }
        Ok(found)
    }

    /// Binds tags, or gives those that are bound already another value.
    pub async fn replace(&mut self, resource: Tagged, tags: &[Tag]) -> Result<(), DbError> {
        let before = self.listed(resource).await?;
        for tag in tags {
            sqlx::query(
                "INSERT INTO tags (resource_id, tag_key, tag_value) VALUES ($1, $2, $3)
                 ON CONFLICT (resource_id, tag_key) DO UPDATE SET tag_value = excluded.tag_value",
            )
            .bind(resource.to_string())
            .bind(&tag.key)
            .bind(&tag.value)
            .execute(&mut *self.0)
            .await?;
        }
        self.relist(resource, before).await
    }

    /// Unbinds the tags of these keys. Unbinding one that is not bound is a success.
    pub async fn unbind(&mut self, resource: Tagged, keys: &[String]) -> Result<(), DbError> {
        let before = self.listed(resource).await?;
        for key in keys {
            sqlx::query("DELETE FROM tags WHERE resource_id = $1 AND tag_key = $2")
                .bind(resource.to_string())
                .bind(key)
                .execute(&mut *self.0)
                .await?;
        }
        self.relist(resource, before).await
    }

    /// A page of the tags of these resources, by resource and key.
    pub async fn page(&mut self, resources: &[Tagged], page: Page) -> Result<Listed<(Tagged, Tag)>, DbError> {
        let mut count = Builder::new("SELECT COUNT(*) AS count FROM tags WHERE 1 = 1");
        push_in(&mut count, "resource_id", resources, ToString::to_string);
        let total_count = Columns(&count.build().fetch_one(&mut *self.0).await?).number("count")?;

        let mut list = Builder::new("SELECT resource_id, tag_key, tag_value FROM tags WHERE 1 = 1");
        push_in(&mut list, "resource_id", resources, ToString::to_string);
        list.push(" ORDER BY resource_id, tag_key");
        push_page(&mut list, page);
        let rows = list.build().fetch_all(&mut *self.0).await?;
        let item = |row| {
            let columns = Columns(row);
            let tag = Tag { key: columns.text("tag_key")?, value: columns.text("tag_value")? };
            Ok((columns.word("resource_id")?, tag))
        };
        Ok(Listed { total_count, items: rows.iter().map(item).collect::<Result<_, DbError>>()? })
    }

    /// Those of these resources that an account has, each with its region.
    pub async fn owned(
        &mut self,
        account: AccountUin,
        resources: &[Tagged],
    ) -> Result<HashMap<Tagged, Region>, DbError> {
        let mut query = Builder::new("");
        for (at, kind) in KINDS.iter().enumerate() {
            query.push(if at == 0 { "" } else { " UNION ALL " });
            query.push("SELECT ").push(kind.id).push(" AS resource_id, ").push(kind.region);
            query.push(" AS region FROM ").push(kind.tables);
            query.push(" WHERE ").push(kind.account).push(" = ").push_bind(signed(account.0));
            query.push(kind.alive);
            push_in(&mut query, kind.id, resources, ToString::to_string);
        }
        let rows = query.build().fetch_all(&mut *self.0).await?;
        rows.iter()
            .map(|row| {
                let columns = Columns(row);
                Ok((columns.word("resource_id")?, columns.word("region")?))
            })
            .collect()
    }

    /// Those of these resources that are machines of Lighthouse, or disks or snapshots of such.
    pub async fn of_lighthouse(&mut self, resources: &[Tagged]) -> Result<HashSet<Tagged>, DbError> {
        let mut query = Builder::new("");
        for (at, (id, rest)) in OF_LIGHTHOUSE.iter().enumerate() {
            query.push(if at == 0 { "" } else { " UNION ALL " });
            query.push("SELECT ").push(*id).push(" AS resource_id ").push(*rest);
            push_in(&mut query, id, resources, ToString::to_string);
        }
        let rows = query.build().fetch_all(&mut *self.0).await?;
        rows.iter().map(|row| Columns(row).word("resource_id")).collect()
    }

    /// The resources of an account that have tags, all of these among them, by id and after `after`.
    pub async fn bearers(
        &mut self,
        account: AccountUin,
        conditions: &[TagCondition],
        after: &str,
        limit: u64,
    ) -> Result<Vec<Tagged>, DbError> {
        let mut query = Builder::new("SELECT DISTINCT t.resource_id FROM tags t WHERE t.resource_id > ");
        query.push_bind(after.to_owned()).push(" AND (");
        for (at, kind) in KINDS.iter().enumerate() {
            query.push(if at == 0 { "" } else { " OR " });
            query.push("EXISTS (SELECT 1 FROM ").push(kind.tables).push(" WHERE ").push(kind.id);
            query.push(" = t.resource_id AND ").push(kind.account).push(" = ").push_bind(signed(account.0));
            query.push(kind.alive).push(")");
        }
        query.push(")");
        for condition in conditions {
            query.push(
                " AND EXISTS (SELECT 1 FROM tags f WHERE f.resource_id = t.resource_id AND f.tag_key = ",
            );
            query.push_bind(condition.key.clone());
            if !condition.values.is_empty() {
                push_in(&mut query, "f.tag_value", &condition.values, Clone::clone);
            }
            query.push(")");
        }
        query.push(" ORDER BY t.resource_id LIMIT ").push_bind(signed(limit));
        let rows = query.build().fetch_all(&mut *self.0).await?;
        rows.iter().map(|row| Columns(row).word("resource_id")).collect()
    }
}

/// What belongs to Lighthouse, kind by kind: the id, and where it is found.
const OF_LIGHTHOUSE: [(&str, &str); 3] = [
    ("i.instance_id", "FROM instances i WHERE i.product = 'lighthouse'"),
    (
        "d.disk_id",
        "FROM attachments d JOIN instances m ON m.instance_id = d.instance_id WHERE m.product = 'lighthouse'",
    ),
    ("s.snapshot_id", "FROM snapshots s WHERE s.lighthouse_instance_id IS NOT NULL"),
];

/// Where the resources of one kind are kept.
struct Kind {
    tables: &'static str,
    id: &'static str,
    account: &'static str,
    region: &'static str,
    alive: &'static str,
}

const KINDS: [Kind; 6] = [
    Kind {
        tables: "snapshot_groups g",
        id: "g.snapshot_group_id",
        account: "g.uin",
        region: "g.region",
        alive: " AND g.lifecycle = 'LIVE'",
    },
    Kind {
        tables: "disks d",
        id: "d.disk_id",
        account: "d.uin",
        region: "d.region",
        alive: " AND d.lifecycle = 'LIVE'",
    },
    Kind {
        tables: "snapshots s",
        id: "s.snapshot_id",
        account: "s.uin",
        region: "s.region",
        alive: " AND s.lifecycle = 'LIVE'",
    },
    Kind {
        tables: "snapshot_policies p",
        id: "p.policy_id",
        account: "p.uin",
        region: "p.region",
        alive: "",
    },
    Kind { tables: "images m", id: "m.image_id", account: "m.uin", region: "m.region", alive: "" },
    Kind {
        tables: "instances i JOIN zones z ON z.zone = i.zone",
        id: "i.instance_id",
        account: "i.uin",
        region: "z.region",
        alive: "",
    },
];
