//! `ashlar instance …` against a running server.

use serde_json::{Value, json};

use crate::harness::{Home, refused, run};

#[test]
fn instances_are_added_listed_and_removed() {
    let home = Home::new();
    let _server = home.start();
    let json = |text: String| serde_json::from_str::<Value>(&text).unwrap();

    let (id, _) = run(&mut home.ashlar(&["instance", "add", "--zone", "ap-guangzhou-3"]), 0);
    let id = id.trim();
    assert!(id.starts_with("ins-") && id.len() == 12, "{id}");
    let named =
        "instance add --zone ap-beijing-1 --name web --address 10.0.0.7 --id ins-0000000z --json".split(' ');
    let named: Vec<&str> = named.collect();
    let (added, _) = run(&mut home.ashlar(&named), 0);
    let web = json!({"instance_id": "ins-0000000z", "name": "web", "product": "cvm", "zone": "ap-beijing-1",
        "address": "10.0.0.7"});
    assert_eq!(json(added), web);

    let (_, twice) = run(&mut home.ashlar(&named), 1);
    assert!(twice.contains("ins-0000000z"), "{twice}");
    let (listed, _) = run(&mut home.ashlar(&["instance", "list", "--json"]), 0);
    let listed = json(listed);
    assert_eq!(listed.as_array().unwrap().len(), 2);
    assert!(listed.as_array().unwrap().contains(&web), "{listed}");
    let (text, _) = run(&mut home.ashlar(&["instance", "list"]), 0);
    assert!(text.contains(id) && text.contains("ins-0000000z"), "{text}");

    run(&mut home.ashlar(&["instance", "remove", id]), 0);
    let (removed, _) = run(&mut home.ashlar(&["instance", "remove", "ins-0000000z", "--json"]), 0);
    assert_eq!(json(removed), json!({"instance_id": "ins-0000000z"}));
    let (_, gone) = run(&mut home.ashlar(&["instance", "remove", id]), 1);
    assert!(gone.contains(id), "{gone}");
    let (listed, _) = run(&mut home.ashlar(&["instance", "list", "--json"]), 0);
    assert_eq!(json(listed), json!([]));
}

#[test]
fn a_zone_that_is_not_there_is_refused() {
    let home = Home::new();
    let _server = home.start();
    let (_, message) = run(&mut home.ashlar(&["instance", "add", "--zone", "ap-guangzhou-99"]), 1);
    assert!(message.contains("ap-guangzhou-99"), "{message}");
}

#[test]
fn without_a_server_there_is_one_line_and_exit_code_2() {
    let home = Home::new();
    let line = refused(&mut home.ashlar(&["instance", "list"]));
    assert!(line.contains("no server runs"), "{line}");
}
