//! Exchanging the master key of a running server.
//!
//! The order is what makes it safe: the file holds the new key and the old one; then the server uses both; then each pool
//! wraps its data keys anew; then the old key goes from the file and from memory. Broken off anywhere, the next start
//! finds every key it needs, and the next try goes on instead of making a third key.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ashlar_volume::VolumeError;

use super::keyring::{Keyring, MasterKey, MasterKeys};
use super::source::{self, Found, MasterKeySource};
use crate::pools::Pools;

/// What a rotation did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rotated {
    /// The fingerprint of the key that wraps now.
    pub(crate) fingerprint: String,
    /// How many data keys were wrapped anew.
    pub(crate) data_keys: u64,
    /// The file that holds the key, if a file does.
    pub(crate) file: Option<PathBuf>,
}

/// How the master key of a running server is exchanged. One call at a time changes anything.
pub(crate) struct MasterKeyRotation {
    pub(crate) keys: Arc<MasterKeys>,
    pub(crate) source: MasterKeySource,
    pub(crate) key_id: String,
    pub(crate) data_dir: PathBuf,
    pub(crate) pools: Arc<Pools>,
}

impl MasterKeyRotation {
    /// Exchanges it. Blocks. The error is a line for people.
    pub(crate) fn run(&self) -> Result<Rotated, String> {
        let rewrap = || self.pools.rewrap_keys();
        rotate(&self.keys, &self.source, &self.data_dir, &self.key_id, rewrap)
    }
}

/// Exchanges the master key. `rewrap` wraps the data keys of all pools anew and gives how many; the error is a line for
/// people.
pub(super) fn rotate(
    keys: &MasterKeys,
    source: &MasterKeySource,
    data_dir: &Path,
    key_id: &str,
    rewrap: impl FnOnce() -> Result<u64, VolumeError>,
) -> Result<Rotated, String> {
    let _only_one = keys.rotating();
    let found = source.load(data_dir, key_id).map_err(|failure| failure.to_string())?;
    let Found::Keys(present) = found else {
        return Err(format!("there is no master key to exchange: {}", source.remedy(key_id)));
    };
    let file = source.file(key_id);
    let both = match (present.current(), &file) {
        (Some(current), Some(path)) if present.older().is_empty() => {
            let both = Keyring::new([MasterKey::random(keys.random()), current.clone()]);
            source::replace_file(path, &both)
                .map_err(|error| format!("cannot write the new master key to {}: {error}", path.display()))?;
            both
        }
        // A rotation that was broken off, or a new key that the operator has put in front.
        _ if !present.older().is_empty() => present,
        _ => {
            return Err(format!(
                "the master key comes from {source}: put a new key (`openssl rand -hex 32`) in front of the old one there, \
                 restart the server, and call this again; afterwards the old one can go"
            ));
        }
    };
    keys.set(both.clone());
    let data_keys = rewrap().map_err(|error| {
        format!("not all data keys are wrapped anew ({error}); both master keys are kept: call this again")
    })?;
    let Some(current) = both.current() else { return Err("the master key vanished".to_owned()) };
    let fingerprint = current.fingerprint().to_string();
    if let Some(path) = &file {
        let only = Keyring::new([current.clone()]);
        source::replace_file(path, &only).map_err(|error| {
            format!("the old master key is not needed any more, but stays in {}: {error}", path.display())
        })?;
        keys.set(only);
    }
    tracing::info!(fingerprint, data_keys, "the master key was exchanged");
    Ok(Rotated { fingerprint, data_keys, file })
}
