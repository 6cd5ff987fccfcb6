//! An NBD client of raw bytes. Its numbers are written down from the protocol a second time, so that a wrong
//! one in the server's codec cannot agree with itself.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

pub const EXPORT_NAME: u32 = 1;
pub const ABORT: u32 = 2;
pub const LIST: u32 = 3;
pub const STARTTLS: u32 = 5;
pub const INFO: u32 = 6;
pub const GO: u32 = 7;
pub const STRUCTURED_REPLY: u32 = 8;
pub const LIST_META_CONTEXT: u32 = 9;
pub const SET_META_CONTEXT: u32 = 10;
pub const EXTENDED_HEADERS: u32 = 11;

pub const REP_ACK: u32 = 1;
pub const REP_SERVER: u32 = 2;
pub const REP_INFO: u32 = 3;
pub const REP_META_CONTEXT: u32 = 4;
pub const ERR_UNSUP: u32 = 0x8000_0001;
pub const ERR_POLICY: u32 = 0x8000_0002;
pub const ERR_INVALID: u32 = 0x8000_0003;
pub const ERR_TLS_REQD: u32 = 0x8000_0005;
pub const ERR_UNKNOWN: u32 = 0x8000_0006;
pub const ERR_EXT_HEADER_REQD: u32 = 0x8000_000a;

pub const READ: u16 = 0;
pub const WRITE: u16 = 1;
pub const DISC: u16 = 2;
pub const FLUSH: u16 = 3;
pub const TRIM: u16 = 4;
pub const CACHE: u16 = 5;
pub const WRITE_ZEROES: u16 = 6;
pub const BLOCK_STATUS: u16 = 7;

pub const FUA: u16 = 1;
pub const NO_HOLE: u16 = 2;
pub const DF: u16 = 4;
pub const REQ_ONE: u16 = 8;
pub const FAST_ZERO: u16 = 16;
pub const PAYLOAD_LEN: u16 = 32;

pub const EPERM: u32 = 1;
pub const EIO: u32 = 5;
pub const EINVAL: u32 = 22;
pub const ENOSPC: u32 = 28;
pub const ENOTSUP: u32 = 95;
pub const ESHUTDOWN: u32 = 108;

/// Far longer than anything takes: a server that does not answer makes the test fail, not hang.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a client agrees to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Simple,
    Structured,
    Extended,
}

/// Everything that was answered to one request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    pub error: u32,
    /// Data and holes by offset, holes as zeroes.
    pub data: BTreeMap<u64, Vec<u8>>,
    pub data_chunks: usize,
    pub hole_chunks: usize,
    /// Length and flags of the first context's extents.
    pub extents: Vec<(u32, u32)>,
    /// Length and flags of the extents of every context, by number.
    pub statuses: BTreeMap<u32, Vec<(u64, u32)>>,
    pub message: String,
}

impl Reply {
    /// The data in one piece; panics where it has gaps.
    pub fn bytes(&self) -> Vec<u8> {
        let start = self.data.keys().next().copied().unwrap_or(0);
        self.data.iter().fold(Vec::new(), |mut bytes, (offset, piece)| {
            assert_eq!(*offset, start + bytes.len() as u64, "a gap or an overlap in the reply");
            bytes.extend(piece);
            bytes
        })
    }
}

pub struct Client {
    pub stream: UnixStream,
    pub size_bytes: u64,
    pub flags: u16,
    style: Style,
    /// Offsets and lengths of reads by cookie: simple replies do not tell.
    reads: BTreeMap<u64, Vec<(u64, u64)>>,
    partial: BTreeMap<u64, Reply>,
}

impl Client {
    /// Connected, greeted, nothing said but the client flags.
    pub fn greet(socket: &Path, client_flags: u32) -> Self {
        let stream = UnixStream::connect(socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        let mut client = Self {
            stream,
            size_bytes: 0,
            flags: 0,
            style: Style::Simple,
            reads: BTreeMap::new(),
            partial: BTreeMap::new(),
        };
        let greeting = client.take(18);
        assert_eq!(&greeting[..16], b"NBDMAGICIHAVEOPT");
        assert_eq!(&greeting[16..], [0, 3], "fixed newstyle and no zeroes");
        client.send(&client_flags.to_be_bytes());
        client
    }

    /// In the transmission phase of `export`, with `base:allocation` where replies are structured.
    pub fn open(socket: &Path, export: &str, style: Style) -> Self {
        let mut client = match style {
            Style::Simple => Self::greet(socket, 3),
            Style::Structured => Self::open_haggling(socket),
            Style::Extended => Self::open_haggling_extended(socket),
        };
        if style != Style::Simple {
            let replies = client.option(SET_META_CONTEXT, &meta_data(export, &["base:allocation"]));
            assert_eq!(replies.len(), 2, "{replies:?}");
        }
        client.go(export);
        client
    }

    /// Structured replies are agreed on; the haggling goes on.
    pub fn open_haggling(socket: &Path) -> Self {
        let mut client = Self::greet(socket, 3);
        client.style = Style::Structured;
        assert_eq!(client.option(STRUCTURED_REPLY, &[]), [(REP_ACK, vec![])]);
        client
    }

    /// Extended headers are agreed on; the haggling goes on.
    pub fn open_haggling_extended(socket: &Path) -> Self {
        let mut client = Self::greet(socket, 3);
        client.style = Style::Extended;
        assert_eq!(client.option(EXTENDED_HEADERS, &[]), [(REP_ACK, vec![])]);
        client
    }

    pub fn go(&mut self, export: &str) {
        let replies = self.option(GO, &export_data(export, &[]));
        let (kind, info) = &replies[0];
        assert_eq!((*kind, &info[..2]), (REP_INFO, &[0, 0][..]), "{replies:?}");
        self.size_bytes = u64::from_be_bytes(info[2..10].try_into().unwrap());
        self.flags = u16::from_be_bytes(info[10..12].try_into().unwrap());
        assert_eq!(replies.last().unwrap().0, REP_ACK);
    }

    /// The same connection, for another thread to send on.
    pub fn sender(&self) -> Self {
        Self {
            stream: self.stream.try_clone().unwrap(),
            size_bytes: self.size_bytes,
            flags: self.flags,
            style: self.style,
            reads: BTreeMap::new(),
            partial: BTreeMap::new(),
        }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    pub fn take(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// The server has closed the connection without another byte.
    #[track_caller]
    pub fn assert_closed(&mut self) {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(0) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            other => panic!("the connection should be closed: {other:?}, {byte:?}"),
        }
    }

    pub fn send_option(&mut self, option: u32, data: &[u8]) {
        let mut bytes = b"IHAVEOPT".to_vec();
        bytes.extend(option.to_be_bytes());
        bytes.extend((data.len() as u32).to_be_bytes());
        bytes.extend(data);
        self.send(&bytes);
    }

    /// Sends an option; its replies up to the final one.
    pub fn option(&mut self, option: u32, data: &[u8]) -> Vec<(u32, Vec<u8>)> {
        self.send_option(option, data);
        let mut replies = Vec::new();
        loop {
            let header = self.take(20);
            assert_eq!(header[..8], 0x0003_e889_0455_65a9_u64.to_be_bytes());
            assert_eq!(header[8..12], option.to_be_bytes());
            let kind = u32::from_be_bytes(header[12..16].try_into().unwrap());
            let length = u32::from_be_bytes(header[16..20].try_into().unwrap());
            replies.push((kind, self.take(length as usize)));
            if kind == REP_ACK || kind >= 1 << 31 {
                return replies;
            }
        }
    }

    /// The type of the final reply to an option.
    pub fn option_result(&mut self, option: u32, data: &[u8]) -> u32 {
        self.option(option, data).last().unwrap().0
    }

    pub fn request_bytes(
        &mut self,
        command: u16,
        flags: u16,
        cookie: u64,
        offset: u64,
        length: u32,
    ) -> Vec<u8> {
        self.long_request_bytes(command, flags, cookie, offset, length.into())
    }

    /// A request of a length that only extended requests have room for.
    pub fn long_request_bytes(
        &mut self,
        command: u16,
        flags: u16,
        cookie: u64,
        offset: u64,
        length: u64,
    ) -> Vec<u8> {
        if command == READ {
            self.reads.entry(cookie).or_default().push((offset, length));
        }
        let magic: u32 = if self.style == Style::Extended { 0x21e4_1c71 } else { 0x2560_9513 };
        let mut bytes = magic.to_be_bytes().to_vec();
        bytes.extend(flags.to_be_bytes());
        bytes.extend(command.to_be_bytes());
        bytes.extend(cookie.to_be_bytes());
        bytes.extend(offset.to_be_bytes());
        match self.style {
            Style::Extended => bytes.extend(length.to_be_bytes()),
            Style::Simple | Style::Structured => {
                bytes.extend(u32::try_from(length).unwrap().to_be_bytes());
            }
        }
        bytes
    }

    pub fn send_request(&mut self, command: u16, flags: u16, cookie: u64, offset: u64, length: u32) {
        let bytes = self.request_bytes(command, flags, cookie, offset, length);
        self.send(&bytes);
    }

    pub fn send_write(&mut self, flags: u16, cookie: u64, offset: u64, data: &[u8]) {
        let flags = if self.style == Style::Extended { flags | PAYLOAD_LEN } else { flags };
        let mut bytes = self.request_bytes(WRITE, flags, cookie, offset, data.len() as u32);
        bytes.extend(data);
        self.send(&bytes);
    }

    /// The next request that is answered in full, whichever it is.
    pub fn next_reply(&mut self) -> (u64, Reply) {
        self.try_next_reply().unwrap()
    }

    pub fn try_next_reply(&mut self) -> io::Result<(u64, Reply)> {
        loop {
            let mut magic = [0; 4];
            self.stream.read_exact(&mut magic)?;
            match u32::from_be_bytes(magic) {
                0x6744_6698 => return Ok(self.simple_reply()),
                0x668e_33ef | 0x6e8a_278c => {
                    let is_extended = magic == [0x6e, 0x8a, 0x27, 0x8c];
                    assert_eq!(is_extended, self.style == Style::Extended, "a reply of another style");
                    if let Some(done) = self.chunk() {
                        return Ok(done);
                    }
                }
                other => panic!("a reply begins with {other:#x}"),
            }
        }
    }

    fn simple_reply(&mut self) -> (u64, Reply) {
        assert_ne!(self.style, Style::Extended, "an extended request has a simple reply");
        let header = self.take(12);
        let error = u32::from_be_bytes(header[..4].try_into().unwrap());
        let cookie = u64::from_be_bytes(header[4..].try_into().unwrap());
        let mut reply = Reply { error, ..Reply::default() };
        if let Some((offset, length)) = self.forget_read(cookie) {
            assert_eq!(self.style, Style::Simple, "a structured read has a simple reply");
            if error == 0 {
                reply.data.insert(offset, self.take(length as usize));
                reply.data_chunks = 1;
            }
        }
        (cookie, reply)
    }

    fn forget_read(&mut self, cookie: u64) -> Option<(u64, u64)> {
        let reads = self.reads.get_mut(&cookie)?;
        if reads.is_empty() { None } else { Some(reads.remove(0)) }
    }

    fn chunk(&mut self) -> Option<(u64, Reply)> {
        assert_ne!(self.style, Style::Simple, "a reply in chunks that nobody asked for");
        let mut header = self.take(12);
        if self.style == Style::Extended {
            let offset = u64::from_be_bytes(self.take(8).try_into().unwrap());
            let cookie = u64::from_be_bytes(header[4..12].try_into().unwrap());
            if let Some(reads) = self.reads.get(&cookie).filter(|reads| !reads.is_empty()) {
                assert!(reads.iter().any(|(of, _)| *of == offset), "the offset is not the request's");
            }
            assert_eq!(self.take(4), [0; 4], "no payload needs more than 32 bits");
        }
        header.extend(self.take(4));
        let flags = u16::from_be_bytes(header[..2].try_into().unwrap());
        let kind = u16::from_be_bytes(header[2..4].try_into().unwrap());
        let cookie = u64::from_be_bytes(header[4..12].try_into().unwrap());
        let payload = self.take(u32::from_be_bytes(header[12..].try_into().unwrap()) as usize);
        let number = |range: std::ops::Range<usize>| {
            payload[range].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let reply = self.partial.entry(cookie).or_default();
        match kind {
            0 => assert!(payload.is_empty() && flags == 1),
            1 => {
                reply.data.insert(number(0..8), payload[8..].to_vec());
                reply.data_chunks += 1;
            }
            2 => {
                reply.data.insert(number(0..8), vec![0; number(8..12) as usize]);
                reply.hole_chunks += 1;
            }
            5 => {
                assert_eq!(self.style, Style::Structured);
                let descriptors = payload[4..].chunks_exact(8);
                let of = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
                let extents = descriptors.map(|d| (of(&d[..4]).into(), of(&d[4..]))).collect();
                assert!(reply.statuses.insert(number(0..4) as u32, extents).is_none(), "a context twice");
            }
            6 => {
                assert_eq!(self.style, Style::Extended);
                let descriptors = payload[8..].chunks_exact(16);
                assert_eq!(descriptors.len() as u64, number(4..8));
                let of = |bytes: &[u8]| u64::from_be_bytes(bytes.try_into().unwrap());
                let extents = descriptors.map(|d| (of(&d[..8]), of(&d[8..]) as u32)).collect();
                assert!(reply.statuses.insert(number(0..4) as u32, extents).is_none(), "a context twice");
            }
            0x8001 => {
                reply.error = number(0..4) as u32;
                assert_eq!(number(4..6) as usize, payload.len() - 6);
                reply.message = String::from_utf8(payload[6..].to_vec()).unwrap();
            }
            other => panic!("a chunk of type {other:#x}"),
        }
        assert_eq!(flags & !1, 0, "unknown chunk flags");
        if let Some(extents) = reply.statuses.get(&1) {
            reply.extents = extents.iter().map(|(length, flags)| (*length as u32, *flags)).collect();
        }
        if flags & 1 == 0 {
            return None;
        }
        self.forget_read(cookie);
        self.partial.remove(&cookie).map(|reply| (cookie, reply))
    }

    /// One request, alone: its reply.
    pub fn call(&mut self, command: u16, flags: u16, offset: u64, length: u32) -> Reply {
        let cookie = 0x1122_3344_5566_7788;
        self.send_request(command, flags, cookie, offset, length);
        let (answered, reply) = self.next_reply();
        assert_eq!(answered, cookie);
        reply
    }

    /// One request of any length, with a payload, alone: its reply.
    pub fn call_long(&mut self, command: u16, flags: u16, offset: u64, length: u64, payload: &[u8]) -> Reply {
        let cookie = 0x1122_3344_5566_7799;
        let mut bytes = self.long_request_bytes(command, flags, cookie, offset, length);
        bytes.extend(payload);
        self.send(&bytes);
        let (answered, reply) = self.next_reply();
        assert_eq!(answered, cookie);
        reply
    }

    pub fn read(&mut self, offset: u64, length: u32) -> Vec<u8> {
        let reply = self.call(READ, 0, offset, length);
        assert_eq!(reply.error, 0, "{reply:?}");
        reply.bytes()
    }

    /// A write, alone: its error, 0 for success.
    pub fn write(&mut self, flags: u16, offset: u64, data: &[u8]) -> u32 {
        self.send_write(flags, 77, offset, data);
        let (answered, reply) = self.next_reply();
        assert_eq!(answered, 77);
        reply.error
    }

    /// Says goodbye and sees the connection closed.
    pub fn disconnect(mut self) {
        self.send_request(DISC, 0, 0, 0, 0);
        self.assert_closed();
    }
}

/// The data of `INFO` and `GO`.
pub fn export_data(name: &str, information: &[u16]) -> Vec<u8> {
    let mut data = (name.len() as u32).to_be_bytes().to_vec();
    data.extend(name.as_bytes());
    data.extend((information.len() as u16).to_be_bytes());
    information.iter().for_each(|number| data.extend(number.to_be_bytes()));
    data
}

/// The data of the metadata context options.
pub fn meta_data(name: &str, queries: &[&str]) -> Vec<u8> {
    let mut data = (name.len() as u32).to_be_bytes().to_vec();
    data.extend(name.as_bytes());
    data.extend((queries.len() as u32).to_be_bytes());
    for query in queries {
        data.extend((query.len() as u32).to_be_bytes());
        data.extend(query.as_bytes());
    }
    data
}
