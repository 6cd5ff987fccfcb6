//! What is forgotten, and when.

use super::harness::{World, caller, new_disks};
use crate::*;

const DAY_MS: i64 = 24 * 3600 * 1000;

async fn federation(world: &World) -> Credentials {
    let key = world.control.keys(FIRST_ACCOUNT, None).await.unwrap().remove(0);
    let principal = world.control.find_principal(&key.secret_id).await.unwrap().unwrap();
    let policy = r#"{"version": "2.0", "statement": {"effect": "allow", "action": "*", "resource": "*"}}"#;
    let wanted =
        GetFederationToken { name: "guest".to_owned(), policy: policy.to_owned(), duration_seconds: None };
    world.control.get_federation_token(&principal, wanted).await.unwrap()
}

/// How many records one run forgets.
async fn forgotten(world: &World) -> u64 {
    let leader = world.control.lead().await.unwrap().unwrap();
    world.control.run_reconciler(Reconciler::OldRecords, leader).await.unwrap().items
}

#[tokio::test]
async fn tokens_keys_and_log_entries_go_after_a_while() {
    let world = World::new().await;
    let guest = federation(&world).await;
    let wanted = CreateDisks { client_token: Some("once".to_owned()), ..new_disks() };
    let disk = world.control.create_disks(&caller(), wanted.clone()).await.unwrap();
    let gone = world.disk().await;
    world.control.resize_disk(&caller(), disk[0], 20).await.unwrap();
    let terminate = TerminateDisks { disks: vec![gone], delete_snapshot: None };
    world.control.terminate_disks(&caller(), terminate).await.unwrap();
    assert_eq!(forgotten(&world).await, 0);

    world.clock.advance_ms(6 * DAY_MS);
    assert!(
        world.control.find_principal(&guest.secret_id).await.unwrap().is_some(),
        "it has ended, and is known"
    );
    assert_eq!(forgotten(&world).await, 1, "the temporary key");
    world.clock.advance_ms(10_000);
    assert!(world.control.find_principal(&guest.secret_id).await.unwrap().is_none());
    let again = world.control.create_disks(&caller(), wanted.clone()).await.unwrap();
    assert_eq!(again, disk, "the token still counts");

    world.clock.advance_ms(2 * DAY_MS);
    assert!(forgotten(&world).await > 1, "the client token, and the jobs");
    let again = world.control.create_disks(&caller(), wanted).await.unwrap();
    assert_ne!(again, disk, "the token is forgotten");

    world.clock.advance_ms(70 * DAY_MS);
    let jobs_and_token = forgotten(&world).await;
    assert!(jobs_and_token >= 1, "{jobs_and_token}");
    assert_eq!(forgotten(&world).await, 0);
    world.clock.advance_ms(20 * DAY_MS);
    // The making of the resized disk, and both entries of the one that is gone. What the disks show stays.
    assert_eq!(forgotten(&world).await, 3);
    world.clock.advance_ms(900 * DAY_MS);
    assert_eq!(forgotten(&world).await, 0);
    for (id, action) in [(disk[0], "ResizeDisk"), (again[0], "CreateDisks")] {
        assert_eq!(world.view(id).await.latest_operation.unwrap().operation, action);
    }
}
