//! AES-256-XTS for processors that cipher four units with one instruction (VAES and AVX-512): more than twice as fast as
//! the crate `aes` between two passes that mix tweaks in. Tweaks are worked out, mixed in, ciphered and mixed in again
//! without leaving the registers, so a block is read once and written once.
//!
//! `unsafe` is here for two reasons. The instructions may only be used where the processor has them: a [`WideCipher`] is the
//! proof of that, because [`WideCipher::new`] makes none elsewhere. And vectors are loaded from and stored to arrays of their
//! size, through addresses that need no alignment.
#![allow(unsafe_code, reason = "instructions that not every processor has; see above and at each block")]

use std::arch::x86_64::{
    __m128i, __m512i, _mm_aesenc_si128, _mm_aesenclast_si128, _mm_aesimc_si128, _mm_aeskeygenassist_si128,
    _mm_loadu_si128, _mm_shuffle_epi32, _mm_slli_si128, _mm_storeu_si128, _mm_xor_si128,
    _mm512_aesdec_epi128, _mm512_aesdeclast_epi128, _mm512_aesenc_epi128, _mm512_aesenclast_epi128,
    _mm512_broadcast_i32x4, _mm512_bslli_epi128, _mm512_bsrli_epi128, _mm512_clmulepi64_epi128,
    _mm512_loadu_si512, _mm512_set_epi64, _mm512_storeu_si512, _mm512_xor_si512,
};

use zeroize::Zeroizing;

use super::{HALF_KEY_BYTES, UNIT_BYTES, times_x};

/// Bytes of a vector.
const VECTOR_BYTES: usize = 4 * UNIT_BYTES;
/// Vectors that are under way at once, a group: enough to hide how long each step takes, few enough for the registers.
const VECTORS: usize = 8;
const ROUND_KEYS: usize = 15;

/// The keys of the rounds, in the order in which they are used. Wiped when dropped.
type RoundKeys = Zeroizing<[[u8; UNIT_BYTES]; ROUND_KEYS]>;

/// Encrypts and decrypts data units. That one exists proves that the processor can do it.
pub(super) struct WideCipher {
    encrypting: RoundKeys,
    decrypting: RoundKeys,
    tweak: RoundKeys,
}

impl WideCipher {
    /// `None` where the processor lacks the instructions.
    pub(super) fn new(data: &[u8; HALF_KEY_BYTES], tweak: &[u8; HALF_KEY_BYTES]) -> Option<Self> {
        let can = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("vaes")
            && is_x86_feature_detected!("vpclmulqdq")
            && is_x86_feature_detected!("aes");
        // SAFETY: the processor has the instructions, as was just found.
        can.then(|| unsafe {
            let encrypting = expand(data);
            Self { decrypting: inverted(&encrypting), encrypting, tweak: expand(tweak) }
        })
    }

    /// Encrypts data unit `number`; both slices have its length.
    pub(super) fn encrypt_into(&self, number: u64, plain: &[u8], stored: &mut [u8]) {
        // SAFETY: `self` proves that the processor has the instructions.
        unsafe { encrypt_into(self, number, plain, stored) }
    }

    /// Decrypts data unit `number` where it is.
    pub(super) fn decrypt(&self, number: u64, data_unit: &mut [u8]) {
        // SAFETY: `self` proves that the processor has the instructions.
        unsafe { decrypt(self, number, data_unit) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,vaes,vpclmulqdq,aes")]
fn encrypt_into(cipher: &WideCipher, number: u64, plain: &[u8], stored: &mut [u8]) {
    let keys = in_all_lanes(&cipher.encrypting);
    let mut tweaks = first_tweaks(&cipher.tweak, number);
    let (plain, stored) = (groups(plain.as_chunks().0), groups_mut(stored.as_chunks_mut().0));
    for (from, to) in plain.zip(stored) {
        let mixed = next_tweaks(&mut tweaks);
        let mut state = load(from);
        add(&mut state, &mixed);
        add_to_all(&mut state, keys[0]);
        for key in &keys[1..ROUND_KEYS - 1] {
            state = state.map(|vector| _mm512_aesenc_epi128(vector, *key));
        }
        state = state.map(|vector| _mm512_aesenclast_epi128(vector, keys[ROUND_KEYS - 1]));
        add(&mut state, &mixed);
        store(&state, to);
    }
}

#[target_feature(enable = "avx512f,avx512bw,vaes,vpclmulqdq,aes")]
fn decrypt(cipher: &WideCipher, number: u64, data_unit: &mut [u8]) {
    let keys = in_all_lanes(&cipher.decrypting);
    let mut tweaks = first_tweaks(&cipher.tweak, number);
    for group in groups_mut(data_unit.as_chunks_mut().0) {
        let mixed = next_tweaks(&mut tweaks);
        let mut state = load(group);
        add(&mut state, &mixed);
        add_to_all(&mut state, keys[0]);
        for key in &keys[1..ROUND_KEYS - 1] {
            state = state.map(|vector| _mm512_aesdec_epi128(vector, *key));
        }
        state = state.map(|vector| _mm512_aesdeclast_epi128(vector, keys[ROUND_KEYS - 1]));
        add(&mut state, &mixed);
        store(&state, group);
    }
}

fn groups(vectors: &[[u8; VECTOR_BYTES]]) -> impl Iterator<Item = &[[u8; VECTOR_BYTES]; VECTORS]> {
    debug_assert!(vectors.len().is_multiple_of(VECTORS), "a data unit is whole groups");
    vectors.as_chunks().0.iter()
}

fn groups_mut(
    vectors: &mut [[u8; VECTOR_BYTES]],
) -> impl Iterator<Item = &mut [[u8; VECTOR_BYTES]; VECTORS]> {
    debug_assert!(vectors.len().is_multiple_of(VECTORS), "a data unit is whole groups");
    vectors.as_chunks_mut().0.iter_mut()
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(from: &[[u8; VECTOR_BYTES]; VECTORS]) -> [__m512i; VECTORS] {
    std::array::from_fn(|at| load_vector(&from[at]))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_vector(from: &[u8; VECTOR_BYTES]) -> __m512i {
    // SAFETY: the array is as long as the vector, and the address needs no alignment.
    unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(state: &[__m512i; VECTORS], to: &mut [[u8; VECTOR_BYTES]; VECTORS]) {
    for (vector, to) in state.iter().zip(to) {
        // SAFETY: the array is as long as the vector, and the address needs no alignment.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), *vector) };
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(state: &mut [__m512i; VECTORS], tweaks: &[__m512i; VECTORS]) {
    for (vector, tweaks) in state.iter_mut().zip(tweaks) {
        *vector = _mm512_xor_si512(*vector, *tweaks);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add_to_all(state: &mut [__m512i; VECTORS], key: __m512i) {
    for vector in state {
        *vector = _mm512_xor_si512(*vector, key);
    }
}

#[inline]
#[target_feature(enable = "avx512f,aes")]
fn in_all_lanes(keys: &RoundKeys) -> [__m512i; ROUND_KEYS] {
    std::array::from_fn(|at| _mm512_broadcast_i32x4(load_unit(&keys[at])))
}

/// The tweaks of the first eight units.
#[inline]
#[target_feature(enable = "avx512f,aes")]
fn first_tweaks(keys: &RoundKeys, number: u64) -> [__m512i; 2] {
    let mut first = load_unit(&u128::from(number).to_le_bytes());
    first = _mm_xor_si128(first, load_unit(&keys[0]));
    for key in &keys[1..ROUND_KEYS - 1] {
        first = _mm_aesenc_si128(first, load_unit(key));
    }
    first = _mm_aesenclast_si128(first, load_unit(&keys[ROUND_KEYS - 1]));
    let mut bytes = [0; UNIT_BYTES];
    store_unit(first, &mut bytes);
    let mut next = u128::from_le_bytes(bytes);
    let mut tweaks = [[0; VECTOR_BYTES]; 2];
    for unit in tweaks.as_flattened_mut().as_chunks_mut::<UNIT_BYTES>().0 {
        *unit = next.to_le_bytes();
        next = times_x(next);
    }
    [load_vector(&tweaks[0]), load_vector(&tweaks[1])]
}

/// The tweaks of a group, and those of the next one's beginning in their place. Two vectors have eight units, so each is
/// eight doublings behind the next but one.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
fn next_tweaks(tweaks: &mut [__m512i; 2]) -> [__m512i; VECTORS] {
    std::array::from_fn(|at| {
        let now = tweaks[at % 2];
        tweaks[at % 2] = times_x_to_the_8(now);
        now
    })
}

/// Eight doublings move everything up by a byte; what leaves at the top comes back at the bottom, times
/// x^7 + x^2 + x + 1.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,vpclmulqdq")]
fn times_x_to_the_8(tweaks: __m512i) -> __m512i {
    let reduction = _mm512_set_epi64(0, 0x87, 0, 0x87, 0, 0x87, 0, 0x87);
    let carries = _mm512_bsrli_epi128::<15>(tweaks);
    _mm512_xor_si512(_mm512_bslli_epi128::<1>(tweaks), _mm512_clmulepi64_epi128::<0>(carries, reduction))
}

#[inline]
#[target_feature(enable = "aes")]
fn load_unit(from: &[u8; UNIT_BYTES]) -> __m128i {
    // SAFETY: the array is as long as the vector, and the address needs no alignment.
    unsafe { _mm_loadu_si128(from.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "aes")]
fn store_unit(unit: __m128i, to: &mut [u8; UNIT_BYTES]) {
    // SAFETY: the array is as long as the vector, and the address needs no alignment.
    unsafe { _mm_storeu_si128(to.as_mut_ptr().cast(), unit) };
}

/// The key schedule of FIPS 197 for 256 bits.
#[target_feature(enable = "aes")]
fn expand(key: &[u8; HALF_KEY_BYTES]) -> RoundKeys {
    let mut keys = RoundKeys::default();
    keys[0].copy_from_slice(&key[..UNIT_BYTES]);
    keys[1].copy_from_slice(&key[UNIT_BYTES..]);
    for at in 2..ROUND_KEYS {
        let last = load_unit(&keys[at - 1]);
        // The instruction wants the round's constant in its code.
        let mixed = match at {
            2 => _mm_aeskeygenassist_si128::<0x01>(last),
            4 => _mm_aeskeygenassist_si128::<0x02>(last),
            6 => _mm_aeskeygenassist_si128::<0x04>(last),
            8 => _mm_aeskeygenassist_si128::<0x08>(last),
            10 => _mm_aeskeygenassist_si128::<0x10>(last),
            12 => _mm_aeskeygenassist_si128::<0x20>(last),
            14 => _mm_aeskeygenassist_si128::<0x40>(last),
            _ => _mm_aeskeygenassist_si128::<0x00>(last),
        };
        // Even ones take the word that was rotated, odd ones the one that was not.
        let word =
            if at % 2 == 0 { _mm_shuffle_epi32::<0xff>(mixed) } else { _mm_shuffle_epi32::<0xaa>(mixed) };
        let mut next = load_unit(&keys[at - 2]);
        next = _mm_xor_si128(next, _mm_slli_si128::<4>(next));
        next = _mm_xor_si128(next, _mm_slli_si128::<8>(next));
        store_unit(_mm_xor_si128(next, word), &mut keys[at]);
    }
    keys
}

/// The keys for the way back.
#[target_feature(enable = "aes")]
fn inverted(keys: &RoundKeys) -> RoundKeys {
    let mut inverted = keys.clone();
    inverted.reverse();
    for key in &mut inverted[1..ROUND_KEYS - 1] {
        let mixed = _mm_aesimc_si128(load_unit(key));
        store_unit(mixed, key);
    }
    inverted
}
