//! Every address the server listens on. All are taken before anything is made or started: a port in use must
//! leave nothing behind.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;

use crate::config::{HostPort, NbdListen, Settings};
use crate::data_dir::DataDir;
use crate::failure::Failure;
use crate::unix_socket::{self, SocketFile};

/// Everything that is listened on.
pub(super) struct Listeners {
    /// The API.
    pub(super) api: TcpListener,
    /// Where clients reach the API: `http://HOST:PORT` or `https://HOST:PORT`.
    pub(super) endpoint: String,
    /// NBD.
    pub(super) nbd: NbdListeners,
    /// The administrative commands.
    pub(super) admin: UnixListener,
    /// Removes the sockets' files in the end.
    pub(super) socket_files: Vec<SocketFile>,
}

/// Where NBD is listened on; at least one.
#[derive(Default)]
pub(super) struct NbdListeners {
    /// Unix sockets, with their absolute paths.
    pub(super) unix: Vec<(UnixListener, PathBuf)>,
    /// TCP ports, with their real numbers.
    pub(super) tcp: Vec<(TcpListener, SocketAddr)>,
}

/// Where NBD may listen: checked, but not taken yet.
pub(super) enum NbdAddress {
    /// A unix socket.
    Unix(PathBuf),
    /// A host whose addresses are all loopback ones, unless there is TLS.
    Tcp(HostPort, Vec<SocketAddr>),
}

/// Refuses addresses that other machines could reach, unless there is TLS: NBD itself has no password and no
/// encryption.
pub(super) fn nbd_addresses(wanted: &[NbdListen], has_tls: bool) -> Result<Vec<NbdAddress>, Failure> {
    wanted
        .iter()
        .map(|listen| match listen {
            NbdListen::Unix(path) => Ok(NbdAddress::Unix(path.clone())),
            NbdListen::Tcp(host) => {
                let addresses = host.resolve()?;
                for address in addresses.iter().filter(|_| !has_tls) {
                    ashlar_nbd::check_listen_address(*address)
                        .map_err(|error| Failure::setup(format!("--nbd-listen {host}")).because(error))?;
                }
                Ok(NbdAddress::Tcp(host.clone(), addresses))
            }
        })
        .collect()
}

impl Listeners {
    /// Takes all addresses.
    pub(super) fn bind(
        settings: &Settings,
        nbd: Vec<NbdAddress>,
        data_dir: &DataDir,
    ) -> Result<Self, Failure> {
        let api = bind_tcp("--api-listen", &settings.api_listen, &settings.api_listen.resolve()?)?;
        let scheme = if settings.api_tls.is_some() { "https" } else { "http" };
        let endpoint = format!("{scheme}://{}", reachable(local_address(&api)?));
        let (mut listeners, mut socket_files) = (NbdListeners::default(), Vec::new());
        for address in nbd {
            match address {
                NbdAddress::Tcp(host, addresses) => {
                    let listener = bind_tcp("--nbd-listen", &host, &addresses)?;
                    let address = local_address(&listener)?;
                    listeners.tcp.push((listener, address));
                }
                NbdAddress::Unix(path) => {
                    let (listener, file) = unix_socket::listen(&path)?;
                    let path = path.canonicalize().map_err(|error| {
                        Failure::internal(format!("cannot find {} again", path.display()), error)
                    })?;
                    listeners.unix.push((listener, path));
                    socket_files.push(file);
                }
            }
        }
        let (admin, file) = unix_socket::listen(&data_dir.admin_socket())?;
        socket_files.push(file);
        Ok(Self { api, endpoint, nbd: listeners, admin, socket_files })
    }
}

impl Listeners {
    /// Refuses a flag that is for tests when other machines can reach the server.
    pub(super) fn refuse_other_machines(&self, flag: &str) -> Result<(), Failure> {
        let nbd = self.nbd.tcp.iter().map(|(_, address)| *address);
        match nbd.chain([local_address(&self.api)?]).find(|address| !address.ip().is_loopback()) {
            Some(address) => Err(Failure::setup(format!(
                "{flag} is for tests on one machine, and {address} is open to others: listen on 127.0.0.1 alone"
            ))),
            None => Ok(()),
        }
    }
}

impl NbdListeners {
    /// Where NBD is reached, for people: `unix:PATH and HOST:PORT`.
    pub(super) fn to_text(&self) -> String {
        let unix = self.unix.iter().map(|(_, path)| format!("unix:{}", path.display()));
        let tcp = self.tcp.iter().map(|(_, address)| address.to_string());
        unix.chain(tcp).collect::<Vec<_>>().join(" and ")
    }

    /// The address of a disk for NBD clients, with a disk id to be filled in.
    pub(super) fn example_uri(&self) -> String {
        match (self.unix.first(), self.tcp.first()) {
            (Some((_, path)), _) => format!("nbd+unix:///disk-xxxxxxxx?socket={}", path.display()),
            (None, Some((_, address))) if address.ip().to_canonical().is_loopback() => {
                format!("nbd://{address}/disk-xxxxxxxx")
            }
            (None, Some((_, address))) => format!("nbds://{address}/disk-xxxxxxxx"),
            (None, None) => String::new(),
        }
    }
}

fn bind_tcp(flag: &str, host: &HostPort, addresses: &[SocketAddr]) -> Result<TcpListener, Failure> {
    TcpListener::bind(addresses).map_err(|error| {
        let mend = match error.kind() {
            std::io::ErrorKind::AddrInUse => "is in use: stop what listens there or choose another port with",
            _ => "cannot be listened on: choose another address with",
        };
        Failure::setup(format!("{host} {mend} {flag} HOST:PORT (port 0 picks a free one)")).because(error)
    })
}

fn local_address(listener: &TcpListener) -> Result<SocketAddr, Failure> {
    listener.local_addr().map_err(|error| Failure::internal("cannot tell the address of a listener", error))
}

/// The address to dial for a listener: `0.0.0.0` is reached at `127.0.0.1`.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_told_an_address_they_can_dial() {
        for (listening, dialled) in [
            ("127.0.0.1:80", "127.0.0.1:80"),
            ("0.0.0.0:80", "127.0.0.1:80"),
            ("[::]:80", "[::1]:80"),
            ("192.0.2.1:80", "192.0.2.1:80"),
        ] {
            assert_eq!(reachable(listening.parse().unwrap()).to_string(), dialled);
        }
    }

    #[test]
    fn nbd_without_tls_is_for_this_machine() {
        let check = |text: &str| nbd_addresses(&[NbdListen::parse(text).unwrap()], false);
        for text in ["unix:x.sock", "127.0.0.1:0", "[::1]:0"] {
            assert!(check(text).is_ok(), "{text}");
        }
        for text in ["0.0.0.0:0", "192.0.2.1:10809", "[::]:0"] {
            let failure = check(text).err().unwrap();
            assert!(failure.to_string().contains(text), "{failure}");
            assert_eq!(failure.exit_code(), 2);
            assert!(nbd_addresses(&[NbdListen::parse(text).unwrap()], true).is_ok(), "{text} with TLS");
        }
    }
}
