//! What exports are told of how fast disks are: always what the records say.

use ashlar_types::{DiskId, DiskType, MIB_BYTES};

use super::harness::{World, caller, new_disks};
use crate::*;

async fn enforcing() -> World {
    World::with(Settings { enforce_performance: true, ..Settings::default() }, None, 1).await
}

/// Requests and MiB a second that the exports hold the disk to, which must be what its record promises.
async fn told(world: &World, disk: DiskId) -> (u64, u64) {
    let limits = world.exports.limits(disk).expect("an attached disk has limits");
    let recorded = world.control.disk_report(disk).await.unwrap();
    assert!(recorded.enforced);
    assert_eq!(limits, recorded.performance);
    (limits.baseline.iops, limits.baseline.bytes_per_second / MIB_BYTES)
}

#[tokio::test]
async fn every_change_of_what_a_disk_promises_is_told_at_once() {
    let world = enforcing().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let wanted = CreateDisks { disk_type: DiskType::CloudPremium, size_gib: Some(100), ..new_disks() };
    let disk = world.control.create_disks(&caller(), wanted).await.unwrap()[0];
    assert_eq!(world.exports.limits(disk), None, "nobody can open it yet");
    world.attach(disk, instance).await.unwrap();
    assert_eq!(told(&world, disk).await, (2_600, 115));

    world.control.resize_disk(&caller(), disk, 200).await.unwrap();
    assert_eq!(told(&world, disk).await, (3_400, 130));
    world.control.resize_disk(&caller(), disk, 500).await.unwrap();
    let change = async |change: ModifyDiskAttributes| {
        let wanted = ModifyDiskAttributes { disks: vec![disk], ..change };
        world.control.modify_disk_attributes(&caller(), wanted).await.unwrap();
    };
    change(ModifyDiskAttributes { disk_type: Some(DiskType::CloudHssd), ..Default::default() }).await;
    assert_eq!(told(&world, disk).await, (26_800, 350));
    world.control.modify_disk_extra_performance(&caller(), disk, 650).await.unwrap();
    assert_eq!(told(&world, disk).await, (76_800, 1_000));
    let burst_performance = Some(BurstPerformanceOperation::Create);
    change(ModifyDiskAttributes { burst_performance, ..Default::default() }).await;
    told(&world, disk).await;
    assert_eq!(world.exports.limits(disk).unwrap().burst.unwrap().iops, 100_000);

    let world = world.restarted().await;
    assert_eq!(told(&world, disk).await, (76_800, 1_000), "a start begins with what the records say");
    world.check_rest().await;
}

#[tokio::test]
async fn nothing_is_told_unless_it_is_enforced() {
    let world = World::new().await;
    let instance = world.instance("ap-guangzhou-3").await;
    let disk = world.attached_disk(instance).await;
    assert_eq!(world.exports.limits(disk), None);
    assert!(!world.control.disk_report(disk).await.unwrap().enforced);
}
