//! Who calls.

use ashlar_api::sts::{GetCallerIdentity, GetCallerIdentityResponse};
use ashlar_control::{Caller, Control};

use crate::service::Handled;

/// Every key is its account's own.
pub(super) async fn get_caller_identity(
    _: &Control,
    caller: &Caller,
    _: GetCallerIdentity,
) -> Handled<GetCallerIdentityResponse> {
    let account = caller.account.to_string();
    Ok(GetCallerIdentityResponse {
        arn: format!("qcs::cam:{account}:uin/{account}"),
        account_id: account.clone(),
        user_id: account.clone(),
        principal_id: account,
        kind: "CAMUser".to_owned(),
    })
}
