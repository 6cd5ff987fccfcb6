//! Second thoughts about snapshots: the recycle bin, which keeps deleted ones for a while, and locks, which keep
//! them from being deleted at all. Both are the operator's, beside the API.

use ashlar_db::{Lifecycle, Snapshot, Tagged};
use ashlar_types::{SnapshotId, UnixMillis};

use crate::caller::{Caller, RequestId};
use crate::control::Control;
use crate::error::{ControlError, ParameterError, QuotaError, SnapshotError};
use crate::job::Work;
use crate::leader::Leadership;
use crate::reconcile::Reconciled;
use crate::wire_time::wire_time_iso;

/// A snapshot in the bin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecycledSnapshot {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// When it was deleted.
    pub recycled: UnixMillis,
    /// When it goes for good.
    pub purged: UnixMillis,
}

impl Control {
    /// Whether deleted snapshots go into the bin.
    pub(crate) fn recycles_snapshots(&self) -> bool {
        self.settings.snapshots.recycle_days > 0
    }

    /// The snapshots in the bin, of all accounts, the last deleted first.
    pub async fn recycled_snapshots(&self) -> Result<Vec<RecycledSnapshot>, ControlError> {
        let recycled = self.db.look().await?.snapshots().recycled_before(UnixMillis(i64::MAX)).await?;
        let kept_ms = self.settings.snapshots.recycle_ms();
        let shown = |(snapshot, recycled): (Snapshot, UnixMillis)| RecycledSnapshot {
            snapshot,
            recycled,
            purged: recycled.plus_ms(kept_ms),
        };
        Ok(recycled.into_iter().rev().map(shown).collect())
    }

    /// Brings a snapshot back from the bin, as it was but outside of its group.
    pub async fn restore_snapshot(&self, id: SnapshotId) -> Result<(), ControlError> {
        let mut tx = self.db.write().await?;
        let Some(snapshot) = tx.snapshots().find_recycled(id).await? else {
            return Err(SnapshotError::NotFound(id).into());
        };
        if let Some(disk) = snapshot.disk {
            let at_most = self.limits_of(snapshot.account).snapshots_per_disk;
            if tx.snapshots().count_of_disk(disk).await? >= at_most {
                return Err(QuotaError::SnapshotsOfDisk { disk, at_most }.into());
            }
        }
        let region = snapshot.zone.region();
        let caller = acting_for(&snapshot);
        // A deadline that has passed would delete it again at once.
        let deadline = snapshot.deadline.filter(|deadline| *deadline > self.now());
        let restored = Snapshot { lifecycle: Lifecycle::Live, deadline, modified: self.now(), ..snapshot };
        tx.snapshots().save(&restored).await?;
        self.log_operation(&mut tx, &caller, Tagged::Snapshot(id), "RestoreSnapshot", None).await?;
        tx.commit().await?;
        // Its policy may have taken newer ones meanwhile.
        self.look_again_at_promises();
        // Should the server die here, the next start publishes whatever can be opened.
        let this = self.clone();
        self.blocking(move || this.exports.publish_snapshot(id, this.stores.store(&region)?)).await
    }

    /// Keeps a snapshot from being deleted by anybody before a date. A lock can be made longer, never shorter.
    pub async fn lock_snapshot(&self, id: SnapshotId, until: UnixMillis) -> Result<(), ControlError> {
        let mut tx = self.db.write().await?;
        let Some(snapshot) = tx.snapshots().find_live(id).await? else {
            return Err(SnapshotError::NotFound(id).into());
        };
        let now = self.now();
        let least = snapshot.locked_until.filter(|locked| *locked > now).unwrap_or(now);
        if until <= least {
            return Err(ParameterError::Invalid {
                parameter: "until",
                value: wire_time_iso(until),
                expected: format!("later than {}: a lock is never shortened", wire_time_iso(least)),
            }
            .into());
        }
        let caller = acting_for(&snapshot);
        let locked = Snapshot { locked_until: Some(until), modified: now, ..snapshot };
        tx.snapshots().save(&locked).await?;
        self.log_operation(&mut tx, &caller, Tagged::Snapshot(id), "LockSnapshot", None).await?;
        Ok(tx.commit().await?)
    }

    /// Refuses to delete what is locked.
    pub(crate) fn check_not_locked(&self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        if snapshot.is_locked(self.now()) {
            let why = "it is locked, and nobody can delete it before the end of its lock";
            return Err(SnapshotError::NotSupported { snapshot: snapshot.id, why });
        }
        Ok(())
    }

    /// Deletes what has lain in the bin for long enough.
    pub(crate) async fn purge_snapshots(&self, leader: Leadership) -> Result<Reconciled, ControlError> {
        let mut reconciled = Reconciled::default();
        let before = self.now().plus_ms(-self.settings.snapshots.recycle_ms());
        for (snapshot, _) in self.db.look().await?.snapshots().recycled_before(before).await? {
            let Some(mut tx) = self.write_as(leader).await? else { break };
            let caller = acting_for(&snapshot);
            let work = Work::DeleteSnapshots { snapshots: vec![snapshot.id], recycle: false };
            let job = self.write_job(&mut tx, &caller.region, &work).await?;
            let id = snapshot.id;
            let going = Snapshot { lifecycle: Lifecycle::Deleting, job: Some(job), ..snapshot };
            tx.snapshots().save(&going).await?;
            tx.commit().await?;
            match self.await_job(job).await {
                Ok(()) => reconciled.items += 1,
                Err(ControlError::Db(error)) => return Err(error.into()),
                Err(error) => {
                    tracing::warn!(snapshot = %id, %error, "not purged from the bin");
                    reconciled.failures += 1;
                }
            }
        }
        Ok(reconciled)
    }
}

fn acting_for(snapshot: &Snapshot) -> Caller {
    let request_id = RequestId("administrator".to_owned());
    Caller::owner(snapshot.account, snapshot.zone.region(), request_id)
}
