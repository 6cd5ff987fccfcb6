//! The deleting of what retention no longer holds.
//!
//! After each snapshot of a policy, those of the same disk and policy are looked through. All are looked through when a day
//! begins somewhere, because calendars speak of days, and when something that kept one beyond its promise is gone.

use ashlar_db::PromisedSnapshot;
use ashlar_types::{SnapshotId, UnixMillis};
use jiff::civil::Date;

use super::{Kept, outlived};
use crate::caller::Caller;
use crate::control::Control;
use crate::error::{ControlError, SnapshotError};
use crate::leader::Leadership;
use crate::reconcile::Reconciled;
use crate::snapshot_policy::acting_for;

/// How long what keeps a snapshot beyond its promise is trusted to be still there. This server hears when it goes; of
/// what another one did it learns by looking. 6 h.
const HELD_MS: i64 = 6 * 3600 * 1000;

/// Snapshots that one job deletes.
const DELETED_AT_ONCE: usize = 32;

/// When promises were last looked through, and when that has to be done again.
#[derive(Debug, Default)]
pub(crate) struct Sweeps {
    /// The dates when that was begun, one for each time zone; none: it has to be done now.
    begun: Option<Vec<Date>>,
    /// When something that keeps a snapshot beyond its promise may be gone.
    held_until: Option<UnixMillis>,
}

impl Sweeps {
    fn is_due(&self, dates: &[Date], now: UnixMillis) -> bool {
        self.begun.as_deref() != Some(dates) || self.held_until.is_some_and(|until| until <= now)
    }

    fn begin(&mut self, dates: Vec<Date>) {
        *self = Self { begun: Some(dates), held_until: None };
    }

    fn hold(&mut self, until: UnixMillis) {
        self.held_until = Some(self.held_until.map_or(until, |held| held.min(until)));
    }

    fn forget(&mut self) {
        self.begun = None;
    }
}

/// A snapshot whose time is over.
#[derive(Debug, Clone)]
pub(crate) struct Outlived {
    pub(crate) id: SnapshotId,
    /// For whom, and in whose name, it is deleted.
    pub(crate) owner: Caller,
    /// Until when nobody can delete it.
    pub(crate) locked_until: Option<UnixMillis>,
}

/// What became of snapshots whose time is over.
#[derive(Debug, Default)]
pub(crate) struct Deletions {
    pub(crate) reconciled: Reconciled,
    /// When something that keeps some of them may be gone.
    held_until: Option<UnixMillis>,
    /// Whether the next round has to look again.
    is_unfinished: bool,
}

impl Deletions {
    fn hold(&mut self, until: UnixMillis) {
        self.held_until = Some(self.held_until.map_or(until, |held| held.min(until)));
    }
}

impl Control {
    /// To be called when something that may have kept a snapshot from being deleted is gone: those whose time is over are
    /// looked for at once.
    pub(crate) fn look_again_at_promises(&self) {
        self.sweeps.lock().forget();
        self.wake_reconcilers();
    }

    /// Looks through all snapshots with a promise, if there is a reason to.
    pub(crate) async fn sweep_promises(&self, leader: Leadership) -> Result<Reconciled, ControlError> {
        let now = self.now();
        let dates = self.settings.schedule.dates(now);
        if !self.sweeps.lock().is_due(&dates, now) {
            return Ok(Reconciled::default());
        }
        // Before the look: what goes meanwhile asks for another one.
        self.sweeps.lock().begin(dates);
        let promised = self.all_promised().await;
        if promised.is_err() {
            self.sweeps.lock().forget();
        }
        self.retire(leader, &promised?).await
    }

    async fn all_promised(&self) -> Result<Vec<PromisedSnapshot>, ControlError> {
        Ok(self.db.look().await?.schedules().promised(None).await?)
    }

    /// Deletes what the promises no longer hold of some snapshots, those of one policy and disk together and in order.
    pub(crate) async fn retire(
        &self,
        leader: Leadership,
        snapshots: &[PromisedSnapshot],
    ) -> Result<Reconciled, ControlError> {
        let mut outlived_ones = Vec::new();
        for group in snapshots.chunk_by(|one, other| (one.policy, one.disk) == (other.policy, other.disk)) {
            let kept: Vec<Kept<&PromisedSnapshot>> = group
                .iter()
                .map(|snapshot| Kept { id: snapshot, taken: snapshot.taken, promise: snapshot.promise })
                .collect();
            let Some(zone) = group.first().map(|first| self.zone_of(&first.region)) else { continue };
            let gone = outlived(&kept, self.now(), &zone).into_iter().map(|snapshot| Outlived {
                id: snapshot.id,
                owner: acting_for(snapshot.account, &snapshot.region, snapshot.policy),
                locked_until: snapshot.locked_until,
            });
            outlived_ones.extend(gone);
        }
        let done = self.delete_outlived(leader, &outlived_ones).await;
        let mut sweeps = self.sweeps.lock();
        match &done {
            Ok(Deletions { held_until: Some(until), is_unfinished: false, .. }) => sweeps.hold(*until),
            Ok(Deletions { is_unfinished: false, .. }) => {}
            // What failed, or what another leader is at, is looked at in the next round.
            Ok(_) | Err(_) => sweeps.forget(),
        }
        Ok(done?.reconciled)
    }

    /// Deletes snapshots whose time is over, unless something else keeps them: many of one owner with one job. Where that
    /// fails, each with its own, so that one that cannot be deleted holds up no other.
    pub(crate) async fn delete_outlived(
        &self,
        leader: Leadership,
        outlived: &[Outlived],
    ) -> Result<Deletions, ControlError> {
        let mut deletions = Deletions::default();
        for of_one in outlived.chunk_by(|one, other| one.owner == other.owner) {
            for batch in of_one.chunks(DELETED_AT_ONCE) {
                if self.delete_batch(leader, batch, &mut deletions).await? {
                    continue;
                }
                for one in batch.chunks(1).filter(|_| batch.len() > 1) {
                    self.delete_batch(leader, one, &mut deletions).await?;
                }
            }
        }
        Ok(deletions)
    }

    /// Deletes snapshots of one owner with one job. False when the job has failed.
    async fn delete_batch(
        &self,
        leader: Leadership,
        batch: &[Outlived],
        deletions: &mut Deletions,
    ) -> Result<bool, ControlError> {
        let Some(owner) = batch.first().map(|one| &one.owner) else { return Ok(true) };
        let Some(mut tx) = self.write_as(leader).await? else {
            deletions.is_unfinished = true;
            return Ok(true);
        };
        let now = self.now();
        let mut going = Vec::with_capacity(batch.len());
        for one in batch {
            if let Some(until) = one.locked_until.filter(|until| *until > now) {
                deletions.hold(until);
                continue;
            }
            match self.deletable(&mut tx, owner, one.id, false).await {
                Ok(snapshot) => going.push(snapshot),
                Err(ControlError::Snapshot(SnapshotError::Busy { .. })) => deletions.is_unfinished = true,
                Err(
                    error @ (ControlError::Snapshot(_)
                    | ControlError::Image(_)
                    | ControlError::Share(_)
                    | ControlError::Copy(_)
                    | ControlError::SnapshotGroup(_)),
                ) => {
                    tracing::debug!(snapshot = %one.id, %error, "kept beyond its promise");
                    deletions.hold(now.plus_ms(HELD_MS));
                }
                Err(error) => return Err(error),
            }
        }
        if going.is_empty() {
            return Ok(true);
        }
        let count = going.len() as u64;
        let job = self.begin_deletion(&mut tx, owner, going).await?;
        tx.commit().await?;
        match self.await_job(job).await {
            Ok(()) => deletions.reconciled.items += count,
            Err(ControlError::Job(error)) => {
                deletions.is_unfinished = true;
                if batch.len() > 1 {
                    return Ok(false);
                }
                tracing::warn!(job = job.0, detail = error.detail, "not deleted when its time was over");
                deletions.reconciled.failures += 1;
            }
            Err(error) => return Err(error),
        }
        Ok(true)
    }
}
