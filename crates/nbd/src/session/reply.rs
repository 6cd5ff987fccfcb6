//! The form that replies take: simple, structured or extended, as was agreed on.

use std::io;

use ashlar_volume::{Attempt, VolumeError};

use crate::buffer::{ReplyBuffer, is_zero};
use crate::codec::{Chunk, DataHeader, HeaderStyle, ReplyTo, encode_chunk, encode_simple_reply};
use crate::contexts::Descriptors;
use crate::errno::CommandError;
use crate::stream::Stream;
use crate::validate::Range;

/// The replies of a session, on their way into the reply buffer.
pub(super) struct Replies {
    style: HeaderStyle,
    buffer: ReplyBuffer,
    /// Where chunks of any length are put together.
    scratch: Vec<u8>,
}

impl Replies {
    pub(super) fn new(style: HeaderStyle) -> Self {
        Self { style, buffer: ReplyBuffer::new(), scratch: Vec::new() }
    }

    /// How many replies, or parts of them, wait to be sent.
    pub(super) const fn waiting(&self) -> usize {
        self.buffer.waiting()
    }

    /// Sends all replies that wait.
    pub(super) fn send(&mut self, stream: &mut Stream) -> io::Result<()> {
        self.buffer.send(stream)
    }

    /// Sends as much of what waits as the client takes at once.
    pub(super) fn send_now(&mut self, stream: &mut Stream) -> io::Result<()> {
        self.buffer.send_now(stream)
    }

    /// A command without data succeeded. A simple reply is allowed under structured replies, too, and shorter.
    pub(super) fn success(&mut self, to: ReplyTo, stream: &mut Stream) -> io::Result<()> {
        if self.style.is_extended() {
            return self.chunk(to, &Chunk::Nothing, true, stream);
        }
        self.buffer.push(&encode_simple_reply(to.cookie, None), &[], stream)
    }

    /// A command failed.
    pub(super) fn error(&mut self, to: ReplyTo, error: &CommandError, stream: &mut Stream) -> io::Result<()> {
        if !self.style.has_chunks() {
            return self.buffer.push(&encode_simple_reply(to.cookie, Some(error.errno)), &[], stream);
        }
        self.chunk(to, &Chunk::Error { errno: error.errno, message: &error.message }, true, stream)
    }

    /// Reads a piece with `read` straight into the reply buffer and makes it a reply if that succeeds at
    /// once. Zeroes become a hole where the reply may have several chunks. A piece that is not the last
    /// may only come where that is so, too.
    pub(super) fn data_at_once(
        &mut self,
        to: ReplyTo,
        piece: Range,
        is_last: bool,
        may_fragment: bool,
        stream: &mut Stream,
        read: impl FnOnce(&mut [u8]) -> Result<Attempt, VolumeError>,
    ) -> io::Result<Result<Attempt, VolumeError>> {
        let header_bytes = DataHeader::length(self.style);
        let length = piece.length_bytes as usize;
        let room = self.buffer.room(header_bytes + length, stream)?;
        let (header, data) = room.split_at_mut(header_bytes);
        let attempt = read(data);
        if !matches!(attempt, Ok(Attempt::Done)) {
            return Ok(attempt);
        }
        if may_fragment && is_zero(data) {
            let (offset_bytes, length_bytes) = (piece.offset_bytes, piece.length_bytes as u32);
            self.chunk(to, &Chunk::OffsetHole { offset_bytes, length_bytes }, is_last, stream)?;
            return Ok(attempt);
        }
        let encoded = DataHeader::new(self.style, to, piece.offset_bytes, length as u32, is_last);
        header.copy_from_slice(encoded.as_bytes());
        self.buffer.keep(header_bytes + length);
        Ok(attempt)
    }

    /// The data of a read that waited, all of it or what was left.
    pub(super) fn data(
        &mut self,
        to: ReplyTo,
        offset_bytes: u64,
        data: &[u8],
        stream: &mut Stream,
    ) -> io::Result<()> {
        let header = DataHeader::new(self.style, to, offset_bytes, data.len() as u32, true);
        self.buffer.push(header.as_bytes(), data, stream)
    }

    /// What metadata contexts say of a range, at least one. Only replies in chunks have it.
    pub(super) fn block_status(
        &mut self,
        to: ReplyTo,
        statuses: &[(u32, Descriptors)],
        stream: &mut Stream,
    ) -> io::Result<()> {
        for (place, (context, extents)) in statuses.iter().enumerate() {
            let chunk = Chunk::BlockStatus { context: *context, extents };
            self.chunk(to, &chunk, place + 1 == statuses.len(), stream)?;
        }
        Ok(())
    }

    fn chunk(
        &mut self,
        to: ReplyTo,
        chunk: &Chunk<'_>,
        is_last: bool,
        stream: &mut Stream,
    ) -> io::Result<()> {
        self.scratch.clear();
        encode_chunk(&mut self.scratch, self.style, to, chunk, is_last);
        self.buffer.push(&self.scratch, &[], stream)
    }
}
