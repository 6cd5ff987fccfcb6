//! Starts that must not happen: one line, exit code 2.

use std::net::TcpListener;

use crate::harness::{Home, refused};

#[test]
fn a_data_directory_has_one_server() {
    let home = Home::new();
    let server = home.start();
    let line = refused(&mut home.ashlar(&["serve", "--api-listen", "127.0.0.1:0"]));
    assert!(line.contains("in use by another server"), "{line}");
    let line = refused(&mut home.ashlar(&["check"]));
    assert!(line.contains("in use by another server"), "{line}");
    assert!(server.stop().success());
}

#[test]
fn a_port_in_use_is_named() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let line = refused(&mut home.ashlar(&["serve", "--api-listen", &address]));
    assert!(line.contains(&address) && line.contains("--api-listen"), "{line}");
    let line = refused(&mut home.ashlar(&["serve", "--api-listen", "127.0.0.1:0", "--nbd-listen", &address]));
    assert!(line.contains(&address) && line.contains("--nbd-listen"), "{line}");
}

#[test]
fn nbd_stays_on_this_machine() {
    let home = Home::new();
    let line =
        refused(&mut home.ashlar(&["serve", "--api-listen", "127.0.0.1:0", "--nbd-listen", "0.0.0.0:0"]));
    assert!(line.contains("0.0.0.0") && line.contains("loopback"), "{line}");
    assert!(!home.data_dir().join("control.db").exists(), "refused before anything is made");
}

#[test]
fn an_unknown_key_is_named() {
    let home = Home::new();
    let config = home.file("ashlar.toml", "api_listen = \"127.0.0.1:0\"\ndata_dri = \"x\"\n");
    let line = refused(&mut home.ashlar(&["serve", "--config", config.to_str().unwrap()]));
    assert!(line.contains("data_dri") && line.contains("line 2"), "{line}");
    assert!(!home.data_dir().exists());
}

#[test]
fn check_wants_a_data_directory() {
    let home = Home::new();
    let line = refused(&mut home.ashlar(&["check"]));
    assert!(line.contains("no data directory"), "{line}");
}
