//! The way of one request through the checks, in their order: protocol and size, signature and time, token,
//! replay, network, rate, action and version, region, decoding, rights; then the call. Nothing is stored for a request before its
//! signature is known to be good, so a flood of strangers costs no memory.

mod authenticate;
mod key;
mod rate;
mod replay;
mod request;

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;

use ashlar_types::{AccountUin, Clock, RandomSource, Region};

pub use key::{Ask, Key, KeyStore, KeyToken, SecretKey};
pub use rate::RateLimits;
pub use request::{RawRequest, RawResponse, SizeLimits};

use self::authenticate::Authenticated;
use self::rate::RateLimiter;
use self::replay::ReplayGuard;
use crate::action::{Action, CloudApi, dispatch};
use crate::caller::{Caller, RequestId};
use crate::decode::Excerpt;
use crate::encode::{write_quoted, write_text};
use crate::error::ApiError;
use crate::error_code::ErrorCode;
use crate::resource::{request_tags, touched};

/// The header with a one-time code, for callers whose device guards what cannot be taken back.
const CODE_HEADER: &str = "X-TC-MFA-Code";

/// What an operator decides about the gateway.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// The regions that exist here.
    pub regions: BTreeSet<Region>,
    /// The region of a request that names none.
    pub default_region: Region,
    /// How often an account may call an action.
    pub rate_limits: RateLimits,
}

/// What the log says of a call. Holds no secret and no parameter.
#[derive(Debug)]
pub struct CallSummary {
    /// The call.
    pub request_id: RequestId,
    /// Where it came from, as the listener said.
    pub peer: String,
    /// The action, once it is known to exist.
    pub action: Option<Action>,
    /// The account, once the signature is known to be good.
    pub account: Option<AccountUin>,
    /// The error code; none for a success.
    pub code: Option<ErrorCode>,
    /// The error's message, as the client got it.
    pub message: Option<String>,
    /// What only the operator may know about the error.
    pub cause: Option<Box<dyn Error + Send + Sync>>,
}

/// Answers requests for one [`CloudApi`].
pub struct Gateway<A, K> {
    api: A,
    keys: K,
    config: GatewayConfig,
    clock: Arc<dyn Clock>,
    random: Arc<dyn RandomSource>,
    replay_guard: ReplayGuard,
    rate_limiter: RateLimiter,
}

impl<A: CloudApi, K: KeyStore> Gateway<A, K> {
    /// A gateway in front of `api`.
    pub fn new(
        api: A,
        keys: K,
        config: GatewayConfig,
        clock: Arc<dyn Clock>,
        random: Arc<dyn RandomSource>,
    ) -> Self {
        let rate_limiter = RateLimiter::new(config.rate_limits.clone());
        Self { api, keys, config, clock, random, replay_guard: ReplayGuard::default(), rate_limiter }
    }

    /// Answers one request. There is always an answer.
    pub async fn handle(&self, request: RawRequest) -> RawResponse {
        let mut summary = self.summary(request.peer.clone());
        let result = self.answer(&request, &mut summary).await;
        finish(result, summary)
    }

    /// The answer to a request that the listener could not or would not read to its end, such as one that
    /// is larger than [`SizeLimits::body_bytes`].
    pub fn refuse(&self, peer: String, error: ApiError) -> RawResponse {
        finish(Err(error), self.summary(peer))
    }

    fn summary(&self, peer: String) -> CallSummary {
        let request_id = RequestId::random(&*self.random);
        CallSummary { request_id, peer, action: None, account: None, code: None, message: None, cause: None }
    }

    async fn answer(&self, request: &RawRequest, summary: &mut CallSummary) -> Result<String, ApiError> {
        request.check_protocol_and_size()?;
        let now = self.clock.now();
        let authenticated = authenticate::authenticate(request, &self.keys, now).await?;
        let Authenticated { key, secret_id, common, proof, parameters } = authenticated;
        summary.account = Some(key.account);
        if let Some(proof) = proof {
            self.replay_guard.admit(&secret_id, proof, now)?;
        }
        let action = common.action.as_deref().zip(common.version.as_deref());
        let action = action.and_then(|(name, version)| Action::find(name, version));
        summary.action = action;
        self.keys.admit(&key.principal, request.address)?;
        self.rate_limiter.admit(key.account, action, now)?;
        let action = match action {
            Some(action) => action,
            None => return Err(common.explain_no_action()),
        };
        let region = self.region(common.region.as_deref())?;
        let parameters = parameters.into_tree(request)?;
        let code = request.text_header(CODE_HEADER)?.map(str::trim).filter(|code| !code.is_empty());
        let Key { account, app_id, operator, is_restricted, .. } = key;
        let (resources, request_tags) = match is_restricted {
            true => (touched(action.spec(), &parameters), request_tags(&parameters)),
            false => (Vec::new(), Vec::new()),
        };
        let address = request.address;
        let request_id = summary.request_id;
        let caller = Caller { account, app_id, operator, secret_id, region, address, request_id };
        let region = &caller.region;
        let ask = Ask { action, resources, request_tags, account, app_id, region, address, code, now };
        let permit = self.keys.authorize(&key.principal, ask);
        dispatch(&self.api, action, &caller, parameters, permit).await
    }

    /// The pages call `Region` not required for these actions, and nearly every client sends it.
    fn region(&self, name: Option<&str>) -> Result<Region, ApiError> {
        let Some(name) = name.filter(|name| !name.is_empty()) else {
            return Ok(self.config.default_region.clone());
        };
        let known = self.config.regions.iter().find(|region| region.as_str() == name);
        known.cloned().ok_or_else(|| {
            let regions: Vec<&str> = self.config.regions.iter().map(Region::as_str).collect();
            ApiError::new(
                ErrorCode::UnsupportedRegion,
                format!(
                    "The region `{}` does not exist here: there are {}.",
                    Excerpt(name),
                    regions.join(", ")
                ),
            )
        })
    }
}

fn finish(result: Result<String, ApiError>, mut summary: CallSummary) -> RawResponse {
    let body = match result {
        Ok(body) => body,
        Err(error) => {
            let mut body = String::from("{\"Response\":{\"Error\":{\"Code\":");
            write_quoted(&mut body, &error.code);
            body.push_str(",\"Message\":");
            write_text(&mut body, &error.message);
            body.push_str("},\"RequestId\":");
            write_quoted(&mut body, &summary.request_id);
            body.push_str("}}");
            summary.code = Some(error.code);
            summary.message = Some(error.message);
            summary.cause = error.cause;
            body
        }
    };
    RawResponse { body: body.into_bytes(), summary }
}
