//! Instances: machines that an operator registered.

mod list;

use std::net::IpAddr;

use ashlar_db::{DbErrorKind, Instance, InstanceListing, Transaction};
use ashlar_types::{AccountUin, InstanceId, InstanceProduct, Zone};

use crate::caller::{Caller, RequestId};
use crate::control::Control;
use crate::disk::{DetachDisks, TerminateDisks, system::is_system};
use crate::error::{ControlError, InstanceError, ParameterError};
use crate::filter::{check_ids, check_name, invalid};

/// An instance to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewInstance {
    /// Where it stands.
    pub zone: Zone,
    /// What people call it, at most 60 bytes. Default: its id.
    pub name: Option<String>,
    /// Its id. Default: a random one.
    pub id: Option<InstanceId>,
    /// Its address, when it is known.
    pub ip_address: Option<IpAddr>,
    /// The product that it belongs to.
    pub product: InstanceProduct,
    /// The size in GiB of the disk that it boots from; none if that lies elsewhere.
    pub system_disk_gib: Option<u64>,
}

/// How many disks an instance has and may have. Reference: `cbs/data-types`, `AttachDetail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AttachDetail {
    /// The instance.
    pub instance: InstanceId,
    /// Disks that are in it, or on their way in or out.
    pub attached_disk_count: u64,
    /// How many it may have.
    pub max_attach_count: u64,
}

impl Control {
    /// Registers an instance.
    pub async fn add_instance(
        &self,
        account: AccountUin,
        wanted: NewInstance,
    ) -> Result<Instance, ControlError> {
        if let Some(name) = &wanted.name {
            check_name("name", name, self.limits())?;
        }
        let ip_address = wanted.ip_address.map(check_address).transpose()?;
        let id = wanted.id.unwrap_or_else(|| InstanceId::random(self.random.as_ref()));
        let mut tx = self.db.write().await?;
        if !tx.places().has_zone(&wanted.zone).await? {
            return Err(invalid("zone", &wanted.zone, "an existing zone such as ap-guangzhou-3").into());
        }
        let name = wanted.name.filter(|name| !name.is_empty()).unwrap_or_else(|| id.to_string());
        let instance = Instance {
            id,
            account,
            zone: wanted.zone,
            product: wanted.product,
            name,
            ip_address,
            created: self.now(),
        };
        match tx.instances().insert(&instance).await {
            Ok(()) => {}
            Err(error) if error.kind() == DbErrorKind::Conflict => {
                return Err(InstanceError::Exists(id).into());
            }
            Err(error) => return Err(error.into()),
        }
        tx.commit().await?;
        if let Some(size_gib) = wanted.system_disk_gib {
            let operator = operator(&instance);
            if let Err(error) = self.make_system_disk(&operator, &instance, size_gib).await {
                // Nothing is left of a machine whose disk could not be made.
                self.remove_instance(account, id).await?;
                return Err(error);
            }
        }
        Ok(instance)
    }

    /// All instances of an account, newest first.
    pub async fn list_instances(&self, account: AccountUin) -> Result<Vec<InstanceListing>, ControlError> {
        Ok(self.db.read().await?.instances().list(account).await?)
    }

    /// Removes an instance that has no disks but the one that it boots from, which goes with it.
    pub async fn remove_instance(&self, account: AccountUin, id: InstanceId) -> Result<(), ControlError> {
        let mut tx = self.db.read().await?;
        let found = tx.instances().find(account, id).await?.ok_or(InstanceError::NotFound(id))?;
        let operator = operator(&found.instance);
        let inside = tx.disks().list(&disks_in(&operator, vec![id])).await?.items;
        drop(tx);
        if let [only] = inside.as_slice()
            && is_system(&only.disk)
            && found.disk_count == 1
        {
            self.remove_system_disk(&operator, only.disk.id).await?;
        }

        let mut tx = self.db.write().await?;
        let disk_count =
            tx.instances().find(account, id).await?.ok_or(InstanceError::NotFound(id))?.disk_count;
        if disk_count > 0 {
            return Err(InstanceError::HasDisks { instance: id, disk_count }.into());
        }
        tx.instances().delete(account, id).await?;
        tx.tags().delete(ashlar_db::Tagged::Instance(id)).await?;
        Ok(tx.commit().await?)
    }

    /// Takes all disks out of an instance but the one it boots from. Those that go with it are deleted, a shareable one
    /// with the last of its instances. What a failure leaves inside is taken out by the next call.
    pub async fn empty_instance(&self, account: AccountUin, id: InstanceId) -> Result<(), ControlError> {
        let mut tx = self.db.read().await?;
        let found = tx.instances().find(account, id).await?.ok_or(InstanceError::NotFound(id))?;
        let caller = operator(&found.instance);
        let inside = tx.disks().list(&disks_in(&caller, vec![id])).await?.items;
        drop(tx);
        for listing in inside.into_iter().filter(|listing| !is_system(&listing.disk)) {
            let disks = vec![listing.disk.id];
            self.detach_disks(&caller, DetachDisks { disks: disks.clone(), instance: Some(id) }).await?;
            if listing.disk.delete_with_instance && listing.disk.attachments.len() == 1 {
                self.terminate_disks(&caller, TerminateDisks { disks, delete_snapshot: None }).await?;
            }
        }
        Ok(())
    }

    /// Says for each of these instances how many disks it has and may have. Unknown ones are left out.
    pub async fn describe_instances_disk_num(
        &self,
        caller: &Caller,
        ids: Vec<InstanceId>,
    ) -> Result<Vec<AttachDetail>, ControlError> {
        check_ids("InstanceIds", &ids, self.limits().ids_per_call)?;
        let mut tx = self.db.read().await?;
        let mut details = Vec::with_capacity(ids.len());
        for id in ids {
            match find(&mut tx, caller, id).await {
                Ok(found) => details.push(AttachDetail {
                    instance: id,
                    attached_disk_count: found.disk_count,
                    max_attach_count: self.limits_of(caller.account).disks_per_instance,
                }),
                Err(ControlError::Instance(InstanceError::NotFound(_))) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(details)
    }
}

/// The address in one way of writing it. Two machines may have the same: their owner may have several networks.
fn check_address(address: IpAddr) -> Result<IpAddr, ParameterError> {
    let address = address.to_canonical();
    let is_everywhere = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() || is_everywhere {
        return Err(invalid("address", address, "the address of one machine in a network, such as 10.0.0.7"));
    }
    Ok(address)
}

pub(crate) use list::disks_in;
pub use list::{DescribeInstances, InstanceView, instance_uuid};

/// The operator, who acts for the owner of an instance.
pub(crate) fn operator(instance: &Instance) -> Caller {
    Caller::owner(instance.account, instance.zone.region(), RequestId("operator".to_owned()))
}

/// Refuses to start what was not stopped. Source: the newer pages of ApplySnapshot and ApplyDiskBackup.
pub(crate) fn check_power(stop: Option<bool>, start: Option<bool>) -> Result<(), ParameterError> {
    if start == Some(true) && stop != Some(true) {
        return Err(invalid("AutoStartInstance", true, "true only together with AutoStopInstance"));
    }
    Ok(())
}

/// Refuses to stop the instance that a disk is in: no driver of this build can.
pub(crate) fn refuse_power(disk: &ashlar_db::Disk, stop: Option<bool>) -> Result<(), InstanceError> {
    match disk.instance() {
        Some(instance) if stop == Some(true) => Err(InstanceError::PowerNotSupported(instance)),
        _ => Ok(()),
    }
}

/// Finds an instance of the caller's in the region, or refuses.
pub(crate) async fn find(
    tx: &mut Transaction,
    caller: &Caller,
    id: InstanceId,
) -> Result<InstanceListing, ControlError> {
    let found = tx.instances().find(caller.account, id).await?;
    let here = found.filter(|found| {
        found.instance.zone.region() == caller.region && found.instance.product == InstanceProduct::Cvm
    });
    here.ok_or_else(|| InstanceError::NotFound(id).into())
}
