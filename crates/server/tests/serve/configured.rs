//! What the configuration file changes, seen from outside.

use serde_json::{Value, json};

use crate::call::{Client, small_disk};
use crate::harness::{Home, refused};

#[test]
fn limits_disk_types_and_rates_come_from_the_file() {
    let home = Home::new();
    let config = home.file(
        "ashlar.toml",
        "json_log = true\n\
         rate_limits = { requests_per_second = 1000, actions = { GetSnapOverview = 1 } }\n\
         [limits]\nsnapshots_per_disk = 1\n\
         [disk_types.CLOUD_SSD]\navailable = false\n",
    );
    let server = home.start_with(&["--config", config.to_str().unwrap()]);
    let client = Client::new(&home, &server);
    let disk = client.succeed("CreateDisks", &small_disk())["DiskIdSet"][0].clone();
    client.succeed("CreateSnapshot", &json!({"DiskId": disk}));
    assert_eq!(client.refusal("CreateSnapshot", &json!({"DiskId": disk})), "InsufficientSnapshotQuota");
    let mut ssd = small_disk();
    ssd["DiskType"] = Value::from("CLOUD_SSD");
    ssd["DiskSize"] = Value::from(20);
    assert_eq!(client.refusal("CreateDisks", &ssd), "InvalidParameter.DiskConfigNotSupported");
    // The count begins anew with each second of the clock; of so many calls two fall into one.
    let overview = || client.call("GetSnapOverview", &json!({}))["Error"]["Code"].clone();
    assert!((0..200).any(|_| overview() == "RequestLimitExceeded"));
}

#[test]
fn log_lines_for_machines_are_json_without_secrets() {
    let home = Home::new();
    let server = home.start_with(&["--json-log"]);
    let client = Client::new(&home, &server);
    client.succeed("CreateDisks", &small_disk());
    client.refusal("TerminateDisks", &json!({"DiskIds": ["disk-00000000"]}));
    let secret = home.admin_env("TENCENTCLOUD_SECRET_KEY");
    for (action, code) in [("CreateDisks", "OK"), ("TerminateDisks", "InvalidDiskId.NotFound")] {
        let line = server.log_line(action);
        assert!(!line.contains(&secret), "{line}");
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&line["action"], &line["code"]), (&json!(action), &json!(code)), "{line}");
        assert!(
            line["account"].is_u64() && line["request_id"].is_string() && line["duration_ms"].is_u64(),
            "{line}"
        );
    }
}

#[test]
fn a_default_region_must_exist() {
    let home = Home::new();
    let config = home.file("ashlar.toml", "default_region = \"ap-atlantis\"\n");
    let line = refused(&mut home.ashlar(&[
        "serve",
        "--api-listen",
        "127.0.0.1:0",
        "--nbd-listen",
        "127.0.0.1:0",
        "--config",
        config.to_str().unwrap(),
    ]));
    assert!(line.contains("ap-atlantis") && line.contains("ap-guangzhou"), "{line}");
}
