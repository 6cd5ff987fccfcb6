//! The master key of the world: what the operator keeps beside the server. It hides nothing; it opens what it has wrapped, and
//! nothing that an older one has wrapped once that is forgotten.

use std::collections::BTreeSet;

use ashlar_engine::{DATA_KEY_BYTES, DataKey, KeyWrapper};
use ashlar_types::{RandomSource, SeededRandom};
use ashlar_volume::{ErrorKind, VolumeError};
use parking_lot::Mutex;

/// Master keys by number. The highest wraps, all that are known open.
#[derive(Debug)]
pub(crate) struct MasterKeys {
    random: SeededRandom,
    known: Mutex<BTreeSet<u64>>,
}

impl MasterKeys {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: SeededRandom::new(seed ^ 0x6b65_7973), known: Mutex::new(BTreeSet::from([1])) }
    }

    /// A new one wraps from now on.
    pub(crate) fn rotate(&self) {
        let next = self.current() + 1;
        self.known.lock().insert(next);
    }

    /// Everything is wrapped by the newest: the others are thrown away.
    pub(crate) fn forget_older(&self) {
        let current = self.current();
        self.known.lock().retain(|number| *number == current);
    }

    fn current(&self) -> u64 {
        self.known.lock().last().copied().unwrap_or(0)
    }
}

fn refused(kind: ErrorKind, what: &str) -> VolumeError {
    VolumeError::new(kind, format!("the simulated master key: {what}"))
}

fn number_of(wrapped: &[u8]) -> Option<u64> {
    wrapped.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

impl KeyWrapper for MasterKeys {
    fn fill_random(&self, buffer: &mut [u8]) {
        self.random.fill(buffer);
    }

    fn wrap(&self, id: u64, key: &DataKey) -> Result<Vec<u8>, VolumeError> {
        let number = self.current();
        let mut wrapped = number.to_le_bytes().to_vec();
        wrapped.extend(key.bytes().iter().map(|byte| byte ^ (number ^ id) as u8));
        Ok(wrapped)
    }

    fn unwrap(&self, id: u64, wrapped: &[u8]) -> Result<DataKey, VolumeError> {
        let number = number_of(wrapped).ok_or_else(|| refused(ErrorKind::Corrupt, "too short"))?;
        if !self.known.lock().contains(&number) {
            return Err(refused(ErrorKind::InvalidArgument, "the one that wrapped it is forgotten"));
        }
        DataKey::filled_by(|key| {
            let bytes = &wrapped[8..];
            if bytes.len() != DATA_KEY_BYTES {
                return Err(refused(ErrorKind::Corrupt, "a key of another length"));
            }
            key.iter_mut().zip(bytes).for_each(|(key, byte)| *key = byte ^ (number ^ id) as u8);
            Ok(())
        })
    }

    fn is_current(&self, wrapped: &[u8]) -> bool {
        number_of(wrapped) == Some(self.current())
    }
}
