//! The table `[nbd]`: what NBD clients can make the server spend.

use std::ops::RangeInclusive;
use std::time::Duration;

use ashlar_nbd::NbdLimits;
use serde::Deserialize;

use crate::failure::Failure;

const KIB_BYTES: u64 = 1 << 10;
const MIB_BYTES: u64 = 1 << 20;

/// The table as written. What is left out keeps its default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct NbdSetting {
    /// Connections at one time, each a thread; one more is closed at once.
    connections_max: Option<u64>,
    /// Connections to one export at one time; one more is refused.
    connections_per_export_max: Option<u64>,
    /// How long a client may take to agree on an export.
    handshake_timeout_s: Option<u64>,
    /// How long a client may keep the server waiting in the middle of a request or reply while it moves too little.
    stall_timeout_s: Option<u64>,
    /// What it moves at least in that time.
    stall_kib_min: Option<u64>,
    /// Requests of one connection that wait for the medium.
    waiting_requests_max: Option<u64>,
    /// What such requests of one connection may hold.
    waiting_mib_max: Option<u64>,
    /// What such requests of all connections may hold together.
    waiting_total_mib_max: Option<u64>,
    /// Threads that read, discard and look up extents.
    io_workers_max: Option<u64>,
    /// Threads that flush.
    flush_workers_max: Option<u64>,
}

impl NbdSetting {
    /// The limits, or what is wrong with one of them.
    pub(super) fn check(&self) -> Result<NbdLimits, Failure> {
        let default = NbdLimits::default();
        let limits = NbdLimits {
            connections_max: number(
                "connections_max",
                self.connections_max,
                1..=65_536,
                default.connections_max,
            )?,
            connections_per_export_max: number(
                "connections_per_export_max",
                self.connections_per_export_max,
                1..=65_536,
                default.connections_per_export_max,
            )?,
            handshake_timeout: seconds(
                "handshake_timeout_s",
                self.handshake_timeout_s,
                default.handshake_timeout,
            )?,
            stall_timeout: seconds("stall_timeout_s", self.stall_timeout_s, default.stall_timeout)?,
            stall_bytes_min: match self.stall_kib_min {
                None => default.stall_bytes_min,
                given => number::<u64>("stall_kib_min", given, 1..=1_048_576, 0)? * KIB_BYTES,
            },
            waiting_requests_max: number(
                "waiting_requests_max",
                self.waiting_requests_max,
                1..=65_536,
                default.waiting_requests_max,
            )?,
            waiting_bytes_max: mebibytes("waiting_mib_max", self.waiting_mib_max, default.waiting_bytes_max)?,
            waiting_bytes_total_max: mebibytes(
                "waiting_total_mib_max",
                self.waiting_total_mib_max,
                default.waiting_bytes_total_max,
            )?,
            io_workers_max: number("io_workers_max", self.io_workers_max, 1..=1024, default.io_workers_max)?,
            flush_workers_max: number(
                "flush_workers_max",
                self.flush_workers_max,
                1..=1024,
                default.flush_workers_max,
            )?,
        };
        self.check_together(&limits)?;
        Ok(limits)
    }

    /// A part may not exceed its whole where somebody asked for that.
    fn check_together(&self, limits: &NbdLimits) -> Result<(), Failure> {
        if self.connections_per_export_max.is_some()
            && limits.connections_per_export_max > limits.connections_max
        {
            return Err(Failure::setup(format!(
                "nbd.connections_per_export_max {}: expected at most connections_max, {}: raise that too",
                limits.connections_per_export_max, limits.connections_max
            )));
        }
        if self.waiting_mib_max.is_some() && limits.waiting_bytes_max > limits.waiting_bytes_total_max {
            return Err(Failure::setup(format!(
                "nbd.waiting_mib_max {}: expected at most waiting_total_mib_max, {}: raise that too",
                limits.waiting_bytes_max as u64 / MIB_BYTES,
                limits.waiting_bytes_total_max as u64 / MIB_BYTES
            )));
        }
        Ok(())
    }
}

fn number<T: TryFrom<u64>>(
    key: &str,
    given: Option<u64>,
    range: RangeInclusive<u64>,
    default: T,
) -> Result<T, Failure> {
    let Some(given) = given else { return Ok(default) };
    let refused = || {
        let (least, most) = (range.start(), range.end());
        Failure::setup(format!("nbd.{key} {given}: expected {least} to {most}"))
    };
    if !range.contains(&given) {
        return Err(refused());
    }
    T::try_from(given).map_err(|_| refused())
}

fn seconds(key: &str, given: Option<u64>, default: Duration) -> Result<Duration, Failure> {
    number(key, given, 1..=3600, default.as_secs()).map(Duration::from_secs)
}

fn mebibytes(key: &str, given: Option<u64>, default: usize) -> Result<usize, Failure> {
    match given {
        None => Ok(default),
        given => number::<usize>(key, given, 1..=1_048_576, 0).map(|mib| mib * MIB_BYTES as usize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(text: &str) -> Result<NbdLimits, Failure> {
        toml::from_str::<NbdSetting>(text).unwrap().check()
    }

    #[test]
    fn what_is_left_out_keeps_its_default() {
        assert_eq!(limits("").unwrap(), NbdLimits::default());
        let given =
            limits("connections_per_export_max = 4\nstall_timeout_s = 5\nwaiting_mib_max = 8").unwrap();
        let wanted = NbdLimits {
            connections_per_export_max: 4,
            stall_timeout: Duration::from_secs(5),
            waiting_bytes_max: 8 << 20,
            ..NbdLimits::default()
        };
        assert_eq!(given, wanted);
        // The default of a part is no reason to refuse a smaller whole.
        assert_eq!(limits("connections_max = 2").unwrap().connections_max, 2);
    }

    #[test]
    fn a_refusal_names_the_key_the_value_and_the_mend() {
        for key in [
            "connections_max",
            "connections_per_export_max",
            "handshake_timeout_s",
            "stall_timeout_s",
            "stall_kib_min",
            "waiting_requests_max",
            "waiting_mib_max",
            "waiting_total_mib_max",
            "io_workers_max",
            "flush_workers_max",
        ] {
            for value in [0, u64::MAX >> 1] {
                let text = limits(&format!("{key} = {value}")).unwrap_err().to_string();
                assert!(text.contains(&format!("nbd.{key} {value}: expected 1 to ")), "{text}");
            }
        }
        let text = limits("connections_max = 3\nconnections_per_export_max = 4").unwrap_err().to_string();
        assert!(text.contains("at most connections_max, 3"), "{text}");
        let text = limits("waiting_mib_max = 600").unwrap_err().to_string();
        assert!(text.contains("at most waiting_total_mib_max, 512"), "{text}");
    }
}
