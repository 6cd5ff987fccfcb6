//! Snapshots: the calls, and how a snapshot is shown.

use ashlar_api::OrEmpty;
use ashlar_api::lighthouse::{
    ApplyInstanceSnapshot, ApplyInstanceSnapshotResponse, CreateInstanceSnapshot,
    CreateInstanceSnapshotResponse, DeleteSnapshots, DeleteSnapshotsResponse, DescribeSnapshots,
    DescribeSnapshotsResponse, Filter, LatestOperation, LatestOperationState, ModifySnapshotAttribute,
    ModifySnapshotAttributeResponse, Snapshot,
};
use ashlar_control::{Caller, Control, InstanceSnapshotView, OperationState};

use crate::service::{Handled, pack};

pub(super) async fn create_instance_snapshot(
    control: &Control,
    caller: &Caller,
    request: CreateInstanceSnapshot,
) -> Handled<CreateInstanceSnapshotResponse> {
    let wanted = ashlar_control::CreateInstanceSnapshot {
        instance: request.instance_id,
        name: request.snapshot_name,
        tags: pack::tags(request.tags),
    };
    let snapshot_id = control.create_instance_snapshot(caller, wanted).await?;
    Ok(CreateInstanceSnapshotResponse { snapshot_id })
}

pub(super) async fn describe_snapshots(
    control: &Control,
    caller: &Caller,
    request: DescribeSnapshots,
) -> Handled<DescribeSnapshotsResponse> {
    let filter = |Filter { name, values }| ashlar_control::Filter { name, values };
    let wanted = ashlar_control::DescribeInstanceSnapshots {
        snapshots: request.snapshot_ids.unwrap_or_default(),
        filters: request.filters.into_iter().flatten().map(filter).collect(),
        offset: request.offset,
        limit: request.limit,
    };
    let listed = control.describe_instance_snapshots(caller, wanted).await?;
    let snapshot_set = listed.items.into_iter().map(shown).collect();
    Ok(DescribeSnapshotsResponse { total_count: pack::signed(listed.total_count), snapshot_set })
}

fn shown(view: InstanceSnapshotView) -> Snapshot {
    let InstanceSnapshotView { snapshot, percent, latest_operation, tags } = view;
    let latest = latest_operation.as_ref();
    Snapshot {
        snapshot_id: snapshot.id.into(),
        disk_usage: snapshot.usage,
        disk_id: OrEmpty(snapshot.disk.map(Into::into)),
        disk_size: pack::signed(snapshot.size_gib),
        snapshot_name: snapshot.name,
        snapshot_state: snapshot.state,
        percent: pack::signed(percent),
        latest_operation: OrEmpty(latest.map(|latest| operation(&latest.operation))),
        latest_operation_state: OrEmpty(latest.map(|latest| operation_state(latest.state))),
        latest_operation_request_id: latest_operation.map(|latest| latest.request_id).unwrap_or_default(),
        created_time: pack::utc(snapshot.created),
        tags: pack::tags_shown(tags),
    }
}

/// Whatever rolled the disk back, Lighthouse has one word for it, and one for whatever took the snapshot.
fn operation(name: &str) -> LatestOperation {
    if name.starts_with("Apply") { LatestOperation::Rollback } else { LatestOperation::Create }
}

const fn operation_state(state: OperationState) -> LatestOperationState {
    match state {
        OperationState::Processing => LatestOperationState::Operating,
        OperationState::Success => LatestOperationState::Success,
        OperationState::Failed => LatestOperationState::Failed,
    }
}

pub(super) async fn apply_instance_snapshot(
    control: &Control,
    caller: &Caller,
    request: ApplyInstanceSnapshot,
) -> Handled<ApplyInstanceSnapshotResponse> {
    control.apply_instance_snapshot(caller, request.instance_id, request.snapshot_id).await?;
    Ok(ApplyInstanceSnapshotResponse {})
}

pub(super) async fn delete_snapshots(
    control: &Control,
    caller: &Caller,
    request: DeleteSnapshots,
) -> Handled<DeleteSnapshotsResponse> {
    control.delete_instance_snapshots(caller, request.snapshot_ids).await?;
    Ok(DeleteSnapshotsResponse {})
}

pub(super) async fn modify_snapshot_attribute(
    control: &Control,
    caller: &Caller,
    request: ModifySnapshotAttribute,
) -> Handled<ModifySnapshotAttributeResponse> {
    control.rename_instance_snapshot(caller, request.snapshot_id, request.snapshot_name).await?;
    Ok(ModifySnapshotAttributeResponse {})
}
