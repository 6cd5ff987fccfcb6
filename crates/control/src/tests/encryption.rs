//! Encrypted disks: what may be asked for, what comes of it, and what follows from it.

use ashlar_db::EncryptType;
use ashlar_types::{DiskId, SnapshotId};
use ashlar_volume::VolumeStore;

use super::harness::{World, caller, new_disks};
use crate::{
    AutoMountConfiguration, ControlError, CreateDisks, CreateSnapshot, DescribeDisks, DescribeSnapshots,
    Filter, ParameterError,
};

fn encrypted() -> CreateDisks {
    CreateDisks { encrypt: Some(true), ..new_disks() }
}

async fn snapshot_of(world: &World, disk: DiskId) -> SnapshotId {
    let wanted = CreateSnapshot { disk: Some(disk), ..CreateSnapshot::default() };
    world.control.create_snapshot(&caller(), wanted).await.unwrap()
}

/// How the disk is shown: its generation and its key.
async fn shown(world: &World, disk: DiskId) -> (Option<EncryptType>, Option<String>) {
    let wanted = DescribeDisks { disks: vec![disk], ..DescribeDisks::default() };
    let view = world.control.describe_disks(&caller(), wanted).await.unwrap().items.pop().unwrap();
    (view.disk.encrypt_type, view.encryption_key)
}

async fn refusal(world: &World, wanted: CreateDisks) -> ParameterError {
    match world.control.create_disks(&caller(), wanted).await {
        Err(ControlError::Parameter(error)) => error,
        other => panic!("expected a refused parameter, found {other:?}"),
    }
}

#[tokio::test]
async fn encrypted_disks_are_encrypted_and_shown_so() {
    let world = World::new().await;
    let key = || Some("kms-testtest".to_owned());
    for (wanted, expected) in [
        (new_disks(), (None, None)),
        (CreateDisks { encrypt: Some(false), ..new_disks() }, (None, None)),
        (encrypted(), (Some(EncryptType::V2), key())),
        (CreateDisks { encrypt_type: Some(EncryptType::V1), ..encrypted() }, (Some(EncryptType::V1), key())),
        (CreateDisks { kms_key_id: key(), ..encrypted() }, (Some(EncryptType::V2), key())),
        (CreateDisks { kms_key_id: Some(String::new()), ..encrypted() }, (Some(EncryptType::V2), key())),
    ] {
        let disk = world.control.create_disks(&caller(), wanted.clone()).await.unwrap()[0];
        assert_eq!(shown(&world, disk).await, expected, "{wanted:?}");
        let volume = world.store().volume(&disk.into()).unwrap();
        assert_eq!(volume.is_encrypted, expected.0.is_some(), "{wanted:?}");
    }
}

#[tokio::test]
async fn snapshots_and_their_disks_are_encrypted_as_the_disk() {
    let world = World::new().await;
    let plain = world.control.create_disks(&caller(), new_disks()).await.unwrap()[0];
    let wanted = CreateDisks { encrypt_type: Some(EncryptType::V1), ..encrypted() };
    let disk = world.control.create_disks(&caller(), wanted).await.unwrap()[0];
    let (of_plain, of_disk) = (snapshot_of(&world, plain).await, snapshot_of(&world, disk).await);

    for (values, expected) in [
        (&["TRUE"][..], vec![of_disk]),
        (&["FALSE"], vec![of_plain]),
        (&["TRUE", "FALSE"], vec![of_disk, of_plain]),
    ] {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let filters = vec![Filter { name: "encrypt".to_owned(), values }];
        let wanted = DescribeSnapshots { filters, ..DescribeSnapshots::default() };
        let listed = world.control.describe_snapshots(&caller(), wanted).await.unwrap();
        let mut ids: Vec<_> = listed.items.iter().map(|view| view.snapshot.id).collect();
        ids.sort();
        let mut expected = expected;
        expected.sort();
        assert_eq!(ids, expected);
    }

    let clone = |snapshot, wanted: CreateDisks| CreateDisks { snapshot: Some(snapshot), ..wanted };
    for wanted in
        [new_disks(), encrypted(), CreateDisks { encrypt_type: Some(EncryptType::V1), ..new_disks() }]
    {
        let copy = world.control.create_disks(&caller(), clone(of_disk, wanted)).await.unwrap()[0];
        assert_eq!(shown(&world, copy).await.0, Some(EncryptType::V1), "as the snapshot");
        assert!(world.store().volume(&copy.into()).unwrap().is_encrypted);
        let again = snapshot_of(&world, copy).await;
        assert!(world.store().snapshot(&again.into()).unwrap().is_encrypted);
    }
    for (snapshot, wanted, parameter) in [
        (of_plain, encrypted(), "Encrypt"),
        (of_plain, CreateDisks { encrypt_type: Some(EncryptType::V2), ..new_disks() }, "EncryptType"),
        (of_disk, CreateDisks { encrypt: Some(false), ..new_disks() }, "Encrypt"),
        (of_disk, CreateDisks { encrypt_type: Some(EncryptType::V2), ..encrypted() }, "EncryptType"),
    ] {
        let error = refusal(&world, clone(snapshot, wanted)).await;
        assert!(
            matches!(error, ParameterError::Invalid { parameter: found, .. } if found == parameter),
            "{error}"
        );
    }
}

#[tokio::test]
async fn parameters_that_exclude_each_other_are_told_apart() {
    let world = World::new().await;
    let auto_mount = || {
        let instances = vec!["ins-00000001".parse().unwrap()];
        Some(AutoMountConfiguration { instances, mount_points: vec![], file_system_type: None })
    };
    for (wanted, other) in [
        (CreateDisks { shareable: Some(true), ..encrypted() }, "Shareable"),
        (CreateDisks { auto_mount: auto_mount(), ..encrypted() }, "AutoMountConfiguration"),
    ] {
        assert_eq!(refusal(&world, wanted).await, ParameterError::Excludes { parameter: "Encrypt", other });
    }
    for wanted in [
        CreateDisks { kms_key_id: Some("kms-testtest".to_owned()), ..new_disks() },
        CreateDisks { encrypt_type: Some(EncryptType::V2), ..new_disks() },
    ] {
        let error = refusal(&world, wanted).await;
        assert!(matches!(error, ParameterError::Missing { parameter: "Encrypt", .. }), "{error}");
    }
    let error =
        refusal(&world, CreateDisks { kms_key_id: Some("kms-other".to_owned()), ..encrypted() }).await;
    assert!(
        matches!(&error, ParameterError::Invalid { parameter: "KmsKeyId", value, .. } if value == "kms-other")
    );
}

#[tokio::test]
async fn without_a_master_key_nothing_is_encrypted_and_nothing_is_made() {
    let world = World::new().await;
    *world.stores.has_no_master_key.lock() = true;
    let error = refusal(&world, encrypted()).await;
    assert!(matches!(error, ParameterError::NotOffered { parameter: "Encrypt", .. }), "{error}");
    assert!(world.store().volumes().unwrap().is_empty());
    world.control.create_disks(&caller(), new_disks()).await.unwrap();
}

#[tokio::test]
async fn a_client_token_tells_an_encrypted_disk_from_a_plain_one() {
    let world = World::new().await;
    let token = |wanted: CreateDisks| CreateDisks { client_token: Some("t".to_owned()), ..wanted };
    let first = world.control.create_disks(&caller(), token(encrypted())).await.unwrap();
    assert_eq!(world.control.create_disks(&caller(), token(encrypted())).await.unwrap(), first);
    let error = refusal(&world, token(new_disks())).await;
    assert!(matches!(error, ParameterError::ClientTokenReused { .. }), "{error}");
}
