//! An authority, a server, a client and a stranger, made anew for each test; and a key that is shared.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use ashlar_nbd::{CertificateFiles, TlsFiles};
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::ec::{EcGroup, EcKey};
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::{X509, X509Name};

type Pair = (X509, PKey<Private>);

pub struct Certificates(tempfile::TempDir);

impl Certificates {
    /// The key of `ins-00000001`.
    pub const KEY: [u8; 32] = *b"a key of 32 bytes that is shared";

    pub fn new() -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        let authority = issue("authority", &[], None);
        made.write("ca", &authority);
        made.write("server", &issue("server", &["localhost"], Some(&authority)));
        made.write("client", &issue("client", &["also-client", "client"], Some(&authority)));
        let other = issue("other authority", &[], None);
        // Where GnuTLS clients look for them.
        for (ours, theirs) in
            [("ca.pem", "ca-cert.pem"), ("client.pem", "client-cert.pem"), ("client.key", "client-key.pem")]
        {
            fs::copy(made.path(ours), made.path(theirs)).unwrap();
        }
        made.write("stranger", &issue("client", &[], Some(&other)));
        let digits: String = Self::KEY.iter().map(|byte| format!("{byte:02x}")).collect();
        made.write_secret("keys.psk", format!("ins-00000001:{digits}\n").as_bytes());
        made
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// The folder, as clients find their files in it.
    pub fn folder(&self) -> &str {
        self.0.path().to_str().unwrap()
    }

    /// Certificates and keys.
    pub fn server_files(&self) -> TlsFiles {
        let certificates = Some(CertificateFiles {
            certificate: self.path("server.pem"),
            key: self.path("server.key"),
            client_ca: self.path("ca.pem"),
        });
        TlsFiles { certificates, psk_file: Some(self.path("keys.psk")) }
    }

    fn write(&self, name: &str, (certificate, key): &Pair) {
        fs::write(self.path(&format!("{name}.pem")), certificate.to_pem().unwrap()).unwrap();
        self.write_secret(&format!("{name}.key"), &key.private_key_to_pem_pkcs8().unwrap());
    }

    fn write_secret(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// A certificate signed by `authority`; without one it signs itself and others.
fn issue(name: &str, dns_names: &[&str], authority: Option<&Pair>) -> Pair {
    let curve = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1).unwrap();
    let key = PKey::from_ec_key(EcKey::generate(&curve).unwrap()).unwrap();
    let mut subject = X509Name::builder().unwrap();
    subject.append_entry_by_nid(Nid::COMMONNAME, name).unwrap();
    let subject = subject.build();
    let mut builder = X509::builder().unwrap();
    builder.set_version(2).unwrap();
    let mut serial = BigNum::new().unwrap();
    serial.rand(64, openssl::bn::MsbOption::MAYBE_ZERO, false).unwrap();
    builder.set_serial_number(&serial.to_asn1_integer().unwrap()).unwrap();
    builder.set_subject_name(&subject).unwrap();
    builder.set_issuer_name(authority.map_or(&subject, |(issuer, _)| issuer.subject_name())).unwrap();
    builder.set_pubkey(&key).unwrap();
    builder.set_not_before(&Asn1Time::from_unix(1_500_000_000).unwrap()).unwrap();
    builder.set_not_after(&Asn1Time::from_unix(4_000_000_000).unwrap()).unwrap();
    if authority.is_none() {
        builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap();
    }
    if !dns_names.is_empty() {
        let mut names = SubjectAlternativeName::new();
        for name in dns_names {
            names.dns(name);
        }
        let extension =
            names.build(&builder.x509v3_context(authority.map(|(issuer, _)| &**issuer), None)).unwrap();
        builder.append_extension(extension).unwrap();
    }
    builder.sign(authority.map_or(&key, |(_, signer)| signer), MessageDigest::sha256()).unwrap();
    (builder.build(), key)
}
