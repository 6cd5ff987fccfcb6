//! `ashlar du`: who takes how much of a pool, and what deleting it gives back.

use std::sync::Arc;

use ashlar_control::Limits;
use ashlar_engine::SpaceUse;
use ashlar_types::GIB_BYTES;
use serde::{Deserialize, Serialize};

use super::protocol::Answer;
use super::reclaim::ReclaimRecord;
use crate::pools::Pools;

/// A pool, as `--json` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct PoolSpace {
    /// Its region.
    region: String,
    /// Bytes of all blocks that disks and snapshots hold, those that are about to come back included.
    held_bytes: u64,
    /// Bytes that can still be written.
    available_bytes: u64,
    /// How full it is, of its medium or of the configured limit.
    percent_full: u64,
    /// Whether that is so much that an operator should act.
    is_nearly_full: bool,
    /// Layers of what was deleted that still wait to be merged or dropped; 0 when all space is back.
    layers_to_reclaim: u64,
    /// How far the pool is with that.
    reclaim: ReclaimRecord,
    /// Disks and snapshots, the one that gives most back first.
    entries: Vec<EntrySpace>,
}

/// A disk or a snapshot, as `--json` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EntrySpace {
    /// Its id.
    id: String,
    /// The size that its users see.
    size_bytes: u64,
    /// Bytes with data that it shows, shared or not.
    written_bytes: u64,
    /// Bytes that nothing else shows.
    exclusive_bytes: u64,
    /// Bytes that the file system gets back if it alone is deleted.
    returned_bytes: u64,
}

/// Does what is asked. Blocks.
pub(crate) fn show(pools: &Arc<Pools>, limits: &Limits) -> Result<Answer, String> {
    let mut shown = Vec::new();
    for (region, space, usage, reclaim) in pools.spaces().map_err(|error| error.to_string())? {
        let volumes = space.volumes.iter().map(|(id, space)| entry(id.as_str(), space));
        let snapshots = space.snapshots.iter().map(|(id, space)| entry(id.as_str(), space));
        let mut entries: Vec<_> = volumes.chain(snapshots).collect();
        entries.sort_by(|one, other| {
            other.returned_bytes.cmp(&one.returned_bytes).then_with(|| one.id.cmp(&other.id))
        });
        let percent_full = limits.percent_full(&usage);
        shown.push(PoolSpace {
            region: region.to_string(),
            held_bytes: space.held_bytes,
            available_bytes: usage.available_bytes,
            percent_full,
            is_nearly_full: percent_full >= limits.pool_warning_percent,
            layers_to_reclaim: space.layers_to_reclaim,
            reclaim: reclaim.into(),
            entries,
        });
    }
    Ok(Answer::Space(shown))
}

fn entry(id: &str, space: &SpaceUse) -> EntrySpace {
    EntrySpace {
        id: id.to_owned(),
        size_bytes: space.size_bytes,
        written_bytes: space.written_bytes,
        exclusive_bytes: space.exclusive_bytes,
        returned_bytes: space.returned_bytes,
    }
}

/// A table for people.
pub(crate) fn to_text(pools: &[PoolSpace]) -> String {
    if pools.is_empty() {
        return "no pools yet: the first disk of a region makes one".to_owned();
    }
    let mut lines = Vec::new();
    for pool in pools {
        lines.push(format!(
            "{}: {} held, {} free, {} % full{}",
            pool.region,
            gigabytes(pool.held_bytes),
            gigabytes(pool.available_bytes),
            pool.percent_full,
            if pool.is_nearly_full { ", NEARLY FULL" } else { "" },
        ));
        lines.extend(pool.reclaim.to_text().map(|line| format!("{line} (--wait shows how it goes)")));
        lines.push(format!(
            "{:<14}  {:>12}  {:>12}  {:>12}  {:>12}",
            "ID", "SIZE", "WRITTEN", "EXCLUSIVE", "IF DELETED"
        ));
        lines.extend(pool.entries.iter().map(|entry| {
            format!(
                "{:<14}  {:>12}  {:>12}  {:>12}  {:>12}",
                entry.id,
                gigabytes(entry.size_bytes),
                gigabytes(entry.written_bytes),
                gigabytes(entry.exclusive_bytes),
                gigabytes(entry.returned_bytes),
            )
        }));
    }
    lines.join("\n")
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.3} GiB", bytes as f64 / GIB_BYTES as f64)
}
