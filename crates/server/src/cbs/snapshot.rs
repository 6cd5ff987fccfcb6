//! Snapshots: the calls, and how a snapshot is shown.

use ashlar_api::cbs::{
    ApplySnapshot, ApplySnapshotResponse, CreateSnapshot, CreateSnapshotResponse, DeleteSnapshots,
    DeleteSnapshotsResponse, DescribeSnapshotOverview, DescribeSnapshotOverviewResponse, DescribeSnapshots,
    DescribeSnapshotsResponse, GetSnapOverview, GetSnapOverviewResponse, Image, ModifySnapshotAttribute,
    ModifySnapshotAttributeResponse, Order, Snapshot, SnapshotMode, SnapshotOrderField,
};
use ashlar_api::{IsoDateTime, OrEmpty, UtcOffset};
use ashlar_control::{Caller, Control, SnapshotView};
use ashlar_types::{GIB_BYTES, SnapshotType};

use crate::service::{Handled, pack};

pub(super) async fn create_snapshot(
    control: &Control,
    caller: &Caller,
    request: CreateSnapshot,
) -> Handled<CreateSnapshotResponse> {
    let wanted = ashlar_control::CreateSnapshot {
        disk: request.disk_id,
        name: request.snapshot_name,
        deadline: request.deadline.map(|deadline| deadline.to_string()),
        backup: request.disk_backup_id,
        tags: pack::tags(request.tags),
        disk_usage: request.disk_usage,
        is_instant: request.local_snap == Some(true),
    };
    let snapshot_id = control.create_snapshot(caller, wanted).await?;
    Ok(CreateSnapshotResponse { snapshot_id })
}

pub(super) async fn describe_snapshots(
    control: &Control,
    caller: &Caller,
    request: DescribeSnapshots,
) -> Handled<DescribeSnapshotsResponse> {
    let wanted = ashlar_control::DescribeSnapshots {
        snapshots: request.snapshot_ids.unwrap_or_default(),
        filters: pack::filters(request.filters),
        offset: request.offset,
        limit: request.limit,
        order: request.order.map(Order::as_str).map(str::to_owned),
        order_field: request.order_field.map(SnapshotOrderField::as_str).map(str::to_owned),
    };
    let listed = control.describe_snapshots(caller, wanted).await?;
    let snapshot_set = listed.items.into_iter().map(shown).collect();
    Ok(DescribeSnapshotsResponse { total_count: listed.total_count, snapshot_set })
}

fn shown(view: SnapshotView) -> Snapshot {
    let SnapshotView { snapshot, project_name, tags, images, .. } = view;
    let snapshot_type = if view.is_shared_by_other { SnapshotType::Shared } else { SnapshotType::Private };
    let snapshot_mode = if snapshot.is_instant { SnapshotMode::Instant } else { SnapshotMode::Standard };
    let image_count = images.len() as u64;
    let is_permanent = snapshot.is_permanent();
    Snapshot {
        placement: pack::place(snapshot.zone, snapshot.project, project_name),
        copy_from_remote: view.is_copy,
        snapshot_state: snapshot.state,
        is_permanent,
        snapshot_name: snapshot.name,
        deadline_time: snapshot.deadline.map(pack::date_time).into(),
        percent: snapshot.percent,
        images: images.into_iter().map(image_shown).collect(),
        share_reference: view.share_count,
        snapshot_type,
        disk_size: snapshot.size_gib,
        encrypt: snapshot.encrypt_type.is_some(),
        disk_id: OrEmpty(snapshot.disk),
        copying_to_regions: view.copying_to,
        create_time: pack::date_time(snapshot.created),
        image_count,
        disk_usage: snapshot.usage,
        snapshot_id: snapshot.id,
        time_start_share: view.shared_since.map(pack::date).into(),
        tags: pack::tags_shown(tags),
        is_locked: view.is_locked,
        latest_modify_time: IsoDateTime { time: snapshot.modified, offset: UtcOffset::UTC },
        auto_snapshot_policy_id: OrEmpty(snapshot.policy),
        snapshot_mode,
    }
}

pub(super) fn image_shown((image, name): (ashlar_types::ImageId, String)) -> Image {
    Image { image_id: image.to_string(), image_name: name }
}

pub(super) async fn modify_snapshot_attribute(
    control: &Control,
    caller: &Caller,
    request: ModifySnapshotAttribute,
) -> Handled<ModifySnapshotAttributeResponse> {
    let wanted = ashlar_control::ModifySnapshotAttribute {
        snapshot: request.snapshot_id,
        name: request.snapshot_name,
        is_permanent: request.is_permanent,
        deadline: request.deadline.map(|deadline| deadline.to_string()),
    };
    control.modify_snapshot_attribute(caller, wanted).await?;
    Ok(ModifySnapshotAttributeResponse {})
}

pub(super) async fn apply_snapshot(
    control: &Control,
    caller: &Caller,
    request: ApplySnapshot,
) -> Handled<ApplySnapshotResponse> {
    let wanted = ashlar_control::ApplySnapshot {
        snapshot: request.snapshot_id,
        disk: request.disk_id,
        auto_stop_instance: request.auto_stop_instance,
        auto_start_instance: request.auto_start_instance,
    };
    control.apply_snapshot(caller, wanted).await?;
    Ok(ApplySnapshotResponse {})
}

pub(super) async fn delete_snapshots(
    control: &Control,
    caller: &Caller,
    request: DeleteSnapshots,
) -> Handled<DeleteSnapshotsResponse> {
    match request.delete_bind_images {
        Some(true) => control.delete_snapshots_and_images(caller, request.snapshot_ids).await?,
        Some(false) | None => control.delete_snapshots(caller, request.snapshot_ids).await?,
    }
    Ok(DeleteSnapshotsResponse {})
}

pub(super) async fn get_snap_overview(
    control: &Control,
    caller: &Caller,
    _: GetSnapOverview,
) -> Handled<GetSnapOverviewResponse> {
    let overview = control.snapshot_overview(caller).await?;
    Ok(GetSnapOverviewResponse {
        total_size: gigabytes(overview.total_bytes),
        real_trade_size: gigabytes(overview.billed_bytes),
        free_quota: gigabytes(overview.free_quota_bytes),
        total_nums: i64::try_from(overview.total_count).unwrap_or(i64::MAX),
    })
}

/// The newer name of [`get_snap_overview`].
pub(super) async fn describe_snapshot_overview(
    control: &Control,
    caller: &Caller,
    _: DescribeSnapshotOverview,
) -> Handled<DescribeSnapshotOverviewResponse> {
    let overview = control.snapshot_overview(caller).await?;
    Ok(DescribeSnapshotOverviewResponse {
        total_nums: overview.total_count,
        total_size: gigabytes(overview.total_bytes),
        free_quota: gigabytes(overview.free_quota_bytes),
        real_trade_size: gigabytes(overview.billed_bytes),
    })
}

/// The API's GB is 2^30 bytes. Exact up to 2^53 bytes.
fn gigabytes(bytes: u64) -> f64 {
    bytes as f64 / GIB_BYTES as f64
}
