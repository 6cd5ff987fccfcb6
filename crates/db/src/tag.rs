//! Tags of disks, snapshots and policies.

use std::collections::HashMap;

use ashlar_types::{DiskId, SnapshotId, SnapshotPolicyId};

use crate::DbError;
use crate::column::Columns;
use crate::connect::Connection;
use crate::listing::{Builder, push_in};

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
}

impl std::fmt::Display for Tagged {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Tagged::Disk(id) => id.fmt(f),
            Tagged::Snapshot(id) => id.fmt(f),
            Tagged::SnapshotPolicy(id) => id.fmt(f),
        }
    }
}

/// Queries on tags.
#[derive(Debug)]
pub struct Tags<'t>(pub(crate) &'t mut Connection);

impl Tags<'_> {
    /// Binds tags to a resource. `Conflict` if a key is bound already.
    pub async fn insert(&mut self, resource: Tagged, tags: &[Tag]) -> Result<(), DbError> {
        for tag in tags {
            sqlx::query("INSERT INTO tags (resource_id, tag_key, tag_value) VALUES ($1, $2, $3)")
                .bind(resource.to_string())
                .bind(&tag.key)
                .bind(&tag.value)
                .execute(&mut *self.0)
                .await?;
        }
        Ok(())
    }

    /// Unbinds all tags of a resource.
    pub async fn delete(&mut self, resource: Tagged) -> Result<(), DbError> {
        sqlx::query("DELETE FROM tags WHERE resource_id = $1")
            .bind(resource.to_string())
            .execute(&mut *self.0)
            .await?;
        Ok(())
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
}
