//! What an export can do, computed from its device and from what was agreed on, and how that looks on the wire.

use ashlar_volume::{BLOCK_BYTES, BlockDevice};

use crate::codec::{HeaderStyle, PAYLOAD_BYTES_MAX};

const HAS_FLAGS: u16 = 1 << 0;
const READ_ONLY: u16 = 1 << 1;
const SEND_FLUSH: u16 = 1 << 2;
const SEND_FORCE_UNIT_ACCESS: u16 = 1 << 3;
const SEND_TRIM: u16 = 1 << 5;
const SEND_WRITE_ZEROES: u16 = 1 << 6;
const SEND_DO_NOT_FRAGMENT: u16 = 1 << 7;
const CAN_MULTI_CONN: u16 = 1 << 8;
const SEND_CACHE: u16 = 1 << 10;
const SEND_FAST_ZERO: u16 = 1 << 11;
const BLOCK_STATUS_PAYLOAD: u16 = 1 << 12;

/// The smallest unit of offsets and lengths: devices take any alignment.
pub(crate) const BLOCK_BYTES_MINIMUM: u32 = 1;
/// The unit that costs no read before a write.
pub(crate) const BLOCK_BYTES_PREFERRED: u32 = BLOCK_BYTES as u32;
/// The longest data of a request.
pub(crate) const BLOCK_BYTES_MAXIMUM: u32 = PAYLOAD_BYTES_MAX;

/// What a session may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Features {
    /// The export takes no writes.
    pub(crate) is_read_only: bool,
    /// The form of requests and replies.
    pub(crate) style: HeaderStyle,
    /// How many metadata contexts were chosen; their numbers are 1 and so on.
    pub(crate) contexts: u32,
}

impl Features {
    pub(crate) fn of(device: &dyn BlockDevice, style: HeaderStyle, contexts: u32) -> Self {
        Self { is_read_only: device.is_read_only(), style, contexts }
    }

    /// The transmission flags.
    ///
    /// Several connections are always safe: all open devices of a volume are views of the same bytes, and a
    /// flush of one covers every write that was answered on any. Zeroing with leave to unmap is fast on
    /// every device, so fast zeroes are offered; with `NO_HOLE` they fail at once, which is what fast means.
    pub(crate) const fn transmission_flags(self) -> u16 {
        let mut flags = HAS_FLAGS | SEND_FLUSH | CAN_MULTI_CONN | SEND_CACHE;
        flags |= if self.is_read_only {
            READ_ONLY
        } else {
            SEND_FORCE_UNIT_ACCESS | SEND_TRIM | SEND_WRITE_ZEROES | SEND_FAST_ZERO
        };
        if self.style.has_chunks() {
            flags |= SEND_DO_NOT_FRAGMENT;
        }
        if self.style.is_extended() && self.contexts > 0 {
            flags |= BLOCK_STATUS_PAYLOAD;
        }
        flags
    }
}
