//! A slot of the file of keys.

use std::num::NonZeroU64;

use super::{Reader, Writer, crc32c};

/// Bytes of a slot: a sector, which a device writes as a whole or not at all.
pub(crate) const KEY_SLOT_BYTES: usize = 512;
/// Bytes that a wrapped key may take.
pub(crate) const WRAPPED_KEY_BYTES_MAX: usize = KEY_SLOT_BYTES - HEADER_BYTES;

const HEADER_BYTES: usize = 32;
const MAGIC: [u8; 4] = *b"AKY1";

/// The key of a lineage, as layers name it. Drawn by lot; 0 stands for "not encrypted".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct DataKeyId(pub(crate) NonZeroU64);

impl DataKeyId {
    /// `None` for 0.
    pub(crate) fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }
}

/// A wrapped key as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeySlot {
    pub(crate) id: DataKeyId,
    /// What the wrapper made; it alone knows what is inside.
    pub(crate) wrapped: Box<[u8]>,
}

impl KeySlot {
    pub(crate) fn encode(&self) -> [u8; KEY_SLOT_BYTES] {
        let mut out = Writer::new();
        out.bytes(&MAGIC);
        out.u32(0); // the checksum, below
        out.u64(self.id.0.get());
        out.u32(self.wrapped.len() as u32);
        out.bytes(&[0; 12]); // reserved
        out.bytes(&self.wrapped);
        let mut bytes = out.into_vec();
        bytes.resize(KEY_SLOT_BYTES, 0);
        let crc = crc32c(&bytes[8..]);
        bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        let mut slot = [0; KEY_SLOT_BYTES];
        slot.copy_from_slice(&bytes);
        slot
    }

    /// `None` where no whole slot of this format is.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut input = Reader::new("data key", bytes);
        if input.bytes(4).ok()? != MAGIC || input.u32().ok()? != crc32c(bytes.get(8..)?) {
            return None;
        }
        let id = DataKeyId::new(input.u64().ok()?)?;
        let length = input.u32().ok()? as usize;
        input.zeroes(12).ok()?;
        Some(Self { id, wrapped: input.bytes(length).ok()?.into() })
    }
}
