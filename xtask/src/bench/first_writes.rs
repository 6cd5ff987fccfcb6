//! First writes to blocks after a snapshot, beside overwrites; the peer is an image with snapshots of its own.

use std::path::Path;

use serde_json::json;

use super::api::Api;
use super::cells::{Disk, await_state, make_attached_disks};
use super::fio::{self, Extent, LOADS, Load, SIZE_GIB};
use super::options::Options;
use super::server::{self, Ashlar};
use super::table::{figure, markdown, median, ratio};
use crate::error::Result;
use crate::process;
use crate::workspace::Workspace;

/// 4 KiB at random, one connection of depth 32.
const WRITES: Load = LOADS[3];

/// Speeds of one server, a sample a round.
#[derive(Default)]
struct Speeds {
    overwrites: Vec<f64>,
    first_writes: Vec<f64>,
}

/// Measures and gives the section of the document.
pub(super) fn measure(workspace: &Workspace, folder: &Path, options: &Options) -> Result<String> {
    let ashlar = Ashlar::start(workspace, folder)?;
    let mut api = Api::start(workspace, &ashlar.data_dir)?;
    let disk = make_attached_disks(workspace, &ashlar, &mut api, &[Disk::Plain])?.remove(0);
    let uri = server::uri(&ashlar.socket(), &disk);
    fio::fill(workspace, &uri, folder)?;
    let image = folder.join("image.qcow2");
    let mut make = workspace.command("qemu-img");
    process::output(make.args(["create", "-q", "-f", "qcow2"]).arg(&image).arg(format!("{SIZE_GIB}G")))?;
    let filled = server::qemu_nbd_qcow2(workspace, folder, &image)?;
    fio::fill(workspace, &filled.uri, folder)?;
    filled.server.stop()?;

    let (mut ours, mut peer) = (Speeds::default(), Speeds::default());
    let overwrites = Extent::Seconds(options.seconds);
    let first_writes = Extent::SecondsOfNewBlocks(options.seconds);
    for round in 0..options.rounds {
        let snapshot = format!("round-{round}");
        ours.overwrites.push(speed(workspace, folder, &uri, overwrites)?);
        api.call("CreateSnapshot", json!({"DiskId": disk, "SnapshotName": snapshot}))?;
        await_state(&mut api, &disk, "ATTACHED")?;
        ours.first_writes.push(speed(workspace, folder, &uri, first_writes)?);

        let served = server::qemu_nbd_qcow2(workspace, folder, &image)?;
        peer.overwrites.push(speed(workspace, folder, &served.uri, overwrites)?);
        served.server.stop()?;
        process::output(workspace.command("qemu-img").args(["snapshot", "-c", &snapshot]).arg(&image))?;
        let served = server::qemu_nbd_qcow2(workspace, folder, &image)?;
        peer.first_writes.push(speed(workspace, folder, &served.uri, first_writes)?);
        served.server.stop()?;
    }
    drop(api);
    ashlar.server.stop()?;
    let head = ["server", "overwrites", "first writes", "ratio"].map(str::to_owned);
    let rows =
        [("ashlar", &ours), ("qemu-nbd, qcow2 with internal snapshots", &peer)].map(|(name, speeds)| {
            let (over, first) = (median(&speeds.overwrites), median(&speeds.first_writes));
            let cells = [over, first, ratio(first, over)].map(figure);
            println!("{name}: {}", cells.join(" "));
            [vec![name.to_owned()], cells.to_vec()].concat()
        });
    Ok(format!(
        "## First writes after a snapshot\n\n\
         {}, {SIZE_GIB} GiB filled, in the page cache; before each run of first writes a snapshot is taken, \
         {} in all. Thousand operations a second.\n\n{}",
        WRITES.name,
        options.rounds,
        markdown(&head, &rows)
    ))
}

fn speed(workspace: &Workspace, folder: &Path, uri: &str, extent: Extent) -> Result<f64> {
    // Dirty pages of the run before are written out now, not during this one.
    process::output(workspace.command("sync").arg("--file-system").arg(folder))?;
    Ok(fio::run(workspace, uri, folder, WRITES, extent)?.operations_per_s / WRITES.unit())
}
