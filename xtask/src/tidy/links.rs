//! Rules about Markdown files.

use super::{Finding, SourceFile, Tree};

const CHANGELOG: &str = "CHANGELOG.md";

pub(super) fn changelog(tree: &Tree) -> Vec<Finding> {
    let heading = |line: &str| line.trim_end() == "## Unreleased";
    let there = tree.file(CHANGELOG).is_some_and(|file| file.text.lines().any(heading));
    if there { Vec::new() } else { vec![Finding::new(CHANGELOG, 0, "no section `## Unreleased`")] }
}

pub(super) fn links(tree: &Tree) -> Vec<Finding> {
    let documents = tree.files.iter().filter(|file| file.path.ends_with(".md"));
    documents.flat_map(|file| broken_links(tree, file)).collect()
}

fn broken_links(tree: &Tree, file: &SourceFile) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in lines_outside_fences(&file.text) {
        for target in targets(line) {
            if let Some(message) = fault(tree, file, target) {
                findings.push(Finding::new(&file.path, number, message));
            }
        }
    }
    findings
}

fn lines_outside_fences(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(number, line)| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            return None;
        }
        (!fenced).then_some((number + 1, line))
    })
}

fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, opening)| {
        let rest = &line[at + opening.len()..];
        rest.find(')').map(|end| &rest[..end])
    })
}

/// What is wrong with a link; links out of the repository are not followed.
fn fault(tree: &Tree, from: &SourceFile, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (path, anchor) = target.split_once('#').map_or((target, None), |(path, anchor)| (path, Some(anchor)));
    let path = if path.is_empty() { Some(from.path.clone()) } else { resolve(&from.path, path) };
    let Some(path) = path else { return Some(format!("`{target}` leads out of the repository")) };
    let Some(file) = tree.file(&path) else {
        let folder = format!("{path}/");
        let is_folder = tree.files.iter().any(|file| file.path.starts_with(&folder));
        return (!is_folder).then(|| format!("`{target}` does not exist"));
    };
    let anchor = anchor?;
    let mut headings = lines_outside_fences(&file.text).filter(|(_, line)| line.starts_with('#'));
    let found = headings.any(|(_, line)| anchor_of(line) == anchor);
    (!found).then(|| format!("`{target}`: no such heading"))
}

/// The path that `to` means in a document at `from`; none when it climbs above the root.
fn resolve(from: &str, to: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in to.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The anchor that renderers make from a heading.
fn anchor_of(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}
