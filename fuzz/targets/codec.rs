//! Any bytes through every decoder: nothing panics, and what is decoded has the bytes it was decoded from.
#![no_main]

use ashlar_nbd::codec::{
    CLIENT_FLAGS_BYTES, ClientFlags, ExportRequest, HeaderStyle, MetaContextRequest, OPTION_DATA_BYTES_MAX,
    OPTION_HEADER_BYTES, OptionHeader, PAYLOAD_BYTES_MAX, Request, StatusPayload, decode_export_name,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Some(flags) = bytes.first_chunk::<CLIENT_FLAGS_BYTES>() {
        let _ = ClientFlags::decode(*flags);
    }
    if let Some(header) = bytes.first_chunk::<OPTION_HEADER_BYTES>()
        && let Ok(header) = OptionHeader::decode(*header)
    {
        assert!(header.data_bytes <= OPTION_DATA_BYTES_MAX);
    }
    if let Some(name) = decode_export_name(bytes) {
        assert_eq!(name.as_bytes(), bytes);
    }
    if let Ok(request) = ExportRequest::decode(bytes) {
        assert!(request.name.len() + request.information.len() * 2 + 6 <= bytes.len());
    }
    if let Ok(request) = MetaContextRequest::decode(bytes) {
        let queries: usize = request.queries.iter().map(|query| query.len() + 4).sum();
        assert_eq!(request.name.len() + queries + 8, bytes.len());
    }
    if let Some(payload) = StatusPayload::decode(bytes) {
        assert_eq!(payload.contexts.len() * 4 + 8, bytes.len());
    }
    for style in [HeaderStyle::Simple, HeaderStyle::Structured, HeaderStyle::Extended] {
        if let Ok(Some(request)) = Request::decode(style, bytes) {
            assert_eq!(request.encode(style), bytes[..style.request_bytes()]);
            let payload = request.payload_bytes(style);
            assert!(payload.is_err() || payload.is_ok_and(|length| length <= PAYLOAD_BYTES_MAX as usize));
        }
    }
});
