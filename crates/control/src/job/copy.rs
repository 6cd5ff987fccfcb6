//! The steps that bring a snapshot from one pool into another.
//!
//! The copy is put together in a volume under its own id, which becomes the snapshot at the end. It begins as a clone of
//! the newest snapshot of the lineage that the destination has, so only what changed since then is looked at,
//! and of that only blocks that differ are written. Both long steps run in slices: the place reached is noted after
//! each, behind a flush, so a crash on either side costs one slice, and deleting snapshots, stopping the server and
//! other jobs have to wait for no more than that.

use ashlar_db::{CopyBase, JobRecord, SnapshotCopy};
use ashlar_types::{GIB_BYTES, Region, SnapshotId, SnapshotState};
use ashlar_volume::{
    BLOCK_BYTES, BlockDevice, ChangeExtent, ChangeKind, ChangeQuery, ContentName, ErrorKind, VolumeError,
    VolumeId, VolumeSnapshotId, VolumeStore, changed_ranges,
};

use super::effect::{gone, made, misplaced, there};
use super::runner::{Next, broken, is_still, next_step};
use super::{Step, Work};
use crate::control::Control;
use crate::error::ControlError;

/// How many bytes of both sides are held in memory at a time.
const WINDOW_BYTES: u64 = 1 << 20;

/// How many bytes a slice looks at: some tenths of a second on a slow medium.
const SLICE_BYTES: u64 = 64 << 20;

/// How many extents of changes are asked for at a time.
const EXTENTS_MAX: usize = 1024;

/// How many copied snapshots are tried as a base, the newest first: those of other branches are passed over.
const BASES_TRIED: u64 = 16;

/// A copy as its job names it.
#[derive(Debug, Clone)]
struct Parts {
    source: SnapshotId,
    source_region: Region,
    snapshot: SnapshotId,
    size_bytes: u64,
}

impl Parts {
    fn of(work: &Work, step: Step) -> Result<Self, VolumeError> {
        let Work::CopySnapshot { source, source_region, snapshot, size_gib } = work else {
            return Err(misplaced(work, step));
        };
        Ok(Self {
            source: *source,
            source_region: source_region.clone(),
            snapshot: *snapshot,
            size_bytes: size_gib * GIB_BYTES,
        })
    }
}

/// How far a slice came.
#[derive(Debug, Default)]
struct Slice {
    cursor_bytes: u64,
    seen_bytes: u64,
    moved_bytes: u64,
    is_last: bool,
}

impl Control {
    /// Runs one of the steps between two pools, or a slice of it, and notes how far it is.
    pub(super) async fn run_copy_step(
        &self,
        record: &JobRecord,
        work: &Work,
        step: Step,
    ) -> Result<Next, ControlError> {
        let parts = Parts::of(work, step).map_err(|error| crate::error::JobError::from(&error))?;
        let mut tx = self.db.read().await?;
        let found = tx.snapshot_copies().find(parts.snapshot).await?;
        let mut copy = found.ok_or_else(|| broken(&format!("copy {}", parts.snapshot)))?;
        if step == Step::PrepareCopy {
            let candidates = tx
                .snapshot_copies()
                .bases(copy.origin, &copy.source_region, &copy.destination, BASES_TRIED)
                .await?;
            drop(tx);
            copy.base = self.choose_base(&parts, candidates).await?;
            // Noted before it is used: from here on nobody deletes it.
            if !self.note_copy(record, &copy, None).await? {
                return Ok(Next::Again);
            }
        } else {
            drop(tx);
        }
        match self.copy_effect(record, work, step, &parts, &copy).await {
            Ok(slice) => {
                let is_over = slice.is_last;
                if step == Step::PrepareCopy {
                    copy.total_bytes = slice.seen_bytes;
                    (copy.seen_bytes, copy.moved_bytes) = (0, 0);
                } else {
                    copy.seen_bytes += slice.seen_bytes;
                    copy.moved_bytes += slice.moved_bytes;
                }
                copy.cursor_bytes = if is_over { 0 } else { slice.cursor_bytes };
                let next = if is_over { next_step(work.steps(), step)? } else { step };
                self.note_copy(record, &copy, Some(next)).await?;
                Ok(Next::Again)
            }
            Err(error) => self.after_failure(record, work, error).await,
        }
    }

    /// The newest snapshot that the source descends from and whose copy is in the destination.
    async fn choose_base(
        &self,
        parts: &Parts,
        candidates: Vec<CopyBase>,
    ) -> Result<Option<CopyBase>, ControlError> {
        let (this, parts) = (self.clone(), parts.clone());
        self.blocking(move || {
            let store = this.stores.store(&parts.source_region)?;
            for base in candidates {
                let query = ChangeQuery {
                    of: ContentName::Snapshot(parts.source.into()),
                    since: Some(base.source.into()),
                    offset_bytes: 0,
                    length_bytes: BLOCK_BYTES,
                    extents_max: 1,
                };
                match store.changes(&query) {
                    Ok(_) => return Ok(Some(base)),
                    Err(error)
                        if matches!(error.kind(), ErrorKind::InvalidArgument | ErrorKind::NotFound) => {}
                    Err(error) => return Err(error),
                }
            }
            Ok(None)
        })
        .await
    }

    /// Runs a step, or a slice of it, in the stores, with the faults that tests play.
    async fn copy_effect(
        &self,
        record: &JobRecord,
        work: &Work,
        step: Step,
        parts: &Parts,
        copy: &SnapshotCopy,
    ) -> Result<Slice, crate::error::JobError> {
        let destination = record.region.clone();
        self.with_faults(work, step, move || {
            let (this, destination) = (self.clone(), destination.clone());
            let (parts, copy) = (parts.clone(), copy.clone());
            async move {
                this.in_turn(move |this| {
                    let source = this.stores.store(&parts.source_region)?;
                    let destination = this.stores.store(&destination)?;
                    let sides =
                        Sides { source: source.as_ref(), destination: destination.as_ref(), parts: &parts };
                    match step {
                        Step::PrepareCopy => sides.prepare(copy.base),
                        Step::CopyBlocks => sides.run_slice(&copy, copy_window),
                        _ => sides.run_slice(&copy, verify_window),
                    }
                })
                .await
            }
        })
        .await
    }

    /// Notes how far a copy is and which step is next; `false` if the job was turned round meanwhile.
    async fn note_copy(
        &self,
        record: &JobRecord,
        copy: &SnapshotCopy,
        next: Option<Step>,
    ) -> Result<bool, ControlError> {
        let mut tx = self.db.write().await?;
        if !is_still(&mut tx, record).await? {
            return Ok(false);
        }
        tx.snapshot_copies().save(copy).await?;
        for mut snapshot in tx.snapshots().of_job(record.id).await? {
            snapshot.percent = percent(copy);
            if next.is_some_and(|next| next != Step::CopyBlocks) {
                snapshot.state = SnapshotState::CheckingCopied;
            }
            tx.snapshots().save(&snapshot).await?;
        }
        if let Some(next) = next {
            tx.jobs().advance(record.id, record.phase, next.name()).await?;
        }
        tx.commit().await?;
        Ok(true)
    }
}

/// Every byte is looked at twice; 100 only the finished copy shows.
fn percent(copy: &SnapshotCopy) -> u64 {
    (copy.seen_bytes * 50).checked_div(copy.total_bytes).unwrap_or(0).min(99)
}

/// What a window of a slice does: gives how many bytes it wrote.
type WindowWork = fn(&Window<'_>) -> Result<u64, VolumeError>;

/// A range that changed, on both sides.
struct Window<'a> {
    from: &'a dyn BlockDevice,
    to: &'a dyn BlockDevice,
    offset_bytes: u64,
    length_bytes: u64,
    is_zeroed: bool,
}

/// Both pools.
struct Sides<'a> {
    source: &'a dyn VolumeStore,
    destination: &'a dyn VolumeStore,
    parts: &'a Parts,
}

impl Sides<'_> {
    /// Makes the volume anew, whatever an earlier try left, and counts what has to be looked at.
    fn prepare(&self, base: Option<CopyBase>) -> Result<Slice, VolumeError> {
        let volume = VolumeId::from(self.parts.snapshot);
        gone(self.destination.delete_volume(&volume))?;
        match base {
            Some(base) => {
                self.destination.clone_volume(&volume, &base.copy.into(), self.parts.size_bytes)?;
            }
            None => self.destination.create_volume(&volume, self.parts.size_bytes)?,
        }
        let mut seen_bytes = 0;
        for range in changed_ranges(self.source, self.content(), base.map(|base| base.source.into())) {
            let range = range?;
            if !range.is_zeroed {
                seen_bytes += range.bytes.end - range.bytes.start;
            }
        }
        Ok(Slice { seen_bytes, is_last: true, ..Slice::default() })
    }

    fn content(&self) -> ContentName {
        ContentName::Snapshot(self.parts.source.into())
    }

    /// Does `work` to what changed, from the noted place on, until the slice is full or the end is reached.
    fn run_slice(&self, copy: &SnapshotCopy, work: WindowWork) -> Result<Slice, VolumeError> {
        let from = self.source.open_snapshot(&self.parts.source.into())?;
        let to = self.destination.open_volume(&self.parts.snapshot.into())?;
        let mut slice = Slice { cursor_bytes: copy.cursor_bytes, ..Slice::default() };
        while slice.seen_bytes < SLICE_BYTES && !slice.is_last {
            let Some(extent) = self.next_change(copy, &mut slice)? else { continue };
            let rest_bytes = SLICE_BYTES - slice.seen_bytes;
            let is_zeroed = extent.kind == ChangeKind::Zeroed;
            let length_bytes = if is_zeroed {
                extent.length_bytes
            } else {
                extent.length_bytes.min(WINDOW_BYTES).min(rest_bytes)
            };
            let offset_bytes = slice.cursor_bytes;
            let window = Window { from: &*from, to: &*to, offset_bytes, length_bytes, is_zeroed };
            slice.moved_bytes += work(&window)?;
            slice.cursor_bytes += length_bytes;
            slice.seen_bytes += if is_zeroed { 0 } else { length_bytes };
        }
        // Before the place is noted: what lies before it is never looked at again.
        to.flush()?;
        Ok(slice)
    }

    /// The change at the cursor; none when the cursor had to be moved up to it, or to the end.
    fn next_change(
        &self,
        copy: &SnapshotCopy,
        slice: &mut Slice,
    ) -> Result<Option<ChangeExtent>, VolumeError> {
        if slice.cursor_bytes >= self.parts.size_bytes {
            slice.is_last = true;
            return Ok(None);
        }
        let extents = self.source.changes(&ChangeQuery {
            of: self.content(),
            since: copy.base.map(|base| base.source.into()),
            offset_bytes: slice.cursor_bytes,
            length_bytes: self.parts.size_bytes - slice.cursor_bytes,
            extents_max: EXTENTS_MAX,
        })?;
        for extent in extents {
            if extent.kind != ChangeKind::Unchanged {
                return Ok(Some(extent));
            }
            slice.cursor_bytes += extent.length_bytes;
        }
        Ok(None)
    }
}

/// Writes the blocks that differ.
fn copy_window(window: &Window<'_>) -> Result<u64, VolumeError> {
    let Window { from, to, offset_bytes, length_bytes, is_zeroed } = *window;
    if is_zeroed {
        to.discard(offset_bytes, length_bytes)?;
        return Ok(0);
    }
    let (wanted, found) = (read(from, offset_bytes, length_bytes)?, read(to, offset_bytes, length_bytes)?);
    let block = BLOCK_BYTES as usize;
    let mut moved_bytes = 0;
    let (mut at, end) = (0, wanted.len());
    while at < end {
        // A run of blocks that differ goes in one write.
        let differs = |at: usize| {
            let stop = (at + block).min(end);
            wanted[at..stop] != found[at..stop]
        };
        let mut stop = at;
        while stop < end && differs(stop) {
            stop = (stop + block).min(end);
        }
        if stop > at {
            to.write(offset_bytes + at as u64, &wanted[at..stop])?;
            moved_bytes += (stop - at) as u64;
        }
        at = (stop + block).min(end);
    }
    Ok(moved_bytes)
}

/// Reads both sides back. A difference is damage: the copy is given up rather than shown as good.
fn verify_window(window: &Window<'_>) -> Result<u64, VolumeError> {
    let Window { from, to, offset_bytes, length_bytes, is_zeroed } = *window;
    let (mut at, end) = (offset_bytes, offset_bytes + length_bytes);
    while at < end {
        let piece_bytes = (end - at).min(WINDOW_BYTES);
        let is_same = if is_zeroed {
            is_hole(to, at, piece_bytes)? || read(to, at, piece_bytes)?.iter().all(|byte| *byte == 0)
        } else {
            read(from, at, piece_bytes)? == read(to, at, piece_bytes)?
        };
        if !is_same {
            return Err(VolumeError::new(
                ErrorKind::Corrupt,
                format!("the copy differs from its source in {piece_bytes} bytes at {at}"),
            ));
        }
        at += piece_bytes;
    }
    Ok(0)
}

fn is_hole(device: &dyn BlockDevice, offset_bytes: u64, length_bytes: u64) -> Result<bool, VolumeError> {
    let extents = device.extents(offset_bytes, length_bytes, 1)?;
    let whole = |extent: &ashlar_volume::Extent| {
        extent.kind == ashlar_volume::ExtentKind::Hole && extent.length_bytes == length_bytes
    };
    Ok(extents.first().is_some_and(whole))
}

fn read(device: &dyn BlockDevice, offset_bytes: u64, length_bytes: u64) -> Result<Vec<u8>, VolumeError> {
    let mut buffer = vec![0; length_bytes as usize];
    device.read(offset_bytes, &mut buffer)?;
    Ok(buffer)
}

/// Makes the volume a snapshot.
pub(super) fn freeze(store: &dyn VolumeStore, work: &Work) -> Result<(), VolumeError> {
    let parts = Parts::of(work, Step::FreezeCopy)?;
    let (volume, snapshot) = (VolumeId::from(parts.snapshot), VolumeSnapshotId::from(parts.snapshot));
    if there(store.volume(&volume))?.is_some() {
        made(store.create_snapshot(&volume, &snapshot))?;
        gone(store.delete_volume(&volume))?;
    }
    // The second time only the snapshot is left.
    store.snapshot(&snapshot).map(drop)
}

/// Takes a copy back, however far it was.
pub(super) fn drop_what_there_is(store: &dyn VolumeStore, work: &Work) -> Result<(), VolumeError> {
    let parts = Parts::of(work, Step::DropCopy)?;
    gone(store.delete_volume(&parts.snapshot.into()))?;
    gone(store.delete_snapshot(&parts.snapshot.into()))
}
