//! What a policy is bound to: disks by themselves, and instances, which stand for the disks in them.

use ashlar_db::{
    DbErrorKind, Listed, Order, Page, SnapshotPolicyFilter, SnapshotPolicyQuery, Tagged, Transaction,
};
use ashlar_types::{DiskId, DiskState, InstanceId, SnapshotPolicyId};

use super::{SnapshotPolicyView, find, needs_normal};
use crate::caller::Caller;
use crate::control::Control;
use crate::disk;
use crate::error::{ControlError, ParameterError, SnapshotPolicyError};
use crate::filter::check_ids;
use crate::instance;

/// What a call binds to a policy, or unbinds from it. At least one of the lists has a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoundBy {
    /// The policy.
    pub policy: SnapshotPolicyId,
    /// Disks, at most 80.
    pub disks: Vec<DiskId>,
    /// Instances, at most 80.
    pub instances: Vec<InstanceId>,
}

impl Control {
    /// Binds disks and instances to a policy: all of them, or none.
    pub async fn bind_snapshot_policy(&self, caller: &Caller, wanted: BoundBy) -> Result<(), ControlError> {
        self.check_bound(&wanted)?;
        let BoundBy { policy: id, disks, instances } = wanted;
        let mut tx = self.db.write().await?;
        needs_normal(&find(&mut tx, caller, id).await?)?;
        for disk in &disks {
            let found = disk::find(&mut tx, caller, *disk).await?;
            disk::state::check_not_shareable(&found)?;
            check_can_be_bound(&found)?;
        }
        for instance in &instances {
            instance::find(&mut tx, caller, *instance).await?;
        }
        let limit = self.limits().disks_per_policy;
        let (has_disks, has_instances) = tx.snapshot_policies().bound_counts(id).await?;
        let most = (has_disks + disks.len() as u64).max(has_instances + instances.len() as u64);
        if most > limit {
            return Err(SnapshotPolicyError::BindLimit { policy: id, wanted: most, at_most: limit }.into());
        }
        for disk in disks {
            told_bound(tx.snapshot_policies().bind_disk(id, disk).await, id, &disk)?;
            let resource = Tagged::Disk(disk);
            self.log_operation(&mut tx, caller, resource, "BindAutoSnapshotPolicy", None).await?;
        }
        for instance in instances {
            told_bound(tx.snapshot_policies().bind_instance(id, instance).await, id, &instance)?;
        }
        let resource = Tagged::SnapshotPolicy(id);
        self.log_operation(&mut tx, caller, resource, "BindAutoSnapshotPolicy", None).await?;
        Ok(tx.commit().await?)
    }

    /// Unbinds disks and instances from a policy. Those that are not bound to it are passed over.
    pub async fn unbind_snapshot_policy(&self, caller: &Caller, wanted: BoundBy) -> Result<(), ControlError> {
        self.check_bound(&wanted)?;
        let BoundBy { policy: id, disks, instances } = wanted;
        let mut tx = self.db.write().await?;
        needs_normal(&find(&mut tx, caller, id).await?)?;
        disk::find_all(&mut tx, caller, &disks).await?;
        for instance in &instances {
            instance::find(&mut tx, caller, *instance).await?;
        }
        for disk in disks {
            tx.snapshot_policies().unbind_disk(id, disk).await?;
            let resource = Tagged::Disk(disk);
            self.log_operation(&mut tx, caller, resource, "UnbindAutoSnapshotPolicy", None).await?;
        }
        for instance in instances {
            tx.snapshot_policies().unbind_instance(id, instance).await?;
        }
        let resource = Tagged::SnapshotPolicy(id);
        self.log_operation(&mut tx, caller, resource, "UnbindAutoSnapshotPolicy", None).await?;
        Ok(tx.commit().await?)
    }

    fn check_bound(&self, wanted: &BoundBy) -> Result<(), ParameterError> {
        let limit = self.limits().disks_per_bind;
        match (wanted.disks.is_empty(), wanted.instances.is_empty()) {
            (true, true) => {
                Err(ParameterError::Missing { parameter: "DiskIds", why: "give it or InstanceIds" })
            }
            (false, true) => check_ids("DiskIds", &wanted.disks, limit),
            (true, false) => check_ids("InstanceIds", &wanted.instances, limit),
            (false, false) => {
                check_ids("DiskIds", &wanted.disks, limit)?;
                check_ids("InstanceIds", &wanted.instances, limit)
            }
        }
    }

    /// Shows the policies that a disk is bound to itself; those of its instance are not among them. A disk that
    /// does not exist has none.
    pub async fn snapshot_policies_of_disk(
        &self,
        caller: &Caller,
        disk: DiskId,
    ) -> Result<Listed<SnapshotPolicyView>, ControlError> {
        let query = SnapshotPolicyQuery {
            account: caller.account,
            region: caller.region.clone(),
            filters: vec![SnapshotPolicyFilter::Disk(disk)],
            order: Order::Descending,
            // All of them: an account has few policies in a region.
            page: Page { offset: 0, limit: self.limits().snapshot_policies_per_region },
        };
        self.snapshot_policy_views(&query).await
    }

    /// Refuses policies that new disks cannot be bound to, before anything is made.
    pub(crate) async fn check_policy_for_new_disks(
        &self,
        tx: &mut Transaction,
        caller: &Caller,
        id: SnapshotPolicyId,
        count: u64,
    ) -> Result<(), ControlError> {
        needs_normal(&find(tx, caller, id).await?)?;
        let at_most = self.limits().disks_per_policy;
        let (disks, _) = tx.snapshot_policies().bound_counts(id).await?;
        if disks + count > at_most {
            let wanted = disks + count;
            return Err(SnapshotPolicyError::BindLimit { policy: id, wanted, at_most }.into());
        }
        Ok(())
    }
}

/// Nothing is read from a disk that lies in the recycle bin.
fn check_can_be_bound(disk: &ashlar_db::Disk) -> Result<(), SnapshotPolicyError> {
    match disk.state {
        DiskState::ToRecycle => Err(SnapshotPolicyError::DiskInRecycle(disk.id)),
        DiskState::Unattached
        | DiskState::Attaching
        | DiskState::Attached
        | DiskState::Detaching
        | DiskState::Expanding
        | DiskState::Rollbacking => Ok(()),
    }
}

fn told_bound(
    done: Result<(), ashlar_db::DbError>,
    policy: SnapshotPolicyId,
    bound: &dyn std::fmt::Display,
) -> Result<(), ControlError> {
    match done {
        Err(error) if error.kind() == DbErrorKind::Conflict => {
            Err(SnapshotPolicyError::AlreadyBound { policy, bound: bound.to_string() }.into())
        }
        done => Ok(done?),
    }
}
