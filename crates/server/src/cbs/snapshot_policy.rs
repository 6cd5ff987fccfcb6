//! Scheduled snapshot policies: the calls, and how a policy is shown.

use ashlar_api::cbs::{
    AdvancedRetentionPolicy, AutoSnapshotPolicy, BindAutoSnapshotPolicy, BindAutoSnapshotPolicyResponse,
    CopyAutoSnapshotPolicyCrossAccount, CopyAutoSnapshotPolicyCrossAccountResponse, CreateAutoSnapshotPolicy,
    CreateAutoSnapshotPolicyResponse, DeleteAutoSnapshotPolicies, DeleteAutoSnapshotPoliciesResponse,
    DescribeAutoSnapshotPolicies, DescribeAutoSnapshotPoliciesResponse,
    DescribeDiskAssociatedAutoSnapshotPolicy, DescribeDiskAssociatedAutoSnapshotPolicyResponse,
    ModifyAutoSnapshotPolicyAttribute, ModifyAutoSnapshotPolicyAttributeResponse, Order, Policy,
    PolicyOutput, SnapshotOrderField, UnbindAutoSnapshotPolicy, UnbindAutoSnapshotPolicyResponse,
};
use ashlar_api::{Absent, OrEmpty};
use ashlar_control::{BoundBy, Caller, Control, NewRule, RetentionWish, SnapshotPolicyView};
use ashlar_types::{AdvancedRetention, PolicyDays, PolicyRule, Retention};

use crate::service::{Handled, pack};

pub(super) async fn create_auto_snapshot_policy(
    control: &Control,
    caller: &Caller,
    request: CreateAutoSnapshotPolicy,
) -> Handled<CreateAutoSnapshotPolicyResponse> {
    let wanted = ashlar_control::CreateSnapshotPolicy {
        rules: rules(request.policy),
        name: request.auto_snapshot_policy_name,
        activated: request.is_activated,
        retention: RetentionWish {
            permanent: request.is_permanent,
            days: request.retention_days,
            months: request.retention_months,
            amount: request.retention_amount,
            advanced: request.advanced_retention_policy.map(advanced),
        },
        dry_run: request.dry_run,
    };
    let made = control.create_snapshot_policy(caller, wanted).await?;
    Ok(CreateAutoSnapshotPolicyResponse {
        auto_snapshot_policy_id: OrEmpty(made.id),
        next_trigger_time: made.next_trigger.map(pack::date_time).into(),
    })
}

pub(super) async fn modify_auto_snapshot_policy_attribute(
    control: &Control,
    caller: &Caller,
    request: ModifyAutoSnapshotPolicyAttribute,
) -> Handled<ModifyAutoSnapshotPolicyAttributeResponse> {
    let wanted = ashlar_control::ModifySnapshotPolicy {
        policy: request.auto_snapshot_policy_id,
        name: request.auto_snapshot_policy_name,
        activated: request.is_activated,
        rules: request.policy.map(rules),
        retention: RetentionWish {
            permanent: request.is_permanent,
            days: request.retention_days,
            months: request.retention_months,
            amount: request.retention_amount,
            advanced: request.advanced_retention_policy.map(advanced),
        },
    };
    control.modify_snapshot_policy(caller, wanted).await?;
    Ok(ModifyAutoSnapshotPolicyAttributeResponse {})
}

pub(super) async fn delete_auto_snapshot_policies(
    control: &Control,
    caller: &Caller,
    request: DeleteAutoSnapshotPolicies,
) -> Handled<DeleteAutoSnapshotPoliciesResponse> {
    control.delete_snapshot_policies(caller, request.auto_snapshot_policy_ids).await?;
    Ok(DeleteAutoSnapshotPoliciesResponse {})
}

pub(super) async fn describe_auto_snapshot_policies(
    control: &Control,
    caller: &Caller,
    request: DescribeAutoSnapshotPolicies,
) -> Handled<DescribeAutoSnapshotPoliciesResponse> {
    let wanted = ashlar_control::DescribeSnapshotPolicies {
        policies: request.auto_snapshot_policy_ids.unwrap_or_default(),
        filters: pack::filters(request.filters),
        offset: request.offset,
        limit: request.limit,
        order: request.order.map(Order::as_str).map(str::to_owned),
        order_field: request.order_field.map(SnapshotOrderField::as_str).map(str::to_owned),
    };
    let listed = control.describe_snapshot_policies(caller, wanted).await?;
    let auto_snapshot_policy_set = listed.items.into_iter().map(shown).collect();
    Ok(DescribeAutoSnapshotPoliciesResponse { total_count: listed.total_count, auto_snapshot_policy_set })
}

pub(super) async fn bind_auto_snapshot_policy(
    control: &Control,
    caller: &Caller,
    request: BindAutoSnapshotPolicy,
) -> Handled<BindAutoSnapshotPolicyResponse> {
    let wanted = BoundBy {
        policy: request.auto_snapshot_policy_id,
        disks: request.disk_ids.unwrap_or_default(),
        instances: request.instance_ids.unwrap_or_default(),
    };
    control.bind_snapshot_policy(caller, wanted).await?;
    Ok(BindAutoSnapshotPolicyResponse {})
}

pub(super) async fn unbind_auto_snapshot_policy(
    control: &Control,
    caller: &Caller,
    request: UnbindAutoSnapshotPolicy,
) -> Handled<UnbindAutoSnapshotPolicyResponse> {
    let wanted = BoundBy {
        policy: request.auto_snapshot_policy_id,
        disks: request.disk_ids.unwrap_or_default(),
        instances: request.instance_ids.unwrap_or_default(),
    };
    control.unbind_snapshot_policy(caller, wanted).await?;
    Ok(UnbindAutoSnapshotPolicyResponse {})
}

/// The lists of what else a policy is bound to stay empty here, as documented.
pub(super) async fn describe_disk_associated_auto_snapshot_policy(
    control: &Control,
    caller: &Caller,
    request: DescribeDiskAssociatedAutoSnapshotPolicy,
) -> Handled<DescribeDiskAssociatedAutoSnapshotPolicyResponse> {
    let listed = control.snapshot_policies_of_disk(caller, request.disk_id).await?;
    let alone = |view| SnapshotPolicyView { disks: Vec::new(), instances: Vec::new(), ..view };
    let auto_snapshot_policy_set = listed.items.into_iter().map(alone).map(shown).collect();
    let total_count = listed.total_count;
    Ok(DescribeDiskAssociatedAutoSnapshotPolicyResponse { total_count, auto_snapshot_policy_set })
}

pub(super) async fn copy_auto_snapshot_policy_cross_account(
    control: &Control,
    caller: &Caller,
    request: CopyAutoSnapshotPolicyCrossAccount,
) -> Handled<CopyAutoSnapshotPolicyCrossAccountResponse> {
    let CopyAutoSnapshotPolicyCrossAccount { auto_snapshot_policy_ids: ids, target_account_uin } = request;
    let auto_snapshot_policy_ids = control.copy_snapshot_policies(caller, ids, &target_account_uin).await?;
    Ok(CopyAutoSnapshotPolicyCrossAccountResponse { auto_snapshot_policy_ids, target_account_uin })
}

fn rules(policy: Vec<Policy>) -> Vec<NewRule> {
    let rule = |rule: Policy| NewRule {
        hours: rule.hour,
        weekdays: rule.day_of_week.unwrap_or_default(),
        month_days: rule.day_of_month.unwrap_or_default(),
        interval_days: rule.interval_days,
    };
    policy.into_iter().map(rule).collect()
}

fn advanced(wanted: AdvancedRetentionPolicy) -> AdvancedRetention {
    let AdvancedRetentionPolicy { days, weeks, months, years } = wanted;
    AdvancedRetention { days, weeks, months, years }
}

fn rule_shown(rule: PolicyRule) -> PolicyOutput {
    let hour = rule.hours.iter().map(u64::from).collect();
    let (day_of_week, day_of_month, interval_days) = match rule.days {
        PolicyDays::Week(days) => (Some(days.iter().map(u64::from).collect()), None, None),
        PolicyDays::Month(days) => (None, Some(days.iter().map(u64::from).collect()), None),
        PolicyDays::Interval(days) => (None, None, Some(u64::from(days))),
    };
    PolicyOutput {
        hour,
        day_of_week: Absent(day_of_week),
        day_of_month: Absent(day_of_month),
        interval_days: Absent(interval_days),
    }
}

fn shown(view: SnapshotPolicyView) -> AutoSnapshotPolicy {
    let SnapshotPolicyView { policy, disks, instances, copied_to, tags, next_trigger } = view;
    let (retention_days, retention_months, retention_amount, advanced) = match policy.retention {
        Retention::Permanent => (0, 0, 0, None),
        Retention::Days(days) => (days, 0, 0, None),
        Retention::Months(months) => (0, months, 0, None),
        Retention::Amount(amount) => (0, 0, amount, None),
        Retention::Advanced(advanced) => (0, 0, 0, Some(advanced)),
    };
    let advanced_shown = |advanced: AdvancedRetention| {
        let AdvancedRetention { days, weeks, months, years } = advanced;
        AdvancedRetentionPolicy { days, weeks, months, years }
    };
    AutoSnapshotPolicy {
        disk_id_set: disks,
        is_activated: policy.activated,
        auto_snapshot_policy_state: policy.state,
        is_copy_to_remote: u64::from(copied_to.is_some()),
        is_permanent: policy.retention == Retention::Permanent,
        next_trigger_time: next_trigger.map(pack::date_time).into(),
        auto_snapshot_policy_name: policy.name,
        auto_snapshot_policy_id: policy.id,
        policy: policy.rules.into_iter().map(rule_shown).collect(),
        create_time: pack::date_time(policy.created),
        retention_days,
        copy_to_account_uin: copied_to.map(|account| account.to_string()),
        instance_id_set: instances,
        retention_months,
        retention_amount,
        advanced_retention_policy: advanced.map(advanced_shown),
        copy_from_account_uin: policy.copied_from.map(|(account, _)| account.to_string()),
        tags: pack::tags_shown(tags),
    }
}
