//! AttachDisks and DetachDisks.

use ashlar_db::{Disk, Transaction};
use ashlar_types::InstanceId;

use super::modify::check_can_go_with_instance;
use super::{AttachDisks, DetachDisks, find_all, state, told_apart};
use crate::caller::Caller;
use crate::control::Control;
use crate::error::{ControlError, InstanceError, ParameterError};
use crate::filter::{check_ids, invalid};
use crate::instance;
use crate::job::Work;

impl Control {
    /// Puts disks into an instance: all of them, or none.
    pub async fn attach_disks(&self, caller: &Caller, wanted: AttachDisks) -> Result<(), ControlError> {
        check_ids("DiskIds", &wanted.disks, self.limits_of(caller.account).disks_per_attach)?;
        check_attach_mode(wanted.attach_mode.as_deref())?;

        let mut tx = self.db.write().await?;
        let disks = find_all(&mut tx, caller, &wanted.disks).await?;
        let machine = instance::find(&mut tx, caller, wanted.instance).await?;
        let instances_per_disk = self.limits_of(caller.account).instances_per_disk;
        let mut attaching = Vec::with_capacity(disks.len());
        for disk in disks {
            if disk.zone != machine.instance.zone {
                return Err(InstanceError::ZoneMismatch {
                    disk: disk.id,
                    disk_zone: disk.zone,
                    instance: machine.instance.id,
                    instance_zone: machine.instance.zone,
                }
                .into());
            }
            if wanted.delete_with_instance == Some(true) {
                check_can_go_with_instance(&disk)?;
            }
            match state::begin_attach(disk, wanted.instance, instances_per_disk) {
                Ok(disk) => attaching.push(disk),
                Err(error) => return Err(told_apart(&mut tx, error).await?),
            }
        }
        let count = machine.disk_count + wanted.disks.len() as u64;
        let at_most = self.limits_of(caller.account).disks_per_instance;
        if count > at_most {
            return Err(InstanceError::DiskLimit { instance: wanted.instance, wanted: count, at_most }.into());
        }
        self.tell_performance(&attaching);
        let AttachDisks { instance, disks, delete_with_instance, .. } = wanted;
        let work = Work::AttachDisks { disks, instance, delete_with_instance };
        self.commit_and_wait(tx, caller, attaching, &work, "AttachDisks").await
    }

    /// Takes disks out of their instance: all of them, or none.
    pub async fn detach_disks(&self, caller: &Caller, wanted: DetachDisks) -> Result<(), ControlError> {
        check_ids("DiskIds", &wanted.disks, self.limits_of(caller.account).disks_per_attach)?;

        let mut tx = self.db.write().await?;
        let disks = find_all(&mut tx, caller, &wanted.disks).await?;
        if let Some(instance) = wanted.instance {
            instance::find(&mut tx, caller, instance).await?;
        }
        let (instance, detaching) = begin_all(&mut tx, disks, wanted.instance).await?;
        let work = Work::DetachDisks { disks: wanted.disks, instance };
        self.commit_and_wait(tx, caller, detaching, &work, "DetachDisks").await
    }
}

/// Begins to detach disks that must all be in one instance, and gives that instance.
async fn begin_all(
    tx: &mut Transaction,
    disks: Vec<Disk>,
    from: Option<InstanceId>,
) -> Result<(InstanceId, Vec<Disk>), ControlError> {
    let mut common = from;
    let mut detaching = Vec::with_capacity(disks.len());
    for disk in disks {
        let (disk, instance) = match state::begin_detach(disk, from) {
            Ok(begun) => begun,
            Err(error) => return Err(told_apart(tx, error).await?),
        };
        if let Some(common) = common
            && common != instance
        {
            let expected = format!("disks of one instance; the others are in `{common}`");
            return Err(invalid("DiskIds", disk.id, expected).into());
        }
        common = Some(instance);
        detaching.push(disk);
    }
    let why = "name at least one";
    let instance = common.ok_or(ParameterError::Missing { parameter: "DiskIds", why })?;
    Ok((instance, detaching))
}

/// PF and VF are ways into bare-metal machines, which there are none of.
fn check_attach_mode(mode: Option<&str>) -> Result<(), ParameterError> {
    match mode {
        None => Ok(()),
        Some(value @ ("PF" | "VF")) => Err(ParameterError::NotOffered {
            parameter: "AttachMode",
            value: value.to_owned(),
            why: "it is for bare-metal machines only; leave it out",
        }),
        Some(other) => Err(invalid("AttachMode", other, "no value: it is for bare-metal machines only")),
    }
}
