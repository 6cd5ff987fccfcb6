//! What a failed call answers, and what its operator learns.

use std::error::Error;
use std::fmt;

use crate::error_code::ErrorCode;

/// A failed call: the code and the text that the client gets, and the cause that the operator gets.
///
/// The cause never reaches the client: it may speak of files, queries and other accounts.
#[derive(Debug)]
pub struct ApiError {
    /// What clients match on.
    pub code: ErrorCode,
    /// For the client: names the parameter, the value and the mend.
    pub message: String,
    /// For the operator.
    pub cause: Option<Box<dyn Error + Send + Sync>>,
}

impl ApiError {
    /// An error without a cause beyond what the client is told.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), cause: None }
    }

    /// Adds what the operator should know.
    #[must_use]
    pub fn with_cause(mut self, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// Something broke inside: the client may try again, the operator gets the cause.
    pub fn internal(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(
            ErrorCode::InternalError,
            "An internal error has occurred. Try again; if it persists, give the operator the RequestId.",
        )
        .with_cause(cause)
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

impl Error for ApiError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn Error + 'static))
    }
}
