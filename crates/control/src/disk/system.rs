//! The disk that an instance boots from: made with the instance, in it for good, and gone with it.

use ashlar_db::{Attachment, AttachmentState, Disk, Lifecycle, Tagged};
use ashlar_types::{DiskChargeType, DiskId, DiskState, DiskType, DiskUsage, ProjectId};

use super::create::{check_size_of_type, new_disk};
use super::{CreateDisks, Placement, TerminateDisks, state};
use crate::caller::Caller;
use crate::control::Control;
use crate::error::{ControlError, InstanceError};
use crate::job::Work;

/// The medium of a system disk.
const MEDIUM: DiskType = DiskType::CloudPremium;

impl Control {
    /// Makes the system disk of an instance and puts it in. It costs nothing: whoever registers a machine has it.
    pub(crate) async fn make_system_disk(
        &self,
        caller: &Caller,
        instance: &ashlar_db::Instance,
        size_gib: u64,
    ) -> Result<DiskId, ControlError> {
        check_size_of_type(size_gib, MEDIUM.as_str(), self.settings.disk_types.of(MEDIUM))?;
        let ids = self.free_disk_ids(&caller.region, 1).await?;
        let [id] = ids[..] else { return Err(InstanceError::NotFound(instance.id).into()) };
        let mut tx = self.db.write().await?;
        let work = Work::CreateDisks { disks: vec![id], size_gib, from: None, encrypts: false };
        let job = self.write_job(&mut tx, &caller.region, &work).await?;
        let made = new_disk(caller, &wanted(instance), id, size_gib, job, self.now())?;
        tx.disks().insert(&Disk { usage: DiskUsage::SystemDisk, portable: false, ..made }).await?;
        self.log_operation(&mut tx, caller, Tagged::Disk(id), "CreateDisks", Some(job)).await?;
        tx.commit().await?;
        self.await_or_cancel_job(job).await?;

        let mut tx = self.db.write().await?;
        let disk = super::find(&mut tx, caller, id).await?;
        state::idle(&disk)?;
        let attachments = vec![Attachment { instance: instance.id, state: AttachmentState::Arriving }];
        let entering = Disk { state: DiskState::Attaching, attachments, ..disk };
        let work = Work::AttachDisks { disks: vec![id], instance: instance.id, delete_with_instance: None };
        self.commit_and_wait(tx, caller, vec![entering], &work, "AttachDisks").await?;
        Ok(id)
    }

    /// Takes the system disk out of its instance and deletes it.
    pub(crate) async fn remove_system_disk(&self, caller: &Caller, id: DiskId) -> Result<(), ControlError> {
        let mut tx = self.db.write().await?;
        let disk = super::find(&mut tx, caller, id).await?;
        state::idle(&disk)?;
        if let Some(instance) = disk.instance() {
            let attachments = vec![Attachment { instance, state: AttachmentState::Leaving }];
            let leaving = Disk { state: DiskState::Detaching, attachments, ..disk };
            let work = Work::DetachDisks { disks: vec![id], instance };
            self.commit_and_wait(tx, caller, vec![leaving], &work, "DetachDisks").await?;
        } else {
            drop(tx);
        }
        self.terminate_disks(caller, TerminateDisks { disks: vec![id], delete_snapshot: None }).await
    }
}

/// Whether this is the disk that its instance boots from.
pub(crate) fn is_system(disk: &Disk) -> bool {
    disk.usage == DiskUsage::SystemDisk && disk.lifecycle == Lifecycle::Live
}

fn wanted(instance: &ashlar_db::Instance) -> CreateDisks {
    CreateDisks {
        placement: Placement {
            zone: instance.zone.clone(),
            project: Some(ProjectId(0)),
            cage_id: None,
            cdc_id: None,
            dedicated_cluster_id: None,
        },
        charge_type: DiskChargeType::PostpaidByHour,
        disk_type: MEDIUM,
        name: Some(instance.id.to_string()),
        tags: Vec::new(),
        snapshot: None,
        count: None,
        throughput_performance_mib: None,
        size_gib: None,
        shareable: None,
        client_token: None,
        encrypt: None,
        kms_key_id: None,
        encrypt_type: None,
        prepaid: None,
        delete_snapshot: None,
        auto_mount: None,
        backup_quota: None,
        burst_performance: None,
        policy: None,
    }
}
