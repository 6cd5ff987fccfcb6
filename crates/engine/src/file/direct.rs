//! The data file past the page cache: O_DIRECT, through io_uring.
//!
//! Everything goes through the memory of a ring, which is aligned as the medium wants it. Each thread that makes transfers has a
//! ring of its own: then the kernel need not wake it for each transfer of a batch, but once for all. Reads and writes are
//! of whole blocks: the engine knows no others on this file.

use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use rustix::fs::{FallocateFlags, OFlags};

use super::ring::{ALIGNMENT_BYTES, Direction, MEMORY_BYTES, Ring, TRANSFERS_MAX, Transfer};
use super::{File, Part, WriteQueue};

/// Space is taken ahead in steps of this, because a first touch of a hole past the page cache is a change of the file
/// system's metadata for each block: 6.5 thousand a second, where allocated blocks take 35 thousand.
const ALLOCATION_STEP_BYTES: u64 = 64 << 20;
/// No space is taken ahead where the file system has less than this left.
const ALLOCATION_ROOM_BYTES: u64 = 1 << 30;

/// The data file, open past the page cache.
pub(super) struct DirectFile {
    file: std::fs::File,
    /// Up to where space was taken ahead.
    allocated_bytes: AtomicU64,
    allocating: Mutex<()>,
}

impl std::fmt::Debug for DirectFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DirectFile").field("file", &self.file).finish_non_exhaustive()
    }
}

impl DirectFile {
    /// Opens the file. An error where the file system knows no direct transfers, or the kernel no io_uring.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = std::fs::File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(OFlags::DIRECT.bits().cast_signed())
            .open(path)
            .map_err(|error| refused("open the data file past the page cache (O_DIRECT)", error))?;
        // What the page cache still has would make every transfer slow.
        file.sync_data()?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        Ring::new().map_err(|error| refused("make an io_uring", error))?;
        let allocated_bytes = AtomicU64::new(file.metadata()?.len());
        Ok(Self { file, allocated_bytes, allocating: Mutex::new(()) })
    }

    /// Carries out transfers of up to the ring's memory; all of them must move everything.
    fn transfer(&self, ring: &mut Ring, direction: Direction, transfers: &[Transfer]) -> io::Result<()> {
        let moved = ring.run(self.file.as_fd(), direction, transfers)?;
        for (transfer, moved) in transfers.iter().zip(moved) {
            match moved {
                Ok(bytes) if direction == Direction::ToFile => all_of(bytes, transfer.memory.len())?,
                Ok(bytes) if bytes == transfer.memory.len() => {}
                // Past the page cache nothing but the end of the file cuts a read short.
                Ok(_) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Takes space ahead of a write, in large steps. A file system that cannot do that takes it block by block.
    fn allocate(&self, end_bytes: u64) {
        if end_bytes <= self.allocated_bytes.load(Ordering::Acquire) {
            return;
        }
        let _one_at_a_time = self.allocating.lock();
        let from_bytes = self.allocated_bytes.load(Ordering::Acquire);
        let room = rustix::fs::fstatvfs(&self.file).map_or(0, |space| space.f_bavail * space.f_frsize);
        if end_bytes <= from_bytes || room < ALLOCATION_ROOM_BYTES {
            return;
        }
        let to_bytes = end_bytes.next_multiple_of(ALLOCATION_STEP_BYTES);
        // A refusal is met again, and answered, by the write itself.
        let _ = rustix::fs::fallocate(&self.file, FallocateFlags::empty(), from_bytes, to_bytes - from_bytes);
        self.allocated_bytes.store(to_bytes, Ordering::Release);
    }
}

thread_local! {
    /// The ring of the thread, for whichever file. It ends with the thread.
    static RING: Cell<Option<Ring>> = const { Cell::new(None) };
}

fn with_ring<T>(body: impl FnOnce(&mut Ring) -> io::Result<T>) -> io::Result<T> {
    let mut ring = match RING.take() {
        Some(ring) => ring,
        None => Ring::new()?,
    };
    let result = body(&mut ring);
    if ring.is_sound() {
        RING.set(Some(ring));
    }
    result
}

/// Writes that are under way in the ring of the thread.
struct DirectWrites<'a> {
    file: &'a DirectFile,
    /// There until it is dropped.
    ring: Option<Ring>,
    /// What each slot is written for.
    wanted: [Option<Wanted>; TRANSFERS_MAX],
}

#[derive(Debug, Clone, Copy)]
struct Wanted {
    number: usize,
    length: usize,
}

impl WriteQueue for DirectWrites<'_> {
    fn begin(&mut self, number: usize, offset_bytes: u64, data: &[u8]) -> bool {
        let Some(ring) = &mut self.ring else { return false };
        if check_alignment(offset_bytes, data.len()).is_err() {
            return false;
        }
        let Some(slot) = ring.begin(self.file.file.as_fd(), offset_bytes, data) else { return false };
        self.wanted[slot] = Some(Wanted { number, length: data.len() });
        true
    }

    fn turn(&mut self, waits: bool, ended: &mut dyn FnMut(usize, io::Result<()>)) {
        let Self { ring: Some(ring), wanted, .. } = self else { return };
        let turned = ring.turn(waits, |slot, moved| {
            let Some(wanted) = wanted[slot].take() else { return };
            ended(wanted.number, moved.and_then(|moved| all_of(moved, wanted.length)));
        });
        if let Err(error) = turned {
            let broken = || io::Error::new(error.kind(), "the io_uring of a write failed");
            wanted.iter_mut().filter_map(Option::take).for_each(|wanted| ended(wanted.number, Err(broken())));
        }
    }
}

impl Drop for DirectWrites<'_> {
    fn drop(&mut self) {
        while self.ring.as_ref().is_some_and(|ring| ring.is_sound() && ring.has_under_way()) {
            self.turn(true, &mut |_, _| {});
        }
        if let Some(ring) = self.ring.take().filter(Ring::is_sound) {
            RING.set(Some(ring));
        }
    }
}

/// Past the page cache nothing but the end of the space cuts a write short.
fn all_of(moved: usize, length: usize) -> io::Result<()> {
    if moved == length { Ok(()) } else { Err(io::ErrorKind::StorageFull.into()) }
}

fn refused(what: &str, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what}: {error}; choose `--cache page`"))
}

fn check_alignment(offset_bytes: u64, length: usize) -> io::Result<()> {
    let alignment = ALIGNMENT_BYTES as u64;
    if offset_bytes.is_multiple_of(alignment) && length.is_multiple_of(ALIGNMENT_BYTES) {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("{length} bytes at {offset_bytes}: past the page cache only whole blocks"),
    ))
}

/// Puts parts of up to the ring's memory together: their numbers, and where in the memory each lies.
fn batches(lengths: &[usize]) -> Vec<Vec<(usize, Range<usize>)>> {
    let mut batches = Vec::new();
    let mut batch: Vec<(usize, Range<usize>)> = Vec::new();
    for (number, length) in lengths.iter().enumerate() {
        let used = batch.last().map_or(0, |(_, range)| range.end);
        if used + length > MEMORY_BYTES || batch.len() == TRANSFERS_MAX {
            batches.push(std::mem::take(&mut batch));
        }
        let start = batch.last().map_or(0, |(_, range)| range.end);
        batch.push((number, start..start + length));
    }
    if !batch.is_empty() {
        batches.push(batch);
    }
    batches
}

impl File for DirectFile {
    fn length_bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn set_length(&self, length_bytes: u64) -> io::Result<()> {
        let _one_at_a_time = self.allocating.lock();
        self.file.set_len(length_bytes)?;
        self.allocated_bytes.store(length_bytes, Ordering::Release);
        Ok(())
    }

    fn read_at(&self, offset_bytes: u64, buffer: &mut [u8]) -> io::Result<()> {
        check_alignment(offset_bytes, buffer.len())?;
        with_ring(|ring| {
            let mut at = offset_bytes;
            for piece in buffer.chunks_mut(MEMORY_BYTES) {
                let transfer = Transfer { offset_bytes: at, memory: 0..piece.len() };
                self.transfer(ring, Direction::FromFile, &[transfer])?;
                piece.copy_from_slice(&ring.memory()[..piece.len()]);
                at += piece.len() as u64;
            }
            Ok(())
        })
    }

    fn try_read_at(&self, _offset_bytes: u64, _buffer: &mut [u8]) -> io::Result<bool> {
        Ok(false)
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.file.as_fd())
    }

    fn read_parts(&self, parts: &mut [Part<'_>]) -> io::Result<()> {
        if parts.iter().any(|part| part.buffer.len() > MEMORY_BYTES) {
            return parts.iter_mut().try_for_each(|part| self.read_at(part.offset_bytes, part.buffer));
        }
        let lengths: Vec<usize> = parts.iter().map(|part| part.buffer.len()).collect();
        with_ring(|ring| {
            for batch in batches(&lengths) {
                let transfers: Vec<Transfer> = batch
                    .iter()
                    .map(|(number, memory)| {
                        let offset_bytes = parts[*number].offset_bytes;
                        check_alignment(offset_bytes, memory.len())?;
                        Ok(Transfer { offset_bytes, memory: memory.clone() })
                    })
                    .collect::<io::Result<_>>()?;
                self.transfer(ring, Direction::FromFile, &transfers)?;
                for (number, memory) in batch {
                    parts[number].buffer.copy_from_slice(&ring.memory()[memory]);
                }
            }
            Ok(())
        })
    }

    fn write_queue(&self) -> Option<Box<dyn WriteQueue + '_>> {
        let ring = RING.take().or_else(|| Ring::new().ok())?;
        Some(Box::new(DirectWrites { file: self, ring: Some(ring), wanted: [None; TRANSFERS_MAX] }))
    }

    fn write_at(&self, offset_bytes: u64, data: &[u8]) -> io::Result<()> {
        self.write_parts(&[(offset_bytes, data)])
    }

    fn write_parts(&self, parts: &[(u64, &[u8])]) -> io::Result<()> {
        let pieces: Vec<(u64, &[u8])> = parts
            .iter()
            .flat_map(|(offset_bytes, data)| {
                data.chunks(MEMORY_BYTES)
                    .enumerate()
                    .map(move |(at, piece)| (offset_bytes + (at * MEMORY_BYTES) as u64, piece))
            })
            .collect();
        let lengths: Vec<usize> = pieces.iter().map(|(_, data)| data.len()).collect();
        for (offset_bytes, data) in &pieces {
            check_alignment(*offset_bytes, data.len())?;
            self.allocate(offset_bytes + data.len() as u64);
        }
        with_ring(|ring| {
            for batch in batches(&lengths) {
                let mut transfers = Vec::with_capacity(batch.len());
                for (number, memory) in batch {
                    let (offset_bytes, data) = pieces[number];
                    ring.memory()[memory.clone()].copy_from_slice(data);
                    transfers.push(Transfer { offset_bytes, memory });
                }
                self.transfer(ring, Direction::ToFile, &transfers)?;
            }
            Ok(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn punch_hole(&self, offset_bytes: u64, length_bytes: u64) -> io::Result<()> {
        super::real::punch_hole(&self.file, offset_bytes, length_bytes)
    }

    fn next_allocated(&self, from_bytes: u64, to_bytes: u64) -> io::Result<Option<Range<u64>>> {
        super::real::next_allocated(&self.file, from_bytes, to_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_fill_the_memory_without_overlap() {
        let block = ALIGNMENT_BYTES;
        assert_eq!(batches(&[]), Vec::<Vec<_>>::new());
        assert_eq!(batches(&[block, 2 * block]), [vec![(0, 0..block), (1, block..3 * block)]]);
        let many = batches(&vec![block; TRANSFERS_MAX + 1]);
        assert_eq!(many.iter().map(Vec::len).collect::<Vec<_>>(), [TRANSFERS_MAX, 1]);
        let large = batches(&[MEMORY_BYTES - block, 2 * block]);
        assert_eq!(large, [vec![(0, 0..MEMORY_BYTES - block)], vec![(1, 0..2 * block)]]);
    }

    #[test]
    fn what_is_written_is_read_and_nothing_but_blocks() {
        // Not where temporary files are: that may be memory, which knows no direct transfers.
        let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let Ok(file) = DirectFile::open(&directory.path().join("data")) else { return };
        let data: Vec<u8> = (0..3 * MEMORY_BYTES).map(|at| (at / 4096 % 251) as u8 + 1).collect();
        file.write_at(8192, &data).unwrap();
        let mut seen = vec![0; data.len()];
        file.read_at(8192, &mut seen).unwrap();
        assert_eq!(seen, data);
        let (mut first, mut second) = ([0; 4096], [0; 8192]);
        let mut parts =
            [Part { offset_bytes: 12288, buffer: &mut first }, Part { offset_bytes: 0, buffer: &mut second }];
        file.read_parts(&mut parts).unwrap();
        assert_eq!((first[0], second[0], second[8191]), (2, 0, 0));
        assert_eq!(file.read_at(1, &mut first).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(file.write_at(0, &[1; 512]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        let end = file.length_bytes().unwrap();
        assert_eq!(file.read_at(end, &mut first).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        file.punch_hole(8192, 4096).unwrap();
        file.read_at(8192, &mut first).unwrap();
        assert_eq!(first, [0; 4096]);
        assert!(!file.try_read_at(0, &mut first).unwrap(), "the medium is always waited for");
    }
}
