//! The neutral tree that every encoding of a request is read into.

use std::collections::BTreeMap;

/// The members of an object, by name. A name stands in it once.
pub type Object = BTreeMap<String, Value>;

/// One value of a request, before its type is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// JSON `null`; means the same as leaving the parameter out.
    Null,
    /// JSON `true` or `false`.
    Boolean(bool),
    /// A JSON number without fraction and exponent that fits 64 bits, signed or not.
    Integer(i128),
    /// Any other JSON number.
    Float(f64),
    /// JSON text, and every scalar of the flat encodings.
    Text(String),
    /// Members with the names `0`, `1`, ... in the flat encodings.
    List(Vec<Value>),
    /// Named members.
    Object(Object),
}

impl Value {
    /// What the value is, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Text(_) => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}
