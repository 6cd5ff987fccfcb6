//! The binary `ashlar`: configuration, listeners, the API's handlers, shutdown, the administrative commands.
//!
//! The order of reading: `cli` and `config` (what was asked for), `serve` (how the parts are put together and
//! taken apart), `http`, `service` and `cbs` (the way of a call), `admin` and `check` (the operator's commands), `master_key` (what encrypted disks need).

mod access;
mod admin;
mod cbs;
mod check;
mod cli;
mod clock;
mod config;
mod cvm;
mod cwp;
mod data_dir;
mod exports;
mod failure;
mod faults;
mod http;
mod lighthouse;
mod logging;
mod master_key;
mod memory;
mod output;
mod pools;
mod random;
mod scrub;
mod serve;
mod service;
mod stop;
mod sts;
mod tag;
mod unix_socket;

use std::process::ExitCode;

use clap::Parser;

use crate::admin::access::AccessCommand;
use crate::admin::protocol::AdminCommand;
use crate::cli::{AdminFlags, AnyKeyCommand, Cli, Command};
use crate::config::process_environment;
use crate::failure::Failure;

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::failure(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(command: Command) -> Result<(), Failure> {
    // Whatever is made below is for this user alone.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let _ = memory::share_between_threads();
    match command {
        Command::Serve(flags) => serve::run(flags, &process_environment),
        Command::Instance(command) => admin::client::run(command, &process_environment),
        Command::Balance(command) => {
            let (command, flags) = admin::money::balance_request(command);
            admin::client::exchange(command, flags, &process_environment)
        }
        Command::Limit(command) => {
            let (command, flags) = admin::money::limit_request(command);
            admin::client::exchange(command, flags, &process_environment)
        }
        Command::Disk(command) => {
            let (command, flags) = admin::disk::request(command);
            admin::client::exchange(command, flags, &process_environment)
        }
        Command::Account(command) => access(Ok(admin::access::account(command))),
        Command::User(command) => access(Ok(admin::access::user(command))),
        Command::Key(AnyKeyCommand::Signing(command)) => access(Ok(admin::access::key(command))),
        Command::Key(AnyKeyCommand::RotateMaster(flags)) => {
            admin::client::exchange(AdminCommand::RotateMasterKey, flags, &process_environment)
        }
        Command::Policy(command) => access(admin::access::policy(command)),
        Command::Role(command) => access(admin::access::role(command)),
        Command::Mfa(command) => access(Ok(admin::access::mfa(command))),
        Command::Network(command) => access(Ok(admin::access::network(command))),
        Command::Bill(flags) => {
            let (command, flags) = admin::bill::request(flags);
            admin::client::exchange(command, flags, &process_environment)
        }
        Command::Schedule(arguments) => {
            let (command, flags) = admin::schedule::request(arguments);
            admin::client::exchange(command, flags, &process_environment)
        }
        Command::Snapshot(command) => {
            let (command, flags) = admin::snapshot::request(command);
            admin::client::exchange(command, flags, &process_environment)
        }
        Command::FixSnapshot(flags) => {
            let (command, flags) = admin::fix_snapshot::request(flags);
            admin::client::exchange(command, flags, &process_environment)
        }
        Command::Du(flags) => admin::reclaim::run(flags, &process_environment),
        Command::Clock(command) => {
            let (command, flags) = admin::clock::request(command);
            admin::client::exchange(command, flags, &process_environment)
        }
        Command::Check(flags) => check::run(flags, &process_environment),
        Command::Scrub(flags) => admin::scrub::run(flags, &process_environment),
        Command::Status(flags) => admin::client::status(flags, &process_environment),
    }
}

/// Sends a command about accounts and prints what is answered.
fn access(request: Result<(AccessCommand, AdminFlags), Failure>) -> Result<(), Failure> {
    let (command, flags) = request?;
    admin::client::exchange(AdminCommand::Access(command), flags, &process_environment)
}
