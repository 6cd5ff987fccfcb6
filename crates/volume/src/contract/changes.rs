//! Rules of [`VolumeStore::changes`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::Subject;
use super::fixture::*;
use crate::{
    BLOCK_BYTES, ChangeExtent, ChangeKind, ChangeQuery, ContentName, ErrorKind, VolumeError, VolumeStore,
    ZeroMode, changed_ranges,
};

/// The extents of a whole volume or snapshot, asked for in steps of `extents_max`, joined where neighbours are of one kind.
pub(super) fn all_changes(
    store: &dyn VolumeStore,
    of: &ContentName,
    since: Option<&str>,
    extents_max: usize,
) -> Result<Vec<ChangeExtent>, VolumeError> {
    let size_bytes = match of {
        ContentName::Volume(volume) => store.volume(volume)?.size_bytes,
        ContentName::Snapshot(snapshot) => store.snapshot(snapshot)?.size_bytes,
    };
    let mut joined: Vec<ChangeExtent> = Vec::new();
    let mut at = 0;
    while at < size_bytes {
        let step = store.changes(&ChangeQuery {
            of: of.clone(),
            since: since.map(snapshot),
            offset_bytes: at,
            length_bytes: size_bytes - at,
            extents_max,
        })?;
        let count = step.len();
        assert!((1..=extents_max).contains(&count), "{count} extents for a limit of {extents_max}");
        assert!(step.windows(2).all(|pair| pair[0].kind != pair[1].kind), "equal neighbours in {step:?}");
        for extent in step {
            assert!(extent.length_bytes > 0, "an empty extent");
            at += extent.length_bytes;
            match joined.last_mut() {
                Some(last) if last.kind == extent.kind => last.length_bytes += extent.length_bytes,
                _ => joined.push(extent),
            }
        }
    }
    assert_eq!(at, size_bytes, "the extents of {of} reach too far");
    Ok(joined)
}

/// What became of each block: `-` unchanged, `W` written, `0` zeroed.
fn change_map(store: &dyn VolumeStore, of: &ContentName, since: Option<&str>) -> String {
    all_changes(store, of, since, 3)
        .unwrap()
        .iter()
        .flat_map(|extent| {
            let letter = match extent.kind {
                ChangeKind::Unchanged => '-',
                ChangeKind::Written => 'W',
                ChangeKind::Zeroed => '0',
            };
            std::iter::repeat_n(letter, (extent.length_bytes / BLOCK_BYTES) as usize)
        })
        .collect()
}

fn of_volume(name: &str) -> ContentName {
    ContentName::Volume(volume(name))
}

fn of_snapshot(name: &str) -> ContentName {
    ContentName::Snapshot(snapshot(name))
}

/// Every way to change a block is told, block by block, and nothing else is; also between snapshots.
pub fn changes_are_told_block_by_block(subject: &mut dyn Subject) {
    let store = subject.store();
    let disk = volume("disk");
    let device = new_device(subject, "disk");
    fill(&*device, 1, 0, 4 * BLOCK_BYTES);
    store.create_snapshot(&disk, &snapshot("one")).unwrap();
    fill(&*device, 2, BLOCK_BYTES + 5, 3);
    device.discard(2 * BLOCK_BYTES, BLOCK_BYTES).unwrap();
    device.discard(3 * BLOCK_BYTES, 10).unwrap();
    device.discard(5 * BLOCK_BYTES, BLOCK_BYTES).unwrap();
    device.write_zeroes(6 * BLOCK_BYTES, BLOCK_BYTES, ZeroMode::KeepAllocated).unwrap();
    fill(&*device, 2, 7 * BLOCK_BYTES, BLOCK_BYTES);
    device.discard(7 * BLOCK_BYTES, BLOCK_BYTES).unwrap();
    store.create_snapshot(&disk, &snapshot("two")).unwrap();
    fill(&*device, 3, 0, 1);
    let check = |when: &str| {
        let starts = |of: &ContentName, since| change_map(store, of, since)[..9].to_owned();
        assert_eq!(starts(&of_volume("disk"), Some("one")), "WW0W--W--", "{when}");
        assert_eq!(starts(&of_volume("disk"), Some("two")), "W--------", "{when}");
        assert_eq!(starts(&of_snapshot("two"), Some("one")), "-W0W--W--", "{when}");
        assert_eq!(starts(&of_snapshot("two"), Some("two")), "---------", "{when}");
        assert_eq!(starts(&of_snapshot("one"), None), "WWWW-----", "{when}");
        assert_eq!(starts(&of_volume("disk"), None), "WW-W--W--", "{when}");
    };
    check("at once");
    subject.settle();
    check("settled");
}

/// Blocks stay changed when the snapshots in between go, and when the store is closed and opened.
pub fn changes_survive_deletions_in_between(subject: &mut dyn Subject) {
    let disk = volume("disk");
    let device = new_device(subject, "disk");
    fill(&*device, 1, 0, 20 * BLOCK_BYTES);
    for (mark, name) in ["root", "base", "a", "b", "c"].into_iter().enumerate() {
        let place = mark as u64 * 2 * BLOCK_BYTES;
        fill(&*device, mark as u8 + 2, place, BLOCK_BYTES);
        device.discard(place + BLOCK_BYTES, BLOCK_BYTES).unwrap();
        subject.store().create_snapshot(&disk, &snapshot(name)).unwrap();
    }
    drop(device);
    let expected = "----W0W0W0----";
    for gone in ["b", "root", "a", "c"] {
        let found = change_map(subject.store(), &of_volume("disk"), Some("base"));
        assert_eq!(&found[..14], expected, "before `{gone}` is deleted");
        subject.store().delete_snapshot(&snapshot(gone)).unwrap();
        let found = change_map(subject.store(), &of_volume("disk"), Some("base"));
        assert_eq!(&found[..14], expected, "`{gone}` is deleted");
        subject.settle();
        let found = change_map(subject.store(), &of_volume("disk"), Some("base"));
        assert_eq!(&found[..14], expected, "`{gone}` is deleted and settled");
    }
    subject.reopen();
    let found = change_map(subject.store(), &of_volume("disk"), Some("base"));
    assert_eq!(&found[..14], expected, "opened again");
}

/// Clones descend from what they were cloned from, a volume from what it was rolled back to; nothing else is an ancestor.
pub fn changes_follow_clones_and_rollbacks(subject: &mut dyn Subject) {
    let store = subject.store();
    let disk = volume("disk");
    let device = new_device(subject, "disk");
    fill(&*device, 1, 0, 4 * BLOCK_BYTES);
    store.create_snapshot(&disk, &snapshot("old")).unwrap();
    fill(&*device, 2, 0, BLOCK_BYTES);
    store.create_snapshot(&disk, &snapshot("young")).unwrap();
    store.clone_volume(&volume("copy"), &snapshot("young"), 2 * SIZE_BYTES).unwrap();
    let copy = store.open_volume(&volume("copy")).unwrap();
    fill(&*copy, 3, SIZE_BYTES, BLOCK_BYTES);
    drop((device, copy));
    let found = change_map(store, &of_volume("copy"), Some("old"));
    assert_eq!(
        found.trim_end_matches('-'),
        format!("W{}W", "-".repeat(63)),
        "the clone, and what it grew by"
    );
    store.roll_back(&disk, &snapshot("old")).unwrap();
    assert!(!change_map(store, &of_volume("disk"), Some("old")).contains(['W', '0']), "rolled back");
    let ancestors = |of| store.ancestors(&of).unwrap();
    assert_eq!(ancestors(of_volume("copy")), [snapshot("young"), snapshot("old")]);
    assert_eq!(ancestors(of_snapshot("young")), [snapshot("old")]);
    assert_eq!(ancestors(of_volume("disk")), [snapshot("old")], "rolled back");
    let changes = |of, since| all_changes(store, &of, Some(since), 9);
    assert_kind(changes(of_volume("disk"), "young"), ErrorKind::InvalidArgument, "what was rolled back");
    assert_kind(changes(of_snapshot("old"), "young"), ErrorKind::InvalidArgument, "a younger snapshot");
    store.create_snapshot(&disk, &snapshot("branch")).unwrap();
    assert_kind(changes(of_snapshot("young"), "branch"), ErrorKind::InvalidArgument, "another branch");
    assert!(!change_map(store, &of_snapshot("branch"), Some("old")).contains(['W', '0']), "the branch");
    store.clear_volume(&disk).unwrap();
    assert_kind(changes(of_volume("disk"), "old"), ErrorKind::InvalidArgument, "a cleared volume");
    assert!(!change_map(store, &of_volume("disk"), None).contains(['W', '0']), "cleared");
    assert_kind(changes(of_volume("disk"), "none"), ErrorKind::NotFound, "a missing snapshot");
    assert_kind(changes(of_volume("none"), "old"), ErrorKind::NotFound, "a missing volume");
}

/// A question has a range within the size and wants an answer; pages of any size tell the same.
pub fn changes_obey_their_limits(subject: &mut dyn Subject) {
    let store = subject.store();
    let device = new_device(subject, "disk");
    store.create_snapshot(&volume("disk"), &snapshot("snap")).unwrap();
    for block in [0, 2, 3, 17, 40, 63] {
        fill(&*device, 1, block * BLOCK_BYTES, 1);
    }
    let ask = |offset_bytes, length_bytes, extents_max| {
        let since = Some(snapshot("snap"));
        let of = of_volume("disk");
        store.changes(&ChangeQuery { of, since, offset_bytes, length_bytes, extents_max })
    };
    assert_kind(ask(0, SIZE_BYTES + 1, 9), ErrorKind::InvalidArgument, "a range beyond the end");
    assert_kind(ask(u64::MAX, 2, 9), ErrorKind::InvalidArgument, "a range that overflows");
    assert_kind(ask(0, SIZE_BYTES, 0), ErrorKind::InvalidArgument, "no extents wanted");
    assert_eq!(ask(100, 0, 9).unwrap(), [], "a range of no bytes");
    let part = ask(4000, 100, 9).unwrap();
    assert_eq!(part.iter().map(|extent| extent.length_bytes).collect::<Vec<_>>(), [96, 4], "{part:?}");
    let whole = all_changes(store, &of_volume("disk"), Some("snap"), 1000).unwrap();
    assert_eq!(whole.len(), 9, "{whole:?}");
    for extents_max in 1..whole.len() {
        let paged = all_changes(store, &of_volume("disk"), Some("snap"), extents_max).unwrap();
        assert_eq!(paged, whole, "in pages of {extents_max}");
    }
    let starts: Vec<u64> = changed_ranges(store, of_volume("disk"), Some(snapshot("snap")))
        .map(|range| range.unwrap().bytes.start / BLOCK_BYTES)
        .collect();
    assert_eq!(starts, [0, 2, 17, 40, 63]);
    let failed: Vec<_> = changed_ranges(store, of_volume("disk"), Some(snapshot("none"))).collect();
    assert_eq!(failed.len(), 1, "an error ends the ranges");
    assert_kind(failed.into_iter().next().unwrap(), ErrorKind::NotFound, "ranges since a missing snapshot");
}

/// A block that was written or zeroed before a question began is told as changed, while snapshots come and go and their
/// blocks move.
pub fn changes_are_never_missed_while_snapshots_go(subject: &mut dyn Subject) {
    /// One block in each of so many MiB: more than one leaf of a map.
    const PLACES: u64 = 100;
    const STEP_BYTES: u64 = 1 << 20;
    let disk = volume("disk");
    subject.store().create_volume(&disk, PLACES * STEP_BYTES).unwrap();
    let device = subject.store().open_volume(&disk).unwrap();
    (0..PLACES).for_each(|place| fill(&*device, 1, place * STEP_BYTES, BLOCK_BYTES));
    subject.store().create_snapshot(&disk, &snapshot("base")).unwrap();
    let changed = AtomicU64::new(0);
    let change = |place: u64| match place % 3 {
        0 => device.discard(place * STEP_BYTES, BLOCK_BYTES).unwrap(),
        _ => fill(&*device, 2, place * STEP_BYTES, BLOCK_BYTES),
    };
    let subject = &*subject;
    let store = subject.store();
    let (changed, change) = (&changed, &change);
    thread::scope(|scope| {
        let reader = scope.spawn(move || {
            loop {
                let least = changed.load(Ordering::SeqCst);
                let found: Vec<_> = changed_ranges(store, of_volume("disk"), Some(snapshot("base")))
                    .map(|range| range.unwrap())
                    .collect();
                assert!(found.len() as u64 >= least, "{} of {least} changes found", found.len());
                for (place, range) in found.iter().enumerate() {
                    let place = place as u64;
                    let start = place * STEP_BYTES;
                    assert_eq!(range.bytes, start..start + BLOCK_BYTES, "after {least} changes");
                    assert_eq!(
                        range.is_zeroed,
                        place.is_multiple_of(3),
                        "place {place} after {least} changes"
                    );
                }
                if least == PLACES {
                    break;
                }
            }
        });
        for place in 0..PLACES {
            if reader.is_finished() {
                break;
            }
            change(place);
            changed.store(place + 1, Ordering::SeqCst);
            if place % 4 == 3 {
                store.create_snapshot(&disk, &snapshot(&format!("s{place}"))).unwrap();
            }
            if place % 8 == 7 {
                store.delete_snapshot(&snapshot(&format!("s{}", place - 4))).unwrap();
                subject.settle();
            }
        }
    });
}
