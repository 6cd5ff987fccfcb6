//! A payload that is too long for the receive buffer: it is written, or skipped, in pieces as they arrive.
//!
//! So no connection ever takes more than its fixed buffers, whatever it announces.

use ashlar_volume::BLOCK_BYTES;

use super::{Session, SessionError};
use crate::codec::ReplyTo;
use crate::errno::CommandError;
use crate::validate::Range;

/// What is waited for before the next piece is written: calls of the device are not for free.
const PIECE_BYTES: usize = 256 << 10;

/// A payload on its way.
pub(super) struct Payload {
    to: ReplyTo,
    rest_bytes: usize,
    fate: Fate,
}

enum Fate {
    /// It is written.
    Write { next_bytes: u64, durable: bool },
    /// It is skipped; the answer is known.
    Skip(CommandError),
}

impl Payload {
    /// The payload of a write of `range`.
    pub(super) const fn write(to: ReplyTo, range: Range, durable: bool) -> Self {
        let fate = Fate::Write { next_bytes: range.offset_bytes, durable };
        Self { to, rest_bytes: range.length_bytes as usize, fate }
    }

    /// A payload that nobody wants.
    pub(super) const fn skip(to: ReplyTo, bytes: usize, answer: CommandError) -> Self {
        Self { to, rest_bytes: bytes, fate: Fate::Skip(answer) }
    }
}

impl Session<'_> {
    /// Takes what has arrived of the payload. True when that was all of it, and the request is answered.
    pub(super) fn take_payload(&mut self, payload: &mut Payload) -> Result<bool, SessionError> {
        loop {
            if payload.rest_bytes == 0 {
                match &payload.fate {
                    Fate::Write { durable: true, .. } => self.flush_later(payload.to),
                    Fate::Write { durable: false, .. } => {
                        self.replies.success(payload.to, &mut self.stream)?
                    }
                    Fate::Skip(answer) => self.replies.error(payload.to, answer, &mut self.stream)?,
                }
                return Ok(true);
            }
            let wanted = payload.rest_bytes.min(PIECE_BYTES);
            let arrived = self.input.pending().len().min(payload.rest_bytes);
            if arrived < wanted {
                self.input.make_room(wanted);
                return Ok(false);
            }
            let piece_bytes = match &mut payload.fate {
                Fate::Skip(_) => arrived,
                Fate::Write { next_bytes, .. } => {
                    let bytes = whole_blocks(*next_bytes, arrived, payload.rest_bytes);
                    let written = self.device.write(*next_bytes, &self.input.pending()[..bytes]);
                    *next_bytes += bytes as u64;
                    if let Err(error) = written {
                        payload.fate = Fate::Skip(self.failure(&error));
                    }
                    bytes
                }
            };
            payload.rest_bytes -= piece_bytes;
            self.input.consume(piece_bytes);
        }
    }
}

/// How much of the `arrived` bytes to write now, so that no block is written in two parts. `arrived` is more than a block,
/// or all of the rest.
fn whole_blocks(offset_bytes: u64, arrived: usize, rest_bytes: usize) -> usize {
    if arrived == rest_bytes {
        return arrived;
    }
    arrived - ((offset_bytes + arrived as u64) % BLOCK_BYTES) as usize
}
