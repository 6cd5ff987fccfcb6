//! The places for connections, and who has to leave when they are all taken.
//!
//! A connection waits while the server has no whole request of it: between requests, in the middle of a head,
//! in the middle of a body. When no place is free, the one that has waited longest makes room for a newcomer,
//! so that clients which only hold connections cannot keep others out.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// A fixed number of places.
pub(super) struct Slots {
    free: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
}

/// The connections that wait, longest first.
#[derive(Default)]
struct Waiting {
    next_turn: u64,
    turns: BTreeMap<u64, Arc<Notify>>,
}

/// The place of one connection; dropping it makes it free.
pub(super) struct Slot {
    slots: Arc<Slots>,
    evicted: Arc<Notify>,
    turn: Mutex<Option<u64>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Slots {
    pub(super) fn new(count: usize) -> Arc<Self> {
        Arc::new(Self { free: Arc::new(Semaphore::new(count)), waiting: Mutex::default() })
    }

    /// A place for a newcomer, who waits from now on. Sends the longest waiting connection away if need be; where
    /// all are busy, it takes until one has its answer.
    pub(super) async fn enter(self: &Arc<Self>) -> Slot {
        let permit = match self.free.clone().try_acquire_owned() {
            Ok(permit) => Some(permit),
            Err(_) => {
                self.evict_one();
                // The semaphore is never closed, so this is always a place.
                self.free.clone().acquire_owned().await.ok()
            }
        };
        let slot =
            Slot { slots: self.clone(), evicted: Arc::default(), turn: Mutex::default(), _permit: permit };
        slot.waits();
        slot
    }

    fn evict_one(&self) {
        if let Some((_, evicted)) = self.waiting.lock().turns.pop_first() {
            evicted.notify_one();
        }
    }
}

impl Slot {
    /// The connection has no whole request under way.
    pub(super) fn waits(&self) {
        let mut waiting = self.slots.waiting.lock();
        let turn = waiting.next_turn;
        waiting.next_turn += 1;
        waiting.turns.insert(turn, self.evicted.clone());
        if let Some(old) = self.turn.lock().replace(turn) {
            waiting.turns.remove(&old);
        }
    }

    /// A whole request of the connection has arrived: it is not sent away before it has its answer.
    pub(super) fn is_busy(&self) {
        if let Some(turn) = self.turn.lock().take() {
            self.slots.waiting.lock().turns.remove(&turn);
        }
    }

    /// Returns when the connection has to make room.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.is_busy();
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    async fn is_pending(future: impl Future) -> bool {
        let mut future = pin!(future);
        poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_pending())).await
    }

    #[tokio::test]
    async fn the_longest_waiting_makes_room() {
        let slots = Slots::new(3);
        let (first, second, third) = (slots.enter().await, slots.enter().await, slots.enter().await);
        first.is_busy();
        second.is_busy();
        second.waits();
        assert!(is_pending(third.evicted()).await, "nobody needs its place yet");
        assert!(is_pending(slots.enter()).await, "the place is not free before it is given back");
        third.evicted().await;
        drop(third);
        let fourth = slots.enter().await;
        assert!(is_pending(slots.enter()).await);
        second.evicted().await;
        assert!(is_pending(first.evicted()).await && is_pending(fourth.evicted()).await);
    }

    #[tokio::test]
    async fn who_is_busy_stays() {
        let slots = Slots::new(1);
        let only = slots.enter().await;
        only.is_busy();
        let mut newcomer = pin!(slots.enter());
        assert!(is_pending(newcomer.as_mut()).await);
        assert!(is_pending(only.evicted()).await);
        drop(only);
        newcomer.await;
    }
}
