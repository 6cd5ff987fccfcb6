//! Medians, ratios and Markdown.

use std::fmt::Write;

/// The middle of some figures; the mean of the two middle ones when there is no middle. None of none.
pub(super) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = if sorted.len().is_multiple_of(2) { sorted.get(sorted.len() / 2 - 1)? } else { upper };
    Some(f64::midpoint(*lower, *upper))
}

/// A figure with as many digits as mean something.
pub(super) fn figure(value: Option<f64>) -> String {
    match value {
        None => "-".to_owned(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

pub(super) fn ratio(over: Option<f64>, under: Option<f64>) -> Option<f64> {
    over.zip(under).filter(|(_, under)| *under > 0.0).map(|(over, under)| over / under)
}

/// A Markdown table.
pub(super) fn markdown(head: &[String], rows: &[Vec<String>]) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text
}
