//! Who calls.

use ashlar_api::sts::GetCallerIdentityResponse;
use ashlar_control::{Identity, Principal};

pub(super) fn of(principal: &Principal) -> GetCallerIdentityResponse {
    let kind = match principal.identity {
        Identity::Role { .. } => "CAMRole",
        Identity::Account | Identity::User { .. } | Identity::Federated { .. } => "CAMUser",
    };
    GetCallerIdentityResponse {
        arn: principal.arn(),
        account_id: principal.account.to_string(),
        user_id: principal.user_id(),
        principal_id: principal.principal.to_string(),
        kind: kind.to_owned(),
    }
}
