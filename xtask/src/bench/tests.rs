//! The figures are read and put together as they were measured.

use super::options::{Options, Part};
use super::{fio, server, table};

fn options(line: &str) -> crate::error::Result<Options> {
    Options::parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
}

#[test]
fn a_part_of_the_measurements_never_replaces_the_document() {
    assert!(options("").unwrap().write);
    assert!(options("--rounds 2 --seconds 1").unwrap().write);
    for line in ["--only io", "--peers qemu-nbd", "--no-write"] {
        assert!(!options(line).unwrap().write, "{line}");
    }
    assert_eq!(options("--only engine").unwrap().only, Some(Part::Engine));
}

#[test]
fn a_wrong_command_line_is_refused() {
    for line in ["--rounds", "--rounds 0", "--seconds x", "--only all", "--fast 1", "fast"] {
        assert!(options(line).is_err(), "{line}");
    }
}

#[test]
fn medians_and_ratios() {
    assert_eq!(table::median(&[3.0, 1.0, 2.0]), Some(2.0));
    assert_eq!(table::median(&[4.0, 1.0]), Some(2.5));
    assert_eq!(table::median(&[]), None);
    assert_eq!(table::ratio(Some(3.0), Some(2.0)), Some(1.5));
    assert_eq!(table::ratio(Some(3.0), Some(0.0)), None);
    assert_eq!(
        [Some(234.5), Some(23.45), Some(2.345), None].map(table::figure),
        ["234", "23.4", "2.35", "-"]
    );
    let table = table::markdown(&["a".to_owned(), "b".to_owned()], &[vec!["1".to_owned(), "2".to_owned()]]);
    assert_eq!(table, "| a | b |\n|---|---|\n| 1 | 2 |\n");
}

#[test]
fn fio_reports_are_read() {
    let report = r#"fio: note
{"jobs": [{"error": 0, "read": {"total_ios": 300, "iops": 100.5}, "write": {"total_ios": 0, "iops": 0.0}}]}"#;
    let outcome = fio::outcome(report).unwrap();
    assert_eq!((outcome.operations, outcome.operations_per_s), (300, 100.5));
    for bad in ["", "{}", r#"{"jobs": [{"error": 5, "read": {"total_ios": 3, "iops": 1.0}}]}"#] {
        assert!(fio::outcome(bad).is_err(), "{bad}");
    }
}

#[test]
fn processor_time_is_the_sum_of_user_and_system() {
    let stat = "42 (a ) name) S 1 42 42 0 -1 4194560 100 0 0 0 17 25 0 0 20 0 5 0 100 1000 10";
    assert_eq!(server::processor_ticks(stat), Some(42));
    assert_eq!(server::processor_ticks("42 (a) S 1"), None);
}
