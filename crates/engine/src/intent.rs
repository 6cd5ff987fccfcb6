//! Write intents: which blocks may be changed in place.
//!
//! A checksum that is stored is wrong as soon as its block is changed in place. So before any such change may reach the
//! medium, a durable intent says that the checksums of that page of chunks are not to be believed after a crash, but
//! worked out again. One intent covers every change of its page until the page is closed: its checksums and the
//! end of the intent are then one commit, after the data is durable.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use ashlar_volume::VolumeError;
use parking_lot::Mutex;

use crate::checksums::PageState;
use crate::core::Core;
use crate::delta::Delta;
use crate::format::{CHUNK_BYTES, ChecksumPage, ChunkNumber, encode_delta};

/// Pages that are opened together, because their neighbours will be wanted too: 60 MiB. A sync of the journal for each
/// page would be felt.
const PAGES_PER_INTENT: u64 = 16;
/// Pages that are closed in one commit.
const PAGES_PER_CLOSING: usize = 64;

/// The pages with a write intent.
#[derive(Debug, Default)]
pub(crate) struct Intents {
    pages: Mutex<IntentPages>,
    /// Whoever opens pages; others find them open afterwards.
    opening: Mutex<()>,
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
        Self { pages: Mutex::new(IntentPages { open: VecDeque::new(), stale }), opening: Mutex::new(()) }
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
        let _only_one = self.intents.opening.lock();
        self.latch.check()?;
        let pages = self.pages_to_open(wanted);
        if pages.is_empty() {
            return Ok(());
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
        if all.open.len() > self.options.open_pages_max {
            self.wake.ring();
        }
        Ok(())
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

    /// The pages that are closed, and their neighbours.
    fn pages_to_open(&self, wanted: &[ChecksumPage]) -> BTreeSet<ChecksumPage> {
        let end = self.checksums.pages_end();
        let is_closed = |page: &ChecksumPage| self.checksums.slot(*page).state() == PageState::Closed;
        let closed = wanted.iter().filter(|page| page.0 < end && is_closed(page));
        let groups: BTreeSet<_> = closed.map(|page| page.0 / PAGES_PER_INTENT).collect();
        let pages =
            groups.into_iter().flat_map(|group| group * PAGES_PER_INTENT..(group + 1) * PAGES_PER_INTENT);
        pages.take_while(|page| *page < end).map(ChecksumPage).filter(is_closed).collect()
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

    /// Does one step for the pages with an intent; `false` when there is nothing to do.
    pub(crate) fn intent_step(&self) -> Result<bool, VolumeError> {
        if let Some(page) = self.intents.next_stale() {
            self.page(page)?;
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
        while tries > 0 && chosen.len() < PAGES_PER_CLOSING {
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
