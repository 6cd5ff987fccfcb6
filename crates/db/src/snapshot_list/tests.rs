//! Lists of snapshots that come, change, are shared and go, against lists in memory.

use std::collections::{BTreeMap, BTreeSet};

use ashlar_types::{
    AccountUin, AppId, DiskId, DiskUsage, ProjectId, RandomSource as _, Region, SeededRandom, SnapshotId,
    SnapshotState, SnapshotType, UnixMillis,
};

use crate::list_index::tests::ROOM;
use crate::*;

const ACCOUNTS: [AccountUin; 2] = [AccountUin(7), AccountUin(8)];

struct Known {
    snapshot: Snapshot,
    tags: BTreeMap<String, String>,
    shared_with: BTreeSet<AccountUin>,
}

struct World {
    random: SeededRandom,
    disks: Vec<DiskId>,
    known: Vec<Known>,
}

fn region() -> Region {
    "ap-guangzhou".parse().unwrap()
}

async fn prepare(db: &Db) {
    let mut tx = db.write().await.unwrap();
    tx.places().insert_region(&region(), 0).await.unwrap();
    for number in 1..=2 {
        tx.places().insert_zone(&format!("ap-guangzhou-{number}").parse().unwrap(), number).await.unwrap();
    }
    for uin in ACCOUNTS {
        let account =
            Account { uin, app_id: AppId(uin.0), name: String::new(), enabled: true, created: UnixMillis(0) };
        tx.accounts().insert(&account).await.unwrap();
        for project in 0..2 {
            tx.accounts().insert_project(uin, ProjectId(project), "p").await.unwrap();
        }
    }
    tx.commit().await.unwrap();
}

impl World {
    fn below(&self, limit: u64) -> u64 {
        self.random.below(limit)
    }

    fn one<T: Clone>(&self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }

    fn new_snapshot(&self) -> Snapshot {
        let mut snapshot = Snapshot {
            id: SnapshotId::random(&self.random),
            account: self.one(&ACCOUNTS),
            zone: format!("ap-guangzhou-{}", 1 + self.below(2)).parse().unwrap(),
            project: ProjectId(0),
            disk: (self.below(4) > 0).then(|| self.one(&self.disks)),
            name: "first".to_owned(),
            lifecycle: Lifecycle::Live,
            state: SnapshotState::Creating,
            percent: 0,
            size_gib: 10,
            held_bytes: 0,
            usage: self.one(&[DiskUsage::DataDisk, DiskUsage::SystemDisk]),
            encrypt_type: (self.below(3) == 0).then_some(EncryptType::V2),
            policy: None,
            is_instant: false,
            group: None,
            deadline: None,
            promise: None,
            locked_until: None,
            job: None,
            created: UnixMillis(self.below(6) as i64),
            modified: UnixMillis(0),
        };
        self.change(&mut snapshot);
        snapshot
    }

    fn change(&self, snapshot: &mut Snapshot) {
        match self.below(4) {
            0 => snapshot.state = self.one(&[SnapshotState::Normal, SnapshotState::Creating]),
            1 => snapshot.name = format!("name {}", self.below(4)),
            2 => snapshot.project = ProjectId(self.below(2)),
            _ => snapshot.lifecycle = self.one(&[Lifecycle::Live, Lifecycle::Live, Lifecycle::Recycled]),
        }
    }

    fn tag(&self) -> Tag {
        let (key, value) = self.one(&[("team", "a"), ("team", "b"), ("stage", "a")]);
        Tag { key: key.to_owned(), value: value.to_owned() }
    }

    async fn step(&mut self, tx: &mut Transaction) {
        let at = self.below(self.known.len().max(1) as u64) as usize;
        let choice = if self.known.is_empty() { 0 } else { self.below(10) };
        if choice < 4 {
            let snapshot = self.new_snapshot();
            tx.snapshots().insert(&snapshot).await.unwrap();
            self.known.push(Known { snapshot, tags: BTreeMap::new(), shared_with: BTreeSet::new() });
            return;
        }
        let id = self.known[at].snapshot.id;
        match choice {
            4..=5 => {
                let mut snapshot = self.known[at].snapshot.clone();
                self.change(&mut snapshot);
                tx.snapshots().save(&snapshot).await.unwrap();
                self.known[at].snapshot = snapshot;
            }
            6 => {
                let tag = self.tag();
                tx.tags().replace(Tagged::Snapshot(id), std::slice::from_ref(&tag)).await.unwrap();
                self.known[at].tags.insert(tag.key, tag.value);
            }
            7..=8 => {
                let owner = self.known[at].snapshot.account;
                let other = ACCOUNTS.into_iter().find(|account| *account != owner).unwrap();
                if self.known[at].shared_with.remove(&other) {
                    tx.snapshot_shares().delete(id, other).await.unwrap();
                } else {
                    tx.snapshot_shares().insert(id, other, UnixMillis(1)).await.unwrap();
                    self.known[at].shared_with.insert(other);
                }
            }
            _ => {
                for account in std::mem::take(&mut self.known[at].shared_with) {
                    tx.snapshot_shares().delete(id, account).await.unwrap();
                }
                tx.tags().delete(Tagged::Snapshot(id)).await.unwrap();
                tx.snapshots().delete(id).await.unwrap();
                self.known.remove(at);
            }
        }
    }

    fn filter(&self) -> SnapshotFilter {
        let at = self.below(self.known.len().max(1) as u64) as usize;
        let some = self.known.get(at).map(|known| known.snapshot.id);
        match self.below(12) {
            0 => SnapshotFilter::Id(some.into_iter().chain([SnapshotId::random(&self.random)]).collect()),
            1 => SnapshotFilter::Name(vec![format!("name {}", self.below(4)), "first".to_owned()]),
            2 => SnapshotFilter::State(vec![self.one(&[SnapshotState::Normal, SnapshotState::Creating])]),
            3 => SnapshotFilter::Usage(vec![DiskUsage::DataDisk]),
            4 => SnapshotFilter::Project(vec![ProjectId(self.below(2))]),
            5 => SnapshotFilter::Disk(vec![self.one(&self.disks)]),
            6 => SnapshotFilter::Zone(vec![format!("ap-guangzhou-{}", 1 + self.below(2)).parse().unwrap()]),
            7 => SnapshotFilter::Encrypt(vec![self.below(2) == 0]),
            8 => SnapshotFilter::Type(self.one(&[
                vec![SnapshotType::Private],
                vec![SnapshotType::Shared],
                vec![SnapshotType::Private, SnapshotType::Shared],
                vec![],
            ])),
            9 => SnapshotFilter::TagKey(vec![self.tag().key]),
            10 => SnapshotFilter::TagValue(vec![self.tag().value]),
            _ => SnapshotFilter::Tag { key: self.tag().key, values: vec![self.tag().value] },
        }
    }

    async fn check(&self, tx: &mut Transaction) -> usize {
        let account = self.one(&ACCOUNTS);
        let query = SnapshotQuery {
            account,
            region: region(),
            filters: (0..self.below(3)).map(|_| self.filter()).collect(),
            order: self.one(&[Order::Ascending, Order::Descending]),
            page: Page { offset: self.below(30), limit: self.below(20) },
        };
        let mut found: Vec<(usize, &Known)> = self
            .known
            .iter()
            .enumerate()
            .filter(|(_, known)| known.snapshot.lifecycle == Lifecycle::Live)
            .filter(|(_, known)| known.snapshot.account == account || known.shared_with.contains(&account))
            .filter(|(_, known)| query.filters.iter().all(|filter| meets(known, account, filter)))
            .collect();
        found.sort_by_key(|(at, known)| (known.snapshot.created, *at));
        if query.order == Order::Descending {
            found.reverse();
        }
        let page = found.iter().skip(query.page.offset as usize).take(query.page.limit as usize);
        let expected: Vec<SnapshotId> = page.map(|(_, known)| known.snapshot.id).collect();
        let listed = tx.snapshots().list(&query).await.unwrap();
        let shown: Vec<SnapshotId> = listed.items.iter().map(|listing| listing.snapshot.id).collect();
        assert_eq!((listed.total_count, &shown), (found.len() as u64, &expected), "{query:?}");
        shown.len()
    }
}

fn meets(known: &Known, viewer: AccountUin, filter: &SnapshotFilter) -> bool {
    let (snapshot, is_own) = (&known.snapshot, known.snapshot.account == viewer);
    match filter {
        SnapshotFilter::Id(values) => values.contains(&snapshot.id),
        SnapshotFilter::Name(values) => values.contains(&snapshot.name),
        SnapshotFilter::State(values) => values.contains(&snapshot.state),
        SnapshotFilter::Usage(values) => values.contains(&snapshot.usage),
        SnapshotFilter::Project(values) => {
            values.contains(if is_own { &snapshot.project } else { &ProjectId(0) })
        }
        SnapshotFilter::Disk(values) => snapshot.disk.is_some_and(|disk| values.contains(&disk)),
        SnapshotFilter::Zone(values) => values.contains(&snapshot.zone),
        SnapshotFilter::Encrypt(values) => values.contains(&snapshot.encrypt_type.is_some()),
        SnapshotFilter::Type(values) => {
            values.contains(if is_own { &SnapshotType::Private } else { &SnapshotType::Shared })
        }
        // None of this test has been in a machine.
        SnapshotFilter::Lighthouse | SnapshotFilter::LighthouseInstance(_) => false,
        SnapshotFilter::TagKey(values) => is_own && values.iter().any(|key| known.tags.contains_key(key)),
        SnapshotFilter::TagValue(values) => is_own && known.tags.values().any(|value| values.contains(value)),
        SnapshotFilter::Tag { key, values } => {
            is_own && known.tags.get(key).is_some_and(|value| values.contains(value))
        }
    }
}

#[tokio::test]
async fn lists_of_snapshots_that_change_are_what_lists_in_memory_give() {
    for (seed, room) in [(1, 3), (2, 50)] {
        ROOM.set(Some(room));
        let directory = tempfile::tempdir().unwrap();
        let db = Db::open(&directory.path().join("control.db")).await.unwrap();
        prepare(&db).await;
        let random = SeededRandom::new(seed);
        let disks = (0..4).map(|_| DiskId::random(&random)).collect();
        let mut world = World { random, disks, known: Vec::new() };
        let mut hits = 0;
        for _ in 0..60 {
            let mut tx = db.write().await.unwrap();
            for _ in 0..8 {
                world.step(&mut tx).await;
            }
            tx.commit().await.unwrap();
            let mut tx = db.read().await.unwrap();
            for _ in 0..6 {
                hits += world.check(&mut tx).await;
            }
        }
        assert!(hits > 500, "only {hits} hits: the queries tell little");
    }
    ROOM.set(None);
}
