//! Snapshots of machines.

use ashlar_api::cwp::{DescribeMachineSnapshot, DescribeMachineSnapshotResponse, MachineSnapshotInfo};
use ashlar_control::{Caller, Control, FixSnapshot};
use ashlar_types::{InstanceProduct, LighthouseDiskId, LighthouseInstanceId, LighthouseSnapshotId, Region};

use crate::service::{Handled, pack};

/// The numbers that the service has for regions.
const REGION_NUMBERS: [(&str, u64); 5] =
    [("ap-guangzhou", 1), ("ap-shanghai", 4), ("ap-hongkong", 5), ("ap-beijing", 8), ("ap-singapore", 9)];

pub(super) async fn describe_machine_snapshot(
    control: &Control,
    caller: &Caller,
    request: DescribeMachineSnapshot,
) -> Handled<DescribeMachineSnapshotResponse> {
    let wanted = ashlar_control::DescribeMachineSnapshot {
        quuids: request.quuids,
        latest: request.kind == 0,
        offset: request.offset,
        limit: request.limit,
    };
    let found = control.describe_machine_snapshot(caller, wanted).await?;
    Ok(DescribeMachineSnapshotResponse {
        total_count: found.listed.total_count,
        list: found.listed.items.into_iter().map(shown).collect(),
        snapshot_check: found.all_fresh,
    })
}

fn shown(taken: FixSnapshot) -> MachineSnapshotInfo {
    let (instance_id, disk_id, snapshot_id) = match taken.product {
        InstanceProduct::Cvm => {
            (taken.instance.to_string(), taken.disk.to_string(), taken.snapshot.to_string())
        }
        InstanceProduct::Lighthouse => (
            LighthouseInstanceId::from(taken.instance).to_string(),
            LighthouseDiskId::from(taken.disk).to_string(),
            LighthouseSnapshotId::from(taken.snapshot).to_string(),
        ),
    };
    MachineSnapshotInfo {
        quuid: taken.quuid,
        host_name: taken.host_name,
        host_ip: taken.host_ip.unwrap_or_default(),
        snapshot_name: taken.name,
        create_time: pack::date_time(taken.created),
        disk_id,
        instance_id,
        region_id: region_number(&taken.region),
        snapshot_id,
    }
}

fn region_number(region: &Region) -> u64 {
    let found = REGION_NUMBERS.iter().find(|(name, _)| *name == region.as_str());
    found.map_or(0, |(_, number)| *number)
}
