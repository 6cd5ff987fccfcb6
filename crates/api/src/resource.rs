//! Resources, as policies name them, and how a table of actions says which of them a call touches.

use crate::action::ActionSpec;
use crate::value::Value;

/// A kind of resource that a policy can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceKind {
    /// `qcs::cbs:REGION:uin/UIN:volume/disk-xxxxxxxx`.
    Volume,
    /// `qcs::cbs:REGION:uin/UIN:snapshot/snap-xxxxxxxx`.
    Snapshot,
    /// `qcs::cbs:REGION:uin/UIN:snapshotgroup/csnap-xxxxxxxx`.
    SnapshotGroup,
    /// `qcs::cbs:REGION:uin/UIN:backup/dbp-xxxxxxxx`.
    DiskBackup,
    /// `qcs::cbs:REGION:uin/UIN:autosnapshotpolicy/asp-xxxxxxxx`.
    AutoSnapshotPolicy,
    /// `qcs::cvm:REGION:uin/UIN:instance/ins-xxxxxxxx`.
    Instance,
    /// `qcs::cvm:REGION:uin/UIN:image/img-xxxxxxxx`.
    Image,
    /// `qcs::lighthouse:REGION:uin/UIN:instance/lhins-xxxxxxxx`.
    LighthouseInstance,
    /// `qcs::lighthouse:REGION:uin/UIN:snapshot/lhsnap-xxxxxxxx`.
    LighthouseSnapshot,
    /// `qcs::cwp:REGION:uin/UIN:machine/QUUID`.
    Machine,
    /// `qcs::cam::uin/UIN:roleName/NAME`; the parameter holds the whole of it.
    Role,
    /// The parameter holds a whole six-part name, of whatever kind.
    Any,
}

impl ResourceKind {
    /// The product and the word before the slash; none where the parameter holds the whole name.
    #[must_use]
    pub const fn prefix(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::Volume => Some(("cbs", "volume")),
            Self::Snapshot => Some(("cbs", "snapshot")),
            Self::SnapshotGroup => Some(("cbs", "snapshotgroup")),
            Self::DiskBackup => Some(("cbs", "backup")),
            Self::AutoSnapshotPolicy => Some(("cbs", "autosnapshotpolicy")),
            Self::Instance => Some(("cvm", "instance")),
            Self::Image => Some(("cvm", "image")),
            Self::LighthouseInstance => Some(("lighthouse", "instance")),
            Self::LighthouseSnapshot => Some(("lighthouse", "snapshot")),
            Self::Machine => Some(("cwp", "machine")),
            Self::Role | Self::Any => None,
        }
    }
}

/// Which resources of a kind a call touches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Those that a parameter names, `KIND("PARAMETER")`; none where it is left out.
    Named {
        /// The kind.
        kind: ResourceKind,
        /// The parameter, `Outer.Inner` for a member of an object. Lists on the way are walked.
        parameter: &'static str,
    },
    /// Those that a parameter names, `KIND("PARAMETER" or all)`; all of the kind where it is left out.
    NamedOrAll {
        /// The kind.
        kind: ResourceKind,
        /// The parameter, as in [`Resource::Named`].
        parameter: &'static str,
    },
    /// All of the kind or new ones, `KIND(all)`: a policy names them `volume/*`.
    All {
        /// The kind.
        kind: ResourceKind,
    },
}

impl Resource {
    /// The kind.
    #[must_use]
    pub const fn kind(self) -> ResourceKind {
        match self {
            Self::Named { kind, .. } | Self::NamedOrAll { kind, .. } | Self::All { kind } => kind,
        }
    }

    /// The parameter, where there is one.
    #[must_use]
    pub const fn parameter(self) -> Option<&'static str> {
        match self {
            Self::Named { parameter, .. } | Self::NamedOrAll { parameter, .. } => Some(parameter),
            Self::All { .. } => None,
        }
    }
}

/// Something that a request touches, before anybody knows whether it exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Touched {
    /// The kind.
    pub kind: ResourceKind,
    /// As the request names it; none for all of the kind, or new ones.
    pub name: Option<String>,
}

/// What a request touches, by the table's line.
pub(crate) fn touched(spec: &ActionSpec, parameters: &Value) -> Vec<Touched> {
    let mut all = Vec::new();
    for resource in spec.resources {
        let kind = resource.kind();
        let before = all.len();
        if let Some(parameter) = resource.parameter() {
            texts_at(parameters, parameter, &mut |name| {
                all.push(Touched { kind, name: Some(name.to_owned()) })
            });
        }
        let has_none = all.len() == before;
        if has_none && !matches!(resource, Resource::Named { .. }) {
            all.push(Touched { kind, name: None });
        }
    }
    all
}

/// The texts at a path; lists on the way are walked.
fn texts_at(value: &Value, path: &str, found: &mut impl FnMut(&str)) {
    match value {
        Value::List(elements) => elements.iter().for_each(|element| texts_at(element, path, found)),
        Value::Text(text) if path.is_empty() => found(text),
        Value::Object(members) => {
            let (name, rest) = path.split_once('.').unwrap_or((path, ""));
            if let Some(inner) = members.get(name) {
                texts_at(inner, rest, found);
            }
        }
        _ => {}
    }
}

/// The tags that a request would bind, each as `KEY&VALUE`: the members `Key` and `Value`, or `TagKey` and
/// `TagValue`, of objects in a list, wherever it is.
pub(crate) fn request_tags(parameters: &Value) -> Vec<String> {
    let mut tags = Vec::new();
    collect_tags(parameters, false, &mut tags);
    tags
}

fn collect_tags(value: &Value, in_list: bool, tags: &mut Vec<String>) {
    match value {
        Value::List(elements) => elements.iter().for_each(|element| collect_tags(element, true, tags)),
        Value::Object(members) => {
            let text = |name| match members.get(name) {
                Some(Value::Text(text)) => Some(text),
                _ => None,
            };
            let pair = text("Key").zip(text("Value")).or(text("TagKey").zip(text("TagValue")));
            match pair {
                Some((key, value)) if in_list => tags.push(format!("{key}&{value}")),
                _ => members.values().for_each(|member| collect_tags(member, false, tags)),
            }
        }
        _ => {}
    }
}

/// One resource of a table's line.
macro_rules! resource {
    ($kind:ident (all)) => {
        $crate::Resource::All { kind: $crate::ResourceKind::$kind }
    };
    ($kind:ident ($parameter:literal)) => {
        $crate::Resource::Named { kind: $crate::ResourceKind::$kind, parameter: $parameter }
    };
    ($kind:ident ($parameter:literal or all)) => {
        $crate::Resource::NamedOrAll { kind: $crate::ResourceKind::$kind, parameter: $parameter }
    };
}

pub(crate) use resource;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::Action;
    use crate::decode::{ValueBudget, tree_from_json};
    use crate::schema::{Member, ObjectSchema, Shape};

    /// Parameters called like resources that need no right of their own: action, parameter.
    const FREE: &[(&str, &str)] = &[];

    /// The words in the names of parameters that stand for resources.
    const NOUNS: &[&str] =
        &["Disk", "Snapshot", "SnapshotGroup", "Policy", "Instance", "Image", "Backup", "Role"];

    fn object_of(shape: &Shape) -> Option<&'static ObjectSchema> {
        match shape {
            Shape::Object(object) => Some(object),
            Shape::List(element) => object_of(element),
            _ => None,
        }
    }

    /// Every parameter of a request, inner ones too, as `Outer.Inner`.
    fn parameters(prefix: &str, members: &'static [Member], into: &mut Vec<String>) {
        for member in members {
            let path = format!("{prefix}{}", member.name);
            if let Some(object) = object_of(&member.shape) {
                parameters(&format!("{path}."), object.members, into);
            }
            into.push(path);
        }
    }

    fn of(action: Action) -> Vec<String> {
        let mut all = Vec::new();
        parameters("", action.schema().input.members, &mut all);
        all
    }

    #[test]
    fn what_a_request_touches_is_found_wherever_it_is() {
        let tree = |text: &str| tree_from_json(text.as_bytes(), &ValueBudget::new()).unwrap();
        let names = |name: &str, text: &str| -> Vec<String> {
            let action = Action::all().find(|action| action.spec().name == name).unwrap();
            let all = touched(action.spec(), &tree(text)).into_iter();
            all.map(|one| format!("{:?} {}", one.kind, one.name.as_deref().unwrap_or("*"))).collect()
        };
        assert_eq!(names("DescribeDisks", "{}"), ["Volume *"]);
        assert_eq!(names("DescribeDisks", r#"{"DiskIds":["a","b"]}"#), ["Volume a", "Volume b"]);
        assert_eq!(names("DetachDisks", r#"{"DiskIds":["a"]}"#), ["Volume a"]);
        assert_eq!(names("GetCallerIdentity", r#"{"DiskIds":["a"]}"#), [""; 0]);
        let create = r#"{"SnapshotId":"s","AutoMountConfiguration":{"InstanceId":["i","j"]}}"#;
        assert_eq!(names("CreateDisks", create), ["Volume *", "Snapshot s", "Instance i", "Instance j"]);
        let tags = r#"{"Tags":[{"Key":"k","Value":"v"}],"A":[{"B":[{"TagKey":"t","TagValue":""}]}],"Key":"x","Value":"y"}"#;
        let mut found = request_tags(&tree(tags));
        found.sort();
        assert_eq!(found, ["k&v", "t&"]);
    }

    #[test]
    fn every_resource_of_the_tables_is_a_parameter_of_its_action() {
        for action in Action::all() {
            let all = of(action);
            for parameter in action.spec().resources.iter().filter_map(|resource| resource.parameter()) {
                assert!(all.iter().any(|path| path == parameter), "{action:?} has no {parameter}");
            }
        }
    }

    #[test]
    fn every_parameter_that_names_a_resource_needs_a_right() {
        for action in Action::all() {
            let spec = action.spec();
            let covered: BTreeSet<_> =
                spec.resources.iter().copied().filter_map(Resource::parameter).collect();
            for path in of(action) {
                let last = path.rsplit('.').next().unwrap();
                let stem = last.strip_suffix("Ids").or(last.strip_suffix("Id"));
                let names_one = stem.is_some_and(|stem| NOUNS.iter().any(|noun| stem.ends_with(noun)));
                let is_free = FREE.contains(&(spec.name, path.as_str()));
                assert!(
                    !names_one || is_free || covered.contains(path.as_str()),
                    "{action:?}: no resource in the table for `{path}`"
                );
            }
        }
    }
}
