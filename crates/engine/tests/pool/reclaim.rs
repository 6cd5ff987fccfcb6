//! Space of what was deleted: it comes back without a byte being moved, and how far that is can be seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use ashlar_engine::simulated::SimulatedDisk;
use ashlar_engine::{Background, FileRole, Pool, PoolOptions, ReclaimProgress};
use ashlar_types::{RandomSource, SeededRandom};
use ashlar_volume::{BLOCK_BYTES, BlockDevice, VolumeId, VolumeSnapshotId, VolumeStore};

const SNAPSHOTS: u64 = 500;
const GONE: std::ops::Range<u64> = 125..375;
/// Two leaves.
const SIZE_BYTES: u64 = 34 << 20;

/// Which write filled each block.
type Content = BTreeMap<u64, u64>;

fn volume_id() -> VolumeId {
    VolumeId::new("disk").unwrap()
}

fn snapshot_id(number: u64) -> VolumeSnapshotId {
    VolumeSnapshotId::new(&format!("snap-{number}")).unwrap()
}

fn block_of(tag: u64) -> Vec<u8> {
    tag.to_le_bytes().repeat((BLOCK_BYTES / 8) as usize)
}

fn settle(pool: &Pool) -> Vec<ReclaimProgress> {
    let mut seen = vec![pool.reclaim_progress()];
    while pool.run_background_step().unwrap() {
        seen.push(pool.reclaim_progress());
    }
    seen
}

fn verify(device: &dyn BlockDevice, content: &Content, name: &str) {
    let mut bytes = vec![0; BLOCK_BYTES as usize];
    for (block, tag) in content {
        device.read(block * BLOCK_BYTES, &mut bytes).unwrap();
        assert_eq!(bytes, block_of(*tag), "{name}: block {block}");
    }
}

#[test]
fn the_middle_of_500_snapshots_goes_without_a_byte_being_moved() {
    let disk = SimulatedDisk::new(1 << 40);
    let options = PoolOptions {
        journal_segment_bytes: 256 << 10,
        reserve_bytes: 0,
        background: Background::Manual,
        ..PoolOptions::default()
    };
    let pool = Pool::open_in(Arc::new(disk.clone()), options).unwrap();
    pool.create_volume(&volume_id(), SIZE_BYTES).unwrap();
    let device = pool.open_volume(&volume_id()).unwrap();
    let random = SeededRandom::new(500);
    let (mut content, mut frozen) = (Content::new(), Vec::new());
    for number in 0..SNAPSHOTS {
        for write in 0..6 {
            // The border of the two leaves and what lies before it.
            let block = SIZE_BYTES / BLOCK_BYTES - 1 - random.below(900);
            let tag = number * 6 + write + 1;
            if random.below(8) == 0 {
                device.discard(block * BLOCK_BYTES, BLOCK_BYTES).unwrap();
                content.insert(block, 0);
            } else {
                device.write(block * BLOCK_BYTES, &block_of(tag)).unwrap();
                content.insert(block, tag);
            }
        }
        pool.create_snapshot(&volume_id(), &snapshot_id(number)).unwrap();
        frozen.push(content.clone());
    }
    settle(&pool);
    let before = pool.space().unwrap();
    let written_bytes = disk.written_bytes(FileRole::Data);

    for number in GONE {
        pool.delete_snapshot(&snapshot_id(number)).unwrap();
    }
    let gone = GONE.end - GONE.start;
    let seen = settle(&pool);
    assert_eq!(disk.written_bytes(FileRole::Data), written_bytes, "data was moved");

    // Every step can be seen, none goes back, and it ends.
    let (first, last) = (seen[0], seen[seen.len() - 1]);
    assert_eq!((first.layers, last.layers, last.layer_bytes, last.punch_bytes), (gone, 0, 0, 0));
    assert!(first.layer_bytes > 0 && seen.iter().any(|progress| progress.punch_bytes > 0));
    assert!(
        seen.windows(2)
            .all(|two| two[1].layers <= two[0].layers && two[1].punched_bytes >= two[0].punched_bytes)
    );
    assert_eq!(last.layers_done - first.layers_done, gone);

    // What only the deleted ones showed is back, to the byte.
    let after = pool.space().unwrap();
    let returned_bytes = before.held_bytes - after.held_bytes;
    assert!(returned_bytes > 0);
    // A chunk in which nothing is left goes as a whole, holes included.
    assert!(last.punched_bytes - first.punched_bytes >= returned_bytes);
    assert_eq!(disk.allocated_bytes(FileRole::Data), after.held_bytes);
    verify(&*device, &content, "the disk");
    for number in (0..SNAPSHOTS).filter(|number| !GONE.contains(number)) {
        let name = snapshot_id(number);
        verify(&*pool.open_snapshot(&name).unwrap(), &frozen[number as usize], name.as_str());
    }
}
