//! Answers into JSON. Types are strict: a number is never a string, and null stands only where the
//! recorded answers of the service have it.

use std::fmt::{Display, Write};

use crate::schema::{ObjectSchema, Shape, TextFormat};

/// A value that can stand in an answer.
pub trait Encode {
    /// The type on the wire.
    const SHAPE: Shape;

    /// Whether it may be null.
    const NULLABLE: bool = false;

    /// Whether the member is left out of its object.
    fn is_absent(&self) -> bool {
        false
    }

    /// Appends the value as JSON.
    fn encode(&self, out: &mut String);
}

/// An object of an answer.
pub trait EncodeObject {
    /// The object's description.
    const OBJECT: &'static ObjectSchema;

    /// Appends each member, in order, through `members`.
    fn encode_members(&self, members: &mut ObjectWriter<'_>);
}

/// Writes the members of one object.
#[derive(Debug)]
pub struct ObjectWriter<'a> {
    out: &'a mut String,
    empty: bool,
}

impl<'a> ObjectWriter<'a> {
    /// Begins an object at the end of `out`.
    pub fn begin(out: &'a mut String) -> Self {
        out.push('{');
        Self { out, empty: true }
    }

    /// Appends one member. `name` must need no escapes.
    pub fn member<T: Encode + ?Sized>(&mut self, name: &'static str, value: &T) {
        if value.is_absent() {
            return;
        }
        if !self.empty {
            self.out.push(',');
        }
        self.empty = false;
        self.out.push('"');
        self.out.push_str(name);
        self.out.push_str("\":");
        value.encode(self.out);
    }

    /// Ends the object.
    pub fn end(self) {
        self.out.push('}');
    }
}

/// Text that is empty where there is nothing to say: the service has `""` there, not null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrEmpty<T>(pub Option<T>);

impl<T> From<Option<T>> for OrEmpty<T> {
    fn from(value: Option<T>) -> Self {
        Self(value)
    }
}

impl<T: Encode> Encode for OrEmpty<T> {
    const SHAPE: Shape = T::SHAPE;

    fn encode(&self, out: &mut String) {
        match &self.0 {
            Some(value) => value.encode(out),
            None => out.push_str("\"\""),
        }
    }
}

/// A member that is left out where there is nothing to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Absent<T>(pub Option<T>);

impl<T: Encode> Encode for Absent<T> {
    const SHAPE: Shape = T::SHAPE;
    const NULLABLE: bool = true;

    fn is_absent(&self) -> bool {
        self.0.is_none()
    }

    fn encode(&self, out: &mut String) {
        self.0.encode(out);
    }
}

impl<T: Encode> Encode for Option<T> {
    const SHAPE: Shape = T::SHAPE;
    const NULLABLE: bool = true;

    fn encode(&self, out: &mut String) {
        match self {
            Some(value) => value.encode(out),
            None => out.push_str("null"),
        }
    }
}

impl<T: Encode> Encode for Vec<T> {
    const SHAPE: Shape = Shape::List(&T::SHAPE);

    fn encode(&self, out: &mut String) {
        out.push('[');
        for (index, element) in self.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            element.encode(out);
        }
        out.push(']');
    }
}

impl Encode for str {
    const SHAPE: Shape = Shape::Text(TextFormat::Plain);

    fn encode(&self, out: &mut String) {
        write_text(out, self);
    }
}

impl Encode for String {
    const SHAPE: Shape = Shape::Text(TextFormat::Plain);

    fn encode(&self, out: &mut String) {
        write_text(out, self);
    }
}

impl Encode for bool {
    const SHAPE: Shape = Shape::Boolean;

    fn encode(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }
}

impl Encode for u64 {
    const SHAPE: Shape = Shape::Integer { signed: false };

    fn encode(&self, out: &mut String) {
        write_plain(out, self);
    }
}

impl Encode for i64 {
    const SHAPE: Shape = Shape::Integer { signed: true };

    fn encode(&self, out: &mut String) {
        write_plain(out, self);
    }
}

impl Encode for f64 {
    const SHAPE: Shape = Shape::Float;

    /// JSON has no infinities: what is not finite becomes 0.
    fn encode(&self, out: &mut String) {
        write_plain(out, &format_args!("{:?}", if self.is_finite() { *self } else { 0.0 }));
    }
}

/// Appends what needs no quotes and no escapes.
fn write_plain(out: &mut String, value: &impl Display) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{value}");
}

/// Appends a value whose text needs no escapes, in quotes.
pub(crate) fn write_quoted(out: &mut String, value: &impl Display) {
    out.push('"');
    write_plain(out, value);
    out.push('"');
}

/// Appends text in quotes, with JSON's escapes.
pub(crate) fn write_text(out: &mut String, text: &str) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if u32::from(control) < 0x20 => {
                write_plain(out, &format_args!("\\u{:04x}", u32::from(control)))
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_reads_back(text in any::<String>()) {
            let mut out = String::new();
            text.encode(&mut out);
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }

        #[test]
        fn any_number_reads_back(float in any::<f64>(), signed in any::<i64>(), unsigned in any::<u64>()) {
            let mut out = String::new();
            float.encode(&mut out);
            prop_assert!(serde_json::from_str::<f64>(&out).is_ok(), "{}", out);
            // The standard library reads the nearest number, serde_json one that may be a step beside it.
            prop_assert_eq!(out.parse::<f64>().unwrap(), if float.is_finite() { float } else { 0.0 });
            let mut out = String::new();
            signed.encode(&mut out);
            prop_assert_eq!(serde_json::from_str::<i64>(&out).unwrap(), signed);
            let mut out = String::new();
            unsigned.encode(&mut out);
            prop_assert_eq!(serde_json::from_str::<u64>(&out).unwrap(), unsigned);
        }
    }

    #[test]
    fn nothing_is_empty_or_null_as_the_field_says() {
        let mut out = String::new();
        OrEmpty::<String>(None).encode(&mut out);
        None::<String>.encode(&mut out);
        assert_eq!(out, "\"\"null");
    }

    #[test]
    fn what_is_absent_leaves_no_trace() {
        let mut out = String::new();
        let mut members = ObjectWriter::begin(&mut out);
        members.member("a", &Absent::<u64>(None));
        members.member("b", &Absent(Some(1_u64)));
        members.member("c", &Absent::<u64>(None));
        members.end();
        assert_eq!(out, "{\"b\":1}");
    }
}
