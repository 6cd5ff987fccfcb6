//! What goes over the administrative socket. Ids are text here; the listener parses them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::access::{AccessAnswer, AccessCommand};
use super::bill::{BillRecord, BillRequest};
use super::clock::{ClockOrder, ClockRecord};
use super::disk::DiskRecord;
use super::fix_snapshot::FixRecord;
use super::money::{MoneyAnswer, MoneyCommand};
use super::schedule::{ScheduleOrder, ScheduleRecord};
use super::snapshot::{SnapshotAnswer, SnapshotOrder};
use super::space::PoolSpace;
use super::status::StatusRecord;

/// The version of this protocol. A command line and a server of different versions refuse each other.
pub(crate) const VERSION: u32 = 1;

/// The longest request line, in bytes.
pub(crate) const REQUEST_BYTES_MAX: u64 = 16 << 10;

/// The longest answer line, in bytes: a list of 100,000 instances fits.
pub(crate) const ANSWER_BYTES_MAX: u64 = 32 << 20;

/// One request line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// [`VERSION`] of the sender.
    pub(crate) version: u32,
    /// What is asked for.
    pub(crate) command: AdminCommand,
}

/// What can be asked for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum AdminCommand {
    /// Accounts and what belongs to them.
    Access(AccessCommand),
    /// Another command, about another account than the first one.
    ForAccount {
        /// The account.
        account: u64,
        /// The command.
        command: Box<AdminCommand>,
    },
    /// Register an instance.
    AddInstance {
        /// The zone it stands in.
        zone: String,
        /// A name for people.
        name: Option<String>,
        /// The id to use instead of a new one.
        id: Option<String>,
        /// The product that it belongs to.
        product: String,
        /// The size in GiB of a disk to boot from.
        system_disk_gib: Option<u64>,
        /// Its address.
        address: Option<IpAddr>,
    },
    /// Balances, ledgers and limits of accounts.
    Money(MoneyCommand),
    /// Everything about a disk.
    ShowDisk {
        /// The disk.
        id: String,
    },
    /// Take a snapshot of every disk of a machine before it is fixed.
    TakeBeforeFix {
        /// The machine.
        instance: String,
        /// What is going to be fixed.
        name: String,
    },
    /// What accounts were charged.
    Bill(BillRequest),
    /// Second thoughts about snapshots.
    Snapshot(SnapshotOrder),
    /// What scheduled snapshot policies have coming.
    Schedule(ScheduleOrder),
    /// How the server fares.
    ShowStatus,
    /// The clock of the rules.
    Clock(ClockOrder),
    /// Begin a scrub.
    StartScrub {
        /// Disks; none: everything.
        disks: Vec<String>,
        /// The most that is read in a second, in MB; 0: no limit.
        rate_mb: u64,
    },
    /// End the scrub that runs.
    CancelScrub,
    /// All instances.
    ListInstances,
    /// Who takes how much.
    ShowSpace,
    /// Exchange the master key of encrypted disks.
    RotateMasterKey,
    /// Remove an instance.
    RemoveInstance {
        /// The instance.
        id: String,
        /// Whether its disks are taken out of it, or deleted where they go with it.
        with_disks: bool,
    },
}

/// One answer line.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    /// About accounts and what belongs to them.
    Access(AccessAnswer),
    /// The instance that was registered.
    Instance(InstanceRecord),
    /// About the money or the limits of an account.
    Money(MoneyAnswer),
    /// A disk.
    Disk(Box<DiskRecord>),
    /// What was taken before a fix.
    TakenBeforeFix(FixRecord),
    /// What accounts were charged.
    Bill(BillRecord),
    /// Second thoughts about snapshots.
    Snapshot(SnapshotAnswer),
    /// What scheduled snapshot policies have coming.
    Schedules(Vec<ScheduleRecord>),
    /// How the server fares.
    Status(StatusRecord),
    /// The clock of the rules.
    Clock(ClockRecord),
    /// All instances.
    Instances(Vec<InstanceRecord>),
    /// What was asked for was begun or ended.
    Done,
    /// The instance is gone.
    Removed {
        /// The instance.
        instance_id: String,
    },
    /// Who takes how much, pool by pool.
    Space(Vec<PoolSpace>),
    /// The master key was exchanged.
    MasterKeyRotated(RotationRecord),
    /// Nothing was done, and why.
    Refused {
        /// One line for people.
        message: String,
    },
}

/// An instance, as `--json` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct InstanceRecord {
    /// `ins-xxxxxxxx`.
    pub(crate) instance_id: String,
    /// A name for people.
    pub(crate) name: String,
    /// The zone it stands in.
    pub(crate) zone: String,
    /// The product that it belongs to.
    pub(crate) product: String,
    /// Its address, where it is known.
    pub(crate) address: Option<IpAddr>,
}

/// What an exchange of the master key did, as `--json` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RotationRecord {
    /// What tells the new key from others; says nothing about it.
    pub(crate) fingerprint: String,
    /// How many data keys were wrapped anew.
    pub(crate) data_keys: u64,
    /// The file that holds the new key; none where it comes from elsewhere.
    pub(crate) file: Option<String>,
}
