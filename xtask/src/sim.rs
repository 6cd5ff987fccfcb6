//! `cargo xtask sim`: the simulation of the whole world, for as long as wanted.

use crate::error::{ErrorKind, Result, XtaskError};
use crate::process;
use crate::workspace::Workspace;

/// Builds the simulation as it is shipped in nothing, but optimized, and hands the arguments on to it.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let mut command = workspace.cargo();
    command.args(["run", "--locked", "--quiet", "--release", "--package", "ashlar-sim"]);
    command.args(["--bin", "ashlar-sim", "--"]);
    let status = process::watch(command.args(arguments), |_| {})?;
    if status.success() {
        Ok(())
    } else {
        // It has said why.
        Err(XtaskError::new(ErrorKind::Reported, "the simulation failed"))
    }
}
