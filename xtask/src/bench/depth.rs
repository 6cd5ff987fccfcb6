//! What a long chain of snapshots costs a reader: the same reads on a disk without any and on one with many.

use std::path::Path;

use serde_json::json;

use super::api::Api;
use super::cells::{Disk, await_state, make_attached_disks};
use super::fio::{self, Extent, LOADS, Load, SIZE_GIB};
use super::options::Options;
use super::server::{self, Ashlar};
use super::table::{figure, markdown, median, ratio};
use crate::error::Result;
use crate::workspace::Workspace;

const SNAPSHOTS: u32 = 500;
/// The random reads of the table that use one connection.
const READS: [Load; 2] = [LOADS[0], LOADS[2]];

/// Measures and gives the section of the document.
pub(super) fn measure(workspace: &Workspace, folder: &Path, options: &Options) -> Result<String> {
    let ashlar = Ashlar::start(workspace, folder)?;
    let mut api = Api::start(workspace, &ashlar.data_dir)?;
    let disks = make_attached_disks(workspace, &ashlar, &mut api, &[Disk::Plain; 2])?;
    let uris: Vec<String> = disks.iter().map(|disk| server::uri(&ashlar.socket(), disk)).collect();
    for uri in &uris {
        println!("filling {SIZE_GIB} GiB");
        fio::fill(workspace, uri, folder)?;
    }
    // Rewrites go on all the time, so every snapshot freezes blocks of its own.
    let writer = fio::write_in_background(workspace, &uris[1], folder)?;
    for number in 0..SNAPSHOTS {
        let name = format!("depth-{number}");
        api.call("CreateSnapshot", json!({"DiskId": disks[1], "SnapshotName": name}))?;
    }
    drop(writer);
    await_state(&mut api, &disks[1], "ATTACHED")?;
    let answer = api.call("DescribeDisks", json!({"DiskIds": [disks[1]]}))?;
    let held_mib = &answer["DiskSet"][0]["SnapshotSize"];
    println!("{SNAPSHOTS} snapshots hold {held_mib} MiB");
    let mut rows = Vec::new();
    for load in READS {
        rows.push(row(workspace, folder, options, &uris, load)?);
    }
    drop(api);
    ashlar.server.stop()?;
    let head = ["load", "no snapshot", &format!("{SNAPSHOTS} snapshots"), "ratio"].map(str::to_owned);
    Ok(format!(
        "## Depth of snapshots\n\n\
         Two disks of one server, {SIZE_GIB} GiB filled, in the page cache; the second was written at random while \
         {SNAPSHOTS} snapshots were taken of it, which hold {held_mib} MiB. Thousand reads a second over NBD.\n\n{}",
        markdown(&head, &rows)
    ))
}

/// Both disks in turn, after one run of each that is not counted: it brings the map into memory.
fn row(
    workspace: &Workspace,
    folder: &Path,
    options: &Options,
    uris: &[String],
    load: Load,
) -> Result<Vec<String>> {
    let mut samples = vec![Vec::new(); uris.len()];
    for round in 0..=options.rounds {
        for (uri, samples) in uris.iter().zip(&mut samples) {
            let outcome = fio::run(workspace, uri, folder, load, Extent::Seconds(options.seconds))?;
            if round > 0 {
                samples.push(outcome.operations_per_s / 1000.0);
            }
        }
    }
    let medians: Vec<Option<f64>> = samples.iter().map(|samples| median(samples)).collect();
    let mut cells = vec![load.name.to_owned()];
    cells.extend(medians.iter().map(|speed| figure(*speed)));
    cells.push(figure(ratio(medians[1], medians[0])));
    println!("{}", cells.join(", "));
    Ok(cells)
}
