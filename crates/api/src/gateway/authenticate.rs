//! Who sent a request: which generation of signature it carries, and whether the signature is good.

use ashlar_types::{SecretId, UnixMillis};

use super::key::{Key, KeyStore};
use super::replay::Proof;
use super::request::RawRequest;
use crate::action::Action;
use crate::decode::{
    Excerpt, ValueBudget, malformed, media_parameter, media_type, pairs_from_query, tree_from_json,
    tree_from_multipart, tree_from_pairs,
};
use crate::error::ApiError;
use crate::error_code::ErrorCode;
use crate::signature::tc3::{self, Authorization, SignedRequest};
use crate::signature::{equal, v1};
use crate::time::{Date, UtcOffset};
use crate::value::Value;

/// How far a request's time may be from the server's, in seconds. Source: reference `common/06-signature-v3`.
pub(super) const WINDOW_SECONDS: i64 = 300;

/// What v1 requests carry beside the action's own parameters. The last two are for statistics and language;
/// messages are in English whatever they say.
const COMMON_PARAMETERS: [&str; 11] = [
    "Action",
    "Version",
    "Region",
    "Timestamp",
    "Nonce",
    "SecretId",
    "Signature",
    "SignatureMethod",
    "Token",
    "RequestClient",
    "Language",
];

/// The common parameters that say what is wanted.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) action: Option<String>,
    pub(super) version: Option<String>,
    pub(super) region: Option<String>,
}

/// Where the action's parameters are.
#[derive(Debug)]
pub(super) enum Parameters {
    /// In the query string, not read yet.
    Query,
    /// In the body, not read yet.
    Body,
    /// Read already, because the signature needed them.
    Pairs(Vec<(String, String)>),
}

/// A request whose signature is good.
#[derive(Debug)]
pub(super) struct Authenticated<P> {
    pub(super) key: Key<P>,
    pub(super) secret_id: SecretId,
    pub(super) common: Common,
    /// For v1: what the request must not be repeated with.
    pub(super) proof: Option<Proof>,
    pub(super) parameters: Parameters,
}

/// Checks time and signature of a request.
pub(super) async fn authenticate<K: KeyStore>(
    request: &RawRequest,
    keys: &K,
    now: UnixMillis,
) -> Result<Authenticated<K::Principal>, ApiError> {
    match request.text_header("Authorization")? {
        Some(authorization) => authenticate_tc3(request, authorization, keys, now).await,
        None => authenticate_v1(request, keys, now).await,
    }
}

async fn authenticate_tc3<K: KeyStore>(
    request: &RawRequest,
    authorization: &str,
    keys: &K,
    now: UnixMillis,
) -> Result<Authenticated<K::Principal>, ApiError> {
    let authorization = Authorization::parse(authorization).map_err(|what| {
        let text = format!("The header `Authorization` is not valid: {what}.");
        ApiError::new(ErrorCode::AuthFailureInvalidAuthorization, text)
    })?;
    let timestamp = required(request.text_header("X-TC-Timestamp")?, "X-TC-Timestamp")?;
    let timestamp_seconds = check_time("X-TC-Timestamp", timestamp, now)?;
    let day = Date::from_unix(UnixMillis(timestamp_seconds.saturating_mul(1000)), UtcOffset::UTC);
    if authorization.date != day.to_string() {
        return Err(bad_signature("the Credential's date is not the UTC day of X-TC-Timestamp"));
    }
    let is_post = request.method == "POST";
    if is_post && !request.query().is_empty() {
        return Err(malformed("A POST request takes its parameters in the body, not in the query string."));
    }
    let (secret_id, key) = find_key(keys, authorization.secret_id).await?;
    let unsigned = request.text_header("X-TC-Content-SHA256")? == Some(tc3::UNSIGNED_PAYLOAD);
    let payload = if unsigned { tc3::UNSIGNED_PAYLOAD.as_bytes() } else { request.body.as_slice() };
    let headers = signed_headers(request, &authorization)?;
    let signed = SignedRequest {
        method: &request.method,
        query: request.query(),
        headers: &headers,
        payload,
        timestamp,
    };
    if !tc3::verify(key.secret_key.expose(), &authorization, &signed) {
        return Err(bad_signature("it does not fit the request and the SecretKey"));
    }
    check_token(&key, request.text_header("X-TC-Token")?, now)?;
    if !is_post && !request.body.is_empty() {
        return Err(malformed("A GET request takes its parameters in the query string, not in a body."));
    }
    let header = |name| request.text_header(name).map(|value| value.map(str::to_owned));
    let common = Common {
        action: header("X-TC-Action")?,
        version: header("X-TC-Version")?,
        region: header("X-TC-Region")?,
    };
    let parameters = if is_post { Parameters::Body } else { Parameters::Query };
    Ok(Authenticated { key, secret_id, common, proof: None, parameters })
}

fn signed_headers<'a>(
    request: &'a RawRequest,
    authorization: &Authorization<'a>,
) -> Result<Vec<(&'a str, &'a [u8])>, ApiError> {
    let value = |name: &'a str| match request.header(name)? {
        Some(value) => Ok((name, value)),
        None => Err(bad_signature(&format!("the signed header `{}` is missing", Excerpt(name)))),
    };
    authorization.signed_headers.iter().map(|name| value(name)).collect()
}

async fn authenticate_v1<K: KeyStore>(
    request: &RawRequest,
    keys: &K,
    now: UnixMillis,
) -> Result<Authenticated<K::Principal>, ApiError> {
    let pairs = v1_pairs(request)?;
    let find = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if let Some(name) =
        COMMON_PARAMETERS.iter().find(|name| pairs.iter().filter(|(key, _)| key == **name).count() > 1)
    {
        return Err(malformed(format!("The parameter `{name}` is given twice.")));
    }
    let secret_id = required(find("SecretId"), "SecretId")?;
    let signature = required(find("Signature"), "Signature")?;
    let nonce = required(find("Nonce"), "Nonce")?;
    if nonce.parse::<u64>().is_err() {
        return Err(malformed(format!(
            "The parameter `Nonce` must be a positive integer, not `{}`.",
            Excerpt(nonce)
        )));
    }
    let timestamp_seconds = check_time("Timestamp", required(find("Timestamp"), "Timestamp")?, now)?;
    let host = required(request.text_header("Host")?, "Host")?;
    let (secret_id, key) = find_key(keys, secret_id).await?;
    let method = v1::Method::from_parameter(find("SignatureMethod"));
    let signed: Vec<(&str, &str)> = pairs
        .iter()
        .filter(|(name, _)| name != "Signature")
        .map(|(name, value)| (&**name, &**value))
        .collect();
    let secret_key = key.secret_key.expose();
    if !v1::verify(secret_key, method, &request.method, host, &signed, signature) {
        return Err(bad_signature("it does not fit the request and the SecretKey"));
    }
    check_token(&key, find("Token"), now)?;
    let mut proof = Proof { timestamp_seconds, signature: [0; 16] };
    // A good signature is base64 of at least 20 bytes, so 16 of its characters hold 96 bits.
    signature.bytes().zip(&mut proof.signature).for_each(|(byte, slot)| *slot = byte);
    let owned = |name| find(name).map(str::to_owned);
    let common = Common { action: owned("Action"), version: owned("Version"), region: owned("Region") };
    let own = pairs.into_iter().filter(|(name, _)| !COMMON_PARAMETERS.contains(&name.as_str())).collect();
    Ok(Authenticated { key, secret_id, common, proof: Some(proof), parameters: Parameters::Pairs(own) })
}

/// The parameters of a request without an `Authorization` header: in the query string, or in a form.
fn v1_pairs(request: &RawRequest) -> Result<Vec<(String, String)>, ApiError> {
    if request.method == "GET" {
        if !request.body.is_empty() {
            return Err(malformed("A GET request takes its parameters in the query string, not in a body."));
        }
        return pairs_from_query(request.query());
    }
    if !request.query().is_empty() {
        return Err(malformed("A POST request takes its parameters in the body, not in the query string."));
    }
    let content_type = request.text_header("Content-Type")?.unwrap_or("");
    if media_type(content_type) != "application/x-www-form-urlencoded" {
        return Err(ApiError::new(
            ErrorCode::AuthFailureInvalidAuthorization,
            "The header `Authorization` is missing: HmacSHA1 and HmacSHA256 are for GET requests and for POST \
             requests of type application/x-www-form-urlencoded; all else needs TC3-HMAC-SHA256.",
        ));
    }
    pairs_from_query(body_text(request)?)
}

fn body_text(request: &RawRequest) -> Result<&str, ApiError> {
    std::str::from_utf8(&request.body).map_err(|_| malformed("The request body is not UTF-8."))
}

impl Parameters {
    /// Reads the action's parameters into a tree.
    pub(super) fn into_tree(self, request: &RawRequest) -> Result<Value, ApiError> {
        let pairs = match self {
            Self::Pairs(pairs) => pairs,
            Self::Query => pairs_from_query(request.query())?,
            Self::Body => return body_tree(request),
        };
        tree_from_pairs(pairs.into_iter().map(|(name, value)| (name, Value::Text(value))))
    }
}

fn body_tree(request: &RawRequest) -> Result<Value, ApiError> {
    let content_type = request.text_header("Content-Type")?.unwrap_or("");
    if media_parameter(content_type, "charset").is_some_and(|charset| !charset.eq_ignore_ascii_case("utf-8"))
    {
        return Err(malformed(format!("The Content-Type `{}` is not UTF-8.", Excerpt(content_type))));
    }
    match media_type(content_type).as_str() {
        // One official client library sends JSON as octets.
        "application/json" | "application/octet-stream" => tree_from_json(&request.body, &ValueBudget::new()),
        "application/x-www-form-urlencoded" => {
            Parameters::Pairs(pairs_from_query(body_text(request)?)?).into_tree(request)
        }
        "multipart/form-data" => {
            tree_from_multipart(&request.body, media_parameter(content_type, "boundary").unwrap_or(""))
        }
        _ => Err(malformed(format!(
            "The Content-Type `{}` is not supported: use application/json.",
            Excerpt(content_type)
        ))),
    }
}

impl Common {
    /// Why no action was found.
    pub(super) fn explain_no_action(&self) -> ApiError {
        let missing = |name: &str| {
            ApiError::new(ErrorCode::MissingParameter, format!("The common parameter `{name}` is missing."))
        };
        let named = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let Some(action) = named(&self.action) else { return missing("Action") };
        if !Action::is_name(&action) {
            let text = format!("The action `{}` does not exist.", Excerpt(&action));
            return ApiError::new(ErrorCode::InvalidAction, text);
        }
        let Some(version) = named(&self.version) else { return missing("Version") };
        let text = format!("The action `{action}` has no version `{}`.", Excerpt(&version));
        ApiError::new(ErrorCode::NoSuchVersion, text)
    }
}

fn required<'a>(value: Option<&'a str>, name: &str) -> Result<&'a str, ApiError> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| {
        ApiError::new(ErrorCode::MissingParameter, format!("The common parameter `{name}` is missing."))
    })
}

/// A temporary key works with its token while both last; a permanent one has none. Comes after the signature, so
/// that only who has the key learns anything about its token.
fn check_token<P>(key: &Key<P>, given: Option<&str>, now: UnixMillis) -> Result<(), ApiError> {
    let refused = |why: &str| {
        let text = format!("The token is not valid: {why}.");
        Err(ApiError::new(ErrorCode::AuthFailureTokenFailure, text))
    };
    match (&key.token, given.filter(|token| !token.is_empty())) {
        (None, None) => Ok(()),
        (None, Some(_)) => refused("this key is a permanent one; leave the token out"),
        (Some(_), None) => refused("this key is a temporary one; send the token that came with it"),
        (Some(token), Some(given)) => {
            if !equal(token.text.expose(), given) {
                return refused("it is not the one that came with this key");
            }
            if now >= token.expires {
                return refused("it has expired; ask for a new key and token");
            }
            Ok(())
        }
    }
}

fn check_time(name: &str, text: &str, now: UnixMillis) -> Result<i64, ApiError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let Some(seconds) = text.parse::<i64>().ok().filter(|_| digits) else {
        let text =
            format!("The common parameter `{name}` must be a time in seconds, not `{}`.", Excerpt(text));
        return Err(malformed(text));
    };
    if now.seconds().abs_diff(seconds) > WINDOW_SECONDS.unsigned_abs() {
        return Err(expired(seconds, now));
    }
    Ok(seconds)
}

/// The error of a request whose time is too far from the server's.
pub(super) fn expired(timestamp_seconds: i64, now: UnixMillis) -> ApiError {
    ApiError::new(
        ErrorCode::AuthFailureSignatureExpire,
        format!(
            "The signature has expired: the request's time is {timestamp_seconds}, the server's is {}; they may \
             differ by {WINDOW_SECONDS} seconds.",
            now.seconds()
        ),
    )
}

fn bad_signature(why: &str) -> ApiError {
    ApiError::new(ErrorCode::AuthFailureSignatureFailure, format!("The signature is not valid: {why}."))
}

async fn find_key<K: KeyStore>(keys: &K, text: &str) -> Result<(SecretId, Key<K::Principal>), ApiError> {
    let secret_id: SecretId = text.parse().map_err(|_| {
        let text = format!("`{}` is no SecretId: it must have 1 to 64 letters and digits.", Excerpt(text));
        ApiError::new(ErrorCode::AuthFailureInvalidSecretId, text)
    })?;
    match keys.find_key(&secret_id).await?.filter(|key| key.enabled) {
        Some(key) => Ok((secret_id, key)),
        None => Err(ApiError::new(
            ErrorCode::AuthFailureSecretIdNotFound,
            format!("The SecretId `{secret_id}` does not exist or is disabled."),
        )),
    }
}
