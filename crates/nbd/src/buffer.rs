//! The two buffers of a session: bytes received and not yet used, replies not yet sent.
//!
//! Both are allocated once. They come from zeroed pages that the system maps when first touched, so an idle
//! connection takes almost nothing, and no request pays for zeroing.

use std::io;

use crate::patience::{Lookout, Patience};
use crate::stream::Stream;

/// A write of 1 MiB, the largest that common clients send, with requests around it.
pub(crate) const RECEIVE_BYTES: usize = (1 << 20) + (64 << 10);

/// The longest data that is read into the reply buffer at a time. Longer reads go in pieces of it: the client
/// takes one while the next is read, and the processor's cache holds it meanwhile. Sequential reads of 1 MiB cost
/// 157 us of processor time with 512 KiB, 175 us with 256 KiB, and no less with 1 MiB.
pub(crate) const PIECE_BYTES: usize = 512 << 10;

/// A piece and some hundreds of small replies.
const REPLY_BYTES: usize = PIECE_BYTES + (64 << 10);

fn zeroed(length: usize) -> Box<[u8]> {
    vec![0; length].into_boxed_slice()
}

/// Received bytes.
pub(crate) struct ReceiveBuffer {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
    patience: Patience,
}

impl ReceiveBuffer {
    pub(crate) fn new() -> Self {
        Self { bytes: zeroed(RECEIVE_BYTES), start: 0, end: 0, patience: Patience::default() }
    }

    /// The bytes that were received and not consumed.
    pub(crate) fn pending(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Drops the first `count` pending bytes.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end, "more consumed than was received");
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Makes room for `message_bytes` from the first pending byte on, at most [`RECEIVE_BYTES`].
    pub(crate) fn make_room(&mut self, message_bytes: usize) {
        debug_assert!(message_bytes <= self.bytes.len(), "a message that is to be taken in pieces");
        if self.start + message_bytes > self.bytes.len() {
            self.bytes.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
    }

    /// Takes bytes that are there already; `None` where there are none. 0 is the end of the stream.
    pub(crate) fn fill_now(&mut self, stream: &mut Stream) -> io::Result<Option<usize>> {
        let received = stream.receive_now(&mut self.bytes[self.end..])?;
        self.end += received.unwrap_or(0);
        Ok(received)
    }

    /// Waits for bytes, as many as fit; 0 is the end of the stream.
    pub(crate) fn fill(&mut self, stream: &mut Stream, lookout: &Lookout) -> io::Result<usize> {
        let room = &mut self.bytes[self.end..];
        let received = match self.patience.wait(lookout, || stream.receive_now(room))? {
            Some(received) => received,
            None => stream.receive(room)?,
        };
        self.end += received;
        Ok(received)
    }
}

/// Replies that wait to be sent in one call.
pub(crate) struct ReplyBuffer {
    bytes: Box<[u8]>,
    filled: usize,
    /// How often something was added.
    added: usize,
}

impl ReplyBuffer {
    pub(crate) fn new() -> Self {
        Self { bytes: zeroed(REPLY_BYTES), filled: 0, added: 0 }
    }

    /// How many replies, or parts of them, wait.
    pub(crate) const fn waiting(&self) -> usize {
        self.added
    }

    /// Sends what waits.
    pub(crate) fn send(&mut self, stream: &mut Stream) -> io::Result<()> {
        let waiting = std::mem::take(&mut self.filled);
        self.added = 0;
        stream.send_all(&self.bytes[..waiting])
    }

    /// Sends as much of what waits as the client takes at once.
    pub(crate) fn send_now(&mut self, stream: &mut Stream) -> io::Result<()> {
        let sent = stream.send_now(&self.bytes[..self.filled])?;
        self.bytes.copy_within(sent..self.filled, 0);
        self.filled -= sent;
        if self.filled == 0 {
            self.added = 0;
        }
        Ok(())
    }

    /// Room for `count` bytes behind the last reply; what was there is of no meaning. What waits is sent if
    /// need be. `count` is at most a piece and a header. [`keep`](Self::keep) makes it a reply.
    pub(crate) fn room(&mut self, count: usize, stream: &mut Stream) -> io::Result<&mut [u8]> {
        if self.filled + count > self.bytes.len() {
            self.send(stream)?;
        }
        Ok(&mut self.bytes[self.filled..self.filled + count])
    }

    /// Adds the first `count` bytes of the last [`room`](Self::room).
    pub(crate) fn keep(&mut self, count: usize) {
        self.filled += count;
        self.added += 1;
    }

    /// Adds a reply made of two parts, or sends it where it is too long to wait.
    pub(crate) fn push(&mut self, head: &[u8], tail: &[u8], stream: &mut Stream) -> io::Result<()> {
        let count = head.len() + tail.len();
        if count > PIECE_BYTES {
            self.send(stream)?;
            return stream.send_all_of_two(head, tail);
        }
        let room = self.room(count, stream)?;
        room[..head.len()].copy_from_slice(head);
        room[head.len()..].copy_from_slice(tail);
        self.keep(count);
        Ok(())
    }
}

/// Whether all bytes are zero. Data mostly says no at its first bytes.
pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.chunks(256).all(|part| part.iter().fold(0, |any, byte| any | byte) == 0)
}

#[cfg(test)]
mod tests;
