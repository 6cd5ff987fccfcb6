//! TLS: whom the server proves itself to, how clients prove who they are, and where TLS is a must.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use openssl::error::ErrorStack;
use openssl::ex_data::Index;
use openssl::nid::Nid;
use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslMode, SslOptions, SslSessionCacheMode,
    SslStream, SslVerifyMode, SslVersion,
};
use openssl::x509::X509Ref;

use crate::exports::{Identity, IdentityKind};
use crate::session::SessionError;
use crate::stream::Wire;

/// Cipher suites of TLS 1.2, all with forward secrecy; those for certificates also with authenticated encryption. Pre-shared
/// keys come first: who speaks of one has one.
const CIPHERS: &str = "ECDHE-PSK-CHACHA20-POLY1305:ECDHE-PSK-AES128-CBC-SHA256:ECDHE-PSK-AES256-CBC-SHA384:\
    ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
    ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:\
    ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

/// Cipher suites of TLS 1.3. A pre-shared key goes with SHA-256; with another first choice the handshake would go on
/// without the key.
const CIPHER_SUITES: &str = "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384";

/// The shortest pre-shared key: shorter ones can be guessed from one handshake that was overheard.
const KEY_BYTES_MIN: usize = 16;
/// The longest that clients and libraries agree on.
const KEY_BYTES_MAX: usize = 64;
const IDENTITY_BYTES_MAX: usize = 128;

/// The files that TLS takes. At least one of the two ways for clients to prove who they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// By certificates.
    pub certificates: Option<CertificateFiles>,
    /// By pre-shared keys: lines of `NAME:KEY`, the key in hexadecimal digits.
    pub psk_file: Option<PathBuf>,
}

/// What the server proves itself with, and the authority of the clients. All in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The server's certificate, followed by those between it and the root.
    pub certificate: PathBuf,
    /// The server's private key.
    pub key: PathBuf,
    /// The authorities whose certificates clients have.
    pub client_ca: PathBuf,
}

/// TLS cannot be offered. The text names the file and the mend.
#[derive(Debug)]
pub struct TlsError(String);

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for TlsError {}

/// The server's side of TLS. Clones are cheap.
#[derive(Clone)]
pub struct TlsServer {
    context: SslContext,
    /// Where the name of the pre-shared key of a connection is kept.
    key_name: Index<Ssl, String>,
}

/// What an address demands.
#[derive(Clone)]
pub(crate) enum TlsPolicy {
    /// There is no TLS.
    Off,
    /// The client may choose.
    Offered(TlsServer),
    /// Nothing is said before TLS.
    Required(TlsServer),
}

impl TlsPolicy {
    pub(crate) const fn is_required(&self) -> bool {
        matches!(self, Self::Required(_))
    }

    pub(crate) const fn is_offered(&self) -> bool {
        !matches!(self, Self::Off)
    }

    /// Has the client prove who it is.
    pub(crate) fn accept(&self, wire: Wire) -> Result<(SslStream<Wire>, Identity), SessionError> {
        match self {
            Self::Off => Err(SessionError::Tls("there is no TLS here".to_owned())),
            Self::Offered(server) | Self::Required(server) => server.accept(wire),
        }
    }
}

impl TlsServer {
    /// Reads the files. The error says which of them is wrong and how to mend it.
    pub fn new(files: &TlsFiles) -> Result<Self, TlsError> {
        let failed = |error: ErrorStack| TlsError(format!("cannot prepare TLS: {error}"));
        let mut builder = SslContext::builder(SslMethod::tls_server()).map_err(failed)?;
        prepare(&mut builder).map_err(failed)?;
        let key_name = Ssl::new_ex_index().map_err(failed)?;
        if let Some(certificates) = &files.certificates {
            use_certificates(&mut builder, certificates)?;
        }
        if let Some(path) = &files.psk_file {
            let keys = read_keys(path)?;
            builder.set_psk_server_callback(move |ssl, name, key| {
                let known = name.and_then(|name| std::str::from_utf8(name).ok()).and_then(|name| {
                    keys.get(name)
                        .map(|bytes| (name.to_owned(), bytes))
                        .filter(|(_, bytes)| bytes.len() <= key.len())
                });
                // No key: the handshake goes on without, and fails where nothing else was agreed on.
                let Some((name, bytes)) = known else { return Ok(0) };
                key[..bytes.len()].copy_from_slice(bytes);
                ssl.set_ex_data(key_name, name);
                Ok(bytes.len())
            });
        }
        if files.certificates.is_none() && files.psk_file.is_none() {
            return Err(TlsError("TLS needs a certificate or a file of pre-shared keys".to_owned()));
        }
        Ok(Self { context: builder.build(), key_name })
    }

    fn accept(&self, wire: Wire) -> Result<(SslStream<Wire>, Identity), SessionError> {
        let failed = |text: String| SessionError::Tls(format!("the TLS handshake failed: {text}"));
        let ssl = Ssl::new(&self.context).map_err(|error| failed(error.to_string()))?;
        let mut stream = SslStream::new(ssl, wire).map_err(|error| failed(error.to_string()))?;
        stream.accept().map_err(|error| failed(error.to_string()))?;
        let identity =
            self.identity(stream.ssl()).ok_or_else(|| failed("the client has no name".to_owned()))?;
        Ok((stream, identity))
    }

    /// Who the client is. A handshake without a certificate is one with a pre-shared key, because the server demands
    /// a certificate wherever no key was agreed on. So a key that the client only spoke of does not count beside its
    /// certificate.
    fn identity(&self, ssl: &openssl::ssl::SslRef) -> Option<Identity> {
        let (kind, names) = match ssl.peer_certificate() {
            Some(certificate) => (IdentityKind::Certificate, certificate_names(&certificate)),
            None => (IdentityKind::PreSharedKey, ssl.ex_data(self.key_name).cloned().into_iter().collect()),
        };
        (!names.is_empty()).then_some(Identity { kind, names })
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsServer")
    }
}

/// Version 1.2 at least, no resumption (each session is to prove its identity), no renegotiation.
fn prepare(builder: &mut SslContextBuilder) -> Result<(), ErrorStack> {
    builder.set_min_proto_version(Some(SslVersion::TLS1_2))?;
    builder.set_cipher_list(CIPHERS)?;
    builder.set_ciphersuites(CIPHER_SUITES)?;
    builder.set_options(
        SslOptions::NO_TICKET
            | SslOptions::NO_RENEGOTIATION
            | SslOptions::NO_COMPRESSION
            | SslOptions::CIPHER_SERVER_PREFERENCE,
    );
    builder.set_num_tickets(0)?;
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    // A pre-shared key looks like a session to be resumed, and that needs a name for the server.
    builder.set_session_id_context(b"ashlar-nbd")?;
    builder.set_mode(SslMode::RELEASE_BUFFERS | SslMode::AUTO_RETRY);
    Ok(())
}

fn use_certificates(builder: &mut SslContextBuilder, files: &CertificateFiles) -> Result<(), TlsError> {
    let CertificateFiles { certificate, key, client_ca } = files;
    for path in [certificate, client_ca] {
        readable(path)?;
    }
    private(key)?;
    let wrong = |what: &'static str, path: &Path| {
        let path = path.display().to_string();
        move |error: ErrorStack| TlsError(format!("{path} is no {what} in PEM: {error}"))
    };
    builder.set_certificate_chain_file(certificate).map_err(wrong("certificate", certificate))?;
    builder.set_private_key_file(key, SslFiletype::PEM).map_err(wrong("private key", key))?;
    builder.check_private_key().map_err(|_| {
        TlsError(format!(
            "the key {} does not belong to the certificate {}",
            key.display(),
            certificate.display()
        ))
    })?;
    builder.set_ca_file(client_ca).map_err(wrong("list of certificates", client_ca))?;
    let names = openssl::x509::X509Name::load_client_ca_file(client_ca)
        .map_err(wrong("list of certificates", client_ca))?;
    builder.set_client_ca_list(names);
    builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    Ok(())
}

fn readable(path: &Path) -> Result<String, TlsError> {
    fs::read_to_string(path).map_err(|error| TlsError(format!("cannot read {}: {error}", path.display())))
}

/// The content of a file that must be nobody else's to read.
fn private(path: &Path) -> Result<String, TlsError> {
    let text = readable(path)?;
    let mode = fs::metadata(path)
        .map_err(|error| TlsError(format!("cannot look at {}: {error}", path.display())))?
        .permissions()
        .mode();
    if mode & 0o007 != 0 {
        return Err(TlsError(format!(
            "{} holds secrets and everybody may read it: run chmod 600 {}",
            path.display(),
            path.display()
        )));
    }
    Ok(text)
}

/// Reads `NAME:KEY` lines. Empty lines and those that begin with `#` say nothing.
fn read_keys(path: &Path) -> Result<HashMap<String, Vec<u8>>, TlsError> {
    let text = private(path)?;
    let mut keys = HashMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |what: &str| TlsError(format!("{} line {}: {what}", path.display(), number + 1));
        let (name, digits) = line.rsplit_once(':').ok_or_else(|| wrong("expected NAME:KEY"))?;
        if name.is_empty() || name.len() > IDENTITY_BYTES_MAX {
            return Err(wrong("expected a name of 1 to 128 bytes"));
        }
        let key =
            from_hex(digits).ok_or_else(|| wrong("expected a key of hexadecimal digits, two a byte"))?;
        if !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&key.len()) {
            return Err(wrong("expected a key of 16 to 64 bytes; `psktool` makes one of 32"));
        }
        if keys.insert(name.to_owned(), key).is_some() {
            return Err(wrong("the name is there twice"));
        }
    }
    if keys.is_empty() {
        return Err(TlsError(format!("{} has no keys: expected lines of NAME:KEY", path.display())));
    }
    Ok(keys)
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let digits = digits.as_bytes();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if !digits.len().is_multiple_of(2) || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    digits.chunks(2).map(byte).collect()
}

/// The common name and the alternative DNS names, each once.
fn certificate_names(certificate: &X509Ref) -> Vec<String> {
    let common = certificate.subject_name().entries_by_nid(Nid::COMMONNAME);
    let common = common.filter_map(|entry| entry.data().to_string().ok());
    let alternative = certificate.subject_alt_names();
    let alternative = alternative.iter().flatten().filter_map(|name| name.dnsname().map(str::to_owned));
    let mut names: Vec<String> = Vec::new();
    for name in common.chain(alternative) {
        // A name with a NUL is an attempt to look like a shorter one.
        if !name.is_empty() && !name.contains('\0') && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests;
