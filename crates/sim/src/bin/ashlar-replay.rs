//! `ashlar-replay LOG IMAGE -- COMMAND...`: replays a block log, and at every flush lets COMMAND judge the image that the pool
//! recovers to. The first image that it refuses ends the replay and stays where it is.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "it talks to a person at a terminal")]

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use ashlar_sim::replay::{Log, replay};

fn run(arguments: &[String]) -> Result<String, String> {
    let [log, image, separator, program, rest @ ..] = arguments else {
        return Err("usage: ashlar-replay LOG IMAGE -- COMMAND...".to_owned());
    };
    if separator != "--" {
        return Err("usage: ashlar-replay LOG IMAGE -- COMMAND...".to_owned());
    }
    let log = Log::read(&PathBuf::from(log))?;
    let judge = |when: &str| {
        let output =
            Command::new(program).args(rest).output().map_err(|error| format!("{program}: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        let said = [output.stdout, output.stderr].concat();
        Err(format!("{when}: {program}: {}\n{}", output.status, String::from_utf8_lossy(&said)))
    };
    let judged = replay(&log, &PathBuf::from(image), judge)?;
    Ok(format!("{} requests, {} flushes, {judged} images: all sound", log.entries.len(), log.flushes()))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{failure}");
            ExitCode::FAILURE
        }
    }
}
