//! Past the page cache: `ashlar serve --cache direct` beside qemu-nbd and beside what the medium gives to fio itself.

use std::path::Path;

use super::cells::{attached_disk, processor_ticks_per_s, sample};
use super::fio::{self, DIRECT_LOADS, Extent, SIZE_GIB};
use super::options::Options;
use super::server::{self, Export};
use super::table::{figure, markdown, median, ratio};
use crate::error::Result;
use crate::process;
use crate::workspace::Workspace;

/// Measures and gives the section of the document.
pub(super) fn measure(workspace: &Workspace, folder: &Path, options: &Options) -> Result<String> {
    let ticks_per_s = processor_ticks_per_s(workspace)?;
    let ashlar = attached_disk(workspace, folder, &["--cache", "direct"])?;
    let qemu = server::qemu_nbd_direct(workspace, folder)?;
    let raw = folder.join("raw.raw");
    for export in [&ashlar, &qemu] {
        fio::fill(workspace, &export.uri, folder)?;
    }
    fio::fill_file(workspace, &raw, folder)?;
    let mut rows = Vec::new();
    for load in DIRECT_LOADS {
        let (mut speeds, mut costs) = ([const { Vec::new() }; 3], [const { Vec::new() }; 2]);
        for round in 0..options.rounds as usize {
            // Another one begins each round, so that nobody always runs after the same neighbour.
            for turn in 0..3 {
                match (round + turn) % 3 {
                    2 => {
                        process::output(workspace.command("sync").arg("--file-system").arg(folder))?;
                        let extent = Extent::Seconds(options.seconds);
                        speeds[2]
                            .push(fio::run_on_file(workspace, &raw, folder, load, extent)?.operations_per_s);
                    }
                    at => {
                        let export: &Export = if at == 0 { &ashlar } else { &qemu };
                        let sample = sample(workspace, folder, export, load, options, ticks_per_s)?;
                        speeds[at].push(sample.operations_per_s);
                        costs[at].push(sample.processor_us);
                    }
                }
            }
        }
        let [ours, peer, medium] =
            speeds.map(|samples| median(&samples).map(|operations_per_s| operations_per_s / 1000.0));
        let [our_cost, peer_cost] = costs.map(|samples| median(&samples));
        let row: Vec<String> =
            [ours, peer, medium, ratio(ours, peer), ratio(ours, medium), our_cost, peer_cost]
                .map(figure)
                .into_iter()
                .collect();
        println!("{}: {}", load.name, row.join(" "));
        rows.push([vec![load.name.to_owned()], row].concat());
    }
    for export in [ashlar, qemu] {
        export.server.stop()?;
    }
    let head = [
        "load",
        "ashlar",
        "qemu-nbd",
        "medium",
        "ashlar / qemu-nbd",
        "ashlar / medium",
        "ashlar CPU us",
        "qemu-nbd CPU us",
    ];
    Ok(format!(
        "## Past the page cache\n\n\
         `--cache direct` beside `qemu-nbd --cache=none --aio=io_uring` and beside fio's io_uring on a file of the same file \
         system, {SIZE_GIB} GiB. Thousand operations a second.\n\n{}",
        markdown(&head.map(str::to_owned), &rows)
    ))
}
