use std::sync::Mutex;

use super::*;
use crate::model::ModelStore;
use crate::{Attempt, BlockDevice, ErrorKind, VolumeId, VolumeStore};

/// Remembers how long it was asked to wait.
#[derive(Default)]
struct Waits(Mutex<Vec<Duration>>);

impl Pause for Waits {
    fn pause(&self, duration: Duration) {
        self.0.lock().unwrap().push(duration);
    }
}

/// A device of 64 KiB that holds a different byte in each block, behind the given rules.
fn device(rules: Vec<FaultRule<Option<String>>>) -> (FaultyDevice, Arc<dyn BlockDevice>, Arc<Waits>) {
    let store = ModelStore::default();
    let id = VolumeId::new("disk").unwrap();
    store.create_volume(&id, 64 << 10).unwrap();
    let inner = store.open_volume(&id).unwrap();
    for block in 0..16 {
        inner.write(block * 4096, &[block as u8 + 1; 4096]).unwrap();
    }
    let waits = Arc::new(Waits::default());
    let injector = FaultInjector::new(FaultPlan { seed: 5, rules }, waits.clone());
    (FaultyDevice::new(inner.clone(), "disk", Arc::new(injector)), inner, waits)
}

fn rule(call: FaultCall, kind: FaultKind) -> FaultRule<Option<String>> {
    FaultRule::always(None, call, kind)
}

fn block(device: &dyn BlockDevice, block: u64) -> Vec<u8> {
    let mut bytes = vec![0; 4096];
    device.read(block * 4096, &mut bytes).unwrap();
    bytes
}

#[test]
fn errors_happen_at_their_numbers_and_do_nothing() {
    let (faulty, inner, _) = device(vec![rule(FaultCall::Write, FaultKind::Error).at(2..=3)]);
    let results: Vec<_> =
        (0..4).map(|at| faulty.write(at * 4096, &[9; 4096]).map_err(|e| e.kind())).collect();
    assert_eq!(results, [Ok(()), Err(ErrorKind::Io), Err(ErrorKind::Io), Ok(())]);
    assert_eq!([0, 1, 2, 3].map(|at| block(&*inner, at)[0]), [9, 2, 3, 9]);
}

#[test]
fn a_rule_holds_for_its_device_and_bytes() {
    let elsewhere = FaultRule::always(Some("other".into()), FaultCall::Read, FaultKind::Error);
    let range = FaultRule { bytes: 8192..12288, ..rule(FaultCall::Read, FaultKind::Error) };
    let (faulty, ..) = device(vec![elsewhere, range]);
    let mut bytes = [0; 4096];
    assert!(faulty.read(0, &mut bytes).is_ok());
    assert_eq!(faulty.try_read(8192, &mut bytes).unwrap_err().kind(), ErrorKind::Io);
    assert!(faulty.read(12288, &mut bytes).is_ok());
}

#[test]
fn each_kind_does_what_it_says() {
    let (faulty, inner, _) = device(vec![rule(FaultCall::Write, FaultKind::Lost)]);
    faulty.write(0, &[9; 4096]).unwrap();
    assert_eq!(block(&*inner, 0), [1; 4096]);

    let (faulty, inner, _) = device(vec![rule(FaultCall::Write, FaultKind::Misdirected)]);
    faulty.write(0, &[9; 4096]).unwrap();
    faulty.write(15 * 4096, &[8; 4096]).unwrap();
    assert_eq!([0, 1, 14, 15].map(|at| block(&*inner, at)[0]), [1, 9, 8, 16], "a neighbour that exists");

    let (faulty, inner, _) = device(vec![rule(FaultCall::Write, FaultKind::Torn)]);
    faulty.write(0, &[9; 8192]).unwrap();
    let written = [block(&*inner, 0), block(&*inner, 1)].concat();
    let kept = written.iter().filter(|byte| **byte == 9).count();
    assert!(kept < 8192 && kept.is_multiple_of(512), "{kept}");
    assert!(written[..kept].iter().all(|byte| *byte == 9), "the beginning, not the end");

    let (faulty, inner, _) = device(vec![rule(FaultCall::Write, FaultKind::BitFlip)]);
    faulty.write(0, &[0; 4096]).unwrap();
    assert_eq!(block(&*inner, 0).iter().map(|byte| byte.count_ones()).sum::<u32>(), 1);

    let (faulty, inner, _) = device(vec![rule(FaultCall::Read, FaultKind::BitFlip)]);
    let seen = block(&faulty, 3);
    let differences: u32 = seen.iter().zip(block(&*inner, 3)).map(|(a, b)| (a ^ b).count_ones()).sum();
    assert_eq!(differences, 1);

    let (faulty, ..) = device(vec![rule(FaultCall::Sync, FaultKind::NoSpace)]);
    assert_eq!(faulty.flush().unwrap_err().kind(), ErrorKind::NoSpace);

    let (faulty, inner, _) = device(vec![rule(FaultCall::Discard, FaultKind::Lost)]);
    faulty.discard(0, 4096).unwrap();
    assert_eq!(block(&*inner, 0), [1; 4096]);
}

#[test]
fn slow_calls_wait_outside_and_add_to_other_faults() {
    let delay = Duration::from_millis(70);
    let (faulty, _, waits) = device(vec![
        rule(FaultCall::Read, FaultKind::Slow(delay)),
        rule(FaultCall::Read, FaultKind::Error).at(2..=2),
    ]);
    let mut bytes = [0; 4096];
    assert_eq!(faulty.try_read(0, &mut bytes).unwrap(), Attempt::WouldWait, "who may not wait is told so");
    assert!(waits.0.lock().unwrap().is_empty());
    assert!(faulty.read(0, &mut bytes).is_ok());
    assert!(faulty.read(0, &mut bytes).is_err());
    assert_eq!(*waits.0.lock().unwrap(), [delay, delay]);
}

#[test]
fn chance_is_repeatable_and_fair() {
    let hits = |seed| {
        let half = FaultRule { probability: PROBABILITY_ONE / 2, ..rule(FaultCall::Read, FaultKind::Error) };
        let injector = FaultInjector::new(FaultPlan { seed, rules: vec![half] }, Arc::new(Waits::default()));
        (0..1000).map(|_| injector.strike(|_| true, FaultCall::Read, 0, 1, 1).is_some()).collect::<Vec<_>>()
    };
    assert_eq!(hits(3), hits(3));
    assert_ne!(hits(3), hits(4));
    let count = hits(3).iter().filter(|hit| **hit).count();
    assert!((400..600).contains(&count), "{count}");
}

#[test]
fn what_cannot_happen_cannot_be_planned() {
    let calls = [FaultCall::Read, FaultCall::Write, FaultCall::Sync, FaultCall::Discard, FaultCall::Resize];
    let possible = |kind: FaultKind| calls.map(|call| kind.applies_to(call));
    assert_eq!(possible(FaultKind::Error), [true; 5]);
    assert_eq!(possible(FaultKind::Torn), [false, true, false, false, false]);
    assert_eq!(possible(FaultKind::Lost), [false, true, true, true, true]);
    assert_eq!(possible(FaultKind::Misdirected), [true, true, false, true, false]);
    assert_eq!(possible(FaultKind::BitFlip), [true, true, false, false, false]);
    assert_eq!(possible(FaultKind::NoSpace), [false, true, true, true, true]);
}

#[test]
fn nothing_goes_wrong_while_it_is_not_armed() {
    let rules =
        vec![rule(FaultCall::Read, FaultKind::Error).at(2..=3), rule(FaultCall::Sync, FaultKind::Error)];
    let injector = FaultInjector::new(FaultPlan { seed: 1, rules }, Arc::new(Waits::default()));
    let read = || injector.strike(|_| true, FaultCall::Read, 0, 100, 100).is_some();
    injector.set_armed(false);
    assert!(!read() && !read());
    injector.set_armed(true);
    assert_eq!([read(), read(), read(), read()], [false, true, true, false], "what passed was not counted");
    assert_eq!(injector.struck(), [Struck { calls: 2, bytes: 200 }, Struck::default()]);
    assert_eq!(injector.strikes(), 2);
}
