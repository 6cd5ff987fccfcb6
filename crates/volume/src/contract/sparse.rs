//! Volumes of many TiB that hold little: their description and what changed in them are exact, and cost what they hold.

use ashlar_types::{RandomSource, SeededRandom};

use super::Subject;
use super::changes::all_changes;
use super::fixture::*;
use crate::model::ModelStore;
use crate::{
    BLOCK_BYTES, ContentName, ErrorKind, VolumeError, VolumeId, VolumeSnapshotId, VolumeStore, ZeroMode,
};

const HISTORIES: u64 = 12;
const STEPS: u64 = 60;
const NAMES: u64 = 3;
/// 32 TiB. Whoever looks at all of it does not end in time.
const HUGE_BYTES: u64 = 32 << 40;
/// Places near each other and far away, so that histories meet in few parts of a map and leave most of it empty.
const PLACES: [u64; 6] = [0, 32 << 20, (32 << 20) * 64, 5 << 30, 1 << 40, HUGE_BYTES - (1 << 20)];

/// Histories of writes, discards of TiB, snapshots, clones, rollbacks and deletions on huge volumes: extents and changes
/// of any range, in pages of any size, are the model's.
pub fn huge_sparse_volumes_match_the_model(subject: &mut dyn Subject) {
    for seed in 0..HISTORIES {
        let mut history = History { random: SeededRandom::new(seed), model: ModelStore::new() };
        history.both(subject.store(), |store| store.create_volume(&volume("disk-0"), HUGE_BYTES));
        for step in 0..STEPS {
            let what = format!("seed {seed}, step {step}");
            history.step(subject);
            if step % 6 == 5 {
                history.compare(subject.store(), &what);
            }
        }
        for disk in subject.store().volumes().unwrap() {
            subject.store().delete_volume(&disk).unwrap();
        }
        for snap in subject.store().snapshots().unwrap() {
            subject.store().delete_snapshot(&snap).unwrap();
        }
        subject.settle();
    }
}

struct History {
    random: SeededRandom,
    model: ModelStore,
}

impl History {
    fn below(&self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    fn some_disk(&self) -> VolumeId {
        volume(&format!("disk-{}", self.below(NAMES)))
    }

    fn some_snapshot(&self) -> VolumeSnapshotId {
        snapshot(&format!("snap-{}", self.below(NAMES)))
    }

    fn both(&self, store: &dyn VolumeStore, call: impl Fn(&dyn VolumeStore) -> Result<(), VolumeError>) {
        let (found, expected) = (call(store), call(&self.model));
        assert_eq!(found.is_ok(), expected.is_ok(), "{found:?}, the model: {expected:?}");
    }

    /// A place that is often used, or anywhere.
    fn some_place(&self) -> u64 {
        let near = self.below(40) * BLOCK_BYTES;
        match self.below(8) {
            7 => self.below(HUGE_BYTES / BLOCK_BYTES) * BLOCK_BYTES,
            place => (PLACES[place as usize % PLACES.len()] + near).min(HUGE_BYTES - BLOCK_BYTES),
        }
    }

    /// A range between two places.
    fn some_range(&self) -> (u64, u64) {
        let (one, other) = (self.some_place(), self.some_place());
        let odd = if self.below(3) == 0 { self.below(BLOCK_BYTES) } else { 0 };
        (one.min(other), one.abs_diff(other) + odd)
    }

    fn step(&mut self, subject: &mut dyn Subject) {
        let (disk, snap) = (self.some_disk(), self.some_snapshot());
        let store = subject.store();
        match self.below(20) {
            0..8 => self.write(store, &disk),
            8..11 => {
                let (offset, length) = self.some_range();
                self.both(store, |store| {
                    store.open_volume(&disk)?.write_zeroes(offset, length, ZeroMode::MayUnmap)
                });
            }
            11 => {
                let place = self.some_place();
                self.both(store, |store| {
                    store.open_volume(&disk)?.write_zeroes(place, BLOCK_BYTES, ZeroMode::KeepAllocated)
                });
            }
            12..15 => self.both(store, |store| store.create_snapshot(&disk, &snap)),
            15 => self.both(store, |store| store.clone_volume(&disk, &snap, HUGE_BYTES)),
            16 => self.both(store, |store| store.roll_back(&disk, &snap)),
            17 => self.both(store, |store| store.delete_snapshot(&snap)),
            18 => subject.settle(),
            _ => subject.reopen(),
        }
    }

    fn write(&self, store: &dyn VolumeStore, disk: &VolumeId) {
        let place = self.some_place();
        let length = (1 + self.below(40)) * BLOCK_BYTES;
        let data = pattern(self.below(250) as u8, place, length.min(HUGE_BYTES - place) as usize);
        self.both(store, |store| store.open_volume(disk)?.write(place, &data));
    }

    #[track_caller]
    fn compare(&self, store: &dyn VolumeStore, what: &str) {
        let model: &dyn VolumeStore = &self.model;
        let volumes = model.volumes().unwrap().into_iter().map(ContentName::Volume);
        let snapshots = model.snapshots().unwrap().into_iter().map(ContentName::Snapshot);
        for of in volumes.chain(snapshots) {
            self.compare_extents(store, &of, what);
            for since in [None, Some("snap-0"), Some("snap-1"), Some("snap-2")] {
                let extents_max = 1 + self.below(20) as usize;
                let found = all_changes(store, &of, since, extents_max).map_err(|error| error.kind());
                let expected = all_changes(model, &of, since, usize::MAX).map_err(|error| error.kind());
                assert_eq!(found, expected, "{what}: changes of {of} since {since:?}");
            }
        }
    }

    #[track_caller]
    fn compare_extents(&self, store: &dyn VolumeStore, of: &ContentName, what: &str) {
        let open = |store: &dyn VolumeStore| match of {
            ContentName::Volume(disk) => store.open_volume(disk).unwrap(),
            ContentName::Snapshot(snap) => store.open_snapshot(snap).unwrap(),
        };
        let (device, twin) = (open(store), open(&self.model));
        let (offset, length) = self.some_range();
        let length = length.min(HUGE_BYTES - offset);
        for (offset, length) in [(0, HUGE_BYTES), (offset, length)] {
            let expected = all_extents(&*twin, offset, length, usize::MAX);
            for extents_max in [1, 1 + self.below(9) as usize, usize::MAX] {
                let found = all_extents(&*device, offset, length, extents_max);
                assert_eq!(found, expected, "{what}: {length} bytes at {offset} of {of} by {extents_max}");
            }
        }
        let beyond = device.extents(HUGE_BYTES - 1, 2, 1);
        assert_kind(beyond, ErrorKind::InvalidArgument, "a range beyond the end");
    }
}
