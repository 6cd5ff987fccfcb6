//! Words that stand in no file of the repository.
//!
//! The words are put together from parts, so that this file keeps its own rules.

use super::rust_source::{newlines, stands_alone};
use super::{Finding, Tree};

const DEFERRED_WORK: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

const MACHINE_PATHS: &[&str] =
    &[concat!("/", "work"), concat!("/", "root"), concat!("/", "home"), concat!("/", "Users")];

/// Package registries, their mirrors, and the ways of naming one.
const REGISTRY_HOSTS: &[&str] = &[
    concat!("registry.", "npmjs"),
    concat!("npm", "mirror"),
    concat!("py", "pi.org"),
    concat!("python", "hosted"),
    concat!("static.", "crates.io"),
    concat!("index.", "crates.io"),
    concat!("proxy.", "golang"),
    concat!("arti", "factory"),
    concat!("--index", "-url"),
    concat!("--extra-index", "-url"),
    concat!("\"resolved\"", ": \"http"),
];

/// The only source that Cargo.lock may name: cargo's own word for "the default registry".
const LOCK_FILE: &str = "Cargo.lock";
const LOCK_SOURCE: &str = concat!("source = \"registry+https://github.com/", "rust-lang/crates.io-index\"");

pub(super) fn deferred_work(tree: &Tree) -> Vec<Finding> {
    find(tree, DEFERRED_WORK, |text, at, word| stands_alone(text, at, word.len()), "open an issue instead of")
}

pub(super) fn machine_paths(tree: &Tree) -> Vec<Finding> {
    find(tree, MACHINE_PATHS, begins_a_path, "a path of one machine:")
}

pub(super) fn registry_hosts(tree: &Tree) -> Vec<Finding> {
    let mut findings = find(tree, REGISTRY_HOSTS, |_, _, _| true, "names a package registry:");
    if let Some(lock) = tree.file(LOCK_FILE) {
        for (number, line) in lock.text.lines().enumerate() {
            if line.starts_with("source = ") && line != LOCK_SOURCE {
                findings.push(Finding::new(
                    &lock.path,
                    number + 1,
                    "a package that is not from the default registry",
                ));
            }
        }
    }
    findings
}

/// A path from the root of the file system, and the whole first part of it: neither `/workspace` nor `a/work`.
fn begins_a_path(text: &str, at: usize, word: &str) -> bool {
    let before = text[..at].chars().next_back();
    let after = text[at + word.len()..].chars().next();
    !before.is_some_and(|c| c.is_alphanumeric() || "._-/}~$)*".contains(c))
        && !after.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

fn find(tree: &Tree, words: &[&str], counts: fn(&str, usize, &str) -> bool, message: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.files {
        for word in words {
            let places = file.text.match_indices(word).filter(|(at, word)| counts(&file.text, *at, word));
            findings.extend(places.map(|(at, word)| {
                Finding::new(&file.path, newlines(&file.text[..at]) + 1, format!("{message} `{word}`"))
            }));
        }
    }
    findings
}
