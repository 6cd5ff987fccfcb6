//! How full a pool is: new disks are refused before what is there runs out of room. Writes to disks that exist are never
//! refused for that; they fail only when the medium itself is full.

use ashlar_types::Region;
use ashlar_volume::StoreUsage;

use crate::control::Control;
use crate::error::{ControlError, QuotaError};
use crate::settings::Limits;

/// How much room a pool has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Room {
    /// Enough.
    #[default]
    Enough,
    /// From `pool_warning_percent` on: an operator should act.
    NearlyFull,
    /// From `pool_full_percent` on: there are no new disks.
    Full,
}

impl Limits {
    /// How much room a pool has left that is so full.
    #[must_use]
    pub const fn room(&self, percent_full: u64) -> Room {
        if percent_full >= self.pool_full_percent {
            Room::Full
        } else if percent_full >= self.pool_warning_percent {
            Room::NearlyFull
        } else {
            Room::Enough
        }
    }

    /// How full a pool is, in percent: of the medium, whoever fills it, or of `pool_limit_gib`, whichever is more.
    #[must_use]
    pub fn percent_full(&self, usage: &StoreUsage) -> u64 {
        let taken = usage.capacity_bytes.saturating_sub(usage.available_bytes);
        let of_limit = percent(usage.used_bytes, self.pool_limit_gib.saturating_mul(ashlar_types::GIB_BYTES));
        percent(taken, usage.capacity_bytes).max(of_limit)
    }
}

/// 0 of nothing.
fn percent(part: u64, whole: u64) -> u64 {
    (u128::from(part) * 100).checked_div(u128::from(whole)).map_or(0, |percent| percent as u64)
}

impl Control {
    /// Refuses new disks in a pool that is nearly full.
    pub(crate) async fn check_room(&self, region: &Region) -> Result<(), ControlError> {
        let (stores, region) = (self.stores.clone(), region.clone());
        let looked = tokio::task::spawn_blocking(move || stores.store(&region)?.usage()).await;
        // A pool that cannot tell is the job's business: it says what is wrong with it.
        let Ok(Ok(usage)) = looked else { return Ok(()) };
        let at_most = self.limits().pool_full_percent;
        let percent = self.limits().percent_full(&usage);
        match self.limits().room(percent) {
            Room::Full => Err(QuotaError::PoolFull { percent, at_most }.into()),
            Room::Enough | Room::NearlyFull => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fuller_of_medium_and_limit_counts() {
        let usage = |used_bytes, available_bytes, capacity_bytes| StoreUsage {
            used_bytes,
            available_bytes,
            capacity_bytes,
        };
        let gib = ashlar_types::GIB_BYTES;
        let free = Limits::default();
        assert_eq!(free.percent_full(&usage(0, 100 * gib, 100 * gib)), 0);
        assert_eq!(free.percent_full(&usage(gib, 5 * gib, 100 * gib)), 95, "others fill the medium too");
        assert_eq!(free.percent_full(&usage(0, 0, 0)), 0);
        let limited = Limits { pool_limit_gib: 10, ..Limits::default() };
        assert_eq!(limited.percent_full(&usage(8 * gib, 900 * gib, 1000 * gib)), 80);
        assert_eq!(limited.percent_full(&usage(11 * gib, 900 * gib, 1000 * gib)), 110);
    }

    #[test]
    fn warned_at_80_and_refused_at_95() {
        let limits = Limits::default();
        for (percent, room) in [
            (0, Room::Enough),
            (79, Room::Enough),
            (80, Room::NearlyFull),
            (94, Room::NearlyFull),
            (95, Room::Full),
            (110, Room::Full),
        ] {
            assert_eq!(limits.room(percent), room, "{percent}");
        }
    }
}
