//! 1 MiB writes of new blocks, one after the other, beside a bare file.
//!
//! Both give back what they wrote before the other writes: a virtual machine gets memory that it never had ten times slower
//! than memory that it had before, and whoever takes the first of it would pay for both.

use std::error::Error;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use ashlar_engine::{Pool, PoolOptions};
use ashlar_types::MIB_BYTES;
use ashlar_volume::VolumeStore;

use crate::{median, volume_id};

const ROUNDS: u64 = 7;
/// What one round writes; little enough that the kernel does not begin to hold writers up.
const ROUND_BYTES: u64 = 256 * MIB_BYTES;

pub(super) fn measure(directory: &Path) -> Result<(), Box<dyn Error>> {
    let path = directory.join("bare");
    let pool = Pool::open(&directory.join("bulk"), PoolOptions::default())?;
    let id = volume_id("bulk")?;
    pool.create_volume(&id, ROUNDS * ROUND_BYTES)?;
    let device = pool.open_volume(&id)?;
    let data = vec![7; MIB_BYTES as usize];
    let (mut bare, mut pooled) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let file = std::fs::File::create(&path)?;
        let offsets = || (0..ROUND_BYTES).step_by(MIB_BYTES as usize);
        let mib_per_second =
            |start: Instant| (ROUND_BYTES / MIB_BYTES) as f64 / start.elapsed().as_secs_f64();
        let start = Instant::now();
        for offset_bytes in offsets() {
            file.write_all_at(&data, offset_bytes)?;
        }
        bare.push(mib_per_second(start));
        file.sync_data()?;
        drop(file);
        std::fs::remove_file(&path)?;
        let start = Instant::now();
        for offset_bytes in offsets() {
            device.write(round * ROUND_BYTES + offset_bytes, &data)?;
        }
        pooled.push(mib_per_second(start));
        device.flush()?;
        device.discard(round * ROUND_BYTES, ROUND_BYTES)?;
        device.flush()?;
    }
    let ratios = pooled.iter().zip(&bare).map(|(pooled, bare)| pooled / bare).collect();
    println!(
        "1 MiB sequential write, new blocks, MiB/s: bare {:.0}, pool {:.0}, ratio {:.2}",
        median(bare),
        median(pooled),
        median(ratios)
    );
    drop(device);
    pool.close()?;
    Ok(())
}
