//! The matrix: every kind of fault at every place. It has one test, because it counts the panics of the whole process.

#![allow(clippy::panic, reason = "in a test, what cannot be is a failure")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ashlar_engine::FileRole;
use ashlar_sim::faults::{Cell, Place, play, play_first_start};
use ashlar_volume::fault::{FaultCall, FaultKind};

const CALLS: [FaultCall; 5] =
    [FaultCall::Read, FaultCall::Write, FaultCall::Sync, FaultCall::Discard, FaultCall::Resize];
const KINDS: [FaultKind; 7] = [
    FaultKind::Error,
    FaultKind::NoSpace,
    FaultKind::Torn,
    FaultKind::Lost,
    FaultKind::Misdirected,
    FaultKind::BitFlip,
    FaultKind::Slow(Duration::from_millis(100)),
];
/// Which call is hit; `None`: every one.
const NUMBERS: [Option<u64>; 9] =
    [Some(1), Some(2), Some(3), Some(4), Some(6), Some(9), Some(14), Some(23), None];

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Above the checksums nothing can tell what is silent: a device that lies is believed.
fn is_silent(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Torn | FaultKind::Lost | FaultKind::Misdirected | FaultKind::BitFlip)
}

fn cells() -> Vec<Cell> {
    let files = [FileRole::Data, FileRole::Journal, FileRole::Map, FileRole::MapSums, FileRole::Keys]
        .map(Place::File);
    let mut cells = Vec::new();
    for place in files.into_iter().chain([Place::Device]) {
        for call in CALLS {
            for kind in KINDS.into_iter().filter(|kind| kind.applies_to(call)) {
                if place == Place::Device && (is_silent(kind) || call == FaultCall::Resize) {
                    continue;
                }
                cells.extend(NUMBERS.map(|number| Cell { place, call, kind, number }));
            }
        }
    }
    cells
}

/// The files that the first start makes.
fn cells_of_first_start() -> Vec<Cell> {
    let files = [
        FileRole::Data,
        FileRole::Journal,
        FileRole::Map,
        FileRole::MapBeingCreated,
        FileRole::MapSums,
        FileRole::Keys,
    ];
    let mut cells = Vec::new();
    for place in files.map(Place::File) {
        for call in CALLS {
            for kind in KINDS.into_iter().filter(|kind| kind.applies_to(call)) {
                cells.extend(NUMBERS.map(|number| Cell { place, call, kind, number }));
            }
        }
    }
    cells
}

#[test]
fn every_fault_is_an_errno_or_a_refused_start() {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("{panic}");
        PANICS.fetch_add(1, Ordering::SeqCst);
    }));
    let (mut failures, mut struck, mut struck_first) = (Vec::new(), 0, 0);
    let later = cells().into_iter().map(|cell| (cell, false));
    for (cell, is_first) in later.chain(cells_of_first_start().into_iter().map(|cell| (cell, true))) {
        let panics = PANICS.load(Ordering::SeqCst);
        let struck = if is_first { &mut struck_first } else { &mut struck };
        match if is_first { play_first_start(cell) } else { play(cell) } {
            Ok(outcome) => *struck += usize::from(outcome.strikes > 0),
            Err(failure) => failures.push(format!("{cell:?}, first start {is_first}: {failure}")),
        }
        if PANICS.load(Ordering::SeqCst) > panics {
            failures.push(format!("{cell:?}: a panic"));
        }
    }
    let _ = std::panic::take_hook();
    assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    // Not every kind of call happens so often at every place.
    assert!(struck > cells().len() / 3, "only {struck} of {} faults happened", cells().len());
    assert!(struck_first > 100, "only {struck_first} faults happened at a first start");
}
