//! Who calls.

use crate::model::model;

model! {
    /// Tells whose key signed the call. Needs no right.
    pub struct GetCallerIdentity("GetCallerIdentityRequest"): input {
    }

    /// The answer of [`GetCallerIdentity`].
    pub struct GetCallerIdentityResponse("GetCallerIdentityResponse"): output {
        /// The caller's name in six parts.
        pub arn: String = "Arn",
        /// The account that the caller acts for.
        pub account_id: String = "AccountId",
        /// The caller: an account, a user, or who a temporary key stands for.
        pub user_id: String = "UserId",
        /// The account or user whose key it is, or who asked for it.
        pub principal_id: String = "PrincipalId",
        /// `CAMUser` or `CAMRole`.
        pub kind: String = "Type",
    }
}
