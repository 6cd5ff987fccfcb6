//! Accepting connections and ending them.

use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use openssl::ssl::{Ssl, SslAcceptor};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_openssl::SslStream;

use super::refusal::{HeadError, RefusalStream};
use super::slots::{Slot, Slots};
use crate::stop::Stop;

/// Connections at the same time. When all are taken, a newcomer takes the place of the longest waiting one.
const CONNECTIONS_MAX: usize = 512;

/// How long a client may take to send a request's head, and how long a connection may idle between requests.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Room for a head: a GET of 32 KiB, the gateway's limit, with its headers.
const HEAD_BYTES_MAX: usize = 96 << 10;

/// Headers of one request. The clients send about 20.
const HEADERS_MAX: usize = 100;

/// How long a client may leave sent bytes unacknowledged, or its receive window shut.
const SEND_TIMEOUT_MS: u32 = 30_000;

/// How long, and for how many bytes, a client may go on sending after its last answer.
const LINGER_TIMEOUT: Duration = Duration::from_secs(1);
const LINGER_BYTES_MAX: usize = 4 << 20;

/// How long accepting pauses when the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What answers the requests.
pub(super) trait Service: Send + Sync + 'static {
    /// Answers one request, and tells the slot when it has arrived whole. An error ends the connection without
    /// an answer.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        slot: &Slot,
    ) -> impl Future<Output = Result<Response<Full<Bytes>>, ConnectionLost>> + Send;

    /// A whole HTTP answer to a request whose head could not be read.
    fn refuse(&self, error: HeadError, peer: SocketAddr) -> Vec<u8>;
}

/// The request did not arrive whole; there is nobody to answer.
#[derive(Debug)]
pub(super) struct ConnectionLost;

impl std::fmt::Display for ConnectionLost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the request did not arrive whole")
    }
}

impl std::error::Error for ConnectionLost {}

/// Serves until `stop`, then finishes the requests under way and returns. With `tls`, a connection begins with it.
pub(super) async fn run<S: Service>(
    listener: TcpListener,
    tls: Option<SslAcceptor>,
    service: Arc<S>,
    mut stop: Stop,
) {
    let slots = Slots::new(CONNECTIONS_MAX);
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.wanted() => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        match accepted {
            Ok((stream, peer, slot)) => {
                let (tls, service, stop) = (tls.clone(), service.clone(), stop.clone());
                connections.spawn(async move {
                    match tls {
                        None => serve_plain(stream, peer, slot, service, stop).await,
                        Some(tls) => serve_tls(stream, tls, peer, slot, service, stop).await,
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept an API connection");
                // Out of descriptors: wait a little, or until the server stops.
                let _ = timeout(ACCEPT_PAUSE, stop.wanted()).await;
            }
        }
        while connections.try_join_next().is_some() {}
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

async fn accept(
    listener: &TcpListener,
    slots: &Arc<Slots>,
) -> std::io::Result<(TcpStream, SocketAddr, Slot)> {
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, slots.enter().await))
}

async fn serve_plain<S: Service>(
    stream: TcpStream,
    peer: SocketAddr,
    slot: Slot,
    service: Arc<S>,
    stop: Stop,
) {
    let lingering = prepare(&stream);
    serve_connection(stream, lingering, peer, slot, service, stop).await;
}

async fn serve_tls<S: Service>(
    stream: TcpStream,
    tls: SslAcceptor,
    peer: SocketAddr,
    slot: Slot,
    service: Arc<S>,
    mut stop: Stop,
) {
    let lingering = prepare(&stream);
    let stream = Ssl::new(tls.context()).and_then(|ssl| SslStream::new(ssl, stream));
    let mut stream = match stream {
        Ok(stream) => stream,
        Err(error) => return tracing::warn!(%error, "cannot begin TLS"),
    };
    let accept = timeout(HEAD_TIMEOUT, Pin::new(&mut stream).accept());
    let accepted = tokio::select! {
        accepted = accept => accepted,
        () = slot.evicted() => return,
        () = stop.wanted() => return,
    };
    match accepted {
        Ok(Ok(())) => serve_connection(stream, lingering, peer, slot, service, stop).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "an API connection did not begin with TLS"),
        Err(_) => tracing::debug!(%peer, "an API connection did not begin in time"),
    }
}

/// Sets what the connection needs, and gives a second handle of it for its end.
fn prepare(stream: &TcpStream) -> std::io::Result<OwnedFd> {
    // Neither setting is needed for a right answer, so a refusal is no reason to hang up.
    let _ = stream.set_nodelay(true);
    let _ = rustix::net::sockopt::set_tcp_user_timeout(stream, SEND_TIMEOUT_MS);
    stream.as_fd().try_clone_to_owned()
}

async fn serve_connection<S: Service>(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    lingering: std::io::Result<OwnedFd>,
    peer: SocketAddr,
    slot: Slot,
    service: Arc<S>,
    mut stop: Stop,
) {
    let refusing = service.clone();
    let stream = RefusalStream::new(stream, move |error| refusing.refuse(error, peer));
    let answer = service_fn(|request| async {
        let answer = service.answer(request, peer, &slot).await;
        slot.waits();
        answer
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_headers(HEADERS_MAX)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), answer)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = slot.evicted() => {
            tracing::debug!(%peer, "an API connection made room for another");
            return;
        }
        () = stop.wanted() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "an API connection broke");
    }
    if let Ok(socket) = lingering {
        // Whatever comes of it, the connection is over.
        tokio::select! {
            _ = timeout(LINGER_TIMEOUT, discard(socket)) => {}
            () = slot.evicted() => {}
            () = stop.wanted() => {}
        }
    }
}

/// Reads what the client still sends. Closing a socket with unread bytes resets the connection, and the client
/// might lose the answer it was sent.
async fn discard(socket: OwnedFd) -> std::io::Result<()> {
    let mut stream = TcpStream::from_std(std::net::TcpStream::from(socket))?;
    let mut buffer = [0; 4096];
    let mut left_bytes = LINGER_BYTES_MAX;
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            read if read >= left_bytes => return Ok(()),
            read => left_bytes -= read,
        }
    }
}
