//! How the medium lies in one life of the server: writes of the data file that are lost, torn, misplaced or spoiled, bits that
//! flip where nobody looks; or one such write of the metadata.

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

/// What can happen to a write of the metadata.
const METADATA_FAULTS: [FaultKind; 4] =
    [FaultKind::Lost, FaultKind::Torn, FaultKind::Misdirected, FaultKind::BitFlip];

/// None of the faults is slow: where there are slow calls, they are there to be counted.
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
    /// The one write that is wrong, if the lie is about metadata.
    pub(crate) metadata: Option<MetadataLie>,
}

/// One write of metadata that does not do what it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MetadataLie {
    /// The file.
    pub(crate) role: FileRole,
    /// What happens.
    pub(crate) kind: FaultKind,
    /// To which write of the file, counted from when the lies are armed.
    pub(crate) number: u64,
}

impl Lies {
    /// Lies that are not told before they are armed.
    pub(crate) fn new(seed: u64, probability: u32) -> Self {
        let rule = |(call, kind)| FaultRule { probability, ..FaultRule::always(FileRole::Data, call, kind) };
        let plan = FaultPlan { seed, rules: FAULTS.map(rule).into() };
        let faults = FaultInjector::new(plan, Arc::new(NoPause));
        faults.set_armed(false);
        Self { faults: Some(Arc::new(faults)), ..Self::default() }
    }

    /// One lie about metadata, which is not told before it is armed.
    pub(crate) fn about_metadata(seed: u64, random: impl Fn(u64) -> u64) -> Self {
        let roles = [
            FileRole::Journal,
            FileRole::Map,
            FileRole::Map,
            FileRole::Map,
            FileRole::MapSums,
            FileRole::Keys,
        ];
        let role = roles[random(roles.len() as u64) as usize];
        let kind = METADATA_FAULTS[random(4) as usize];
        // A file that is written to often is hit early or late.
        let number = 1 + random(if role == FileRole::Keys { 4 } else { [5, 30, 150][random(3) as usize] });
        let lie = FaultRule::always(role, FaultCall::Write, kind).at(number..=number);
        let counted = FaultRule::always(role, FaultCall::Write, FaultKind::Slow(Duration::ZERO));
        let faults = FaultInjector::new(FaultPlan { seed, rules: vec![lie, counted] }, Arc::new(NoPause));
        faults.set_armed(false);
        let metadata = Some(MetadataLie { role, kind, number });
        Self { faults: Some(Arc::new(faults)), rotten: 0, metadata }
    }

    /// Whether this is a life in which the medium lies about data.
    pub(crate) const fn are_told(&self) -> bool {
        self.faults.is_some() && self.metadata.is_none()
    }

    /// The lie about metadata, if it has been told.
    pub(crate) fn told_of_metadata(&self) -> Option<MetadataLie> {
        let has_struck = self.faults.as_ref()?.struck().first().is_some_and(|lie| lie.calls > 0);
        self.metadata.filter(|_| has_struck)
    }

    /// Whether the file was not written to since the lie about it.
    pub(crate) fn was_last_write(&self) -> bool {
        let writes = self.faults.as_ref().and_then(|faults| faults.struck().get(1).copied());
        self.metadata.zip(writes).is_some_and(|(lie, writes)| writes.calls == lie.number)
    }

    /// Lets the medium lie from now on, or not.
    pub(crate) fn set_armed(&self, is_armed: bool) {
        if let Some(faults) = &self.faults {
            faults.set_armed(is_armed);
        }
    }

    /// How many blocks they can have damaged so far.
    pub(crate) fn damaged_max(&self) -> u64 {
        let Some(faults) = self.faults.as_ref().filter(|_| self.are_told()) else { return self.rotten };
        let damaged = FAULTS.iter().zip(faults.struck()).map(|((call, kind), struck)| match (call, kind) {
            (FaultCall::Read, _) | (_, FaultKind::BitFlip) => struck.calls,
            // It is missing where it should be, and has replaced as much elsewhere.
            (_, FaultKind::Misdirected) => struck.bytes.div_ceil(BLOCK_BYTES) * 2,
            _ => struck.bytes.div_ceil(BLOCK_BYTES),
        });
        self.rotten + damaged.sum::<u64>()
    }
}
