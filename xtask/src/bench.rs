//! Measurements side by side with other NBD servers, in one run and alternating, printed as tables.
//!
//! Nothing here decides whether a test passes: a shared machine makes times noisy. Ratios inside one run are what
//! is worth keeping.

mod api;
mod cells;
mod cold;
mod depth;
mod describe;
mod direct;
mod encrypted;
mod fio;
mod first_writes;
mod operations;
mod options;
mod peer;
mod server;
mod table;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use crate::error::{Context, ErrorKind, Result};
use crate::process;
use crate::workspace::Workspace;
use options::{Options, Part};

const DOCUMENT: &str = "docs/benchmarks.md";

pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<()> {
    let options = Options::parse(arguments)?;
    let mut sections = Vec::new();
    for part in Part::ALL.into_iter().filter(|part| options.only.is_none_or(|only| only == *part)) {
        // One at a time: together their files would not fit into the page cache.
        let folder = Folder::make(workspace.target_directory().join("bench"))?;
        let section = match part {
            Part::Io => cells::measure(workspace, &folder.path, &options)?,
            Part::Imported => cells::measure_imported(workspace, &folder.path, &options)?,
            Part::Cold => cold::measure(workspace, &folder.path, &options)?,
            Part::Direct => direct::measure(workspace, &folder.path, &options)?,
            Part::Encrypted => encrypted::measure(workspace, &folder.path, &options)?,
            Part::FirstWrites => first_writes::measure(workspace, &folder.path, &options)?,
            Part::Depth => depth::measure(workspace, &folder.path, &options)?,
            Part::Engine => operations::engine(workspace, &folder.path)?,
            Part::Server => operations::server(workspace, &folder.path, &options)?,
            Part::Api => describe::measure(workspace, &folder.path, &options)?,
        };
        println!("\n{section}");
        sections.push(section);
    }
    if options.write {
        let text = format!("{}\n{}", head(workspace, &options)?, sections.join("\n"));
        std::fs::write(workspace.root().join(DOCUMENT), text)
            .context(ErrorKind::Io, || format!("writing {DOCUMENT}"))?;
        println!("wrote {DOCUMENT}");
    }
    Ok(())
}

/// A folder of its own on the file system that is measured, removed at the end: it holds many GiB.
struct Folder {
    path: PathBuf,
}

impl Folder {
    fn make(path: PathBuf) -> Result<Self> {
        if path.exists() {
            std::fs::remove_dir_all(&path)
                .context(ErrorKind::Io, || format!("emptying {}", path.display()))?;
        }
        std::fs::create_dir_all(&path).context(ErrorKind::Io, || format!("making {}", path.display()))?;
        Ok(Self { path })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A leftover is removed by the next run.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

fn head(workspace: &Workspace, options: &Options) -> Result<String> {
    let date = process::output(workspace.command("date").args(["-u", "+%Y-%m-%d"]))?;
    let commit = process::output(workspace.command("git").args(["rev-parse", "--short", "HEAD"]))?;
    Ok(format!(
        "# Benchmarks\n\n\
         Written by `cargo xtask bench`; run it yourself, and compare only what one run measured.\n\n\
         - date and commit: {}, {}\n- machine: {}\n- rounds: {}, each of {} s for each figure; medians\n",
        date.trim(),
        commit.trim(),
        machine(workspace)?,
        options.rounds,
        options.seconds,
    ))
}

/// Processor, memory, kernel and file system in one line.
fn machine(workspace: &Workspace) -> Result<String> {
    let read = |path: &str| std::fs::read_to_string(path).context(ErrorKind::Io, || path.to_owned());
    let processors = read("/proc/cpuinfo")?;
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or("unknown");
    let count = processors.lines().filter(|line| line.starts_with("processor")).count();
    let memory = read("/proc/meminfo")?;
    let memory_kib: u64 = memory
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok())
        .unwrap_or(0);
    let kernel = read("/proc/sys/kernel/osrelease")?;
    Ok(format!(
        "{count} cores {}, {} GiB, Linux {}, {}",
        model.trim_start_matches([' ', '\t', ':']),
        memory_kib.div_ceil(1 << 20),
        kernel.trim(),
        file_system(workspace, &workspace.target_directory())?,
    ))
}

fn file_system(workspace: &Workspace, path: &Path) -> Result<String> {
    let kind = process::output(workspace.command("stat").args(["--file-system", "--format=%T"]).arg(path))?;
    // `stat` has one name for the whole family.
    Ok(if kind.trim() == "ext2/ext3" { "ext4".to_owned() } else { kind.trim().to_owned() })
}
