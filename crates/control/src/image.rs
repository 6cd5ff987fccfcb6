//! Images: what is made of snapshots. A snapshot stays as long as an image is made of it.

use ashlar_db::{DbErrorKind, Image, ImageFilter, ImageSnapshot, Listed, Tag, Tagged, Transaction};
use ashlar_types::{DiskUsage, ImageId, Region, SnapshotId, Zone};

use crate::caller::Caller;
use crate::control::Control;
use crate::disk::state;
use crate::error::{ControlError, ImageError, QuotaError};
use crate::filter::{Filter, at_most, check_ids, check_tags, image_filters, invalid, page};

/// What CreateImage asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreateImage {
    /// The name, at most 60 characters.
    pub name: String,
    /// What it is, at most 256 characters.
    pub description: Option<String>,
    /// The family that it is counted to.
    pub family: Option<String>,
    /// The snapshots; one of a system disk among them.
    pub snapshots: Vec<SnapshotId>,
    /// Tags of the image.
    pub tags: Vec<Tag>,
    /// Whether the call is only checked.
    pub dry_run: Option<bool>,
}

/// What DescribeImages asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DescribeImages {
    /// These images; excludes filters.
    pub images: Vec<ImageId>,
    /// Images that meet all of these.
    pub filters: Vec<Filter>,
    /// How many to leave out. Default: 0.
    pub offset: Option<u64>,
    /// How many to show, 1 to 100. Default: 20.
    pub limit: Option<u64>,
}

/// What DeleteImages asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteImages {
    /// The images.
    pub images: Vec<ImageId>,
    /// Whether their snapshots go too.
    pub with_snapshots: Option<bool>,
    /// Whether the call is only checked.
    pub dry_run: Option<bool>,
}

/// An image as DescribeImages shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageView {
    /// The image.
    pub image: Image,
    /// What it is made of, the system disk's first.
    pub snapshots: Vec<ImageSnapshot>,
    /// Its tags, by key.
    pub tags: Vec<Tag>,
}

impl Control {
    /// Makes an image of snapshots, and gives its id; none if the call is only checked.
    pub async fn create_image(
        &self,
        caller: &Caller,
        wanted: CreateImage,
    ) -> Result<Option<ImageId>, ControlError> {
        let CreateImage { name, description, family, snapshots, tags, dry_run } = wanted;
        let chars = name.chars().count();
        if !(1..=60).contains(&chars) || name.chars().any(char::is_control) {
            return Err(invalid("ImageName", &name, "1 to 60 characters").into());
        }
        let description = description.unwrap_or_default();
        if description.chars().count() > 256 {
            return Err(invalid("ImageDescription", &description, "at most 256 characters").into());
        }
        check_tags(&tags, self.limits())?;
        check_ids("SnapshotIds", &snapshots, self.limits().ids_per_call)?;

        let mut tx = self.db.write().await?;
        let size_gib = system_disk_size(&mut tx, caller, &snapshots).await?;
        let limit = self.limits().images_per_region;
        let none = ashlar_db::Page { offset: 0, limit: 0 };
        let has = tx.images().list(caller.account, &caller.region, &[], none).await?.total_count;
        if has >= limit {
            return Err(QuotaError::Images { at_most: limit }.into());
        }
        let mut id = ImageId::random(self.random.as_ref());
        while tx.images().exists(id).await? {
            id = ImageId::random(self.random.as_ref());
        }
        let (account, region, created) = (caller.account, caller.region.clone(), self.now());
        let image = Image { id, account, region, name, description, family, size_gib, created };
        match tx.images().insert(&image, &snapshots).await {
            Err(error) if error.kind() == DbErrorKind::Conflict => {
                return Err(ImageError::NameTaken { name: image.name }.into());
            }
            done => done?,
        }
        if dry_run == Some(true) {
            return Ok(None);
        }
        tx.tags().insert(Tagged::Image(id), &tags).await?;
        self.log_operation(&mut tx, caller, Tagged::Image(id), "CreateImage", None).await?;
        tx.commit().await?;
        Ok(Some(id))
    }

    /// Shows the caller's images of a region, newest first. Unknown ids are left out.
    pub async fn describe_images(
        &self,
        caller: &Caller,
        wanted: DescribeImages,
    ) -> Result<Listed<ImageView>, ControlError> {
        if !wanted.images.is_empty() && !wanted.filters.is_empty() {
            return Err(ImageError::IdsAndFilters.into());
        }
        at_most("ImageIds", wanted.images.len(), self.limits().ids_per_call)?;
        let mut filters = image_filters(&wanted.filters, self.limits())?;
        if !wanted.images.is_empty() {
            filters.push(ImageFilter::Id(wanted.images));
        }
        let page = page(wanted.offset, wanted.limit, self.limits())?;
        let mut tx = self.db.read().await?;
        let listed = tx.images().list(caller.account, &caller.region, &filters, page).await?;
        let ids: Vec<ImageId> = listed.items.iter().map(|image| image.id).collect();
        let tagged: Vec<Tagged> = ids.iter().copied().map(Tagged::Image).collect();
        let mut snapshots = tx.images().snapshots_of(&ids).await?;
        let mut tags = tx.tags().of(&tagged).await?;
        let view = |image: Image| ImageView {
            snapshots: snapshots.remove(&image.id).unwrap_or_default(),
            tags: tags.remove(&Tagged::Image(image.id)).unwrap_or_default(),
            image,
        };
        let items = listed.items.into_iter().map(view).collect();
        Ok(Listed { total_count: listed.total_count, items })
    }

    /// Deletes images: all of them, or none. Their snapshots stay, unless they are to go too.
    pub async fn delete_images(&self, caller: &Caller, wanted: DeleteImages) -> Result<(), ControlError> {
        check_ids("ImageIds", &wanted.images, self.limits().ids_per_call)?;
        let mut tx = self.db.write().await?;
        let known = ashlar_db::Page { offset: 0, limit: wanted.images.len() as u64 };
        let filter = [ImageFilter::Id(wanted.images.clone())];
        let found = tx.images().list(caller.account, &caller.region, &filter, known).await?.items;
        if let Some(id) = wanted.images.iter().find(|id| !found.iter().any(|image| image.id == **id)) {
            return Err(ImageError::NotFound(*id).into());
        }
        let mut snapshots: Vec<SnapshotId> = Vec::new();
        for bound in tx.images().snapshots_of(&wanted.images).await?.into_values().flatten() {
            if !snapshots.contains(&bound.snapshot) {
                snapshots.push(bound.snapshot);
            }
        }
        for id in &wanted.images {
            self.forget_image(&mut tx, caller, *id, "DeleteImages").await?;
        }
        if wanted.dry_run == Some(true) {
            return Ok(());
        }
        if wanted.with_snapshots == Some(true) && !snapshots.is_empty() {
            return self.delete_snapshots_in(tx, caller, snapshots, false).await;
        }
        tx.commit().await?;
        self.look_again_at_promises();
        Ok(())
    }

    /// Removes the record of an image.
    pub(crate) async fn forget_image(
        &self,
        tx: &mut Transaction,
        caller: &Caller,
        id: ImageId,
        operation: &str,
    ) -> Result<(), ControlError> {
        tx.images().delete(id).await?;
        tx.tags().delete(Tagged::Image(id)).await?;
        self.log_operation(tx, caller, Tagged::Image(id), operation, None).await
    }

    /// The zones of the caller's region, in their order.
    pub async fn zones(&self, region: &Region) -> Result<Vec<Zone>, ControlError> {
        Ok(self.db.look().await?.places().zones(region).await?)
    }
}

/// Refuses snapshots that no image can be made of; gives the size of the one of a system disk.
async fn system_disk_size(
    tx: &mut Transaction,
    caller: &Caller,
    snapshots: &[SnapshotId],
) -> Result<u64, ControlError> {
    let mut size_gib = None;
    for id in snapshots {
        let found = tx.snapshots().find(caller.account, &caller.region, *id).await?;
        let snapshot = found.ok_or(ImageError::SnapshotNotFound(*id))?;
        state::snapshot_ready(&snapshot)?;
        if snapshot.deadline.is_some() {
            let expected = "snapshots that are kept for ever: an image needs them";
            return Err(invalid("SnapshotIds", id, expected).into());
        }
        match (snapshot.usage, size_gib) {
            (DiskUsage::SystemDisk, Some(_)) => return Err(ImageError::TwoSystemDisks(*id).into()),
            (DiskUsage::SystemDisk, None) => size_gib = Some(snapshot.size_gib),
            (DiskUsage::DataDisk, _) => {}
        }
    }
    Ok(size_gib.ok_or(ImageError::NoSystemDisk)?)
}

/// Refuses what an image stands on.
pub(crate) async fn check_not_bound(tx: &mut Transaction, snapshot: SnapshotId) -> Result<(), ControlError> {
    match tx.images().of_snapshots(&[snapshot]).await?.remove(&snapshot).as_deref() {
        Some([(image, _), ..]) => Err(ImageError::Bound { snapshot, image: *image }.into()),
        Some([]) | None => Ok(()),
    }
}
