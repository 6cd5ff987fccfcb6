//! The contract suite on encrypted volumes, and a master key for tests.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use ashlar_engine::{Background, DATA_KEY_BYTES, DataKey, KeyWrapper, Pool, PoolOptions};
use ashlar_types::{RandomSource, SeededRandom};
use ashlar_volume::contract::Subject;
use ashlar_volume::{
    BlockDevice, ChangeExtent, ChangeQuery, ContentName, ErrorKind, HeirMark, Heirs, SnapshotInfo,
    StoreUsage, VolumeError, VolumeId, VolumeInfo, VolumeSnapshotId, VolumeStore,
};

/// A master key that keeps no secret: it adds its number to each byte. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct TestMasterKey(Arc<Numbers>);

#[derive(Debug)]
struct Numbers {
    random: SeededRandom,
    /// All that open, ascending; the last one wraps.
    known: Mutex<BTreeSet<u64>>,
}

impl TestMasterKey {
    pub(crate) fn new(seed: u64) -> Self {
        let random = SeededRandom::new(seed ^ 0x6b65_7973);
        Self(Arc::new(Numbers { random, known: Mutex::new(BTreeSet::from([1])) }))
    }

    /// A new one wraps from now on; the older ones still open.
    pub(crate) fn rotate(&self) {
        let next = self.current() + 1;
        self.0.known.lock().unwrap().insert(next);
    }

    /// Only the one that wraps still opens.
    pub(crate) fn forget_older(&self) {
        let current = self.current();
        self.0.known.lock().unwrap().retain(|number| *number == current);
    }

    fn current(&self) -> u64 {
        *self.0.known.lock().unwrap().last().unwrap()
    }
}

fn number_of(wrapped: &[u8]) -> u64 {
    u64::from_le_bytes(wrapped[..8].try_into().unwrap())
}

impl KeyWrapper for TestMasterKey {
    fn fill_random(&self, buffer: &mut [u8]) {
        self.0.random.fill(buffer);
    }

    fn wrap(&self, id: u64, key: &DataKey) -> Result<Vec<u8>, VolumeError> {
        let number = self.current();
        let mut wrapped = number.to_le_bytes().to_vec();
        wrapped.extend(key.bytes().iter().map(|byte| byte.wrapping_add((number ^ id) as u8)));
        Ok(wrapped)
    }

    fn unwrap(&self, id: u64, wrapped: &[u8]) -> Result<DataKey, VolumeError> {
        let number = number_of(wrapped);
        if !self.0.known.lock().unwrap().contains(&number) {
            return Err(VolumeError::new(ErrorKind::InvalidArgument, format!("master key {number} is gone")));
        }
        DataKey::filled_by(|key| {
            assert_eq!(wrapped.len(), 8 + DATA_KEY_BYTES);
            let bytes = wrapped[8..].iter().map(|byte| byte.wrapping_sub((number ^ id) as u8));
            key.iter_mut().zip(bytes).for_each(|(key, byte)| *key = byte);
            Ok(())
        })
    }

    fn is_current(&self, wrapped: &[u8]) -> bool {
        number_of(wrapped) == self.current()
    }
}

/// A pool of which every volume is encrypted, whether that is asked for or not.
struct EncryptedPool(Pool);

impl VolumeStore for EncryptedPool {
    fn create_volume(&self, volume: &VolumeId, size_bytes: u64) -> Result<(), VolumeError> {
        self.0.create_encrypted_volume(volume, size_bytes)
    }

    fn create_encrypted_volume(&self, volume: &VolumeId, size_bytes: u64) -> Result<(), VolumeError> {
        self.0.create_encrypted_volume(volume, size_bytes)
    }

    fn clone_volume(
        &self,
        volume: &VolumeId,
        from: &VolumeSnapshotId,
        size_bytes: u64,
    ) -> Result<(), VolumeError> {
        self.0.clone_volume(volume, from, size_bytes)
    }

    fn resize_volume(&self, volume: &VolumeId, size_bytes: u64) -> Result<(), VolumeError> {
        self.0.resize_volume(volume, size_bytes)
    }

    fn delete_volume(&self, volume: &VolumeId) -> Result<(), VolumeError> {
        self.0.delete_volume(volume)
    }

    fn create_snapshots(&self, snapshots: &[(VolumeId, VolumeSnapshotId)]) -> Result<(), VolumeError> {
        self.0.create_snapshots(snapshots)
    }

    fn rename_snapshot(&self, snapshot: &VolumeSnapshotId, to: &VolumeSnapshotId) -> Result<(), VolumeError> {
        self.0.rename_snapshot(snapshot, to)
    }

    fn delete_snapshot(&self, snapshot: &VolumeSnapshotId) -> Result<(), VolumeError> {
        self.0.delete_snapshot(snapshot)
    }

    fn roll_back_volumes(&self, targets: &[(VolumeId, VolumeSnapshotId)]) -> Result<(), VolumeError> {
        self.0.roll_back_volumes(targets)
    }

    fn clear_volume(&self, volume: &VolumeId) -> Result<(), VolumeError> {
        self.0.clear_volume(volume)
    }

    fn open_volume(&self, volume: &VolumeId) -> Result<Arc<dyn BlockDevice>, VolumeError> {
        self.0.open_volume(volume)
    }

    fn open_snapshot(&self, snapshot: &VolumeSnapshotId) -> Result<Arc<dyn BlockDevice>, VolumeError> {
        self.0.open_snapshot(snapshot)
    }

    fn volume(&self, volume: &VolumeId) -> Result<VolumeInfo, VolumeError> {
        self.0.volume(volume)
    }

    fn snapshot(&self, snapshot: &VolumeSnapshotId) -> Result<SnapshotInfo, VolumeError> {
        self.0.snapshot(snapshot)
    }

    fn volumes(&self) -> Result<Vec<VolumeId>, VolumeError> {
        self.0.volumes()
    }

    fn snapshots(&self) -> Result<Vec<VolumeSnapshotId>, VolumeError> {
        self.0.snapshots()
    }

    fn ancestors(&self, of: &ContentName) -> Result<Vec<VolumeSnapshotId>, VolumeError> {
        self.0.ancestors(of)
    }

    fn changes(&self, query: &ChangeQuery) -> Result<Vec<ChangeExtent>, VolumeError> {
        self.0.changes(query)
    }

    fn heirs(&self, since: HeirMark) -> Result<Heirs, VolumeError> {
        self.0.heirs(since)
    }

    fn usage(&self) -> Result<StoreUsage, VolumeError> {
        self.0.usage()
    }
}

/// A pool in a temporary directory, with nothing but encrypted volumes.
struct TemporaryPool {
    directory: tempfile::TempDir,
    master_key: TestMasterKey,
    pool: Option<EncryptedPool>,
}

impl TemporaryPool {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let master_key = TestMasterKey::new(1);
        let pool = Some(open(directory.path(), &master_key));
        Self { directory, master_key, pool }
    }

    fn pool(&self) -> &EncryptedPool {
        self.pool.as_ref().unwrap()
    }
}

fn open(directory: &std::path::Path, master_key: &TestMasterKey) -> EncryptedPool {
    let options = PoolOptions {
        journal_segment_bytes: 256 << 10,
        background: Background::Manual,
        key_wrapper: Some(Arc::new(master_key.clone())),
        ..PoolOptions::default()
    };
    EncryptedPool(Pool::open(directory, options).unwrap())
}

impl Subject for TemporaryPool {
    fn store(&self) -> &dyn VolumeStore {
        self.pool()
    }

    fn settle(&self) {
        while self.pool().0.run_background_step().unwrap() {}
    }

    fn reopen(&mut self) {
        self.pool().0.close().unwrap();
        self.pool = None;
        let report = ashlar_engine::check(self.directory.path()).unwrap();
        assert_eq!(report.findings, [""; 0]);
        self.pool = Some(open(self.directory.path(), &self.master_key));
    }
}

mod contract {
    use super::TemporaryPool;

    ashlar_volume::contract_tests! { @each TemporaryPool::new();
        a_new_volume_reads_as_zeroes
        written_bytes_are_read_back_at_any_alignment
        try_read_gives_the_same_bytes_as_read
        try_write_writes_as_write_does
        neighbours_of_an_unaligned_write_keep_their_bytes
        ranges_beyond_the_end_are_refused_and_change_nothing
        discard_zeroes_any_range_and_nothing_else
        both_zero_modes_zero_any_range_and_nothing_else
        extents_follow_whole_blocks
        a_second_device_sees_writes_of_the_first
        names_are_unique_within_their_kind
        missing_names_are_not_found
        open_devices_see_growth
        open_devices_forbid_what_would_pull_the_ground_away
        clear_makes_the_volume_zeroes_and_keeps_its_snapshots
        a_snapshot_freezes_unflushed_writes
        a_snapshot_does_not_change_when_its_volume_does
        a_clone_has_the_content_and_a_life_of_its_own
        roll_back_brings_the_content_back_and_keeps_the_size
        roll_back_to_a_snapshot_of_another_volume_works
        snapshots_outlive_their_volume
        deleting_a_snapshot_leaves_what_shares_its_blocks
        discarded_blocks_hide_the_ancestor
        long_chains_read_right_after_deletions_in_any_order
        usage_counts_blocks_once_and_comes_back
        a_reopened_store_knows_everything
        writers_in_separate_ranges_do_not_disturb_each_other
        a_snapshot_under_writers_is_of_one_moment
        growth_under_writers_loses_nothing
        random_histories_match_the_model
    }
}
