//! Several reads or first writes at a time, for a medium that is at its best with many. What is simple goes together: whole blocks,
//! one run of them, in a leaf that is in memory; of writes those over blocks of which the top layer holds none. Everything else takes
//! the ordinary way, one after the other.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_volume::{BatchRead, BatchWrite, VolumeError};
use parking_lot::RwLockReadGuard;

use super::change::{Target, note_checksums, place_among};
use super::read::run_part;
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

    /// Carries out those writes that are simple and for blocks that the top layer lacks, leaf by leaf. What fails is tried
    /// again on the ordinary way, which tells the one whom the error concerns.
    pub(super) fn write_new_batch(
        &self,
        writes: &[BatchWrite<'_>],
        results: &mut [Option<Result<(), VolumeError>>],
    ) {
        let mut leaves: BTreeMap<LeafIndex, Vec<(usize, Piece)>> = BTreeMap::new();
        for (number, write) in writes.iter().enumerate().filter(|(number, _)| results[*number].is_none()) {
            if let Some(piece) = self.simple_piece(write.offset_bytes, write.data.len()) {
                leaves.entry(piece.leaf).or_default().push((number, piece));
            }
        }
        for (index, pieces) in leaves.into_iter().filter(|(_, pieces)| pieces.len() > 1) {
            let wanted: Vec<_> =
                pieces.iter().map(|(number, piece)| (*number, *piece, writes[*number].data)).collect();
            for number in self.write_new_together(index, &wanted).unwrap_or_default() {
                results[number] = Some(self.core.commit_if_large());
            }
        }
    }

    /// Writes blocks of one leaf that the top layer lacks, all at once; answers which of the writes were carried out.
    fn write_new_together(
        &self,
        index: LeafIndex,
        wanted: &[(usize, Piece, &[u8])],
    ) -> Result<Vec<usize>, VolumeError> {
        if self.is_read_only {
            return Ok(Vec::new());
        }
        let shape = self.shape_for_change()?;
        let slot = shape.slot(index);
        slot.mark_used();
        let mut guard = slot.leaf.write();
        let leaf = self.load(&shape, index, &mut guard)?;
        let mut masks: BTreeMap<u16, u16> = BTreeMap::new();
        let mut chosen = Vec::new();
        for (number, piece, bytes) in wanted {
            let taken = |slot: u16| leaf.owned_blocks(slot) | masks.get(&slot).copied().unwrap_or(0);
            if piece.slots().all(|slot| piece.mask(slot) & taken(slot) == 0) {
                piece.slots().for_each(|slot| *masks.entry(slot).or_default() |= piece.mask(slot));
                chosen.push((*number, *piece, *bytes));
            }
        }
        if chosen.is_empty() {
            return Ok(Vec::new());
        }
        let mut targets = self.choose_targets(leaf, masks.into_iter())?;
        if let Err(error) = self.fill_targets(&mut targets, &chosen) {
            self.give_back(&targets);
            return Err(self.core.failed_change(&format!("write `{}`", self.name), error));
        }
        self.publish_targets(&shape, leaf, index, &targets);
        Ok(chosen.into_iter().map(|(number, _, _)| number).collect())
    }

    /// Writes the pieces to their targets, and notes the checksums.
    fn fill_targets(&self, targets: &mut [Target], chosen: &[(usize, Piece, &[u8])]) -> std::io::Result<()> {
        let mut spans = Vec::new();
        for (_, piece, bytes) in chosen {
            for run in runs(piece.first_block(), piece.end_block(), |block| place_among(targets, block)) {
                let Place::At(offset_bytes) = run.place else { continue };
                spans.push((run.first, piece.span(run.first, offset_bytes), &bytes[run_part(run, *piece).0]));
            }
        }
        let sums =
            self.core.write_new_parts(self.cipher(), spans.iter().map(|(_, span, bytes)| (*span, *bytes)))?;
        for ((first, _, _), sums) in spans.iter().zip(sums) {
            note_checksums(targets, *first, sums);
        }
        Ok(())
    }

    /// The range as a piece of one leaf, if it is one and of whole blocks.
    pub(super) fn simple_piece(&self, offset_bytes: u64, length: usize) -> Option<Piece> {
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
pub(super) fn only_run(leaf: &ResolvedLeaf, piece: Piece) -> Option<Span> {
    let mut runs = runs(piece.first_block(), piece.end_block(), |block| leaf.place(block));
    let run = runs.next()?;
    match (run.place, runs.next()) {
        (Place::At(offset_bytes), None) => Some(piece.span(run.first, offset_bytes)),
        _ => None,
    }
}
