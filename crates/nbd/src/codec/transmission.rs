//! The transmission phase: requests, simple replies, chunks of structured and extended replies.

use super::{ProtocolError, Reader};
use crate::errno::Errno;

const REQUEST_MAGIC: u32 = 0x2560_9513;
const EXTENDED_REQUEST_MAGIC: u32 = 0x21e4_1c71;
const SIMPLE_REPLY_MAGIC: u32 = 0x6744_6698;
const CHUNK_MAGIC: u32 = 0x668e_33ef;
const EXTENDED_CHUNK_MAGIC: u32 = 0x6e8a_278c;

/// The longest data of a read or write: 32 MiB, what clients assume of a server that names no limit.
pub const PAYLOAD_BYTES_MAX: u32 = 32 << 20;

/// The form of requests and replies that was agreed on. Each can do what the ones before it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HeaderStyle {
    /// Lengths of 32 bits, one reply for a request.
    Simple,
    /// Lengths of 32 bits, replies in chunks.
    Structured,
    /// Lengths of 64 bits, replies in chunks.
    Extended,
}

impl HeaderStyle {
    /// Bytes of a request without its payload.
    #[must_use]
    pub const fn request_bytes(self) -> usize {
        match self {
            Self::Simple | Self::Structured => 28,
            Self::Extended => 32,
        }
    }

    /// Whether replies come in chunks.
    #[must_use]
    pub const fn has_chunks(self) -> bool {
        matches!(self, Self::Structured | Self::Extended)
    }

    /// Whether lengths have 64 bits.
    #[must_use]
    pub const fn is_extended(self) -> bool {
        matches!(self, Self::Extended)
    }
}

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
    /// The length is that of a payload that follows. Only in extended requests.
    pub const PAYLOAD_LENGTH: Self = Self(1 << 5);

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
    /// How long the range is, or the payload, or both: [`payload_bytes`](Self::payload_bytes) says which.
    pub length_bytes: u64,
}

impl Request {
    /// Decodes the request at the front of `bytes`; `None` where it is not there as a whole.
    pub fn decode(style: HeaderStyle, bytes: &[u8]) -> Result<Option<Self>, ProtocolError> {
        let Some((bytes, _)) = bytes.split_at_checked(style.request_bytes()) else { return Ok(None) };
        let mut reader = Reader(bytes);
        let magic = reader.u32().unwrap_or_default();
        let expected = if style.is_extended() { EXTENDED_REQUEST_MAGIC } else { REQUEST_MAGIC };
        if magic != expected {
            return Err(ProtocolError::RequestMagic(magic));
        }
        Ok(Some(Self {
            flags: CommandFlags(reader.u16().unwrap_or_default()),
            command: reader.u16().unwrap_or_default(),
            cookie: reader.u64().unwrap_or_default(),
            offset_bytes: reader.u64().unwrap_or_default(),
            length_bytes: match style {
                HeaderStyle::Extended => reader.u64().unwrap_or_default(),
                HeaderStyle::Simple | HeaderStyle::Structured => reader.u32().unwrap_or_default().into(),
            },
        }))
    }

    /// The bytes of the request. A length that the style has no room for is cut.
    #[must_use]
    pub fn encode(&self, style: HeaderStyle) -> Vec<u8> {
        let magic = if style.is_extended() { EXTENDED_REQUEST_MAGIC } else { REQUEST_MAGIC };
        let mut bytes = magic.to_be_bytes().to_vec();
        bytes.extend(self.flags.0.to_be_bytes());
        bytes.extend(self.command.to_be_bytes());
        bytes.extend(self.cookie.to_be_bytes());
        bytes.extend(self.offset_bytes.to_be_bytes());
        match style {
            HeaderStyle::Extended => bytes.extend(self.length_bytes.to_be_bytes()),
            HeaderStyle::Simple | HeaderStyle::Structured => {
                bytes.extend((self.length_bytes as u32).to_be_bytes());
            }
        }
        bytes
    }

    /// How many bytes of payload follow. More than [`PAYLOAD_BYTES_MAX`] cannot be skipped within reason.
    ///
    /// An extended write without the flag that announces a payload has one all the same, as every client means it;
    /// [validation](crate) refuses it afterwards.
    pub fn payload_bytes(&self, style: HeaderStyle) -> Result<usize, ProtocolError> {
        let is_write = Command::from_wire(self.command) == Some(Command::Write);
        let is_announced = style.is_extended() && self.flags.has(CommandFlags::PAYLOAD_LENGTH);
        if !is_write && !is_announced {
            return Ok(0);
        }
        if self.length_bytes > u64::from(PAYLOAD_BYTES_MAX) {
            return Err(ProtocolError::PayloadTooLong { length_bytes: self.length_bytes });
        }
        Ok(self.length_bytes as usize)
    }
}

/// The payload of a block status request: which part of the export, and which of the contexts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusPayload {
    /// How long the range is.
    pub length_bytes: u64,
    /// The contexts, by number.
    pub contexts: Vec<u32>,
}

impl StatusPayload {
    /// Decodes the whole of `bytes`; `None` unless they are a length and whole numbers of contexts.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let length_bytes = reader.u64()?;
        let contexts: Vec<u32> = std::iter::from_fn(|| reader.u32()).collect();
        reader.0.is_empty().then_some(Self { length_bytes, contexts })
    }
}

/// Which request a reply is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplyTo {
    /// The request's cookie.
    pub cookie: u64,
    /// The request's offset, which extended replies repeat.
    pub offset_bytes: u64,
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

/// The longest header that goes before data.
pub const DATA_HEADER_BYTES_MAX: usize = EXTENDED_CHUNK_HEADER_BYTES + 8;

const CHUNK_HEADER_BYTES: usize = 20;
const EXTENDED_CHUNK_HEADER_BYTES: usize = 32;

/// What goes before the payload of a chunk, and how long it is.
fn chunk_header(
    style: HeaderStyle,
    to: ReplyTo,
    wire_type: u16,
    payload_bytes: u32,
    is_last: bool,
) -> ([u8; EXTENDED_CHUNK_HEADER_BYTES], usize) {
    const FLAG_DONE: u16 = 1 << 0;
    let flags = if is_last { FLAG_DONE } else { 0 };
    let mut bytes = [0; EXTENDED_CHUNK_HEADER_BYTES];
    bytes[4..6].copy_from_slice(&flags.to_be_bytes());
    bytes[6..8].copy_from_slice(&wire_type.to_be_bytes());
    bytes[8..16].copy_from_slice(&to.cookie.to_be_bytes());
    if style.is_extended() {
        bytes[0..4].copy_from_slice(&EXTENDED_CHUNK_MAGIC.to_be_bytes());
        bytes[16..24].copy_from_slice(&to.offset_bytes.to_be_bytes());
        bytes[24..32].copy_from_slice(&u64::from(payload_bytes).to_be_bytes());
        (bytes, EXTENDED_CHUNK_HEADER_BYTES)
    } else {
        bytes[0..4].copy_from_slice(&CHUNK_MAGIC.to_be_bytes());
        bytes[16..20].copy_from_slice(&payload_bytes.to_be_bytes());
        (bytes, CHUNK_HEADER_BYTES)
    }
}

/// What goes before the data of a read.
#[derive(Debug, Clone, Copy)]
pub struct DataHeader {
    bytes: [u8; DATA_HEADER_BYTES_MAX],
    length: usize,
}

impl DataHeader {
    /// How long it is in a style.
    #[must_use]
    pub const fn length(style: HeaderStyle) -> usize {
        match style {
            HeaderStyle::Simple => SIMPLE_REPLY_BYTES,
            HeaderStyle::Structured => CHUNK_HEADER_BYTES + 8,
            HeaderStyle::Extended => DATA_HEADER_BYTES_MAX,
        }
    }

    /// The header of `data_bytes` that begin at `offset_bytes`; at most [`PAYLOAD_BYTES_MAX`], 1 at least. A
    /// simple reply has but one, and it is the last.
    #[must_use]
    pub fn new(style: HeaderStyle, to: ReplyTo, offset_bytes: u64, data_bytes: u32, is_last: bool) -> Self {
        let mut bytes = [0; DATA_HEADER_BYTES_MAX];
        let length = Self::length(style);
        if style.has_chunks() {
            let (header, header_bytes) = chunk_header(style, to, 1, data_bytes + 8, is_last);
            bytes[..header_bytes].copy_from_slice(&header[..header_bytes]);
            bytes[header_bytes..length].copy_from_slice(&offset_bytes.to_be_bytes());
        } else {
            bytes[..length].copy_from_slice(&encode_simple_reply(to.cookie, None));
        }
        Self { bytes, length }
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
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
    /// Extents under a metadata context: lengths in bytes, and flags. In a structured reply no length exceeds 32 bits.
    BlockStatus {
        /// The number of the context.
        context: u32,
        /// Neighbours, from the start of the range.
        extents: &'reply [(u64, u32)],
    },
    /// The command failed.
    Error {
        /// Why.
        errno: Errno,
        /// For people. Cut at 64 KiB.
        message: &'reply str,
    },
}

/// Appends a chunk of a reply in a style that has chunks.
pub fn encode_chunk(out: &mut Vec<u8>, style: HeaderStyle, to: ReplyTo, chunk: &Chunk<'_>, is_last: bool) {
    let mut header = |wire_type, payload_bytes| {
        let (bytes, length) = chunk_header(style, to, wire_type, payload_bytes, is_last);
        out.extend(&bytes[..length]);
    };
    match *chunk {
        Chunk::Nothing => header(0, 0),
        Chunk::OffsetHole { offset_bytes, length_bytes } => {
            header(2, 12);
            out.extend(offset_bytes.to_be_bytes());
            out.extend(length_bytes.to_be_bytes());
        }
        Chunk::BlockStatus { context, extents } if style.is_extended() => {
            header(6, 8 + extents.len() as u32 * 16);
            out.extend(context.to_be_bytes());
            out.extend((extents.len() as u32).to_be_bytes());
            for (length_bytes, flags) in extents {
                out.extend(length_bytes.to_be_bytes());
                out.extend(u64::from(*flags).to_be_bytes());
            }
        }
        Chunk::BlockStatus { context, extents } => {
            header(5, 4 + extents.len() as u32 * 8);
            out.extend(context.to_be_bytes());
            for (length_bytes, flags) in extents {
                out.extend((*length_bytes as u32).to_be_bytes());
                out.extend(flags.to_be_bytes());
            }
        }
        Chunk::Error { errno, message } => {
            const ERROR: u16 = (1 << 15) + 1;
            let length = message.floor_char_boundary(usize::from(u16::MAX));
            header(ERROR, 6 + length as u32);
            out.extend((errno as u32).to_be_bytes());
            out.extend((length as u16).to_be_bytes());
            out.extend(&message.as_bytes()[..length]);
        }
    }
}
