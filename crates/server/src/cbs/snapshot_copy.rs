//! Copying snapshots to other regions: the call.

use ashlar_api::OrEmpty;
use ashlar_api::cbs::{
    CbsAction, CopySnapshotCrossRegions, CopySnapshotCrossRegionsResponse, SnapshotCopyResult,
};
use ashlar_control::{Caller, Control, CopyResult};

use crate::service::{Handled, error};

pub(super) async fn copy_snapshot_cross_regions(
    control: &Control,
    caller: &Caller,
    request: CopySnapshotCrossRegions,
) -> Handled<CopySnapshotCrossRegionsResponse> {
    let wanted = ashlar_control::CopySnapshotCrossRegions {
        snapshot: request.snapshot_id,
        destinations: request.destination_regions,
        name: request.snapshot_name,
    };
    let results = control.copy_snapshot_cross_regions(caller, wanted).await?;
    let snapshot_copy_result_set = results.into_iter().map(shown).collect();
    Ok(CopySnapshotCrossRegionsResponse { snapshot_copy_result_set })
}

/// A destination that refuses answers in its own entry, as a call of its own would.
fn shown(CopyResult { region, copy }: CopyResult) -> SnapshotCopyResult {
    match copy {
        Ok(snapshot) => SnapshotCopyResult {
            snapshot_id: OrEmpty(Some(snapshot)),
            message: String::new(),
            code: "Success".to_owned(),
            destination_region: region,
        },
        Err(refusal) => {
            let answer = error::answer(CbsAction::CopySnapshotCrossRegions.into(), refusal);
            SnapshotCopyResult {
                snapshot_id: OrEmpty(None),
                message: answer.message,
                code: answer.code.to_string(),
                destination_region: region,
            }
        }
    }
}
