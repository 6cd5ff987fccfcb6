//! Random requests over two connections, against a plain vector of bytes.

use ashlar_types::{RandomSource, SeededRandom};

use crate::client::*;
use crate::fixture::{SIZE_BYTES, TestServer};

const REQUESTS: usize = 3000;
/// Two blocks over the border of a piece of a large read.
const USED_BYTES: u64 = (512 << 10) + 8192;

/// What the disk should hold, and how a request changes it. The range lies within the used bytes.
struct Oracle(Vec<u8>);

impl Oracle {
    fn range(&mut self, offset: u64, length: u32) -> &mut [u8] {
        &mut self.0[offset as usize..offset as usize + length as usize]
    }
}

/// Every second seed with a device that wants requests together and has a queue. Neither client sends anything before it is answered, so
/// whatever a session forgets stays unanswered.
fn play(seed: u64) {
    let random = SeededRandom::new(seed);
    let server = TestServer::new();
    let together = seed % 2 == 1;
    server.device.set(|faults| {
        faults.prefers_batches = together;
        faults.takes_more_writes = together;
        faults.has_queue = together;
    });
    let mut clients = [
        Client::open(server.socket(), "disk", Style::Structured),
        Client::open(server.socket(), "disk", Style::Simple),
    ];
    let mut oracle = Oracle(vec![0; USED_BYTES as usize]);
    for step in 0..REQUESTS {
        let client = &mut clients[random.below(2) as usize];
        let what = format!("seed {seed}, step {step}");
        let offset = random.below(USED_BYTES);
        let length_max = if random.below(20) == 0 { USED_BYTES } else { 10_000 };
        let length = 1 + random.below(length_max.min(USED_BYTES - offset)) as u32;
        let waits = random.below(4) == 0;
        let gives_up = together && random.below(2) == 0;
        server.device.set(|faults| {
            faults.reads_would_wait = waits;
            faults.queues_give_up_from_bytes = gives_up.then_some(0);
        });
        let durable = if random.below(10) == 0 { FUA } else { 0 };
        match random.below(20) {
            0..8 => {
                let found = client.read(offset, length);
                assert!(found == oracle.range(offset, length), "{what}: read {length} at {offset}");
            }
            8..14 => {
                let mut data = vec![0; length as usize];
                if random.below(4) > 0 {
                    random.fill(&mut data);
                }
                assert_eq!(client.write(durable, offset, &data), 0, "{what}");
                oracle.range(offset, length).copy_from_slice(&data);
            }
            14 => {
                assert_eq!(client.call(TRIM, durable, offset, length).error, 0, "{what}");
                oracle.range(offset, length).fill(0);
            }
            15 | 16 => {
                let flags = [0, NO_HOLE, FAST_ZERO][random.below(3) as usize];
                assert_eq!(client.call(WRITE_ZEROES, flags | durable, offset, length).error, 0, "{what}");
                oracle.range(offset, length).fill(0);
            }
            17 => assert_eq!(client.call(FLUSH, 0, 0, 0).error, 0, "{what}"),
            18 => assert_eq!(client.call(CACHE, 0, offset, length).error, 0, "{what}"),
            _ => {
                let beyond = SIZE_BYTES - offset.min(length.into()) + 1;
                assert_ne!(client.call(TRIM, 0, beyond, length.max(offset as u32)).error, 0, "{what}");
            }
        }
    }
    for client in &mut clients {
        assert!(client.read(0, USED_BYTES as u32) == oracle.0, "seed {seed}: the whole disk");
    }
    let extents = clients[0].call(BLOCK_STATUS, 0, 0, USED_BYTES as u32).extents;
    let mut at = 0;
    for (length, flags) in extents {
        let zero = oracle.range(at, length).iter().all(|byte| *byte == 0);
        assert!(flags == 0 || zero, "seed {seed}: {length} bytes at {at} are no hole");
        at += u64::from(length);
    }
    assert_eq!(at, USED_BYTES);
}

#[test]
fn random_requests_do_what_a_vector_does() {
    for seed in 0..4 {
        play(seed);
    }
}
