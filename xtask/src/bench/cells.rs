//! Reads and writes over NBD: each load on each server, taking turns.

use std::path::Path;

use serde_json::json;

use super::api::{Api, text};
use super::fio::{self, Extent, IMPORTED_LOADS, LOADS, Load, SIZE_GIB};
use super::options::Options;
use super::server::{self, Ashlar, Export};
use super::table::{figure, markdown, median, ratio};
use crate::error::{Context, ErrorKind, Result, XtaskError};
use crate::process;
use crate::workspace::Workspace;

const ZONE: &str = "ap-guangzhou-3";
/// The smallest disk that every type allows; as much of it is used as the other servers have.
const DISK_GIB: u32 = 20;

/// A server with what was measured on it: for each load, a sample a round.
struct Peer {
    name: String,
    export: Export,
    samples: Vec<Vec<Sample>>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub(super) operations_per_s: f64,
    /// Processor time of the server for one operation, in microseconds.
    pub(super) processor_us: f64,
}

/// What is measured, and how the section begins.
struct Cells {
    title: &'static str,
    about: &'static str,
    loads: &'static [Load],
    is_filled_by_large_writes: bool,
}

const SMALL: Cells = Cells {
    title: "Reads and writes",
    about: "all of it is read before each run",
    loads: &LOADS,
    is_filled_by_large_writes: false,
};

const IMPORTED: Cells = Cells {
    title: "After writes of 1 MiB",
    about: "written in steps of 1 MiB, as images are imported, and all of it read before each run",
    loads: &IMPORTED_LOADS,
    is_filled_by_large_writes: true,
};

/// Measures disks that were filled by small writes, and gives the section of the document.
pub(super) fn measure(workspace: &Workspace, folder: &Path, options: &Options) -> Result<String> {
    measure_cells(workspace, folder, options, &SMALL)
}

/// Measures disks that were filled by large writes.
pub(super) fn measure_imported(workspace: &Workspace, folder: &Path, options: &Options) -> Result<String> {
    measure_cells(workspace, folder, options, &IMPORTED)
}

fn measure_cells(workspace: &Workspace, folder: &Path, options: &Options, cells: &Cells) -> Result<String> {
    let ticks_per_s = processor_ticks_per_s(workspace)?;
    let mut peers = Vec::new();
    for name in &options.peers {
        let export = start(workspace, folder, name)?;
        println!("filling {SIZE_GIB} GiB of {name}");
        let fill = if cells.is_filled_by_large_writes { fio::fill_by_large_writes } else { fio::fill };
        fill(workspace, &export.uri, folder)?;
        peers.push(Peer { name: name.clone(), export, samples: vec![Vec::new(); cells.loads.len()] });
    }
    for (index, load) in cells.loads.iter().enumerate() {
        for round in 0..options.rounds as usize {
            // Another one begins each round, so that nobody always runs after the same neighbour.
            let first = round % peers.len();
            for turn in 0..peers.len() {
                let at = (first + turn) % peers.len();
                let peer = &mut peers[at];
                fio::warm(workspace, &peer.export.uri, folder)?;
                let sample = sample(workspace, folder, &peer.export, *load, options, ticks_per_s)?;
                println!(
                    "{}, round {}: {} {} k/s, {} us",
                    load.name,
                    round + 1,
                    peer.name,
                    figure(Some(sample.operations_per_s / 1000.0)),
                    figure(Some(sample.processor_us)),
                );
                peer.samples[index].push(sample);
            }
        }
    }
    let section = section(&peers, cells);
    for peer in peers {
        peer.export.server.stop()?;
    }
    Ok(section)
}

/// The unit of processor times.
pub(super) fn processor_ticks_per_s(workspace: &Workspace) -> Result<f64> {
    process::output(workspace.command("getconf").arg("CLK_TCK"))?
        .trim()
        .parse()
        .context(ErrorKind::Format, || "getconf CLK_TCK".to_owned())
}

fn start(workspace: &Workspace, folder: &Path, name: &str) -> Result<Export> {
    match name {
        "ashlar" => attached_disk(workspace, folder, &[]),
        "qemu-nbd" => server::qemu_nbd(workspace, folder),
        "nbdkit" => server::nbdkit(workspace, folder),
        other => Err(XtaskError::new(ErrorKind::Usage, format!("bench: no peer `{other}`"))),
    }
}

/// A server with one disk, created and attached through the API.
pub(super) fn attached_disk(workspace: &Workspace, folder: &Path, flags: &[&str]) -> Result<Export> {
    let ashlar = Ashlar::start_with(workspace, folder, flags)?;
    let mut api = Api::start(workspace, &ashlar.data_dir)?;
    let disks = make_attached_disks(workspace, &ashlar, &mut api, &[Disk::Plain])?;
    let uri = server::uri(&ashlar.socket(), &disks[0]);
    Ok(Export { server: ashlar.server, uri })
}

/// What is wanted of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disk {
    Plain,
    Encrypted,
}

/// Makes disks and attaches them to one new instance; gives their ids.
pub(super) fn make_attached_disks(
    workspace: &Workspace,
    ashlar: &Ashlar,
    api: &mut Api,
    wanted: &[Disk],
) -> Result<Vec<String>> {
    let mut add = workspace.command(workspace.release_binary());
    add.args(["instance", "add", "--zone", ZONE, "--data-dir"]).arg(&ashlar.data_dir);
    let instance = process::output(&mut add)?.trim().to_owned();
    let mut disks = Vec::new();
    for disk in wanted {
        let mut request = json!({
            "Placement": {"Zone": ZONE}, "DiskType": "CLOUD_PREMIUM", "DiskChargeType": "POSTPAID_BY_HOUR",
            "DiskSize": DISK_GIB,
        });
        if *disk == Disk::Encrypted {
            request["Encrypt"] = json!("ENCRYPT");
        }
        disks.push(text(&api.call("CreateDisks", request)?["DiskIdSet"][0])?);
    }
    for disk in &disks {
        await_state(api, disk, "UNATTACHED")?;
    }
    api.call("AttachDisks", json!({"InstanceId": instance, "DiskIds": &disks}))?;
    for disk in &disks {
        await_state(api, disk, "ATTACHED")?;
    }
    Ok(disks)
}

/// Asks until the disk is in this state. Each call takes the server a moment, so the loop is bounded by calls.
pub(super) fn await_state(api: &mut Api, disk: &str, state: &str) -> Result<()> {
    const CALLS_MAX: usize = 20_000;
    for _ in 0..CALLS_MAX {
        let answer = api.call("DescribeDisks", json!({"DiskIds": [disk]}))?;
        if answer["DiskSet"][0]["DiskState"] == state {
            return Ok(());
        }
    }
    Err(XtaskError::new(ErrorKind::Failed, format!("{disk} does not become {state}")))
}

pub(super) fn sample(
    workspace: &Workspace,
    folder: &Path,
    export: &Export,
    load: Load,
    options: &Options,
    ticks_per_s: f64,
) -> Result<Sample> {
    // Dirty pages of the run before are written out now, not during this one.
    process::output(workspace.command("sync").arg("--file-system").arg(folder))?;
    let before = export.server.processor_ticks()?;
    let outcome = fio::run(workspace, &export.uri, folder, load, Extent::Seconds(options.seconds))?;
    let ticks = export.server.processor_ticks()?.saturating_sub(before);
    #[allow(clippy::cast_precision_loss, reason = "a few seconds of operations fit a float exactly")]
    let processor_us = ticks as f64 / ticks_per_s * 1e6 / outcome.operations as f64;
    Ok(Sample { operations_per_s: outcome.operations_per_s, processor_us })
}

/// The table: speed of each server, its ratio to the others, and the processor time of an operation.
fn section(peers: &[Peer], cells: &Cells) -> String {
    let (first, others) = match peers.split_first() {
        Some(split) => split,
        None => return String::new(),
    };
    let mut head = vec!["load".to_owned()];
    head.extend(peers.iter().map(|peer| peer.name.clone()));
    head.extend(others.iter().map(|peer| format!("{} / {}", first.name, peer.name)));
    head.extend(peers.iter().map(|peer| format!("{} CPU us", peer.name)));
    let Cells { title, about, .. } = cells;
    let rows: Vec<Vec<String>> =
        cells.loads.iter().enumerate().map(|(index, load)| row(peers, index, *load)).collect();
    format!(
        "## {title}\n\n\
         fio's NBD client over a unix socket, {SIZE_GIB} GiB in the page cache: {about}. Speeds in thousand operations a \
         second for 4 KiB, in MiB/s for 1 MiB; CPU is the server's processor time for one operation. On one \
         connection fio itself is near its limit, so CPU and the rows with four connections say more.\n\n{}",
        markdown(&head, &rows)
    )
}

fn row(peers: &[Peer], index: usize, load: Load) -> Vec<String> {
    let unit = load.unit();
    let of = |peer: &Peer, what: fn(&Sample) -> f64| {
        median(&peer.samples[index].iter().map(what).collect::<Vec<_>>())
    };
    let speeds: Vec<Option<f64>> = peers
        .iter()
        .map(|peer| of(peer, |sample| sample.operations_per_s).map(|speed| speed / unit))
        .collect();
    let mut cells = vec![load.name.to_owned()];
    cells.extend(speeds.iter().map(|speed| figure(*speed)));
    cells.extend(speeds.iter().skip(1).map(|other| figure(ratio(speeds[0], *other))));
    cells.extend(peers.iter().map(|peer| figure(of(peer, |sample| sample.processor_us))));
    cells
}
