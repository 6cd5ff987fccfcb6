//! The comparison for people.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::description::Description;
use super::gaps::Gap;

const HEAD: &str = "\
# Coverage of the API

Written by `cargo xtask coverage` from the vendor's own description of `cbs` 2017-03-12 (the one in the `tccli`
package that `tests/e2e/requirements.txt` names) and from the types in `crates/api`. Do not edit.
";

/// `docs/coverage.md`.
pub(super) fn markdown(vendor: &Description, ours: &Description, gaps: &BTreeSet<Gap>) -> String {
    let there = vendor.actions.keys().filter(|name| ours.actions.contains_key(*name)).count();
    let mut text = HEAD.to_owned();
    // Writing into a String cannot fail.
    let _ = write!(text, "\n{there} of {} actions exist.\n", vendor.actions.len());
    text.push_str("\n| action | there | members that differ |\n|---|---|---|\n");
    for name in vendor.actions.keys() {
        let there = ours.actions.contains_key(name);
        let count = differing(gaps, name).count();
        let differ = if there { count.to_string() } else { String::new() };
        let _ = writeln!(text, "| {name} | {} | {differ} |", if there { "yes" } else { "not yet" });
    }
    text.push_str(&differences(vendor, gaps));
    text.push_str(&own_actions(vendor, ours));
    text
}

fn differing<'a>(gaps: &'a BTreeSet<Gap>, wanted: &'a str) -> impl Iterator<Item = &'a Gap> {
    gaps.iter().filter(move |gap| matches!(gap, Gap::Member { action, .. } if action == wanted))
}

fn differences(vendor: &Description, gaps: &BTreeSet<Gap>) -> String {
    let mut text = String::from("\n## Parameters and fields that differ\n\n");
    let lines = vendor.actions.keys().flat_map(|name| differing(gaps, name));
    let lines: String = lines.map(|gap| format!("- {gap}\n")).collect();
    text.push_str(if lines.is_empty() { "None.\n" } else { &lines });
    text
}

fn own_actions(vendor: &Description, ours: &Description) -> String {
    let own: Vec<&str> =
        ours.actions.keys().filter(|name| !vendor.actions.contains_key(*name)).map(String::as_str).collect();
    if own.is_empty() {
        String::new()
    } else {
        format!("\n## Actions of other products\n\n{}\n", own.join(", "))
    }
}
