//! The handshake: greeting, options, option replies.

use super::{ProtocolError, Reader, checked_string};

const INIT_MAGIC: u64 = 0x4e42_444d_4147_4943; // "NBDMAGIC"
const OPTION_MAGIC: u64 = 0x4948_4156_454f_5054; // "IHAVEOPT"
const OPTION_REPLY_MAGIC: u64 = 0x0003_e889_0455_65a9;

const FLAG_FIXED_NEWSTYLE: u16 = 1 << 0;
const FLAG_NO_ZEROES: u16 = 1 << 1;

/// What the server sends first: the magic numbers, fixed newstyle and no-zeroes.
pub const GREETING: [u8; 18] = greeting();

const fn greeting() -> [u8; 18] {
    let mut bytes = [0; 18];
    let (init, option) = (INIT_MAGIC.to_be_bytes(), OPTION_MAGIC.to_be_bytes());
    let flags = (FLAG_FIXED_NEWSTYLE | FLAG_NO_ZEROES).to_be_bytes();
    let mut i = 0;
    while i < 8 {
        bytes[i] = init[i];
        bytes[8 + i] = option[i];
        i += 1;
    }
    bytes[16] = flags[0];
    bytes[17] = flags[1];
    bytes
}

/// Bytes of the client's answer to the greeting.
pub const CLIENT_FLAGS_BYTES: usize = 4;

/// What the client answered to the greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientFlags {
    /// The client speaks fixed newstyle. Without it only `EXPORT_NAME` is an option.
    pub fixed_newstyle: bool,
    /// The reply to `EXPORT_NAME` comes without its 124 zeroes.
    pub no_zeroes: bool,
}

impl ClientFlags {
    /// Refuses flags that were not offered.
    pub const fn decode(bytes: [u8; CLIENT_FLAGS_BYTES]) -> Result<Self, ProtocolError> {
        let flags = u32::from_be_bytes(bytes);
        let (fixed_newstyle, no_zeroes) = (FLAG_FIXED_NEWSTYLE as u32, FLAG_NO_ZEROES as u32);
        if flags & !(fixed_newstyle | no_zeroes) != 0 {
            return Err(ProtocolError::UnknownClientFlags(flags));
        }
        Ok(Self { fixed_newstyle: flags & fixed_newstyle != 0, no_zeroes: flags & no_zeroes != 0 })
    }
}

/// The options that the server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionCode {
    /// Choose an export and begin; has no error reply.
    ExportName,
    /// End the session.
    Abort,
    /// Name the exports.
    List,
    /// Begin TLS.
    StartTls,
    /// Tell of an export.
    Info,
    /// Choose an export and begin.
    Go,
    /// Use structured replies.
    StructuredReply,
    /// Name the metadata contexts.
    ListMetaContext,
    /// Choose metadata contexts.
    SetMetaContext,
    /// Use extended requests and replies.
    ExtendedHeaders,
}

impl OptionCode {
    /// The option of a number on the wire.
    #[must_use]
    pub const fn from_wire(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::ExportName,
            2 => Self::Abort,
            3 => Self::List,
            5 => Self::StartTls,
            6 => Self::Info,
            7 => Self::Go,
            8 => Self::StructuredReply,
            9 => Self::ListMetaContext,
            10 => Self::SetMetaContext,
            11 => Self::ExtendedHeaders,
            _ => return None,
        })
    }
}

/// Bytes of the header of an option.
pub const OPTION_HEADER_BYTES: usize = 16;

/// The most data an option may bring: room for a longest name and dozens of queries.
pub const OPTION_DATA_BYTES_MAX: usize = 16 << 10;

/// The header of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionHeader {
    /// The number of the option, known or not.
    pub option: u32,
    /// The data that follows, at most [`OPTION_DATA_BYTES_MAX`].
    pub data_bytes: usize,
}

impl OptionHeader {
    /// Refuses a wrong magic number and data that no option can need.
    pub fn decode(bytes: [u8; OPTION_HEADER_BYTES]) -> Result<Self, ProtocolError> {
        let mut reader = Reader(&bytes);
        let magic = reader.u64().unwrap_or_default();
        if magic != OPTION_MAGIC {
            return Err(ProtocolError::OptionMagic(magic));
        }
        let option = reader.u32().unwrap_or_default();
        let length_bytes = reader.u32().unwrap_or_default();
        let data_bytes = length_bytes as usize;
        if data_bytes > OPTION_DATA_BYTES_MAX {
            return Err(ProtocolError::OptionTooLong { length_bytes });
        }
        Ok(Self { option, data_bytes })
    }
}

/// Option data that is not of the option's form; the client gets `ERR_INVALID` with this text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OptionDataError(pub &'static str);

/// Information that a client can ask for with `INFO` and `GO`. Others are ignored, as the protocol wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Information {
    /// Size and flags; always sent.
    Export,
    /// The name that the export goes by.
    Name,
    /// A text for people.
    Description,
    /// Smallest, best and largest request.
    BlockSize,
}

/// The data of `INFO` and `GO`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportRequest<'data> {
    /// The export.
    pub name: &'data str,
    /// What the client asks to be told, in its order.
    pub information: Vec<Information>,
}

impl<'data> ExportRequest<'data> {
    /// Decodes the whole of `data`.
    pub fn decode(data: &'data [u8]) -> Result<Self, OptionDataError> {
        const WRONG: OptionDataError =
            OptionDataError("expected the length of a name, the name, a count, and so many 16-bit numbers");
        let mut reader = Reader(data);
        let name = reader.string().ok_or(WRONG)?;
        let count = reader.u16().ok_or(WRONG)?;
        if reader.0.len() != usize::from(count) * 2 {
            return Err(WRONG);
        }
        let numbers = std::iter::from_fn(|| reader.u16());
        let information = numbers
            .filter_map(|number| match number {
                0 => Some(Information::Export),
                1 => Some(Information::Name),
                2 => Some(Information::Description),
                3 => Some(Information::BlockSize),
                _ => None,
            })
            .collect();
        Ok(Self { name, information })
    }
}

/// The data of `LIST_META_CONTEXT` and `SET_META_CONTEXT`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetaContextRequest<'data> {
    /// The export.
    pub name: &'data str,
    /// Each a namespace, a colon and a rest that may be empty.
    pub queries: Vec<&'data str>,
}

impl<'data> MetaContextRequest<'data> {
    /// Decodes the whole of `data`.
    pub fn decode(data: &'data [u8]) -> Result<Self, OptionDataError> {
        const WRONG: OptionDataError =
            OptionDataError("expected the length of a name, the name, a count, and so many queries");
        let mut reader = Reader(data);
        let name = reader.string().ok_or(WRONG)?;
        let count = reader.u32().ok_or(WRONG)?;
        let mut queries = Vec::new();
        for _ in 0..count {
            // Each turn takes at least four bytes, so `data` bounds the turns whatever the count says.
            let query = reader.string().ok_or(WRONG)?;
            if !query.contains(':') {
                return Err(OptionDataError(
                    "a query for metadata contexts begins with a namespace and a colon",
                ));
            }
            queries.push(query);
        }
        if reader.0.is_empty() { Ok(Self { name, queries }) } else { Err(WRONG) }
    }
}

/// The data of `EXPORT_NAME`: nothing but the name.
#[must_use]
pub fn decode_export_name(data: &[u8]) -> Option<&str> {
    checked_string(data)
}

/// One reply to an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionReply<'text> {
    /// Done; nothing follows.
    Ack,
    /// An export of the list.
    Server(&'text str),
    /// Size and flags.
    InfoExport {
        /// The size of the export.
        size_bytes: u64,
        /// Its transmission flags.
        flags: u16,
    },
    /// The name.
    InfoName(&'text str),
    /// The text for people.
    InfoDescription(&'text str),
    /// Block sizes, in bytes.
    InfoBlockSize {
        /// The smallest unit of offsets and lengths.
        minimum_bytes: u32,
        /// The unit that costs least.
        preferred_bytes: u32,
        /// The longest data.
        maximum_bytes: u32,
    },
    /// A metadata context and the number it goes by.
    MetaContext(u32, &'text str),
    /// The server does not know the option.
    Unsupported(&'text str),
    /// The option is known and its data is wrong.
    Invalid(&'text str),
    /// There is no such export.
    UnknownExport(&'text str),
    /// The export is there and cannot be used, or not by this client.
    Refused(&'text str),
    /// Nothing is agreed on before TLS.
    TlsRequired(&'text str),
    /// The reply would be too long.
    TooBig(&'text str),
    /// Extended headers were agreed on, which this option would take back.
    ExtendedHeadersRequired(&'text str),
}

impl OptionReply<'_> {
    const fn wire_type(&self) -> u32 {
        const ERROR: u32 = 1 << 31;
        match self {
            Self::Ack => 1,
            Self::Server(_) => 2,
            Self::InfoExport { .. }
            | Self::InfoName(_)
            | Self::InfoDescription(_)
            | Self::InfoBlockSize { .. } => 3,
            Self::MetaContext(..) => 4,
            Self::Unsupported(_) => ERROR + 1,
            Self::Refused(_) => ERROR + 2,
            Self::Invalid(_) => ERROR + 3,
            Self::TlsRequired(_) => ERROR + 5,
            Self::UnknownExport(_) => ERROR + 6,
            Self::TooBig(_) => ERROR + 9,
            Self::ExtendedHeadersRequired(_) => ERROR + 10,
        }
    }

    fn encode_data(&self, out: &mut Vec<u8>) {
        match *self {
            Self::Ack => {}
            Self::Server(name) => {
                out.extend((name.len() as u32).to_be_bytes());
                out.extend(name.as_bytes());
            }
            Self::InfoExport { size_bytes, flags } => {
                out.extend(0_u16.to_be_bytes());
                out.extend(size_bytes.to_be_bytes());
                out.extend(flags.to_be_bytes());
            }
            Self::InfoName(text) => {
                out.extend(1_u16.to_be_bytes());
                out.extend(text.as_bytes());
            }
            Self::InfoDescription(text) => {
                out.extend(2_u16.to_be_bytes());
                out.extend(text.as_bytes());
            }
            Self::InfoBlockSize { minimum_bytes, preferred_bytes, maximum_bytes } => {
                out.extend(3_u16.to_be_bytes());
                out.extend(minimum_bytes.to_be_bytes());
                out.extend(preferred_bytes.to_be_bytes());
                out.extend(maximum_bytes.to_be_bytes());
            }
            Self::MetaContext(number, name) => {
                out.extend(number.to_be_bytes());
                out.extend(name.as_bytes());
            }
            Self::Unsupported(text)
            | Self::Invalid(text)
            | Self::UnknownExport(text)
            | Self::Refused(text)
            | Self::TlsRequired(text)
            | Self::TooBig(text)
            | Self::ExtendedHeadersRequired(text) => out.extend(text.as_bytes()),
        }
    }
}

/// Appends `reply` to the option of number `option`.
pub fn encode_option_reply(out: &mut Vec<u8>, option: u32, reply: &OptionReply<'_>) {
    out.extend(OPTION_REPLY_MAGIC.to_be_bytes());
    out.extend(option.to_be_bytes());
    out.extend(reply.wire_type().to_be_bytes());
    let length_at = out.len();
    out.extend([0; 4]);
    reply.encode_data(out);
    let length = (out.len() - length_at - 4) as u32;
    out[length_at..length_at + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends the reply to `EXPORT_NAME`, which has a form of its own.
pub fn encode_export_name_reply(out: &mut Vec<u8>, size_bytes: u64, flags: u16, no_zeroes: bool) {
    out.extend(size_bytes.to_be_bytes());
    out.extend(flags.to_be_bytes());
    if !no_zeroes {
        out.extend([0; 124]);
    }
}
