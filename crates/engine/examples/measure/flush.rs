//! 4 KiB write plus flush beside a bare file with `fdatasync`, by one and by 16 at once, in turns.

use std::error::Error;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use ashlar_engine::{Pool, PoolOptions};
use ashlar_types::GIB_BYTES;
use ashlar_volume::{BlockDevice, VolumeStore};

use crate::{BLOCK_BYTES, median, volume_id};

const ROUNDS: u64 = 7;

/// Where a round writes: blocks that grow the file, or blocks that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Blocks {
    New,
    InPlace,
}

/// Something that is written to and flushed by several threads.
trait Target: Sync {
    fn write(&self, offset_bytes: u64, data: &[u8]) -> Result<(), String>;
    fn flush(&self) -> Result<(), String>;
}

impl Target for std::fs::File {
    fn write(&self, offset_bytes: u64, data: &[u8]) -> Result<(), String> {
        self.write_all_at(data, offset_bytes).map_err(|error| error.to_string())
    }

    fn flush(&self) -> Result<(), String> {
        self.sync_data().map_err(|error| error.to_string())
    }
}

struct Disk<'a>(&'a dyn BlockDevice);

impl Target for Disk<'_> {
    fn write(&self, offset_bytes: u64, data: &[u8]) -> Result<(), String> {
        self.0.write(offset_bytes, data).map_err(|error| error.to_string())
    }

    fn flush(&self) -> Result<(), String> {
        self.0.flush().map_err(|error| error.to_string())
    }
}

pub(super) fn measure(directory: &Path) -> Result<(), Box<dyn Error>> {
    let pool = Pool::open(&directory.join("flush"), PoolOptions::default())?;
    for (threads, flushes) in [(1, 200), (16, 60)] {
        let id = volume_id(&format!("flush-{threads}"))?;
        pool.create_volume(&id, GIB_BYTES)?;
        let device = pool.open_volume(&id)?;
        let path = directory.join("bare");
        let bare = std::fs::File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        let disk = Disk(&*device);
        for blocks in [Blocks::New, Blocks::InPlace] {
            let (mut of_bare, mut of_pool) = (Vec::new(), Vec::new());
            for round in 0..ROUNDS {
                let first = if blocks == Blocks::New { round * threads * flushes } else { 0 };
                of_bare.push(flushes_per_second(&bare, first, threads, flushes)?);
                of_pool.push(flushes_per_second(&disk, first, threads, flushes)?);
            }
            let ratios = of_pool.iter().zip(&of_bare).map(|(pool, bare)| pool / bare).collect();
            let what = if blocks == Blocks::New { "new blocks" } else { "in place" };
            println!(
                "write + flush per second, {threads} at once, {what}: bare {:.0}, pool {:.0}, ratio {:.2}",
                median(of_bare),
                median(of_pool),
                median(ratios)
            );
        }
        std::fs::remove_file(&path)?;
    }
    pool.close()?;
    Ok(())
}

/// Writes and flushes by so many threads at once, each its own blocks from block `first` on; how many a second in all.
fn flushes_per_second(
    target: &impl Target,
    first: u64,
    threads: u64,
    flushes: u64,
) -> Result<f64, Box<dyn Error>> {
    let buffer = vec![1; BLOCK_BYTES as usize];
    let work = |thread: u64| {
        (0..flushes).try_for_each(|round| {
            let block = first + round * threads + thread;
            target.write(block * BLOCK_BYTES, &buffer).and_then(|()| target.flush())
        })
    };
    let start = Instant::now();
    let failed = std::thread::scope(|scope| {
        let work = &work;
        let running: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        running.into_iter().find_map(|thread| thread.join().ok().and_then(Result::err))
    });
    match failed {
        Some(error) => Err(error.into()),
        None => Ok((flushes * threads) as f64 / start.elapsed().as_secs_f64()),
    }
}
