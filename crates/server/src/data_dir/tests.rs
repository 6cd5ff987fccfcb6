//! Locks, modes and the first key's file.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn a_new_directory_is_private_and_taken_once() {
    let parent = tempfile::tempdir().unwrap();
    let path = parent.path().join("a/b");
    let first = DataDir::create_or_lock(&path).unwrap();
    assert_eq!(mode(&path), 0o700);
    assert_eq!(mode(&path.join("lock")), 0o600);
    let second = DataDir::create_or_lock(&path).expect_err("locked");
    assert_eq!(second.exit_code(), 2);
    assert!(second.to_string().contains("in use by another server"), "{second}");
    drop(first);
    DataDir::create_or_lock(&path).unwrap();
}

#[test]
fn checking_makes_nothing() {
    let parent = tempfile::tempdir().unwrap();
    for path in [parent.path().to_owned(), parent.path().join("missing")] {
        let failure = DataDir::lock_existing(&path).expect_err("no data directory");
        assert_eq!(failure.exit_code(), 2);
    }
    assert_eq!(parent.path().read_dir().unwrap().count(), 0);
}

#[test]
fn the_key_file_is_private_complete_and_follows_the_endpoint() {
    let parent = tempfile::tempdir().unwrap();
    let data_dir = DataDir::create_or_lock(parent.path()).unwrap();
    let secret_id = "AKIDx".parse().unwrap();
    let region = "ap-guangzhou".parse().unwrap();
    let write = |endpoint: &str| {
        data_dir
            .write_admin_env(&AdminEnv { secret_id: &secret_id, secret_key: "k", region: &region, endpoint })
            .unwrap();
        std::fs::read_to_string(data_dir.admin_env()).unwrap()
    };
    assert_eq!(
        write("http://127.0.0.1:1"),
        "TENCENTCLOUD_SECRET_ID=AKIDx\nTENCENTCLOUD_SECRET_KEY=k\nTENCENTCLOUD_REGION=ap-guangzhou\nASHLAR_ENDPOINT=http://127.0.0.1:1\n"
    );
    assert!(write("http://127.0.0.1:2").ends_with("ASHLAR_ENDPOINT=http://127.0.0.1:2\n"));
    assert_eq!(mode(&data_dir.admin_env()), 0o600);
}

#[test]
fn pools_without_records_are_refused() {
    let parent = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(parent.path().join("pools/ap-guangzhou")).unwrap();
    let failure = DataDir::create_or_lock(parent.path()).expect_err("records are missing");
    assert!(failure.to_string().contains("no control.db"), "{failure}");
    std::fs::write(parent.path().join("control.db"), "").unwrap();
    DataDir::create_or_lock(parent.path()).unwrap();
}

#[test]
fn pools_are_the_directories_named_like_regions() {
    let parent = tempfile::tempdir().unwrap();
    let data_dir = DataDir::create_or_lock(parent.path()).unwrap();
    assert_eq!(data_dir.pool_regions().unwrap(), []);
    for name in ["ap-shanghai", "ap-beijing", "lost+found"] {
        std::fs::create_dir_all(parent.path().join("pools").join(name)).unwrap();
    }
    let names: Vec<_> = data_dir.pool_regions().unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(names, ["ap-beijing", "ap-shanghai"]);
}
