//! Reads of one thread that are under way while it does other things: an io_uring that rings a bell when some have ended.
//!
//! What has to be argued is as in [`ring`](super::ring): the kernel writes to a slot of the memory from the moment its read is
//! handed over until its end was taken, so until then nobody touches the slot, and the memory is freed only when nothing is under way.
#![allow(unsafe_code, reason = "the kernel is handed addresses; see above and at each block")]

use std::io;
use std::mem::ManuallyDrop;
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use io_uring::{IoUring, opcode, types};

use super::ring::{ALIGNMENT_BYTES, enter};

/// The longest read. Longer ones are rare where many small ones are under way.
pub(crate) const SLOT_BYTES: usize = 16 << 10;
/// The most reads at once.
pub(crate) const SLOTS: usize = 64;
const MEMORY_BYTES: usize = SLOTS * SLOT_BYTES;

/// A ring of reads of one file, for the thread that made it.
pub(crate) struct ReadRing {
    ring: ManuallyDrop<IoUring>,
    /// The slots, and room to align them; only touched pages take memory.
    memory: ManuallyDrop<Vec<u8>>,
    /// Where the first slot begins.
    start: usize,
    file: OwnedFd,
    free: Vec<u8>,
    under_way: usize,
    /// The kernel has refused the ring: nothing more is begun.
    is_broken: bool,
    /// Whether reads are finished by this thread, when it asks.
    finishes_here: bool,
}

impl ReadRing {
    /// A ring that rings `bell`, an eventfd, when reads may have ended. An error: the kernel has no io_uring, or this process
    /// may not use it.
    pub(crate) fn new(file: OwnedFd, bell: BorrowedFd<'_>) -> io::Result<Self> {
        let own = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .build(SLOTS as u32);
        // Kernels before 6.1 do not know that.
        let (ring, finishes_here) =
            own.map(|ring| (ring, true)).or_else(|_| IoUring::new(SLOTS as u32).map(|ring| (ring, false)))?;
        ring.submitter().register_eventfd(bell.as_raw_fd())?;
        // Zeroed pages that nobody has touched yet.
        let memory = vec![0; MEMORY_BYTES + ALIGNMENT_BYTES];
        let start = memory.as_ptr().align_offset(ALIGNMENT_BYTES);
        if start > ALIGNMENT_BYTES {
            return Err(io::Error::other("memory could not be aligned"));
        }
        Ok(Self {
            ring: ManuallyDrop::new(ring),
            memory: ManuallyDrop::new(memory),
            start,
            file,
            // The last is taken first: few reads at once touch little memory.
            free: (0..SLOTS as u8).rev().collect(),
            under_way: 0,
            is_broken: false,
            finishes_here,
        })
    }

    fn slot(&self, slot: u8) -> Range<usize> {
        let start = self.start + usize::from(slot) * SLOT_BYTES;
        start..start + SLOT_BYTES
    }

    /// Puts a read on the queue and gives its slot; `None` where it is too long, or all slots are taken.
    pub(crate) fn begin(&mut self, offset_bytes: u64, length: usize) -> Option<u8> {
        if self.is_broken || length > SLOT_BYTES {
            return None;
        }
        let slot = self.free.pop()?;
        let start = self.slot(slot).start;
        // SAFETY: the slot lies within the memory, which is `start` and all slots long at least.
        let address = unsafe { self.memory.as_mut_ptr().add(start) };
        let entry = opcode::Read::new(types::Fd(self.file.as_raw_fd()), address, length as u32)
            .offset(offset_bytes)
            .build()
            .user_data(u64::from(slot));
        // SAFETY: the file is open as long as the ring is; the slot is off the list of free ones until the read has ended, so
        // nobody touches it, and the memory outlives the read: see `drop`.
        let pushed = unsafe { self.ring.submission().push(&entry) };
        if pushed.is_err() {
            // The queue has an entry for each slot.
            self.free.push(slot);
            return None;
        }
        self.under_way += 1;
        Some(slot)
    }

    /// Hands over what was begun and takes what has ended: the slot, and how many bytes it holds or why none. Waits for nothing.
    /// An error: the ring is broken, and what is under way has no end.
    pub(crate) fn turn(&mut self, mut ended: impl FnMut(u8, io::Result<&mut [u8]>)) -> io::Result<()> {
        if self.under_way == 0 || self.is_broken {
            return Ok(());
        }
        if self.has_work() {
            self.enter(0)?;
        }
        self.take(&mut ended);
        Ok(())
    }

    /// Whether the kernel has to be asked: something is to be handed over, or to be finished by this thread. A ring that finishes by
    /// itself may be asked in vain.
    fn has_work(&mut self) -> bool {
        let queue = self.ring.submission();
        !queue.is_empty() || queue.taskrun() || !self.finishes_here
    }

    fn enter(&mut self, at_least: u32) -> io::Result<()> {
        enter(&mut self.ring, at_least).inspect_err(|_| self.is_broken = true)
    }

    fn take(&mut self, ended: &mut impl FnMut(u8, io::Result<&mut [u8]>)) {
        while let Some(completion) = self.next_completion() {
            let (slot, result) = completion;
            let range = self.slot(slot);
            let outcome = match result {
                read @ 0.. => {
                    let bytes = self.memory.get_mut(range).unwrap_or_default();
                    let read = (read as usize).min(bytes.len());
                    Ok(&mut bytes[..read])
                }
                errno => Err(io::Error::from_raw_os_error(-errno)),
            };
            // Before the call: whatever becomes of it, this read is not waited for again.
            self.under_way -= 1;
            ended(slot, outcome);
            self.free.push(slot);
        }
    }

    fn next_completion(&mut self) -> Option<(u8, i32)> {
        let completion = self.ring.completion().next()?;
        Some((completion.user_data() as u8, completion.result()))
    }
}

impl Drop for ReadRing {
    fn drop(&mut self) {
        // Whoever goes away in the middle: the reads are of a file, so they end.
        while self.under_way > 0 && !self.is_broken {
            if self.enter(1).is_ok() {
                self.take(&mut |_, _| {});
            }
        }
        if self.is_broken {
            // The kernel may still write to the memory: it is never freed.
            return;
        }
        // SAFETY: both are dropped once, here, and not used afterwards; nothing is under way.
        unsafe {
            ManuallyDrop::drop(&mut self.ring);
            ManuallyDrop::drop(&mut self.memory);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::fd::AsFd;

    use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

    use super::*;

    fn ring_of(content: &[u8]) -> Option<(ReadRing, OwnedFd)> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(content).unwrap();
        let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).unwrap();
        Some((ReadRing::new(file.into(), bell.as_fd()).ok()?, bell))
    }

    /// Turns until so many have ended, waiting for the bell in between.
    fn turn_until(ring: &mut ReadRing, bell: &OwnedFd, count: usize) -> Vec<(u8, Vec<u8>)> {
        let mut seen = Vec::new();
        loop {
            ring.turn(|slot, bytes| seen.push((slot, bytes.unwrap().to_vec()))).unwrap();
            if seen.len() >= count {
                return seen;
            }
            poll(&mut [PollFd::new(bell, PollFlags::IN)], None).unwrap();
            let _ = rustix::io::read(bell, &mut [0_u8; 8]);
        }
    }

    #[test]
    fn as_many_reads_as_slots_bring_their_bytes_and_give_the_slots_back() {
        let content: Vec<u8> = (0..SLOTS * 4096).map(|at| (at / 4096) as u8 + 1).collect();
        let Some((mut ring, bell)) = ring_of(&content) else { return };
        for _ in 0..3 {
            let slots: Vec<u8> = (0..SLOTS).map(|at| ring.begin(at as u64 * 4096, 4096).unwrap()).collect();
            assert_eq!(ring.begin(0, 4096), None, "all slots are taken");
            let seen = turn_until(&mut ring, &bell, SLOTS);
            for (slot, bytes) in seen {
                let at = slots.iter().position(|other| *other == slot).unwrap();
                assert_eq!(bytes, [at as u8 + 1; 4096]);
            }
        }
    }

    #[test]
    fn what_is_too_long_is_refused_and_the_end_of_the_file_cuts() {
        let Some((mut ring, bell)) = ring_of(&[5; 6000]) else { return };
        assert_eq!(ring.begin(0, SLOT_BYTES + 1), None);
        ring.begin(0, SLOT_BYTES).unwrap();
        assert_eq!(turn_until(&mut ring, &bell, 1)[0].1, [5; 6000]);
    }

    #[test]
    fn a_ring_with_reads_under_way_ends_them_before_it_goes() {
        let Some((mut ring, _bell)) = ring_of(&[5; 1 << 20]) else { return };
        assert!((0..32).all(|at| ring.begin(at * 4096, 4096).is_some()));
        // Begun and not handed over, too.
        drop(ring);
    }
}
