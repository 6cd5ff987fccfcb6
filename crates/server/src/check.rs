//! `ashlar check`: proves, with the server stopped, that each pool is sound and that the records agree with it.

mod agreement;

use std::collections::BTreeSet;
use std::panic::catch_unwind;

use ashlar_control::{ControlError, pool_expectation};
use ashlar_db::{Db, DbError};
use ashlar_engine::{Background, Pool, PoolOptions};
use ashlar_types::Region;
use ashlar_volume::{ErrorKind, VolumeError, VolumeStore};
use serde::Serialize;

use crate::check::agreement::{PoolNames, disagreements};
use crate::cli::AdminFlags;
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
pub(crate) fn run(flags: AdminFlags, environment: Environment<'_>) -> Result<(), Failure> {
    let data_dir = DataDir::lock_existing(&admin_data_dir(flags.data_dir, environment))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::internal("cannot start the runtime", error))?;
    let report = runtime.block_on(examine(&data_dir))?;
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

async fn examine(data_dir: &DataDir) -> Result<Report, Failure> {
    let unreadable = |error: DbError| Failure::internal("cannot read control.db", error);
    let db = Db::open(&data_dir.database()).await.map_err(unreadable)?;
    let pools: BTreeSet<Region> = data_dir.pool_regions()?.into_iter().collect();
    let mut regions = pools.clone();
    regions.extend(db.read().await.map_err(unreadable)?.places().regions().await.map_err(unreadable)?);
    let mut report = Report { pools: pools.len(), ..Report::default() };
    for region in regions {
        let records = pool_expectation(&db, &region)
            .await
            .map_err(|error: ControlError| Failure::internal("cannot read control.db", error))?;
        report.disks += records.volumes.len() + records.volumes_in_flux.len();
        report.snapshots += records.snapshots.len() + records.snapshots_in_flux.len();
        let names = match pools.contains(&region) {
            true => walk_pool(data_dir, &region, &mut report)?,
            false => Some(PoolNames::default()),
        };
        if let Some(names) = names {
            report.add(&region, disagreements(&records, &names));
        }
    }
    db.close().await;
    Ok(report)
}

/// Checks one pool; gives its names where it is sound. A broken pool is not compared: what it says is not
/// to be believed.
fn walk_pool(data_dir: &DataDir, region: &Region, report: &mut Report) -> Result<Option<PoolNames>, Failure> {
    let directory = data_dir.pools().join(region.as_str());
    // The library that reads the map stops where bytes make no sense at all; that too is a finding.
    let Ok(checked) = catch_unwind(|| ashlar_engine::check(&directory)) else {
        report.add(region, vec!["the pool is too damaged to be read".to_owned()]);
        return Ok(None);
    };
    let found = match checked {
        Ok(found) => found.findings,
        // A crash while the pool was being made; nothing was ever in it.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Some(PoolNames::default())),
        Err(error) if error.kind() == ErrorKind::Corrupt => vec![error.to_string()],
        Err(error) => return Err(Failure::internal(format!("cannot check the pool of {region}"), error)),
    };
    if !found.is_empty() {
        report.add(region, found);
        return Ok(None);
    }
    let names = || -> Result<PoolNames, VolumeError> {
        let options = PoolOptions { background: Background::Manual, ..PoolOptions::default() };
        let pool = Pool::open(&directory, options)?;
        let volumes = pool.volumes()?.into_iter().collect();
        let snapshots = pool.snapshots()?.into_iter().collect();
        pool.close()?;
        Ok(PoolNames { volumes, snapshots })
    };
    names().map(Some).map_err(|error| Failure::internal(format!("cannot open the pool of {region}"), error))
}

impl Report {
    fn add(&mut self, region: &Region, messages: Vec<String>) {
        let region = region.to_string();
        self.findings.extend(messages.into_iter().map(|message| Finding { region: region.clone(), message }));
    }

    fn to_text(&self) -> String {
        if self.findings.is_empty() {
            return format!(
                "clean (pools: {}, disks: {}, snapshots: {})",
                self.pools, self.disks, self.snapshots
            );
        }
        let lines = self.findings.iter().map(|finding| format!("{}: {}", finding.region, finding.message));
        lines.collect::<Vec<_>>().join("\n")
    }
}
