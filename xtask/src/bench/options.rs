//! The command line of `cargo xtask bench`.

use crate::error::{ErrorKind, Result, XtaskError};

/// What can be measured on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Reads and writes over NBD.
    Io,
    /// Reads and writes on a disk that was filled by large writes.
    Imported,
    /// Reads that find nothing in the page cache.
    Cold,
    /// Reads and writes past the page cache.
    Direct,
    /// Reads and writes of an encrypted disk.
    Encrypted,
    /// First writes to blocks after a snapshot.
    FirstWrites,
    /// Reads over NBD with many snapshots below.
    Depth,
    /// Snapshots, clones, rollbacks and deep chains inside the engine.
    Engine,
    /// Memory and start of the server.
    Server,
    /// Lists over the API.
    Api,
}

impl Part {
    pub(super) const ALL: [Self; 10] = [
        Self::Io,
        Self::Imported,
        Self::Cold,
        Self::Direct,
        Self::Encrypted,
        Self::FirstWrites,
        Self::Depth,
        Self::Engine,
        Self::Server,
        Self::Api,
    ];

    fn parse(name: &str) -> Option<Self> {
        match name {
            "io" => Some(Self::Io),
            "imported" => Some(Self::Imported),
            "cold" => Some(Self::Cold),
            "direct" => Some(Self::Direct),
            "encrypted" => Some(Self::Encrypted),
            "first-writes" => Some(Self::FirstWrites),
            "depth" => Some(Self::Depth),
            "engine" => Some(Self::Engine),
            "server" => Some(Self::Server),
            "api" => Some(Self::Api),
            _ => None,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Options {
    /// How often each figure is measured; the peers take turns within a round.
    pub(super) rounds: u32,
    /// How long each measurement takes, in seconds.
    pub(super) seconds: u32,
    /// The only part to run.
    pub(super) only: Option<Part>,
    /// Which servers take part in `io`, by name.
    pub(super) peers: Vec<String>,
    /// How many disks the start is measured with.
    pub(super) disks: u32,
    /// Whether the document is written.
    pub(super) write: bool,
}

impl Options {
    pub(super) fn parse(arguments: &[String]) -> Result<Self> {
        let peers = ["ashlar", "qemu-nbd", "nbdkit"].map(str::to_owned).to_vec();
        let mut options = Self { rounds: 5, seconds: 3, only: None, peers, disks: 10_000, write: true };
        let mut rest = arguments.iter();
        while let Some(flag) = rest.next() {
            if flag == "--no-write" {
                options.write = false;
                continue;
            }
            let value =
                rest.next().ok_or_else(|| usage(format!("bench: `{flag}` is unknown or lacks a value")))?;
            match flag.as_str() {
                "--rounds" => options.rounds = positive(flag, value)?,
                "--seconds" => options.seconds = positive(flag, value)?,
                "--disks" => options.disks = positive(flag, value)?,
                "--peers" => options.peers = value.split(',').map(str::to_owned).collect(),
                "--only" => {
                    let part = Part::parse(value);
                    options.only = Some(part.ok_or_else(|| {
                        usage(format!(
                            "bench: --only io|imported|cold|direct|encrypted|first-writes|depth|engine|server|api, not `{value}`"
                        ))
                    })?);
                }
                _ => return Err(usage(format!("bench: unknown flag `{flag}`"))),
            }
        }
        // Part of a document would replace the whole of it.
        options.write &= options.only.is_none() && options.peers.len() == 3;
        Ok(options)
    }
}

fn positive(flag: &str, value: &str) -> Result<u32> {
    value
        .parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| usage(format!("bench: {flag} takes a number above 0, not `{value}`")))
}

fn usage(message: String) -> XtaskError {
    XtaskError::new(ErrorKind::Usage, message)
}
