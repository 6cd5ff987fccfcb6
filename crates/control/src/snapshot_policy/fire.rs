//! Firing: what policies order when their time comes, and the taking of what they ordered.
//!
//! A moment of a policy's rules becomes orders in the transaction that also notes the moment as seen to; an order
//! becomes a snapshot in the transaction that also removes it. Whatever dies in between, nothing happens twice and
//! nothing is forgotten. What cannot be taken is written down at its policy and in the log of its disk, and holds up
//! no other.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ashlar_db::{
    DbError, DbErrorKind, Operation, OperationState, ScheduleState, ScheduledSnapshot, Snapshot,
    SnapshotPolicy, Tagged, Transaction,
};
use ashlar_types::{
    AccountUin, DiskId, Region, Retention, SnapshotId, SnapshotPolicyId, SnapshotPromise, UnixMillis, UserUin,
};
use jiff::tz::TimeZone;

use super::is_at_work;
use super::schedule::next_trigger;
use crate::caller::{Caller, RequestId};
use crate::control::Control;
use crate::disk::state;
use crate::error::{ControlError, DiskError};
use crate::job::JobHold;
use crate::leader::Leadership;
use crate::reconcile::Reconciled;
use crate::snapshot::new_snapshot;
use crate::wire_time::{plus_months, wire_time};

/// Policies of one round; the rest come in the next.
const POLICIES_PER_ROUND: u64 = 1_000;

/// Snapshots that are begun before the first of them is waited for.
const SNAPSHOTS_AT_ONCE: u64 = 32;

/// Snapshots of one moment are at least this far apart on average, until the spread is as long as it may be.
const SNAPSHOT_INTERVAL_MS: u64 = 60;

/// When a disk that is busy is tried again.
const BUSY_RETRY_MS: i64 = 30_000;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// The newest moment of the rules that has come and is not seen to. Only the newest: what was missed while no server ran
/// is made up for once.
fn newest_due(policy: &SnapshotPolicy, zone: &TimeZone, now: UnixMillis) -> Option<UnixMillis> {
    // From near to far: whoever looks every few seconds is done at once, and 366 days hold a moment of any rule.
    [2, 40, 367].into_iter().find_map(|days| {
        let mut newest = None;
        let mut after = policy.handled.max(now.plus_ms(-days * DAY_MS));
        while let Some(moment) =
            next_trigger(&policy.rules, zone, policy.anchor, after).filter(|moment| *moment <= now)
        {
            newest = Some(moment);
            after = moment;
        }
        newest
    })
}

/// How long a snapshot that is taken now is kept.
fn promised(retention: Retention, now: UnixMillis) -> (Option<UnixMillis>, Option<SnapshotPromise>) {
    let days = |days: u64| i64::try_from(days).unwrap_or(i64::MAX).saturating_mul(DAY_MS);
    match retention {
        Retention::Permanent => (None, None),
        Retention::Days(count) => (Some(now.plus_ms(days(count))), None),
        Retention::Months(months) => (Some(plus_months(now, months)), None),
        Retention::Amount(count) => (None, Some(SnapshotPromise::Newest(count))),
        Retention::Advanced(calendar) => (None, Some(SnapshotPromise::Calendar(calendar))),
    }
}

impl Control {
    /// What an operator sees of the schedules of all policies.
    pub async fn schedules(&self) -> Result<Vec<ScheduleState>, ControlError> {
        Ok(self.db.read().await?.schedules().states().await?)
    }

    /// Orders the snapshots of all policies whose moment has come.
    pub(crate) async fn fire_policies(&self, leader: Leadership) -> Result<Reconciled, ControlError> {
        let mut items = 0;
        let due = self.db.look().await?.schedules().due_policies(self.now(), POLICIES_PER_ROUND).await?;
        for id in due {
            let Some(mut tx) = self.write_as(leader).await? else { break };
            let Some(policy) = tx.snapshot_policies().find_any(id).await? else { continue };
            items += self.fire(&mut tx, policy).await?;
            tx.commit().await?;
        }
        Ok(Reconciled { items, failures: 0 })
    }

    async fn fire(&self, tx: &mut Transaction, mut policy: SnapshotPolicy) -> Result<u64, ControlError> {
        let now = self.now();
        if !is_at_work(&policy) {
            tx.schedules().set_trigger(&policy, None).await?;
            return Ok(0);
        }
        // Moments far ahead were seen to by a clock that has been set right since.
        if policy.handled > now.plus_ms(DAY_MS) {
            policy.handled = now;
        }
        let zone = self.zone_of(&policy.region);
        let mut ordered = 0;
        if let Some(moment) = newest_due(&policy, &zone, now) {
            policy.handled = moment;
            if self.settings.schedule.fires(moment, now) {
                let disks = tx.schedules().count_in_use(policy.id).await?;
                let spread_ms = (disks.saturating_sub(1) * SNAPSHOT_INTERVAL_MS)
                    .min(self.settings.schedule.spread_ms_max);
                ordered = tx.schedules().order(policy.id, moment, now, spread_ms).await?;
                tracing::info!(policy = %policy.id, moment = wire_time(moment), ordered, "a policy fired");
            } else {
                tracing::warn!(policy = %policy.id, moment = wire_time(moment), "a moment was missed and is left out");
            }
        }
        let next = next_trigger(&policy.rules, &zone, policy.anchor, policy.handled);
        tx.schedules().set_trigger(&policy, next).await?;
        Ok(ordered)
    }

    /// Takes the snapshots that policies have ordered and that are due.
    pub(crate) async fn take_scheduled(&self, leader: Leadership) -> Result<Reconciled, ControlError> {
        let mut reconciled = Reconciled::default();
        loop {
            let mut orders =
                self.db.look().await?.schedules().due_snapshots(self.now(), SNAPSHOTS_AT_ONCE).await?;
            if orders.is_empty() {
                return Ok(reconciled);
            }
            // Each region has a pool of its own. Within one the longest due stay first.
            orders.sort_by(|one, other| one.region.cmp(&other.region));
            for group in orders.chunk_by(|one, other| one.region == other.region) {
                let Some(taken) = self.take_group(leader, group).await? else { return Ok(reconciled) };
                reconciled.add(taken);
            }
        }
    }

    /// Takes the snapshots that were ordered in one region: they are begun in one transaction, so that many cost hardly
    /// more than one. `None` when another server leads by now.
    async fn take_group(
        &self,
        leader: Leadership,
        orders: &[ScheduledSnapshot],
    ) -> Result<Option<Reconciled>, ControlError> {
        let mut reconciled = Reconciled::default();
        let Some(first) = orders.first() else { return Ok(Some(reconciled)) };
        let ids = self.free_snapshot_ids(&first.region, orders.len()).await;
        let Some(mut tx) = self.write_as(leader).await? else { return Ok(None) };
        let (mut begun, mut refused) = (Vec::new(), Vec::new());
        match ids {
            Ok(ids) => {
                let mut policies = HashMap::new();
                for (order, id) in orders.iter().zip(ids) {
                    match self.begin_scheduled(&mut tx, &mut policies, order, id).await {
                        Ok(Some(job)) => begun.push((order, job)),
                        Ok(None) => {}
                        Err(ControlError::Db(error)) => return Err(error.into()),
                        Err(error) => refused.push((order, Arc::new(error))),
                    }
                }
            }
            Err(ControlError::Db(error)) => return Err(error.into()),
            Err(error) => {
                let error = Arc::new(error);
                refused.extend(orders.iter().map(|order| (order, Arc::clone(&error))));
            }
        }
        tx.commit().await?;
        for (_, job) in &begun {
            self.start_job(*job);
        }
        for (order, error) in refused {
            reconciled.failures += self.put_off(leader, order, &error).await?;
        }
        let mut taken = Vec::with_capacity(begun.len());
        for (order, job) in begun {
            match self.await_job(job).await {
                Ok(()) => taken.push(order),
                Err(error) => {
                    reconciled.failures += 1;
                    self.note_failure(leader, order, &error).await?;
                }
            }
        }
        reconciled.items += taken.len() as u64;
        self.retire_before(leader, &taken).await?;
        Ok(Some(reconciled))
    }

    /// Deletes what snapshots that were just taken leave without a promise.
    async fn retire_before(
        &self,
        leader: Leadership,
        taken: &[&ScheduledSnapshot],
    ) -> Result<(), ControlError> {
        if taken.is_empty() {
            return Ok(());
        }
        let policies: BTreeSet<SnapshotPolicyId> = taken.iter().map(|order| order.policy).collect();
        let policies: Vec<SnapshotPolicyId> = policies.into_iter().collect();
        let disks: Vec<DiskId> = taken.iter().map(|order| order.disk).collect();
        let promised = self.db.look().await?.schedules().promised(Some((&policies, &disks))).await?;
        self.retire(leader, &promised).await.map(drop)
    }

    /// Turns an order into a snapshot that is being taken, and gives its job. None when there is nothing to do any more:
    /// the disk is in no machine by now, or the policy rests or is bound to it no more. A refusal has changed nothing.
    async fn begin_scheduled(
        &self,
        tx: &mut Transaction,
        policies: &mut HashMap<SnapshotPolicyId, Option<SnapshotPolicy>>,
        order: &ScheduledSnapshot,
        id: SnapshotId,
    ) -> Result<Option<JobHold>, ControlError> {
        let policy = match policies.entry(order.policy) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(place) => place.insert(tx.snapshot_policies().find_any(order.policy).await?),
        };
        let policy = policy.as_ref().filter(|policy| is_at_work(policy));
        let disk = tx.disks().find(order.account, &order.region, order.disk).await?;
        let disk = disk.filter(|disk| !disk.attachments.is_empty());
        let (Some(policy), Some(disk), true) =
            (policy, disk, tx.schedules().is_bound(order.policy, order.disk).await?)
        else {
            tx.schedules().remove(order.policy, order.disk).await?;
            return Ok(None);
        };
        state::begin_snapshot(&disk)?;
        let (deadline, promise) = promised(policy.retention, self.now());
        let name = Some(format!("{} {}", policy.id, wire_time(order.trigger)));
        let new = Snapshot {
            deadline,
            policy: Some(policy.id),
            promise,
            ..new_snapshot(id, &disk, name, disk.usage, self.now())
        };
        let caller = acting_for(order.account, &order.region, order.policy);
        let job = self.begin_snapshot(tx, &caller, disk, new, &[]).await?;
        if tx.schedules().remove(order.policy, order.disk).await? {
            return Ok(Some(job));
        }
        // Nothing of this transaction is committed, and the next round looks again.
        let what = format!("the order of {} for {} is gone", order.policy, order.disk);
        Err(DbError::new(DbErrorKind::Conflict, what).into())
    }

    /// A disk that is busy is tried again for a while; anything else fails now. Gives how many failed.
    async fn put_off(
        &self,
        leader: Leadership,
        order: &ScheduledSnapshot,
        error: &ControlError,
    ) -> Result<u64, ControlError> {
        let passes = matches!(
            error,
            ControlError::Disk(
                DiskError::Busy { .. } | DiskError::Migrating(_) | DiskError::SnapshotCreating(_)
            )
        );
        let now = self.now();
        let patience_ms = i64::try_from(self.settings.schedule.busy_wait_ms).unwrap_or(i64::MAX);
        if passes && now < order.trigger.plus_ms(patience_ms) {
            let Some(mut tx) = self.write_as(leader).await? else { return Ok(0) };
            tx.schedules().postpone(order.policy, order.disk, now.plus_ms(BUSY_RETRY_MS)).await?;
            tx.commit().await?;
            return Ok(0);
        }
        self.note_failure(leader, order, error).await?;
        Ok(1)
    }

    /// Gives an order up, for all to see.
    async fn note_failure(
        &self,
        leader: Leadership,
        order: &ScheduledSnapshot,
        error: &ControlError,
    ) -> Result<(), ControlError> {
        let why = format!("{}: {error}", order.disk);
        tracing::warn!(policy = %order.policy, why, "a scheduled snapshot was not taken");
        let Some(mut tx) = self.write_as(leader).await? else { return Ok(()) };
        let now = self.now();
        tx.schedules().remove(order.policy, order.disk).await?;
        tx.schedules().note_failure(order.policy, now, &why).await?;
        let entry = Operation {
            resource: Tagged::Disk(order.disk),
            account: order.account,
            operator: UserUin(order.account.0),
            operation: "CreateSnapshot".to_owned(),
            state: OperationState::Failed,
            request_id: order.policy.to_string(),
            job: None,
            started: now,
            ended: Some(now),
        };
        tx.operations().insert(&entry).await?;
        Ok(tx.commit().await?)
    }
}

/// The owner of a policy, for whom it acts.
pub(crate) fn acting_for(account: AccountUin, region: &Region, policy: SnapshotPolicyId) -> Caller {
    Caller::owner(account, region.clone(), RequestId(policy.to_string()))
}

#[cfg(test)]
mod tests {
    use ashlar_types::{Hours, PolicyDays, PolicyRule, SnapshotPolicyState, Weekdays};

    use super::*;

    const HOUR_MS: i64 = 3600 * 1000;

    fn policy(rule: PolicyRule, handled: UnixMillis) -> SnapshotPolicy {
        SnapshotPolicy {
            id: "asp-00000001".parse().unwrap(),
            account: ashlar_types::AccountUin(1),
            region: "ap-guangzhou".parse().unwrap(),
            name: String::new(),
            state: SnapshotPolicyState::Normal,
            activated: true,
            rules: vec![rule],
            anchor: UnixMillis(0),
            handled,
            retention: Retention::Permanent,
            copied_from: None,
            created: UnixMillis(0),
        }
    }

    #[test]
    fn only_the_newest_of_what_was_missed_is_due() {
        let hourly = PolicyRule {
            hours: Hours::new(0..=23).unwrap(),
            days: PolicyDays::Week(Weekdays::new(0..=6).unwrap()),
        };
        let yearly = PolicyRule { hours: Hours::new([1]).unwrap(), days: PolicyDays::Interval(365) };
        let due = |rule, handled_hours: i64, now_hours: i64| {
            let handled = UnixMillis(handled_hours * HOUR_MS);
            newest_due(&policy(rule, handled), &TimeZone::UTC, UnixMillis(now_hours * HOUR_MS + 5))
                .map(|moment| moment.0 / HOUR_MS)
        };
        assert_eq!(due(hourly, 10, 10), None);
        assert_eq!(due(hourly, 10, 11), Some(11));
        assert_eq!(due(hourly, 10, 100_000), Some(100_000));
        // The clock was set back behind what has fired.
        assert_eq!(due(hourly, 10, 9), None);
        let year_hours = 365 * 24;
        assert_eq!(due(yearly, 1, year_hours), None);
        assert_eq!(due(yearly, 1, year_hours + 1), Some(year_hours + 1));
        assert_eq!(due(yearly, 1, 3 * year_hours), Some(2 * year_hours + 1));
    }
}
