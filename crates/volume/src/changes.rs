//! What changed in a volume since one of its snapshots.

use std::fmt;
use std::ops::Range;

use crate::{ErrorKind, VolumeError, VolumeId, VolumeSnapshotId, VolumeStore};

/// How many extents [`changed_ranges`] asks for at a time.
const PAGE_EXTENTS: usize = 1024;

/// A volume or a snapshot, by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ContentName {
    /// What the volume holds now.
    Volume(VolumeId),
    /// What the snapshot froze.
    Snapshot(VolumeSnapshotId),
}

impl fmt::Display for ContentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volume(volume) => write!(f, "volume `{volume}`"),
            Self::Snapshot(snapshot) => write!(f, "snapshot `{snapshot}`"),
        }
    }
}

/// What became of a range since a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// Reads as it did.
    Unchanged,
    /// Was written since, or has space kept for it; it may hold the same bytes as before.
    Written,
    /// Held data and is a hole now: reads as zeroes.
    Zeroed,
}

/// A run of bytes that have the same fate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeExtent {
    /// How long the run is.
    pub length_bytes: u64,
    /// What became of it.
    pub kind: ChangeKind,
}

/// A question about changes: which part of what, compared with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeQuery {
    /// Whose content is described.
    pub of: ContentName,
    /// The snapshot it is compared with: an ancestor of `of`, or `of` itself. `None` compares with a volume that
    /// was never written, so everything that takes space is [`ChangeKind::Written`].
    pub since: Option<VolumeSnapshotId>,
    /// Where the description begins.
    pub offset_bytes: u64,
    /// How far it may reach at most.
    pub length_bytes: u64,
    /// How many extents it may have at most.
    pub extents_max: usize,
}

impl ChangeQuery {
    /// `InvalidArgument` unless the range lies within `size_bytes` and an answer is wanted at all.
    pub fn check(&self, size_bytes: u64) -> Result<(), VolumeError> {
        let refuse = |text: String| Err(VolumeError::new(ErrorKind::InvalidArgument, text));
        let Self { of, offset_bytes, length_bytes, extents_max, .. } = self;
        match offset_bytes.checked_add(*length_bytes) {
            Some(end) if end <= size_bytes => {}
            _ => {
                return refuse(format!(
                    "{length_bytes} bytes at {offset_bytes} are not within the {size_bytes} bytes of {of}"
                ));
            }
        }
        if *extents_max == 0 {
            return refuse("extents_max 0: expected at least 1".to_owned());
        }
        Ok(())
    }

    /// The error of a question about a snapshot of another lineage.
    #[must_use]
    pub fn not_an_ancestor(&self, since: &VolumeSnapshotId) -> VolumeError {
        VolumeError::new(
            ErrorKind::InvalidArgument,
            format!(
                "since `{since}`: {} does not descend from it, so what changed between them is not known; \
                 name a snapshot that it was taken from, cloned from or rolled back to",
                self.of
            ),
        )
    }
}

/// The extents of an answer while they are found.
#[derive(Debug)]
pub struct ChangeExtents {
    extents: Vec<ChangeExtent>,
    extents_max: usize,
    next_bytes: u64,
    end_bytes: u64,
}

impl ChangeExtents {
    /// An answer to `query` that says nothing yet.
    #[must_use]
    pub const fn new(query: &ChangeQuery) -> Self {
        Self {
            extents: Vec::new(),
            extents_max: query.extents_max,
            next_bytes: query.offset_bytes,
            end_bytes: query.offset_bytes + query.length_bytes,
        }
    }

    /// Up to where the volume is described.
    #[must_use]
    pub const fn next_bytes(&self) -> u64 {
        self.next_bytes
    }

    /// Says that everything from where the answer stands up to `until_bytes` is of `kind`; what lies before or
    /// beyond the range that was asked for is left out. `false` when the answer takes no more.
    pub fn push(&mut self, until_bytes: u64, kind: ChangeKind) -> bool {
        let until_bytes = until_bytes.min(self.end_bytes);
        let length_bytes = until_bytes.saturating_sub(self.next_bytes);
        if length_bytes == 0 {
            return self.next_bytes < self.end_bytes;
        }
        let count = self.extents.len();
        match self.extents.last_mut() {
            Some(last) if last.kind == kind => last.length_bytes += length_bytes,
            _ if count == self.extents_max => return false,
            _ => self.extents.push(ChangeExtent { length_bytes, kind }),
        }
        self.next_bytes = until_bytes;
        self.next_bytes < self.end_bytes
    }

    /// The answer.
    #[must_use]
    pub fn into_vec(self) -> Vec<ChangeExtent> {
        self.extents
    }
}

/// A range that changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedRange {
    /// Where it lies.
    pub bytes: Range<u64>,
    /// Whether it reads as zeroes without being stored; it was written otherwise.
    pub is_zeroed: bool,
}

/// All ranges of `of` that changed since a snapshot (see [`ChangeQuery::since`]), in ascending order, asked for page by
/// page. Ends after the first error.
///
/// Of a volume that is written to meanwhile, each page is as of the moment when it was asked for.
pub fn changed_ranges(
    store: &dyn VolumeStore,
    of: ContentName,
    since: Option<VolumeSnapshotId>,
) -> impl Iterator<Item = Result<ChangedRange, VolumeError>> {
    let size_bytes = match &of {
        ContentName::Volume(volume) => store.volume(volume).map(|volume| volume.size_bytes),
        ContentName::Snapshot(snapshot) => store.snapshot(snapshot).map(|snapshot| snapshot.size_bytes),
    };
    let (mut failed, size_bytes) = match size_bytes {
        Ok(size_bytes) => (None, size_bytes),
        Err(error) => (Some(error), 0),
    };
    let mut page = Vec::new().into_iter();
    let mut next = 0;
    let mut asked = 0;
    std::iter::from_fn(move || {
        loop {
            if let Some(error) = failed.take() {
                (asked, page) = (size_bytes, Vec::new().into_iter());
                return Some(Err(error));
            }
            for ChangeExtent { length_bytes, kind } in page.by_ref() {
                let bytes = next..next + length_bytes;
                next = bytes.end;
                if kind != ChangeKind::Unchanged {
                    return Some(Ok(ChangedRange { bytes, is_zeroed: kind == ChangeKind::Zeroed }));
                }
            }
            if asked == size_bytes {
                return None;
            }
            let query = ChangeQuery {
                of: of.clone(),
                since: since.clone(),
                offset_bytes: asked,
                length_bytes: size_bytes - asked,
                extents_max: PAGE_EXTENTS,
            };
            match store.changes(&query) {
                Ok(extents) => {
                    asked += extents.iter().map(|extent| extent.length_bytes).sum::<u64>();
                    page = extents.into_iter();
                }
                Err(error) => failed = Some(error),
            }
        }
    })
}
