//! Any bytes as a whole session: the server neither panics nor hangs, and lets go of the disk.
//!
//! The first byte chooses where the bytes begin: 0 before the handshake, otherwise behind one that has chosen the disk
//! with simple, structured or extended headers. Its bit 2 chooses a disk whose writes join others that are under way.
#![no_main]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, LazyLock};

use ashlar_nbd::{Changes, Exports, Lease, NbdLimits, OpenError, OpenErrorKind, Peer, Server, SessionHandle};
use ashlar_volume::model::ModelStore;
use ashlar_volume::{
    Attempt, BlockDevice, ChangeExtent, ChangeQuery, ContentName, Extent, VolumeError, VolumeId,
    VolumeSnapshotId, VolumeStore, WriteSource, ZeroMode,
};
use libfuzzer_sys::fuzz_target;

const SIZE_BYTES: u64 = 1 << 20;

static SERVERS: LazyLock<[Server; 2]> = LazyLock::new(|| [false, true].map(server));

fn server(streams: bool) -> Server {
    let store = ModelStore::new();
    store.create_volume(&disk(), SIZE_BYTES).expect("a new store");
    store.create_snapshot(&disk(), &snapshot()).expect("a new volume");
    Server::new(Arc::new(OneDisk { store, streams }), NbdLimits::default(), None).expect("threads")
}

fn disk() -> VolumeId {
    VolumeId::new("disk").expect("a name")
}

fn snapshot() -> VolumeSnapshotId {
    VolumeSnapshotId::new("snap").expect("a name")
}

struct OneDisk {
    store: ModelStore,
    streams: bool,
}

impl Exports for OneDisk {
    fn open(&self, name: &str, _: &Peer) -> Result<Box<dyn Lease>, OpenError> {
        if name != "disk" {
            return Err(OpenError::new(OpenErrorKind::NotFound, "the only export is `disk`"));
        }
        let device = self.store.open_volume(&disk()).expect("the disk");
        let device = if self.streams { Arc::new(Streaming(device)) } else { device };
        Ok(Box::new(DiskLease { device, store: self.store.clone() }))
    }

    fn list(&self, _: &Peer) -> Vec<String> {
        vec!["disk".to_owned()]
    }
}

/// A disk whose writes join others: they end in the opposite order, when no more come.
struct Streaming(Arc<dyn BlockDevice>);

impl BlockDevice for Streaming {
    fn prefers_batches(&self) -> bool {
        true
    }

    fn takes_more_writes(&self) -> bool {
        true
    }

    fn write_stream(&self, source: &mut dyn WriteSource) {
        let mut taken = Vec::new();
        while let Some(write) = source.next() {
            taken.push((write.offset_bytes, write.data.to_vec()));
        }
        for (number, (offset_bytes, data)) in taken.iter().enumerate().rev() {
            source.ended(number, self.0.write(*offset_bytes, data));
        }
    }

    fn size_bytes(&self) -> u64 {
        self.0.size_bytes()
    }

    fn is_read_only(&self) -> bool {
        self.0.is_read_only()
    }

    fn read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), VolumeError> {
        self.0.read(offset_bytes, buffer)
    }

    fn try_read(&self, _: u64, _: &mut [u8]) -> Result<Attempt, VolumeError> {
        Ok(Attempt::WouldWait)
    }

    fn write(&self, offset_bytes: u64, data: &[u8]) -> Result<(), VolumeError> {
        self.0.write(offset_bytes, data)
    }

    fn flush(&self) -> Result<(), VolumeError> {
        self.0.flush()
    }

    fn discard(&self, offset_bytes: u64, length_bytes: u64) -> Result<(), VolumeError> {
        self.0.discard(offset_bytes, length_bytes)
    }

    fn write_zeroes(&self, offset_bytes: u64, length_bytes: u64, mode: ZeroMode) -> Result<(), VolumeError> {
        self.0.write_zeroes(offset_bytes, length_bytes, mode)
    }

    fn extents(
        &self,
        offset_bytes: u64,
        length_bytes: u64,
        extents_max: usize,
    ) -> Result<Vec<Extent>, VolumeError> {
        self.0.extents(offset_bytes, length_bytes, extents_max)
    }
}

struct DiskLease {
    device: Arc<dyn BlockDevice>,
    store: ModelStore,
}

impl Lease for DiskLease {
    fn device(&self) -> Arc<dyn BlockDevice> {
        Arc::clone(&self.device)
    }

    fn description(&self) -> Option<String> {
        Some("a disk".to_owned())
    }

    fn on_withdraw(&self, _: SessionHandle) {}

    fn ancestors(&self) -> Vec<String> {
        vec!["snap".to_owned()]
    }

    fn changes_since(&self, since: &str) -> Option<Arc<dyn Changes>> {
        (since == "snap").then(|| Arc::new(Since(self.store.clone())) as _)
    }
}

struct Since(ModelStore);

impl Changes for Since {
    fn changes(
        &self,
        offset_bytes: u64,
        length_bytes: u64,
        extents_max: usize,
    ) -> Result<Vec<ChangeExtent>, VolumeError> {
        let of = ContentName::Volume(disk());
        self.0.changes(&ChangeQuery { of, since: Some(snapshot()), offset_bytes, length_bytes, extents_max })
    }
}

fn option(out: &mut Vec<u8>, number: u32, data: &[u8]) {
    out.extend(b"IHAVEOPT");
    out.extend(number.to_be_bytes());
    out.extend((data.len() as u32).to_be_bytes());
    out.extend(data);
}

/// What goes before the bytes.
fn handshake(choice: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let style = match choice % 4 {
        0 => return out,
        1 => None,
        2 => Some(8),
        _ => Some(11),
    };
    out.extend(3_u32.to_be_bytes());
    if let Some(style) = style {
        option(&mut out, style, &[]);
        option(
            &mut out,
            10,
            b"\0\0\0\x04disk\0\0\0\x02\0\0\0\x0fbase:allocation\0\0\0\x19ashlar:changed-since:snap",
        );
    }
    option(&mut out, 7, b"\0\0\0\x04disk\0\0");
    out
}

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, rest)) = bytes.split_first() else { return };
    let (mut client, theirs) = UnixStream::pair().expect("sockets");
    SERVERS[usize::from(choice >> 2 & 1)].adopt(theirs);
    let mut reader = client.try_clone().expect("a socket");
    let replies = std::thread::spawn(move || {
        let mut buffer = vec![0; 64 << 10];
        while reader.read(&mut buffer).is_ok_and(|count| count > 0) {}
    });
    // The server may hang up in the middle.
    let _ = client.write_all(&handshake(*choice)).and_then(|()| client.write_all(rest));
    let _ = client.shutdown(Shutdown::Write);
    // A server that does not hang up in the end is found by libFuzzer's timeout.
    replies.join().expect("the reader");
});
