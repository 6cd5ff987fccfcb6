//! A request and an answer as the HTTP listener sees them.

use std::net::IpAddr;

use super::CallSummary;
use crate::error::ApiError;
use crate::error_code::ErrorCode;

/// A request as it came over the wire, before anything is known about it.
#[derive(Debug, Clone, Default)]
pub struct RawRequest {
    /// The method, as sent.
    pub method: String,
    /// The path and the query string, not decoded.
    pub target: String,
    /// The headers in their order; names in any case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The whole body.
    pub body: Vec<u8>,
    /// Where it came from, for the log.
    pub peer: String,
    /// The address that it came from, where there is one.
    pub address: Option<IpAddr>,
}

/// An answer. Its HTTP status is always [`RawResponse::STATUS`], its content type always
/// [`RawResponse::CONTENT_TYPE`]: clients take anything else for a broken network.
#[derive(Debug)]
pub struct RawResponse {
    /// The body.
    pub body: Vec<u8>,
    /// For the log.
    pub summary: CallSummary,
}

impl RawResponse {
    /// The HTTP status of every answer, errors included.
    pub const STATUS: u16 = 200;

    /// The content type of every answer. One client library compares it byte for byte.
    pub const CONTENT_TYPE: &'static str = "application/json";
}

/// How large a request may be. Source: reference `common/03-request-structure`.
#[derive(Debug, Clone, Copy)]
pub struct SizeLimits;

impl SizeLimits {
    /// A GET request: target and body together.
    pub const GET_BYTES: usize = 32 * 1024;

    /// The body of a POST request signed with HmacSHA1 or HmacSHA256.
    pub const POST_V1_BYTES: usize = 1024 * 1024;

    /// The body of a POST request signed with TC3-HMAC-SHA256.
    pub const POST_TC3_BYTES: usize = 10 * 1024 * 1024;

    /// How much of a body a listener needs to read, seeing the head: where there is more, it may stop and
    /// answer [`SizeLimits::exceeded`].
    #[must_use]
    pub fn body_bytes(method: &str, has_authorization: bool) -> usize {
        match (method, has_authorization) {
            ("POST", true) => Self::POST_TC3_BYTES,
            ("POST", false) => Self::POST_V1_BYTES,
            _ => Self::GET_BYTES,
        }
    }

    /// The error of a request larger than `limit_bytes`.
    #[must_use]
    pub fn exceeded(limit_bytes: usize) -> ApiError {
        ApiError::new(
            ErrorCode::RequestSizeLimitExceeded,
            format!("The request is larger than the {limit_bytes} bytes that its kind may have."),
        )
    }
}

impl RawRequest {
    /// GET and POST alone exist, each with its size.
    pub(super) fn check_protocol_and_size(&self) -> Result<(), ApiError> {
        let size_bytes = match self.method.as_str() {
            "GET" => self.target.len() + self.body.len(),
            "POST" => self.body.len(),
            _ => {
                let text = "Only the methods GET and POST are supported.";
                return Err(ApiError::new(ErrorCode::UnsupportedProtocol, text));
            }
        };
        let has_authorization =
            self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
        let limit_bytes = SizeLimits::body_bytes(&self.method, has_authorization);
        if size_bytes > limit_bytes { Err(SizeLimits::exceeded(limit_bytes)) } else { Ok(()) }
    }

    /// What follows the question mark, as it stands.
    pub(super) fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// The value of a header as it stands. A header given twice has no one value.
    pub(super) fn header(&self, name: &str) -> Result<Option<&[u8]>, ApiError> {
        let mut values =
            self.headers.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value);
        let first = values.next().map(Vec::as_slice);
        match values.next() {
            None => Ok(first),
            Some(_) => Err(ApiError::new(
                ErrorCode::InvalidParameter,
                format!("The header `{name}` is given twice."),
            )),
        }
    }

    /// The value of a header that must be text, without spaces around it.
    pub(super) fn text_header(&self, name: &str) -> Result<Option<&str>, ApiError> {
        let value = self.header(name)?.map(|value| std::str::from_utf8(value).map(str::trim));
        value.transpose().map_err(|_| {
            ApiError::new(ErrorCode::InvalidParameter, format!("The header `{name}` is not UTF-8."))
        })
    }
}
