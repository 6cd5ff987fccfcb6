//! What snapshots hold after others were deleted: their blocks come to the next in line in the background, and the records
//! follow.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_types::{Region, SnapshotId};
use ashlar_volume::{ErrorKind, HeirMark, VolumeError};

use crate::control::Control;
use crate::error::ControlError;
use crate::reconcile::Reconciled;

/// How many sizes are noted in one transaction.
const SIZES_AT_ONCE: usize = 500;

/// Up to where the sizes on record follow the pools. Lost with the server: the next one begins with all snapshots.
#[derive(Debug, Default)]
pub(crate) struct NotedSizes {
    marks: BTreeMap<Region, HeirMark>,
    /// Snapshots whose job has just noted a size that it had read before: blocks may have come in between.
    again: BTreeSet<(Region, SnapshotId)>,
}

/// What the pools say.
#[derive(Debug, Default)]
struct Found {
    marks: BTreeMap<Region, HeirMark>,
    held_bytes: BTreeMap<SnapshotId, u64>,
}

impl Control {
    /// Has the sizes of these snapshots looked at once more.
    pub(crate) fn look_again_at_sizes(&self, region: &Region, snapshots: &[SnapshotId]) {
        self.sizes.lock().again.extend(snapshots.iter().map(|snapshot| (region.clone(), *snapshot)));
    }

    /// Asks the open pools which snapshots hold more than they did, and writes it down. A snapshot that is not on record is
    /// no longer, or not yet, anybody's.
    pub(crate) async fn note_sizes(&self) -> Result<Reconciled, ControlError> {
        let (marks, again) = {
            let mut sizes = self.sizes.lock();
            (sizes.marks.clone(), std::mem::take(&mut sizes.again))
        };
        let noted = self.note_sizes_since(marks, again.clone()).await;
        let mut sizes = self.sizes.lock();
        match noted {
            Ok((marks, items)) => {
                sizes.marks.extend(marks);
                Ok(Reconciled { items, failures: 0 })
            }
            Err(error) => {
                sizes.again.extend(again);
                Err(error)
            }
        }
    }

    async fn note_sizes_since(
        &self,
        marks: BTreeMap<Region, HeirMark>,
        again: BTreeSet<(Region, SnapshotId)>,
    ) -> Result<(BTreeMap<Region, HeirMark>, u64), ControlError> {
        let this = self.clone();
        let found = self.blocking(move || this.ask_for_sizes(&marks, &again)).await?;
        let sizes: Vec<_> = found.held_bytes.into_iter().collect();
        let mut items = 0;
        for some in sizes.chunks(SIZES_AT_ONCE) {
            let ids: Vec<_> = some.iter().map(|(snapshot, _)| *snapshot).collect();
            let known = self.db.read().await?.snapshots().held_bytes(&ids).await?;
            let is_news = |(snapshot, held_bytes): &&(SnapshotId, u64)| {
                known.get(snapshot).is_some_and(|known_bytes| known_bytes != held_bytes)
            };
            let news: Vec<_> = some.iter().filter(is_news).collect();
            if news.is_empty() {
                continue;
            }
            let mut tx = self.db.write().await?;
            for (snapshot, held_bytes) in &news {
                tx.snapshots().set_held_bytes(*snapshot, *held_bytes).await?;
            }
            tx.commit().await?;
            items += news.len() as u64;
        }
        Ok((found.marks, items))
    }

    fn ask_for_sizes(
        &self,
        marks: &BTreeMap<Region, HeirMark>,
        again: &BTreeSet<(Region, SnapshotId)>,
    ) -> Result<Found, VolumeError> {
        let mut found = Found::default();
        for (region, store) in self.stores.open_stores() {
            let heirs = store.heirs(marks.get(&region).copied().unwrap_or_default())?;
            let named = |(name, held): (ashlar_volume::VolumeSnapshotId, u64)| {
                Some((name.as_str().parse().ok()?, held))
            };
            found.held_bytes.extend(heirs.held_bytes.into_iter().filter_map(named));
            for (_, snapshot) in again.iter().filter(|(of, _)| *of == region) {
                match store.snapshot(&(*snapshot).into()) {
                    Ok(info) => drop(found.held_bytes.insert(*snapshot, info.held_bytes)),
                    Err(error) if error.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            found.marks.insert(region, heirs.mark);
        }
        Ok(found)
    }
}
