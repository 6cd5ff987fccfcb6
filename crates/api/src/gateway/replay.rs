//! Each v1 request works once. The older signature covers `Nonce` and `Timestamp` and nothing binds it to one
//! delivery, so an eavesdropper could send it again while its time is still good.
//!
//! What is remembered is the signature itself: it stands for nonce, timestamp and every parameter. The nonce
//! alone would not do, because one client library draws it from 65,536 values.

use std::collections::{BTreeMap, HashMap, HashSet};

use ashlar_types::{SecretId, UnixMillis};
use parking_lot::Mutex;

use super::authenticate::{WINDOW_SECONDS, expired};
use crate::error::ApiError;
use crate::error_code::ErrorCode;

/// The most requests of one key that are remembered: 166 a second over the whole window. Beyond, the key is
/// slowed down rather than forgotten.
const REQUESTS_MAX: usize = 100_000;

/// What identifies a v1 request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Proof {
    /// The request's own timestamp, in seconds.
    pub(super) timestamp_seconds: i64,
    /// The first bytes of its verified signature.
    pub(super) signature: [u8; 16],
}

/// Remembers the requests whose time is still good. Lost with the process: for five minutes after a restart
/// requests from before it could be repeated.
#[derive(Debug, Default)]
pub(super) struct ReplayGuard {
    keys: Mutex<HashMap<SecretId, Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    /// By the second they carry.
    signatures: BTreeMap<i64, HashSet<[u8; 16]>>,
    count: usize,
    /// Requests from before are forgotten, so they must not come back even if the clock does.
    forgotten_before: i64,
}

impl ReplayGuard {
    /// Admits a request whose signature was verified, once.
    pub(super) fn admit(&self, secret_id: &SecretId, proof: Proof, now: UnixMillis) -> Result<(), ApiError> {
        let mut keys = self.keys.lock();
        let seen = keys.entry(secret_id.clone()).or_default();
        seen.forget_before(now.seconds() - WINDOW_SECONDS);
        if proof.timestamp_seconds < seen.forgotten_before {
            return Err(expired(proof.timestamp_seconds, now));
        }
        if seen.count >= REQUESTS_MAX {
            let text =
                "Too many requests of this key in the last minutes; use TC3-HMAC-SHA256 for high rates.";
            return Err(ApiError::new(ErrorCode::RequestLimitExceeded, text));
        }
        if !seen.signatures.entry(proof.timestamp_seconds).or_default().insert(proof.signature) {
            let text = "This request was received before: sign each one with a new Nonce.";
            return Err(ApiError::new(ErrorCode::AuthFailureSignatureFailure, text));
        }
        seen.count += 1;
        Ok(())
    }
}

impl Seen {
    fn forget_before(&mut self, second: i64) {
        self.forgotten_before = self.forgotten_before.max(second);
        while let Some(oldest) =
            self.signatures.first_entry().filter(|oldest| *oldest.key() < self.forgotten_before)
        {
            self.count -= oldest.remove().len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(
        guard: &ReplayGuard,
        signature: u8,
        timestamp_seconds: i64,
        now_seconds: i64,
    ) -> Result<(), ErrorCode> {
        let proof = Proof { timestamp_seconds, signature: [signature; 16] };
        let key = "AKID1".parse().unwrap();
        guard.admit(&key, proof, UnixMillis(now_seconds * 1000)).map_err(|error| error.code)
    }

    #[test]
    fn a_request_works_once_while_its_time_is_good() {
        let guard = ReplayGuard::default();
        assert_eq!(admit(&guard, 1, 1_000, 1_000), Ok(()));
        assert_eq!(admit(&guard, 1, 1_000, 1_000), Err(ErrorCode::AuthFailureSignatureFailure));
        assert_eq!(admit(&guard, 1, 1_000, 1_300), Err(ErrorCode::AuthFailureSignatureFailure));
        assert_eq!(admit(&guard, 2, 1_000, 1_300), Ok(()));
        assert_eq!(admit(&guard, 3, 1_300, 1_301), Ok(()));
        assert_eq!(
            admit(&guard, 1, 1_000, 1_000),
            Err(ErrorCode::AuthFailureSignatureExpire),
            "the clock went back"
        );
    }

    #[test]
    fn what_is_too_old_is_forgotten() {
        let guard = ReplayGuard::default();
        for second in 0..2_000 {
            assert_eq!(admit(&guard, 1, second, second), Ok(()));
        }
        let keys = guard.keys.lock();
        let seen = keys.values().next().unwrap();
        assert_eq!((seen.count, seen.signatures.len()), (301, 301));
    }

    #[test]
    fn memory_is_bounded_for_each_key() {
        let guard = ReplayGuard::default();
        let key: SecretId = "AKID1".parse().unwrap();
        let mut admitted = 0;
        for number in 0..REQUESTS_MAX as u128 + 10 {
            let proof = Proof { timestamp_seconds: 0, signature: number.to_le_bytes() };
            admitted += usize::from(guard.admit(&key, proof, UnixMillis(0)).is_ok());
        }
        assert_eq!(admitted, REQUESTS_MAX);
        let other: SecretId = "AKID2".parse().unwrap();
        assert!(
            guard.admit(&other, Proof { timestamp_seconds: 0, signature: [0; 16] }, UnixMillis(0)).is_ok()
        );
    }
}
