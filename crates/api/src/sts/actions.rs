//! The table of the actions of Security Token Service.

use crate::action::product;

product! {
    "Security Token Service", Sts "sts" "2018-08-13": StsAction, StsApi {
        AssumeRole assume_role -> AssumeRoleResponse, 600 per second,
            writes [Role("RoleArn")];
        GetCallerIdentity get_caller_identity -> GetCallerIdentityResponse, 20 per second,
            public [];
        GetFederationToken get_federation_token -> GetFederationTokenResponse, 600 per second,
            writes [];
    }
}
