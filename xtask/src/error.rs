//! One error for all housekeeping commands.

use std::error::Error;
use std::fmt;

/// What went wrong, as far as the caller cares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    /// The command line was wrong: exit code 2.
    Usage,
    /// A tool that the command needs is not on this machine.
    Missing,
    /// A file, pipe or process could not be used.
    Io,
    /// Text that another program or file gave is not what was expected.
    Format,
    /// The command ran and its answer is no.
    Failed,
    /// The same, and the command has said all there is to say: its last line stays the last.
    Reported,
}

/// A kind, what was being done, and the cause if there is one.
#[derive(Debug)]
pub(crate) struct XtaskError {
    kind: ErrorKind,
    context: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

pub(crate) type Result<T> = std::result::Result<T, XtaskError>;

impl XtaskError {
    pub(crate) fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self { kind, context: context.into(), source: None }
    }

    pub(crate) fn caused_by(
        kind: ErrorKind,
        context: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { kind, context: context.into(), source: Some(source.into()) }
    }

    pub(crate) fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for XtaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

impl Error for XtaskError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(source) => Some(&**source),
            None => None,
        }
    }
}

/// Gives an error of another library its context.
pub(crate) trait Context<T> {
    fn context(self, kind: ErrorKind, context: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Box<dyn Error + Send + Sync>>> Context<T> for std::result::Result<T, E> {
    fn context(self, kind: ErrorKind, context: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| XtaskError::caused_by(kind, context(), error))
    }
}
