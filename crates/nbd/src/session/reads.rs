//! Reads that wait for the medium without a worker: the device's own queue, where it has one.

use ashlar_volume::{BlockDevice, ReadQueue};

use crate::codec::ReplyTo;
use crate::memory::Reservation;
use crate::session_handle::SessionHandle;
use crate::validate::Range;

/// A read whose reply waits.
pub(super) struct WaitingRead {
    pub(super) to: ReplyTo,
    pub(super) range: Range,
    pub(super) reservation: Option<Reservation>,
}

/// The queue of a session, made when first wanted.
#[derive(Default)]
pub(super) struct Reads {
    queue: Option<Box<dyn ReadQueue>>,
    was_asked_for: bool,
    /// By the queue's number.
    waiting: Vec<Option<WaitingRead>>,
    under_way: usize,
}

impl Reads {
    /// Begins a read; given back where it has to go another way.
    pub(super) fn begin(
        &mut self,
        device: &dyn BlockDevice,
        handle: &SessionHandle,
        read: WaitingRead,
    ) -> Result<(), WaitingRead> {
        if !self.was_asked_for {
            self.was_asked_for = true;
            self.queue = device.read_queue(handle.bell().as_fd());
        }
        let number =
            self.queue.as_mut().and_then(|queue| queue.begin(read.range.offset_bytes, read.range.length()));
        let Some(number) = number else { return Err(read) };
        if self.waiting.len() <= number {
            self.waiting.resize_with(number + 1, || None);
        }
        self.waiting[number] = Some(read);
        self.under_way += 1;
        Ok(())
    }

    /// Whether some are under way.
    pub(super) const fn are_under_way(&self) -> bool {
        self.under_way > 0
    }

    /// Hands over what was begun, and gives what has ended with its bytes, or without where it has to go another way.
    pub(super) fn turn(&mut self, mut ended: impl FnMut(WaitingRead, Option<&[u8]>)) {
        let Self { queue, waiting, under_way, .. } = self;
        if *under_way == 0 {
            return;
        }
        if let Some(queue) = queue {
            queue.turn(&mut |number, bytes| {
                if let Some(read) = waiting.get_mut(number).and_then(Option::take) {
                    *under_way -= 1;
                    ended(read, bytes);
                }
            });
        }
    }
}
