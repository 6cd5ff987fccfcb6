//! The smallest request of an action, made from its description: for tests that walk every action.

use serde_json::{Map, Value, json};

use crate::action::Action;
use crate::resource::ResourceKind;
use crate::schema::{Member, ObjectSchema, Shape, TextFormat};

/// The least that decodes: what is required, and whatever names a resource. `name_of` gives the names.
#[must_use]
pub fn request(action: Action, name_of: &dyn Fn(ResourceKind) -> String) -> Value {
    let named: Vec<(&str, ResourceKind)> = action
        .spec()
        .resources
        .iter()
        .filter_map(|resource| Some((resource.parameter()?, resource.kind())))
        .collect();
    Value::Object(members("", action.schema().input.members, &named, name_of))
}

/// The least of an object that decodes: what is required.
#[must_use]
pub fn object(schema: &'static ObjectSchema) -> Value {
    Value::Object(members("", schema.members, &[], &|kind| missing_name(kind).to_owned()))
}

/// A name of the kind's form that belongs to nothing.
#[must_use]
pub fn missing_name(kind: ResourceKind) -> &'static str {
    match kind {
        ResourceKind::Volume => "disk-00000000",
        ResourceKind::Snapshot => "snap-00000000",
        ResourceKind::SnapshotGroup => "csnap-00000000",
        ResourceKind::DiskBackup => "dbp-00000000",
        ResourceKind::AutoSnapshotPolicy => "asp-00000000",
        ResourceKind::Instance => "ins-00000000",
        ResourceKind::Image => "img-00000000",
        ResourceKind::LighthouseInstance => "lhins-00000000",
        ResourceKind::LighthouseSnapshot => "lhsnap-00000000",
        ResourceKind::Machine => "00000000-0000-0000-0000-000000000000",
        ResourceKind::Role => "qcs::cam::uin/100000000001:roleName/none",
        ResourceKind::Any => "qcs::cvm:ap-guangzhou:uin/100000000001:instance/ins-00000000",
    }
}

fn members(
    prefix: &str,
    all: &'static [Member],
    named: &[(&str, ResourceKind)],
    name_of: &dyn Fn(ResourceKind) -> String,
) -> Map<String, Value> {
    let mut object = Map::new();
    for member in all {
        let path = format!("{prefix}{}", member.name);
        let kind = named.iter().find(|(parameter, _)| *parameter == path).map(|(_, kind)| *kind);
        let holds_one = named.iter().any(|(parameter, _)| parameter.starts_with(&format!("{path}.")));
        if member.required || kind.is_some() || holds_one {
            let text = kind.map(name_of);
            object.insert(member.name.to_owned(), value(&path, member, &member.shape, text, named, name_of));
        }
    }
    object
}

fn value(
    path: &str,
    member: &Member,
    shape: &'static Shape,
    name: Option<String>,
    named: &[(&str, ResourceKind)],
    name_of: &dyn Fn(ResourceKind) -> String,
) -> Value {
    match shape {
        Shape::Text(format) => name.map_or_else(|| text(member, *format), Value::String),
        Shape::Choice(choices) => choices().first().copied().map_or(Value::Null, Value::from),
        Shape::Integer { .. } => {
            let rules = &member.rules;
            let least = rules.one_of.and_then(|values| values.first().copied());
            json!(least.or(rules.range.map(|(least, _)| least)).unwrap_or(1))
        }
        Shape::Boolean => json!(false),
        Shape::Float => json!(1.0),
        Shape::List(element) => Value::Array(vec![value(path, member, element, name, named, name_of)]),
        Shape::Object(object) => Value::Object(members(&format!("{path}."), object.members, named, name_of)),
    }
}

/// Texts whose form the description does not tell are told by their names.
fn text(member: &Member, format: TextFormat) -> Value {
    let least = member.rules.length_bytes.map_or(0, |(least, _)| least);
    match (format, member.name) {
        (TextFormat::DateTime, _) => json!("2030-01-08 09:47:55"),
        (TextFormat::IsoDateTime, _) => json!("2030-01-08T09:47:55+08:00"),
        (TextFormat::Date, _) => json!("2030-01-08"),
        (_, "Zone" | "Zones") => json!("ap-guangzhou-3"),
        (_, name) if name.ends_with("Region") || name.ends_with("Regions") => json!("ap-beijing"),
        _ => json!("x".repeat(least.max(1))),
    }
}
