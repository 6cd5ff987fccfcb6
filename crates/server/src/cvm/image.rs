//! Images made of snapshots.

use ashlar_api::Absent;
use ashlar_api::OrEmpty;
use ashlar_api::cvm::{
    CreateImage, CreateImageResponse, DeleteImages, DeleteImagesResponse, DescribeImages,
    DescribeImagesResponse, Image, Snapshot, TagSpecification,
};
use ashlar_control::{Caller, Control, ControlError, ImageView, Tag};

use crate::service::{Handled, pack};

pub(super) async fn create_image(
    control: &Control,
    caller: &Caller,
    request: CreateImage,
) -> Handled<CreateImageResponse> {
    check_offered(&request)?;
    let tags = request.tag_specification.into_iter().flatten().map(tags_of).collect::<Result<Vec<_>, _>>()?;
    let wanted = ashlar_control::CreateImage {
        name: request.image_name,
        description: request.image_description,
        family: request.image_family.filter(|family| !family.is_empty()),
        snapshots: request.snapshot_ids.unwrap_or_default(),
        tags: tags.into_iter().flatten().collect(),
        dry_run: request.dry_run,
    };
    let image_id = control.create_image(caller, wanted).await?;
    Ok(CreateImageResponse { image_id: OrEmpty(image_id) })
}

/// An image is made of snapshots: nothing here reaches into a machine.
fn check_offered(request: &CreateImage) -> Result<(), ControlError> {
    let snapshots = "make the image of snapshots: SnapshotIds";
    if let Some(instance) = request.instance_id {
        return Err(pack::not_offered("InstanceId", instance.to_string(), snapshots));
    }
    if let Some([disk, ..]) = request.data_disk_ids.as_deref() {
        return Err(pack::not_offered("DataDiskIds", disk.to_string(), snapshots));
    }
    for (parameter, value) in [("ForcePoweroff", &request.force_poweroff), ("Sysprep", &request.sysprep)] {
        if let Some(value) = value.as_ref().filter(|value| !matches!(value.as_str(), "" | "false" | "FALSE"))
        {
            return Err(pack::not_offered(parameter, value, snapshots));
        }
    }
    Ok(())
}

fn tags_of(specification: TagSpecification) -> Result<Vec<Tag>, ControlError> {
    if specification.resource_type != "image" {
        let why = "an image bears tags of `image`";
        return Err(pack::not_offered("TagSpecification.ResourceType", specification.resource_type, why));
    }
    Ok(pack::tags(Some(specification.tags)))
}

/// `InstanceType`: every image is for every machine.
pub(super) async fn describe_images(
    control: &Control,
    caller: &Caller,
    request: DescribeImages,
) -> Handled<DescribeImagesResponse> {
    let wanted = ashlar_control::DescribeImages {
        images: request.image_ids.unwrap_or_default(),
        filters: pack::filters(request.filters),
        offset: request.offset,
        limit: request.limit,
    };
    let listed = control.describe_images(caller, wanted).await?;
    Ok(DescribeImagesResponse {
        image_set: listed.items.into_iter().map(shown).collect(),
        total_count: pack::signed(listed.total_count),
    })
}

pub(super) async fn delete_images(
    control: &Control,
    caller: &Caller,
    request: DeleteImages,
) -> Handled<DeleteImagesResponse> {
    let wanted = ashlar_control::DeleteImages {
        images: request.image_ids,
        with_snapshots: request.delete_binded_snap,
        dry_run: request.dry_run,
    };
    control.delete_images(caller, wanted).await?;
    Ok(DeleteImagesResponse {})
}

fn shown(view: ImageView) -> Image {
    let ImageView { image, snapshots, tags } = view;
    let snapshot = |bound: ashlar_control::ImageSnapshot| Snapshot {
        snapshot_id: bound.snapshot,
        disk_usage: bound.usage,
        disk_size: pack::signed(bound.size_gib),
    };
    Image {
        image_id: image.id,
        os_name: String::new(),
        image_type: "PRIVATE_IMAGE".to_owned(),
        created_time: pack::utc(image.created),
        image_name: image.name,
        image_description: image.description,
        image_size: pack::signed(image.size_gib),
        architecture: String::new(),
        image_state: "NORMAL".to_owned(),
        platform: String::new(),
        image_creator: image.account.to_string(),
        image_source: "CREATE_IMAGE".to_owned(),
        sync_percent: None,
        is_support_cloudinit: false,
        snapshot_set: snapshots.into_iter().map(snapshot).collect(),
        tags: pack::tags_shown(tags),
        license_type: String::new(),
        image_family: Absent(image.family),
        image_deprecated: false,
        cdc_cache_status: String::new(),
    }
}
