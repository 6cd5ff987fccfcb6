//! `ashlar check`: proves, with the server stopped, that each pool is sound and that records and jobs agree with it.

mod agreement;

use std::collections::BTreeSet;

use ashlar_control::{ControlError, jobs_expectation, pool_expectation};
use ashlar_db::{Db, DbError};
use ashlar_types::Region;
use ashlar_volume::ErrorKind;
use serde::Serialize;

use crate::check::agreement::{PoolNames, disagreements};
use crate::cli::CheckFlags;
use crate::config::{Environment, admin_data_dir};
use crate::data_dir::DataDir;
use crate::failure::Failure;
use crate::output;

/// What a check saw.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Pools that were walked.
    pools: usize,
    /// Disks in the records.
    disks: usize,
    /// Snapshots in the records.
    snapshots: usize,
    /// Jobs that have not ended: the next start carries them to their end.
    unfinished_jobs: usize,
    /// What was mended.
    mended: Vec<Finding>,
    /// What is broken; empty means clean.
    findings: Vec<Finding>,
}

/// One thing that is broken.
#[derive(Debug, Serialize)]
struct Finding {
    /// Where.
    region: String,
    /// What, for people.
    message: String,
}

/// Checks the data directory and prints what was found. Findings are a refusal (exit 1).
pub(crate) fn run(flags: CheckFlags, environment: Environment<'_>) -> Result<(), Failure> {
    let CheckFlags { repair, admin: flags } = flags;
    let data_dir = DataDir::lock_existing(&admin_data_dir(flags.data_dir, environment))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal("cannot start the runtime", error))?;
    let report = runtime.block_on(examine(&data_dir, repair))?;
    if flags.json {
        let json = serde_json::to_string(&report)
            .map_err(|error| Failure::internal("cannot write the report as JSON", error))?;
        output::line(&json);
    } else {
        output::line(&report.to_text());
    }
    match report.findings.len() {
        0 => Ok(()),
        1 => Err(Failure::refused(format!("1 invariant is broken in {}", data_dir.path().display()))),
        count => {
            Err(Failure::refused(format!("{count} invariants are broken in {}", data_dir.path().display())))
        }
    }
}

async fn examine(data_dir: &DataDir, repair: bool) -> Result<Report, Failure> {
    let unreadable = |error: DbError| Failure::internal("cannot read control.db", error);
    let db = Db::open(&data_dir.database()).await.map_err(unreadable)?;
    let pools: BTreeSet<Region> = data_dir.pool_regions()?.into_iter().collect();
    let mut regions = pools.clone();
    regions.extend(db.read().await.map_err(unreadable)?.places().regions().await.map_err(unreadable)?);
    let mut report = Report { pools: pools.len(), ..Report::default() };
    for region in regions {
        let unreadable = |error: ControlError| Failure::internal("cannot read control.db", error);
        let records = pool_expectation(&db, &region).await.map_err(unreadable)?;
        let jobs = jobs_expectation(&db, &region).await.map_err(unreadable)?;
        report.unfinished_jobs += jobs.jobs;
        report.add(&region, jobs.contradictions.clone());
        report.disks += records.volumes.len() + records.volumes_in_flux.len();
        report.snapshots += records.snapshots.len() + records.snapshots_in_flux.len();
        let names = match pools.contains(&region) {
            true => walk_pool(data_dir, &region, repair, &mut report)?,
            false => Some(PoolNames::default()),
        };
        if let Some(names) = names {
            report.add(&region, disagreements(&records, &names));
            report.add(&region, jobs.lacking(&names.volumes, &names.snapshots));
        }
    }
    db.close().await;
    Ok(report)
}

/// Checks one pool, after mending it if that was asked for; gives its names where it is sound. A broken pool is not
/// compared: what it says is not to be believed.
fn walk_pool(
    data_dir: &DataDir,
    region: &Region,
    repair: bool,
    report: &mut Report,
) -> Result<Option<PoolNames>, Failure> {
    let directory = data_dir.pools().join(region.as_str());
    let checked = match repair {
        true => ashlar_engine::repair(&directory),
        false => ashlar_engine::check(&directory)
            .map(|after| ashlar_engine::RepairReport { mended: Vec::new(), after }),
    };
    let (mended, after) = match checked {
        Ok(ashlar_engine::RepairReport { mended, after }) => (mended, after),
        // A crash while the pool was being made; nothing was ever in it.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some(PoolNames::default())),
        Err(error) if error.kind() == ErrorKind::Corrupt => {
            report.add(region, vec![error.to_string()]);
            return Ok(None);
        }
        Err(error) => return Err(Failure::internal(format!("cannot check the pool of {region}"), error)),
    };
    report.mended.extend(findings(region, mended));
    if after.findings.is_empty() {
        return Ok(Some(PoolNames { volumes: after.volumes, snapshots: after.snapshots }));
    }
    report.add(region, after.findings);
    Ok(None)
}

fn findings(region: &Region, messages: Vec<String>) -> impl Iterator<Item = Finding> {
    let region = region.to_string();
    messages.into_iter().map(move |message| Finding { region: region.clone(), message })
}

impl Report {
    fn add(&mut self, region: &Region, messages: Vec<String>) {
        self.findings.extend(findings(region, messages));
    }

    fn to_text(&self) -> String {
        let line = |finding: &Finding| format!("{}: {}", finding.region, finding.message);
        let mended = self.mended.iter().map(|finding| format!("mended: {}", line(finding)));
        let mut lines: Vec<_> = mended.chain(self.findings.iter().map(line)).collect();
        if self.findings.is_empty() {
            lines.push(format!(
                "clean (pools: {}, disks: {}, snapshots: {}{})",
                self.pools,
                self.disks,
                self.snapshots,
                match self.unfinished_jobs {
                    0 => String::new(),
                    jobs => format!(", unfinished jobs: {jobs}"),
                }
            ));
        }
        lines.join("\n")
    }
}
