//! The Python environment with the peer of the API: its own, because its needs are not the tests'.

use std::path::PathBuf;

use crate::error::{Context, ErrorKind, Result};
use crate::process;
use crate::workspace::Workspace;

/// What it holds. Another version is another environment.
const WANTED: &str = include_str!("requirements.txt");

/// Its Python; made on the first run, which needs the network.
pub(super) fn python(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.target_directory().join("bench-python");
    let (python, stamp) = (folder.join("bin/python"), folder.join("installed.txt"));
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == WANTED) {
        return Ok(python);
    }
    println!("installing moto for the comparison");
    process::output(workspace.command("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    let list = folder.join("wanted.txt");
    let write = |path: &PathBuf| {
        std::fs::write(path, WANTED).context(ErrorKind::Io, || format!("writing {}", path.display()))
    };
    write(&list)?;
    let mut pip = workspace.command(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"]).arg(&list);
    process::output(&mut pip)?;
    // Last: without it the next run begins anew.
    write(&stamp)?;
    Ok(python)
}
