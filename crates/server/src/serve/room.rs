//! Watches how full the pools are, and says so once when one becomes nearly full and once when it has room again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ashlar_control::Limits;
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
    let mut nearly_full = BTreeSet::new();
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
                Ok(usage) => note(&mut nearly_full, &region, limits.percent_full(&usage), &limits),
                Err(error) => tracing::warn!(%region, %error, "cannot tell how full the pool is"),
            }
        }
    }
}

fn note(nearly_full: &mut BTreeSet<Region>, region: &Region, percent: u64, limits: &Limits) {
    if percent < limits.pool_warning_percent {
        if nearly_full.remove(region) {
            tracing::info!(%region, percent, "the pool has room again");
        }
    } else if nearly_full.insert(region.clone()) {
        let refused_from = limits.pool_full_percent;
        tracing::warn!(
            %region, percent, refused_from,
            "the pool is nearly full: delete snapshots or disks (`ashlar du` tells which give how much back), or enlarge \
             the file system"
        );
    }
}
