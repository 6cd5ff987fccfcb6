//! Transfers past the page cache, many at once: an io_uring with memory of its own.
//!
//! One of the rooms of the workspace with `unsafe` code. What has to be argued is the same everywhere: the kernel reads or
//! writes the ring's memory while a transfer is under way, so nobody may touch or free it until all have ended.
//! [`Ring::run`] therefore borrows the ring exclusively and returns only when every transfer has ended; [`Ring::begin`] takes a slot of
//! the memory that nobody is given before its write has ended; and a ring of which that cannot be said any more is leaked, not freed.
#![allow(unsafe_code, reason = "the kernel is handed addresses; see above and at each block")]

use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use io_uring::{IoUring, opcode, types};

/// What offsets, lengths and memory are multiples of.
pub(super) const ALIGNMENT_BYTES: usize = 4096;
/// The most transfers at once.
pub(super) const TRANSFERS_MAX: usize = 64;
/// The memory of a ring. It is registered with the kernel once: registering much of it for each connection costs more than it
/// saves.
pub(super) const MEMORY_BYTES: usize = 1 << 20;

/// `io_uring_enter`: have what is ready posted, without waiting for anything (`IORING_ENTER_GETEVENTS`).
const GET_EVENTS: u32 = 1;

/// The longest write that is begun by itself.
pub(super) const SLOT_BYTES: usize = MEMORY_BYTES / TRANSFERS_MAX;
const _: () = assert!(
    SLOT_BYTES.is_multiple_of(ALIGNMENT_BYTES) && TRANSFERS_MAX == u64::BITS as usize,
    "a bit for each slot"
);

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    FromFile,
    ToFile,
}

/// A part of the ring's memory, and where in the file it goes or comes from. All are multiples of [`ALIGNMENT_BYTES`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transfer {
    pub(super) offset_bytes: u64,
    pub(super) memory: Range<usize>,
}

#[repr(C, align(4096))]
#[derive(Clone)]
struct Page([u8; ALIGNMENT_BYTES]);

/// A ring and its memory. Only the thread that made it may [`run`](Self::run) it.
pub(super) struct Ring {
    ring: ManuallyDrop<IoUring>,
    memory: ManuallyDrop<Box<[Page]>>,
    /// Whether the kernel has the memory's pages at hand.
    is_registered: bool,
    /// Whether the kernel may still use the memory: then it is never freed.
    is_broken: bool,
    /// Slots of the memory whose writes were begun and have not ended, a bit for each.
    under_way: u64,
}

impl Ring {
    /// A ring with registered memory. An error: the kernel has no io_uring, or this process may not use it.
    ///
    /// Registered memory counts against what an ordinary user may lock (`RLIMIT_MEMLOCK`), and each session has a ring. Where
    /// that is used up the ring does without: then the kernel looks the pages up for each transfer.
    pub(super) fn new() -> io::Result<Self> {
        let ring = make_ring()?;
        let mut memory = vec![Page([0; ALIGNMENT_BYTES]); MEMORY_BYTES / ALIGNMENT_BYTES].into_boxed_slice();
        let vector = libc::iovec { iov_base: memory.as_mut_ptr().cast(), iov_len: MEMORY_BYTES };
        // SAFETY: the memory belongs to the ring and outlives it: both are dropped together, the ring first, or leaked.
        let is_registered = unsafe { ring.submitter().register_buffers(&[vector]) }.is_ok();
        let (ring, memory) = (ManuallyDrop::new(ring), ManuallyDrop::new(memory));
        Ok(Self { ring, memory, is_registered, is_broken: false, under_way: 0 })
    }

    /// The memory, for whoever fills it or takes what was read. Only while nothing is under way.
    pub(super) fn memory(&mut self) -> &mut [u8] {
        assert_eq!(self.under_way, 0, "the kernel has a part of the memory");
        // SAFETY: `Page` is `repr(C)` over bytes without padding, so the pages are `MEMORY_BYTES` bytes in a row, all
        // initialized; the exclusive borrow of the ring lasts as long as the slice, and no transfer is under way then.
        unsafe { std::slice::from_raw_parts_mut(self.memory.as_mut_ptr().cast(), MEMORY_BYTES) }
    }

    /// Whether it can be used again.
    pub(super) const fn is_sound(&self) -> bool {
        !self.is_broken
    }

    /// Carries out all transfers and waits for the last; how many bytes each has moved, or why none.
    pub(super) fn run(
        &mut self,
        file: BorrowedFd<'_>,
        direction: Direction,
        transfers: &[Transfer],
    ) -> io::Result<Vec<io::Result<usize>>> {
        let is_legal = |transfer: &Transfer| {
            transfer.memory.start <= transfer.memory.end && transfer.memory.end <= MEMORY_BYTES
        };
        if transfers.len() > TRANSFERS_MAX || !transfers.iter().all(is_legal) || self.under_way != 0 {
            return Err(io::Error::from(io::ErrorKind::InvalidInput));
        }
        for (number, transfer) in transfers.iter().enumerate() {
            self.push(file, direction, transfer, number as u64)?;
        }
        self.wait(transfers.len())
    }

    fn push(
        &mut self,
        file: BorrowedFd<'_>,
        direction: Direction,
        transfer: &Transfer,
        number: u64,
    ) -> io::Result<()> {
        let base: *mut u8 = self.memory.as_mut_ptr().cast();
        let handle = types::Fd(file.as_raw_fd());
        // SAFETY: both callers have found the range to lie within the memory.
        let address = unsafe { base.add(transfer.memory.start) };
        let length = transfer.memory.len() as u32;
        let at = transfer.offset_bytes;
        let entry = match (direction, self.is_registered) {
            (Direction::FromFile, true) => {
                opcode::ReadFixed::new(handle, address, length, 0).offset(at).build()
            }
            (Direction::FromFile, false) => opcode::Read::new(handle, address, length).offset(at).build(),
            (Direction::ToFile, true) => {
                opcode::WriteFixed::new(handle, address, length, 0).offset(at).build()
            }
            (Direction::ToFile, false) => opcode::Write::new(handle, address, length).offset(at).build(),
        };
        // SAFETY: the descriptor is open until the transfer has ended, and the memory is neither touched nor freed before: `run`
        // returns after that, and `begin` keeps the slot.
        let pushed = unsafe { self.ring.submission().push(&entry.user_data(number)) };
        pushed.map_err(|_| {
            // The queue has room for all; if it has not, entries may be under way that nobody waits for.
            self.is_broken = true;
            io::Error::other("the ring is full")
        })
    }

    /// Copies the data and puts a write of it on the queue; its slot, or `None` where it is too long or all slots are taken. Until
    /// [`turn`](Self::turn) has named the slot, the file must stay open and the ring belongs to such writes.
    pub(super) fn begin(&mut self, file: BorrowedFd<'_>, offset_bytes: u64, data: &[u8]) -> Option<usize> {
        let slot = (!self.under_way).trailing_zeros() as usize;
        if slot >= TRANSFERS_MAX || data.len() > SLOT_BYTES || self.is_broken {
            return None;
        }
        let memory = slot * SLOT_BYTES..slot * SLOT_BYTES + data.len();
        let base: *mut u8 = self.memory.as_mut_ptr().cast();
        // SAFETY: the slot lies within the memory and nothing of it is under way, so nobody else has a reference to it, and the
        // kernel does not read it; the data lies elsewhere, because nobody is given the memory while something is under way.
        unsafe { std::ptr::copy_nonoverlapping(data.as_ptr(), base.add(memory.start), data.len()) };
        self.push(file, Direction::ToFile, &Transfer { offset_bytes, memory }, slot as u64).ok()?;
        self.under_way |= 1 << slot;
        Some(slot)
    }

    /// Whether writes that were begun have not ended.
    pub(super) const fn has_under_way(&self) -> bool {
        self.under_way != 0
    }

    /// Hands over what was begun, waits until at least one write has ended if `waits`, and takes what has: the slots, and how many
    /// bytes were written. An error: the ring is broken, and what is under way has no end.
    pub(super) fn turn(
        &mut self,
        waits: bool,
        mut ended: impl FnMut(usize, io::Result<usize>),
    ) -> io::Result<()> {
        while self.under_way != 0 {
            enter(&mut self.ring, u32::from(waits)).inspect_err(|_| self.is_broken = true)?;
            let before = self.under_way;
            for completion in self.ring.completion() {
                let slot = completion.user_data() as usize % TRANSFERS_MAX;
                self.under_way &= !(1 << slot);
                ended(
                    slot,
                    match completion.result() {
                        moved @ 0.. => Ok(moved as usize),
                        errno => Err(io::Error::from_raw_os_error(-errno)),
                    },
                );
            }
            if !waits || self.under_way != before {
                return Ok(());
            }
        }
        Ok(())
    }

    fn wait(&mut self, count: usize) -> io::Result<Vec<io::Result<usize>>> {
        let mut results: Vec<io::Result<usize>> =
            (0..count).map(|_| Err(io::Error::from(io::ErrorKind::UnexpectedEof))).collect();
        let mut ended = 0;
        while ended < count {
            match self.ring.submit_and_wait(count - ended) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.is_broken = true;
                    return Err(error);
                }
            }
            for completion in self.ring.completion() {
                ended += 1;
                if let Some(result) = results.get_mut(completion.user_data() as usize) {
                    *result = match completion.result() {
                        moved @ 0.. => Ok(moved as usize),
                        errno => Err(io::Error::from_raw_os_error(-errno)),
                    };
                }
            }
        }
        Ok(results)
    }
}

/// Hands over what is queued, has what is ready posted, and waits until at least so many transfers have ended. An error: what is under
/// way has no end any more.
pub(super) fn enter(ring: &mut IoUring, at_least: u32) -> io::Result<()> {
    loop {
        let queued = ring.submission().len() as u32;
        // SAFETY: no argument is passed, and whoever has pushed an entry onto the queue has argued for it.
        let entered = unsafe { ring.submitter().enter::<libc::sigset_t>(queued, at_least, GET_EVENTS, None) };
        match entered {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            entered => return entered.map(|_| ()),
        }
    }
}

/// A ring for the calling thread alone: what has ended is handed over when the thread waits for it, all at once, so that it is
/// not woken for each transfer. Kernels before 6.1 do not know that, and get an ordinary one.
fn make_ring() -> io::Result<IoUring> {
    let own = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(TRANSFERS_MAX as u32);
    own.or_else(|_| IoUring::new(TRANSFERS_MAX as u32))
}

impl Drop for Ring {
    fn drop(&mut self) {
        while self.under_way != 0 && !self.is_broken {
            // Whoever goes away in the middle: the writes are to a file, so they end. An error breaks the ring.
            let _ = self.turn(true, |_, _| {});
        }
        if self.is_broken {
            return;
        }
        // SAFETY: both are dropped once, here, and not used afterwards; no transfer is under way, and the ring, which knows
        // the memory's address, goes first.
        unsafe {
            ManuallyDrop::drop(&mut self.ring);
            ManuallyDrop::drop(&mut self.memory);
        }
    }
}

// SAFETY of sharing: `IoUring` is `Send`, and `Ring` adds only boxed memory, so the compiler derives `Send`.

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn transfers_move_their_part_of_the_memory_and_nothing_else() {
        let Ok(ring) = Ring::new() else { return };
        check_transfers(ring);
    }

    #[test]
    fn a_ring_whose_memory_may_not_be_locked_moves_the_same() {
        let Ok(mut ring) = Ring::new() else { return };
        ring.ring.submitter().unregister_buffers().unwrap();
        ring.is_registered = false;
        check_transfers(ring);
    }

    #[test]
    fn writes_are_under_way_until_they_are_told_and_take_a_slot_each() {
        let Ok(mut ring) = Ring::new() else { return };
        let file = tempfile::tempfile().unwrap();
        let block = |slot: usize| vec![slot as u8 + 1; ALIGNMENT_BYTES];
        for _ in 0..2 {
            assert!(ring.begin(file.as_fd(), 0, &[0; SLOT_BYTES + 1]).is_none(), "too long");
            for at in 0..TRANSFERS_MAX {
                let slot = ring.begin(file.as_fd(), (at * ALIGNMENT_BYTES) as u64, &block(at));
                assert_eq!(slot, Some(at));
            }
            assert!(ring.begin(file.as_fd(), 0, &block(0)).is_none(), "all slots are taken");
            assert!(ring.run(file.as_fd(), Direction::ToFile, &[]).is_err(), "the memory is not free");
            let mut ended = Vec::new();
            while ring.has_under_way() {
                let before = ended.len();
                ring.turn(true, |slot, moved| ended.push((slot, moved.unwrap()))).unwrap();
                assert!(ended.len() > before, "a turn that waits brings an end");
            }
            ended.sort_unstable();
            assert!(ended.into_iter().eq((0..TRANSFERS_MAX).map(|slot| (slot, ALIGNMENT_BYTES))));
        }
        let mut seen = vec![0; TRANSFERS_MAX * ALIGNMENT_BYTES];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut seen, 0).unwrap();
        assert!(seen.chunks(ALIGNMENT_BYTES).enumerate().all(|(at, bytes)| bytes == block(at)));
        // Whoever goes away in the middle waits for the end.
        ring.begin(file.as_fd(), 0, &block(8)).unwrap();
        drop(ring);
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut seen[..1], 0).unwrap();
        assert_eq!(seen[0], 9);
    }

    fn check_transfers(mut ring: Ring) {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &[7; 3 * ALIGNMENT_BYTES]).unwrap();
        ring.memory().fill(1);
        let part = |offset: usize, at: usize| Transfer {
            offset_bytes: (offset * ALIGNMENT_BYTES) as u64,
            memory: at * ALIGNMENT_BYTES..(at + 1) * ALIGNMENT_BYTES,
        };
        let moved = ring.run(file.as_fd(), Direction::FromFile, &[part(0, 2), part(5, 4)]).unwrap();
        assert_eq!(moved[0].as_ref().unwrap(), &ALIGNMENT_BYTES);
        assert_eq!(moved[1].as_ref().unwrap(), &0, "beyond the end");
        let blocks: Vec<u8> = ring.memory().chunks(ALIGNMENT_BYTES).take(5).map(|block| block[0]).collect();
        assert_eq!(blocks, [1, 1, 7, 1, 1]);
        ring.run(file.as_fd(), Direction::ToFile, &[part(1, 0)]).unwrap().remove(0).unwrap();
        let mut seen = [0; 2];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut seen, ALIGNMENT_BYTES as u64 - 1).unwrap();
        assert_eq!(seen, [7, 1]);
        assert!(ring.is_sound());
        let outside = Transfer { offset_bytes: 0, memory: MEMORY_BYTES..MEMORY_BYTES + 1 };
        assert_eq!(
            ring.run(file.as_fd(), Direction::ToFile, &[outside]).unwrap_err().kind(),
            io::ErrorKind::InvalidInput
        );
    }
}
