//! The command line: words only, no meaning. Others script against it.

mod access;
mod bill;
mod clock;
mod disk;
mod fix_snapshot;
mod money;
mod schedule;
mod scrub;
mod snapshot;

use std::net::IpAddr;
use std::path::PathBuf;

use ashlar_types::{IdError, InstanceId, InstanceProduct, LighthouseInstanceId, Zone};
use clap::{Args, Parser, Subcommand};

pub(crate) use access::{
    AccountCommand, AccountFlag, HolderFlags, KeyArguments, KeyCommand, MfaCommand, NetworkArguments,
    NetworkCommand, PolicyCommand, RoleCommand, UserCommand,
};
pub(crate) use bill::BillFlags;
pub(crate) use clock::ClockCommand;
pub(crate) use disk::DiskCommand;
pub(crate) use fix_snapshot::FixSnapshotFlags;
pub(crate) use money::{BalanceCommand, LimitCommand};
pub(crate) use schedule::{ScheduleArguments, ScheduleCommand, ScheduleTarget};
pub(crate) use scrub::{CheckFlags, DuFlags, ScrubFlags, StatusFlags};
pub(crate) use snapshot::SnapshotCommand;

/// Self-hosted cloud block storage: the CBS API in front, real disks over NBD behind it.
#[derive(Debug, Parser)]
#[command(name = "ashlar", version, about, disable_help_subcommand = true)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What the program can be asked to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the server until SIGTERM or Ctrl-C.
    Serve(ServeFlags),
    /// Register, list and remove the machines that disks can be attached to.
    Instance(InstanceArguments),
    /// Show what accounts have left and were charged, and limit what they may spend.
    #[command(subcommand)]
    Balance(BalanceCommand),
    /// Show and set the limits of single accounts.
    #[command(subcommand)]
    Limit(LimitCommand),
    /// Look at disks.
    #[command(subcommand)]
    Disk(DiskCommand),
    /// Add, list, disable and enable accounts.
    #[command(subcommand)]
    Account(AccountCommand),
    /// Add, list and remove users of an account.
    #[command(subcommand)]
    User(UserCommand),
    /// Add, list, disable and remove the keys that sign calls; exchange the master key of encrypted disks.
    #[command(subcommand)]
    Key(AnyKeyCommand),
    /// Attach, detach and list policies.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Add, list and remove roles.
    #[command(subcommand)]
    Role(RoleCommand),
    /// Ask for one-time codes before what cannot be taken back.
    #[command(subcommand)]
    Mfa(MfaCommand),
    /// Say from which networks an account's calls may come.
    #[command(subcommand)]
    Network(NetworkCommand),
    /// Sum up what accounts were charged and paid back.
    Bill(BillFlags),
    /// Show what scheduled snapshot policies have coming and what they could not have, and keep some from working.
    Schedule(ScheduleArguments),
    /// Bring deleted snapshots back, and lock snapshots.
    #[command(subcommand)]
    Snapshot(SnapshotCommand),
    /// Take a snapshot of every disk of a machine, all at one moment, before it is fixed or patched.
    ///
    /// Exit 0: all of them are ready. Anything else: there is none, and stderr has one line that says why; 1: the server
    /// refused or failed (a disk that is busy says so: try again later), 2: no server runs, or the command line is wrong.
    FixSnapshot(FixSnapshotFlags),
    /// Show who takes how much of the pools, and what deleting it would give back.
    Du(DuFlags),
    /// Show and move the clock of a server that runs with --test-clock.
    #[command(subcommand)]
    Clock(ClockCommand),
    /// Prove the invariants of a data directory whose server is stopped.
    ///
    /// Exit 0: clean. Exit 1: something is broken, and the list says what. Without --repair no pool is changed.
    Check(CheckFlags),
    /// Read everything that the running server stores, and find what is damaged.
    ///
    /// Exit 0: nothing. Exit 1: damage was found, or the scrub did not come to its end. Interrupting this command does
    /// not end the scrub.
    Scrub(ScrubFlags),
    /// Show how the running server fares: its pools, scrubs, and what runs by the clock.
    Status(StatusFlags),
}

/// The flags of `ashlar serve`. A flag wins over its ASHLAR_* variable, that over the configuration file,
/// that over the default.
#[derive(Debug, Default, Args)]
#[command(after_help = "A flag wins over its variable, the variable over the configuration file.")]
pub(crate) struct ServeFlags {
    /// Configuration file in TOML [variable ASHLAR_CONFIG]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Where everything is kept [variable ASHLAR_DATA_DIR] [default: ./ashlar-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Where the API listens; port 0 picks one and prints it [variable ASHLAR_API_LISTEN]
    /// [default: 127.0.0.1:9600]
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) api_listen: Option<String>,
    /// Where NBD listens, may be repeated; other machines only with `nbd_tls` [variable ASHLAR_NBD_LISTEN, comma
    /// separated] [default: unix:DIR/nbd.sock and 127.0.0.1:10809]
    #[arg(long, value_name = "unix:PATH|HOST:PORT")]
    pub(crate) nbd_listen: Vec<String>,
    /// Go by a clock that `ashlar clock` can move, to test what happens later; all addresses must be of this machine
    #[arg(long)]
    pub(crate) test_clock: bool,
    /// The master key of encrypted disks, 64 hexadecimal digits, in a file outside the data directory; the variable
    /// ASHLAR_MASTER_KEY holds the key itself [variable ASHLAR_MASTER_KEY_FILE] [default: made by the first start in
    /// the user's configuration folder]
    #[arg(long, value_name = "FILE")]
    pub(crate) master_key_file: Option<PathBuf>,
    /// What keeps recently used data in memory: `page` (the kernel's page cache) or `direct` (nobody: O_DIRECT and
    /// io_uring, for machines whose guests cache themselves) [variable ASHLAR_CACHE] [default: page]
    #[arg(long, value_name = "page|direct")]
    pub(crate) cache: Option<String>,
    /// Log in JSON, one object a line [variable ASHLAR_JSON_LOG]
    #[arg(long)]
    pub(crate) json_log: bool,
    /// Have calls fail as the plan says, to see what the server makes of it; debug builds only
    #[cfg(debug_assertions)]
    #[arg(long, value_name = "FILE")]
    pub(crate) fault_plan: Option<PathBuf>,
}

/// The flags of every administrative command.
#[derive(Debug, Args)]
pub(crate) struct AdminFlags {
    /// The data directory of the server [variable ASHLAR_DATA_DIR] [default: ./ashlar-data]
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is done with instances, and whose they are.
#[derive(Debug, Args)]
pub(crate) struct InstanceArguments {
    /// The account that has them [default: the first one]
    #[arg(long, value_name = "UIN", global = true)]
    pub(crate) account: Option<u64>,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: InstanceCommand,
}

/// What can be done with instances.
#[derive(Debug, Subcommand)]
pub(crate) enum InstanceCommand {
    /// Register an instance and print its id.
    Add {
        /// The zone it stands in, such as ap-guangzhou-3; its disks must be of the same zone
        #[arg(long)]
        zone: Zone,
        /// A name for people [default: the id]
        #[arg(long)]
        name: Option<String>,
        /// The product that it belongs to: cvm or lighthouse
        #[arg(long, default_value = "cvm")]
        product: InstanceProduct,
        /// Give it a disk to boot from, of this many GiB
        #[arg(long, value_name = "GB")]
        system_disk: Option<u64>,
        /// Its address in the network of its owner, IPv4 or IPv6
        #[arg(long, value_name = "IP")]
        address: Option<IpAddr>,
        /// The id to use, ins- and eight characters of 0-9 and a-z [default: a new one]
        #[arg(long)]
        id: Option<InstanceId>,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// List the instances.
    List {
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
    /// Remove an instance that has no disks.
    Remove {
        /// The instance, ins-xxxxxxxx or lhins-xxxxxxxx
        #[arg(value_parser = instance_id)]
        id: InstanceId,
        /// Take its disks out of it first, and delete those that were attached with DeleteWithInstance
        #[arg(long)]
        with_disks: bool,
        /// Flags of every administrative command.
        #[command(flatten)]
        admin: AdminFlags,
    },
}

/// An instance of either product.
pub(super) fn instance_id(text: &str) -> Result<InstanceId, IdError> {
    text.parse::<LighthouseInstanceId>().map(InstanceId::from).or_else(|_| text.parse())
}

/// What can be done with keys: those that sign calls, and the master key.
#[derive(Debug, Subcommand)]
pub(crate) enum AnyKeyCommand {
    /// Keys that sign calls.
    #[command(flatten)]
    Signing(KeyCommand),
    /// Give the encrypted disks of a running server another master key. No data is touched.
    ///
    /// Where the key comes from a file, the server makes the new one and writes it there; back the file up afterwards.
    /// Where it comes from a variable or a command, put the new key in front of the old one, restart the server, and call
    /// this. Broken off at any point, call it again: until it is done the old and the new key both open.
    RotateMaster(AdminFlags),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_command_lines_parse() {
        for line in [
            "ashlar serve",
            "ashlar serve --config a.toml --data-dir d --api-listen 127.0.0.1:0 --nbd-listen unix:x --nbd-listen 127.0.0.1:0 --json-log",
            "ashlar instance add --zone ap-guangzhou-3",
            "ashlar instance add --zone ap-guangzhou-3 --name n --id ins-00000001 --data-dir d --json",
            "ashlar instance add --zone ap-guangzhou-3 --product lighthouse --system-disk 50",
            "ashlar instance add --zone ap-guangzhou-3 --address 10.0.0.7",
            "ashlar instance list --data-dir d --json",
            "ashlar instance list --account 100000000002",
            "ashlar instance remove ins-00000001 --data-dir d --json",
            "ashlar balance show --account 100000000001 --json",
            "ashlar balance set 12.50 --account 100000000001",
            "ashlar balance add 100 --account 100000000001",
            "ashlar balance unlimited --account 100000000001",
            "ashlar balance ledger --account 100000000001 --offset 10 --limit 5 --json",
            "ashlar limit list --account 100000000001",
            "ashlar limit set disks_per_instance 30 --account 100000000001",
            "ashlar limit reset disks_per_instance --account 100000000001",
            "ashlar disk show disk-00000001 --data-dir d --json",
            "ashlar account add dev --json",
            "ashlar account list --data-dir d",
            "ashlar account disable 100000000002",
            "ashlar account enable 100000000002",
            "ashlar user add alice --account 100000000001 --json",
            "ashlar user list",
            "ashlar user remove alice",
            "ashlar key add --account 100000000001 --user alice --json",
            "ashlar key list --user alice",
            "ashlar key disable AKID0 --account 100000000001",
            "ashlar key enable AKID0",
            "ashlar key remove AKID0",
            "ashlar policy attach --user alice --file read.json --name read",
            "ashlar policy detach --user alice --file read.json",
            "ashlar policy detach --role auditor --name read",
            "ashlar policy list --role auditor --json",
            "ashlar role add auditor --trust trust.json --max-session 3600",
            "ashlar role list",
            "ashlar role remove auditor",
            "ashlar mfa enrol --user alice",
            "ashlar mfa remove --account 100000000001",
            "ashlar network allow 10.0.0.0/8",
            "ashlar network deny 10.1.0.0/16 --account 100000000001",
            "ashlar network list --json",
            "ashlar network remove 10.0.0.0/8",
            "ashlar bill --from 2026-11-01T00:00:00+08:00 --to 2026-12-01T00:00:00+08:00 --by tag:team --account 100000000001 --json",
            "ashlar schedule --data-dir d --json",
            "ashlar schedule isolate asp-00000001 asp-00000002 --data-dir d --json",
            "ashlar schedule release --account 100000000001",
            "ashlar instance remove ins-00000001 --with-disks",
            "ashlar snapshot deleted --data-dir d --json",
            "ashlar snapshot restore snap-00000001 --data-dir d",
            "ashlar snapshot lock snap-00000001 --until 2027-01-01T00:00:00+08:00",
            "ashlar status --data-dir d --json",
            "ashlar serve --test-clock",
            "ashlar clock show --data-dir d --json",
            "ashlar clock advance 45d --data-dir d",
            "ashlar clock advance -3h --json",
            "ashlar clock set 2027-01-01T03:00:00+08:00",
            "ashlar check --data-dir d --json",
            "ashlar du --data-dir d --json",
            "ashlar fix-snapshot --instance ins-00000001 --name OpenSSL --data-dir d --json",
            "ashlar fix-snapshot --instance lhins-00000001 --name OpenSSL",
            "ashlar du --wait",
            "ashlar serve --master-key-file k",
            "ashlar key rotate-master --data-dir d --json",
            "ashlar check --repair",
            "ashlar scrub --rate 50 disk-00000001 disk-00000002 --data-dir d --json",
            "ashlar scrub --cancel",
            "ashlar status --json",
            "ashlar status --metrics",
        ] {
            Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}: {error}"));
        }
        for line in [
            "ashlar",
            "ashlar instance add",
            "ashlar instance add --zone ap-guangzhou-3 --address 10.0.0.256",
            "ashlar serve --nope",
            "ashlar instance remove",
            "ashlar policy list",
            "ashlar schedule isolate",
            "ashlar policy detach --user a",
            "ashlar fix-snapshot --instance ins-00000001",
            "ashlar fix-snapshot --name OpenSSL",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
