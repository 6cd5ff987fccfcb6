//! Scheduled snapshot policies.

use ashlar_types::{DiskId, InstanceId, SnapshotPolicyId, SnapshotPolicyState};

use super::choice::{Order, SnapshotOrderField};
use super::filter::Filter;
use super::tag::Tag;
use super::{LIMIT, NAME, OFFSET};
use crate::encode::{Absent, OrEmpty};
use crate::model::model;
use crate::schema::Rules;
use crate::time::DateTime;

/// An hour of a day. Source: `Policy.Hour`.
const HOUR: Rules = Rules::NONE.range(0, 23);

/// A day of a week, 0 for Sunday. Source: `Policy.DayOfWeek`.
const WEEKDAY: Rules = Rules::NONE.range(0, 6);

/// A day of a month. Source: `Policy.DayOfMonth`.
const MONTH_DAY: Rules = Rules::NONE.range(1, 31);

/// Days from one time to the next. Source: `Policy.IntervalDays`.
const INTERVAL_DAYS: Rules = Rules::NONE.range(1, 365);

/// A number of days, months or snapshots.
const RETENTION: Rules = Rules::NONE.range(1, 65_536);

/// The same where no document lists the parameter, though answers show what it sets.
const RETENTION_UNLISTED: Rules = Rules::UNDOCUMENTED.range(1, 65_536);

/// A number of an advanced retention. Source: `AdvancedRetentionPolicy`.
const ADVANCED: Rules = Rules::NONE.range(0, 100);

model! {
    /// Makes a policy. Reference: `cbs/CreateAutoSnapshotPolicy`. `RetentionMonths`, `RetentionAmount` and
    /// `AdvancedRetentionPolicy` are fields of every answer that no request is documented to set.
    pub struct CreateAutoSnapshotPolicy("CreateAutoSnapshotPolicyRequest"): input {
        /// When it fires: whenever one of these says so.
        pub policy: Vec<Policy> = "Policy",
        /// Only say when it would fire first. Default: false.
        pub dry_run: Option<bool> = "DryRun",
        /// Whether it is at work. Default: true.
        pub is_activated: Option<bool> = "IsActivated",
        /// At most 60 bytes. Default: `Unnamed`.
        pub auto_snapshot_policy_name: Option<String> = "AutoSnapshotPolicyName" => NAME,
        /// Whether its snapshots are kept for ever. Default: false.
        pub is_permanent: Option<bool> = "IsPermanent",
        /// For how many days its snapshots are kept. Default: 7.
        pub retention_days: Option<u64> = "RetentionDays" => RETENTION,
        /// For how many months instead.
        pub retention_months: Option<u64> = "RetentionMonths" => RETENTION_UNLISTED,
        /// How many of each disk are kept instead.
        pub retention_amount: Option<u64> = "RetentionAmount" => RETENTION_UNLISTED,
        /// How many of each age are kept instead.
        pub advanced_retention_policy: Option<AdvancedRetentionPolicy> = "AdvancedRetentionPolicy" => Rules::UNDOCUMENTED,
    }

    /// The answer of [`CreateAutoSnapshotPolicy`].
    pub struct CreateAutoSnapshotPolicyResponse("CreateAutoSnapshotPolicyResponse"): output {
        /// The new policy; empty after a dry run.
        pub auto_snapshot_policy_id: OrEmpty<SnapshotPolicyId> = "AutoSnapshotPolicyId",
        /// When it fires first; empty while it is not activated.
        pub next_trigger_time: OrEmpty<DateTime> = "NextTriggerTime",
    }

    /// Changes a policy. Reference: `cbs/ModifyAutoSnapshotPolicyAttribute`.
    pub struct ModifyAutoSnapshotPolicyAttribute("ModifyAutoSnapshotPolicyAttributeRequest"): input {
        /// The policy.
        pub auto_snapshot_policy_id: SnapshotPolicyId = "AutoSnapshotPolicyId",
        /// Whether it is at work.
        pub is_activated: Option<bool> = "IsActivated",
        /// Whether its snapshots are kept for ever.
        pub is_permanent: Option<bool> = "IsPermanent",
        /// At most 60 bytes.
        pub auto_snapshot_policy_name: Option<String> = "AutoSnapshotPolicyName" => NAME,
        /// Rules in place of all that it has.
        pub policy: Option<Vec<Policy>> = "Policy",
        /// For how many days its snapshots are kept.
        pub retention_days: Option<u64> = "RetentionDays" => RETENTION,
        /// For how many months instead.
        pub retention_months: Option<u64> = "RetentionMonths" => RETENTION_UNLISTED,
        /// How many of each disk are kept instead.
        pub retention_amount: Option<u64> = "RetentionAmount" => RETENTION_UNLISTED,
        /// How many of each age are kept instead.
        pub advanced_retention_policy: Option<AdvancedRetentionPolicy> = "AdvancedRetentionPolicy" => Rules::UNDOCUMENTED,
    }

    /// The answer of [`ModifyAutoSnapshotPolicyAttribute`].
    pub struct ModifyAutoSnapshotPolicyAttributeResponse("ModifyAutoSnapshotPolicyAttributeResponse"): output {
    }

    /// Deletes policies, all or none. Reference: `cbs/DeleteAutoSnapshotPolicies`.
    pub struct DeleteAutoSnapshotPolicies("DeleteAutoSnapshotPoliciesRequest"): input {
        /// The policies; at least one.
        pub auto_snapshot_policy_ids: Vec<SnapshotPolicyId> = "AutoSnapshotPolicyIds",
    }

    /// The answer of [`DeleteAutoSnapshotPolicies`].
    pub struct DeleteAutoSnapshotPoliciesResponse("DeleteAutoSnapshotPoliciesResponse"): output {
    }

    /// Lists policies, newest first. Reference: `cbs/DescribeAutoSnapshotPolicies`, the newer page.
    pub struct DescribeAutoSnapshotPolicies("DescribeAutoSnapshotPoliciesRequest"): input {
        /// Only these policies.
        pub auto_snapshot_policy_ids: Option<Vec<SnapshotPolicyId>> = "AutoSnapshotPolicyIds",
        /// Only what meets all of these conditions.
        pub filters: Option<Vec<Filter>> = "Filters",
        /// How many to give, 1 to 100. Default: 20.
        pub limit: Option<u64> = "Limit" => LIMIT,
        /// How many to skip. Default: 0.
        pub offset: Option<u64> = "Offset" => OFFSET,
        /// The direction. Default: descending.
        pub order: Option<Order> = "Order",
        /// What to sort by. Default: the time of creation.
        pub order_field: Option<SnapshotOrderField> = "OrderField",
    }

    /// The answer of [`DescribeAutoSnapshotPolicies`].
    pub struct DescribeAutoSnapshotPoliciesResponse("DescribeAutoSnapshotPoliciesResponse"): output {
        /// How many policies meet the conditions, on all pages.
        pub total_count: u64 = "TotalCount",
        /// This page.
        pub auto_snapshot_policy_set: Vec<AutoSnapshotPolicy> = "AutoSnapshotPolicySet",
    }

    /// Binds a policy to disks and instances. Reference: `cbs/BindAutoSnapshotPolicy`; `InstanceIds` is listed
    /// for the opposite call alone.
    pub struct BindAutoSnapshotPolicy("BindAutoSnapshotPolicyRequest"): input {
        /// The policy.
        pub auto_snapshot_policy_id: SnapshotPolicyId = "AutoSnapshotPolicyId",
        /// The disks, at most 80.
        pub disk_ids: Option<Vec<DiskId>> = "DiskIds",
        /// Instances, which stand for the disks in them.
        pub instance_ids: Option<Vec<InstanceId>> = "InstanceIds" => Rules::UNDOCUMENTED,
    }

    /// The answer of [`BindAutoSnapshotPolicy`].
    pub struct BindAutoSnapshotPolicyResponse("BindAutoSnapshotPolicyResponse"): output {
    }

    /// Unbinds a policy. Reference: `cbs/UnbindAutoSnapshotPolicy` and the newer client libraries, which have
    /// `InstanceIds`. What is not bound is passed over.
    pub struct UnbindAutoSnapshotPolicy("UnbindAutoSnapshotPolicyRequest"): input {
        /// The policy.
        pub auto_snapshot_policy_id: SnapshotPolicyId = "AutoSnapshotPolicyId",
        /// The disks, at most 80.
        pub disk_ids: Option<Vec<DiskId>> = "DiskIds",
        /// The instances, at most 80.
        pub instance_ids: Option<Vec<InstanceId>> = "InstanceIds",
    }

    /// The answer of [`UnbindAutoSnapshotPolicy`].
    pub struct UnbindAutoSnapshotPolicyResponse("UnbindAutoSnapshotPolicyResponse"): output {
    }

    /// Lists the policies of one disk. Reference: `cbs/DescribeDiskAssociatedAutoSnapshotPolicy`.
    pub struct DescribeDiskAssociatedAutoSnapshotPolicy("DescribeDiskAssociatedAutoSnapshotPolicyRequest"): input {
        /// The disk.
        pub disk_id: DiskId = "DiskId",
    }

    /// The answer of [`DescribeDiskAssociatedAutoSnapshotPolicy`].
    pub struct DescribeDiskAssociatedAutoSnapshotPolicyResponse("DescribeDiskAssociatedAutoSnapshotPolicyResponse"): output {
        /// How many there are.
        pub total_count: u64 = "TotalCount",
        /// All of them, with `DiskIdSet` and `InstanceIdSet` empty, as documented.
        pub auto_snapshot_policy_set: Vec<AutoSnapshotPolicy> = "AutoSnapshotPolicySet",
    }

    /// Copies policies into another account. Reference: the newer client libraries.
    pub struct CopyAutoSnapshotPolicyCrossAccount("CopyAutoSnapshotPolicyCrossAccountRequest"): input {
        /// The policies; at least one.
        pub auto_snapshot_policy_ids: Vec<SnapshotPolicyId> = "AutoSnapshotPolicyIds",
        /// The account.
        pub target_account_uin: String = "TargetAccountUin",
    }

    /// The answer of [`CopyAutoSnapshotPolicyCrossAccount`].
    pub struct CopyAutoSnapshotPolicyCrossAccountResponse("CopyAutoSnapshotPolicyCrossAccountResponse"): output {
        /// The policies that were copied, under the ids that the caller knows.
        pub auto_snapshot_policy_ids: Vec<SnapshotPolicyId> = "AutoSnapshotPolicyIds",
        /// The account.
        pub target_account_uin: String = "TargetAccountUin",
    }

    /// One rule: at these hours on these days. `DayOfWeek`, `DayOfMonth` and `IntervalDays` exclude each other,
    /// and one of them is given. Reference: `cbs/data-types`, `Policy`.
    pub struct Policy("Policy"): input {
        /// Hours, 0 to 23.
        pub hour: Vec<u64> = "Hour" => HOUR,
        /// Days of the week, 0 for Sunday.
        pub day_of_week: Option<Vec<u64>> = "DayOfWeek" => WEEKDAY,
        /// Days of the month; a month that lacks one leaves it out.
        pub day_of_month: Option<Vec<u64>> = "DayOfMonth" => MONTH_DAY,
        /// Once in so many days.
        pub interval_days: Option<u64> = "IntervalDays" => INTERVAL_DAYS,
    }

    /// The same in an answer: what the rule does not use is left out.
    pub struct PolicyOutput("Policy"): output {
        /// Hours, 0 to 23.
        pub hour: Vec<u64> = "Hour",
        /// Days of the week, 0 for Sunday.
        pub day_of_week: Absent<Vec<u64>> = "DayOfWeek",
        /// Days of the month.
        pub day_of_month: Absent<Vec<u64>> = "DayOfMonth",
        /// Once in so many days.
        pub interval_days: Absent<u64> = "IntervalDays",
    }

    /// How many snapshots of each age are kept. Reference: `cbs/data-types`, `AdvancedRetentionPolicy`.
    pub struct AdvancedRetentionPolicy("AdvancedRetentionPolicy"): both {
        /// Days of which the newest is kept.
        pub days: u64 = "Days" => ADVANCED,
        /// Weeks of which the newest is kept.
        pub weeks: u64 = "Weeks" => ADVANCED,
        /// Months of which the newest is kept.
        pub months: u64 = "Months" => ADVANCED,
        /// Years of which the newest is kept.
        pub years: u64 = "Years" => ADVANCED,
    }

    /// A policy. Reference: `cbs/data-types`, `AutoSnapshotPolicy`.
    pub struct AutoSnapshotPolicy("AutoSnapshotPolicy"): output {
        /// The disks that it is bound to.
        pub disk_id_set: Vec<DiskId> = "DiskIdSet",
        /// Whether its owner wants it to be at work.
        pub is_activated: bool = "IsActivated",
        /// Whether the operator lets it be at work.
        pub auto_snapshot_policy_state: SnapshotPolicyState = "AutoSnapshotPolicyState",
        /// 1 where it was copied into another account, else 0.
        pub is_copy_to_remote: u64 = "IsCopyToRemote",
        /// Whether its snapshots are kept for ever.
        pub is_permanent: bool = "IsPermanent",
        /// When it fires next; empty while it is not at work.
        pub next_trigger_time: OrEmpty<DateTime> = "NextTriggerTime",
        /// Its name.
        pub auto_snapshot_policy_name: String = "AutoSnapshotPolicyName",
        /// Its id.
        pub auto_snapshot_policy_id: SnapshotPolicyId = "AutoSnapshotPolicyId",
        /// When it fires.
        pub policy: Vec<PolicyOutput> = "Policy",
        /// When it was made.
        pub create_time: DateTime = "CreateTime",
        /// For how many days its snapshots are kept; 0 where another rule holds.
        pub retention_days: u64 = "RetentionDays",
        /// The account that has the newest copy of it.
        pub copy_to_account_uin: Option<String> = "CopyToAccountUin",
        /// The instances that it is bound to.
        pub instance_id_set: Vec<InstanceId> = "InstanceIdSet",
        /// For how many months its snapshots are kept; 0 where another rule holds.
        pub retention_months: u64 = "RetentionMonths",
        /// How many snapshots of each disk are kept; 0 where another rule holds.
        pub retention_amount: u64 = "RetentionAmount",
        /// How many snapshots of each age are kept.
        pub advanced_retention_policy: Option<AdvancedRetentionPolicy> = "AdvancedRetentionPolicy",
        /// The account that it was copied from.
        pub copy_from_account_uin: Option<String> = "CopyFromAccountUin",
        /// Its tags.
        pub tags: Vec<Tag> = "Tags",
    }
}
