//! Sharing snapshots: the calls.

use ashlar_api::cbs::{
    DescribeSnapshotSharePermission, DescribeSnapshotSharePermissionResponse, ModifySnapshotsSharePermission,
    ModifySnapshotsSharePermissionResponse, SharePermission, SharePermissionOperation,
};
use ashlar_control::{Caller, Control};

use crate::service::{Handled, pack};

pub(super) async fn modify_snapshots_share_permission(
    control: &Control,
    caller: &Caller,
    request: ModifySnapshotsSharePermission,
) -> Handled<ModifySnapshotsSharePermissionResponse> {
    let wanted = ashlar_control::ModifySnapshotsSharePermission {
        snapshots: request.snapshot_ids,
        accounts: request.account_ids,
        permission: match request.permission {
            SharePermissionOperation::Share => ashlar_control::SharePermission::Share,
            SharePermissionOperation::Cancel => ashlar_control::SharePermission::Cancel,
        },
    };
    control.modify_snapshots_share_permission(caller, wanted).await?;
    Ok(ModifySnapshotsSharePermissionResponse {})
}

pub(super) async fn describe_snapshot_share_permission(
    control: &Control,
    caller: &Caller,
    request: DescribeSnapshotSharePermission,
) -> Handled<DescribeSnapshotSharePermissionResponse> {
    let shares = control.describe_snapshot_share_permission(caller, request.snapshot_id).await?;
    let shown = |share: ashlar_control::SnapshotShare| SharePermission {
        created_time: pack::date_time(share.created),
        account_id: share.account.to_string(),
    };
    let share_permission_set = shares.into_iter().map(shown).collect();
    Ok(DescribeSnapshotSharePermissionResponse { share_permission_set })
}
