//! Reads that are under way while whoever wants them does other things.
//!
//! What is simple goes this way: whole blocks, one run of them, in a leaf and with checksums that are in memory. Nothing is locked
//! between the beginning of a read and its end, so meanwhile its blocks may have been written over, given back, even given to another
//! volume. At the end, therefore, the blocks are looked up again, and what was read counts only if they lie where they lay and match the checksums
//! of now. Whatever else happened, the ordinary read finds out.

use std::os::fd::BorrowedFd;
use std::sync::Arc;

use ashlar_volume::ReadQueue;

use super::batch::only_run;
use super::{OpenVolume, Piece};
use crate::blocks::Span;
use crate::file::read_ring::{ReadRing, SLOTS};

/// The reads of one thread.
struct VolumeReads {
    volume: Arc<OpenVolume>,
    ring: ReadRing,
    /// What each slot is read for.
    wanted: [Option<Wanted>; SLOTS],
}

#[derive(Debug, Clone, Copy)]
struct Wanted {
    piece: Piece,
    span: Span,
}

impl OpenVolume {
    /// A queue for the calling thread; `None` where the medium or the system has none.
    pub(crate) fn read_queue(self: &Arc<Self>, bell: BorrowedFd<'_>) -> Option<Box<dyn ReadQueue>> {
        let file = self.core.data.descriptor()?.try_clone_to_owned().ok()?;
        let ring = ReadRing::new(file, bell)
            .inspect_err(|error| tracing::debug!(%error, "no io_uring: workers wait for reads"))
            .ok()?;
        Some(Box::new(VolumeReads { volume: Arc::clone(self), ring, wanted: [None; SLOTS] }))
    }

    /// Where the piece lies now, if that is in memory and one run of blocks.
    fn locate(&self, piece: Piece) -> Option<Span> {
        let shape = self.shape.try_read()?;
        let slot = shape.slot_if_made(piece.leaf)?;
        let guard = slot.leaf.try_read()?;
        slot.mark_used();
        only_run(guard.as_deref()?, piece)
    }

    /// Verifies and decrypts what was read; `false`: it is not what the piece holds, as far as can be said without waiting.
    fn accept(&self, wanted: Wanted, bytes: &mut [u8]) -> bool {
        bytes.len() == wanted.piece.length()
            && self.locate(wanted.piece) == Some(wanted.span)
            && self.core.try_verify_read(self.cipher(), wanted.span, bytes)
    }
}

impl ReadQueue for VolumeReads {
    fn begin(&mut self, offset_bytes: u64, length: usize) -> Option<usize> {
        let piece = self.volume.simple_piece(offset_bytes, length)?;
        let span = self.volume.locate(piece)?;
        if !self.volume.core.has_checksums(span, length) {
            return None;
        }
        let slot = usize::from(self.ring.begin(span.offset_bytes, length)?);
        self.wanted[slot] = Some(Wanted { piece, span });
        Some(slot)
    }

    fn turn(&mut self, ended: &mut dyn FnMut(usize, Option<&[u8]>)) {
        let Self { volume, ring, wanted } = self;
        let turned = ring.turn(|slot, read| {
            let slot = usize::from(slot);
            let Some(wanted) = wanted[slot].take() else { return };
            // An error of the medium is told to the one whom it concerns, on the ordinary way.
            let accepted = read.ok().and_then(|bytes| volume.accept(wanted, bytes).then_some(&*bytes));
            ended(slot, accepted);
        });
        if let Err(error) = turned {
            tracing::warn!(%error, "io_uring failed: workers wait for reads from now on");
            for (slot, wanted) in wanted.iter_mut().enumerate() {
                if wanted.take().is_some() {
                    ended(slot, None);
                }
            }
        }
    }
}
