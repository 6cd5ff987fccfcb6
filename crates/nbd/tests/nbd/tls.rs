//! TLS by the letter of the protocol, and who a client is afterwards.

use std::os::unix::net::UnixStream;
use std::path::Path;

use ashlar_nbd::{IdentityKind, NbdLimits, Peer, TlsServer};
use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslStream, SslVerifyMode, SslVersion};

use crate::certificates::Certificates;
use crate::client::*;
use crate::fixture::TestServer;

struct World {
    certificates: Certificates,
    server: TestServer,
}

impl World {
    fn new() -> Self {
        let certificates = Certificates::new();
        let tls = TlsServer::new(&certificates.server_files()).unwrap();
        let server = TestServer::with(NbdLimits::default(), Some(tls));
        Self { certificates, server }
    }

    /// TLS on a fresh connection, with the version and what the client proves itself with.
    fn connect(&self, version: SslVersion, proof: &Proof) -> Result<SslStream<UnixStream>, String> {
        let mut client = Client::greet(self.server.socket(), 3);
        assert_eq!(client.option(STARTTLS, &[]), [(REP_ACK, vec![])]);
        connect(client.stream, version, proof, &self.certificates)
    }
}

enum Proof {
    Certificate(&'static str),
    Key(&'static str, [u8; 32]),
    Nothing,
}

fn connect(
    stream: UnixStream,
    version: SslVersion,
    proof: &Proof,
    certificates: &Certificates,
) -> Result<SslStream<UnixStream>, String> {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).unwrap();
    builder.set_min_proto_version(Some(version)).unwrap();
    builder.set_max_proto_version(Some(version)).unwrap();
    builder.set_verify(SslVerifyMode::PEER);
    builder.set_ca_file(certificates.path("ca.pem")).unwrap();
    match *proof {
        Proof::Nothing => {}
        Proof::Certificate(name) => {
            builder
                .set_certificate_file(certificates.path(&format!("{name}.pem")), SslFiletype::PEM)
                .unwrap();
            builder
                .set_private_key_file(certificates.path(&format!("{name}.key")), SslFiletype::PEM)
                .unwrap();
        }
        Proof::Key(name, key) => {
            builder.set_verify(SslVerifyMode::NONE);
            builder.set_cipher_list("ALL:ECDHE-PSK-CHACHA20-POLY1305:@SECLEVEL=2").unwrap();
            builder.set_psk_client_callback(move |_, _, identity, psk| {
                identity[..name.len()].copy_from_slice(name.as_bytes());
                identity[name.len()] = 0;
                psk[..key.len()].copy_from_slice(&key);
                Ok(key.len())
            });
        }
    }
    let mut configuration = builder.build().configure().unwrap();
    configuration.set_verify_hostname(false);
    configuration.connect("server", stream).map_err(|error| error.to_string())
}

/// Asks for the list of exports inside of TLS, which proves that both sides went through with it.
fn list(stream: &mut SslStream<UnixStream>) -> std::io::Result<u32> {
    use std::io::{Read, Write};
    stream.write_all(&[b"IHAVEOPT", &LIST.to_be_bytes()[..], &[0; 4]].concat())?;
    let mut header = [0; 20];
    stream.read_exact(&mut header)?;
    Ok(u32::from_be_bytes(header[12..16].try_into().unwrap()))
}

const VERSIONS: [SslVersion; 2] = [SslVersion::TLS1_2, SslVersion::TLS1_3];

#[test]
fn certificates_and_keys_say_who_the_client_is() {
    let world = World::new();
    let cases = [
        (Proof::Certificate("client"), IdentityKind::Certificate, vec!["client", "also-client"]),
        (Proof::Key("ins-00000001", Certificates::KEY), IdentityKind::PreSharedKey, vec!["ins-00000001"]),
    ];
    for version in VERSIONS {
        for (proof, kind, names) in &cases {
            let mut stream = world.connect(version, proof).unwrap();
            assert_eq!(list(&mut stream).unwrap(), REP_SERVER, "{version:?}");
            let Peer::Identified(identity) = world.server.last_peer() else { panic!("nobody in particular") };
            assert_eq!(
                (identity.kind, identity.names),
                (*kind, names.iter().map(|n| (*n).to_owned()).collect())
            );
        }
    }
}

#[test]
fn who_proves_nothing_or_the_wrong_thing_is_turned_away() {
    let world = World::new();
    let wrong = [
        Proof::Nothing,
        Proof::Certificate("stranger"),
        Proof::Key("ins-00000001", [1; 32]),
        Proof::Key("nobody", Certificates::KEY),
    ];
    for version in VERSIONS {
        for proof in &wrong {
            // A client of TLS 1.3 hears of the refusal with its first read only.
            let refused = match world.connect(version, proof) {
                Ok(mut stream) => list(&mut stream).is_err(),
                Err(_) => true,
            };
            assert!(refused, "{version:?}");
        }
    }
    assert_eq!(world.server.peers_count(), 0, "no export was asked for");
}

#[test]
fn old_versions_are_refused() {
    let world = World::new();
    assert!(world.connect(SslVersion::TLS1_1, &Proof::Certificate("client")).is_err());
}

#[test]
fn tls_begins_once_and_what_was_agreed_before_is_forgotten() {
    let world = World::new();
    let mut client = Client::open_haggling(world.server.socket());
    assert_eq!(client.option_result(STARTTLS, b"x"), ERR_INVALID);
    assert_eq!(client.option_result(STARTTLS, &[]), REP_ACK);
    let proof = Proof::Certificate("client");
    let mut stream = connect(client.stream, SslVersion::TLS1_3, &proof, &world.certificates).unwrap();
    let mut ask = |option: u32, data: &[u8]| {
        use std::io::{Read, Write};
        let length = (data.len() as u32).to_be_bytes();
        stream.write_all(&[b"IHAVEOPT", &option.to_be_bytes()[..], &length, data].concat()).unwrap();
        let mut header = [0; 20];
        stream.read_exact(&mut header).unwrap();
        let mut rest = vec![0; u32::from_be_bytes(header[16..].try_into().unwrap()) as usize];
        stream.read_exact(&mut rest).unwrap();
        u32::from_be_bytes(header[12..16].try_into().unwrap())
    };
    assert_eq!(ask(STARTTLS, &[]), ERR_INVALID);
    let query = meta_data("disk", &["base:allocation"]);
    assert_eq!(ask(SET_META_CONTEXT, &query), ERR_INVALID, "structured replies are to be agreed on again");
    assert_eq!(ask(STRUCTURED_REPLY, &[]), REP_ACK);
    assert_eq!(ask(SET_META_CONTEXT, &query), REP_META_CONTEXT);
}

#[test]
fn where_tls_is_demanded_nothing_is_said_before_it() {
    let world = World::new();
    let socket: &Path = &world.server.serve_tls_only();
    let mut client = Client::greet(socket, 3);
    for option in [LIST, STRUCTURED_REPLY, EXTENDED_HEADERS, SET_META_CONTEXT, 99] {
        assert_eq!(client.option_result(option, &[]), ERR_TLS_REQD, "option {option}");
    }
    for option in [INFO, GO] {
        assert_eq!(client.option_result(option, &export_data("disk", &[])), ERR_TLS_REQD);
    }
    assert_eq!(client.option_result(STARTTLS, &[]), REP_ACK);
    let proof = Proof::Certificate("client");
    let mut stream = connect(client.stream, SslVersion::TLS1_3, &proof, &world.certificates).unwrap();
    assert_eq!(list(&mut stream).unwrap(), REP_SERVER);
    let mut hasty = Client::greet(socket, 3);
    hasty.send_option(EXPORT_NAME, b"disk");
    hasty.assert_closed();
    let mut polite = Client::greet(socket, 3);
    assert_eq!(polite.option_result(ABORT, &[]), REP_ACK);
}

#[test]
fn a_handshake_that_never_ends_is_ended() {
    let world = World::new();
    let limits = NbdLimits { handshake_timeout: std::time::Duration::from_secs(1), ..NbdLimits::default() };
    let tls = TlsServer::new(&world.certificates.server_files()).unwrap();
    let server = TestServer::with(limits, Some(tls));
    let mut client = Client::greet(server.socket(), 3);
    assert_eq!(client.option_result(STARTTLS, &[]), REP_ACK);
    // The beginning of a record, and no more of it.
    client.send(&[22, 3, 1, 2, 0]);
    client.assert_closed();
}
