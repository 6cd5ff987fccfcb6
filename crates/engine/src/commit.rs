//! Making changes durable: the commit and the checkpoint.
//!
//! A commit takes the pending delta, syncs the data file, appends the delta to the journal as one record and syncs
//! that. Data goes before metadata, so a durable entry never points at bytes that are not durable. A small commit of nothing
//! but first writes has one sync for both (`flight`): its record counts as far as its blocks are there, and the next one need
//! not wait for it.
//! `docs/design/2026-11-20-engine-commit-path.md` and `2026-11-26-flush-and-direct-profile.md` argue the cases.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use ashlar_volume::VolumeError;
use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::core::Core;
use crate::delta::Delta;
use crate::format::{Superblock, encode_delta};
use crate::journal::{Flight, Journal};

mod flight;
#[cfg(test)]
mod tests;

/// Rounds that are under way at once: while the medium works on one, the next one writes its record.
const ROUNDS_MAX: usize = 4;
/// Where callers wait, by the round that they need: more places than there are rounds with anybody who waits.
const TURNS: usize = ROUNDS_MAX + 2;

/// Lets callers that wait for a commit share one.
#[derive(Debug, Default)]
pub(crate) struct Group {
    rounds: Mutex<Rounds>,
    turns: [Condvar; TURNS],
}

#[derive(Debug, Default)]
struct Rounds {
    begun: u64,
    /// The last round that succeeded; with it everything before it is durable.
    succeeded: u64,
    /// Whether a round is taking what there is to commit: the next one has to come after it.
    is_beginning: bool,
    /// Rounds that are under way.
    running: usize,
    /// Callers that wait for a round to end, or for their turn to run one.
    waiting: usize,
}

impl Rounds {
    const fn may_begin(&self) -> bool {
        !self.is_beginning && self.running < ROUNDS_MAX
    }
}

impl Group {
    const fn turn(&self, round: u64) -> &Condvar {
        &self.turns[(round % TURNS as u64) as usize]
    }

    /// Lets one of those that need a round which has not begun run it.
    fn call_next(&self, rounds: &Rounds) {
        if rounds.may_begin() {
            self.turn(rounds.begun + 1).notify_one();
        }
    }

    /// No round will succeed any more.
    fn wake_all(&self) {
        self.turns.iter().for_each(|turn| _ = turn.notify_all());
    }

    /// The round has succeeded, and so have those before it, even if whoever runs them does not know yet.
    fn succeed(&self, rounds: &mut Rounds, round: u64) {
        while rounds.succeeded < round {
            rounds.succeeded += 1;
            self.turn(rounds.succeeded).notify_all();
        }
    }
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
            // Whoever was called to run a round and does not, must not leave the others asleep.
            self.latch.check().inspect_err(|_| self.group.wake_all())?;
            let somebody_runs_it = rounds.begun >= wanted && rounds.running > 0;
            if somebody_runs_it || !rounds.may_begin() {
                rounds.waiting += 1;
                self.group.turn(wanted).wait(&mut rounds);
                rounds.waiting -= 1;
            } else {
                self.run_round(&mut rounds)?;
            }
        }
        Ok(())
    }

    /// Runs the next round. Any error latches the pool.
    fn run_round(&self, rounds: &mut MutexGuard<'_, Rounds>) -> Result<(), VolumeError> {
        rounds.begun += 1;
        let round = rounds.begun;
        rounds.running += 1;
        rounds.is_beginning = true;
        let begun = MutexGuard::unlocked(rounds, || self.begin_round());
        rounds.is_beginning = false;
        let result = match begun {
            Ok(Some(flight)) => {
                self.group.call_next(rounds);
                MutexGuard::unlocked(rounds, || self.land(&flight))
            }
            done => done.map(|_| ()),
        };
        rounds.running -= 1;
        match &result {
            Ok(()) => self.group.succeed(rounds, round),
            Err(_) => self.group.wake_all(),
        }
        self.group.call_next(rounds);
        result
    }

    /// Takes what there is to commit. Answers a record that is under way, or that all is done. Only one round begins at a time.
    fn begin_round(&self) -> Result<Option<Flight>, VolumeError> {
        let delta = {
            let mut state = self.state.write();
            let pending = std::mem::take(&mut state.pending);
            self.note_pending(&state);
            let delta = (!pending.is_empty()).then(|| Arc::new(pending));
            state.committing.extend(delta.clone());
            delta
        };
        if let Some(delta) = &delta
            && let Some(flight) = self.take_off(delta)?
        {
            return Ok(Some(flight));
        }
        // After the delta was taken: its data was written before it was published.
        self.sync_data_if_dirty()?;
        // Without a delta there may still be one of an earlier round that is under way.
        let done = delta.map_or_else(|| self.settled_journal().map(drop), |delta| self.make_durable(&delta));
        done.inspect_err(|error| self.latch.set(error))?;
        Ok(None)
    }

    /// Whether all metadata is durable.
    fn has_nothing_to_record(&self) -> bool {
        let state = self.state.read();
        state.pending.is_empty() && state.committing.is_empty()
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

    /// The journal when none of its records is under way, so that one can be appended or a checkpoint begun. None takes off while
    /// somebody waits for that.
    pub(crate) fn settled_journal(&self) -> Result<MutexGuard<'_, Journal>, VolumeError> {
        let mut journal = self.journal.lock();
        if !journal.is_settled() {
            journal.begin_to_settle();
            while !journal.is_settled() && journal.check().is_ok() {
                self.landed.wait(&mut journal);
            }
            journal.end_to_settle();
            self.landed.notify_all();
        }
        if !journal.is_settled() {
            self.check_journal(&journal)?;
        }
        Ok(journal)
    }

    /// An error if a record could not be made durable.
    fn check_journal(&self, journal: &Journal) -> Result<(), VolumeError> {
        journal.check().map_err(|error| {
            let latched = self.latch.check().err();
            latched.unwrap_or_else(|| self.latched("make records of the journal durable", error))
        })
    }

    /// Appends the committing delta to the journal and counts it as committed.
    fn append_if_it_fits(&self, payload: &[u8]) -> Result<bool, VolumeError> {
        let mut journal = self.settled_journal()?;
        if !journal.fits(payload) {
            return Ok(false);
        }
        journal.append(payload).map_err(|error| VolumeError::io("append to the journal", error))?;
        self.records_are_durable(journal, 1);
        Ok(true)
    }

    /// The first `count` of the committing deltas are in the journal.
    fn records_are_durable(&self, journal: MutexGuard<'_, Journal>, count: usize) {
        let mut state = self.state.write();
        for _ in 0..count {
            if let Some(delta) = state.committing.pop_front() {
                state.release(&delta);
                state.absorb_committed(delta);
            }
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
        let mut journal = self.settled_journal()?;
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
        let Begun { delta, without_record, superblock } = self.begin_checkpoint(what)?;
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

    fn begin_checkpoint(&self, what: Checkpoint) -> Result<Begun, VolumeError> {
        let mut journal = self.settled_journal()?;
        let mut state = self.state.write();
        let without_record = match what {
            Checkpoint::CommittedAndCommitting => state.committing.pop_front(),
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
        Ok(Begun { delta, without_record, superblock })
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
