//! Copying snapshots to other regions. The steps that move the bytes are in `job::copy`.

use std::fmt;

use ashlar_db::{Lifecycle, Snapshot, SnapshotCopy, Tagged, Transaction};
use ashlar_types::{DiskId, Region, SnapshotId, SnapshotState};

use crate::caller::Caller;
use crate::control::Control;
use crate::disk::{named, state};
use crate::error::{ControlError, ParameterError};
use crate::filter::{check_ids, check_name, invalid};
use crate::job::{JobHold, Work};
use crate::snapshot;

/// A copy is forbidden, or forbids something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CopyError {
    /// It is being copied to that region already. Trying again later helps.
    Conflict {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The region.
        region: Region,
    },
    /// It is encrypted with a key that no other region has.
    Encrypted(SnapshotId),
    /// A copy that is under way reads it. Trying again later helps.
    UnderWay(SnapshotId),
    /// The region has as many copies of snapshots of one disk as it may have.
    Quota {
        /// The disk.
        origin: DiskId,
        /// The region.
        region: Region,
        /// How many there may be.
        at_most: u64,
    },
}

impl fmt::Display for CopyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict { snapshot, region } => {
                write!(f, "The snapshot `{snapshot}` is being copied to {region}: try again later.")
            }
            Self::Encrypted(snapshot) => write!(
                f,
                "The snapshot `{snapshot}` is encrypted, and its key stays in its region: it cannot be copied."
            ),
            Self::UnderWay(snapshot) => {
                write!(f, "The snapshot `{snapshot}` is needed by a copy to another region: try again later.")
            }
            Self::Quota { origin, region, at_most } => write!(
                f,
                "There are {at_most} copies of snapshots of the disk `{origin}` in {region} already: delete one first."
            ),
        }
    }
}

/// What CopySnapshotCrossRegions asks for. Reference: `cbs/CopySnapshotCrossRegions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopySnapshotCrossRegions {
    /// The snapshot; necessary, though the page does not say so.
    pub snapshot: Option<SnapshotId>,
    /// Where to.
    pub destinations: Vec<Region>,
    /// The name of the copies. Default: `Copied SNAPSHOT from REGION`.
    pub name: Option<String>,
}

/// What became of one destination.
#[derive(Debug)]
pub struct CopyResult {
    /// The destination.
    pub region: Region,
    /// The copy, which is under way; or why there is none.
    pub copy: Result<SnapshotId, ControlError>,
}

impl Control {
    /// Begins to copy a snapshot to other regions, and gives the ids of the copies: what the destinations show as
    /// COPYING_FROM_REMOTE, then CHECKING_COPIED, is complete when it is NORMAL.
    ///
    /// Each destination answers for itself. The call fails if none could be begun.
    pub async fn copy_snapshot_cross_regions(
        &self,
        caller: &Caller,
        wanted: CopySnapshotCrossRegions,
    ) -> Result<Vec<CopyResult>, ControlError> {
        check_ids("DestinationRegions", &wanted.destinations, self.limits_of(caller.account).ids_per_call)?;
        let why = "name the snapshot to copy";
        let id = wanted.snapshot.ok_or(ParameterError::Missing { parameter: "SnapshotId", why })?;
        if let Some(name) = &wanted.name {
            check_name("SnapshotName", name, &self.limits_of(caller.account))?;
        }
        let regions = self.regions().await?;
        for destination in &wanted.destinations {
            if *destination == caller.region || !regions.contains(destination) {
                let expected = format!("another region than {}", caller.region);
                return Err(invalid("DestinationRegions", destination, expected).into());
            }
        }
        let mut results = Vec::with_capacity(wanted.destinations.len());
        for region in &wanted.destinations {
            let copy = self.begin_copy(caller, id, region, wanted.name.as_ref()).await;
            results.push(CopyResult { region: region.clone(), copy });
        }
        if results.iter().any(|result| result.copy.is_ok()) {
            return Ok(results);
        }
        let errors = results.into_iter().filter_map(|result| result.copy.err());
        errors.take(1).try_for_each(Err)?;
        Ok(Vec::new())
    }

    async fn begin_copy(
        &self,
        caller: &Caller,
        id: SnapshotId,
        region: &Region,
        name: Option<&String>,
    ) -> Result<SnapshotId, ControlError> {
        let copy_id = self.free_snapshot_id(region).await?;
        let mut tx = self.db.write().await?;
        let source = snapshot::find(&mut tx, caller, id).await?;
        state::snapshot_ready(&source)?;
        if source.encrypt_type.is_some() {
            return Err(CopyError::Encrypted(id).into());
        }
        if tx.snapshot_copies().destinations(id).await?.contains(region) {
            return Err(CopyError::Conflict { snapshot: id, region: region.clone() }.into());
        }
        let origin = origin_of(&mut tx, &source).await?;
        let at_most = self.limits_of(caller.account).snapshots_per_disk;
        if tx.snapshot_copies().count(caller.account, origin, region).await? >= at_most {
            return Err(CopyError::Quota { origin, region: region.clone(), at_most }.into());
        }
        let work = Work::CopySnapshot {
            source: id,
            source_region: caller.region.clone(),
            snapshot: copy_id,
            size_gib: source.size_gib,
        };
        let job = self.write_job(&mut tx, region, &work).await?;
        let name = name.filter(|name| !name.is_empty());
        let name = name.cloned().unwrap_or_else(|| format!("Copied {id} from {}", caller.region));
        let copy = self.copy_of(&mut tx, &source, copy_id, region, name, job).await?;
        tx.snapshots().insert(&copy).await?;
        tx.snapshot_copies()
            .insert(&SnapshotCopy {
                snapshot: copy_id,
                source: id,
                source_region: caller.region.clone(),
                destination: region.clone(),
                origin,
                base: None,
                is_done: false,
                cursor_bytes: 0,
                seen_bytes: 0,
                total_bytes: 0,
                moved_bytes: 0,
            })
            .await?;
        for resource in [Tagged::Snapshot(id), Tagged::Snapshot(copy_id)] {
            self.log_operation(&mut tx, caller, resource, "CopySnapshotCrossRegions", Some(job)).await?;
        }
        tx.commit().await?;
        self.start_job(job);
        Ok(copy_id)
    }

    /// The copy as it is seen at first.
    async fn copy_of(
        &self,
        tx: &mut Transaction,
        source: &Snapshot,
        id: SnapshotId,
        region: &Region,
        name: String,
        job: JobHold,
    ) -> Result<Snapshot, ControlError> {
        let zone = tx.places().zones(region).await?.into_iter().next();
        let zone = zone.ok_or_else(|| invalid("DestinationRegions", region, "a region that has zones"))?;
        let now = self.now();
        Ok(Snapshot {
            id,
            zone,
            disk: None,
            name: named(name),
            lifecycle: Lifecycle::Live,
            state: SnapshotState::CopyingFromRemote,
            percent: 0,
            held_bytes: 0,
            policy: None,
            is_instant: false,
            group: None,
            deadline: None,
            promise: None,
            locked_until: None,
            job: Some(job),
            created: now,
            modified: now,
            ..source.clone()
        })
    }
}

/// The disk at the beginning of a snapshot's lineage, which copies of copies share.
async fn origin_of(tx: &mut Transaction, source: &Snapshot) -> Result<DiskId, ControlError> {
    if let Some(disk) = source.disk {
        return Ok(disk);
    }
    let copied = tx.snapshot_copies().find(source.id).await?;
    let missing = || {
        let context = format!("snapshot {} has no disk and was not copied", source.id);
        ashlar_db::DbError::new(ashlar_db::DbErrorKind::Corrupt, context)
    };
    Ok(copied.ok_or_else(missing)?.origin)
}

/// Refuses while a copy reads the snapshot or builds on it.
pub(crate) async fn check_not_needed(tx: &mut Transaction, id: SnapshotId) -> Result<(), ControlError> {
    if tx.snapshot_copies().needs(id).await? {
        return Err(CopyError::UnderWay(id).into());
    }
    Ok(())
}
