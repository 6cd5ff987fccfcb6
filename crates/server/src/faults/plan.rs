//! The file with the plan.
//!
//! ```toml
//! seed = 7              # which bit flips, which calls are hit by chance
//!
//! [[fault]]             # the third and fourth write to the data file fail
//! file = "data"         # data, journal, map, new-map, map-sums or keys, of every pool; or export = "disk-…", "snap-…" or "*"
//! call = "write"        # read, write, sync, discard; for files also resize
//! kind = "error"        # error, no-space, torn, lost, misdirected, bit-flip, slow
//! first = 3             # which of the calls that the rule covers; all, if neither is said
//! last = 4
//!
//! [[fault]]             # one read in ten of the first MiB takes 50 ms longer
//! export = "*"
//! call = "read"
//! kind = "slow"
//! delay_ms = 50
//! probability = 0.1
//! from_bytes = 0
//! to_bytes = 1048576
//! ```

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ashlar_engine::FileRole;
use ashlar_volume::fault::{
    FaultCall, FaultInjector, FaultKind, FaultPlan, FaultRule, PROBABILITY_ONE, Pause,
};
use serde::Deserialize;

use super::Faults;
use crate::failure::Failure;

/// The file as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanFile {
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    fault: Vec<FaultEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultEntry {
    file: Option<FileWord>,
    export: Option<String>,
    call: CallWord,
    kind: KindWord,
    first: Option<u64>,
    last: Option<u64>,
    from_bytes: Option<u64>,
    to_bytes: Option<u64>,
    probability: Option<f64>,
    delay_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FileWord {
    Data,
    Journal,
    Map,
    NewMap,
    MapSums,
    Keys,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CallWord {
    Read,
    Write,
    Sync,
    Discard,
    Resize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum KindWord {
    Error,
    NoSpace,
    Torn,
    Lost,
    Misdirected,
    BitFlip,
    Slow,
}

/// Where a rule holds.
enum Place {
    File(FileRole),
    /// `None`: every export.
    Export(Option<String>),
}

/// Slow calls of the server: they really take their time.
struct Sleep;

impl Pause for Sleep {
    #[expect(
        clippy::disallowed_methods,
        reason = "a slow medium is what the operator of a debug build asked for"
    )]
    fn pause(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

impl Faults {
    /// Reads a plan. The error names the file and what is wrong in it.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::setup(format!("cannot read the fault plan {}", path.display())).because(error)
        })?;
        Self::parse(&text)
            .map_err(|message| Failure::setup(format!("fault plan {}: {message}", path.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let plan: PlanFile = toml::from_str(text).map_err(|error| error.to_string().trim_end().to_owned())?;
        let (mut files, mut exports) = (Vec::new(), Vec::new());
        for (at, entry) in plan.fault.into_iter().enumerate() {
            let place = entry.place().map_err(|message| format!("fault {}: {message}", at + 1))?;
            let rule = |message| format!("fault {}: {message}", at + 1);
            match place {
                Place::File(role) => files.push(entry.rule(role).map_err(rule)?),
                Place::Export(name) => exports.push(entry.rule(name).map_err(rule)?),
            }
        }
        let seed = plan.seed;
        Ok(Self { files: injector(seed, files), devices: injector(seed, exports) })
    }
}

fn injector<P>(seed: u64, rules: Vec<FaultRule<P>>) -> Option<Arc<FaultInjector<P>>> {
    (!rules.is_empty()).then(|| Arc::new(FaultInjector::new(FaultPlan { seed, rules }, Arc::new(Sleep))))
}

impl FaultEntry {
    fn place(&self) -> Result<Place, String> {
        match (self.file, &self.export) {
            (Some(file), None) => Ok(Place::File(match file {
                FileWord::Data => FileRole::Data,
                FileWord::Journal => FileRole::Journal,
                FileWord::Map => FileRole::Map,
                FileWord::NewMap => FileRole::MapBeingCreated,
                FileWord::MapSums => FileRole::MapSums,
                FileWord::Keys => FileRole::Keys,
            })),
            (None, Some(_)) if matches!(self.call, CallWord::Resize) => {
                Err("call `resize` is for files, not for an export".to_owned())
            }
            (None, Some(export)) => Ok(Place::Export((export != "*").then(|| export.clone()))),
            _ => Err("name either `file` or `export`".to_owned()),
        }
    }

    fn rule<P>(&self, place: P) -> Result<FaultRule<P>, String> {
        let call = match self.call {
            CallWord::Read => FaultCall::Read,
            CallWord::Write => FaultCall::Write,
            CallWord::Sync => FaultCall::Sync,
            CallWord::Discard => FaultCall::Discard,
            CallWord::Resize => FaultCall::Resize,
        };
        let kind = self.kind()?;
        if !kind.applies_to(call) {
            return Err(format!("kind {:?} cannot happen to call {:?}", self.kind, self.call));
        }
        let probability = self.probability.unwrap_or(1.0);
        if !(probability > 0.0 && probability <= 1.0) {
            return Err(format!("probability {probability}: expected more than 0 and at most 1"));
        }
        let (first, last) = (self.first.unwrap_or(1), self.last.unwrap_or(u64::MAX));
        if first == 0 || last < first {
            return Err(format!(
                "first {first}, last {last}: calls are counted from 1, `last` is not before `first`"
            ));
        }
        let bytes = self.from_bytes.unwrap_or(0)..self.to_bytes.unwrap_or(u64::MAX);
        if bytes.is_empty() {
            return Err(format!("from_bytes {} is not before to_bytes {}", bytes.start, bytes.end));
        }
        let probability = (probability * f64::from(PROBABILITY_ONE)).ceil() as u32;
        Ok(FaultRule { place, call, numbers: first..=last, bytes, probability, kind })
    }

    fn kind(&self) -> Result<FaultKind, String> {
        match (self.kind, self.delay_ms) {
            (KindWord::Slow, Some(delay_ms)) => return Ok(FaultKind::Slow(Duration::from_millis(delay_ms))),
            (KindWord::Slow, None) => return Err("kind `slow` needs `delay_ms`".to_owned()),
            (_, Some(delay_ms)) => return Err(format!("delay_ms {delay_ms} is for kind `slow` alone")),
            (_, None) => {}
        }
        Ok(match self.kind {
            KindWord::Error => FaultKind::Error,
            KindWord::NoSpace => FaultKind::NoSpace,
            KindWord::Torn => FaultKind::Torn,
            KindWord::Lost => FaultKind::Lost,
            KindWord::Misdirected => FaultKind::Misdirected,
            KindWord::BitFlip | KindWord::Slow => FaultKind::BitFlip,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(fault: &str) -> String {
        Faults::parse(&format!("[[fault]]\n{fault}")).err().unwrap_or_else(|| panic!("{fault}"))
    }

    #[test]
    fn a_plan_has_rules_for_files_and_exports() {
        let text = "seed = 7\n\
            [[fault]]\nfile = \"new-map\"\ncall = \"resize\"\nkind = \"no-space\"\n\
            [[fault]]\nexport = \"*\"\ncall = \"read\"\nkind = \"slow\"\ndelay_ms = 50\nprobability = 0.1\n";
        let faults = Faults::parse(text).unwrap();
        assert!(faults.files.is_some() && faults.devices.is_some());
        let none = Faults::parse("").unwrap();
        assert!(none.files.is_none() && none.devices.is_none(), "no rules, no wrappers");
    }

    #[test]
    fn a_wrong_plan_is_refused_with_its_reason() {
        for (fault, wanted) in [
            ("call = \"read\"\nkind = \"error\"", "fault 1: name either `file` or `export`"),
            ("file = \"data\"\nexport = \"*\"\ncall = \"read\"\nkind = \"error\"", "name either"),
            ("file = \"date\"\ncall = \"read\"\nkind = \"error\"", "date"),
            ("file = \"data\"\ncall = \"read\"\nkind = \"torn\"", "Torn cannot happen to call Read"),
            ("export = \"*\"\ncall = \"resize\"\nkind = \"error\"", "is for files"),
            ("file = \"data\"\ncall = \"read\"\nkind = \"slow\"", "needs `delay_ms`"),
            ("file = \"data\"\ncall = \"read\"\nkind = \"error\"\ndelay_ms = 1", "`slow` alone"),
            ("file = \"data\"\ncall = \"read\"\nkind = \"error\"\nprobability = 0.0", "probability 0"),
            ("file = \"data\"\ncall = \"read\"\nkind = \"error\"\nfirst = 4\nlast = 3", "first 4, last 3"),
            ("file = \"data\"\ncall = \"read\"\nkind = \"error\"\nfirst = 0", "counted from 1"),
            (
                "file = \"data\"\ncall = \"read\"\nkind = \"error\"\nfrom_bytes = 9\nto_bytes = 9",
                "from_bytes 9",
            ),
            ("file = \"data\"\ncall = \"read\"\nkind = \"error\"\nnumber = 9", "number"),
        ] {
            let message = refusal(fault);
            assert!(message.contains(wanted), "{fault}\n{message}");
        }
    }
}
