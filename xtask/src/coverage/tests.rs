//! The comparison finds each kind of difference, and the list of gaps only shrinks.

use serde_json::json;

use super::*;

fn description(members: &Value, more_actions: &[&str]) -> Description {
    let mut actions = serde_json::Map::new();
    for name in ["Make"].iter().chain(more_actions) {
        actions.insert((*name).to_owned(), json!({"input": "MakeRequest", "output": "MakeResponse"}));
    }
    let tag = json!({"members": [{"name": "Key", "type": "string", "member": "string", "required": true},
                                 {"name": "Parent", "type": "object", "member": "Tag"}]});
    let response = json!({"members": [{"name": "RequestId", "type": "string", "member": "string"}]});
    let objects = json!({"MakeRequest": {"members": members}, "MakeResponse": response, "Tag": tag});
    Description::read(&json!({"actions": actions, "objects": objects})).unwrap()
}

fn member(name: &str, kind: &str, inner: &str, required: bool) -> Value {
    json!({"name": name, "type": kind, "member": inner, "required": required})
}

fn names(vendor: &Description, ours: &Description) -> Vec<String> {
    gaps::find("cbs", vendor, ours).iter().map(ToString::to_string).collect()
}

fn reasons(entries: &[(&str, &str)]) -> Reasons {
    entries.iter().map(|(gap, reason)| ((*gap).to_owned(), (*reason).to_owned())).collect()
}

#[test]
fn each_kind_of_difference_is_a_gap() {
    let vendor = description(
        &json!([
            member("Count", "int", "uint64", true),
            member("Name", "string", "string", false),
            member("Size", "int", "uint64", false),
            member("Tags", "list", "Tag", false),
            member("Ids", "list", "uint64", false),
            member("Zone", "string", "string", false),
        ]),
        &["Break"],
    );
    let ours = description(
        &json!([
            member("Count", "int", "int64", false),
            member("Name", "string", "string", true),
            member("Size", "string", "string", false),
            member("Tags", "list", "Label", false),
            member("Ids", "list", "string", false),
            member("Own", "string", "string", true),
        ]),
        &[],
    );
    assert_eq!(
        names(&vendor, &ours),
        [
            "cbs Break",
            "cbs Make request Count: not required here",
            "cbs Make request Ids: list of string instead of list of int",
            "cbs Make request Name: required here",
            "cbs Make request Size: string instead of int",
            "cbs Make request Tags: list of Label instead of list of object",
            "cbs Make request Zone: missing",
        ]
    );
    assert_eq!(names(&vendor, &vendor), [""; 0]);
}

#[test]
fn objects_are_compared_by_what_is_in_them() {
    let vendor = description(&json!([member("Tags", "list", "Tag", false)]), &[]);
    let value = json!({
        "actions": {"Make": {"input": "In", "output": "Out"}},
        "inputs": {"In": [member("Tags", "list", "Label", false)],
                   "Label": [member("Parent", "object", "Label", false)]},
        "outputs": {"Label": [member("Key", "string", "string", false)]},
    });
    let ours = Description::read(&value).unwrap();
    assert_eq!(names(&vendor, &ours), ["cbs Make request Tags.Key: missing"]);
}

#[test]
fn the_list_of_gaps_only_shrinks() {
    let found = |names: &[&str]| {
        names.iter().map(|name| Gap::Action { product: "cbs".to_owned(), name: (*name).to_owned() }).collect()
    };
    let listed = reasons(&[("cbs A", "no use"), ("cbs B", "too new")]);
    let answer = |names: &[&str], listed: Option<&Reasons>, mode| {
        compare(&found(names), listed, mode).map_err(|error| error.to_string())
    };
    for mode in [Mode::Write, Mode::Check] {
        assert_eq!(answer(&["A", "B"], Some(&listed), mode), Ok(()));
        assert!(answer(&["A", "B", "C"], Some(&listed), mode).unwrap_err().contains("new gaps: cbs C"));
    }
    assert_eq!(answer(&["A", "C"], Some(&listed), Mode::Accept), Ok(()));
    assert_eq!(answer(&["A"], Some(&listed), Mode::Write), Ok(()));
    assert!(answer(&["A"], Some(&listed), Mode::Check).unwrap_err().contains("no gaps any more: cbs B"));
    assert_eq!(answer(&["A"], None, Mode::Write), Ok(()));
    assert!(answer(&["A"], None, Mode::Check).is_err());
}

#[test]
fn every_gap_has_a_reason() {
    let gaps: BTreeSet<Gap> =
        ["A", "C"].map(|name| Gap::Action { product: "cbs".to_owned(), name: name.to_owned() }).into();
    let kept = with_reasons(&gaps, &reasons(&[("cbs A", "no use"), ("cbs B", "too new")]));
    assert_eq!(kept, reasons(&[("cbs A", "no use"), ("cbs C", "")]));
    assert_eq!(read_gaps(&gaps_text(&kept).unwrap()).unwrap(), kept);
    for refused in [check_reasons(&kept), compare(&gaps, Some(&kept), Mode::Check)] {
        let message = refused.unwrap_err().to_string();
        assert!(message.contains("cbs C") && !message.contains("cbs A"), "{message}");
    }
    assert!(compare(&gaps, Some(&kept), Mode::Write).is_ok());
    let blank = reasons(&[("cbs A", "no use"), ("cbs C", " ")]);
    assert!(compare(&gaps, Some(&blank), Mode::Check).is_err());
    assert!(read_gaps(r#"["cbs A"]"#).is_err());
}

#[test]
fn the_number_of_gaps_only_goes_down() {
    let two = reasons(&[("cbs A", "no use"), ("cbs B", "too new")]);
    assert!(check_count(&two, 2).is_ok());
    for (before, hint) in [(1, "close them"), (3, "lower it")] {
        let message = check_count(&two, before).unwrap_err().to_string();
        assert!(message.contains("2 gaps") && message.contains(hint), "{message}");
    }
}

#[test]
fn the_report_names_actions_and_differences() {
    let product = |name: &str| Product {
        name: name.to_owned(),
        version: "2000-01-01".to_owned(),
        vendor: description(&json!([member("Name", "string", "string", false)]), &["Break"]),
        ours: description(&json!([]), &["Own"]),
    };
    let reasons = reasons(&[("cbs Break", "nothing breaks"), ("cbs Make request Name: missing", "no names")]);
    let report = report::markdown(&[product("aaa"), product("cbs")], &reasons);
    let (whole, other) = report.split_once("## `aaa` 2000-01-01").unwrap();
    for line in [
        "## `cbs` 2000-01-01",
        "1 of 2 actions exist.",
        "| Break | not yet |  |",
        "| Make | yes | 1 |",
        "| Own | not in the description |  |",
        "- cbs Break: nothing breaks",
        "- cbs Make request Name: missing: no names",
    ] {
        assert!(whole.lines().any(|given| given == line), "{line}\n{report}");
    }
    assert!(other.lines().any(|line| line == "- aaa Make request Name: missing: "), "{report}");
    assert!(!other.contains("Break"), "{report}");
}

#[test]
fn a_description_that_is_none_is_refused() {
    for value in [
        json!([]),
        json!({"actions": {}}),
        json!({"actions": {"A": {}}, "objects": {}}),
        json!({"actions": {}, "inputs": {}}),
    ] {
        assert!(Description::read(&value).is_err(), "{value}");
    }
}
