//! Planned faults in the whole server: what the NBD client hears, and what a start says.

use serde_json::json;

use crate::call::{Client, add_instance, small_disk};
use crate::harness::{Home, Server, refused, run};
use crate::nbd::{EIO, ENOSPC, Nbd};

const BLOCK: usize = 4096;

/// A data directory with one attached disk whose first two blocks were written and flushed.
fn home_with_disk() -> (Home, String) {
    let home = Home::new();
    let server = home.start();
    let client = Client::new(&home, &server);
    let instance = add_instance(&home, "ap-guangzhou-3");
    let disk = client.succeed("CreateDisks", &small_disk())["DiskIdSet"][0].as_str().unwrap().to_owned();
    client.succeed("AttachDisks", &json!({"DiskIds": [disk], "InstanceId": instance}));
    let mut nbd = Nbd::open(&home, &disk);
    nbd.write(0, &[1; 2 * BLOCK]).unwrap();
    nbd.flush().unwrap();
    drop(nbd);
    assert!(server.stop().success());
    (home, disk)
}

fn start(home: &Home, plan: &str) -> Server {
    let plan = home.file("faults.toml", plan);
    home.start_with(&["--fault-plan", plan.to_str().unwrap()])
}

fn rule(place: &str, call: &str, kind: &str) -> String {
    format!("[[fault]]\n{place}\ncall = \"{call}\"\nkind = \"{kind}\"\n")
}

/// Nothing planned happens any more: what was flushed is there, and the pool is sound.
fn assert_recovers(home: &Home, disk: &str) {
    let server = home.start();
    let mut nbd = Nbd::open(home, disk);
    assert_eq!(nbd.read(0, BLOCK as u32).unwrap(), [1; BLOCK]);
    nbd.write(0, &[1; BLOCK]).unwrap();
    nbd.flush().unwrap();
    drop(nbd);
    assert!(server.stop().success());
    run(&mut home.ashlar(&["check"]), 0);
}

#[test]
fn a_read_error_is_the_answer_to_that_read_alone() {
    let (home, disk) = home_with_disk();
    let server = start(&home, &(rule("file = \"data\"", "read", "error") + "first = 1\nlast = 1\n"));
    let mut nbd = Nbd::open(&home, &disk);
    assert_eq!(nbd.read(0, BLOCK as u32), Err(EIO));
    assert_eq!(nbd.read(0, BLOCK as u32).unwrap(), [1; BLOCK]);
    drop(nbd);
    assert!(server.stop().success());
    assert_recovers(&home, &disk);
}

#[test]
fn a_full_medium_is_told_to_the_writer_and_nothing_else_stops() {
    let (home, disk) = home_with_disk();
    let server = start(&home, &(rule("file = \"data\"", "write", "no-space") + "first = 1\nlast = 1\n"));
    let mut nbd = Nbd::open(&home, &disk);
    assert_eq!(nbd.write(1 << 20, &[2; BLOCK]), Err(ENOSPC));
    nbd.write(1 << 20, &[3; BLOCK]).unwrap();
    nbd.flush().unwrap();
    assert_eq!(nbd.read(1 << 20, BLOCK as u32).unwrap(), [3; BLOCK]);
    drop(nbd);
    assert!(server.stop().success());
    assert_recovers(&home, &disk);
}

/// The journal may share the sync of the data, so it is its record that fails.
#[test]
fn a_failed_commit_ends_all_changes_until_the_next_start() {
    for (file, call) in [("data", "sync"), ("journal", "write")] {
        let (home, disk) = home_with_disk();
        let server =
            start(&home, &(rule(&format!("file = \"{file}\""), call, "error") + "first = 1\nlast = 1\n"));
        let mut nbd = Nbd::open(&home, &disk);
        nbd.write(1 << 20, &[2; BLOCK]).unwrap();
        assert_eq!(nbd.flush(), Err(EIO), "{file}");
        assert_eq!(nbd.flush(), Err(EIO), "{file}: a second sync would prove nothing");
        assert_eq!(nbd.write(0, &[2; BLOCK]), Err(EIO), "{file}");
        assert_eq!(nbd.trim(0, BLOCK as u32), Err(EIO), "{file}");
        assert_eq!(nbd.read(0, BLOCK as u32).unwrap(), [1; BLOCK], "{file}: reading goes on");
        drop(nbd);
        server.kill();
        assert_recovers(&home, &disk);
    }
}

#[test]
fn faults_of_an_export_stay_with_it() {
    let (home, disk) = home_with_disk();
    let plan = rule(&format!("export = \"{disk}\""), "discard", "error")
        + &rule("export = \"disk-zzzzzzzz\"", "read", "error")
        + &rule("export = \"*\"", "read", "slow")
        + "delay_ms = 1\n";
    let server = start(&home, &plan);
    let mut nbd = Nbd::open(&home, &disk);
    assert_eq!(nbd.trim(0, BLOCK as u32), Err(EIO));
    assert_eq!(nbd.read(0, BLOCK as u32).unwrap(), [1; BLOCK]);
    drop(nbd);
    assert!(server.stop().success());
    assert_recovers(&home, &disk);
}

#[test]
fn what_cannot_be_read_refuses_the_start_with_a_reason() {
    let (home, disk) = home_with_disk();
    for (file, call) in [("map", "read"), ("journal", "read"), ("map", "sync"), ("map", "write")] {
        let plan = home.file("faults.toml", &rule(&format!("file = \"{file}\""), call, "error"));
        let mut serve = home.ashlar(&["serve", "--api-listen", "127.0.0.1:0"]);
        serve.args(["--fault-plan", plan.to_str().unwrap()]);
        let output = serve.output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{file} {call}");
        assert!(!stderr.contains("panicked"), "{file} {call}: {stderr}");
        assert!(stderr.contains("cannot open the pool of ap-guangzhou"), "{file} {call}: {stderr}");
    }
    assert_recovers(&home, &disk);
}

#[test]
fn a_wrong_plan_refuses_the_start() {
    let home = Home::new();
    let plan = home.file("faults.toml", &rule("file = \"data\"", "read", "torn"));
    let mut serve = home.ashlar(&["serve", "--api-listen", "127.0.0.1:0"]);
    let line = refused(serve.args(["--fault-plan", plan.to_str().unwrap()]));
    assert!(line.contains("faults.toml") && line.contains("Torn cannot happen to call Read"), "{line}");
    assert!(!home.data_dir().exists());
}
