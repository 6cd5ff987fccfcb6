//! Who called, where calls come through other machines.

use std::net::{IpAddr, SocketAddr};

use ashlar_control::Network;

/// The header in which a proxy says for whom it asks: addresses, the newest last.
pub(super) const FORWARDED_FOR: &str = "x-forwarded-for";

/// The machines whose word about that is taken. Anybody can write the header: it counts from these alone.
#[derive(Debug, Clone, Default)]
pub(crate) struct TrustedProxies(pub(crate) Vec<Network>);

impl TrustedProxies {
    /// The address of who called: the newest that is no trusted proxy's. `forwarded` are the values of the header, as
    /// they came.
    pub(super) fn caller<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> IpAddr {
        let mut caller = peer;
        // Lazy: without proxies no header is looked at.
        let mut said = forwarded.rev().flat_map(|value| value.rsplit(|byte| *byte == b','));
        while self.0.iter().any(|network| network.contains(caller)) {
            match said.next().and_then(address) {
                Some(address) => caller = address,
                // The proxy asked for itself, or what it was told was no address: nobody beyond it is known.
                None => break,
            }
        }
        caller
    }
}

/// An address, alone or with a port.
fn address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    inner.parse().ok().or_else(|| text.parse().ok().map(|socket: SocketAddr| socket.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(peer: &str, values: &[&str]) -> String {
        let networks = ["10.0.0.0/8", "fd00::/8"].map(|network| network.parse().unwrap());
        let proxies = TrustedProxies(networks.to_vec());
        proxies.caller(peer.parse().unwrap(), values.iter().map(|value| value.as_bytes())).to_string()
    }

    #[test]
    fn only_trusted_machines_say_who_called() {
        assert_eq!(caller("192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(caller("10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(caller("::ffff:10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        // Who is beyond the first that is not trusted says whatever it likes.
        assert_eq!(caller("10.0.0.1", &["1.1.1.1, 198.51.100.7 ,10.0.0.2"]), "198.51.100.7");
        assert_eq!(caller("10.0.0.1", &["1.1.1.1", "198.51.100.7:4711, [fd00::1]:80"]), "198.51.100.7");
        assert_eq!(caller("fd00::2", &["2001:db8::1"]), "2001:db8::1");
        assert_eq!(caller("10.0.0.1", &["[2001:db8::1]"]), "2001:db8::1");
        // Nobody beyond is known.
        assert_eq!(caller("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(caller("10.0.0.1", &["1.1.1.1, unknown, 10.0.0.2"]), "10.0.0.2");
        assert_eq!(caller("10.0.0.1", &["10.0.0.9"]), "10.0.0.9");
    }

    #[test]
    fn without_proxies_the_header_says_nothing() {
        let peer: IpAddr = "10.0.0.1".parse().unwrap();
        let said = [b"198.51.100.7".as_slice()];
        assert_eq!(TrustedProxies::default().caller(peer, said.into_iter()), peer);
    }
}
