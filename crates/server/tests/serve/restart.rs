//! Stopping, being killed, and what is still there afterwards.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::call::{Client, add_instance, small_disk};
use crate::harness::{Home, refused, run};

#[test]
fn sigterm_and_sigint_stop_a_server_cleanly() {
    for signal in [Signal::TERM, Signal::INT] {
        let home = Home::new();
        let server = home.start();
        server.signal(signal);
        let (status, log) = server.wait_with_log();
        assert!(status.success());
        assert!(log.iter().any(|line| line.contains("stopped")), "{log:?}");
        assert!(
            !log.iter().any(|line| line.contains("WARN") || line.contains("ERROR")),
            "nothing was cut off: {log:?}"
        );
        assert!(!home.data_dir().join("admin.sock").exists());
        assert!(!home.data_dir().join("nbd.sock").exists());
        run(&mut home.ashlar(&["check"]), 0);
    }
}

#[test]
fn a_client_that_says_nothing_does_not_hold_the_stop_up() {
    let home = Home::new();
    let server = home.start();
    let host = server.endpoint.strip_prefix("http://").unwrap().to_owned();
    let _silent = std::net::TcpStream::connect(&host).unwrap();
    let mut half = std::net::TcpStream::connect(&host).unwrap();
    std::io::Write::write_all(&mut half, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Le").unwrap();
    let _nbd = std::os::unix::net::UnixStream::connect(home.data_dir().join("nbd.sock")).unwrap();
    let started = jiff::Timestamp::now();
    assert!(server.stop().success());
    let taken = jiff::Timestamp::now().duration_since(started);
    assert!(taken.unsigned_abs() < Duration::from_secs(10), "{taken:?}");
}

#[test]
fn a_second_signal_stops_at_once() {
    let home = Home::new();
    let server = home.start();
    let host = server.endpoint.strip_prefix("http://").unwrap().to_owned();
    let mut half = std::net::TcpStream::connect(&host).unwrap();
    std::io::Write::write_all(&mut half, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Le").unwrap();
    server.signal(Signal::TERM);
    server.log_line("stopping");
    server.signal(Signal::TERM);
    server.log_line("a second SIGTERM: stopped at once");
    assert_eq!(server.wait().code(), Some(1));
    run(&mut home.ashlar(&["check"]), 0);
}

#[test]
fn answered_calls_survive_kill_9() {
    let home = Home::new();
    let server = home.start();
    let client = Client::new(&home, &server);
    let instance = add_instance(&home, "ap-guangzhou-3");
    let disk = client.succeed("CreateDisks", &small_disk())["DiskIdSet"][0].clone();
    client.succeed("AttachDisks", &json!({"DiskIds": [disk], "InstanceId": instance}));
    let snapshot =
        client.succeed("CreateSnapshot", &json!({"DiskId": disk, "SnapshotName": "s"}))["SnapshotId"].clone();
    server.kill();

    let (summary, _) = run(&mut home.ashlar(&["check"]), 0);
    assert!(summary.contains("clean"), "{summary}");
    let server = home.start();
    let client = Client::new(&home, &server);
    let disks = client.succeed("DescribeDisks", &json!({"DiskIds": [disk]}));
    assert_eq!(disks["DiskSet"][0]["DiskState"], "ATTACHED");
    assert_eq!(disks["DiskSet"][0]["InstanceId"], json!(instance));
    let snapshots = client.succeed("DescribeSnapshots", &json!({"SnapshotIds": [snapshot]}));
    assert_eq!(snapshots["SnapshotSet"][0]["SnapshotName"], "s");
    assert!(server.stop().success());
    let (report, _) = run(&mut home.ashlar(&["check", "--json"]), 0);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["findings"], json!([]));
}

#[test]
fn a_lost_volume_is_found() {
    let home = Home::new();
    let server = home.start();
    let disk = Client::new(&home, &server).succeed("CreateDisks", &small_disk())["DiskIdSet"][0].clone();
    let disk = disk.as_str().unwrap();
    assert!(server.stop().success());
    std::fs::remove_dir_all(home.data_dir().join("pools/ap-guangzhou")).unwrap();

    let (findings, verdict) = run(&mut home.ashlar(&["check"]), 1);
    assert!(findings.contains(disk), "{findings}");
    assert!(verdict.contains("1 invariant is broken"), "{verdict}");
    let (report, _) = run(&mut home.ashlar(&["check", "--json"]), 1);
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["findings"][0]["region"], "ap-guangzhou");

    let line =
        refused(&mut home.ashlar(&["serve", "--api-listen", "127.0.0.1:0", "--nbd-listen", "127.0.0.1:0"]));
    assert!(line.contains("pools/ap-guangzhou is missing, with 1 disks"), "{line}");
}

#[test]
fn a_damaged_pool_is_a_finding_and_no_server_starts_on_it() {
    let home = Home::new();
    let server = home.start();
    Client::new(&home, &server).succeed("CreateDisks", &small_disk());
    assert!(server.stop().success());
    let map = home.data_dir().join("pools/ap-guangzhou/map.redb");
    let mut bytes = std::fs::read(&map).unwrap();
    bytes[4096..].fill(0xa5);
    std::fs::write(&map, bytes).unwrap();

    let (findings, verdict) = run(&mut home.ashlar(&["check"]), 1);
    assert!(findings.starts_with("ap-guangzhou: "), "{findings}");
    assert!(verdict.contains("broken"), "{verdict}");
    let serve = ["serve", "--api-listen", "127.0.0.1:0", "--nbd-listen", "127.0.0.1:0"];
    let (greeting, why) = run(&mut home.ashlar(&serve), 1);
    assert_eq!(greeting, "");
    assert!(why.contains("pool"), "{why}");
}
