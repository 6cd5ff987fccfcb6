//! Writes past the page cache that come while others are under way.
//!
//! What is simple and in place goes this way: whole blocks that the top layer holds, one run of them, in a leaf and a page of checksums
//! that are in memory, the page open. Between the beginning of such a write and its end its leaf stays as it is, its page stays
//! open, and its chunk is locked, as for any write in place. With locks held and others to come nobody may be waited for: each lock
//! is taken if it is free, and a write that does not get all of its locks goes the ordinary way, after the last of those under way.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;

use ashlar_volume::{BLOCK_BYTES, BatchWrite, VolumeError, WriteSource};
use parking_lot::{MutexGuard, RwLockReadGuard};

use super::batch::only_run;
use super::{OpenVolume, Piece, Shape};
use crate::blocks::Span;
use crate::checksums::{Checksums, HeldPage};
use crate::file::{WriteQueue, write_queue};
use crate::format::{ChecksumPage, LeafIndex, crc32c};
use crate::leaf::ResolvedLeaf;

/// The most writes of one stream: whoever waits for the volume, to take a snapshot of it, waits for no more than these.
const TAKEN_MAX: usize = 128;
/// So many writes are begun before they are handed to the medium. Whoever hands over all that lies there at once makes the medium wait
/// for the last of them, gets all of their ends at once, and then everybody waits for the medium: in turns on one disk, 32 requests of one
/// connection made 62 thousand blocks a second that way, 72 by eights, 79 by twos, 81 one by one; four connections 91, 92, 96 and 97.
const HANDED_OVER_TOGETHER: usize = 2;
/// So often the thread looks for ends and for more writes before it waits for an end: somewhat less than a fast medium takes. Four
/// connections of depth 8 wrote 113 thousand blocks a second with it, 101 thousand without, 116 thousand with 300 looks.
const LOOKS_MAX: u32 = 64;
/// The most that wait for the ordinary way.
const REST_MAX: usize = 64;

/// A write that goes the ordinary way.
struct Other {
    number: usize,
    offset_bytes: u64,
    data: Vec<u8>,
}

impl OpenVolume {
    pub(crate) fn write_stream(&self, source: &mut dyn WriteSource) {
        let rest = self.overwrite_stream(source);
        let writes: Vec<_> = rest
            .iter()
            .map(|other| BatchWrite { offset_bytes: other.offset_bytes, data: &other.data })
            .collect();
        let mut results: Vec<Option<Result<(), VolumeError>>> = rest.iter().map(|_| None).collect();
        self.write_new_batch(&writes, &mut results);
        for ((other, write), done) in rest.iter().zip(&writes).zip(results) {
            source.ended(other.number, done.unwrap_or_else(|| self.write(write.offset_bytes, write.data)));
        }
    }

    /// Carries out the writes that are simple and in place; what is left has to go the ordinary way.
    fn overwrite_stream(&self, source: &mut dyn WriteSource) -> Vec<Other> {
        let mut rest = Vec::new();
        let shape = self.shape_for_change().ok().filter(|_| !self.is_read_only);
        let mut stream = shape.as_ref().map(|shape| Stream::new(self, shape));
        let (mut taken, mut takes_more, mut looks) = (0, true, 0);
        loop {
            let (taken_before, mut begun, mut is_dry) = (taken, 0, false);
            while takes_more && taken < TAKEN_MAX && begun < HANDED_OVER_TOGETHER && rest.len() < REST_MAX {
                let Some(BatchWrite { offset_bytes, data }) = source.next() else {
                    is_dry = true;
                    break;
                };
                let number = taken;
                taken += 1;
                if stream.as_mut().is_some_and(|stream| stream.begin(number, offset_bytes, data)) {
                    begun += 1;
                } else {
                    rest.push(Other { number, offset_bytes, data: data.to_vec() });
                }
            }
            let Some(stream) = stream.as_mut().filter(|stream| stream.is_under_way()) else { return rest };
            let under_way = stream.under_way.len();
            let is_well = stream.turn(!takes_more || looks == LOOKS_MAX, source);
            // Others wait for the end, and all that lay there has been taken; or the medium fails.
            let is_enough = taken == TAKEN_MAX || rest.len() == REST_MAX || (is_dry && !rest.is_empty());
            takes_more &= is_well && !is_enough;
            if taken > taken_before || stream.under_way.len() < under_way {
                looks = 0;
            } else {
                looks += 1;
                std::thread::yield_now();
            }
        }
    }
}

/// What the writes under way hold.
struct Stream<'a> {
    volume: &'a OpenVolume,
    shape: &'a Shape,
    // First: dropped, it waits for what is under way, before any lock is let go.
    queue: Box<dyn WriteQueue + 'a>,
    under_way: BTreeMap<usize, Overwrite>,
    /// Blocks of the data file that are being written.
    blocks: BTreeSet<u64>,
    /// The locked chunks, and how many writes need each.
    locks: BTreeMap<usize, (MutexGuard<'a, ()>, usize)>,
    leaves: BTreeMap<LeafIndex, RwLockReadGuard<'a, Option<Box<ResolvedLeaf>>>>,
    pages: BTreeMap<ChecksumPage, HeldPage<'a>>,
    stored: Vec<u8>,
}

/// A write in place that is under way.
struct Overwrite {
    span: Span,
    /// The checksums of its blocks, as they are stored.
    sums: Vec<u32>,
}

impl Overwrite {
    fn length_bytes(&self) -> u64 {
        self.sums.len() as u64 * BLOCK_BYTES
    }

    fn blocks(&self) -> Range<u64> {
        let first = self.span.offset_bytes / BLOCK_BYTES;
        first..first + self.sums.len() as u64
    }
}

impl<'a> Stream<'a> {
    fn new(volume: &'a OpenVolume, shape: &'a Shape) -> Self {
        Self {
            volume,
            shape,
            queue: write_queue(&*volume.core.data),
            under_way: BTreeMap::new(),
            blocks: BTreeSet::new(),
            locks: BTreeMap::new(),
            leaves: BTreeMap::new(),
            pages: BTreeMap::new(),
            stored: Vec::new(),
        }
    }

    fn is_under_way(&self) -> bool {
        !self.under_way.is_empty()
    }

    /// Begins a write; `false`: it goes the ordinary way.
    fn begin(&mut self, number: usize, offset_bytes: u64, data: &[u8]) -> bool {
        let Some(span) = self.place(offset_bytes, data.len()) else { return false };
        let stripes = || Checksums::stripes(span.offset_bytes, data.len() as u64);
        if !self.lock(stripes()) {
            return false;
        }
        let stored = match self.volume.cipher() {
            None => data,
            Some(cipher) => {
                self.stored.resize(data.len(), 0);
                cipher.encrypt_into(span.block, data, &mut self.stored);
                &self.stored
            }
        };
        let sums = stored.chunks_exact(BLOCK_BYTES as usize).map(crc32c).collect();
        let write = Overwrite { span, sums };
        // Of two writes to a block the later one waits for the ordinary way: its checksum must come last, too.
        let is_begun = write.blocks().all(|block| !self.blocks.contains(&block))
            && self.queue.begin(number, span.offset_bytes, stored);
        if is_begun {
            self.blocks.extend(write.blocks());
            self.under_way.insert(number, write);
        } else {
            self.unlock(stripes());
        }
        is_begun
    }

    /// Where a write in place goes, with its leaf and its page held.
    fn place(&mut self, offset_bytes: u64, length: usize) -> Option<Span> {
        let piece = self.volume.simple_piece(offset_bytes, length)?;
        let leaf = self.leaf(piece)?;
        let span = only_run(leaf, piece)?;
        let page = span.page();
        if span.last(length).page() != page {
            return None;
        }
        if !self.pages.contains_key(&page) {
            let held = self.volume.core.try_page(page)?;
            self.pages.insert(page, held);
        }
        self.pages.get(&page)?.is_open().then_some(span)
    }

    /// The leaf of the piece, if the top layer holds all of its blocks.
    fn leaf(&mut self, piece: Piece) -> Option<&ResolvedLeaf> {
        if !self.leaves.contains_key(&piece.leaf) {
            let slot = self.shape.slot(piece.leaf);
            slot.mark_used();
            self.leaves.insert(piece.leaf, slot.leaf.try_read()?);
        }
        let leaf = self.leaves.get(&piece.leaf)?.as_deref()?;
        (leaf.epoch() == self.shape.epoch && leaf.owns_all(piece.first_block(), piece.end_block()))
            .then_some(leaf)
    }

    /// Takes all of the locks, or none.
    fn lock(&mut self, stripes: impl Iterator<Item = usize> + Clone) -> bool {
        let checksums = &self.volume.core.checksums;
        for (at, stripe) in stripes.clone().enumerate() {
            if let Some((_, users)) = self.locks.get_mut(&stripe) {
                *users += 1;
            } else if let Some(lock) = checksums.try_lock_stripe(stripe) {
                self.locks.insert(stripe, (lock, 1));
            } else {
                self.unlock(stripes.take(at));
                return false;
            }
        }
        true
    }

    fn unlock(&mut self, stripes: impl Iterator<Item = usize>) {
        for stripe in stripes {
            if let Some((_, users)) = self.locks.get_mut(&stripe) {
                *users -= 1;
                if *users == 0 {
                    self.locks.remove(&stripe);
                }
            }
        }
    }

    /// Takes what has ended, after a wait for the first if `waits`, and says so; whether all of them were carried out.
    fn turn(&mut self, waits: bool, source: &mut dyn WriteSource) -> bool {
        let mut ended = Vec::new();
        self.queue.turn(waits, &mut |number, written| ended.push((number, written)));
        let lengths =
            ended.iter().filter_map(|(number, _)| self.under_way.get(number)).map(Overwrite::length_bytes);
        self.volume.core.mark_data_dirty(lengths.sum());
        let all_well = ended.iter().all(|(_, written)| written.is_ok());
        for (number, written) in ended {
            let result = self.end(number, written);
            source.ended(number, result);
        }
        all_well
    }

    /// Stores the checksums of what was written, and lets go of the chunks.
    fn end(&mut self, number: usize, written: io::Result<()>) -> Result<(), VolumeError> {
        let Some(write) = self.under_way.remove(&number) else { return Ok(()) };
        let core = &self.volume.core;
        if let Some(page) = self.pages.get(&write.span.page()) {
            match &written {
                Ok(()) => {
                    let places = (write.span.offset_bytes..).step_by(BLOCK_BYTES as usize);
                    places.zip(&write.sums).for_each(|(at, sum)| page.set_in_place(at, *sum));
                    core.damage.forget(core, write.span, write.length_bytes());
                }
                Err(_) => core.settle_failed_write(page, write.span, write.sums.iter().copied()),
            }
        }
        write.blocks().for_each(|block| {
            self.blocks.remove(&block);
        });
        self.unlock(Checksums::stripes(write.span.offset_bytes, write.length_bytes()));
        written.map_err(|error| core.failed_change(&format!("write `{}`", self.volume.name), error))
    }
}
