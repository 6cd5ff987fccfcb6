//! Clients that are slow, silent or greedy hold nothing for longer, and no more of it, than the limits allow.

use std::time::Duration;

use ashlar_nbd::NbdLimits;

use crate::client::*;
use crate::fixture::{SIZE_BYTES, TestServer};

/// Limits under which a slow client is noticed within a few seconds, and one on a busy machine is not.
fn impatient() -> NbdLimits {
    NbdLimits {
        handshake_timeout: Duration::from_secs(3),
        stall_timeout: Duration::from_millis(1500),
        ..NbdLimits::default()
    }
}

#[test]
fn a_client_that_takes_no_replies_is_ended() {
    let server = TestServer::with_limits(impatient());
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    assert_eq!(client.write(0, 0, &vec![7; 30 << 20]), 0);
    for cookie in 0..8 {
        client.send_request(READ, 0, cookie, 0, 30 << 20);
    }
    server.leases.wait_until_count(0);
}

#[test]
fn a_client_that_stops_inside_a_request_is_ended() {
    let server = TestServer::with_limits(impatient());
    for (length, sent) in [(4096, 100), (20 << 20, 5 << 20), (20 << 20, 0)] {
        let mut client = Client::open(server.socket(), "disk", Style::Simple);
        let mut bytes = client.request_bytes(WRITE, 0, 1, 0, length);
        bytes.extend(vec![7; sent]);
        client.send(&bytes);
        server.leases.wait_until_count(0);
        client.assert_closed();
    }
}

#[test]
fn a_client_that_is_silent_between_requests_is_left_alone() {
    let server = TestServer::with_limits(impatient());
    let mut quiet = Client::open(server.socket(), "disk", Style::Simple);
    // Another one is noticed meanwhile, so time has passed.
    let mut stuck = Client::open(server.socket(), "disk", Style::Simple);
    stuck.send(&[0x25]);
    server.leases.wait_until_count(1);
    assert_eq!(quiet.read(0, 4096), [0; 4096]);
}

#[test]
fn large_writes_are_taken_in_pieces_and_read_back() {
    let server = TestServer::new();
    for (style, offset) in [(Style::Simple, 0), (Style::Structured, 4097), (Style::Extended, 4095)] {
        let mut client = Client::open(server.socket(), "disk", style);
        let data: Vec<u8> = (0..20_u32 << 20).map(|byte| (byte % 249) as u8 + 1).collect();
        assert_eq!(client.write(FUA, offset, &data), 0);
        assert!(client.read(offset, 20 << 20) == data, "{style:?}");
    }
}

#[test]
fn a_large_write_that_is_refused_or_fails_is_skipped() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Simple);
    let data = vec![7; 20 << 20];
    assert_eq!(client.write(0, SIZE_BYTES - 4096, &data), ENOSPC);
    server.device.set(|faults| faults.fail_with = Some(ashlar_volume::ErrorKind::NoSpace));
    assert_eq!(client.write(0, 0, &data), ENOSPC);
    server.device.set(|faults| faults.fail_with = None);
    assert_eq!(server.device.calls("write"), 1, "what comes after the failure is not written");
    assert_eq!(client.read(SIZE_BYTES - 4096, 4096), [0; 4096]);
    let mut reader = Client::open(server.socket(), "snap", Style::Structured);
    assert_eq!(reader.write(0, 0, &data), EPERM);
    assert_eq!(reader.read(4096, 6), b"frozen");
}

#[test]
fn one_connection_too_many_for_an_export_is_refused() {
    let limits = NbdLimits { connections_per_export_max: 2, ..NbdLimits::default() };
    let server = TestServer::with_limits(limits);
    let first = Client::open(server.socket(), "disk", Style::Simple);
    let _second = Client::open(server.socket(), "disk", Style::Simple);
    let mut third = Client::greet(server.socket(), 3);
    let refused = third.option(GO, &export_data("disk", &[]));
    assert_eq!(refused[0].0, ERR_POLICY);
    assert!(String::from_utf8_lossy(&refused[0].1).contains("2 connections"), "{refused:?}");
    third.go("snap");
    first.disconnect();
    server.leases.wait_until_count(2);
    Client::open(server.socket(), "disk", Style::Simple).disconnect();
}

#[test]
fn waiting_reads_of_all_sessions_share_a_bound_and_all_are_answered() {
    let limits = NbdLimits { waiting_bytes_total_max: 8 << 20, ..NbdLimits::default() };
    let server = TestServer::with_limits(limits);
    server.device.set(|faults| (faults.reads_would_wait, faults.hold_reads) = (true, true));
    let mut clients: Vec<_> = (0..6).map(|_| Client::open(server.socket(), "disk", Style::Simple)).collect();
    // Each wants 4 MiB: two fit. A small one is never in the way.
    clients.iter_mut().for_each(|client| client.send_request(READ, 0, 1, 0, 4 << 20));
    server.device.wait_until(|faults| faults.inside == 2);
    let mut small = Client::open(server.socket(), "disk", Style::Simple);
    small.send_request(READ, 0, 1, 0, 4096);
    server.device.wait_until(|faults| faults.inside == 3);
    server.device.set(|faults| faults.hold_reads = false);
    assert_eq!(small.next_reply().1.bytes(), [0; 4096]);
    // All take their answers at once: who does not holds the memory for as long as the server waits for it.
    std::thread::scope(|scope| {
        for client in &mut clients {
            scope.spawn(|| assert_eq!(client.next_reply().1.bytes().len(), 4 << 20));
        }
    });
}

#[test]
fn a_session_that_waits_for_memory_can_be_aborted() {
    let limits = NbdLimits { waiting_bytes_total_max: 4 << 20, ..NbdLimits::default() };
    let server = TestServer::with_limits(limits);
    server.device.set(|faults| (faults.reads_would_wait, faults.hold_reads) = (true, true));
    let mut holder = Client::open(server.socket(), "disk", Style::Simple);
    holder.send_request(READ, 0, 1, 0, 4 << 20);
    server.device.wait_until(|faults| faults.inside == 1);
    let mut starved = Client::open(server.socket(), "snap", Style::Simple);
    starved.send_request(READ, 0, 1, 0, 4 << 20);
    drop(starved);
    server.leases.end_last(ashlar_nbd::SessionHandle::abort);
    server.leases.wait_until_count(1);
    server.device.set(|faults| faults.hold_reads = false);
    assert_eq!(holder.next_reply().1.bytes().len(), 4 << 20);
}

#[test]
fn long_zeroes_do_not_keep_other_sessions_from_the_workers() {
    let limits = NbdLimits { io_workers_max: 1, ..NbdLimits::default() };
    let server = TestServer::with_limits(limits);
    let mut writer = Client::open(server.socket(), "disk", Style::Simple);
    writer.send_request(WRITE_ZEROES, NO_HOLE, 1, 0, SIZE_BYTES as u32);
    assert_eq!(writer.next_reply().1.error, 0);
    assert_eq!(
        server.device.calls("write_zeroes"),
        6,
        "in steps of 8 MiB, between which others have their turn"
    );
}
