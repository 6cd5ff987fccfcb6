//! The certificates and keys of both doors, read before anything is made: a file that is wrong must leave nothing behind.

use ashlar_nbd::TlsServer;
use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};

use crate::config::Settings;
use crate::failure::Failure;

/// What the doors prove themselves with.
pub(super) struct Tls {
    /// For NBD.
    pub(super) nbd: Option<TlsServer>,
    /// For the API.
    pub(super) api: Option<SslAcceptor>,
}

impl Tls {
    /// Reads the files that the settings name.
    pub(super) fn read(settings: &Settings) -> Result<Self, Failure> {
        let nbd = settings.nbd_tls.as_ref().map(|tls| TlsServer::new(&tls.files)).transpose();
        let nbd = nbd.map_err(|error| Failure::setup("nbd_tls").because(error))?;
        Ok(Self { nbd, api: api_acceptor(settings)? })
    }
}

fn api_acceptor(settings: &Settings) -> Result<Option<SslAcceptor>, Failure> {
    let Some((certificate, key)) = &settings.api_tls else { return Ok(None) };
    let failed = |what: String| move |error: openssl::error::ErrorStack| Failure::setup(what).because(error);
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())
        .map_err(failed("cannot prepare TLS".to_owned()))?;
    builder.set_certificate_chain_file(certificate).map_err(failed(format!(
        "api_tls_certificate {}: expected a readable certificate in PEM",
        certificate.display()
    )))?;
    builder.set_private_key_file(key, SslFiletype::PEM).map_err(failed(format!(
        "api_tls_key {}: expected a readable private key in PEM that belongs to api_tls_certificate",
        key.display()
    )))?;
    Ok(Some(builder.build()))
}
