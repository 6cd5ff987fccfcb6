//! Regions and their zones.

use ashlar_types::{Region, Zone};

use crate::DbError;
use crate::column::{Columns, signed};
use crate::connect::Connection;

/// Queries on regions and zones.
#[derive(Debug)]
pub struct Places<'t>(pub(crate) &'t mut Connection);

impl Places<'_> {
    /// Adds a region at a place of the list. `Conflict` if it exists.
    pub async fn insert_region(&mut self, region: &Region, position: u64) -> Result<(), DbError> {
        sqlx::query("INSERT INTO regions (region, position) VALUES ($1, $2)")
            .bind(region.as_str())
            .bind(signed(position))
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// Adds a zone at a place of the list. `Conflict` if it exists or its region does not.
    pub async fn insert_zone(&mut self, zone: &Zone, position: u64) -> Result<(), DbError> {
        sqlx::query("INSERT INTO zones (zone, region, position) VALUES ($1, $2, $3)")
            .bind(zone.as_str())
            .bind(zone.region().as_str())
            .bind(signed(position))
            .execute(&mut *self.0)
            .await?;
        Ok(())
    }

    /// All regions in their order.
    pub async fn regions(&mut self) -> Result<Vec<Region>, DbError> {
        let rows =
            sqlx::query("SELECT region FROM regions ORDER BY position").fetch_all(&mut *self.0).await?;
        rows.iter().map(|row| Columns(row).word("region")).collect()
    }

    /// The zones of a region in their order.
    pub async fn zones(&mut self, region: &Region) -> Result<Vec<Zone>, DbError> {
        let rows = sqlx::query("SELECT zone FROM zones WHERE region = $1 ORDER BY position")
            .bind(region.as_str())
            .fetch_all(&mut *self.0)
            .await?;
        rows.iter().map(|row| Columns(row).word("zone")).collect()
    }

    /// Whether the zone exists.
    pub async fn has_zone(&mut self, zone: &Zone) -> Result<bool, DbError> {
        let row = sqlx::query("SELECT 1 FROM zones WHERE zone = $1")
            .bind(zone.as_str())
            .fetch_optional(&mut *self.0)
            .await?;
        Ok(row.is_some())
    }
}
