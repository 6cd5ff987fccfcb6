//! The stages, in the order in which they say most for the least time.

use std::process::Command;

use super::tally::Tally;
use super::{fuzz, junit, quick_start};
use crate::error::{Context, ErrorKind, Result, XtaskError};
use crate::workspace::Workspace;
use crate::{coverage, fsx, process, tidy};

/// How long random operations run beside the other end-to-end tests.
const FSX_SECONDS: u32 = 300;

/// One step of the test run.
pub(super) struct Stage {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    /// A stage without which this one has nothing to work on.
    pub(super) needs: Option<&'static str>,
    pub(super) run: fn(&Workspace) -> Result<Tally>,
}

pub(super) const STAGES: &[Stage] = &[
    Stage { name: "fmt", about: "the source is formatted", needs: None, run: fmt },
    Stage { name: "clippy", about: "no compiler or clippy warning", needs: None, run: clippy },
    Stage { name: "tidy", about: "the rules of the house", needs: None, run: tidy_rules },
    Stage {
        name: "python",
        about: "no warning about the Python of the tests",
        needs: None,
        run: python_lints,
    },
    Stage { name: "doc", about: "the documentation builds, its links resolve", needs: None, run: doc },
    Stage { name: "unit", about: "unit, property, contract and simulation tests", needs: None, run: unit },
    Stage {
        name: "fuzz",
        about: "a minute of fuzzing for the NBD codec and session",
        needs: None,
        run: fuzz::run,
    },
    Stage { name: "coverage", about: "no API gap but the listed ones", needs: None, run: api_coverage },
    Stage { name: "release", about: "the release binary builds", needs: None, run: release },
    Stage {
        name: "quick-start",
        about: "the README's quick start",
        needs: Some("release"),
        run: quick_start::run,
    },
    Stage {
        name: "e2e",
        about: "official SDKs and stock NBD clients",
        needs: Some("release"),
        run: end_to_end,
    },
    Stage { name: "deny", about: "licences, bans and sources of dependencies", needs: None, run: deny },
];

/// One check: the program says yes or no.
fn check(name: &str, command: &mut Command) -> Result<Tally> {
    let status = process::watch(command, |_| {})?;
    Ok(if status.success() { Tally::passed() } else { Tally::failed(name, status) })
}

fn fmt(workspace: &Workspace) -> Result<Tally> {
    check("fmt", workspace.cargo().args(["fmt", "--all", "--check"]))
}

fn clippy(workspace: &Workspace) -> Result<Tally> {
    let arguments = ["clippy", "--locked", "--workspace", "--all-targets", "--", "-D", "warnings"];
    check("clippy", workspace.cargo().args(arguments))
}

fn tidy_rules(workspace: &Workspace) -> Result<Tally> {
    tidy::run(workspace, &[]).map(|()| Tally::passed())
}

fn python_lints(workspace: &Workspace) -> Result<Tally> {
    let mut command = workspace.command(&workspace.python()?);
    check("python", command.args(["-m", "ruff", "check", "--quiet", "--no-cache", "tests/e2e"]))
}

fn doc(workspace: &Workspace) -> Result<Tally> {
    let mut command = workspace.cargo();
    command.args(["doc", "--locked", "--workspace", "--no-deps", "--document-private-items"]);
    check("doc", command.env("RUSTDOCFLAGS", "-D warnings"))
}

fn unit(workspace: &Workspace) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut command = workspace.cargo();
    command.args(["test", "--locked", "--workspace", "--no-fail-fast"]);
    let status = process::watch(&mut command, |line| tally.read_cargo_line(line))?;
    Ok(tally.with_exit("unit", status))
}

fn api_coverage(workspace: &Workspace) -> Result<Tally> {
    coverage::run(workspace, &["--check".to_owned()]).map(|()| Tally::passed())
}

fn release(workspace: &Workspace) -> Result<Tally> {
    check(
        "release",
        workspace.cargo().args([
            "build",
            "--locked",
            "--release",
            "--package",
            "ashlar-server",
            "--package",
            "ashlar-sim",
        ]),
    )
}

fn deny(workspace: &Workspace) -> Result<Tally> {
    if !process::exists("cargo-deny") {
        return Err(XtaskError::new(ErrorKind::Missing, "cargo-deny is not installed"));
    }
    // Advisories need the network and change without us: they are no test of this tree.
    check("deny", workspace.cargo().args(["deny", "--offline", "check", "licenses", "bans", "sources"]))
}

fn end_to_end(workspace: &Workspace) -> Result<Tally> {
    let python = workspace.python()?;
    let fsx = fsx::Beside::start(workspace, &python, FSX_SECONDS)?;
    let report = workspace.target_directory().join("e2e.xml");
    if report.exists() {
        std::fs::remove_file(&report).context(ErrorKind::Io, || format!("removing {}", report.display()))?;
    }
    let mut command = workspace.command(&python);
    command.args(["-m", "pytest", "tests/e2e", "-q", "-rs"]);
    command.arg(format!("--ignore={}", fsx::TESTS));
    command.arg(format!("--junitxml={}", report.display()));
    command.env("ASHLAR_BIN", workspace.release_binary());
    command.env("PATH", path_with_python(&python)?);
    let status = process::watch(&mut command, |_| {})?;
    let xml =
        std::fs::read_to_string(&report).context(ErrorKind::Io, || "pytest left no report".to_owned())?;
    let mut tally = junit::read(&xml)?.with_exit("e2e", status);
    let (report, status) = fsx.finish()?;
    tally.add(junit::read(&report)?.with_exit("fsx", status));
    Ok(tally)
}

/// The search path with the Python environment's programs (tccli) first.
pub(crate) fn path_with_python(python: &std::path::Path) -> Result<std::ffi::OsString> {
    let path = process::variable("PATH").unwrap_or_default();
    let programs = python.parent().map(std::path::Path::to_owned);
    std::env::join_paths(programs.into_iter().chain(std::env::split_paths(&path)))
        .context(ErrorKind::Format, || "the variable PATH".to_owned())
}
