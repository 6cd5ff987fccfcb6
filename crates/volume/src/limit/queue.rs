//! Reads under way behind a limiter.

use std::sync::Arc;

use super::turns::Turns;
use crate::ReadQueue;

/// A queue whose reads take their turn when they begin, unless they have taken it before.
pub(super) struct LimitedReads {
    inner: Box<dyn ReadQueue>,
    turns: Arc<Turns>,
    /// Which read has a number.
    begun: Vec<(u64, usize)>,
}

impl LimitedReads {
    pub(super) const fn new(inner: Box<dyn ReadQueue>, turns: Arc<Turns>) -> Self {
        Self { inner, turns, begun: Vec::new() }
    }
}

impl ReadQueue for LimitedReads {
    fn begin(&mut self, offset_bytes: u64, length: usize) -> Option<usize> {
        self.turns.take_unless_paid(offset_bytes, length);
        let Some(number) = self.inner.begin(offset_bytes, length) else {
            // Whoever reads it the ordinary way does not wait again.
            self.turns.note_paid((offset_bytes, length));
            return None;
        };
        if self.begun.len() <= number {
            self.begun.resize(number + 1, (0, 0));
        }
        self.begun[number] = (offset_bytes, length);
        Some(number)
    }

    fn turn(&mut self, ended: &mut dyn FnMut(usize, Option<&[u8]>)) {
        let Self { inner, turns, begun } = self;
        inner.turn(&mut |number, bytes| {
            if bytes.is_none()
                && let Some(read) = begun.get(number)
            {
                turns.note_paid(*read);
            }
            ended(number, bytes);
        });
    }
}
