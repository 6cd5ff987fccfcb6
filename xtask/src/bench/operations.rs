//! Operations that must not grow with the disk: snapshots and their kin, memory, start.

use std::path::Path;
use std::time::Instant;

use serde_json::json;

use super::api::Api;
use super::options::Options;
use super::server::Ashlar;
use super::table::{figure, markdown};
use crate::error::{ErrorKind, Result, XtaskError};
use crate::process;
use crate::workspace::Workspace;

const ZONE: &str = "ap-guangzhou-3";
/// As many disks as one call makes.
const DISKS_PER_CALL: u32 = 100;

/// The engine's own measurement: snapshot, clone and rollback of a large map, deep chains.
const ENGINE_EXAMPLE: &str = "measure";

/// Runs the engine's measurement; its lines are the section.
pub(super) fn engine(workspace: &Workspace, folder: &Path) -> Result<String> {
    let mut command = workspace.cargo();
    command.args([
        "run",
        "--quiet",
        "--release",
        "--package",
        "ashlar-engine",
        "--example",
        ENGINE_EXAMPLE,
        "--",
    ]);
    let mut lines = Vec::new();
    let status = process::watch(command.arg(folder), |line| lines.push(line.to_owned()))?;
    if !status.success() {
        return Err(XtaskError::new(ErrorKind::Failed, format!("the engine's `{ENGINE_EXAMPLE}`: {status}")));
    }
    let head = format!("## Engine\n\nPrinted by `crates/engine/examples/{ENGINE_EXAMPLE}.rs`.");
    Ok(format!("{head}\n\n```text\n{}\n```\n", lines.join("\n")))
}

/// Memory of an idle server and the time of a start, without disks and with many.
pub(super) fn server(workspace: &Workspace, folder: &Path, options: &Options) -> Result<String> {
    let mut rows = vec![
        start_and_measure(workspace, folder, "first start, empty")?,
        start_and_measure(workspace, folder, "start, no disks")?,
    ];
    make_disks(workspace, folder, options.disks)?;
    rows.push(start_and_measure(workspace, folder, &format!("start, {} disks", options.disks))?);
    let head = ["server", "ready after ms", "resident MiB"].map(str::to_owned);
    Ok(format!("## Server\n\n{}", markdown(&head, &rows)))
}

#[allow(clippy::disallowed_methods, reason = "this measures")]
fn start_and_measure(workspace: &Workspace, folder: &Path, name: &str) -> Result<Vec<String>> {
    let start = Instant::now();
    let ashlar = Ashlar::start(workspace, folder)?;
    let ready_ms = start.elapsed().as_secs_f64() * 1000.0;
    #[allow(clippy::cast_precision_loss, reason = "a memory size in KiB fits a float exactly")]
    let resident_mib = ashlar.server.resident_kib()? as f64 / 1024.0;
    ashlar.server.stop()?;
    Ok(vec![name.to_owned(), figure(Some(ready_ms)), figure(Some(resident_mib))])
}

pub(super) fn make_disks(workspace: &Workspace, folder: &Path, count: u32) -> Result<()> {
    let ashlar = Ashlar::start(workspace, folder)?;
    let mut api = Api::start(workspace, &ashlar.data_dir)?;
    let mut left = count;
    while left > 0 {
        let now = left.min(DISKS_PER_CALL);
        let wanted = json!({
            "Placement": {"Zone": ZONE}, "DiskType": "CLOUD_PREMIUM", "DiskChargeType": "POSTPAID_BY_HOUR",
            "DiskSize": 20, "DiskCount": now,
        });
        api.call("CreateDisks", wanted)?;
        left -= now;
        println!("{left} disks to make");
    }
    // Each call is answered with its disks made: no work is left over for the start that is measured.
    let there = api.call("DescribeDisks", json!({}))?["TotalCount"].clone();
    if there != count {
        return Err(XtaskError::new(ErrorKind::Failed, format!("{there} disks instead of {count}")));
    }
    drop(api);
    ashlar.server.stop()
}
