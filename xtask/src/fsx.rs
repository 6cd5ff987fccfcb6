//! `cargo xtask fsx` and the same beside the end-to-end tests: random operations on disks against model files.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::error::{Context, ErrorKind, Result, XtaskError};
use crate::process;
use crate::test::path_with_python;
use crate::workspace::Workspace;

/// The one test file.
pub(crate) const TESTS: &str = "tests/e2e/test_fsx.py";

const USAGE: &str = "usage: cargo xtask fsx --seconds N [--seed S]";

/// Runs it for as long as wanted, on the release binary that is there.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let (mut seconds, mut seed) = (None, None);
    for pair in arguments.chunks(2) {
        match pair {
            [flag, value] if flag == "--seconds" => seconds = value.parse::<u32>().ok(),
            [flag, value] if flag == "--seed" => seed = Some(value.clone()),
            _ => return Err(XtaskError::new(ErrorKind::Usage, USAGE)),
        }
    }
    let seconds = seconds.ok_or_else(|| XtaskError::new(ErrorKind::Usage, USAGE))?;
    let mut command = command(workspace, &workspace.python()?, seconds)?;
    if let Some(seed) = seed {
        command.env("ASHLAR_E2E_SEED", seed);
    }
    let status = process::watch(command.arg("-s"), |_| {})?;
    if status.success() { Ok(()) } else { Err(XtaskError::new(ErrorKind::Reported, "fsx failed")) }
}

fn command(workspace: &Workspace, python: &Path, seconds: u32) -> Result<Command> {
    let mut command = workspace.command(python);
    command.args(["-m", "pytest", TESTS, "-q", "-rs"]);
    command.env("ASHLAR_FSX_SECONDS", seconds.to_string());
    command.env("ASHLAR_BIN", workspace.release_binary());
    command.env("PATH", path_with_python(python)?);
    Ok(command)
}

/// A run beside other tests: most of its time it waits for its own server.
pub(crate) struct Beside {
    child: Child,
    log: PathBuf,
    report: PathBuf,
}

impl Beside {
    pub(crate) fn start(workspace: &Workspace, python: &Path, seconds: u32) -> Result<Self> {
        let (log, report) =
            (workspace.target_directory().join("fsx.log"), workspace.target_directory().join("fsx.xml"));
        let output = File::create(&log).context(ErrorKind::Io, || format!("making {}", log.display()))?;
        let errors = output.try_clone().context(ErrorKind::Io, || format!("making {}", log.display()))?;
        let mut command = command(workspace, python, seconds)?;
        command.arg(format!("--junitxml={}", report.display()));
        let child = command
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .context(ErrorKind::Io, || "starting fsx".to_owned())?;
        Ok(Self { child, log, report })
    }

    /// Waits for its end, shows what it printed, and gives its report and whether it went well.
    pub(crate) fn finish(mut self) -> Result<(String, std::process::ExitStatus)> {
        let status = self.child.wait().context(ErrorKind::Io, || "waiting for fsx".to_owned())?;
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        println!("{}", log.trim_end());
        let report = std::fs::read_to_string(&self.report)
            .context(ErrorKind::Io, || "fsx left no report".to_owned())?;
        Ok((report, status))
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Ended already after `finish`.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
