//! A resolved leaf: where each block of 32 MiB of an open volume lies, whatever the number of layers.

use ashlar_volume::BLOCK_BYTES;

use crate::format::{BLOCKS_PER_CHUNK, CHUNKS_PER_LEAF, ChunkNumber, Fragment, LeafChunks};

#[cfg(test)]
mod tests;

/// A block of a leaf, counted from the leaf's beginning.
pub(crate) type BlockInLeaf = u64;

/// One chunk of the leaf. 16 bytes, because millions may be in memory.
#[derive(Debug, Clone, Copy, Default)]
struct ResolvedChunk {
    /// What is visible, if it is one fragment or none; its mask is empty for none.
    single: Fragment,
    /// One more than the place in `tables` of what is visible, if it is several fragments; 0 if not.
    table: u16,
    /// Blocks whose data the top layer holds.
    owned: u16,
    /// Blocks that the top layer makes zeroes over something below.
    zeroes: u16,
    /// Blocks for which a lower layer would show data if the top layer held nothing.
    below: u16,
}

/// The chunk of the file in which each block of one chunk lies; `ChunkNumber::ZEROES` for holes. A lookup touches
/// one cache line of it, however many fragments there are.
type BlockTable = [ChunkNumber; BLOCKS_PER_CHUNK as usize];

const _: () = assert!(size_of::<ResolvedChunk>() == 16);

/// Where the bytes of a run of blocks are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere: they are zeroes.
    Hole,
    /// At this offset of the data file, in bytes.
    At(u64),
}

impl Place {
    /// The place `blocks` further on.
    const fn after(self, blocks: u64) -> Self {
        match self {
            Self::Hole => Self::Hole,
            Self::At(offset_bytes) => Self::At(offset_bytes + blocks * BLOCK_BYTES),
        }
    }
}

/// Blocks that follow each other both in the volume and in the data file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) first: BlockInLeaf,
    pub(crate) count: u64,
    pub(crate) place: Place,
}

/// Joins neighbouring blocks of `first..end` whose places follow each other.
pub(crate) fn runs(
    first: BlockInLeaf,
    end: BlockInLeaf,
    place: impl Fn(BlockInLeaf) -> Place,
) -> impl Iterator<Item = Run> {
    let mut next = first;
    std::iter::from_fn(move || {
        if next >= end {
            return None;
        }
        let mut run = Run { first: next, count: 1, place: place(next) };
        next += 1;
        while next < end && place(next) == run.place.after(run.count) {
            run.count += 1;
            next += 1;
        }
        Some(run)
    })
}

/// What [`ResolvedLeaf::discard`] would take from the top layer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Discarded {
    /// Fragments of chunks that go as a whole.
    pub(crate) chunks: Vec<Fragment>,
    /// Blocks of chunks that stay.
    pub(crate) blocks: Vec<Fragment>,
}

impl Discarded {
    /// Blocks that the top layer holds no more.
    pub(crate) fn block_count(&self) -> u64 {
        self.chunks.iter().chain(&self.blocks).map(|fragment| u64::from(fragment.mask().count_ones())).sum()
    }
}

/// Where every block of a leaf is, seen from one top layer.
#[derive(Debug)]
pub(crate) struct ResolvedLeaf {
    /// The volume's epoch for which "owned" is true.
    epoch: u64,
    /// One for each chunk; empty as long as nothing is there.
    chunks: Vec<ResolvedChunk>,
    tables: Vec<BlockTable>,
}

impl ResolvedLeaf {
    /// Looks through the layers' leaves; the top layer comes first.
    pub(crate) fn resolve(epoch: u64, layers: &[LeafChunks]) -> Self {
        let mut leaf = Self { epoch, chunks: Vec::new(), tables: Vec::new() };
        if layers.iter().all(|layer| layer.is_empty()) {
            return leaf;
        }
        let mut covered = vec![0_u16; CHUNKS_PER_LEAF as usize];
        let mut covered_below = covered.clone();
        for (depth, layer) in layers.iter().enumerate() {
            for (slot, fragments) in layer {
                let at = usize::from(*slot);
                for fragment in fragments {
                    let mask = fragment.mask();
                    if depth == 0 {
                        leaf.add_top(*slot, *fragment);
                    } else {
                        leaf.add_lower(
                            *slot,
                            fragment.with_mask(mask & !covered[at]),
                            mask & !covered_below[at],
                        );
                        covered_below[at] |= mask;
                    }
                    covered[at] |= mask;
                }
            }
        }
        leaf
    }

    fn add_top(&mut self, slot: u16, fragment: Fragment) {
        let chunk = self.chunk_mut(slot);
        if fragment.is_zeroes() {
            chunk.zeroes |= fragment.mask();
        } else {
            chunk.owned |= fragment.mask();
            self.push_fragment(slot, fragment);
        }
    }

    fn add_lower(&mut self, slot: u16, visible: Fragment, below: u16) {
        if visible.is_zeroes() {
            return;
        }
        self.chunk_mut(slot).below |= below;
        if visible.mask() != 0 {
            self.push_fragment(slot, visible);
        }
    }

    /// The volume's epoch for which ownership is true.
    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// A new, empty layer is on top since `epoch`: nothing is owned any more, and what was visible is below.
    pub(crate) fn freeze(&mut self, epoch: u64) {
        self.epoch = epoch;
        for slot in 0..self.chunks.len() as u16 {
            let visible = self.fragments(slot).iter().fold(0, |visible, fragment| visible | fragment.mask());
            let chunk = self.chunk_mut(slot);
            chunk.owned = 0;
            chunk.zeroes = 0;
            chunk.below = visible;
        }
    }

    fn chunk(&self, slot: u16) -> ResolvedChunk {
        self.chunks.get(usize::from(slot)).copied().unwrap_or_default()
    }

    fn chunk_mut(&mut self, slot: u16) -> &mut ResolvedChunk {
        if self.chunks.is_empty() {
            self.chunks.resize(CHUNKS_PER_LEAF as usize, ResolvedChunk::default());
        }
        &mut self.chunks[usize::from(slot)]
    }

    fn table(&self, chunk: ResolvedChunk) -> Option<&BlockTable> {
        usize::from(chunk.table).checked_sub(1).map(|at| &self.tables[at])
    }

    /// The visible fragments of a chunk.
    fn fragments(&self, slot: u16) -> Vec<Fragment> {
        let chunk = self.chunk(slot);
        let Some(table) = self.table(chunk) else {
            return Some(chunk.single).into_iter().filter(|single| single.mask() != 0).collect();
        };
        let mut fragments: Vec<Fragment> = Vec::new();
        for (block, number) in table.iter().enumerate().filter(|(_, number)| **number != ChunkNumber::ZEROES)
        {
            match fragments.iter_mut().find(|fragment| fragment.chunk() == *number) {
                Some(fragment) => *fragment = fragment.with_mask(fragment.mask() | 1 << block),
                None => fragments.push(Fragment::new(*number, 1 << block)),
            }
        }
        fragments
    }

    /// Adds a fragment; nothing is visible where its blocks are.
    fn push_fragment(&mut self, slot: u16, fragment: Fragment) {
        let chunk = self.chunk(slot);
        if chunk.table == 0 && chunk.single.mask() == 0 {
            self.chunk_mut(slot).single = fragment;
            return;
        }
        if chunk.table == 0 {
            self.tables.push([ChunkNumber::ZEROES; BLOCKS_PER_CHUNK as usize]);
            let table = self.tables.len() as u16;
            self.chunk_mut(slot).table = table;
            self.fill_table(slot, chunk.single);
        }
        self.fill_table(slot, fragment);
    }

    fn fill_table(&mut self, slot: u16, fragment: Fragment) {
        let at = usize::from(self.chunk(slot).table) - 1;
        for (block, number) in self.tables[at].iter_mut().enumerate() {
            if fragment.mask() >> block & 1 == 1 {
                *number = fragment.chunk();
            }
        }
    }

    fn set_fragments(&mut self, slot: u16, fragments: Vec<Fragment>) {
        let chunk = self.chunk_mut(slot);
        chunk.single = Fragment::default();
        if chunk.table != 0 {
            // It had several fragments: it keeps its table, which others may not take over.
            let at = usize::from(chunk.table) - 1;
            self.tables[at].fill(ChunkNumber::ZEROES);
        }
        fragments.into_iter().for_each(|fragment| self.push_fragment(slot, fragment));
    }

    /// Where a block is.
    #[inline]
    pub(crate) fn place(&self, block: BlockInLeaf) -> Place {
        let bit = block % BLOCKS_PER_CHUNK;
        let chunk = self.chunk((block / BLOCKS_PER_CHUNK) as u16);
        let number = match self.table(chunk) {
            Some(table) => table[bit as usize],
            None if chunk.single.mask() >> bit & 1 == 1 => chunk.single.chunk(),
            None => ChunkNumber::ZEROES,
        };
        if number == ChunkNumber::ZEROES { Place::Hole } else { place_in(number, block) }
    }

    /// Blocks of a chunk that are no holes.
    pub(crate) fn data_blocks(&self, slot: u16) -> u16 {
        let chunk = self.chunk(slot);
        let Some(table) = self.table(chunk) else { return chunk.single.mask() };
        let is_data = |block: &u64| table[*block as usize] != ChunkNumber::ZEROES;
        (0..BLOCKS_PER_CHUNK).filter(is_data).fold(0, |mask, block| mask | 1 << block)
    }

    /// Whether the top layer holds the block's data.
    pub(crate) fn is_owned(&self, block: BlockInLeaf) -> bool {
        let chunk = self.chunk((block / BLOCKS_PER_CHUNK) as u16);
        chunk.owned >> (block % BLOCKS_PER_CHUNK) & 1 == 1
    }

    /// Whether the top layer holds the data of all blocks of `first..end`.
    pub(crate) fn owns_all(&self, first: BlockInLeaf, end: BlockInLeaf) -> bool {
        (first..end).all(|block| self.is_owned(block))
    }

    /// Blocks of a chunk whose data the top layer holds.
    pub(crate) fn owned_blocks(&self, slot: u16) -> u16 {
        self.chunk(slot).owned
    }

    /// The chunks of the file in which the top layer holds blocks of a chunk.
    pub(crate) fn owned_chunks(&self, slot: u16) -> impl Iterator<Item = ChunkNumber> {
        let owned = self.chunk(slot).owned;
        let fragments = self.fragments(slot).into_iter();
        fragments.filter(move |fragment| fragment.mask() & owned != 0).map(Fragment::chunk)
    }

    /// What the top layer's map says of a chunk.
    pub(crate) fn top_entry(&self, slot: u16) -> Box<[Fragment]> {
        let chunk = self.chunk(slot);
        let zeroes = (chunk.zeroes != 0).then_some(Fragment::new(ChunkNumber::ZEROES, chunk.zeroes));
        let fragments = self.fragments(slot).into_iter();
        fragments.filter(|fragment| fragment.mask() & chunk.owned != 0).chain(zeroes).collect()
    }

    /// The top layer holds the blocks of `mask` in `target` from now on. It did not before.
    pub(crate) fn own(&mut self, slot: u16, target: ChunkNumber, mask: u16) {
        let mut is_new = true;
        let mut fragments = Vec::new();
        for fragment in self.fragments(slot) {
            let visible = if fragment.chunk() == target {
                is_new = false;
                fragment.mask() | mask
            } else {
                fragment.mask() & !mask
            };
            if visible != 0 {
                fragments.push(fragment.with_mask(visible));
            }
        }
        if is_new {
            fragments.push(Fragment::new(target, mask));
        }
        self.set_fragments(slot, fragments);
        let chunk = self.chunk_mut(slot);
        chunk.owned |= mask;
        chunk.zeroes &= !mask;
    }

    /// What the top layer would give up if the blocks of `mask` became zeroes; `None` if nothing would change.
    pub(crate) fn plan_discard(&self, slot: u16, mask: u16) -> Option<Discarded> {
        let chunk = self.chunk(slot);
        if chunk.owned & mask == 0 && chunk.below & mask & !chunk.zeroes == 0 {
            return None;
        }
        let mut discarded = Discarded::default();
        let fragments = self.fragments(slot).into_iter();
        for fragment in fragments.filter(|fragment| fragment.mask() & chunk.owned & mask != 0) {
            if fragment.mask() & !mask == 0 {
                discarded.chunks.push(fragment);
            } else {
                discarded.blocks.push(fragment.with_mask(fragment.mask() & mask));
            }
        }
        Some(discarded)
    }

    /// Makes the blocks of `mask` zeroes.
    pub(crate) fn discard(&mut self, slot: u16, mask: u16) {
        let fragments: Vec<_> = self
            .fragments(slot)
            .into_iter()
            .map(|fragment| fragment.with_mask(fragment.mask() & !mask))
            .filter(|fragment| fragment.mask() != 0)
            .collect();
        self.set_fragments(slot, fragments);
        let chunk = self.chunk_mut(slot);
        chunk.owned &= !mask;
        chunk.zeroes = (chunk.zeroes | mask) & chunk.below;
    }
}

/// A block at its place in a chunk of the file.
pub(crate) const fn place_in(chunk: ChunkNumber, block: BlockInLeaf) -> Place {
    Place::At(chunk.offset_bytes() + block % BLOCKS_PER_CHUNK * BLOCK_BYTES)
}
