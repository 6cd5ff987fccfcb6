//! What a pool must hold, written without knowing how the engine works.
//!
//! Each block has the values that it may show after a power cut: its value at the last acknowledged flush, then
//! each later one. The last of them is what it shows now.

use std::collections::BTreeMap;
use std::sync::Arc;

use ashlar_volume::{BLOCK_BYTES, BlockDevice, VolumeId, VolumeSnapshotId, VolumeStore};

/// Bytes of one block; `None`: zeroes.
pub(crate) type Block = Option<Arc<[u8]>>;

/// A volume or a snapshot.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    pub(crate) size_bytes: u64,
    /// The values of each block that was ever touched, the oldest possible one first.
    blocks: BTreeMap<u64, Vec<Block>>,
}

/// Everything that a pool holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct World {
    pub(crate) volumes: BTreeMap<VolumeId, Content>,
    pub(crate) snapshots: BTreeMap<VolumeSnapshotId, Content>,
}

fn block_of(bytes: &[u8]) -> Block {
    bytes.iter().any(|byte| *byte != 0).then(|| Arc::from(bytes))
}

impl Content {
    pub(crate) fn new(size_bytes: u64) -> Self {
        Self { size_bytes, blocks: BTreeMap::new() }
    }

    fn current(&self, block: u64) -> Block {
        self.blocks.get(&block).and_then(|values| values.last().cloned()).flatten()
    }

    /// Bytes are written, or zeroed where there are none to write.
    pub(crate) fn write(&mut self, offset_bytes: u64, length_bytes: u64, data: Option<&[u8]>) {
        let end = offset_bytes + length_bytes;
        if data.is_none() {
            // Untouched blocks are zeroes already: a discard of a whole volume costs nothing here.
            let (first, last) = (offset_bytes / BLOCK_BYTES, end.div_ceil(BLOCK_BYTES));
            let touched: Vec<u64> = self.blocks.range(first..last).map(|(block, _)| *block).collect();
            touched.into_iter().for_each(|block| self.write_block(block, offset_bytes, end, None));
            return;
        }
        for block in offset_bytes / BLOCK_BYTES..end.div_ceil(BLOCK_BYTES) {
            self.write_block(block, offset_bytes, end, data);
        }
    }

    fn write_block(&mut self, block: u64, offset_bytes: u64, end: u64, data: Option<&[u8]>) {
        let block_start = block * BLOCK_BYTES;
        let start = offset_bytes.max(block_start);
        let stop = end.min(block_start + BLOCK_BYTES);
        let mut bytes =
            self.current(block).map_or_else(|| vec![0; BLOCK_BYTES as usize], |bytes| bytes.to_vec());
        let into = &mut bytes[(start - block_start) as usize..(stop - block_start) as usize];
        match data {
            Some(data) => {
                into.copy_from_slice(&data[(start - offset_bytes) as usize..(stop - offset_bytes) as usize])
            }
            None => into.fill(0),
        }
        self.blocks.entry(block).or_insert_with(|| vec![None]).push(block_of(&bytes));
    }

    /// A flush was acknowledged: only the present values are possible.
    pub(crate) fn flush(&mut self) {
        for values in self.blocks.values_mut() {
            values.drain(..values.len() - 1);
        }
    }

    /// The present content, as a snapshot keeps it.
    pub(crate) fn frozen(&self) -> Self {
        let mut frozen = self.clone();
        frozen.flush();
        frozen
    }

    /// What a volume of `size_bytes` is that begins with this content.
    pub(crate) fn grown(&self, size_bytes: u64) -> Self {
        Self { size_bytes, ..self.frozen() }
    }

    /// Every block must show its present value.
    pub(crate) fn verify_live(&self, device: &dyn BlockDevice) -> Result<(), String> {
        self.verify(device, |values, seen| values.last().is_some_and(|last| last == seen))
    }

    /// Every block must show one of its possible values.
    fn verify_recovered(&self, device: &dyn BlockDevice) -> Result<(), String> {
        self.verify(device, |values, seen| values.contains(seen))
    }

    fn verify(
        &self,
        device: &dyn BlockDevice,
        is_right: impl Fn(&[Block], &Block) -> bool,
    ) -> Result<(), String> {
        if device.size_bytes() != self.size_bytes {
            return Err(format!("size {} instead of {}", device.size_bytes(), self.size_bytes));
        }
        for (block, values) in &self.blocks {
            let seen = read_block(device, *block)?;
            if !is_right(values, &seen) {
                let shown = |value: &Block| {
                    value
                        .as_ref()
                        .map_or(0, |bytes| u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
                };
                let possible: Vec<_> = values.iter().map(shown).collect();
                return Err(format!("block {block} shows {:#x}, possible: {possible:x?}", shown(&seen)));
            }
        }
        Ok(())
    }

    /// What the device shows is what it holds now. After a power cut that is durable; after a mere kill it may still
    /// be lost with the older values.
    fn adopt(&mut self, device: &dyn BlockDevice, is_durable: bool) -> Result<(), String> {
        for (block, values) in &mut self.blocks {
            if is_durable {
                values.clear();
            }
            values.push(read_block(device, *block)?);
        }
        Ok(())
    }

    /// After a call that failed half way: every block it touched must be as before or as wanted.
    pub(crate) fn adopt_partial(&mut self, before: &Self, device: &dyn BlockDevice) -> Result<(), String> {
        for (block, values) in &mut self.blocks {
            let seen = read_block(device, *block)?;
            let old = before.current(*block);
            if values.last() != Some(&seen) && old != seen {
                return Err(format!("block {block} is neither as before a failed call nor as it wanted"));
            }
            values.push(seen);
        }
        Ok(())
    }
}

fn read_block(device: &dyn BlockDevice, block: u64) -> Result<Block, String> {
    let mut bytes = vec![0; BLOCK_BYTES as usize];
    device
        .read(block * BLOCK_BYTES, &mut bytes)
        .map_err(|error| format!("read of block {block}: {error}"))?;
    Ok(block_of(&bytes))
}

impl World {
    /// Knows of every block that `other` has touched: where this world did not, it has zeroes. Two worlds that differ
    /// only in an untouched volume could not be told apart otherwise.
    pub(crate) fn touch_like(&mut self, other: &Self) {
        for (name, content) in &mut self.volumes {
            for block in other.volumes.get(name).into_iter().flat_map(|other| other.blocks.keys()) {
                content.blocks.entry(*block).or_insert_with(|| vec![None]);
            }
        }
    }

    /// Whether a recovered store may be what it is; if so, it is what it must stay. `is_durable`: the power was off.
    pub(crate) fn recover(&mut self, store: &dyn VolumeStore, is_durable: bool) -> Result<(), String> {
        let volumes: Vec<_> = sorted(store.volumes().map_err(|error| error.to_string())?);
        if !volumes.iter().eq(self.volumes.keys()) {
            return Err(format!("volumes {volumes:?} instead of {:?}", self.volumes.keys()));
        }
        let snapshots = sorted(store.snapshots().map_err(|error| error.to_string())?);
        if !snapshots.iter().eq(self.snapshots.keys()) {
            return Err(format!("snapshots {snapshots:?} instead of {:?}", self.snapshots.keys()));
        }
        for (name, content) in &mut self.volumes {
            let device = store.open_volume(name).map_err(|error| error.to_string())?;
            content.verify_recovered(&*device).map_err(|error| format!("volume {name}: {error}"))?;
            content.adopt(&*device, is_durable)?;
        }
        for (name, content) in &self.snapshots {
            let device = store.open_snapshot(name).map_err(|error| error.to_string())?;
            content.verify_live(&*device).map_err(|error| format!("snapshot {name}: {error}"))?;
        }
        Ok(())
    }
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}
