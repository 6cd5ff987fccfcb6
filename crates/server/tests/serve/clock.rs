//! The clock that tests move, and what then happens.

use crate::call::Client;
use crate::harness::{Home, refused, run};

#[test]
fn a_moved_clock_brings_what_is_due() {
    let home = Home::new();
    let server = home.start_with(&["--test-clock"]);
    let (before, _) = run(&mut home.ashlar(&["clock", "show", "--json"]), 0);
    let (after, _) = run(&mut home.ashlar(&["clock", "advance", "400d", "--json"]), 0);
    let year = |line: &str| line.split_once("\"time\":\"").unwrap().1[..4].parse::<u32>().unwrap();
    assert!(year(&after) > year(&before), "{before} {after}");
    run(&mut home.ashlar(&["clock", "set", "2030-06-01T00:00:00+08:00"]), 0);
    let (status, _) = run(&mut home.ashlar(&["status"]), 0);
    assert!(status.contains("snapshot-policies") && status.contains("2030-05-31T16:00:"), "{status}");
    // Calls go on: signatures go by the clock of the machine.
    Client::new(&home, &server).succeed("DescribeDisks", &serde_json::json!({}));
    let line = run(&mut home.ashlar(&["clock", "set", "tomorrow"]), 1).1;
    assert!(line.contains("tomorrow"), "{line}");
}

#[test]
fn the_clock_of_the_machine_is_not_moved() {
    let home = Home::new();
    let _server = home.start();
    let line = run(&mut home.ashlar(&["clock", "advance", "1d"]), 1).1;
    assert!(line.contains("--test-clock"), "{line}");
}

#[test]
fn a_moving_clock_is_not_for_other_machines() {
    let home = Home::new();
    let line = refused(&mut home.ashlar(&["serve", "--api-listen", "0.0.0.0:0", "--test-clock"]));
    assert!(line.contains("--test-clock") && line.contains("0.0.0.0"), "{line}");
}
