//! JSON bodies. Stricter than the usual reader: a name given twice is an error, and depth and number of
//! values are bounded.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{DEPTH_MAX, Excerpt, VALUE_COUNT_MAX, ValueBudget, malformed};
use crate::error::ApiError;
use crate::value::{Object, Value};

/// Reads a body into a tree. An empty body means no parameters.
///
/// # Errors
/// `InvalidParameter` that says where the body stops being acceptable JSON.
pub(crate) fn tree_from_json(body: &[u8], budget: &ValueBudget) -> Result<Value, ApiError> {
    if body.is_empty() {
        return Ok(Value::Object(Object::new()));
    }
    let text = std::str::from_utf8(body).map_err(|_| malformed("The request body is not UTF-8."))?;
    let mut reader = serde_json::Deserializer::from_str(text);
    TreeSeed { budget, depth_left: DEPTH_MAX }
        .deserialize(&mut reader)
        .and_then(|tree| reader.end().map(|()| tree))
        .map_err(|error| malformed(format!("The request body is not acceptable JSON: {error}.")))
}

/// Builds one value, with what is left of the bounds.
#[derive(Clone, Copy)]
struct TreeSeed<'a> {
    budget: &'a ValueBudget,
    depth_left: usize,
}

impl TreeSeed<'_> {
    fn inner<E: Error>(self) -> Result<Self, E> {
        match self.depth_left.checked_sub(1) {
            Some(depth_left) => Ok(Self { depth_left, ..self }),
            None => Err(E::custom(format_args!("nested deeper than {DEPTH_MAX}"))),
        }
    }
}

impl<'de> DeserializeSeed<'de> for TreeSeed<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if !self.budget.take() {
            return Err(D::Error::custom(format_args!("more than {VALUE_COUNT_MAX} values")));
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for TreeSeed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(inner)? {
            list.push(element);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Object::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!("`{}` is given twice", Excerpt(&name))));
            }
            object.insert(name, value);
        }
        Ok(Value::Object(object))
    }
}
