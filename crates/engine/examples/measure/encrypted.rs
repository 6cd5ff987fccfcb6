//! Reads and writes of an encrypted volume beside those of an ordinary one.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use ashlar_engine::{DATA_KEY_BYTES, DataKey, KeyWrapper, Pool, PoolOptions};
use ashlar_types::{MIB_BYTES, RandomSource, SeededRandom};
use ashlar_volume::{BlockDevice, VolumeError, VolumeStore};

use crate::{BLOCK_BYTES, fill, median, per_call_ns, volume_id};

const SIZE_BYTES: u64 = 512 * MIB_BYTES;
const ROUNDS: u32 = 5;

/// Wraps nothing: what is measured is the way of the blocks.
#[derive(Debug)]
struct NoWrapper(SeededRandom);

impl KeyWrapper for NoWrapper {
    fn fill_random(&self, buffer: &mut [u8]) {
        self.0.fill(buffer);
    }

    fn wrap(&self, _id: u64, key: &DataKey) -> Result<Vec<u8>, VolumeError> {
        Ok(key.bytes().to_vec())
    }

    fn unwrap(&self, _id: u64, wrapped: &[u8]) -> Result<DataKey, VolumeError> {
        DataKey::filled_by(|key| {
            key.copy_from_slice(&wrapped[..DATA_KEY_BYTES]);
            Ok(())
        })
    }

    fn is_current(&self, _wrapped: &[u8]) -> bool {
        true
    }
}

pub(super) fn measure(directory: &Path) -> Result<(), Box<dyn Error>> {
    let key_wrapper: Arc<dyn KeyWrapper> = Arc::new(NoWrapper(SeededRandom::new(3)));
    let options = PoolOptions { key_wrapper: Some(key_wrapper), ..PoolOptions::default() };
    let pool = Pool::open(&directory.join("encrypted"), options)?;
    let (plain, secret) = (volume_id("plain")?, volume_id("secret")?);
    pool.create_volume(&plain, SIZE_BYTES)?;
    pool.create_encrypted_volume(&secret, SIZE_BYTES)?;
    let devices = [pool.open_volume(&plain)?, pool.open_volume(&secret)?];
    for device in &devices {
        fill(&**device, SIZE_BYTES)?;
        device.flush()?;
    }
    let mut buffer = vec![1; BLOCK_BYTES as usize];
    let mut figures = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        for (at, device) in devices.iter().enumerate() {
            let device: &dyn BlockDevice = &**device;
            figures[at]
                .push(ns(per_call_ns(SIZE_BYTES, |offset| drop(device.try_read(offset, &mut buffer)))));
            figures[at + 2].push(ns(per_call_ns(SIZE_BYTES, |offset| drop(device.write(offset, &buffer)))));
        }
    }
    let [plain_read, secret_read, plain_write, secret_write] = figures.map(median);
    println!(
        "4 KiB random, ns: read {plain_read:.0}, encrypted {secret_read:.0}; write {plain_write:.0}, encrypted \
         {secret_write:.0}"
    );
    drop(devices);
    pool.close()?;
    Ok(())
}

fn ns(figure: u128) -> f64 {
    figure as f64
}
