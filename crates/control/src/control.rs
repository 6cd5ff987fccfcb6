//! The whole: what the rules are built from, how they start and how they stop.

use std::collections::BTreeMap;
use std::sync::Arc;

use ashlar_db::{
    Db, DbError, DbErrorKind, DiskInInstance, Fence, Operation, OperationState, Tagged, Transaction,
};
use ashlar_types::{
    Clock, DiskBackupId, DiskId, RandomSource, Region, SnapshotGroupId, SnapshotId, UnixMillis,
};
use ashlar_volume::{ErrorKind, VolumeError, VolumeSnapshotId, VolumeStore};
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use parking_lot::RwLock;
use tokio::sync::Notify;

use crate::access::{Principals, SecondFactor};
use crate::caller::Caller;
use crate::disk::DiskLists;
use crate::error::{ControlError, JobError};
use crate::job::{JobHold, Runner, StepHook};
use crate::limit::OwnLimits;
use crate::retention::Sweeps;
use crate::seams::{Exports, Stores};
use crate::settings::{Limits, Settings};
use crate::snapshot_size::NotedSizes;

/// What the rules are built from.
pub struct ControlParts {
    /// The control database.
    pub db: Db,
    /// The pools.
    pub stores: Arc<dyn Stores>,
    /// The exports.
    pub exports: Arc<dyn Exports>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// For ids and keys.
    pub random: Arc<dyn RandomSource>,
    /// What the operator set.
    pub settings: Settings,
    /// Tells this server from others on the same database.
    pub server_name: String,
}

/// The rules of the service. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Control {
    pub(crate) db: Db,
    pub(crate) stores: Arc<dyn Stores>,
    pub(crate) exports: Arc<dyn Exports>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn RandomSource>,
    pub(crate) settings: Arc<Settings>,
    /// The settings' limits, shared by all accounts without their own.
    pub(crate) common_limits: Arc<Limits>,
    pub(crate) own_limits: Arc<RwLock<OwnLimits>>,
    pub(crate) disk_lists: Arc<DiskLists>,
    pub(crate) runner: Arc<Runner>,
    pub(crate) server_name: Arc<str>,
    /// The taking of the lease that this server stands on, while it leads.
    pub(crate) fence: Arc<Mutex<Option<Fence>>>,
    /// When promises were last looked through.
    pub(crate) sweeps: Arc<Mutex<Sweeps>>,
    /// When old records were last looked for.
    pub(crate) operations_forgotten: Arc<Mutex<Option<UnixMillis>>>,
    /// Rung when something may be due before the timer looks.
    pub(crate) due: Arc<Notify>,
    pub(crate) principals: Arc<Principals>,
    pub(crate) second_factor: Arc<SecondFactor>,
    /// Damaged blocks of each disk, as the pools said last.
    pub(crate) damage: Arc<Mutex<BTreeMap<DiskId, u64>>>,
    /// Up to where the sizes of snapshots are noted.
    pub(crate) sizes: Arc<Mutex<NotedSizes>>,
}

impl Control {
    /// Puts the rules together. Nothing runs before [`start`](Self::start).
    #[must_use]
    pub fn new(parts: ControlParts) -> Self {
        Self::with_hook(parts, None)
    }

    pub(crate) fn with_hook(parts: ControlParts, hook: Option<Arc<dyn StepHook>>) -> Self {
        let ControlParts { db, stores, exports, clock, random, settings, server_name } = parts;
        let runner = Arc::new(Runner::new(settings.limits.jobs_at_once, hook));
        Self {
            db,
            stores,
            exports,
            clock,
            random,
            common_limits: Arc::new(settings.limits.clone()),
            own_limits: Arc::default(),
            disk_lists: Arc::default(),
            settings: Arc::new(settings),
            runner,
            server_name: server_name.into(),
            fence: Arc::default(),
            sweeps: Arc::default(),
            operations_forgotten: Arc::default(),
            due: Arc::default(),
            principals: Arc::default(),
            second_factor: Arc::default(),
            damage: Arc::default(),
            sizes: Arc::default(),
        }
    }

    /// Publishes the exports of attached disks and of snapshots, and goes on with the jobs that a stop left
    /// behind. Call it once, before requests are let in.
    pub async fn start(&self) -> Result<(), ControlError> {
        self.read_own_limits().await?;
        self.publish_exports().await?;
        self.reconcile().await
    }

    /// Stops at the next step borders: waits for the steps under way and closes the database. What is
    /// unfinished goes on at the next start.
    pub async fn shutdown(&self) {
        self.runner.stop().await;
        if let Err(error) = self.resign().await {
            tracing::warn!(%error, "another server has to wait until the lease of this one ends");
        }
        self.db.close().await;
    }

    async fn publish_exports(&self) -> Result<(), ControlError> {
        /// Rows of a page: little memory, few trips.
        const PAGE: u64 = 500;
        let mut after = None;
        loop {
            let page = self.db.read().await?.attachments().page(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some((last.disk, last.attachment.instance));
            let mut ids: Vec<DiskId> = page.iter().map(|found| found.disk).collect();
            ids.dedup();
            self.tell_recorded_performance(&ids).await?;
            let this = self.clone();
            self.blocking(move || {
                let is_exported =
                    |found: &&DiskInInstance| crate::disk::is_exported(found.state, found.attachment.state);
                page.iter().filter(is_exported).try_for_each(|found| {
                    let store = this.stores.store(&found.region)?;
                    this.exports.publish(found.disk, found.attachment.instance, store)
                })
            })
            .await?;
        }
        let mut after = None;
        loop {
            let page = self.db.read().await?.snapshots().openable(after, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            let this = self.clone();
            self.blocking(move || {
                page.iter().try_for_each(|(snapshot, region)| {
                    this.exports.publish_snapshot(*snapshot, this.stores.store(region)?)
                })
            })
            .await?;
        }
        Ok(())
    }

    /// Runs something that may wait for a medium, away from the async threads.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, VolumeError> + Send + 'static,
    ) -> Result<T, ControlError> {
        let done = tokio::task::spawn_blocking(work).await;
        let done = done.unwrap_or_else(|panic| {
            Err(VolumeError::new(ErrorKind::Io, format!("the store stopped halfway: {panic}")))
        });
        Ok(done.map_err(|error| JobError::from(&error))?)
    }
}

impl Control {
    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// The time zone of a region.
    pub(crate) fn zone_of(&self, region: &Region) -> TimeZone {
        self.settings.schedule.zone_of(region)
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// Writes a line of the log of operations.
    pub(crate) async fn log_operation(
        &self,
        tx: &mut Transaction,
        caller: &Caller,
        resource: Tagged,
        operation: &str,
        job: Option<JobHold>,
    ) -> Result<(), ControlError> {
        let now = self.now();
        let entry = Operation {
            resource,
            account: caller.account,
            operator: caller.operator,
            operation: operation.to_owned(),
            state: if job.is_some() { OperationState::Processing } else { OperationState::Success },
            request_id: caller.request_id.0.clone(),
            job,
            started: now,
            ended: job.is_none().then_some(now),
        };
        Ok(tx.operations().insert(&entry).await?)
    }
}

impl Control {
    /// Draws the id of a new disk: one that neither the database nor the pool knows. A volume of that name
    /// that the database does not know must never become somebody's disk.
    pub(crate) async fn free_disk_ids(
        &self,
        region: &Region,
        count: u64,
    ) -> Result<Vec<DiskId>, ControlError> {
        let mut ids = Vec::new();
        let mut tx = self.db.read().await?;
        while (ids.len() as u64) < count {
            let id = DiskId::random(self.random.as_ref());
            if !ids.contains(&id) && !tx.disks().exists(id).await? {
                ids.push(id);
            }
        }
        drop(tx);
        let this = self.clone();
        let region = region.clone();
        self.blocking(move || {
            let store = this.stores.store(&region)?;
            ids.iter().try_for_each(|id| absent(store.volume(&(*id).into()).map(drop), id))?;
            Ok(ids)
        })
        .await
    }

    /// The same for a snapshot.
    pub(crate) async fn free_snapshot_id(&self, region: &Region) -> Result<SnapshotId, ControlError> {
        let ids = self.free_snapshot_ids(region, 1).await?;
        let none = || DbError::new(DbErrorKind::Conflict, "no id was drawn");
        Ok(ids.into_iter().next().ok_or_else(none)?)
    }

    /// The same for several snapshots.
    pub(crate) async fn free_snapshot_ids(
        &self,
        region: &Region,
        count: usize,
    ) -> Result<Vec<SnapshotId>, ControlError> {
        let mut ids = Vec::with_capacity(count);
        let mut tx = self.db.read().await?;
        while ids.len() < count {
            let id = SnapshotId::random(self.random.as_ref());
            if !ids.contains(&id) && !tx.snapshots().exists(id).await? {
                ids.push(id);
            }
        }
        drop(tx);
        self.absent_in_pool(region, ids).await
    }

    /// The same for a backup point.
    pub(crate) async fn free_backup_id(&self, region: &Region) -> Result<DiskBackupId, ControlError> {
        let mut tx = self.db.read().await?;
        let mut id = DiskBackupId::random(self.random.as_ref());
        while tx.disk_backups().exists(id).await? {
            id = DiskBackupId::random(self.random.as_ref());
        }
        drop(tx);
        self.absent_in_pool(region, vec![id]).await?;
        Ok(id)
    }

    /// Draws the id of a new group of snapshots, of which pools know nothing.
    pub(crate) async fn free_group_id(&self) -> Result<SnapshotGroupId, ControlError> {
        let mut tx = self.db.read().await?;
        let mut id = SnapshotGroupId::random(self.random.as_ref());
        while tx.snapshot_groups().exists(id).await? {
            id = SnapshotGroupId::random(self.random.as_ref());
        }
        Ok(id)
    }

    /// Gives the ids back unless the pool of the region has a snapshot of such a name.
    async fn absent_in_pool<I>(&self, region: &Region, ids: Vec<I>) -> Result<Vec<I>, ControlError>
    where
        I: Copy + std::fmt::Display + Into<VolumeSnapshotId> + Send + 'static,
    {
        let this = self.clone();
        let region = region.clone();
        self.blocking(move || {
            let store: Arc<dyn VolumeStore> = this.stores.store(&region)?;
            ids.iter().try_for_each(|id| absent(store.snapshot(&(*id).into()).map(drop), id))?;
            Ok(ids)
        })
        .await
    }
}

/// One draw in 36^8 may hit a stray volume: the call fails, and the client's retry draws another id.
fn absent(found: Result<(), VolumeError>, id: &dyn std::fmt::Display) -> Result<(), VolumeError> {
    match found {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(()) => {
            Err(VolumeError::new(ErrorKind::InUse, format!("the pool has a stray `{id}`: run `check`")))
        }
    }
}
