//! What clients may say before the first request, and what they may not.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use ashlar_nbd::NbdLimits;

use crate::client::*;
use crate::fixture::{SIZE_BYTES, TestServer};

#[test]
fn unknown_client_flags_end_the_session() {
    let server = TestServer::new();
    Client::greet(server.socket(), 1 << 2).assert_closed();
    Client::greet(server.socket(), 0xffff_ffff).assert_closed();
}

#[test]
fn a_wrong_option_magic_ends_the_session() {
    let server = TestServer::new();
    let mut client = Client::greet(server.socket(), 3);
    client.send(b"IHAVEOPS\0\0\0\x03\0\0\0\0");
    client.assert_closed();
}

#[test]
fn an_oversized_option_ends_the_session_before_its_data() {
    let server = TestServer::new();
    let mut client = Client::greet(server.socket(), 3);
    client.send(b"IHAVEOPT\0\0\0\x03\xff\xff\xff\xff");
    client.assert_closed();
}

#[test]
fn export_name_begins_transmission_with_and_without_zeroes() {
    let server = TestServer::new();
    for (client_flags, zeroes) in [(0, 124), (1, 124), (2, 0), (3, 0)] {
        let mut client = Client::greet(server.socket(), client_flags);
        client.send_option(EXPORT_NAME, b"disk");
        let reply = client.take(10 + zeroes);
        assert_eq!(reply[..8], SIZE_BYTES.to_be_bytes());
        assert!(reply[10..].iter().all(|byte| *byte == 0));
        assert_eq!(client.write(0, 5, b"hello"), 0);
        assert_eq!(client.read(4, 7), b"\0hello\0");
        client.disconnect();
    }
}

#[test]
fn export_name_of_an_unknown_export_ends_the_session() {
    let server = TestServer::new();
    for name in [&b"nope"[..], b"", b"broken", b"disk\0", b"\xff\xfe", &[b'x'; 4097]] {
        let mut client = Client::greet(server.socket(), 3);
        client.send_option(EXPORT_NAME, name);
        client.assert_closed();
    }
}

#[test]
fn a_client_of_the_first_newstyle_has_one_option_only() {
    let server = TestServer::new();
    let mut client = Client::greet(server.socket(), 0);
    client.send_option(LIST, &[]);
    client.assert_closed();
}

#[test]
fn unknown_options_and_tls_without_keys_are_refused_and_the_haggling_goes_on() {
    let server = TestServer::new();
    let mut client = Client::greet(server.socket(), 3);
    for option in [0, 4, 12, 13, 99, u32::MAX] {
        assert_eq!(client.option_result(option, b"some data"), ERR_UNSUP, "option {option}");
    }
    assert_eq!(client.option_result(STARTTLS, &[]), ERR_POLICY);
    assert_eq!(client.option_result(STARTTLS, b"x"), ERR_INVALID);
    client.go("disk");
    assert_eq!(client.read(0, 10), [0; 10]);
}

#[test]
fn list_names_the_exports() {
    let server = TestServer::new();
    let mut client = Client::greet(server.socket(), 3);
    let name = |name: &str| {
        let mut data = (name.len() as u32).to_be_bytes().to_vec();
        data.extend(name.as_bytes());
        (REP_SERVER, data)
    };
    assert_eq!(client.option(LIST, &[]), [name("disk"), name("snap"), (REP_ACK, vec![])]);
    assert_eq!(client.option_result(LIST, b"x"), ERR_INVALID);
}

#[test]
fn abort_is_acknowledged() {
    let server = TestServer::new();
    let mut client = Client::greet(server.socket(), 3);
    assert_eq!(client.option(ABORT, &[]), [(REP_ACK, vec![])]);
    client.assert_closed();
}

#[test]
fn info_tells_what_was_asked_for_and_nothing_else() {
    let server = TestServer::new();
    let mut client = Client::greet(server.socket(), 3);
    let kinds = |replies: &[(u32, Vec<u8>)]| -> Vec<u16> {
        let infos = replies.iter().filter(|(kind, _)| *kind == REP_INFO);
        infos.map(|(_, data)| u16::from_be_bytes([data[0], data[1]])).collect()
    };
    assert_eq!(kinds(&client.option(INFO, &export_data("disk", &[]))), [0]);
    let replies = client.option(INFO, &export_data("disk", &[3, 1, 77, 2]));
    assert_eq!(kinds(&replies), [0, 3, 1, 2]);
    let mut sizes = vec![0, 3];
    [1_u32, 4096, 32 << 20].iter().for_each(|size| sizes.extend(size.to_be_bytes()));
    assert_eq!(replies[1].1, sizes);
    assert_eq!(&replies[2].1[2..], b"disk");
    assert_eq!(&replies[3].1[2..], b"a test disk");
    client.go("disk");
}

#[test]
fn refused_exports_leave_room_for_another_try() {
    let server = TestServer::new();
    let mut client = Client::greet(server.socket(), 3);
    for option in [INFO, GO] {
        let replies = client.option(option, &export_data("nope", &[]));
        assert_eq!(replies[0].0, ERR_UNKNOWN);
        assert!(String::from_utf8_lossy(&replies[0].1).contains("nope"));
        assert_eq!(client.option_result(option, &export_data("broken", &[])), ERR_POLICY);
        let mut long = export_data("disk", &[3]);
        long.push(0);
        let wrong_name = [0, 0, 0, 9, b'd', 0, 0];
        for data in [&long[..], &long[..5], &[], &wrong_name, &export_data("di\0k", &[])] {
            assert_eq!(client.option_result(option, data), ERR_INVALID, "{data:?}");
        }
    }
    client.go("disk");
    server.leases.wait_until_count(1);
}

#[test]
fn metadata_contexts_need_structured_replies_first() {
    let server = TestServer::new();
    let mut client = Client::greet(server.socket(), 3);
    let data = meta_data("disk", &["base:allocation"]);
    assert_eq!(client.option_result(SET_META_CONTEXT, &data), ERR_INVALID);
    assert_eq!(client.option_result(LIST_META_CONTEXT, &data), ERR_INVALID);
    assert_eq!(client.option_result(STRUCTURED_REPLY, b"x"), ERR_INVALID);
    assert_eq!(client.option_result(SET_META_CONTEXT, &data), ERR_INVALID, "still not agreed on");
    assert_eq!(client.option_result(STRUCTURED_REPLY, &[]), REP_ACK);
    assert_eq!(client.option_result(SET_META_CONTEXT, &data), REP_ACK);
}

#[test]
fn metadata_contexts_are_listed_and_chosen_by_their_queries() {
    let server = TestServer::new();
    let mut client = Client::greet(server.socket(), 3);
    client.option(STRUCTURED_REPLY, &[]);
    let mut contexts = |option, queries: &[&str]| -> Vec<(u32, String)> {
        let replies = client.option(option, &meta_data("disk", queries));
        assert_eq!(replies.last().unwrap().0, REP_ACK, "{queries:?}");
        replies[..replies.len() - 1]
            .iter()
            .map(|(kind, data)| {
                assert_eq!(*kind, REP_META_CONTEXT);
                let number = u32::from_be_bytes(data[..4].try_into().unwrap());
                (number, String::from_utf8(data[4..].to_vec()).unwrap())
            })
            .collect()
    };
    let allocation = |number: u32| vec![(number, "base:allocation".to_owned())];
    assert_eq!(contexts(LIST_META_CONTEXT, &[])[..1], allocation(0), "no query lists all");
    assert_eq!(contexts(LIST_META_CONTEXT, &["base:"]), allocation(0));
    assert_eq!(contexts(LIST_META_CONTEXT, &["qemu:", "x-y:z", "base:other"]), []);
    assert_eq!(contexts(SET_META_CONTEXT, &["x-y:z", "base:allocation", "base:allocation"]), allocation(1));
    assert_eq!(contexts(SET_META_CONTEXT, &["base:"]), [], "choosing takes a full name");
    assert_eq!(contexts(SET_META_CONTEXT, &[]), []);
}

#[test]
fn wrong_metadata_queries_are_refused_and_void_the_choice_before() {
    let server = TestServer::new();
    let mut client = Client::open_haggling(server.socket());
    let good = meta_data("disk", &["base:allocation"]);
    let mut long = good.clone();
    long.push(0);
    let mut many = good.clone();
    many[8..12].copy_from_slice(&u32::MAX.to_be_bytes());
    for data in [&long[..], &good[..20], &[], &many, &meta_data("disk", &["allocation"])] {
        assert_eq!(client.option_result(SET_META_CONTEXT, &good), REP_ACK);
        assert_eq!(client.option_result(SET_META_CONTEXT, data), ERR_INVALID, "{data:?}");
    }
    assert_eq!(client.option_result(SET_META_CONTEXT, &meta_data("nope", &["base:allocation"])), ERR_UNKNOWN);
    client.go("disk");
    assert_eq!(client.call(BLOCK_STATUS, 0, 0, 4096).error, EINVAL, "no context is chosen");
}

#[test]
fn a_context_chosen_for_another_export_does_not_count() {
    let server = TestServer::new();
    let mut client = Client::open_haggling(server.socket());
    client.option(SET_META_CONTEXT, &meta_data("snap", &["base:allocation"]));
    client.go("disk");
    assert_eq!(client.call(BLOCK_STATUS, 0, 0, 4096).error, EINVAL);
}

fn hasty() -> TestServer {
    // Long enough for a handshake on a machine that has much else to do.
    let handshake_timeout = Duration::from_secs(1);
    TestServer::with_limits(NbdLimits { handshake_timeout, ..NbdLimits::default() })
}

#[test]
fn a_silent_client_is_ended() {
    let server = hasty();
    Client::greet(server.socket(), 3).assert_closed();
}

#[test]
fn a_client_that_sends_a_byte_now_and_then_is_ended() {
    let server = hasty();
    let mut client = Client::greet(server.socket(), 3);
    client.send(b"IHAVEOPT\0\0\0\x07\0\0\x40\0");
    client.stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
    // Never more than it announced; it would take minutes.
    for _ in 0..16_000 {
        if client.stream.write_all(b"x").is_err() {
            return;
        }
        match client.stream.read(&mut [0]) {
            Ok(0) => return,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            other => panic!("{other:?}"),
        }
    }
    panic!("the server let a client dribble for ever");
}

#[test]
fn a_client_that_has_agreed_may_take_its_time() {
    let server = hasty();
    let mut patient = Client::open(server.socket(), "disk", Style::Simple);
    // Two others run into the deadline, one after the other: more than it has passed for the first.
    Client::greet(server.socket(), 3).assert_closed();
    Client::greet(server.socket(), 3).assert_closed();
    assert_eq!(patient.read(0, 3), [0; 3]);
}

#[test]
fn one_connection_too_many_is_closed() {
    let server = TestServer::with_limits(NbdLimits { connections_max: 2, ..NbdLimits::default() });
    let mut first = Client::open(server.socket(), "disk", Style::Simple);
    let second = Client::open(server.socket(), "disk", Style::Simple);
    let mut third = std::os::unix::net::UnixStream::connect(server.socket()).unwrap();
    assert_eq!(third.read(&mut [0]).unwrap(), 0);
    second.disconnect();
    server.leases.wait_until_count(1);
    assert_eq!(first.read(0, 3), [0; 3]);
}
