//! Images made of snapshots.

use std::collections::HashMap;

use ashlar_types::{AccountUin, DiskUsage, ImageId, Region, SnapshotId, UnixMillis};
use sqlx::Row as _;

use crate::column::{Columns, signed};
use crate::connect::{Connection, next_sequence};
use crate::listing::{Builder, push_in, push_page};
use crate::{DbError, Listed, Page};

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Its id.
    pub id: ImageId,
    /// Whose it is.
    pub account: AccountUin,
    /// Where it can be used.
    pub region: Region,
    /// What its owner calls it.
    pub name: String,
    /// What its owner says about it.
    pub description: String,
    /// The family that its owner counts it to.
    pub family: Option<String>,
    /// The size of its system disk in GiB.
    pub size_gib: u64,
    /// When it was made.
    pub created: UnixMillis,
}

/// A snapshot that an image is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageSnapshot {
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// System or data disk.
    pub usage: DiskUsage,
    /// The size of its disk in GiB.
    pub size_gib: u64,
}

/// One condition of a list. The values of one condition are alternatives; conditions join with "and".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageFilter {
    /// `image-id`, and the ids of a call.
    Id(Vec<ImageId>),
    /// `image-name`, the whole name.
    Name(Vec<String>),
    /// `tag-key`: has a tag with one of these keys.
    TagKey(Vec<String>),
    /// `tag:KEY`: its tag of this key has one of these values.
    Tag {
        /// The key.
        key: String,
        /// The values.
        values: Vec<String>,
    },
    /// No image at all: a condition that no image here meets.
    Nothing,
    /// Any: a condition that all here meet.
    Everything,
}

/// Queries on images.
#[derive(Debug)]
pub struct Images<'t>(pub(crate) &'t mut Connection);

impl Images<'_> {
    /// Adds an image of these snapshots. `Conflict` if the id or the name is taken.
    pub async fn insert(&mut self, image: &Image, snapshots: &[SnapshotId]) -> Result<(), DbError> {
        let sequence = next_sequence(self.0).await?;
        sqlx::query(
            "INSERT INTO images (image_id, sequence, uin, region, name, description, family, size_gib, created_ms)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(image.id.to_string())
        .bind(sequence)
        .bind(signed(image.account.0))
        .bind(image.region.as_str())
        .bind(&image.name)
        .bind(&image.description)
        .bind(&image.family)
        .bind(signed(image.size_gib))
        .bind(image.created.0)
        .execute(&mut *self.0)
        .await?;
        for snapshot in snapshots {
            sqlx::query("INSERT INTO image_snapshots (image_id, snapshot_id) VALUES ($1, $2)")
                .bind(image.id.to_string())
                .bind(snapshot.to_string())
                .execute(&mut *self.0)
                .await?;
        }
        Ok(())
    }

    /// Removes an image; its snapshots stay. Removing it again is a success.
    pub async fn delete(&mut self, id: ImageId) -> Result<(), DbError> {
        sqlx::query("DELETE FROM images WHERE image_id = $1")
            .bind(id.to_string())
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Whether any image has this id.
    pub async fn exists(&mut self, id: ImageId) -> Result<bool, DbError> {
        let row = sqlx::query("SELECT 1 FROM images WHERE image_id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut *self.0)
            .await?;
        Ok(row.is_some())
    }

    /// The page of an account's images in a region, newest first, for which all of these hold.
    pub async fn list(
        &mut self,
        account: AccountUin,
        region: &Region,
        filters: &[ImageFilter],
        page: Page,
    ) -> Result<Listed<Image>, DbError> {
        let push_where = |query: &mut Builder| {
            query.push(" FROM images m WHERE m.uin = ").push_bind(signed(account.0));
            query.push(" AND m.region = ").push_bind(region.to_string());
            filters.iter().for_each(|filter| push_filter(query, filter));
        };
        let mut count = Builder::new("SELECT COUNT(*)");
        push_where(&mut count);
        let total: i64 = count.build().fetch_one(&mut *self.0).await?.try_get(0)?;
        let mut list = Builder::new("SELECT m.*");
        push_where(&mut list);
        list.push(" ORDER BY m.created_ms DESC, m.sequence DESC");
        push_page(&mut list, page);
        let rows = list.build().fetch_all(&mut *self.0).await?;
        let items = rows.iter().map(|row| image_of(&Columns(row))).collect::<Result<_, _>>()?;
        Ok(Listed { total_count: u64::try_from(total).unwrap_or(0), items })
    }

    /// The snapshots of each of these images, the system disk's first.
    pub async fn snapshots_of(
        &mut self,
        images: &[ImageId],
    ) -> Result<HashMap<ImageId, Vec<ImageSnapshot>>, DbError> {
        let mut query = Builder::new(
            "SELECT b.image_id, s.snapshot_id, s.disk_usage, s.size_gib FROM image_snapshots b
             JOIN snapshots s ON s.snapshot_id = b.snapshot_id WHERE 1 = 1",
        );
        push_in(&mut query, "b.image_id", images, ToString::to_string);
        query.push(" ORDER BY b.image_id, s.disk_usage DESC, s.snapshot_id");
        let rows = query.build().fetch_all(&mut *self.0).await?;
        let mut found: HashMap<_, Vec<ImageSnapshot>> = HashMap::new();
        for row in &rows {
            let columns = Columns(row);
            found.entry(columns.word("image_id")?).or_default().push(ImageSnapshot {
                snapshot: columns.word("snapshot_id")?,
                usage: columns.word("disk_usage")?,
                size_gib: columns.number("size_gib")?,
            });
        }
        Ok(found)
    }

    /// The images made of each of these snapshots, with their names. Snapshots without one are left out.
    pub async fn of_snapshots(
        &mut self,
        snapshots: &[SnapshotId],
    ) -> Result<HashMap<SnapshotId, Vec<(ImageId, String)>>, DbError> {
        let mut query = Builder::new(
            "SELECT b.snapshot_id, m.image_id, m.name FROM image_snapshots b
             JOIN images m ON m.image_id = b.image_id WHERE 1 = 1",
        );
        push_in(&mut query, "b.snapshot_id", snapshots, ToString::to_string);
        query.push(" ORDER BY m.created_ms, m.sequence");
        let rows = query.build().fetch_all(&mut *self.0).await?;
        let mut found: HashMap<_, Vec<(ImageId, String)>> = HashMap::new();
        for row in &rows {
            let columns = Columns(row);
            let image = (columns.word("image_id")?, columns.text("name")?);
            found.entry(columns.word("snapshot_id")?).or_default().push(image);
        }
        Ok(found)
    }
}

fn push_filter(query: &mut Builder, filter: &ImageFilter) {
    match filter {
        ImageFilter::Id(values) => push_in(query, "m.image_id", values, ToString::to_string),
        ImageFilter::Name(values) => push_in(query, "m.name", values, Clone::clone),
        ImageFilter::TagKey(values) => push_tag(query, None, "t.tag_key", values),
        ImageFilter::Tag { key, values } => push_tag(query, Some(key), "t.tag_value", values),
        ImageFilter::Everything => {}
        ImageFilter::Nothing => {
            query.push(" AND 1 = 0");
        }
    }
}

fn push_tag(query: &mut Builder, key: Option<&String>, column: &str, values: &[String]) {
    query.push(" AND m.image_id IN (SELECT t.resource_id FROM tags t WHERE 1 = 1");
    if let Some(key) = key {
        query.push(" AND t.tag_key = ").push_bind(key.clone());
    }
    push_in(query, column, values, Clone::clone);
    query.push(")");
}

fn image_of(columns: &Columns<'_>) -> Result<Image, DbError> {
    Ok(Image {
        id: columns.word("image_id")?,
        account: AccountUin(columns.number("uin")?),
        region: columns.word("region")?,
        name: columns.text("name")?,
        description: columns.text("description")?,
        family: columns.text_if_any("family")?,
        size_gib: columns.number("size_gib")?,
        created: columns.time("created_ms")?,
    })
}
