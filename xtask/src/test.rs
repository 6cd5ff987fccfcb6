//! Every test there is, stage by stage; the driver behind `./test`.
//!
//! A stage that checks one thing (format, lints, a build) counts as one test. The run goes on after a failed
//! stage, so that one run shows all that is wrong; what needs a failed stage is skipped by name. The last line
//! is always `N passed, N failed, N skipped`.

mod fuzz;
mod junit;
mod quick_start;
mod stages;
mod tally;

#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

pub(crate) use stages::path_with_python;
use stages::{STAGES, Stage};
use tally::{Skip, Tally};

use crate::error::{ErrorKind, Result, XtaskError};
use crate::workspace::Workspace;

/// Runs all stages, or those that the arguments name.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    if arguments == ["--list"] {
        for stage in STAGES {
            println!("{:12} {}", stage.name, stage.about);
        }
        return Ok(());
    }
    let stages = chosen(arguments)?;
    let mut total = Tally::default();
    let mut failed_stages: Vec<&str> = Vec::new();
    for stage in stages {
        println!("\n==> {}: {}", stage.name, stage.about);
        let (tally, duration) = timed(|| run_stage(workspace, stage, &failed_stages));
        if tally.failed > 0 {
            failed_stages.push(stage.name);
        }
        println!("<== {}: {tally} in {:.1} s", stage.name, duration.as_secs_f64());
        total.add(tally);
    }
    report(&total);
    if total.failed == 0 {
        Ok(())
    } else {
        Err(XtaskError::new(ErrorKind::Reported, "there are failed tests"))
    }
}

fn chosen(names: &[String]) -> Result<Vec<&'static Stage>> {
    let known = |name: &String| {
        STAGES.iter().find(|stage| stage.name == name).ok_or_else(|| {
            XtaskError::new(ErrorKind::Usage, format!("no stage `{name}`: `./test --list` names them"))
        })
    };
    if names.is_empty() { Ok(STAGES.iter().collect()) } else { names.iter().map(known).collect() }
}

/// What a stage found. A stage that cannot do its work has failed, unless a tool is missing on this machine.
fn run_stage(workspace: &Workspace, stage: &Stage, failed_stages: &[&str]) -> Tally {
    if let Some(needed) = stage.needs.filter(|needed| failed_stages.contains(needed)) {
        return Tally::skipped(stage.name, format!("the stage `{needed}` failed"));
    }
    (stage.run)(workspace).unwrap_or_else(|error| match error.kind() {
        ErrorKind::Missing => Tally::skipped(stage.name, error.to_string()),
        _ => Tally::failed(stage.name, error.to_string()),
    })
}

#[allow(clippy::disallowed_methods, reason = "how long a stage took is measured, not decided upon")]
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let value = work();
    (value, start.elapsed())
}

fn report(total: &Tally) {
    println!();
    for Skip { name, reason } in &total.skips {
        println!("skipped: {name}: {reason}");
    }
    for failure in &total.failures {
        println!("failed: {failure}");
    }
    println!("{total}");
}
