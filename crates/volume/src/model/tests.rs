//! The model passes the contract, and keeps to its capacity.

use super::*;
use crate::ZeroMode;
use crate::contract::Subject;

struct ModelSubject(ModelStore);

impl Subject for ModelSubject {
    fn store(&self) -> &dyn VolumeStore {
        &self.0
    }
}

crate::contract_tests!(ModelSubject(ModelStore::new()));

fn volume(name: &str) -> VolumeId {
    VolumeId::new(name).unwrap()
}

#[test]
fn a_full_store_refuses_new_blocks_and_changes_nothing() {
    let store = ModelStore::with_capacity_bytes(3 * BLOCK_BYTES);
    store.create_volume(&volume("disk"), 8 * BLOCK_BYTES).unwrap();
    let device = store.open_volume(&volume("disk")).unwrap();
    device.write(0, &[1; 2 * BLOCK_BYTES as usize]).unwrap();
    let refused = device.write(BLOCK_BYTES, &[2; 3 * BLOCK_BYTES as usize]).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NoSpace);
    let refused = device.write_zeroes(BLOCK_BYTES, 3 * BLOCK_BYTES, ZeroMode::KeepAllocated).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NoSpace);
    let mut buffer = [9; 4 * BLOCK_BYTES as usize];
    device.read(0, &mut buffer).unwrap();
    assert!(buffer[..8192].iter().all(|byte| *byte == 1) && buffer[8192..].iter().all(|byte| *byte == 0));
    device.write(BLOCK_BYTES, &[2; 2 * BLOCK_BYTES as usize]).unwrap();
    assert_eq!(
        store.usage().unwrap(),
        StoreUsage { used_bytes: 3 * BLOCK_BYTES, available_bytes: 0, capacity_bytes: 3 * BLOCK_BYTES }
    );
}

#[test]
fn deleting_frees_a_full_store() {
    let store = ModelStore::with_capacity_bytes(2 * BLOCK_BYTES);
    store.create_volume(&volume("disk"), 8 * BLOCK_BYTES).unwrap();
    let device = store.open_volume(&volume("disk")).unwrap();
    device.write(0, &[1; 2 * BLOCK_BYTES as usize]).unwrap();
    let snapshot = VolumeSnapshotId::new("snap").unwrap();
    store.create_snapshot(&volume("disk"), &snapshot).unwrap();
    assert_eq!(device.write(0, &[2]).unwrap_err().kind(), ErrorKind::NoSpace, "a copy needs a block");
    assert_eq!(device.discard(1, 5).unwrap_err().kind(), ErrorKind::NoSpace, "so does zeroing a part");
    store.delete_snapshot(&snapshot).unwrap();
    device.write(0, &[2]).unwrap();
    device.discard(1, 5).unwrap();
}
