//! Commits of nothing but first writes: one sync for data and record, and several under way at once.
//!
//! Nothing orders a record and its blocks, so after a crash it may be there without them. It carries their checksums, and the
//! opening looks. What the record cannot survive is that a block changes and nothing tells of it: so all blocks lie in pages
//! without intent, and an intent is a record that is appended when none is under way.

use std::sync::atomic::Ordering;

use ashlar_volume::{BLOCK_BYTES, VolumeError};

use crate::checksums::PageState;
use crate::core::Core;
use crate::delta::Delta;
use crate::format::{ChecksumPage, encode_delta};
use crate::journal::Flight;

#[cfg(test)]
mod tests;

/// The most chunks of a commit whose record is proven by its blocks: the opening after a crash reads them. 16 MiB.
const FIRST_WRITE_CHUNKS_MAX: usize = 256;

impl Core {
    /// Begins to commit a delta of nothing but first writes; `None`: it has to go the ordinary way.
    pub(super) fn take_off(&self, delta: &Delta) -> Result<Option<Flight>, VolumeError> {
        if !delta.is_first_writes(FIRST_WRITE_CHUNKS_MAX) || !self.dirt.is_little() {
            return Ok(None);
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
        while journal.is_wanted_settled() {
            self.landed.wait(&mut journal);
        }
        if !journal.can_write_beside() || !journal.fits(&payload) || !self.blocks_stay_as_they_are(delta) {
            return Ok(None);
        }
        let taken_off = journal.take_off(&payload);
        drop(journal);
        taken_off.map(Some).map_err(|error| self.latched("give a record its place in the journal", error))
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

    /// Writes the record and syncs the data file: when this returns it is durable, and so is each one before it.
    pub(super) fn land(&self, flight: &Flight) -> Result<(), VolumeError> {
        let landed = flight.write().and_then(|()| {
            // What this sync covers: the blocks of these records were written before the records had their places.
            let covered = self.journal.lock().is_written(flight.sequence);
            self.dirt.syncs.fetch_add(1, Ordering::SeqCst);
            self.dirt.take();
            let synced = self.data.sync_data();
            self.dirt.syncs.fetch_sub(1, Ordering::SeqCst);
            synced.map(|()| covered)
        });
        let mut journal = self.journal.lock();
        match landed {
            Ok(covered) if journal.check().is_ok() => {
                let count = journal.are_durable(covered);
                self.landed.notify_all();
                self.records_are_durable(journal, count);
            }
            Ok(_) => drop(journal),
            Err(error) => {
                // Before the others hear of it: what they are told is why.
                let error = self.latched("sync data and journal together", error);
                journal.fail();
                self.landed.notify_all();
                return Err(error);
            }
        }
        // An earlier record was written after this one: its own sync tells of both.
        let mut journal = self.journal.lock();
        while journal.durable_sequence() < flight.sequence {
            self.check_journal(&journal)?;
            self.landed.wait(&mut journal);
        }
        Ok(())
    }
}
