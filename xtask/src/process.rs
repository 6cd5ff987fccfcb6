//! Running other programs.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitStatus, Stdio};

use crate::error::{Context, ErrorKind, Result, XtaskError};

/// An environment variable; absent, empty and not UTF-8 are the same.
#[allow(clippy::disallowed_methods, reason = "the one place where housekeeping reads its environment")]
pub(crate) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

fn start_error(command: &Command, error: std::io::Error) -> XtaskError {
    let kind = if error.kind() == std::io::ErrorKind::NotFound { ErrorKind::Missing } else { ErrorKind::Io };
    XtaskError::caused_by(kind, format!("cannot run `{}`", shown(command)), error)
}

/// Standard output of a program that must succeed; its errors go through to the terminal.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| start_error(command, error))?;
    if !output.status.success() {
        return Err(XtaskError::new(ErrorKind::Failed, format!("`{}`: {}", shown(command), output.status)));
    }
    String::from_utf8(output.stdout).context(ErrorKind::Format, || format!("output of `{}`", shown(command)))
}

/// Runs a program, passes its output on as it comes and shows each line of standard output to `on_line`.
pub(crate) fn watch(command: &mut Command, mut on_line: impl FnMut(&str)) -> Result<ExitStatus> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| start_error(command, error))?;
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n') {
            let line = line.context(ErrorKind::Io, || format!("reading from `{}`", shown(command)))?;
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            on_line(&line);
        }
    }
    std::io::stdout().flush().context(ErrorKind::Io, || "standard output".to_owned())?;
    child.wait().context(ErrorKind::Io, || format!("waiting for `{}`", shown(command)))
}

/// Whether a program of this name can be started at all.
pub(crate) fn exists(program: &str) -> bool {
    let path = variable("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
