//! The table of the actions of Cloud Workload Protection.

use crate::action::product;

product! {
    "Cloud Workload Protection", Cwp "cwp" "2018-02-28": CwpAction, CwpApi {
        DescribeMachineSnapshot describe_machine_snapshot -> DescribeMachineSnapshotResponse, 20 per second,
            reads [Machine("Quuids")];
    }
}
