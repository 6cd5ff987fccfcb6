//! CreateDisks: from a wish to checked plans, then rows and a job in one transaction.

use ashlar_db::{ClientToken, Disk, Lifecycle, Tagged, Transaction};
use ashlar_types::{
    DiskChargeType, DiskId, DiskState, DiskUsage, ProjectId, RenewFlag, SnapshotId, UnixMillis,
};

use super::{CreateDisks, named, state};
use crate::caller::Caller;
use crate::control::Control;
use crate::error::{ControlError, ParameterError, QuotaError, SnapshotError};
use crate::filter::{check_name, check_tags, invalid};
use crate::job::{JobHold, Work};
use crate::settings::{DiskTypeSettings, Limits};
use crate::wire_time::plus_months;

/// Periods that can be paid in advance, in months. Reference: `DiskChargePrepaid.Period`.
const PERIODS: [u64; 14] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 24, 36];

impl Control {
    /// Makes disks and gives their ids when they can be used.
    ///
    /// With a client token, the same call gives the same ids, and a call with other parameters is refused.
    /// If the volumes cannot be made, nothing is left and the call fails.
    pub async fn create_disks(
        &self,
        caller: &Caller,
        wanted: CreateDisks,
    ) -> Result<Vec<DiskId>, ControlError> {
        check_request(&wanted, self.limits())?;
        if let Some(token) = &wanted.client_token
            && let Some(used) =
                self.db.read().await?.client_tokens().find(caller.account, &caller.region, token).await?
        {
            return self.answer_again(&wanted, used).await;
        }
        let count = wanted.count.unwrap_or(1);
        let ids = self.free_disk_ids(&caller.region, count).await?;

        let mut tx = self.db.write().await?;
        if let Some(token) = &wanted.client_token
            && let Some(used) = tx.client_tokens().find(caller.account, &caller.region, token).await?
        {
            // The twin of this call came first between the two looks.
            drop(tx);
            return self.answer_again(&wanted, used).await;
        }
        let size_gib = self.check_against_records(&mut tx, caller, &wanted).await?;
        let work = Work::CreateDisks { disks: ids.clone(), size_gib, from: wanted.snapshot };
        let job = self.write_job(&mut tx, &caller.region, &work).await?;
        for id in &ids {
            let disk = new_disk(caller, &wanted, *id, size_gib, job, self.now());
            tx.disks().insert(&disk).await?;
            tx.tags().insert(Tagged::Disk(*id), &wanted.tags).await?;
            if let Some(policy) = wanted.policy {
                tx.snapshot_policies().bind_disk(policy, *id).await?;
            }
            self.log_operation(&mut tx, caller, Tagged::Disk(*id), "CreateDisks", Some(job)).await?;
        }
        if let Some(token) = &wanted.client_token {
            let token =
                ClientToken { token: token.clone(), request: canonical(&wanted), disks: ids.clone(), job };
            tx.client_tokens().insert(caller.account, &caller.region, &token, self.now()).await?;
        }
        tx.commit().await?;

        self.await_or_cancel_job(job).await?;
        Ok(ids)
    }

    /// The answer to a call whose token was used.
    async fn answer_again(
        &self,
        wanted: &CreateDisks,
        used: ClientToken,
    ) -> Result<Vec<DiskId>, ControlError> {
        if used.request != canonical(wanted) {
            return Err(ParameterError::ClientTokenReused { token: used.token }.into());
        }
        self.await_any_job(used.job).await?;
        Ok(used.disks)
    }

    /// Everything that only the records can tell; gives the size.
    async fn check_against_records(
        &self,
        tx: &mut Transaction,
        caller: &Caller,
        wanted: &CreateDisks,
    ) -> Result<u64, ControlError> {
        let zone = &wanted.placement.zone;
        if zone.region() != caller.region || !tx.places().has_zone(zone).await? {
            let expected = format!("a zone of the region {}", caller.region);
            return Err(invalid("Placement.Zone", zone, expected).into());
        }
        let project = wanted.placement.project.unwrap_or(ProjectId(0));
        if !tx.accounts().has_project(caller.account, project).await? {
            return Err(ParameterError::ProjectNotFound(project).into());
        }
        let offered = self.settings.disk_types.of(wanted.disk_type);
        if !offered.available {
            return Err(config(wanted, "the operator does not offer this type"));
        }
        let snapshot_gib = match wanted.snapshot {
            Some(id) => Some(snapshot_size(tx, caller, id).await?),
            None => None,
        };
        let size_gib = check_size(wanted, snapshot_gib, offered)?;
        check_extra_performance(wanted, size_gib, offered)?;
        if let Some(policy) = wanted.policy {
            self.check_policy_for_new_disks(tx, caller, policy, wanted.count.unwrap_or(1)).await?;
        }
        Ok(size_gib)
    }
}

fn config(wanted: &CreateDisks, why: &'static str) -> ControlError {
    QuotaError::DiskConfig { disk_type: wanted.disk_type, why }.into()
}

/// The size of the snapshot that disks shall be made from.
async fn snapshot_size(tx: &mut Transaction, caller: &Caller, id: SnapshotId) -> Result<u64, ControlError> {
    let found = tx.snapshots().find(caller.account, &caller.region, id).await?;
    let snapshot = found.ok_or(SnapshotError::NotFound(id))?;
    state::snapshot_ready(&snapshot)?;
    match snapshot.usage {
        DiskUsage::DataDisk => Ok(snapshot.size_gib),
        DiskUsage::SystemDisk => {
            let why = "disks can be created from snapshots of data disks only";
            Err(SnapshotError::NotSupported { snapshot: id, why }.into())
        }
    }
}

/// Everything that the request alone can tell.
fn check_request(wanted: &CreateDisks, limits: &Limits) -> Result<(), ControlError> {
    check_not_offered(wanted)?;
    check_payment(wanted)?;
    let count = wanted.count.unwrap_or(1);
    if count == 0 {
        return Err(invalid("DiskCount", count, "1 or more").into());
    }
    if count > limits.disks_per_create {
        let (given, at_most) = (count, limits.disks_per_create);
        return Err(ParameterError::LimitExceeded { parameter: "DiskCount", given, at_most }.into());
    }
    if let Some(name) = &wanted.name {
        check_name("DiskName", name, limits)?;
    }
    check_tags(&wanted.tags, limits)?;
    if let Some(token) = &wanted.client_token {
        let fits = (1..=limits.client_token_bytes).contains(&(token.len() as u64));
        if !fits || !token.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            let expected = format!("1 to {} printable ASCII characters", limits.client_token_bytes);
            return Err(invalid("ClientToken", token.escape_default(), expected).into());
        }
    }
    if let Some(quota) = wanted.backup_quota.filter(|quota| *quota > limits.backup_quota_max) {
        return Err(invalid("DiskBackupQuota", quota, format!("0 to {}", limits.backup_quota_max)).into());
    }
    if wanted.size_gib.is_none() && wanted.snapshot.is_none() {
        let why = "a disk without SnapshotId needs a size";
        return Err(ParameterError::Missing { parameter: "DiskSize", why }.into());
    }
    Ok(())
}

/// Refuses clearly what cannot be done, instead of leaving it out silently.
fn check_not_offered(wanted: &CreateDisks) -> Result<(), ParameterError> {
    let refuse = |parameter, value: &str, why| {
        Err(ParameterError::NotOffered { parameter, value: value.to_owned(), why })
    };
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let encrypts =
        |text: &String| !matches!(text.to_ascii_lowercase().as_str(), "false" | "0" | "no" | "none");
    if let Some(value) = given(&wanted.encrypt).filter(encrypts) {
        return refuse("Encrypt", &value, "disks cannot be encrypted yet; leave it out");
    }
    if let Some(value) = given(&wanted.kms_key_id) {
        return refuse("KmsKeyId", &value, "disks cannot be encrypted yet; leave it out");
    }
    if let Some(value) = given(&wanted.encrypt_type) {
        return refuse("EncryptType", &value, "disks cannot be encrypted yet; leave it out");
    }
    if wanted.shareable == Some(true) {
        return refuse("Shareable", "true", "a disk can be in one instance at a time");
    }
    if let Some(auto_mount) = &wanted.auto_mount {
        let why = "nothing here formats a disk inside a machine; attach it with AttachDisks";
        return refuse("AutoMountConfiguration", &auto_mount.instance_ids.join(","), why);
    }
    let place = &wanted.placement;
    for (parameter, value) in [
        ("Placement.CageId", &place.cage_id),
        ("Placement.CdcId", &place.cdc_id),
        ("Placement.DedicatedClusterId", &place.dedicated_cluster_id),
    ] {
        if let Some(value) = given(value) {
            return refuse(parameter, &value, "there are no dedicated clusters or cages; leave it out");
        }
    }
    Ok(())
}

fn check_payment(wanted: &CreateDisks) -> Result<(), ParameterError> {
    match (wanted.charge_type, &wanted.prepaid) {
        (DiskChargeType::Prepaid, None) => {
            let why = "a prepaid disk needs a period";
            Err(ParameterError::Missing { parameter: "DiskChargePrepaid", why })
        }
        (DiskChargeType::Prepaid, Some(prepaid)) => {
            if !PERIODS.contains(&prepaid.period_months) {
                let expected = "1 to 12, 24 or 36 months";
                return Err(invalid("DiskChargePrepaid.Period", prepaid.period_months, expected));
            }
            match prepaid.cur_instance_deadline.as_deref() {
                None | Some("") => Ok(()),
                Some(value) => Err(ParameterError::NotOffered {
                    parameter: "DiskChargePrepaid.CurInstanceDeadline",
                    value: value.to_owned(),
                    why: "instances have no expiration time here; leave it out",
                }),
            }
        }
        (DiskChargeType::PostpaidByHour, Some(_)) => {
            Err(ParameterError::Excludes { parameter: "DiskChargePrepaid", other: "POSTPAID_BY_HOUR" })
        }
        (DiskChargeType::PostpaidByHour, None) => Ok(()),
        (DiskChargeType::CdcPaid, _) => Err(ParameterError::NotOffered {
            parameter: "DiskChargeType",
            value: wanted.charge_type.to_string(),
            why: "there are no dedicated clusters; use POSTPAID_BY_HOUR or PREPAID",
        }),
    }
}

/// The size of the disks: what was asked for, within what the type allows and the snapshot needs.
fn check_size(
    wanted: &CreateDisks,
    snapshot_gib: Option<u64>,
    offered: &DiskTypeSettings,
) -> Result<u64, ControlError> {
    let size_gib = match (wanted.size_gib, snapshot_gib) {
        (Some(size), Some(snapshot)) if size < snapshot => {
            let expected = format!("at least the snapshot's {snapshot} GB");
            return Err(invalid("DiskSize", size, expected).into());
        }
        (Some(size), _) | (None, Some(size)) => size,
        (None, None) => {
            let why = "a disk without SnapshotId needs a size";
            return Err(ParameterError::Missing { parameter: "DiskSize", why }.into());
        }
    };
    check_size_of_type(size_gib, wanted.disk_type.as_str(), offered)?;
    Ok(size_gib)
}

/// Refuses a size that the type does not come in.
pub(super) fn check_size_of_type(
    size_gib: u64,
    disk_type: &str,
    offered: &DiskTypeSettings,
) -> Result<(), ParameterError> {
    let DiskTypeSettings { min_gib, max_gib, step_gib, .. } = *offered;
    if (min_gib..=max_gib).contains(&size_gib) && size_gib.is_multiple_of(step_gib.max(1)) {
        return Ok(());
    }
    let expected = format!("{min_gib} to {max_gib} in steps of {step_gib} for {disk_type}");
    Err(invalid("DiskSize", size_gib, expected))
}

fn check_extra_performance(
    wanted: &CreateDisks,
    size_gib: u64,
    offered: &DiskTypeSettings,
) -> Result<(), ControlError> {
    // Clients send 0 for every type.
    let Some(extra) = wanted.throughput_performance_mib.filter(|extra| *extra > 0) else { return Ok(()) };
    let Some(above_gib) = offered.extra_performance_above_gib else {
        return Err(invalid("ThroughputPerformance", extra, "a CLOUD_HSSD or CLOUD_TSSD disk").into());
    };
    if size_gib <= above_gib {
        let expected = format!("a disk above {above_gib} GB");
        return Err(invalid("ThroughputPerformance", extra, expected).into());
    }
    if extra > offered.extra_performance_max_mib {
        let expected = format!("at most {} MB/s", offered.extra_performance_max_mib);
        return Err(invalid("ThroughputPerformance", extra, expected).into());
    }
    Ok(())
}

fn new_disk(
    caller: &Caller,
    wanted: &CreateDisks,
    id: DiskId,
    size_gib: u64,
    job: JobHold,
    now: UnixMillis,
) -> Disk {
    let prepaid = wanted.prepaid.as_ref();
    Disk {
        id,
        account: caller.account,
        zone: wanted.placement.zone.clone(),
        project: wanted.placement.project.unwrap_or(ProjectId(0)),
        name: named(wanted.name.clone().unwrap_or_default()),
        disk_type: wanted.disk_type,
        usage: DiskUsage::DataDisk,
        charge_type: wanted.charge_type,
        renew_flag: prepaid.map(|prepaid| prepaid.renew_flag.unwrap_or(RenewFlag::NotifyAndManualRenew)),
        period_months: prepaid.map(|prepaid| prepaid.period_months),
        deadline: prepaid.map(|prepaid| plus_months(now, prepaid.period_months)),
        size_gib,
        lifecycle: Lifecycle::Creating,
        state: DiskState::Unattached,
        instance: None,
        last_instance: None,
        portable: true,
        delete_with_instance: false,
        delete_snapshot: wanted.delete_snapshot.unwrap_or(false),
        source_snapshot: wanted.snapshot,
        throughput_performance_mib: wanted.throughput_performance_mib.unwrap_or(0),
        burst_performance: wanted.burst_performance.unwrap_or(false),
        backup_quota: wanted.backup_quota.unwrap_or(0),
        migrating: false,
        migrate_percent: 0,
        rollback_percent: 0,
        error_prompt: String::new(),
        job: Some(job),
        created: now,
    }
}

/// The request in one spelling, to tell a repetition from another wish under the same token.
fn canonical(wanted: &CreateDisks) -> String {
    let mut tags = wanted.tags.clone();
    tags.sort_by(|one, other| one.key.cmp(&other.key));
    let request =
        CreateDisks { tags, client_token: None, count: Some(wanted.count.unwrap_or(1)), ..wanted.clone() };
    let mut text = serde_json::json!({
        "zone": request.placement.zone.as_str(),
        "project": request.placement.project.unwrap_or(ProjectId(0)).0,
        "charge_type": request.charge_type.as_str(),
        "disk_type": request.disk_type.as_str(),
        "name": request.name,
        "tags": request.tags,
        "snapshot": request.snapshot.map(|id| id.to_string()),
        "count": request.count,
        "throughput_performance_mib": request.throughput_performance_mib.unwrap_or(0),
        "size_gib": request.size_gib,
        "period_months": request.prepaid.as_ref().map(|prepaid| prepaid.period_months),
        "renew_flag": request.prepaid.and_then(|prepaid| prepaid.renew_flag).map(RenewFlag::as_str),
        "delete_snapshot": request.delete_snapshot.unwrap_or(false),
        "backup_quota": request.backup_quota.unwrap_or(0),
        "burst_performance": request.burst_performance.unwrap_or(false),
    });
    // Only where it is given: tokens of older servers stay what they were.
    if let Some(policy) = request.policy {
        text["policy"] = policy.to_string().into();
    }
    text.to_string()
}
