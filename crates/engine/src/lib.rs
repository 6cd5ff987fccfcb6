//! The local volume store: a directory of plain files that holds volumes, snapshots and clones.
//!
//! A volume is a chain of layers. A layer owns chunks of one sparse data file and says, block by block, what it
//! holds; what it lacks is found in its parent. A snapshot freezes the top layer and puts an empty one on it.
//! Metadata is committed through a journal and checkpointed into a map (`FORMAT.md`, `docs/design/`).
//!
//! The order of reading:
//! - `file`: the medium, real or simulated;
//! - `format`: every byte on it;
//! - `delta`, `state`, `journal`, `map`, `commit`: metadata and how it becomes durable;
//! - `blocks`, `checksums`, `intent`, `damage`: how every block is verified;
//! - `leaf`, `volume`: the way of a read and a write;
//! - `cipher`, `keys`: what encrypts a volume's blocks, and where its key is;
//! - `catalog`, `store`, `device`, `changes`: volumes and snapshots by name;
//! - `background`, `recovery`, `scrub`, `check`: what happens when nobody looks.

mod allocator;
mod background;
mod blocks;
mod catalog;
mod changes;
mod check;
mod checksums;
mod cipher;
mod commit;
mod core;
mod damage;
mod delta;
mod device;
mod file;
mod format;
mod held;
mod intent;
mod journal;
mod keys;
mod leaf;
mod map;
mod options;
mod pool;
mod recovery;
mod scrub;
mod space;
mod state;
mod store;
mod volume;
mod wake;

pub use check::{CheckReport, RepairReport, check, check_in, repair, repair_in};
pub use cipher::{DATA_KEY_BYTES, DataKey};
pub use file::{Directory, FaultyDirectory, File, FileFaults, FileRole, Part, simulated};
pub use keys::KeyWrapper;
pub use options::{Background, DataCache, PoolOptions};
pub use pool::Pool;
pub use scrub::{PoolStatus, Scrub, ScrubProgress};
pub use space::{ReclaimProgress, SpaceReport, SpaceUse};
