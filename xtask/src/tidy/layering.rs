//! Which crate may know which: the table of ARCHITECTURE.md as data.

use serde_json::Value;

use super::{Finding, Tree};

/// Each crate of the workspace and the crates of the workspace that it may use.
const ALLOWED_EDGES: &[(&str, &[&str])] = &[
    ("ashlar-types", &[]),
    ("ashlar-volume", &["ashlar-types"]),
    ("ashlar-engine", &["ashlar-volume", "ashlar-types"]),
    ("ashlar-nbd", &["ashlar-volume", "ashlar-types"]),
    ("ashlar-attach", &["ashlar-volume", "ashlar-types"]),
    ("ashlar-db", &["ashlar-types"]),
    ("ashlar-control", &["ashlar-db", "ashlar-volume", "ashlar-attach", "ashlar-types"]),
    ("ashlar-api", &["ashlar-types"]),
    (
        "ashlar-server",
        &[
            "ashlar-types",
            "ashlar-volume",
            "ashlar-engine",
            "ashlar-nbd",
            "ashlar-attach",
            "ashlar-db",
            "ashlar-control",
            "ashlar-api",
        ],
    ),
    // Not shipped: it plays all of them together.
    (
        "ashlar-sim",
        &[
            "ashlar-types",
            "ashlar-volume",
            "ashlar-engine",
            "ashlar-nbd",
            "ashlar-attach",
            "ashlar-db",
            "ashlar-control",
        ],
    ),
    ("xtask", &[]),
];

/// Foreign crates that are one room's business, and the crates of the workspace that may use them.
const EXTERNAL_ROOMS: &[(&str, &[&str])] = &[
    ("sqlx", &["ashlar-db"]),
    ("redb", &["ashlar-engine"]),
    ("hyper", &["ashlar-server"]),
    ("hyper-util", &["ashlar-server"]),
    ("clap", &["ashlar-server"]),
    // The data plane is synchronous, the wire and the words of the house know no runtime.
    ("tokio", &["ashlar-control", "ashlar-db", "ashlar-server", "ashlar-sim"]),
    ("anyhow", &[]),
];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["common", "util", "utils", "core", "misc", "helpers", "shared"];

struct Package<'a> {
    name: &'a str,
    manifest: &'a str,
    dependencies: Vec<&'a str>,
}

/// The packages of the workspace. Dependencies of all kinds count: a test that reaches over a layer ties it too.
fn members(metadata: &Value) -> Vec<Package<'_>> {
    let texts = |value: &'_ Value| value.as_array().map(Vec::as_slice).unwrap_or_default().to_vec();
    let ids = texts(&metadata["workspace_members"]);
    let packages = metadata["packages"].as_array().map(Vec::as_slice).unwrap_or_default();
    packages
        .iter()
        .filter(|package| ids.contains(&package["id"]))
        .filter_map(|package| {
            let dependencies = package["dependencies"].as_array()?;
            Some(Package {
                name: package["name"].as_str()?,
                manifest: package["manifest_path"].as_str()?,
                dependencies: dependencies.iter().filter_map(|wanted| wanted["name"].as_str()).collect(),
            })
        })
        .collect()
}

pub(super) fn edges(tree: &Tree) -> Vec<Finding> {
    let members = members(&tree.metadata);
    let mut findings = Vec::new();
    for package in &members {
        let Some((_, allowed)) = ALLOWED_EDGES.iter().find(|(name, _)| *name == package.name) else {
            let message = format!("`{}` is not in the table of allowed edges", package.name);
            findings.push(Finding::new(package.manifest, 0, message));
            continue;
        };
        let inner = |name: &&&str| members.iter().any(|member| member.name == **name);
        let forbidden = package.dependencies.iter().filter(inner).filter(|name| !allowed.contains(name));
        findings.extend(forbidden.map(|name| {
            Finding::new(package.manifest, 0, format!("`{}` may not depend on `{name}`", package.name))
        }));
    }
    findings
}

pub(super) fn external_rooms(tree: &Tree) -> Vec<Finding> {
    let members = members(&tree.metadata);
    let mut findings = Vec::new();
    for (foreign, rooms) in EXTERNAL_ROOMS {
        let users = members.iter().filter(|package| package.dependencies.contains(foreign));
        findings.extend(users.filter(|package| !rooms.contains(&package.name)).map(|package| {
            Finding::new(package.manifest, 0, format!("`{foreign}` has no place in `{}`", package.name))
        }));
    }
    findings
}

pub(super) fn names(tree: &Tree) -> Vec<Finding> {
    members(&tree.metadata)
        .iter()
        .filter(|package| package.name.split(['-', '_']).any(|part| EMPTY_NAMES.contains(&part)))
        .map(|package| Finding::new(package.manifest, 0, format!("`{}` names no subject", package.name)))
        .collect()
}
