//! One-time codes by the clock (RFC 6238): six digits of HMAC-SHA1 over the number of half minutes.

use ashlar_types::{RandomSource, UnixMillis};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;

/// How long a code is the current one, in seconds.
const STEP_SECONDS: u64 = 30;

/// How many steps the device's clock may be off, either way.
const SKEW_STEPS: u64 = 1;

/// The length of a secret: that of the digest, as RFC 4226 recommends.
const SECRET_BYTES: usize = 20;

const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A new secret in base32, as authenticators take it.
pub(super) fn new_secret(random: &dyn RandomSource) -> String {
    let mut bytes = [0; SECRET_BYTES];
    random.fill(&mut bytes);
    encode(&bytes)
}

/// The step whose code this is, if it is one of the steps around `now`. A code that is no code has none.
pub(super) fn step_of(secret: &str, given: &str, now: UnixMillis) -> Option<u64> {
    let key = decode(secret)?;
    let current = u64::try_from(now.seconds()).ok()? / STEP_SECONDS;
    let given = given.trim();
    let mut steps = current.saturating_sub(SKEW_STEPS)..=current + SKEW_STEPS;
    steps.find(|step| code(&key, *step).is_some_and(|code| code == given))
}

/// The code of a step.
fn code(key: &[u8], step: u64) -> Option<String> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).ok()?;
    mac.update(&step.to_be_bytes());
    let digest = mac.finalize().into_bytes();
    let offset = usize::from(digest.last()? & 0x0f);
    let word = digest.get(offset..offset + 4)?.try_into().ok()?;
    Some(format!("{:06}", (u32::from_be_bytes(word) & 0x7fff_ffff) % 1_000_000))
}

fn encode(bytes: &[u8]) -> String {
    let mut text = String::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in bytes {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            text.push(char::from(BASE32[(bits >> count & 31) as usize]));
        }
    }
    if count > 0 {
        text.push(char::from(BASE32[(bits << (5 - count) & 31) as usize]));
    }
    text
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0_u32, 0);
    for byte in text.bytes() {
        let value = BASE32.iter().position(|known| *known == byte)?;
        bits = bits << 5 | u32::try_from(value).ok()?;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
pub(super) mod tests {
    use ashlar_types::SeededRandom;

    use super::*;

    /// What a device with this secret shows.
    pub(in crate::access) fn current(secret: &str, now: UnixMillis) -> String {
        code(&decode(secret).unwrap(), u64::try_from(now.seconds()).unwrap() / STEP_SECONDS).unwrap()
    }

    /// RFC 6238, appendix B, SHA-1: the last six of its eight digits.
    #[test]
    fn the_codes_are_those_of_the_standard() {
        let secret = encode(b"12345678901234567890");
        for (seconds, expected) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let now = UnixMillis(seconds * 1000);
            let step = u64::try_from(seconds).unwrap() / 30;
            assert_eq!(step_of(&secret, expected, now), Some(step), "{seconds}");
            assert_eq!(step_of(&secret, expected, now.plus_ms(30_000)), Some(step), "a slow device");
            assert_eq!(step_of(&secret, expected, now.plus_ms(-30_000)), Some(step), "a fast device");
            assert_eq!(step_of(&secret, expected, now.plus_ms(90_000)), None, "too late");
            assert_eq!(step_of(&secret, "000000", now), None);
            assert_eq!(step_of(&secret, "", now), None);
        }
    }

    #[test]
    fn base32_goes_there_and_back() {
        let random = SeededRandom::new(6);
        for length in 0..40 {
            let mut bytes = vec![0; length];
            random.fill(&mut bytes);
            assert_eq!(decode(&encode(&bytes)).unwrap(), bytes);
        }
        assert_eq!(encode(b"foobar"), "MZXW6YTBOI");
        assert_eq!(new_secret(&random).len(), 32);
        assert_eq!(decode("a"), None);
    }
}
