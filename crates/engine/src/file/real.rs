//! Files of the operating system.

use std::io::{self, IoSliceMut};
use std::num::NonZeroU64;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ashlar_volume::{ErrorKind, VolumeError};
use parking_lot::{Condvar, Mutex};
use rustix::fs::{Advice, FallocateFlags, FlockOperation, SeekFrom};
use rustix::io::{Errno, ReadWriteFlags};

use super::beside::Beside;
use super::direct::DirectFile;
use super::{Directory, File, FileRole};
use crate::options::DataCache;

const LOCK_FILE_NAME: &str = "lock";

/// How much of the data file is written in one call. A call makes pages as large as what it writes, and ext4 walks all blocks of
/// a page when it writes one of them. On a file filled by steps of 4, 16, 32, 64 KiB and 1 MiB, thousand a second: 4 KiB
/// random writes 512, 454, 424, 320, 114; 64 KiB writes in order 54, 89, 105, 109, 100.
const WRITE_STEP_BYTES: u64 = 32 << 10;

/// A directory that this process alone has open.
#[derive(Debug)]
pub(crate) struct RealDirectory {
    path: PathBuf,
    data_cache: DataCache,
    handle: std::fs::File,
    /// Holds the advisory lock for as long as it lives.
    _lock: std::fs::File,
}

impl RealDirectory {
    /// Opens the directory, creates it where it is missing, and locks it. `InUse` if somebody else has it.
    pub(crate) fn open(path: &Path) -> Result<Self, VolumeError> {
        let shown = path.display();
        std::fs::create_dir_all(path)
            .map_err(|error| VolumeError::io(format!("create the pool directory `{shown}`"), error))?;
        Self::open_existing(path)
    }

    /// Opens the data file, from now on, with this cache.
    pub(crate) fn with_data_cache(self, data_cache: DataCache) -> Self {
        Self { data_cache, ..self }
    }

    /// Like [`open`](Self::open), but a missing directory is an error.
    pub(crate) fn open_existing(path: &Path) -> Result<Self, VolumeError> {
        let shown = path.display();
        let failed = |what: &str| {
            let context = format!("{what} of the pool directory `{shown}`");
            move |error: io::Error| VolumeError::io(context, error)
        };
        let handle = std::fs::File::open(path).map_err(failed("opening"))?;
        let lock = std::fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path.join(LOCK_FILE_NAME))
            .map_err(failed("opening the lock file"))?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {
                Ok(Self { path: path.to_owned(), data_cache: DataCache::default(), handle, _lock: lock })
            }
            Err(Errno::WOULDBLOCK) => Err(VolumeError::new(
                ErrorKind::InUse,
                format!("the pool directory `{shown}` is in use by another process: stop it first"),
            )),
            Err(errno) => Err(failed("locking")(errno.into())),
        }
    }
}

impl Directory for RealDirectory {
    fn exists(&self, role: FileRole) -> io::Result<bool> {
        self.path.join(role.file_name()).try_exists()
    }

    fn open(&self, role: FileRole) -> io::Result<Arc<dyn File>> {
        let path = self.path.join(role.file_name());
        if role == FileRole::Data && self.data_cache == DataCache::Direct {
            return Ok(Arc::new(DirectFile::open(&path)?));
        }
        let is_new_in_older_pool =
            matches!(role, FileRole::Keys | FileRole::MapSums) && !path.try_exists()?;
        let file =
            std::fs::File::options().read(true).write(true).create(true).truncate(false).open(&path)?;
        if is_new_in_older_pool {
            // Older pools get these files when they are opened; the others are made durable with the map's rename.
            self.handle.sync_all()?;
        }
        if role == FileRole::Data {
            // Read-ahead fills the cache with large folios, which make later 4 KiB writes seven times slower.
            rustix::fs::fadvise(&file, 0, None, Advice::Random)?;
        }
        let beside = match role {
            FileRole::Journal => Beside::open(&self.path, &path, &file),
            _ => None,
        };
        let syncs = match role {
            FileRole::Data => Some(SyncHandles::open(&path)?),
            _ => None,
        };
        Ok(Arc::new(RealFile { file, beside, syncs }))
    }

    fn rename(&self, from: FileRole, to: FileRole) -> io::Result<()> {
        std::fs::rename(self.path.join(from.file_name()), self.path.join(to.file_name()))?;
        self.handle.sync_all()
    }

    fn available_bytes(&self) -> io::Result<u64> {
        let space = rustix::fs::fstatvfs(&self.handle)?;
        Ok(space.f_bavail.saturating_mul(space.f_frsize))
    }

    fn capacity_bytes(&self) -> io::Result<u64> {
        let space = rustix::fs::fstatvfs(&self.handle)?;
        // Without what is kept for the superuser alone.
        let kept = space.f_bfree.saturating_sub(space.f_bavail);
        Ok(space.f_blocks.saturating_sub(kept).saturating_mul(space.f_frsize))
    }
}

#[derive(Debug)]
struct RealFile {
    file: std::fs::File,
    beside: Option<Beside>,
    /// Of the data file, whose syncs may be under way together.
    syncs: Option<SyncHandles>,
}

/// Open file descriptions of one file for its syncs, each with one at a time.
///
/// Linux tells of a failed write-back once for each description. Of two syncs of the same one that are under way together one
/// would succeed, and a flush be answered before the other has stopped the pool. All are opened together: one that is opened
/// when a failure has been told already would never hear of it.
#[derive(Debug)]
struct SyncHandles {
    idle: Mutex<Vec<std::fs::File>>,
    returned: Condvar,
}

impl SyncHandles {
    /// More than there are workers that flush, commits under way and steps of the background.
    const COUNT: usize = 16;

    fn open(path: &Path) -> io::Result<Self> {
        let open = |_| std::fs::File::options().read(true).write(true).open(path);
        let idle = (0..Self::COUNT).map(open).collect::<io::Result<Vec<_>>>()?;
        Ok(Self { idle: Mutex::new(idle), returned: Condvar::new() })
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut idle = self.idle.lock();
        let handle = loop {
            match idle.pop() {
                Some(handle) => break handle,
                None => self.returned.wait(&mut idle),
            }
        };
        drop(idle);
        let synced = handle.sync_data();
        self.idle.lock().push(handle);
        self.returned.notify_one();
        synced
    }
}

impl File for RealFile {
    fn length_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_length(&self, length_bytes: u64) -> io::Result<()> {
        self.file.set_len(length_bytes)
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset_bytes)
    }

    fn try_read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<bool> {
        let wanted = buffer.len();
        let mut slices = [IoSliceMut::new(buffer)];
        match rustix::io::preadv2(&self.file, &mut slices, offset_bytes, ReadWriteFlags::NOWAIT) {
            Ok(read) => Ok(read == wanted),
            Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::INTR) => Ok(false),
            Err(errno) => Err(errno.into()),
        }
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }

    fn write_at(&self, offset_bytes: u64, data: &[u8]) -> io::Result<()> {
        if self.syncs.is_none() {
            return self.file.write_all_at(data, offset_bytes);
        }
        // The data file is read and written at random: its pages must not become large.
        let (mut offset_bytes, mut rest) = (offset_bytes, data);
        while !rest.is_empty() {
            let room_bytes = (WRITE_STEP_BYTES - offset_bytes % WRITE_STEP_BYTES) as usize;
            let (step, later) = rest.split_at(room_bytes.min(rest.len()));
            self.file.write_all_at(step, offset_bytes)?;
            (offset_bytes, rest) = (offset_bytes + step.len() as u64, later);
        }
        Ok(())
    }

    fn begin_write_back(&self, offset_bytes: u64, length_bytes: u64) {
        // What is said not to be needed is written back at once, but only whole pages are let go of. Without its first and
        // last byte no block of its own is one, and those in between are being written, which keeps them.
        if let Some(inner_bytes) = NonZeroU64::new(length_bytes.saturating_sub(2)) {
            let _ = rustix::fs::fadvise(&self.file, offset_bytes + 1, Some(inner_bytes), Advice::DontNeed);
        }
    }

    fn can_write_beside(&self) -> bool {
        self.beside.is_some()
    }

    fn write_beside(&self, offset_bytes: u64, data: &[u8]) -> io::Result<()> {
        let beside = self.beside.as_ref().ok_or(io::ErrorKind::Unsupported)?;
        beside.write_at(offset_bytes, data)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.syncs.as_ref().map_or_else(|| self.file.sync_data(), SyncHandles::sync_data)
    }

    fn punch_hole(&self, offset_bytes: u64, length_bytes: u64) -> io::Result<()> {
        punch_hole(&self.file, offset_bytes, length_bytes)
    }

    fn next_allocated(&self, from_bytes: u64, to_bytes: u64) -> io::Result<Option<Range<u64>>> {
        next_allocated(&self.file, from_bytes, to_bytes)
    }
}

pub(super) fn punch_hole(file: &std::fs::File, offset_bytes: u64, length_bytes: u64) -> io::Result<()> {
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(rustix::fs::fallocate(file, flags, offset_bytes, length_bytes)?)
}

pub(super) fn next_allocated(
    file: &std::fs::File,
    from_bytes: u64,
    to_bytes: u64,
) -> io::Result<Option<Range<u64>>> {
    let start = match rustix::fs::seek(file, SeekFrom::Data(from_bytes)) {
        Ok(start) if start < to_bytes => start,
        Ok(_) | Err(Errno::NXIO) => return Ok(None),
        Err(errno) => return Err(errno.into()),
    };
    let end = rustix::fs::seek(file, SeekFrom::Hole(start))?;
    Ok(Some(start..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More syncs at once than there are descriptions: the others wait for theirs.
    #[test]
    fn each_sync_under_way_has_a_description_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, [1; 4096]).unwrap();
        let syncs = SyncHandles::open(&path).unwrap();
        let taken: Vec<_> = std::mem::take(&mut *syncs.idle.lock());
        assert_eq!(taken.len(), SyncHandles::COUNT);
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..20).map(|_| scope.spawn(|| syncs.sync_data())).collect();
            (0..100).for_each(|_| std::thread::yield_now());
            assert!(running.iter().all(|thread| !thread.is_finished()), "none goes without");
            for handle in taken {
                syncs.idle.lock().push(handle);
                syncs.returned.notify_one();
            }
            running.into_iter().for_each(|thread| thread.join().unwrap().unwrap());
        });
        assert_eq!(syncs.idle.lock().len(), SyncHandles::COUNT);
    }

    #[test]
    fn what_is_written_in_steps_is_all_there_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let directory = RealDirectory::open(folder.path()).unwrap();
        let data: Vec<u8> = (0..100_000_u32).map(|byte| (byte % 251) as u8 + 1).collect();
        for (offset_bytes, length) in [(5000, 100_000), (0, 32 << 10), (32_767, 2), (65_536, 65_536), (7, 0)]
        {
            let file = directory.open(FileRole::Data).unwrap();
            file.set_length(0).unwrap();
            file.set_length(200_000).unwrap();
            file.write_at(offset_bytes, &data[..length]).unwrap();
            let mut found = vec![0xff; 200_000];
            file.read_at(0, &mut found).unwrap();
            let mut expected = vec![0; 200_000];
            expected[offset_bytes as usize..offset_bytes as usize + length].copy_from_slice(&data[..length]);
            assert!(found == expected, "{length} bytes at {offset_bytes}");
        }
    }
}
