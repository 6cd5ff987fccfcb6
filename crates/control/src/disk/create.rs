//! CreateDisks: from a wish to checked plans, then rows and a job in one transaction.

use ashlar_db::{ClientToken, Disk, EncryptType, LedgerKind, Lifecycle, Snapshot, Tagged, Transaction};
use ashlar_types::{DiskId, DiskState, DiskUsage, ProjectId, RenewFlag, SnapshotId, UnixMillis};

use super::auto_mount::AutoMountOfDisk;
use super::{
    CreateDisks, check_backup_quota, check_count, check_extra, check_payment, encryption, named,
    prepaid_deadline, state,
};
use crate::caller::Caller;
use crate::control::Control;
use crate::error::{ControlError, InstanceError, ParameterError, QuotaError, SnapshotError};
use crate::filter::{check_name, check_tags, invalid};
use crate::instance;
use crate::job::{JobHold, Work};
use crate::money::Charge;
use crate::price::Priced;
use crate::settings::{DiskTypeSettings, Limits};

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
        check_request(&wanted, &self.limits_of(caller.account))?;
        if let Some(token) = &wanted.client_token
            && let Some(used) =
                self.db.look().await?.client_tokens().find(caller.account, &caller.region, token).await?
        {
            return self.answer_again(&wanted, used).await;
        }
        self.check_room(&caller.region).await?;
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
        let (size_gib, encrypt_type) = self.check_against_records(&mut tx, caller, &wanted).await?;
        let mounts = self.check_auto_mount(&mut tx, caller, &wanted).await?;
        let encrypts = encrypt_type.is_some();
        let work = Work::CreateDisks { disks: ids.clone(), size_gib, from: wanted.snapshot, encrypts };
        let job = self.write_job(&mut tx, &caller.region, &work).await?;
        for (at, id) in ids.iter().enumerate() {
            let disk = new_disk(caller, &wanted, *id, size_gib, job, self.now())?;
            let disk = Disk { encrypt_type, ..disk };
            tx.disks().insert(&disk).await?;
            self.charge_new(&mut tx, caller, &disk, &wanted).await?;
            if let Some(mount) = mounts.get(at) {
                tx.auto_mounts().insert(&mount.record(*id)).await?;
            }
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

    /// Everything that only the records can tell; gives the size and how the disks are encrypted.
    async fn check_against_records(
        &self,
        tx: &mut Transaction,
        caller: &Caller,
        wanted: &CreateDisks,
    ) -> Result<(u64, Option<EncryptType>), ControlError> {
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
        let source = match wanted.snapshot {
            Some(id) => Some(source_snapshot(tx, caller, id).await?),
            None => None,
        };
        let size_gib = check_size(wanted, source.as_ref().map(|snapshot| snapshot.size_gib), offered)?;
        let key = self.stores.encryption_key();
        let encrypt_type = encryption::of_new_disks(wanted, source.as_ref(), key.as_deref())?;
        check_extra(wanted.throughput_performance_mib.unwrap_or(0), size_gib, offered)?;
        if let Some(policy) = wanted.policy {
            self.check_policy_for_new_disks(tx, caller, policy, wanted.count.unwrap_or(1)).await?;
        }
        Ok((size_gib, encrypt_type))
    }
}

/// Rules of what a call costs and of what it wants mounted.
impl Control {
    /// Buys a new prepaid disk; for one that is paid by the hour, the first hour must be affordable.
    async fn charge_new(
        &self,
        tx: &mut Transaction,
        caller: &Caller,
        disk: &Disk,
        wanted: &CreateDisks,
    ) -> Result<(), ControlError> {
        let priced = Priced::of(disk);
        match (&wanted.prepaid, disk.deadline) {
            (Some(prepaid), Some(deadline)) => {
                let (quote, period) = (self.purchase(&priced, prepaid)?, (disk.created, deadline));
                let charge = Charge { kind: LedgerKind::Purchase, disk, quote, period, job: disk.job };
                self.charge(tx, &caller.request_id.0, charge).await
            }
            (Some(_) | None, _) => {
                let hour = self.settings.prices.hour(&priced).times(wanted.count.unwrap_or(1));
                self.check_affords(tx, caller.account, hour).await
            }
        }
    }

    /// What each disk is to be mounted on, in the order of the disks. The instances are the caller's, in the
    /// disks' zone, and can take the disks.
    async fn check_auto_mount(
        &self,
        tx: &mut Transaction,
        caller: &Caller,
        wanted: &CreateDisks,
    ) -> Result<Vec<AutoMountOfDisk>, ControlError> {
        let Some(mount) = &wanted.auto_mount else { return Ok(Vec::new()) };
        let at_most = self.limits_of(caller.account).disks_per_instance;
        for id in &mount.instances {
            let found = instance::find(tx, caller, *id).await?;
            let more = mount.instances.iter().filter(|other| *other == id).count() as u64;
            let more = if mount.instances.len() == 1 { wanted.count.unwrap_or(1) } else { more };
            if found.instance.zone != wanted.placement.zone {
                let expected = format!("instances in the zone of the disks, {}", wanted.placement.zone);
                return Err(invalid("AutoMountConfiguration.InstanceId", id, expected).into());
            }
            if found.disk_count + more > at_most {
                let wanted = found.disk_count + more;
                return Err(InstanceError::DiskLimit { instance: *id, wanted, at_most }.into());
            }
        }
        Ok(mount.of_each(wanted.count.unwrap_or(1), self.now()))
    }
}

fn config(wanted: &CreateDisks, why: &'static str) -> ControlError {
    QuotaError::DiskConfig { disk_type: wanted.disk_type, why }.into()
}

/// The snapshot that disks shall be made from.
async fn source_snapshot(
    tx: &mut Transaction,
    caller: &Caller,
    id: SnapshotId,
) -> Result<Snapshot, ControlError> {
    let found = tx.snapshots().find_usable(caller.account, &caller.region, id).await?;
    let snapshot = found.ok_or(SnapshotError::NotFound(id))?;
    state::snapshot_ready(&snapshot)?;
    match snapshot.usage {
        DiskUsage::DataDisk => Ok(snapshot),
        DiskUsage::SystemDisk => {
            let why = "disks can be created from snapshots of data disks only";
            Err(SnapshotError::NotSupported { snapshot: id, why }.into())
        }
    }
}

/// Everything that the request alone can tell.
fn check_request(wanted: &CreateDisks, limits: &Limits) -> Result<(), ControlError> {
    encryption::check_request(wanted)?;
    check_not_offered(wanted)?;
    check_shareable(wanted)?;
    if let Some(mount) = &wanted.auto_mount {
        mount.check(wanted.count.unwrap_or(1))?;
    }
    check_payment(wanted.charge_type, wanted.prepaid.as_ref())?;
    check_count(wanted.count.unwrap_or(1), limits)?;
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
    check_backup_quota(wanted.backup_quota.unwrap_or(0), limits)?;
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

/// What a disk that several machines may have cannot have. That it is not encrypted is checked with the encryption.
fn check_shareable(wanted: &CreateDisks) -> Result<(), ParameterError> {
    if wanted.shareable != Some(true) {
        return Ok(());
    }
    let excluded = [
        // One machine would mount what the others change beneath it.
        ("AutoMountConfiguration", wanted.auto_mount.is_some()),
        // There are no snapshots of it.
        ("AutoSnapshotPolicyId", wanted.policy.is_some()),
    ];
    match excluded.into_iter().find(|(_, is_given)| *is_given) {
        Some((other, _)) => Err(ParameterError::Excludes { parameter: "Shareable", other }),
        None => Ok(()),
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
pub(crate) fn check_size_of_type(
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

pub(super) fn new_disk(
    caller: &Caller,
    wanted: &CreateDisks,
    id: DiskId,
    size_gib: u64,
    job: JobHold,
    now: UnixMillis,
) -> Result<Disk, ParameterError> {
    let prepaid = wanted.prepaid.as_ref();
    Ok(Disk {
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
        deadline: prepaid.map(|prepaid| prepaid_deadline(prepaid, now)).transpose()?,
        size_gib,
        lifecycle: Lifecycle::Creating,
        state: DiskState::Unattached,
        shareable: wanted.shareable.unwrap_or(false),
        attachments: Vec::new(),
        last_instance: None,
        portable: true,
        delete_with_instance: false,
        delete_snapshot: wanted.delete_snapshot.unwrap_or(false),
        source_snapshot: wanted.snapshot,
        encrypt_type: None,
        throughput_performance_mib: wanted.throughput_performance_mib.unwrap_or(0),
        burst_performance: wanted.burst_performance.unwrap_or(false),
        backup_quota: wanted.backup_quota.unwrap_or(0),
        migrating: false,
        migrate_percent: 0,
        rollback_percent: 0,
        error_prompt: String::new(),
        job: Some(job),
        created: now,
    })
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
        "instance_deadline": request.prepaid.as_ref().and_then(|prepaid| prepaid.cur_instance_deadline).map(|at| at.0),
        "renew_flag": request.prepaid.and_then(|prepaid| prepaid.renew_flag).map(RenewFlag::as_str),
        "encrypt": request.encrypt.unwrap_or(false),
        "encrypt_type": request.encrypt_type.map(EncryptType::as_str),
        "kms_key_id": request.kms_key_id.unwrap_or_default(),
        "delete_snapshot": request.delete_snapshot.unwrap_or(false),
        "backup_quota": request.backup_quota.unwrap_or(0),
        "auto_mount": request.auto_mount.map(|mount| {
            (mount.instances.iter().map(ToString::to_string).collect::<Vec<_>>(), mount.mount_points, mount.file_system_type)
        }),
        "burst_performance": request.burst_performance.unwrap_or(false),
    });
    // Only where it is given: tokens of older servers stay what they were.
    if let Some(policy) = request.policy {
        text["policy"] = policy.to_string().into();
    }
    if request.shareable == Some(true) {
        text["shareable"] = true.into();
    }
    text.to_string()
}
