//! The API over HTTP/1.1: a request goes in as bytes to the gateway, its answer comes out as bytes.
//!
//! The order of reading: `listener` and `slots` (connections), `refusal` (what is no request), `body` (bounded reading),
//! `proxies` (who called), then the glue below.

mod body;
mod listener;
mod proxies;
mod refusal;
mod slots;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ashlar_api::{
    ApiError, CallSummary, CloudApi, ErrorCode, Gateway, KeyStore, RawRequest, RawResponse, SizeLimits,
};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::{Request, Response};
use openssl::ssl::SslAcceptor;
use tokio::net::TcpListener;

use self::body::{BodyBudget, ReceivedBody};
use self::listener::{ConnectionLost, Service};
use self::proxies::FORWARDED_FOR;
pub(crate) use self::proxies::TrustedProxies;
use self::refusal::HeadError;
use self::slots::Slot;
use crate::clock::steady_now;
use crate::stop::Stop;

/// Serves the API on a listener until `stop`, then finishes the calls under way; with `tls` as HTTPS.
pub(crate) async fn serve<A, K>(
    listener: TcpListener,
    tls: Option<SslAcceptor>,
    proxies: TrustedProxies,
    gateway: Arc<Gateway<A, K>>,
    stop: Stop,
) where
    A: CloudApi + 'static,
    K: KeyStore + 'static,
{
    let service = Arc::new(ApiService { gateway, proxies, budget: BodyBudget::new() });
    listener::run(listener, tls, service, stop).await;
}

/// The gateway behind HTTP.
struct ApiService<A, K> {
    gateway: Arc<Gateway<A, K>>,
    proxies: TrustedProxies,
    budget: BodyBudget,
}

impl<A, K> Service for ApiService<A, K>
where
    A: CloudApi + 'static,
    K: KeyStore + 'static,
{
    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
        slot: &Slot,
    ) -> Result<Response<Full<Bytes>>, ConnectionLost> {
        let started = steady_now();
        let (head, body) = request.into_parts();
        let has_authorization = head.headers.contains_key(AUTHORIZATION);
        let limit_bytes = SizeLimits::body_bytes(head.method.as_str(), has_authorization);
        let received = self.budget.read(body, limit_bytes).await.map_err(|error| {
            tracing::debug!(%peer, ?error, "an API request did not arrive whole");
            ConnectionLost
        })?;
        slot.is_busy();
        let ReceivedBody { bytes, share } = received;
        let said = head.headers.get_all(FORWARDED_FOR);
        let address = self.proxies.caller(peer.ip(), said.iter().map(HeaderValue::as_bytes));
        let raw = raw_request(&head, bytes, peer, address);
        let gateway = self.gateway.clone();
        // A task of its own: a client that hangs up must not stop a call halfway.
        let call = tokio::spawn(async move {
            let answer = gateway.handle(raw).await;
            drop(share);
            log(&answer.summary, started.elapsed());
            answer.body
        });
        let body = match call.await {
            Ok(body) => body,
            Err(error) => {
                let answer = self.gateway.refuse(peer.to_string(), ApiError::internal(error));
                log(&answer.summary, started.elapsed());
                answer.body
            }
        };
        Ok(response(body))
    }

    fn refuse(&self, error: HeadError, peer: SocketAddr) -> Vec<u8> {
        let error = match error {
            HeadError::TooLarge => SizeLimits::exceeded(SizeLimits::GET_BYTES),
            HeadError::Malformed => {
                ApiError::new(ErrorCode::InvalidRequest, "The request is no HTTP/1.1 request.")
            }
        };
        let answer = self.gateway.refuse(peer.to_string(), error);
        log(&answer.summary, Duration::ZERO);
        let mut message = format!(
            "HTTP/1.1 {} OK\r\ncontent-type: {}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            RawResponse::STATUS,
            RawResponse::CONTENT_TYPE,
            answer.body.len()
        )
        .into_bytes();
        message.extend(answer.body);
        message
    }
}

fn raw_request(head: &Parts, body: Vec<u8>, peer: SocketAddr, address: IpAddr) -> RawRequest {
    let target = head.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let header = |(name, value): (&HeaderName, &HeaderValue)| (name.to_string(), value.as_bytes().to_vec());
    RawRequest {
        method: head.method.to_string(),
        target: target.to_owned(),
        headers: head.headers.iter().map(header).collect(),
        body,
        peer: if address == peer.ip() { peer.to_string() } else { format!("{address} through {peer}") },
        address: Some(address),
    }
}

fn response(body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(RawResponse::CONTENT_TYPE));
    response
}

/// One line a call. Reads that succeed are many and dull: they are for debugging.
fn log(summary: &CallSummary, taken: Duration) {
    let action = summary.action.map_or("-", |action| action.spec().name);
    let code = summary.code.map_or("OK", ErrorCode::as_str);
    let account = summary.account.map_or(0, |account| account.0);
    let (request_id, peer) = (&summary.request_id, &summary.peer);
    let duration_ms = u64::try_from(taken.as_millis()).unwrap_or(u64::MAX);
    macro_rules! call_line {
        ($level:ident, $($more:tt)*) => {
            tracing::$level!(action, account, %request_id, code, duration_ms, peer, $($more)*)
        };
    }
    match (&summary.cause, summary.code) {
        (Some(cause), _) => call_line!(error, cause = %cause, "call failed"),
        (None, Some(_)) => call_line!(info, reason = summary.message, "call refused"),
        (None, None) if summary.action.is_some_and(|action| action.spec().writes) => call_line!(info, "call"),
        (None, None) => call_line!(debug, "call"),
    }
}
