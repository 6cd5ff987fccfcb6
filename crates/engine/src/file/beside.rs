//! Writes that the sync of another file makes durable.
//!
//! A sync makes the device empty its cache, whichever file it is for. So bytes that already lie in the device's cache, and for
//! which the file system has nothing left to write, become durable with it. That holds on ext4 for direct writes over blocks
//! that were written before: nothing is copied, moved or allocated. Where any of this is in doubt nothing is written beside.

use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, OFlags, SeekFrom, StatxFlags};

use super::FileRole;

/// What the file system says that it is; ext2 and ext3 say the same and are served by the same code.
const EXT4_MAGIC: u64 = 0xef53;
/// What direct transfers are multiples of, in the file and in memory.
const ALIGNMENT_BYTES: usize = 4096;

/// A file, open for direct writes over blocks that it has.
#[derive(Debug)]
pub(super) struct Beside(std::fs::File);

impl Beside {
    /// Opens the file a second time; `None` where a sync of the directory's data file would not cover it.
    pub(super) fn open(directory: &Path, path: &Path, file: &std::fs::File) -> Option<Self> {
        let metadata = file.metadata().ok()?;
        let data = std::fs::metadata(directory.join(FileRole::Data.file_name())).ok()?;
        let is_ext4 = rustix::fs::fstatfs(file).ok()?.f_type as u64 == EXT4_MAGIC;
        if !is_ext4 || data.dev() != metadata.dev() {
            return None;
        }
        // A file that was copied may have lost its zeroes: to write into a hole is a change of the file system's metadata.
        let is_whole = rustix::fs::seek(file, SeekFrom::Hole(0)).ok()? == metadata.len();
        let direct = std::fs::File::options()
            .read(true)
            .write(true)
            .custom_flags(OFlags::DIRECT.bits().cast_signed())
            .open(path)
            .ok()?;
        // With `data=journal`, say, ext4 takes direct writes and makes them through its caches.
        let said = rustix::fs::statx(&direct, "", AtFlags::EMPTY_PATH, StatxFlags::DIOALIGN).ok()?;
        let is_direct = said.stx_mask & StatxFlags::DIOALIGN.bits() != 0
            && (1..=ALIGNMENT_BYTES as u32).contains(&said.stx_dio_mem_align)
            && (1..=ALIGNMENT_BYTES as u32).contains(&said.stx_dio_offset_align);
        (is_whole && is_direct).then_some(Self(direct))
    }

    /// Writes bytes that are whole blocks, as one transfer.
    pub(super) fn write_at(&self, offset_bytes: u64, data: &[u8]) -> io::Result<()> {
        let mut memory = vec![0; data.len() + ALIGNMENT_BYTES];
        let start = memory.as_ptr().align_offset(ALIGNMENT_BYTES);
        let aligned = memory
            .get_mut(start..start.saturating_add(data.len()))
            .ok_or_else(|| io::Error::other("memory could not be aligned"))?;
        aligned.copy_from_slice(data);
        let written = self.0.write_at(aligned, offset_bytes)?;
        if written == data.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
    }
}
