//! What goes wrong with single blocks, in the words of a volume; and pages that have to be opened first.

use ashlar_volume::{BLOCK_BYTES, ErrorKind, VolumeError};

use super::{OpenVolume, Piece};
use crate::blocks::{BlockError, Cipher, Span};
use crate::format::ChecksumPage;
use crate::leaf::{Place, ResolvedLeaf, runs};

/// Why a change was not made.
#[derive(Debug)]
pub(super) enum Refusal {
    /// These pages need a write intent. Open them without holding a lock, then make the change again.
    Closed(Vec<ChecksumPage>),
    Failed(VolumeError),
}

impl From<VolumeError> for Refusal {
    fn from(error: VolumeError) -> Self {
        Self::Failed(error)
    }
}

impl Piece {
    /// Where a block of the piece's leaf lies.
    pub(super) const fn span(&self, block_in_leaf: u64, offset_bytes: u64) -> Span {
        Span { block: self.leaf.block_of_volume(block_in_leaf), offset_bytes }
    }
}

impl OpenVolume {
    pub(super) fn cipher(&self) -> Cipher<'_> {
        self.cipher.as_deref()
    }

    /// Makes a change, and opens the pages that it wants to change in place as often as it asks for that.
    pub(super) fn with_open_pages<T>(
        &self,
        mut change: impl FnMut() -> Result<T, Refusal>,
    ) -> Result<T, VolumeError> {
        loop {
            match change() {
                Ok(done) => return Ok(done),
                Err(Refusal::Failed(error)) => return Err(error),
                Err(Refusal::Closed(pages)) => self.core.open_pages(&pages)?,
            }
        }
    }

    /// `Closed` if some of the piece's blocks that the top layer holds lie in pages without intent.
    pub(super) fn check_open(&self, leaf: &ResolvedLeaf, piece: Piece) -> Result<(), Refusal> {
        let place = |block| if leaf.is_owned(block) { leaf.place(block) } else { Place::Hole };
        let mut closed = Vec::new();
        for run in runs(piece.first_block(), piece.end_block(), place) {
            if let Place::At(offset_bytes) = run.place {
                self.core.collect_closed(offset_bytes, run.count * BLOCK_BYTES, &mut closed);
            }
        }
        if closed.is_empty() { Ok(()) } else { Err(Refusal::Closed(closed)) }
    }

    /// The error of a read.
    pub(super) fn read_error(&self, error: BlockError) -> VolumeError {
        match error {
            BlockError::Read(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => VolumeError::new(
                ErrorKind::Corrupt,
                format!("the data file ends before blocks of `{}`", self.name),
            ),
            BlockError::Read(error) => VolumeError::io(format!("read `{}`", self.name), error),
            BlockError::Write(error) => VolumeError::io(format!("write `{}`", self.name), error),
            BlockError::Damaged(span) => {
                self.core.damage.note(&self.core, &self.name, span);
                VolumeError::new(
                    ErrorKind::Corrupt,
                    format!(
                        "the block at byte {} of `{}` is damaged: what the medium gives back is not what was written",
                        span.block * BLOCK_BYTES,
                        self.name
                    ),
                )
            }
            BlockError::Metadata(error) => error,
            BlockError::IsClosed(page) => VolumeError::new(
                ErrorKind::Io,
                format!("page {} of the checksums is closed: this is a defect", page.0),
            ),
        }
    }

    /// What comes of an error of a change.
    pub(super) fn change_error(&self, error: BlockError) -> Refusal {
        match error {
            BlockError::IsClosed(page) => Refusal::Closed(vec![page]),
            BlockError::Write(error) => {
                Refusal::Failed(self.core.failed_change(&format!("write `{}`", self.name), error))
            }
            other => Refusal::Failed(self.read_error(other)),
        }
    }
}
