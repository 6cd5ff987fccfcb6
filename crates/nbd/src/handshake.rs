//! Agreeing with a client on an export and on features. [`Negotiation`] decides, [`shake_hands`] moves bytes.

mod meta_context;

use std::io;

use crate::codec::{
    CLIENT_FLAGS_BYTES, ClientFlags, ExportRequest, GREETING, HeaderStyle, Information, OPTION_HEADER_BYTES,
    OptionCode, OptionDataError, OptionHeader, OptionReply, ProtocolError, decode_export_name,
    encode_export_name_reply, encode_option_reply,
};
use crate::contexts::Contexts;
use crate::exports::{Exports, Lease, OpenError, OpenErrorKind, Peer};
use crate::features::{BLOCK_BYTES_MAXIMUM, BLOCK_BYTES_MINIMUM, BLOCK_BYTES_PREFERRED, Features};
use crate::seats::{Seat, Seats};
use crate::session::SessionError;
use crate::session_handle::SessionHandle;
use crate::stream::Stream;
use crate::tls::TlsPolicy;

use meta_context::Chosen;

/// What was agreed on.
pub(crate) struct Agreement {
    pub(crate) export: String,
    pub(crate) lease: Box<dyn Lease>,
    /// The session's place among those of the export.
    pub(crate) seat: Seat,
    pub(crate) features: Features,
    pub(crate) contexts: Contexts,
}

/// What a handshake needs to know of the server.
#[derive(Clone, Copy)]
pub(crate) struct Host<'server> {
    pub(crate) exports: &'server dyn Exports,
    pub(crate) seats: &'server Seats,
    pub(crate) tls: &'server TlsPolicy,
}

/// Goes through the handshake. `None` if the client ended it in good order.
pub(crate) fn shake_hands(
    session: &SessionHandle,
    stream: &mut Stream,
    host: Host<'_>,
) -> Result<Option<Agreement>, SessionError> {
    stream.send_all(&GREETING)?;
    let mut flags = [0; CLIENT_FLAGS_BYTES];
    if !receive_exactly(stream, &mut flags)? {
        return Ok(None);
    }
    let client = ClientFlags::decode(flags)?;
    let mut negotiation = Negotiation::new(host, session, client);
    let (mut data, mut replies) = (Vec::new(), Vec::new());
    loop {
        let mut header = [0; OPTION_HEADER_BYTES];
        if !receive_exactly(stream, &mut header)? {
            return Ok(None);
        }
        let header = OptionHeader::decode(header)?;
        data.resize(header.data_bytes, 0);
        if !data.is_empty() && !receive_exactly(stream, &mut data)? {
            return Err(ProtocolError::Truncated.into());
        }
        replies.clear();
        let next = negotiation.answer(header.option, &data, &mut replies)?;
        // After an abort the client may be gone already, which is as good as taking the reply.
        let sent = stream.send_all(&replies);
        match next {
            Next::Haggle => sent?,
            Next::End => return Ok(None),
            Next::StartTls => {
                sent?;
                let identity = stream.start_tls(host.tls)?;
                tracing::debug!(client = %identity, "an NBD client has proved who it is");
                // What was said in the clear may have been said by anybody.
                negotiation = Negotiation::new(host, session, client);
                negotiation.peer = Peer::Identified(identity);
            }
            Next::Transmit(agreement) => {
                sent?;
                return Ok(Some(agreement));
            }
        }
    }
}

/// Fills the buffer. False at the end of the stream before its first byte.
fn receive_exactly(stream: &mut Stream, buffer: &mut [u8]) -> Result<bool, SessionError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.receive(&mut buffer[filled..]) {
            Ok(0) if filled == 0 => return Ok(false),
            Ok(0) => return Err(ProtocolError::Truncated.into()),
            Ok(received) => filled += received,
            Err(error) if filled == 0 && error.kind() == io::ErrorKind::ConnectionReset => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    Ok(true)
}

/// What follows an option.
pub(crate) enum Next {
    Haggle,
    End,
    StartTls,
    Transmit(Agreement),
}

/// An export that an option asked for. Kept, so that `GO` finds open what `INFO` has opened.
struct Opened {
    export: String,
    lease: Box<dyn Lease>,
    seat: Seat,
}

/// The state of the haggling.
pub(crate) struct Negotiation<'server> {
    host: Host<'server>,
    session: &'server SessionHandle,
    client: ClientFlags,
    peer: Peer,
    style: HeaderStyle,
    chosen: Option<Chosen>,
    opened: Option<Opened>,
}

impl<'server> Negotiation<'server> {
    pub(crate) const fn new(
        host: Host<'server>,
        session: &'server SessionHandle,
        client: ClientFlags,
    ) -> Self {
        let (peer, style) = (Peer::Local, HeaderStyle::Simple);
        Self { host, session, client, peer, style, chosen: None, opened: None }
    }

    /// Answers one option: appends the replies.
    pub(crate) fn answer(
        &mut self,
        option: u32,
        data: &[u8],
        replies: &mut Vec<u8>,
    ) -> Result<Next, ProtocolError> {
        let code = OptionCode::from_wire(option);
        let needs_tls = self.host.tls.is_required() && self.peer == Peer::Local;
        if code == Some(OptionCode::ExportName) {
            // This option has no error reply.
            if needs_tls || self.style.is_extended() {
                return Err(ProtocolError::ExportNameOutOfPlace);
            }
            return self.export_name(data, replies);
        }
        if !self.client.fixed_newstyle {
            return Err(ProtocolError::NotFixedNewstyle);
        }
        let mut reply = |reply: OptionReply<'_>| encode_option_reply(replies, option, &reply);
        match code {
            Some(OptionCode::Abort) => {
                reply(OptionReply::Ack);
                return Ok(Next::End);
            }
            Some(OptionCode::StartTls) => return Ok(self.start_tls(data, &mut reply)),
            _ if needs_tls => {
                reply(OptionReply::TlsRequired("this address is served with TLS only: begin with STARTTLS"));
            }
            Some(OptionCode::Go) => return Ok(self.go(data, &mut reply)),
            Some(OptionCode::Info) => {
                self.info(data, &mut reply);
            }
            Some(OptionCode::List) => self.list(data, &mut reply),
            Some(OptionCode::StructuredReply) => self.structured_reply(data, &mut reply),
            Some(OptionCode::ExtendedHeaders) => self.extended_headers(data, &mut reply),
            Some(OptionCode::ListMetaContext) => self.meta_context(data, false, &mut reply),
            Some(OptionCode::SetMetaContext) => self.meta_context(data, true, &mut reply),
            Some(OptionCode::ExportName) | None => reply(OptionReply::Unsupported("unknown option")),
        }
        Ok(Next::Haggle)
    }

    fn start_tls(&self, data: &[u8], reply: &mut impl FnMut(OptionReply<'_>)) -> Next {
        if !no_data(data, reply) {
            return Next::Haggle;
        }
        if self.peer != Peer::Local {
            reply(OptionReply::Invalid("TLS has begun already"));
            return Next::Haggle;
        }
        if !self.host.tls.is_offered() {
            reply(OptionReply::Refused("this server has no certificate and no keys for TLS: see `nbd_tls`"));
            return Next::Haggle;
        }
        reply(OptionReply::Ack);
        Next::StartTls
    }

    fn structured_reply(&mut self, data: &[u8], reply: &mut impl FnMut(OptionReply<'_>)) {
        if !no_data(data, reply) {
            return;
        }
        if self.style.is_extended() {
            return reply(OptionReply::ExtendedHeadersRequired("extended headers were agreed on already"));
        }
        self.style = HeaderStyle::Structured;
        reply(OptionReply::Ack);
    }

    fn extended_headers(&mut self, data: &[u8], reply: &mut impl FnMut(OptionReply<'_>)) {
        if !no_data(data, reply) {
            return;
        }
        if self.style.is_extended() {
            return reply(OptionReply::Invalid("extended headers were agreed on already"));
        }
        self.style = HeaderStyle::Extended;
        reply(OptionReply::Ack);
    }

    /// The lease of `export`, from the option before if it was for the same.
    fn open(&mut self, export: &str) -> Result<&dyn Lease, OpenError> {
        let kept = self.opened.take().filter(|opened| opened.export == export);
        let opened = match kept {
            Some(opened) => opened,
            None => {
                let seat = self.host.seats.take(export)?;
                let lease = self.host.exports.open(export, &self.peer)?;
                lease.on_withdraw(self.session.clone());
                Opened { export: export.to_owned(), lease, seat }
            }
        };
        Ok(&*self.opened.insert(opened).lease)
    }

    fn features(&self, lease: &dyn Lease, export: &str) -> Features {
        let chosen = self.chosen.as_ref().filter(|chosen| chosen.export == export);
        let contexts = chosen.map_or(0, |chosen| chosen.contexts.len() as u32);
        Features::of(&*lease.device(), self.style, contexts)
    }

    fn agreement(&mut self) -> Option<Agreement> {
        let Opened { export, lease, seat } = self.opened.take()?;
        let features = self.features(&*lease, &export);
        let chosen = self.chosen.take().filter(|chosen| chosen.export == export);
        let contexts = Contexts::new(chosen.map_or_else(Vec::new, |chosen| chosen.contexts));
        Some(Agreement { export, lease, seat, features, contexts })
    }

    fn export_name(&mut self, data: &[u8], replies: &mut Vec<u8>) -> Result<Next, ProtocolError> {
        let name = decode_export_name(data).ok_or(ProtocolError::ExportNameRefused)?;
        self.open(name).map_err(|_| ProtocolError::ExportNameRefused)?;
        let agreement = self.agreement().ok_or(ProtocolError::ExportNameRefused)?;
        let size_bytes = agreement.lease.device().size_bytes();
        let flags = agreement.features.transmission_flags();
        encode_export_name_reply(replies, size_bytes, flags, self.client.no_zeroes);
        Ok(Next::Transmit(agreement))
    }

    fn go(&mut self, data: &[u8], reply: &mut impl FnMut(OptionReply<'_>)) -> Next {
        if self.info(data, reply)
            && let Some(agreement) = self.agreement()
        {
            return Next::Transmit(agreement);
        }
        Next::Haggle
    }

    /// Answers `INFO`, and all of `GO` that the two have in common. Says whether it went well.
    fn info(&mut self, data: &[u8], reply: &mut impl FnMut(OptionReply<'_>)) -> bool {
        let request = match ExportRequest::decode(data) {
            Ok(request) => request,
            Err(OptionDataError(text)) => {
                reply(OptionReply::Invalid(text));
                return false;
            }
        };
        if let Err(error) = self.open(request.name) {
            refuse(&error, reply);
            return false;
        }
        let Some(Opened { lease, .. }) = &self.opened else { return false };
        let flags = self.features(&**lease, request.name).transmission_flags();
        reply(OptionReply::InfoExport { size_bytes: lease.device().size_bytes(), flags });
        for information in request.information {
            match information {
                Information::Export => {}
                Information::Name => reply(OptionReply::InfoName(request.name)),
                Information::Description => {
                    if let Some(text) = lease.description() {
                        reply(OptionReply::InfoDescription(&text));
                    }
                }
                Information::BlockSize => reply(OptionReply::InfoBlockSize {
                    minimum_bytes: BLOCK_BYTES_MINIMUM,
                    preferred_bytes: BLOCK_BYTES_PREFERRED,
                    maximum_bytes: BLOCK_BYTES_MAXIMUM,
                }),
            }
        }
        reply(OptionReply::Ack);
        true
    }

    fn list(&self, data: &[u8], reply: &mut impl FnMut(OptionReply<'_>)) {
        if no_data(data, reply) {
            self.host.exports.list(&self.peer).iter().for_each(|name| reply(OptionReply::Server(name)));
            reply(OptionReply::Ack);
        }
    }
}

fn no_data(data: &[u8], reply: &mut impl FnMut(OptionReply<'_>)) -> bool {
    if !data.is_empty() {
        reply(OptionReply::Invalid("this option has no data"));
    }
    data.is_empty()
}

fn refuse(error: &OpenError, reply: &mut impl FnMut(OptionReply<'_>)) {
    let text = error.to_string();
    match error.kind() {
        OpenErrorKind::NotFound => reply(OptionReply::UnknownExport(&text)),
        OpenErrorKind::Unavailable | OpenErrorKind::NotAllowed => reply(OptionReply::Refused(&text)),
    }
}
