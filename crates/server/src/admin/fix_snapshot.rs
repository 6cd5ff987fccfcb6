//! `ashlar fix-snapshot`: both ends of the exchange.

use ashlar_control::{Control, ControlError, Snapshot, TakenBeforeFix, wire_time_iso};
use ashlar_types::{InstanceId, InstanceProduct, LighthouseDiskId, LighthouseSnapshotId};
use serde::{Deserialize, Serialize};

use super::protocol::{AdminCommand, Answer};
use super::shown_id;
use crate::cli::{AdminFlags, FixSnapshotFlags};

/// What was taken, as `--json` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct FixRecord {
    instance_id: String,
    quuid: String,
    name: String,
    taken: String,
    snapshots: Vec<FixSnapshotRecord>,
}

/// The snapshot of one disk.
#[derive(Debug, Serialize, Deserialize)]
struct FixSnapshotRecord {
    snapshot_id: String,
    disk_id: String,
    disk_usage: String,
    size_gib: u64,
}

/// The request of a command line.
pub(crate) fn request(flags: FixSnapshotFlags) -> (AdminCommand, AdminFlags) {
    let FixSnapshotFlags { instance, name, admin } = flags;
    (AdminCommand::TakeBeforeFix { instance: instance.to_string(), name }, admin)
}

/// Does what is asked.
pub(crate) async fn take(
    control: &Control,
    instance: InstanceId,
    name: String,
) -> Result<Answer, ControlError> {
    let taken = control.take_before_fix(instance, name.clone()).await?;
    Ok(Answer::TakenBeforeFix(record(taken, name)))
}

/// Ids are those of the machine's product.
fn record(taken: TakenBeforeFix, name: String) -> FixRecord {
    let product = taken.instance.product;
    let one = |snapshot: Snapshot| {
        let (snapshot_id, disk_id) = match product {
            InstanceProduct::Cvm => (snapshot.id.to_string(), snapshot.disk.map(|disk| disk.to_string())),
            InstanceProduct::Lighthouse => (
                LighthouseSnapshotId::from(snapshot.id).to_string(),
                snapshot.disk.map(|disk| LighthouseDiskId::from(disk).to_string()),
            ),
        };
        FixSnapshotRecord {
            snapshot_id,
            disk_id: disk_id.unwrap_or_default(),
            disk_usage: snapshot.usage.to_string(),
            size_gib: snapshot.size_gib,
        }
    };
    FixRecord {
        instance_id: shown_id(&taken.instance),
        quuid: taken.quuid,
        name,
        taken: wire_time_iso(taken.taken),
        snapshots: taken.snapshots.into_iter().map(one).collect(),
    }
}

/// A line for each snapshot: its id first.
pub(crate) fn to_text(record: &FixRecord) -> String {
    let line = |one: &FixSnapshotRecord| {
        format!("{}  {}  {}  {} GiB", one.snapshot_id, one.disk_id, one.disk_usage, one.size_gib)
    };
    record.snapshots.iter().map(line).collect::<Vec<_>>().join("\n")
}
