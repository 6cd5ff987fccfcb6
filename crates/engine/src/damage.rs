//! Which blocks were found not to hold what was written.
//!
//! A mark stays, over restarts too, until the block is written again, found sound by a scrub, or gone.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use ashlar_volume::BLOCK_BYTES;
use parking_lot::Mutex;

use crate::blocks::Span;
use crate::checksums::chunk_and_block;
use crate::core::Core;
use crate::delta::Mark;
use crate::format::{BLOCKS_PER_CHUNK, ChunkIndex, ChunkNumber};

/// Every finding is logged up to this one; later ones when their number doubles.
const FINDINGS_LOGGED: u64 = 32;

/// The damaged blocks of a pool.
#[derive(Debug)]
pub(crate) struct Damage {
    marks: Mutex<BTreeMap<ChunkNumber, Mark>>,
    /// Chunks with marks: writers look at nothing else as long as there are none.
    chunks: AtomicUsize,
    /// Blocks found since the pool was opened.
    found: AtomicU64,
}

impl Damage {
    pub(crate) fn new(marks: BTreeMap<ChunkNumber, Mark>) -> Self {
        Self { chunks: AtomicUsize::new(marks.len()), marks: Mutex::new(marks), found: AtomicU64::new(0) }
    }

    /// Blocks found since the pool was opened.
    pub(crate) fn found(&self) -> u64 {
        self.found.load(Ordering::Relaxed)
    }

    /// All marks.
    pub(crate) fn marks(&self) -> Vec<(ChunkNumber, Mark)> {
        self.marks.lock().iter().map(|(chunk, mark)| (*chunk, *mark)).collect()
    }

    /// A block does not hold what was written. `name`: what it was read through.
    pub(crate) fn note(&self, core: &Core, name: &str, span: Span) {
        let (chunk, block) = chunk_and_block(span.offset_bytes);
        let mut marks = self.marks.lock();
        let index = ChunkIndex(span.block / BLOCKS_PER_CHUNK);
        let mark = marks.entry(chunk).or_insert(Mark { mask: 0, index });
        if mark.mask >> block & 1 == 1 && mark.index == index {
            return;
        }
        *mark = Mark { mask: mark.mask | 1 << block, index };
        core.state.write().pending.damage.insert(chunk, *mark);
        self.chunks.store(marks.len(), Ordering::Relaxed);
        drop(marks);
        let found = self.found.fetch_add(1, Ordering::Relaxed) + 1;
        if found <= FINDINGS_LOGGED || found.is_power_of_two() {
            tracing::error!(
                name,
                offset_bytes = span.block * BLOCK_BYTES,
                data_file_offset_bytes = span.offset_bytes,
                found,
                "a block is damaged: its bytes do not match their checksum"
            );
        }
    }

    /// Blocks of a range of the data file are as they should be again.
    pub(crate) fn forget(&self, core: &Core, span: Span, length_bytes: u64) {
        if self.chunks.load(Ordering::Relaxed) == 0 {
            return;
        }
        for at in (0..length_bytes).step_by(BLOCK_BYTES as usize) {
            let (chunk, block) = chunk_and_block(span.offset_bytes + at);
            self.forget_blocks(core, chunk, 1 << block);
        }
    }

    /// Blocks of a chunk are as they should be again, or nobody's.
    pub(crate) fn forget_blocks(&self, core: &Core, chunk: ChunkNumber, blocks: u16) {
        if self.chunks.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut marks = self.marks.lock();
        let Some(mark) = marks.get_mut(&chunk).filter(|mark| mark.mask & blocks != 0) else { return };
        mark.mask &= !blocks;
        let mark = *mark;
        if mark.mask == 0 {
            marks.remove(&chunk);
        }
        core.state.write().pending.damage.insert(chunk, mark);
        self.chunks.store(marks.len(), Ordering::Relaxed);
    }
}
