//! Any bytes as a whole session: the server neither panics nor hangs, and lets go of the disk.
//!
//! The first byte chooses where the bytes begin: 0 before the handshake, otherwise behind one that has chosen the disk
//! with simple, structured or extended headers.
#![no_main]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, LazyLock};

use ashlar_nbd::{Changes, Exports, Lease, NbdLimits, OpenError, OpenErrorKind, Peer, Server, SessionHandle};
use ashlar_volume::model::ModelStore;
use ashlar_volume::{
    BlockDevice, ChangeExtent, ChangeQuery, ContentName, VolumeError, VolumeId, VolumeSnapshotId, VolumeStore,
};
use libfuzzer_sys::fuzz_target;

const SIZE_BYTES: u64 = 1 << 20;

static SERVER: LazyLock<Server> = LazyLock::new(|| {
    let store = ModelStore::new();
    store.create_volume(&disk(), SIZE_BYTES).expect("a new store");
    store.create_snapshot(&disk(), &snapshot()).expect("a new volume");
    Server::new(Arc::new(OneDisk(store)), NbdLimits::default(), None).expect("threads")
});

fn disk() -> VolumeId {
    VolumeId::new("disk").expect("a name")
}

fn snapshot() -> VolumeSnapshotId {
    VolumeSnapshotId::new("snap").expect("a name")
}

struct OneDisk(ModelStore);

impl Exports for OneDisk {
    fn open(&self, name: &str, _: &Peer) -> Result<Box<dyn Lease>, OpenError> {
        if name != "disk" {
            return Err(OpenError::new(OpenErrorKind::NotFound, "the only export is `disk`"));
        }
        let device = self.0.open_volume(&disk()).expect("the disk");
        Ok(Box::new(DiskLease { device, store: self.0.clone() }))
    }

    fn list(&self, _: &Peer) -> Vec<String> {
        vec!["disk".to_owned()]
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
    SERVER.adopt(theirs);
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
