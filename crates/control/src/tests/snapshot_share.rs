//! Snapshots that other accounts may use.

use ashlar_types::{ProjectId, SnapshotId};

use super::harness::{World, caller, new_disks};
use crate::*;

const OTHER: u64 = 100_000_000_002;

fn other() -> Caller {
    Caller { account: ashlar_types::AccountUin(OTHER), ..caller() }
}

fn change(
    snapshots: &[SnapshotId],
    account: &str,
    permission: SharePermission,
) -> ModifySnapshotsSharePermission {
    ModifySnapshotsSharePermission {
        snapshots: snapshots.to_vec(),
        accounts: vec![account.to_owned()],
        permission,
    }
}

async fn share(world: &World, snapshot: SnapshotId) {
    let wanted = change(&[snapshot], &OTHER.to_string(), SharePermission::Share);
    world.control.modify_snapshots_share_permission(&caller(), wanted).await.unwrap();
}

async fn seen_by_other(world: &World, filters: Vec<Filter>) -> Listed<SnapshotView> {
    let wanted = DescribeSnapshots { filters, ..DescribeSnapshots::default() };
    world.control.describe_snapshots(&other(), wanted).await.unwrap()
}

fn filter(name: &str, value: &str) -> Vec<Filter> {
    vec![Filter { name: name.to_owned(), values: vec![value.to_owned()] }]
}

#[tokio::test]
async fn another_account_makes_disks_from_a_shared_snapshot_and_nothing_else() {
    let world = World::new().await;
    world.account(OTHER).await;
    let disk = world.disk().await;
    world.write(disk, 7);
    let tags = vec![Tag { key: "secret".to_owned(), value: "plan".to_owned() }];
    let wanted = CreateSnapshot { disk: Some(disk), tags, ..CreateSnapshot::default() };
    let snapshot = world.control.create_snapshot(&caller(), wanted).await.unwrap();
    assert_eq!(seen_by_other(&world, vec![]).await.total_count, 0);
    let from = CreateDisks { snapshot: Some(snapshot), ..new_disks() };
    let refused = world.control.create_disks(&other(), from.clone()).await.unwrap_err();
    assert!(matches!(refused, ControlError::Snapshot(SnapshotError::NotFound(_))), "{refused:?}");

    share(&world, snapshot).await;
    share(&world, snapshot).await;
    let seen = seen_by_other(&world, vec![]).await;
    assert_eq!(seen.total_count, 1);
    let view = &seen.items[0];
    assert!(view.is_shared_by_other && view.shared_since.is_some());
    assert_eq!((view.share_count, &view.tags, view.latest_operation.as_ref()), (0, &vec![], None));
    assert_eq!((view.snapshot.project, view.project_name.as_str()), (ProjectId(0), ""));
    let owned = world.snapshot_view(snapshot).await;
    assert_eq!((owned.share_count, owned.is_shared_by_other), (1, false));

    let made = world.control.create_disks(&other(), from).await.unwrap()[0];
    assert_eq!(world.read(made), 7);
    world.control.initialize_disks(&other(), vec![made]).await.unwrap();
    for refused in [
        world.control.delete_snapshots(&other(), vec![snapshot]).await.unwrap_err(),
        world
            .control
            .modify_snapshot_attribute(
                &other(),
                ModifySnapshotAttribute {
                    snapshot,
                    name: Some("mine".to_owned()),
                    is_permanent: None,
                    deadline: None,
                },
            )
            .await
            .unwrap_err(),
        world
            .control
            .modify_snapshots_share_permission(
                &other(),
                change(&[snapshot], &caller().account.to_string(), SharePermission::Share),
            )
            .await
            .unwrap_err(),
    ] {
        assert!(matches!(refused, ControlError::Share(ShareError::OfOtherAccount(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn filters_tell_own_from_shared_and_hide_the_owners_affairs() {
    let world = World::new().await;
    world.account(OTHER).await;
    let disk = world.disk().await;
    let tags = vec![Tag { key: "secret".to_owned(), value: "plan".to_owned() }];
    let wanted = CreateSnapshot { disk: Some(disk), tags, ..CreateSnapshot::default() };
    let snapshot = world.control.create_snapshot(&caller(), wanted).await.unwrap();
    share(&world, snapshot).await;
    for (name, value, count) in [
        ("snapshot-type", "SHARED_SNAPSHOT", 1),
        ("snapshot-type", "PRIVATE_SNAPSHOT", 0),
        ("tag-key", "secret", 0),
        ("tag:secret", "plan", 0),
        ("project-id", "0", 1),
        ("project-id", "7", 0),
        ("snapshot-id", &snapshot.to_string(), 1),
    ] {
        assert_eq!(seen_by_other(&world, filter(name, value)).await.total_count, count, "{name} {value}");
    }
    let own = |kind: &str| DescribeSnapshots { filters: filter("snapshot-type", kind), ..Default::default() };
    for (kind, count) in [("SHARED_SNAPSHOT", 0), ("PRIVATE_SNAPSHOT", 1)] {
        let listed = world.control.describe_snapshots(&caller(), own(kind)).await.unwrap();
        assert_eq!(listed.total_count, count, "{kind}");
    }
}

#[tokio::test]
async fn a_shared_snapshot_stays_until_the_sharing_ends() {
    let world = World::new().await;
    world.account(OTHER).await;
    let disk = world.disk().await;
    let deadline = Some(world.iso_after_ms(60_000));
    let wanted = CreateSnapshot { disk: Some(disk), deadline, ..CreateSnapshot::default() };
    let mortal = world.control.create_snapshot(&caller(), wanted).await.unwrap();
    let kept = world.snapshot(disk).await;
    share(&world, mortal).await;
    share(&world, kept).await;

    let refused = world.control.delete_snapshots(&caller(), vec![kept]).await.unwrap_err();
    assert!(matches!(refused, ControlError::Share(ShareError::WithOthers(_))), "{refused:?}");
    let deadline = Some(world.iso_after_ms(60_000));
    let shorter = ModifySnapshotAttribute { snapshot: kept, name: None, is_permanent: None, deadline };
    let refused = world.control.modify_snapshot_attribute(&caller(), shorter).await.unwrap_err();
    assert!(matches!(refused, ControlError::Share(ShareError::WithOthers(_))), "{refused:?}");
    let wanted = TerminateDisks { disks: vec![disk], delete_snapshot: Some(true) };
    let refused = world.control.terminate_disks(&caller(), wanted).await.unwrap_err();
    assert!(matches!(refused, ControlError::Share(ShareError::WithOthers(_))), "{refused:?}");

    world.clock.advance_ms(120_000);
    world.control.reconcile().await.unwrap();
    assert_eq!(world.snapshots().await.total_count, 2, "others still rely on it");
    let cancel = change(&[mortal, kept], &OTHER.to_string(), SharePermission::Cancel);
    world.control.modify_snapshots_share_permission(&caller(), cancel.clone()).await.unwrap();
    world.control.modify_snapshots_share_permission(&caller(), cancel).await.unwrap();
    assert_eq!(seen_by_other(&world, vec![]).await.total_count, 0);
    world.control.reconcile().await.unwrap();
    world.control.runner.idle().await;
    assert_eq!(world.snapshots().await.total_count, 1);
    world.check_rest().await;
}

#[tokio::test]
async fn wrong_shares_are_refused_as_a_whole() {
    let settings =
        Settings { limits: Limits { shares_per_snapshot: 2, ..Limits::default() }, ..Settings::default() };
    let world = World::with(settings, None, 1).await;
    for uin in [OTHER, OTHER + 1, OTHER + 2] {
        world.account(uin).await;
    }
    let disk = world.disk().await;
    let snapshot = world.snapshot(disk).await;
    let missing = "snap-zzzzzzzz".parse().unwrap();
    let own = caller().account.to_string();
    let three = ModifySnapshotsSharePermission {
        snapshots: vec![snapshot],
        accounts: (OTHER..=OTHER + 2).map(|uin| uin.to_string()).collect(),
        permission: SharePermission::Share,
    };
    let theirs = OTHER.to_string();
    for wrong in [
        change(&[snapshot], "7", SharePermission::Share),
        change(&[snapshot], "someone", SharePermission::Cancel),
        change(&[snapshot], &format!("0{theirs}"), SharePermission::Share),
        change(&[snapshot], &format!("+{theirs}"), SharePermission::Share),
        change(&[snapshot], &own, SharePermission::Share),
        change(&[snapshot, missing], &theirs, SharePermission::Share),
        change(&[], &theirs, SharePermission::Share),
        three,
    ] {
        let context = format!("{wrong:?}");
        assert!(
            world.control.modify_snapshots_share_permission(&caller(), wrong).await.is_err(),
            "{context}"
        );
    }
    let shares = world.control.describe_snapshot_share_permission(&caller(), snapshot).await.unwrap();
    assert_eq!(shares, vec![]);
    share(&world, snapshot).await;
    let shares = world.control.describe_snapshot_share_permission(&caller(), snapshot).await.unwrap();
    assert_eq!(shares.iter().map(|share| share.account.0).collect::<Vec<_>>(), vec![OTHER]);
    assert!(world.control.describe_snapshot_share_permission(&other(), snapshot).await.is_err());
    assert!(world.control.describe_snapshot_share_permission(&caller(), missing).await.is_err());
}
