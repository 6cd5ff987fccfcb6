//! How the operator keeps policies from working.

use ashlar_db::{ScheduleState, Tagged};
use ashlar_types::{AccountUin, SnapshotPolicyId};

use super::acting_for;
use crate::control::Control;
use crate::error::{ControlError, SnapshotPolicyError};

/// Policies that the operator stops or lets go on: those that are named, and all that an account has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IsolateSnapshotPolicies {
    /// These.
    pub policies: Vec<SnapshotPolicyId>,
    /// All that this account has now.
    pub account: Option<AccountUin>,
    /// Whether they are to be stopped.
    pub isolated: bool,
}

impl Control {
    /// Stops policies, or lets them go on: all of them, or none. One whose account owes money stays stopped. Snapshots that
    /// were taken stay, and go when they were promised to. Gives how the policies stand then.
    pub async fn isolate_snapshot_policies(
        &self,
        wanted: IsolateSnapshotPolicies,
    ) -> Result<Vec<ScheduleState>, ControlError> {
        let IsolateSnapshotPolicies { policies, account, isolated } = wanted;
        let mut tx = self.db.write().await?;
        if let Some(account) = account {
            self.check_account(&mut tx, account).await?;
        }
        let meant = |one: &ScheduleState| {
            policies.contains(&one.policy) || account.is_some_and(|uin| uin == one.account)
        };
        let known = tx.schedules().states().await?;
        if let Some(id) = policies.iter().find(|id| !known.iter().any(|one| one.policy == **id)) {
            return Err(SnapshotPolicyError::NotFound(*id).into());
        }
        let operation = if isolated { "IsolateAutoSnapshotPolicy" } else { "ReleaseAutoSnapshotPolicy" };
        for one in known.into_iter().filter(|one| meant(one) && one.isolated_by_operator != isolated) {
            tx.schedules().set_isolated_by_operator(one.policy, isolated).await?;
            let owner = acting_for(one.account, &one.region, one.policy);
            self.log_operation(&mut tx, &owner, Tagged::SnapshotPolicy(one.policy), operation, None).await?;
        }
        tx.usage().isolate_policies(self.now()).await?;
        let states = tx.schedules().states().await?;
        tx.commit().await?;
        // When they fire next is to be worked out.
        self.wake_reconcilers();
        Ok(states.into_iter().filter(meant).collect())
    }
}
