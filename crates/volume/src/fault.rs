//! Planned faults: what a medium does that is broken, full or slow, at chosen calls.
//!
//! A [`FaultPlan`] is data: rules that say where, at which calls and what. A [`FaultInjector`] counts calls and
//! decides; the wrappers (`FaultyDevice` here, a wrapper of files in the engine) carry out. The same plan and
//! the same order of calls give the same faults. Nothing here sleeps: a slow call waits in a [`Pause`] that the
//! caller brings.

use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ashlar_types::{RandomSource, SeededRandom};

mod device;

pub use device::FaultyDevice;

/// The unit in which media write: what is torn is torn between two of them.
const SECTOR_BYTES: usize = 512;
/// How far from its place a misdirected call ends up.
const MISDIRECTION_BYTES: u64 = 4096;
/// Probabilities are parts of this.
pub const PROBABILITY_ONE: u32 = 1_000_000;

/// What happens instead of what should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// The call fails with an I/O error and does nothing.
    Error,
    /// The call fails for want of space and does nothing.
    NoSpace,
    /// Only the first sectors are written, and success is reported.
    Torn,
    /// Nothing is done, and success is reported.
    Lost,
    /// The call hits a place nearby instead of its own, and success is reported.
    Misdirected,
    /// One bit of what is read or written is the wrong one.
    BitFlip,
    /// The call is right, and late.
    Slow(Duration),
}

/// What is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultCall {
    /// Reading.
    Read,
    /// Writing bytes.
    Write,
    /// Making durable.
    Sync,
    /// Giving space back, and writing zeroes.
    Discard,
    /// Cutting or extending. Files only.
    Resize,
}

impl FaultKind {
    /// Whether a call can fail in this way.
    #[must_use]
    pub const fn applies_to(self, call: FaultCall) -> bool {
        match self {
            Self::Error | Self::Slow(_) => true,
            Self::NoSpace | Self::Lost => !matches!(call, FaultCall::Read),
            Self::Torn => matches!(call, FaultCall::Write),
            Self::Misdirected => matches!(call, FaultCall::Read | FaultCall::Write | FaultCall::Discard),
            Self::BitFlip => matches!(call, FaultCall::Read | FaultCall::Write),
        }
    }
}

/// One rule of a plan. `Place` says which files or devices: the wrapper knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRule<Place> {
    /// Where.
    pub place: Place,
    /// Which kind of call.
    pub call: FaultCall,
    /// Which of the calls that the rule covers, counted from 1.
    pub numbers: RangeInclusive<u64>,
    /// Only calls that touch these bytes are covered. [`FaultCall::Sync`] touches every byte.
    pub bytes: Range<u64>,
    /// How many of [`PROBABILITY_ONE`] such calls are hit.
    pub probability: u32,
    /// What happens.
    pub kind: FaultKind,
}

impl<Place> FaultRule<Place> {
    /// A rule that hits every call of a kind at a place.
    pub const fn always(place: Place, call: FaultCall, kind: FaultKind) -> Self {
        Self { place, call, numbers: 1..=u64::MAX, bytes: 0..u64::MAX, probability: PROBABILITY_ONE, kind }
    }

    /// The same rule for the calls of these numbers alone.
    #[must_use]
    pub fn at(self, numbers: RangeInclusive<u64>) -> Self {
        Self { numbers, ..self }
    }
}

/// All faults of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultPlan<Place> {
    /// Decides where there is a choice: which bit flips, which calls are hit by chance.
    pub seed: u64,
    /// The rules. A slow one adds to the others; of those the first that hits counts.
    pub rules: Vec<FaultRule<Place>>,
}

/// Where slow calls wait. The server's sleeps, a test's counts.
pub trait Pause: Send + Sync {
    /// Returns after `duration`.
    fn pause(&self, duration: Duration);
}

/// Decides, call by call, what goes wrong.
pub struct FaultInjector<Place> {
    rules: Vec<Planned<Place>>,
    random: SeededRandom,
    pause: Arc<dyn Pause>,
    is_armed: AtomicBool,
}

/// A rule and what came of it.
struct Planned<Place> {
    rule: FaultRule<Place>,
    /// Calls that it covered.
    covered: AtomicU64,
    struck: AtomicU64,
    struck_bytes: AtomicU64,
}

/// What a rule has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Struck {
    /// Calls that it hit.
    pub calls: u64,
    /// Their lengths.
    pub bytes: u64,
}

/// What the wrapper has to do to a call that is hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// Fail with an I/O error.
    Error,
    /// Fail for want of space.
    NoSpace,
    /// Write only so many bytes, and report success.
    Torn {
        /// How many.
        kept_bytes: usize,
    },
    /// Do nothing, and report success.
    Lost,
    /// Go elsewhere.
    Misdirected {
        /// Where.
        offset_bytes: u64,
    },
    /// Flip a bit.
    BitFlip {
        /// Which byte of the call.
        byte: usize,
        /// The bit in it.
        mask: u8,
    },
}

impl Strike {
    /// Flips the bit in what was read or is to be written.
    pub fn flip(byte: usize, mask: u8, bytes: &mut [u8]) {
        if let Some(found) = bytes.get_mut(byte) {
            *found ^= mask;
        }
    }
}

impl<Place> FaultInjector<Place> {
    /// An injector that has seen no call yet.
    pub fn new(plan: FaultPlan<Place>, pause: Arc<dyn Pause>) -> Self {
        let planned = |rule| Planned {
            rule,
            covered: AtomicU64::new(0),
            struck: AtomicU64::new(0),
            struck_bytes: AtomicU64::new(0),
        };
        let rules = plan.rules.into_iter().map(planned).collect();
        Self { rules, random: SeededRandom::new(plan.seed), pause, is_armed: AtomicBool::new(true) }
    }

    /// Whether anything goes wrong at all from now on. It does from the beginning; calls that pass while it does not are not
    /// counted.
    pub fn set_armed(&self, is_armed: bool) {
        self.is_armed.store(is_armed, Ordering::Relaxed);
    }

    /// Decides about a call of `length_bytes` at `offset_bytes`; waits if the call is slow. `limit_bytes` is where
    /// a misdirected call must end.
    pub fn strike(
        &self,
        is_here: impl Fn(&Place) -> bool,
        call: FaultCall,
        offset_bytes: u64,
        length_bytes: u64,
        limit_bytes: u64,
    ) -> Option<Strike> {
        let mut struck = None;
        if !self.is_armed.load(Ordering::Relaxed) {
            return struck;
        }
        for Planned { rule, covered, struck: calls, struck_bytes } in &self.rules {
            if rule.call != call || !is_here(&rule.place) || !rule.touches(offset_bytes, length_bytes) {
                continue;
            }
            let number = covered.fetch_add(1, Ordering::Relaxed) + 1;
            let is_hit = rule.numbers.contains(&number)
                && (rule.probability >= PROBABILITY_ONE
                    || self.random.below(u64::from(PROBABILITY_ONE)) < u64::from(rule.probability));
            if !is_hit {
                continue;
            }
            calls.fetch_add(1, Ordering::Relaxed);
            struck_bytes.fetch_add(length_bytes, Ordering::Relaxed);
            match rule.kind {
                FaultKind::Slow(duration) => self.pause.pause(duration),
                kind if struck.is_none() => {
                    struck = self.shape(kind, offset_bytes, length_bytes, limit_bytes);
                }
                _ => {}
            }
        }
        struck
    }

    /// Whether a read at such a place may be told to wait; then it must not be tried by who may not wait.
    pub fn may_pause(&self, is_here: impl Fn(&Place) -> bool) -> bool {
        self.rules.iter().any(|Planned { rule, .. }| {
            rule.call == FaultCall::Read && matches!(rule.kind, FaultKind::Slow(_)) && is_here(&rule.place)
        })
    }

    /// How often a rule has hit so far.
    pub fn strikes(&self) -> u64 {
        self.struck().iter().map(|struck| struck.calls).sum()
    }

    /// What each rule has done so far, in the order of the plan.
    pub fn struck(&self) -> Vec<Struck> {
        let of = |planned: &Planned<Place>| Struck {
            calls: planned.struck.load(Ordering::Relaxed),
            bytes: planned.struck_bytes.load(Ordering::Relaxed),
        };
        self.rules.iter().map(of).collect()
    }

    fn shape(
        &self,
        kind: FaultKind,
        offset_bytes: u64,
        length_bytes: u64,
        limit_bytes: u64,
    ) -> Option<Strike> {
        Some(match kind {
            FaultKind::Error => Strike::Error,
            FaultKind::NoSpace => Strike::NoSpace,
            FaultKind::Lost => Strike::Lost,
            FaultKind::Torn => {
                let sectors = (length_bytes as usize).div_ceil(SECTOR_BYTES).max(1);
                Strike::Torn { kept_bytes: self.random.below(sectors as u64) as usize * SECTOR_BYTES }
            }
            FaultKind::Misdirected => {
                let after = offset_bytes.saturating_add(MISDIRECTION_BYTES);
                let fits = after.checked_add(length_bytes).is_some_and(|end| end <= limit_bytes);
                let offset_bytes = if fits { after } else { offset_bytes.saturating_sub(MISDIRECTION_BYTES) };
                Strike::Misdirected { offset_bytes }
            }
            FaultKind::BitFlip => {
                let bit = self.random.below(length_bytes.max(1) * 8);
                Strike::BitFlip { byte: (bit / 8) as usize, mask: 1 << (bit % 8) }
            }
            FaultKind::Slow(_) => return None,
        })
    }
}

impl<Place> FaultRule<Place> {
    fn touches(&self, offset_bytes: u64, length_bytes: u64) -> bool {
        self.call == FaultCall::Sync
            || (offset_bytes < self.bytes.end
                && self.bytes.start < offset_bytes.saturating_add(length_bytes.max(1)))
    }
}

impl<Place: std::fmt::Debug> std::fmt::Debug for FaultInjector<Place> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let rules: Vec<_> = self.rules.iter().map(|planned| &planned.rule).collect();
        f.debug_struct("FaultInjector").field("rules", &rules).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
