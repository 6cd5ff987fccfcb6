//! Random histories on the store under test and on the model: both must tell the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use ashlar_types::{RandomSource, SeededRandom};

use super::Subject;
use super::changes::all_changes;
use super::fixture::*;
use crate::model::ModelStore;
use crate::{
    BLOCK_BYTES, BlockDevice, ChangeKind, ContentName, VolumeError, VolumeId, VolumeSnapshotId, VolumeStore,
    ZeroMode,
};

const HISTORIES: u64 = 20;
const STEPS: u64 = 150;
const NAMES: u64 = 4;
/// Over two 64 KiB chunks, so that ranges cross their borders.
const BLOCKS_MAX: u64 = 40;

/// Histories of random calls, valid and not: results, contents, sizes, names and open counts are the model's.
/// Every history ends with everything deleted and all space back.
pub fn random_histories_match_the_model(subject: &mut dyn Subject) {
    for seed in 0..HISTORIES {
        let mut history = History {
            what: format!("seed {seed}"),
            random: SeededRandom::new(seed),
            model: ModelStore::new(),
            devices: BTreeMap::new(),
        };
        for step in 0..STEPS {
            history.what = format!("seed {seed}, step {step}");
            history.step(subject);
        }
        history.compare_everything(subject.store());
        history.delete_everything(subject);
    }
}

/// A device of the subject and its twin of the model.
type Pair = (Arc<dyn BlockDevice>, Arc<dyn BlockDevice>);

struct History {
    what: String,
    random: SeededRandom,
    model: ModelStore,
    devices: BTreeMap<VolumeId, Pair>,
}

impl History {
    fn below(&self, bound: u64) -> u64 {
        self.random.below(bound)
    }

    fn some_volume(&self) -> VolumeId {
        volume(&format!("disk-{}", self.below(NAMES)))
    }

    fn some_snapshot(&self) -> VolumeSnapshotId {
        snapshot(&format!("snap-{}", self.below(NAMES)))
    }

    fn some_size(&self) -> u64 {
        (1 + self.below(BLOCKS_MAX)) * BLOCK_BYTES
    }

    /// Makes the same call on both stores; both succeed or both fail.
    #[track_caller]
    fn both(
        &self,
        subject: &dyn Subject,
        call: impl Fn(&dyn VolumeStore) -> Result<(), VolumeError>,
    ) -> bool {
        let (found, expected) = (call(subject.store()), call(&self.model));
        assert_eq!(found.is_ok(), expected.is_ok(), "{}: {found:?}, the model: {expected:?}", self.what);
        found.is_ok()
    }

    fn step(&mut self, subject: &mut dyn Subject) {
        let (disk, snap, size) = (self.some_volume(), self.some_snapshot(), self.some_size());
        match self.below(100) {
            0..6 => self.both(subject, |store| store.create_volume(&disk, size)),
            6..10 => self.both(subject, |store| store.clone_volume(&disk, &snap, size)),
            10..14 => self.both(subject, |store| store.resize_volume(&disk, size)),
            14..16 => self.both(subject, |store| store.delete_volume(&disk)),
            16..24 => self.both(subject, |store| store.create_snapshot(&disk, &snap)),
            24..29 => self.both(subject, |store| store.delete_snapshot(&snap)),
            29..34 => self.both(subject, |store| store.roll_back(&disk, &snap)),
            34..35 => self.both(subject, |store| store.clear_volume(&disk)),
            35..47 => self.open(subject, disk),
            47..52 => self.devices.remove(&disk).is_some(),
            52..92 => self.change_a_device(&disk),
            92..94 => {
                self.devices.clear();
                subject.reopen();
                true
            }
            94..97 => {
                subject.settle();
                true
            }
            _ => {
                self.compare_everything(subject.store());
                true
            }
        };
    }

    fn open(&mut self, subject: &dyn Subject, disk: VolumeId) -> bool {
        let (found, expected) = (subject.store().open_volume(&disk), self.model.open_volume(&disk));
        match (found, expected) {
            (Ok(found), Ok(expected)) => {
                // The second opening first lives beside the first device, then takes its place.
                self.devices.insert(disk, (found, expected));
                true
            }
            (Err(_), Err(_)) => false,
            (found, expected) => panic!(
                "{}: opening `{disk}` succeeded: {}, with the model: {}",
                self.what,
                found.is_ok(),
                expected.is_ok()
            ),
        }
    }

    /// One change of an open device, often aligned, sometimes over the end.
    fn change_a_device(&self, disk: &VolumeId) -> bool {
        let Some((found, expected)) = self.devices.get(disk) else { return false };
        let unit = if self.below(2) == 0 { BLOCK_BYTES } else { 1 };
        let places = found.size_bytes() / unit;
        let offset = self.below(places) * unit;
        let length = (1 + self.below(places.min(80_000 / unit))) * unit;
        let (kind, mark) = (self.below(10), self.below(250) as u8);
        let change = |device: &dyn BlockDevice| match kind {
            0..6 => device.write(offset, &pattern(mark, offset, length as usize)),
            6 => device.discard(offset, length),
            7 => device.write_zeroes(offset, length, ZeroMode::MayUnmap),
            8 => device.write_zeroes(offset, length, ZeroMode::KeepAllocated),
            _ => device.flush(),
        };
        let (found, expected) = (change(&**found), change(&**expected));
        assert_eq!(found.is_ok(), expected.is_ok(), "{}: {found:?}, the model: {expected:?}", self.what);
        found.is_ok()
    }

    #[track_caller]
    fn compare_everything(&self, store: &dyn VolumeStore) {
        let model: &dyn VolumeStore = &self.model;
        let volumes = |store: &dyn VolumeStore| {
            let mut names = store.volumes().unwrap();
            names.sort();
            names
        };
        let snapshots = |store: &dyn VolumeStore| {
            let mut names = store.snapshots().unwrap();
            names.sort();
            names
        };
        assert_eq!(volumes(store), volumes(model), "{}: volumes", self.what);
        assert_eq!(snapshots(store), snapshots(model), "{}: snapshots", self.what);
        for disk in volumes(model) {
            let (found, expected) = (store.volume(&disk).unwrap(), model.volume(&disk).unwrap());
            assert_eq!(found.size_bytes, expected.size_bytes, "{}: size of `{disk}`", self.what);
            assert_eq!(found.open_count, expected.open_count, "{}: opens of `{disk}`", self.what);
            let device = store.open_volume(&disk).unwrap();
            let twin = model.open_volume(&disk).unwrap();
            self.compare_devices(&*device, &*twin, &format!("volume `{disk}`"));
            self.compare_changes(store, &*device, &ContentName::Volume(disk));
        }
        for snap in snapshots(model) {
            let (found, expected) = (store.snapshot(&snap).unwrap(), model.snapshot(&snap).unwrap());
            assert_eq!(found.size_bytes, expected.size_bytes, "{}: size of `{snap}`", self.what);
            let device = store.open_snapshot(&snap).unwrap();
            let twin = model.open_snapshot(&snap).unwrap();
            self.compare_devices(&*device, &*twin, &format!("snapshot `{snap}`"));
            self.compare_changes(store, &*device, &ContentName::Snapshot(snap));
        }
    }

    /// What changed since any snapshot: what the model says, and what the bytes themselves say.
    #[track_caller]
    fn compare_changes(&self, store: &dyn VolumeStore, device: &dyn BlockDevice, of: &ContentName) {
        let snapshots = self.model.snapshots().unwrap();
        let (found, expected) = (store.ancestors(of).unwrap(), self.model.ancestors(of).unwrap());
        assert_eq!(found, expected, "{}: ancestors of {of}", self.what);
        for since in [None].into_iter().chain(snapshots.iter().map(Some)) {
            let what = format!("{}: changes of {of} since {since:?}", self.what);
            let name = since.map(VolumeSnapshotId::as_str);
            let found = all_changes(store, of, name, 1 + self.below(20) as usize);
            let expected = all_changes(&self.model, of, name, usize::MAX);
            let found = match (found, expected) {
                (Ok(found), Ok(expected)) => {
                    assert_eq!(found, expected, "{what}");
                    found
                }
                (Err(found), Err(expected)) => {
                    assert_eq!(found.kind(), expected.kind(), "{what}: {found}");
                    continue;
                }
                (found, expected) => panic!("{what}: {found:?}, the model: {expected:?}"),
            };
            let now = read_all(device);
            let mut before =
                since.map_or_else(Vec::new, |since| read_all(&*store.open_snapshot(since).unwrap()));
            before.resize(now.len(), 0);
            let mut at = 0;
            for extent in found {
                let range = at..at + extent.length_bytes as usize;
                at = range.end;
                match extent.kind {
                    ChangeKind::Unchanged => assert_same(&now[range.clone()], &before[range], &what),
                    ChangeKind::Zeroed => assert!(now[range].iter().all(|byte| *byte == 0), "{what}"),
                    ChangeKind::Written => {}
                }
            }
        }
    }

    #[track_caller]
    fn compare_devices(&self, found: &dyn BlockDevice, expected: &dyn BlockDevice, name: &str) {
        assert_eq!(found.size_bytes(), expected.size_bytes(), "{}: size of {name}", self.what);
        assert_same(&read_all(found), &read_all(expected), &format!("{}: {name}", self.what));
        assert_holes_are_zeroes(found);
    }

    fn delete_everything(&mut self, subject: &mut dyn Subject) {
        self.devices.clear();
        let store = subject.store();
        for disk in store.volumes().unwrap() {
            store.delete_volume(&disk).unwrap();
        }
        subject.settle();
        let store = subject.store();
        for snap in store.snapshots().unwrap() {
            store.delete_snapshot(&snap).unwrap();
        }
        subject.settle();
        let used_bytes = subject.store().usage().unwrap().used_bytes;
        assert_eq!(used_bytes, 0, "{}: space is lost after everything was deleted", self.what);
    }
}
