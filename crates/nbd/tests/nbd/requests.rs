//! Requests, right and wrong, one connection.

use ashlar_volume::{ErrorKind, VolumeId, VolumeStore};

use crate::client::*;
use crate::fixture::{SIZE_BYTES, TestServer};

fn both_styles(test: impl Fn(&TestServer, Client)) {
    for style in [Style::Simple, Style::Structured] {
        let server = TestServer::new();
        let client = Client::open(server.socket(), "disk", style);
        test(&server, client);
    }
}

fn pattern(offset: u64, length: usize) -> Vec<u8> {
    (offset..offset + length as u64).map(|place| (place * 7 + place / 4096) as u8 | 1).collect()
}

#[test]
fn what_is_written_is_read_at_any_size_and_place() {
    both_styles(|_, mut client| {
        assert_eq!(client.size_bytes, SIZE_BYTES);
        for (offset, length) in
            [(0, 1), (511, 4098), (70_000, 300_000), (1 << 20, 3 << 20), (9 << 20, 32 << 20)]
        {
            assert_eq!(client.write(0, offset, &pattern(offset, length)), 0);
            assert!(client.read(offset, length as u32) == pattern(offset, length), "{length} at {offset}");
        }
        let last = SIZE_BYTES - 1;
        assert_eq!(client.write(0, last, b"z"), 0);
        assert_eq!(client.read(last, 1), b"z");
        client.disconnect();
    });
}

#[test]
fn zeroes_travel_as_holes_where_replies_are_structured() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    assert_eq!(client.write(0, 1 << 20, &[5; 4096]), 0);
    let reply = client.call(READ, 0, 0, 2 << 20);
    assert_eq!((reply.error, reply.data_chunks, reply.hole_chunks), (0, 1, 3));
    let mut expected = vec![0; 2 << 20];
    expected[1 << 20..(1 << 20) + 4096].fill(5);
    assert!(reply.bytes() == expected);
    let unwritten = client.call(READ, 0, 0, 4096);
    assert_eq!((unwritten.data_chunks, unwritten.hole_chunks), (0, 1));
}

#[test]
fn ranges_beyond_the_end_get_their_errors_and_change_nothing() {
    both_styles(|server, mut client| {
        for (offset, length) in
            [(SIZE_BYTES, 1), (SIZE_BYTES - 1, 2), (u64::MAX, 1), (u64::MAX - 4095, 4096), (1 << 63, 4096)]
        {
            for (command, errno) in [(READ, EINVAL), (TRIM, EINVAL), (CACHE, EINVAL), (WRITE_ZEROES, ENOSPC)]
            {
                assert_eq!(
                    client.call(command, 0, offset, length).error,
                    errno,
                    "{command}: {length} at {offset}"
                );
            }
            assert_eq!(client.write(0, offset, &vec![1; length as usize]), ENOSPC);
        }
        assert_eq!(client.call(TRIM, 0, SIZE_BYTES - 4096, u32::MAX).error, EINVAL);
        for call in ["write", "write_zeroes", "discard", "try_read", "read"] {
            assert_eq!(server.device.calls(call), 0, "{call} reached the device");
        }
    });
}

#[test]
fn requests_that_can_never_be_right_are_invalid_and_the_session_goes_on() {
    both_styles(|server, mut client| {
        for command in [8, 9, 77, u16::MAX] {
            assert_eq!(client.call(command, 0, 0, 0).error, EINVAL, "command {command}");
        }
        for command in [READ, TRIM, CACHE, WRITE_ZEROES] {
            assert_eq!(client.call(command, 0, 4096, 0).error, EINVAL, "no bytes for command {command}");
        }
        assert_eq!(client.write(0, 4096, &[]), EINVAL);
        for (command, flags) in [
            (READ, NO_HOLE),
            (READ, REQ_ONE),
            (READ, 1 << 5),
            (TRIM, NO_HOLE),
            (CACHE, DF),
            (WRITE_ZEROES, DF),
            (WRITE_ZEROES, 1 << 15),
            (BLOCK_STATUS, FAST_ZERO),
        ] {
            assert_eq!(
                client.call(command, flags, 0, 512).error,
                EINVAL,
                "flags {flags} of command {command}"
            );
        }
        assert_eq!(client.write(NO_HOLE, 0, b"payload"), EINVAL, "its payload is skipped");
        assert_eq!(client.call(FLUSH, 0, 0, 1).error, EINVAL);
        assert_eq!(client.call(FLUSH, 0, 512, 0).error, EINVAL);
        assert_eq!(client.call(READ, 0, 0, (32 << 20) + 1).error, EINVAL);
        assert_eq!(client.call(READ, 0, 0, u32::MAX).error, EINVAL);
        assert_eq!(server.device.calls("flush"), 0);
        assert_eq!(client.read(0, 8), [0; 8]);
    });
}

#[test]
fn a_structured_error_says_why() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    let reply = client.call(READ, 0, SIZE_BYTES - 10, 20);
    assert!(reply.message.contains(&(SIZE_BYTES - 10).to_string()), "{}", reply.message);
}

#[test]
fn a_wrong_magic_ends_the_session() {
    both_styles(|_, mut client| {
        let mut bytes = client.request_bytes(FLUSH, 0, 1, 0, 0);
        bytes[0] ^= 1;
        client.send(&bytes);
        client.assert_closed();
    });
}

#[test]
fn a_write_over_the_announced_maximum_ends_the_session() {
    both_styles(|server, mut client| {
        client.send_request(WRITE, 0, 1, 0, (32 << 20) + 1);
        client.assert_closed();
        assert_eq!(server.device.calls("write"), 0);
    });
}

#[test]
fn a_connection_lost_inside_a_payload_writes_nothing() {
    both_styles(|server, mut client| {
        let mut bytes = client.request_bytes(WRITE, 0, 1, 0, 8192);
        bytes.extend([1; 8191]);
        client.send(&bytes);
        drop(client);
        server.leases.wait_until_count(0);
        assert_eq!(server.device.calls("write"), 0);
    });
}

#[test]
fn requests_of_one_cookie_are_each_answered() {
    both_styles(|_, mut client| {
        let mut bytes = client.request_bytes(FLUSH, 0, 5, 0, 0);
        bytes.extend(client.request_bytes(FLUSH, 0, 5, 0, 0));
        bytes.extend(client.request_bytes(TRIM, 0, 5, 0, 4096));
        client.send(&bytes);
        for _ in 0..3 {
            let (cookie, reply) = client.next_reply();
            assert_eq!((cookie, reply.error), (5, 0));
        }
        assert_eq!(client.read(0, 4), [0; 4]);
    });
}

#[test]
fn a_thousand_requests_in_one_send_are_all_answered() {
    both_styles(|_, mut client| {
        let mut bytes = Vec::new();
        for cookie in 0..1000_u64 {
            let offset = cookie * 512;
            if cookie % 2 == 0 {
                bytes.extend(client.request_bytes(WRITE, 0, cookie, offset, 512));
                bytes.extend(pattern(offset, 512));
            } else {
                bytes.extend(client.request_bytes(READ, 0, cookie, offset, 512));
            }
        }
        let mut sending = client.stream.try_clone().unwrap();
        let sender = std::thread::spawn(move || std::io::Write::write_all(&mut sending, &bytes));
        let mut answered = vec![false; 1000];
        for _ in 0..1000 {
            let (cookie, reply) = client.next_reply();
            assert_eq!(reply.error, 0);
            assert!(!std::mem::replace(&mut answered[cookie as usize], true), "{cookie} twice");
        }
        sender.join().unwrap().unwrap();
        assert_eq!(client.read(998 * 512, 512), pattern(998 * 512, 512));
    });
}

#[test]
fn goodbye_is_said_after_what_came_before_is_answered() {
    both_styles(|_, mut client| {
        let mut bytes = client.request_bytes(WRITE, FUA, 1, 0, 4);
        bytes.extend(b"last");
        bytes.extend(client.request_bytes(CACHE, 0, 2, 0, 1 << 20));
        bytes.extend(client.request_bytes(DISC, 0, 3, 0, 0));
        client.send(&bytes);
        let mut answered = [client.next_reply().0, client.next_reply().0];
        answered.sort_unstable();
        assert_eq!(answered, [1, 2]);
        client.assert_closed();
    });
}

#[test]
fn errors_of_the_device_become_errnos() {
    both_styles(|server, mut client| {
        for (kind, errno) in [
            (ErrorKind::NoSpace, ENOSPC),
            (ErrorKind::InvalidArgument, EINVAL),
            (ErrorKind::Latched, EIO),
            (ErrorKind::Corrupt, EIO),
            (ErrorKind::Io, EIO),
            (ErrorKind::NotFound, ESHUTDOWN),
        ] {
            server.device.set(|faults| faults.fail_with = Some(kind));
            assert_eq!(client.write(0, 0, b"data"), errno, "{kind:?}");
            assert_eq!(client.write(FUA, 0, b"data"), errno, "{kind:?}");
            for command in [READ, TRIM, CACHE, WRITE_ZEROES] {
                assert_eq!(client.call(command, 0, 0, 4096).error, errno, "{kind:?}, command {command}");
            }
            assert_eq!(client.call(READ, 0, 0, 1 << 20).error, errno, "{kind:?}, a large read");
            assert_eq!(client.call(FLUSH, 0, 0, 0).error, errno, "{kind:?}");
        }
        server.device.set(|faults| faults.fail_with = None);
        assert_eq!(client.read(0, 4), [0; 4], "the session goes on");
    });
}

#[test]
fn block_status_describes_extents() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    for block in [1, 2, 5] {
        assert_eq!(client.write(0, block * 4096, &[1; 4096]), 0);
    }
    let (data, hole) = (0, 3);
    let all = client.call(BLOCK_STATUS, 0, 0, 8 * 4096).extents;
    assert_eq!(all, [(4096, hole), (8192, data), (8192, hole), (4096, data), (8192, hole)]);
    assert_eq!(client.call(BLOCK_STATUS, REQ_ONE, 4096 + 100, 8 * 4096).extents, [(8092, data)]);
    assert_eq!(client.call(BLOCK_STATUS, 0, 0, 0).error, EINVAL);
    assert_eq!(client.call(BLOCK_STATUS, 0, SIZE_BYTES - 1, 2).error, EINVAL);
}

#[test]
fn many_extents_come_in_bounded_replies() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    for block in 0..1500 {
        assert_eq!(client.write(0, block * 8192, &[1]), 0);
    }
    let extents = client.call(BLOCK_STATUS, 0, 0, 1500 * 8192).extents;
    assert_eq!(extents.len(), 1024);
    assert!(extents.iter().all(|(length, _)| *length == 4096));
}

#[test]
fn a_resize_is_seen_by_the_next_request_and_by_new_connections() {
    both_styles(|server, mut client| {
        assert_eq!(client.call(READ, 0, SIZE_BYTES, 4096).error, EINVAL);
        server.store.resize_volume(&VolumeId::new("disk").unwrap(), 2 * SIZE_BYTES).unwrap();
        assert_eq!(client.write(0, 2 * SIZE_BYTES - 3, b"end"), 0);
        let mut newcomer = Client::open(server.socket(), "disk", Style::Simple);
        assert_eq!(newcomer.size_bytes, 2 * SIZE_BYTES);
        assert_eq!(newcomer.read(2 * SIZE_BYTES - 3, 3), b"end");
    });
}

#[test]
fn a_snapshot_during_a_session_does_not_disturb_it() {
    both_styles(|server, mut client| {
        assert_eq!(client.write(0, 0, b"before"), 0);
        let snapshot = ashlar_volume::VolumeSnapshotId::new("now").unwrap();
        server.store.create_snapshot(&VolumeId::new("disk").unwrap(), &snapshot).unwrap();
        assert_eq!(client.read(0, 6), b"before");
        assert_eq!(client.write(0, 0, b"after!"), 0);
        assert_eq!(client.read(0, 6), b"after!");
        let mut frozen = [0; 6];
        server.store.open_snapshot(&snapshot).unwrap().read(0, &mut frozen).unwrap();
        assert_eq!(&frozen, b"before");
    });
}
