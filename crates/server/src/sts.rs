//! Security Token Service.

mod identity;

use ashlar_api::sts::{self, StsAction, StsApi};

use crate::service::handlers;

handlers! {
    StsApi, StsAction of sts {
        identity::get_caller_identity(GetCallerIdentity) -> GetCallerIdentityResponse;
    }
}
