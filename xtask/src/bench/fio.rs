//! One run of fio against an NBD export.

use std::path::Path;

use serde_json::Value;

use super::server::Running;
use crate::error::{Context, ErrorKind, Result, XtaskError};
use crate::process;
use crate::workspace::Workspace;

/// The part of each disk that is used, in GiB. All of it is in the page cache.
pub(super) const SIZE_GIB: u32 = 4;

/// What a run does: one line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) name: &'static str,
    /// fio's word for the pattern.
    pattern: &'static str,
    block_kib: u32,
    depth: u32,
    /// Each on a connection of its own.
    connections: u32,
    /// The part of the disk that is used.
    size_gib: u32,
}

impl Load {
    /// Operations a second that make one of the unit in which its speed is given: a thousand, or what moves 1 MiB.
    pub(super) fn unit(self) -> f64 {
        if self.block_kib == 4 { 1000.0 } else { 1024.0 / f64::from(self.block_kib) }
    }

    /// The same on another part of the disk.
    pub(super) const fn of_gib(self, size_gib: u32) -> Self {
        Self { size_gib, ..self }
    }
}

const fn load(
    name: &'static str,
    pattern: &'static str,
    block_kib: u32,
    depth: u32,
    connections: u32,
) -> Load {
    Load { name, pattern, block_kib, depth, connections, size_gib: SIZE_GIB }
}

/// Random loads come before sequential ones: a sequential read fills the page cache with large folios, after
/// which small random writes are several times slower for every server.
pub(super) const LOADS: [Load; 8] = [
    load("4 KiB random read, depth 1", "randread", 4, 1, 1),
    load("4 KiB random write, depth 1", "randwrite", 4, 1, 1),
    load("4 KiB random read, depth 32", "randread", 4, 32, 1),
    load("4 KiB random write, depth 32", "randwrite", 4, 32, 1),
    load("4 KiB random read, 4 connections x 8", "randread", 4, 8, 4),
    load("4 KiB random write, 4 connections x 8", "randwrite", 4, 8, 4),
    load("1 MiB sequential read, depth 4", "read", 1024, 4, 1),
    load("1 MiB sequential write, depth 4", "write", 1024, 4, 1),
];

/// The loads past the page cache.
pub(super) const DIRECT_LOADS: [Load; 4] = [
    load("4 KiB random read, depth 32", "randread", 4, 32, 1),
    load("4 KiB random write, depth 32", "randwrite", 4, 32, 1),
    load("4 KiB random read, 4 connections x 8", "randread", 4, 8, 4),
    load("4 KiB random write, 4 connections x 8", "randwrite", 4, 8, 4),
];

/// The loads that find nothing in the page cache.
pub(super) const COLD_LOADS: [Load; 2] = [
    load("4 KiB random read, depth 32", "randread", 4, 32, 1),
    load("4 KiB random read, 4 connections x 8", "randread", 4, 8, 4),
];

/// The loads on a disk that was filled by large writes, as an imported image is.
pub(super) const IMPORTED_LOADS: [Load; 4] = [
    load("4 KiB random read, depth 32", "randread", 4, 32, 1),
    load("4 KiB random write, depth 32", "randwrite", 4, 32, 1),
    load("4 KiB random write, 4 connections x 8", "randwrite", 4, 8, 4),
    load("1 MiB sequential write, depth 4", "write", 1024, 4, 1),
];

/// How long a run lasts.
#[derive(Debug, Clone, Copy)]
pub(super) enum Extent {
    Seconds(u32),
    /// So many seconds, and no block twice before all were met.
    SecondsOfNewBlocks(u32),
    /// Each byte once.
    Whole,
}

/// What a run did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Outcome {
    pub(super) operations: u64,
    pub(super) operations_per_s: f64,
}

/// Writes every byte in 4 KiB steps, in order: data in the page cache, in folios of the same size for each server.
pub(super) fn fill(workspace: &Workspace, uri: &str, folder: &Path) -> Result<Outcome> {
    fill_gib(workspace, uri, folder, SIZE_GIB)
}

/// Writes every byte in 1 MiB steps, in order. The page cache then has folios as large as each server makes them.
pub(super) fn fill_by_large_writes(workspace: &Workspace, uri: &str, folder: &Path) -> Result<Outcome> {
    run(workspace, uri, folder, load("fill", "write", 1024, 4, 1), Extent::Whole)
}

/// The same as `fill` of another part of the disk.
pub(super) fn fill_gib(workspace: &Workspace, uri: &str, folder: &Path, size_gib: u32) -> Result<Outcome> {
    run(workspace, uri, folder, load("fill", "write", 4, 32, 1).of_gib(size_gib), Extent::Whole)
}

/// Reads every byte, so that all is in the page cache: a machine may page out by itself what was not used for a while. Those
/// whose data it has kept lose nothing by it.
pub(super) fn warm(workspace: &Workspace, uri: &str, folder: &Path) -> Result<Outcome> {
    run(workspace, uri, folder, load("warm", "read", 64, 8, 1), Extent::Whole)
}

pub(super) fn run(
    workspace: &Workspace,
    uri: &str,
    folder: &Path,
    load: Load,
    extent: Extent,
) -> Result<Outcome> {
    let engine = ["--ioengine=nbd".to_owned(), format!("--uri={uri}")];
    run_with(workspace, &engine, folder, load, extent)
}

/// The same on a file, past the page cache, without any server.
pub(super) fn run_on_file(
    workspace: &Workspace,
    file: &Path,
    folder: &Path,
    load: Load,
    extent: Extent,
) -> Result<Outcome> {
    let engine =
        ["--ioengine=io_uring".to_owned(), "--direct=1".to_owned(), format!("--filename={}", file.display())];
    run_with(workspace, &engine, folder, load, extent)
}

/// Writes every byte of a file.
pub(super) fn fill_file(workspace: &Workspace, file: &Path, folder: &Path) -> Result<Outcome> {
    run_on_file(workspace, file, folder, load("fill", "write", 1024, 4, 1), Extent::Whole)
}

fn run_with(
    workspace: &Workspace,
    engine: &[String],
    folder: &Path,
    load: Load,
    extent: Extent,
) -> Result<Outcome> {
    let mut command = workspace.command("fio");
    // fio leaves its state files where it stands.
    command.current_dir(folder);
    command.args(["--name=bench", "--thread", "--group_reporting", "--output-format=json"]);
    command.args(engine).arg(format!("--rw={}", load.pattern));
    command.arg(format!("--bs={}k", load.block_kib)).arg(format!("--iodepth={}", load.depth));
    command.arg(format!("--numjobs={}", load.connections)).arg(format!("--size={}g", load.size_gib));
    match extent {
        Extent::Seconds(seconds) => {
            command.args(["--time_based", "--norandommap"]).arg(format!("--runtime={seconds}"));
        }
        Extent::SecondsOfNewBlocks(seconds) => {
            // Another order in each run than in the one before.
            command.args(["--time_based", "--randrepeat=0"]).arg(format!("--runtime={seconds}"));
        }
        Extent::Whole => {}
    }
    outcome(&process::output(&mut command)?)
}

/// Writes at random until the value is dropped.
pub(super) fn write_in_background(workspace: &Workspace, uri: &str, folder: &Path) -> Result<Running> {
    let mut command = workspace.command("fio");
    command.current_dir(folder).stdout(std::process::Stdio::null());
    command.args(["--name=writer", "--ioengine=nbd", "--thread", "--rw=randwrite", "--bs=4k", "--iodepth=8"]);
    command.args(["--time_based", "--norandommap", "--runtime=3600"]);
    command.arg(format!("--uri={uri}")).arg(format!("--size={SIZE_GIB}g"));
    Running::start(&mut command, "fio")
}

/// Reads fio's JSON. Messages may stand before it.
pub(super) fn outcome(output: &str) -> Result<Outcome> {
    let start = output.find('{').unwrap_or(0);
    let report: Value =
        serde_json::from_str(&output[start..]).context(ErrorKind::Format, || "fio's report".to_owned())?;
    let job = &report["jobs"][0];
    let mut outcome = Outcome { operations: 0, operations_per_s: 0.0 };
    for direction in ["read", "write"] {
        outcome.operations += job[direction]["total_ios"].as_u64().unwrap_or(0);
        outcome.operations_per_s += job[direction]["iops"].as_f64().unwrap_or(0.0);
    }
    if job["error"] != 0 || outcome.operations == 0 {
        return Err(XtaskError::new(ErrorKind::Failed, format!("fio did nothing: error {}", job["error"])));
    }
    Ok(outcome)
}
