//! Scheduled snapshot policies: their rows, what they are bound to, and how they are listed.

use std::collections::HashMap;

use ashlar_types::{
    AccountUin, AdvancedRetention, DiskId, Hours, InstanceId, MonthDays, PolicyDays, PolicyRule, Region,
    Retention, SnapshotPolicyId, SnapshotPolicyState, UnixMillis, Weekdays,
};
use sqlx::Row as _;

use crate::column::{Columns, signed, text_if_any};
use crate::connect::{Connection, Row, next_sequence};
use crate::listing::{Builder, push_in, push_page};
use crate::{DbError, DbErrorKind, Listed, Order, Page};

/// A scheduled snapshot policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPolicy {
    /// Its id.
    pub id: SnapshotPolicyId,
    /// Whose it is.
    pub account: AccountUin,
    /// The region whose disks it can be bound to.
    pub region: Region,
    /// What its owner calls it, at most 60 bytes.
    pub name: String,
    /// Whether it is at work.
    pub state: SnapshotPolicyState,
    /// Whether its owner wants it to be at work.
    pub activated: bool,
    /// When it fires: whenever one of these says so.
    pub rules: Vec<PolicyRule>,
    /// Where the days of an interval are counted from.
    pub anchor: UnixMillis,
    /// Up to when its rules have been seen to: no moment before it fires any more.
    pub handled: UnixMillis,
    /// How long its snapshots are kept.
    pub retention: Retention,
    /// The account and the policy that it was copied from.
    pub copied_from: Option<(AccountUin, SnapshotPolicyId)>,
    /// When it was made.
    pub created: UnixMillis,
}

/// A policy and what a list shows beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPolicyListing {
    /// The policy.
    pub policy: SnapshotPolicy,
    /// The live disks that it is bound to, by id.
    pub disks: Vec<DiskId>,
    /// The instances that it is bound to, by id.
    pub instances: Vec<InstanceId>,
    /// The account that has the newest copy of it.
    pub copied_to: Option<AccountUin>,
}

/// One condition of a list. The values of one condition are alternatives; conditions join with "and".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SnapshotPolicyFilter {
    /// `auto-snapshot-policy-id`, and the ids of a call.
    Id(Vec<SnapshotPolicyId>),
    /// `auto-snapshot-policy-state`.
    State(Vec<SnapshotPolicyState>),
    /// `auto-snapshot-policy-name`, the whole name.
    Name(Vec<String>),
    /// Bound to this disk.
    Disk(DiskId),
}

/// Which policies a call wants to see, sorted by create time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPolicyQuery {
    /// Whose policies.
    pub account: AccountUin,
    /// In which region.
    pub region: Region,
    /// All of these must hold.
    pub filters: Vec<SnapshotPolicyFilter>,
    /// In which direction.
    pub order: Order,
    /// Which part.
    pub page: Page,
}

/// Queries on scheduled snapshot policies.
#[derive(Debug)]
pub struct SnapshotPolicies<'t>(pub(crate) &'t mut Connection);

impl SnapshotPolicies<'_> {
    /// Adds a policy. `Conflict` if the id is taken.
    pub async fn insert(&mut self, policy: &SnapshotPolicy) -> Result<(), DbError> {
        let sequence = next_sequence(self.0).await?;
        sqlx::query(
            "INSERT INTO snapshot_policies (policy_id, sequence, uin, region, copied_from_uin,
                copied_from_policy_id, created_ms, name, state, activated, anchor_ms, permanent)
             VALUES ($1, $2, $3, $4, $5, $6, $7, '', '', FALSE, 0, FALSE)",
        )
        .bind(policy.id.to_string())
        .bind(sequence)
        .bind(signed(policy.account.0))
        .bind(policy.region.as_str())
        .bind(policy.copied_from.map(|(account, _)| signed(account.0)))
        .bind(text_if_any(policy.copied_from.as_ref().map(|(_, policy)| policy)))
        .bind(policy.created.0)
        .execute(&mut *self.0)
        .await?;
        // One list of the changeable columns, in `save`.
        self.save(policy).await
    }

    /// Writes everything that can change in a policy's life; when it fires next is then to be worked out anew.
    /// `NotFound`.
    pub async fn save(&mut self, policy: &SnapshotPolicy) -> Result<(), DbError> {
        let kept = RetentionColumns::from(policy.retention);
        let done = sqlx::query(
            "UPDATE snapshot_policies SET name = $2, state = $3, activated = $4, anchor_ms = $5, permanent = $6,
                retention_days = $7, retention_months = $8, retention_amount = $9, advanced_days = $10,
                advanced_weeks = $11, advanced_months = $12, advanced_years = $13, handled_ms = $14,
                next_trigger_ms = NULL
             WHERE policy_id = $1",
        )
        .bind(policy.id.to_string())
        .bind(&policy.name)
        .bind(policy.state.as_str())
        .bind(policy.activated)
        .bind(policy.anchor.0)
        .bind(kept.permanent)
        .bind(kept.days.map(signed))
        .bind(kept.months.map(signed))
        .bind(kept.amount.map(signed))
        .bind(kept.advanced.map(|advanced| signed(advanced.days)))
        .bind(kept.advanced.map(|advanced| signed(advanced.weeks)))
        .bind(kept.advanced.map(|advanced| signed(advanced.months)))
        .bind(kept.advanced.map(|advanced| signed(advanced.years)))
        .bind(policy.handled.0)
        .execute(&mut *self.0)
        .await?;
        crate::one_row(done.rows_affected(), "snapshot policy", &policy.id)?;
        self.save_rules(policy).await
    }

    async fn save_rules(&mut self, policy: &SnapshotPolicy) -> Result<(), DbError> {
        sqlx::query("DELETE FROM snapshot_policy_rules WHERE policy_id = $1")
            .bind(policy.id.to_string())
            .execute(&mut *self.0)
            .await?;
        for (position, rule) in (0_i64..).zip(&policy.rules) {
            let (weekdays, month_days, interval) = match rule.days {
                PolicyDays::Week(days) => (Some(i64::from(days.bits())), None, None),
                PolicyDays::Month(days) => (None, Some(i64::from(days.bits())), None),
                PolicyDays::Interval(days) => (None, None, Some(i64::from(days))),
            };
            sqlx::query(
                "INSERT INTO snapshot_policy_rules (policy_id, position, hours, weekdays, month_days, interval_days)
                 VALUES ($1, $2, $3, $4, $5, $6)",
            )
            .bind(policy.id.to_string())
            .bind(position)
            .bind(i64::from(rule.hours.bits()))
            .bind(weekdays)
            .bind(month_days)
            .bind(interval)
            .execute(&mut *self.0)
            .await?;
        }
        Ok(())
    }

    /// Removes a policy and its bindings. Removing it again is a success.
    pub async fn delete(&mut self, id: SnapshotPolicyId) -> Result<(), DbError> {
        sqlx::query("DELETE FROM snapshot_policies WHERE policy_id = $1")
            .bind(id.to_string())
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// The policy with this id, if it is the account's and in the region.
    pub async fn find(
        &mut self,
        account: AccountUin,
        region: &Region,
        id: SnapshotPolicyId,
    ) -> Result<Option<SnapshotPolicy>, DbError> {
        let sql = "SELECT * FROM snapshot_policies WHERE policy_id = $1 AND uin = $2 AND region = $3";
        let row = sqlx::query(sql)
            .bind(id.to_string())
            .bind(signed(account.0))
            .bind(region.as_str())
            .fetch_optional(&mut *self.0)
            .await?;
        self.with_rules(row).await
    }

    async fn with_rules(&mut self, row: Option<Row>) -> Result<Option<SnapshotPolicy>, DbError> {
        let Some(row) = row else { return Ok(None) };
        let mut policy = policy_of(&Columns(&row))?;
        policy.rules = self.rules_of(&[policy.id]).await?.remove(&policy.id).unwrap_or_default();
        Ok(Some(policy))
    }

    /// The policy with this id, whoever has it.
    pub async fn find_any(&mut self, id: SnapshotPolicyId) -> Result<Option<SnapshotPolicy>, DbError> {
        let row = sqlx::query("SELECT * FROM snapshot_policies WHERE policy_id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut *self.0)
            .await?;
        self.with_rules(row).await
    }

    /// Whether any policy has this id.
    pub async fn exists(&mut self, id: SnapshotPolicyId) -> Result<bool, DbError> {
        let row = sqlx::query("SELECT 1 FROM snapshot_policies WHERE policy_id = $1")
            .bind(id.to_string())
            .fetch_optional(&mut *self.0)
            .await?;
        Ok(row.is_some())
    }

    /// How many policies an account has in a region.
    pub async fn count(&mut self, account: AccountUin, region: &Region) -> Result<u64, DbError> {
        let sql = "SELECT COUNT(*) AS count FROM snapshot_policies WHERE uin = $1 AND region = $2";
        let row =
            sqlx::query(sql).bind(signed(account.0)).bind(region.as_str()).fetch_one(&mut *self.0).await?;
        Columns(&row).number("count")
    }

    /// The copy of a policy that an account has in a region.
    pub async fn copy_in(
        &mut self,
        account: AccountUin,
        region: &Region,
        origin: SnapshotPolicyId,
    ) -> Result<Option<SnapshotPolicy>, DbError> {
        let sql = "SELECT policy_id FROM snapshot_policies
             WHERE copied_from_policy_id = $1 AND uin = $2 AND region = $3";
        let row = sqlx::query(sql)
            .bind(origin.to_string())
            .bind(signed(account.0))
            .bind(region.as_str())
            .fetch_optional(&mut *self.0)
            .await?;
        match row {
            Some(row) => {
                let id = Columns(&row).word("policy_id")?;
                self.find(account, region, id).await
            }
            None => Ok(None),
        }
    }

    /// The page of policies that a query asks for.
    pub async fn list(
        &mut self,
        query: &SnapshotPolicyQuery,
    ) -> Result<Listed<SnapshotPolicyListing>, DbError> {
        let mut count = Builder::new("SELECT COUNT(*) FROM snapshot_policies p");
        push_where(&mut count, query);
        let total: i64 = count.build().fetch_one(&mut *self.0).await?.try_get(0)?;

        let mut list = Builder::new(
            "SELECT p.*, (SELECT c.uin FROM snapshot_policies c WHERE c.copied_from_policy_id = p.policy_id
                ORDER BY c.sequence DESC LIMIT 1) AS copied_to_uin
             FROM snapshot_policies p",
        );
        push_where(&mut list, query);
        let direction = query.order.sql();
        list.push(" ORDER BY p.created_ms").push(direction).push(", p.sequence").push(direction);
        push_page(&mut list, query.page);
        let rows = list.build().fetch_all(&mut *self.0).await?;

        let mut items = Vec::with_capacity(rows.len());
        for row in &rows {
            let columns = Columns(row);
            items.push(SnapshotPolicyListing {
                policy: policy_of(&columns)?,
                disks: Vec::new(),
                instances: Vec::new(),
                copied_to: columns.number_if_any("copied_to_uin")?.map(AccountUin),
            });
        }
        let ids: Vec<SnapshotPolicyId> = items.iter().map(|item| item.policy.id).collect();
        let mut rules = self.rules_of(&ids).await?;
        let mut disks = self.disks_of(&ids).await?;
        let mut instances = self.instances_of(&ids).await?;
        for item in &mut items {
            let id = item.policy.id;
            item.policy.rules = rules.remove(&id).unwrap_or_default();
            item.disks = disks.remove(&id).unwrap_or_default();
            item.instances = instances.remove(&id).unwrap_or_default();
        }
        Ok(Listed { total_count: u64::try_from(total).unwrap_or(0), items })
    }

    async fn rules_of(
        &mut self,
        ids: &[SnapshotPolicyId],
    ) -> Result<HashMap<SnapshotPolicyId, Vec<PolicyRule>>, DbError> {
        let mut query = Builder::new("SELECT * FROM snapshot_policy_rules WHERE 1 = 1");
        push_in(&mut query, "policy_id", ids, ToString::to_string);
        query.push(" ORDER BY policy_id, position");
        let rows = query.build().fetch_all(&mut *self.0).await?;
        let mut found: HashMap<_, Vec<PolicyRule>> = HashMap::new();
        for row in &rows {
            let columns = Columns(row);
            found.entry(columns.word("policy_id")?).or_default().push(rule_of(&columns)?);
        }
        Ok(found)
    }

    async fn disks_of(
        &mut self,
        ids: &[SnapshotPolicyId],
    ) -> Result<HashMap<SnapshotPolicyId, Vec<DiskId>>, DbError> {
        let mut query = Builder::new(
            "SELECT b.policy_id, b.disk_id FROM snapshot_policy_disks b JOIN disks d ON d.disk_id = b.disk_id
             WHERE d.lifecycle = 'LIVE'",
        );
        push_in(&mut query, "b.policy_id", ids, ToString::to_string);
        query.push(" ORDER BY b.policy_id, b.disk_id");
        let rows = query.build().fetch_all(&mut *self.0).await?;
        let mut found: HashMap<_, Vec<DiskId>> = HashMap::new();
        for row in &rows {
            let columns = Columns(row);
            found.entry(columns.word("policy_id")?).or_default().push(columns.word("disk_id")?);
        }
        Ok(found)
    }

    async fn instances_of(
        &mut self,
        ids: &[SnapshotPolicyId],
    ) -> Result<HashMap<SnapshotPolicyId, Vec<InstanceId>>, DbError> {
        let mut query =
            Builder::new("SELECT policy_id, instance_id FROM snapshot_policy_instances WHERE 1 = 1");
        push_in(&mut query, "policy_id", ids, ToString::to_string);
        query.push(" ORDER BY policy_id, instance_id");
        let rows = query.build().fetch_all(&mut *self.0).await?;
        let mut found: HashMap<_, Vec<InstanceId>> = HashMap::new();
        for row in &rows {
            let columns = Columns(row);
            found.entry(columns.word("policy_id")?).or_default().push(columns.word("instance_id")?);
        }
        Ok(found)
    }

    /// The policies that each of these disks is bound to itself, oldest first. Disks without one are left out.
    pub async fn of_disks(
        &mut self,
        disks: &[DiskId],
    ) -> Result<HashMap<DiskId, Vec<SnapshotPolicyId>>, DbError> {
        let mut query = Builder::new(
            "SELECT b.disk_id, b.policy_id FROM snapshot_policy_disks b
             JOIN snapshot_policies p ON p.policy_id = b.policy_id WHERE 1 = 1",
        );
        push_in(&mut query, "b.disk_id", disks, ToString::to_string);
        query.push(" ORDER BY b.disk_id, p.created_ms, p.sequence");
        let rows = query.build().fetch_all(&mut *self.0).await?;
        let mut found: HashMap<_, Vec<SnapshotPolicyId>> = HashMap::new();
        for row in &rows {
            let columns = Columns(row);
            found.entry(columns.word("disk_id")?).or_default().push(columns.word("policy_id")?);
        }
        Ok(found)
    }

    /// How many disks and how many instances a policy is bound to.
    pub async fn bound_counts(&mut self, id: SnapshotPolicyId) -> Result<(u64, u64), DbError> {
        let sql = "SELECT (SELECT COUNT(*) FROM snapshot_policy_disks b WHERE b.policy_id = $1) AS disks,
                (SELECT COUNT(*) FROM snapshot_policy_instances b WHERE b.policy_id = $1) AS instances";
        let row = sqlx::query(sql).bind(id.to_string()).fetch_one(&mut *self.0).await?;
        let columns = Columns(&row);
        Ok((columns.number("disks")?, columns.number("instances")?))
    }

    /// Binds a disk. `Conflict` if it is bound already.
    pub async fn bind_disk(&mut self, id: SnapshotPolicyId, disk: DiskId) -> Result<(), DbError> {
        sqlx::query("INSERT INTO snapshot_policy_disks (policy_id, disk_id) VALUES ($1, $2)")
            .bind(id.to_string())
            .bind(disk.to_string())
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Binds an instance. `Conflict` if it is bound already.
    pub async fn bind_instance(&mut self, id: SnapshotPolicyId, instance: InstanceId) -> Result<(), DbError> {
        sqlx::query("INSERT INTO snapshot_policy_instances (policy_id, instance_id) VALUES ($1, $2)")
            .bind(id.to_string())
            .bind(instance.to_string())
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Unbinds a disk. Unbinding one that is not bound is a success.
    pub async fn unbind_disk(&mut self, id: SnapshotPolicyId, disk: DiskId) -> Result<(), DbError> {
        sqlx::query("DELETE FROM snapshot_policy_disks WHERE policy_id = $1 AND disk_id = $2")
            .bind(id.to_string())
            .bind(disk.to_string())
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Unbinds an instance. Unbinding one that is not bound is a success.
    pub async fn unbind_instance(
        &mut self,
        id: SnapshotPolicyId,
        instance: InstanceId,
    ) -> Result<(), DbError> {
        sqlx::query("DELETE FROM snapshot_policy_instances WHERE policy_id = $1 AND instance_id = $2")
            .bind(id.to_string())
            .bind(instance.to_string())
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }
}

fn push_where(builder: &mut Builder, query: &SnapshotPolicyQuery) {
    builder.push(" WHERE p.uin = ").push_bind(signed(query.account.0));
    builder.push(" AND p.region = ").push_bind(query.region.to_string());
    for filter in &query.filters {
        match filter {
            SnapshotPolicyFilter::Id(values) => push_in(builder, "p.policy_id", values, ToString::to_string),
            SnapshotPolicyFilter::State(values) => push_in(builder, "p.state", values, ToString::to_string),
            SnapshotPolicyFilter::Name(values) => push_in(builder, "p.name", values, Clone::clone),
            SnapshotPolicyFilter::Disk(disk) => {
                let bound =
                    " AND p.policy_id IN (SELECT b.policy_id FROM snapshot_policy_disks b WHERE b.disk_id = ";
                builder.push(bound).push_bind(disk.to_string()).push(")");
            }
        }
    }
}

/// A retention as its columns.
#[derive(Default)]
struct RetentionColumns {
    permanent: bool,
    days: Option<u64>,
    months: Option<u64>,
    amount: Option<u64>,
    advanced: Option<AdvancedRetention>,
}

impl From<Retention> for RetentionColumns {
    fn from(retention: Retention) -> Self {
        match retention {
            Retention::Permanent => Self { permanent: true, ..Self::default() },
            Retention::Days(days) => Self { days: Some(days), ..Self::default() },
            Retention::Months(months) => Self { months: Some(months), ..Self::default() },
            Retention::Amount(amount) => Self { amount: Some(amount), ..Self::default() },
            Retention::Advanced(advanced) => Self { advanced: Some(advanced), ..Self::default() },
        }
    }
}

fn retention_of(columns: &Columns<'_>) -> Result<Retention, DbError> {
    if columns.flag("permanent")? {
        return Ok(Retention::Permanent);
    }
    if let Some(days) = columns.number_if_any("retention_days")? {
        return Ok(Retention::Days(days));
    }
    if let Some(months) = columns.number_if_any("retention_months")? {
        return Ok(Retention::Months(months));
    }
    if let Some(amount) = columns.number_if_any("retention_amount")? {
        return Ok(Retention::Amount(amount));
    }
    Ok(Retention::Advanced(AdvancedRetention {
        days: columns.number("advanced_days")?,
        weeks: columns.number("advanced_weeks")?,
        months: columns.number("advanced_months")?,
        years: columns.number("advanced_years")?,
    }))
}

/// The policy of a row, without its rules.
fn policy_of(columns: &Columns<'_>) -> Result<SnapshotPolicy, DbError> {
    let origin_account = columns.number_if_any("copied_from_uin")?.map(AccountUin);
    let origin_policy = columns.word_if_any("copied_from_policy_id")?;
    Ok(SnapshotPolicy {
        id: columns.word("policy_id")?,
        account: AccountUin(columns.number("uin")?),
        region: columns.word("region")?,
        name: columns.text("name")?,
        state: columns.word("state")?,
        activated: columns.flag("activated")?,
        rules: Vec::new(),
        anchor: columns.time("anchor_ms")?,
        handled: columns.time("handled_ms")?,
        retention: retention_of(columns)?,
        copied_from: origin_account.zip(origin_policy),
        created: columns.time("created_ms")?,
    })
}

fn rule_of(columns: &Columns<'_>) -> Result<PolicyRule, DbError> {
    let numbers = |bits: u64| (0..32_u64).filter(move |number| bits >> number & 1 == 1);
    let broken = |error| DbError::corrupt("a rule of a snapshot policy", error);
    let days = if let Some(bits) = columns.number_if_any("weekdays")? {
        PolicyDays::Week(Weekdays::new(numbers(bits)).map_err(broken)?)
    } else if let Some(bits) = columns.number_if_any("month_days")? {
        PolicyDays::Month(MonthDays::new(numbers(bits)).map_err(broken)?)
    } else {
        let days = columns.number("interval_days")?;
        let days = u16::try_from(days).ok().filter(|days| *days > 0);
        PolicyDays::Interval(days.ok_or_else(|| {
            DbError::new(DbErrorKind::Corrupt, "a rule of a snapshot policy has no interval")
        })?)
    };
    Ok(PolicyRule { hours: Hours::new(numbers(columns.number("hours")?)).map_err(broken)?, days })
}
