//! The API against the vendor's own machine-readable description of it.
//!
//! Left side: `api.json` of each product in the installed `tccli` package. Right side: the schema that `ashlar-api`
//! prints. Everything that the left has and the right lacks is a gap: of the block storage every action, of the
//! other products what the actions lack that exist here. `docs/coverage-gaps.json` is the list of known gaps, each
//! with its reason: it may only shrink. `docs/coverage.md` is the same for people.

mod description;
mod gaps;
mod report;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::error::{Context, ErrorKind, Result, XtaskError};
use crate::process;
use crate::workspace::Workspace;
use description::Description;
use gaps::Gap;

const REPORT: &str = "docs/coverage.md";
const KNOWN_GAPS: &str = "docs/coverage-gaps.json";

/// How many gaps there are. Who closes one lowers it; nothing raises it but a newer description by the vendor.
const GAPS: usize = 16;

/// The product of which everything is wanted.
const WHOLE_PRODUCT: &str = "cbs";

/// One product, there and here.
#[derive(Debug)]
struct Product {
    name: String,
    version: String,
    vendor: Description,
    ours: Description,
}

/// Known gaps, each with the reason for it.
type Reasons = BTreeMap<String, String>;

/// What to do with the outcome of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Write both files; a new gap is an error.
    Write,
    /// Write both files, new gaps included, for a newer description by the vendor; somebody has to write their
    /// reasons then.
    Accept,
    /// Write nothing; a new gap, a closed one still listed, one without a reason, or a stale report is an error.
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
    let products = products(workspace)?;
    let gaps: BTreeSet<Gap> = products.iter().flat_map(Product::gaps).collect();
    let listed = listed_gaps(workspace)?;
    compare(&gaps, listed.as_ref(), mode)?;
    let reasons = with_reasons(&gaps, &listed.unwrap_or_default());
    let report = report::markdown(&products, &reasons);
    if mode == Mode::Check {
        check_count(&reasons, GAPS)?;
        return check_report(workspace, &report);
    }
    write(workspace, REPORT, &report)?;
    write(workspace, KNOWN_GAPS, &gaps_text(&reasons)?)?;
    let count: usize = products.iter().map(|product| product.ours.actions.len()).sum();
    println!("coverage: {count} actions of {} products, {} gaps", products.len(), gaps.len());
    check_reasons(&reasons)?;
    check_count(&reasons, GAPS)
}

impl Product {
    /// Whether the actions that do not exist here are gaps.
    fn is_wanted_whole(&self) -> bool {
        self.name == WHOLE_PRODUCT
    }

    fn gaps(&self) -> BTreeSet<Gap> {
        let found = gaps::find(&self.name, &self.vendor, &self.ours).into_iter();
        found.filter(|gap| self.is_wanted_whole() || !matches!(gap, Gap::Action { .. })).collect()
    }
}

fn products(workspace: &Workspace) -> Result<Vec<Product>> {
    let ours = our_json(workspace)?;
    let not_an_object =
        || XtaskError::new(ErrorKind::Format, "the schema that ashlar-api prints is no object".to_owned());
    let folder = vendor_folder(workspace)?;
    let products = ours.as_object().ok_or_else(not_an_object)?.iter().map(|(name, product)| {
        let version = product["version"].as_str().unwrap_or_default().to_owned();
        let file = format!("services/{name}/v{}/api.json", version.replace('-', ""));
        let vendor = Description::read(&json_file(&folder, &file)?)?;
        Ok(Product { name: name.clone(), version, vendor, ours: Description::read(product)? })
    });
    products.collect()
}

fn vendor_folder(workspace: &Workspace) -> Result<PathBuf> {
    let program = "import os, tccli; print(os.path.dirname(tccli.__file__))";
    let folder = process::output(workspace.command(workspace.python()?).args(["-c", program]))?;
    Ok(PathBuf::from(folder.trim()))
}

fn json_file(folder: &Path, file: &str) -> Result<Value> {
    let text = std::fs::read_to_string(folder.join(file))
        .context(ErrorKind::Missing, || format!("tccli's {file}"))?;
    serde_json::from_str(&text).context(ErrorKind::Format, || format!("tccli's {file}"))
}

fn our_json(workspace: &Workspace) -> Result<Value> {
    let arguments = ["run", "--quiet", "--locked", "--package", "ashlar-api", "--example", "schema"];
    let text = process::output(workspace.cargo().args(arguments))?;
    serde_json::from_str(&text).context(ErrorKind::Format, || "the schema that ashlar-api prints".to_owned())
}

/// The list of known gaps with their reasons, none when it was never written.
fn listed_gaps(workspace: &Workspace) -> Result<Option<Reasons>> {
    let path = workspace.root().join(KNOWN_GAPS);
    if !path.exists() {
        return Ok(None);
    }
    let text = std::fs::read_to_string(&path).context(ErrorKind::Io, || KNOWN_GAPS.to_owned())?;
    read_gaps(&text).map(Some)
}

fn read_gaps(text: &str) -> Result<Reasons> {
    serde_json::from_str(text)
        .context(ErrorKind::Format, || format!("{KNOWN_GAPS} is not an object of gaps and their reasons"))
}

/// The reason of each gap, empty when nobody has written it yet.
fn with_reasons(gaps: &BTreeSet<Gap>, listed: &Reasons) -> Reasons {
    let names = gaps.iter().map(ToString::to_string);
    names.map(|name| (name.clone(), listed.get(&name).cloned().unwrap_or_default())).collect()
}

fn gaps_text(reasons: &Reasons) -> Result<String> {
    let text = serde_json::to_string_pretty(reasons).context(ErrorKind::Format, || KNOWN_GAPS.to_owned())?;
    Ok(text + "\n")
}

/// Refuses a list that has grown by hand, and one that has shrunk and could grow again unseen.
fn check_count(reasons: &Reasons, expected: usize) -> Result<()> {
    let count = reasons.len();
    if count == expected {
        return Ok(());
    }
    let hint = if count < expected { "lower it" } else { "close them: the list only shrinks" };
    Err(failed(format!("{count} gaps, where `GAPS` in xtask/src/coverage.rs says {expected}: {hint}")))
}

/// Refuses a gap that nobody gave a reason for.
fn check_reasons(reasons: &Reasons) -> Result<()> {
    let without = reasons.iter().filter(|(_, reason)| reason.trim().is_empty());
    let without: Vec<&str> = without.map(|(gap, _)| gap.as_str()).collect();
    if without.is_empty() {
        return Ok(());
    }
    Err(failed(format!("write the reason into {KNOWN_GAPS}, or close the gap: {}", without.join("; "))))
}

/// Holds the gaps found against the list.
fn compare(gaps: &BTreeSet<Gap>, listed: Option<&Reasons>, mode: Mode) -> Result<()> {
    let Some(listed) = listed else {
        return if mode == Mode::Check { Err(failed(format!("{KNOWN_GAPS} is missing"))) } else { Ok(()) };
    };
    let found: BTreeSet<String> = gaps.iter().map(ToString::to_string).collect();
    let grown: Vec<&str> =
        found.iter().map(String::as_str).filter(|gap| !listed.contains_key(*gap)).collect();
    if mode != Mode::Accept && !grown.is_empty() {
        return Err(failed(format!("the API has new gaps: {}", grown.join("; "))));
    }
    let closed: Vec<&str> = listed.keys().map(String::as_str).filter(|gap| !found.contains(*gap)).collect();
    if mode == Mode::Check && !closed.is_empty() {
        let closed = closed.join("; ");
        return Err(failed(format!("no gaps any more: {closed}: run `cargo xtask coverage` and commit")));
    }
    if mode == Mode::Check { check_reasons(listed) } else { Ok(()) }
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
