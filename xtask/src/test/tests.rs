//! The counts that `./test` prints are those of the programs it ran.

use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use super::tally::{Skip, Tally};
use super::{chosen, junit, quick_start};

fn skip(name: &str, reason: &str) -> Skip {
    Skip { name: name.to_owned(), reason: reason.to_owned() }
}

#[test]
fn cargo_output_is_counted() {
    let output = "\
running 3 tests
test a::works ... ok
test a::breaks ... FAILED
test a::waits ... ignored, needs a moon

test result: FAILED. 12 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s
test result: ok. 30 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
test result: not a result line";
    let mut tally = Tally::default();
    output.lines().for_each(|line| tally.read_cargo_line(line));
    assert_eq!(tally.to_string(), "42 passed, 1 failed, 1 skipped");
    assert_eq!(tally.failures, ["a::breaks"]);
    assert_eq!(tally.skips, [skip("a::waits", "needs a moon")]);
}

#[test]
fn a_failure_without_a_name_counts_once() {
    let failure = ExitStatus::from_raw(101 << 8);
    let success = ExitStatus::from_raw(0);
    let counted = Tally { passed: 3, failed: 2, ..Tally::default() };
    assert_eq!(Tally::passed().with_exit("unit", failure).failed, 1, "a build error");
    assert_eq!(counted.with_exit("unit", failure).failed, 2, "already counted");
    assert_eq!(Tally::passed().with_exit("unit", success).failed, 0);
}

#[test]
fn pytest_reports_are_counted() {
    let xml = r#"<?xml version="1.0"?><testsuites><testsuite name="pytest" tests="4">
<testcase classname="test_sdk" name="test_one[a&lt;b]" time="0.1" /><testcase classname="test_sdk" name="test_two" time="0.1"><failure message="assert 1 == 2&#10; + where">text of <testcase> &lt;/&gt;</failure></testcase>
<testcase classname="test_node" name="test_three" time="0.0"><skipped type="pytest.skip" message="node: not installed">x</skipped></testcase>
<testcase classname="test_nbd" name="test_four" time="0.0"><error message="failed on setup">x</error></testcase>
</testsuite></testsuites>"#;
    let tally = junit::read(xml).unwrap();
    assert_eq!(tally.to_string(), "1 passed, 2 failed, 1 skipped");
    assert_eq!(tally.failures, ["test_sdk::test_two: assert 1 == 2", "test_nbd::test_four: failed on setup"]);
    assert_eq!(tally.skips, [skip("test_node::test_three", "node: not installed")]);
    assert!(junit::read("").is_err(), "no report is no success");
}

#[test]
fn the_quick_start_is_the_marked_block() {
    let mark = "<!-- quick-start: ./test runs this block -->";
    let readme = format!("```sh\nother\n```\n{mark}\n```sh\none\ntwo\n```\n```sh\nmore\n```\n");
    assert_eq!(quick_start::block(&readme).unwrap(), "one\ntwo");
    assert!(quick_start::block("```sh\none\n```\n").is_err(), "no mark");
    let long = format!("{mark}\n```sh\n{}```\n", "line\n".repeat(11));
    assert!(quick_start::block(&long).is_err(), "too long");
}

#[test]
fn unknown_stages_are_refused() {
    assert!(chosen(&["none".to_owned()]).is_err());
    assert_eq!(chosen(&["fmt".to_owned(), "tidy".to_owned()]).unwrap().len(), 2);
    assert!(chosen(&[]).unwrap().len() > 5);
}
