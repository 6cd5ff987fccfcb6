//! Listening on a unix socket whose path a dead server may still occupy.

use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// `sun_path` has 108 bytes, the last of them zero.
const PATH_BYTES_MAX: usize = 107;

/// A socket that leaves no file behind when the server stops.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A file that stays is replaced by the next server.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Listens at `path`, for this user alone (mode 0600). The socket of a dead server is replaced; one that
/// answers, and anything that is not a socket, is left alone and refused.
pub(crate) fn listen(path: &Path) -> Result<(UnixListener, SocketFile), Failure> {
    let refused = |why: &str| Failure::setup(format!("cannot listen on unix:{}: {why}", path.display()));
    if path.as_os_str().len() > PATH_BYTES_MAX {
        return Err(refused("the path is longer than 107 bytes; choose a shorter data directory or path"));
    }
    match path.symlink_metadata() {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(refused("cannot look at it").because(error)),
        Ok(present) if !present.file_type().is_socket() => {
            return Err(refused("something that is no socket is there; choose another path"));
        }
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path).map_err(|error| refused("cannot replace it").because(error))?;
            }
            Ok(_) | Err(_) => {
                return Err(refused("another server uses it; stop that one or choose another path"));
            }
        },
    }
    let listener = UnixListener::bind(path)
        .map_err(|error| refused("check that its directory exists and is writable").because(error))?;
    let file = SocketFile(path.to_owned());
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
        .map_err(|error| refused("cannot make it private").because(error))?;
    Ok((listener, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_sockets_are_replaced_and_live_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x.sock");
        // Dropped without unlinking: what kill -9 leaves.
        drop(UnixListener::bind(&path).unwrap());
        let (listener, file) = listen(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let failure = listen(&path).expect_err("live");
        assert_eq!(failure.exit_code(), 2);
        UnixStream::connect(&path).expect("the refusal left it alone");
        drop((listener, file));
        assert!(!path.exists());
    }

    #[test]
    fn files_and_long_paths_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "precious").unwrap();
        assert!(listen(&path).is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
        let long = listen(&dir.path().join("x".repeat(120))).expect_err("too long");
        assert!(long.to_string().contains("107"), "{long}");
    }
}
