//! Counting tests, and reading the counts of other test programs.

use std::fmt;

/// A test that did not run, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Skip {
    pub(super) name: String,
    pub(super) reason: String,
}

/// How many tests passed and failed, which were skipped, and which failures are known by name.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) passed: u64,
    pub(super) failed: u64,
    pub(super) skips: Vec<Skip>,
    pub(super) failures: Vec<String>,
}

impl Tally {
    /// One check that passed.
    pub(super) fn passed() -> Self {
        Self { passed: 1, ..Self::default() }
    }

    /// One check that failed.
    pub(super) fn failed(name: &str, reason: impl fmt::Display) -> Self {
        Self { failed: 1, failures: vec![format!("{name}: {reason}")], ..Self::default() }
    }

    /// One check that did not run.
    pub(super) fn skipped(name: &str, reason: impl Into<String>) -> Self {
        Self { skips: vec![Skip { name: name.to_owned(), reason: reason.into() }], ..Self::default() }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skips.extend(other.skips);
        self.failures.extend(other.failures);
    }

    /// A program that says no without naming a failed test has failed once: a build error, a crash.
    pub(super) fn with_exit(mut self, name: &str, status: std::process::ExitStatus) -> Self {
        if !status.success() && self.failed == 0 {
            self.add(Self::failed(name, status));
        }
        self
    }

    /// Takes in one line of what `cargo test` prints.
    pub(super) fn read_cargo_line(&mut self, line: &str) {
        if let Some(result) = line.trim().strip_prefix("test result: ") {
            self.passed += number_before(result, " passed");
            self.failed += number_before(result, " failed");
        } else if let Some(test) = line.strip_prefix("test ") {
            if let Some(name) = test.strip_suffix(" ... FAILED") {
                self.failures.push(name.to_owned());
            } else if let Some((name, reason)) = test.split_once(" ... ignored") {
                let reason = reason.trim_start_matches([',', ' ']);
                let reason = if reason.is_empty() { "ignored" } else { reason };
                self.skips.push(Skip { name: name.to_owned(), reason: reason.to_owned() });
            }
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skips.len())
    }
}

/// The number that stands right before `word`; 0 when there is none.
fn number_before(text: &str, word: &str) -> u64 {
    let before = text.find(word).map_or("", |at| &text[..at]);
    let digits = before.len() - before.bytes().rev().take_while(u8::is_ascii_digit).count();
    before[digits..].parse().unwrap_or(0)
}
