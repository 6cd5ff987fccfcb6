//! What encryption costs: the same loads on four disks of one server, two of them encrypted.
//!
//! Two of each kind, because two disks differ by what memory their pages got, up to a quarter: made first and last, and in
//! between, so that a slope over the disks is on neither side.

use std::path::Path;

use super::api::Api;
use super::cells::{Disk, make_attached_disks, processor_ticks_per_s, sample};
use super::fio::{self, LOADS};
use super::options::Options;
use super::server::{self, Ashlar, Export};
use super::table::{figure, markdown, median, ratio};
use crate::error::Result;
use crate::workspace::Workspace;

const DISKS: [Disk; 4] = [Disk::Plain, Disk::Encrypted, Disk::Encrypted, Disk::Plain];
/// The part of each disk that is used: together as much as elsewhere.
const SIZE_GIB: u32 = 2;

/// Measures and gives the section of the document.
pub(super) fn measure(workspace: &Workspace, folder: &Path, options: &Options) -> Result<String> {
    let ticks_per_s = processor_ticks_per_s(workspace)?;
    let ashlar = Ashlar::start(workspace, folder)?;
    let mut api = Api::start(workspace, &ashlar.data_dir)?;
    let disks = make_attached_disks(workspace, &ashlar, &mut api, &DISKS)?;
    let uris: Vec<String> = disks.iter().map(|disk| server::uri(&ashlar.socket(), disk)).collect();
    drop(api);
    for uri in &uris {
        fio::fill_gib(workspace, uri, folder, SIZE_GIB)?;
    }
    let mut export = Export { server: ashlar.server, uri: String::new() };
    let mut rows = Vec::new();
    for load in LOADS.map(|load| load.of_gib(SIZE_GIB)) {
        let (mut speeds, mut costs) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
        for round in 0..options.rounds as usize {
            for turn in 0..uris.len() {
                let at = (round + turn) % uris.len();
                export.uri.clone_from(&uris[at]);
                fio::warm(workspace, &export.uri, folder)?;
                let sample = sample(workspace, folder, &export, load, options, ticks_per_s)?;
                let kind = usize::from(matches!(DISKS[at], Disk::Encrypted));
                speeds[kind].push(sample.operations_per_s / load.unit());
                costs[kind].push(sample.processor_us);
            }
        }
        let ([plain, secret], [plain_cost, secret_cost]) =
            (speeds.map(|samples| median(&samples)), costs.map(|samples| median(&samples)));
        let row = [plain, secret, ratio(secret, plain), plain_cost, secret_cost].map(figure);
        println!("{}: {}", load.name, row.join(" "));
        rows.push([vec![load.name.to_owned()], row.to_vec()].concat());
    }
    export.server.stop()?;
    let head = ["load", "not encrypted", "encrypted", "ratio", "not encrypted CPU us", "encrypted CPU us"]
        .map(str::to_owned);
    Ok(format!(
        "## Encryption\n\n\
         Two disks of each kind, of one server, {SIZE_GIB} GiB each in the page cache: all of it is read before each run. Medians \
         over both. Thousand operations a second for 4 KiB, MiB/s for \
         1 MiB.\n\n{}",
        markdown(&head, &rows)
    ))
}
