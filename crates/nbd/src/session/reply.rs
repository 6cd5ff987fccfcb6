//! The form that replies take: simple or structured, as was agreed on.

use std::io;

use ashlar_volume::{Extent, ExtentKind, ReadAttempt, VolumeError};

use crate::buffer::{ReplyBuffer, is_zero};
use crate::codec::{
    Chunk, OFFSET_DATA_HEADER_BYTES, SIMPLE_REPLY_BYTES, encode_chunk, encode_offset_data_header,
    encode_simple_reply,
};
use crate::errno::CommandError;
use crate::features::ALLOCATION_CONTEXT_NUMBER;
use crate::socket::Socket;
use crate::validate::Range;

/// An extent takes no space.
const STATE_HOLE: u32 = 1 << 0;
/// An extent reads as zeroes.
const STATE_ZERO: u32 = 1 << 1;

/// The replies of a session, on their way into the reply buffer.
pub(super) struct Replies {
    structured: bool,
    buffer: ReplyBuffer,
    /// Where chunks of any length are put together.
    scratch: Vec<u8>,
}

impl Replies {
    pub(super) fn new(structured: bool) -> Self {
        Self { structured, buffer: ReplyBuffer::new(), scratch: Vec::new() }
    }

    /// Sends all replies that wait.
    pub(super) fn send(&mut self, socket: &Socket) -> io::Result<()> {
        self.buffer.send(socket)
    }

    /// A command without data succeeded. A simple reply is allowed under structured replies, too, and shorter.
    pub(super) fn success(&mut self, cookie: u64, socket: &Socket) -> io::Result<()> {
        self.buffer.push(&encode_simple_reply(cookie, None), &[], socket)
    }

    /// A command failed.
    pub(super) fn error(&mut self, cookie: u64, error: &CommandError, socket: &Socket) -> io::Result<()> {
        if !self.structured {
            return self.buffer.push(&encode_simple_reply(cookie, Some(error.errno)), &[], socket);
        }
        self.chunk(cookie, &Chunk::Error { errno: error.errno, message: &error.message }, true, socket)
    }

    /// Reads a piece with `read` straight into the reply buffer and makes it a reply if that succeeds at
    /// once. Zeroes become a hole where the reply may have several chunks. A piece that is not the last
    /// may only come where that is so, too.
    pub(super) fn data_at_once(
        &mut self,
        cookie: u64,
        piece: Range,
        is_last: bool,
        may_fragment: bool,
        socket: &Socket,
        read: impl FnOnce(&mut [u8]) -> Result<ReadAttempt, VolumeError>,
    ) -> io::Result<Result<ReadAttempt, VolumeError>> {
        let header_bytes = if self.structured { OFFSET_DATA_HEADER_BYTES } else { SIMPLE_REPLY_BYTES };
        let length = piece.length_bytes as usize;
        let room = self.buffer.room(header_bytes + length, socket)?;
        let (header, data) = room.split_at_mut(header_bytes);
        let attempt = read(data);
        if !matches!(attempt, Ok(ReadAttempt::Done)) {
            return Ok(attempt);
        }
        if may_fragment && is_zero(data) {
            let (offset_bytes, length_bytes) = (piece.offset_bytes, piece.length_bytes);
            self.chunk(cookie, &Chunk::OffsetHole { offset_bytes, length_bytes }, is_last, socket)?;
            return Ok(attempt);
        }
        if self.structured {
            let encoded = encode_offset_data_header(cookie, piece.offset_bytes, piece.length_bytes, is_last);
            header.copy_from_slice(&encoded);
        } else {
            header.copy_from_slice(&encode_simple_reply(cookie, None));
        }
        self.buffer.keep(header_bytes + length);
        Ok(attempt)
    }

    /// The data of a read that waited, all of it or what was left.
    pub(super) fn data(
        &mut self,
        cookie: u64,
        offset_bytes: u64,
        data: &[u8],
        socket: &Socket,
    ) -> io::Result<()> {
        if self.structured {
            let header = encode_offset_data_header(cookie, offset_bytes, data.len() as u32, true);
            self.buffer.push(&header, data, socket)
        } else {
            self.buffer.push(&encode_simple_reply(cookie, None), data, socket)
        }
    }

    /// The extents of a range. Only structured replies have them.
    pub(super) fn block_status(
        &mut self,
        cookie: u64,
        extents: &[Extent],
        socket: &Socket,
    ) -> io::Result<()> {
        let descriptors: Vec<(u32, u32)> = extents
            .iter()
            .map(|extent| {
                let flags = match extent.kind {
                    ExtentKind::Data => 0,
                    ExtentKind::Hole => STATE_HOLE | STATE_ZERO,
                };
                (extent.length_bytes as u32, flags)
            })
            .collect();
        let chunk = Chunk::BlockStatus { context: ALLOCATION_CONTEXT_NUMBER, extents: &descriptors };
        self.chunk(cookie, &chunk, true, socket)
    }

    fn chunk(&mut self, cookie: u64, chunk: &Chunk<'_>, is_last: bool, socket: &Socket) -> io::Result<()> {
        self.scratch.clear();
        encode_chunk(&mut self.scratch, cookie, chunk, is_last);
        self.buffer.push(&self.scratch, &[], socket)
    }
}
