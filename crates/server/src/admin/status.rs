//! `ashlar status`: how a running server fares.

use std::sync::Arc;

use ashlar_control::{Reconciler, parse_iso, wire_time_iso};
use serde::{Deserialize, Serialize};

use super::health::HealthRecord;
use super::listener::Administrator;
use super::protocol::Answer;
use crate::serve::reconcilers::History;

/// How the server fares, as `--json` shows it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StatusRecord {
    /// What runs by the clock.
    reconcilers: Vec<ReconcilerRecord>,
    /// How the pools are.
    #[serde(flatten)]
    pub(crate) health: HealthRecord,
}

/// How a reconciler has fared since the server started.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReconcilerRecord {
    /// Its name.
    name: String,
    /// When it ran last, ISO 8601; null before the first run.
    last_run: Option<String>,
    /// How long that took.
    last_duration_ms: u64,
    /// What it brought on its way then.
    last_items: u64,
    /// What it could not bring on its way then.
    last_failures: u64,
    /// Why it broke off then, if it did.
    last_error: Option<String>,
    /// How often it has run.
    runs: u64,
    /// What it has brought on its way in all runs.
    items: u64,
    /// What it could not bring on its way in all runs.
    failures: u64,
}

impl ReconcilerRecord {
    fn new(reconciler: Reconciler, history: History) -> Self {
        let History { last_run, last_duration, last, last_error, runs, total } = history;
        Self {
            name: reconciler.name().to_owned(),
            last_run: last_run.map(wire_time_iso),
            last_duration_ms: u64::try_from(last_duration.as_millis()).unwrap_or(u64::MAX),
            last_items: last.items,
            last_failures: last.failures,
            last_error,
            runs,
            items: total.items,
            failures: total.failures,
        }
    }
}

/// Does what is asked.
pub(crate) async fn show(administrator: &Administrator) -> Result<Answer, String> {
    let Administrator { pools, limits, nbd, scrubber, .. } = administrator;
    let health = super::health::health(Arc::clone(pools), limits.clone(), nbd, scrubber).await?;
    let histories = administrator.reconcilers.histories();
    let reconcilers = histories.into_iter().map(|(one, history)| ReconcilerRecord::new(one, history));
    Ok(Answer::Status(StatusRecord { reconcilers: reconcilers.collect(), health }))
}

/// The metric that alarms watch: it stands still when nothing runs.
const LAST_RUN: &str = "ashlar_reconciler_last_run_timestamp_seconds";

/// For Prometheus: the pools, then the reconcilers.
pub(crate) fn to_metrics(status: &StatusRecord) -> String {
    type Figure = (&'static str, &'static str, &'static str, fn(&ReconcilerRecord) -> Option<u64>);
    let figures: [Figure; 5] = [
        ("ashlar_reconciler_runs_total", "counter", "Runs since the start.", |one| Some(one.runs)),
        ("ashlar_reconciler_items_total", "counter", "Things brought on their way.", |one| Some(one.items)),
        ("ashlar_reconciler_failures_total", "counter", "Things that could not be.", |one| {
            Some(one.failures)
        }),
        ("ashlar_reconciler_last_duration_ms", "gauge", "How long the last run took.", |one| {
            Some(one.last_duration_ms)
        }),
        // Nothing before the first run: 0 would be an alarm about 1970.
        (LAST_RUN, "gauge", "When the last run ended, in seconds since 1970.", |one| {
            let time = parse_iso(one.last_run.as_deref()?)?;
            u64::try_from(time.0 / 1000).ok()
        }),
    ];
    let mut lines = vec![super::health::to_metrics(&status.health).trim_end().to_owned()];
    for (name, kind, help, figure) in figures {
        lines.push(format!("# HELP {name} {help}\n# TYPE {name} {kind}"));
        lines.extend(
            status
                .reconcilers
                .iter()
                .filter_map(|one| Some(format!("{name}{{reconciler=\"{}\"}} {}", one.name, figure(one)?))),
        );
    }
    lines.join("\n")
}

/// For people: the pools, then a table.
pub(crate) fn to_text(status: &StatusRecord) -> String {
    let width = status.reconcilers.iter().map(|one| one.name.len()).max().unwrap_or(0);
    let mut lines = vec![super::health::to_text(&status.health), String::new()];
    lines.push(format!(
        "{:<width$}  {:<25}  {:>8}  {:>8}  {:>8}  {:>8}  LAST ERROR",
        "RECONCILER", "LAST RUN", "MS", "RUNS", "ITEMS", "FAILURES"
    ));
    lines.extend(status.reconcilers.iter().map(|one| {
        format!(
            "{:<width$}  {:<25}  {:>8}  {:>8}  {:>8}  {:>8}  {}",
            one.name,
            one.last_run.as_deref().unwrap_or("-"),
            one.last_duration_ms,
            one.runs,
            one.items,
            one.failures,
            one.last_error.as_deref().unwrap_or("-"),
        )
    }));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ashlar_control::Reconciled;
    use ashlar_types::UnixMillis;

    use super::*;
    use crate::scrub::ScrubRecord;

    fn status(last_run: Option<UnixMillis>) -> StatusRecord {
        let history = History {
            last_run,
            last_duration: Duration::from_millis(7),
            last: Reconciled { items: 2, failures: 1 },
            runs: 3,
            total: Reconciled { items: 5, failures: 1 },
            ..History::default()
        };
        let health = serde_json::json!({
            "pools": [], "nbd": {"connections": 0, "exports": []}, "scrub": ScrubRecord::default(),
        });
        let health: HealthRecord = serde_json::from_value(health).unwrap();
        StatusRecord { reconcilers: vec![ReconcilerRecord::new(Reconciler::Usage, history)], health }
    }

    #[test]
    fn a_reconciler_says_when_it_ran_how_long_and_what_came_of_it() {
        let text = to_metrics(&status(Some(UnixMillis(1_767_225_600_999))));
        for line in [
            "ashlar_reconciler_last_run_timestamp_seconds{reconciler=\"usage\"} 1767225600",
            "ashlar_reconciler_last_duration_ms{reconciler=\"usage\"} 7",
            "ashlar_reconciler_runs_total{reconciler=\"usage\"} 3",
            "ashlar_reconciler_items_total{reconciler=\"usage\"} 5",
            "ashlar_reconciler_failures_total{reconciler=\"usage\"} 1",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is not in\n{text}");
        }
        assert!(!to_metrics(&status(None)).contains("timestamp_seconds{"), "it has not run");
    }
}
