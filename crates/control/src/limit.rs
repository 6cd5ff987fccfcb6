//! Limits that an administrator sets for one account. They win over the configuration's.
//!
//! What is held in memory is a copy of the records, read at the start, after each change, and by the reconcilers
//! when another server may have changed them.

use std::collections::BTreeMap;
use std::sync::Arc;

use ashlar_types::AccountUin;

use crate::control::Control;
use crate::error::ControlError;
use crate::filter::invalid;
use crate::settings::Limits;

/// The limits of accounts that have their own.
pub(crate) type OwnLimits = BTreeMap<AccountUin, Arc<Limits>>;

/// One limit of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountLimit {
    /// Its name, as in the configuration.
    pub name: &'static str,
    /// What holds for the account.
    pub value: u64,
    /// What the configuration says.
    pub configured: u64,
}

/// What an account may have of its own, by the names of the configuration. The numbers of ids that one call may
/// have are documented maxima of the API: a larger value than the default has no effect for them.
macro_rules! own_limits {
    ($($field:ident,)+) => {
        const NAMES: &[&str] = &[$(stringify!($field),)+];

        fn field<'a>(limits: &'a mut Limits, name: &str) -> Option<(&'static str, &'a mut u64)> {
            match name {
                $(stringify!($field) => Some((stringify!($field), &mut limits.$field)),)+
                _ => None,
            }
        }
    };
}

own_limits! {
    snapshots_per_disk,
    disks_per_instance,
    instances_per_disk,
    disks_per_attach,
    disks_per_terminate,
    disks_per_initialize,
    disks_per_create,
    backup_quota_max,
    tags_per_resource,
    free_snapshot_gib,
}

impl Control {
    /// The limits that hold for an account.
    pub(crate) fn limits_of(&self, account: AccountUin) -> Arc<Limits> {
        self.own_limits.read().get(&account).cloned().unwrap_or_else(|| Arc::clone(&self.common_limits))
    }

    /// Every limit that an account may have of its own.
    pub async fn account_limits(&self, account: AccountUin) -> Result<Vec<AccountLimit>, ControlError> {
        self.check_account(&mut self.db.read().await?, account).await?;
        let (mut own, mut common) = ((*self.limits_of(account)).clone(), self.settings.limits.clone());
        let limit = |name: &&str| {
            let (name, value) = field(&mut own, name)?;
            let (_, configured) = field(&mut common, name)?;
            Some(AccountLimit { name, value: *value, configured: *configured })
        };
        Ok(NAMES.iter().filter_map(limit).collect())
    }

    /// Sets a limit of one account; none gives it the configuration's again.
    pub async fn set_account_limit(
        &self,
        account: AccountUin,
        name: &str,
        value: Option<u64>,
    ) -> Result<(), ControlError> {
        let mut changed = self.settings.limits.clone();
        let Some((name, place)) = field(&mut changed, name) else {
            return Err(invalid("limit", name, format!("one of {}", NAMES.join(", "))).into());
        };
        if let Some(value) = value {
            *place = value;
            changed.check().map_err(|error| invalid("limit", value, error.expected))?;
        }
        let mut tx = self.db.write().await?;
        self.check_account(&mut tx, account).await?;
        tx.limit_overrides().set(account, name, value).await?;
        tx.commit().await?;
        self.read_own_limits().await
    }

    /// Reads the records anew.
    pub(crate) async fn read_own_limits(&self) -> Result<(), ControlError> {
        let records = self.db.look().await?.limit_overrides().all().await?;
        let own: OwnLimits = records
            .into_iter()
            .map(|(account, values)| {
                let mut limits = self.settings.limits.clone();
                for (name, value) in values {
                    // A name that an earlier build knew has no meaning any more.
                    if let Some((_, place)) = field(&mut limits, &name) {
                        *place = value;
                    }
                }
                (account, Arc::new(limits))
            })
            .collect();
        *self.own_limits.write() = own;
        Ok(())
    }
}
