//! Calls to the server with the official Python SDK, one process for all of them.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use serde_json::{Value, json};

use crate::error::{Context, ErrorKind, Result, XtaskError};
use crate::workspace::Workspace;

/// Reads `{"action", "parameters"}` lines, answers with the response of each.
const PROGRAM: &str = include_str!("api_calls.py");

pub(super) struct Api {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Api {
    /// A caller with the key in `admin.env` of the data directory.
    pub(super) fn start(workspace: &Workspace, data_dir: &Path) -> Result<Self> {
        let mut command = workspace.command(workspace.python()?);
        command.args(["-c", PROGRAM]).arg(data_dir.join("admin.env"));
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context(ErrorKind::Missing, || "starting Python".to_owned())?;
        let stdin = child.stdin.take();
        let stdout =
            child.stdout.take().ok_or_else(|| XtaskError::new(ErrorKind::Io, "no output of Python"))?;
        Ok(Self { child, stdin, stdout: BufReader::new(stdout) })
    }

    /// The `Response` of a call; an error of the API is an error here.
    pub(super) fn call(&mut self, action: &str, parameters: Value) -> Result<Value> {
        let failed = |what: String| XtaskError::new(ErrorKind::Failed, format!("{action}: {what}"));
        let request = json!({"action": action, "parameters": parameters});
        let stdin = self.stdin.as_mut().ok_or_else(|| failed("the caller has ended".to_owned()))?;
        writeln!(stdin, "{request}").context(ErrorKind::Io, || action.to_owned())?;
        let mut line = String::new();
        self.stdout.read_line(&mut line).context(ErrorKind::Io, || action.to_owned())?;
        let answer: Value =
            serde_json::from_str(&line).context(ErrorKind::Format, || format!("{action}: `{line}`"))?;
        match answer["error"].as_str() {
            Some(error) => Err(failed(error.to_owned())),
            None => Ok(answer["response"].clone()),
        }
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        // The end of its input ends the program.
        self.stdin = None;
        let _ = self.child.wait();
    }
}

/// A text in a response.
pub(super) fn text(value: &Value) -> Result<String> {
    let text = value.as_str().map(str::to_owned);
    text.ok_or_else(|| XtaskError::new(ErrorKind::Format, format!("not a text in a response: {value}")))
}
