//! What happens by the clock or after a crash, in one shape: a reconciler takes no input, looks for what is due in the
//! database, brings it on its way, and may run at any time and twice. The server runs them by signal and by timer.

use std::time::Duration;

use tokio::time::timeout;

use crate::control::Control;
use crate::error::ControlError;
use crate::leader::Leadership;

/// A reconciler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reconciler {
    /// Goes on with jobs that nobody runs.
    Jobs,
    /// Deletes snapshots whose deadline has passed.
    SnapshotDeadlines,
    /// Orders the snapshots of policies whose moment has come.
    SnapshotPolicies,
    /// Takes the snapshots that policies have ordered.
    ScheduledSnapshots,
    /// Deletes snapshots that their policy no longer promises to keep.
    SnapshotRetention,
    /// Deletes snapshots that have lain in the recycle bin for long enough.
    RecycledSnapshots,
    /// Renews or isolates prepaid disks whose paid time is over.
    PrepaidDisks,
    /// Deletes isolated disks that nobody has renewed in time.
    RecycledDisks,
    /// Writes the hours that are over into the ledger.
    Usage,
    /// Stops the policies of accounts that owe money.
    Debtors,
    /// Forgets jobs, client tokens, temporary keys and log entries of long ago.
    OldRecords,
    /// Shows on disks what their pools have found damaged.
    DamagedDisks,
    /// Notes on snapshots what came to them from deleted ones.
    SnapshotSizes,
}

/// What one run of a reconciler came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// What was brought on its way.
    pub items: u64,
    /// What could not be; each is tried again at the next run, and none holds up the others.
    pub failures: u64,
}

impl Reconciled {
    /// Counts what another run came to.
    pub(crate) fn add(&mut self, other: Self) {
        self.items += other.items;
        self.failures += other.failures;
    }

    /// Counts one more.
    pub(crate) fn count(&mut self, done: Result<(), ()>) {
        match done {
            Ok(()) => self.items += 1,
            Err(()) => self.failures += 1,
        }
    }
}

impl Reconciler {
    /// All of them, in the order in which they run: what was promised first.
    pub const ALL: &'static [Self] = &[
        Self::Jobs,
        Self::SnapshotPolicies,
        Self::ScheduledSnapshots,
        Self::SnapshotRetention,
        Self::SnapshotDeadlines,
        Self::RecycledSnapshots,
        Self::PrepaidDisks,
        Self::RecycledDisks,
        Self::Usage,
        Self::Debtors,
        Self::OldRecords,
        Self::DamagedDisks,
        Self::SnapshotSizes,
    ];

    /// Its name, in logs, metrics and `ashlar status`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::SnapshotDeadlines => "snapshot-deadlines",
            Self::SnapshotPolicies => "snapshot-policies",
            Self::ScheduledSnapshots => "scheduled-snapshots",
            Self::SnapshotRetention => "snapshot-retention",
            Self::RecycledSnapshots => "recycled-snapshots",
            Self::PrepaidDisks => "prepaid-disks",
            Self::RecycledDisks => "recycled-disks",
            Self::Usage => "usage",
            Self::Debtors => "debtors",
            Self::OldRecords => "old-records",
            Self::DamagedDisks => "damaged-disks",
            Self::SnapshotSizes => "snapshot-sizes",
        }
    }
}

impl std::fmt::Display for Reconciler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Control {
    /// Runs one reconciler for the leader.
    pub async fn run_reconciler(
        &self,
        reconciler: Reconciler,
        leader: Leadership,
    ) -> Result<Reconciled, ControlError> {
        match reconciler {
            Reconciler::Jobs => self.resume_jobs().await,
            Reconciler::SnapshotDeadlines => self.expire_snapshots(leader).await,
            Reconciler::SnapshotPolicies => self.fire_policies(leader).await,
            Reconciler::ScheduledSnapshots => self.take_scheduled(leader).await,
            Reconciler::SnapshotRetention => self.sweep_promises(leader).await,
            Reconciler::RecycledSnapshots => self.purge_snapshots(leader).await,
            Reconciler::PrepaidDisks => self.expire_disks(leader).await,
            Reconciler::RecycledDisks => self.delete_recycled(leader).await,
            Reconciler::Usage => self.charge_usage(leader).await,
            Reconciler::Debtors => self.isolate_policies(leader).await,
            Reconciler::OldRecords => self.forget_old_records(leader).await,
            Reconciler::DamagedDisks => self.note_damage().await,
            Reconciler::SnapshotSizes => self.note_sizes().await,
        }
    }

    /// Runs all reconcilers once, if this server leads. One that fails does not keep the others from running; the first
    /// error is given.
    pub async fn reconcile(&self) -> Result<(), ControlError> {
        let Some(leader) = self.lead().await? else { return Ok(()) };
        let mut outcome = Ok(());
        for reconciler in Reconciler::ALL {
            let ran = self.run_reconciler(*reconciler, leader).await.map(drop);
            outcome = outcome.and(ran);
        }
        outcome
    }

    /// Returns when the reconcilers should run: when something was made that may be due at once, or after `wait`.
    pub async fn reconcile_wanted(&self, wait: Duration) {
        // Running out of time is the other reason to run.
        let _ = timeout(wait, self.due.notified()).await;
    }

    /// Asks for a run of the reconcilers soon.
    pub fn wake_reconcilers(&self) {
        self.due.notify_one();
    }

    /// Returns when no job runs here.
    pub async fn jobs_idle(&self) {
        self.runner.idle().await;
    }

    async fn resume_jobs(&self) -> Result<Reconciled, ControlError> {
        let unfinished = self.db.look().await?.jobs().unfinished().await?;
        let items = unfinished.len() as u64;
        for job in unfinished {
            self.start_job(job);
        }
        Ok(Reconciled { items, failures: 0 })
    }
}
