//! The data keys of a pool: each wrapped by a master key that never lies beside the data, in a file of slots.
//!
//! A slot is written and durable before a layer refers to its key, and overwritten with zeroes once it is durable that
//! nobody does: from then on what the key encrypted is noise, wherever copies of it may lie. A slot that nobody refers to
//! when a pool is opened is what a crash has left, and is overwritten too.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::Arc;

use ashlar_volume::{ErrorKind, VolumeError};
use parking_lot::Mutex;

use crate::cipher::{BlockCipher, DataKey};
use crate::file::File;
use crate::format::{DataKeyId, KEY_SLOT_BYTES, KeySlot, WRAPPED_KEY_BYTES_MAX};

#[cfg(test)]
mod tests;

/// Wraps data keys with a master key that the pool never sees.
pub trait KeyWrapper: Send + Sync + fmt::Debug {
    /// Fills the buffer with bytes that nobody can guess.
    fn fill_random(&self, buffer: &mut [u8]);

    /// Wraps the key for storage, bound to its id. `InvalidArgument` if there is no master key.
    fn wrap(&self, id: u64, key: &DataKey) -> Result<Vec<u8>, VolumeError>;

    /// The key that was wrapped. `InvalidArgument` if the master key that wrapped it is not at hand, `Corrupt` if it is
    /// and the bytes are not what it made.
    fn unwrap(&self, id: u64, wrapped: &[u8]) -> Result<DataKey, VolumeError>;

    /// Whether the master key that wraps now made these bytes.
    fn is_current(&self, wrapped: &[u8]) -> bool;
}

/// The keys of an open pool.
#[derive(Debug)]
pub(crate) struct Keys {
    wrapper: Option<Arc<dyn KeyWrapper>>,
    file: Arc<dyn File>,
    slots: Mutex<Slots>,
}

/// What is in the slots of the file.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    pub(crate) keys: BTreeMap<DataKeyId, Slot>,
    /// Slots that hold zeroes.
    free: BTreeSet<u64>,
    /// One more than the last slot of the file.
    end: u64,
}

/// A wrapped key and where it lies.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    number: u64,
    wrapped: Box<[u8]>,
}

impl Slots {
    /// Reads the file; also gives the slots that hold nothing of use: torn ones, and all but one of a key's. Of two
    /// slots of one key the one that `prefer` likes stays.
    pub(crate) fn read(
        file: &dyn File,
        prefer: impl Fn(&[u8]) -> bool,
    ) -> Result<(Self, Vec<u64>), VolumeError> {
        let failed = |error| VolumeError::io("read the pool's keys", error);
        let length_bytes = file.length_bytes().map_err(failed)?;
        // A crash may have left a part of a slot at the end; it was never durable.
        let end = length_bytes / KEY_SLOT_BYTES as u64;
        let mut bytes = vec![0; (end as usize) * KEY_SLOT_BYTES];
        file.read_at(0, &mut bytes).map_err(failed)?;
        let mut slots = Self { end, ..Self::default() };
        let mut useless = Vec::new();
        for (number, bytes) in (0..).zip(bytes.chunks_exact(KEY_SLOT_BYTES)) {
            let Some(KeySlot { id, wrapped }) = KeySlot::decode(bytes) else {
                if bytes.iter().all(|byte| *byte == 0) {
                    slots.free.insert(number);
                } else {
                    useless.push(number);
                }
                continue;
            };
            let slot = Slot { number, wrapped };
            match slots.keys.get(&id) {
                Some(other) if !prefer(&slot.wrapped) || prefer(&other.wrapped) => useless.push(number),
                Some(other) => {
                    useless.push(other.number);
                    slots.keys.insert(id, slot);
                }
                None => drop(slots.keys.insert(id, slot)),
            }
        }
        Ok((slots, useless))
    }

    fn take_free(&mut self) -> u64 {
        self.free.pop_first().unwrap_or_else(|| {
            self.end += 1;
            self.end - 1
        })
    }
}

impl Keys {
    /// Opens the keys of a pool whose volumes and snapshots need those of `wanted`, and proves that the master key opens
    /// them. What is not wanted is destroyed.
    ///
    /// Without a wrapper nothing is proved, and nothing encrypted can be opened.
    pub(crate) fn open(
        file: Arc<dyn File>,
        wrapper: Option<Arc<dyn KeyWrapper>>,
        wanted: &BTreeSet<DataKeyId>,
    ) -> Result<Self, VolumeError> {
        let prefer = |wrapped: &[u8]| wrapper.as_ref().is_some_and(|wrapper| wrapper.is_current(wrapped));
        let (mut slots, mut useless) = Slots::read(&*file, prefer)?;
        let is_whole = wanted.iter().all(|id| slots.keys.contains_key(id));
        if !is_whole {
            // One of the damaged slots was a key that is missed: it is left for whoever can read it.
            useless.clear();
        }
        let unwanted: Vec<_> = slots.keys.keys().filter(|id| !wanted.contains(id)).copied().collect();
        useless.extend(unwanted.iter().filter_map(|id| slots.keys.remove(id)).map(|slot| slot.number));
        for id in wanted.iter().filter(|id| !slots.keys.contains_key(id)) {
            tracing::error!(key = id.0, "a data key is lost: what it encrypted cannot be read");
        }
        if let Some(wrapper) = &wrapper {
            for (id, slot) in &slots.keys {
                match wrapper.unwrap(id.0.get(), &slot.wrapped) {
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::Corrupt => {
                        tracing::error!(%error, "a data key is damaged: what it encrypted cannot be read");
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        let keys = Self { wrapper, file, slots: Mutex::default() };
        let wiped = keys.wipe(useless.iter().copied());
        wiped.map_err(|error| VolumeError::io("destroy keys that nobody needs", error))?;
        slots.free.extend(useless);
        *keys.slots.lock() = slots;
        Ok(keys)
    }

    fn wrapper(&self) -> Result<&dyn KeyWrapper, VolumeError> {
        self.wrapper.as_deref().ok_or_else(|| {
            VolumeError::new(ErrorKind::InvalidArgument, "the pool was opened without a master key")
        })
    }

    /// Makes a key for a new lineage, durably. Until a layer refers to it the next opening would destroy it.
    pub(crate) fn create(&self) -> Result<DataKeyId, VolumeError> {
        let wrapper = self.wrapper()?;
        let key = DataKey::filled_by(|key| {
            wrapper.fill_random(key);
            Ok::<_, VolumeError>(())
        })?;
        let mut slots = self.slots.lock();
        let id = loop {
            let mut bytes = [0; 8];
            wrapper.fill_random(&mut bytes);
            let id = DataKeyId::new(u64::from_le_bytes(bytes));
            if let Some(id) = id.filter(|id| !slots.keys.contains_key(id)) {
                break id;
            }
        };
        let slot = self.write(&mut slots, id, wrapper.wrap(id.0.get(), &key)?)?;
        self.file.sync_data().map_err(|error| VolumeError::io("make a data key durable", error))?;
        slots.keys.insert(id, slot);
        Ok(id)
    }

    fn write(&self, slots: &mut Slots, id: DataKeyId, wrapped: Vec<u8>) -> Result<Slot, VolumeError> {
        if wrapped.len() > WRAPPED_KEY_BYTES_MAX {
            let context = format!("a wrapped key of {} bytes does not fit its slot", wrapped.len());
            return Err(VolumeError::new(ErrorKind::InvalidArgument, context));
        }
        let slot = KeySlot { id, wrapped: wrapped.into_boxed_slice() };
        let number = slots.take_free();
        self.file
            .write_at(number * KEY_SLOT_BYTES as u64, &slot.encode())
            .map_err(|error| VolumeError::io("write a data key", error))?;
        Ok(Slot { number, wrapped: slot.wrapped })
    }

    /// The cipher of a lineage.
    pub(crate) fn cipher(&self, id: DataKeyId) -> Result<Arc<BlockCipher>, VolumeError> {
        let slots = self.slots.lock();
        let slot = slots.keys.get(&id).ok_or_else(|| {
            VolumeError::new(ErrorKind::Corrupt, format!("the data key {:016x} is lost", id.0))
        })?;
        let key = self.wrapper()?.unwrap(id.0.get(), &slot.wrapped)?;
        Ok(Arc::new(BlockCipher::new(&key)))
    }

    /// Destroys keys, durably. Keys that are gone already are no error.
    pub(crate) fn destroy(&self, ids: &[DataKeyId]) -> Result<(), VolumeError> {
        let mut slots = self.slots.lock();
        let numbers: Vec<u64> =
            ids.iter().filter_map(|id| slots.keys.remove(id)).map(|slot| slot.number).collect();
        let wiped = self.wipe(numbers.iter().copied());
        wiped.map_err(|error| VolumeError::io("destroy a data key", error))?;
        slots.free.extend(numbers);
        Ok(())
    }

    /// Wraps every key with the master key that wraps now; gives how many there were to do.
    ///
    /// New slots are durable before the old ones are overwritten, so a crash leaves each key wrapped by one master key
    /// or by both, and doing it again finishes it.
    pub(crate) fn rewrap(&self) -> Result<u64, VolumeError> {
        let wrapper = self.wrapper()?;
        let mut slots = self.slots.lock();
        let stale: Vec<_> = slots
            .keys
            .iter()
            .filter(|(_, slot)| !wrapper.is_current(&slot.wrapped))
            .map(|(id, slot)| (*id, slot.clone()))
            .collect();
        let mut renewed = Vec::with_capacity(stale.len());
        for (id, old) in &stale {
            let key = wrapper.unwrap(id.0.get(), &old.wrapped)?;
            renewed.push((*id, self.write(&mut slots, *id, wrapper.wrap(id.0.get(), &key)?)?));
        }
        if stale.is_empty() {
            return Ok(0);
        }
        self.file.sync_data().map_err(|error| VolumeError::io("make wrapped keys durable", error))?;
        slots.keys.extend(renewed);
        let wiped = self.wipe(stale.iter().map(|(_, old)| old.number));
        wiped.map_err(|error| VolumeError::io("overwrite keys of the old master key", error))?;
        slots.free.extend(stale.iter().map(|(_, old)| old.number));
        Ok(stale.len() as u64)
    }

    /// Overwrites slots with zeroes, durably.
    fn wipe(&self, numbers: impl Iterator<Item = u64>) -> io::Result<()> {
        let mut is_dirty = false;
        for number in numbers {
            self.file.write_at(number * KEY_SLOT_BYTES as u64, &[0; KEY_SLOT_BYTES])?;
            is_dirty = true;
        }
        if is_dirty { self.file.sync_data() } else { Ok(()) }
    }
}
