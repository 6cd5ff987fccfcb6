//! The description of the model as data.

use std::collections::BTreeSet;

use serde_json::Value;

#[test]
fn the_description_is_json_in_the_vendor_s_terms() {
    let schema: Value = serde_json::from_str(&ashlar_api::schema_json()).unwrap();
    let products: Vec<_> = schema.as_object().unwrap().keys().collect();
    assert!(products.contains(&&"cbs".to_owned()) && products.contains(&&"sts".to_owned()), "{products:?}");
    let schema = &schema["cbs"];
    let create = &schema["actions"]["CreateDisks"];
    assert_eq!((&create["input"], &schema["version"]), (&"CreateDisksRequest".into(), &"2017-03-12".into()));
    assert_eq!(schema["actions"]["DescribeDisks"]["requests_per_second"], 100);
    let member = |direction: &str, object: &str, name: &str| {
        let members = schema[direction][object].as_array().unwrap();
        members.iter().find(|member| member["name"] == name).unwrap().clone()
    };
    let placement = member("inputs", "CreateDisksRequest", "Placement");
    assert_eq!((&placement["type"], &placement["member"]), (&"object".into(), &"Placement".into()));
    assert_eq!(placement["required"], true);
    let disk_ids = member("inputs", "AttachDisksRequest", "DiskIds");
    assert_eq!((&disk_ids["type"], &disk_ids["member"]), (&"list".into(), &"string".into()));
    assert_eq!((&disk_ids["count_max"], &disk_ids["required"]), (&10.into(), &true.into()));
    assert_eq!(member("inputs", "DescribeDisksRequest", "Limit")["range"], serde_json::json!([1, 100]));
    assert_eq!(
        member("inputs", "DescribeDisksRequest", "Order")["choices"],
        serde_json::json!(["ASC", "DESC"])
    );
    assert_eq!(member("inputs", "AttachDisksRequest", "InstanceType")["documented"], false);
    assert_eq!(member("inputs", "CreateSnapshotRequest", "Deadline")["member"], "datetime_iso");
    assert_eq!(member("outputs", "Disk", "DifferDaysOfDeadline")["required"], false);
    assert_eq!(member("outputs", "GetSnapOverviewResponse", "TotalSize")["type"], "float");
}

#[test]
fn no_object_names_a_member_twice() {
    let schema: Value = serde_json::from_str(&ashlar_api::schema_json()).unwrap();
    for product in schema.as_object().unwrap().values() {
        for direction in ["inputs", "outputs"] {
            for (object, members) in product[direction].as_object().unwrap() {
                let names: Vec<&str> =
                    members.as_array().unwrap().iter().map(|m| m["name"].as_str().unwrap()).collect();
                assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "{object}");
            }
        }
    }
}
