//! What commands say on standard output and standard error.

use std::io::Write;

use crate::failure::Failure;

/// Prints a line on standard output. A reader that went away (`ashlar … | head -1`) is no fault.
pub(crate) fn line(text: &str) {
    let mut out = std::io::stdout().lock();
    // Nobody is left to tell when this fails.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints why the program ends.
pub(crate) fn failure(failure: &Failure) {
    let _ = writeln!(std::io::stderr().lock(), "ashlar: {failure}");
}
