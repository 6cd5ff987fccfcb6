//! A map of 1 TiB with a bounded cache: how much memory a pool takes whose map is far larger.
//!
//! The data file is one of zeroes that keeps nothing, so that the map is all there is.

use std::error::Error;
use std::fs::File as OsFile;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use ashlar_engine::{Directory, File, FileRole, Pool, PoolOptions};
use ashlar_types::{GIB_BYTES, MIB_BYTES, RandomSource, SeededRandom};
use ashlar_volume::VolumeStore;

use crate::{BLOCK_BYTES, resident_mib, volume_id};

const CACHE_BYTES: usize = 256 << 20;
const READS: u64 = 100_000;

#[derive(Debug)]
struct MapOnly(PathBuf);

#[derive(Debug)]
struct Real(OsFile);

#[derive(Debug, Default)]
struct Zeroes(AtomicU64);

impl Directory for MapOnly {
    fn exists(&self, role: FileRole) -> io::Result<bool> {
        self.0.join(role.file_name()).try_exists()
    }

    fn open(&self, role: FileRole) -> io::Result<Arc<dyn File>> {
        if role == FileRole::Data {
            return Ok(Arc::new(Zeroes(AtomicU64::new(u64::MAX >> 8))));
        }
        let path = self.0.join(role.file_name());
        Ok(Arc::new(Real(OsFile::options().read(true).write(true).create(true).truncate(false).open(path)?)))
    }

    fn rename(&self, from: FileRole, to: FileRole) -> io::Result<()> {
        std::fs::rename(self.0.join(from.file_name()), self.0.join(to.file_name()))
    }

    fn available_bytes(&self) -> io::Result<u64> {
        Ok(1 << 50)
    }

    fn capacity_bytes(&self) -> io::Result<u64> {
        Ok(1 << 50)
    }
}

impl File for Real {
    fn length_bytes(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn set_length(&self, length_bytes: u64) -> io::Result<()> {
        self.0.set_len(length_bytes)
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(buffer, offset_bytes)
    }

    fn try_read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<bool> {
        self.read_at(offset_bytes, buffer).map(|()| true)
    }

    fn write_at(&self, offset_bytes: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset_bytes)
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn punch_hole(&self, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn next_allocated(&self, _: u64, _: u64) -> io::Result<Option<Range<u64>>> {
        Ok(None)
    }
}

impl File for Zeroes {
    fn length_bytes(&self) -> io::Result<u64> {
        Ok(self.0.load(Ordering::Relaxed))
    }

    fn set_length(&self, length_bytes: u64) -> io::Result<()> {
        self.0.store(length_bytes, Ordering::Relaxed);
        Ok(())
    }

    fn read_at(&self, _: u64, buffer: &mut [u8]) -> io::Result<()> {
        buffer.fill(0);
        Ok(())
    }

    fn try_read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<bool> {
        self.read_at(offset_bytes, buffer).map(|()| true)
    }

    fn write_at(&self, offset_bytes: u64, data: &[u8]) -> io::Result<()> {
        self.0.fetch_max(offset_bytes + data.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn punch_hole(&self, _: u64, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn next_allocated(&self, _: u64, _: u64) -> io::Result<Option<Range<u64>>> {
        Ok(None)
    }
}

pub(crate) fn measure(directory: &Path) -> Result<(), Box<dyn Error>> {
    let path = directory.join("tebibyte");
    std::fs::create_dir_all(&path)?;
    let size_bytes = 1024 * GIB_BYTES;
    let pool = Pool::open_in(Arc::new(MapOnly(path.clone())), PoolOptions::with_cache_bytes(CACHE_BYTES))?;
    let id = volume_id("large")?;
    pool.create_volume(&id, size_bytes)?;
    let device = pool.open_volume(&id)?;
    let start = Instant::now();
    let data = vec![0; 4 * MIB_BYTES as usize];
    for offset_bytes in (0..size_bytes).step_by(data.len()) {
        device.write(offset_bytes, &data)?;
    }
    device.flush()?;
    println!("mapping 1 TiB: {:.0} s, resident {:.0} MiB", start.elapsed().as_secs_f64(), resident_mib());
    let random = SeededRandom::new(3);
    let mut block = vec![0; BLOCK_BYTES as usize];
    let start = Instant::now();
    let mut peak_mib = 0_f64;
    for number in 0..READS {
        let at = random.below(size_bytes / BLOCK_BYTES) * BLOCK_BYTES;
        if number % 4 == 0 {
            device.write(at, &block)?;
        } else {
            device.read(at, &mut block)?;
        }
        if number % 1000 == 0 {
            peak_mib = peak_mib.max(resident_mib());
        }
    }
    println!(
        "random 4 KiB over 1 TiB of map with {} MiB of cache: {:.1} us each, resident at most {peak_mib:.0} MiB",
        CACHE_BYTES >> 20,
        start.elapsed().as_secs_f64() * 1e6 / READS as f64
    );
    drop(device);
    pool.close()?;
    std::fs::remove_dir_all(path)?;
    Ok(())
}
