//! What becomes of prepaid disks whose paid time is over: they renew themselves, or they are taken out of their machine,
//! isolated, kept for a while, and deleted.

use ashlar_db::{Disk, LedgerKind, Transaction};
use ashlar_types::{DiskState, Region, RenewFlag, UnixMillis};

use super::{DetachDisks, TerminateDisks};
use crate::caller::{Caller, RequestId};
use crate::control::Control;
use crate::error::ControlError;
use crate::leader::Leadership;
use crate::money::Charge;
use crate::price::Priced;
use crate::reconcile::Reconciled;
use crate::snapshot::new_snapshot;
use crate::wire_time::plus_months;

/// What the clock does to a disk.
enum Fate {
    /// It has its time again.
    Renewed,
    /// It lies outside of machines and is isolated.
    Isolated,
    /// It has to be taken out of its machine first.
    InMachine,
    /// Something else is under way.
    Busy,
}

impl Control {
    /// Renews or isolates prepaid disks whose paid time is over. One in a machine is taken out of it first: nothing is
    /// read or written after the end.
    pub(crate) async fn expire_disks(&self, leader: Leadership) -> Result<Reconciled, ControlError> {
        let now = self.now();
        let mut reconciled = Reconciled::default();
        if self.db.look().await?.disks().expired(now).await?.is_empty() {
            return Ok(reconciled);
        }
        let Some(mut tx) = self.write_as(leader).await? else { return Ok(reconciled) };
        let mut in_machines = Vec::new();
        for disk in tx.disks().expired(now).await? {
            match self.fate(&mut tx, &disk, now).await? {
                Fate::Renewed | Fate::Isolated => reconciled.items += 1,
                Fate::InMachine => in_machines.push(disk),
                Fate::Busy => {}
            }
        }
        tx.commit().await?;
        for disk in in_machines {
            for instance in disk.instances() {
                let wanted = DetachDisks { disks: vec![disk.id], instance: Some(instance) };
                let done = self.detach_disks(&acting_for(&disk), wanted).await;
                reconciled.count(self.told(&disk, "taken out of its machine", done)?);
            }
        }
        Ok(reconciled)
    }

    async fn fate(&self, tx: &mut Transaction, disk: &Disk, now: UnixMillis) -> Result<Fate, ControlError> {
        let (Some(deadline), Some(months)) = (disk.deadline, disk.period_months) else {
            return Ok(Fate::Busy);
        };
        match disk.state {
            DiskState::Unattached | DiskState::Attached
                if disk.renew_flag == Some(RenewFlag::NotifyAndAutoRenew)
                    && self.renews_itself(tx, disk, deadline, months).await? =>
            {
                let deadline = Some(plus_months(deadline, months));
                tx.disks().save(&Disk { deadline, ..disk.clone() }).await?;
                Ok(Fate::Renewed)
            }
            DiskState::Unattached => {
                tx.disks().save(&Disk { state: DiskState::ToRecycle, ..disk.clone() }).await?;
                tx.disks().note_isolated(disk.id, now).await?;
                Ok(Fate::Isolated)
            }
            // What cannot be taken out of its machine goes with it.
            DiskState::Attached if disk.portable => Ok(Fate::InMachine),
            DiskState::Attached
            | DiskState::Attaching
            | DiskState::Detaching
            | DiskState::Expanding
            | DiskState::Rollbacking
            | DiskState::ToRecycle => Ok(Fate::Busy),
        }
    }

    /// Charges the next period of a disk that renews itself. False when its account cannot pay it.
    async fn renews_itself(
        &self,
        tx: &mut Transaction,
        disk: &Disk,
        deadline: UnixMillis,
        months: u64,
    ) -> Result<bool, ControlError> {
        let charge = Charge {
            kind: LedgerKind::Renewal,
            disk,
            quote: self.settings.prices.months(&Priced::of(disk), months),
            period: (deadline, plus_months(deadline, months)),
            job: None,
        };
        match self.charge(tx, "", charge).await {
            Ok(()) => Ok(true),
            Err(ControlError::Money(error)) => {
                tracing::warn!(disk = %disk.id, %error, "a disk was not renewed");
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    /// Deletes isolated disks that nobody has renewed in time; before that a last snapshot of each is taken, where the
    /// operator wants it.
    pub(crate) async fn delete_recycled(&self, leader: Leadership) -> Result<Reconciled, ControlError> {
        let mut reconciled = Reconciled::default();
        let before = self.now().plus_ms(-self.settings.billing.recycle_ms());
        for (disk, isolated) in self.db.look().await?.disks().isolated_before(before).await? {
            let Some(tx) = self.write_as(leader).await? else { break };
            // Shareable disks have no snapshots, not even a last one.
            let (what, done) = if self.settings.billing.final_snapshot && !disk.shareable {
                match self.last_snapshot(tx, &disk, isolated).await {
                    Ok(false) => ("deleted", self.delete_isolated(&disk).await),
                    other => ("kept in a last snapshot", other.map(drop)),
                }
            } else {
                drop(tx);
                ("deleted", self.delete_isolated(&disk).await)
            };
            reconciled.count(self.told(&disk, what, done)?);
        }
        Ok(reconciled)
    }

    async fn delete_isolated(&self, disk: &Disk) -> Result<(), ControlError> {
        let wanted = TerminateDisks { disks: vec![disk.id], delete_snapshot: None };
        self.terminate_disks(&acting_for(disk), wanted).await
    }

    /// Takes the last snapshot of a disk. False when there is one.
    async fn last_snapshot(
        &self,
        mut tx: Transaction,
        disk: &Disk,
        isolated: UnixMillis,
    ) -> Result<bool, ControlError> {
        // Nobody can take a snapshot of an isolated disk: one that is younger is the last one.
        let snapshots = tx.snapshots().of_disk(disk.id).await?;
        if snapshots.iter().any(|snapshot| snapshot.created >= isolated) {
            return Ok(false);
        }
        let caller = acting_for(disk);
        let id = self.free_snapshot_id(&caller.region).await?;
        let name = Some(format!("{} at its end", disk.id));
        let new = new_snapshot(id, disk, name, disk.usage, self.now());
        let job = self.begin_snapshot(&mut tx, &caller, disk.clone(), new, &[]).await?;
        tx.commit().await?;
        self.await_job(job).await?;
        Ok(true)
    }

    /// Counts what was done to a disk: what failed is logged and tried again, and holds up no other disk.
    fn told(
        &self,
        disk: &Disk,
        what: &str,
        done: Result<(), ControlError>,
    ) -> Result<Result<(), ()>, ControlError> {
        match done {
            Ok(()) => {
                tracing::info!(disk = %disk.id, "paid time is over: {what}");
                Ok(Ok(()))
            }
            Err(ControlError::Db(error)) => Err(error.into()),
            Err(error) => {
                tracing::warn!(disk = %disk.id, %error, "paid time is over, but it was not {what}");
                Ok(Err(()))
            }
        }
    }
}

/// The owner of a disk, for whom the clock acts.
fn acting_for(disk: &Disk) -> Caller {
    let region: Region = disk.zone.region();
    Caller::owner(disk.account, region, RequestId("deadline".to_owned()))
}
