//! What scheduled snapshot policies have coming: which fire next, and which snapshots they have ordered.

use ashlar_types::{
    AccountUin, DiskId, Region, SnapshotId, SnapshotPolicyId, SnapshotPolicyState, SnapshotPromise,
    UnixMillis,
};

use crate::column::{Columns, signed};
use crate::connect::Connection;
use crate::listing::{Builder, push_in};
use crate::{DbError, SnapshotPolicy};

/// A snapshot that a policy has ordered and that is not taken yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduledSnapshot {
    /// The policy.
    pub policy: SnapshotPolicyId,
    /// The disk.
    pub disk: DiskId,
    /// Whose both are.
    pub account: AccountUin,
    /// Where both are.
    pub region: Region,
    /// The moment of the policy's rules that it is for.
    pub trigger: UnixMillis,
    /// When it is to be taken.
    pub due: UnixMillis,
}

/// A snapshot of a policy, as far as its promise goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromisedSnapshot {
    /// The snapshot.
    pub id: SnapshotId,
    /// The policy that took it.
    pub policy: SnapshotPolicyId,
    /// The disk it was taken of.
    pub disk: DiskId,
    /// Whose it is.
    pub account: AccountUin,
    /// Where it is.
    pub region: Region,
    /// When it was taken.
    pub taken: UnixMillis,
    /// What it was promised; none where that does not depend on others.
    pub promise: Option<SnapshotPromise>,
    /// Until when nobody can delete it; none if it was never locked.
    pub locked_until: Option<UnixMillis>,
}

/// What an operator sees of a policy's schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleState {
    /// The policy.
    pub policy: SnapshotPolicyId,
    /// Whose it is.
    pub account: AccountUin,
    /// Where it is.
    pub region: Region,
    /// What its owner calls it.
    pub name: String,
    /// Whether it is at work.
    pub state: SnapshotPolicyState,
    /// Whether the operator keeps it from working.
    pub isolated_by_operator: bool,
    /// Whether its owner wants it to be at work.
    pub activated: bool,
    /// When it fires next; none when it is not at work or was changed a moment ago.
    pub next_trigger: Option<UnixMillis>,
    /// Snapshots that it has ordered and that are not taken yet.
    pub pending: u64,
    /// The last snapshot that it could not have, and why.
    pub failure: Option<(UnixMillis, String)>,
}

/// Stands for "does not fire": beyond all time.
const NEVER: i64 = i64::MAX;

/// Queries on schedules.
#[derive(Debug)]
pub struct Schedules<'t>(pub(crate) &'t mut Connection);

impl Schedules<'_> {
    /// Policies that fire by `now` or whose next moment is not known, at most `limit`, the longest due first.
    pub async fn due_policies(
        &mut self,
        now: UnixMillis,
        limit: u64,
    ) -> Result<Vec<SnapshotPolicyId>, DbError> {
        // A day ahead of the clock: it was set back since, and what it saw to then does not count.
        let sql = "SELECT policy_id FROM snapshot_policies
             WHERE next_trigger_ms <= $1 OR next_trigger_ms IS NULL OR handled_ms > $1 + 86400000
             ORDER BY next_trigger_ms, policy_id LIMIT $2";
        let rows = sqlx::query(sql).bind(now.0).bind(signed(limit)).fetch_all(&mut *self.0).await?;
        rows.iter().map(|row| Columns(row).word("policy_id")).collect()
    }

    /// Notes up to when a policy's rules have been seen to and when it fires next; none: not until it is changed.
    pub async fn set_trigger(
        &mut self,
        policy: &SnapshotPolicy,
        next: Option<UnixMillis>,
    ) -> Result<(), DbError> {
        let sql = "UPDATE snapshot_policies SET handled_ms = $2, next_trigger_ms = $3 WHERE policy_id = $1";
        let done = sqlx::query(sql)
            .bind(policy.id.to_string())
            .bind(policy.handled.0)
            .bind(next.map_or(NEVER, |next| next.0))
            .execute(&mut *self.0)
            .await?;
        crate::one_row(done.rows_affected(), "snapshot policy", &policy.id)
    }

    /// How many disks in use a policy is bound to, by themselves or with their instance.
    pub async fn count_in_use(&mut self, policy: SnapshotPolicyId) -> Result<u64, DbError> {
        let sql = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) AS count FROM disks d WHERE {IN_USE}"));
        let row = sqlx::query(sql).bind(policy.to_string()).fetch_one(&mut *self.0).await?;
        Columns(&row).number("count")
    }

    /// Orders a snapshot of each disk in use that the policy is bound to; due from `from` on, spread over `spread_ms`. A
    /// disk that still waits for one of this policy gets no second. Gives how many were ordered.
    pub async fn order(
        &mut self,
        policy: SnapshotPolicyId,
        trigger: UnixMillis,
        from: UnixMillis,
        spread_ms: u64,
    ) -> Result<u64, DbError> {
        // Neighbours in the sequence, often disks of one machine, get places far from each other: 1009 is prime.
        let sql = sqlx::AssertSqlSafe(format!(
            "INSERT INTO scheduled_snapshots (policy_id, disk_id, trigger_ms, due_ms)
             SELECT $1, d.disk_id, $2, $3 + ((d.sequence * 7919) % 1009) * $4 / 1009 FROM disks d WHERE {IN_USE}
             ON CONFLICT (policy_id, disk_id) DO NOTHING"
        ));
        let done = sqlx::query(sql)
            .bind(policy.to_string())
            .bind(trigger.0)
            .bind(from.0)
            .bind(signed(spread_ms))
            .execute(&mut *self.0)
            .await?;
        Ok(done.rows_affected())
    }

    /// Whether a policy is bound to a disk, by itself or with its instance.
    pub async fn is_bound(&mut self, policy: SnapshotPolicyId, disk: DiskId) -> Result<bool, DbError> {
        let row = sqlx::query(IS_BOUND)
            .bind(policy.to_string())
            .bind(disk.to_string())
            .fetch_optional(&mut *self.0)
            .await?;
        Ok(row.is_some())
    }

    /// Ordered snapshots that are due by `now`, at most `limit`, the longest due first.
    pub async fn due_snapshots(
        &mut self,
        now: UnixMillis,
        limit: u64,
    ) -> Result<Vec<ScheduledSnapshot>, DbError> {
        let sql = "SELECT s.*, p.uin, p.region FROM scheduled_snapshots s
             JOIN snapshot_policies p ON p.policy_id = s.policy_id
             WHERE s.due_ms <= $1 ORDER BY s.due_ms, s.policy_id, s.disk_id LIMIT $2";
        let rows = sqlx::query(sql).bind(now.0).bind(signed(limit)).fetch_all(&mut *self.0).await?;
        rows.iter()
            .map(|row| {
                let columns = Columns(row);
                Ok(ScheduledSnapshot {
                    policy: columns.word("policy_id")?,
                    disk: columns.word("disk_id")?,
                    account: AccountUin(columns.number("uin")?),
                    region: columns.word("region")?,
                    trigger: columns.time("trigger_ms")?,
                    due: columns.time("due_ms")?,
                })
            })
            .collect()
    }

    /// The live, complete snapshots of all disks and policies, or of some of both, of which some have promises that depend
    /// on others. Those of one policy and disk stand together, oldest first.
    pub async fn promised(
        &mut self,
        of: Option<(&[SnapshotPolicyId], &[DiskId])>,
    ) -> Result<Vec<PromisedSnapshot>, DbError> {
        let mut query = Builder::new(
            "SELECT s.snapshot_id, s.snapshot_policy_id, s.disk_id, s.uin, s.region, s.created_ms, s.promise,
                s.locked_until_ms
             FROM snapshots s WHERE s.lifecycle = 'LIVE' AND s.state <> 'CREATING'
                AND s.snapshot_policy_id IS NOT NULL
                AND EXISTS (SELECT 1 FROM snapshots p WHERE p.snapshot_policy_id = s.snapshot_policy_id
                    AND p.disk_id = s.disk_id AND p.promise IS NOT NULL)",
        );
        if let Some((policies, disks)) = of {
            push_in(&mut query, "s.snapshot_policy_id", policies, ToString::to_string);
            push_in(&mut query, "s.disk_id", disks, ToString::to_string);
        }
        query.push(" ORDER BY s.snapshot_policy_id, s.disk_id, s.created_ms, s.sequence");
        let rows = query.build().fetch_all(&mut *self.0).await?;
        rows.iter()
            .map(|row| {
                let columns = Columns(row);
                Ok(PromisedSnapshot {
                    id: columns.word("snapshot_id")?,
                    policy: columns.word("snapshot_policy_id")?,
                    disk: columns.word("disk_id")?,
                    account: AccountUin(columns.number("uin")?),
                    region: columns.word("region")?,
                    taken: columns.time("created_ms")?,
                    promise: columns.word_if_any("promise")?,
                    locked_until: columns.time_if_any("locked_until_ms")?,
                })
            })
            .collect()
    }

    /// Takes an order back, or notes that it is carried out. Gives whether it was there.
    pub async fn remove(&mut self, policy: SnapshotPolicyId, disk: DiskId) -> Result<bool, DbError> {
        let sql = "DELETE FROM scheduled_snapshots WHERE policy_id = $1 AND disk_id = $2";
        let done =
            sqlx::query(sql).bind(policy.to_string()).bind(disk.to_string()).execute(&mut *self.0).await?;
        Ok(done.rows_affected() > 0)
    }

    /// Tries an order again at a later time.
    pub async fn postpone(
        &mut self,
        policy: SnapshotPolicyId,
        disk: DiskId,
        due: UnixMillis,
    ) -> Result<(), DbError> {
        let sql = "UPDATE scheduled_snapshots SET due_ms = $3 WHERE policy_id = $1 AND disk_id = $2";
        sqlx::query(sql)
            .bind(policy.to_string())
            .bind(disk.to_string())
            .bind(due.0)
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Notes why a policy could not have a snapshot. Nothing happens when the policy is gone.
    pub async fn note_failure(
        &mut self,
        policy: SnapshotPolicyId,
        time: UnixMillis,
        why: &str,
    ) -> Result<(), DbError> {
        let sql = "UPDATE snapshot_policies SET failed_ms = $2, failure = $3 WHERE policy_id = $1";
        sqlx::query(sql).bind(policy.to_string()).bind(time.0).bind(why).execute(&mut *self.0).await?;
        Ok(())
    }

    /// Notes whether the operator keeps a policy from working. Gives whether there is such a policy.
    pub async fn set_isolated_by_operator(
        &mut self,
        policy: SnapshotPolicyId,
        isolated: bool,
    ) -> Result<bool, DbError> {
        let sql = "UPDATE snapshot_policies SET isolated_by_operator = $2 WHERE policy_id = $1";
        let done = sqlx::query(sql).bind(policy.to_string()).bind(isolated).execute(&mut *self.0).await?;
        Ok(done.rows_affected() > 0)
    }

    /// What an operator sees of the schedules of all policies, in the order of their ids.
    pub async fn states(&mut self) -> Result<Vec<ScheduleState>, DbError> {
        let sql = "SELECT p.*, (SELECT COUNT(*) FROM scheduled_snapshots s WHERE s.policy_id = p.policy_id) AS pending
             FROM snapshot_policies p ORDER BY p.policy_id";
        let rows = sqlx::query(sql).fetch_all(&mut *self.0).await?;
        rows.iter()
            .map(|row| {
                let columns = Columns(row);
                let failed = columns.time_if_any("failed_ms")?;
                Ok(ScheduleState {
                    policy: columns.word("policy_id")?,
                    account: AccountUin(columns.number("uin")?),
                    region: columns.word("region")?,
                    name: columns.text("name")?,
                    state: columns.word("state")?,
                    isolated_by_operator: columns.flag("isolated_by_operator")?,
                    activated: columns.flag("activated")?,
                    next_trigger: columns.time_if_any("next_trigger_ms")?.filter(|next| next.0 != NEVER),
                    pending: columns.number("pending")?,
                    failure: failed.zip(columns.text_if_any("failure")?),
                })
            })
            .collect()
    }
}

/// The disks `d` that the policy `$1` is bound to and that are in a machine: only those are snapshotted
/// (reference: `cbs/BindAutoSnapshotPolicy`). Shareable disks have no snapshots.
const IN_USE: &str = "d.disk_id IN (
        SELECT b.disk_id FROM snapshot_policy_disks b WHERE b.policy_id = $1
        UNION SELECT x.disk_id FROM attachments x JOIN snapshot_policy_instances i ON i.instance_id = x.instance_id
            WHERE i.policy_id = $1)
    AND NOT d.shareable AND d.lifecycle = 'LIVE' AND d.state IN ('ATTACHED', 'EXPANDING')";

/// Whether the policy `$1` is bound to the disk `$2`, by itself or with its instance.
const IS_BOUND: &str = "SELECT 1 FROM snapshot_policy_disks b WHERE b.policy_id = $1 AND b.disk_id = $2
    UNION ALL SELECT 1 FROM attachments a JOIN snapshot_policy_instances i ON i.instance_id = a.instance_id
        WHERE i.policy_id = $1 AND a.disk_id = $2
    LIMIT 1";
