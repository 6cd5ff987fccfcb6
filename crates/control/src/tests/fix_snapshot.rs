//! Snapshots of machines before they are fixed.

use ashlar_types::{DiskId, DiskUsage, InstanceId, SnapshotId};

use super::harness::{BEGIN, World, caller};
use crate::*;

const DAY_MS: i64 = 24 * 3_600_000;

async fn machine(world: &World) -> (InstanceId, DiskId, DiskId) {
    let wanted = NewInstance {
        zone: "ap-guangzhou-3".parse().unwrap(),
        name: Some("web".to_owned()),
        id: None,
        ip_address: Some([10, 104, 9, 143].into()),
        product: ashlar_types::InstanceProduct::Cvm,
        system_disk_gib: Some(20),
    };
    let instance = world.control.add_instance(FIRST_ACCOUNT, wanted).await.unwrap().id;
    let data = world.attached_disk(instance).await;
    let disks = world.disks().await.items;
    let system = disks.iter().find(|view| view.disk.usage == DiskUsage::SystemDisk).unwrap().disk.id;
    (instance, system, data)
}

async fn shown(world: &World, machines: &[InstanceId], latest: bool, page: (u64, u64)) -> MachineSnapshots {
    let quuids = machines.iter().map(|instance| instance_uuid(*instance)).collect();
    let (offset, limit) = page;
    let wanted = DescribeMachineSnapshot { quuids, latest, offset, limit };
    world.control.describe_machine_snapshot(&caller(), wanted).await.unwrap()
}

fn ids(shown: &MachineSnapshots) -> Vec<SnapshotId> {
    shown.listed.items.iter().map(|one| one.snapshot).collect()
}

fn taken_ids(taken: &TakenBeforeFix) -> Vec<SnapshotId> {
    taken.snapshots.iter().map(|one| one.id).collect()
}

#[tokio::test]
async fn a_fix_takes_every_disk_and_is_found_again() {
    let world = World::new().await;
    let (instance, system, data) = machine(&world).await;
    world.write(system, 1);
    world.write(data, 2);
    let first = world.control.take_before_fix(instance, "OpenSSL".to_owned()).await.unwrap();
    let disks: Vec<_> = first.snapshots.iter().map(|one| one.disk.unwrap()).collect();
    assert_eq!(disks, [system, data]);
    assert!(first.snapshots.iter().all(|one| (one.name.as_str(), one.group) == ("OpenSSL", None)));
    world.clock.advance_ms(DAY_MS / 2);
    let second = world.control.take_before_fix(instance, "kernel".to_owned()).await.unwrap();

    let all = shown(&world, &[instance], false, (0, 10)).await;
    assert_eq!((all.listed.total_count, all.all_fresh), (4, true));
    assert_eq!(ids(&all), [taken_ids(&second), taken_ids(&first)].concat());
    let one = &all.listed.items[2];
    assert_eq!((one.quuid.clone(), one.host_name.as_str()), (instance_uuid(instance), "web"));
    assert_eq!((one.host_ip.as_deref(), one.name.as_str()), (Some("10.104.9.143"), "OpenSSL"));
    assert_eq!((one.created, one.disk, one.instance), (BEGIN, system, instance));
    let latest = shown(&world, &[instance], true, (0, 10)).await;
    assert_eq!((latest.listed.total_count, ids(&latest)), (2, taken_ids(&second)));
    let page = shown(&world, &[instance], false, (1, 2)).await;
    assert_eq!((page.listed.total_count, ids(&page)), (4, ids(&all)[1..3].to_vec()));
    // They are snapshots like any others.
    assert_eq!(world.snapshots().await.total_count, 4);
    world.control.delete_snapshots(&caller(), taken_ids(&second)).await.unwrap();
    assert_eq!(ids(&shown(&world, &[instance], true, (0, 10)).await), taken_ids(&first));
    world.check_rest().await;
}

#[tokio::test]
async fn the_check_asks_for_a_day_of_every_machine() {
    let world = World::new().await;
    let (one, _, _) = machine(&world).await;
    let other = world.instance("ap-guangzhou-3").await;
    world.attached_disk(other).await;
    let check = |machines: Vec<InstanceId>| {
        let world = &world;
        async move { shown(world, &machines, false, (0, 1)).await.all_fresh }
    };
    assert!(!check(vec![one]).await);
    world.control.take_before_fix(one, "fix".to_owned()).await.unwrap();
    assert!(check(vec![one]).await && check(vec![one, one]).await);
    assert!(!check(vec![one, other]).await);
    world.control.take_before_fix(other, "fix".to_owned()).await.unwrap();
    assert!(check(vec![one, other]).await);
    assert!(!check(vec![one, "ins-zzzzzzzz".parse().unwrap()]).await);
    world.clock.advance_ms(DAY_MS);
    assert!(check(vec![one]).await, "to the last moment of the day");
    world.clock.advance_ms(1);
    assert!(!check(vec![one]).await);
    let other = Caller { account: world.account(100_000_000_007).await, ..caller() };
    let quuids = vec![instance_uuid(one)];
    let wanted = DescribeMachineSnapshot { quuids, latest: false, offset: 0, limit: 10 };
    let seen = world.control.describe_machine_snapshot(&other, wanted).await.unwrap();
    assert_eq!((seen.listed.total_count, seen.all_fresh), (0, false), "another account's machine");
}

#[tokio::test]
async fn a_fix_that_cannot_have_all_has_none() {
    let mut settings = Settings::default();
    settings.limits.snapshots_per_disk = 1;
    let world = World::with(settings, None, 1).await;
    let (instance, _, data) = machine(&world).await;
    let bare = world.instance("ap-guangzhou-3").await;
    let last = world.snapshot(data).await;
    let before = world.seen().await;
    let take = |id: InstanceId, name: &str| world.control.take_before_fix(id, name.to_owned());
    for (id, name, part) in [
        (instance, "fix", "has 1 snapshots already"),
        (bare, "fix", "has no disks"),
        ("ins-zzzzzzzz".parse().unwrap(), "fix", "does not exist"),
        (instance, "", "`name` is missing"),
        (instance, &*"n".repeat(61), "at most 60 characters"),
    ] {
        let refused = take(id, name).await.unwrap_err().to_string();
        assert!(refused.contains(part), "{refused}");
    }
    assert_eq!(world.seen().await, before);
    assert_eq!(shown(&world, &[instance], false, (0, 10)).await.listed.total_count, 0);
    world.control.delete_snapshots(&caller(), vec![last]).await.unwrap();
    take(instance, "fix").await.unwrap();
    world.check_rest().await;
}
