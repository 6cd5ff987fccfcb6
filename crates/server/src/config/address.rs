//! Where to listen, as it is written in flags, variables and the file.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use crate::failure::Failure;

/// `HOST:PORT`, with a host of any kind: a name, an IPv4 address, an IPv6 address in brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostPort {
    text: String,
}

impl HostPort {
    /// Takes `text` as the value of the setting `name`.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self, Failure> {
        let valid = text.rsplit_once(':').is_some_and(|(host, port)| {
            let bracketed = host.starts_with('[') && host.ends_with(']');
            !host.is_empty() && (bracketed || !host.contains(':')) && port.parse::<u16>().is_ok()
        });
        if valid {
            Ok(Self { text: text.to_owned() })
        } else {
            Err(Failure::setup(format!(
                "{name} `{text}`: expected HOST:PORT with a port of 0 to 65535, for example 127.0.0.1:9600"
            )))
        }
    }

    /// The addresses that the host has now; at least one.
    pub(crate) fn resolve(&self) -> Result<Vec<SocketAddr>, Failure> {
        let addresses: Vec<_> = self
            .text
            .to_socket_addrs()
            .map_err(|error| {
                Failure::setup(format!("cannot find the host of `{}`", self.text)).because(error)
            })?
            .collect();
        if addresses.is_empty() {
            return Err(Failure::setup(format!("the host of `{}` has no address", self.text)));
        }
        Ok(addresses)
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where NBD listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NbdListen {
    /// A unix socket at this path.
    Unix(PathBuf),
    /// TCP; whether the address is allowed is decided when it is known.
    Tcp(HostPort),
}

impl NbdListen {
    /// Takes `unix:PATH` or `HOST:PORT`.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        match text.strip_prefix("unix:") {
            Some("") => Err(Failure::setup("nbd_listen `unix:`: the path is missing")),
            Some(path) => Ok(Self::Unix(path.into())),
            None => HostPort::parse("nbd_listen", text).map(Self::Tcp),
        }
    }
}
