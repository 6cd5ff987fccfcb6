//! Security Token Service, version 2018-08-13: who calls, and keys for a while.

mod actions;
mod errors;
mod identity;
mod session;

pub(crate) use actions::dispatch;
pub use actions::{StsAction, StsApi};
pub use identity::{GetCallerIdentity, GetCallerIdentityResponse};
pub use session::{
    AssumeRole, AssumeRoleResponse, Credentials, GetFederationToken, GetFederationTokenResponse, SessionTag,
};
