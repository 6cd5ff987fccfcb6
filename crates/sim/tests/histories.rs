//! Histories of the whole world, and that they can be repeated.

#![allow(clippy::panic, reason = "in a test, what cannot be is a failure")]

use ashlar_sim::run;

fn play(seeds: impl Iterator<Item = u64>) {
    let mut power_cuts = 0;
    for seed in seeds {
        match run(seed) {
            Ok(report) => power_cuts += report.power_cuts,
            Err(failure) => panic!("{failure}\nreplay: cargo xtask sim --seed {seed}"),
        }
    }
    assert!(power_cuts > 0, "the power never failed");
}

#[test]
fn nothing_acknowledged_is_lost_in_odd_histories() {
    play((1..80).step_by(2));
}

#[test]
fn nothing_acknowledged_is_lost_in_even_histories() {
    play((2..80).step_by(2));
}

#[test]
fn the_same_seed_gives_the_same_digest() {
    for seed in [5, 17, 1001] {
        assert_eq!(run(seed), run(seed));
    }
    assert_ne!(run(5).map(|report| report.digest), run(6).map(|report| report.digest));
}
