//! Housekeeping commands: `cargo xtask tidy | test | coverage | sim | bench`.
//!
//! Nothing here is shipped. `./test` prepares what the tests need and then calls `cargo xtask test`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these commands talk to a person at a terminal"
)]

mod bench;
mod coverage;
mod error;
mod fsx;
mod process;
mod sim;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use error::{ErrorKind, Result, XtaskError};
use workspace::Workspace;

const USAGE: &str = "usage: cargo xtask COMMAND
  tidy                          the rules of the house that compilers do not know
  test [STAGE]...               every stage, or those named; `test --list` names them
  coverage [--check|--accept]   the API against the vendor's own description of it
  sim --seconds N [--seed S]    seeded histories of the whole server on a disk that loses power
  fsx --seconds N [--seed S]    random operations over NBD against model files, on the release binary
  bench [--rounds N] [--seconds N] [--only PART] [--no-write]   side by side with other NBD servers";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if error.kind() != ErrorKind::Reported {
                eprintln!("{error}");
            }
            ExitCode::from(if error.kind() == ErrorKind::Usage { 2 } else { 1 })
        }
    }
}

fn run(arguments: &[String]) -> Result<()> {
    let Some((command, rest)) = arguments.split_first() else {
        return Err(XtaskError::new(ErrorKind::Usage, USAGE));
    };
    match command.as_str() {
        "tidy" => tidy::run(&Workspace::find()?, rest),
        "test" => test::run(&Workspace::find()?, rest),
        "coverage" => coverage::run(&Workspace::find()?, rest),
        "fsx" => fsx::run(&Workspace::find()?, rest),
        "sim" => sim::run(&Workspace::find()?, rest),
        "bench" => bench::run(&Workspace::find()?, rest),
        other => Err(XtaskError::new(ErrorKind::Usage, format!("unknown command `{other}`\n{USAGE}"))),
    }
}
