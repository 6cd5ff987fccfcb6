//! The comparison for people.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::gaps::Gap;
use super::{Product, Reasons};

const HEAD: &str = "\
# Coverage of the API

Written by `cargo xtask coverage` from the vendor's own descriptions of its products (those in the `tccli` package
that `tests/e2e/requirements.txt` names) and from the types in `crates/api`. Do not edit. The reasons for what is not
there are in `coverage-gaps.json`.
";

/// `docs/coverage.md`.
pub(super) fn markdown(products: &[Product], reasons: &Reasons) -> String {
    let (whole, others): (Vec<&Product>, Vec<&Product>) =
        products.iter().partition(|product| product.is_wanted_whole());
    HEAD.to_owned()
        + &whole.into_iter().chain(others).map(|product| section(product, reasons)).collect::<String>()
}

fn section(product: &Product, reasons: &Reasons) -> String {
    let gaps = product.gaps();
    let (vendor, ours) = (&product.vendor.actions, &product.ours.actions);
    let mut text = format!("\n## `{}` {}\n\n", product.name, product.version);
    // Writing into a String cannot fail.
    if product.is_wanted_whole() {
        let there = vendor.keys().filter(|name| ours.contains_key(*name)).count();
        let _ = write!(text, "{there} of {} actions exist.\n\n", vendor.len());
    }
    text.push_str("| action | there | members that differ |\n|---|---|---|\n");
    for name in vendor.keys().filter(|name| product.is_wanted_whole() || ours.contains_key(*name)) {
        let there = ours.contains_key(name);
        let differ = if there { differing(&gaps, name).count().to_string() } else { String::new() };
        let _ = writeln!(text, "| {name} | {} | {differ} |", if there { "yes" } else { "not yet" });
    }
    for name in ours.keys().filter(|name| !vendor.contains_key(*name)) {
        let _ = writeln!(text, "| {name} | not in the description |  |");
    }
    let missing = gaps.iter().filter(|gap| matches!(gap, Gap::Action { .. }));
    text.push_str(&listed("Actions that are not there, and why", missing, reasons));
    let members = vendor.keys().flat_map(|name| differing(&gaps, name));
    text.push_str(&listed("Parameters and fields that differ, and why", members, reasons));
    text
}

/// A list of gaps, each with its reason, under a heading; nothing if there is none.
fn listed<'a>(heading: &str, gaps: impl Iterator<Item = &'a Gap>, reasons: &Reasons) -> String {
    let line = |gap: &Gap| {
        let name = gap.to_string();
        let reason = reasons.get(&name).map_or("", String::as_str);
        format!("- {name}: {reason}\n")
    };
    let lines: String = gaps.map(line).collect();
    if lines.is_empty() { lines } else { format!("\n{heading}:\n\n{lines}") }
}

fn differing<'a>(gaps: &'a BTreeSet<Gap>, wanted: &'a str) -> impl Iterator<Item = &'a Gap> {
    gaps.iter().filter(move |gap| matches!(gap, Gap::Member { action, .. } if action == wanted))
}
