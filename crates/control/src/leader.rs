//! Which of several servers on one database runs the reconcilers.
//!
//! A lease in the database names the leader and until when. Clocks of servers differ and step, so the lease alone
//! proves nothing: each taking of it has a number, the fence, and a reconciler's transaction that finds another fence
//! than its own changes nothing ([`Control::write_as`]). Two servers that both believe to lead waste work; they do
//! nothing twice.

use ashlar_db::{Fence, Lease, Transaction};
use ashlar_types::UnixMillis;

use crate::control::Control;
use crate::error::ControlError;

/// The name of the lease.
const LEASE: &str = "reconcilers";

/// How long a leader that is not heard of is waited for. 60 s.
const LEASE_MS: i64 = 60_000;

/// The proof of a reconciler that it runs for the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leadership(Fence);

/// What becomes of the lease when a server asks for it.
#[derive(Debug, PartialEq, Eq)]
enum Claim {
    /// Another one leads.
    Other,
    /// It is held, and far from its end.
    Held(Fence),
    /// This is to be written; then it is held.
    Write(Lease),
}

/// `known` is the fence of this server's own taking. Without one a lease in this server's name is that of its
/// life before: it is taken anew, so that what that life still has under way is void.
fn claim(lease: Option<Lease>, server: &str, known: Option<Fence>, now: UnixMillis) -> Claim {
    let until = now.plus_ms(LEASE_MS);
    let Some(lease) = lease else {
        return Claim::Write(Lease { holder: server.to_owned(), fence: Fence(1), until });
    };
    let is_own = known == Some(lease.fence);
    // A lease that reaches much further than any is given was written before the clock was set back: it does not
    // count. Clocks of two servers may differ by the length of a lease.
    let is_running = lease.until > now && lease.until <= now.plus_ms(2 * LEASE_MS);
    match (is_own, is_running) {
        (true, true) if lease.until > now.plus_ms(LEASE_MS / 2) => Claim::Held(lease.fence),
        (true, _) => Claim::Write(Lease { until, ..lease }),
        (false, true) if lease.holder != server => Claim::Other,
        (false, _) => {
            Claim::Write(Lease { holder: server.to_owned(), fence: Fence(lease.fence.0 + 1), until })
        }
    }
}

impl Control {
    /// Asks to lead. `None` while another server does. Cheap for a leader: the database is written to twice a minute.
    pub async fn lead(&self) -> Result<Option<Leadership>, ControlError> {
        let known = *self.fence.lock();
        let seen = self.db.look().await?.leases().find(LEASE).await?;
        let fence = match claim(seen, &self.server_name, known, self.now()) {
            Claim::Other => None,
            Claim::Held(fence) => Some(fence),
            Claim::Write(_) => self.take_lease(known).await?,
        };
        *self.fence.lock() = fence;
        Ok(fence.map(Leadership))
    }

    async fn take_lease(&self, known: Option<Fence>) -> Result<Option<Fence>, ControlError> {
        let mut tx = self.db.write().await?;
        // Somebody may have been quicker between the look and this transaction.
        let seen = tx.leases().find(LEASE).await?;
        match claim(seen, &self.server_name, known, self.now()) {
            Claim::Other => Ok(None),
            Claim::Held(fence) => Ok(Some(fence)),
            Claim::Write(lease) => {
                tx.leases().put(LEASE, &lease).await?;
                tx.commit().await?;
                Ok(Some(lease.fence))
            }
        }
    }

    /// Begins a transaction of a reconciler. `None` when another server leads by now: nothing may be changed.
    pub(crate) async fn write_as(&self, leader: Leadership) -> Result<Option<Transaction>, ControlError> {
        let mut tx = self.db.write().await?;
        let lease = tx.leases().find(LEASE).await?;
        Ok(lease.is_some_and(|lease| lease.fence == leader.0).then_some(tx))
    }

    /// Lets another server lead at once.
    pub(crate) async fn resign(&self) -> Result<(), ControlError> {
        let Some(fence) = self.fence.lock().take() else { return Ok(()) };
        let Some(mut tx) = self.write_as(Leadership(fence)).await? else { return Ok(()) };
        let lease = Lease { holder: self.server_name.to_string(), fence, until: self.now() };
        tx.leases().put(LEASE, &lease).await?;
        Ok(tx.commit().await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lease(holder: &str, fence: u64, until: i64) -> Option<Lease> {
        Some(Lease { holder: holder.to_owned(), fence: Fence(fence), until: UnixMillis(until) })
    }

    fn taken(holder: &str, fence: u64, until: i64) -> Claim {
        Claim::Write(lease(holder, fence, until).unwrap())
    }

    #[test]
    fn a_lease_changes_hands_only_when_it_is_over() {
        let now = UnixMillis(1_000_000);
        let end = 1_060_000;
        for (state, known, expected) in [
            (None, None, taken("a", 1, end)),
            // Another's, running; over; from before the clock was set back.
            (lease("b", 7, 1_000_001), None, Claim::Other),
            (lease("b", 7, 1_000_000), None, taken("a", 8, end)),
            (lease("b", 7, 1_120_000), None, Claim::Other),
            (lease("b", 7, 1_120_001), None, taken("a", 8, end)),
            // Its own: fresh, half used, over, and that of an earlier life.
            (lease("a", 7, 1_030_001), Some(Fence(7)), Claim::Held(Fence(7))),
            (lease("a", 7, 1_030_000), Some(Fence(7)), taken("a", 7, end)),
            (lease("a", 7, 5), Some(Fence(7)), taken("a", 7, end)),
            (lease("a", 7, 1_030_001), None, taken("a", 8, end)),
            // It was overtaken meanwhile, by a namesake too.
            (lease("b", 8, 1_030_001), Some(Fence(7)), Claim::Other),
            (lease("a", 8, 1_030_001), Some(Fence(7)), taken("a", 9, end)),
        ] {
            assert_eq!(claim(state.clone(), "a", known, now), expected, "{state:?} {known:?}");
        }
    }
}
