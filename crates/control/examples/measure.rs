//! Measures one tick of the scheduler: `cargo run --release -p ashlar-control --example measure -- DIRECTORY [DISKS]`.
//!
//! One policy with so many disks in use (100,000 unless said otherwise) bound to it, in a database of its own; its moment
//! comes, and all snapshots are ordered. Prints how long that took and how much memory the process then has.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
#![allow(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ashlar_attach::ExportTable;
use ashlar_control::{
    Caller, Control, ControlParts, CreateSnapshotPolicy, FIRST_ACCOUNT, NewInstance, NewRule, Reconciler,
    RequestId, Settings, Stores,
};
use ashlar_db::{Attachment, AttachmentState, Db, Disk, Lifecycle};
use ashlar_types::{
    DiskChargeType, DiskId, DiskState, DiskType, DiskUsage, InstanceId, InstanceProduct, ManualClock,
    ProjectId, Region, SeededRandom, SnapshotPolicyId, UnixMillis,
};
use ashlar_volume::model::ModelStore;
use ashlar_volume::{VolumeError, VolumeStore};

/// 2026-01-01T00:00:00Z.
const BEGIN: UnixMillis = UnixMillis(1_767_225_600_000);
const DAY_MS: i64 = 24 * 3600 * 1000;

struct OneStore(ModelStore);

impl Stores for OneStore {
    fn store(&self, _: &Region) -> Result<Arc<dyn VolumeStore>, VolumeError> {
        Ok(Arc::new(self.0.clone()))
    }

    fn encryption_key(&self) -> Option<String> {
        None
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).ok_or("say which directory to use")?;
    let count: u64 = std::env::args().nth(2).map_or(Ok(100_000), |text| text.parse())?;
    let path = Path::new(&directory).join("control.db");
    let db = Db::open(&path).await?;
    let (clock, random) = (Arc::new(ManualClock::new(BEGIN)), Arc::new(SeededRandom::new(1)));
    let control = Control::new(ControlParts {
        db: db.clone(),
        stores: Arc::new(OneStore(ModelStore::default())),
        exports: Arc::new(ExportTable::new()),
        clock: clock.clone(),
        random: random.clone(),
        settings: Settings::default(),
        server_name: "measure".to_owned(),
    });
    control.ensure_first_records().await?;
    let region: Region = "ap-guangzhou".parse()?;
    let request_id = RequestId("measure".to_owned());
    let caller = Caller::owner(FIRST_ACCOUNT, region, request_id);
    let zone = "ap-guangzhou-3".parse()?;
    let wanted = NewInstance {
        zone,
        name: Some("measured".to_owned()),
        id: None,
        ip_address: None,
        product: InstanceProduct::Cvm,
        system_disk_gib: None,
    };
    let instance = control.add_instance(FIRST_ACCOUNT, wanted).await?.id;
    let rule = NewRule { hours: vec![3], interval_days: Some(1), ..NewRule::default() };
    let wanted = CreateSnapshotPolicy { rules: vec![rule], ..CreateSnapshotPolicy::default() };
    let policy = control.create_snapshot_policy(&caller, wanted).await?.id.ok_or("a policy")?;
    bind_disks(&db, &random, policy, instance, count).await?;

    let leader = control.lead().await?.ok_or("nobody else leads")?;
    control.run_reconciler(Reconciler::SnapshotPolicies, leader).await?;
    clock.set(BEGIN.plus_ms(DAY_MS));
    let leader = control.lead().await?.ok_or("nobody else leads")?;
    let start = Instant::now();
    let fired = control.run_reconciler(Reconciler::SnapshotPolicies, leader).await?;
    let tick_ms = start.elapsed().as_secs_f64() * 1000.0;
    let memory = std::fs::read_to_string("/proc/self/status")?;
    let resident = memory.lines().find(|line| line.starts_with("VmRSS")).unwrap_or("VmRSS: unknown");
    println!("{} snapshots of {count} bound disks ordered in {tick_ms:.0} ms; {resident}", fired.items);
    control.shutdown().await;
    Ok(())
}

async fn bind_disks(
    db: &Db,
    random: &SeededRandom,
    policy: SnapshotPolicyId,
    instance: InstanceId,
    count: u64,
) -> Result<(), Box<dyn Error>> {
    let zone: ashlar_types::Zone = "ap-guangzhou-3".parse()?;
    let mut tx = db.write().await?;
    for _ in 0..count {
        let disk = Disk {
            id: DiskId::random(random),
            account: FIRST_ACCOUNT,
            zone: zone.clone(),
            project: ProjectId(0),
            name: "measured".to_owned(),
            disk_type: DiskType::CloudPremium,
            usage: DiskUsage::DataDisk,
            charge_type: DiskChargeType::PostpaidByHour,
            renew_flag: None,
            period_months: None,
            deadline: None,
            size_gib: 10,
            lifecycle: Lifecycle::Live,
            state: DiskState::Attached,
            shareable: false,
            attachments: vec![Attachment { instance, state: AttachmentState::Inside }],
            last_instance: None,
            portable: true,
            delete_with_instance: false,
            delete_snapshot: false,
            source_snapshot: None,
            encrypt_type: None,
            throughput_performance_mib: 0,
            burst_performance: false,
            backup_quota: 0,
            migrating: false,
            migrate_percent: 0,
            rollback_percent: 0,
            error_prompt: String::new(),
            job: None,
            created: BEGIN,
        };
        tx.disks().insert(&disk).await?;
        tx.snapshot_policies().bind_disk(policy, disk.id).await?;
    }
    Ok(tx.commit().await?)
}
