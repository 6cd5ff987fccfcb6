//! Firing: what policies order when their time comes, and the taking of what they ordered.
//!
//! A moment of a policy's rules becomes orders in the transaction that also notes the moment as seen to; an order
//! becomes a snapshot in the transaction that also removes it. Whatever dies in between, nothing happens twice and
//! nothing is forgotten. What cannot be taken is written down at its policy and in the log of its disk, and holds up
//! no other.

use ashlar_db::{
    Operation, OperationState, PromisedSnapshot, ScheduleState, ScheduledSnapshot, Snapshot, SnapshotPolicy,
    Tagged, Transaction,
};
use ashlar_types::{AccountUin, Region, Retention, SnapshotPolicyId, SnapshotPromise, UnixMillis};
use jiff::tz::TimeZone;

use super::is_at_work;
use super::schedule::next_trigger;
use crate::caller::{Caller, RequestId};
use crate::control::Control;
use crate::disk::state;
use crate::error::{ControlError, DiskError, SnapshotError};
use crate::leader::Leadership;
use crate::reconcile::Reconciled;
use crate::retention::{Kept, outlived};
use crate::snapshot::new_snapshot;
use crate::snapshot_copy::CopyError;
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

/// How often all snapshots are looked through for those that the calendar no longer promises. 6 h: it speaks of days.
const SWEEP_INTERVAL_MS: i64 = 6 * 3600 * 1000;

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

/// What became of an order.
enum Taken {
    /// It is begun; this is its job.
    Begun(crate::job::JobHold),
    /// There is nothing to do any more: somebody else did it, or the disk is in no machine by now.
    Void,
}

impl Control {
    /// What an operator sees of the schedules of all policies.
    pub async fn schedules(&self) -> Result<Vec<ScheduleState>, ControlError> {
        Ok(self.db.read().await?.schedules().states().await?)
    }

    /// Orders the snapshots of all policies whose moment has come.
    pub(crate) async fn fire_policies(&self, leader: Leadership) -> Result<Reconciled, ControlError> {
        let mut items = 0;
        let due = self.db.read().await?.schedules().due_policies(self.now(), POLICIES_PER_ROUND).await?;
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
            let orders =
                self.db.read().await?.schedules().due_snapshots(self.now(), SNAPSHOTS_AT_ONCE).await?;
            if orders.is_empty() {
                return Ok(reconciled);
            }
            let mut begun = Vec::new();
            for order in orders {
                match self.begin_scheduled(leader, &order).await {
                    Ok(Some(Taken::Begun(job))) => {
                        self.start_job(job);
                        begun.push((order, job));
                    }
                    Ok(Some(Taken::Void)) => {}
                    Ok(None) => return Ok(reconciled),
                    Err(ControlError::Db(error)) => return Err(error.into()),
                    Err(error) => reconciled.failures += self.put_off(leader, &order, &error).await?,
                }
            }
            for (order, job) in begun {
                match self.await_job(job).await {
                    Ok(()) => {
                        reconciled.items += 1;
                        let of = Some((order.policy, order.disk));
                        let promised = self.db.read().await?.schedules().promised(of).await?;
                        self.retire(leader, &promised).await?;
                    }
                    Err(error) => {
                        reconciled.failures += 1;
                        self.note_failure(leader, &order, &error).await?;
                    }
                }
            }
        }
    }

    /// Turns an order into a snapshot that is being taken. `None` when another server leads by now.
    async fn begin_scheduled(
        &self,
        leader: Leadership,
        order: &ScheduledSnapshot,
    ) -> Result<Option<Taken>, ControlError> {
        let id = self.free_snapshot_id(&order.region).await?;
        let Some(mut tx) = self.write_as(leader).await? else { return Ok(None) };
        if !tx.schedules().remove(order.policy, order.disk).await? {
            return Ok(Some(Taken::Void));
        }
        let caller = acting_for(order.account, &order.region, order.policy);
        let policy = tx.snapshot_policies().find_any(order.policy).await?;
        let disk = tx.disks().find(order.account, &order.region, order.disk).await?;
        let (Some(policy), Some(disk)) = (policy, disk.filter(|disk| disk.instance.is_some())) else {
            tx.commit().await?;
            return Ok(Some(Taken::Void));
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
        let job = self.begin_snapshot(&mut tx, &caller, disk, new, &[]).await?;
        tx.commit().await?;
        Ok(Some(Taken::Begun(job)))
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

    /// Deletes what the promises no longer hold of some snapshots, those of one policy and disk together and in order.
    async fn retire(
        &self,
        leader: Leadership,
        snapshots: &[PromisedSnapshot],
    ) -> Result<Reconciled, ControlError> {
        let mut reconciled = Reconciled::default();
        for group in snapshots.chunk_by(|one, other| (one.policy, one.disk) == (other.policy, other.disk)) {
            let kept: Vec<Kept<&PromisedSnapshot>> = group
                .iter()
                .map(|snapshot| Kept { id: snapshot, taken: snapshot.taken, promise: snapshot.promise })
                .collect();
            let Some(zone) = group.first().map(|first| self.zone_of(&first.region)) else { continue };
            for snapshot in outlived(&kept, self.now(), &zone) {
                if self.write_as(leader).await?.is_none() {
                    return Ok(reconciled);
                }
                let caller = acting_for(snapshot.account, &snapshot.region, snapshot.policy);
                match self.delete_snapshots(&caller, vec![snapshot.id]).await {
                    Ok(()) => reconciled.items += 1,
                    Err(
                        ControlError::Snapshot(SnapshotError::Busy { .. })
                        | ControlError::Copy(CopyError::UnderWay(_)),
                    ) => reconciled.failures += 1,
                    // Something else keeps it.
                    Err(
                        error @ (ControlError::Snapshot(_)
                        | ControlError::Share(_)
                        | ControlError::Copy(_)
                        | ControlError::SnapshotGroup(_)),
                    ) => {
                        tracing::debug!(snapshot = %snapshot.id, %error, "kept beyond its promise");
                    }
                    Err(ControlError::Image(error)) => {
                        tracing::debug!(snapshot = %snapshot.id, %error, "kept beyond its promise");
                    }
                    Err(ControlError::Job(error)) => {
                        let detail = error.detail;
                        tracing::warn!(snapshot = %snapshot.id, detail, "not deleted when its promise ended");
                        reconciled.failures += 1;
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(reconciled)
    }

    /// Looks through all snapshots with a promise, every few hours: days go by without a new snapshot too.
    pub(crate) async fn sweep_promises(&self, leader: Leadership) -> Result<Reconciled, ControlError> {
        let now = self.now();
        let is_recent = |last: UnixMillis| last <= now && now < last.plus_ms(SWEEP_INTERVAL_MS);
        if self.promises_swept.lock().is_some_and(is_recent) {
            return Ok(Reconciled::default());
        }
        let promised = self.db.read().await?.schedules().promised(None).await?;
        let reconciled = self.retire(leader, &promised).await?;
        if reconciled.failures == 0 {
            *self.promises_swept.lock() = Some(now);
        }
        Ok(reconciled)
    }
}

/// The owner of a policy, for whom it acts.
fn acting_for(account: AccountUin, region: &Region, policy: SnapshotPolicyId) -> Caller {
    Caller { account, region: region.clone(), request_id: RequestId(policy.to_string()) }
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
