//! The bytes of one volume or snapshot: a map of blocks, and the arithmetic of ranges over it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use crate::{BLOCK_BYTES, ChangeKind, Extent, ExtentKind};

const BLOCK_LENGTH: usize = BLOCK_BYTES as usize;

/// One block of 4 KiB. Cloning it (copy on write) counts it again.
#[derive(Clone)]
struct Block {
    bytes: [u8; BLOCK_LENGTH],
    _census: Arc<()>,
}

/// Blocks by number. An absent block is a hole.
#[derive(Clone)]
pub(super) struct Content {
    blocks: BTreeMap<u64, Arc<Block>>,
}

/// The part of a byte range that lies in one block.
struct Piece {
    block: u64,
    within: Range<usize>,
}

impl Piece {
    fn is_whole_block(&self) -> bool {
        self.within.len() == BLOCK_LENGTH
    }
}

/// The pieces of a range, in order.
fn pieces(offset_bytes: u64, length_bytes: u64) -> impl Iterator<Item = Piece> {
    let end = offset_bytes + length_bytes;
    let mut at = offset_bytes;
    std::iter::from_fn(move || {
        if at >= end {
            return None;
        }
        let block = at / BLOCK_BYTES;
        let from = (at % BLOCK_BYTES) as usize;
        let length = (end - at).min(BLOCK_BYTES - at % BLOCK_BYTES);
        at += length;
        Some(Piece { block, within: from..from + length as usize })
    })
}

/// The blocks that a range covers in part: at most the first and the last.
fn partial_blocks(offset_bytes: u64, length_bytes: u64) -> impl Iterator<Item = Piece> {
    let end = offset_bytes + length_bytes;
    let first = (offset_bytes / BLOCK_BYTES + 1) * BLOCK_BYTES;
    let last = (end / BLOCK_BYTES * BLOCK_BYTES).max(first.min(end));
    pieces(offset_bytes, first.min(end) - offset_bytes)
        .chain(pieces(last, end - last))
        .filter(|piece| !piece.is_whole_block())
}

impl Content {
    pub(super) const fn new() -> Self {
        Self { blocks: BTreeMap::new() }
    }

    pub(super) fn read(&self, offset_bytes: u64, buffer: &mut [u8]) {
        let mut rest = buffer;
        for piece in pieces(offset_bytes, rest.len() as u64) {
            let (part, tail) = rest.split_at_mut(piece.within.len());
            match self.blocks.get(&piece.block) {
                Some(block) => part.copy_from_slice(&block.bytes[piece.within]),
                None => part.fill(0),
            }
            rest = tail;
        }
    }

    pub(super) fn write(&mut self, census: &Arc<()>, offset_bytes: u64, data: &[u8]) {
        let mut rest = data;
        for piece in pieces(offset_bytes, data.len() as u64) {
            let (part, tail) = rest.split_at(piece.within.len());
            self.allocated(census, piece.block).bytes[piece.within].copy_from_slice(part);
            rest = tail;
        }
    }

    /// Zeroes the range and makes every block it touches an own, allocated one.
    pub(super) fn zero_allocated(&mut self, census: &Arc<()>, offset_bytes: u64, length_bytes: u64) {
        for piece in pieces(offset_bytes, length_bytes) {
            self.allocated(census, piece.block).bytes[piece.within].fill(0);
        }
    }

    /// Drops whole blocks; zeroes the rest where there is a block at all.
    pub(super) fn punch(&mut self, offset_bytes: u64, length_bytes: u64) {
        let whole = offset_bytes.div_ceil(BLOCK_BYTES)..(offset_bytes + length_bytes) / BLOCK_BYTES;
        if !whole.is_empty() {
            let gone: Vec<u64> = self.blocks.range(whole).map(|(number, _)| *number).collect();
            gone.iter().for_each(|number| drop(self.blocks.remove(number)));
        }
        for piece in partial_blocks(offset_bytes, length_bytes) {
            if let Some(block) = self.blocks.get_mut(&piece.block) {
                Arc::make_mut(block).bytes[piece.within].fill(0);
            }
        }
    }

    /// The block, made if absent, and copied if anything else shares it.
    fn allocated(&mut self, census: &Arc<()>, number: u64) -> &mut Block {
        let block = self
            .blocks
            .entry(number)
            .or_insert_with(|| Arc::new(Block { bytes: [0; BLOCK_LENGTH], _census: Arc::clone(census) }));
        Arc::make_mut(block)
    }

    /// How many new blocks a write of the range would take.
    pub(super) fn blocks_for_write(&self, offset_bytes: u64, length_bytes: u64) -> u64 {
        let is_new = |number: &u64| self.blocks.get(number).is_none_or(|block| Arc::strong_count(block) > 1);
        pieces(offset_bytes, length_bytes).filter(|piece| is_new(&piece.block)).count() as u64
    }

    /// How many new blocks [`punch`](Self::punch) would take: partly zeroed ones that are shared.
    pub(super) fn blocks_for_punch(&self, offset_bytes: u64, length_bytes: u64) -> u64 {
        let is_shared = |number: &u64| self.blocks.get(number).is_some_and(|b| Arc::strong_count(b) > 1);
        partial_blocks(offset_bytes, length_bytes).filter(|piece| is_shared(&piece.block)).count() as u64
    }

    /// Blocks that nothing else in the store shares.
    pub(super) fn unshared_blocks(&self) -> u64 {
        self.blocks.values().filter(|block| Arc::strong_count(block) == 1).count() as u64
    }

    /// Blocks that `other` does not have at the same place; all of them when there is no other.
    pub(super) fn blocks_not_in(&self, other: Option<&Self>) -> u64 {
        let shares = |number: &u64, block: &Arc<Block>| {
            other.and_then(|other| other.blocks.get(number)).is_some_and(|theirs| Arc::ptr_eq(theirs, block))
        };
        self.blocks.iter().filter(|(number, block)| !shares(number, block)).count() as u64
    }

    /// The blocks of a range that this or `other` has, in order.
    pub(super) fn blocks_of_either(&self, other: &Self, range: Range<u64>) -> BTreeSet<u64> {
        let blocks = self.blocks.range(range.clone()).chain(other.blocks.range(range));
        blocks.map(|(number, _)| *number).collect()
    }

    /// What became of a block since `older`.
    pub(super) fn change_of(&self, block: u64, older: &Self) -> ChangeKind {
        match (older.blocks.get(&block), self.blocks.get(&block)) {
            (None, None) => ChangeKind::Unchanged,
            (Some(before), Some(now)) if Arc::ptr_eq(before, now) => ChangeKind::Unchanged,
            (_, Some(_)) => ChangeKind::Written,
            (Some(_), None) => ChangeKind::Zeroed,
        }
    }

    /// See [`BlockDevice::extents`](crate::BlockDevice::extents).
    pub(super) fn extents(&self, offset_bytes: u64, length_bytes: u64, extents_max: usize) -> Vec<Extent> {
        let end = offset_bytes + length_bytes;
        let mut extents = Vec::new();
        let mut at = offset_bytes;
        while at < end && extents.len() < extents_max {
            let block = at / BLOCK_BYTES;
            let (kind, next_block) = if self.blocks.contains_key(&block) {
                (ExtentKind::Data, self.first_hole_from(block))
            } else {
                let next = self.blocks.range(block..).next().map(|(number, _)| *number);
                (ExtentKind::Hole, next.unwrap_or(u64::MAX))
            };
            let next = next_block.saturating_mul(BLOCK_BYTES).min(end);
            extents.push(Extent { length_bytes: next - at, kind });
            at = next;
        }
        extents
    }

    fn first_hole_from(&self, block: u64) -> u64 {
        let mut expected = block;
        for number in self.blocks.range(block..).map(|(number, _)| *number) {
            if number != expected {
                break;
            }
            expected += 1;
        }
        expected
    }
}
