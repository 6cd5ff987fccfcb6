//! Where things lie: the root, the tracked files, cargo's view of the packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::error::{Context, ErrorKind, Result, XtaskError};
use crate::process;

/// The workspace that is worked on.
#[derive(Debug)]
pub(crate) struct Workspace {
    root: PathBuf,
}

impl Workspace {
    /// The folder above `xtask/`, as `cargo run` says it now: clones that share a target directory may share this
    /// binary, so what was true when it was built does not count.
    pub(crate) fn find() -> Result<Self> {
        let manifest_dir = process::variable("CARGO_MANIFEST_DIR")
            .ok_or_else(|| XtaskError::new(ErrorKind::Usage, "run this as `cargo xtask`"))?;
        let manifest_dir = Path::new(&manifest_dir);
        let root = manifest_dir
            .parent()
            .filter(|root| root.join("Cargo.toml").is_file())
            .ok_or_else(|| XtaskError::new(ErrorKind::Io, "no Cargo.toml above the folder of xtask"))?;
        Ok(Self { root: root.to_owned() })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A command that runs at the root.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        command
    }

    /// `cargo` at the root, the one that runs this.
    pub(crate) fn cargo(&self) -> Command {
        self.command(process::variable("CARGO").unwrap_or_else(|| "cargo".to_owned()))
    }

    /// Paths of all files that are tracked or would be, relative to the root, sorted.
    pub(crate) fn files(&self) -> Result<Vec<String>> {
        let listing = process::output(self.command("git").args([
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ]))?;
        let mut paths: Vec<String> = listing
            .split('\0')
            .filter(|path| !path.is_empty() && self.root.join(path).is_file())
            .map(str::to_owned)
            .collect();
        paths.sort();
        paths.dedup();
        Ok(paths)
    }

    /// `cargo metadata` for this machine's platform: other platforms' crates are never built here.
    pub(crate) fn metadata(&self) -> Result<Value> {
        let version = process::output(self.command("rustc").arg("-vV"))?;
        let host = version
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .ok_or_else(|| XtaskError::new(ErrorKind::Format, "`rustc -vV` names no host"))?;
        let text = process::output(self.cargo().args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            host,
        ]))?;
        serde_json::from_str(&text).context(ErrorKind::Format, || "cargo metadata".to_owned())
    }

    /// The folder that cargo builds into: `CARGO_TARGET_DIR`, or `target` at the root.
    pub(crate) fn target_directory(&self) -> PathBuf {
        self.root.join(process::variable("CARGO_TARGET_DIR").unwrap_or_else(|| "target".to_owned()))
    }

    /// The release binary of the server.
    pub(crate) fn release_binary(&self) -> PathBuf {
        self.target_directory().join("release").join("ashlar")
    }

    /// The Python that has the official SDK, tccli and pytest: `ASHLAR_PYTHON`, else `.venv` at the root.
    pub(crate) fn python(&self) -> Result<PathBuf> {
        let python = process::variable("ASHLAR_PYTHON")
            .map_or_else(|| self.root.join(".venv/bin/python"), PathBuf::from);
        if python.is_file() {
            Ok(python)
        } else {
            Err(XtaskError::new(
                ErrorKind::Missing,
                format!("no Python environment at {}: run ./test once, with the network", python.display()),
            ))
        }
    }
}
