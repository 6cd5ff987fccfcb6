//! The input examples of the reference pages decode as they are written there; the output types hold what
//! recorded answers of the service hold.

use ashlar_api::cbs::{Disk, DiskConfig, InstanceType, PlacementOutput, Snapshot, SnapshotMode, Tag};
use ashlar_api::{DateTime, Encode, IntegerFlag, IsoDateTime, OrEmpty, UtcOffset};
use ashlar_types::{
    DiskChargeType, DiskState, DiskType, DiskUsage, ProjectId, SnapshotState, SnapshotType, UnixMillis,
};

use crate::support::{Bench, Tc3, V1};

/// Action, input as the page writes it, and parts that the decoded request must show.
const EXAMPLES: &[(&str, &str, &[&str])] = &[
    (
        "CreateDisks",
        r#"{"Placement": {"ProjectId": "0", "Zone": "ap-guangzhou-2"}, "DiskChargeType": "PREPAID", "DiskCount": "1",
            "DiskType": "CLOUD_HSSD", "ThroughputPerformance": "100", "DiskSize": "500",
            "DiskChargePrepaid": {"RenewFlag": "NOTIFY_AND_AUTO_RENEW", "Period": "1"}}"#,
        &[
            "project_id: Some(ProjectId(0))",
            "throughput_performance: Some(100)",
            "disk_size: Some(500)",
            "period: 1",
        ],
    ),
    (
        "CreateDisks",
        r#"{"DiskName": "postPayDisk", "Placement": {"ProjectId": "0", "Zone": "ap-guangzhou-3"},
            "DiskChargeType": "POSTPAID_BY_HOUR", "DiskCount": "1", "DiskType": "CLOUD_PREMIUM", "DiskSize": "100"}"#,
        &[
            "disk_name: Some(\"postPayDisk\")",
            "zone: ap-guangzhou-3",
            "disk_type: CloudPremium",
            "PostpaidByHour",
        ],
    ),
    (
        "CreateDisks",
        r#"{"Placement": {"ProjectId": "0", "Zone": "ap-guangzhou-2"}, "DiskChargeType": "PREPAID", "DiskCount": "1",
            "DiskType": "CLOUD_BASIC", "DiskChargePrepaid": {"RenewFlag": "NOTIFY_AND_AUTO_RENEW", "Period": "1"},
            "SnapshotId": "snap-iepc4w3h"}"#,
        &["snapshot_id: Some(snap-iepc4w3h)", "disk_size: None", "renew_flag: Some(NotifyAndAutoRenew)"],
    ),
    (
        "DescribeDisks",
        r#"{"Filters": [{"Values": ["ATTACHED"], "Name": "disk-state"}, {"Values": ["DATA_DISK"], "Name": "disk-usage"}]}"#,
        &["Filter { name: \"disk-state\", values: [\"ATTACHED\"] }", "disk_ids: None", "limit: None"],
    ),
    (
        "ModifyDiskAttributes",
        r#"{"DiskName": "test_data_disk", "DiskIds": ["disk-fyctkqsf"]}"#,
        &["disk_ids: [disk-fyctkqsf]", "disk_name: Some(\"test_data_disk\")"],
    ),
    (
        "ResizeDisk",
        r#"{"DiskSize": "200", "DiskId": "disk-lzrg2pwi"}"#,
        &["disk_id: disk-lzrg2pwi", "disk_size: 200"],
    ),
    (
        "DescribeDiskConfigQuota",
        r#"{"InquiryType": "INQUIRY_CBS_CONFIG", "DiskChargeType": "POSTPAID_BY_HOUR", "Zones": ["ap-shanghai-5"],
            "DiskTypes": ["CLOUD_PREMIUM"]}"#,
        &["inquiry_type: CbsConfig", "zones: Some([ap-shanghai-5])", "disk_types: Some([CloudPremium])"],
    ),
    ("InitializeDisks", r#"{"DiskIds": ["disk-ixya2wzy"]}"#, &["disk_ids: [disk-ixya2wzy]"]),
    (
        "TerminateDisks",
        r#"{"DiskIds": ["disk-g27hqe02", "disk-lzrg2pwi"]}"#,
        &["disk_ids: [disk-g27hqe02, disk-lzrg2pwi]", "delete_snapshot: None"],
    ),
    (
        "CreateSnapshot",
        r#"{"SnapshotName": "snap_201711301015", "Deadline": "2022-01-08T09:47:55+00:00", "DiskId": "disk-lzrg2pwi"}"#,
        &["disk_id: Some(disk-lzrg2pwi)", "UnixMillis(1641635275000)"],
    ),
    (
        "DescribeSnapshots",
        r#"{"Filters": [{"Name": "snapshot-state", "Values": ["NORMAL"]}, {"Name": "zone", "Values": ["ap-guangzhou-2"]}]}"#,
        &["Filter { name: \"zone\", values: [\"ap-guangzhou-2\"] }"],
    ),
    (
        "InquirePriceModifyDiskBackupQuota",
        r#"{"DiskId": "disk-l7mxexxc", "DiskBackupQuota": 1}"#,
        &["disk_id: disk-l7mxexxc", "disk_backup_quota: 1"],
    ),
    (
        "InquiryPriceRenewDisks",
        r#"{"DiskChargePrepaids": [{"CurInstanceDeadline": "2018-03-17 15:15:03", "Period": 1}],
            "DiskIds": ["disk-jwk0zvrg"]}"#,
        &["disk_ids: [disk-jwk0zvrg]", "period: 1", "new_deadline: None"],
    ),
    (
        "ModifyDiskBackupQuota",
        r#"{"DiskId": "disk-l7mxexxc", "DiskBackupQuota": 1}"#,
        &["disk_id: disk-l7mxexxc", "disk_backup_quota: 1"],
    ),
    (
        "ModifyDiskExtraPerformance",
        r#"{"ThroughputPerformance": "300", "DiskId": "disk-dritwhhm"}"#,
        &["throughput_performance: 300", "disk_id: disk-dritwhhm"],
    ),
    (
        "ModifyDisksChargeType",
        r#"{"DiskIds": ["disk-jwk0zvrg"], "DiskChargePrepaid": {"Period": 1}}"#,
        &["disk_ids: [disk-jwk0zvrg]", "period: 1", "disk_charge_postpaid: None"],
    ),
    (
        "RenewDisk",
        r#"{"DiskChargePrepaid": {"RenewFlag": "NOTIFY_AND_AUTO_RENEW", "CurInstanceDeadline": "2018-03-30 20:15:03",
            "Period": 1}, "DiskId": "disk-jwk0zvrg"}"#,
        &["renew_flag: Some(NotifyAndAutoRenew)", "2018-03-30", "disk_id: disk-jwk0zvrg"],
    ),
    ("DeleteSnapshots", r#"{"SnapshotIds": ["snap-cgrmci8t"]}"#, &["snapshot_ids: [snap-cgrmci8t]"]),
    (
        "CreateAutoSnapshotPolicy",
        r#"{"AutoSnapshotPolicyName": "backup_data_friday", "Policy": [{"DayOfWeek": [4], "Hour": [0]}]}"#,
        &["Policy { hour: [0], day_of_week: Some([4]), day_of_month: None, interval_days: None }"],
    ),
    (
        "ModifyAutoSnapshotPolicyAttribute",
        r#"{"AutoSnapshotPolicyId": "asp-nqu08k21", "AutoSnapshotPolicyName": "data_disk_auto_snapshot",
            "IsPermanent": "TRUE"}"#,
        &["auto_snapshot_policy_id: asp-nqu08k21", "is_permanent: Some(true)", "policy: None"],
    ),
    (
        "DescribeAutoSnapshotPolicies",
        r#"{"Filters": [{"Name": "auto-snapshot-policy-state", "Values": ["NORMAL"]}]}"#,
        &["Filter { name: \"auto-snapshot-policy-state\", values: [\"NORMAL\"] }"],
    ),
    ("DescribeZones", "{}", &["DescribeZones"]),
    ("DescribeRegions", "{}", &["DescribeRegions"]),
    (
        "DescribeInstances",
        r#"{"Filters": [{"Name": "zone", "Values": ["ap-guangzhou-1"]}], "Limit": 1, "Offset": 0}"#,
        &["Filter { name: \"zone\", values: [\"ap-guangzhou-1\"] }", "limit: Some(1)"],
    ),
    (
        "DescribeInstancesStatus",
        r#"{"InstanceIds": ["ins-r8hr2upy"]}"#,
        &["instance_ids: Some([ins-r8hr2upy])"],
    ),
    (
        "DescribeImages",
        r#"{"Filters": [{"Name": "image-type", "Values": ["PRIVATE_IMAGE"]}], "Limit": 2}"#,
        &["Filter { name: \"image-type\", values: [\"PRIVATE_IMAGE\"] }"],
    ),
    (
        "CreateImage",
        r#"{"ImageName": "test", "SnapshotIds": ["snap-gvbnzy6f"], "ForcePoweroff": "false"}"#,
        &["image_name: \"test\"", "snapshot_ids: Some([snap-gvbnzy6f])"],
    ),
    ("DeleteImages", r#"{"ImageIds": ["img-5k0ys7jp"]}"#, &["image_ids: [img-5k0ys7jp]"]),
    ("DescribeProjects", r#"{"Limit": 1000, "AllList": 0, "Offset": 0}"#, &["all_list: 0", "limit: 1000"]),
    (
        "ModifyResourceTags",
        r#"{"DeleteTags": [{"TagKey": "testTagKey2"}, {"TagKey": "testTagKey1"}],
            "Resource": "qcs::cvm:ap-beijing:uin/1234567:instance/ins-123"}"#,
        &["TagKeyObject { tag_key: \"testTagKey1\" }", "replace_tags: None"],
    ),
    (
        "GetResources",
        r#"{"ResourceList": ["qcs::cvm:ap-beijing:uin/100000558920:instance/ins-123"],
            "TagFilters": [{"TagKey": "11", "TagValue": ["11"]}, {"TagKey": "22", "TagValue": ["22"]}]}"#,
        &["TagFilter { tag_key: \"22\", tag_value: Some([\"22\"]) }", "max_results: None"],
    ),
    (
        "CopyAutoSnapshotPolicyCrossAccount",
        r#"{"AutoSnapshotPolicyIds": ["asp-ljylgbyo"], "TargetAccountUin": "597568700"}"#,
        &["auto_snapshot_policy_ids: [asp-ljylgbyo]", "target_account_uin: \"597568700\""],
    ),
    (
        "CreateDiskBackup",
        r#"{"DiskId": "disk-xxxxxxxx"}"#,
        &["disk_id: disk-xxxxxxxx", "disk_backup_name: None"],
    ),
    ("DescribeDiskBackups", r#"{"Limit": 10, "Offset": 0}"#, &["limit: Some(10)", "offset: Some(0)"]),
    (
        "ApplyDiskBackup",
        r#"{"DiskId": "disk-xxxxxxxx", "DiskBackupId": "dbp-xxxxxxxx"}"#,
        &["disk_backup_id: dbp-xxxxxxxx", "auto_stop_instance: None"],
    ),
    ("DeleteDiskBackups", r#"{"DiskBackupIds": ["dbp-xxxxxxxx"]}"#, &["disk_backup_ids: [dbp-xxxxxxxx]"]),
    (
        "ModifySnapshotsSharePermission",
        r#"{"AccountIds": ["123456789"], "Permission": "SHARE", "SnapshotIds": ["snap-cgrmci8t", "snap-124p951f"]}"#,
        &[
            "account_ids: [\"123456789\"]",
            "permission: Share",
            "snapshot_ids: [snap-cgrmci8t, snap-124p951f]",
        ],
    ),
    (
        "CopySnapshotCrossRegions",
        r#"{"SnapshotId": "snap-ckgjwkqh", "DestinationRegions": ["ap-beijing"]}"#,
        &["destination_regions: [ap-beijing]", "snapshot_id: Some(snap-ckgjwkqh)"],
    ),
    ("DescribeSnapshotOverview", "{}", &["DescribeSnapshotOverview"]),
    (
        "DescribeDiskOperationLogs",
        r#"{"Filters": [{"Name": "disk-id", "Values": ["disk-a1kmcp13"]}], "BeginTime": "2019-11-22 00:00:00"}"#,
        &["name: \"disk-id\"", "end_time: None"],
    ),
    (
        "DescribeSnapshotOperationLogs",
        r#"{"Filters": [{"Name": "snapshot-id", "Values": ["snap-a1kmcp13"]}], "EndTime": "2019-11-22 23:59:59"}"#,
        &["name: \"snapshot-id\"", "begin_time: None"],
    ),
];

type QueryExample = (&'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

/// Action, own parameters of the page's query string, and parts that the decoded request must show.
const QUERY_EXAMPLES: &[QueryExample] = &[
    (
        "AttachDisks",
        &[("DiskIds.0", "disk-lzrg2pwi"), ("InstanceId", "ins-dyzmimrw")],
        &["instance_id: ins-dyzmimrw", "disk_ids: [disk-lzrg2pwi]"],
    ),
    ("GetCallerIdentity", &[], &["GetCallerIdentity"]),
    (
        "AssumeRole",
        &[("RoleArn", "qcs::cam::uin/100015158414:roleName/readOnlyRole"), ("RoleSessionName", "cts")],
        &["readOnlyRole", "role_session_name: \"cts\"", "duration_seconds: None"],
    ),
    (
        "GetFederationToken",
        &[("Name", "SUN"), ("Policy", "%7B%22version%22:%222.0%22%7D")],
        &["%7B%22version"],
    ),
    (
        "InquirePriceModifyDiskExtraPerformance",
        &[("DiskId", "disk-dritwhhm"), ("ThroughputPerformance", "200")],
        &["disk_id: disk-dritwhhm", "throughput_performance: 200"],
    ),
    (
        "InquiryPriceCreateDisks",
        &[
            ("DiskType", "CLOUD_TSSD"),
            ("DiskCount", "1"),
            ("DiskSize", "500"),
            ("DiskChargeType", "PREPAID"),
            ("DiskChargePrepaid.Period", "1"),
            ("ThroughputPerformance", "100"),
        ],
        &["disk_type: CloudTssd", "disk_charge_type: Prepaid", "period: 1"],
    ),
    (
        "InquiryPriceResizeDisk",
        &[("DiskId", "disk-dw0bbzws"), ("DiskSize", "200")],
        &["disk_id: Some(disk-dw0bbzws)", "disk_size: 200", "disk_ids: None"],
    ),
    (
        "ModifyDisksRenewFlag",
        &[("DiskIds.0", "disk-5w50lrms"), ("RenewFlag", "NOTIFY_AND_AUTO_RENEW")],
        &["disk_ids: [disk-5w50lrms]", "renew_flag: NotifyAndAutoRenew"],
    ),
    ("DetachDisks", &[("DiskIds.0", "disk-lzrg2pwi")], &["disk_ids: [disk-lzrg2pwi]", "instance_id: None"]),
    (
        "DescribeInstancesDiskNum",
        &[("InstanceIds.0", "ins-9w5d2buw"), ("InstanceIds.1", "ins-jw0vit58")],
        &["instance_ids: [ins-9w5d2buw, ins-jw0vit58]"],
    ),
    (
        "ModifySnapshotAttribute",
        &[("SnapshotId", "snap-gybrif0z"), ("SnapshotName", "snap_201711301143")],
        &["snapshot_id: snap-gybrif0z", "snapshot_name: Some(\"snap_201711301143\")"],
    ),
    (
        "ApplySnapshot",
        &[("DiskId", "disk-lzrg2pwi"), ("SnapshotId", "snap-gybrif0z")],
        &["disk_id: disk-lzrg2pwi", "snapshot_id: snap-gybrif0z"],
    ),
    ("GetSnapOverview", &[], &["GetSnapOverview"]),
    (
        "DescribeResourceTagsByResourceIds",
        &[
            ("ServiceType", "cvm"),
            ("ResourcePrefix", "instance"),
            ("ResourceRegion", "ap-beijing"),
            ("ResourceIds.0", "ins-1234"),
        ],
        &["service_type: \"cvm\"", "resource_ids: [\"ins-1234\"]"],
    ),
    (
        "BindAutoSnapshotPolicy",
        &[("AutoSnapshotPolicyId", "asp-mrsrn243"), ("DiskIds.0", "disk-dw0bbzws")],
        &["auto_snapshot_policy_id: asp-mrsrn243", "disk_ids: Some([disk-dw0bbzws])"],
    ),
    (
        "UnbindAutoSnapshotPolicy",
        &[("AutoSnapshotPolicyId", "asp-mrsrn243"), ("DiskIds.0", "disk-dw0bbzws")],
        &["auto_snapshot_policy_id: asp-mrsrn243", "instance_ids: None"],
    ),
    (
        "DeleteAutoSnapshotPolicies",
        &[("AutoSnapshotPolicyIds.0", "asp-mrsrn243"), ("AutoSnapshotPolicyIds.1", "asp-3lp17ev3")],
        &["auto_snapshot_policy_ids: [asp-mrsrn243, asp-3lp17ev3]"],
    ),
    ("DescribeDiskAssociatedAutoSnapshotPolicy", &[("DiskId", "disk-dw0bbzws")], &["disk_id: disk-dw0bbzws"]),
    ("DescribeSnapshotSharePermission", &[("SnapshotId", "snap-asxafa65")], &["snapshot_id: snap-asxafa65"]),
    (
        "CreateSnapshotGroup",
        &[
            ("DiskIds.0", "disk-lt8ajfvk"),
            ("DiskIds.1", "disk-1ly0wu8c"),
            ("SnapshotGroupName", "testSnapshotGroup"),
        ],
        &["disk_ids: [disk-lt8ajfvk, disk-1ly0wu8c]", "snapshot_group_name: Some(\"testSnapshotGroup\")"],
    ),
    ("DescribeSnapshotGroups", &[], &["filters: None", "limit: None"]),
    (
        "ApplySnapshotGroup",
        &[
            ("SnapshotGroupId", "csnap-gv9naz6b"),
            ("ApplyDisks.0.SnapshotId", "snap-cznei4gl"),
            ("ApplyDisks.0.DiskId", "disk-1ly0wu8c"),
            ("ApplyDisks.1.SnapshotId", "snap-0axttvv9"),
            ("ApplyDisks.1.DiskId", "disk-lt8ajfvk"),
        ],
        &[
            "snapshot_group_id: csnap-gv9naz6b",
            "ApplyDisk { snapshot_id: snap-0axttvv9, disk_id: disk-lt8ajfvk }",
        ],
    ),
    (
        "DeleteSnapshotGroup",
        &[("SnapshotGroupId", "csnap-gv9naz6b"), ("DeleteBindImages", "true")],
        &["snapshot_group_id: Some(csnap-gv9naz6b)", "delete_bind_images: Some(true)"],
    ),
];

/// An action, its version, its parameters, and parts that the decoded request must show.
type SiblingExample =
    (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

/// Of products that have actions of the same names as others.
const SIBLING_EXAMPLES: &[SiblingExample] = &[
    (
        "CreateInstanceSnapshot",
        "2020-03-24",
        &[("InstanceId", "lhins-k31c771o"), ("SnapshotName", "snap_20200903")],
        &["instance_id: lhins-k31c771o", "snapshot_name: Some(\"snap_20200903\")", "tags: None"],
    ),
    (
        "DescribeSnapshots",
        "2020-03-24",
        &[("Filters.0.Name", "disk-id"), ("Filters.0.Values.0", "lhdisk-f71kc5bh")],
        &["Filter { name: \"disk-id\", values: [\"lhdisk-f71kc5bh\"] }", "snapshot_ids: None"],
    ),
    (
        "ApplyInstanceSnapshot",
        "2020-03-24",
        &[("InstanceId", "lhins-k31c771o"), ("SnapshotId", "lhsnap-nv6aqcv6")],
        &["instance_id: lhins-k31c771o", "snapshot_id: lhsnap-nv6aqcv6"],
    ),
    (
        "DeleteSnapshots",
        "2020-03-24",
        &[("SnapshotIds.0", "lhsnap-nv6aqcv6")],
        &["snapshot_ids: [lhsnap-nv6aqcv6]"],
    ),
    (
        "ModifySnapshotAttribute",
        "2020-03-24",
        &[("SnapshotId", "lhsnap-nv6aqcv6"), ("SnapshotName", "snap_20200903")],
        &["snapshot_id: lhsnap-nv6aqcv6", "snapshot_name: Some(\"snap_20200903\")"],
    ),
    (
        "DescribeMachineSnapshot",
        "2018-02-28",
        &[("Limit", "10"), ("Offset", "0"), ("Quuids.0", "djskldjksld"), ("Type", "0")],
        &["quuids: [\"djskldjksld\"]", "kind: 0", "limit: 10", "offset: 0"],
    ),
];

#[test]
fn the_examples_of_the_pages_decode_as_written() {
    let bench = Bench::new();
    for (action, body, parts) in EXAMPLES {
        let decoded = bench.decoded(Tc3::json(action, *body).sign());
        for part in *parts {
            assert!(decoded.contains(part), "{action}: no `{part}` in {decoded}");
        }
    }
    for (action, own, parts) in QUERY_EXAMPLES {
        let decoded = bench.decoded(V1::new("GET", action, own).sign());
        for part in *parts {
            assert!(decoded.contains(part), "{action}: no `{part}` in {decoded}");
        }
    }
    for (name, version, own, parts) in SIBLING_EXAMPLES {
        let action = find(name, version);
        let decoded = bench.decoded(V1::new("GET", name, own).to(action).sign());
        for part in *parts {
            assert!(decoded.contains(part), "{name}: no `{part}` in {decoded}");
        }
    }
}

fn find(name: &str, version: &str) -> ashlar_api::Action {
    let mut all = ashlar_api::Action::all();
    all.find(|action| action.spec().name == name && action.spec().version == version).unwrap()
}

#[test]
fn every_action_has_an_example() {
    for action in ashlar_api::Action::all() {
        let spec = action.spec();
        let siblings = SIBLING_EXAMPLES.iter().map(|(name, version, ..)| (*name, *version));
        if ["lighthouse", "cwp"].contains(&spec.product) {
            assert!(siblings.into_iter().any(|example| example == (spec.name, spec.version)), "{spec:?}");
            continue;
        }
        let examples =
            EXAMPLES.iter().map(|(name, ..)| *name).chain(QUERY_EXAMPLES.iter().map(|(name, ..)| *name));
        assert!(examples.into_iter().any(|example| example == spec.name), "{spec:?}");
    }
}

#[test]
fn what_real_clients_send_beside_the_documents_is_taken() {
    let bench = Bench::new();
    let create = |extra: &str| {
        let body = format!(
            r#"{{"Placement":{{"Zone":"ap-guangzhou-3"}},"DiskChargeType":"POSTPAID_BY_HOUR","DiskType":"CLOUD_SSD",{extra}}}"#
        );
        bench.decoded(Tc3::json("CreateDisks", body).sign())
    };
    assert!(create(r#""Encrypt":true"#).contains("encrypt: Some(EncryptFlag(true))"));
    assert!(create(r#""Encrypt":"ENCRYPT","EncryptType":"""#).contains("encrypt_type: Some(OrEmpty(None))"));
    assert!(create(r#""EncryptType":"ENCRYPT_V2","KmsKeyId":"k""#).contains("OrEmpty(Some(V2))"));
    assert!(create(r#""ClientToken":"cls-1/pvc-2""#).contains("client_token: Some(\"cls-1/pvc-2\")"));
    assert!(create(r#""DiskName":null,"Tags":[]"#).contains("disk_name: None, tags: None"));
    let decoded = bench.decoded(
        Tc3::json("TerminateDisks", r#"{"DiskIds":["disk-lzrg2pwi"],"DeleteSnapshot":true}"#).sign(),
    );
    assert!(decoded.contains("delete_snapshot: Some(IntegerFlag(true))"), "{decoded}");
    let body = r#"{"DiskIds":["disk-lzrg2pwi"],"InstanceId":"ins-dyzmimrw","InstanceType":"eks"}"#;
    for action in ["AttachDisks", "DetachDisks"] {
        assert!(
            bench
                .decoded(Tc3::json(action, body).sign())
                .contains("instance_type: Some(InstanceTypeHint(Eks))")
        );
    }
    let filters = r#"{"Filters":[{"Name":"project-id","Values":[0]},{"Name":"portable","Values":[true]}]}"#;
    let decoded = bench.decoded(Tc3::json("DescribeDisks", filters).sign());
    assert!(decoded.contains("values: [\"0\"]") && decoded.contains("values: [\"true\"]"), "{decoded}");
}

fn json(value: &impl Encode) -> serde_json::Value {
    let mut out = String::new();
    value.encode(&mut out);
    serde_json::from_str(&out).unwrap()
}

fn placement() -> PlacementOutput {
    PlacementOutput {
        zone: "ap-guangzhou-2".parse().unwrap(),
        cage_id: String::new(),
        project_id: ProjectId(0),
        project_name: "Default".to_owned(),
        cdc_name: String::new(),
        cdc_id: String::new(),
        dedicated_cluster_id: None,
    }
}

/// A fresh postpaid disk.
fn disk() -> Disk {
    Disk {
        delete_with_instance: false,
        renew_flag: OrEmpty(None),
        disk_type: DiskType::CloudPremium,
        disk_state: DiskState::Unattached,
        snapshot_count: 0,
        auto_renew_flag_error: false,
        rollbacking: false,
        instance_id_list: Vec::new(),
        encrypt: false,
        disk_name: "say \"hi\"\n磁盘".to_owned(),
        backup_disk: false,
        tags: vec![Tag { key: "k".to_owned(), value: "v".to_owned() }],
        instance_id: OrEmpty(None),
        attach_mode: OrEmpty(None),
        auto_snapshot_policy_ids: None,
        throughput_performance: 0,
        migrating: false,
        disk_id: "disk-96jhcorq".parse().unwrap(),
        snapshot_size: 4_973,
        placement: placement(),
        is_returnable: false,
        deadline_time: OrEmpty(None),
        attached: false,
        disk_size: 50,
        migrate_percent: 0,
        disk_usage: DiskUsage::DataDisk,
        disk_charge_type: DiskChargeType::PostpaidByHour,
        portable: true,
        snapshot_ability: true,
        deadline_error: false,
        rollback_percent: 0,
        differ_days_of_deadline: None,
        return_fail_code: 10,
        shareable: false,
        create_time: DateTime::from_unix(UnixMillis(1_551_113_065_000), UtcOffset::BEIJING),
        delete_snapshot: IntegerFlag(false),
        disk_backup_quota: 0,
        disk_backup_count: 0,
        instance_type: OrEmpty(None),
        last_attach_ins_id: None,
        error_prompt: String::new(),
        burst_performance: false,
        encrypt_type: OrEmpty(None),
        kms_key_id: String::new(),
        latest_operation: String::new(),
        latest_operation_state: String::new(),
        latest_operation_request_id: String::new(),
    }
}

#[test]
fn a_disk_shows_what_recorded_answers_show() {
    let shown = json(&disk());
    let expected = serde_json::json!({
        "DeleteWithInstance": false, "RenewFlag": "", "DiskType": "CLOUD_PREMIUM", "DiskState": "UNATTACHED",
        "SnapshotCount": 0, "AutoRenewFlagError": false, "Rollbacking": false, "InstanceIdList": [],
        "Encrypt": false, "DiskName": "say \"hi\"\n磁盘", "BackupDisk": false, "Tags": [{"Key": "k", "Value": "v"}],
        "InstanceId": "", "AttachMode": "", "AutoSnapshotPolicyIds": null, "ThroughputPerformance": 0,
        "Migrating": false, "DiskId": "disk-96jhcorq", "SnapshotSize": 4973,
        "Placement": {"Zone": "ap-guangzhou-2", "CageId": "", "ProjectId": 0, "ProjectName": "Default",
                      "CdcName": "", "CdcId": "", "DedicatedClusterId": null},
        "IsReturnable": false, "DeadlineTime": "", "Attached": false, "DiskSize": 50, "MigratePercent": 0,
        "DiskUsage": "DATA_DISK", "DiskChargeType": "POSTPAID_BY_HOUR", "Portable": true, "SnapshotAbility": true,
        "DeadlineError": false, "RollbackPercent": 0, "DifferDaysOfDeadline": null, "ReturnFailCode": 10,
        "Shareable": false, "CreateTime": "2019-02-26 00:44:25", "DeleteSnapshot": 0, "DiskBackupQuota": 0,
        "DiskBackupCount": 0, "InstanceType": "", "LastAttachInsId": null, "ErrorPrompt": "",
        "BurstPerformance": false, "EncryptType": "", "KmsKeyId": "", "LatestOperation": "",
        "LatestOperationState": "", "LatestOperationRequestId": "",
    });
    assert_eq!(shown, expected);
    let attached = json(&Disk {
        instance_id: OrEmpty(Some("ins-a4vgayks".parse().unwrap())),
        instance_type: OrEmpty(Some(InstanceType::Cvm)),
        delete_snapshot: IntegerFlag(true),
        ..disk()
    });
    assert_eq!((&attached["InstanceId"], &attached["InstanceType"]), (&"ins-a4vgayks".into(), &"CVM".into()));
    assert_eq!(attached["DeleteSnapshot"], 1);
}

#[test]
fn a_snapshot_copied_from_another_region_has_no_disk() {
    let time = UnixMillis(1_742_906_773_000);
    let shown = json(&Snapshot {
        placement: placement(),
        copy_from_remote: true,
        snapshot_state: SnapshotState::Normal,
        is_permanent: true,
        snapshot_name: "Unnamed".to_owned(),
        deadline_time: OrEmpty(None),
        percent: 100,
        images: Vec::new(),
        share_reference: 0,
        snapshot_type: SnapshotType::Private,
        disk_size: 50,
        disk_id: OrEmpty(None),
        copying_to_regions: vec!["ap-beijing".parse().unwrap()],
        encrypt: false,
        create_time: DateTime::from_unix(time, UtcOffset::BEIJING),
        image_count: 0,
        disk_usage: DiskUsage::SystemDisk,
        snapshot_id: "snap-lbwv0qm5".parse().unwrap(),
        time_start_share: OrEmpty(None),
        tags: Vec::new(),
        is_locked: false,
        latest_modify_time: IsoDateTime { time, offset: UtcOffset::BEIJING },
        auto_snapshot_policy_id: OrEmpty(None),
        snapshot_mode: SnapshotMode::Standard,
    });
    let expected = serde_json::json!({
        "Placement": json(&placement()), "CopyFromRemote": true, "SnapshotState": "NORMAL", "IsPermanent": true,
        "SnapshotName": "Unnamed", "DeadlineTime": "", "Percent": 100, "Images": [], "ShareReference": 0,
        "SnapshotType": "PRIVATE_SNAPSHOT", "DiskSize": 50, "DiskId": "", "CopyingToRegions": ["ap-beijing"],
        "Encrypt": false, "CreateTime": "2025-03-25 20:46:13", "ImageCount": 0, "DiskUsage": "SYSTEM_DISK",
        "SnapshotId": "snap-lbwv0qm5", "TimeStartShare": "", "Tags": [], "IsLocked": false,
        "LatestModifyTime": "2025-03-25T20:46:13+08:00", "AutoSnapshotPolicyId": "",
        "SnapshotMode": "STANDARD_SNAPSHOT",
    });
    assert_eq!(shown, expected);
}

#[test]
fn a_disk_configuration_has_nulls_where_the_page_has_them() {
    let shown = json(&DiskConfig {
        available: true,
        disk_charge_type: DiskChargeType::Prepaid,
        zone: "ap-shanghai-5".parse().unwrap(),
        instance_family: None,
        disk_type: DiskType::CloudPremium,
        step_size: 1,
        extra_performance_range: None,
        device_class: None,
        disk_usage: DiskUsage::DataDisk,
        min_disk_size: 10,
        max_disk_size: 32_000,
        price: None,
    });
    let expected = serde_json::json!({
        "Available": true, "MaxDiskSize": 32000, "Zone": "ap-shanghai-5", "InstanceFamily": null,
        "DiskType": "CLOUD_PREMIUM", "StepSize": 1, "ExtraPerformanceRange": null, "DeviceClass": null,
        "DiskUsage": "DATA_DISK", "MinDiskSize": 10, "DiskChargeType": "PREPAID", "Price": null,
    });
    assert_eq!(shown, expected);
}
