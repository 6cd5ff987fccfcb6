//! Golden bytes, ways there and back, and bytes that no client should send.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::errno::Errno;

#[test]
fn the_greeting_is_the_protocols() {
    assert_eq!(&GREETING, b"NBDMAGICIHAVEOPT\0\x03");
}

#[test]
fn a_request_has_these_bytes() {
    let request = Request {
        flags: CommandFlags::FORCE_UNIT_ACCESS.and(CommandFlags::NO_HOLE),
        command: 6,
        cookie: 0x0102_0304_0506_0708,
        offset_bytes: 0x1112_1314_1516_1718,
        length_bytes: 0x2122_2324,
    };
    let bytes = *b"\x25\x60\x95\x13\0\x03\0\x06\x01\x02\x03\x04\x05\x06\x07\x08\
                   \x11\x12\x13\x14\x15\x16\x17\x18\x21\x22\x23\x24";
    for style in [HeaderStyle::Simple, HeaderStyle::Structured] {
        assert_eq!(request.encode(style), bytes);
        assert_eq!(Request::decode(style, &bytes), Ok(Some(request)));
    }
}

#[test]
fn an_extended_request_has_these_bytes() {
    let request = Request {
        flags: CommandFlags::PAYLOAD_LENGTH,
        command: 1,
        cookie: 0x0102_0304_0506_0708,
        offset_bytes: 0x1112_1314_1516_1718,
        length_bytes: 0x2122_2324_2526_2728,
    };
    let bytes = *b"\x21\xe4\x1c\x71\0\x20\0\x01\x01\x02\x03\x04\x05\x06\x07\x08\
                   \x11\x12\x13\x14\x15\x16\x17\x18\x21\x22\x23\x24\x25\x26\x27\x28";
    assert_eq!(request.encode(HeaderStyle::Extended), bytes);
    assert_eq!(Request::decode(HeaderStyle::Extended, &bytes), Ok(Some(request)));
    assert_eq!(Request::decode(HeaderStyle::Extended, &bytes[..31]), Ok(None));
    assert!(Request::decode(HeaderStyle::Simple, &bytes).is_err(), "each style has its magic number");
}

const TO: ReplyTo = ReplyTo { cookie: 7, offset_bytes: 0x9000 };

#[test]
fn extended_replies_have_these_bytes() {
    let start = b"\x6e\x8a\x27\x8c";
    let middle = b"\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\x90\0\0\0\0\0\0\0\0";
    let chunk = |chunk: &Chunk<'_>| {
        let mut out = Vec::new();
        encode_chunk(&mut out, HeaderStyle::Extended, TO, chunk, true);
        assert_eq!((&out[..4], &out[8..31]), (&start[..], &middle[..]));
        (out[4..8].to_vec(), out[31..].to_vec())
    };
    assert_eq!(chunk(&Chunk::Nothing), (b"\0\x01\0\0".to_vec(), b"\0".to_vec()));
    assert_eq!(
        chunk(&Chunk::OffsetHole { offset_bytes: 0x1000, length_bytes: 0x2000 }),
        (b"\0\x01\0\x02".to_vec(), b"\x0c\0\0\0\0\0\0\x10\0\0\0\x20\0".to_vec())
    );
    assert_eq!(
        chunk(&Chunk::BlockStatus { context: 1, extents: &[(1 << 32, 3)] }),
        (b"\0\x01\0\x06".to_vec(), b"\x18\0\0\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x03".to_vec())
    );
    assert_eq!(
        chunk(&Chunk::Error { errno: Errno::Overflow, message: "x" }),
        (b"\0\x01\x80\x01".to_vec(), b"\x07\0\0\0\x4b\0\x01x".to_vec())
    );
    let header = DataHeader::new(HeaderStyle::Extended, TO, 0x1234, 5, false);
    let expected = [&start[..], b"\0\0\0\x01", middle, b"\x0d\0\0\0\0\0\0\x12\x34"].concat();
    assert_eq!(header.as_bytes(), expected);
    assert_eq!(expected.len(), DataHeader::length(HeaderStyle::Extended));
}

#[test]
fn the_payload_of_block_status_is_decoded_whole_or_not() {
    let bytes = b"\0\0\0\x01\0\0\0\0\0\0\0\x02\0\0\0\x01";
    let decoded = StatusPayload { length_bytes: 1 << 32, contexts: vec![2, 1] };
    assert_eq!(StatusPayload::decode(bytes), Some(decoded));
    assert_eq!(StatusPayload::decode(&bytes[..8]).map(|decoded| decoded.contexts.len()), Some(0));
    for cut in [0, 7, 9, 11, 15] {
        assert_eq!(StatusPayload::decode(&bytes[..cut]), None, "{cut}");
    }
}

#[test]
fn replies_have_these_bytes() {
    assert_eq!(
        &encode_simple_reply(7, Some(Errno::NoSpace)),
        b"\x67\x44\x66\x98\0\0\0\x1c\0\0\0\0\0\0\0\x07"
    );
    let header = DataHeader::new(HeaderStyle::Structured, TO, 0x1234, 5, true);
    assert_eq!(
        header.as_bytes(),
        b"\x66\x8e\x33\xef\0\x01\0\x01\0\0\0\0\0\0\0\x07\0\0\0\x0d\0\0\0\0\0\0\x12\x34"
    );
    let chunk = |chunk: &Chunk<'_>, is_last| {
        let mut out = Vec::new();
        encode_chunk(&mut out, HeaderStyle::Structured, TO, chunk, is_last);
        assert_eq!(&out[..4], b"\x66\x8e\x33\xef");
        assert_eq!(&out[8..16], b"\0\0\0\0\0\0\0\x07");
        (out[4..8].to_vec(), out[16..].to_vec())
    };
    assert_eq!(chunk(&Chunk::Nothing, true), (b"\0\x01\0\0".to_vec(), b"\0\0\0\0".to_vec()));
    assert_eq!(
        chunk(&Chunk::OffsetHole { offset_bytes: 0x1000, length_bytes: 0x2000 }, false),
        (b"\0\0\0\x02".to_vec(), b"\0\0\0\x0c\0\0\0\0\0\0\x10\0\0\0\x20\0".to_vec())
    );
    assert_eq!(
        chunk(&Chunk::BlockStatus { context: 1, extents: &[(0x1000, 3), (1, 0)] }, true),
        (b"\0\x01\0\x05".to_vec(), b"\0\0\0\x14\0\0\0\x01\0\0\x10\0\0\0\0\x03\0\0\0\x01\0\0\0\0".to_vec())
    );
    assert_eq!(
        chunk(&Chunk::Error { errno: Errno::Shutdown, message: "bye" }, true),
        (b"\0\x01\x80\x01".to_vec(), b"\0\0\0\x09\0\0\0\x6c\0\x03bye".to_vec())
    );
}

#[test]
fn option_replies_have_these_bytes() {
    let encoded = |reply: OptionReply<'_>| {
        let mut out = Vec::new();
        encode_option_reply(&mut out, 7, &reply);
        assert_eq!(&out[..12], b"\0\x03\xe8\x89\x04\x55\x65\xa9\0\0\0\x07");
        out[12..].to_vec()
    };
    assert_eq!(encoded(OptionReply::Ack), b"\0\0\0\x01\0\0\0\0");
    assert_eq!(encoded(OptionReply::Server("ab")), b"\0\0\0\x02\0\0\0\x06\0\0\0\x02ab");
    assert_eq!(
        encoded(OptionReply::InfoExport { size_bytes: 0x1000, flags: 0x0103 }),
        b"\0\0\0\x03\0\0\0\x0c\0\0\0\0\0\0\0\0\x10\0\x01\x03"
    );
    assert_eq!(encoded(OptionReply::InfoName("ab")), b"\0\0\0\x03\0\0\0\x04\0\x01ab");
    assert_eq!(encoded(OptionReply::InfoDescription("ab")), b"\0\0\0\x03\0\0\0\x04\0\x02ab");
    assert_eq!(
        encoded(OptionReply::InfoBlockSize { minimum_bytes: 1, preferred_bytes: 2, maximum_bytes: 3 }),
        b"\0\0\0\x03\0\0\0\x0e\0\x03\0\0\0\x01\0\0\0\x02\0\0\0\x03"
    );
    assert_eq!(encoded(OptionReply::MetaContext(1, "a:b")), b"\0\0\0\x04\0\0\0\x07\0\0\0\x01a:b");
    assert_eq!(encoded(OptionReply::Unsupported("x")), b"\x80\0\0\x01\0\0\0\x01x");
    assert_eq!(encoded(OptionReply::Refused("x")), b"\x80\0\0\x02\0\0\0\x01x");
    assert_eq!(encoded(OptionReply::Invalid("x")), b"\x80\0\0\x03\0\0\0\x01x");
    assert_eq!(encoded(OptionReply::TlsRequired("x")), b"\x80\0\0\x05\0\0\0\x01x");
    assert_eq!(encoded(OptionReply::UnknownExport("x")), b"\x80\0\0\x06\0\0\0\x01x");
    assert_eq!(encoded(OptionReply::TooBig("x")), b"\x80\0\0\x09\0\0\0\x01x");
    assert_eq!(encoded(OptionReply::ExtendedHeadersRequired("x")), b"\x80\0\0\x0a\0\0\0\x01x");
}

#[test]
fn strings_of_the_protocol_are_checked() {
    assert_eq!(decode_export_name(b"disk-1"), Some("disk-1"));
    assert_eq!(decode_export_name(b""), Some(""));
    assert_eq!(decode_export_name(&[b'x'; STRING_BYTES_MAX]).map(str::len), Some(STRING_BYTES_MAX));
    for wrong in [&b"a\0b"[..], b"\xff", &[b'x'; STRING_BYTES_MAX + 1]] {
        assert_eq!(decode_export_name(wrong), None);
    }
}

#[test]
fn payloads_are_announced_and_not_too_long() {
    use HeaderStyle::{Extended, Simple, Structured};
    let request =
        |command, flags, length_bytes| Request { flags, command, cookie: 0, offset_bytes: 0, length_bytes };
    let (none, flagged) = (CommandFlags::NONE, CommandFlags::PAYLOAD_LENGTH);
    let most = u64::from(PAYLOAD_BYTES_MAX);
    for style in [Simple, Structured, Extended] {
        assert_eq!(request(1, none, most).payload_bytes(style), Ok(most as usize));
        let length_bytes = most + 1;
        let refused = Err(ProtocolError::PayloadTooLong { length_bytes });
        assert_eq!(request(1, none, length_bytes).payload_bytes(style), refused);
        for command in [0, 2, 3, 4, 5, 6, 7, 8, 999] {
            assert_eq!(request(command, none, u64::MAX).payload_bytes(style), Ok(0));
        }
    }
    assert_eq!(request(7, flagged, 12).payload_bytes(Extended), Ok(12));
    assert_eq!(request(7, flagged, 12).payload_bytes(Structured), Ok(0), "a flag of another style");
    assert!(request(999, flagged, most + 1).payload_bytes(Extended).is_err());
}

fn strings() -> impl Strategy<Value = String> {
    "[a-z:é0-9-]{0,20}"
}

proptest! {
    #[test]
    fn requests_survive_the_way_through_bytes(
        flags: u16, command: u16, cookie: u64, offset_bytes: u64, length_bytes: u64,
    ) {
        let request = Request { flags: CommandFlags(flags), command, cookie, offset_bytes, length_bytes };
        let extended = HeaderStyle::Extended;
        prop_assert_eq!(Request::decode(extended, &request.encode(extended)), Ok(Some(request)));
        let request = Request { length_bytes: length_bytes & u64::from(u32::MAX), ..request };
        let compact = HeaderStyle::Structured;
        prop_assert_eq!(Request::decode(compact, &request.encode(compact)), Ok(Some(request)));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(bytes in vec(any::<u8>(), 0..200), header: [u8; 28]) {
        let _ = decode_export_name(&bytes);
        let _ = ExportRequest::decode(&bytes);
        let _ = MetaContextRequest::decode(&bytes);
        let _ = StatusPayload::decode(&bytes);
        let is_request = header[..4] == [0x25, 0x60, 0x95, 0x13];
        prop_assert_eq!(Request::decode(HeaderStyle::Simple, &header).is_ok(), is_request);
        let mut option = [0; OPTION_HEADER_BYTES];
        option.copy_from_slice(&header[..OPTION_HEADER_BYTES]);
        prop_assert!(OptionHeader::decode(option).is_err(), "no magic number");
        option[..8].copy_from_slice(b"IHAVEOPT");
        if let Ok(header) = OptionHeader::decode(option) {
            prop_assert!(header.data_bytes <= OPTION_DATA_BYTES_MAX);
        }
    }

    #[test]
    fn export_requests_are_decoded_whole_and_cut_ones_refused(
        name in strings(), numbers in vec(0_u16..6, 0..8), cut in 0_usize..10,
    ) {
        let mut data = (name.len() as u32).to_be_bytes().to_vec();
        data.extend(name.as_bytes());
        data.extend((numbers.len() as u16).to_be_bytes());
        numbers.iter().for_each(|number| data.extend(number.to_be_bytes()));
        let known = numbers.iter().filter(|number| **number < 4).count();
        let decoded = ExportRequest::decode(&data).unwrap();
        prop_assert_eq!((decoded.name, decoded.information.len()), (&*name, known));
        if cut > 0 {
            prop_assert!(ExportRequest::decode(&data[..data.len().saturating_sub(cut)]).is_err());
        }
    }

    #[test]
    fn metadata_requests_are_decoded_whole_and_cut_ones_refused(
        name in strings(), queries in vec(strings(), 0..6), cut in 0_usize..10,
    ) {
        let mut data = (name.len() as u32).to_be_bytes().to_vec();
        data.extend(name.as_bytes());
        data.extend((queries.len() as u32).to_be_bytes());
        for query in &queries {
            data.extend((query.len() as u32).to_be_bytes());
            data.extend(query.as_bytes());
        }
        match MetaContextRequest::decode(&data) {
            Ok(decoded) => {
                prop_assert_eq!(decoded.name, &*name);
                prop_assert_eq!(decoded.queries, queries.iter().map(String::as_str).collect::<Vec<_>>());
                let cut = data.len().saturating_sub(cut.max(1));
                prop_assert!(MetaContextRequest::decode(&data[..cut]).is_err());
            }
            Err(_) => prop_assert!(queries.iter().any(|query| !query.contains(':'))),
        }
    }

    #[test]
    fn an_error_chunk_keeps_its_lengths_whatever_the_message(message in "[aé]{0,50}", times in 1_usize..3000) {
        let message = message.repeat(times);
        let mut out = Vec::new();
        let chunk = Chunk::Error { errno: Errno::Io, message: &message };
        encode_chunk(&mut out, HeaderStyle::Structured, TO, &chunk, true);
        let payload = u32::from_be_bytes(out[16..20].try_into().unwrap()) as usize;
        let text = u16::from_be_bytes(out[24..26].try_into().unwrap()) as usize;
        prop_assert_eq!((payload, text), (out.len() - 20, out.len() - 26));
        prop_assert!(message.starts_with(std::str::from_utf8(&out[26..]).unwrap()));
        prop_assert!(text == message.len() || text >= 65_533);
    }
}
