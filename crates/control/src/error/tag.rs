//! Why a call on tags was refused.

use std::fmt;

/// A tag or its resource forbids it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagError {
    /// The text names no resource.
    ResourceName {
        /// What was given.
        given: String,
    },
    /// The account has no such resource.
    NoSuchResource {
        /// The name that was given.
        given: String,
    },
    /// The name of a service is missing.
    Service {
        /// What was given.
        given: String,
    },
    /// There is no such kind of resource.
    Prefix {
        /// What was given.
        given: String,
    },
    /// The text can be no id.
    ResourceId {
        /// What was given.
        given: String,
    },
    /// There is no such region.
    Region {
        /// What was given.
        given: String,
    },
    /// The token is none that a page ended with.
    Token {
        /// What was given.
        given: String,
    },
    /// A key is empty.
    KeyEmpty {
        /// The parameter.
        parameter: &'static str,
    },
    /// A key is too long.
    KeyTooLong {
        /// The parameter.
        parameter: &'static str,
        /// The key.
        key: String,
        /// Characters it may have.
        at_most: u64,
    },
    /// A value is too long.
    ValueTooLong {
        /// The value.
        value: String,
        /// Characters it may have.
        at_most: u64,
    },
    /// A key stands in a list twice.
    KeyTwice {
        /// The key.
        key: String,
    },
    /// A tag is to be bound and to be unbound.
    KeyInBoth {
        /// The key.
        key: String,
    },
}

impl fmt::Display for TagError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ResourceName { given } => write!(
                f,
                "`{given}` names no resource: expected six parts such as \
                 `qcs::cvm:ap-guangzhou:uin/:volume/disk-11112222`."
            ),
            Self::NoSuchResource { given } => write!(f, "The resource `{given}` does not exist."),
            Self::Service { given } => {
                write!(f, "The value `{given}` of the parameter `ServiceType` is not valid: expected `cvm`.")
            }
            Self::Prefix { given } => write!(
                f,
                "The value `{given}` of the parameter `ResourcePrefix` is not valid: expected `volume`, `snapshot` or \
                 `instance`."
            ),
            Self::ResourceId { given } => {
                write!(f, "The value `{given}` of the parameter `ResourceIds` is not valid: expected an id.")
            }
            Self::Region { given } => {
                write!(
                    f,
                    "The value `{given}` of the parameter `ResourceRegion` is no region that exists here."
                )
            }
            Self::Token { given } => write!(
                f,
                "The value `{given}` of the parameter `PaginationToken` is not valid: give what the page before ended with."
            ),
            Self::KeyEmpty { parameter } => {
                write!(f, "The parameter `{parameter}` is empty: a tag needs a key.")
            }
            Self::KeyTooLong { parameter, key, at_most } => write!(
                f,
                "The value `{key}` of the parameter `{parameter}` is not valid: expected at most {at_most} characters."
            ),
            Self::ValueTooLong { value, at_most } => write!(
                f,
                "The value `{value}` of the parameter `ReplaceTags.TagValue` is not valid: expected at most {at_most} \
                 characters."
            ),
            Self::KeyTwice { key } => write!(f, "The key `{key}` is given twice: give each key once."),
            Self::KeyInBoth { key } => {
                write!(
                    f,
                    "The key `{key}` stands in `ReplaceTags` and in `DeleteTags`: give it in one of them."
                )
            }
        }
    }
}
