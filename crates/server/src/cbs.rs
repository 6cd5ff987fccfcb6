//! `impl CloudApi`: each call is unpacked, handed to the rules, and its result packed. No rule lives here.

mod disk;
mod error;
mod instance;
mod pack;
mod quota;
mod snapshot;

use ashlar_api::cbs::{
    ApplySnapshot, ApplySnapshotResponse, AttachDisks, AttachDisksResponse, CreateDisks, CreateDisksResponse,
    CreateSnapshot, CreateSnapshotResponse, DeleteSnapshots, DeleteSnapshotsResponse,
    DescribeDiskConfigQuota, DescribeDiskConfigQuotaResponse, DescribeDisks, DescribeDisksResponse,
    DescribeInstancesDiskNum, DescribeInstancesDiskNumResponse, DescribeSnapshots, DescribeSnapshotsResponse,
    DetachDisks, DetachDisksResponse, GetSnapOverview, GetSnapOverviewResponse, InitializeDisks,
    InitializeDisksResponse, ModifyDiskAttributes, ModifyDiskAttributesResponse, ModifySnapshotAttribute,
    ModifySnapshotAttributeResponse, ResizeDisk, ResizeDiskResponse, TerminateDisks, TerminateDisksResponse,
};
use ashlar_api::{Action, ApiError, Caller, CloudApi};
use ashlar_control::{Control, ControlError};

/// The block storage actions over the rules.
pub(crate) struct Cbs {
    control: Control,
}

impl Cbs {
    /// The actions over these rules.
    pub(crate) const fn new(control: Control) -> Self {
        Self { control }
    }
}

/// What every handler gives before its refusal is translated.
type Handled<T> = Result<T, ControlError>;

/// Sends each method of the trait to the function of the same name in the file of its noun.
macro_rules! handlers {
    ($($noun:ident::$method:ident($request:ident) -> $response:ident;)+) => {
        impl CloudApi for Cbs {
            $(async fn $method(&self, caller: &Caller, request: $request) -> Result<$response, ApiError> {
                let handled = $noun::$method(&self.control, &pack::caller(caller), request).await;
                handled.map_err(|refusal| error::answer(Action::$request, refusal))
            })+
        }
    };
}

handlers! {
    disk::create_disks(CreateDisks) -> CreateDisksResponse;
    disk::describe_disks(DescribeDisks) -> DescribeDisksResponse;
    disk::modify_disk_attributes(ModifyDiskAttributes) -> ModifyDiskAttributesResponse;
    disk::resize_disk(ResizeDisk) -> ResizeDiskResponse;
    disk::attach_disks(AttachDisks) -> AttachDisksResponse;
    disk::detach_disks(DetachDisks) -> DetachDisksResponse;
    disk::initialize_disks(InitializeDisks) -> InitializeDisksResponse;
    disk::terminate_disks(TerminateDisks) -> TerminateDisksResponse;
    instance::describe_instances_disk_num(DescribeInstancesDiskNum) -> DescribeInstancesDiskNumResponse;
    quota::describe_disk_config_quota(DescribeDiskConfigQuota) -> DescribeDiskConfigQuotaResponse;
    snapshot::create_snapshot(CreateSnapshot) -> CreateSnapshotResponse;
    snapshot::describe_snapshots(DescribeSnapshots) -> DescribeSnapshotsResponse;
    snapshot::modify_snapshot_attribute(ModifySnapshotAttribute) -> ModifySnapshotAttributeResponse;
    snapshot::apply_snapshot(ApplySnapshot) -> ApplySnapshotResponse;
    snapshot::delete_snapshots(DeleteSnapshots) -> DeleteSnapshotsResponse;
    snapshot::get_snap_overview(GetSnapOverview) -> GetSnapOverviewResponse;
}
