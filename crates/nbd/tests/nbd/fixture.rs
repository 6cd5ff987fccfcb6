//! A server on a unix socket over the model store, and a device that can be told to wait or to fail.

use std::collections::BTreeMap;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use ashlar_nbd::{
    Changes, Exports, Lease, NbdLimits, OpenError, OpenErrorKind, Peer, Server, SessionHandle, TlsServer,
};
use ashlar_volume::model::ModelStore;
use ashlar_volume::{
    Attempt, BlockDevice, ChangeExtent, ChangeQuery, ContentName, ErrorKind, Extent, ReadQueue, VolumeError,
    VolumeId, VolumeSnapshotId, VolumeStore, WriteSource, ZeroMode,
};
use tempfile::TempDir;

/// The size of the export `disk`.
pub const SIZE_BYTES: u64 = 48 << 20;

/// Far longer than anything takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a [`FaultyDevice`] does beside its work.
#[derive(Debug, Default)]
pub struct Faults {
    /// Flushes wait until this is false again, or for one of the permits.
    pub hold_flushes: bool,
    /// So many held flushes may go on.
    pub flush_permits: usize,
    /// Reads wait until this is false again, or for one of the permits.
    pub hold_reads: bool,
    /// So many held reads may go on.
    pub read_permits: usize,
    /// No read succeeds at once.
    pub reads_would_wait: bool,
    /// Reads and writes are wanted together; counts for sessions that begin later.
    pub prefers_batches: bool,
    /// Writes may join others that are under way; those that have are counted as calls of `joined`, looks in vain for more as
    /// calls of `looked`.
    pub takes_more_writes: bool,
    /// Writes of a stream do not end until this is false again.
    pub hold_streams: bool,
    /// The device panics in the middle of a stream.
    pub streams_panic: bool,
    /// Reads from here on do not succeed at once.
    pub reads_wait_from_bytes: Option<u64>,
    /// Writes from here on do not succeed at once.
    pub writes_wait_from_bytes: Option<u64>,
    /// Writes that do not succeed at once wait until this is false again.
    pub hold_writes: bool,
    /// Reads from here on fail.
    pub reads_fail_from_bytes: Option<u64>,
    /// Every call fails so.
    pub fail_with: Option<ErrorKind>,
    /// Calls that arrived, by name.
    pub calls: BTreeMap<&'static str, usize>,
    /// Reads that would wait go into a queue.
    pub has_queue: bool,
    /// Reads in queues do not end until this is false again.
    pub hold_queues: bool,
    /// Reads in queues from here on have to go the ordinary way after all.
    pub queues_give_up_from_bytes: Option<u64>,
    /// Reads that are in queues.
    pub queued: usize,
    /// Calls that are inside now.
    pub inside: usize,
    /// The name of the thread that made the last call.
    pub last_thread: String,
}

/// A device that counts its calls and misbehaves on command.
pub struct FaultyDevice {
    inner: Arc<dyn BlockDevice>,
    faults: Arc<Mutex<Faults>>,
    changed: Arc<Condvar>,
    /// Of the sessions with a queue.
    bells: Mutex<Vec<OwnedFd>>,
}

impl FaultyDevice {
    pub fn set(&self, change: impl FnOnce(&mut Faults)) {
        change(&mut self.faults.lock().unwrap());
        self.changed.notify_all();
        for bell in self.bells.lock().unwrap().iter() {
            rustix::io::write(bell, &1_u64.to_ne_bytes()).unwrap();
        }
    }

    pub fn calls(&self, name: &'static str) -> usize {
        self.faults.lock().unwrap().calls.get(name).copied().unwrap_or(0)
    }

    /// Waits until `condition` holds.
    #[track_caller]
    pub fn wait_until(&self, condition: impl Fn(&Faults) -> bool) {
        let faults = self.faults.lock().unwrap();
        let (faults, timeout) =
            self.changed.wait_timeout_while(faults, PATIENCE, |faults| !condition(faults)).unwrap();
        assert!(!timeout.timed_out(), "waited in vain: {faults:?}");
    }

    fn fail_read(&self, offset_bytes: u64) -> Result<(), VolumeError> {
        let from = self.faults.lock().unwrap().reads_fail_from_bytes;
        let fails = from.is_some_and(|from| offset_bytes >= from);
        if fails { Err(VolumeError::new(ErrorKind::Corrupt, "planted")) } else { Ok(()) }
    }

    fn enter(&self, name: &'static str, held: impl Fn(&Faults) -> bool) -> Result<(), VolumeError> {
        let mut faults = self.faults.lock().unwrap();
        *faults.calls.entry(name).or_default() += 1;
        faults.inside += 1;
        faults.last_thread = std::thread::current().name().unwrap_or_default().to_owned();
        self.changed.notify_all();
        let mut faults = self.changed.wait_while(faults, |faults| held(faults)).unwrap();
        faults.inside -= 1;
        match name {
            "read" => faults.read_permits = faults.read_permits.saturating_sub(1),
            "flush" => faults.flush_permits = faults.flush_permits.saturating_sub(1),
            _ => {}
        }
        faults.fail_with.map_or(Ok(()), |kind| Err(VolumeError::new(kind, "planted")))
    }
}

/// A queue in memory. What is in it ends in the opposite order.
struct TestQueue {
    inner: Arc<dyn BlockDevice>,
    faults: Arc<Mutex<Faults>>,
    changed: Arc<Condvar>,
    begun: Vec<(u64, usize)>,
}

impl ReadQueue for TestQueue {
    fn begin(&mut self, offset_bytes: u64, length: usize) -> Option<usize> {
        let mut faults = self.faults.lock().unwrap();
        if !faults.has_queue || length > 16384 {
            return None;
        }
        faults.queued += 1;
        self.changed.notify_all();
        self.begun.push((offset_bytes, length));
        Some(self.begun.len() - 1)
    }

    fn turn(&mut self, ended: &mut dyn FnMut(usize, Option<&[u8]>)) {
        let gives_up_from = {
            let mut faults = self.faults.lock().unwrap();
            if faults.hold_queues {
                return;
            }
            faults.queued -= self.begun.len();
            faults.queues_give_up_from_bytes
        };
        while let Some((offset_bytes, length)) = self.begun.pop() {
            let mut buffer = vec![0; length];
            self.inner.read(offset_bytes, &mut buffer).unwrap();
            let gives_up = gives_up_from.is_some_and(|from| offset_bytes >= from);
            ended(self.begun.len(), (!gives_up).then_some(&buffer));
        }
    }
}

impl BlockDevice for FaultyDevice {
    fn size_bytes(&self) -> u64 {
        self.inner.size_bytes()
    }

    fn is_read_only(&self) -> bool {
        self.inner.is_read_only()
    }

    fn read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), VolumeError> {
        self.enter("read", |faults| faults.hold_reads && faults.read_permits == 0)?;
        self.fail_read(offset_bytes)?;
        self.inner.read(offset_bytes, buffer)
    }

    fn read_queue(&self, bell: BorrowedFd<'_>) -> Option<Box<dyn ReadQueue>> {
        self.bells.lock().unwrap().push(bell.try_clone_to_owned().unwrap());
        let (inner, faults) = (Arc::clone(&self.inner), Arc::clone(&self.faults));
        Some(Box::new(TestQueue { inner, faults, changed: Arc::clone(&self.changed), begun: Vec::new() }))
    }

    fn try_read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<Attempt, VolumeError> {
        self.enter("try_read", |_| false)?;
        let would_wait = {
            let faults = self.faults.lock().unwrap();
            faults.reads_would_wait || faults.reads_wait_from_bytes.is_some_and(|from| offset_bytes >= from)
        };
        if would_wait {
            buffer.fill(0xbb);
            return Ok(Attempt::WouldWait);
        }
        self.fail_read(offset_bytes)?;
        self.inner.try_read(offset_bytes, buffer)
    }

    fn prefers_batches(&self) -> bool {
        self.faults.lock().unwrap().prefers_batches
    }

    fn takes_more_writes(&self) -> bool {
        self.faults.lock().unwrap().takes_more_writes
    }

    /// Takes what comes until it may end, and ends it in the opposite order. Looks some more after that: a client that waits for a
    /// reply sends its next request then.
    fn write_stream(&self, source: &mut dyn WriteSource) {
        let mut taken = Vec::new();
        let (mut ended, mut looks) = (0, 0);
        while looks < 4 {
            while let Some(write) = source.next() {
                taken.push((write.offset_bytes, write.data.to_vec()));
                self.enter("joined", |_| false).unwrap();
            }
            let (is_held, panics) = {
                let faults = self.faults.lock().unwrap();
                (faults.hold_streams, faults.streams_panic)
            };
            assert!(is_held || !panics, "planted");
            self.enter("looked", |_| false).unwrap();
            if !is_held {
                for number in (ended..taken.len()).rev() {
                    let (offset_bytes, data) = &taken[number];
                    source.ended(number, self.write(*offset_bytes, data));
                }
                looks = if ended < taken.len() { 0 } else { looks + 1 };
                ended = taken.len();
            }
            std::thread::yield_now();
        }
    }

    fn write(&self, offset_bytes: u64, data: &[u8]) -> Result<(), VolumeError> {
        let waits = |faults: &Faults| faults.writes_wait_from_bytes.is_some_and(|from| offset_bytes >= from);
        self.enter("write", |faults| faults.hold_writes && waits(faults))?;
        self.inner.write(offset_bytes, data)
    }

    fn try_write(&self, offset_bytes: u64, data: &[u8]) -> Result<Attempt, VolumeError> {
        let from = self.faults.lock().unwrap().writes_wait_from_bytes;
        if from.is_some_and(|from| offset_bytes >= from) {
            return Ok(Attempt::WouldWait);
        }
        self.write(offset_bytes, data).map(|()| Attempt::Done)
    }

    fn flush(&self) -> Result<(), VolumeError> {
        self.enter("flush", |faults| faults.hold_flushes && faults.flush_permits == 0)?;
        self.inner.flush()
    }

    fn discard(&self, offset_bytes: u64, length_bytes: u64) -> Result<(), VolumeError> {
        self.enter("discard", |_| false)?;
        self.inner.discard(offset_bytes, length_bytes)
    }

    fn write_zeroes(&self, offset_bytes: u64, length_bytes: u64, mode: ZeroMode) -> Result<(), VolumeError> {
        self.enter("write_zeroes", |_| false)?;
        self.inner.write_zeroes(offset_bytes, length_bytes, mode)
    }

    fn extents(&self, offset: u64, length: u64, extents_max: usize) -> Result<Vec<Extent>, VolumeError> {
        self.enter("extents", |_| false)?;
        self.inner.extents(offset, length, extents_max)
    }
}

/// Two exports: `disk`, and `snap`, its snapshot from before the test.
pub struct TestExports {
    store: ModelStore,
    pub device: Arc<FaultyDevice>,
    snapshot: Arc<Mutex<Option<Arc<dyn BlockDevice>>>>,
    leases: Arc<Leases>,
    peers: Arc<Mutex<Vec<Peer>>>,
}

/// The leases that are out.
#[derive(Default)]
pub struct Leases {
    sessions: Mutex<BTreeMap<u64, Option<SessionHandle>>>,
    changed: Condvar,
}

impl Leases {
    pub fn count(&self) -> usize {
        self.sessions.lock().unwrap().len()
    }

    /// Has every session that holds a lease finish or abort.
    pub fn end_all(&self, end: impl Fn(&SessionHandle)) {
        self.sessions.lock().unwrap().values().flatten().for_each(end);
    }

    /// Ends the session that was opened last.
    pub fn end_last(&self, end: impl Fn(&SessionHandle)) {
        self.sessions.lock().unwrap().values().next_back().and_then(Option::as_ref).map(end).unwrap();
    }

    #[track_caller]
    pub fn wait_until_count(&self, count: usize) {
        let sessions = self.sessions.lock().unwrap();
        let (sessions, timeout) =
            self.changed.wait_timeout_while(sessions, PATIENCE, |sessions| sessions.len() != count).unwrap();
        assert!(!timeout.timed_out(), "{} leases are out, expected {count}", sessions.len());
    }
}

impl Exports for TestExports {
    fn open(&self, name: &str, peer: &Peer) -> Result<Box<dyn Lease>, OpenError> {
        self.peers.lock().unwrap().push(peer.clone());
        let device: Arc<dyn BlockDevice> = match name {
            "disk" => Arc::clone(&self.device) as _,
            "snap" => Arc::clone(self.snapshot.lock().unwrap().as_ref().unwrap()),
            "broken" => return Err(OpenError::new(OpenErrorKind::Unavailable, "the pool is not there")),
            _ => return Err(OpenError::new(OpenErrorKind::NotFound, format!("no export `{name}`"))),
        };
        let mut sessions = self.leases.sessions.lock().unwrap();
        let number = sessions.keys().last().map_or(0, |last| last + 1);
        sessions.insert(number, None);
        Ok(Box::new(TestLease {
            store: self.store.clone(),
            device,
            number,
            leases: Arc::clone(&self.leases),
        }))
    }

    fn list(&self, peer: &Peer) -> Vec<String> {
        self.peers.lock().unwrap().push(peer.clone());
        vec!["disk".to_owned(), "snap".to_owned()]
    }
}

struct TestLease {
    store: ModelStore,
    device: Arc<dyn BlockDevice>,
    number: u64,
    leases: Arc<Leases>,
}

/// What changed in the disk since its snapshot.
struct TestChanges(ModelStore);

impl Changes for TestChanges {
    fn changes(
        &self,
        offset_bytes: u64,
        length_bytes: u64,
        extents_max: usize,
    ) -> Result<Vec<ChangeExtent>, VolumeError> {
        let of = ContentName::Volume(VolumeId::new("disk")?);
        let since = Some(VolumeSnapshotId::new("snap")?);
        self.0.changes(&ChangeQuery { of, since, offset_bytes, length_bytes, extents_max })
    }
}

impl Lease for TestLease {
    fn device(&self) -> Arc<dyn BlockDevice> {
        Arc::clone(&self.device)
    }

    fn description(&self) -> Option<String> {
        Some("a test disk".to_owned())
    }

    fn on_withdraw(&self, session: SessionHandle) {
        self.leases.sessions.lock().unwrap().insert(self.number, Some(session));
    }

    fn ancestors(&self) -> Vec<String> {
        if self.device.is_read_only() { Vec::new() } else { vec!["snap".to_owned()] }
    }

    fn changes_since(&self, snapshot: &str) -> Option<Arc<dyn Changes>> {
        let is_ancestor = self.ancestors().iter().any(|name| name == snapshot);
        is_ancestor.then(|| Arc::new(TestChanges(self.store.clone())) as _)
    }
}

impl Drop for TestLease {
    fn drop(&mut self) {
        self.leases.sessions.lock().unwrap().remove(&self.number);
        self.leases.changed.notify_all();
    }
}

/// A running server. Dropped, it ends.
pub struct TestServer {
    pub server: Server,
    pub store: ModelStore,
    pub device: Arc<FaultyDevice>,
    pub leases: Arc<Leases>,
    snapshot: Arc<Mutex<Option<Arc<dyn BlockDevice>>>>,
    /// Who asked for exports.
    peers: Arc<Mutex<Vec<Peer>>>,
    socket: PathBuf,
    directory: TempDir,
}

impl TestServer {
    pub fn new() -> Self {
        Self::with_limits(NbdLimits::default())
    }

    pub fn with_limits(limits: NbdLimits) -> Self {
        Self::with(limits, None)
    }

    pub fn with(limits: NbdLimits, tls: Option<TlsServer>) -> Self {
        let store = ModelStore::new();
        let (disk, snap) = (VolumeId::new("disk").unwrap(), VolumeSnapshotId::new("snap").unwrap());
        store.create_volume(&disk, SIZE_BYTES).unwrap();
        let inner = store.open_volume(&disk).unwrap();
        inner.write(4096, b"frozen").unwrap();
        store.create_snapshot(&disk, &snap).unwrap();
        inner.discard(0, SIZE_BYTES).unwrap();
        let device = Arc::new(FaultyDevice {
            inner,
            faults: Arc::default(),
            changed: Arc::default(),
            bells: Mutex::default(),
        });
        let leases = Arc::<Leases>::default();
        let peers = Arc::default();
        let snapshot = Arc::new(Mutex::new(Some(store.open_snapshot(&snap).unwrap())));
        let exports = TestExports {
            store: store.clone(),
            device: Arc::clone(&device),
            snapshot: Arc::clone(&snapshot),
            leases: Arc::clone(&leases),
            peers: Arc::clone(&peers),
        };
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("nbd.sock");
        let server = Server::new(Arc::new(exports), limits, tls).unwrap();
        server.serve_unix(UnixListener::bind(&socket).unwrap()).unwrap();
        Self { server, store, device, leases, snapshot, peers, socket, directory }
    }

    /// Who asked for exports last.
    pub fn last_peer(&self) -> Peer {
        self.peers.lock().unwrap().last().cloned().unwrap()
    }

    pub fn peers_count(&self) -> usize {
        self.peers.lock().unwrap().len()
    }

    /// One more socket, on which TLS is demanded as on an address that other machines can reach.
    pub fn serve_tls_only(&self) -> PathBuf {
        let socket = self.path("tls.sock");
        self.server.serve_unix_with_tls_only(UnixListener::bind(&socket).unwrap()).unwrap();
        socket
    }

    /// The export `snap` is over.
    pub fn close_snapshot(&self) {
        self.snapshot.lock().unwrap().take();
    }

    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The address of an export for stock clients.
    pub fn uri(&self, export: &str) -> String {
        format!("nbd+unix:///{export}?socket={}", self.socket.display())
    }

    /// A path beside the socket.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}
