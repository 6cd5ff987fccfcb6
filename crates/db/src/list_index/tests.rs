//! Lists of disks that come, change and go, against lists in memory.

pub(crate) mod many;

use std::cell::Cell;
use std::collections::BTreeMap;

use ashlar_types::{
    AccountUin, AppId, DiskChargeType, DiskId, DiskState, DiskType, DiskUsage, InstanceId, ProjectId,
    RandomSource as _, Region, SeededRandom, UnixMillis,
};

use crate::*;

thread_local! {
    /// How many rows a block takes; as always if nothing is said.
    pub(crate) static ROOM: Cell<Option<usize>> = const { Cell::new(None) };
}

/// A disk as the test remembers it. Its place in the list of all tells the order of creation.
#[derive(Debug, Clone)]
struct Known {
    disk: Disk,
    tags: BTreeMap<String, String>,
}

struct World {
    random: SeededRandom,
    disks: Vec<Known>,
}

const ACCOUNTS: [AccountUin; 2] = [AccountUin(7), AccountUin(8)];
const REGIONS: [&str; 2] = ["ap-guangzhou", "ap-beijing"];

fn instance(number: u64) -> InstanceId {
    format!("ins-0000000{number}").parse().unwrap()
}

/// The instances 0 to 3: two names, and an address each but for the last.
fn instance_name(number: u64) -> String {
    format!("machine {}", number % 2)
}

fn instance_address(number: u64) -> Option<String> {
    (number < 3).then(|| format!("10.0.0.{number}"))
}

async fn prepare(db: &Db) {
    let mut tx = db.write().await.unwrap();
    for (position, region) in REGIONS.iter().enumerate() {
        tx.places().insert_region(&region.parse().unwrap(), position as u64).await.unwrap();
        for number in 1..=2 {
            tx.places().insert_zone(&format!("{region}-{number}").parse().unwrap(), number).await.unwrap();
        }
    }
    for uin in ACCOUNTS {
        let account =
            Account { uin, app_id: AppId(uin.0), name: String::new(), enabled: true, created: UnixMillis(0) };
        tx.accounts().insert(&account).await.unwrap();
        for project in 0..2 {
            tx.accounts().insert_project(uin, ProjectId(project), "p").await.unwrap();
        }
    }
    for number in 0..4 {
        let machine = Instance {
            id: instance(number),
            account: ACCOUNTS[0],
            zone: "ap-guangzhou-1".parse().unwrap(),
            product: ashlar_types::InstanceProduct::Cvm,
            name: instance_name(number),
            ip_address: instance_address(number).map(|address| address.parse().unwrap()),
            created: UnixMillis(0),
        };
        tx.instances().insert(&machine).await.unwrap();
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

    fn new_disk(&self) -> Disk {
        let zone = format!("{}-{}", self.one(&REGIONS), 1 + self.below(2)).parse().unwrap();
        let mut disk = crate::tests::disk(&self.random);
        disk.account = self.one(&ACCOUNTS);
        disk.zone = zone;
        disk.last_instance = None;
        self.change(&mut disk);
        disk
    }

    /// Whatever can change in a disk's life.
    fn change(&self, disk: &mut Disk) {
        for _ in 0..1 + self.below(3) {
            match self.below(8) {
                0 => disk.state = self.one(DiskState::ALL),
                1 => disk.name = self.name(),
                2 => disk.project = ProjectId(self.below(2)),
                3 => disk.deadline = (self.below(3) > 0).then(|| UnixMillis(self.below(50) as i64)),
                4 => disk.lifecycle = self.one(&[Lifecycle::Creating, Lifecycle::Live, Lifecycle::Deleting]),
                5 => {
                    let first = self.below(4);
                    let inside = |number: u64| Attachment {
                        instance: instance((first + number) % 4),
                        state: AttachmentState::Inside,
                    };
                    disk.attachments = (0..self.below(4)).map(inside).collect();
                }
                6 => disk.portable = !disk.portable,
                _ => disk.disk_type = self.one(&[DiskType::CloudSsd, DiskType::CloudPremium]),
            }
        }
        if self.below(3) > 0 {
            disk.lifecycle = Lifecycle::Live;
        }
    }

    /// Some that many have, and some that one has.
    fn name(&self) -> String {
        match self.below(2) {
            0 => format!("name {}", self.below(3)),
            _ => format!("name {}", self.below(100_000)),
        }
    }

    fn tag(&self) -> Tag {
        // The last two would be one, were keys and values only put together.
        let (key, value) =
            self.one(&[("team", "a"), ("team", "b"), ("stage", "a"), ("x", ""), ("k", "=v"), ("k=", "v")]);
        Tag { key: key.to_owned(), value: value.to_owned() }
    }

    async fn step(&mut self, tx: &mut Transaction) {
        let at = self.below(self.disks.len().max(1) as u64) as usize;
        match self.below(10) {
            _ if self.disks.is_empty() => self.insert(tx).await,
            0..=3 => self.insert(tx).await,
            4..=6 => {
                let mut disk = self.disks[at].disk.clone();
                self.change(&mut disk);
                tx.disks().save(&disk).await.unwrap();
                self.disks[at].disk = disk;
            }
            7 => {
                let known = self.disks.remove(at);
                if self.below(2) == 0 {
                    tx.tags().delete(Tagged::Disk(known.disk.id)).await.unwrap();
                    tx.disks().delete(known.disk.id).await.unwrap();
                } else {
                    tx.disks().delete(known.disk.id).await.unwrap();
                    tx.tags().delete(Tagged::Disk(known.disk.id)).await.unwrap();
                }
            }
            8 => {
                let (tag, id) = (self.tag(), self.disks[at].disk.id);
                tx.tags().replace(Tagged::Disk(id), std::slice::from_ref(&tag)).await.unwrap();
                self.disks[at].tags.insert(tag.key, tag.value);
            }
            _ => {
                let (key, id) = (self.tag().key, self.disks[at].disk.id);
                tx.tags().unbind(Tagged::Disk(id), std::slice::from_ref(&key)).await.unwrap();
                self.disks[at].tags.remove(&key);
            }
        }
    }

    async fn insert(&mut self, tx: &mut Transaction) {
        let disk = self.new_disk();
        let tag = self.tag();
        if self.below(2) == 0 {
            tx.tags().insert(Tagged::Disk(disk.id), std::slice::from_ref(&tag)).await.unwrap();
            tx.disks().insert(&disk).await.unwrap();
        } else {
            tx.disks().insert(&disk).await.unwrap();
            tx.tags().insert(Tagged::Disk(disk.id), std::slice::from_ref(&tag)).await.unwrap();
        }
        self.disks.push(Known { disk, tags: BTreeMap::from([(tag.key, tag.value)]) });
    }

    fn query(&self) -> DiskQuery {
        DiskQuery {
            account: self.one(&ACCOUNTS),
            region: self.one(&REGIONS).parse().unwrap(),
            filters: (0..self.below(4)).map(|_| self.filter()).collect(),
            order_field: self.one(&[DiskOrderField::CreateTime, DiskOrderField::Deadline]),
            order: self.one(&[Order::Ascending, Order::Descending]),
            page: Page { offset: self.below(40), limit: self.below(30) },
        }
    }

    fn filter(&self) -> DiskFilter {
        let some = self.disks.get(self.below(self.disks.len().max(1) as u64) as usize);
        let id = some.map_or_else(|| DiskId::random(&self.random), |known| known.disk.id);
        let zone = || format!("{}-{}", self.one(&REGIONS), 1 + self.below(2)).parse().unwrap();
        match self.below(16) {
            0 => DiskFilter::Id(vec![id, self.disks.first().map_or(id, |known| known.disk.id)]),
            1 => DiskFilter::Usage(vec![DiskUsage::DataDisk]),
            2 => DiskFilter::ChargeType(vec![DiskChargeType::Prepaid]),
            3 => DiskFilter::Portable(vec![self.below(2) == 0]),
            4 => DiskFilter::Project(vec![ProjectId(self.below(2))]),
            5 => DiskFilter::Name(vec!["name 0".to_owned(), "name 2".to_owned()]),
            6 => DiskFilter::Name(some.map(|known| known.disk.name.clone()).into_iter().collect()),
            7 => DiskFilter::Type(vec![DiskType::CloudSsd, DiskType::CloudTssd]),
            8 => DiskFilter::State(vec![self.one(DiskState::ALL), self.one(DiskState::ALL)]),
            9 => DiskFilter::Zone(vec![zone()]),
            10 => DiskFilter::Instance(vec![instance(self.below(4)), instance(self.below(4))]),
            11 => DiskFilter::InstanceAddress(instance_address(self.below(3)).into_iter().collect()),
            12 => DiskFilter::InstanceName(vec![instance_name(self.below(4))]),
            13 => DiskFilter::TagKey(vec![self.tag().key, self.tag().key]),
            14 => DiskFilter::TagValue(vec![self.tag().value]),
            _ => DiskFilter::Tag { key: self.tag().key, values: vec![self.tag().value, self.tag().value] },
        }
    }

    fn meets(known: &Known, filter: &DiskFilter) -> bool {
        let numbers: Vec<u64> =
            (0..4).filter(|number| known.disk.instances().any(|id| id == instance(*number))).collect();
        match filter {
            DiskFilter::InstanceAddress(values) => numbers
                .iter()
                .filter_map(|number| instance_address(*number))
                .any(|address| values.contains(&address)),
            DiskFilter::InstanceName(values) => {
                numbers.iter().any(|number| values.contains(&instance_name(*number)))
            }
            DiskFilter::TagKey(values) => values.iter().any(|key| known.tags.contains_key(key)),
            DiskFilter::TagValue(values) => known.tags.values().any(|value| values.contains(value)),
            DiskFilter::Tag { key, values } => {
                known.tags.get(key).is_some_and(|value| values.contains(value))
            }
            other => crate::tests::meets(&known.disk, other),
        }
    }

    async fn check(&self, tx: &mut Transaction) -> usize {
        let query = self.query();
        let meet: Vec<Disk> = self
            .disks
            .iter()
            .filter(|known| known.disk.account == query.account && known.disk.zone.region() == query.region)
            .filter(|known| query.filters.iter().all(|filter| Self::meets(known, filter)))
            .map(|known| known.disk.clone())
            .collect();
        let expected = crate::tests::expected(&meet, &DiskQuery { filters: Vec::new(), ..query.clone() });
        let listed = tx.disks().list(&query).await.unwrap();
        let shown: Vec<Disk> = listed.items.into_iter().map(|listing| listing.disk).collect();
        assert_eq!((listed.total_count, &shown), (expected.0, &expected.1), "{query:?}");
        shown.len()
    }
}

async fn open(directory: &tempfile::TempDir) -> Db {
    Db::open(&directory.path().join("control.db")).await.unwrap()
}

#[tokio::test]
async fn lists_of_disks_that_change_are_what_lists_in_memory_give() {
    for (seed, room) in [(1, 4), (2, 7), (3, 64)] {
        ROOM.set(Some(room));
        let directory = tempfile::tempdir().unwrap();
        let db = open(&directory).await;
        prepare(&db).await;
        let mut world = World { random: SeededRandom::new(seed), disks: Vec::new() };
        let mut hits = 0;
        for _ in 0..60 {
            let mut tx = db.write().await.unwrap();
            for _ in 0..10 {
                world.step(&mut tx).await;
            }
            tx.commit().await.unwrap();
            let mut tx = db.read().await.unwrap();
            for _ in 0..10 {
                hits += world.check(&mut tx).await;
            }
        }
        assert!(hits > 500, "only {hits} hits: the queries tell little");
        db.close().await;

        // An index that is built from the rows tells the same.
        let db = open(&directory).await;
        let mut tx = db.write().await.unwrap();
        for sql in [
            "DELETE FROM list_marks",
            "DELETE FROM list_terms",
            "DELETE FROM list_blocks",
            "UPDATE disks SET created_place = NULL, deadline_place = NULL",
            "UPDATE counters SET value = 0 WHERE name = 'list_index'",
        ] {
            tx.run(sql).await.unwrap();
        }
        tx.commit().await.unwrap();
        db.close().await;
        let db = open(&directory).await;
        let mut tx = db.write().await.unwrap();
        for _ in 0..100 {
            world.check(&mut tx).await;
        }
        // And it takes changes.
        for _ in 0..100 {
            world.step(&mut tx).await;
            world.check(&mut tx).await;
        }
        for known in world.disks.drain(..) {
            tx.disks().delete(known.disk.id).await.unwrap();
        }
        // Only the words that there are few of stay.
        let rare = "list_terms WHERE term LIKE 'name=%' OR term LIKE 'tag%' OR term LIKE 'i%'";
        for left in ["list_marks", "list_blocks", rare] {
            assert_eq!(tx.count(&format!("SELECT COUNT(*) FROM {left}")).await.unwrap(), 0, "{left}");
        }
    }
    ROOM.set(None);
}

/// Disks of one account, made at these times one after the other: how many blocks they take, and when those were made
/// that a list shows.
async fn made_at(times: impl Iterator<Item = i64>) -> (i64, Vec<i64>) {
    ROOM.set(Some(10));
    let directory = tempfile::tempdir().unwrap();
    let db = open(&directory).await;
    prepare(&db).await;
    let world = World { random: SeededRandom::new(5), disks: Vec::new() };
    let region: Region = REGIONS[0].parse().unwrap();
    let mut tx = db.write().await.unwrap();
    for time in times {
        let disk = Disk {
            account: ACCOUNTS[0],
            zone: format!("{region}-1").parse().unwrap(),
            lifecycle: Lifecycle::Live,
            deadline: None,
            attachments: Vec::new(),
            created: UnixMillis(time),
            ..world.new_disk()
        };
        tx.disks().insert(&disk).await.unwrap();
    }
    let query = DiskQuery {
        account: ACCOUNTS[0],
        region,
        filters: Vec::new(),
        order_field: DiskOrderField::CreateTime,
        order: Order::Ascending,
        page: Page { offset: 0, limit: 1000 },
    };
    let listed = tx.disks().list(&query).await.unwrap();
    ROOM.set(None);
    let shown = listed.items.iter().map(|listing| listing.disk.created.0).collect();
    (tx.count("SELECT COUNT(*) FROM list_blocks").await.unwrap(), shown)
}

#[tokio::test]
async fn rows_that_come_in_order_fill_their_blocks() {
    assert_eq!(made_at(0..100).await, (10, (0..100).collect()));
}

#[tokio::test]
async fn rows_that_come_in_any_order_split_blocks() {
    let (blocks, shown) = made_at((0..100).rev()).await;
    assert_eq!(shown, (0..100).collect::<Vec<i64>>());
    assert!((10..=20).contains(&blocks), "{blocks}");
    // 37 and 101 have no factor in common: each number once.
    let (blocks, shown) = made_at((1..101).map(|number| number * 37 % 101)).await;
    assert_eq!(shown, (1..101).collect::<Vec<i64>>());
    assert!((10..=20).contains(&blocks), "{blocks}");
}
