//! Histories of the whole world, and that they can be repeated.

#![allow(clippy::panic, reason = "in a test, what cannot be is a failure")]

use std::collections::BTreeMap;

use ashlar_sim::run;

/// What happens in every so many histories, beside requests.
const EVENTS: [&str; 19] = [
    "create",
    "attach to another",
    "detach from one of several",
    "clone",
    "snapshot",
    "roll back",
    "delete a snapshot",
    "terminate",
    "detach",
    "resize",
    "time passes",
    "rotate the master key",
    "scrub",
    "layer merged or dropped",
    "rotten bit",
    "damaged block",
    "roll a machine back",
    "lie about metadata",
    "metadata is damaged",
];

fn play(seeds: impl Iterator<Item = u64>) {
    let mut power_cuts = 0;
    let mut events: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in seeds {
        match run(seed) {
            Ok(report) => {
                power_cuts += report.power_cuts;
                report.events.iter().for_each(|(event, count)| *events.entry(event).or_default() += count);
            }
            Err(failure) => panic!("{failure}\nreplay: cargo xtask sim --seed {seed}"),
        }
    }
    assert!(power_cuts > 0, "the power never failed");
    for event in EVENTS {
        assert!(events.get(event).is_some_and(|count| *count > 0), "{event} never happened: {events:?}");
    }
}

#[test]
fn nothing_acknowledged_is_lost_in_odd_histories() {
    play((1..160).step_by(2));
}

#[test]
fn nothing_acknowledged_is_lost_in_even_histories() {
    play((2..160).step_by(2));
}

#[test]
fn the_same_seed_gives_the_same_digest() {
    for seed in [5, 17, 1001] {
        assert_eq!(run(seed), run(seed));
    }
    assert_ne!(run(5).map(|report| report.digest), run(6).map(|report| report.digest));
}
