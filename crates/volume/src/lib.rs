//! The narrow waist between the control plane, the NBD server and whatever stores the bytes.
//!
//! Two traits: [`BlockDevice`] is one open disk or snapshot, [`VolumeStore`] is a pool of them. Both are
//! synchronous: a page-cache hit must not cost a thread hop (`docs/design/`), and a caller that lives in an
//! async world moves the call to a blocking thread itself.
//!
//! The order of reading: `device`, `store`, `changes`, `error`, then `model` (a store in memory, the oracle of
//! every test), `contract` (the suite that the model and every real store pass), `fault` (devices that fail
//! as planned) and `limit` (devices that are no faster than they promise).

mod changes;
pub mod contract;
mod device;
mod error;
pub mod fault;
pub mod limit;
pub mod model;
mod store;

pub use changes::{
    ChangeExtent, ChangeExtents, ChangeKind, ChangeQuery, ChangedRange, ContentName, changed_ranges,
};
pub use device::{
    Attempt, BatchRead, BatchWrite, BlockDevice, Extent, ExtentKind, ReadQueue, WriteSource, ZeroMode,
    write_together,
};
pub use error::{ErrorKind, VolumeError};
pub use store::{
    DamageReport, HeirMark, Heirs, SnapshotInfo, StoreUsage, VolumeId, VolumeInfo, VolumeSnapshotId,
    VolumeStore,
};

/// The unit of mapping, of atomicity and of space: 4 KiB. A write or discard that is aligned to it costs no
/// read; an interrupted, unflushed write is lost or kept in units of it.
pub const BLOCK_BYTES: u64 = 4096;
