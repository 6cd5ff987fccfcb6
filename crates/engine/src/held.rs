//! Which leaves of a row of layers hold something, so that nobody has to look at those that do not: a disk of many TiB that
//! holds little costs what it holds.

use std::collections::BTreeSet;
use std::ops::Range;

use ashlar_volume::VolumeError;

use crate::core::Core;
use crate::format::{LayerId, LeafIndex};

/// Leaves are looked for in batches, each twice as large as the one before: most callers want the first one only.
const FIRST_BATCH: usize = 4;
const BATCH_MAX: usize = 1024;

/// The leaves of a range that hold something, in ascending order, while they are asked for.
///
/// What was in the map before the first question is found. What is put there meanwhile may be missed.
#[derive(Debug)]
pub(crate) struct HeldLeaves {
    found: BTreeSet<LeafIndex>,
    /// What is not known yet.
    unknown: Range<LeafIndex>,
    batch: usize,
}

impl HeldLeaves {
    pub(crate) const fn new(leaves: Range<LeafIndex>) -> Self {
        Self { found: BTreeSet::new(), unknown: leaves, batch: FIRST_BATCH }
    }

    /// The first leaf from `from` on in which one of the layers may hold something. Questions ascend.
    pub(crate) fn next(
        &mut self,
        core: &Core,
        layers: &[LayerId],
        from: LeafIndex,
    ) -> Result<Option<LeafIndex>, VolumeError> {
        loop {
            if let Some(leaf) = self.found.range(from..).next() {
                return Ok(Some(*leaf));
            }
            self.unknown.start = self.unknown.start.max(from);
            if self.unknown.is_empty() {
                return Ok(None);
            }
            self.found = core.held_leaves(layers, self.unknown.clone(), self.batch)?;
            self.unknown.start = match self.found.last() {
                Some(last) if self.found.len() == self.batch => LeafIndex(last.0 + 1),
                _ => self.unknown.end,
            };
            self.batch = (self.batch * 2).min(BATCH_MAX);
        }
    }
}

/// The first leaves of a range, in whatever order they are found.
#[derive(Debug)]
pub(crate) struct FirstLeaves {
    leaves: BTreeSet<LeafIndex>,
    /// Those that would still count.
    range: Range<LeafIndex>,
    count_max: usize,
}

impl FirstLeaves {
    pub(crate) const fn range(&self) -> &Range<LeafIndex> {
        &self.range
    }

    /// Adds a leaf; `false` if neither it nor a later one counts.
    pub(crate) fn add(&mut self, leaf: LeafIndex) -> bool {
        if leaf >= self.range.end {
            return false;
        }
        self.leaves.insert(leaf);
        if self.leaves.len() > self.count_max {
            self.leaves.pop_last();
        }
        if self.leaves.len() == self.count_max {
            self.range.end = self.leaves.last().copied().unwrap_or(self.range.end);
        }
        true
    }
}

impl Core {
    /// The first leaves of a range in which one of the layers may hold something: `count_max` of them, or all.
    fn held_leaves(
        &self,
        layers: &[LayerId],
        range: Range<LeafIndex>,
        count_max: usize,
    ) -> Result<BTreeSet<LeafIndex>, VolumeError> {
        let start = range.start;
        let mut found = FirstLeaves { leaves: BTreeSet::new(), range, count_max };
        // An entry that moved from a layer that is still to be asked to one that was would be missed.
        let _entries_stay = self.moves.read();
        // The deltas are read before the map, as for the content of a leaf.
        for layer in layers {
            let state = self.state.read();
            let mut from = start;
            while let Some(leaf) = state.next_leaf(*layer, from).filter(|leaf| found.add(*leaf)) {
                from = LeafIndex(leaf.0 + 1);
            }
        }
        self.map.find_leaves(layers, &mut found, |layer, leaf| !self.state.read().is_dropped(layer, leaf))?;
        Ok(found.leaves)
    }
}
