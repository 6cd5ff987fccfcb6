//! The queries against a file of their own.

use ashlar_types::{
    AccountUin, AppId, DiskChargeType, DiskId, DiskState, DiskType, DiskUsage, ProjectId, RandomSource as _,
    Region, SeededRandom, UnixMillis,
};

use crate::*;

const ACCOUNT: AccountUin = AccountUin(7);

fn region() -> Region {
    "ap-guangzhou".parse().unwrap()
}

async fn database() -> (tempfile::TempDir, Db) {
    let directory = tempfile::tempdir().unwrap();
    let db = Db::open(&directory.path().join("control.db")).await.unwrap();
    let mut tx = db.write().await.unwrap();
    tx.places().insert_region(&region(), 0).await.unwrap();
    for number in 1..=3 {
        tx.places().insert_zone(&format!("ap-guangzhou-{number}").parse().unwrap(), number).await.unwrap();
    }
    let account = Account {
        uin: ACCOUNT,
        app_id: AppId(1),
        name: String::new(),
        enabled: true,
        created: UnixMillis(0),
    };
    tx.accounts().insert(&account).await.unwrap();
    tx.accounts().insert_project(ACCOUNT, ProjectId(0), "default").await.unwrap();
    tx.commit().await.unwrap();
    (directory, db)
}

pub(crate) fn disk(random: &SeededRandom) -> Disk {
    let prepaid = random.below(2) == 0;
    Disk {
        id: DiskId::random(random),
        account: ACCOUNT,
        zone: format!("ap-guangzhou-{}", 1 + random.below(3)).parse().unwrap(),
        project: ProjectId(0),
        name: format!("name {}", random.below(4)),
        disk_type: DiskType::ALL[random.below(6) as usize],
        usage: DiskUsage::DataDisk,
        charge_type: if prepaid { DiskChargeType::Prepaid } else { DiskChargeType::PostpaidByHour },
        renew_flag: None,
        period_months: prepaid.then_some(1),
        deadline: prepaid.then(|| UnixMillis(1000 + random.below(5) as i64)),
        size_gib: 10 + random.below(100),
        lifecycle: [Lifecycle::Live, Lifecycle::Live, Lifecycle::Creating][random.below(3) as usize],
        state: DiskState::ALL[random.below(7) as usize],
        shareable: random.below(2) == 0,
        attachments: Vec::new(),
        last_instance: Some("ins-00000001".parse().unwrap()),
        portable: random.below(2) == 0,
        delete_with_instance: random.below(2) == 0,
        delete_snapshot: random.below(2) == 0,
        encrypt_type: Some(EncryptType::V2),
        source_snapshot: Some("snap-00000001".parse().unwrap()),
        throughput_performance_mib: random.below(9),
        burst_performance: random.below(2) == 0,
        backup_quota: random.below(9),
        migrating: random.below(2) == 0,
        migrate_percent: random.below(101),
        rollback_percent: random.below(101),
        error_prompt: "it's a \"prompt\"; DROP TABLE disks".to_owned(),
        job: None,
        // Few different times: the order of creation must break the ties.
        created: UnixMillis(random.below(4) as i64),
    }
}

/// Whether a disk meets a condition, told without SQL.
pub(crate) fn meets(disk: &Disk, filter: &DiskFilter) -> bool {
    match filter {
        DiskFilter::Id(values) => values.contains(&disk.id),
        DiskFilter::Usage(values) => values.contains(&disk.usage),
        DiskFilter::ChargeType(values) => values.contains(&disk.charge_type),
        DiskFilter::Portable(values) => values.contains(&disk.portable),
        DiskFilter::Project(values) => values.contains(&disk.project),
        DiskFilter::Name(values) => values.contains(&disk.name),
        DiskFilter::Type(values) => values.contains(&disk.disk_type),
        DiskFilter::State(values) => values.contains(&disk.state),
        DiskFilter::Instance(values) => disk.instances().any(|instance| values.contains(&instance)),
        DiskFilter::Zone(values) => values.contains(&disk.zone),
        // The disks of this test are in no instance; each has one tag, its name under `of`.
        DiskFilter::InstanceAddress(_) | DiskFilter::InstanceName(_) | DiskFilter::Nothing => false,
        DiskFilter::TagKey(values) => values.iter().any(|key| key == "of"),
        DiskFilter::TagValue(values) => values.contains(&disk.name),
        DiskFilter::Tag { key, values } => key == "of" && values.contains(&disk.name),
    }
}

fn filter(random: &SeededRandom, disks: &[Disk]) -> DiskFilter {
    let some = &disks[random.below(disks.len() as u64) as usize];
    match random.below(12) {
        0 => DiskFilter::Id(vec![some.id, DiskId::random(random)]),
        1 => DiskFilter::Usage(vec![DiskUsage::SystemDisk, some.usage]),
        2 => DiskFilter::ChargeType(vec![some.charge_type]),
        3 => DiskFilter::Portable(vec![some.portable]),
        4 => DiskFilter::Name(vec![some.name.clone(), "' OR 1 = 1".to_owned()]),
        5 => DiskFilter::Type(vec![some.disk_type, DiskType::CloudSsd]),
        6 => DiskFilter::State(vec![some.state, DiskState::Attached]),
        7 => DiskFilter::Zone(vec![some.zone.clone()]),
        8 => DiskFilter::TagValue(vec![some.name.clone()]),
        9 => DiskFilter::Tag { key: "of".to_owned(), values: vec![some.name.clone()] },
        10 => DiskFilter::TagKey(vec!["of".to_owned(), "other".to_owned()]),
        _ => DiskFilter::Project(vec![ProjectId(0)]),
    }
}

/// The answer to a query, told without SQL. `disks` are in the order of creation.
pub(crate) fn expected(disks: &[Disk], query: &DiskQuery) -> (u64, Vec<Disk>) {
    let mut found: Vec<(usize, &Disk)> = disks
        .iter()
        .enumerate()
        .filter(|(_, disk)| disk.lifecycle == Lifecycle::Live)
        .filter(|(_, disk)| query.filters.iter().all(|filter| meets(disk, filter)))
        .collect();
    found.sort_by(|one, other| {
        let key = |at: &(usize, &Disk)| (at.1.created, at.0);
        let direct = |ordering: std::cmp::Ordering| match query.order {
            Order::Ascending => ordering,
            Order::Descending => ordering.reverse(),
        };
        let by_time = direct(key(one).cmp(&key(other)));
        match query.order_field {
            DiskOrderField::CreateTime => by_time,
            DiskOrderField::Deadline => match (one.1.deadline, other.1.deadline) {
                (Some(mine), Some(yours)) => direct(mine.cmp(&yours)).then(by_time),
                (mine, yours) => yours.is_some().cmp(&mine.is_some()).then(by_time),
            },
        }
    });
    let page = found.iter().skip(query.page.offset as usize).take(query.page.limit as usize);
    (found.len() as u64, page.map(|(_, disk)| (*disk).clone()).collect())
}

#[tokio::test]
async fn every_list_of_disks_is_what_a_list_in_memory_gives() {
    let (_directory, db) = database().await;
    let random = SeededRandom::new(11);
    let mut disks: Vec<Disk> = Vec::new();
    let mut tx = db.write().await.unwrap();
    for _ in 0..60 {
        let disk = disk(&random);
        tx.disks().insert(&disk).await.unwrap();
        let tag = Tag { key: "of".to_owned(), value: disk.name.clone() };
        tx.tags().insert(Tagged::Disk(disk.id), &[tag]).await.unwrap();
        disks.push(disk);
    }
    tx.commit().await.unwrap();

    let mut tx = db.read().await.unwrap();
    let mut hits = 0;
    for _ in 0..400 {
        let query = DiskQuery {
            account: ACCOUNT,
            region: region(),
            filters: (0..random.below(3)).map(|_| filter(&random, &disks)).collect(),
            order_field: [DiskOrderField::CreateTime, DiskOrderField::Deadline][random.below(2) as usize],
            order: [Order::Ascending, Order::Descending][random.below(2) as usize],
            page: Page { offset: random.below(8), limit: 1 + random.below(9) },
        };
        let listed = tx.disks().list(&query).await.unwrap();
        let shown: Vec<Disk> = listed.items.into_iter().map(|listing| listing.disk).collect();
        hits += shown.len();
        assert_eq!((listed.total_count, shown), expected(&disks, &query), "{query:?}");
    }
    assert!(hits > 400, "only {hits} hits: the queries tell little");
}

#[tokio::test]
async fn what_was_not_committed_never_happened() {
    let (_directory, db) = database().await;
    let random = SeededRandom::new(1);
    let lost = Disk { lifecycle: Lifecycle::Live, ..disk(&random) };
    let mut tx = db.write().await.unwrap();
    tx.disks().insert(&lost).await.unwrap();
    drop(tx);
    let mut tx = db.write().await.unwrap();
    assert!(!tx.disks().exists(lost.id).await.unwrap());
    tx.disks().insert(&lost).await.unwrap();
    assert_eq!(tx.disks().insert(&lost).await.unwrap_err().kind(), DbErrorKind::Conflict);
    tx.commit().await.unwrap();
    let found = db.read().await.unwrap().disks().find(ACCOUNT, &region(), lost.id).await.unwrap();
    assert_eq!(found, Some(lost));
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let (_directory, db) = database().await;
    let mut tx = db.read().await.unwrap();
    assert!(tx.accounts().insert_project(ACCOUNT, ProjectId(1), "other").await.is_err());
}

#[tokio::test]
async fn the_file_survives_being_opened_again() {
    let (directory, db) = database().await;
    db.close().await;
    let db = Db::open(&directory.path().join("control.db")).await.unwrap();
    let mut tx = db.read().await.unwrap();
    assert_eq!(tx.accounts().list().await.unwrap().len(), 1);
    assert_eq!(tx.places().zones(&region()).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_foreign_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.db");
    std::fs::write(&path, vec![b'x'; 8192]).unwrap();
    assert_eq!(Db::open(&path).await.unwrap_err().kind(), DbErrorKind::Corrupt);
}

#[tokio::test]
async fn the_end_of_a_job_lets_go_of_what_it_held() {
    let (_directory, db) = database().await;
    let mut tx = db.write().await.unwrap();
    let new = NewJob { region: &region(), kind: "resize_disk", work: "{}", step: "settle" };
    let job = tx.jobs().insert(&new, UnixMillis(5)).await.unwrap();
    let held = Disk { job: Some(job), ..disk(&SeededRandom::new(2)) };
    tx.disks().insert(&held).await.unwrap();
    assert_eq!(tx.jobs().unfinished().await.unwrap(), vec![job]);
    tx.jobs().advance(job, JobPhase::Undo, "give_back").await.unwrap();
    let found = tx.jobs().find(job).await.unwrap().unwrap();
    assert_eq!((found.phase, found.step.as_str(), found.error), (JobPhase::Undo, "give_back", None));
    assert_eq!(tx.disks().of_job(job).await.unwrap(), vec![held]);
    tx.jobs().end(job, JobPhase::Failed, UnixMillis(6)).await.unwrap();
    assert_eq!(tx.disks().of_job(job).await.unwrap(), vec![]);
    assert_eq!(tx.jobs().unfinished().await.unwrap(), vec![]);
    assert_eq!(tx.jobs().forget_ended(UnixMillis(6)).await.unwrap(), 0);
    assert_eq!(tx.jobs().forget_ended(UnixMillis(7)).await.unwrap(), 1);
    assert_eq!(tx.jobs().find(job).await.unwrap(), None);
}

#[tokio::test]
async fn a_list_by_create_time_walks_an_index() {
    let (_directory, db) = database().await;
    let mut tx = db.read().await.unwrap();
    let plan = tx
        .plan("SELECT * FROM disks d WHERE d.uin = 1 AND d.region = 'r' AND d.lifecycle = 'LIVE' ORDER BY d.created_ms DESC, d.sequence DESC")
        .await
        .unwrap();
    assert!(plan.contains("disks_by_create_time") && !plan.contains("TEMP B-TREE"), "{plan}");
}

#[tokio::test]
async fn what_fixes_took_is_found_by_indexes() {
    let (_directory, db) = database().await;
    let mut tx = db.read().await.unwrap();
    let plan = tx
        .plan("SELECT COUNT(*) FROM fix_snapshots f JOIN snapshots s ON s.snapshot_id = f.snapshot_id WHERE f.uin = 1 AND f.quuid IN ('a', 'b')")
        .await
        .unwrap();
    assert!(plan.contains("fix_snapshots_by_machine") && !plan.contains("SCAN"), "{plan}");
}

#[tokio::test]
async fn what_is_due_is_found_by_its_time() {
    let (_directory, db) = database().await;
    let mut tx = db.read().await.unwrap();
    for (sql, index) in [
        (crate::snapshot::EXPIRED, "snapshots_by_deadline"),
        (crate::snapshot::RECYCLED, "snapshots_by_recycling"),
        (crate::disk::EXPIRED, "disks_by_end"),
        (crate::disk::ISOLATED, "disks_by_isolation"),
        (crate::usage::DUE_DISKS, "disks_by_charge (charge_type=? AND charged_ms<?)"),
        (crate::usage::DUE_SNAPSHOTS, "snapshots_by_create_time (uin=? AND region=?)"),
    ] {
        let plan = tx.plan(sql).await.unwrap();
        assert!(plan.contains(index), "{plan}");
        // These have a row for everything there is, due or not.
        let words: Vec<&str> = plan.split_whitespace().collect();
        let scans = |table| words.windows(2).any(|words| words == ["SCAN", table]);
        assert!(!scans("d") && !scans("s"), "{plan}");
    }
}
