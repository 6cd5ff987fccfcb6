//! The data directory: what lies where, who may use it, and the file with the first key.
//!
//! Nothing in it is readable by others: it is made with mode 0700, its files with 0600.

#[cfg(test)]
mod tests;

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use ashlar_types::{RandomSource, Region, SecretId};

use crate::failure::Failure;

/// A data directory that this process alone uses, for as long as the value lives.
#[derive(Debug)]
pub(crate) struct DataDir {
    path: PathBuf,
    /// Holds the lock; the system lets go of it when the process ends, however it ends.
    _lock: File,
}

impl DataDir {
    /// Takes the directory for a server, making it first where it is missing.
    pub(crate) fn create_or_lock(path: &Path) -> Result<Self, Failure> {
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| {
            Failure::setup(format!("cannot make the data directory {}", path.display())).because(error)
        })?;
        let data_dir = Self::lock(path)?;
        // New records beside old pools would lose sight of every disk in them.
        if !data_dir.database().exists() && !data_dir.pool_regions()?.is_empty() {
            return Err(Failure::setup(format!(
                "{} has pools but no control.db: put it back, or name an empty directory with --data-dir",
                path.display()
            )));
        }
        Ok(data_dir)
    }

    /// Takes a directory that has to be there.
    pub(crate) fn lock_existing(path: &Path) -> Result<Self, Failure> {
        if !database_in(path).is_file() {
            return Err(Failure::setup(format!(
                "{} is no data directory of a server: it has no control.db; name one with --data-dir",
                path.display()
            )));
        }
        Self::lock(path)
    }

    fn lock(path: &Path) -> Result<Self, Failure> {
        let setup = |what: &str, error| {
            Failure::setup(format!("cannot {what} the data directory {}", path.display())).because(error)
        };
        let path = path.canonicalize().map_err(|error| setup("find", error))?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(|error| setup("lock", error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(Failure::setup(format!(
                "the data directory {} is in use by another server: stop it or name another one with --data-dir",
                path.display()
            ))),
            Err(TryLockError::Error(error)) => Err(setup("lock", error)),
        }
    }

    /// The directory, absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The records of the control plane.
    pub(crate) fn database(&self) -> PathBuf {
        database_in(&self.path)
    }

    /// Where the pools lie, each in a directory named like its region.
    pub(crate) fn pools(&self) -> PathBuf {
        self.path.join("pools")
    }

    /// The regions that have a pool.
    pub(crate) fn pool_regions(&self) -> Result<Vec<Region>, Failure> {
        let pools = self.pools();
        let failed = |error| Failure::internal(format!("cannot list {}", pools.display()), error);
        let entries = match pools.read_dir() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut regions = Vec::new();
        for entry in entries {
            let name = entry.map_err(failed)?.file_name();
            // Anything that is not named like a region is not ours.
            regions.extend(name.to_str().and_then(|name| name.parse::<Region>().ok()));
        }
        regions.sort();
        Ok(regions)
    }

    /// The lasting name of the master key of this data directory, `kms-` and eight characters; made when there is none
    /// yet. The key itself is never here.
    pub(crate) fn key_id(&self, random: &dyn RandomSource) -> Result<String, Failure> {
        let path = self.path.join("key-id");
        let failed =
            |what: &str, error| Failure::internal(format!("cannot {what} {}", path.display()), error);
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                let id = text.trim();
                let tail = id.strip_prefix("kms-").unwrap_or_default();
                if tail.len() == 8
                    && tail.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
                {
                    return Ok(id.to_owned());
                }
                Err(Failure::setup(format!("{} holds no key id: put back what was in it", path.display())))
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                const LETTERS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
                let letter = |_| char::from(LETTERS[random.below(LETTERS.len() as u64) as usize]);
                let id = format!("kms-{}", (0..8).map(letter).collect::<String>());
                replace_file(&path, format!("{id}\n").as_bytes()).map_err(|error| failed("write", error))?;
                Ok(id)
            }
            Err(error) => Err(failed("read", error)),
        }
    }

    /// Where administrative commands reach the server.
    pub(crate) fn admin_socket(&self) -> PathBuf {
        admin_socket_in(&self.path)
    }

    /// The file with the first key and the endpoint.
    pub(crate) fn admin_env(&self) -> PathBuf {
        self.path.join("admin.env")
    }

    /// Writes `admin.env` so that a reader sees the old file or the new one, never a part. Does nothing when
    /// the file already says the same.
    pub(crate) fn write_admin_env(&self, admin_env: &AdminEnv<'_>) -> Result<(), Failure> {
        let text = admin_env.to_text();
        let path = self.admin_env();
        if std::fs::read_to_string(&path).is_ok_and(|present| present == text) {
            return Ok(());
        }
        replace_file(&path, text.as_bytes())
            .map_err(|error| Failure::internal(format!("cannot write {}", path.display()), error))
    }
}

fn database_in(data_dir: &Path) -> PathBuf {
    data_dir.join("control.db")
}

/// Where administrative commands reach the server of a data directory.
pub(crate) fn admin_socket_in(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.sock")
}

/// What `admin.env` holds: what a client needs to make its first call.
pub(crate) struct AdminEnv<'a> {
    /// The public half of the key.
    pub(crate) secret_id: &'a SecretId,
    /// The secret half of the key.
    pub(crate) secret_key: &'a str,
    /// The region to work in.
    pub(crate) region: &'a Region,
    /// Where the API answers: `http://HOST:PORT`.
    pub(crate) endpoint: &'a str,
}

impl AdminEnv<'_> {
    fn to_text(&self) -> String {
        format!(
            "TENCENTCLOUD_SECRET_ID={}\nTENCENTCLOUD_SECRET_KEY={}\nTENCENTCLOUD_REGION={}\nASHLAR_ENDPOINT={}\n",
            self.secret_id, self.secret_key, self.region, self.endpoint
        )
    }
}

fn replace_file(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let mut draft_path = path.as_os_str().to_owned();
    draft_path.push(".new");
    // A draft that a crash left behind is overwritten; the lock keeps other writers out.
    let mut draft =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&draft_path)?;
    draft.write_all(content)?;
    draft.sync_all()?;
    std::fs::rename(&draft_path, path)?;
    path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
}
