//! Values of the map carry a checksum of their own. It covers the table and the key too, so that a value that has
//! come to a wrong place is found out.

use ashlar_volume::VolumeError;

use super::{Reader, Writer};

/// Bytes before the value itself.
pub(crate) const SEAL_BYTES: usize = 16;

/// Which table of the map a value is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Table {
    Volumes = 1,
    Snapshots = 2,
    Layers = 3,
    Held = 4,
    Leaves = 5,
    LeafSums = 6,
    Allocation = 7,
    Checksums = 8,
    Intents = 9,
    Damage = 10,
}

impl Table {
    const fn name(self) -> &'static str {
        match self {
            Self::Volumes => "volume",
            Self::Snapshots => "snapshot",
            Self::Layers => "layer",
            Self::Held => "counter of a layer",
            Self::Leaves => "leaf",
            Self::LeafSums => "directory of leaves",
            Self::Allocation => "allocation segment",
            Self::Checksums => "page of checksums",
            Self::Intents => "write intent",
            Self::Damage => "mark of a damaged block",
        }
    }
}

/// What a seal says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sealed<'a> {
    /// The sequence of the checkpoint that wrote the value.
    pub(crate) sequence: u64,
    pub(crate) value: &'a [u8],
}

fn checksum(table: Table, key: &[u8], rest: &[u8]) -> u32 {
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32Iscsi);
    digest.update(&[table as u8]);
    digest.update(&(key.len() as u32).to_le_bytes());
    digest.update(key);
    digest.update(rest);
    digest.finalize() as u32
}

/// A value with its seal: checksum u32, flags u32 (0), sequence u64, value.
pub(crate) fn seal(table: Table, key: &[u8], sequence: u64, value: &[u8]) -> Vec<u8> {
    let mut out = Writer::new();
    out.u32(0); // the checksum, below
    out.u32(0); // flags: none yet
    out.u64(sequence);
    out.bytes(value);
    let mut bytes = out.into_vec();
    let sum = checksum(table, key, &bytes[4..]);
    bytes[..4].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// The checksum of a sealed value, as it says itself.
pub(crate) fn sealed_checksum(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |sum| u32::from_le_bytes(*sum))
}

/// Takes the seal off. `Corrupt` if the value is not what was stored under this key.
pub(crate) fn unseal<'a>(table: Table, key: &[u8], bytes: &'a [u8]) -> Result<Sealed<'a>, VolumeError> {
    let mut input = Reader::new(table.name(), bytes);
    let sum = input.u32()?;
    if checksum(table, key, &bytes[4..]) != sum {
        return Err(input.error("its bytes do not match their checksum, or belong elsewhere"));
    }
    input.zeroes(4)?;
    let sequence = input.u64()?;
    Ok(Sealed { sequence, value: &bytes[SEAL_BYTES..] })
}
