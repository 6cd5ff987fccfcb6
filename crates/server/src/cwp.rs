//! Cloud Workload Protection: what was taken of machines before they were fixed.

mod snapshot;

use ashlar_api::cwp::{self, CwpAction, CwpApi};

use crate::service::handlers;

handlers! {
    CwpApi, CwpAction of cwp {
        snapshot::describe_machine_snapshot(DescribeMachineSnapshot) -> DescribeMachineSnapshotResponse;
    }
}
