//! Where the server may listen.

use std::fmt;
use std::io;
use std::net::SocketAddr;

/// Why the server does not listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ListenErrorKind {
    /// Other machines could reach the address, and the server does not encrypt.
    NotLoopback,
    /// The operating system refused.
    Io,
}

/// The server does not listen.
#[derive(Debug)]
pub struct ListenError {
    kind: ListenErrorKind,
    context: String,
    source: Option<io::Error>,
}

impl ListenError {
    pub(crate) fn io(context: impl Into<String>, source: io::Error) -> Self {
        Self { kind: ListenErrorKind::Io, context: context.into(), source: Some(source) }
    }

    pub(crate) fn no_tls() -> Self {
        let context = "TLS is demanded and there is no certificate and no keys for it".to_owned();
        Self { kind: ListenErrorKind::NotLoopback, context, source: None }
    }

    /// Why.
    #[must_use]
    pub const fn kind(&self) -> ListenErrorKind {
        self.kind
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)?;
        self.source.as_ref().map_or(Ok(()), |source| write!(f, ": {source}"))
    }
}

impl std::error::Error for ListenError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|source| source as _)
    }
}

/// Refuses every TCP address but loopback, where there is no TLS: NBD without TLS gives the disks to everyone who can connect.
pub fn check_listen_address(address: SocketAddr) -> Result<(), ListenError> {
    if address.ip().to_canonical().is_loopback() {
        return Ok(());
    }
    Err(ListenError {
        kind: ListenErrorKind::NotLoopback,
        context: format!(
            "NBD cannot listen on {address}: without TLS it listens on unix sockets and loopback only; \
             use unix:PATH, 127.0.0.1:PORT or [::1]:PORT, or set up `nbd_tls` in the configuration file"
        ),
        source: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_passes() {
        for good in ["127.0.0.1:10809", "127.8.9.1:0", "[::1]:10809", "[::ffff:127.0.0.1]:1"] {
            check_listen_address(good.parse().unwrap()).unwrap();
        }
        for bad in ["0.0.0.0:10809", "[::]:10809", "10.0.0.1:10809", "192.168.1.2:1", "[::ffff:10.0.0.1]:1"] {
            let error = check_listen_address(bad.parse().unwrap()).unwrap_err();
            assert_eq!(error.kind(), ListenErrorKind::NotLoopback);
            assert!(error.to_string().contains(bad), "{error}");
        }
    }
}
