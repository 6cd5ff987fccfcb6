//! A whole control plane over an in-memory pool, and what must always hold for it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use ashlar_attach::{ExportName, ExportTable};
use ashlar_db::{Db, Lifecycle, Listed};
use ashlar_types::{
    AccountUin, AppId, Clock as _, DiskBackupState, DiskChargeType, DiskId, DiskState, DiskType, InstanceId,
    LighthouseSnapshotId, ManualClock, ProjectId, Region, SeededRandom, SnapshotGroupState, SnapshotId,
    SnapshotState, UnixMillis,
};
use ashlar_volume::limit::Pace;
use ashlar_volume::model::ModelStore;
use ashlar_volume::{BlockDevice, ErrorKind, VolumeError, VolumeStore};
use parking_lot::Mutex;

use crate::job::StepHook;
use crate::*;

/// 2026-01-01T00:00:00Z.
pub(crate) const BEGIN: UnixMillis = UnixMillis(1_767_225_600_000);

/// A pool for every region. They can be told to refuse.
#[derive(Default)]
pub(crate) struct TestStores {
    pools: Mutex<BTreeMap<Region, ModelStore>>,
    /// Every call for a pool is refused with this kind while it is set.
    pub(crate) refusal: Mutex<Option<ErrorKind>>,
    /// Disks cannot be encrypted while it is set.
    pub(crate) has_no_master_key: Mutex<bool>,
    /// Every call for a pool waits until the other end is dropped, while it is set.
    pub(crate) gate: Mutex<Option<Receiver<()>>>,
}

impl Stores for TestStores {
    fn store(&self, region: &Region) -> Result<Arc<dyn VolumeStore>, VolumeError> {
        // The lock is let go before the wait: other calls pass.
        let gate = self.gate.lock().take();
        if let Some(gate) = gate {
            // Nothing is ever sent: the wait ends with the sender.
            let _ = gate.recv();
        }
        match *self.refusal.lock() {
            Some(kind) => Err(VolumeError::new(kind, format!("the pool of {region} refuses"))),
            None => Ok(Arc::new(self.pool(region))),
        }
    }

    fn encryption_key(&self) -> Option<String> {
        (!*self.has_no_master_key.lock()).then(|| "kms-testtest".to_owned())
    }

    fn open_stores(&self) -> Vec<(Region, Arc<dyn VolumeStore>)> {
        let store = |(region, pool): (&Region, &ModelStore)| {
            (region.clone(), Arc::new(pool.clone()) as Arc<dyn VolumeStore>)
        };
        self.pools.lock().iter().map(store).collect()
    }
}

impl TestStores {
    fn pool(&self, region: &Region) -> ModelStore {
        self.pools.lock().entry(region.clone()).or_default().clone()
    }
}

/// Everything that survives a restart, and the control plane that runs on it.
pub(crate) struct World {
    pub(crate) control: Control,
    pub(crate) stores: Arc<TestStores>,
    pub(crate) exports: ExportTable,
    pub(crate) clock: Arc<ManualClock>,
    random: Arc<SeededRandom>,
    pub(crate) settings: Settings,
    directory: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Settings::default(), None, 1).await
    }

    pub(crate) async fn with(settings: Settings, hook: Option<Arc<dyn StepHook>>, seed: u64) -> Self {
        let directory = in_memory_if_possible();
        let stores = Arc::new(TestStores::default());
        let clock = Arc::new(ManualClock::new(BEGIN));
        let random = Arc::new(SeededRandom::new(seed));
        let exports = exports(&settings);
        let db = Db::open(&directory.path().join("control.db")).await.unwrap();
        let parts = ControlParts {
            db,
            stores: stores.clone(),
            exports: Arc::new(exports.clone()),
            clock: clock.clone(),
            random: random.clone(),
            settings: settings.clone(),
            server_name: "one".to_owned(),
        };
        let control = Control::with_hook(parts, hook);
        control.ensure_first_records().await.unwrap();
        control.start().await.unwrap();
        Self { control, stores, exports, clock, random, settings, directory }
    }

    /// The same after the death of the server: a new one on the same database and pool. Every job that the old
    /// one left has ended when this returns.
    pub(crate) async fn restarted(self) -> Self {
        let exports = exports(&self.settings);
        let parts = ControlParts {
            db: Db::open(&self.directory.path().join("control.db")).await.unwrap(),
            stores: self.stores.clone(),
            exports: Arc::new(exports.clone()),
            clock: self.clock.clone(),
            random: self.random.clone(),
            settings: self.settings.clone(),
            server_name: "one".to_owned(),
        };
        let control = Control::new(parts);
        control.start().await.unwrap();
        control.runner.idle().await;
        Self { control, exports, ..self }
    }

    pub(crate) fn database(&self) -> std::path::PathBuf {
        self.directory.path().join("control.db")
    }

    pub(crate) fn random(&self) -> Arc<SeededRandom> {
        self.random.clone()
    }

    /// The pool of the caller's region.
    pub(crate) fn store(&self) -> ModelStore {
        self.stores.pool(&caller().region)
    }

    /// The pool of another region.
    pub(crate) fn store_of(&self, region: &Region) -> ModelStore {
        self.stores.pool(region)
    }

    pub(crate) async fn instance(&self, zone: &str) -> InstanceId {
        let wanted = NewInstance {
            zone: zone.parse().unwrap(),
            name: None,
            id: None,
            ip_address: None,
            product: ashlar_types::InstanceProduct::Cvm,
            system_disk_gib: None,
        };
        self.control.add_instance(FIRST_ACCOUNT, wanted).await.unwrap().id
    }

    /// A machine of Lighthouse and the disk of 20 GiB that it boots from.
    pub(crate) async fn lighthouse(&self) -> (InstanceId, DiskId) {
        let wanted = NewInstance {
            zone: "ap-guangzhou-3".parse().unwrap(),
            name: None,
            id: None,
            ip_address: None,
            product: ashlar_types::InstanceProduct::Lighthouse,
            system_disk_gib: Some(20),
        };
        let machine = self.control.add_instance(FIRST_ACCOUNT, wanted).await.unwrap().id;
        let disks = self.disks().await.items;
        let booted = disks.iter().find(|view| view.disk.instance() == Some(machine)).unwrap().disk.id;
        (machine, booted)
    }

    pub(crate) async fn instance_snapshot(&self, machine: InstanceId) -> LighthouseSnapshotId {
        let wanted = CreateInstanceSnapshot { instance: machine.into(), name: None, tags: vec![] };
        self.control.create_instance_snapshot(&caller(), wanted).await.unwrap()
    }

    pub(crate) async fn disk(&self) -> DiskId {
        self.control.create_disks(&caller(), new_disks()).await.unwrap()[0]
    }

    pub(crate) async fn prepaid_disk(&self, renew_flag: Option<ashlar_types::RenewFlag>) -> DiskId {
        let prepaid = DiskChargePrepaid { period_months: 1, renew_flag, cur_instance_deadline: None };
        let wanted =
            CreateDisks { charge_type: DiskChargeType::Prepaid, prepaid: Some(prepaid), ..new_disks() };
        self.control.create_disks(&caller(), wanted).await.unwrap()[0]
    }

    pub(crate) async fn attached_disk(&self, instance: InstanceId) -> DiskId {
        let disk = self.disk().await;
        self.attach(disk, instance).await.unwrap();
        disk
    }

    pub(crate) async fn attach(&self, disk: DiskId, instance: InstanceId) -> Result<(), ControlError> {
        let wanted =
            AttachDisks { instance, disks: vec![disk], delete_with_instance: None, attach_mode: None };
        self.control.attach_disks(&caller(), wanted).await
    }

    pub(crate) async fn detach(&self, disk: DiskId) -> Result<(), ControlError> {
        self.control.detach_disks(&caller(), DetachDisks { disks: vec![disk], instance: None }).await
    }

    pub(crate) async fn detach_from(&self, disk: DiskId, instance: InstanceId) -> Result<(), ControlError> {
        let wanted = DetachDisks { disks: vec![disk], instance: Some(instance) };
        self.control.detach_disks(&caller(), wanted).await
    }

    pub(crate) async fn shareable_disk(&self) -> DiskId {
        let wanted = CreateDisks { shareable: Some(true), ..new_disks() };
        self.control.create_disks(&caller(), wanted).await.unwrap()[0]
    }

    pub(crate) async fn terminate(&self, disk: DiskId) -> Result<(), ControlError> {
        let wanted = TerminateDisks { disks: vec![disk], delete_snapshot: None };
        self.control.terminate_disks(&caller(), wanted).await
    }

    pub(crate) async fn snapshot(&self, disk: DiskId) -> SnapshotId {
        let wanted = CreateSnapshot { disk: Some(disk), ..CreateSnapshot::default() };
        self.control.create_snapshot(&caller(), wanted).await.unwrap()
    }

    pub(crate) async fn apply(&self, snapshot: SnapshotId, disk: DiskId) -> Result<(), ControlError> {
        let wanted = ApplySnapshot { snapshot, disk, auto_stop_instance: None, auto_start_instance: None };
        self.control.apply_snapshot(&caller(), wanted).await
    }

    pub(crate) async fn disks(&self) -> Listed<DiskView> {
        let wanted = DescribeDisks { limit: Some(100), ..DescribeDisks::default() };
        self.control.describe_disks(&caller(), wanted).await.unwrap()
    }

    pub(crate) async fn snapshots(&self) -> Listed<SnapshotView> {
        let wanted = DescribeSnapshots { limit: Some(100), ..DescribeSnapshots::default() };
        self.control.describe_snapshots(&caller(), wanted).await.unwrap()
    }

    pub(crate) async fn view(&self, disk: DiskId) -> DiskView {
        let wanted = DescribeDisks { disks: vec![disk], ..DescribeDisks::default() };
        self.control.describe_disks(&caller(), wanted).await.unwrap().items.remove(0)
    }

    pub(crate) async fn snapshot_view(&self, snapshot: SnapshotId) -> SnapshotView {
        let wanted = DescribeSnapshots { snapshots: vec![snapshot], ..DescribeSnapshots::default() };
        self.control.describe_snapshots(&caller(), wanted).await.unwrap().items.remove(0)
    }

    pub(crate) async fn backups(&self) -> Listed<DiskBackup> {
        let wanted = DescribeDiskBackups { limit: Some(100), ..DescribeDiskBackups::default() };
        self.control.describe_disk_backups(&caller(), wanted).await.unwrap()
    }

    pub(crate) async fn groups(&self) -> Listed<SnapshotGroupView> {
        let wanted = DescribeSnapshotGroups { limit: Some(100), ..DescribeSnapshotGroups::default() };
        self.control.describe_snapshot_groups(&caller(), wanted).await.unwrap()
    }

    /// Makes another account, with a default project.
    pub(crate) async fn account(&self, uin: u64) -> AccountUin {
        let account = Account {
            uin: AccountUin(uin),
            app_id: AppId(uin),
            name: format!("account {uin}"),
            enabled: true,
            created: self.clock.now(),
        };
        let mut tx = self.control.db.write().await.unwrap();
        tx.accounts().insert(&account).await.unwrap();
        tx.accounts().insert_project(account.uin, ProjectId(0), "theirs").await.unwrap();
        tx.commit().await.unwrap();
        account.uin
    }

    /// Everything that a client can see, to show that a refused call changed nothing.
    pub(crate) async fn seen(&self) -> (Listed<DiskView>, Listed<SnapshotView>) {
        (self.disks().await, self.snapshots().await)
    }

    pub(crate) fn device(&self, disk: DiskId) -> Arc<dyn BlockDevice> {
        self.store().open_volume(&disk.into()).unwrap()
    }

    pub(crate) fn write(&self, disk: DiskId, byte: u8) {
        self.device(disk).write(0, &[byte; 4096]).unwrap();
    }

    pub(crate) fn read(&self, disk: DiskId) -> u8 {
        let mut buffer = [0; 4096];
        self.device(disk).read(0, &mut buffer).unwrap();
        buffer[4095]
    }

    /// What must hold whenever no job is under way: records, pool and exports agree, and every state is one
    /// that a client can leave.
    pub(crate) async fn check_rest(&self) {
        let mut tx = self.control.db.read().await.unwrap();
        assert_eq!(tx.jobs().unfinished().await.unwrap(), vec![], "every job ends");
        let expected = pool_expectation(&self.control.db, &caller().region).await.unwrap();
        assert!(expected.volumes_in_flux.is_empty() && expected.snapshots_in_flux.is_empty());
        self.check_jobs("at rest").await;
        assert_eq!(names(&expected.volumes), names(self.store().volumes().unwrap()));
        assert_eq!(names(&expected.snapshots), names(self.store().snapshots().unwrap()));

        let mut exported = BTreeSet::new();
        for region in self.control.regions().await.unwrap() {
            for snapshot in tx.snapshots().of_region(&region).await.unwrap() {
                exported.insert(ExportName::Snapshot(snapshot.id));
            }
            if region != caller().region {
                let expected = pool_expectation(&self.control.db, &region).await.unwrap();
                assert!(expected.volumes_in_flux.is_empty() && expected.snapshots_in_flux.is_empty());
                assert_eq!(names(&expected.volumes), names(self.store_of(&region).volumes().unwrap()));
                assert_eq!(names(&expected.snapshots), names(self.store_of(&region).snapshots().unwrap()));
            }
        }
        for volume in &expected.volumes {
            let id: DiskId = volume.as_str().parse().unwrap();
            let disk = tx.disks().find(FIRST_ACCOUNT, &caller().region, id).await.unwrap().unwrap();
            assert_eq!((disk.job, disk.lifecycle, disk.migrating), (None, Lifecycle::Live, false));
            match disk.state {
                DiskState::Attached => {
                    let inside = |instance| Attachment { instance, state: AttachmentState::Inside };
                    let open: Vec<_> = self.exports.instances(id).into_iter().map(inside).collect();
                    let by_id = |attachment: &Attachment| attachment.instance;
                    let mut attachments = disk.attachments.clone();
                    attachments.sort_by_key(by_id);
                    assert_eq!(open, attachments, "only its instances may open it");
                    assert!(disk.shareable || open.len() == 1, "{id} is in several instances");
                    exported.extend(disk.instances().map(|instance| match open.len() {
                        1 => ExportName::Disk(id),
                        _ => ExportName::DiskIn(id, instance),
                    }));
                }
                DiskState::Unattached | DiskState::ToRecycle => assert_eq!(disk.attachments, []),
                other @ (DiskState::Attaching
                | DiskState::Detaching
                | DiskState::Expanding
                | DiskState::Rollbacking) => panic!("{id} is stuck in {other}"),
            }
            let size_bytes = self.store().volume(volume).unwrap().size_bytes;
            assert_eq!(size_bytes, disk.size_gib << 30);
        }
        assert_eq!(self.exports.list().into_iter().collect::<BTreeSet<_>>(), exported);
        for backup in self.backups().await.items {
            assert_eq!((backup.state, backup.percent, backup.job), (DiskBackupState::Normal, 100, None));
        }
        for view in self.groups().await.items {
            let group = view.group;
            assert_eq!((group.state, group.percent, group.job), (SnapshotGroupState::Normal, 100, None));
            assert!(!view.snapshots.is_empty(), "{} has no snapshots", group.id);
        }
        for view in self.snapshots().await.items {
            assert_eq!((view.snapshot.state, view.snapshot.percent), (SnapshotState::Normal, 100));
            assert_eq!(view.snapshot.job, None);
        }
    }

    /// Unfinished jobs, records and pools say the same, in the middle of anything.
    pub(crate) async fn check_jobs(&self, when: &str) {
        for region in self.control.regions().await.unwrap() {
            let expected = jobs_expectation(&self.control.db, &region).await.unwrap();
            assert_eq!(expected.contradictions, Vec::<String>::new(), "{when}");
            let store = self.store_of(&region);
            let volumes = store.volumes().unwrap().into_iter().collect();
            let snapshots = store.snapshots().unwrap().into_iter().collect();
            assert_eq!(expected.lacking(&volumes, &snapshots), Vec::<String>::new(), "{when}");
        }
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    pub(crate) fn iso_after_ms(&self, duration_ms: i64) -> String {
        wire_time_iso(self.clock.now().plus_ms(duration_ms))
    }
}

/// These tests end processes, not machines: where files can lie in memory, no sync has to wait for a disk.
fn in_memory_if_possible() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Time that nobody waits for.
struct NoTime;

impl Pace for NoTime {
    fn now_ns(&self) -> u64 {
        0
    }

    fn wait_until(&self, _at_ns: u64) {}
}

fn exports(settings: &Settings) -> ExportTable {
    if settings.enforce_performance { ExportTable::with_limits(Arc::new(NoTime)) } else { ExportTable::new() }
}

fn names<T: ToString>(ids: impl IntoIterator<Item = T>) -> BTreeSet<String> {
    ids.into_iter().map(|id| id.to_string()).collect()
}

pub(crate) fn caller() -> Caller {
    let request_id = RequestId("6a57da9a-2049-4182-8de3-5a1f8014ccfd".to_owned());
    Caller::owner(FIRST_ACCOUNT, "ap-guangzhou".parse().unwrap(), request_id)
}

/// A postpaid disk of 10 GiB in zone 3.
pub(crate) fn new_disks() -> CreateDisks {
    CreateDisks {
        placement: Placement {
            zone: "ap-guangzhou-3".parse().unwrap(),
            project: None,
            cage_id: None,
            cdc_id: None,
            dedicated_cluster_id: None,
        },
        charge_type: DiskChargeType::PostpaidByHour,
        disk_type: DiskType::CloudPremium,
        name: None,
        tags: vec![],
        snapshot: None,
        count: None,
        throughput_performance_mib: None,
        size_gib: Some(10),
        shareable: None,
        client_token: None,
        encrypt: None,
        kms_key_id: None,
        encrypt_type: None,
        prepaid: None,
        delete_snapshot: None,
        auto_mount: None,
        backup_quota: None,
        burst_performance: None,
        policy: None,
    }
}
