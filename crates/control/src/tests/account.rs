//! The first records, and who may see what.

use ashlar_types::AccountUin;

use super::harness::{World, caller};
use crate::*;

#[tokio::test]
async fn the_first_start_makes_records_and_the_second_finds_them() {
    let world = World::new().await;
    let first = world.control.ensure_first_records().await.unwrap();
    assert!(!first.created, "the harness made them");
    let secret_id = first.key.secret_id.as_str();
    assert!(secret_id.starts_with("AKID") && secret_id.len() == 36, "{secret_id}");
    assert_eq!(first.key.secret_key.len(), 32);
    assert!(!format!("{:?}", first.key).contains(&first.key.secret_key), "secrets stay out of logs");
    let world = world.restarted().await;
    assert_eq!(world.control.ensure_first_records().await.unwrap(), first);
    let found = world.control.find_principal(&first.key.secret_id).await.unwrap().unwrap();
    assert_eq!(&*found.secret_key, first.key.secret_key);
    assert!(found.enabled && found.may_do_all() && found.identity == Identity::Account);
    assert!(world.control.find_principal(&"AKIDnobody".parse().unwrap()).await.unwrap().is_none());
    let regions: Vec<_> = world.control.regions().await.unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(regions, ["ap-guangzhou", "ap-beijing", "ap-shanghai", "ap-hongkong", "ap-singapore"]);
}

#[tokio::test]
async fn nobody_sees_another_accounts_or_another_regions_disks() {
    let world = World::new().await;
    let disk = world.disk().await;
    let snapshot = world.snapshot(disk).await;
    let stranger = Caller { account: AccountUin(2), ..caller() };
    let elsewhere = Caller { region: "ap-beijing".parse().unwrap(), ..caller() };
    for other in [stranger, elsewhere] {
        let wanted = DescribeDisks { disks: vec![disk], ..DescribeDisks::default() };
        assert_eq!(world.control.describe_disks(&other, wanted).await.unwrap().total_count, 0);
        let wanted = DescribeSnapshots { snapshots: vec![snapshot], ..DescribeSnapshots::default() };
        assert_eq!(world.control.describe_snapshots(&other, wanted).await.unwrap().total_count, 0);
        let refused = world.control.resize_disk(&other, disk, 20).await.unwrap_err();
        assert!(matches!(refused, ControlError::Disk(DiskError::NotFound(_))));
        let refused = world.control.delete_snapshots(&other, vec![snapshot]).await.unwrap_err();
        assert!(matches!(refused, ControlError::Snapshot(SnapshotError::NotFound(_))));
    }
    world.check_rest().await;
}
