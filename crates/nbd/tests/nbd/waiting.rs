//! Requests that wait: out of order, bounded, and in nobody's way.

use ashlar_nbd::{NbdLimits, SessionHandle};
use ashlar_volume::ErrorKind;

use crate::client::*;
use crate::fixture::{Faults, TestServer};

#[test]
fn a_flush_in_flight_holds_up_nothing_behind_it() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    server.device.set(|faults| faults.hold_flushes = true);
    client.send_request(FLUSH, 0, 1, 0, 0);
    server.device.wait_until(|faults| faults.inside == 1);
    client.send_request(READ, 0, 2, 0, 4096);
    assert_eq!(client.next_reply().0, 2, "a read at once");
    server.device.set(|faults| faults.reads_would_wait = true);
    client.send_request(READ, 0, 3, 0, 4096);
    assert_eq!(client.next_reply().0, 3, "a read that waits");
    client.send_write(0, 4, 0, b"data");
    assert_eq!(client.next_reply().0, 4, "a write");
    client.send_request(TRIM, 0, 5, 0, 4096);
    assert_eq!(client.next_reply().0, 5, "a trim");
    server.device.set(|faults| faults.hold_flushes = false);
    assert_eq!(client.next_reply().0, 1);
}

#[test]
fn flushes_of_all_sessions_hold_up_no_read_of_another() {
    let server = TestServer::with_limits(NbdLimits { flush_workers_max: 2, ..NbdLimits::default() });
    server.device.set(|faults| {
        faults.hold_flushes = true;
        faults.reads_would_wait = true;
    });
    let mut flushers: Vec<_> = (0..6).map(|_| Client::open(server.socket(), "disk", Style::Simple)).collect();
    flushers.iter_mut().for_each(|client| client.send_request(FLUSH, 0, 1, 0, 0));
    server.device.wait_until(|faults| faults.inside == 2);
    let mut reader = Client::open(server.socket(), "disk", Style::Simple);
    assert_eq!(reader.read(0, 4096), [0; 4096]);
    server.device.set(|faults| faults.hold_flushes = false);
    flushers.iter_mut().for_each(|client| assert_eq!(client.next_reply().1.error, 0));
}

#[test]
fn flushes_that_come_together_share_one() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    server.device.set(|faults| faults.hold_flushes = true);
    client.send_request(FLUSH, 0, 100, 0, 0);
    server.device.wait_until(|faults| faults.inside == 1);
    for cookie in 0..50 {
        client.send_write(FUA, cookie, cookie * 10, b"durable");
    }
    // A reply to this says that all before it has been received.
    assert_eq!(client.call(READ, 0, 0, 7).bytes(), b"durable");
    server.device.set(|faults| faults.hold_flushes = false);
    for _ in 0..51 {
        assert_eq!(client.next_reply().1.error, 0);
    }
    assert_eq!(server.device.calls("flush"), 2, "one that ran, and one for all that came meanwhile");
}

#[test]
fn a_flush_never_shares_one_that_began_before_it() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    server.device.set(|faults| faults.hold_flushes = true);
    client.send_request(FLUSH, 0, 1, 0, 0);
    server.device.wait_until(|faults| faults.inside == 1);
    client.send_write(0, 2, 0, b"answered after the first flush began");
    assert_eq!(client.next_reply().0, 2);
    client.send_request(FLUSH, 0, 3, 0, 0);
    assert_eq!(client.call(READ, 0, 0, 8).bytes(), b"answered");
    assert_eq!(server.device.calls("flush"), 1, "the second waits for its turn");
    server.device.set(|faults| faults.hold_flushes = false);
    assert_eq!([client.next_reply().0, client.next_reply().0], [1, 3]);
    assert_eq!(server.device.calls("flush"), 2);
}

#[test]
fn reads_that_wait_bring_the_right_bytes() {
    for style in [Style::Simple, Style::Structured] {
        let server = TestServer::new();
        let mut client = Client::open(server.socket(), "disk", style);
        for block in 0..64 {
            assert_eq!(client.write(0, block * 4096, &[block as u8 + 1; 4096]), 0);
        }
        server.device.set(|faults| faults.reads_would_wait = true);
        for block in 0..64 {
            client.send_request(READ, 0, block, block * 4096, 4096);
        }
        for _ in 0..64 {
            let (block, reply) = client.next_reply();
            assert_eq!(
                reply.data.into_iter().collect::<Vec<_>>(),
                [(block * 4096, vec![block as u8 + 1; 4096])]
            );
        }
        let large = client.call(READ, 0, 0, 4 << 20).bytes();
        assert!((0..64).all(|block| large[block * 4096..][..4096] == [block as u8 + 1; 4096]));
        assert_eq!(large.len(), 4 << 20);
    }
}

#[test]
fn writes_that_wait_hold_nothing_up_and_write_the_right_bytes() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    server.device.set(|faults| {
        faults.writes_wait_from_bytes = Some(1 << 20);
        faults.hold_writes = true;
    });
    let block = |at: u64| [at as u8; 4096];
    client.send_write(0, 1, 1 << 20, &block(1));
    client.send_write(FUA, 2, 2 << 20, &block(2));
    client.send_write(0, 3, 0, &block(3));
    assert_eq!(client.next_reply().0, 3, "it has not waited for those before it");
    assert_eq!(client.read(0, 4096), block(3));
    assert_eq!(server.device.calls("flush"), 0, "nothing was written yet that has to be durable");
    server.device.set(|faults| faults.hold_writes = false);
    let mut answered = [client.next_reply().0, client.next_reply().0];
    answered.sort_unstable();
    assert_eq!((answered, server.device.calls("flush")), ([1, 2], 1));
    assert_eq!((client.read(1 << 20, 4096), client.read(2 << 20, 4096)), (block(1).into(), block(2).into()));
    server.device.set(|faults| faults.fail_with = Some(ErrorKind::NoSpace));
    assert_eq!(client.write(0, 3 << 20, &block(4)), 28, "ENOSPC");
}

#[test]
fn a_session_waits_itself_for_a_client_with_one_request_out() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    assert_eq!(client.write(0, 0, &[7; 8192]), 0);
    server.device.set(|faults| faults.reads_would_wait = true);
    let by_session = |server: &TestServer| {
        let mut session = false;
        server.device.set(|faults| session = faults.last_thread == "nbd-session");
        session
    };
    let mut threads = Vec::new();
    for _ in 0..30 {
        assert_eq!(client.read(0, 4096), [7; 4096]);
        threads.push(by_session(&server));
    }
    assert!(!threads[0] && threads[29], "first a worker, then the session: {threads:?}");
    // One that is held up lets others come behind it: these are for workers again.
    server.device.set(|faults| faults.hold_reads = true);
    client.send_request(READ, 0, 1, 0, 4096);
    server.device.wait_until(|faults| faults.inside == 1);
    (2..5).for_each(|cookie| client.send_request(READ, 0, cookie, 0, 4096));
    server.device.set(|faults| faults.hold_reads = false);
    (1..5).for_each(|_| assert_eq!(client.next_reply().1.bytes(), [7; 4096]));
    assert!(!by_session(&server), "three at a time are not waited for one by one");
}

/// A client with reads in the device's queue, of the blocks 0 to 8, which hold 1 to 9.
fn with_queued_reads(server: &TestServer) -> Client {
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    (0..9).for_each(|block| assert_eq!(client.write(0, block * 4096, &[block as u8 + 1; 4096]), 0));
    server.device.set(|faults| {
        faults.reads_would_wait = true;
        faults.has_queue = true;
        faults.hold_queues = true;
    });
    (0..9).for_each(|block| client.send_request(READ, 0, block, block * 4096, 4096));
    server.device.wait_until(|faults| faults.queued == 9);
    client
}

#[test]
fn reads_in_the_queue_of_the_device_need_no_worker_and_hold_up_nothing() {
    let server = TestServer::new();
    let mut client = with_queued_reads(&server);
    client.send_write(0, 100, 20 * 4096, b"behind them");
    assert_eq!(client.next_reply().0, 100);
    client.send_request(READ, 0, 101, 20 * 4096, 64 << 10);
    assert_eq!(client.next_reply().0, 101, "what is too long for the queue has a worker");
    assert_eq!(server.device.calls("read"), 1);
    server.device.set(|faults| faults.hold_queues = false);
    let mut order = Vec::new();
    for _ in 0..9 {
        let (block, reply) = client.next_reply();
        assert_eq!(reply.bytes(), [block as u8 + 1; 4096]);
        order.push(block);
    }
    assert_eq!(order, [8, 7, 6, 5, 4, 3, 2, 1, 0], "as they ended");
    assert_eq!(server.device.calls("read"), 1, "no other worker");
}

#[test]
fn what_the_queue_gives_up_is_read_by_a_worker() {
    let server = TestServer::new();
    let mut client = with_queued_reads(&server);
    server.device.set(|faults| {
        faults.queues_give_up_from_bytes = Some(5 * 4096);
        faults.hold_queues = false;
    });
    for _ in 0..9 {
        let (block, reply) = client.next_reply();
        assert_eq!(reply.bytes(), [block as u8 + 1; 4096]);
    }
    assert_eq!(server.device.calls("read"), 4);
}

/// The session carries these reads out itself, in a batch, and nothing comes to remind it of them.
#[test]
fn reads_that_leave_the_queue_for_a_batch_are_answered_though_nothing_follows() {
    let server = TestServer::new();
    server.device.set(|faults| {
        faults.prefers_batches = true;
        faults.reads_would_wait = true;
        faults.has_queue = true;
        faults.queues_give_up_from_bytes = Some(0);
    });
    for says_goodbye in [false, true] {
        let mut client = Client::open(server.socket(), "disk", Style::Structured);
        assert_eq!(client.write(0, 4096, &[1; 4096]), 0);
        // In one piece, so that they come in one turn of the session.
        let mut requests: Vec<u8> =
            (0..2).flat_map(|block| client.request_bytes(READ, 0, block, block * 4096, 4096)).collect();
        if says_goodbye {
            requests.extend(client.request_bytes(DISC, 0, 0, 0, 0));
        }
        client.send(&requests);
        let mut replies = [client.next_reply(), client.next_reply()];
        replies.sort_by_key(|(cookie, _)| *cookie);
        assert_eq!(replies.map(|(_, reply)| reply.bytes()), [vec![0; 4096], vec![1; 4096]]);
        if says_goodbye {
            server.leases.wait_until_count(0);
        } else {
            drop(client);
        }
    }
}

#[test]
fn a_client_that_leaves_is_outlived_by_the_reads_in_the_queue() {
    let server = TestServer::new();
    let client = with_queued_reads(&server);
    drop(client);
    assert_eq!(server.leases.count(), 1, "the device is in use");
    server.device.set(|faults| faults.hold_queues = false);
    server.leases.wait_until_count(0);
}

fn numbered(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place / 512) as u8 | 1).collect()
}

#[test]
fn a_large_read_that_has_to_wait_midway_is_completed() {
    for style in [Style::Simple, Style::Structured] {
        let server = TestServer::new();
        let mut client = Client::open(server.socket(), "disk", style);
        let data = numbered(2 << 20);
        assert_eq!(client.write(0, 4096, &data), 0);
        for from in [0, 4096, 300_000, 1 << 20, (2 << 20) - 1] {
            server.device.set(|faults| faults.reads_wait_from_bytes = Some(from));
            assert!(client.read(4096, 2 << 20) == data, "waiting from {from} on");
        }
    }
}

#[test]
fn a_large_read_that_fails_midway_gets_an_error_and_the_session_goes_on() {
    for style in [Style::Simple, Style::Structured] {
        let server = TestServer::new();
        let mut client = Client::open(server.socket(), "disk", style);
        let data = numbered(2 << 20);
        assert_eq!(client.write(0, 0, &data), 0);
        for wait_from in [None, Some(1 << 20)] {
            server.device.set(|faults| {
                faults.reads_fail_from_bytes = Some(if style == Style::Simple { 0 } else { 1 << 20 });
                faults.reads_wait_from_bytes = wait_from;
            });
            assert_eq!(client.call(READ, 0, 0, 2 << 20).error, EIO, "waiting from {wait_from:?} on");
            server.device.set(|faults| faults.reads_fail_from_bytes = None);
            assert!(client.read(0, 2 << 20) == data);
        }
    }
}

/// Sends reads of `lengths`, all at once, to a device that holds every one, and sees that the server has
/// `waiting` of them waiting and touches no other before one is answered. Then lets all go on.
fn see_bounded(limits: NbdLimits, lengths: &[u32], waiting: usize) {
    let server = TestServer::with_limits(limits);
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    server.device.set(|faults| {
        faults.reads_would_wait = true;
        faults.hold_reads = true;
    });
    let mut requests = Vec::new();
    for (cookie, length) in lengths.iter().enumerate() {
        requests.extend(client.request_bytes(READ, 0, cookie as u64, 0, *length));
    }
    client.send(&requests);
    server.device.wait_until(|faults| faults.inside == waiting);
    server.device.set(|faults| faults.read_permits = 1);
    let mut answered = vec![client.next_reply()];
    // Had it been free to, the session would have tried all of them before it sent that reply.
    assert!(server.device.calls("try_read") <= waiting + 1, "{} tried", server.device.calls("try_read"));
    server.device.set(|faults| faults.hold_reads = false);
    answered.extend((1..lengths.len()).map(|_| client.next_reply()));
    answered.sort_by_key(|(cookie, _)| *cookie);
    let found: Vec<_> = answered.iter().map(|(_, reply)| reply.bytes().len() as u32).collect();
    assert_eq!(found, lengths);
}

#[test]
fn waiting_requests_are_bounded_by_count_and_all_answered() {
    let limits = NbdLimits { waiting_requests_max: 5, ..NbdLimits::default() };
    see_bounded(limits, &[4096; 100], 5);
}

#[test]
fn waiting_requests_are_bounded_by_bytes_and_the_largest_still_passes() {
    let mut lengths = [4096; 20];
    lengths[10] = 100_000;
    let limits = NbdLimits { waiting_bytes_max: 3 * 4096 + 100, ..NbdLimits::default() };
    see_bounded(limits, &lengths, 3);
}

#[test]
fn long_writes_that_wait_for_a_flush_are_bounded_by_count_and_all_answered() {
    let server = TestServer::with_limits(NbdLimits { waiting_requests_max: 3, ..NbdLimits::default() });
    let mut client = Client::open(server.socket(), "disk", Style::Simple);
    let mut sender = client.sender();
    server.device.set(|faults| faults.hold_flushes = true);
    std::thread::scope(|scope| {
        // Two parts each, and more than the socket takes: the server has to read on for all to be sent.
        scope.spawn(move || (0..20).for_each(|cookie| sender.send_write(FUA, cookie, 0, &[1; 100_000])));
        let writes = |faults: &Faults| faults.calls.get("write").copied().unwrap_or(0);
        server.device.wait_until(|faults| writes(faults) >= 6);
        for flush in 2..=6 {
            server.device.set(|faults| faults.flush_permits = 1);
            server
                .device
                .wait_until(|faults| faults.calls.get("flush") == Some(&flush) && faults.inside == 1);
            // Each flush before it has answered three at most, and three wait.
            let parts = server.device.calls("write");
            assert!(parts <= 6 * flush, "{parts} parts written when flush {flush} begins");
        }
        server.device.set(|faults| faults.hold_flushes = false);
        let mut answered: Vec<_> = (0..20).map(|_| client.next_reply().0).collect();
        answered.sort_unstable();
        assert_eq!(answered, (0..20).collect::<Vec<_>>());
    });
}

/// Batches of all sizes after larger ones and after smaller ones: what a session hopes to receive besides must not be needed.
#[test]
fn batches_are_done_by_the_session_whatever_the_last_one_was() {
    let server = TestServer::new();
    server.device.set(|faults| {
        faults.prefers_batches = true;
        faults.reads_would_wait = true;
    });
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    client.write(0, 4096, &[5; 4096]);
    for count in [1, 16, 1, 3, 40, 2] {
        let mut requests = Vec::new();
        for cookie in 0..count {
            requests.extend(client.request_bytes(READ, 0, cookie, cookie * 4096, 4096));
        }
        client.send(&requests);
        let mut answered: Vec<_> = (0..count).map(|_| client.next_reply()).collect();
        answered.sort_by_key(|(cookie, _)| *cookie);
        for (cookie, (found, reply)) in (0..count).zip(answered) {
            assert_eq!(found, cookie);
            assert!(
                reply.bytes().iter().all(|byte| *byte == if cookie == 1 { 5 } else { 0 }),
                "{count}: {cookie}"
            );
        }
        server.device.set(|faults| assert_eq!(faults.last_thread, "nbd-session"));
    }
    // A failure is that of its request, and a client that leaves in the middle of one ends only its session.
    server.device.set(|faults| faults.fail_with = Some(ashlar_volume::ErrorKind::Io));
    assert_eq!(client.call(READ, 0, 0, 4096).error, 5);
    server.device.set(|faults| faults.fail_with = None);
    let mut last = client.request_bytes(READ, 0, 1, 4096, 4096);
    last.extend([0x25, 0x60]);
    client.send(&last);
    assert_eq!(client.next_reply().1.bytes(), [5; 4096]);
    drop(client);
    server.leases.wait_until_count(0);
}

/// A device on which writes join others, and a client whose first write is under way.
fn streaming() -> (TestServer, Client) {
    let server = TestServer::new();
    server.device.set(|faults| {
        faults.prefers_batches = true;
        faults.takes_more_writes = true;
        faults.hold_streams = true;
    });
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    client.send_write(0, 1, 0, &[1; 4096]);
    server.device.wait_until(|faults| faults.calls.get("joined") == Some(&1));
    (server, client)
}

#[test]
fn writes_join_those_under_way_and_other_requests_wait_for_the_end() {
    let (server, mut client) = streaming();
    client.send_write(0, 2, 4096, &[2; 4096]);
    server.device.wait_until(|faults| faults.calls.get("joined") == Some(&2));
    // A half of one, then the rest.
    let mut third = client.request_bytes(WRITE, FUA, 3, 8192, 4096);
    third.extend([3; 4096]);
    client.send(&third[..100]);
    client.send(&third[100..]);
    server.device.wait_until(|faults| faults.calls.get("joined") == Some(&3));
    client.send_request(READ, 0, 4, 4096, 4096);
    client.send_write(0, 5, 12288, &[5; 4096]);
    server.device.set(|faults| faults.hold_streams = false);
    let mut replies: Vec<_> = (0..5).map(|_| client.next_reply()).collect();
    replies.sort_by_key(|(cookie, _)| *cookie);
    assert_eq!(
        replies.iter().map(|(cookie, reply)| (*cookie, reply.error)).collect::<Vec<_>>(),
        [(1, 0), (2, 0), (3, 0), (4, 0), (5, 0)]
    );
    assert_eq!(replies[3].1.bytes(), [2; 4096], "a read behind them waits for their end");
    assert_eq!(server.device.calls("flush"), 1, "the one with FUA");
    assert_eq!(client.call(READ, 0, 12288, 4096).bytes(), [5; 4096]);
    drop(client);
    server.leases.wait_until_count(0);
}

/// What the session receives while it looks for more writes has to be looked at before it sleeps: the client sends nothing else.
#[test]
fn a_request_that_comes_in_the_middle_of_a_stream_is_answered_though_nothing_follows() {
    let cases: [fn(&mut Client); 3] = [
        |client| client.send_request(TRIM, 0, 2, 0, 4096),
        |client| client.send_write(0, 2, 0, &[2; 20_000]),
        |client| client.send_request(DISC, 0, 0, 0, 0),
    ];
    for (send, replies) in cases.into_iter().zip([2, 2, 1]) {
        let (server, mut client) = streaming();
        send(&mut client);
        let looked = server.device.calls("looked");
        // The first of these looks may have begun before.
        server.device.wait_until(|faults| faults.calls.get("looked") >= Some(&(looked + 2)));
        server.device.set(|faults| faults.hold_streams = false);
        let errors: Vec<_> = (0..replies).map(|_| client.next_reply().1.error).collect();
        assert!(errors.iter().all(|error| *error == 0), "{errors:?}");
        if replies == 1 {
            server.leases.wait_until_count(0);
        }
    }
}

/// What has been received is answered before the session ends, what comes later is not taken.
#[test]
fn a_session_that_finishes_in_the_middle_of_a_stream_answers_what_it_received() {
    let (server, mut client) = streaming();
    client.send_request(TRIM, 0, 2, 0, 4096);
    client.send_write(0, 3, 4096, &[3; 4096]);
    let looked = server.device.calls("looked");
    server.device.wait_until(|faults| faults.calls.get("looked") >= Some(&(looked + 2)));
    server.leases.end_all(SessionHandle::finish);
    server.device.set(|faults| faults.hold_streams = false);
    let mut replies: Vec<_> =
        (0..3).map(|_| client.next_reply()).map(|(cookie, reply)| (cookie, reply.error)).collect();
    replies.sort_unstable();
    assert_eq!(replies, [(1, 0), (2, 0), (3, 0)]);
    client.assert_closed();
    server.leases.wait_until_count(0);
}

#[test]
fn a_device_that_panics_in_a_stream_has_failed_all_of_it() {
    let (server, mut client) = streaming();
    client.send_write(0, 2, 4096, &[2; 4096]);
    server.device.wait_until(|faults| faults.calls.get("joined") == Some(&2));
    server.device.set(|faults| {
        faults.streams_panic = true;
        faults.hold_streams = false;
    });
    let mut replies: Vec<_> =
        (0..2).map(|_| client.next_reply()).map(|(cookie, reply)| (cookie, reply.error)).collect();
    replies.sort_unstable();
    assert_eq!(replies, [(1, 5), (2, 5)]);
    server.device.set(|faults| faults.streams_panic = false);
    assert_eq!(client.write(0, 4096, &[7; 4096]), 0);
    assert_eq!(client.call(READ, 0, 4096, 4096).bytes(), [7; 4096]);
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_stream_ends_only_its_session() {
    let (server, client) = streaming();
    drop(client);
    server.device.set(|faults| faults.hold_streams = false);
    server.leases.wait_until_count(0);
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    assert_eq!(client.call(READ, 0, 0, 4096).bytes(), [1; 4096], "what was taken was written");
}

/// A payload that is taken in pieces is no row of requests, whatever it looks like.
#[test]
fn what_follows_a_write_is_not_taken_for_requests_in_the_middle_of_a_payload() {
    const LENGTH: u32 = 2 << 20;
    let server = TestServer::new();
    server.device.set(|faults| {
        faults.prefers_batches = true;
        faults.takes_more_writes = true;
    });
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    // 4096 bytes in all: one begins wherever a part of the payload ends.
    let mut fake = client.request_bytes(WRITE, 0, 9, 16 << 20, 4068);
    fake.extend([9; 4068]);
    let payload: Vec<u8> = fake.iter().copied().cycle().take(LENGTH as usize).collect();
    let mut bytes = client.request_bytes(WRITE, 0, 1, 0, 4096);
    bytes.extend([1; 4096]);
    bytes.extend(client.request_bytes(WRITE, 0, 2, 4 << 20, LENGTH));
    // As much as goes with one call, so that both are found together.
    bytes.extend(&payload[..100_000]);
    client.send(&bytes);
    assert_eq!(client.next_reply().0, 1);
    client.send(&payload[100_000..]);
    assert_eq!(client.next_reply().0, 2);
    assert_eq!(client.read(16 << 20, 4096), [0; 4096]);
    assert_eq!(client.read(4 << 20, LENGTH), payload);
}
