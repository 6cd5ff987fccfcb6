//! The configuration file.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::nbd_limits::NbdSetting;
use super::nbd_tls::NbdTlsSetting;
use super::rate_limits::RateLimitSetting;
use crate::failure::Failure;

/// How much of a wrong line is repeated in its error.
const LINE_CHARS_SHOWN: usize = 80;

/// The file as written. A key that is not known is an error: a typing mistake must not be a silent default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigFile {
    /// As `--data-dir`.
    pub(super) data_dir: Option<PathBuf>,
    /// As `--api-listen`.
    pub(super) api_listen: Option<String>,
    /// As `--nbd-listen`.
    pub(super) nbd_listen: Option<Vec<String>>,
    /// As `--master-key-file`.
    pub(super) master_key_file: Option<PathBuf>,
    /// A program that prints the master key: its path, then its arguments.
    pub(super) master_key_command: Option<Vec<String>>,
    /// The API is served with HTTPS: the server's certificate with its chain, in PEM.
    pub(super) api_tls_certificate: Option<PathBuf>,
    /// The private key of that certificate, in PEM.
    pub(super) api_tls_key: Option<PathBuf>,
    /// Networks of the proxies in front of the API, which say who called.
    #[serde(default)]
    pub(super) trusted_proxies: Vec<String>,
    /// What NBD clients can make the server spend.
    #[serde(default)]
    pub(super) nbd: NbdSetting,
    /// TLS for NBD.
    pub(super) nbd_tls: Option<NbdTlsSetting>,
    /// As `--json-log`.
    pub(super) json_log: Option<bool>,
    /// As `--cache`.
    pub(super) cache: Option<String>,
    /// Which log lines are written.
    pub(super) log: Option<String>,
    /// The region of calls that name none.
    pub(super) default_region: Option<String>,
    /// `"documented"`, `"off"`, or a table of numbers.
    #[serde(default)]
    pub(super) rate_limits: RateLimitSetting,
    /// Whether the log of operations can be read. Default: true; false answers as the service does.
    pub(super) operation_logs: Option<bool>,
    /// Numbers that calls may not exceed.
    #[serde(default)]
    pub(super) limits: ashlar_control::Limits,
    /// What disks can be had.
    #[serde(default)]
    pub(super) disk_types: ashlar_control::DiskTypeTable,
    /// Memory for what says where the blocks of a pool are, in MiB, for each pool.
    pub(super) map_cache_mib: Option<usize>,
    /// When pools are scrubbed.
    #[serde(default)]
    pub(super) scrub: crate::scrub::ScrubSettings,
    /// How scheduled snapshots are taken.
    #[serde(default)]
    pub(super) schedule: ashlar_control::ScheduleSettings,
    /// Whether disks are no faster than their type promises.
    pub(super) enforce_performance: Option<bool>,
    /// What becomes of disks whose paid time is over, and how use is charged.
    #[serde(default)]
    pub(super) billing: ashlar_control::BillingSettings,
    /// What becomes of deleted snapshots.
    #[serde(default)]
    pub(super) snapshots: ashlar_control::SnapshotSettings,
    /// What disks cost.
    #[serde(default)]
    pub(super) prices: ashlar_control::PriceBook,
}

impl ConfigFile {
    /// Reads and parses `path`. The error names the file and the line.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            Failure::setup(format!("cannot read the configuration file {}", path.display())).because(error)
        })?;
        Self::parse(&text)
            .map_err(|message| Failure::setup(format!("configuration file {}, {message}", path.display())))
    }

    /// Parses the text; an error tells the line, its text and what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start).min(text.len());
            let number = 1 + text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count();
            let line = text.lines().nth(number - 1).unwrap_or_default().trim();
            let line: String = line.chars().take(LINE_CHARS_SHOWN).collect();
            format!("line {number} `{line}`: {}", error.message())
        })
    }
}
