use std::sync::atomic::{AtomicU8, Ordering};

use ashlar_types::{RandomSource, SeededRandom};
use ashlar_volume::{BLOCK_BYTES, VolumeId, VolumeSnapshotId, VolumeStore};

use super::*;
use crate::file::simulated::{SimulatedDisk, Survival};
use crate::file::{Directory, FileRole};
use crate::{Background, DATA_KEY_BYTES, Pool, PoolOptions};

/// Wraps by adding a number, the "master key", which it also writes in front.
#[derive(Debug)]
struct Adder {
    current: AtomicU8,
    older: AtomicU8,
    random: SeededRandom,
}

impl Adder {
    fn new(current: u8, older: u8) -> Arc<Self> {
        Arc::new(Self {
            current: AtomicU8::new(current),
            older: AtomicU8::new(older),
            random: SeededRandom::new(7),
        })
    }
}

impl KeyWrapper for Adder {
    fn fill_random(&self, buffer: &mut [u8]) {
        self.random.fill(buffer);
    }

    fn wrap(&self, id: u64, key: &DataKey) -> Result<Vec<u8>, VolumeError> {
        let master = self.current.load(Ordering::SeqCst);
        let bytes = key.bytes().iter().map(|byte| byte.wrapping_add(master ^ id as u8));
        Ok(std::iter::once(master).chain(bytes).collect())
    }

    fn unwrap(&self, id: u64, wrapped: &[u8]) -> Result<DataKey, VolumeError> {
        let known = [&self.current, &self.older].map(|master| master.load(Ordering::SeqCst));
        let (master, bytes) = wrapped.split_first().unwrap();
        if !known.contains(master) {
            return Err(VolumeError::new(ErrorKind::InvalidArgument, format!("no master key {master}")));
        }
        DataKey::filled_by(|key| {
            assert_eq!(bytes.len(), DATA_KEY_BYTES);
            key.iter_mut().zip(bytes).for_each(|(key, byte)| *key = byte.wrapping_sub(master ^ id as u8));
            Ok(())
        })
    }

    fn is_current(&self, wrapped: &[u8]) -> bool {
        wrapped.first() == Some(&self.current.load(Ordering::SeqCst))
    }
}

fn options(wrapper: &Arc<Adder>) -> PoolOptions {
    PoolOptions {
        journal_segment_bytes: 64 << 10,
        background: Background::Manual,
        key_wrapper: Some(Arc::clone(wrapper) as _),
        reserve_bytes: 0,
        ..PoolOptions::default()
    }
}

fn open(disk: &SimulatedDisk, wrapper: &Arc<Adder>) -> Pool {
    Pool::open_in(Arc::new(disk.clone()), options(wrapper)).unwrap()
}

fn volume(name: &str) -> VolumeId {
    VolumeId::new(name).unwrap()
}

fn snapshot(name: &str) -> VolumeSnapshotId {
    VolumeSnapshotId::new(name).unwrap()
}

/// All bytes of a file of the pool.
fn image(disk: &SimulatedDisk, role: FileRole) -> Vec<u8> {
    let file = disk.open(role).unwrap();
    let mut bytes = vec![0; file.length_bytes().unwrap() as usize];
    file.read_at(0, &mut bytes).unwrap();
    bytes
}

fn stored_keys(disk: &SimulatedDisk) -> Vec<KeySlot> {
    image(disk, FileRole::Keys).chunks(KEY_SLOT_BYTES).filter_map(KeySlot::decode).collect()
}

/// The bytes of the wrapped key, wherever a crash of the machine could have left them.
fn is_anywhere(disk: &SimulatedDisk, wanted: &[u8]) -> bool {
    [FileRole::Data, FileRole::Journal, FileRole::Map, FileRole::Keys]
        .into_iter()
        .any(|role| image(disk, role).windows(wanted.len()).any(|window| window == wanted))
}

#[test]
fn no_file_of_the_pool_has_a_trace_of_the_plain_bytes() {
    const SECRET: &[u8; 32] = b"the quick brown fox is encrypted";
    let disk = SimulatedDisk::new(1 << 30);
    let wrapper = Adder::new(1, 1);
    let pool = open(&disk, &wrapper);
    pool.create_volume(&volume("plain"), 1 << 20).unwrap();
    pool.create_encrypted_volume(&volume("disk"), 1 << 20).unwrap();
    let text: Vec<u8> = SECRET.iter().copied().cycle().take(100_000).collect();
    let write = |name: &str| {
        let device = pool.open_volume(&volume(name)).unwrap();
        device.write(0, &text).unwrap();
        device.write(300_001, SECRET).unwrap();
        pool.create_snapshot(&volume(name), &snapshot(&format!("snap-{name}"))).unwrap();
        device.write(1000, SECRET).unwrap();
        device.flush().unwrap();
        let mut found = vec![0; text.len()];
        device.read(0, &mut found).unwrap();
        assert!(found[..1000] == text[..1000] && found[1000..1032] == SECRET[..]);
    };
    write("disk");
    assert!(!is_anywhere(&disk, &SECRET[..16]), "plain bytes in a file of the pool");
    let [slot] = &stored_keys(&disk)[..] else { panic!("one key") };
    let key = wrapper.unwrap(slot.id.0.get(), &slot.wrapped).unwrap();
    assert!(!is_anywhere(&disk, &key.bytes()[..16]) && !is_anywhere(&disk, &key.bytes()[48..]));
    // The search itself finds what is there.
    write("plain");
    assert!(is_anywhere(&disk, &SECRET[..16]));
    assert!(is_anywhere(&disk, &slot.wrapped));
}

#[test]
fn the_key_goes_with_the_last_of_the_lineage() {
    let disk = SimulatedDisk::new(1 << 30);
    let wrapper = Adder::new(1, 1);
    let pool = open(&disk, &wrapper);
    pool.create_encrypted_volume(&volume("disk"), 1 << 20).unwrap();
    pool.open_volume(&volume("disk")).unwrap().write(0, &[1; 8192]).unwrap();
    pool.create_snapshot(&volume("disk"), &snapshot("snap")).unwrap();
    pool.clone_volume(&volume("copy"), &snapshot("snap"), 1 << 20).unwrap();
    let wrapped = stored_keys(&disk).pop().unwrap().wrapped;
    let still_there = |step: &str| assert!(is_anywhere(&disk, &wrapped), "{step}");
    pool.delete_volume(&volume("disk")).unwrap();
    still_there("a snapshot and a clone need it");
    pool.delete_snapshot(&snapshot("snap")).unwrap();
    still_there("a clone needs it");
    while pool.run_background_step().unwrap() {}
    pool.clear_volume(&volume("copy")).unwrap();
    assert!(!is_anywhere(&disk, &wrapped), "the cleared volume has a new key, nobody needs the old one");
    assert_eq!(stored_keys(&disk).len(), 1);
    // The destruction itself is durable: no power cut brings the key back.
    drop(pool);
    disk.restart(3, Survival::Nothing);
    assert!(!is_anywhere(&disk, &wrapped));
    let pool = open(&disk, &wrapper);
    pool.delete_volume(&volume("copy")).unwrap();
    assert_eq!(stored_keys(&disk), []);
    pool.close().unwrap();
    assert_eq!(crate::check_in(Arc::new(disk.clone())).unwrap().findings, [""; 0]);
}

#[test]
fn a_wrong_or_missing_master_key_opens_nothing() {
    let disk = SimulatedDisk::new(1 << 30);
    let pool = open(&disk, &Adder::new(1, 1));
    pool.create_encrypted_volume(&volume("disk"), 1 << 20).unwrap();
    pool.create_volume(&volume("plain"), 1 << 20).unwrap();
    pool.close().unwrap();
    let error = Pool::open_in(Arc::new(disk.clone()), options(&Adder::new(2, 3))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}");

    let without = PoolOptions { key_wrapper: None, ..options(&Adder::new(1, 1)) };
    let pool = Pool::open_in(Arc::new(disk.clone()), without).unwrap();
    assert!(pool.open_volume(&volume("plain")).is_ok());
    let refused = |result: Result<(), VolumeError>| {
        assert_eq!(result.unwrap_err().kind(), ErrorKind::InvalidArgument);
    };
    refused(pool.open_volume(&volume("disk")).map(drop));
    refused(pool.create_encrypted_volume(&volume("new"), 1 << 20));
    pool.close().unwrap();
    assert!(open(&disk, &Adder::new(9, 1)).open_volume(&volume("disk")).is_ok(), "an older key opens too");
}

/// Damage of one key is that lineage's misfortune alone, and `check` names it.
#[test]
fn a_lost_key_does_not_take_the_pool_with_it() {
    let disk = SimulatedDisk::new(1 << 30);
    let wrapper = Adder::new(1, 1);
    let pool = open(&disk, &wrapper);
    for name in ["first", "second"] {
        pool.create_encrypted_volume(&volume(name), 1 << 20).unwrap();
    }
    pool.close().unwrap();
    drop(pool);
    let file = disk.open(FileRole::Keys).unwrap();
    file.write_at(100, &[0xee]).unwrap();
    let findings = crate::check_in(Arc::new(disk.clone())).unwrap().findings;
    assert!(
        matches!(&findings[..], [one] if one.contains("data key") && one.contains("lost")),
        "{findings:?}"
    );
    let pool = open(&disk, &wrapper);
    let results: Vec<_> = ["first", "second"]
        .map(|name| pool.open_volume(&volume(name)).map(drop).map_err(|error| error.kind()))
        .into();
    assert_eq!(results.iter().filter(|result| **result == Err(ErrorKind::Corrupt)).count(), 1, "{results:?}");
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1, "{results:?}");
    assert_eq!(image(&disk, FileRole::Keys)[100], 0xee, "the damaged slot is left for whoever can mend it");
}

/// Rotation, cut short at every single change of a file, with every way in which the disk may forget: the old and the
/// new master key together always open everything, and a second try finishes.
#[test]
fn rotation_survives_a_power_cut_at_every_step() {
    let mut steps = 0;
    let mut is_complete = false;
    while !is_complete {
        for survival in [Survival::Nothing, Survival::Everything, Survival::Some] {
            is_complete = rotate_with_power_cut(steps, survival);
        }
        steps += 1;
    }
    assert!(steps > 6, "{steps} steps: three keys are written, synced and wiped");
}

/// Whether rotation ended before the power was cut.
fn rotate_with_power_cut(calls: u64, survival: Survival) -> bool {
    let disk = SimulatedDisk::new(1 << 30);
    let wrapper = Adder::new(1, 1);
    let names = ["disk-a", "disk-b", "disk-c"];
    let pool = open(&disk, &wrapper);
    for name in names {
        pool.create_encrypted_volume(&volume(name), 1 << 20).unwrap();
        let device = pool.open_volume(&volume(name)).unwrap();
        device.write(5, name.as_bytes()).unwrap();
        device.flush().unwrap();
    }
    wrapper.current.store(2, Ordering::SeqCst);
    disk.cut_power_after(calls);
    let is_complete = match pool.rewrap_keys() {
        Ok(count) => count == 3,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
            false
        }
    };
    drop(pool);
    disk.restart(calls, survival);
    let pool = open(&disk, &wrapper);
    if is_complete {
        assert_eq!(pool.rewrap_keys().unwrap(), 0);
    }
    pool.rewrap_keys().unwrap();
    pool.close().unwrap();
    drop(pool);
    assert!(
        stored_keys(&disk).iter().all(|slot| slot.wrapped[0] == 2),
        "a key of the old master key is left"
    );
    let pool = open(&disk, &Adder::new(2, 2));
    for name in names {
        let mut found = [0; 6];
        pool.open_volume(&volume(name)).unwrap().read(5, &mut found).unwrap();
        assert_eq!(&found, name.as_bytes());
    }
    is_complete
}

/// A key that no layer came to refer to, because the power failed in between, is destroyed by the next opening.
#[test]
fn keys_that_a_crash_left_behind_are_destroyed() {
    for calls in 0..12 {
        let disk = SimulatedDisk::new(1 << 30);
        let wrapper = Adder::new(1, 1);
        let pool = open(&disk, &wrapper);
        disk.cut_power_after(calls);
        let created = pool.create_encrypted_volume(&volume("disk"), BLOCK_BYTES);
        drop(pool);
        disk.restart(calls, Survival::Everything);
        let pool = open(&disk, &wrapper);
        let exists = pool.volume(&volume("disk")).is_ok();
        assert!(exists || created.is_err());
        assert_eq!(stored_keys(&disk).len(), usize::from(exists), "{calls} calls");
    }
}
