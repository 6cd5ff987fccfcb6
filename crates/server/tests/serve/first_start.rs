//! What a newcomer finds after the first start.

use crate::harness::{Home, mode};

#[test]
fn the_first_start_leaves_a_key_an_endpoint_and_three_lines() {
    let home = Home::new();
    let server = home.start();
    let data_dir = home.data_dir();
    for (name, bits) in
        [("", 0o700), ("admin.env", 0o600), ("admin.sock", 0o600), ("lock", 0o600), ("control.db", 0o600)]
    {
        assert_eq!(mode(&data_dir.join(name)), bits, "{name}");
    }
    assert!(home.admin_env("TENCENTCLOUD_SECRET_ID").starts_with("AKID"));
    assert_eq!(home.admin_env("TENCENTCLOUD_SECRET_KEY").len(), 32);
    assert_eq!(home.admin_env("TENCENTCLOUD_REGION"), "ap-guangzhou");
    assert_eq!(home.admin_env("ASHLAR_ENDPOINT"), server.endpoint);
    assert!(!server.endpoint.ends_with(":0"), "{}", server.endpoint);

    let hints: Vec<_> = (0..3).map(|_| server.next_line()).collect();
    assert!(hints[0].contains("admin.env"), "{hints:?}");
    assert!(hints[1].contains("ashlar instance add"), "{hints:?}");
    assert!(hints[2].contains("nbd+unix:///"), "{hints:?}");
    let secret = home.admin_env("TENCENTCLOUD_SECRET_KEY");
    assert!(
        !server.greeting.iter().chain(&hints).any(|line| line.contains(&secret)),
        "no secret on the terminal"
    );
}

#[test]
fn the_key_stays_and_the_endpoint_follows() {
    let home = Home::new();
    let server = home.start();
    let key = home.admin_env("TENCENTCLOUD_SECRET_KEY");
    assert!(server.stop().success());
    let server = home.start();
    assert_eq!(home.admin_env("TENCENTCLOUD_SECRET_KEY"), key);
    assert_eq!(home.admin_env("ASHLAR_ENDPOINT"), server.endpoint);
}
