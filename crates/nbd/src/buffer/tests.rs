//! The buffers over a pair of sockets.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use super::*;
use crate::session_handle::SessionHandle;
use crate::socket::{Bell, Socket};

fn pair() -> (Stream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let session = SessionHandle::new(Socket::new(ours.into()), Bell::new().unwrap());
    (Stream::new(session), theirs)
}

#[test]
fn messages_of_any_size_come_out_whole() {
    let (mut stream, mut peer) = pair();
    let lengths = [10, RECEIVE_BYTES - 5, 3, RECEIVE_BYTES, 1, 100_000, RECEIVE_BYTES, 28];
    let sender = std::thread::spawn(move || {
        for (mark, length) in lengths.into_iter().enumerate() {
            peer.write_all(&vec![mark as u8; length]).unwrap();
        }
    });
    let mut buffer = ReceiveBuffer::new();
    for (mark, length) in lengths.into_iter().enumerate() {
        while buffer.pending().len() < length {
            buffer.make_room(length);
            assert!(buffer.fill(&mut stream, &Lookout::default()).unwrap() > 0);
        }
        assert!(buffer.pending()[..length].iter().all(|byte| *byte == mark as u8), "message {mark}");
        buffer.consume(length);
    }
    assert!(buffer.pending().is_empty());
    sender.join().unwrap();
    assert_eq!(buffer.fill(&mut stream, &Lookout::default()).unwrap(), 0, "the end of the stream");
}

#[test]
fn replies_of_any_size_arrive_in_order() {
    let (mut stream, mut peer) = pair();
    let lengths = [1, 16, PIECE_BYTES, 20, PIECE_BYTES - 5, PIECE_BYTES + 1, 3 << 20, 7];
    let receiver = std::thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).unwrap();
        all
    });
    let mut buffer = ReplyBuffer::new();
    let mut expected = Vec::new();
    for (mark, length) in lengths.into_iter().enumerate() {
        let (head, tail) = ([mark as u8; 4], vec![mark as u8 + 100; length]);
        buffer.push(&head, &tail, &mut stream).unwrap();
        expected.extend(head);
        expected.extend(tail);
        // A reply that was begun and given up leaves no trace.
        buffer.room(500, &mut stream).unwrap().fill(0xee);
    }
    buffer.send(&mut stream).unwrap();
    drop(stream);
    assert!(receiver.join().unwrap() == expected);
}

#[test]
fn zeroes_are_told_from_data_wherever_it_is() {
    for length in [1, 7, 255, 256, 257, 4096, 5000] {
        let mut bytes = vec![0; length];
        assert!(is_zero(&bytes));
        for place in [0, length / 2, length - 1] {
            bytes[place] = 1;
            assert!(!is_zero(&bytes), "{place} of {length}");
            bytes[place] = 0;
        }
    }
    assert!(is_zero(&[]));
}
