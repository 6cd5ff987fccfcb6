use std::cell::Cell;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use ashlar_engine::DataKey;
use ashlar_types::SeededRandom;
use ashlar_volume::{ErrorKind, VolumeError};

use super::rotation::rotate;
use super::*;

const OLD: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const NEW: &str = "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

fn keys(text: &str) -> Arc<MasterKeys> {
    let random = Arc::new(SeededRandom::new(1));
    MasterKeys::new(Keyring::parse(text).unwrap(), random, "kms-00000001".to_owned())
}

fn data_key() -> DataKey {
    DataKey::filled_by(|key| {
        key.iter_mut().zip(0..).for_each(|(key, byte)| *key = byte);
        Ok::<_, ()>(())
    })
    .unwrap()
}

fn kind(result: Result<DataKey, VolumeError>) -> ErrorKind {
    result.expect_err("must not open").kind()
}

#[test]
fn a_wrapped_key_opens_in_its_place_alone() {
    let keys = keys(OLD);
    let pool = keys.for_pool("ap-guangzhou");
    let wrapped = pool.wrap(7, &data_key()).unwrap();
    assert_eq!(wrapped.len(), 16 + 12 + 64 + 16, "as FORMAT.md says");
    assert_ne!(wrapped, pool.wrap(7, &data_key()).unwrap(), "each wrapping has a nonce of its own");
    assert_eq!(pool.unwrap(7, &wrapped).unwrap().bytes(), data_key().bytes());
    assert!(pool.is_current(&wrapped));
    assert_eq!(kind(pool.unwrap(8, &wrapped)), ErrorKind::Corrupt, "another key's place");
    let other = keys.for_pool("ap-beijing");
    assert_eq!(kind(other.unwrap(7, &wrapped)), ErrorKind::Corrupt, "another pool");
    for at in 0..wrapped.len() {
        let mut damaged = wrapped.clone();
        damaged[at] ^= 1;
        let expected = if at < 16 { ErrorKind::InvalidArgument } else { ErrorKind::Corrupt };
        assert_eq!(kind(pool.unwrap(7, &damaged)), expected, "byte {at}");
        assert_eq!(kind(pool.unwrap(7, &wrapped[..at])), ErrorKind::Corrupt, "cut at {at}");
    }
}

#[test]
fn a_wrong_master_key_is_told_by_its_fingerprint() {
    let wrapped = keys(OLD).for_pool("p").wrap(7, &data_key()).unwrap();
    let text = keys(NEW).for_pool("p").unwrap(7, &wrapped).unwrap_err().to_string();
    let [old, new] =
        [OLD, NEW].map(|key| Keyring::parse(key).unwrap().current().unwrap().fingerprint().to_string());
    assert!(text.contains(&old) && text.contains(&new), "{text}");
    let both = keys(&format!("{NEW}, {OLD}"));
    assert!(both.for_pool("p").unwrap(7, &wrapped).is_ok());
    assert!(!both.for_pool("p").is_current(&wrapped));
    let none = MasterKeys::new(Keyring::default(), Arc::new(SeededRandom::new(1)), "kms-00000001".into());
    assert_eq!(none.key_id(), None);
    assert_eq!(none.for_pool("p").wrap(7, &data_key()).unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(none.for_pool("p").unwrap(7, &wrapped).unwrap_err().to_string().contains("at hand: none"));
}

#[test]
fn keyrings_are_read_as_they_are_written_and_nothing_is_repeated() {
    let both = Keyring::parse(&format!("# comment {OLD}\n\n {NEW} # the new one\n{OLD},")).unwrap();
    assert_eq!(both.older().len(), 1);
    let again = Keyring::parse(&both.to_text()).unwrap();
    assert_eq!(*again.to_text(), *both.to_text());
    for text in ["", "# only a comment", "abcd", &OLD[1..], &format!("{OLD}00"), &OLD.replace('0', "g")] {
        let error = Keyring::parse(text).unwrap_err();
        assert!(!error.contains("1112131415"), "{error}");
    }
    let shown = format!("{both:?} {:?} {:?}", keys(OLD), KeyText::new(OLD.to_owned()));
    assert!(!shown.contains("0a0b0c0d"), "{shown}");
}

fn mode(path: &std::path::Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn the_users_folder_gets_one_key_for_each_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (data_dir, config) = (dir.path().join("data"), dir.path().join("config"));
    std::fs::create_dir(&data_dir).unwrap();
    let source = MasterKeySource::UserFolder(Some(config.clone()));
    let Found::ToBeMade(path) = source.load(&data_dir, "kms-00000001").unwrap() else {
        panic!("nothing there yet")
    };
    assert_eq!(path, config.join("ashlar/kms-00000001.key"));
    let made = Keyring::new([MasterKey::random(&SeededRandom::new(3))]);
    make(&path, &made).unwrap();
    assert!(make(&path, &made).is_err(), "a key that is there is never replaced");
    assert_eq!((mode(&path), mode(&config.join("ashlar"))), (0o600, 0o700));
    let Found::Keys(found) = source.load(&data_dir, "kms-00000001").unwrap() else { panic!("made above") };
    assert_eq!(*found.to_text(), *made.to_text());
    assert!(matches!(source.load(&data_dir, "kms-00000002").unwrap(), Found::ToBeMade(_)));

    let inside = MasterKeySource::UserFolder(Some(data_dir.join("config")));
    assert!(matches!(inside.load(&data_dir, "kms-00000001").unwrap(), Found::Nothing(_)));
    let file = data_dir.join("master.key");
    std::fs::write(&file, OLD).unwrap();
    let refusal = MasterKeySource::File(file).load(&data_dir, "kms-00000001").unwrap_err();
    assert!(refusal.to_string().contains("protects nothing"), "{refusal}");
}

#[test]
fn commands_print_the_key_or_say_why_not() {
    let dir = tempfile::tempdir().unwrap();
    let load = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned()).collect();
        MasterKeySource::Command(words).load(dir.path(), "kms-00000001")
    };
    assert!(matches!(load(&["echo", OLD]), Ok(Found::Keys(_))));
    for (words, expected) in [
        (&["false"][..], "failed"),
        (&["sh", "-c", "echo no such secret >&2; exit 3"], "no such secret"),
        (&["/nonexistent/program"], "cannot be run"),
        (&["true"], "did not print a key"),
        (&[], "empty"),
    ] {
        let failure = load(words).unwrap_err();
        assert_eq!(failure.exit_code(), 2);
        assert!(failure.to_string().contains(expected), "{failure}");
    }
}

/// One rotation over a wrapped key in a file of a pool, broken off where `until` says.
struct Rotation {
    _dir: tempfile::TempDir,
    data_dir: std::path::PathBuf,
    source: MasterKeySource,
    keys: Arc<MasterKeys>,
    /// The stored wrapped key.
    wrapped: Cell<Vec<u8>>,
}

impl Rotation {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (data_dir, file) = (dir.path().join("data"), dir.path().join("master.key"));
        std::fs::create_dir(&data_dir).unwrap();
        std::fs::write(&file, OLD).unwrap();
        let keys = keys(OLD);
        let wrapped = Cell::new(keys.for_pool("p").wrap(7, &data_key()).unwrap());
        Self { _dir: dir, data_dir, source: MasterKeySource::File(file), keys, wrapped }
    }

    fn rotate(&self, rewrap: impl FnOnce() -> Result<u64, VolumeError>) -> Result<Rotated, String> {
        rotate(&self.keys, &self.source, &self.data_dir, "kms-00000001", rewrap)
    }

    fn rewrap(&self) -> Result<u64, VolumeError> {
        let pool = self.keys.for_pool("p");
        let wrapped = self.wrapped.take();
        let key = pool.unwrap(7, &wrapped)?;
        self.wrapped.set(pool.wrap(7, &key)?);
        Ok(1)
    }

    /// What a start now would see: whether it can open the stored key, and how many master keys there are.
    fn start(&self) -> (bool, usize) {
        let Found::Keys(found) = self.source.load(&self.data_dir, "kms-00000001").unwrap() else {
            panic!("a file")
        };
        let count = 1 + found.older().len();
        let keys = MasterKeys::new(found, Arc::new(SeededRandom::new(2)), "kms-00000001".to_owned());
        let wrapped = self.wrapped.take();
        let opens = keys.for_pool("p").unwrap(7, &wrapped).is_ok();
        self.wrapped.set(wrapped);
        (opens, count)
    }
}

#[test]
fn rotation_leaves_one_new_key_that_opens_everything() {
    let rotation = Rotation::new();
    let before = rotation.wrapped.take();
    rotation.wrapped.set(before.clone());
    let rotated = rotation.rotate(|| rotation.rewrap()).unwrap();
    assert_eq!(rotated.data_keys, 1);
    assert_eq!(rotation.start(), (true, 1));
    assert_eq!(
        kind(rotation.keys.for_pool("p").unwrap(7, &before)),
        ErrorKind::InvalidArgument,
        "the old key is gone"
    );
}

/// Broken off before, in the middle of and after the pools' part: every start finds what it needs, no third key is made,
/// and calling it again ends it.
#[test]
fn rotation_can_be_broken_off_and_called_again() {
    for done_before_the_failure in [false, true] {
        let rotation = Rotation::new();
        let broken = rotation.rotate(|| {
            assert_eq!(
                rotation.start(),
                (true, 2),
                "both keys are in the file before a pool needs the new one"
            );
            if done_before_the_failure {
                rotation.rewrap()?;
            }
            Err(VolumeError::new(ErrorKind::Io, "the disk is gone"))
        });
        assert!(broken.unwrap_err().contains("both master keys are kept"));
        assert_eq!(rotation.start(), (true, 2));
        let Found::Keys(both) = rotation.source.load(&rotation.data_dir, "kms-00000001").unwrap() else {
            panic!()
        };
        let wanted = both.current().unwrap().fingerprint().to_string();
        let rotated = rotation.rotate(|| rotation.rewrap()).unwrap();
        assert_eq!(rotated.fingerprint, wanted, "the key of the first try, not a third one");
        assert_eq!(rotation.start(), (true, 1));
    }
}

#[test]
fn keys_from_elsewhere_are_exchanged_by_the_operator() {
    let dir = tempfile::tempdir().unwrap();
    let keys = keys(OLD);
    let rotate_with = |text: &str| {
        let source = MasterKeySource::Variable(KeyText::new(text.to_owned()));
        rotate(&keys, &source, dir.path(), "kms-00000001", || Ok(5))
    };
    let refusal = rotate_with(OLD).unwrap_err();
    assert!(refusal.contains("in front of the old one"), "{refusal}");
    let rotated = rotate_with(&format!("{NEW} {OLD}")).unwrap();
    assert_eq!((rotated.data_keys, rotated.file), (5, None));
}
