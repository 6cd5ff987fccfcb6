//! Write intents: which blocks may be changed in place.
//!
//! A checksum that is stored is wrong as soon as its block is changed in place. So before any such change may reach the
//! medium, a durable intent says that the checksums of that page of chunks are not to be believed after a crash, but
//! worked out again. One intent covers every change of its page until the page is closed: its checksums and the
//! end of the intent are then one commit, after the data is durable.
//!
//! Where one range after the other is written, intents run ahead of the writes: each is for more pages than the one before, and
//! the background makes the next one as soon as the writes reach the pages of the last. A sync waits for what the medium is busy
//! with, 20 to 70 ms where such writes are being written back (`docs/design/2026-11-26-intents-ahead.md`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ashlar_volume::VolumeError;
use parking_lot::Mutex;

use crate::checksums::PageState;
use crate::core::Core;
use crate::delta::Delta;
use crate::format::{CHUNK_BYTES, ChecksumPage, ChunkNumber, encode_delta};

#[cfg(test)]
mod tests;

/// Pages that are opened together, because their neighbours will be wanted too: 60 MiB. A sync of the journal for each
/// page would be felt.
const PAGES_PER_INTENT: u64 = 16;
/// The most pages that are opened together where one range after the other is written: 960 MiB. After a crash all open pages
/// are read.
const PAGES_AHEAD_MAX: u64 = 256;
/// Pages that are closed in one commit, at least: its sync of the data waits for all that was written.
const PAGES_PER_CLOSING_MIN: usize = 64;
/// So many times that many may be open. The more are open, the more that sync is for.
const CLOSINGS_OF_ALL: usize = 16;
/// So many more than may be open are at least, before those who open pages have to wait until some are closed: 1 MiB of memory.
const OPEN_PAGES_OVER_MAX: usize = 256;

/// The pages with a write intent.
#[derive(Debug, Default)]
pub(crate) struct Intents {
    pages: Mutex<IntentPages>,
    /// What those want who wait until they may open pages.
    wanted: Mutex<Vec<ChecksumPage>>,
    /// Whoever opens pages, for all that wait; they find them open afterwards.
    opening: Mutex<Run>,
    /// Whether writes have reached the last pages of the run.
    is_run_ahead_wanted: AtomicBool,
}

/// Ranges of pages that were opened one behind the other, as when much is written in order.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// The page behind the last one.
    end: u64,
    /// How many pages are opened together next, if it goes on there; none before the first.
    next_pages: u64,
}

impl Run {
    /// How many pages to open together from `first` on, and whether that goes on with the run.
    fn pages_from(self, first: u64) -> (u64, bool) {
        let goes_on = first == self.end && self.next_pages > 0;
        (if goes_on { self.next_pages } else { PAGES_PER_INTENT }, goes_on)
    }

    /// The pages before `end` were opened, `pages` of them together.
    fn now_ends_at(&mut self, end: u64, pages: u64) {
        *self = Self { end, next_pages: (2 * pages).clamp(PAGES_PER_INTENT, PAGES_AHEAD_MAX) };
    }
}

#[derive(Debug, Default)]
struct IntentPages {
    /// In the order of opening.
    open: VecDeque<ChecksumPage>,
    /// To be worked out again.
    stale: BTreeSet<ChecksumPage>,
}

/// Which pages [`Core::close_pages`] closes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Closing {
    /// The oldest ones, as long as there are more than may be.
    Surplus,
    /// Those in which nothing was changed since the last time.
    Idle,
    /// All.
    All,
}

impl Intents {
    /// The intents that were found at opening.
    pub(crate) fn new(stale: BTreeSet<ChecksumPage>) -> Self {
        Self { pages: Mutex::new(IntentPages { open: VecDeque::new(), stale }), ..Self::default() }
    }

    /// The checksums of a page were worked out again.
    pub(crate) fn is_rebuilt(&self, page: ChecksumPage) {
        let mut pages = self.pages.lock();
        if pages.stale.remove(&page) {
            pages.open.push_back(page);
        }
    }

    /// The next page whose checksums have to be worked out again.
    pub(crate) fn next_stale(&self) -> Option<ChecksumPage> {
        self.pages.lock().stale.first().copied()
    }

    /// How many pages are open, and how many are to be worked out again.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let pages = self.pages.lock();
        (pages.open.len(), pages.stale.len())
    }
}

impl Core {
    /// Makes it durable that blocks of these pages may be changed in place. Call it without locks.
    pub(crate) fn open_pages(&self, wanted: &[ChecksumPage]) -> Result<(), VolumeError> {
        self.intents.wanted.lock().extend(wanted);
        let open = self.open_wanted_pages(&mut self.intents.opening.lock())?;
        let open_max = self.options.open_pages_max;
        if open > open_max {
            self.wake.ring();
        }
        // Each holds memory until it is closed. Who opens them faster than the background closes them does it, too.
        if open > open_max + (open_max / CLOSINGS_OF_ALL).max(OPEN_PAGES_OVER_MAX) {
            self.close_pages(Closing::Surplus)?;
        }
        Ok(())
    }

    /// One sync for all who want pages by now. Answers how many are open.
    fn open_wanted_pages(&self, run: &mut Run) -> Result<usize, VolumeError> {
        self.latch.check()?;
        let wanted = std::mem::take(&mut *self.intents.wanted.lock());
        let pages = self.pages_to_open(wanted, run);
        if pages.is_empty() {
            return Ok(self.intents.counts().0);
        }
        // From now on no record is proven by blocks of these pages.
        pages.iter().for_each(|page| self.checksums.slot(*page).set_state(PageState::Opening));
        let delta = Delta { intents: pages.iter().map(|page| (*page, true)).collect(), ..Delta::default() };
        if self.forget_closings(&pages) {
            self.append_intents(delta).inspect_err(|error| self.latch.set(error))?;
        } else {
            // The commit that is under way ends an intent which is wanted again: this one has to come after it.
            self.state.write().pending.intents.extend(delta.intents);
            self.commit()?;
        }
        let mut all = self.intents.pages.lock();
        for page in &pages {
            self.checksums.slot(*page).set_state(PageState::Open);
            all.open.push_back(*page);
        }
        Ok(all.open.len())
    }

    /// Adds the pages of a range of the data file that are not open.
    pub(crate) fn collect_closed(
        &self,
        offset_bytes: u64,
        length_bytes: u64,
        closed: &mut Vec<ChecksumPage>,
    ) {
        let page = |offset_bytes: u64| ChecksumPage::of(ChunkNumber(offset_bytes / CHUNK_BYTES)).0;
        for number in page(offset_bytes)..=page(offset_bytes + length_bytes - 1) {
            let page = ChecksumPage(number);
            let lacks_intent =
                || matches!(self.checksums.slot(page).state(), PageState::Closed | PageState::Opening);
            if number < self.checksums.pages_end() && lacks_intent() {
                closed.push(page);
            }
        }
    }

    /// The pages that are closed, with their neighbours as long as these push no others out, and more of them the longer the run
    /// that they are part of.
    fn pages_to_open(&self, mut wanted: Vec<ChecksumPage>, run: &mut Run) -> BTreeSet<ChecksumPage> {
        let end = self.checksums.pages_end();
        let is_closed = |page: &ChecksumPage| self.checksums.slot(*page).state() == PageState::Closed;
        wanted.retain(|page| page.0 < end && is_closed(page));
        wanted.sort_unstable();
        let room = self.options.open_pages_max.saturating_sub(self.intents.counts().0);
        let mut pages = BTreeSet::new();
        for page in wanted {
            if pages.contains(&page) {
                continue;
            }
            let first = page.0 / PAGES_PER_INTENT * PAGES_PER_INTENT;
            let (count, goes_on) = run.pages_from(first);
            let next = end.min(first + count.min(self.ahead_max()));
            if !goes_on && pages.len() + (next - first) as usize > room {
                pages.insert(page);
                continue;
            }
            pages.extend((first..next).map(ChecksumPage).filter(is_closed));
            run.now_ends_at(next, next - first);
            if goes_on {
                let slot = self.checksums.slot(ChecksumPage(first));
                slot.was_written.store(false, Ordering::Relaxed);
                slot.is_herald.store(true, Ordering::Relaxed);
            }
        }
        pages
    }

    /// Runs ahead must not push out what is in use.
    fn ahead_max(&self) -> u64 {
        (self.options.open_pages_max as u64 / 4).clamp(PAGES_PER_INTENT, PAGES_AHEAD_MAX)
    }

    /// Writes have reached the last pages of the run.
    pub(crate) fn run_has_come(&self) {
        self.intents.is_run_ahead_wanted.store(true, Ordering::Release);
        self.wake.ring();
    }

    /// Opens the pages behind the run, if writes have come so far; `false` when there is nothing to do.
    fn run_ahead(&self) -> Result<bool, VolumeError> {
        let is_wanted = self.intents.is_run_ahead_wanted.swap(false, Ordering::Acquire);
        if is_wanted {
            let next = self.intents.opening.lock().end;
            self.open_pages(&[ChecksumPage(next)])?;
        }
        Ok(is_wanted)
    }

    /// Ends of intents that no commit has taken yet do not happen; `false` if one has taken some.
    fn forget_closings(&self, pages: &BTreeSet<ChecksumPage>) -> bool {
        let mut state = self.state.write();
        let being_committed =
            state.committing.iter().any(|delta| pages.iter().any(|page| delta.intents.contains_key(page)));
        if !being_committed {
            state.pending.intents.retain(|page, _| !pages.contains(page));
        }
        !being_committed
    }

    /// Makes a record of intents alone. It waits for no data: that is what makes it cheap.
    fn append_intents(&self, delta: Delta) -> Result<(), VolumeError> {
        let payload = encode_delta(&delta);
        loop {
            {
                let mut journal = self.settled_journal()?;
                if journal.fits(&payload) && !journal.is_waiting_for_checkpoint() {
                    journal
                        .append(&payload)
                        .map_err(|error| VolumeError::io("append to the journal", error))?;
                    self.state.write().absorb_committed(Arc::new(delta));
                    if journal.is_half_full() {
                        self.wake.ring();
                    }
                    return Ok(());
                }
            }
            self.checkpoint(crate::commit::Checkpoint::Committed)?;
        }
    }

    /// Completes the pages of which some checksums are known again, so that a clean end forgets none of them.
    pub(crate) fn complete_known_pages(&self) -> Result<(), VolumeError> {
        let stale: Vec<_> = self.intents.pages.lock().stale.iter().copied().collect();
        let is_known = |page: &ChecksumPage| self.checksums.slot(*page).page.read().is_some();
        stale.into_iter().filter(is_known).try_for_each(|page| self.complete_page(page))
    }

    /// Does one step for the pages with an intent; `false` when there is nothing to do.
    pub(crate) fn intent_step(&self) -> Result<bool, VolumeError> {
        if self.run_ahead()? {
            return Ok(true);
        }
        if let Some(page) = self.intents.next_stale() {
            self.complete_page(page)?;
            return Ok(true);
        }
        self.close_pages(Closing::Surplus)
    }

    /// Stores the checksums of open pages and ends their intents, durably; `false` when there are none to close.
    pub(crate) fn close_pages(&self, closing: Closing) -> Result<bool, VolumeError> {
        let chosen = self.choose_pages(closing);
        if chosen.is_empty() {
            return Ok(false);
        }
        for page in chosen {
            let slot = self.checksums.slot(page);
            let guard = slot.page.write();
            let modified: BTreeMap<_, _> = guard
                .as_ref()
                .map(|loaded| loaded.take_modified(page))
                .unwrap_or_default()
                .into_iter()
                .collect();
            let mut state = self.state.write();
            for (chunk, checksums) in &modified {
                state.pending.put_checksums(*chunk, checksums);
            }
            state.pending.intents.insert(page, false);
            self.note_pending(&state);
            drop(state);
            // Last: whoever finds it closed also finds that the end of its intent is pending.
            slot.set_state(PageState::Closed);
        }
        self.commit()?;
        Ok(true)
    }

    fn choose_pages(&self, closing: Closing) -> Vec<ChecksumPage> {
        let mut pages = self.intents.pages.lock();
        let open_max = self.options.open_pages_max;
        let mut chosen = Vec::new();
        // Two rounds at most for a surplus: the first clears the marks of use.
        let rounds = if closing == Closing::Surplus { 2 } else { 1 };
        let mut tries = pages.open.len() * rounds;
        let chosen_max = (open_max / CLOSINGS_OF_ALL).max(PAGES_PER_CLOSING_MIN);
        while tries > 0 && chosen.len() < chosen_max {
            if closing == Closing::Surplus && pages.open.len() <= open_max {
                break;
            }
            tries -= 1;
            let Some(page) = pages.open.pop_front() else { break };
            let was_written = self.checksums.slot(page).was_written.swap(false, Ordering::Relaxed);
            if was_written && closing != Closing::All {
                pages.open.push_back(page);
            } else {
                chosen.push(page);
            }
        }
        chosen
    }
}
