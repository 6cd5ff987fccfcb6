//! Agreeing with a client on an export and on features. [`Negotiation`] decides, [`shake_hands`] moves bytes.

use std::io;

use crate::codec::{
    CLIENT_FLAGS_BYTES, ClientFlags, ExportRequest, GREETING, Information, MetaContextRequest,
    OPTION_HEADER_BYTES, OptionCode, OptionDataError, OptionHeader, OptionReply, ProtocolError,
    decode_export_name, encode_export_name_reply, encode_option_reply,
};
use crate::exports::{Exports, Lease, OpenError, OpenErrorKind};
use crate::features::{
    ALLOCATION_CONTEXT, ALLOCATION_CONTEXT_NUMBER, BLOCK_BYTES_MAXIMUM, BLOCK_BYTES_MINIMUM,
    BLOCK_BYTES_PREFERRED, Features,
};
use crate::session::SessionError;
use crate::session_handle::SessionHandle;
use crate::socket::Socket;

/// What was agreed on.
pub(crate) struct Agreement {
    pub(crate) export: String,
    pub(crate) lease: Box<dyn Lease>,
    pub(crate) features: Features,
}

/// Goes through the handshake. `None` if the client ended it in good order.
pub(crate) fn shake_hands(
    session: &SessionHandle,
    exports: &dyn Exports,
) -> Result<Option<Agreement>, SessionError> {
    let socket = session.socket();
    socket.send_all(&GREETING)?;
    let mut flags = [0; CLIENT_FLAGS_BYTES];
    if !receive_exactly(socket, &mut flags)? {
        return Ok(None);
    }
    let mut negotiation = Negotiation::new(exports, session, ClientFlags::decode(flags)?);
    let (mut data, mut replies) = (Vec::new(), Vec::new());
    loop {
        let mut header = [0; OPTION_HEADER_BYTES];
        if !receive_exactly(socket, &mut header)? {
            return Ok(None);
        }
        let header = OptionHeader::decode(header)?;
        data.resize(header.data_bytes, 0);
        if !data.is_empty() && !receive_exactly(socket, &mut data)? {
            return Err(ProtocolError::Truncated.into());
        }
        replies.clear();
        let next = negotiation.answer(header.option, &data, &mut replies)?;
        // After an abort the client may be gone already, which is as good as taking the reply.
        let sent = socket.send_all(&replies);
        match next {
            Next::Haggle => sent?,
            Next::End => return Ok(None),
            Next::Transmit(agreement) => {
                sent?;
                return Ok(Some(agreement));
            }
        }
    }
}

/// Fills the buffer. False at the end of the stream before its first byte.
fn receive_exactly(socket: &Socket, buffer: &mut [u8]) -> Result<bool, SessionError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match socket.receive(&mut buffer[filled..]) {
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
    Transmit(Agreement),
}

/// An export that an option asked for. Kept, so that `GO` finds open what `INFO` has opened.
struct Opened {
    export: String,
    lease: Box<dyn Lease>,
}

/// The state of the haggling.
pub(crate) struct Negotiation<'server> {
    exports: &'server dyn Exports,
    session: &'server SessionHandle,
    client: ClientFlags,
    structured_replies: bool,
    /// The export that `base:allocation` was chosen for.
    block_status_of: Option<String>,
    opened: Option<Opened>,
}

impl<'server> Negotiation<'server> {
    pub(crate) fn new(
        exports: &'server dyn Exports,
        session: &'server SessionHandle,
        client: ClientFlags,
    ) -> Self {
        Self { exports, session, client, structured_replies: false, block_status_of: None, opened: None }
    }

    /// Answers one option: appends the replies.
    pub(crate) fn answer(
        &mut self,
        option: u32,
        data: &[u8],
        replies: &mut Vec<u8>,
    ) -> Result<Next, ProtocolError> {
        let code = OptionCode::from_wire(option);
        if code == Some(OptionCode::ExportName) {
            return self.export_name(data, replies);
        }
        if !self.client.fixed_newstyle {
            return Err(ProtocolError::NotFixedNewstyle);
        }
        let mut reply = |reply: OptionReply<'_>| encode_option_reply(replies, option, &reply);
        match code {
            Some(OptionCode::Go) => return Ok(self.go(data, &mut reply)),
            Some(OptionCode::Info) => {
                self.info(data, &mut reply);
            }
            Some(OptionCode::Abort) => {
                reply(OptionReply::Ack);
                return Ok(Next::End);
            }
            Some(OptionCode::List) => self.list(data, &mut reply),
            Some(OptionCode::StructuredReply) => {
                if no_data(data, &mut reply) {
                    self.structured_replies = true;
                    reply(OptionReply::Ack);
                }
            }
            Some(OptionCode::ListMetaContext) => self.meta_context(data, false, &mut reply),
            Some(OptionCode::SetMetaContext) => self.meta_context(data, true, &mut reply),
            Some(OptionCode::StartTls) => {
                if no_data(data, &mut reply) {
                    reply(OptionReply::Unsupported("this server does not speak TLS"));
                }
            }
            Some(OptionCode::ExportName) | None => reply(OptionReply::Unsupported("unknown option")),
        }
        Ok(Next::Haggle)
    }

    /// The lease of `export`, from the option before if it was for the same.
    fn open(&mut self, export: &str) -> Result<&dyn Lease, OpenError> {
        let kept = self.opened.take().filter(|opened| opened.export == export);
        let opened = match kept {
            Some(opened) => opened,
            None => {
                let lease = self.exports.open(export)?;
                lease.on_withdraw(self.session.clone());
                Opened { export: export.to_owned(), lease }
            }
        };
        Ok(&*self.opened.insert(opened).lease)
    }

    fn features(&self, lease: &dyn Lease, export: &str) -> Features {
        let block_status = self.block_status_of.as_deref() == Some(export);
        Features::of(&*lease.device(), self.structured_replies, block_status)
    }

    fn agreement(&mut self) -> Option<Agreement> {
        let Opened { export, lease } = self.opened.take()?;
        let features = self.features(&*lease, &export);
        Some(Agreement { export, lease, features })
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
            self.exports.list().iter().for_each(|name| reply(OptionReply::Server(name)));
            reply(OptionReply::Ack);
        }
    }

    fn meta_context(&mut self, data: &[u8], choose: bool, reply: &mut impl FnMut(OptionReply<'_>)) {
        if choose {
            // Whatever comes of it, the choice before is void.
            self.block_status_of = None;
        }
        if !self.structured_replies {
            reply(OptionReply::Invalid("metadata contexts need structured replies: agree on them first"));
            return;
        }
        let request = match MetaContextRequest::decode(data) {
            Ok(request) => request,
            Err(OptionDataError(text)) => return reply(OptionReply::Invalid(text)),
        };
        if let Err(error) = self.open(request.name) {
            return refuse(&error, reply);
        }
        let names_it = |query: &&str| *query == ALLOCATION_CONTEXT || (!choose && *query == "base:");
        let lists_all = !choose && request.queries.is_empty();
        if lists_all || request.queries.iter().any(names_it) {
            let number = if choose { ALLOCATION_CONTEXT_NUMBER } else { 0 };
            reply(OptionReply::MetaContext(number, ALLOCATION_CONTEXT));
            if choose {
                self.block_status_of = Some(request.name.to_owned());
            }
        }
        reply(OptionReply::Ack);
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
        OpenErrorKind::Unavailable => reply(OptionReply::Refused(&text)),
    }
}
