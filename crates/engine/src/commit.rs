//! Making changes durable: the commit and the checkpoint.
//!
//! A commit takes the pending delta, syncs the data file, appends the delta to the journal as one record and syncs
//! that. Data goes before metadata, so a durable entry never points at bytes that are not durable.
//! `docs/design/2026-11-20-engine-commit-path.md` argues the cases.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ashlar_volume::VolumeError;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::core::Core;
use crate::delta::Delta;
use crate::format::{Superblock, encode_delta};

#[cfg(test)]
mod tests;

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
        // After the delta was taken: its data was written before it was published.
        if self.data_is_dirty.swap(false, Ordering::SeqCst) {
            self.data.sync_data().map_err(|error| self.latched("sync the data file", error))?;
        }
        delta.map_or(Ok(()), |delta| self.make_durable(&delta)).inspect_err(|error| self.latch.set(error))
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
        Ok(true)
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
