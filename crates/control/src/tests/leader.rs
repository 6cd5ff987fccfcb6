//! Several servers on one database: one of them leads.

use std::sync::Arc;

use ashlar_db::Db;
use ashlar_types::DiskState;

use super::harness::*;
use crate::*;

/// A second server on the database and the pool of the first.
async fn second(world: &World, name: &str) -> Control {
    Control::new(ControlParts {
        db: Db::open(&world.database()).await.unwrap(),
        stores: world.stores.clone(),
        exports: Arc::new(world.exports.clone()),
        clock: world.clock.clone(),
        random: world.random(),
        settings: world.settings.clone(),
        server_name: name.to_owned(),
    })
}

const MINUTE_MS: i64 = 60_000;

#[tokio::test]
async fn only_the_leader_reconciles() {
    let world = World::new().await;
    let (one, two) = (&world.control, second(&world, "two").await);
    let first = one.lead().await.unwrap().unwrap();
    assert_eq!(two.lead().await.unwrap(), None);
    world.clock.advance_ms(MINUTE_MS / 2);
    assert_eq!(one.lead().await.unwrap(), Some(first), "renewed");
    world.clock.advance_ms(MINUTE_MS - 1);
    assert_eq!(two.lead().await.unwrap(), None);

    // The first is not heard of for too long: the second leads, and what the first still has in hand is void.
    world.clock.advance_ms(1);
    let later = two.lead().await.unwrap().unwrap();
    assert!(one.write_as(first).await.unwrap().is_none());
    assert!(two.write_as(later).await.unwrap().is_some());
    assert_eq!(one.lead().await.unwrap(), None);

    // A leader that stops leaves its place at once.
    two.shutdown().await;
    assert!(one.lead().await.unwrap().is_some());
}

#[tokio::test]
async fn an_overtaken_leader_changes_nothing() {
    let world = World::new().await;
    let disk = world.prepaid_disk(None).await;
    let stale = world.control.lead().await.unwrap().unwrap();
    world.clock.advance_ms(40 * 24 * 60 * MINUTE_MS);
    let two = second(&world, "two").await;
    let leader = two.lead().await.unwrap().unwrap();

    let done = world.control.run_reconciler(Reconciler::PrepaidDisks, stale).await.unwrap();
    assert_eq!((done, world.view(disk).await.disk.state), (Reconciled::default(), DiskState::Unattached));
    let done = two.run_reconciler(Reconciler::PrepaidDisks, leader).await.unwrap();
    assert_eq!((done.items, world.view(disk).await.disk.state), (1, DiskState::ToRecycle));
}
