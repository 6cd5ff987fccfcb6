//! Watches how full the pools are, and says so once when one becomes nearly full, once when it is so full that there are no
//! new disks, and once when it has room again.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ashlar_control::{Limits, Room};
use ashlar_types::Region;
use tokio::time::{MissedTickBehavior, interval};

use crate::pools::Pools;
use crate::stop::Stop;

/// How often the pools are looked at.
const INTERVAL: Duration = Duration::from_secs(10);

/// Looks at the open pools until `stop`.
pub(super) async fn watch(pools: Arc<Pools>, limits: Limits, mut stop: Stop) {
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut rooms = BTreeMap::new();
    loop {
        tokio::select! {
            biased;
            () = stop.wanted() => return,
            _ = ticks.tick() => {}
        }
        let looked = Arc::clone(&pools);
        let Ok(usages) = tokio::task::spawn_blocking(move || looked.usages()).await else { continue };
        for (region, usage) in usages {
            match usage {
                Ok(usage) => note(&mut rooms, &region, limits.percent_full(&usage), &limits),
                Err(error) => tracing::warn!(%region, %error, "cannot tell how full the pool is"),
            }
        }
    }
}

fn note(rooms: &mut BTreeMap<Region, Room>, region: &Region, percent: u64, limits: &Limits) {
    let room = limits.room(percent);
    let before = rooms.insert(region.clone(), room).unwrap_or_default();
    let refused_from = limits.pool_full_percent;
    match room {
        _ if room == before => {}
        Room::Enough => tracing::info!(%region, percent, "the pool has room again"),
        Room::NearlyFull if before == Room::Full => {
            tracing::info!(%region, percent, refused_from, "the pool takes new disks again, and is still nearly full");
        }
        Room::NearlyFull => tracing::warn!(
            %region, percent, refused_from,
            "the pool is nearly full: delete snapshots or disks (`ashlar du` tells which give how much back), or enlarge \
             the file system"
        ),
        Room::Full => tracing::error!(
            %region, percent, refused_from,
            "the pool is full: there are no new disks until it has room again; writes to disks that exist go on until the \
             file system is full"
        ),
    }
}
