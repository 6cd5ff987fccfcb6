//! The master key at a start: asked for before the pools are opened, made where there is none yet.

use std::path::PathBuf;
use std::sync::Arc;

use ashlar_types::{RandomSource, Region};
use ashlar_volume::{ErrorKind, VolumeError};

use crate::data_dir::DataDir;
use crate::failure::Failure;
use crate::master_key::{self, Found, Keyring, MasterKey, MasterKeyRotation, MasterKeySource, MasterKeys};
use crate::pools::Pools;

/// What a start knows of the master key.
pub(super) struct Encryption {
    pub(super) keys: Arc<MasterKeys>,
    source: MasterKeySource,
    key_id: String,
    /// Where the first key goes; none if there is one.
    to_be_made: Option<PathBuf>,
}

impl Encryption {
    /// Asks the source for the key.
    pub(super) fn load(
        source: MasterKeySource,
        data_dir: &DataDir,
        random: Arc<dyn RandomSource>,
    ) -> Result<Self, Failure> {
        let key_id = data_dir.key_id(&*random)?;
        let (keyring, to_be_made) = match source.load(data_dir.path(), &key_id)? {
            Found::Keys(keyring) => (keyring, None),
            Found::ToBeMade(path) => (Keyring::default(), Some(path)),
            Found::Nothing(why) => {
                tracing::warn!("disks cannot be encrypted: there is no master key, and {why}");
                (Keyring::default(), None)
            }
        };
        if !keyring.older().is_empty() {
            tracing::warn!(
                "there is more than one master key: `ashlar key rotate-master` gives all data keys the first one"
            );
        }
        let keys = MasterKeys::new(keyring, random, key_id.clone());
        Ok(Self { keys, source, key_id, to_be_made })
    }

    /// Why a pool could not be opened.
    pub(super) fn refusal(&self, region: &Region, error: VolumeError) -> Failure {
        let what = format!("cannot open the pool of {region}");
        if error.kind() == ErrorKind::InvalidArgument {
            return Failure::setup(format!("{what}: {error}: {}", self.source.remedy(&self.key_id)));
        }
        Failure::internal(what, error)
    }

    /// How the master key of this server is exchanged.
    pub(super) fn rotation(&self, data_dir: &DataDir, pools: &Arc<Pools>) -> MasterKeyRotation {
        MasterKeyRotation {
            keys: Arc::clone(&self.keys),
            source: self.source.clone(),
            key_id: self.key_id.clone(),
            data_dir: data_dir.path().to_owned(),
            pools: Arc::clone(pools),
        }
    }

    /// Makes the first key, now that it is certain that no pool needs another one. Gives what to tell the operator.
    pub(super) fn make_first_key(&self) -> Option<[String; 2]> {
        let path = self.to_be_made.as_ref()?;
        let keyring = Keyring::new([MasterKey::random(self.keys.random())]);
        if let Err(failure) = master_key::make(path, &keyring) {
            tracing::warn!(%failure, "disks cannot be encrypted: name a key with --master-key-file");
            return None;
        }
        self.keys.set(keyring);
        Some([
            format!("The master key of encrypted disks is in {}", path.display()),
            "   Back it up in another place now: without it nobody can read an encrypted disk.".to_owned(),
        ])
    }
}
