//! The table of the actions of Security Token Service.

use crate::action::product;

product! {
    "Security Token Service", Sts "sts" "2018-08-13": StsAction, StsApi {
        GetCallerIdentity get_caller_identity -> GetCallerIdentityResponse, 20 per second,
            reads [];
    }
}
