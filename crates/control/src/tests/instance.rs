//! Calls on instances, and what disks can be had.

use ashlar_types::{DiskChargeType, DiskType};

use super::harness::{World, caller};
use crate::*;

#[tokio::test]
async fn an_instance_with_disks_stays() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let disk = world.attached_disk(instance).await;
    let refused = world.control.remove_instance(FIRST_ACCOUNT, instance).await.unwrap_err();
    assert!(matches!(refused, ControlError::Instance(InstanceError::HasDisks { disk_count: 1, .. })));
    let elsewhere = Caller { region: "ap-beijing".parse().unwrap(), ..caller() };
    let missing = "ins-zzzzzzzz".parse().unwrap();
    let counted =
        world.control.describe_instances_disk_num(&caller(), vec![instance, missing]).await.unwrap();
    let expected = AttachDetail { instance, attached_disk_count: 1, max_attach_count: 20 };
    assert_eq!(counted, vec![expected]);
    let counted = world.control.describe_instances_disk_num(&elsewhere, vec![instance]).await.unwrap();
    assert_eq!(counted, vec![], "another region");

    world.detach(disk).await.unwrap();
    world.control.remove_instance(FIRST_ACCOUNT, instance).await.unwrap();
    assert_eq!(world.control.list_instances(FIRST_ACCOUNT).await.unwrap(), vec![]);
    let refused = world.control.remove_instance(FIRST_ACCOUNT, instance).await.unwrap_err();
    assert!(matches!(refused, ControlError::Instance(InstanceError::NotFound(_))));
}

#[tokio::test]
async fn an_id_is_given_once_and_only_in_a_zone_that_exists() {
    let world = World::new().await;
    let id = Some("ins-12345678".parse().unwrap());
    let zone = "ap-guangzhou-3".parse().unwrap();
    let wanted = NewInstance {
        zone,
        name: None,
        id,
        ip_address: None,
        product: ashlar_types::InstanceProduct::Cvm,
        system_disk_gib: None,
    };
    let added = world.control.add_instance(FIRST_ACCOUNT, wanted.clone()).await.unwrap();
    assert_eq!(added.name, "ins-12345678");
    let refused = world.control.add_instance(FIRST_ACCOUNT, wanted.clone()).await.unwrap_err();
    assert!(matches!(refused, ControlError::Instance(InstanceError::Exists(_))), "{refused:?}");
    let nowhere = NewInstance { zone: "ap-guangzhou-9".parse().unwrap(), id: None, ..wanted };
    let refused = world.control.add_instance(FIRST_ACCOUNT, nowhere).await.unwrap_err();
    assert!(matches!(refused, ControlError::Parameter(_)), "{refused:?}");
    assert_eq!(world.control.list_instances(FIRST_ACCOUNT).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_list_of_configurations_is_the_operators() {
    let mut settings = Settings::default();
    settings.disk_types.cloud_ssd.available = false;
    let world = World::with(settings, None, 1).await;
    let wanted =
        DescribeDiskConfigQuota { inquiry_type: "INQUIRY_CBS_CONFIG".to_owned(), ..Default::default() };
    let all = world.control.describe_disk_config_quota(&caller(), wanted.clone()).await.unwrap();
    assert_eq!(all.len(), 7 * 6 * 2, "zones, types, charge types");
    let one = DescribeDiskConfigQuota {
        zones: vec!["ap-guangzhou-2".parse().unwrap()],
        charge_type: Some(DiskChargeType::PostpaidByHour),
        disk_types: vec![DiskType::CloudSsd, DiskType::CloudHssd],
        ..wanted.clone()
    };
    let configs = world.control.describe_disk_config_quota(&caller(), one).await.unwrap();
    let shown: Vec<_> = configs
        .iter()
        .map(|config| (config.disk_type, config.available, config.extra_performance_range_mib))
        .collect();
    assert_eq!(shown, vec![(DiskType::CloudSsd, false, None), (DiskType::CloudHssd, true, Some((0, 650)))]);
    for wrong in [
        DescribeDiskConfigQuota { inquiry_type: "ALL".to_owned(), ..wanted.clone() },
        DescribeDiskConfigQuota { zones: vec!["ap-beijing-1".parse().unwrap()], ..wanted.clone() },
        DescribeDiskConfigQuota { cpu: Some(0), ..wanted.clone() },
        DescribeDiskConfigQuota { dedicated_cluster_id: Some("c".to_owned()), ..wanted },
    ] {
        let refused = world.control.describe_disk_config_quota(&caller(), wrong).await;
        assert!(matches!(refused, Err(ControlError::Parameter(_))), "{refused:?}");
    }
}

#[test]
fn settings_are_read_from_a_table_and_unknown_keys_are_named() {
    let text = r#"{"limits": {"snapshots_per_disk": 7},
        "disk_types": {"CLOUD_BASIC": {"available": false, "min_gib": 5}}}"#;
    let settings: Settings = serde_json::from_str(text).unwrap();
    assert_eq!((settings.limits.snapshots_per_disk, settings.limits.disks_per_instance), (7, 20));
    assert_eq!(settings.disk_types.of(DiskType::CloudBasic).min_gib, 5);
    assert_eq!(settings.disk_types.of(DiskType::CloudPremium).min_gib, 10);
    assert_eq!(settings.disk_types.of(DiskType::CloudBasic).max_gib, 16_000, "the type's own default stays");
    let error = serde_json::from_str::<Settings>(r#"{"limits": {"snapshot": 7}}"#).unwrap_err();
    assert!(error.to_string().contains("`snapshot`"), "{error}");
}

#[test]
fn settings_that_make_no_sense_are_named() {
    assert_eq!(Settings::default().check(), Ok(()));
    for (text, key) in [
        (r#"{"limits": {"jobs_at_once": 0}}"#, "limits.jobs_at_once"),
        (r#"{"limits": {"describe_default": 101}}"#, "limits.describe_default"),
        (r#"{"disk_types": {"CLOUD_SSD": {"min_gib": 0}}}"#, "disk_types.CLOUD_SSD.min_gib"),
        (r#"{"disk_types": {"CLOUD_SSD": {"min_gib": 40000}}}"#, "disk_types.CLOUD_SSD.min_gib"),
        (r#"{"disk_types": {"CLOUD_SSD": {"max_gib": 5000000000}}}"#, "disk_types.CLOUD_SSD.max_gib"),
        (r#"{"disk_types": {"CLOUD_SSD": {"step_gib": 0}}}"#, "disk_types.CLOUD_SSD.step_gib"),
    ] {
        let settings: Settings = serde_json::from_str(text).unwrap();
        assert_eq!(settings.check().unwrap_err().key, key);
    }
}

#[tokio::test]
async fn disks_leave_a_machine_that_goes_and_those_that_go_with_it_are_deleted() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let (stays, goes) = (world.attached_disk(instance).await, world.disk().await);
    let wanted =
        AttachDisks { instance, disks: vec![goes], delete_with_instance: Some(true), attach_mode: None };
    world.control.attach_disks(&caller(), wanted).await.unwrap();
    assert!(world.control.remove_instance(FIRST_ACCOUNT, instance).await.is_err());
    world.control.empty_instance(FIRST_ACCOUNT, instance).await.unwrap();
    world.control.remove_instance(FIRST_ACCOUNT, instance).await.unwrap();
    let left: Vec<_> = world.disks().await.items.iter().map(|view| view.disk.id).collect();
    assert_eq!(left, [stays]);
    world.check_rest().await;
}
