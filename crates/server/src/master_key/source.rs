//! Where the master key comes from.

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use zeroize::Zeroizing;

use super::Keyring;
use crate::failure::Failure;

/// A secret text; never printed.
#[derive(Clone)]
pub(crate) struct KeyText(Zeroizing<String>);

impl KeyText {
    pub(crate) fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }
}

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(..)")
    }
}

/// Where the master key comes from.
#[derive(Debug, Clone)]
pub(crate) enum MasterKeySource {
    /// A file that the operator names.
    File(PathBuf),
    /// `ASHLAR_MASTER_KEY`.
    Variable(KeyText),
    /// The standard output of a program: its path, then its arguments.
    Command(Vec<String>),
    /// A file of our own in the user's configuration folder; none where the user has no such folder.
    UserFolder(Option<PathBuf>),
}

/// What a source has to give.
#[derive(Debug)]
pub(crate) enum Found {
    /// Keys.
    Keys(Keyring),
    /// Nothing yet: the first start makes a key here.
    ToBeMade(PathBuf),
    /// Nothing, and no place to make a key in; why.
    Nothing(String),
}

impl MasterKeySource {
    /// Asks the source. `key_id` names the file in the user's folder, so that each data directory has its own.
    pub(crate) fn load(&self, data_dir: &Path, key_id: &str) -> Result<Found, Failure> {
        match self {
            Self::File(path) => {
                refuse_inside(data_dir, path)?;
                read_file(path)?.map(Found::Keys).ok_or_else(|| {
                    Failure::setup(format!(
                        "the master key file {} does not exist: put it back, or make one with `openssl rand -hex 32`",
                        path.display()
                    ))
                })
            }
            Self::Variable(KeyText(text)) => Keyring::parse(text)
                .map(Found::Keys)
                .map_err(|error| Failure::setup(format!("ASHLAR_MASTER_KEY: {error}"))),
            Self::Command(words) => run(words).map(Found::Keys),
            Self::UserFolder(None) => {
                let why = "neither XDG_CONFIG_HOME nor HOME names a folder for it";
                Ok(Found::Nothing(why.to_owned()))
            }
            Self::UserFolder(Some(folder)) => {
                let path = user_file(folder, key_id);
                if is_inside(data_dir, &path) {
                    let why = format!("{} lies in the data directory", path.display());
                    return Ok(Found::Nothing(why));
                }
                Ok(read_file(&path)?.map_or(Found::ToBeMade(path), Found::Keys))
            }
        }
    }

    /// The file that rotation may write; none where the key comes from elsewhere.
    pub(crate) fn file(&self, key_id: &str) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.clone()),
            Self::UserFolder(Some(folder)) => Some(user_file(folder, key_id)),
            Self::UserFolder(None) | Self::Variable(_) | Self::Command(_) => None,
        }
    }

    /// What an operator can do when the key that is needed does not come.
    pub(crate) fn remedy(&self, key_id: &str) -> String {
        match self {
            Self::File(path) => format!("{} has to hold it", path.display()),
            Self::Variable(_) => "ASHLAR_MASTER_KEY has to hold it".to_owned(),
            Self::Command(words) => format!("`{}` has to print it", words.join(" ")),
            Self::UserFolder(folder) => {
                let file = folder.as_deref().map(|folder| user_file(folder, key_id));
                let back = file.map_or_else(String::new, |file| format!("put {} back, or ", file.display()));
                format!("{back}name it with --master-key-file, ASHLAR_MASTER_KEY or master_key_command")
            }
        }
    }
}

impl fmt::Display for MasterKeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Variable(_) => f.write_str("ASHLAR_MASTER_KEY"),
            Self::Command(_) => f.write_str("master_key_command"),
            Self::UserFolder(_) => f.write_str("the user's configuration folder"),
        }
    }
}

fn user_file(folder: &Path, key_id: &str) -> PathBuf {
    folder.join("ashlar").join(format!("{key_id}.key"))
}

/// A key beside the data would protect nothing.
fn refuse_inside(data_dir: &Path, path: &Path) -> Result<(), Failure> {
    if is_inside(data_dir, path) {
        return Err(Failure::setup(format!(
            "the master key file {} lies in the data directory, where it protects nothing: keep it elsewhere",
            path.display()
        )));
    }
    Ok(())
}

fn is_inside(data_dir: &Path, path: &Path) -> bool {
    // The file, or the nearest folder above it that exists.
    let found = path.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
    found.is_some_and(|found| found.starts_with(data_dir))
}

fn read_file(path: &Path) -> Result<Option<Keyring>, Failure> {
    let shown = path.display();
    let failed = |error| Failure::setup(format!("cannot read the master key file {shown}")).because(error);
    let text = match std::fs::read_to_string(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        text => Zeroizing::new(text.map_err(failed)?),
    };
    let mode = path.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(file = %shown, mode = format!("{:o}", mode & 0o777), "others may read the master key file: chmod 600");
    }
    let keyring = Keyring::parse(&text)
        .map_err(|error| Failure::setup(format!("the master key file {shown}: {error}")))?;
    Ok(Some(keyring))
}

fn run(words: &[String]) -> Result<Keyring, Failure> {
    let Some((program, arguments)) = words.split_first() else {
        return Err(Failure::setup("master_key_command is empty: name a program and its arguments"));
    };
    let failed = |why: String| Failure::setup(format!("master_key_command `{program}` {why}"));
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| failed("cannot be run".to_owned()).because(error))?;
    let text = Zeroizing::new(output.stdout);
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
        return Err(failed(format!("failed with {}: {said}", output.status)));
    }
    let text =
        std::str::from_utf8(&text).map_err(|_| failed("printed something that is no text".to_owned()))?;
    Keyring::parse(text).map_err(|error| failed(format!("did not print a key: {error}")))
}

/// Makes a file that was not there, durably and for its user alone. `AlreadyExists` if it is there after all.
pub(super) fn create_file(path: &Path, keyring: &Keyring) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path)?;
    file.write_all(keyring.to_text().as_bytes())?;
    file.sync_all()?;
    File::open(folder)?.sync_all()
}

/// Replaces what a file holds: afterwards it holds the old keys or the new ones, never a part. The old bytes are
/// overwritten.
pub(super) fn replace_file(path: &Path, keyring: &Keyring) -> std::io::Result<()> {
    // Behind a link lies what has to be replaced.
    let path = path.canonicalize()?;
    let mut draft_path = path.clone().into_os_string();
    draft_path.push(".new");
    let mut old = OpenOptions::new().write(true).open(&path)?;
    let metadata = old.metadata()?;
    match std::fs::remove_file(&draft_path) {
        // What an interrupted rotation left.
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut draft = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&draft_path)?;
    draft.set_permissions(metadata.permissions())?;
    draft.write_all(keyring.to_text().as_bytes())?;
    draft.sync_all()?;
    std::fs::rename(&draft_path, &path)?;
    if let Some(folder) = path.parent() {
        File::open(folder)?.sync_all()?;
    }
    // The old file has no name any more; where the medium writes in place, its key is gone as well.
    old.write_all(&vec![0; metadata.len() as usize])?;
    old.sync_all()
}

/// Makes the key of a first start; gives it with the file that holds it.
pub(crate) fn make(path: &Path, keyring: &Keyring) -> Result<(), Failure> {
    create_file(path, keyring).map_err(|error| {
        Failure::setup(format!("cannot make the master key {}", path.display())).because(error)
    })
}
