//! The action table: one line says everything about an action that is not in its types. The enumeration
//! [`Action`], the trait [`CloudApi`] and the dispatch between them follow from it.

use std::future::Future;

use crate::caller::Caller;
use crate::cbs;
use crate::decode::{Decode, DecodeObject, Location};
use crate::encode::{Encode, EncodeObject, ObjectWriter, write_quoted};
use crate::error::ApiError;
use crate::schema::{ActionSchema, Rules};
use crate::value::Value;

/// A kind of resource that a policy can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceKind {
    /// `volume/disk-xxxxxxxx`.
    Volume,
    /// `snapshot/snap-xxxxxxxx`.
    Snapshot,
    /// `instance/ins-xxxxxxxx`.
    Instance,
}

/// What the action table says about an action.
#[derive(Debug, Clone, Copy)]
pub struct ActionSpec {
    /// The product, as policies name it.
    pub product: &'static str,
    /// The version of the product's API.
    pub version: &'static str,
    /// The action's name.
    pub name: &'static str,
    /// The documented rate for one account, per second. Source: reference `common/02-api-category`.
    pub requests_per_second: u32,
    /// Whether it changes anything.
    pub writes: bool,
    /// The parameters that name the resources it acts on.
    pub resources: &'static [(&'static str, ResourceKind)],
}

macro_rules! actions {
    ($($product:literal $version:literal {
        $($name:ident $method:ident($($module:ident)::+) -> $response:ident,
            $rate:literal per second, $access:ident [$($parameter:literal: $kind:ident),*];)+
    })+) => {
        /// An action that exists.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Action { $($(#[doc = concat!("`", $product, "` ", stringify!($name), ".")] $name,)+)+ }

        impl Action {
            /// Every action, in the order of the table.
            pub const ALL: &'static [Self] = &[$($(Self::$name,)+)+];

            /// What the table says about it.
            #[must_use]
            pub const fn spec(self) -> &'static ActionSpec {
                match self { $($(Self::$name => &ActionSpec {
                    product: $product,
                    version: $version,
                    name: stringify!($name),
                    requests_per_second: $rate,
                    writes: access_writes!($access),
                    resources: &[$(($parameter, ResourceKind::$kind)),*],
                },)+)+ }
            }

            /// What it takes and gives.
            #[must_use]
            pub const fn schema(self) -> ActionSchema {
                match self { $($(Self::$name => ActionSchema {
                    action: self,
                    input: <$($module)::+::$name as DecodeObject>::OBJECT,
                    output: <$($module)::+::$response as EncodeObject>::OBJECT,
                },)+)+ }
            }
        }

        /// What stands behind the wire: one method an action. A method gets a request that is valid in
        /// itself, and answers what has happened.
        pub trait CloudApi: Send + Sync {
            $($(
                #[doc = concat!("See the request, `", stringify!($name), "`.")]
                fn $method(
                    &self,
                    caller: &Caller,
                    request: $($module)::+::$name,
                ) -> impl Future<Output = Result<$($module)::+::$response, ApiError>> + Send;
            )+)+
        }

        /// Decodes the request of `action`, calls it, and gives the body of the answer.
        pub(crate) async fn dispatch<A: CloudApi>(
            api: &A,
            action: Action,
            caller: &Caller,
            parameters: Value,
        ) -> Result<String, ApiError> {
            match action { $($(Action::$name => {
                let request = Decode::decode(parameters, &Location::REQUEST, &Rules::NONE)?;
                let response = api.$method(caller, request).await?;
                Ok(success_body(&response, caller))
            })+)+ }
        }
    };
}

macro_rules! access_writes {
    (reads) => {
        false
    };
    (writes) => {
        true
    };
}

actions! {
    "cbs" "2017-03-12" {
        CreateDisks create_disks(cbs) -> CreateDisksResponse,
            20 per second, writes ["SnapshotId": Snapshot];
        DescribeDisks describe_disks(cbs) -> DescribeDisksResponse,
            100 per second, reads ["DiskIds": Volume];
        ModifyDiskAttributes modify_disk_attributes(cbs) -> ModifyDiskAttributesResponse,
            20 per second, writes ["DiskIds": Volume];
        ResizeDisk resize_disk(cbs) -> ResizeDiskResponse,
            20 per second, writes ["DiskId": Volume];
        AttachDisks attach_disks(cbs) -> AttachDisksResponse,
            20 per second, writes ["DiskIds": Volume, "InstanceId": Instance];
        DetachDisks detach_disks(cbs) -> DetachDisksResponse,
            20 per second, writes ["DiskIds": Volume, "InstanceId": Instance];
        DescribeInstancesDiskNum describe_instances_disk_num(cbs) -> DescribeInstancesDiskNumResponse,
            20 per second, reads ["InstanceIds": Instance];
        DescribeDiskConfigQuota describe_disk_config_quota(cbs) -> DescribeDiskConfigQuotaResponse,
            20 per second, reads [];
        InitializeDisks initialize_disks(cbs) -> InitializeDisksResponse,
            20 per second, writes ["DiskIds": Volume];
        TerminateDisks terminate_disks(cbs) -> TerminateDisksResponse,
            20 per second, writes ["DiskIds": Volume];
        CreateSnapshot create_snapshot(cbs) -> CreateSnapshotResponse,
            20 per second, writes ["DiskId": Volume];
        DescribeSnapshots describe_snapshots(cbs) -> DescribeSnapshotsResponse,
            20 per second, reads ["SnapshotIds": Snapshot];
        ModifySnapshotAttribute modify_snapshot_attribute(cbs) -> ModifySnapshotAttributeResponse,
            20 per second, writes ["SnapshotId": Snapshot];
        ApplySnapshot apply_snapshot(cbs) -> ApplySnapshotResponse,
            20 per second, writes ["SnapshotId": Snapshot, "DiskId": Volume];
        DeleteSnapshots delete_snapshots(cbs) -> DeleteSnapshotsResponse,
            20 per second, writes ["SnapshotIds": Snapshot];
        GetSnapOverview get_snap_overview(cbs) -> GetSnapOverviewResponse,
            20 per second, reads [];
    }
}

impl Action {
    /// The action with this name in this version.
    pub(crate) fn find(name: &str, version: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|action| action.spec().name == name && action.spec().version == version)
    }

    /// Whether an action has this name in any version.
    pub(crate) fn is_name(name: &str) -> bool {
        Self::ALL.iter().any(|action| action.spec().name == name)
    }
}

/// `{"Response":{...,"RequestId":"..."}}`.
fn success_body(response: &impl EncodeObject, caller: &Caller) -> String {
    let mut body = String::from("{\"Response\":");
    let mut members = ObjectWriter::begin(&mut body);
    response.encode_members(&mut members);
    members.member("RequestId", &caller.request_id);
    members.end();
    body.push('}');
    body
}

impl Encode for crate::caller::RequestId {
    const SHAPE: crate::schema::Shape = <String as Encode>::SHAPE;

    fn encode(&self, out: &mut String) {
        write_quoted(out, self);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_resource_of_the_table_is_a_parameter_of_its_action() {
        for action in Action::ALL {
            let parameters: BTreeSet<_> =
                action.schema().input.members.iter().map(|member| member.name).collect();
            for (parameter, _) in action.spec().resources {
                assert!(parameters.contains(parameter), "{action:?} has no {parameter}");
            }
        }
    }

    #[test]
    fn names_are_known_in_their_version_only() {
        assert_eq!(Action::find("CreateDisks", "2017-03-12"), Some(Action::CreateDisks));
        assert_eq!(Action::find("CreateDisks", "2018-03-12"), None);
        assert!(Action::is_name("CreateDisks"));
        assert!(!Action::is_name("createDisks"));
    }
}
