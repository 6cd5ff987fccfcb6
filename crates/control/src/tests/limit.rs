//! Limits of single accounts, and what CreateDisks is told to mount.

use super::harness::{World, caller, new_disks};
use crate::*;

#[tokio::test]
async fn an_account_has_its_own_limits_until_they_are_taken_away() {
    let world = World::new().await;
    let control = &world.control;
    control.set_account_limit(FIRST_ACCOUNT, "disks_per_create", Some(2)).await.unwrap();
    let three = CreateDisks { count: Some(3), ..new_disks() };
    let refused = control.create_disks(&caller(), three.clone()).await;
    assert!(matches!(
        refused,
        Err(ControlError::Parameter(ParameterError::LimitExceeded { at_most: 2, .. }))
    ));
    let world = world.restarted().await;
    world.control.create_disks(&caller(), three.clone()).await.unwrap_err();
    let limits = world.control.account_limits(FIRST_ACCOUNT).await.unwrap();
    let limit = limits.iter().find(|limit| limit.name == "disks_per_create").unwrap();
    assert_eq!((limit.value, limit.configured), (2, 200));
    world.control.set_account_limit(FIRST_ACCOUNT, "disks_per_create", None).await.unwrap();
    world.control.create_disks(&caller(), three).await.unwrap();

    for (name, value) in [("disks_per_moon", 1), ("disks_per_create", 0)] {
        assert!(world.control.set_account_limit(FIRST_ACCOUNT, name, Some(value)).await.is_err(), "{name}");
    }
    let nobody = ashlar_types::AccountUin(1);
    assert!(world.control.set_account_limit(nobody, "disks_per_create", Some(1)).await.is_err());
}

#[tokio::test]
async fn an_instance_takes_as_many_disks_as_its_account_may_have() {
    let world = World::new().await;
    world.control.set_account_limit(FIRST_ACCOUNT, "disks_per_instance", Some(1)).await.unwrap();
    let instance = world.instance("ap-guangzhou-3").await;
    world.attached_disk(instance).await;
    let second = world.disk().await;
    let refused = world.attach(second, instance).await;
    assert!(matches!(refused, Err(ControlError::Instance(InstanceError::DiskLimit { at_most: 1, .. }))));
    let told = world.control.describe_instances_disk_num(&caller(), vec![instance]).await.unwrap();
    assert_eq!((told[0].attached_disk_count, told[0].max_attach_count), (1, 1));
}

#[tokio::test]
async fn what_shall_be_mounted_is_checked_and_kept() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let mount = AutoMountConfiguration {
        instances: vec![instance],
        mount_points: vec!["/data/a".to_owned(), "/data/b".to_owned()],
        file_system_type: Some("ext4".to_owned()),
    };
    let wanted = CreateDisks { count: Some(2), auto_mount: Some(mount.clone()), ..new_disks() };
    let ids = world.control.create_disks(&caller(), wanted.clone()).await.unwrap();
    let kept = world.control.disk_report(ids[1]).await.unwrap().auto_mount.unwrap();
    assert_eq!((kept.instance, kept.mount_point.as_deref()), (instance, Some("/data/b")));
    assert_eq!(world.view(ids[1]).await.disk.instance(), None, "nothing is carried out");
    world.terminate(ids[1]).await.unwrap();
    assert!(world.control.disk_report(ids[1]).await.is_err());

    let elsewhere = world.instance("ap-guangzhou-2").await;
    let unknown = "ins-00000000".parse().unwrap();
    let change = |instances: Vec<ashlar_types::InstanceId>, points: &[&str], file_system: Option<&str>| {
        let mount_points = points.iter().map(ToString::to_string).collect();
        AutoMountConfiguration { instances, mount_points, file_system_type: file_system.map(str::to_owned) }
    };
    for wrong in [
        change(vec![], &[], None),
        change(vec![instance; 3], &[], None),
        change(vec![elsewhere], &[], None),
        change(vec![unknown], &[], None),
        change(vec![instance], &["/data"], Some("ext4")),
        change(vec![instance], &["/data", "/data"], Some("ext4")),
        change(vec![instance], &["/data/a", "data/b"], Some("ext4")),
        change(vec![instance], &["/data/a", "/data/../b"], Some("ext4")),
        change(vec![instance], &["/data/a", "/data/b"], None),
    ] {
        let before = world.seen().await;
        let wanted = CreateDisks { auto_mount: Some(wrong.clone()), ..wanted.clone() };
        assert!(world.control.create_disks(&caller(), wanted).await.is_err(), "{wrong:?}");
        assert_eq!(world.seen().await, before);
    }
}
