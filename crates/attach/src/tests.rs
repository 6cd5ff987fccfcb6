//! The table over the in-memory store.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use ashlar_types::{DiskId, InstanceId, SnapshotId};
use ashlar_volume::limit::{Limits, Pace, Speed};
use ashlar_volume::model::ModelStore;
use ashlar_volume::{ErrorKind, VolumeStore};
use parking_lot::Mutex;

use crate::{AttachErrorKind, EndSession, ExportName, ExportTable, Lease, Withdrawal};

const LONG: Duration = Duration::from_secs(60);
const SIZE_BYTES: u64 = 1 << 20;

fn disk() -> DiskId {
    "disk-00000001".parse().unwrap()
}

fn snapshot() -> SnapshotId {
    "snap-00000001".parse().unwrap()
}

fn instance() -> InstanceId {
    "ins-00000001".parse().unwrap()
}

fn other() -> InstanceId {
    "ins-00000002".parse().unwrap()
}

/// The disk of [`published`], published for both instances.
fn shared() -> (ModelStore, ExportTable) {
    let (store, table) = published();
    table.publish(disk(), other(), Arc::new(store.clone())).unwrap();
    (store, table)
}

/// A store with the disk and its snapshot, and a table that has published both.
fn published() -> (ModelStore, ExportTable) {
    let store = ModelStore::new();
    store.create_volume(&disk().into(), SIZE_BYTES).unwrap();
    store.create_snapshot(&disk().into(), &snapshot().into()).unwrap();
    let table = ExportTable::new();
    table.publish(disk(), instance(), Arc::new(store.clone())).unwrap();
    table.publish_snapshot(snapshot(), Arc::new(store.clone())).unwrap();
    (store, table)
}

fn open_count(store: &ModelStore) -> usize {
    store.volume(&disk().into()).unwrap().open_count
}

/// A session that lets go of its lease when it is told to, by the first or only by the second call.
struct Session {
    lease: Mutex<Option<Lease>>,
    stubborn: bool,
    finishes: AtomicUsize,
    aborts: AtomicUsize,
}

impl Session {
    fn start(lease: Lease, stubborn: bool) -> Arc<Self> {
        let (finishes, aborts) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { lease: Mutex::new(Some(lease)), stubborn, finishes, aborts })
    }

    fn register(self: &Arc<Self>) {
        let lease = self.lease.lock().take().unwrap();
        // As a real session does: the lease stays where it is, only the way to end it is told.
        lease.on_withdraw(Arc::clone(self) as _);
        *self.lease.lock() = Some(lease);
    }

    fn counts(&self) -> (usize, usize) {
        (self.finishes.load(Ordering::SeqCst), self.aborts.load(Ordering::SeqCst))
    }
}

impl EndSession for Session {
    fn finish(&self) {
        self.finishes.fetch_add(1, Ordering::SeqCst);
        if !self.stubborn {
            drop(self.lease.lock().take());
        }
    }

    fn abort(&self) {
        self.aborts.fetch_add(1, Ordering::SeqCst);
        drop(self.lease.lock().take());
    }
}

#[test]
fn what_is_published_can_be_opened_and_nothing_else() {
    let (_store, table) = published();
    let lease = table.open("disk-00000001").unwrap();
    assert_eq!(lease.name(), ExportName::Disk(disk()));
    assert!(!lease.device().is_read_only());
    lease.device().write(0, b"data").unwrap();
    assert!(table.open("snap-00000001").unwrap().device().is_read_only());
    for name in
        ["", "disk-00000002", "snap-00000002", "ins-00000001", "disk-0000000", "../disk-00000001", "\0"]
    {
        let error = table.open(name).map(|lease| lease.name()).unwrap_err();
        assert_eq!(error.kind(), AttachErrorKind::NotFound, "{name:?}: {error}");
    }
    assert_eq!(table.list(), [ExportName::Disk(disk()), ExportName::Snapshot(snapshot())]);
    assert_eq!(table.instances(disk()), [instance()]);
}

#[test]
fn the_device_is_open_from_the_first_session_to_the_last() {
    let (store, table) = published();
    assert_eq!(open_count(&store), 0, "publishing opens nothing");
    let first = table.open("disk-00000001").unwrap();
    let second = table.open("disk-00000001").unwrap();
    assert_eq!(open_count(&store), 1, "all sessions share one device");
    assert_eq!(table.session_count(ExportName::Disk(disk())), 2);
    first.device().write(0, b"seen by both").unwrap();
    let mut bytes = [0; 12];
    second.device().read(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"seen by both");
    drop(first);
    assert_eq!(open_count(&store), 1);
    drop(second);
    assert_eq!(open_count(&store), 0);
    assert_eq!(table.session_count(ExportName::Disk(disk())), 0);
}

#[test]
fn publishing_again_is_a_success() {
    let (store, table) = published();
    table.publish(disk(), instance(), Arc::new(store.clone())).unwrap();
    assert_eq!(table.instances(disk()), [instance()]);
    assert_eq!(table.withdraw(disk(), instance(), LONG), Withdrawal::LetGo);
    table.publish(disk(), other(), Arc::new(store)).unwrap();
    assert_eq!(table.instances(disk()), [other()]);
}

#[test]
fn a_shared_disk_is_opened_as_one_of_its_machines() {
    let (_store, table) = shared();
    let error = table.open("disk-00000001").map(|lease| lease.name()).unwrap_err();
    assert_eq!(error.kind(), AttachErrorKind::Ambiguous);
    assert!(error.to_string().contains("`disk-00000001@ins-00000001`"), "{error}");
    let names = [ExportName::DiskIn(disk(), instance()), ExportName::DiskIn(disk(), other())];
    assert_eq!(table.list(), [names[0], names[1], ExportName::Snapshot(snapshot())]);
    let leases = names.map(|name| table.open(&name.to_string()).unwrap());
    assert_eq!(leases[0].instance(), Some(instance()));
    assert_eq!((leases[1].name(), leases[1].instance()), (ExportName::Disk(disk()), Some(other())));
    leases[0].device().write(0, b"seen by the other").unwrap();
    let mut bytes = [0; 17];
    leases[1].device().read(0, &mut bytes).unwrap();
    assert_eq!(&bytes, b"seen by the other");
    assert_eq!(table.session_count(names[0]), 1);
    assert_eq!(table.session_count(ExportName::Disk(disk())), 2);
    for name in ["disk-00000001@ins-00000003", "disk-00000002@ins-00000001"] {
        assert_eq!(table.open(name).map(|_| ()).unwrap_err().kind(), AttachErrorKind::NotFound, "{name}");
    }
    for name in
        ["disk-00000001@", "@ins-00000001", "snap-00000001@ins-00000001", "disk-00000001@ins-00000001@"]
    {
        assert_eq!(table.open(name).map(|_| ()).unwrap_err().kind(), AttachErrorKind::NotFound, "{name}");
    }
}

#[test]
fn who_may_open_a_shared_disk_as_one_machine_needs_no_longer_name() {
    let (_store, table) = shared();
    let as_other = |_: ExportName, machine: Option<InstanceId>| machine == Some(other());
    assert_eq!(table.open_if("disk-00000001", as_other).unwrap().instance(), Some(other()));
    assert_eq!(table.list_if(as_other), [ExportName::Disk(disk())]);
    let error = table.open_if("disk-00000001@ins-00000001", as_other).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), AttachErrorKind::NotAdmitted);
    let error = table.open_if("disk-00000001", |_, _| false).map(|_| ()).unwrap_err();
    assert_eq!(error.kind(), AttachErrorKind::NotAdmitted);
}

#[test]
fn withdrawing_a_shared_disk_from_one_machine_leaves_the_other_alone() {
    let (store, table) = shared();
    let gone = Session::start(table.open("disk-00000001@ins-00000001").unwrap(), false);
    let stays = Session::start(table.open("disk-00000001@ins-00000002").unwrap(), false);
    gone.register();
    stays.register();
    assert_eq!(table.withdraw(disk(), instance(), LONG), Withdrawal::LetGo);
    assert_eq!((gone.counts(), stays.counts()), ((1, 0), (0, 0)));
    assert_eq!(open_count(&store), 1, "the other has it open");
    assert!(table.open("disk-00000001@ins-00000001").is_err());
    assert_eq!(table.instances(disk()), [other()]);
    assert_eq!(
        table.open("disk-00000001").unwrap().instance(),
        Some(other()),
        "the short name is clear again"
    );
    table.publish(disk(), instance(), Arc::new(store)).unwrap();
    assert_eq!(stays.counts(), (0, 0));
}

/// Time that moves when somebody waits.
#[derive(Default)]
struct Virtual(AtomicU64);

impl Pace for Virtual {
    fn now_ns(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }

    fn wait_until(&self, at_ns: u64) {
        self.0.fetch_max(at_ns, Ordering::SeqCst);
    }
}

#[test]
fn machines_that_share_a_disk_share_its_limit() {
    let store = ModelStore::new();
    store.create_volume(&disk().into(), SIZE_BYTES).unwrap();
    let pace = Arc::new(Virtual::default());
    let table = ExportTable::with_limits(pace.clone());
    let baseline = Speed { iops: 100, bytes_per_second: u64::MAX };
    table.limit(disk(), Limits { baseline, burst: None, credit_ns: 0 });
    let machines = [instance(), other()].map(|machine| {
        table.publish(disk(), machine, Arc::new(store.clone())).unwrap();
        table.open(&ExportName::DiskIn(disk(), machine).to_string()).unwrap()
    });
    for at in 0..1000 {
        machines[at % 2].device().write(0, b"x").unwrap();
    }
    let seconds = pace.now_ns() / 1_000_000_000;
    assert!((9..=10).contains(&seconds), "1000 requests at 100 a second took {seconds} s");
}

#[test]
fn a_withdrawn_export_is_gone_and_its_volume_free() {
    let (store, table) = published();
    let session = Session::start(table.open("disk-00000001").unwrap(), false);
    session.register();
    assert_eq!(store.delete_volume(&disk().into()).unwrap_err().kind(), ErrorKind::InUse);
    assert_eq!(table.withdraw(disk(), instance(), LONG), Withdrawal::LetGo);
    assert_eq!(session.counts(), (1, 0), "finished in good order");
    assert!(table.open("disk-00000001").is_err());
    assert_eq!((table.list(), table.instances(disk())), (vec![ExportName::Snapshot(snapshot())], vec![]));
    store.delete_volume(&disk().into()).unwrap();
    assert_eq!(table.withdraw(disk(), instance(), Duration::ZERO), Withdrawal::LetGo, "again is a success");
}

#[test]
fn a_withdrawn_snapshot_can_be_deleted() {
    let (store, table) = published();
    let session = Session::start(table.open("snap-00000001").unwrap(), false);
    session.register();
    assert_eq!(table.withdraw_snapshot(snapshot(), LONG), Withdrawal::LetGo);
    store.delete_snapshot(&snapshot().into()).unwrap();
    assert!(table.open("disk-00000001").is_ok(), "the disk stays");
}

#[test]
fn a_stubborn_session_is_aborted() {
    let (store, table) = published();
    let session = Session::start(table.open("disk-00000001").unwrap(), true);
    session.register();
    assert_eq!(table.withdraw(disk(), instance(), Duration::from_millis(40)), Withdrawal::LetGo);
    assert_eq!(session.counts(), (1, 1));
    assert_eq!(open_count(&store), 0);
}

#[test]
fn a_session_that_never_lets_go_is_told_of_and_keeps_newcomers_out() {
    let (store, table) = published();
    let lease = table.open("disk-00000001").unwrap();
    assert_eq!(
        table.withdraw(disk(), instance(), Duration::from_millis(10)),
        Withdrawal::StillOpen { sessions: 1 }
    );
    assert!(table.open("disk-00000001").is_err());
    assert_eq!(table.list(), [ExportName::Snapshot(snapshot())]);
    let error = table.publish(disk(), instance(), Arc::new(store.clone())).unwrap_err();
    assert_eq!(error.kind(), AttachErrorKind::StillOpen);
    drop(lease);
    table.publish(disk(), instance(), Arc::new(store)).unwrap();
    assert!(table.open("disk-00000001").is_ok());
}

#[test]
fn withdrawing_waits_for_a_session_that_is_finishing() {
    let (store, table) = published();
    let lease = table.open("disk-00000001").unwrap();
    let (told, is_told) = std::sync::mpsc::channel();
    struct Tell(Mutex<std::sync::mpsc::Sender<()>>);
    impl EndSession for Tell {
        fn finish(&self) {
            self.0.lock().send(()).unwrap();
        }
        fn abort(&self) {}
    }
    lease.on_withdraw(Arc::new(Tell(Mutex::new(told))));
    thread::scope(|scope| {
        let withdrawal = scope.spawn(|| table.withdraw(disk(), instance(), LONG));
        is_told.recv().unwrap();
        // A request that was received is still carried out.
        lease.device().write(0, b"last").unwrap();
        drop(lease);
        assert_eq!(withdrawal.join().unwrap(), Withdrawal::LetGo);
    });
    assert_eq!(open_count(&store), 0);
}

#[test]
fn a_session_that_registers_late_is_told_at_once() {
    let (_store, table) = published();
    let session = Session::start(table.open("disk-00000001").unwrap(), true);
    assert_eq!(table.withdraw(disk(), instance(), Duration::ZERO), Withdrawal::StillOpen { sessions: 1 });
    session.register();
    assert_eq!(session.counts(), (1, 0));
}

#[test]
fn a_store_that_cannot_open_is_told_of_and_asked_again() {
    let store = ModelStore::new();
    let table = ExportTable::new();
    table.publish(disk(), instance(), Arc::new(store.clone())).unwrap();
    let error = table.open("disk-00000001").map(|lease| lease.name()).unwrap_err();
    assert_eq!(error.kind(), AttachErrorKind::Store);
    assert!(error.to_string().contains("does not exist"), "{error}");
    assert_eq!(table.session_count(ExportName::Disk(disk())), 0);
    store.create_volume(&disk().into(), SIZE_BYTES).unwrap();
    assert!(table.open("disk-00000001").is_ok());
}

#[test]
fn sessions_come_and_go_beside_publications() {
    let (store, table) = published();
    let opened = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..300 {
                    let Ok(lease) = table.open("disk-00000001") else { continue };
                    opened.fetch_add(1, Ordering::SeqCst);
                    lease.device().write(0, b"x").unwrap();
                }
            });
        }
        for _ in 0..50 {
            assert_eq!(table.withdraw(disk(), instance(), LONG), Withdrawal::LetGo);
            // Nobody can have opened it since: nobody holds the volume.
            assert_eq!(open_count(&store), 0);
            table.publish(disk(), instance(), Arc::new(store.clone())).unwrap();
            drop(table.open("disk-00000001").unwrap());
        }
    });
    assert!(opened.load(Ordering::SeqCst) > 0);
    assert_eq!((open_count(&store), table.session_count(ExportName::Disk(disk()))), (0, 0));
}

#[test]
fn ten_thousand_attached_disks_open_nothing() {
    let store: Arc<dyn VolumeStore> = Arc::new(ModelStore::new());
    let table = ExportTable::new();
    for number in 0..10_000 {
        let disk: DiskId = format!("disk-{number:08}").parse().unwrap();
        store.create_volume(&disk.into(), 4096).unwrap();
        table.publish(disk, instance(), Arc::clone(&store)).unwrap();
    }
    assert_eq!(table.list().len(), 10_000);
    assert!(store.volumes().unwrap().iter().all(|volume| store.volume(volume).unwrap().open_count == 0));
}
