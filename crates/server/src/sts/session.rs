//! Temporary keys.

use std::net::IpAddr;

use ashlar_api::sts::{
    AssumeRole, AssumeRoleResponse, Credentials, GetFederationToken, GetFederationTokenResponse, SessionTag,
};
use ashlar_api::{DateTime, UtcOffset};
use ashlar_control::{Control, Principal};
use ashlar_types::UnixMillis;

use crate::service::Handled;

pub(super) async fn assume_role(
    control: &Control,
    caller: &Principal,
    address: Option<IpAddr>,
    request: AssumeRole,
) -> Handled<AssumeRoleResponse> {
    let tag = |SessionTag { key, value }| ashlar_control::Tag { key, value };
    let wanted = ashlar_control::AssumeRole {
        role_arn: request.role_arn,
        session_name: request.role_session_name,
        duration_seconds: request.duration_seconds,
        policy: request.policy,
        external_id: request.external_id,
        tags: request.tags.into_iter().flatten().map(tag).collect(),
        source_identity: request.source_identity,
        serial_number: request.serial_number,
        token_code: request.token_code,
    };
    let given = control.assume_role(caller, address, wanted).await?;
    Ok(AssumeRoleResponse {
        expired_time: given.expires.seconds(),
        expiration: utc(given.expires),
        credentials: credentials(given),
    })
}

pub(super) async fn get_federation_token(
    control: &Control,
    caller: &Principal,
    request: GetFederationToken,
) -> Handled<GetFederationTokenResponse> {
    let wanted = ashlar_control::GetFederationToken {
        name: request.name,
        policy: request.policy,
        duration_seconds: request.duration_seconds,
    };
    let given = control.get_federation_token(caller, wanted).await?;
    Ok(GetFederationTokenResponse {
        expired_time: u64::try_from(given.expires.seconds()).unwrap_or(0),
        expiration: utc(given.expires),
        credentials: credentials(given),
    })
}

fn credentials(given: ashlar_control::Credentials) -> Credentials {
    Credentials {
        token: given.token,
        tmp_secret_id: given.secret_id.to_string(),
        tmp_secret_key: given.secret_key,
    }
}

/// `2018-12-04T09:06:16Z`.
fn utc(time: UnixMillis) -> String {
    format!("{}Z", DateTime::from_unix(time, UtcOffset::UTC).to_string().replace(' ', "T"))
}
