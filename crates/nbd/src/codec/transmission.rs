//! The transmission phase: requests, simple replies, chunks of structured replies.

use super::{ProtocolError, Reader};
use crate::errno::Errno;

const REQUEST_MAGIC: u32 = 0x2560_9513;
const SIMPLE_REPLY_MAGIC: u32 = 0x6744_6698;
const CHUNK_MAGIC: u32 = 0x668e_33ef;

/// Bytes of a request without its payload.
pub const REQUEST_BYTES: usize = 28;

/// The longest data of a read or write: 32 MiB, what clients assume of a server that names no limit.
pub const PAYLOAD_BYTES_MAX: u32 = 32 << 20;

/// The commands that the server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// Read data.
    Read,
    /// Write the payload.
    Write,
    /// End the session in good order.
    Disconnect,
    /// Make answered writes durable.
    Flush,
    /// Give space back.
    Trim,
    /// Read ahead.
    Cache,
    /// Write zeroes.
    WriteZeroes,
    /// Describe extents.
    BlockStatus,
}

impl Command {
    /// The command of a number on the wire.
    #[must_use]
    pub const fn from_wire(number: u16) -> Option<Self> {
        Some(match number {
            0 => Self::Read,
            1 => Self::Write,
            2 => Self::Disconnect,
            3 => Self::Flush,
            4 => Self::Trim,
            5 => Self::Cache,
            6 => Self::WriteZeroes,
            7 => Self::BlockStatus,
            _ => return None,
        })
    }
}

/// The flags of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CommandFlags(pub u16);

impl CommandFlags {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// Answer when the data of this request is durable.
    pub const FORCE_UNIT_ACCESS: Self = Self(1 << 0);
    /// Zeroes must keep their space.
    pub const NO_HOLE: Self = Self(1 << 1);
    /// Answer a read with one chunk of data.
    pub const DO_NOT_FRAGMENT: Self = Self(1 << 2);
    /// One extent is enough.
    pub const REQUEST_ONE: Self = Self(1 << 3);
    /// Fail rather than write zeroes slowly.
    pub const FAST_ZERO: Self = Self(1 << 4);

    /// Whether all flags of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The flags of both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// A request as it came, nothing of it judged but the magic number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// Flags, known or not.
    pub flags: CommandFlags,
    /// The number of the command, known or not.
    pub command: u16,
    /// What the client knows the reply by. Two requests may have the same; that is the client's affair.
    pub cookie: u64,
    /// Where the range begins.
    pub offset_bytes: u64,
    /// How long the range is; for a write, also of the payload.
    pub length_bytes: u32,
}

impl Request {
    /// Decodes a request.
    pub fn decode(bytes: &[u8; REQUEST_BYTES]) -> Result<Self, ProtocolError> {
        let mut reader = Reader(bytes);
        let magic = reader.u32().unwrap_or_default();
        if magic != REQUEST_MAGIC {
            return Err(ProtocolError::RequestMagic(magic));
        }
        Ok(Self {
            flags: CommandFlags(reader.u16().unwrap_or_default()),
            command: reader.u16().unwrap_or_default(),
            cookie: reader.u64().unwrap_or_default(),
            offset_bytes: reader.u64().unwrap_or_default(),
            length_bytes: reader.u32().unwrap_or_default(),
        })
    }

    /// The bytes of the request.
    #[must_use]
    pub fn encode(&self) -> [u8; REQUEST_BYTES] {
        let mut bytes = [0; REQUEST_BYTES];
        bytes[0..4].copy_from_slice(&REQUEST_MAGIC.to_be_bytes());
        bytes[4..6].copy_from_slice(&self.flags.0.to_be_bytes());
        bytes[6..8].copy_from_slice(&self.command.to_be_bytes());
        bytes[8..16].copy_from_slice(&self.cookie.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.offset_bytes.to_be_bytes());
        bytes[24..28].copy_from_slice(&self.length_bytes.to_be_bytes());
        bytes
    }

    /// How many bytes of payload follow. More than [`PAYLOAD_BYTES_MAX`] cannot be skipped within reason.
    pub fn payload_bytes(&self) -> Result<usize, ProtocolError> {
        if Command::from_wire(self.command) != Some(Command::Write) {
            return Ok(0);
        }
        if self.length_bytes > PAYLOAD_BYTES_MAX {
            return Err(ProtocolError::PayloadTooLong { length_bytes: self.length_bytes });
        }
        Ok(self.length_bytes as usize)
    }
}

/// Bytes of a simple reply without data.
pub const SIMPLE_REPLY_BYTES: usize = 16;

/// A simple reply; the data of a read that succeeded follows it.
#[must_use]
pub fn encode_simple_reply(cookie: u64, error: Option<Errno>) -> [u8; SIMPLE_REPLY_BYTES] {
    let mut bytes = [0; SIMPLE_REPLY_BYTES];
    bytes[0..4].copy_from_slice(&SIMPLE_REPLY_MAGIC.to_be_bytes());
    bytes[4..8].copy_from_slice(&error.map_or(0, |errno| errno as u32).to_be_bytes());
    bytes[8..16].copy_from_slice(&cookie.to_be_bytes());
    bytes
}

/// Bytes of the header of a chunk.
pub const CHUNK_HEADER_BYTES: usize = 20;

/// Bytes before the data of a chunk of data.
pub const OFFSET_DATA_HEADER_BYTES: usize = CHUNK_HEADER_BYTES + 8;

/// Bytes of one extent in a chunk of block status.
pub const STATUS_DESCRIPTOR_BYTES: usize = 8;

fn chunk_header(cookie: u64, wire_type: u16, payload_bytes: u32, is_last: bool) -> [u8; CHUNK_HEADER_BYTES] {
    const FLAG_DONE: u16 = 1 << 0;
    let flags = if is_last { FLAG_DONE } else { 0 };
    let mut bytes = [0; CHUNK_HEADER_BYTES];
    bytes[0..4].copy_from_slice(&CHUNK_MAGIC.to_be_bytes());
    bytes[4..6].copy_from_slice(&flags.to_be_bytes());
    bytes[6..8].copy_from_slice(&wire_type.to_be_bytes());
    bytes[8..16].copy_from_slice(&cookie.to_be_bytes());
    bytes[16..20].copy_from_slice(&payload_bytes.to_be_bytes());
    bytes
}

/// What goes before the data of a chunk of data. `data_bytes` is at most [`PAYLOAD_BYTES_MAX`], 1 at least.
#[must_use]
pub fn encode_offset_data_header(
    cookie: u64,
    offset_bytes: u64,
    data_bytes: u32,
    is_last: bool,
) -> [u8; OFFSET_DATA_HEADER_BYTES] {
    let mut bytes = [0; OFFSET_DATA_HEADER_BYTES];
    bytes[..CHUNK_HEADER_BYTES].copy_from_slice(&chunk_header(cookie, 1, data_bytes + 8, is_last));
    bytes[CHUNK_HEADER_BYTES..].copy_from_slice(&offset_bytes.to_be_bytes());
    bytes
}

/// A chunk other than data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk<'reply> {
    /// Success, with nothing more to say.
    Nothing,
    /// A part of a read that is zeroes.
    OffsetHole {
        /// Where it begins.
        offset_bytes: u64,
        /// How long it is, 1 at least.
        length_bytes: u32,
    },
    /// Extents under a metadata context: lengths in bytes, and flags.
    BlockStatus {
        /// The number of the context.
        context: u32,
        /// Neighbours, from the start of the range.
        extents: &'reply [(u32, u32)],
    },
    /// The command failed.
    Error {
        /// Why.
        errno: Errno,
        /// For people. Cut at 64 KiB.
        message: &'reply str,
    },
}

/// Appends a chunk.
pub fn encode_chunk(out: &mut Vec<u8>, cookie: u64, chunk: &Chunk<'_>, is_last: bool) {
    match *chunk {
        Chunk::Nothing => out.extend(chunk_header(cookie, 0, 0, is_last)),
        Chunk::OffsetHole { offset_bytes, length_bytes } => {
            out.extend(chunk_header(cookie, 2, 12, is_last));
            out.extend(offset_bytes.to_be_bytes());
            out.extend(length_bytes.to_be_bytes());
        }
        Chunk::BlockStatus { context, extents } => {
            let payload_bytes = 4 + extents.len() * STATUS_DESCRIPTOR_BYTES;
            out.extend(chunk_header(cookie, 5, payload_bytes as u32, is_last));
            out.extend(context.to_be_bytes());
            for (length_bytes, flags) in extents {
                out.extend(length_bytes.to_be_bytes());
                out.extend(flags.to_be_bytes());
            }
        }
        Chunk::Error { errno, message } => {
            const ERROR: u16 = (1 << 15) + 1;
            let length = message.floor_char_boundary(usize::from(u16::MAX));
            out.extend(chunk_header(cookie, ERROR, 6 + length as u32, is_last));
            out.extend((errno as u32).to_be_bytes());
            out.extend((length as u16).to_be_bytes());
            out.extend(&message.as_bytes()[..length]);
        }
    }
}
