//! The flat encodings' dotted names (`Filters.0.Values.1`) into a tree.

use std::collections::BTreeMap;

use super::{DEPTH_MAX, Excerpt, malformed};
use crate::error::ApiError;
use crate::value::Value;

/// A tree under construction: an object and a list look the same until all names are known.
enum Node {
    Leaf(Value),
    Branch(BTreeMap<String, Node>),
}

/// Builds the tree of all `pairs`.
///
/// # Errors
/// `InvalidParameter` for a parameter given twice, one that is both a value and has members, and list
/// indices that do not run from 0 without a gap.
pub(crate) fn tree_from_pairs(pairs: impl IntoIterator<Item = (String, Value)>) -> Result<Value, ApiError> {
    let mut root = BTreeMap::new();
    for (name, value) in pairs {
        insert(&mut root, &name, value)?;
    }
    let members = root.into_iter().map(|(name, node)| finish(node, &name).map(|value| (name, value)));
    Ok(Value::Object(members.collect::<Result<_, _>>()?))
}

fn insert(root: &mut BTreeMap<String, Node>, name: &str, value: Value) -> Result<(), ApiError> {
    let clash = || malformed(format!("The parameter `{}` is given twice.", Excerpt(name)));
    if name.bytes().filter(|byte| *byte == b'.').count() >= DEPTH_MAX {
        return Err(malformed(format!(
            "The parameter `{}` is nested deeper than {DEPTH_MAX}.",
            Excerpt(name)
        )));
    }
    let (parents, last) = name.rsplit_once('.').map_or((None, name), |(parents, last)| (Some(parents), last));
    let mut branch = root;
    for segment in parents.iter().flat_map(|parents| parents.split('.')) {
        let node = branch.entry(segment.to_owned()).or_insert_with(|| Node::Branch(BTreeMap::new()));
        let Node::Branch(inner) = node else { return Err(clash()) };
        branch = inner;
    }
    match branch.insert(last.to_owned(), Node::Leaf(value)) {
        None => Ok(()),
        Some(_) => Err(clash()),
    }
}

fn finish(node: Node, name: &str) -> Result<Value, ApiError> {
    let mut branch = match node {
        Node::Leaf(value) => return Ok(value),
        Node::Branch(branch) => branch,
    };
    if !branch.keys().any(|key| is_number(key)) {
        let members = branch.into_iter().map(|(key, node)| finish(node, name).map(|value| (key, value)));
        return Ok(Value::Object(members.collect::<Result<_, _>>()?));
    }
    let count = branch.len();
    let elements = (0..count).map(|index| match branch.remove(&index.to_string()) {
        Some(node) => finish(node, name),
        None => Err(malformed(format!(
            "The indices of the list in `{}` must run from 0 without a gap; {index} of {count} is missing.",
            Excerpt(name)
        ))),
    });
    Ok(Value::List(elements.collect::<Result<_, _>>()?))
}

fn is_number(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_digit())
}
