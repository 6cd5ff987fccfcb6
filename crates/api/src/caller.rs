//! Who calls, and which call it is.

use std::fmt;
use std::net::IpAddr;

use ashlar_types::{AccountUin, AppId, RandomSource, Region, SecretId, UserUin};

/// The id of one call: a random UUID, in lower case.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId([u8; 16]);

impl RequestId {
    /// A new random id (RFC 9562, version 4).
    #[must_use]
    pub fn random(random: &dyn RandomSource) -> Self {
        let mut bytes = [0; 16];
        random.fill(&mut bytes);
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Self(bytes)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Who made an authenticated call, and where it goes.
#[derive(Debug, Clone)]
pub struct Caller {
    /// The account that owns what the call makes.
    pub account: AccountUin,
    /// The account's second number.
    pub app_id: AppId,
    /// The account or the user whose key it is.
    pub operator: UserUin,
    /// The key that signed the call.
    pub secret_id: SecretId,
    /// The region that the call is about.
    pub region: Region,
    /// Where the call comes from, where that is known.
    pub address: Option<IpAddr>,
    /// The call.
    pub request_id: RequestId,
}

#[cfg(test)]
mod tests {
    use ashlar_types::SeededRandom;

    use super::*;

    #[test]
    fn request_ids_are_uuids_of_version_4() {
        let random = SeededRandom::new(3);
        for _ in 0..100 {
            let text = RequestId::random(&random).to_string();
            let groups: Vec<usize> = text.split('-').map(str::len).collect();
            assert_eq!(groups, [8, 4, 4, 4, 12], "{text}");
            assert_eq!(text.as_bytes()[14], b'4', "{text}");
            assert!(matches!(text.as_bytes()[19], b'8' | b'9' | b'a' | b'b'), "{text}");
        }
    }
}
