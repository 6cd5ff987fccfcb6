//! Rules about Cargo.toml files.

use super::{Finding, Tree};

pub(super) fn workspace_lints(tree: &Tree) -> Vec<Finding> {
    let manifests = tree.files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    manifests
        .filter_map(|file| match file.text.parse::<toml::Table>() {
            Err(error) => Some(Finding::new(&file.path, 0, error.to_string())),
            Ok(manifest) => {
                let inherits = manifest.get("lints").and_then(|lints| lints.get("workspace")?.as_bool());
                (inherits != Some(true))
                    .then(|| Finding::new(&file.path, 0, "add `[lints]` with `workspace = true`"))
            }
        })
        .collect()
}
