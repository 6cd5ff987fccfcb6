//! A gateway whose API records its calls, and a client that signs like the official libraries.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use ashlar_api::signature::tc3::SignedRequest;
use ashlar_api::signature::{tc3, v1};
use ashlar_api::{
    Action, ApiError, Ask, ErrorCode, Gateway, GatewayConfig, Key, KeyStore, KeyToken, RateLimits,
    RawRequest, RawResponse, SecretKey,
};
use ashlar_types::{AccountUin, AppId, ManualClock, SecretId, SeededRandom, UnixMillis, UserUin};
use serde_json::Value;

use crate::recorder::{Calls, Recorder};

pub(crate) const SECRET_ID: &str = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE";
/// A temporary key with the same secret half, which ends in a minute.
pub(crate) const TEMPORARY_ID: &str = "AKIDtemporary";
pub(crate) const TOKEN: &str = "token0123456789";
pub(crate) const SECRET_KEY: &str = "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE";
pub(crate) const HOST: &str = "127.0.0.1:9600";
pub(crate) const NOW_SECONDS: i64 = 1_551_113_065;

/// The version in which an action exists; for what does not exist, that of the block storage.
fn version_of(action: &str) -> &'static str {
    let found = Action::all().find(|known| known.spec().name == action);
    found.map_or("2017-03-12", |known| known.spec().version)
}

/// One key that works and one that is disabled.
pub(crate) struct Keys;

impl KeyStore for Keys {
    type Principal = ();

    async fn find_key(&self, secret_id: &SecretId) -> Result<Option<Key<()>>, ApiError> {
        let enabled = match secret_id.as_str() {
            SECRET_ID | TEMPORARY_ID => true,
            "AKIDdisabled" => false,
            _ => return Ok(None),
        };
        Ok(Some(Key {
            secret_key: SecretKey::new(SECRET_KEY),
            token: (secret_id.as_str() == TEMPORARY_ID).then(|| KeyToken {
                text: SecretKey::new(TOKEN),
                expires: UnixMillis((NOW_SECONDS + 60) * 1000),
            }),
            account: AccountUin(100_000_000_001),
            app_id: AppId(1_250_000_001),
            operator: UserUin(100_000_000_001),
            enabled,
            is_restricted: true,
            principal: (),
        }))
    }

    /// No calls from 10.0.0.1.
    fn admit(&self, _: &(), address: Option<IpAddr>) -> Result<(), ApiError> {
        if address == Some(IpAddr::from([10, 0, 0, 1])) {
            return Err(ApiError::new(ErrorCode::IpInBlacklist, "Not from there."));
        }
        Ok(())
    }

    /// Nothing on `disk-denied00`.
    async fn authorize(&self, _: &(), ask: Ask<'_>) -> Result<(), ApiError> {
        let is_denied = |name: &Option<String>| name.as_deref() == Some("disk-denied00");
        if ask.resources.iter().any(|touched| is_denied(&touched.name)) {
            return Err(ApiError::new(ErrorCode::AuthFailureUnauthorizedOperation, "Not this one."));
        }
        Ok(())
    }
}

/// A gateway with all that a test wants to see of it.
pub(crate) struct Bench {
    pub(crate) gateway: Gateway<Recorder, Keys>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) calls: Calls,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with_rates(RateLimits::Off)
    }

    pub(crate) fn with_rates(rate_limits: RateLimits) -> Self {
        let calls = Calls::default();
        let clock = Arc::new(ManualClock::new(UnixMillis(NOW_SECONDS * 1000)));
        let config = GatewayConfig {
            regions: ["ap-guangzhou", "ap-shanghai"].map(|region| region.parse().unwrap()).into(),
            default_region: "ap-guangzhou".parse().unwrap(),
            rate_limits,
        };
        let random = Arc::new(SeededRandom::new(1));
        let gateway = Gateway::new(Recorder::new(&calls), Keys, config, clock.clone(), random);
        Self { gateway, clock, calls }
    }

    /// The answer's bytes, held against what holds for every answer.
    pub(crate) fn raw(&self, request: RawRequest) -> RawResponse {
        let response = ready(self.gateway.handle(request));
        let body: Value = serde_json::from_slice(&response.body).expect("every answer is JSON");
        let inner = &body["Response"];
        assert_eq!(inner["RequestId"], response.summary.request_id.to_string(), "{body}");
        assert_eq!(inner["Error"].is_object(), response.summary.code.is_some(), "{body}");
        if inner["Error"].is_object() {
            assert!(response.body.len() < 2_000, "an error is never as large as an attack: {body}");
        }
        response
    }

    /// The error code of the answer, or `ok`; and the message.
    pub(crate) fn outcome(&self, request: RawRequest) -> (String, String) {
        let summary = self.raw(request).summary;
        let code = summary.code.map_or_else(|| "ok".to_owned(), |code| code.to_string());
        (code, summary.message.unwrap_or_default())
    }

    /// What the API was called with since the last time this was asked.
    pub(crate) fn take_calls(&self) -> Vec<(String, String)> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    /// The request that the API got for `request`, which must succeed.
    pub(crate) fn decoded(&self, request: RawRequest) -> String {
        let text = format!("{} {:?}", request.target, String::from_utf8_lossy(&request.body));
        let (code, message) = self.outcome(request);
        assert_eq!(code, "ok", "{message} for {text}");
        self.take_calls().pop().expect("the API was called").1
    }
}

/// The value of a future that never waits.
pub(crate) fn ready<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("nothing here waits"),
    }
}

/// A request of the newer generation, before it is signed.
#[derive(Debug, Clone)]
pub(crate) struct Tc3 {
    pub(crate) method: &'static str,
    pub(crate) action: String,
    pub(crate) version: &'static str,
    pub(crate) query: String,
    pub(crate) content_type: String,
    pub(crate) body: Vec<u8>,
    pub(crate) timestamp_seconds: i64,
    pub(crate) region: Option<&'static str>,
    pub(crate) unsigned_payload: bool,
    /// Another day than the timestamp's, for the credential scope.
    pub(crate) scope_date: Option<&'static str>,
}

impl Tc3 {
    pub(crate) fn json(action: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::post(action, "application/json", body)
    }

    pub(crate) fn post(action: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            method: "POST",
            action: action.to_owned(),
            version: version_of(action),
            query: String::new(),
            content_type: content_type.to_owned(),
            body: body.into(),
            timestamp_seconds: NOW_SECONDS,
            region: Some("ap-guangzhou"),
            unsigned_payload: false,
            scope_date: None,
        }
    }

    pub(crate) fn get(action: &str, query: &str) -> Self {
        let form = "application/x-www-form-urlencoded";
        Self { method: "GET", query: query.to_owned(), ..Self::post(action, form, "") }
    }

    /// For an action whose name several products have.
    pub(crate) fn to(self, action: Action) -> Self {
        Self { version: action.spec().version, ..self }
    }

    pub(crate) fn sign(self) -> RawRequest {
        self.sign_with(SECRET_ID, SECRET_KEY)
    }

    pub(crate) fn sign_with(self, secret_id: &str, secret_key: &str) -> RawRequest {
        let timestamp = self.timestamp_seconds.to_string();
        let date = ashlar_api::Date::from_unix(
            UnixMillis(self.timestamp_seconds * 1000),
            ashlar_api::UtcOffset::UTC,
        );
        let date = self.scope_date.map_or_else(|| date.to_string(), str::to_owned);
        let headers = [("content-type", self.content_type.as_bytes()), ("host", HOST.as_bytes())];
        let payload = if self.unsigned_payload { b"UNSIGNED-PAYLOAD" } else { self.body.as_slice() };
        let signed = SignedRequest {
            method: self.method,
            query: &self.query,
            headers: &headers,
            payload,
            timestamp: &timestamp,
        };
        let signature = tc3::sign(secret_key, &date, "cbs", &signed);
        let authorization = format!(
            "TC3-HMAC-SHA256 Credential={secret_id}/{date}/cbs/tc3_request, SignedHeaders=content-type;host, \
             Signature={signature}"
        );
        let mut headers = vec![
            ("Host", HOST.to_owned()),
            ("Content-Type", self.content_type),
            ("Authorization", authorization),
            ("X-TC-Action", self.action),
            ("X-Tc-Version", self.version.to_owned()),
            ("X-TC-Timestamp", timestamp),
            ("X-TC-RequestClient", "SDK_TEST".to_owned()),
            ("X-TC-TraceId", "5c1dbdf7-6b0c-4ee3-8a52-8ab5a4a17d34".to_owned()),
        ];
        headers.extend(self.region.map(|region| ("X-TC-Region", region.to_owned())));
        if self.unsigned_payload {
            headers.push(("X-TC-Content-SHA256", "UNSIGNED-PAYLOAD".to_owned()));
        }
        RawRequest {
            method: self.method.to_owned(),
            target: if self.query.is_empty() { "/".to_owned() } else { format!("/?{}", self.query) },
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes())).collect(),
            body: self.body,
            peer: "test".to_owned(),
            address: None,
        }
    }
}

/// A request of the older generation, before it is signed.
#[derive(Debug, Clone)]
pub(crate) struct V1 {
    pub(crate) method: &'static str,
    pub(crate) parameters: Vec<(String, String)>,
}

impl V1 {
    /// The common parameters, and the action's own.
    pub(crate) fn new(method: &'static str, action: &str, own: &[(&str, &str)]) -> Self {
        let timestamp = NOW_SECONDS.to_string();
        let common = [
            ("Action", action),
            ("Version", version_of(action)),
            ("Region", "ap-guangzhou"),
            ("Timestamp", &timestamp),
            ("Nonce", "5371528941235689412"),
            ("SecretId", SECRET_ID),
            ("RequestClient", "SDK_TEST"),
            ("Language", "zh-CN"),
        ];
        let pairs = common.iter().chain(own).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self { method, parameters: pairs.collect() }
    }

    /// As [`Tc3::to`].
    pub(crate) fn to(self, action: Action) -> Self {
        self.with("Version", Some(action.spec().version))
    }

    /// Sets a parameter, or takes it away.
    pub(crate) fn with(mut self, name: &str, value: Option<&str>) -> Self {
        self.parameters.retain(|(key, _)| key != name);
        self.parameters.extend(value.map(|value| (name.to_owned(), value.to_owned())));
        self
    }

    pub(crate) fn sign(mut self) -> RawRequest {
        let pairs: Vec<(&str, &str)> =
            self.parameters.iter().map(|(name, value)| (&**name, &**value)).collect();
        let method =
            self.parameters.iter().find(|(name, _)| name == "SignatureMethod").map(|(_, value)| &**value);
        let signature = v1::sign(SECRET_KEY, v1::Method::from_parameter(method), self.method, HOST, &pairs);
        self.parameters.push(("Signature".to_owned(), signature));
        self.send()
    }

    /// The request with whatever signature its parameters hold.
    pub(crate) fn send(self) -> RawRequest {
        let query = encode_pairs(&self.parameters);
        let is_get = self.method == "GET";
        RawRequest {
            method: self.method.to_owned(),
            target: if is_get { format!("/?{query}") } else { "/".to_owned() },
            headers: vec![
                ("host".to_owned(), HOST.into()),
                ("content-type".to_owned(), b"application/x-www-form-urlencoded".to_vec()),
            ],
            body: if is_get { Vec::new() } else { query.into_bytes() },
            peer: "test".to_owned(),
            address: None,
        }
    }
}

/// `name=value` pairs with percent-encoding.
pub(crate) fn encode_pairs(pairs: &[(String, String)]) -> String {
    let encode = |text: &str| {
        let byte = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                char::from(byte).to_string()
            }
            b' ' => "+".to_owned(),
            other => format!("%{other:02X}"),
        };
        text.bytes().map(byte).collect::<String>()
    };
    pairs
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)))
        .collect::<Vec<_>>()
        .join("&")
}

/// The dotted pairs of a JSON value, as the flat encodings write it.
pub(crate) fn flatten(value: &Value) -> Vec<(String, String)> {
    fn walk(prefix: &str, value: &Value, pairs: &mut Vec<(String, String)>) {
        let join = |segment: &str| {
            if prefix.is_empty() { segment.to_owned() } else { format!("{prefix}.{segment}") }
        };
        match value {
            Value::Null => {}
            Value::Object(members) => {
                members.iter().for_each(|(name, value)| walk(&join(name), value, pairs))
            }
            Value::Array(elements) => {
                elements
                    .iter()
                    .enumerate()
                    .for_each(|(index, value)| walk(&join(&index.to_string()), value, pairs));
            }
            Value::String(text) => pairs.push((prefix.to_owned(), text.clone())),
            // The Python library writes booleans so.
            Value::Bool(true) => pairs.push((prefix.to_owned(), "True".to_owned())),
            Value::Bool(false) => pairs.push((prefix.to_owned(), "False".to_owned())),
            Value::Number(number) => pairs.push((prefix.to_owned(), number.to_string())),
        }
    }
    let mut pairs = Vec::new();
    walk("", value, &mut pairs);
    pairs
}
