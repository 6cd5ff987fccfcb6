//! From bytes to typed requests: every encoding is read into one tree of [`Value`]s, and the tree into the
//! types of the model. All errors name the parameter as the client would write it (`Filters.0.Values.1`).

mod flat;
mod json;
mod multipart;
mod query;
mod scalar;

use std::cell::Cell;
use std::fmt;

pub(crate) use flat::tree_from_pairs;
pub(crate) use json::tree_from_json;
pub(crate) use multipart::{media_parameter, media_type, tree_from_multipart};
pub(crate) use query::pairs_from_query;
pub use scalar::IntegerFlag;
pub(crate) use scalar::{boolean, choice, text as choice_text};

use crate::encode::OrEmpty;
use crate::error::ApiError;
use crate::error_code::ErrorCode;
use crate::schema::{ObjectSchema, Rules, Shape};
use crate::value::{Object, Value};

/// The most values a request may hold, whatever its size.
const VALUE_COUNT_MAX: usize = 10_000;

/// Counts the values of one request, in all its parts.
#[derive(Debug)]
pub(crate) struct ValueBudget(Cell<usize>);

impl ValueBudget {
    /// A whole request's worth.
    pub(crate) const fn new() -> Self {
        Self(Cell::new(VALUE_COUNT_MAX))
    }

    /// Takes one value out. False where none is left.
    fn take(&self) -> bool {
        self.0.get().checked_sub(1).map(|left| self.0.set(left)).is_some()
    }
}

/// The deepest nesting of a request; the model's own is 4.
const DEPTH_MAX: usize = 16;

/// A value that can stand in a request.
pub trait Decode: Sized {
    /// The type on the wire.
    const SHAPE: Shape;

    /// Whether it must be given.
    const REQUIRED: bool = true;

    /// Reads the value found at `at` and holds it against `rules`.
    ///
    /// # Errors
    /// `InvalidParameter` for a wrong type, `InvalidParameterValue` for a value out of its bounds,
    /// `MissingParameter` and `UnknownParameter` for the members of an object.
    fn decode(value: Value, at: &Location<'_>, rules: &Rules) -> Result<Self, ApiError>;

    /// The value where none was given.
    ///
    /// # Errors
    /// `MissingParameter` where one is required.
    fn absent(at: &Location<'_>) -> Result<Self, ApiError> {
        Err(ApiError::new(ErrorCode::MissingParameter, format!("The parameter `{at}` is missing.")))
    }
}

/// An object of a request.
pub trait DecodeObject: Decode {
    /// The object's description.
    const OBJECT: &'static ObjectSchema;
}

impl<T: Decode> Decode for Option<T> {
    const SHAPE: Shape = T::SHAPE;
    const REQUIRED: bool = false;

    fn decode(value: Value, at: &Location<'_>, rules: &Rules) -> Result<Self, ApiError> {
        T::decode(value, at, rules).map(Some)
    }

    fn absent(_: &Location<'_>) -> Result<Self, ApiError> {
        Ok(None)
    }
}

impl<T: Decode> Decode for OrEmpty<T> {
    const SHAPE: Shape = T::SHAPE;

    fn decode(value: Value, at: &Location<'_>, rules: &Rules) -> Result<Self, ApiError> {
        match value {
            Value::Text(text) if text.is_empty() => Ok(Self(None)),
            other => T::decode(other, at, rules).map(|value| Self(Some(value))),
        }
    }
}

impl<T: Decode> Decode for Vec<T> {
    const SHAPE: Shape = Shape::List(&T::SHAPE);

    fn decode(value: Value, at: &Location<'_>, rules: &Rules) -> Result<Self, ApiError> {
        let Value::List(elements) = value else { return Err(wrong_type(at, "a list", &value)) };
        if let Some((count_max, code)) = rules.count_max
            && elements.len() > count_max
        {
            let text = format!("`{at}` has {} members; at most {count_max} are allowed.", elements.len());
            return Err(ApiError::new(code, text));
        }
        elements
            .into_iter()
            .enumerate()
            .map(|(index, value)| T::decode(value, &at.index(index), rules))
            .collect()
    }
}

/// Where in a request a value stands. Nothing is formatted before an error needs it.
#[derive(Debug, Clone, Copy)]
pub struct Location<'a> {
    parent: Option<&'a Location<'a>>,
    segment: Segment<'a>,
}

#[derive(Debug, Clone, Copy)]
enum Segment<'a> {
    Request,
    Name(&'a str),
    Index(usize),
}

impl Location<'static> {
    /// The request itself.
    pub const REQUEST: Self = Self { parent: None, segment: Segment::Request };
}

impl<'a> Location<'a> {
    /// The member `name` of the object here.
    #[must_use]
    pub fn name(&'a self, name: &'a str) -> Location<'a> {
        Location { parent: Some(self), segment: Segment::Name(name) }
    }

    /// The element `index` of the list here.
    #[must_use]
    pub fn index(&'a self, index: usize) -> Location<'a> {
        Location { parent: Some(self), segment: Segment::Index(index) }
    }
}

impl fmt::Display for Location<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(parent) = self.parent.filter(|parent| !matches!(parent.segment, Segment::Request)) {
            write!(f, "{parent}.")?;
        }
        match self.segment {
            Segment::Request => f.write_str("the request"),
            Segment::Name(name) => write!(f, "{}", Excerpt(name)),
            Segment::Index(index) => write!(f, "{index}"),
        }
    }
}

/// A client's own text in a message: long ones are cut, so that an answer is never as large as an attack.
pub(crate) struct Excerpt<'a>(pub(crate) &'a str);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LENGTH_MAX_CHARACTERS: usize = 80;
        match self.0.char_indices().nth(LENGTH_MAX_CHARACTERS) {
            None => f.write_str(self.0),
            Some((end, _)) => write!(f, "{}...", &self.0[..end]),
        }
    }
}

/// The members of one object of a request, taken out one by one.
#[derive(Debug)]
pub struct Members<'a> {
    object: Object,
    at: &'a Location<'a>,
}

impl<'a> Members<'a> {
    /// Opens the object found at `at`, whose members can have `names` only.
    ///
    /// # Errors
    /// `InvalidParameter` where the value is no object, `UnknownParameter` for any other name.
    pub fn open(value: Value, at: &'a Location<'a>, names: &[&str]) -> Result<Self, ApiError> {
        let Value::Object(object) = value else { return Err(wrong_type(at, "an object", &value)) };
        match object.keys().find(|key| !names.contains(&key.as_str())) {
            Some(unknown) => Err(ApiError::new(
                ErrorCode::UnknownParameter,
                format!("The parameter `{}` is not recognized.", at.name(unknown)),
            )),
            None => Ok(Self { object, at }),
        }
    }

    /// Takes the member `name`. An empty list counts as absent, because the flat encodings cannot say it.
    ///
    /// # Errors
    /// As [`Decode::decode`] and [`Decode::absent`].
    pub fn take<T: Decode>(&mut self, name: &str, rules: &Rules) -> Result<T, ApiError> {
        let at = self.at.name(name);
        match self.object.remove(name) {
            None | Some(Value::Null) => T::absent(&at),
            Some(Value::List(elements)) if elements.is_empty() => T::absent(&at),
            Some(value) => T::decode(value, &at, rules),
        }
    }
}

/// The parameter has another type than it must.
pub(crate) fn wrong_type(at: &Location<'_>, expected: &str, found: &Value) -> ApiError {
    let text = match found {
        Value::Text(text) => format!("`{}`", Excerpt(text)),
        other => other.kind().to_owned(),
    };
    ApiError::new(
        ErrorCode::InvalidParameter,
        format!("The parameter `{at}` must be {expected}, not {text}."),
    )
}

/// The parameter has its type, but the value is none that it may have.
pub(crate) fn bad_value(
    at: &Location<'_>,
    value: impl fmt::Display,
    expected: impl fmt::Display,
) -> ApiError {
    let value = value.to_string();
    ApiError::new(
        ErrorCode::InvalidParameterValue,
        format!("The value `{}` of the parameter `{at}` is not valid: expected {expected}.", Excerpt(&value)),
    )
}

/// The request cannot be read at all.
pub(crate) fn malformed(message: impl Into<String>) -> ApiError {
    ApiError::new(ErrorCode::InvalidParameter, message)
}
