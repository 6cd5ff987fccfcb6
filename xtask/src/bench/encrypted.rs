//! What encryption costs: the same loads on two disks of one server, one of them encrypted.

use std::path::Path;

use super::api::Api;
use super::cells::{Disk, make_attached_disks, processor_ticks_per_s, sample};
use super::fio::{self, LOADS, SIZE_GIB};
use super::options::Options;
use super::server::{self, Ashlar, Export};
use super::table::{figure, markdown, median, ratio};
use crate::error::Result;
use crate::workspace::Workspace;

/// Measures and gives the section of the document.
pub(super) fn measure(workspace: &Workspace, folder: &Path, options: &Options) -> Result<String> {
    let ticks_per_s = processor_ticks_per_s(workspace)?;
    let ashlar = Ashlar::start(workspace, folder)?;
    let mut api = Api::start(workspace, &ashlar.data_dir)?;
    let disks = make_attached_disks(workspace, &ashlar, &mut api, &[Disk::Plain, Disk::Encrypted])?;
    let uris: Vec<String> = disks.iter().map(|disk| server::uri(&ashlar.socket(), disk)).collect();
    drop(api);
    for uri in &uris {
        fio::fill(workspace, uri, folder)?;
    }
    let mut export = Export { server: ashlar.server, uri: String::new() };
    let mut rows = Vec::new();
    for load in LOADS {
        let (mut speeds, mut costs) = ([const { Vec::new() }; 2], [const { Vec::new() }; 2]);
        for round in 0..options.rounds as usize {
            for turn in 0..uris.len() {
                let at = (round + turn) % uris.len();
                export.uri.clone_from(&uris[at]);
                let sample = sample(workspace, folder, &export, load, options, ticks_per_s)?;
                speeds[at].push(sample.operations_per_s / load.unit());
                costs[at].push(sample.processor_us);
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
         Two disks of one server, {SIZE_GIB} GiB each in the page cache. Thousand operations a second for 4 KiB, MiB/s for \
         1 MiB.\n\n{}",
        markdown(&head, &rows)
    ))
}
