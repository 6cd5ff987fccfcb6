//! How the pools are, who is connected, and where a scrub stands: a part of `ashlar status`.

use std::fmt::Write as _;
use std::sync::Arc;

use ashlar_control::{Limits, Room};
use ashlar_engine::{Pool, PoolStatus};
use ashlar_types::Region;
use ashlar_volume::{DamageReport, StoreUsage, VolumeError, VolumeStore};
use serde::{Deserialize, Serialize};

use super::reclaim::ReclaimRecord;
use crate::pools::Pools;
use crate::scrub::{ScrubRecord, ScrubState, Scrubber};
use crate::serve::nbd::NbdConnections;

/// How the pools are, as `--json` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct HealthRecord {
    pub(super) pools: Vec<PoolRecord>,
    /// Who is connected over NBD.
    nbd: NbdRecord,
    pub(crate) scrub: ScrubRecord,
}

/// Who is connected over NBD.
#[derive(Debug, Default, Serialize, Deserialize)]
struct NbdRecord {
    /// All connections, those that have not agreed on an export yet included.
    connections: u64,
    /// The exports that are in use, and by how many connections each.
    exports: Vec<(String, u64)>,
}

/// Whether a pool has room, as `--json` shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RoomRecord {
    Enough,
    /// An operator should act.
    NearlyFull,
    /// There are no new disks.
    Full,
}

/// How a pool is.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PoolRecord {
    region: String,
    used_bytes: u64,
    available_bytes: u64,
    /// What the file system below holds at most, whoever fills it.
    capacity_bytes: u64,
    /// How full it is, of the file system or of the configured limit.
    percent_full: u64,
    /// What that means for new disks.
    room: RoomRecord,
    /// How far it is with giving back what was deleted.
    pub(super) reclaim: ReclaimRecord,
    /// Blocks whose bytes are not what was written.
    damaged_blocks: u64,
    /// Such blocks found since the server was started.
    damaged_blocks_found: u64,
    /// Disks and snapshots that show damaged blocks, and how many.
    damaged: Vec<(String, u64)>,
    /// Bytes whose checksums a crash would make uncertain.
    open_bytes: u64,
    /// Bytes whose checksums a crash has made uncertain; they are being worked out again.
    uncertain_bytes: u64,
    /// Why nothing is written any more, if so.
    pub(super) latched: Option<String>,
}

/// Looks at all open pools.
pub(crate) async fn health(
    pools: Arc<Pools>,
    limits: Limits,
    nbd: &NbdConnections,
    scrubber: &Scrubber,
) -> Result<HealthRecord, String> {
    let looked = tokio::task::spawn_blocking(move || {
        let pools = pools.open_pools();
        pools.iter().map(|(region, pool)| look(region, pool, &limits)).collect::<Result<Vec<_>, _>>()
    });
    let pools = looked.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?;
    let (connections, exports) = nbd.count();
    let exports = exports.into_iter().map(|(export, count)| (export, count as u64)).collect();
    let nbd = NbdRecord { connections: connections as u64, exports };
    Ok(HealthRecord { pools, nbd, scrub: scrubber.record() })
}

fn look(region: &Region, pool: &Pool, limits: &Limits) -> Result<PoolRecord, VolumeError> {
    let usage = pool.usage()?;
    let percent_full = limits.percent_full(&usage);
    let room = match limits.room(percent_full) {
        Room::Enough => RoomRecord::Enough,
        Room::NearlyFull => RoomRecord::NearlyFull,
        Room::Full => RoomRecord::Full,
    };
    let StoreUsage { used_bytes, available_bytes, capacity_bytes } = usage;
    let DamageReport { volumes, snapshots } = pool.damage()?;
    let PoolStatus { damaged_blocks, damaged_blocks_found, open_bytes, uncertain_bytes, latched } =
        pool.status();
    let volumes = volumes.into_iter().map(|(name, blocks)| (name.to_string(), blocks));
    let snapshots = snapshots.into_iter().map(|(name, blocks)| (name.to_string(), blocks));
    Ok(PoolRecord {
        region: region.to_string(),
        used_bytes,
        available_bytes,
        capacity_bytes,
        percent_full,
        room,
        reclaim: pool.reclaim_progress().into(),
        damaged_blocks,
        damaged_blocks_found,
        damaged: volumes.chain(snapshots).collect(),
        open_bytes,
        uncertain_bytes,
        latched,
    })
}

/// The answer for people.
pub(crate) fn to_text(status: &HealthRecord) -> String {
    const MIB: u64 = 1 << 20;
    let mut lines = Vec::new();
    if status.pools.is_empty() {
        lines.push("no pools yet: the first disk of a region makes one".to_owned());
    }
    for pool in &status.pools {
        let health = match (&pool.latched, pool.damaged_blocks) {
            (Some(why), _) => format!("LATCHED: {why}"),
            (None, 0) => "sound".to_owned(),
            (None, blocks) => format!("{blocks} DAMAGED BLOCKS"),
        };
        lines.push(format!(
            "{}: {health}; {} MiB used, {} MiB available, {} % full{}",
            pool.region,
            pool.used_bytes / MIB,
            pool.available_bytes / MIB,
            pool.percent_full,
            match pool.room {
                RoomRecord::Enough => "",
                RoomRecord::NearlyFull => ": NEARLY FULL",
                RoomRecord::Full => ": FULL, no new disks",
            }
        ));
        lines.extend(pool.reclaim.to_text().map(|line| format!("  {line}")));
        for (name, blocks) in &pool.damaged {
            lines.push(format!("  {name}: {blocks} damaged blocks"));
        }
        if pool.uncertain_bytes > 0 {
            lines.push(format!(
                "  checksums of {} MiB are being worked out again after a crash",
                pool.uncertain_bytes / MIB
            ));
        }
    }
    let exports: Vec<_> =
        status.nbd.exports.iter().map(|(export, count)| format!("{export} {count}")).collect();
    lines.push(match &exports[..] {
        [] => format!("NBD: {} connections", status.nbd.connections),
        exports => format!("NBD: {} connections ({})", status.nbd.connections, exports.join(", ")),
    });
    lines.push(format!("scrub: {}", scrub_line(&status.scrub)));
    lines.join("\n")
}

/// A scrub in one line.
pub(crate) fn scrub_line(scrub: &ScrubRecord) -> String {
    const MIB: u64 = 1 << 20;
    let state = match scrub.state {
        ScrubState::Idle => return "none since the server was started".to_owned(),
        ScrubState::Running => "running".to_owned(),
        ScrubState::Finished => "finished".to_owned(),
        ScrubState::Cancelled => "cancelled".to_owned(),
        ScrubState::Failed => format!("failed ({})", scrub.failure.as_deref().unwrap_or("unknown")),
    };
    let percent = (scrub.done_bytes * 100).checked_div(scrub.total_bytes).unwrap_or(100).min(100);
    format!(
        "{state}, {percent} %, {} of {} MiB, {} damaged blocks",
        scrub.done_bytes / MIB,
        scrub.total_bytes / MIB,
        scrub.damaged_blocks
    )
}

/// The status in the text format of Prometheus.
pub(crate) fn to_metrics(status: &HealthRecord) -> String {
    type Figure = (&'static str, &'static str, &'static str, fn(&PoolRecord) -> u64);
    let of_pools: [Figure; 15] = [
        ("ashlar_pool_used_bytes", "gauge", "Bytes of blocks in use.", |pool| pool.used_bytes),
        ("ashlar_pool_available_bytes", "gauge", "Bytes that can still be written.", |pool| {
            pool.available_bytes
        }),
        ("ashlar_pool_capacity_bytes", "gauge", "Bytes of the whole file system below.", |pool| {
            pool.capacity_bytes
        }),
        (
            "ashlar_pool_full_percent",
            "gauge",
            "How full it is, of the file system or of the limit.",
            |pool| pool.percent_full,
        ),
        ("ashlar_pool_nearly_full", "gauge", "1: an operator should act.", |pool| {
            u64::from(pool.room != RoomRecord::Enough)
        }),
        ("ashlar_pool_full", "gauge", "1: new disks are refused.", |pool| {
            u64::from(pool.room == RoomRecord::Full)
        }),
        (
            "ashlar_pool_reclaim_layers",
            "gauge",
            "Deleted layers that wait to be merged or dropped.",
            |pool| pool.reclaim.layers,
        ),
        ("ashlar_pool_reclaim_layer_bytes", "gauge", "Bytes of the blocks in them.", |pool| {
            pool.reclaim.layer_bytes
        }),
        ("ashlar_pool_punch_bytes", "gauge", "Bytes that wait to be given to the file system.", |pool| {
            pool.reclaim.punch_bytes
        }),
        (
            "ashlar_pool_punched_bytes_total",
            "counter",
            "Bytes given to the file system since the start.",
            |pool| pool.reclaim.punched_bytes,
        ),
        ("ashlar_pool_damaged_blocks", "gauge", "Blocks whose bytes are not what was written.", |pool| {
            pool.damaged_blocks
        }),
        (
            "ashlar_pool_damaged_blocks_found_total",
            "counter",
            "Damaged blocks found since the start.",
            |pool| pool.damaged_blocks_found,
        ),
        ("ashlar_pool_open_bytes", "gauge", "Bytes whose checksums a crash would make uncertain.", |pool| {
            pool.open_bytes
        }),
        (
            "ashlar_pool_uncertain_bytes",
            "gauge",
            "Bytes whose checksums a crash has made uncertain.",
            |pool| pool.uncertain_bytes,
        ),
        ("ashlar_pool_latched", "gauge", "1: an I/O error has ended all writing.", |pool| {
            u64::from(pool.latched.is_some())
        }),
    ];
    let mut text = String::new();
    // Writing to a string cannot fail.
    for (name, kind, help, figure) in of_pools {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for pool in &status.pools {
            let _ = writeln!(text, "{name}{{region=\"{}\"}} {}", pool.region, figure(pool));
        }
    }
    let _ = writeln!(
        text,
        "# HELP ashlar_nbd_connections NBD connections, those without an export yet included.\n\
         # TYPE ashlar_nbd_connections gauge\nashlar_nbd_connections {}\n\
         # HELP ashlar_nbd_export_connections NBD connections to an export.\n\
         # TYPE ashlar_nbd_export_connections gauge",
        status.nbd.connections
    );
    for (export, count) in &status.nbd.exports {
        let _ = writeln!(text, "ashlar_nbd_export_connections{{export=\"{export}\"}} {count}");
    }
    let scrub = &status.scrub;
    for (name, help, value) in [
        ("ashlar_scrub_running", "1: a scrub runs.", u64::from(scrub.state == ScrubState::Running)),
        ("ashlar_scrub_total_bytes", "Bytes that the last scrub had to read.", scrub.total_bytes),
        ("ashlar_scrub_done_bytes", "Bytes that the last scrub has read.", scrub.done_bytes),
        (
            "ashlar_scrub_damaged_blocks",
            "Damaged blocks that the last scrub has found.",
            scrub.damaged_blocks,
        ),
    ] {
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}");
    }
    text.truncate(text.trim_end().len());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> HealthRecord {
        HealthRecord {
            pools: vec![PoolRecord {
                region: "ap-guangzhou".into(),
                used_bytes: 5 << 20,
                available_bytes: 7 << 20,
                capacity_bytes: 60 << 20,
                percent_full: 88,
                room: RoomRecord::NearlyFull,
                reclaim: ReclaimRecord {
                    layers: 3,
                    layer_bytes: 2 << 20,
                    punch_bytes: 1 << 20,
                    ..ReclaimRecord::default()
                },
                damaged_blocks: 2,
                damaged_blocks_found: 3,
                damaged: vec![("disk-00000001".into(), 2)],
                open_bytes: 0,
                uncertain_bytes: 0,
                latched: None,
            }],
            nbd: NbdRecord { connections: 3, exports: vec![("disk-00000001".into(), 2)] },
            scrub: ScrubRecord {
                state: ScrubState::Running,
                total_bytes: 4 << 20,
                done_bytes: 1 << 20,
                ..ScrubRecord::default()
            },
        }
    }

    #[test]
    fn damage_is_told_with_the_disks_that_show_it() {
        assert_eq!(
            to_text(&status()),
            "ap-guangzhou: 2 DAMAGED BLOCKS; 5 MiB used, 7 MiB available, 88 % full: NEARLY FULL\n  \
             gives space back: 3 deleted layers with 2 MiB to go through, 1 MiB to punch\n  \
             disk-00000001: 2 damaged blocks\nNBD: 3 connections (disk-00000001 2)\nscrub: running, 25 %, 1 of 4 MiB, 0 damaged blocks"
        );
    }

    #[test]
    fn every_metric_has_help_type_and_value() {
        let text = to_metrics(&status());
        assert!(text.contains("\nashlar_pool_damaged_blocks{region=\"ap-guangzhou\"} 2\n"), "{text}");
        let values: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(values.len(), 21, "{text}");
        for value in values {
            let name = value.split(['{', ' ']).next().unwrap();
            assert!(text.contains(&format!("# HELP {name} ")), "{name}");
            assert!(text.contains(&format!("# TYPE {name} ")), "{name}");
        }
    }
}
