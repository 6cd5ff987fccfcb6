//! Cloud Workload Protection, version 2018-02-28: the snapshots that were taken of machines before they were fixed.

mod actions;
mod errors;
mod snapshot;

pub(crate) use actions::dispatch;
pub use actions::{CwpAction, CwpApi};
pub use snapshot::{DescribeMachineSnapshot, DescribeMachineSnapshotResponse, MachineSnapshotInfo};
