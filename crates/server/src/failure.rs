//! How the program ends when it could not do what it was asked.

use std::error::Error;
use std::fmt;

/// Who has to act. The kind decides the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// The command line, the configuration or the surroundings are wrong: mend them and start again. Exit 2.
    Setup,
    /// The request was understood and refused, or a check found something broken. Exit 1.
    Refused,
    /// A fault of the machine or of this program. Exit 1.
    Internal,
}

/// Why the program ends: one line for people, and the cause below it.
#[derive(Debug)]
pub(crate) struct Failure {
    kind: FailureKind,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    /// Something outside is wrong; `message` says what and how to mend it.
    pub(crate) fn setup(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Setup, message: message.into(), source: None }
    }

    /// The running server or a check says no.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { kind: FailureKind::Refused, message: message.into(), source: None }
    }

    /// A fault met while doing what `message` says.
    pub(crate) fn internal(
        message: impl Into<String>,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self { kind: FailureKind::Internal, message: message.into(), source: Some(source.into()) }
    }

    /// The same failure with the error that led to it.
    pub(crate) fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What the process answers with.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self.kind {
            FailureKind::Setup => 2,
            FailureKind::Refused | FailureKind::Internal => 1,
        }
    }
}

impl fmt::Display for Failure {
    /// One line, whatever the causes contain.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", one_line(&self.message))?;
        let mut source = self.source.as_deref().map(|source| source as &dyn Error);
        while let Some(error) = source {
            write!(f, ": {}", one_line(&error.to_string()))?;
            source = error.source();
        }
        Ok(())
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_line_with_its_causes() {
        let cause = std::io::Error::other("first\n  second\n");
        let failure = Failure::setup("cannot read `x`").because(cause);
        assert_eq!(failure.to_string(), "cannot read `x`: first; second");
        assert_eq!(failure.exit_code(), 2);
        assert_eq!(Failure::refused("no").exit_code(), 1);
    }
}
