//! `cargo xtask sim --seconds N [--seed S]`: plays one history after the other until the time is over.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person at a terminal")]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const USAGE: &str = "usage: cargo xtask sim --seconds N [--seed S]";

struct Arguments {
    seconds: u64,
    seed: u64,
    /// Play only the history of `seed`.
    only_one: bool,
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let (mut seconds, mut seed) = (None, None);
    let mut rest = arguments;
    while let Some(flag) = rest.next() {
        let value = rest.next().ok_or_else(|| format!("`{flag}` lacks a value\n{USAGE}"))?;
        let number: u64 =
            value.parse().map_err(|_| format!("{flag} `{value}`: expected a number\n{USAGE}"))?;
        match flag.as_str() {
            "--seconds" => seconds = Some(number),
            "--seed" => seed = Some(number),
            other => return Err(format!("unknown flag `{other}`\n{USAGE}")),
        }
    }
    if seconds.is_none() && seed.is_none() {
        return Err(USAGE.to_owned());
    }
    Ok(Arguments { seconds: seconds.unwrap_or(0), seed: seed.unwrap_or(1), only_one: seconds.is_none() })
}

#[expect(
    clippy::disallowed_methods,
    reason = "the person said how long it shall take; no history sees the time"
)]
fn now() -> Instant {
    Instant::now()
}

fn main() -> ExitCode {
    let arguments = match parse(std::env::args().skip(1)) {
        Ok(arguments) => arguments,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::from(2);
        }
    };
    let end = now() + Duration::from_secs(arguments.seconds);
    let (mut histories, mut steps, mut requests, mut power_cuts) = (0, 0, 0, 0);
    let mut events: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in arguments.seed.. {
        match ashlar_sim::run(seed) {
            Ok(report) => {
                println!(
                    "seed {seed}: digest {:016x}, {} steps, {} requests, {} power cuts",
                    report.digest, report.steps, report.requests, report.power_cuts
                );
                histories += 1;
                steps += report.steps;
                requests += report.requests;
                power_cuts += report.power_cuts;
                for (event, count) in report.events {
                    *events.entry(event).or_default() += count;
                }
            }
            Err(failure) => {
                eprintln!("{failure}\nreplay: cargo xtask sim --seed {seed}");
                return ExitCode::FAILURE;
            }
        }
        if arguments.only_one || now() >= end {
            break;
        }
    }
    let events: Vec<String> = events.iter().map(|(event, count)| format!("{event} {count}")).collect();
    println!("{}", events.join(", "));
    println!(
        "{histories} histories, {steps} steps, {requests} requests, {power_cuts} power cuts: nothing was lost"
    );
    ExitCode::SUCCESS
}
