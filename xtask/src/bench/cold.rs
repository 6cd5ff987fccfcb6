//! Reads of what is not in the page cache.

use std::path::Path;

use super::cells::{attached_disk, processor_ticks_per_s, sample};
use super::fio::{self, COLD_LOADS, SIZE_GIB};
use super::options::Options;
use super::server;
use super::table::{figure, markdown, median, ratio};
use crate::error::Result;
use crate::process;
use crate::workspace::Workspace;

/// Measures and gives the section of the document.
pub(super) fn measure(workspace: &Workspace, folder: &Path, options: &Options) -> Result<String> {
    let ticks_per_s = processor_ticks_per_s(workspace)?;
    let peers = [
        ("ashlar", attached_disk(workspace, folder, &[])?),
        ("qemu-nbd", server::qemu_nbd(workspace, folder)?),
        ("nbdkit", server::nbdkit(workspace, folder)?),
    ];
    for (_, export) in &peers {
        fio::fill(workspace, &export.uri, folder)?;
    }
    let mut rows = Vec::new();
    for load in COLD_LOADS {
        let mut speeds = [const { Vec::new() }; 3];
        for round in 0..options.rounds as usize {
            for turn in 0..peers.len() {
                let at = (round + turn) % peers.len();
                forget_files(workspace, folder)?;
                speeds[at].push(
                    sample(workspace, folder, &peers[at].1, load, options, ticks_per_s)?.operations_per_s
                        / 1000.0,
                );
            }
        }
        let [ours, qemu, nbdkit] = speeds.map(|samples| median(&samples));
        let row: Vec<String> =
            [ours, qemu, nbdkit, ratio(ours, qemu), ratio(ours, nbdkit)].map(figure).into_iter().collect();
        println!("{}: {}", load.name, row.join(" "));
        rows.push([vec![load.name.to_owned()], row].concat());
    }
    for (_, export) in peers {
        export.server.stop()?;
    }
    let head = ["load", "ashlar", "qemu-nbd", "nbdkit", "ashlar / qemu-nbd", "ashlar / nbdkit"];
    Ok(format!(
        "## Cold reads\n\n\
         {SIZE_GIB} GiB, none of it in the page cache when a run begins; a run reads a part of it, mostly once. Thousand \
         operations a second.\n\n{}",
        markdown(&head.map(str::to_owned), &rows)
    ))
}

/// Has the kernel forget what it keeps of the files below the folder.
fn forget_files(workspace: &Workspace, folder: &Path) -> Result<()> {
    process::output(workspace.command("sync").arg("--file-system").arg(folder))?;
    let files = process::output(workspace.command("find").arg(folder).args(["-type", "f", "-size", "+64M"]))?;
    for file in files.lines() {
        // `dd` without data tells the kernel that the file's pages are not needed.
        let mut command = workspace.command("dd");
        command.args(["iflag=nocache", "count=0", "status=none"]).arg(format!("if={file}"));
        process::output(&mut command)?;
    }
    Ok(())
}
