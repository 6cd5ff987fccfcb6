//! The bytes of the protocol: decoding what clients send, encoding what they are sent. Big-endian throughout.
//!
//! Nothing here knows sockets, devices or sessions. Every decoder takes any bytes and never panics.

mod handshake;
#[cfg(test)]
mod tests;
mod transmission;

use std::fmt;

pub use handshake::{
    CLIENT_FLAGS_BYTES, ClientFlags, ExportRequest, GREETING, Information, MetaContextRequest,
    OPTION_DATA_BYTES_MAX, OPTION_HEADER_BYTES, OptionCode, OptionDataError, OptionHeader, OptionReply,
    decode_export_name, encode_export_name_reply, encode_option_reply,
};
pub use transmission::{
    Chunk, Command, CommandFlags, DATA_HEADER_BYTES_MAX, DataHeader, HeaderStyle, PAYLOAD_BYTES_MAX, ReplyTo,
    Request, SIMPLE_REPLY_BYTES, StatusPayload, encode_chunk, encode_simple_reply,
};

/// The longest string of the protocol, in bytes.
pub const STRING_BYTES_MAX: usize = 4096;

/// The client broke a rule that the stream cannot recover from: the session ends without a reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProtocolError {
    /// Client flags that the server did not offer.
    UnknownClientFlags(u32),
    /// An option other than `EXPORT_NAME` from a client that does not speak fixed newstyle and so understands no
    /// reply to it.
    NotFixedNewstyle,
    /// An option without its magic number.
    OptionMagic(u64),
    /// An option with more data than any option can need.
    OptionTooLong {
        /// The length that was announced.
        length_bytes: u32,
    },
    /// An export name in the option that has no error reply could not be opened.
    ExportNameRefused,
    /// The option that enters the transmission phase without a reply, before TLS or after extended headers.
    ExportNameOutOfPlace,
    /// A request without its magic number.
    RequestMagic(u32),
    /// More payload than the server said it takes.
    PayloadTooLong {
        /// The length that was announced.
        length_bytes: u64,
    },
    /// The connection ended inside of a message.
    Truncated,
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownClientFlags(flags) => write!(f, "client flags {flags:#x} were not offered"),
            Self::NotFixedNewstyle => f.write_str("an option that needs fixed newstyle"),
            Self::OptionMagic(magic) => write!(f, "an option begins with {magic:#x}"),
            Self::OptionTooLong { length_bytes } => write!(f, "an option of {length_bytes} bytes"),
            Self::ExportNameRefused => f.write_str("the export asked for cannot be opened"),
            Self::ExportNameOutOfPlace => f.write_str("an option that cannot be refused and must be"),
            Self::RequestMagic(magic) => write!(f, "a request begins with {magic:#x}"),
            Self::PayloadTooLong { length_bytes } => {
                write!(f, "a payload of {length_bytes} bytes: expected at most {PAYLOAD_BYTES_MAX}")
            }
            Self::Truncated => f.write_str("the connection ended inside of a message"),
        }
    }
}

impl std::error::Error for ProtocolError {}

/// Takes numbers and strings from the front of received bytes.
struct Reader<'bytes>(&'bytes [u8]);

impl<'bytes> Reader<'bytes> {
    fn take<const LENGTH: usize>(&mut self) -> Option<[u8; LENGTH]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*head)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }

    /// A string that its length, in 32 bits, goes before.
    fn string(&mut self) -> Option<&'bytes str> {
        let length = usize::try_from(self.u32()?).ok()?;
        let (head, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        checked_string(head)
    }
}

/// The bytes as a string of the protocol: UTF-8, no NUL, not too long.
fn checked_string(bytes: &[u8]) -> Option<&str> {
    let valid = bytes.len() <= STRING_BYTES_MAX && !bytes.contains(&0);
    std::str::from_utf8(bytes).ok().filter(|_| valid)
}
