//! Why a request was wrong in itself.

use std::fmt;

use ashlar_types::ProjectId;

/// The request itself is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ParameterError {
    /// A parameter that these others make necessary is missing.
    Missing {
        /// The parameter.
        parameter: &'static str,
        /// What makes it necessary.
        why: &'static str,
    },
    /// A value is outside what the parameter allows.
    Invalid {
        /// The parameter.
        parameter: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        expected: String,
    },
    /// A text is not of the parameter's form at all.
    Malformed {
        /// The parameter.
        parameter: &'static str,
        /// What was given.
        value: String,
        /// What would be right.
        expected: &'static str,
    },
    /// A list has too many members, or a text or number is over a documented limit.
    LimitExceeded {
        /// The parameter.
        parameter: &'static str,
        /// How many there are.
        given: u64,
        /// How many there may be.
        at_most: u64,
    },
    /// A list names something twice.
    Duplicated {
        /// The parameter.
        parameter: &'static str,
        /// What is in it twice.
        value: String,
    },
    /// A name has too many characters.
    NameTooLong {
        /// The parameter.
        parameter: &'static str,
        /// The name.
        value: String,
        /// How many characters it may have.
        at_most: u64,
    },
    /// A value of a filter is no id of the filter's kind.
    FilterId {
        /// The kind.
        kind: FilterIdKind,
        /// What was given.
        value: String,
    },
    /// Two parameters exclude each other.
    Excludes {
        /// The one.
        parameter: &'static str,
        /// The other.
        other: &'static str,
    },
    /// There is no filter of this name.
    UnknownFilter {
        /// The name that was given.
        name: String,
    },
    /// The parameter asks for something that this service does not do.
    NotOffered {
        /// The parameter.
        parameter: &'static str,
        /// What was given.
        value: String,
        /// Why, and what to do instead.
        why: &'static str,
    },
    /// The client token was used with other parameters.
    ClientTokenReused {
        /// The token.
        token: String,
    },
    /// The account has no such project.
    ProjectNotFound(ProjectId),
}

/// The kinds of ids that filters of Lighthouse take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterIdKind {
    /// `lhins-xxxxxxxx`.
    Instance,
    /// `lhdisk-xxxxxxxx`.
    Disk,
    /// `lhsnap-xxxxxxxx`.
    Snapshot,
}

impl FilterIdKind {
    const fn example(self) -> &'static str {
        match self {
            Self::Instance => "instances such as lhins-11112222",
            Self::Disk => "disks such as lhdisk-11112222",
            Self::Snapshot => "snapshots such as lhsnap-11112222",
        }
    }
}

impl fmt::Display for ParameterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { parameter, why } => write!(f, "The parameter `{parameter}` is missing: {why}."),
            Self::Invalid { parameter, value, expected } => {
                write!(
                    f,
                    "The value `{value}` of the parameter `{parameter}` is not valid: expected {expected}."
                )
            }
            Self::Malformed { parameter, value, expected } => {
                write!(
                    f,
                    "The value `{value}` of the parameter `{parameter}` is not valid: expected {expected}."
                )
            }
            Self::LimitExceeded { parameter, given, at_most } => {
                write!(f, "The parameter `{parameter}` has {given}, over the limit of {at_most}.")
            }
            Self::Duplicated { parameter, value } => write!(
                f,
                "The value `{value}` of the parameter `{parameter}` is not valid: expected each id once."
            ),
            Self::NameTooLong { parameter, value, at_most } => write!(
                f,
                "The value `{value}` of the parameter `{parameter}` is not valid: expected at most {at_most} characters."
            ),
            Self::FilterId { kind, value } => write!(
                f,
                "The value `{value}` of the parameter `Filters` is not valid: expected {}.",
                kind.example()
            ),
            Self::Excludes { parameter, other } => {
                write!(f, "The parameters `{parameter}` and `{other}` exclude each other: give one of them.")
            }
            Self::UnknownFilter { name } => write!(f, "The filter `{name}` is not supported."),
            Self::NotOffered { parameter, value, why } => {
                write!(f, "The value `{value}` of the parameter `{parameter}` is not supported: {why}.")
            }
            Self::ClientTokenReused { token } => {
                write!(f, "The ClientToken `{token}` was used with other parameters: choose another one.")
            }
            Self::ProjectNotFound(project) => {
                write!(f, "The project `{project}` of the parameter `ProjectId` does not exist.")
            }
        }
    }
}
