//! The API against the vendor's own machine-readable description of it.
//!
//! Left side: `api.json` of the installed `tccli` package. Right side: the schema that `ashlar-api` prints.
//! Everything that the left has and the right lacks is a gap. `docs/coverage-gaps.json` is the list of known gaps:
//! it may only shrink. `docs/coverage.md` is the same for people.

mod description;
mod gaps;
mod report;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::error::{Context, ErrorKind, Result, XtaskError};
use crate::process;
use crate::workspace::Workspace;
use description::Description;
use gaps::Gap;

const REPORT: &str = "docs/coverage.md";
const KNOWN_GAPS: &str = "docs/coverage-gaps.json";
const VENDOR_FILE: &str = "services/cbs/v20170312/api.json";

/// What to do with the outcome of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Write both files; a new gap is an error.
    Write,
    /// Write both files, new gaps included: for a newer description by the vendor.
    Accept,
    /// Write nothing; a new gap, a closed one still listed, or a stale report is an error.
    Check,
}

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let mode = match arguments {
        [] => Mode::Write,
        [flag] if flag == "--accept" => Mode::Accept,
        [flag] if flag == "--check" => Mode::Check,
        _ => {
            return Err(XtaskError::new(
                ErrorKind::Usage,
                "coverage takes `--check` or `--accept` or nothing",
            ));
        }
    };
    let vendor = Description::read(&vendor_json(workspace)?)?;
    let ours = Description::read(&our_json(workspace)?)?;
    let gaps = gaps::find(&vendor, &ours);
    let report = report::markdown(&vendor, &ours, &gaps);
    let listed = listed_gaps(workspace)?;
    compare(&gaps, listed.as_ref(), mode)?;
    if mode == Mode::Check {
        return check_report(workspace, &report);
    }
    write(workspace, REPORT, &report)?;
    write(workspace, KNOWN_GAPS, &gaps_text(&gaps)?)?;
    println!("coverage: {} of {} actions, {} gaps", ours.actions.len(), vendor.actions.len(), gaps.len());
    Ok(())
}

fn vendor_json(workspace: &Workspace) -> Result<Value> {
    let program = "import os, tccli; print(os.path.dirname(tccli.__file__))";
    let folder = process::output(workspace.command(workspace.python()?).args(["-c", program]))?;
    let path = std::path::Path::new(folder.trim()).join(VENDOR_FILE);
    let text =
        std::fs::read_to_string(&path).context(ErrorKind::Missing, || format!("tccli's {VENDOR_FILE}"))?;
    serde_json::from_str(&text).context(ErrorKind::Format, || format!("tccli's {VENDOR_FILE}"))
}

fn our_json(workspace: &Workspace) -> Result<Value> {
    let arguments = ["run", "--quiet", "--locked", "--package", "ashlar-api", "--example", "schema"];
    let text = process::output(workspace.cargo().args(arguments))?;
    serde_json::from_str(&text).context(ErrorKind::Format, || "the schema that ashlar-api prints".to_owned())
}

/// The list of known gaps, none when it was never written.
fn listed_gaps(workspace: &Workspace) -> Result<Option<BTreeSet<String>>> {
    let path = workspace.root().join(KNOWN_GAPS);
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).context(ErrorKind::Io, || KNOWN_GAPS.to_owned())?;
    let value: Value = serde_json::from_str(&text).context(ErrorKind::Format, || KNOWN_GAPS.to_owned())?;
    let not_a_list = || XtaskError::new(ErrorKind::Format, format!("{KNOWN_GAPS} is not a list of texts"));
    let entries = value.as_array().ok_or_else(not_a_list)?;
    let texts = entries.iter().map(|entry| entry.as_str().map(str::to_owned).ok_or_else(not_a_list));
    texts.collect::<Result<_>>().map(Some)
}

fn gaps_text(gaps: &BTreeSet<Gap>) -> Result<String> {
    let names: Vec<String> = gaps.iter().map(ToString::to_string).collect();
    let text = serde_json::to_string_pretty(&names).context(ErrorKind::Format, || KNOWN_GAPS.to_owned())?;
    Ok(text + "\n")
}

/// Holds the gaps found against the list.
fn compare(gaps: &BTreeSet<Gap>, listed: Option<&BTreeSet<String>>, mode: Mode) -> Result<()> {
    let Some(listed) = listed else {
        return if mode == Mode::Check { Err(failed(format!("{KNOWN_GAPS} is missing"))) } else { Ok(()) };
    };
    let found: BTreeSet<String> = gaps.iter().map(ToString::to_string).collect();
    let grown: Vec<&str> = found.difference(listed).map(String::as_str).collect();
    if mode != Mode::Accept && !grown.is_empty() {
        return Err(failed(format!("the API has new gaps: {}", grown.join("; "))));
    }
    let closed: Vec<&str> = listed.difference(&found).map(String::as_str).collect();
    if mode == Mode::Check && !closed.is_empty() {
        let closed = closed.join("; ");
        return Err(failed(format!("no gaps any more: {closed}: run `cargo xtask coverage` and commit")));
    }
    Ok(())
}

fn check_report(workspace: &Workspace, report: &str) -> Result<()> {
    let written = std::fs::read_to_string(workspace.root().join(REPORT)).unwrap_or_default();
    if written == report {
        println!("coverage: {REPORT} is true, no gap but the listed ones");
        Ok(())
    } else {
        Err(failed(format!("{REPORT} is stale: run `cargo xtask coverage` and commit")))
    }
}

fn failed(message: String) -> XtaskError {
    XtaskError::new(ErrorKind::Failed, message)
}

fn write(workspace: &Workspace, path: &str, text: &str) -> Result<()> {
    std::fs::write(workspace.root().join(path), text).context(ErrorKind::Io, || format!("writing {path}"))
}
