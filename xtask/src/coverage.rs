//! In work.
use crate::error::Result;
use crate::workspace::Workspace;

pub(crate) fn run(_workspace: &Workspace, _arguments: &[String]) -> Result<()> {
    Ok(())
}
