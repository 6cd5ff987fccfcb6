//! Security Token Service: who calls, and keys for a while. These actions are about the caller as a person, so
//! they get the principal behind the key.

mod identity;
mod session;

use std::sync::Arc;

use ashlar_api::sts::{
    AssumeRole, AssumeRoleResponse, GetCallerIdentity, GetCallerIdentityResponse, GetFederationToken,
    GetFederationTokenResponse, StsAction, StsApi,
};
use ashlar_api::{ApiError, Caller};
use ashlar_control::Principal;

use crate::service::{Service, error};

impl StsApi for Service {
    async fn assume_role(
        &self,
        caller: &Caller,
        request: AssumeRole,
    ) -> Result<AssumeRoleResponse, ApiError> {
        let principal = self.principal(caller).await?;
        let done = session::assume_role(&self.control, &principal, caller.address, request).await;
        done.map_err(|refusal| error::answer(StsAction::AssumeRole.into(), refusal))
    }

    async fn get_caller_identity(
        &self,
        caller: &Caller,
        _: GetCallerIdentity,
    ) -> Result<GetCallerIdentityResponse, ApiError> {
        Ok(identity::of(&*self.principal(caller).await?))
    }

    async fn get_federation_token(
        &self,
        caller: &Caller,
        request: GetFederationToken,
    ) -> Result<GetFederationTokenResponse, ApiError> {
        let principal = self.principal(caller).await?;
        let done = session::get_federation_token(&self.control, &principal, request).await;
        done.map_err(|refusal| error::answer(StsAction::GetFederationToken.into(), refusal))
    }
}

impl Service {
    /// Who the call's key stands for. The key was good a moment ago.
    async fn principal(&self, caller: &Caller) -> Result<Arc<Principal>, ApiError> {
        let found = self.control.find_principal(&caller.secret_id).await.map_err(ApiError::internal)?;
        found.ok_or_else(|| ApiError::internal("the key was removed during the call"))
    }
}
