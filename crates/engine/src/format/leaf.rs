//! A leaf of a layer's map: what the layer holds of up to 512 chunks of a volume.

use std::collections::BTreeMap;

use ashlar_volume::VolumeError;

use super::{CHUNKS_PER_LEAF, Fragment, Reader, Writer};

/// The fragments of each chunk in a leaf, by slot. A chunk without fragments has no entry.
pub(crate) type LeafChunks = BTreeMap<u16, Box<[Fragment]>>;

/// Leaves whose checksums one value of the table `leaf_sums` holds.
pub(crate) const LEAVES_PER_DIRECTORY: u32 = 64;

/// The checksum of the stored value of each of 64 leaves of a layer; 0 where there is none. A leaf that does not
/// match was misplaced, or its last write was lost.
pub(crate) type LeafDirectory = [u32; LEAVES_PER_DIRECTORY as usize];

/// Each chunk: slot (u16), count of fragments (u8), flags (u8, 0), fragments (u64 each).
pub(crate) fn encode_leaf(chunks: &LeafChunks) -> Vec<u8> {
    let mut out = Writer::new();
    for (slot, fragments) in chunks {
        out.u16(*slot);
        out.u8(fragments.len() as u8);
        out.u8(0); // flags: none yet
        for fragment in fragments {
            out.u64(fragment.bits());
        }
    }
    out.into_vec()
}

pub(crate) fn decode_leaf(bytes: &[u8]) -> Result<LeafChunks, VolumeError> {
    let mut input = Reader::new("leaf", bytes);
    let mut chunks = LeafChunks::new();
    while !input.is_empty() {
        let slot = input.u16()?;
        let count = input.u8()?;
        input.zeroes(1)?;
        let fragments =
            (0..count).map(|_| input.u64().map(Fragment::from_bits)).collect::<Result<Box<[_]>, _>>()?;
        if u64::from(slot) >= CHUNKS_PER_LEAF
            || fragments.is_empty()
            || chunks.insert(slot, fragments).is_some()
        {
            return Err(input.error("a slot is out of range, empty or there twice"));
        }
    }
    Ok(chunks)
}
