//! How sessions and servers end.

use std::io::Read;
use std::net::TcpListener;
use std::time::Duration;

use ashlar_nbd::{Drained, ListenErrorKind, SessionHandle};

use crate::client::*;
use crate::fixture::TestServer;

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(200);

#[test]
fn shutdown_answers_what_was_received() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    let idle = Client::open(server.socket(), "disk", Style::Simple);
    let mut haggling = Client::greet(server.socket(), 3);
    server.device.set(|faults| faults.hold_flushes = true);
    client.send_write(FUA, 7, 0, b"late");
    server.device.wait_until(|faults| faults.inside == 1);
    std::thread::scope(|scope| {
        let shutdown = scope.spawn(|| server.server.shutdown(LONG));
        // Both idle sessions end at once; the busy one is still there.
        haggling.assert_closed();
        server.leases.wait_until_count(1);
        server.device.set(|faults| faults.hold_flushes = false);
        assert_eq!(client.next_reply().1.error, 0);
        client.assert_closed();
        assert_eq!(shutdown.join().unwrap(), Drained::InGoodOrder);
    });
    assert_eq!((server.leases.count(), server.server.session_count()), (0, 0));
    assert!(std::os::unix::net::UnixStream::connect(server.socket()).is_err(), "nobody listens");
    drop(idle);
}

#[test]
fn shutdown_cuts_off_a_client_that_takes_no_replies() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Simple);
    // Much more than fits into the socket, so the session waits for the client to take it.
    for cookie in 0..8 {
        client.send_request(READ, 0, cookie, 0, 8 << 20);
    }
    server.device.wait_until(|faults| faults.calls.contains_key("read"));
    let drained = server.server.shutdown(SHORT);
    // On a slow machine the reads that are with workers outlast the rest of the time.
    let cut_off = [Drained::Aborted { sessions: 1 }, Drained::Stuck { sessions: 1 }];
    assert!(cut_off.contains(&drained), "{drained:?}");
    server.leases.wait_until_count(0);
    assert_eq!(server.server.shutdown(LONG), Drained::InGoodOrder);
}

#[test]
fn shutdown_tells_of_a_device_that_does_not_return() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Simple);
    server.device.set(|faults| faults.hold_flushes = true);
    client.send_request(FLUSH, 0, 1, 0, 0);
    server.device.wait_until(|faults| faults.inside == 1);
    assert_eq!(server.server.shutdown(SHORT), Drained::Stuck { sessions: 1 });
    server.device.set(|faults| faults.hold_flushes = false);
    server.leases.wait_until_count(0);
    assert_eq!(server.server.shutdown(LONG), Drained::InGoodOrder, "it may be tried again");
}

#[test]
fn finishing_a_session_answers_and_lets_go() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Structured);
    let mut reader = Client::open(server.socket(), "snap", Style::Structured);
    server.device.set(|faults| faults.hold_flushes = true);
    client.send_request(FLUSH, 0, 9, 0, 0);
    server.device.wait_until(|faults| faults.inside == 1);
    server.leases.end_all(SessionHandle::finish);
    reader.assert_closed();
    server.leases.wait_until_count(1);
    server.device.set(|faults| faults.hold_flushes = false);
    assert_eq!(client.next_reply().0, 9);
    client.assert_closed();
    server.leases.wait_until_count(0);
    let mut newcomer = Client::open(server.socket(), "disk", Style::Simple);
    assert_eq!(newcomer.read(0, 4), [0; 4], "the server goes on");
}

#[test]
fn finishing_ends_a_handshake_that_has_a_lease() {
    let server = TestServer::new();
    let mut client = Client::greet(server.socket(), 3);
    assert_eq!(client.option_result(INFO, &export_data("disk", &[])), REP_ACK);
    assert_eq!(server.leases.count(), 1);
    server.leases.end_all(SessionHandle::finish);
    client.assert_closed();
    server.leases.wait_until_count(0);
}

#[test]
fn aborting_ends_a_session_that_waits_for_its_client() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Simple);
    client.send_request(READ, 0, 0, 0, 32 << 20);
    server.device.wait_until(|faults| faults.calls.contains_key("read"));
    server.leases.end_all(SessionHandle::finish);
    server.leases.end_all(SessionHandle::abort);
    server.leases.wait_until_count(0);
}

#[test]
fn a_client_that_vanishes_frees_its_lease() {
    let server = TestServer::new();
    for style in [Style::Simple, Style::Structured] {
        let mut client = Client::open(server.socket(), "disk", style);
        for cookie in 0..20 {
            client.send_request(READ, 0, cookie, 0, 1 << 20);
            client.send_request(CACHE, 0, 100 + cookie, 0, 1 << 20);
        }
        drop(client);
        server.leases.wait_until_count(0);
    }
    drop(Client::greet(server.socket(), 3));
}

#[test]
fn a_stream_that_ends_while_workers_finish_loses_no_reply() {
    let server = TestServer::new();
    // The end and the completion come together in some of these.
    for round in 0..2000 {
        let mut client = Client::open(server.socket(), "disk", Style::Simple);
        client.send_request(CACHE, 0, round, 0, 1 + (round as u32 % 7) * 4096);
        client.stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(client.next_reply().0, round);
        client.assert_closed();
    }
}

#[test]
fn dropping_the_server_ends_its_sessions() {
    let server = TestServer::new();
    let mut client = Client::open(server.socket(), "disk", Style::Simple);
    drop(server);
    client.assert_closed();
}

#[test]
fn tcp_is_served_on_loopback_and_refused_elsewhere() {
    let server = TestServer::new();
    let loopback = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = loopback.local_addr().unwrap();
    server.server.serve_tcp(loopback).unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let mut greeting = [0; 18];
    stream.read_exact(&mut greeting).unwrap();
    assert_eq!(&greeting[..16], b"NBDMAGICIHAVEOPT");
    let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
    let error = server.server.serve_tcp(everywhere).unwrap_err();
    assert_eq!(error.kind(), ListenErrorKind::NotLoopback);
}
