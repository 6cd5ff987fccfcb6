//! Temporary keys.

use crate::model::model;
use crate::schema::Rules;

/// The most tags of a session. Source: the client libraries, AssumeRole, `Tags`.
const TAGS: Rules = Rules::NONE.count_max(50, crate::ErrorCode::InvalidParameterParamError);

model! {
    /// Gives a key for a role that trusts the caller.
    pub struct AssumeRole("AssumeRoleRequest"): input {
        /// `qcs::cam::uin/UIN:roleName/NAME` or `qcs::cam::uin/UIN:role/NUMBER`.
        pub role_arn: String = "RoleArn",
        /// What the session is called, 2 to 128 characters.
        pub role_session_name: String = "RoleSessionName",
        /// How long the key works. Default: 7200; the role may allow up to 43200.
        pub duration_seconds: Option<u64> = "DurationSeconds",
        /// What the session may do at most: a policy, percent-encoded or plain.
        pub policy: Option<String> = "Policy",
        /// What the role's trust may ask for.
        pub external_id: Option<String> = "ExternalId",
        /// Tags of the session, which policies see as the caller's. Each key once.
        pub tags: Option<Vec<SessionTag>> = "Tags" => TAGS,
        /// The caller's own number.
        pub source_identity: Option<String> = "SourceIdentity",
        /// The caller's device, `qcs::cam:uin/UIN::mfa/softToken`.
        pub serial_number: Option<String> = "SerialNumber",
        /// The one-time code that the device shows.
        pub token_code: Option<String> = "TokenCode",
    }

    /// The answer of [`AssumeRole`].
    pub struct AssumeRoleResponse("AssumeRoleResponse"): output {
        /// The key.
        pub credentials: Credentials = "Credentials",
        /// When it ends, in seconds since 1970.
        pub expired_time: i64 = "ExpiredTime",
        /// The same as text.
        pub expiration: String = "Expiration",
    }

    /// Gives a key that acts in the caller's name, within a policy.
    pub struct GetFederationToken("GetFederationTokenRequest"): input {
        /// Who shall act.
        pub name: String = "Name",
        /// What they may do at most: a policy, percent-encoded or plain.
        pub policy: String = "Policy",
        /// How long the key works. Default: 1800; at most 7200 for an account, 129600 for a user.
        pub duration_seconds: Option<u64> = "DurationSeconds",
    }

    /// The answer of [`GetFederationToken`].
    pub struct GetFederationTokenResponse("GetFederationTokenResponse"): output {
        /// The key.
        pub credentials: Credentials = "Credentials",
        /// When it ends, in seconds since 1970.
        pub expired_time: u64 = "ExpiredTime",
        /// The same as text.
        pub expiration: String = "Expiration",
    }

    /// A temporary key.
    pub struct Credentials("Credentials"): output {
        /// What must come with each request.
        pub token: String = "Token",
        /// The public half.
        pub tmp_secret_id: String = "TmpSecretId",
        /// The secret half.
        pub tmp_secret_key: String = "TmpSecretKey",
    }

    /// A tag of a session.
    pub struct SessionTag("Tag"): input {
        /// The key, 1 to 128 characters.
        pub key: String = "Key",
        /// The value, up to 256 characters.
        pub value: String = "Value",
    }
}
