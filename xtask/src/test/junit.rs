//! Reads the counts out of the JUnit XML that pytest writes. Only what pytest writes is understood.

use super::tally::{Skip, Tally};
use crate::error::{ErrorKind, Result, XtaskError};

/// The tests of a report: each `<testcase>` with what happened inside it.
pub(super) fn read(xml: &str) -> Result<Tally> {
    if !xml.contains("<testsuite") {
        return Err(XtaskError::new(ErrorKind::Format, "pytest's report holds no <testsuite>"));
    }
    let mut tally = Tally::default();
    for case in xml.split("<testcase ").skip(1) {
        read_case(case, &mut tally);
    }
    Ok(tally)
}

/// `case` begins inside the opening tag and reaches into what follows the closing one.
fn read_case(case: &str, tally: &mut Tally) {
    let opening = case.find('>').map_or(case, |end| &case[..end]);
    let name = format!("{}::{}", attribute(opening, "classname"), attribute(opening, "name"));
    let body = if opening.ends_with('/') {
        ""
    } else {
        case.split("</testcase>").next().unwrap_or_default().get(opening.len()..).unwrap_or_default()
    };
    if let Some(fault) = ["<failure", "<error"].iter().find_map(|tag| body.find(tag)) {
        tally.failed += 1;
        let message = attribute(&body[fault..], "message");
        tally.failures.push(format!("{name}: {}", message.lines().next().unwrap_or_default()));
    } else if let Some(skip) = body.find("<skipped") {
        tally.skips.push(Skip { name, reason: attribute(&body[skip..], "message") });
    } else {
        tally.passed += 1;
    }
}

/// The value of an attribute of the first tag in `text`; empty when it is not there.
fn attribute(text: &str, name: &str) -> String {
    let opening = format!("{name}=\"");
    let starts = text
        .match_indices(&opening)
        .find(|(at, _)| text[..*at].chars().next_back().is_none_or(char::is_whitespace));
    let value = starts.map_or("", |(at, _)| {
        let rest = &text[at + opening.len()..];
        rest.find('"').map_or("", |end| &rest[..end])
    });
    let entities =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&#10;", "\n"), ("&amp;", "&")];
    entities.iter().fold(value.to_owned(), |text, (entity, character)| text.replace(entity, character))
}
