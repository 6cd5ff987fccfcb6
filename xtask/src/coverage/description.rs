//! An API as data: actions, and the members of the objects that go in and out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::error::{ErrorKind, Result, XtaskError};

/// In every response and put there by the gateway, so no action's own.
const REQUEST_ID: &str = "RequestId";

/// One parameter or field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) shape: Shape,
    /// Whether a request must have it. Says nothing in a response.
    pub(super) required: bool,
}

/// What a member holds. Finer types (`uint64`, `datetime`) are rules about values, not about JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    Scalar(String),
    Object(String),
    ListOfScalars(String),
    ListOfObjects(String),
}

impl Shape {
    /// The object inside, if there is one.
    pub(super) fn object(&self) -> Option<&str> {
        match self {
            Self::Object(name) | Self::ListOfObjects(name) => Some(name),
            Self::Scalar(_) | Self::ListOfScalars(_) => None,
        }
    }

    /// The JSON type without the name of an object: the two sides may call it differently.
    pub(super) fn json_type(&self) -> String {
        match self {
            Self::Scalar(name) => name.clone(),
            Self::Object(_) => "object".to_owned(),
            Self::ListOfScalars(name) => format!("list of {name}"),
            Self::ListOfObjects(_) => "list of object".to_owned(),
        }
    }
}

pub(super) type Members = BTreeMap<String, Member>;

/// Which way a member goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Direction {
    Request,
    Response,
}

/// The objects that a call takes and gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Action {
    pub(super) input: String,
    pub(super) output: String,
}

#[derive(Debug, Default)]
pub(super) struct Description {
    pub(super) actions: BTreeMap<String, Action>,
    inputs: BTreeMap<String, Members>,
    outputs: BTreeMap<String, Members>,
}

impl Description {
    /// Reads `{actions: {NAME: {input, output}}, inputs: OBJECTS, outputs: OBJECTS}` with OBJECTS
    /// `{NAME: [{name, type, member, required}]}`. The vendor has one `objects: {NAME: {members: [...]}}` for both.
    pub(super) fn read(value: &Value) -> Result<Self> {
        let actions = object(value, "actions")?.iter().map(|(name, action)| {
            Ok((name.clone(), Action { input: text(action, "input")?, output: text(action, "output")? }))
        });
        let actions = actions.collect::<Result<_>>()?;
        let [inputs, outputs] =
            if value["objects"].is_object() { ["objects"; 2] } else { ["inputs", "outputs"] };
        Ok(Self {
            actions,
            inputs: objects(object(value, inputs)?)?,
            outputs: objects(object(value, outputs)?)?,
        })
    }

    /// The members of an object; an object without any is not written down by some.
    pub(super) fn members(&self, direction: Direction, object: &str) -> Members {
        let objects = match direction {
            Direction::Request => &self.inputs,
            Direction::Response => &self.outputs,
        };
        objects.get(object).cloned().unwrap_or_default()
    }
}

fn objects(objects: &serde_json::Map<String, Value>) -> Result<BTreeMap<String, Members>> {
    let names: BTreeSet<&str> = objects.keys().map(String::as_str).collect();
    objects.iter().map(|(name, object)| Ok((name.clone(), members(object, &names)?))).collect()
}

fn members(object: &Value, objects: &BTreeSet<&str>) -> Result<Members> {
    let list = object.as_array().or_else(|| object["members"].as_array());
    let list = list.map(Vec::as_slice).unwrap_or_default();
    list.iter()
        .filter(|member| member["name"] != REQUEST_ID)
        .map(|member| {
            let required = member["required"].as_bool().unwrap_or(false);
            Ok((text(member, "name")?, Member { shape: shape(member, objects)?, required }))
        })
        .collect()
}

fn shape(member: &Value, objects: &BTreeSet<&str>) -> Result<Shape> {
    let inner = text(member, "member")?;
    Ok(match text(member, "type")?.as_str() {
        "object" => Shape::Object(inner),
        "list" if objects.contains(inner.as_str()) => Shape::ListOfObjects(inner),
        "list" => Shape::ListOfScalars(json_scalar(&inner).to_owned()),
        scalar => Shape::Scalar(scalar.to_owned()),
    })
}

/// The JSON type behind one of the vendor's finer scalar types.
fn json_scalar(name: &str) -> &str {
    match name {
        "int64" | "uint64" => "int",
        "date" | "datetime" | "datetime_iso" => "string",
        other => other,
    }
}

fn object<'a>(value: &'a Value, key: &str) -> Result<&'a serde_json::Map<String, Value>> {
    value[key]
        .as_object()
        .ok_or_else(|| XtaskError::new(ErrorKind::Format, format!("`{key}` is not an object")))
}

fn text(value: &Value, key: &str) -> Result<String> {
    let text = value[key].as_str().map(str::to_owned);
    text.ok_or_else(|| XtaskError::new(ErrorKind::Format, format!("no text `{key}` in {value}")))
}
