//! One open disk or snapshot.

use std::os::fd::BorrowedFd;

use crate::{ErrorKind, VolumeError};

/// What a device does when asked for zeroes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZeroMode {
    /// Space may be given back: the range becomes a hole.
    MayUnmap,
    /// Space must stay (NBD `NO_HOLE`): the range is written with zeroes, a later write to it meets no `NoSpace`.
    KeepAllocated,
}

/// Whether [`BlockDevice::try_read`] or [`BlockDevice::try_write`] could do it at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The buffer holds the data, or the data is written.
    Done,
    /// The medium has to be waited for. What the buffer holds, or the range of a write, is unspecified: the old bytes or the new.
    /// Call [`BlockDevice::read`] or [`BlockDevice::write`] from a thread that may wait.
    WouldWait,
}

/// What a range of a device is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtentKind {
    /// Holds data, or space that is kept for it.
    Data,
    /// A hole: takes no space, reads as zeroes.
    Hole,
}

/// A run of bytes of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// How long the run is.
    pub length_bytes: u64,
    /// What it is.
    pub kind: ExtentKind,
}

/// One of several reads.
#[derive(Debug)]
pub struct BatchRead<'a> {
    /// Where it begins.
    pub offset_bytes: u64,
    /// Where it goes.
    pub buffer: &'a mut [u8],
}

/// One of several writes.
#[derive(Debug, Clone, Copy)]
pub struct BatchWrite<'a> {
    /// Where it goes.
    pub offset_bytes: u64,
    /// What is written.
    pub data: &'a [u8],
}

/// Where the writes of a [`BlockDevice::write_stream`] come from, and who hears of their end.
pub trait WriteSource {
    /// The next write, if one has come. Waits for nothing, and calls no device.
    fn next(&mut self) -> Option<BatchWrite<'_>>;

    /// The write that `next` gave as number `number`, counted from 0, has ended.
    fn ended(&mut self, number: usize, result: Result<(), VolumeError>);
}

/// Carries out several writes as a stream; the result of each.
pub fn write_together(device: &dyn BlockDevice, writes: &[BatchWrite<'_>]) -> Vec<Result<(), VolumeError>> {
    struct Together<'a> {
        rest: std::slice::Iter<'a, BatchWrite<'a>>,
        /// How many earlier streams took.
        before: usize,
        results: Vec<Result<(), VolumeError>>,
    }

    impl WriteSource for Together<'_> {
        fn next(&mut self) -> Option<BatchWrite<'_>> {
            self.rest.next().copied()
        }

        fn ended(&mut self, number: usize, result: Result<(), VolumeError>) {
            if let Some(place) = self.results.get_mut(self.before + number) {
                *place = result;
            }
        }
    }

    let left_out = || Err(VolumeError::new(ErrorKind::Io, "the device left a write out"));
    let results = writes.iter().map(|_| left_out()).collect();
    let mut together = Together { rest: writes.iter(), before: 0, results };
    while together.rest.len() > 0 {
        device.write_stream(&mut together);
        together.before = writes.len() - together.rest.len();
    }
    together.results
}

/// Reads of one thread that are under way while it does other things.
pub trait ReadQueue: Send {
    /// Begins a read and gives it a number, which is free again after its end; `None`: it has to go the ordinary way
    /// ([`BlockDevice::read`]), at least now. Waits for nothing but the turn of a device that is limited in speed.
    fn begin(&mut self, offset_bytes: u64, length: usize) -> Option<usize>;

    /// Hands over what was begun, and says what has ended: the number and the bytes, as they were at some time since the
    /// beginning, or `None` where the ordinary way has to be taken. Waits for nothing. What is still under way will ring the bell.
    fn turn(&mut self, ended: &mut dyn FnMut(usize, Option<&[u8]>));
}

/// A disk or snapshot that is open for I/O. Offsets and lengths are bytes of any alignment; a range that does
/// not lie within `0..size_bytes()` is [`InvalidArgument`](crate::ErrorKind::InvalidArgument) and changes nothing.
/// A range of no bytes within it is a success that does nothing.
///
/// Calls may come from many threads at once. Two calls that overlap in time and range may take effect in
/// either order, block by block; calls that do not overlap in time take effect in their order.
///
/// Durability: a call that changes data is durable once a [`flush`](Self::flush) that began after it returned
/// has returned. Until then a crash may undo it, wholly or for single blocks of [`BLOCK_BYTES`](crate::BLOCK_BYTES), and
/// nothing else.
///
/// A block that was never written reads as zeroes.
pub trait BlockDevice: Send + Sync {
    /// The size now, in bytes. Grows while the device is open when the volume is resized; never shrinks.
    fn size_bytes(&self) -> u64;

    /// Whether every call that changes data is refused with `InvalidArgument`.
    fn is_read_only(&self) -> bool;

    /// Fills `buffer` from `offset_bytes`.
    fn read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<(), VolumeError>;

    /// Like [`read`](Self::read), but never waits for the medium.
    fn try_read(&self, offset_bytes: u64, buffer: &mut [u8]) -> Result<Attempt, VolumeError>;

    /// A queue of reads that rings `bell`, an eventfd, when some may have ended; for the calling thread alone. `None` where there
    /// is no such thing.
    fn read_queue(&self, bell: BorrowedFd<'_>) -> Option<Box<dyn ReadQueue>> {
        let _ = bell;
        None
    }

    /// Whether every read and write waits for the medium, as where no cache lies in between. Such a device is at its best
    /// with several of them at a time.
    fn prefers_batches(&self) -> bool {
        false
    }

    /// Waits until a read or write may begin, where a device is limited in speed; it then begins without another wait. For
    /// whoever puts it into a batch, which must not hold up those of others.
    fn await_turn(&self, offset_bytes: u64, length_bytes: u64) {
        let _ = (offset_bytes, length_bytes);
    }

    /// Several [`read`](Self::read)s, each with its own result; at the same time where the device can.
    fn read_batch(&self, reads: &mut [BatchRead<'_>]) -> Vec<Result<(), VolumeError>> {
        reads.iter_mut().map(|read| self.read(read.offset_bytes, read.buffer)).collect()
    }

    /// [`write`](Self::write)s as they come, several at the same time where the device can. Takes at least the first and returns
    /// when all that were taken have ended; there may be more then. Those that overlap take effect in any order.
    fn write_stream(&self, source: &mut dyn WriteSource) {
        for number in 0.. {
            let Some(write) = source.next() else { return };
            let result = self.write(write.offset_bytes, write.data);
            source.ended(number, result);
        }
    }

    /// Whether a write gains by joining a [`write_stream`](Self::write_stream) whose first writes are under way.
    fn takes_more_writes(&self) -> bool {
        false
    }

    /// Writes `data` at `offset_bytes`.
    fn write(&self, offset_bytes: u64, data: &[u8]) -> Result<(), VolumeError>;

    /// Like [`write`](Self::write), but leaves to a thread that may wait what the device knows to take long beforehand. A device that
    /// cannot tell writes.
    fn try_write(&self, offset_bytes: u64, data: &[u8]) -> Result<Attempt, VolumeError> {
        self.write(offset_bytes, data).map(|()| Attempt::Done)
    }

    /// Like [`write`](Self::write), for a part of a request whose parts come in order. The first one says how long the whole is,
    /// in `request_bytes`, the others 0: a device that is limited in speed counts one request.
    fn write_part(&self, offset_bytes: u64, data: &[u8], request_bytes: u64) -> Result<(), VolumeError> {
        let _ = request_bytes;
        self.write(offset_bytes, data)
    }

    /// Makes everything durable that was answered before this call began.
    fn flush(&self) -> Result<(), VolumeError>;

    /// Makes the range read as zeroes and gives its space back. Whole blocks are unmapped; the rest is zeroed
    /// in place.
    fn discard(&self, offset_bytes: u64, length_bytes: u64) -> Result<(), VolumeError>;

    /// Makes the range read as zeroes.
    fn write_zeroes(&self, offset_bytes: u64, length_bytes: u64, mode: ZeroMode) -> Result<(), VolumeError>;

    /// Describes the range from its start: neighbours differ in kind, at most `extents_max` of them (at least
    /// one), together no longer than `length_bytes`. Bytes of a hole read as zeroes. A range of no bytes has no
    /// extents. An `extents_max` of 0 is `InvalidArgument`.
    ///
    /// A whole block is a hole when it was never written, and again after [`discard`](Self::discard) or
    /// [`ZeroMode::MayUnmap`]; it is data after a write or [`ZeroMode::KeepAllocated`].
    fn extents(
        &self,
        offset_bytes: u64,
        length_bytes: u64,
        extents_max: usize,
    ) -> Result<Vec<Extent>, VolumeError>;
}
