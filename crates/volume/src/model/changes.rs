//! Changes since a snapshot, found by comparing block with block.

use super::State;
use super::content::Content;
use crate::{
    BLOCK_BYTES, ChangeExtent, ChangeExtents, ChangeKind, ChangeQuery, ContentName, VolumeError,
    VolumeSnapshotId,
};

impl State {
    pub(super) fn changes(&self, query: &ChangeQuery) -> Result<Vec<ChangeExtent>, VolumeError> {
        let (size_bytes, content, parent) = match &query.of {
            ContentName::Volume(volume) => {
                let volume = self.volume(volume)?;
                (volume.size_bytes, &volume.content, volume.parent.as_ref())
            }
            ContentName::Snapshot(name) => {
                let snapshot = self.snapshot(name)?;
                (snapshot.size_bytes, &snapshot.content, Some(name))
            }
        };
        let nothing = Content::new();
        let older = match &query.since {
            None => &nothing,
            Some(since) => {
                let snapshot = self.snapshot(since)?;
                if !self.descends_from(parent, since) {
                    return Err(query.not_an_ancestor(since));
                }
                &snapshot.content
            }
        };
        query.check(size_bytes)?;
        let mut extents = ChangeExtents::new(query);
        let first = query.offset_bytes / BLOCK_BYTES;
        let end = (query.offset_bytes + query.length_bytes).div_ceil(BLOCK_BYTES);
        for block in content.blocks_of_either(older, first..end) {
            let wants_more = extents.push(block * BLOCK_BYTES, ChangeKind::Unchanged)
                && extents.push((block + 1) * BLOCK_BYTES, content.change_of(block, older));
            if !wants_more {
                return Ok(extents.into_vec());
            }
        }
        extents.push(end * BLOCK_BYTES, ChangeKind::Unchanged);
        Ok(extents.into_vec())
    }

    pub(super) fn ancestors(&self, of: &ContentName) -> Result<Vec<VolumeSnapshotId>, VolumeError> {
        let youngest = match of {
            ContentName::Volume(volume) => self.volume(volume)?.parent.as_ref(),
            ContentName::Snapshot(snapshot) => self.snapshot(snapshot)?.parent.as_ref(),
        };
        let parent = |name: &&VolumeSnapshotId| self.snapshots.get(*name)?.parent.as_ref();
        Ok(std::iter::successors(youngest, parent).cloned().collect())
    }

    /// Whether `ancestor` is `youngest` or one of the living snapshots before it.
    fn descends_from(&self, youngest: Option<&VolumeSnapshotId>, ancestor: &VolumeSnapshotId) -> bool {
        let parent = |name: &&VolumeSnapshotId| self.snapshots.get(*name)?.parent.as_ref();
        std::iter::successors(youngest, parent).any(|name| name == ancestor)
    }
}
