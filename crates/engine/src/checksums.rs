//! The checksums of blocks that are in memory, and the locks that keep a block and its checksum together.
//!
//! A page of checksums is loaded when one of its blocks is first read or written, and let go when others need the room.
//! What it holds is always right for what the data file holds now; whether the stored one is, after a crash, is what
//! write intents say (`intent`).

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use ashlar_volume::{BLOCK_BYTES, ErrorKind, VolumeError};
use parking_lot::{MappedRwLockReadGuard, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::core::Core;
use crate::format::{
    BLOCKS_PER_CHECKSUM_PAGE, BLOCKS_PER_CHUNK, CHUNK_BYTES, CHUNKS_PER_CHECKSUM_PAGE, ChecksumPage,
    ChunkChecksums, ChunkNumber, StoredChecksums, crc32c, zero_block_checksum,
};

/// Doubling steps of the table of pages.
const STEPS: usize = 48;
/// Locks that writers in place share, by chunk, of a byte each. So many that streams of writes past the page cache, which hold theirs
/// until the medium is done, seldom meet: of 256, two sessions with eight writes each shared one in two cases of ten.
const STRIPES: u64 = 8192;
/// Working checksums out again reads the data file in pieces of this size.
const REBUILD_STEP_BYTES: u64 = 256 * 1024;
/// The checksum of a block that could not be read when it was worked out.
const UNREADABLE: u32 = 0;

/// What is known of a page of checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum PageState {
    /// The stored checksums are believed; nothing may be changed in place.
    Closed = 0,
    /// A write intent is durable: blocks may be changed in place.
    Open = 1,
    /// A write intent was found at opening: the checksums have to be worked out again from the data. It counts as open, too.
    Stale = 2,
    /// As closed; a write intent is being made durable.
    Opening = 3,
}

/// The checksums of 60 chunks.
#[derive(Debug)]
pub(crate) struct Page {
    sums: [AtomicU32; BLOCKS_PER_CHECKSUM_PAGE],
    /// Chunks of which a checksum was changed in place since it was last stored.
    modified: AtomicU64,
    /// Blocks of which the checksum is not known: that of what the data file holds is right.
    unknown: [AtomicU64; UNKNOWN_WORDS],
    /// Whether there may be any.
    has_unknown: AtomicBool,
}

const UNKNOWN_WORDS: usize = BLOCKS_PER_CHECKSUM_PAGE / u64::BITS as usize;
const _: () = assert!(UNKNOWN_WORDS * u64::BITS as usize == BLOCKS_PER_CHECKSUM_PAGE, "a bit for each block");
const _: () =
    assert!(CHUNKS_PER_CHECKSUM_PAGE < u64::BITS as u64, "a bit for each chunk, and the shift below");
const ALL_MODIFIED: u64 = (1 << CHUNKS_PER_CHECKSUM_PAGE) - 1;

impl Page {
    fn new(stored: &StoredChecksums) -> Box<Self> {
        Box::new(Self {
            sums: std::array::from_fn(|at| AtomicU32::new(stored[at])),
            modified: AtomicU64::new(0),
            unknown: [const { AtomicU64::new(0) }; UNKNOWN_WORDS],
            has_unknown: AtomicBool::new(false),
        })
    }

    /// A page of which no checksum is known.
    fn unknown() -> Box<Self> {
        Box::new(Self {
            sums: [const { AtomicU32::new(0) }; BLOCKS_PER_CHECKSUM_PAGE],
            modified: AtomicU64::new(ALL_MODIFIED),
            unknown: [const { AtomicU64::new(u64::MAX) }; UNKNOWN_WORDS],
            has_unknown: AtomicBool::new(true),
        })
    }

    fn at(chunk: ChunkNumber, block: u64) -> usize {
        (chunk.0 % CHUNKS_PER_CHECKSUM_PAGE * BLOCKS_PER_CHUNK + block) as usize
    }

    /// The checksum, if it is known.
    fn get(&self, chunk: ChunkNumber, block: u64) -> Option<u32> {
        let at = Self::at(chunk, block);
        if self.has_unknown.load(Ordering::Acquire)
            && self.unknown[at / 64].load(Ordering::Acquire) >> (at % 64) & 1 == 1
        {
            return None;
        }
        Some(self.sums[at].load(Ordering::Acquire))
    }

    /// The checksum; that of what the data file holds, if none was known.
    fn get_or_adopt(&self, chunk: ChunkNumber, block: u64, sum: u32) -> u32 {
        if let Some(known) = self.get(chunk, block) {
            return known;
        }
        // Unless it is set meanwhile: that is the checksum of what comes after `sum`.
        let adopted =
            self.sums[Self::at(chunk, block)].compare_exchange(0, sum, Ordering::AcqRel, Ordering::Acquire);
        let known = adopted.map_or_else(|set| set, |_| sum);
        self.mark_known(chunk, block);
        known
    }

    fn mark_known(&self, chunk: ChunkNumber, block: u64) {
        let at = Self::at(chunk, block);
        if self.has_unknown.load(Ordering::Acquire) {
            self.unknown[at / 64].fetch_and(!(1 << (at % 64)), Ordering::Release);
        }
    }

    fn set(&self, chunk: ChunkNumber, block: u64, sum: u32) {
        let at = Self::at(chunk, block);
        self.sums[at].store(sum, Ordering::Release);
        self.mark_known(chunk, block);
    }

    /// Takes out the checksums of the chunks that were changed in place.
    pub(crate) fn take_modified(&self, page: ChecksumPage) -> Vec<(ChunkNumber, ChunkChecksums)> {
        let modified = self.modified.swap(0, Ordering::Relaxed);
        let chunks = (0..CHUNKS_PER_CHECKSUM_PAGE).filter(|at| modified >> at & 1 == 1);
        chunks
            .map(|at| {
                let chunk = ChunkNumber(page.first_chunk().0 + at);
                let mut checksums = ChunkChecksums::default();
                for block in 0..BLOCKS_PER_CHUNK {
                    // Pages are completed before they are closed.
                    self.get(chunk, block).into_iter().for_each(|sum| checksums.set(block, sum));
                }
                (chunk, checksums)
            })
            .collect()
    }
}

/// A page's place in memory. Its lock is held shared while a block is changed in place together with its checksum,
/// exclusively while the page is loaded, closed or let go.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) page: RwLock<Option<Box<Page>>>,
    was_used: AtomicBool,
    /// Whether a block was changed in place lately.
    pub(crate) was_written: AtomicBool,
    /// Whether the first change in place is to be told: pages that will be wanted then are opened by the background.
    pub(crate) is_herald: AtomicBool,
    state: AtomicU8,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            page: RwLock::default(),
            was_used: AtomicBool::new(false),
            was_written: AtomicBool::new(false),
            is_herald: AtomicBool::new(false),
            state: AtomicU8::new(PageState::Closed as u8),
        }
    }
}

/// Sets a flag that is mostly set; answers whether it was not.
fn mark(flag: &AtomicBool) -> bool {
    let is_new = !flag.load(Ordering::Relaxed);
    if is_new {
        flag.store(true, Ordering::Relaxed);
    }
    is_new
}

impl Slot {
    pub(crate) fn state(&self) -> PageState {
        match self.state.load(Ordering::Acquire) {
            0 => PageState::Closed,
            1 => PageState::Open,
            2 => PageState::Stale,
            _ => PageState::Opening,
        }
    }

    /// To `Closed` only with the lock held exclusively.
    pub(crate) fn set_state(&self, state: PageState) {
        self.state.store(state as u8, Ordering::Release);
    }
}

/// A page that stays as it is while this lives.
pub(crate) struct HeldPage<'a> {
    core: &'a Core,
    slot: &'a Slot,
    page: MappedRwLockReadGuard<'a, Page>,
}

impl HeldPage<'_> {
    /// Whether blocks may be changed in place.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.slot.state(), PageState::Open | PageState::Stale)
    }

    /// The checksum of the block at an offset of the data file, if it is known.
    pub(crate) fn get(&self, offset_bytes: u64) -> Option<u32> {
        let (chunk, block) = chunk_and_block(offset_bytes);
        self.page.get(chunk, block)
    }

    /// The checksum of the block at an offset of the data file; `sum`, which is that of what the file holds, from now on, if
    /// none was known.
    pub(crate) fn get_or_adopt(&self, offset_bytes: u64, sum: u32) -> u32 {
        let (chunk, block) = chunk_and_block(offset_bytes);
        self.page.get_or_adopt(chunk, block, sum)
    }

    /// The block at an offset of the data file was changed in place.
    pub(crate) fn set_in_place(&self, offset_bytes: u64, sum: u32) {
        let (chunk, block) = chunk_and_block(offset_bytes);
        self.page.set(chunk, block, sum);
        let bit = 1 << (chunk.0 % CHUNKS_PER_CHECKSUM_PAGE);
        if self.page.modified.load(Ordering::Relaxed) & bit == 0 {
            self.page.modified.fetch_or(bit, Ordering::Relaxed);
        }
        if mark(&self.slot.was_written) && self.slot.is_herald.swap(false, Ordering::Relaxed) {
            self.core.run_has_come();
        }
    }
}

/// The chunk at an offset of the data file and the block of it.
pub(crate) const fn chunk_and_block(offset_bytes: u64) -> (ChunkNumber, u64) {
    (ChunkNumber(offset_bytes / CHUNK_BYTES), offset_bytes % CHUNK_BYTES / BLOCK_BYTES)
}

/// The pages of a pool.
#[derive(Debug)]
pub(crate) struct Checksums {
    /// Step `n` has 2^n slots; made when first touched.
    steps: [OnceLock<Box<[Slot]>>; STEPS],
    /// One more than the highest chunk that was ever handed out: what lies beyond is no chunk.
    chunks_end: AtomicU64,
    stripes: Vec<Mutex<()>>,
    resident: Mutex<VecDeque<ChecksumPage>>,
    resident_max: usize,
}

impl Checksums {
    pub(crate) fn new(chunks_end: u64, resident_max: usize) -> Self {
        Self {
            steps: [const { OnceLock::new() }; STEPS],
            chunks_end: AtomicU64::new(chunks_end),
            stripes: (0..STRIPES).map(|_| Mutex::new(())).collect(),
            resident: Mutex::default(),
            resident_max,
        }
    }

    /// Chunks below `end` are in use from now on.
    pub(crate) fn cover(&self, end: u64) {
        self.chunks_end.fetch_max(end, Ordering::Relaxed);
    }

    /// One more than the last page that a chunk lies in.
    pub(crate) fn pages_end(&self) -> u64 {
        self.chunks_end.load(Ordering::Relaxed).div_ceil(CHUNKS_PER_CHECKSUM_PAGE)
    }

    /// The page's place. Only for pages that a chunk lies in.
    pub(crate) fn slot(&self, page: ChecksumPage) -> &Slot {
        let number = page.0 + 1;
        let step = number.ilog2();
        let slots = self.steps[step as usize % STEPS]
            .get_or_init(|| (0..1_u64 << step).map(|_| Slot::default()).collect());
        &slots[(number - (1 << step)) as usize]
    }

    fn check(&self, page: ChecksumPage) -> Result<(), VolumeError> {
        if page.0 < self.pages_end() {
            return Ok(());
        }
        Err(VolumeError::new(
            ErrorKind::Corrupt,
            format!(
                "the map refers to chunk {} of the data file, which was never in use",
                page.first_chunk().0
            ),
        ))
    }

    /// Keeps everybody else from changing blocks in place in the chunks of a range of the data file.
    pub(crate) fn lock_chunks(&self, offset_bytes: u64, length_bytes: u64) -> ChunkLocks<'_> {
        let first = offset_bytes / CHUNK_BYTES;
        let last = (offset_bytes + length_bytes - 1) / CHUNK_BYTES;
        if first == last {
            return ChunkLocks::One { _lock: self.stripes[(first % STRIPES) as usize].lock() };
        }
        // In ascending order, so that two that overlap never wait for each other.
        let mut stripes: Vec<_> =
            (first..=last.min(first + STRIPES - 1)).map(|chunk| (chunk % STRIPES) as usize).collect();
        stripes.sort_unstable();
        ChunkLocks::Many { _locks: stripes.into_iter().map(|stripe| self.stripes[stripe].lock()).collect() }
    }

    /// The locks that a range of the data file needs, by number, for whoever takes them one by one.
    pub(crate) fn stripes(offset_bytes: u64, length_bytes: u64) -> impl Iterator<Item = usize> + Clone {
        let chunks = offset_bytes / CHUNK_BYTES..=(offset_bytes + length_bytes - 1) / CHUNK_BYTES;
        chunks.map(|chunk| (chunk % STRIPES) as usize)
    }

    /// One of these locks, if nobody has it.
    pub(crate) fn try_lock_stripe(&self, stripe: usize) -> Option<MutexGuard<'_, ()>> {
        self.stripes.get(stripe)?.try_lock()
    }

    /// Notes a page that was just loaded, and lets others go if there are too many.
    fn add_resident(&self, page: ChecksumPage) {
        let mut resident = self.resident.lock();
        resident.push_back(page);
        // Two rounds of the hand at most, and never long: the first clears the marks of use.
        let mut tries = (resident.len() * 2).min(4096);
        while resident.len() > self.resident_max && tries > 0 {
            tries -= 1;
            let Some(page) = resident.pop_front() else { return };
            if !self.evict(page) {
                resident.push_back(page);
            }
        }
    }

    /// Lets go of a page that was not used lately; `false` if it was, is in use, or holds what is stored nowhere.
    fn evict(&self, page: ChecksumPage) -> bool {
        let slot = self.slot(page);
        if slot.was_used.swap(false, Ordering::Relaxed) {
            return false;
        }
        let Some(mut guard) = slot.page.try_write() else { return false };
        if guard.as_ref().is_some_and(|page| page.modified.load(Ordering::Relaxed) != 0) {
            return false;
        }
        *guard = None;
        true
    }
}

/// See [`Checksums::lock_chunks`].
pub(crate) enum ChunkLocks<'a> {
    One { _lock: MutexGuard<'a, ()> },
    Many { _locks: Vec<MutexGuard<'a, ()>> },
}

impl Core {
    /// A page, loaded if need be.
    pub(crate) fn page(&self, page: ChecksumPage) -> Result<HeldPage<'_>, VolumeError> {
        self.checksums.check(page)?;
        let slot = self.checksums.slot(page);
        mark(&slot.was_used);
        loop {
            if let Some(held) = self.held(slot, slot.page.read()) {
                return Ok(held);
            }
            let mut guard = slot.page.write();
            if guard.is_none() {
                *guard = Some(self.load_page(page, slot)?);
                self.checksums.add_resident(page);
            }
            if let Some(held) = self.held(slot, RwLockWriteGuard::downgrade(guard)) {
                return Ok(held);
            }
        }
    }

    /// A page, if it is in memory and nobody holds it up.
    pub(crate) fn try_page(&self, page: ChecksumPage) -> Option<HeldPage<'_>> {
        self.checksums.check(page).ok()?;
        let slot = self.checksums.slot(page);
        mark(&slot.was_used);
        self.held(slot, slot.page.try_read()?)
    }

    /// Puts checksums of blocks that were just mapped into their page. Call it after they are in the pending delta: whoever
    /// loads the page later finds them there.
    ///
    /// A page that is not in memory is loaded, so that what was just written can be read without waiting. Where that fails
    /// or would take long, the first reader does it and hears why.
    pub(crate) fn publish_checksums(&self, chunk: ChunkNumber, checksums: &ChunkChecksums) {
        let page = ChecksumPage::of(chunk);
        let slot = self.checksums.slot(page);
        let publish = |page: &Page| checksums.iter().for_each(|(block, sum)| page.set(chunk, block, sum));
        if let Some(page) = slot.page.read().as_deref() {
            publish(page);
        } else if slot.state() != PageState::Stale
            && let Ok(held) = self.page(page)
        {
            publish(&held.page);
        }
    }

    /// The page as the metadata has it, or nothing known where that is not to be believed. The slot is held exclusively.
    fn load_page(&self, page: ChecksumPage, slot: &Slot) -> Result<Box<Page>, VolumeError> {
        if slot.state() == PageState::Stale {
            return Ok(Page::unknown());
        }
        // The deltas before the map, as for leaves: what a checkpoint moves down meanwhile is seen twice, not never.
        let patches = self.state.read().checksum_patches(page);
        let mut stored = self.map.checksums(page)?;
        for (chunk, checksums) in patches {
            checksums.iter().for_each(|(block, sum)| stored[Page::at(chunk, block)] = sum);
        }
        Ok(Page::new(&stored))
    }

    /// Works out the checksums of a page that are not known, from what the data file holds now. It is open then as any other.
    pub(crate) fn complete_page(&self, page: ChecksumPage) -> Result<(), VolumeError> {
        let held = self.page(page)?;
        self.work_out(page, &held)
            .map_err(|error| VolumeError::io("work out checksums again after a crash", error))?;
        held.page.has_unknown.store(false, Ordering::Release);
        // Nobody closes it before it is let go of.
        self.intents.is_rebuilt(page);
        held.slot.set_state(PageState::Open);
        Ok(())
    }

    fn work_out(&self, page: ChecksumPage, held: &HeldPage<'_>) -> io::Result<()> {
        let length_bytes = self.data.length_bytes()?;
        let mut buffer = vec![0; REBUILD_STEP_BYTES as usize];
        let end = page.offset_bytes() + CHUNKS_PER_CHECKSUM_PAGE * CHUNK_BYTES;
        for from in (page.offset_bytes()..end).step_by(REBUILD_STEP_BYTES as usize) {
            let to = end.min(from + REBUILD_STEP_BYTES);
            if (from..to).step_by(BLOCK_BYTES as usize).all(|at| held.get(at).is_some()) {
                continue;
            }
            self.work_out_step(held, from..to, length_bytes, &mut buffer)?;
        }
        Ok(())
    }

    /// Takes no locks: whoever changes a block meanwhile sets its checksum afterwards, whatever was adopted.
    fn work_out_step(
        &self,
        held: &HeldPage<'_>,
        range: Range<u64>,
        length_bytes: u64,
        buffer: &mut [u8],
    ) -> io::Result<()> {
        let file_end = range.end.min(length_bytes);
        let adopt = |offset_bytes, sum| _ = held.get_or_adopt(offset_bytes, sum);
        let mut next = range.start;
        while next < range.end {
            let allocated = if next < file_end { self.data.next_allocated(next, file_end)? } else { None };
            let from = allocated.as_ref().map_or(range.end, |found| found.start - found.start % BLOCK_BYTES);
            let to =
                allocated.map_or(range.end, |found| found.end.next_multiple_of(BLOCK_BYTES).min(file_end));
            (next..from).step_by(BLOCK_BYTES as usize).for_each(|hole| adopt(hole, zero_block_checksum()));
            let bytes = &mut buffer[..(to - from) as usize];
            let is_read = self.data.read_at(from, bytes).is_ok();
            for (at, block) in
                (from..to).step_by(BLOCK_BYTES as usize).zip(bytes.chunks_mut(BLOCK_BYTES as usize))
            {
                // One block that cannot be read must not take its neighbours along. It gets a checksum that does not
                // fit; should it become readable, it is an error until it is written again.
                let can_be_read = is_read || self.data.read_at(at, block).is_ok();
                adopt(at, if can_be_read { crc32c(block) } else { UNREADABLE });
            }
            next = to;
        }
        Ok(())
    }

    fn held<'a>(
        &'a self,
        slot: &'a Slot,
        guard: RwLockReadGuard<'a, Option<Box<Page>>>,
    ) -> Option<HeldPage<'a>> {
        let page = RwLockReadGuard::try_map(guard, |page| page.as_deref()).ok()?;
        Some(HeldPage { core: self, slot, page })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNK: ChunkNumber = ChunkNumber(61);

    #[test]
    fn what_is_not_known_is_adopted_once() {
        let page = Page::unknown();
        assert_eq!(page.get(CHUNK, 3), None);
        assert_eq!(page.get_or_adopt(CHUNK, 3, 7), 7);
        assert_eq!(page.get(CHUNK, 3), Some(7));
        assert_eq!(page.get_or_adopt(CHUNK, 3, 8), 7, "known by now");
        page.set(CHUNK, 4, 9);
        assert_eq!((page.get(CHUNK, 4), page.get(CHUNK, 5)), (Some(9), None));
    }

    /// Who works checksums out takes no lock, so a block may be changed between the look and the adoption.
    #[test]
    fn what_is_set_meanwhile_is_not_adopted_over() {
        let page = Page::unknown();
        page.sums[Page::at(CHUNK, 3)].store(5, Ordering::Release);
        assert_eq!(page.get(CHUNK, 3), None, "whoever sets it has not come further");
        assert_eq!(page.get_or_adopt(CHUNK, 3, 7), 5);
        assert_eq!(page.get(CHUNK, 3), Some(5));
    }
}
