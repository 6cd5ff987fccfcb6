//! Which chunks of the data file are free, and which space waits to be given back to the file system.

use std::collections::BTreeMap;
use std::ops::Range;

use ashlar_volume::BLOCK_BYTES;

use crate::format::{CHUNK_BYTES, ChunkNumber, Fragment};

/// Sets of chunk numbers as runs: start to length. Neighbouring runs are joined.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct ChunkRuns {
    runs: BTreeMap<u64, u64>,
}

impl ChunkRuns {
    pub(crate) fn insert(&mut self, run: Range<u64>) {
        if run.is_empty() {
            return;
        }
        let Range { mut start, mut end } = run;
        if let Some((before, length)) = self.runs.range(..start).next_back().map(|(s, l)| (*s, *l))
            && before + length == start
        {
            self.runs.remove(&before);
            start = before;
        }
        if let Some(length) = self.runs.remove(&end) {
            end += length;
        }
        self.runs.insert(start, end - start);
    }

    /// Takes a run of at most `count_max` chunks off the front.
    pub(crate) fn take_first(&mut self, count_max: u64) -> Option<Range<u64>> {
        let (start, length) = self.runs.pop_first()?;
        let taken = length.min(count_max);
        if taken < length {
            self.runs.insert(start + taken, length - taken);
        }
        Some(start..start + taken)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Chunks in the set.
    fn count(&self) -> u64 {
        self.runs.values().sum()
    }
}

/// Something to punch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Punch {
    /// Whole chunks; afterwards they are free.
    Chunks(Range<u64>),
    /// The blocks of a fragment.
    Blocks(Fragment),
}

/// The chunks of the data file that no layer owns.
///
/// A chunk that is freed passes through: freed in a delta; the delta is durable; punched; free. Until then it is
/// nobody's, and never handed out: durable state could still refer to it.
#[derive(Debug, Default)]
pub(crate) struct Allocator {
    free: ChunkRuns,
    chunks_to_punch: ChunkRuns,
    /// Blocks whose last reference goes with a change that is not durable yet, in chunks that stay.
    blocks_waiting: BTreeMap<ChunkNumber, u16>,
    /// Blocks that nothing durable refers to, in chunks that stay.
    blocks_to_punch: BTreeMap<ChunkNumber, u16>,
    /// One more than the highest chunk ever handed out.
    high_water: u64,
    /// Bytes punched since the pool was opened.
    punched_bytes: u64,
}

impl Allocator {
    /// An allocator for a pool in which the chunks of `free` below `high_water` belong to nobody. They are
    /// punched before they are used where `is_clean` does not vouch that they are holes.
    pub(crate) fn new(free: ChunkRuns, high_water: u64, is_clean: bool) -> Self {
        let (free, chunks_to_punch) =
            if is_clean { (free, ChunkRuns::default()) } else { (ChunkRuns::default(), free) };
        Self { free, chunks_to_punch, high_water, ..Self::default() }
    }

    /// Hands out `count` chunks, in as few runs as the first free ones allow.
    pub(crate) fn allocate(&mut self, mut count: u64) -> Vec<ChunkNumber> {
        let mut chunks = Vec::with_capacity(count as usize);
        while count > 0 {
            let run = self.free.take_first(count).unwrap_or_else(|| {
                let start = self.high_water;
                self.high_water += count;
                start..self.high_water
            });
            count -= run.end - run.start;
            chunks.extend(run.map(ChunkNumber));
        }
        chunks
    }

    /// Forgets blocks that wait to be punched in a chunk that is being freed as a whole.
    pub(crate) fn forget_blocks(&mut self, chunk: ChunkNumber) {
        self.blocks_waiting.remove(&chunk);
        self.blocks_to_punch.remove(&chunk);
    }

    /// Blocks that may not be written because they wait to be punched.
    pub(crate) fn unusable_blocks(&self, chunk: ChunkNumber) -> u16 {
        let blocks = |set: &BTreeMap<_, u16>| set.get(&chunk).copied().unwrap_or(0);
        blocks(&self.blocks_waiting) | blocks(&self.blocks_to_punch)
    }

    /// Notes blocks whose last reference goes with a change that is not durable yet.
    pub(crate) fn free_blocks(&mut self, blocks: Fragment) {
        *self.blocks_waiting.entry(blocks.chunk()).or_default() |= blocks.mask();
    }

    /// The change is durable: the blocks may be punched.
    pub(crate) fn blocks_are_free(&mut self, blocks: Fragment) {
        let freed = remove_blocks(&mut self.blocks_waiting, blocks);
        if freed != 0 {
            *self.blocks_to_punch.entry(blocks.chunk()).or_default() |= freed;
        }
    }

    /// The chunk's free state is durable, or was never anything else: it may be punched.
    pub(crate) fn chunk_is_free(&mut self, chunk: ChunkNumber) {
        self.chunks_to_punch.insert(chunk.0..chunk.0 + 1);
    }

    /// The next thing to punch. It stays unusable until [`punched`](Self::punched).
    pub(crate) fn next_punch(&mut self, chunks_max: u64) -> Option<Punch> {
        if let Some(run) = self.chunks_to_punch.take_first(chunks_max) {
            return Some(Punch::Chunks(run));
        }
        self.blocks_to_punch
            .first_key_value()
            .map(|(chunk, mask)| Punch::Blocks(Fragment::new(*chunk, *mask)))
    }

    /// What [`next_punch`](Self::next_punch) gave is a hole now.
    pub(crate) fn punched(&mut self, punch: Punch) {
        match punch {
            Punch::Chunks(run) => {
                self.punched_bytes += (run.end - run.start) * CHUNK_BYTES;
                self.free.insert(run);
            }
            Punch::Blocks(blocks) => {
                let punched = remove_blocks(&mut self.blocks_to_punch, blocks);
                self.punched_bytes += u64::from(punched.count_ones()) * BLOCK_BYTES;
            }
        }
    }

    /// Bytes punched since the pool was opened.
    pub(crate) const fn punched_bytes(&self) -> u64 {
        self.punched_bytes
    }

    /// Bytes that wait to be punched, now or after a commit.
    pub(crate) fn bytes_to_punch(&self) -> u64 {
        let blocks = self.blocks_waiting.values().chain(self.blocks_to_punch.values());
        let blocks: u64 = blocks.map(|mask| u64::from(mask.count_ones())).sum();
        self.chunks_to_punch.count() * CHUNK_BYTES + blocks * BLOCK_BYTES
    }

    /// Whether nothing waits to be punched, now or after a commit.
    pub(crate) fn is_settled(&self) -> bool {
        !self.has_punches() && self.blocks_waiting.is_empty()
    }

    /// Whether [`next_punch`](Self::next_punch) has something.
    pub(crate) fn has_punches(&self) -> bool {
        !self.chunks_to_punch.is_empty() || !self.blocks_to_punch.is_empty()
    }
}

/// Takes blocks out of a set; answers which of them were in it.
fn remove_blocks(set: &mut BTreeMap<ChunkNumber, u16>, blocks: Fragment) -> u16 {
    let Some(mask) = set.get_mut(&blocks.chunk()) else { return 0 };
    let taken = *mask & blocks.mask();
    *mask &= !taken;
    if *mask == 0 {
        set.remove(&blocks.chunk());
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_join_with_their_neighbours() {
        let mut runs = ChunkRuns::default();
        for start in [4, 0, 2, 1, 3] {
            runs.insert(start..start + 1);
        }
        assert_eq!(runs.count(), 5);
        assert_eq!(runs.take_first(3), Some(0..3));
        assert_eq!(runs.take_first(9), Some(3..5));
        assert_eq!(runs.take_first(1), None);
    }

    #[test]
    fn a_freed_chunk_is_handed_out_only_after_its_punch() {
        let mut allocator = Allocator::default();
        assert_eq!(allocator.allocate(2), [ChunkNumber(0), ChunkNumber(1)]);
        allocator.chunk_is_free(ChunkNumber(0));
        assert_eq!(allocator.allocate(1), [ChunkNumber(2)], "chunk 0 is not punched yet");
        let punch = allocator.next_punch(8).unwrap();
        assert_eq!(punch, Punch::Chunks(0..1));
        assert_eq!(allocator.allocate(1), [ChunkNumber(3)], "nor while it is being punched");
        allocator.punched(punch);
        assert_eq!((allocator.punched_bytes(), allocator.bytes_to_punch()), (CHUNK_BYTES, 0));
        assert_eq!(allocator.allocate(1), [ChunkNumber(0)]);
    }

    #[test]
    fn freed_blocks_wait_for_their_commit() {
        let mut allocator = Allocator::default();
        let blocks = Fragment::new(ChunkNumber(7), 0b110);
        allocator.free_blocks(blocks);
        assert_eq!(allocator.unusable_blocks(ChunkNumber(7)), 0b110);
        assert_eq!(allocator.next_punch(1), None);
        assert_eq!(allocator.bytes_to_punch(), 2 * BLOCK_BYTES);
        allocator.blocks_are_free(blocks);
        let punch = allocator.next_punch(1).unwrap();
        assert_eq!(punch, Punch::Blocks(blocks));
        allocator.punched(punch);
        assert_eq!(allocator.unusable_blocks(ChunkNumber(7)), 0);
        assert!(!allocator.has_punches());
    }
}
