//! Several reads or writes at a time, for a medium that is at its best with many. What is simple goes together: whole blocks,
//! one run of them, in a leaf that is in memory; a write also only over blocks that the top layer holds. Everything else
//! takes the ordinary way, one after the other.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_volume::{BLOCK_BYTES, BatchRead, BatchWrite, VolumeError};
use parking_lot::RwLockReadGuard;

use super::{OpenVolume, Piece, Shape, leaf_pieces};
use crate::blocks::Span;
use crate::file::Part;
use crate::format::LeafIndex;
use crate::leaf::{Place, ResolvedLeaf, runs};
use crate::options::DataCache;

type LeafGuard<'a> = RwLockReadGuard<'a, Option<Box<ResolvedLeaf>>>;

impl OpenVolume {
    pub(crate) fn prefers_batches(&self) -> bool {
        self.core.options.data_cache == DataCache::Direct
    }

    pub(crate) fn read_batch(&self, reads: &mut [BatchRead<'_>]) -> Vec<Result<(), VolumeError>> {
        let mut results: Vec<Option<Result<(), VolumeError>>> = reads.iter().map(|_| None).collect();
        {
            let shape = self.shape.read();
            let ranges = reads.iter().map(|read| (read.offset_bytes, read.buffer.len()));
            let pieces: Vec<_> = ranges.map(|(at, length)| self.simple_piece(at, length)).collect();
            let leaves = self.hold_leaves(&shape, pieces.iter().flatten());
            let mut parts = Vec::with_capacity(reads.len());
            let mut taken = Vec::with_capacity(reads.len());
            for (number, (read, piece)) in reads.iter_mut().zip(pieces).enumerate() {
                let Some(leaf) =
                    piece.and_then(|piece| leaves.get(&piece.leaf)).and_then(|leaf| leaf.as_deref())
                else {
                    continue;
                };
                if let Some(span) = piece.and_then(|piece| only_run(leaf, piece)) {
                    parts.push(Part { offset_bytes: span.offset_bytes, buffer: &mut *read.buffer });
                    taken.push((number, span));
                }
            }
            // An error of the medium is told to the one whom it concerns, on the ordinary way.
            if self.core.data.read_parts(&mut parts).is_ok() {
                for ((number, span), part) in taken.into_iter().zip(parts) {
                    let verified = self.core.verify_read(self.cipher(), span, part.buffer);
                    results[number] = Some(verified.map_err(|error| self.read_error(error)));
                }
            }
        }
        let rest = results.into_iter().zip(reads);
        rest.map(|(done, read)| done.unwrap_or_else(|| self.read(read.offset_bytes, read.buffer))).collect()
    }

    pub(crate) fn write_batch(&self, writes: &[BatchWrite<'_>]) -> Vec<Result<(), VolumeError>> {
        let mut results: Vec<Option<Result<(), VolumeError>>> = writes.iter().map(|_| None).collect();
        if let Ok(shape) = self.shape_for_change()
            && !self.is_read_only
        {
            let pieces: Vec<_> =
                writes.iter().map(|write| self.simple_piece(write.offset_bytes, write.data.len())).collect();
            let leaves = self.hold_leaves(&shape, pieces.iter().flatten());
            let (mut spans, mut taken, mut blocks) = (Vec::new(), Vec::new(), BTreeSet::new());
            for (number, (write, piece)) in writes.iter().zip(pieces).enumerate() {
                let Some(leaf) =
                    piece.and_then(|piece| leaves.get(&piece.leaf)).and_then(|leaf| leaf.as_deref())
                else {
                    continue;
                };
                let Some(piece) = piece.filter(|piece| {
                    leaf.epoch() == shape.epoch && leaf.owns_all(piece.first_block(), piece.end_block())
                }) else {
                    continue;
                };
                let Some(span) = only_run(leaf, piece) else { continue };
                let first = span.offset_bytes / BLOCK_BYTES;
                let range = first..first + write.data.len() as u64 / BLOCK_BYTES;
                // Of two writes to a block the later one waits for the ordinary way: its checksum must come last, too.
                if range.clone().any(|block| blocks.contains(&block)) {
                    continue;
                }
                blocks.extend(range);
                spans.push((span, write.data));
                taken.push(number);
            }
            let written = self.core.overwrite_many(self.cipher(), &spans);
            for (number, written) in taken.into_iter().zip(written) {
                results[number] = written.map(|result| {
                    result.map_err(|error| self.core.failed_change(&format!("write `{}`", self.name), error))
                });
            }
        }
        let rest = results.into_iter().zip(writes);
        rest.map(|(done, write)| done.unwrap_or_else(|| self.write(write.offset_bytes, write.data))).collect()
    }

    /// The range as a piece of one leaf, if it is one and of whole blocks.
    fn simple_piece(&self, offset_bytes: u64, length: usize) -> Option<Piece> {
        self.check_range(offset_bytes, length as u64).ok()?;
        let mut pieces = leaf_pieces(offset_bytes, length as u64);
        let piece = pieces.next()?;
        (pieces.next().is_none() && piece.is_aligned()).then_some(piece)
    }

    /// Holds each leaf of the pieces once, those that are in memory, in ascending order.
    fn hold_leaves<'a, 'p>(
        &self,
        shape: &'a Shape,
        pieces: impl Iterator<Item = &'p Piece>,
    ) -> BTreeMap<LeafIndex, LeafGuard<'a>> {
        let wanted: BTreeSet<LeafIndex> = pieces.map(|piece| piece.leaf).collect();
        let hold = |leaf: LeafIndex| {
            let slot = shape.slot(leaf);
            slot.mark_used();
            (leaf, slot.leaf.read())
        };
        wanted.into_iter().map(hold).collect()
    }
}

/// Where the piece lies, if it is one run of blocks of the data file.
fn only_run(leaf: &ResolvedLeaf, piece: Piece) -> Option<Span> {
    let mut runs = runs(piece.first_block(), piece.end_block(), |block| leaf.place(block));
    let run = runs.next()?;
    match (run.place, runs.next()) {
        (Place::At(offset_bytes), None) => Some(piece.span(run.first, offset_bytes)),
        _ => None,
    }
}
