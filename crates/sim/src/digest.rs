//! A number that two histories share exactly when they are the same (FNV-1a, 64 bits).

use std::fmt::Write;

/// The digest of all lines so far, and the last of them for people.
#[derive(Debug, Clone)]
pub(crate) struct Digest {
    state: u64,
    last_lines: std::collections::VecDeque<String>,
}

const LINES_KEPT: usize = 60;

impl Digest {
    pub(crate) fn new() -> Self {
        Self { state: 0xcbf2_9ce4_8422_2325, last_lines: std::collections::VecDeque::new() }
    }

    pub(crate) fn line(&mut self, line: String) {
        for byte in line.bytes().chain([b'\n']) {
            self.state = (self.state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        if self.last_lines.len() == LINES_KEPT {
            self.last_lines.pop_front();
        }
        self.last_lines.push_back(line);
    }

    pub(crate) const fn value(&self) -> u64 {
        self.state
    }

    /// The last lines, for a failure.
    pub(crate) fn tail(&self) -> String {
        self.last_lines.iter().fold(String::new(), |mut text, line| {
            // Writing to a string does not fail.
            let _ = write!(text, "\n  {line}");
            text
        })
    }
}
