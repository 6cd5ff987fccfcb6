//! AES-256-XTS (IEEE 1619) of blocks: what an encrypted volume's block is in the data file.
//!
//! The data unit is a block of 4 KiB, its number the block's place in the volume. A block keeps its place through
//! snapshots, clones, rollbacks and merges, so nothing is ever encrypted anew.

use std::fmt;

use aes::Aes256;
use aes::cipher::consts::U16;
use aes::cipher::{Array, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use ashlar_volume::BLOCK_BYTES;
use zeroize::Zeroizing;

#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod wide;

#[cfg(target_arch = "x86_64")]
use wide::WideCipher;

/// Bytes of a data key: one AES-256 key for the data, one for the tweak.
pub const DATA_KEY_BYTES: usize = 64;
/// Bytes of each of the two.
const HALF_KEY_BYTES: usize = DATA_KEY_BYTES / 2;

const BLOCK_LENGTH: usize = BLOCK_BYTES as usize;
/// Bytes that the cipher works on at once.
const UNIT_BYTES: usize = 16;
const UNITS_PER_BLOCK: usize = BLOCK_LENGTH / UNIT_BYTES;

/// The secret of a lineage. Wiped when it is dropped, and never printed.
pub struct DataKey(Zeroizing<[u8; DATA_KEY_BYTES]>);

impl DataKey {
    /// Fills a new key in place, so that no copy of it is left anywhere.
    pub fn filled_by<E>(fill: impl FnOnce(&mut [u8; DATA_KEY_BYTES]) -> Result<(), E>) -> Result<Self, E> {
        let mut key = Zeroizing::new([0; DATA_KEY_BYTES]);
        fill(&mut key)?;
        Ok(Self(key))
    }

    /// The secret itself, for whoever wraps it.
    #[must_use]
    pub fn bytes(&self) -> &[u8; DATA_KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

/// Encrypts and decrypts blocks with one data key.
pub(crate) struct BlockCipher(Way);

/// How the processor does it best.
#[cfg_attr(
    target_arch = "x86_64",
    expect(
        clippy::large_enum_variant,
        reason = "there are few, one for each key in use, and a box would be one more step on the way to every block"
    )
)]
enum Way {
    Portable(PortableCipher),
    #[cfg(target_arch = "x86_64")]
    Wide(WideCipher),
}

impl fmt::Debug for BlockCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockCipher(..)")
    }
}

impl BlockCipher {
    pub(crate) fn new(key: &DataKey) -> Self {
        let mut halves = Zeroizing::new([[0; HALF_KEY_BYTES]; 2]);
        halves.as_flattened_mut().copy_from_slice(key.bytes());
        let [data, tweak] = &*halves;
        #[cfg(target_arch = "x86_64")]
        if let Some(wide) = WideCipher::new(data, tweak) {
            return Self(Way::Wide(wide));
        }
        Self(Way::Portable(PortableCipher::new(data, tweak)))
    }

    /// Encrypts whole blocks; the first one is block `first` of the volume. `stored` has the length of `plain`.
    pub(crate) fn encrypt_into(&self, first: u64, plain: &[u8], stored: &mut [u8]) {
        debug_assert!(plain.len().is_multiple_of(BLOCK_LENGTH), "whole blocks");
        debug_assert_eq!(plain.len(), stored.len(), "as many stored as plain bytes");
        let blocks = plain.chunks_exact(BLOCK_LENGTH).zip(stored.chunks_exact_mut(BLOCK_LENGTH));
        for (number, (plain, stored)) in (first..).zip(blocks) {
            self.0.encrypt_into(number, plain, stored);
        }
    }

    /// Decrypts whole blocks in place; the first one is block `first` of the volume.
    ///
    /// A block of zeroes stays one: it was punched, and a crash came before the map heard of it. No plaintext that anybody
    /// will ever write is encrypted to 4096 zero bytes.
    pub(crate) fn decrypt(&self, first: u64, blocks: &mut [u8]) {
        debug_assert!(blocks.len().is_multiple_of(BLOCK_LENGTH), "whole blocks");
        for (number, block) in (first..).zip(blocks.chunks_exact_mut(BLOCK_LENGTH)) {
            if block.iter().any(|byte| *byte != 0) {
                self.0.decrypt(number, block);
            }
        }
    }
}

impl Way {
    fn encrypt_into(&self, number: u64, plain: &[u8], stored: &mut [u8]) {
        match self {
            Self::Portable(cipher) => {
                stored.copy_from_slice(plain);
                cipher.encrypt(number, stored);
            }
            #[cfg(target_arch = "x86_64")]
            Self::Wide(cipher) => cipher.encrypt_into(number, plain, stored),
        }
    }

    fn decrypt(&self, number: u64, data_unit: &mut [u8]) {
        match self {
            Self::Portable(cipher) => cipher.decrypt(number, data_unit),
            #[cfg(target_arch = "x86_64")]
            Self::Wide(cipher) => cipher.decrypt(number, data_unit),
        }
    }
}

/// The cipher on any processor: the crate `aes` finds the best instructions for AES by itself.
struct PortableCipher {
    data: Aes256,
    tweak: Aes256,
}

impl PortableCipher {
    fn new(data: &[u8; HALF_KEY_BYTES], tweak: &[u8; HALF_KEY_BYTES]) -> Self {
        Self { data: Aes256::new(data.into()), tweak: Aes256::new(tweak.into()) }
    }

    fn encrypt(&self, number: u64, data_unit: &mut [u8]) {
        self.transform(number, data_unit, &mut |units| self.data.encrypt_blocks(units));
    }

    fn decrypt(&self, number: u64, data_unit: &mut [u8]) {
        self.transform(number, data_unit, &mut |units| self.data.decrypt_blocks(units));
    }

    /// One data unit of at most a block. All of its tweaks first, so that the cipher runs over the whole unit in one
    /// batch: twice as fast as unit by unit.
    fn transform(&self, number: u64, data_unit: &mut [u8], work: &mut impl FnMut(&mut [Array<u8, U16>])) {
        let tweaks = self.tweaks(number);
        let (units, _) = Array::<u8, U16>::slice_as_chunks_mut(data_unit);
        xor(units, &tweaks);
        work(units);
        xor(units, &tweaks);
    }

    fn tweaks(&self, number: u64) -> [u128; UNITS_PER_BLOCK] {
        let mut first = Array(u128::from(number).to_le_bytes());
        self.tweak.encrypt_block(&mut first);
        // Four chains, each beginning where the one before will end: the processor doubles them side by side.
        const CHAIN: usize = 64;
        const _: () = assert!(UNITS_PER_BLOCK == 4 * CHAIN);
        let mut next = u128::from_le_bytes(first.0);
        let mut heads = [0; 4];
        for head in &mut heads {
            *head = next;
            next = times_x_to_the_64(next);
        }
        let mut tweaks = [0; UNITS_PER_BLOCK];
        let (lower, upper) = tweaks.split_at_mut(2 * CHAIN);
        let ((first, second), (third, fourth)) = (lower.split_at_mut(CHAIN), upper.split_at_mut(CHAIN));
        for (((one, two), three), four) in first.iter_mut().zip(second).zip(third).zip(fourth) {
            [*one, *two, *three, *four] = heads;
            heads = heads.map(times_x);
        }
        tweaks
    }
}

/// The product with x in GF(2^128), modulo x^128 + x^7 + x^2 + x + 1.
const fn times_x(tweak: u128) -> u128 {
    let carry = tweak >> 127;
    (tweak << 1) ^ (carry * 0x87)
}

const fn times_x_to_the_64(tweak: u128) -> u128 {
    let carry = tweak >> 64;
    (tweak << 64) ^ carry ^ (carry << 1) ^ (carry << 2) ^ (carry << 7)
}

fn xor(units: &mut [Array<u8, U16>], tweaks: &[u128]) {
    for (unit, tweak) in units.iter_mut().zip(tweaks) {
        unit.0 = (u128::from_le_bytes(unit.0) ^ tweak).to_le_bytes();
    }
}
