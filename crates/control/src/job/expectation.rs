//! What unfinished jobs say of records and pools: a part of the off-line check.
//!
//! A job may have died at any instant of the step that the journal names or of a later one: steps in the stores run on
//! without a line in the journal. So a job expects of a pool only what holds from that step to the last one.

use std::collections::BTreeSet;
use std::fmt::Display;

use ashlar_db::{Db, JobId, JobPhase, JobRecord, Transaction};
use ashlar_types::Region;
use ashlar_volume::{VolumeId, VolumeSnapshotId};

use super::{Step, Work};
use crate::error::ControlError;

/// What the unfinished jobs of a region expect of its pool, and where they and the records contradict each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JobsExpectation {
    /// How many jobs have not ended.
    pub jobs: usize,
    /// Contradictions between jobs and records, one sentence each.
    pub contradictions: Vec<String>,
    needs: Vec<(String, Needs)>,
}

/// What must be in the pool for a job to go on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Needs {
    volumes: Vec<VolumeId>,
    snapshots: Vec<VolumeSnapshotId>,
    /// One of the two is there, whether the step is done or not.
    either: Option<(Thing, Thing)>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Thing {
    Volume(VolumeId),
    Snapshot(VolumeSnapshotId),
}

impl JobsExpectation {
    /// What a pool with these names lacks, one sentence each.
    #[must_use]
    pub fn lacking(
        &self,
        volumes: &BTreeSet<VolumeId>,
        snapshots: &BTreeSet<VolumeSnapshotId>,
    ) -> Vec<String> {
        let has = |thing: &Thing| match thing {
            Thing::Volume(volume) => volumes.contains(volume),
            Thing::Snapshot(snapshot) => snapshots.contains(snapshot),
        };
        let mut found = Vec::new();
        for (job, needs) in &self.needs {
            for volume in needs.volumes.iter().filter(|volume| !volumes.contains(volume)) {
                found.push(format!("{job} works on the volume {volume}, but the pool does not have it"));
            }
            for snapshot in needs.snapshots.iter().filter(|snapshot| !snapshots.contains(snapshot)) {
                found.push(format!("{job} works on the snapshot {snapshot}, but the pool does not have it"));
            }
            if let Some((one, other)) = &needs.either
                && !has(one)
                && !has(other)
            {
                found.push(format!("{job} makes {one} the {other}, but the pool has neither"));
            }
        }
        found
    }
}

impl Display for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Volume(volume) => write!(f, "volume {volume}"),
            Self::Snapshot(snapshot) => write!(f, "snapshot {snapshot}"),
        }
    }
}

/// Reads what the unfinished jobs of a region expect.
pub async fn jobs_expectation(db: &Db, region: &Region) -> Result<JobsExpectation, ControlError> {
    let mut tx = db.read().await?;
    let mut expected = JobsExpectation::default();
    for id in tx.jobs().unfinished().await? {
        let Some(record) = tx.jobs().find(id).await?.filter(|record| record.region == *region) else {
            continue;
        };
        expected.jobs += 1;
        let job = format!("the unfinished job {id} ({})", record.kind);
        match understood(&record) {
            Ok((work, step)) => {
                expected.contradictions.extend(not_held(&mut tx, id, &job, &work).await?);
                expected.needs.push((job, needs(&work, record.phase, step)));
            }
            Err(what) => expected.contradictions.push(format!("{job} cannot be understood: {what}")),
        }
    }
    for (resource, reason) in tx.jobs().orphans(region).await? {
        expected.contradictions.push(format!("{resource} is {reason}, but no job works on it"));
    }
    Ok(expected)
}

fn understood(record: &JobRecord) -> Result<(Work, Step), String> {
    let work = serde_json::from_str(&record.work).map_err(|error| error.to_string())?;
    let step = Step::from_name(&record.step).ok_or_else(|| format!("no step is called `{}`", record.step))?;
    Ok((work, step))
}

/// What a job works on and no record says so.
async fn not_held(
    tx: &mut Transaction,
    id: JobId,
    job: &str,
    work: &Work,
) -> Result<Vec<String>, ControlError> {
    let disks: Vec<_> = tx.disks().of_job(id).await?.into_iter().map(|disk| disk.id).collect();
    let snapshots: Vec<_> = tx.snapshots().of_job(id).await?.into_iter().map(|one| one.id).collect();
    let backups: Vec<_> = tx.disk_backups().of_job(id).await?.into_iter().map(|one| one.id).collect();
    let mut found = Vec::new();
    let mut note = |what: &dyn Display| {
        found.push(format!("{job} works on {what}, but no record of it says so"));
    };
    work.disks().iter().filter(|disk| !disks.contains(disk)).for_each(|disk| note(disk));
    work.snapshots().iter().filter(|one| !snapshots.contains(one)).for_each(|one| note(one));
    work.backups().iter().filter(|one| !backups.contains(one)).for_each(|one| note(one));
    Ok(found)
}

fn needs(work: &Work, phase: JobPhase, step: Step) -> Needs {
    let volumes = || work.disks().into_iter().map(VolumeId::from).collect();
    let own = || work.snapshots().into_iter().map(VolumeSnapshotId::from);
    let all = || own().chain(work.backups().into_iter().map(VolumeSnapshotId::from)).collect();
    let of_disks = Needs { volumes: volumes(), ..Needs::default() };
    let is_forward = phase == JobPhase::Forward;
    match (work, step) {
        // The way back begins anywhere: what it takes away may be there or not.
        (Work::CreateDisks { from, .. }, Step::MakeVolumes) if is_forward => {
            Needs { snapshots: from.iter().map(|from| (*from).into()).collect(), ..Needs::default() }
        }
        (Work::CreateDisks { .. }, Step::Settle) => of_disks,
        (
            Work::CreateSnapshot { .. } | Work::CreateSnapshotGroup { .. } | Work::CreateDiskBackup { .. },
            Step::PublishSnapshots | Step::Settle,
        ) => Needs { snapshots: all(), ..of_disks },
        (Work::InitializeDisks { targets }, _) => {
            let to = targets.iter().filter_map(|target| target.to).map(VolumeSnapshotId::from);
            Needs { snapshots: to.collect(), ..of_disks }
        }
        (Work::ApplySnapshot { snapshot, .. } | Work::ApplyInstanceSnapshot { snapshot, .. }, _) => {
            Needs { snapshots: vec![(*snapshot).into()], ..of_disks }
        }
        (Work::ApplyDiskBackup { backup, .. }, _) => Needs { snapshots: vec![(*backup).into()], ..of_disks },
        (Work::ApplySnapshotGroup { members }, _) => {
            Needs { snapshots: members.iter().map(|member| member.snapshot.into()).collect(), ..of_disks }
        }
        (Work::ConvertDiskBackup { snapshot, .. }, Step::PublishSnapshots | Step::Settle) => {
            Needs { snapshots: vec![(*snapshot).into()], ..of_disks }
        }
        (Work::ConvertDiskBackup { backup, snapshot, .. }, _) => {
            let (one, other) = (Thing::Snapshot((*backup).into()), Thing::Snapshot((*snapshot).into()));
            Needs { either: Some((one, other)), ..of_disks }
        }
        (Work::CopySnapshot { snapshot, .. }, Step::CopyBlocks | Step::VerifyCopy) => {
            Needs { volumes: vec![(*snapshot).into()], ..Needs::default() }
        }
        (Work::CopySnapshot { snapshot, .. }, Step::FreezeCopy) => {
            let (one, other) = (Thing::Volume((*snapshot).into()), Thing::Snapshot((*snapshot).into()));
            Needs { either: Some((one, other)), ..Needs::default() }
        }
        (Work::CopySnapshot { .. }, Step::PublishSnapshots | Step::Settle) => {
            Needs { snapshots: all(), ..Needs::default() }
        }
        (
            Work::CreateDisks { .. }
            | Work::TerminateDisks { .. }
            | Work::DeleteSnapshots { .. }
            | Work::DeleteDiskBackups { .. }
            | Work::CopySnapshot { .. },
            _,
        ) => Needs::default(),
        (
            Work::AttachDisks { .. }
            | Work::DetachDisks { .. }
            | Work::ResizeDisk { .. }
            | Work::ChangeDiskType { .. }
            | Work::CreateSnapshot { .. }
            | Work::CreateSnapshotGroup { .. }
            | Work::CreateDiskBackup { .. },
            _,
        ) => of_disks,
    }
}
