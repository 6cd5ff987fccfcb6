//! Scheduled snapshot policies: what calls ask for and what they see. When a policy fires is in `schedule`, what then
//! happens in `fire`, what it is bound to in `bind`.

mod bind;
mod fire;
mod isolate;
mod request;
pub(crate) mod schedule;

use ashlar_db::{Listed, SnapshotPolicy, SnapshotPolicyListing, Tag, Tagged, Transaction};
use ashlar_types::{AccountUin, DiskId, InstanceId, SnapshotPolicyId, SnapshotPolicyState, UnixMillis};

pub use bind::BoundBy;
pub(crate) use fire::acting_for;
pub use isolate::IsolateSnapshotPolicies;
pub use request::{NewRule, RetentionWish};
pub use schedule::next_trigger;

use crate::caller::Caller;
use crate::control::Control;
use crate::disk::named;
use crate::error::{ControlError, ParameterError, QuotaError, SnapshotPolicyError};
use crate::filter::{
    Filter, at_most, check_ids, check_name, check_snapshot_order_field, order, page, snapshot_policy_filters,
};

/// What CreateAutoSnapshotPolicy asks for. Reference: `cbs/CreateAutoSnapshotPolicy`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CreateSnapshotPolicy {
    /// When it shall fire.
    pub rules: Vec<NewRule>,
    /// The name, at most 60 bytes. Default: "Unnamed".
    pub name: Option<String>,
    /// Whether it shall be at work. Default: yes.
    pub activated: Option<bool>,
    /// How long its snapshots are kept. Default: 7 days.
    pub retention: RetentionWish,
    /// Whether only the time of the first snapshot is asked for. Default: no.
    pub dry_run: Option<bool>,
}

/// A policy that was made, or would be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewSnapshotPolicy {
    /// The policy; none after a dry run.
    pub id: Option<SnapshotPolicyId>,
    /// When it fires first; none while it is not activated.
    pub next_trigger: Option<UnixMillis>,
}

/// What ModifyAutoSnapshotPolicyAttribute asks for. Reference: `cbs/ModifyAutoSnapshotPolicyAttribute`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModifySnapshotPolicy {
    /// The policy.
    pub policy: SnapshotPolicyId,
    /// A new name, at most 60 bytes.
    pub name: Option<String>,
    /// Whether it shall be at work.
    pub activated: Option<bool>,
    /// New rules in place of all old ones.
    pub rules: Option<Vec<NewRule>>,
    /// How long its snapshots are kept from now on.
    pub retention: RetentionWish,
}

/// What DescribeAutoSnapshotPolicies asks for. Reference: `cbs/DescribeAutoSnapshotPolicies`, newer page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DescribeSnapshotPolicies {
    /// These policies; excludes filters.
    pub policies: Vec<SnapshotPolicyId>,
    /// Policies that meet all of these.
    pub filters: Vec<Filter>,
    /// How many to leave out. Default: 0.
    pub offset: Option<u64>,
    /// How many to show, 1 to 100. Default: 20.
    pub limit: Option<u64>,
    /// ASC or DESC. Default: DESC.
    pub order: Option<String>,
    /// CREATE_TIME.
    pub order_field: Option<String>,
}

/// A policy as DescribeAutoSnapshotPolicies shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPolicyView {
    /// The policy itself.
    pub policy: SnapshotPolicy,
    /// The disks that it is bound to, by id.
    pub disks: Vec<DiskId>,
    /// The instances that it is bound to, by id.
    pub instances: Vec<InstanceId>,
    /// The account that has the newest copy of it.
    pub copied_to: Option<AccountUin>,
    /// Its tags, by key.
    pub tags: Vec<Tag>,
    /// When it fires next; none while it is not at work.
    pub next_trigger: Option<UnixMillis>,
}

impl Control {
    /// Makes a policy, or says when it would fire first.
    pub async fn create_snapshot_policy(
        &self,
        caller: &Caller,
        wanted: CreateSnapshotPolicy,
    ) -> Result<NewSnapshotPolicy, ControlError> {
        let rules = request::rules(&wanted.rules, self.limits())?;
        if let Some(name) = &wanted.name {
            check_name("AutoSnapshotPolicyName", name, self.limits())?;
        }
        let retention = wanted.retention.first()?;
        let now = self.now();
        let first = next_trigger(&rules, &self.zone_of(&caller.region), now, now);
        if wanted.dry_run == Some(true) {
            return Ok(NewSnapshotPolicy { id: None, next_trigger: first });
        }

        let mut tx = self.db.write().await?;
        self.check_policy_quota(&mut tx, caller, 1).await?;
        let policy = SnapshotPolicy {
            id: self.free_policy_id(&mut tx).await?,
            account: caller.account,
            region: caller.region.clone(),
            name: named(wanted.name.unwrap_or_default()),
            state: SnapshotPolicyState::Normal,
            activated: wanted.activated.unwrap_or(true),
            rules,
            anchor: now,
            handled: now,
            retention,
            copied_from: None,
            created: now,
        };
        tx.snapshot_policies().insert(&policy).await?;
        let resource = Tagged::SnapshotPolicy(policy.id);
        self.log_operation(&mut tx, caller, resource, "CreateAutoSnapshotPolicy", None).await?;
        tx.commit().await?;
        self.wake_reconcilers();
        Ok(NewSnapshotPolicy { id: Some(policy.id), next_trigger: self.next_trigger_of(&policy) })
    }

    /// Changes a policy. Snapshots that it has taken stay as they are.
    pub async fn modify_snapshot_policy(
        &self,
        caller: &Caller,
        wanted: ModifySnapshotPolicy,
    ) -> Result<(), ControlError> {
        let ModifySnapshotPolicy { policy: id, name, activated, rules, retention } = wanted;
        if let Some(name) = &name {
            check_name("AutoSnapshotPolicyName", name, self.limits())?;
        }
        let rules = rules.map(|rules| request::rules(&rules, self.limits())).transpose()?;
        if name.is_none() && activated.is_none() && rules.is_none() && retention.is_empty() {
            let why = "name at least one attribute to change";
            return Err(ParameterError::Missing { parameter: "AutoSnapshotPolicyName", why }.into());
        }

        let mut tx = self.db.write().await?;
        let mut policy = find(&mut tx, caller, id).await?;
        needs_normal(&policy)?;
        policy.retention = retention.after(policy.retention)?;
        policy.name = name.map_or(policy.name, named);
        let changed = SnapshotPolicy {
            activated: activated.unwrap_or(policy.activated),
            rules: rules.unwrap_or_else(|| policy.rules.clone()),
            ..policy.clone()
        };
        let policy = from_now(&policy, changed, self.now());
        tx.snapshot_policies().save(&policy).await?;
        let resource = Tagged::SnapshotPolicy(id);
        self.log_operation(&mut tx, caller, resource, "ModifyAutoSnapshotPolicyAttribute", None).await?;
        tx.commit().await?;
        self.wake_reconcilers();
        Ok(())
    }

    /// Deletes policies: all of them, or none. Their snapshots stay.
    pub async fn delete_snapshot_policies(
        &self,
        caller: &Caller,
        ids: Vec<SnapshotPolicyId>,
    ) -> Result<(), ControlError> {
        check_ids("AutoSnapshotPolicyIds", &ids, self.limits().ids_per_call)?;
        let mut tx = self.db.write().await?;
        for id in &ids {
            find(&mut tx, caller, *id).await?;
        }
        for id in ids {
            let resource = Tagged::SnapshotPolicy(id);
            tx.snapshot_policies().delete(id).await?;
            tx.tags().delete(resource).await?;
            self.log_operation(&mut tx, caller, resource, "DeleteAutoSnapshotPolicies", None).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Shows the caller's policies of a region, newest first unless asked otherwise. Unknown ids are left out.
    pub async fn describe_snapshot_policies(
        &self,
        caller: &Caller,
        wanted: DescribeSnapshotPolicies,
    ) -> Result<Listed<SnapshotPolicyView>, ControlError> {
        if !wanted.policies.is_empty() && !wanted.filters.is_empty() {
            let (parameter, other) = ("AutoSnapshotPolicyIds", "Filters");
            return Err(ParameterError::Excludes { parameter, other }.into());
        }
        at_most("AutoSnapshotPolicyIds", wanted.policies.len(), self.limits().ids_per_call)?;
        check_snapshot_order_field(wanted.order_field.as_deref())?;
        let mut filters = snapshot_policy_filters(&wanted.filters, self.limits())?;
        if !wanted.policies.is_empty() {
            filters.push(ashlar_db::SnapshotPolicyFilter::Id(wanted.policies));
        }
        let query = ashlar_db::SnapshotPolicyQuery {
            account: caller.account,
            region: caller.region.clone(),
            filters,
            order: order(wanted.order.as_deref())?,
            page: page(wanted.offset, wanted.limit, self.limits())?,
        };
        self.snapshot_policy_views(&query).await
    }

    async fn snapshot_policy_views(
        &self,
        query: &ashlar_db::SnapshotPolicyQuery,
    ) -> Result<Listed<SnapshotPolicyView>, ControlError> {
        let mut tx = self.db.read().await?;
        let listed = tx.snapshot_policies().list(query).await?;
        let id_of = |listing: &SnapshotPolicyListing| Tagged::SnapshotPolicy(listing.policy.id);
        let ids: Vec<Tagged> = listed.items.iter().map(id_of).collect();
        let mut tags = tx.tags().of(&ids).await?;
        let view = |listing: SnapshotPolicyListing| {
            let tags = tags.remove(&id_of(&listing)).unwrap_or_default();
            let SnapshotPolicyListing { policy, disks, instances, copied_to } = listing;
            let next_trigger = self.next_trigger_of(&policy);
            SnapshotPolicyView { policy, disks, instances, copied_to, tags, next_trigger }
        };
        let items = listed.items.into_iter().map(view).collect();
        Ok(Listed { total_count: listed.total_count, items })
    }

    /// Copies policies into another account of the same region and gives the ids of those that were copied. A
    /// policy that the account has a copy of already is brought up to date there. All of them, or none.
    pub async fn copy_snapshot_policies(
        &self,
        caller: &Caller,
        ids: Vec<SnapshotPolicyId>,
        target: &str,
    ) -> Result<Vec<SnapshotPolicyId>, ControlError> {
        check_ids("AutoSnapshotPolicyIds", &ids, self.limits().ids_per_call)?;
        let expected = "the number of another account";
        let wrong = || ParameterError::Malformed {
            parameter: "TargetAccountUin",
            value: target.to_owned(),
            expected,
        };
        let account = target.parse().map(AccountUin).map_err(|_| wrong())?;
        if account == caller.account {
            return Err(wrong().into());
        }
        let mut tx = self.db.write().await?;
        let mut origins = Vec::with_capacity(ids.len());
        for id in &ids {
            let policy = find(&mut tx, caller, *id).await?;
            needs_normal(&policy)?;
            origins.push(policy);
        }
        if !tx.accounts().exists(account).await? {
            return Err(wrong().into());
        }
        let there = Caller { account, ..caller.clone() };
        for origin in origins {
            let resource = Tagged::SnapshotPolicy(origin.id);
            self.copy_policy(&mut tx, &there, origin).await?;
            self.log_operation(&mut tx, caller, resource, "CopyAutoSnapshotPolicyCrossAccount", None).await?;
        }
        tx.commit().await?;
        self.wake_reconcilers();
        Ok(ids)
    }

    async fn copy_policy(
        &self,
        tx: &mut Transaction,
        there: &Caller,
        origin: SnapshotPolicy,
    ) -> Result<(), ControlError> {
        let now = self.now();
        if let Some(copy) = tx.snapshot_policies().copy_in(there.account, &there.region, origin.id).await? {
            let SnapshotPolicy { name, activated, rules, retention, .. } = origin;
            let changed = SnapshotPolicy { name, activated, rules, retention, ..copy.clone() };
            return Ok(tx.snapshot_policies().save(&from_now(&copy, changed, now)).await?);
        }
        self.check_policy_quota(tx, there, 1).await?;
        let copy = SnapshotPolicy {
            id: self.free_policy_id(tx).await?,
            account: there.account,
            copied_from: Some((origin.account, origin.id)),
            anchor: now,
            handled: now,
            created: now,
            ..origin
        };
        Ok(tx.snapshot_policies().insert(&copy).await?)
    }

    async fn check_policy_quota(
        &self,
        tx: &mut Transaction,
        caller: &Caller,
        more: u64,
    ) -> Result<(), ControlError> {
        let at_most = self.limits().snapshot_policies_per_region;
        if tx.snapshot_policies().count(caller.account, &caller.region).await? + more > at_most {
            return Err(QuotaError::SnapshotPolicies { at_most }.into());
        }
        Ok(())
    }

    async fn free_policy_id(&self, tx: &mut Transaction) -> Result<SnapshotPolicyId, ControlError> {
        let mut id = SnapshotPolicyId::random(self.random.as_ref());
        while tx.snapshot_policies().exists(id).await? {
            id = SnapshotPolicyId::random(self.random.as_ref());
        }
        Ok(id)
    }

    /// When a policy fires next; none while it is not at work.
    fn next_trigger_of(&self, policy: &SnapshotPolicy) -> Option<UnixMillis> {
        let zone = self.zone_of(&policy.region);
        is_at_work(policy).then(|| next_trigger(&policy.rules, &zone, policy.anchor, self.now())).flatten()
    }
}

/// Finds a policy of the caller's in the region, or refuses.
async fn find(
    tx: &mut Transaction,
    caller: &Caller,
    id: SnapshotPolicyId,
) -> Result<SnapshotPolicy, ControlError> {
    let found = tx.snapshot_policies().find(caller.account, &caller.region, id).await?;
    found.ok_or_else(|| SnapshotPolicyError::NotFound(id).into())
}

/// What a change of a policy comes to for its time: new rules begin now, and what went by while it was not at work does
/// not fire afterwards.
fn from_now(old: &SnapshotPolicy, changed: SnapshotPolicy, now: UnixMillis) -> SnapshotPolicy {
    let has_new_rules = old.rules != changed.rules;
    let anchor = if has_new_rules { now } else { changed.anchor };
    let begins = has_new_rules || (is_at_work(&changed) && !is_at_work(old));
    let handled = if begins { now } else { changed.handled };
    SnapshotPolicy { anchor, handled, ..changed }
}

/// Whether its moments fire.
const fn is_at_work(policy: &SnapshotPolicy) -> bool {
    match policy.state {
        SnapshotPolicyState::Normal => policy.activated,
        SnapshotPolicyState::Isolated => false,
    }
}

/// Refuses to change a policy that the operator has stopped.
fn needs_normal(policy: &SnapshotPolicy) -> Result<(), SnapshotPolicyError> {
    match policy.state {
        SnapshotPolicyState::Normal => Ok(()),
        SnapshotPolicyState::Isolated => Err(SnapshotPolicyError::Isolated(policy.id)),
    }
}
