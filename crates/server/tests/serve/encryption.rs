//! The master key from outside: where it comes from, starts without it, its exchange.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::call::Client;
use crate::harness::{Home, Server, mode, refused, run};

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// The key that the first start made in the user's folder.
fn key_file(home: &Home) -> PathBuf {
    let files = home.path("config/ashlar").read_dir().unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.pop().unwrap()
}

/// A file with a key, for this user alone.
fn private_file(home: &Home, name: &str, key: &str) -> PathBuf {
    let path = home.file(name, key);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn key_of(file: &PathBuf) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let keys: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(keys.len(), 1, "one key");
    keys[0].to_owned()
}

/// Whether some file of the data directory holds these bytes.
fn data_dir_holds(home: &Home, wanted: &[u8]) -> bool {
    let mut folders = vec![home.data_dir()];
    while let Some(folder) = folders.pop() {
        for entry in folder.read_dir().unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                let bytes = std::fs::read(entry.path()).unwrap();
                if bytes.windows(wanted.len()).any(|window| window == wanted) {
                    return true;
                }
            }
        }
    }
    false
}

fn encrypted_disk(home: &Home, server: &Server) -> Value {
    let client = Client::new(home, server);
    let wanted = json!({
        "Placement": {"Zone": "ap-guangzhou-3"}, "DiskChargeType": "POSTPAID_BY_HOUR", "DiskType": "CLOUD_PREMIUM",
        "DiskSize": 10, "Encrypt": "ENCRYPT",
    });
    let made = client.succeed("CreateDisks", &wanted);
    let shown = client.succeed("DescribeDisks", &json!({"DiskIds": made["DiskIdSet"]}));
    shown["DiskSet"][0].clone()
}

#[test]
fn the_first_start_makes_a_key_outside_and_later_starts_need_it() {
    let home = Home::new();
    let server = home.start();
    let hints: Vec<_> = (0..5).map(|_| server.next_line()).collect();
    let file = key_file(&home);
    assert!(hints[3].contains(file.to_str().unwrap()) && hints[4].contains("Back it up"), "{hints:?}");
    assert_eq!((mode(&file), mode(file.parent().unwrap())), (0o600, 0o700));
    let key = key_of(&file);
    assert!(!data_dir_holds(&home, key.as_bytes()) && !hints.iter().any(|line| line.contains(&key)));

    let disk = encrypted_disk(&home, &server);
    assert_eq!((&disk["Encrypt"], &disk["EncryptType"]), (&json!(true), &json!("ENCRYPT_V2")));
    let key_id = disk["KmsKeyId"].as_str().unwrap();
    assert_eq!(file.file_name().unwrap().to_str().unwrap(), format!("{key_id}.key"));
    assert!(server.stop().success());

    let elsewhere = home.path("kept.key");
    std::fs::rename(&file, &elsewhere).unwrap();
    let line = refused(&mut home.ashlar(&["serve", "--api-listen", "127.0.0.1:0"]));
    assert!(line.contains("at hand: none") && line.contains(file.to_str().unwrap()), "{line}");
    assert!(!file.exists(), "no other key is made in its place");

    let wrong = private_file(&home, "wrong.key", OTHER);
    let arguments = ["serve", "--api-listen", "127.0.0.1:0", "--master-key-file", wrong.to_str().unwrap()];
    let line = refused(&mut home.ashlar(&arguments));
    assert!(line.contains("need the master key") && line.contains(wrong.to_str().unwrap()), "{line}");
    assert!(!line.contains(OTHER) && !line.contains(&key), "{line}");

    // Neither is needed to prove that the stored bytes are sound.
    run(&mut home.ashlar(&["check"]), 0);
    let server = home.start_with(&["--master-key-file", elsewhere.to_str().unwrap()]);
    assert_eq!(encrypted_disk(&home, &server)["KmsKeyId"], json!(key_id), "the name of the key stays");
    assert!(server.stop().success());
}

#[test]
fn a_key_comes_from_a_variable_or_a_command_and_none_is_made() {
    let home = Home::new();
    let config = home.file("ashlar.toml", &format!("master_key_command = ['echo', '{KEY}']\n"));
    let server = home.start_with(&["--config", config.to_str().unwrap()]);
    encrypted_disk(&home, &server);
    assert!(server.stop().success());
    assert!(!home.path("config").exists());

    let mut with_variable = home.ashlar(&["serve", "--api-listen", "127.0.0.1:0"]);
    let line = refused(with_variable.env("ASHLAR_MASTER_KEY", OTHER));
    assert!(line.contains("ASHLAR_MASTER_KEY has to hold it"), "{line}");
    let line = refused(with_variable.env("ASHLAR_MASTER_KEY", "abc"));
    assert!(line.contains("ASHLAR_MASTER_KEY") && line.contains("64 hexadecimal digits"), "{line}");
    let line = refused(with_variable.env("ASHLAR_MASTER_KEY_FILE", "/nonexistent"));
    assert!(line.contains("both set"), "{line}");

    std::fs::write(home.data_dir().join("master.key"), KEY).unwrap();
    let inside = home.data_dir().join("master.key");
    let arguments = ["serve", "--api-listen", "127.0.0.1:0", "--master-key-file", inside.to_str().unwrap()];
    let line = refused(&mut home.ashlar(&arguments));
    assert!(line.contains("protects nothing"), "{line}");
}

#[test]
fn the_master_key_is_exchanged_while_the_server_runs() {
    let home = Home::new();
    let server = home.start();
    encrypted_disk(&home, &server);
    encrypted_disk(&home, &server);
    let file = key_file(&home);
    let before = key_of(&file);
    let kept = private_file(&home, "before.key", &before);
    let (stdout, _) = run(&mut home.ashlar(&["key", "rotate-master", "--json"]), 0);
    let rotated: Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!((&rotated["data_keys"], &rotated["file"]), (&json!(2), &json!(file.to_str().unwrap())));
    let after = key_of(&file);
    assert_ne!(before, after);
    assert!(!stdout.contains(&after));
    encrypted_disk(&home, &server);
    assert!(server.stop().success());
    let arguments = ["serve", "--api-listen", "127.0.0.1:0", "--master-key-file", kept.to_str().unwrap()];
    assert!(
        refused(&mut home.ashlar(&arguments)).contains("need the master key"),
        "the old key is of no use"
    );
    let server = home.start();
    assert!(server.stop().success());
    run(&mut home.ashlar(&["check"]), 0);
}

/// What a crash in the middle of an exchange leaves: two keys in the file, data keys of either. The server starts, says so,
/// and the next exchange finishes it.
#[test]
fn an_exchange_that_was_broken_off_is_finished() {
    let home = Home::new();
    let server = home.start();
    encrypted_disk(&home, &server);
    let file = key_file(&home);
    assert!(server.stop().success());
    std::fs::write(&file, format!("{OTHER}\n{}\n", key_of(&file))).unwrap();
    let server = home.start();
    server.log_line("more than one master key");
    encrypted_disk(&home, &server);
    let (stdout, _) = run(&mut home.ashlar(&["key", "rotate-master"]), 0);
    assert!(stdout.contains("1 data keys were wrapped anew"), "{stdout}");
    assert_eq!(key_of(&file), OTHER, "the key that was begun with, not a third one");
    assert!(server.stop().success());
    assert!(home.start().stop().success());
}
