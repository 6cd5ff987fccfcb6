//! Making changes durable: the commit and the checkpoint.
//!
//! A commit takes the pending delta, syncs the data file, appends the delta to the journal as one record and syncs
//! that. Data goes before metadata, so a durable entry never points at bytes that are not durable. A small commit of nothing
//! but first writes has one sync for both: its record counts as far as its blocks are there.
//! `docs/design/2026-11-20-engine-commit-path.md` and `2026-11-26-flush-and-direct-profile.md` argue the cases.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ashlar_volume::{BLOCK_BYTES, VolumeError};
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::checksums::PageState;
use crate::core::Core;
use crate::delta::Delta;
use crate::format::{ChecksumPage, Superblock, encode_delta};
use crate::journal::Journal;

#[cfg(test)]
mod tests;

/// The most chunks of a commit whose record is proven by its blocks: the opening after a crash reads them. 16 MiB.
const FIRST_WRITE_CHUNKS_MAX: usize = 256;

/// Lets callers that wait for a commit share one.
#[derive(Debug, Default)]
pub(crate) struct Group {
    rounds: Mutex<Rounds>,
    ended: Condvar,
}

#[derive(Debug, Default)]
struct Rounds {
    begun: u64,
    /// The last round that succeeded.
    succeeded: u64,
    is_running: bool,
    /// Callers that wait for a round to end.
    waiting: usize,
}

impl Core {
    /// Makes everything durable that was published or written before the call. One caller does the work of all
    /// that wait meanwhile.
    pub(crate) fn commit(&self) -> Result<(), VolumeError> {
        if self.has_nothing_to_record() {
            // The system lets syncs of one file share what they can, and lets none wait for another to end.
            return self.sync_data_if_dirty();
        }
        let mut rounds = self.group.rounds.lock();
        // A round that runs already may have begun before our change: only the next one surely covers it.
        let wanted = rounds.begun + 1;
        while rounds.succeeded < wanted {
            self.latch.check()?;
            if rounds.is_running {
                rounds.waiting += 1;
                self.group.ended.wait(&mut rounds);
                rounds.waiting -= 1;
                continue;
            }
            rounds.is_running = true;
            rounds.begun += 1;
            let result = MutexGuard::unlocked(&mut rounds, || self.commit_round());
            rounds.is_running = false;
            if result.is_ok() {
                rounds.succeeded = rounds.begun;
            }
            self.group.ended.notify_all();
            result?;
        }
        Ok(())
    }

    /// One round; only one runs at a time. Any error latches the pool.
    fn commit_round(&self) -> Result<(), VolumeError> {
        let delta = {
            let mut state = self.state.write();
            let pending = std::mem::take(&mut state.pending);
            self.note_pending(&state);
            state.committing = (!pending.is_empty()).then(|| Arc::new(pending));
            state.committing.clone()
        };
        if let Some(delta) = &delta
            && self.commit_beside(delta)?
        {
            return Ok(());
        }
        // After the delta was taken: its data was written before it was published.
        self.sync_data_if_dirty()?;
        delta.map_or(Ok(()), |delta| self.make_durable(&delta)).inspect_err(|error| self.latch.set(error))
    }

    /// Whether all metadata is durable.
    fn has_nothing_to_record(&self) -> bool {
        let state = self.state.read();
        state.pending.is_empty() && state.committing.is_none()
    }

    /// Makes durable what was written to the data file before the call.
    fn sync_data_if_dirty(&self) -> Result<(), VolumeError> {
        // Counted before the dirt is taken: whoever finds no dirt and nobody who syncs knows that the sync which took it
        // has ended.
        self.dirt.syncs.fetch_add(1, Ordering::SeqCst);
        let is_needed = self.dirt.take() || self.dirt.syncs.load(Ordering::SeqCst) > 1;
        let synced = if is_needed { self.data.sync_data() } else { Ok(()) };
        let synced = synced.map_err(|error| self.latched("sync the data file", error));
        self.dirt.syncs.fetch_sub(1, Ordering::SeqCst);
        synced.and_then(|()| self.latch.check())
    }

    /// Commits a delta of nothing but first writes with one sync for its data and its record; `false`: it has to go the
    /// ordinary way.
    ///
    /// Nothing orders the two, so after a crash the record may be there without its blocks. It carries their checksums, and
    /// the opening looks. What the record cannot survive is that a block changes and nothing tells of it: so all blocks lie in
    /// pages without intent, and an intent is a record that is appended after the sync, under the same lock.
    fn commit_beside(&self, delta: &Delta) -> Result<bool, VolumeError> {
        if !delta.is_first_writes(FIRST_WRITE_CHUNKS_MAX) || !self.dirt.is_little() {
            return Ok(false);
        }
        // The medium works on the blocks while the record is written.
        for (chunk, checksums) in &delta.checksums {
            for (first, count) in checksums.runs() {
                let offset_bytes = chunk.offset_bytes() + first * BLOCK_BYTES;
                self.data.begin_write_back(offset_bytes, count * BLOCK_BYTES);
            }
        }
        let payload = encode_delta(delta);
        let mut journal = self.journal.lock();
        if !journal.fits(&payload) || !self.blocks_stay_as_they_are(delta) {
            return Ok(false);
        }
        self.dirt.syncs.fetch_add(1, Ordering::SeqCst);
        let sync = || {
            self.dirt.take();
            self.data.sync_data()
        };
        let appended = journal.append_beside(&payload, sync);
        let appended = appended.map_err(|error| self.latched("sync data and journal together", error));
        self.dirt.syncs.fetch_sub(1, Ordering::SeqCst);
        if appended? {
            self.record_is_durable(journal);
            return Ok(true);
        }
        Ok(false)
    }

    /// Whether no block of the delta can be changed in place before another record is durable. The journal is locked.
    fn blocks_stay_as_they_are(&self, delta: &Delta) -> bool {
        let state = self.state.read();
        let mut pages = delta.checksums.keys().map(|chunk| ChecksumPage::of(*chunk));
        // A page whose end of intent is not durable may have been changed in place since the delta was taken.
        pages.all(|page| {
            self.checksums.slot(page).state() == PageState::Closed
                && !state.pending.intents.contains_key(&page)
        })
    }

    fn latched(&self, context: &str, error: std::io::Error) -> VolumeError {
        let error = VolumeError::io(context, error);
        self.latch.set(&error);
        error
    }

    fn make_durable(&self, delta: &Delta) -> Result<(), VolumeError> {
        let payload = encode_delta(delta);
        if self.append_if_it_fits(&payload)? {
            return Ok(());
        }
        if self.journal.lock().fits_a_segment(&payload) {
            self.checkpoint(Checkpoint::Committed)?;
            if self.append_if_it_fits(&payload)? {
                return Ok(());
            }
        }
        self.checkpoint(Checkpoint::CommittedAndCommitting)
    }

    /// Appends the committing delta to the journal and counts it as committed.
    fn append_if_it_fits(&self, payload: &[u8]) -> Result<bool, VolumeError> {
        let mut journal = self.journal.lock();
        if !journal.fits(payload) {
            return Ok(false);
        }
        journal.append(payload).map_err(|error| VolumeError::io("append to the journal", error))?;
        self.record_is_durable(journal);
        Ok(true)
    }

    /// The committing delta is in the journal.
    fn record_is_durable(&self, journal: MutexGuard<'_, Journal>) {
        let mut state = self.state.write();
        if let Some(delta) = state.committing.take() {
            state.release(&delta);
            state.absorb_committed(delta);
        }
        let has_work = journal.is_half_full() || state.allocator.has_punches();
        drop(state);
        drop(journal);
        if has_work {
            self.wake.ring();
        }
    }

    /// Appends an empty record behind the last one: from then on damage to it is damage, and not a commit that did not happen.
    /// For times when no other record comes.
    pub(crate) fn settle_last_record(&self) -> Result<(), VolumeError> {
        let mut journal = self.journal.lock();
        if !journal.is_last_in_doubt() || !journal.fits(&[]) || journal.is_waiting_for_checkpoint() {
            return Ok(());
        }
        journal.append(&[]).map_err(|error| self.latched("append to the journal", error))
    }

    /// Whether the journal asks for a checkpoint.
    pub(crate) fn needs_checkpoint(&self) -> bool {
        self.journal.lock().is_half_full()
    }

    /// Writes what is committed into the map and begins the journal's other segment. Any error latches the pool.
    pub(crate) fn checkpoint(&self, what: Checkpoint) -> Result<(), VolumeError> {
        let _only_one = self.checkpointing.lock();
        let Begun { delta, without_record, superblock } = self.begin_checkpoint(what);
        self.map.apply(&delta, superblock).inspect_err(|error| self.latch.set(error))?;
        self.journal.lock().checkpoint_is_durable();
        let mut state = self.state.write();
        state.checkpoint = None;
        if let Some(delta) = without_record {
            state.release(&delta);
            drop(state);
            self.wake.ring();
        }
        Ok(())
    }

    fn begin_checkpoint(&self, what: Checkpoint) -> Begun {
        let mut journal = self.journal.lock();
        let mut state = self.state.write();
        let without_record = match what {
            Checkpoint::CommittedAndCommitting => state.committing.take(),
            Checkpoint::Committed | Checkpoint::CleanClose => None,
        };
        if let Some(delta) = &without_record {
            journal.skip_record();
            state.absorb_committed(Arc::clone(delta));
        }
        journal.rotate();
        let delta = Arc::new(std::mem::take(&mut state.committed));
        state.checkpoint = Some(Arc::clone(&delta));
        let superblock = Superblock {
            generation: journal.generation(),
            applied_sequence: journal.sequence(),
            next_layer: state.next_layer,
            journal_segment_bytes: journal.segment_bytes(),
            is_clean: what == Checkpoint::CleanClose,
            digest: 0, // the map works it out
        };
        Begun { delta, without_record, superblock }
    }
}

/// A checkpoint that is under way.
struct Begun {
    /// Everything that goes into the map.
    delta: Arc<Delta>,
    /// The part of it that becomes durable with the checkpoint alone.
    without_record: Option<Arc<Delta>>,
    superblock: Superblock,
}

/// What a checkpoint takes into the map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Checkpoint {
    /// All that the journal holds.
    Committed,
    /// Also the delta that is being committed, because no record can hold it.
    CommittedAndCommitting,
    /// All that the journal holds, and the word that no space is left to be found again.
    CleanClose,
}
