//! Master keys in memory, and the wrapping of data keys with them.

use std::fmt;
use std::sync::Arc;

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use ashlar_engine::{DATA_KEY_BYTES, DataKey, KeyWrapper};
use ashlar_types::RandomSource;
use ashlar_volume::{ErrorKind, VolumeError};
use parking_lot::{Mutex, MutexGuard, RwLock};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const FINGERPRINT_BYTES: usize = 16;
const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
const WRAPPED_BYTES: usize = FINGERPRINT_BYTES + NONCE_BYTES + DATA_KEY_BYTES + TAG_BYTES;

/// What tells one master key from another without telling anything about it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint([u8; FINGERPRINT_BYTES]);

impl fmt::Display for Fingerprint {
    /// The first half is enough to tell people's keys apart.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0[..FINGERPRINT_BYTES / 2].iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A master key. Wiped when it is dropped, and never printed.
#[derive(Clone)]
pub(crate) struct MasterKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    fingerprint: Fingerprint,
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({})", self.fingerprint)
    }
}

impl MasterKey {
    /// A new one.
    pub(crate) fn random(random: &dyn RandomSource) -> Self {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        random.fill(&mut *bytes);
        Self::new(bytes)
    }

    fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"ashlar master key fingerprint\0");
        hash.update(*bytes);
        let mut fingerprint = [0; FINGERPRINT_BYTES];
        fingerprint.copy_from_slice(&hash.finalize()[..FINGERPRINT_BYTES]);
        Self { bytes, fingerprint: Fingerprint(fingerprint) }
    }

    /// Parses 64 hexadecimal digits. The error does not repeat them.
    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected {} hexadecimal digits, found {} bytes", 2 * KEY_BYTES, text.len());
        if text.len() != 2 * KEY_BYTES || !text.is_ascii() {
            return Err(wrong());
        }
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            let (Some(high), Some(low)) = (digit(pair[0]), digit(pair[1])) else { return Err(wrong()) };
            *byte = (high * 16 + low) as u8;
        }
        Ok(Self::new(bytes))
    }

    fn to_text(&self) -> Zeroizing<String> {
        // Room for all of it at once: a text that grows leaves copies behind.
        let mut text = Zeroizing::new(String::with_capacity(2 * KEY_BYTES));
        for byte in self.bytes.iter() {
            for digit in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789abcdef"[usize::from(digit)]));
            }
        }
        text
    }

    /// What tells it from others.
    pub(crate) const fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new((&*self.bytes).into())
    }
}

/// Master keys that open; the first one also wraps.
#[derive(Debug, Clone, Default)]
pub(crate) struct Keyring(Vec<MasterKey>);

impl Keyring {
    /// These keys, the one that wraps first.
    pub(crate) fn new(keys: impl IntoIterator<Item = MasterKey>) -> Self {
        Self(keys.into_iter().collect())
    }

    /// Parses keys of 64 hexadecimal digits with white space or commas between them; `#` begins a comment.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let words = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or_default())
            .flat_map(|line| line.split(|at: char| at.is_whitespace() || at == ','))
            .filter(|word| !word.is_empty());
        let mut keys = Vec::new();
        for (number, word) in (1..).zip(words) {
            keys.push(MasterKey::parse(word).map_err(|error| format!("key {number}: {error}"))?);
        }
        if keys.is_empty() {
            return Err("it holds no key; make one with `openssl rand -hex 32`".to_owned());
        }
        Ok(Self(keys))
    }

    /// What [`parse`](Self::parse) reads.
    pub(crate) fn to_text(&self) -> Zeroizing<String> {
        const HEAD: &str = "# Master key of an Ashlar server. Keep a copy in another place: encrypted disks cannot be\n\
                            # read without it. With several keys the first wraps, the others only open.\n";
        let mut text = Zeroizing::new(String::with_capacity(HEAD.len() + self.0.len() * (2 * KEY_BYTES + 1)));
        text.push_str(HEAD);
        for key in &self.0 {
            text.push_str(&key.to_text());
            text.push('\n');
        }
        text
    }

    /// The key that wraps.
    pub(crate) fn current(&self) -> Option<&MasterKey> {
        self.0.first()
    }

    /// The keys that only open.
    pub(crate) fn older(&self) -> &[MasterKey] {
        self.0.get(1..).unwrap_or_default()
    }

    fn find(&self, fingerprint: &[u8]) -> Option<&MasterKey> {
        self.0.iter().find(|key| key.fingerprint.0 == fingerprint)
    }

    fn fingerprints(&self) -> String {
        let shown: Vec<_> = self.0.iter().map(|key| key.fingerprint.to_string()).collect();
        if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
    }
}

/// The master keys of a running server, shared by its pools.
pub(crate) struct MasterKeys {
    keyring: RwLock<Keyring>,
    /// Held while the keys are being exchanged.
    rotating: Mutex<()>,
    random: Arc<dyn RandomSource>,
    /// The lasting name of the master key, whichever it is now: `KmsKeyId` of disks.
    key_id: String,
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MasterKeys").field(&*self.keyring.read()).finish()
    }
}

impl MasterKeys {
    pub(crate) fn new(keyring: Keyring, random: Arc<dyn RandomSource>, key_id: String) -> Arc<Self> {
        Arc::new(Self { keyring: RwLock::new(keyring), rotating: Mutex::new(()), random, key_id })
    }

    /// Other keys count from now on.
    pub(crate) fn set(&self, keyring: Keyring) {
        *self.keyring.write() = keyring;
    }

    /// Keeps other exchanges out.
    pub(super) fn rotating(&self) -> MutexGuard<'_, ()> {
        self.rotating.lock()
    }

    pub(crate) fn random(&self) -> &dyn RandomSource {
        &*self.random
    }

    /// The name of the key that encrypts new disks; none if there is no key.
    pub(crate) fn key_id(&self) -> Option<&str> {
        self.keyring.read().current().map(|_| self.key_id.as_str())
    }

    /// What wraps the data keys of one pool.
    pub(crate) fn for_pool(self: &Arc<Self>, pool: &str) -> Arc<dyn KeyWrapper> {
        Arc::new(PoolKeys { keys: Arc::clone(self), pool: pool.to_owned() })
    }
}

/// Wraps the data keys of one pool.
#[derive(Debug)]
struct PoolKeys {
    keys: Arc<MasterKeys>,
    pool: String,
}

impl PoolKeys {
    /// Binds a wrapped key to its place. `FORMAT.md` has this.
    fn associated_data(&self, id: u64) -> Vec<u8> {
        [b"ashlar data key 1\0", self.pool.as_bytes(), b"\0", &id.to_le_bytes()].concat()
    }
}

impl KeyWrapper for PoolKeys {
    fn fill_random(&self, buffer: &mut [u8]) {
        self.keys.random.fill(buffer);
    }

    fn wrap(&self, id: u64, key: &DataKey) -> Result<Vec<u8>, VolumeError> {
        let keyring = self.keys.keyring.read();
        let master = keyring.current().ok_or_else(|| {
            VolumeError::new(
                ErrorKind::InvalidArgument,
                "the server has no master key, so nothing can be encrypted",
            )
        })?;
        let mut nonce = [0; NONCE_BYTES];
        self.keys.random.fill(&mut nonce);
        let payload = Payload { msg: key.bytes(), aad: &self.associated_data(id) };
        let sealed = master
            .cipher()
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|_| VolumeError::new(ErrorKind::InvalidArgument, "a data key could not be wrapped"))?;
        Ok([&master.fingerprint.0[..], &nonce, &sealed].concat())
    }

    fn unwrap(&self, id: u64, wrapped: &[u8]) -> Result<DataKey, VolumeError> {
        let damaged = || {
            let context = format!("the wrapped data key {id:016x} of the pool {} is damaged", self.pool);
            VolumeError::new(ErrorKind::Corrupt, context)
        };
        if wrapped.len() != WRAPPED_BYTES {
            return Err(damaged());
        }
        let (fingerprint, rest) = wrapped.split_at(FINGERPRINT_BYTES);
        let (nonce, sealed) = rest.split_at(NONCE_BYTES);
        let keyring = self.keys.keyring.read();
        let master = keyring.find(fingerprint).ok_or_else(|| {
            let mut wanted = [0; FINGERPRINT_BYTES];
            wanted.copy_from_slice(fingerprint);
            VolumeError::new(
                ErrorKind::InvalidArgument,
                format!(
                    "encrypted disks of the pool {} need the master key {}; at hand: {}",
                    self.pool,
                    Fingerprint(wanted),
                    keyring.fingerprints()
                ),
            )
        })?;
        let nonce = Nonce::try_from(nonce).map_err(|_| damaged())?;
        let payload = Payload { msg: sealed, aad: &self.associated_data(id) };
        let opened = master.cipher().decrypt(&nonce, payload).map(Zeroizing::new).map_err(|_| damaged())?;
        DataKey::filled_by(|key| {
            if opened.len() != key.len() {
                return Err(damaged());
            }
            key.copy_from_slice(&opened);
            Ok(())
        })
    }

    fn is_current(&self, wrapped: &[u8]) -> bool {
        let keyring = self.keys.keyring.read();
        let current = keyring.current().map(MasterKey::fingerprint);
        current.is_some_and(|current| wrapped.starts_with(&current.0))
    }
}
