//! Extended headers: the same commands with lengths of 64 bits, and block status with a payload.

use crate::client::*;
use crate::fixture::{SIZE_BYTES, TestServer};

const CHANGED: &str = "ashlar:changed-since:snap";

#[test]
fn every_command_works_with_extended_headers() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Extended);
    assert_eq!(client.write(FUA, 4096, &[7; 10_000]), 0);
    assert_eq!(client.read(4096, 10_000), [7; 10_000]);
    assert_eq!(client.read(0, 4096), [0; 4096]);
    assert_eq!(client.call(TRIM, 0, 4096, 4096).error, 0);
    assert_eq!(client.call(WRITE_ZEROES, NO_HOLE, 8192, 4096).error, 0);
    assert_eq!(client.call(CACHE, 0, 0, 8192).error, 0);
    assert_eq!(client.call(FLUSH, 0, 0, 0).error, 0);
    assert_eq!(client.call(BLOCK_STATUS, 0, 0, 16_384).extents, [(8192, 3), (8192, 0)]);
    let large: Vec<u8> = (0..30_u32 << 20).map(|byte| (byte % 251) as u8).collect();
    assert_eq!(client.write(0, 5, &large), 0);
    let reply = client.call(READ, 0, 5, 30 << 20);
    assert!(reply.data_chunks > 1 && reply.bytes() == large, "a large write and read");
    let failed = client.call(READ, 0, SIZE_BYTES, 1);
    assert_eq!(failed.error, EINVAL);
    assert!(failed.message.contains("do not lie within"), "{failed:?}");
    client.disconnect();
}

#[test]
fn lengths_beyond_32_bits_are_taken_and_judged() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Extended);
    let long = 1_u64 << 33;
    for command in [TRIM, CACHE, BLOCK_STATUS, READ] {
        assert_eq!(client.call_long(command, 0, 0, long, &[]).error, EINVAL, "command {command}");
    }
    assert_eq!(client.call_long(WRITE_ZEROES, 0, 0, long, &[]).error, ENOSPC);
    assert_eq!(client.call_long(TRIM, 0, 0, u64::MAX, &[]).error, EINVAL);
    assert_eq!(client.call_long(TRIM, 0, 0, SIZE_BYTES, &[]).error, 0);
}

#[test]
fn a_payload_that_nobody_wants_is_skipped() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Extended);
    for (command, length) in [(READ, 100), (TRIM, 70_000), (FLUSH, 3 << 20), (999, 30 << 20)] {
        let payload = vec![9; length];
        assert_eq!(client.call_long(command, PAYLOAD_LEN, 0, length as u64, &payload).error, EINVAL);
    }
    assert_eq!(client.call_long(WRITE, 0, 0, 5000, &[9; 5000]).error, EINVAL, "unannounced");
    assert_eq!(client.read(0, 5000), [0; 5000]);
    let bytes = client.long_request_bytes(TRIM, PAYLOAD_LEN, 1, 0, 33 << 20);
    client.send(&bytes);
    client.assert_closed();
}

#[test]
fn contexts_are_chosen_by_name_and_told_apart_by_number() {
    let server = TestServer::new();
    let mut client = Client::open_haggling_extended(server.socket());
    let replies = client.option(SET_META_CONTEXT, &meta_data("disk", &[CHANGED, "base:allocation", CHANGED]));
    let named = |number: u32, name: &str| [&number.to_be_bytes()[..], name.as_bytes()].concat();
    let chosen = [named(1, CHANGED), named(2, "base:allocation")];
    assert_eq!(replies.iter().map(|(_, data)| data.clone()).take(2).collect::<Vec<_>>(), chosen);
    client.go("disk");
    assert_eq!(client.write(0, 4096, &[7; 4096]), 0);
    assert_eq!(client.write(0, 12_288, &[7; 4096]), 0);
    let status = client.call(BLOCK_STATUS, 0, 0, 20_480);
    let allocation = vec![(4096, 3), (4096, 0), (4096, 3), (4096, 0), (4096, 3)];
    assert_eq!(status.statuses[&1], [(4096, 0), (4096, 1), (4096, 0), (4096, 1), (4096, 0)]);
    assert_eq!(status.statuses[&2], allocation);
    assert_eq!(client.call(TRIM, 0, 4096, 4096).error, 0);
    let zeroed = client.call(BLOCK_STATUS, REQ_ONE, 4096, 4096);
    assert_eq!(zeroed.statuses[&1], [(4096, 3)], "what the snapshot has and the disk has no more");
    // Only one of the two, and only a part of the range that the header could name.
    let payload = |length: u64, contexts: &[u32]| {
        let contexts = contexts.iter().flat_map(|context| context.to_be_bytes());
        length.to_be_bytes().into_iter().chain(contexts).collect::<Vec<u8>>()
    };
    let mut ask =
        |payload: Vec<u8>| client.call_long(BLOCK_STATUS, PAYLOAD_LEN, 8192, payload.len() as u64, &payload);
    let one = ask(payload(8192, &[2]));
    assert_eq!((one.statuses.len(), &one.statuses[&2][..]), (1, &[(4096, 3), (4096, 0)][..]));
    assert_eq!(ask(payload(8192, &[2, 1])).statuses.len(), 2);
    for wrong in [
        payload(8192, &[]),
        payload(8192, &[3]),
        payload(8192, &[0]),
        payload(8192, &[1, 1]),
        payload(SIZE_BYTES, &[1]),
        payload(0, &[1]),
        vec![0; 7],
        vec![0; 10],
        vec![],
    ] {
        assert_eq!(ask(wrong.clone()).error, EINVAL, "{wrong:?}");
    }
}

#[test]
fn contexts_are_listed_by_name_space_and_wildcard() {
    let server = TestServer::new();
    let mut client = Client::open_haggling(server.socket());
    let mut names = |option, export, queries: &[&str]| {
        let replies = client.option(option, &meta_data(export, queries));
        assert_eq!(replies.last().unwrap().0, REP_ACK);
        let names = replies.iter().filter(|(kind, _)| *kind == REP_META_CONTEXT);
        names.map(|(_, data)| String::from_utf8(data[4..].to_vec()).unwrap()).collect::<Vec<_>>()
    };
    let both = ["base:allocation", CHANGED];
    assert_eq!(names(LIST_META_CONTEXT, "disk", &[]), both);
    assert_eq!(names(LIST_META_CONTEXT, "disk", &["base:", "ashlar:"]), both);
    assert_eq!(names(LIST_META_CONTEXT, "disk", &["ashlar:changed-since:"]), [CHANGED]);
    assert_eq!(names(LIST_META_CONTEXT, "disk", &["ashlar:changed-since:*"]), [CHANGED]);
    assert_eq!(names(LIST_META_CONTEXT, "snap", &[]), ["base:allocation"], "it has no ancestor");
    assert_eq!(names(SET_META_CONTEXT, "disk", &["ashlar:changed-since:*"]), [CHANGED]);
    assert_eq!(names(SET_META_CONTEXT, "disk", &["base:", "ashlar:"]), [""; 0], "a choice is spelt out");
    assert_eq!(names(SET_META_CONTEXT, "disk", &["ashlar:changed-since:none", "qemu:x"]), [""; 0]);
    assert_eq!(names(SET_META_CONTEXT, "snap", &[CHANGED]), [""; 0]);
}

#[test]
fn a_compared_snapshot_that_is_gone_is_an_error_of_that_context() {
    use ashlar_volume::{VolumeSnapshotId, VolumeStore};
    let server = TestServer::new();
    let mut client = Client::open_haggling_extended(server.socket());
    assert_eq!(client.option(SET_META_CONTEXT, &meta_data("disk", &["base:allocation", CHANGED])).len(), 3);
    client.go("disk");
    server.close_snapshot();
    server.store.delete_snapshot(&VolumeSnapshotId::new("snap").unwrap()).unwrap();
    let refused = client.call(BLOCK_STATUS, 0, 0, 4096);
    assert_eq!(refused.error, EINVAL, "{refused:?}");
    let payload = [&4096_u64.to_be_bytes()[..], &1_u32.to_be_bytes()].concat();
    let status = client.call_long(BLOCK_STATUS, PAYLOAD_LEN, 0, 12, &payload);
    assert_eq!((status.error, &status.statuses[&1][..]), (0, &[(4096, 3)][..]));
}

#[test]
fn extended_headers_are_agreed_on_once_and_for_good() {
    let server = TestServer::new();
    let mut client = Client::open_haggling(server.socket());
    assert_eq!(client.option_result(EXTENDED_HEADERS, b"x"), ERR_INVALID);
    assert_eq!(client.option_result(EXTENDED_HEADERS, &[]), REP_ACK);
    assert_eq!(client.option_result(EXTENDED_HEADERS, &[]), ERR_INVALID);
    assert_eq!(client.option_result(STRUCTURED_REPLY, &[]), ERR_EXT_HEADER_REQD);
    client.send_option(EXPORT_NAME, b"disk");
    client.assert_closed();
}
