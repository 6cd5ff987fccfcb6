//! One open device of the model store.

use super::content::Content;
use super::{ModelStore, State};
use crate::{Attempt, BlockDevice, ErrorKind, Extent, VolumeError, VolumeId, VolumeSnapshotId, ZeroMode};

/// What a device is open on.
pub(super) enum Target {
    Volume(VolumeId),
    Snapshot(VolumeSnapshotId),
}

/// An open volume or snapshot. It keeps its target from being deleted, so the target is always there.
pub(super) struct ModelDevice {
    store: ModelStore,
    target: Target,
}

impl ModelDevice {
    pub(super) const fn new(store: ModelStore, target: Target) -> Self {
        Self { store, target }
    }

    fn content<'state>(&self, state: &'state State) -> Result<(u64, &'state Content), VolumeError> {
        match &self.target {
            Target::Volume(id) => state.volume(id).map(|volume| (volume.size_bytes, &volume.content)),
            Target::Snapshot(id) => {
                state.snapshot(id).map(|snapshot| (snapshot.size_bytes, &snapshot.content))
            }
        }
    }

    /// The volume behind a writable device.
    fn writable(&self) -> Result<&VolumeId, VolumeError> {
        match &self.target {
            Target::Volume(id) => Ok(id),
            Target::Snapshot(id) => Err(VolumeError::new(
                ErrorKind::InvalidArgument,
                format!("snapshot `{id}` is read-only: nothing can be written to it"),
            )),
        }
    }

    /// Checks a change of the range and the space for it, then makes it.
    fn change(
        &self,
        offset_bytes: u64,
        length_bytes: u64,
        blocks_needed: impl FnOnce(&Content) -> u64,
        apply: impl FnOnce(&mut Content, &std::sync::Arc<()>),
    ) -> Result<(), VolumeError> {
        let id = self.writable()?;
        let mut state = self.store.lock();
        let volume = state.volume(id)?;
        check_range(volume.size_bytes, offset_bytes, length_bytes)?;
        let (needed, available) = (blocks_needed(&volume.content), state.available_blocks());
        if needed > available {
            return Err(VolumeError::new(
                ErrorKind::NoSpace,
                format!("volume `{id}`: {needed} blocks wanted, {available} left"),
            ));
        }
        let census = std::sync::Arc::clone(&state.census);
        apply(&mut state.volume_mut(id)?.content, &census);
        Ok(())
    }
}

fn check_range(size_bytes: u64, offset_bytes: u64, length_bytes: u64) -> Result<(), VolumeError> {
    match offset_bytes.checked_add(length_bytes) {
        Some(end) if end <= size_bytes => Ok(()),
        _ => Err(VolumeError::new(
            ErrorKind::InvalidArgument,
            format!("{length_bytes} bytes at {offset_bytes} do not lie within 0..{size_bytes}"),
        )),
    }
}

impl BlockDevice for ModelDevice {
    fn size_bytes(&self) -> u64 {
        self.content(&self.store.lock()).map_or(0, |(size_bytes, _)| size_bytes)
    }

    fn is_read_only(&self) -> bool {
        matches!(self.target, Target::Snapshot(_))
    }

    fn read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), VolumeError> {
        let state = self.store.lock();
        let (size_bytes, content) = self.content(&state)?;
        check_range(size_bytes, offset_bytes, buffer.len() as u64)?;
        content.read(offset_bytes, buffer);
        Ok(())
    }

    fn try_read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<Attempt, VolumeError> {
        self.read(offset_bytes, buffer).map(|()| Attempt::Done)
    }

    fn write(&self, offset_bytes: u64, data: &[u8]) -> Result<(), VolumeError> {
        let length_bytes = data.len() as u64;
        self.change(
            offset_bytes,
            length_bytes,
            |content| content.blocks_for_write(offset_bytes, length_bytes),
            |content, census| content.write(census, offset_bytes, data),
        )
    }

    fn flush(&self) -> Result<(), VolumeError> {
        self.store.lock().flush_count += 1;
        Ok(())
    }

    fn discard(&self, offset_bytes: u64, length_bytes: u64) -> Result<(), VolumeError> {
        self.change(
            offset_bytes,
            length_bytes,
            |content| content.blocks_for_punch(offset_bytes, length_bytes),
            |content, _| content.punch(offset_bytes, length_bytes),
        )
    }

    fn write_zeroes(&self, offset_bytes: u64, length_bytes: u64, mode: ZeroMode) -> Result<(), VolumeError> {
        match mode {
            ZeroMode::MayUnmap => self.discard(offset_bytes, length_bytes),
            ZeroMode::KeepAllocated => self.change(
                offset_bytes,
                length_bytes,
                |content| content.blocks_for_write(offset_bytes, length_bytes),
                |content, census| content.zero_allocated(census, offset_bytes, length_bytes),
            ),
        }
    }

    fn extents(
        &self,
        offset_bytes: u64,
        length_bytes: u64,
        extents_max: usize,
    ) -> Result<Vec<Extent>, VolumeError> {
        let state = self.store.lock();
        let (size_bytes, content) = self.content(&state)?;
        check_range(size_bytes, offset_bytes, length_bytes)?;
        if extents_max == 0 {
            return Err(VolumeError::new(
                ErrorKind::InvalidArgument,
                "extents_max is 0: expected at least 1",
            ));
        }
        Ok(content.extents(offset_bytes, length_bytes, extents_max))
    }
}

impl Drop for ModelDevice {
    fn drop(&mut self) {
        let mut state = self.store.lock();
        let open_count = match &self.target {
            Target::Volume(id) => state.volumes.get_mut(id).map(|volume| &mut volume.open_count),
            Target::Snapshot(id) => state.snapshots.get_mut(id).map(|snapshot| &mut snapshot.open_count),
        };
        if let Some(open_count) = open_count {
            *open_count -= 1;
        }
    }
}
