//! The model as data: what each action takes and gives, in the terms of the vendor's service description.

use std::fmt::Write;

use crate::action::Action;
use crate::encode::write_text;

/// The kind of a text on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFormat {
    /// Any text.
    Plain,
    /// `YYYY-MM-DD HH:MM:SS`.
    DateTime,
    /// ISO 8601 with an offset.
    IsoDateTime,
    /// `YYYY-MM-DD`.
    Date,
}

/// The type of a parameter or field.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// A string.
    Text(TextFormat),
    /// A string out of a list; the function gives the list.
    Choice(fn() -> Vec<&'static str>),
    /// An integer of 64 bits.
    Integer {
        /// Whether it may be negative.
        signed: bool,
    },
    /// A boolean.
    Boolean,
    /// A number with a fraction.
    Float,
    /// A list of one type.
    List(&'static Shape),
    /// An object.
    Object(&'static ObjectSchema),
}

/// Bounds that the reference states for a parameter, and whether it states the parameter at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Least and greatest length of a text, in bytes.
    pub length_bytes: Option<(usize, usize)>,
    /// Whether a text may hold ASCII only.
    pub ascii_only: bool,
    /// Least and greatest value of an integer.
    pub range: Option<(i64, i64)>,
    /// The only values that an integer may have.
    pub one_of: Option<&'static [i64]>,
    /// The code where an integer is not in its range, if the document has one of its own for that.
    pub range_code: Option<crate::ErrorCode>,
    /// The most members of a list, and the code where there are more.
    pub count_max: Option<(usize, crate::ErrorCode)>,
    /// False for what real clients send, or recorded answers hold, though no document lists it.
    pub documented: bool,
}

impl Rules {
    /// No bounds.
    pub const NONE: Self = Self {
        length_bytes: None,
        ascii_only: false,
        range: None,
        one_of: None,
        range_code: None,
        count_max: None,
        documented: true,
    };

    /// Not in the documents; no bounds.
    pub const UNDOCUMENTED: Self = Self { documented: false, ..Self::NONE };

    /// A text of `min` to `max` bytes.
    #[must_use]
    pub const fn length_bytes(self, min: usize, max: usize) -> Self {
        Self { length_bytes: Some((min, max)), ..self }
    }

    /// A text of ASCII.
    #[must_use]
    pub const fn ascii_only(self) -> Self {
        Self { ascii_only: true, ..self }
    }

    /// An integer of `min` to `max`.
    #[must_use]
    pub const fn range(self, min: i64, max: i64) -> Self {
        Self { range: Some((min, max)), ..self }
    }

    /// An integer of `min` to `max`; others are refused with `code`.
    #[must_use]
    pub const fn range_or(self, min: i64, max: i64, code: crate::ErrorCode) -> Self {
        Self { range: Some((min, max)), range_code: Some(code), ..self }
    }

    /// An integer out of `values`.
    #[must_use]
    pub const fn one_of(self, values: &'static [i64]) -> Self {
        Self { one_of: Some(values), ..self }
    }

    /// A list of at most `count` members; more are refused with `code`.
    #[must_use]
    pub const fn count_max(self, count: usize, code: crate::ErrorCode) -> Self {
        Self { count_max: Some((count, code)), ..self }
    }
}

/// One parameter of a request, or one field of an answer.
#[derive(Debug, Clone, Copy)]
pub struct Member {
    /// The name on the wire.
    pub name: &'static str,
    /// The type.
    pub shape: Shape,
    /// In a request: must be given. In an answer: never null.
    pub required: bool,
    /// The bounds.
    pub rules: Rules,
}

/// A request, an answer or a data type.
#[derive(Debug, Clone, Copy)]
pub struct ObjectSchema {
    /// The name in the vendor's service description.
    pub name: &'static str,
    /// The members in the order of the reference.
    pub members: &'static [Member],
}

/// What one action takes and gives. The answer's `RequestId` belongs to the envelope and is not listed.
#[derive(Debug, Clone, Copy)]
pub struct ActionSchema {
    /// The action.
    pub action: Action,
    /// Its request.
    pub input: &'static ObjectSchema,
    /// Its answer.
    pub output: &'static ObjectSchema,
}

impl Shape {
    /// Type and member type as the vendor's description names them.
    #[must_use]
    pub fn vendor_names(&self) -> (&'static str, &'static str) {
        match self {
            Self::Text(TextFormat::Plain) | Self::Choice(_) => ("string", "string"),
            Self::Text(TextFormat::DateTime) => ("string", "datetime"),
            Self::Text(TextFormat::IsoDateTime) => ("string", "datetime_iso"),
            Self::Text(TextFormat::Date) => ("string", "date"),
            Self::Integer { signed: true } => ("int", "int64"),
            Self::Integer { signed: false } => ("int", "uint64"),
            Self::Boolean => ("bool", "bool"),
            Self::Float => ("float", "float"),
            Self::List(element) => ("list", element.vendor_names().1),
            Self::Object(object) => ("object", object.name),
        }
    }

    fn object(&self) -> Option<&'static ObjectSchema> {
        match self {
            Self::Object(object) => Some(object),
            Self::List(element) => element.object(),
            _ => None,
        }
    }
}

/// The whole model: every action in the order of the tables.
#[must_use]
pub fn schema() -> Vec<ActionSchema> {
    Action::all().map(Action::schema).collect()
}

/// The whole model as JSON, for comparison with the vendor's service descriptions, a member a product:
/// `{PRODUCT: {version, actions: {NAME: {input, output, ...}}, inputs: {OBJECT: [MEMBER]}, outputs: {...}}}`.
/// Inputs and outputs are apart because one vendor name may stand for two shapes.
#[must_use]
pub fn schema_json() -> String {
    let mut products: Vec<&str> = Action::all().map(|action| action.spec().product).collect();
    products.dedup();
    let mut out = String::from("{");
    for (index, product) in products.into_iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(out, "{comma}\"{product}\":");
        write_product(&mut out, product);
    }
    out.push('}');
    out
}

fn write_product(out: &mut String, product: &str) {
    let mut inputs = Vec::new();
    let mut outputs = Vec::new();
    let mut version = "";
    out.push_str("{\"actions\":{");
    let actions = schema().into_iter().filter(|schema| schema.action.spec().product == product);
    for (index, action) in actions.enumerate() {
        collect(action.input, &mut inputs);
        collect(action.output, &mut outputs);
        let spec = action.action.spec();
        version = spec.version;
        let comma = if index == 0 { "" } else { "," };
        let _ = write!(
            out,
            "{comma}\"{}\":{{\"requests_per_second\":{},\"writes\":{},\"input\":\"{}\",\"output\":\"{}\"}}",
            spec.name, spec.requests_per_second, spec.writes, action.input.name, action.output.name
        );
    }
    let _ = write!(out, "}},\"version\":\"{version}\",\"inputs\":");
    write_objects(out, &inputs);
    out.push_str(",\"outputs\":");
    write_objects(out, &outputs);
    out.push('}');
}

fn collect(object: &'static ObjectSchema, into: &mut Vec<&'static ObjectSchema>) {
    if into.iter().any(|known| known.name == object.name) {
        return;
    }
    into.push(object);
    object.members.iter().filter_map(|member| member.shape.object()).for_each(|inner| collect(inner, into));
}

fn write_objects(out: &mut String, objects: &[&'static ObjectSchema]) {
    out.push('{');
    for (index, object) in objects.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_text(out, object.name);
        out.push_str(":[");
        for (index, member) in object.members.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            write_member(out, member);
        }
        out.push(']');
    }
    out.push('}');
}

fn write_member(out: &mut String, member: &Member) {
    let (kind, inner) = member.shape.vendor_names();
    let _ = write!(
        out,
        "{{\"name\":\"{}\",\"type\":\"{kind}\",\"member\":\"{inner}\",\"required\":{},\"documented\":{}",
        member.name, member.required, member.rules.documented
    );
    if let Some((min, max)) = member.rules.length_bytes {
        let _ = write!(out, ",\"length_bytes\":[{min},{max}]");
    }
    if let Some((min, max)) = member.rules.range {
        let _ = write!(out, ",\"range\":[{min},{max}]");
    }
    if let Some(values) = member.rules.one_of {
        let _ = write!(out, ",\"one_of\":{values:?}");
    }
    if let Some((count, _)) = member.rules.count_max {
        let _ = write!(out, ",\"count_max\":{count}");
    }
    if let Some(choices) = choices(&member.shape) {
        let _ = write!(out, ",\"choices\":{:?}", choices());
    }
    out.push('}');
}

fn choices(shape: &Shape) -> Option<fn() -> Vec<&'static str>> {
    match shape {
        Shape::Choice(list) => Some(*list),
        Shape::List(element) => choices(element),
        _ => None,
    }
}
