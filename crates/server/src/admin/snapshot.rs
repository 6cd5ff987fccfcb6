//! `ashlar snapshot …`: both ends of the exchange.

use ashlar_control::{Control, ControlError, RecycledSnapshot, parse_iso, wire_time_iso};
use ashlar_types::SnapshotId;
use serde::{Deserialize, Serialize};

use super::protocol::{AdminCommand, Answer};
use crate::cli::{AdminFlags, SnapshotCommand};

/// What can be asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum SnapshotOrder {
    /// What lies in the recycle bin.
    Deleted,
    /// Bring one back.
    Restore {
        /// The snapshot.
        id: String,
    },
    /// Lock one.
    Lock {
        /// The snapshot.
        id: String,
        /// Until when, ISO 8601.
        until: String,
    },
}

/// What is answered, as `--json` shows it. The one without names of its own comes last: the first that fits is taken.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum SnapshotAnswer {
    /// It is locked.
    Locked {
        /// The snapshot.
        snapshot_id: String,
        /// Until when.
        locked_until: String,
    },
    /// It is back.
    Restored {
        /// The snapshot.
        snapshot_id: String,
    },
    /// What lies in the recycle bin, the last deleted first.
    Deleted(Vec<DeletedRecord>),
}

/// A deleted snapshot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DeletedRecord {
    snapshot_id: String,
    name: String,
    disk_id: Option<String>,
    account: u64,
    deleted: String,
    purged: String,
}

impl DeletedRecord {
    fn new(recycled: RecycledSnapshot) -> Self {
        let RecycledSnapshot { snapshot, recycled, purged } = recycled;
        Self {
            snapshot_id: snapshot.id.to_string(),
            name: snapshot.name,
            disk_id: snapshot.disk.map(|disk| disk.to_string()),
            account: snapshot.account.0,
            deleted: wire_time_iso(recycled),
            purged: wire_time_iso(purged),
        }
    }
}

/// The request of a command line.
pub(crate) fn request(command: SnapshotCommand) -> (AdminCommand, AdminFlags) {
    let (order, admin) = match command {
        SnapshotCommand::Deleted { admin } => (SnapshotOrder::Deleted, admin),
        SnapshotCommand::Restore { id, admin } => (SnapshotOrder::Restore { id: id.to_string() }, admin),
        SnapshotCommand::Lock { id, until, admin } => {
            (SnapshotOrder::Lock { id: id.to_string(), until }, admin)
        }
    };
    (AdminCommand::Snapshot(order), admin)
}

/// Does what is asked.
pub(crate) async fn obey(control: &Control, order: SnapshotOrder) -> Result<Answer, String> {
    let told = |error: ControlError| error.to_string();
    let answer = match order {
        SnapshotOrder::Deleted => {
            let recycled = control.recycled_snapshots().await.map_err(told)?;
            SnapshotAnswer::Deleted(recycled.into_iter().map(DeletedRecord::new).collect())
        }
        SnapshotOrder::Restore { id } => {
            control.restore_snapshot(parsed(&id)?).await.map_err(told)?;
            SnapshotAnswer::Restored { snapshot_id: id }
        }
        SnapshotOrder::Lock { id, until } => {
            let expected = "an ISO 8601 time with an offset, 2027-01-01T00:00:00+08:00";
            let time = parse_iso(&until).ok_or_else(|| format!("until `{until}`: expected {expected}"))?;
            control.lock_snapshot(parsed(&id)?, time).await.map_err(told)?;
            SnapshotAnswer::Locked { snapshot_id: id, locked_until: wire_time_iso(time) }
        }
    };
    Ok(Answer::Snapshot(answer))
}

fn parsed(id: &str) -> Result<SnapshotId, String> {
    id.parse().map_err(|error| format!("{error}"))
}

/// Lines for people.
pub(crate) fn to_text(answer: &SnapshotAnswer) -> String {
    match answer {
        SnapshotAnswer::Locked { snapshot_id, locked_until } => {
            format!("{snapshot_id} locked until {locked_until}")
        }
        SnapshotAnswer::Restored { snapshot_id } => format!("{snapshot_id} restored"),
        SnapshotAnswer::Deleted(deleted) if deleted.is_empty() => "no deleted snapshots".to_owned(),
        SnapshotAnswer::Deleted(deleted) => {
            let head =
                format!("{:<14}  {:<14}  {:<25}  {:<25}  NAME", "ID", "DISK", "DELETED", "GONE FOR GOOD");
            let line = |one: &DeletedRecord| {
                let disk = one.disk_id.as_deref().unwrap_or("-");
                format!(
                    "{:<14}  {disk:<14}  {:<25}  {:<25}  {}",
                    one.snapshot_id, one.deleted, one.purged, one.name
                )
            };
            std::iter::once(head).chain(deleted.iter().map(line)).collect::<Vec<_>>().join("\n")
        }
    }
}
