//! How the medium lies in one life of the server: writes of the data file that are lost, torn, misplaced or spoiled, bits that
//! flip where nobody looks.

use std::sync::Arc;
use std::time::Duration;

use ashlar_engine::{FileFaults, FileRole};
use ashlar_volume::BLOCK_BYTES;
use ashlar_volume::fault::{FaultCall, FaultInjector, FaultKind, FaultPlan, FaultRule, Pause};

/// What can happen to a call on the data file.
const FAULTS: [(FaultCall, FaultKind); 5] = [
    (FaultCall::Write, FaultKind::Lost),
    (FaultCall::Write, FaultKind::Torn),
    (FaultCall::Write, FaultKind::Misdirected),
    (FaultCall::Write, FaultKind::BitFlip),
    (FaultCall::Read, FaultKind::BitFlip),
];

/// None of the faults is slow.
struct NoPause;

impl Pause for NoPause {
    fn pause(&self, _duration: Duration) {}
}

/// The lies of one life. By default there are none.
#[derive(Debug, Clone, Default)]
pub(crate) struct Lies {
    /// What stands between the pool and its files.
    pub(crate) faults: Option<Arc<FileFaults>>,
    /// Bits that flipped where they lie.
    pub(crate) rotten: u64,
}

impl Lies {
    /// Lies that are not told before they are armed.
    pub(crate) fn new(seed: u64, probability: u32) -> Self {
        let rule = |(call, kind)| FaultRule { probability, ..FaultRule::always(FileRole::Data, call, kind) };
        let plan = FaultPlan { seed, rules: FAULTS.map(rule).into() };
        let faults = FaultInjector::new(plan, Arc::new(NoPause));
        faults.set_armed(false);
        Self { faults: Some(Arc::new(faults)), rotten: 0 }
    }

    /// Whether this is a life in which the medium lies.
    pub(crate) const fn are_told(&self) -> bool {
        self.faults.is_some()
    }

    /// Lets the medium lie from now on, or not.
    pub(crate) fn set_armed(&self, is_armed: bool) {
        if let Some(faults) = &self.faults {
            faults.set_armed(is_armed);
        }
    }

    /// How many blocks they can have damaged so far.
    pub(crate) fn damaged_max(&self) -> u64 {
        let Some(faults) = &self.faults else { return self.rotten };
        let damaged = FAULTS.iter().zip(faults.struck()).map(|((call, kind), struck)| match (call, kind) {
            (FaultCall::Read, _) | (_, FaultKind::BitFlip) => struck.calls,
            // It is missing where it should be, and has replaced as much elsewhere.
            (_, FaultKind::Misdirected) => struck.bytes.div_ceil(BLOCK_BYTES) * 2,
            _ => struck.bytes.div_ceil(BLOCK_BYTES),
        });
        self.rotten + damaged.sum::<u64>()
    }
}
