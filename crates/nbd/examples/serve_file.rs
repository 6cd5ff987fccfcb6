//! Serves one plain file as the export `file` on a unix socket: the server alone, for measuring it against
//! other NBD servers. `cargo run --release -p ashlar-nbd --example serve_file -- FILE SOCKET`; ends with its
//! standard input.
#![allow(clippy::print_stdout, reason = "an example talks to the person who runs it")]

use std::error::Error;
use std::fs::File;
use std::io::{self, IoSliceMut, Read};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use ashlar_nbd::{Exports, Lease, NbdLimits, OpenError, OpenErrorKind, Peer, Server, SessionHandle};
use ashlar_volume::{Attempt, BlockDevice, ErrorKind, Extent, ExtentKind, VolumeError, ZeroMode};
use rustix::io::{Errno, ReadWriteFlags, preadv2};

const NAME: &str = "file";

struct FileDevice {
    file: File,
    size_bytes: u64,
}

impl BlockDevice for FileDevice {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn is_read_only(&self) -> bool {
        false
    }

    fn read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), VolumeError> {
        self.file.read_exact_at(buffer, offset_bytes).map_err(|error| VolumeError::io("read", error))
    }

    fn try_read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<Attempt, VolumeError> {
        let length = buffer.len();
        let read = preadv2(&self.file, &mut [IoSliceMut::new(buffer)], offset_bytes, ReadWriteFlags::NOWAIT);
        match read {
            Ok(read) if read == length => Ok(Attempt::Done),
            Ok(_) | Err(Errno::AGAIN) => Ok(Attempt::WouldWait),
            Err(error) => Err(VolumeError::io("read", error.into())),
        }
    }

    fn write(&self, offset_bytes: u64, data: &[u8]) -> Result<(), VolumeError> {
        self.file.write_all_at(data, offset_bytes).map_err(|error| VolumeError::io("write", error))
    }

    fn flush(&self) -> Result<(), VolumeError> {
        self.file.sync_data().map_err(|error| VolumeError::io("flush", error))
    }

    fn discard(&self, offset_bytes: u64, length_bytes: u64) -> Result<(), VolumeError> {
        self.write_zeroes(offset_bytes, length_bytes, ZeroMode::MayUnmap)
    }

    fn write_zeroes(&self, offset_bytes: u64, length_bytes: u64, mode: ZeroMode) -> Result<(), VolumeError> {
        use rustix::fs::{FallocateFlags, fallocate};
        let flags = match mode {
            ZeroMode::MayUnmap => FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
            ZeroMode::KeepAllocated => FallocateFlags::ZERO_RANGE,
        };
        fallocate(&self.file, flags, offset_bytes, length_bytes)
            .map_err(|error| VolumeError::io("write zeroes", error.into()))
    }

    fn extents(&self, _: u64, length_bytes: u64, extents_max: usize) -> Result<Vec<Extent>, VolumeError> {
        match (length_bytes, extents_max) {
            (_, 0) => Err(VolumeError::new(ErrorKind::InvalidArgument, "extents_max is 0")),
            (0, _) => Ok(Vec::new()),
            (length_bytes, _) => Ok(vec![Extent { length_bytes, kind: ExtentKind::Data }]),
        }
    }
}

struct OneFile(Arc<FileDevice>);

impl Exports for OneFile {
    fn open(&self, name: &str, _: &Peer) -> Result<Box<dyn Lease>, OpenError> {
        if name == NAME || name.is_empty() {
            return Ok(Box::new(OneLease(Arc::clone(&self.0))));
        }
        Err(OpenError::new(OpenErrorKind::NotFound, format!("the only export is `{NAME}`")))
    }

    fn list(&self, _: &Peer) -> Vec<String> {
        vec![NAME.to_owned()]
    }
}

struct OneLease(Arc<FileDevice>);

impl Lease for OneLease {
    fn device(&self) -> Arc<dyn BlockDevice> {
        Arc::clone(&self.0) as _
    }

    fn description(&self) -> Option<String> {
        None
    }

    fn on_withdraw(&self, _: SessionHandle) {
        // The file is never taken away.
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(file), Some(socket), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: serve_file FILE SOCKET".into());
    };
    let file = File::options().read(true).write(true).open(file)?;
    let size_bytes = file.metadata()?.len();
    let server = Server::new(
        Arc::new(OneFile(Arc::new(FileDevice { file, size_bytes }))),
        NbdLimits::default(),
        None,
    )?;
    server.serve_unix(UnixListener::bind(&socket)?)?;
    println!("nbd+unix:///{NAME}?socket={socket}");
    io::stdin().read_to_end(&mut Vec::new())?;
    println!("{:?}", server.shutdown(Duration::from_secs(5)));
    Ok(())
}
