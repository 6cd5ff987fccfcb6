//! Each bit of the transmission flags is set exactly where what it promises is kept.

use crate::client::*;
use crate::fixture::TestServer;

const HAS_FLAGS: u16 = 1 << 0;
const READ_ONLY: u16 = 1 << 1;
const SEND_FLUSH: u16 = 1 << 2;
const SEND_FUA: u16 = 1 << 3;
const ROTATIONAL: u16 = 1 << 4;
const SEND_TRIM: u16 = 1 << 5;
const SEND_WRITE_ZEROES: u16 = 1 << 6;
const SEND_DF: u16 = 1 << 7;
const CAN_MULTI_CONN: u16 = 1 << 8;
const SEND_RESIZE: u16 = 1 << 9;
const SEND_CACHE: u16 = 1 << 10;
const SEND_FAST_ZERO: u16 = 1 << 11;
const BLOCK_STAT_PAYLOAD: u16 = 1 << 12;

#[test]
fn the_flags_are_these_and_no_others() {
    let server = TestServer::new();
    let flags = |export, style| Client::open(server.socket(), export, style).flags;
    let both = HAS_FLAGS | SEND_FLUSH | CAN_MULTI_CONN | SEND_CACHE;
    let writable = both | SEND_FUA | SEND_TRIM | SEND_WRITE_ZEROES | SEND_FAST_ZERO;
    assert_eq!(flags("disk", Style::Simple), writable);
    assert_eq!(flags("disk", Style::Structured), writable | SEND_DF);
    assert_eq!(flags("disk", Style::Extended), writable | SEND_DF | BLOCK_STAT_PAYLOAD);
    assert_eq!(flags("snap", Style::Extended), both | READ_ONLY | SEND_DF | BLOCK_STAT_PAYLOAD);
    let mut no_contexts = Client::open_haggling_extended(server.socket());
    no_contexts.go("disk");
    assert_eq!(no_contexts.flags, writable | SEND_DF, "nothing to choose from");
    assert_eq!(flags("snap", Style::Simple), both | READ_ONLY);
    assert_eq!(flags("snap", Style::Structured), both | READ_ONLY | SEND_DF);
    assert_eq!(writable & (ROTATIONAL | SEND_RESIZE), 0, "not promised");
}

#[test]
fn read_only_is_kept() {
    let server = TestServer::new();
    for style in [Style::Simple, Style::Structured, Style::Extended] {
        let mut client = Client::open(server.socket(), "snap", style);
        assert_eq!(client.read(4096, 6), b"frozen");
        assert_eq!(client.write(0, 4096, b"no"), EPERM);
        assert_eq!(client.call(TRIM, 0, 4096, 4096).error, EPERM);
        assert_eq!(client.call(WRITE_ZEROES, 0, 4096, 4096).error, EPERM);
        assert_eq!(client.call(FLUSH, 0, 0, 0).error, 0);
        assert_eq!(client.call(CACHE, 0, 0, 8192).error, 0);
        assert_eq!(client.read(4096, 6), b"frozen");
    }
}

#[test]
fn flush_reaches_the_device() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Simple);
    assert_eq!(client.write(0, 0, b"x"), 0);
    assert_eq!(server.device.calls("flush"), 0);
    assert_eq!(client.call(FLUSH, 0, 0, 0).error, 0);
    assert_eq!(server.device.calls("flush"), 1);
}

#[test]
fn forced_unit_access_flushes_before_the_reply() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    assert_eq!(client.write(FUA, 100, b"durable"), 0);
    assert_eq!((server.device.calls("write"), server.device.calls("flush")), (1, 1));
    assert_eq!(client.call(TRIM, FUA, 0, 4096).error, 0);
    assert_eq!((server.device.calls("discard"), server.device.calls("flush")), (1, 2));
    assert_eq!(client.call(WRITE_ZEROES, FUA, 0, 4096).error, 0);
    assert_eq!((server.device.calls("write_zeroes"), server.device.calls("flush")), (1, 3));
    // The others take the flag, too, as the protocol wants, and change nothing that could be lost.
    assert_eq!(client.call(READ, FUA, 0, 10).error, 0);
    assert_eq!(client.call(CACHE, FUA, 0, 10).error, 0);
    assert_eq!(client.call(BLOCK_STATUS, FUA, 0, 10).error, 0);
    assert_eq!(client.call(FLUSH, FUA, 0, 0).error, 0);
}

#[test]
fn trim_and_both_kinds_of_zeroes_do_what_they_say() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    assert_eq!(client.write(0, 0, &[7; 4 * 4096]), 0);
    assert_eq!(client.call(TRIM, 0, 0, 4096).error, 0);
    assert_eq!(client.call(WRITE_ZEROES, 0, 4096, 4096).error, 0);
    assert_eq!(client.call(WRITE_ZEROES, NO_HOLE, 8192, 4096).error, 0);
    let (data, hole) = (0, 3);
    let status = client.call(BLOCK_STATUS, 0, 0, 16_384);
    assert_eq!(status.extents, [(8192, hole), (8192, data)]);
    assert_eq!(client.read(0, 12_288), [0; 12_288]);
    assert_eq!(client.read(12_288, 4096), [7; 4096]);
}

#[test]
fn fast_zeroes_are_fast_or_fail() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    assert_eq!(client.write(0, 0, &[7; 4096]), 0);
    assert_eq!(client.call(WRITE_ZEROES, FAST_ZERO | NO_HOLE, 0, 4096).error, ENOTSUP);
    assert_eq!(client.read(0, 4096), [7; 4096]);
    assert_eq!(client.call(WRITE_ZEROES, FAST_ZERO, 0, 4096).error, 0);
    assert_eq!(client.read(0, 4096), [0; 4096]);
}

#[test]
fn do_not_fragment_brings_one_chunk_of_data() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    assert_eq!(client.write(0, 1 << 20, &[7; 1 << 20]), 0);
    for (offset, length) in [(0, 4096), (0, 65_536), (1 << 19, 1 << 20), (0, 3 << 20)] {
        let reply = client.call(READ, DF, offset, length);
        assert_eq!((reply.error, reply.data_chunks, reply.hole_chunks), (0, 1, 0));
        assert_eq!(reply.bytes(), client.read(offset, length));
    }
}

#[test]
fn do_not_fragment_needs_structured_replies() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Simple);
    assert_eq!(client.call(READ, DF, 0, 10).error, EINVAL);
}

#[test]
fn several_connections_are_views_of_one_disk() {
    let server = TestServer::new();
    let mut first = Client::open(server.socket(), "disk", Style::Structured);
    let mut second = Client::open(server.socket(), "disk", Style::Simple);
    assert_eq!(first.write(0, 4000, b"from the first"), 0);
    assert_eq!(second.read(4000, 14), b"from the first", "answered writes are seen at once");
    assert_eq!(second.call(FLUSH, 0, 0, 0).error, 0);
    assert_eq!(server.device.calls("flush"), 1, "the flush is of the device that both share");
    assert_eq!(second.call(TRIM, FUA, 0, 8192).error, 0);
    assert_eq!(first.read(4000, 14), [0; 14]);
}

#[test]
fn cache_reads_the_range() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    assert_eq!(client.call(CACHE, 0, 1000, 300_000).error, 0);
    assert_eq!(server.device.calls("read"), 3, "in steps of 128 KiB");
}
