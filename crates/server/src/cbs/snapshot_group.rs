//! Groups of snapshots: the calls.

use ashlar_api::cbs::{
    ApplySnapshotGroup, ApplySnapshotGroupResponse, CreateSnapshotGroup, CreateSnapshotGroupResponse,
    DeleteSnapshotGroup, DeleteSnapshotGroupResponse, DescribeSnapshotGroups, DescribeSnapshotGroupsResponse,
    SnapshotGroup,
};
use ashlar_api::{IsoDateTime, UtcOffset};
use ashlar_control::{Caller, Control, SnapshotGroupView};
use ashlar_types::UnixMillis;

use super::snapshot::image_shown;
use crate::service::{Handled, pack};

pub(super) async fn create_snapshot_group(
    control: &Control,
    caller: &Caller,
    request: CreateSnapshotGroup,
) -> Handled<CreateSnapshotGroupResponse> {
    let wanted = ashlar_control::CreateSnapshotGroup {
        disks: request.disk_ids,
        name: request.snapshot_group_name,
        tags: pack::tags(request.tags),
    };
    let snapshot_group_id = control.create_snapshot_group(caller, wanted).await?;
    Ok(CreateSnapshotGroupResponse { snapshot_group_id })
}

pub(super) async fn describe_snapshot_groups(
    control: &Control,
    caller: &Caller,
    request: DescribeSnapshotGroups,
) -> Handled<DescribeSnapshotGroupsResponse> {
    let wanted = ashlar_control::DescribeSnapshotGroups {
        filters: pack::filters(request.filters),
        offset: request.offset,
        limit: request.limit,
    };
    let listed = control.describe_snapshot_groups(caller, wanted).await?;
    let snapshot_group_set = listed.items.into_iter().map(shown).collect();
    Ok(DescribeSnapshotGroupsResponse { total_count: listed.total_count, snapshot_group_set })
}

fn shown(view: SnapshotGroupView) -> SnapshotGroup {
    let iso = |time: UnixMillis| IsoDateTime { time, offset: UtcOffset::UTC };
    let contain_root_snapshot = view.contains_root();
    let SnapshotGroupView { group, snapshots, images } = view;
    let image_count = images.len() as u64;
    SnapshotGroup {
        snapshot_group_id: group.id,
        snapshot_group_type: "NORMAL".to_owned(),
        contain_root_snapshot,
        snapshot_id_set: snapshots.iter().map(|snapshot| snapshot.id).collect(),
        snapshot_group_state: group.state,
        percent: group.percent,
        create_time: iso(group.created),
        modify_time: iso(group.modified),
        images: images.into_iter().map(image_shown).collect(),
        snapshot_group_name: group.name,
        image_count,
        // No call gives a group a deadline, and its snapshots take none while they are in it.
        is_permanent: true,
        deadline_time: None,
        auto_snapshot_policy_id: None,
    }
}

pub(super) async fn apply_snapshot_group(
    control: &Control,
    caller: &Caller,
    request: ApplySnapshotGroup,
) -> Handled<ApplySnapshotGroupResponse> {
    let wanted = ashlar_control::ApplySnapshotGroup {
        group: request.snapshot_group_id,
        targets: request.apply_disks.into_iter().map(|target| (target.snapshot_id, target.disk_id)).collect(),
        auto_stop_instance: request.auto_stop_instance,
        auto_start_instance: request.auto_start_instance,
    };
    control.apply_snapshot_group(caller, wanted).await?;
    Ok(ApplySnapshotGroupResponse {})
}

pub(super) async fn delete_snapshot_group(
    control: &Control,
    caller: &Caller,
    request: DeleteSnapshotGroup,
) -> Handled<DeleteSnapshotGroupResponse> {
    let groups = ashlar_control::merged_group_ids(request.snapshot_group_id, request.snapshot_group_ids)?;
    let wanted = ashlar_control::DeleteSnapshotGroups { groups, with_images: request.delete_bind_images };
    control.delete_snapshot_groups(caller, wanted).await?;
    Ok(DeleteSnapshotGroupResponse {})
}
