//! Measures the engine without a network:
//! `cargo run --release -p ashlar-engine --example measure -- DIRECTORY [bulk|hot|encrypted|flush|snapshot|depth|many|large|tebibyte]...`
//!
//! Needs about 8 GiB in the directory, which should be empty. Figures are medians or totals of one run; compare only
//! inside a run.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use ashlar_engine::{Pool, PoolOptions};
use ashlar_types::{GIB_BYTES, MIB_BYTES, RandomSource, SeededRandom};
use ashlar_volume::{BlockDevice, VolumeId, VolumeSnapshotId, VolumeStore};

mod bulk;
mod encrypted;
mod flush;
mod tebibyte;

const BLOCK_BYTES: u64 = 4096;
const OPERATIONS: u64 = 200_000;

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("say which directory to use")?;
    let directory = Path::new(&directory);
    std::fs::create_dir_all(directory)?;
    let wanted: Vec<String> = std::env::args().skip(2).collect();
    type Measure = fn(&Path) -> Result<(), Box<dyn Error>>;
    let measures: [(&str, Measure); 9] = [
        ("bulk", bulk::measure),
        ("hot", measure_hot_path),
        ("encrypted", encrypted::measure),
        ("flush", flush::measure),
        ("snapshot", measure_snapshot),
        ("depth", measure_depth),
        ("many", measure_many_volumes),
        ("large", measure_large_map),
        ("tebibyte", tebibyte::measure),
    ];
    for (name, measure) in measures {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            measure(directory)?;
        }
    }
    Ok(())
}

fn volume_id(text: &str) -> Result<VolumeId, Box<dyn Error>> {
    Ok(VolumeId::new(text)?)
}

fn snapshot_id(text: &str) -> Result<VolumeSnapshotId, Box<dyn Error>> {
    Ok(VolumeSnapshotId::new(text)?)
}

/// Nanoseconds of one call, averaged over random 4 KiB offsets.
fn per_call_ns(size_bytes: u64, mut call: impl FnMut(u64)) -> u128 {
    let random = SeededRandom::new(1);
    let start = Instant::now();
    for _ in 0..OPERATIONS {
        call(random.below(size_bytes / BLOCK_BYTES) * BLOCK_BYTES);
    }
    start.elapsed().as_nanos() / u128::from(OPERATIONS)
}

/// The middle one, or the lower of the two middle ones.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len().saturating_sub(1) / 2).copied().unwrap_or(f64::NAN)
}

fn fill(device: &dyn BlockDevice, size_bytes: u64) -> Result<(), Box<dyn Error>> {
    let data = vec![7; MIB_BYTES as usize];
    for offset_bytes in (0..size_bytes).step_by(MIB_BYTES as usize) {
        device.write(offset_bytes, &data)?;
    }
    Ok(())
}

fn measure_hot_path(directory: &Path) -> Result<(), Box<dyn Error>> {
    let size_bytes = GIB_BYTES;
    let bare = std::fs::File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(true)
        .open(directory.join("bare"))?;
    let data = vec![7; MIB_BYTES as usize];
    for offset_bytes in (0..size_bytes).step_by(MIB_BYTES as usize) {
        bare.write_all_at(&data, offset_bytes)?;
    }
    let pool = Pool::open(&directory.join("hot"), PoolOptions::default())?;
    let id = volume_id("hot")?;
    pool.create_volume(&id, size_bytes)?;
    let device = pool.open_volume(&id)?;
    fill(&*device, size_bytes)?;

    let mut buffer = vec![0; BLOCK_BYTES as usize];
    for round in 0..3 {
        let bare_read =
            per_call_ns(size_bytes, |offset| bare.read_exact_at(&mut buffer, offset).unwrap_or_default());
        let pool_read =
            per_call_ns(size_bytes, |offset| device.read(offset, &mut buffer).unwrap_or_default());
        let pool_try = per_call_ns(size_bytes, |offset| drop(device.try_read(offset, &mut buffer)));
        let bare_write =
            per_call_ns(size_bytes, |offset| bare.write_all_at(&buffer, offset).unwrap_or_default());
        let pool_write = per_call_ns(size_bytes, |offset| device.write(offset, &buffer).unwrap_or_default());
        println!(
            "round {round}, 4 KiB random, ns: read bare {bare_read} pool {pool_read} try {pool_try}; write bare {bare_write} pool {pool_write}"
        );
    }
    let fresh = volume_id("fresh")?;
    pool.create_volume(&fresh, 4 * GIB_BYTES)?;
    let device = pool.open_volume(&fresh)?;
    let first = per_call_ns(4 * GIB_BYTES, |offset| device.write(offset, &buffer).unwrap_or_default());
    println!("4 KiB random write, mostly first touches, ns: {first}");
    std::fs::remove_file(directory.join("bare"))?;
    drop(device);
    pool.close()?;
    Ok(())
}

/// First writes after a snapshot beside overwrites, and how long writers wait while snapshots are taken.
fn measure_snapshot(directory: &Path) -> Result<(), Box<dyn Error>> {
    let size_bytes = GIB_BYTES;
    let pool = Pool::open(&directory.join("snapshot"), PoolOptions::default())?;
    let id = volume_id("busy")?;
    pool.create_volume(&id, size_bytes)?;
    let device = pool.open_volume(&id)?;
    fill(&*device, size_bytes)?;
    device.flush()?;
    let buffer = vec![9; BLOCK_BYTES as usize];
    for round in 0..3 {
        let write = |offset: u64| device.write(offset, &buffer).unwrap_or_default();
        let overwrites_ns = per_call_ns(size_bytes, write);
        device.flush()?;
        pool.create_snapshot(&id, &snapshot_id(&format!("round-{round}"))?)?;
        // Few enough that nearly all of them meet a block for the first time.
        let random = SeededRandom::new(round);
        let start = Instant::now();
        for _ in 0..OPERATIONS / 8 {
            device.write(random.below(size_bytes / BLOCK_BYTES) * BLOCK_BYTES, &buffer)?;
        }
        let first_ns = start.elapsed().as_nanos() / u128::from(OPERATIONS / 8);
        println!(
            "round {round}, 4 KiB random write, ns: overwrite {overwrites_ns}, first after a snapshot {first_ns}"
        );
        device.flush()?;
    }
    let mut latencies_us = Vec::new();
    let is_over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| -> Result<(), Box<dyn Error>> {
        let writer = scope.spawn(|| {
            let random = SeededRandom::new(77);
            let mut latencies_us = Vec::new();
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                let start = Instant::now();
                let at = random.below(size_bytes / BLOCK_BYTES) * BLOCK_BYTES;
                device.write(at, &buffer).unwrap_or_default();
                latencies_us.push(start.elapsed().as_micros());
            }
            latencies_us
        });
        for number in 0..30 {
            std::thread::sleep(std::time::Duration::from_millis(30));
            pool.create_snapshot(&id, &snapshot_id(&format!("busy-{number}"))?)?;
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        latencies_us = writer.join().map_err(|_| "the writer panicked")?;
        Ok(())
    })?;
    latencies_us.sort_unstable();
    let at = |share: f64| latencies_us[((latencies_us.len() - 1) as f64 * share) as usize];
    println!(
        "writes while 30 snapshots are taken, us: p50 {} p99 {} p99.9 {} p99.99 {} longest {}",
        at(0.5),
        at(0.99),
        at(0.999),
        at(0.9999),
        at(1.0)
    );
    // What every snapshot may cost somebody: the longest waits, as many as there were snapshots.
    println!("the 30 longest waits begin at {} us", latencies_us[latencies_us.len().saturating_sub(30)]);
    drop(device);
    pool.close()?;
    Ok(())
}

fn measure_depth(directory: &Path) -> Result<(), Box<dyn Error>> {
    const DEPTH: u64 = 500;
    let size_bytes = GIB_BYTES;
    let pool = Pool::open(&directory.join("deep"), PoolOptions::default())?;
    let (flat, deep) = (volume_id("flat")?, volume_id("deep")?);
    let random = SeededRandom::new(5);
    let buffer = vec![3; BLOCK_BYTES as usize];
    for id in [&flat, &deep] {
        pool.create_volume(id, size_bytes)?;
        fill(&*pool.open_volume(id)?, size_bytes)?;
    }
    let device = pool.open_volume(&deep)?;
    for depth in 0..DEPTH {
        for _ in 0..500 {
            device.write(random.below(size_bytes / BLOCK_BYTES) * BLOCK_BYTES, &buffer)?;
        }
        pool.create_snapshot(&deep, &snapshot_id(&format!("deep-{depth}"))?)?;
    }
    drop(device);
    let (flat, deep) = (pool.open_volume(&flat)?, pool.open_volume(&deep)?);
    let mut buffer = vec![0; BLOCK_BYTES as usize];
    let start = Instant::now();
    for leaf in 0..32 {
        deep.read(leaf * 32 * MIB_BYTES, &mut buffer)?;
    }
    println!("resolving a leaf at depth {DEPTH}: {:.2} ms", start.elapsed().as_secs_f64() * 1000.0 / 32.0);
    for round in 0..3 {
        let at_0 = per_call_ns(size_bytes, |offset| flat.read(offset, &mut buffer).unwrap_or_default());
        let at_depth = per_call_ns(size_bytes, |offset| deep.read(offset, &mut buffer).unwrap_or_default());
        println!("round {round}, 4 KiB random read, ns: depth 0 {at_0}, depth {DEPTH} {at_depth}");
    }
    drop((flat, deep));
    pool.close()?;
    Ok(())
}

fn resident_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

fn measure_many_volumes(directory: &Path) -> Result<(), Box<dyn Error>> {
    const VOLUMES: u64 = 10_000;
    let path = directory.join("many");
    let pool = Pool::open(&path, PoolOptions::default())?;
    let start = Instant::now();
    for number in 0..VOLUMES {
        pool.create_volume(&volume_id(&format!("disk-{number:08}"))?, 100 * GIB_BYTES)?;
    }
    println!("creating {VOLUMES} volumes one by one: {:.1} s", start.elapsed().as_secs_f64());
    pool.close()?;
    drop(pool);
    let before_mib = resident_mib();
    let start = Instant::now();
    let pool = Pool::open(&path, PoolOptions::default())?;
    println!("opening a pool with {VOLUMES} volumes: {:.1} ms", start.elapsed().as_secs_f64() * 1000.0);
    println!("resident: {:.1} MiB before it, {:.1} MiB with it", before_mib, resident_mib());
    drop(pool);
    let start = Instant::now();
    let pool = Pool::open(&path, PoolOptions::default())?;
    println!("the same after a kill: {:.1} ms", start.elapsed().as_secs_f64() * 1000.0);
    pool.close()?;
    Ok(())
}

fn measure_large_map(directory: &Path) -> Result<(), Box<dyn Error>> {
    let size_bytes = 100 * GIB_BYTES;
    let path = directory.join("large");
    let pool = Pool::open(&path, PoolOptions::default())?;
    let id = volume_id("large")?;
    pool.create_volume(&id, size_bytes)?;
    let device = pool.open_volume(&id)?;
    let buffer = vec![9; BLOCK_BYTES as usize];
    let start = Instant::now();
    for offset_bytes in (0..size_bytes).step_by(64 << 10) {
        device.write(offset_bytes, &buffer)?;
    }
    device.flush()?;
    println!("touching every chunk of 100 GiB: {:.1} s", start.elapsed().as_secs_f64());
    println!("resident with its map in use: {:.1} MiB", resident_mib());
    let timed =
        |what: &str, call: &mut dyn FnMut() -> Result<(), Box<dyn Error>>| -> Result<(), Box<dyn Error>> {
            let start = Instant::now();
            call()?;
            println!("{what} of 100 GiB of map: {:.2} ms", start.elapsed().as_secs_f64() * 1000.0);
            Ok(())
        };
    let snapshot = snapshot_id("large-1")?;
    timed("snapshot", &mut || Ok(pool.create_snapshot(&id, &snapshot)?))?;
    timed("second snapshot", &mut || Ok(pool.create_snapshot(&id, &snapshot_id("large-2")?)?))?;
    timed("clone", &mut || Ok(pool.clone_volume(&volume_id("copy")?, &snapshot, size_bytes)?))?;
    drop(device);
    timed("rollback", &mut || Ok(pool.roll_back(&id, &snapshot)?))?;
    pool.close()?;
    drop(pool);
    let start = Instant::now();
    let pool = Pool::open(&path, PoolOptions::default())?;
    println!("opening it: {:.1} ms", start.elapsed().as_secs_f64() * 1000.0);
    drop(pool);
    let start = Instant::now();
    let pool = Pool::open(&path, PoolOptions::default())?;
    println!("opening it after a kill: {:.1} ms", start.elapsed().as_secs_f64() * 1000.0);
    pool.close()?;
    Ok(())
}
