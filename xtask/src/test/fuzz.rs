//! A minute of coverage-guided fuzzing for each target, side by side.

use std::process::{Command, Stdio};

use super::tally::Tally;
use crate::error::{Context, ErrorKind, Result, XtaskError};
use crate::process;
use crate::workspace::Workspace;

const TARGETS: [&str; 2] = ["codec", "session"];
const SECONDS: u32 = 60;

pub(super) fn run(workspace: &Workspace) -> Result<Tally> {
    if !process::exists("c++") {
        return Err(XtaskError::new(ErrorKind::Missing, "no C++ compiler, which libFuzzer is built with"));
    }
    for target in TARGETS {
        // Builds the target and runs each seed once.
        let status = process::watch(fuzz(workspace, target).arg("-runs=0"), |_| {})?;
        if !status.success() {
            return Ok(Tally::failed(target, format!("the seeds do not pass: {status}")));
        }
    }
    let mut running = Vec::new();
    for target in TARGETS {
        let mut command = fuzz(workspace, target);
        command.args([format!("-max_total_time={SECONDS}"), "-verbosity=0".to_owned()]);
        let child = command.stdin(Stdio::null()).spawn();
        running.push((target, child.context(ErrorKind::Io, || format!("starting `fuzz/run {target}`"))?));
    }
    let mut tally = Tally::default();
    for (target, mut child) in running {
        let status = child.wait().context(ErrorKind::Io, || format!("waiting for `fuzz/run {target}`"))?;
        tally.add(match status.success() {
            true => Tally::passed(),
            false => Tally::failed(
                &format!("fuzz {target}"),
                format!(
                    "{status}; the input lies in target/fuzz/{target}: `fuzz/run {target} FILE` runs it again"
                ),
            ),
        });
    }
    Ok(tally)
}

fn fuzz(workspace: &Workspace, target: &str) -> Command {
    let mut command = workspace.command(std::path::Path::new("fuzz/run"));
    command.arg(target);
    command
}
