//! Leases: what one of several servers does alone, for as long as it renews its claim.

use ashlar_types::UnixMillis;

use crate::DbError;
use crate::column::{Columns, signed};
use crate::connect::Connection;

/// Which taking of a lease a holder stands on. It grows with each; a claim with an older one is void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fence(pub u64);

/// A lease as the database has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The server that has it.
    pub holder: String,
    /// The taking that it stands on.
    pub fence: Fence,
    /// When it may be taken by another, unless it is renewed.
    pub until: UnixMillis,
}

/// Queries on leases.
#[derive(Debug)]
pub struct Leases<'t>(pub(crate) &'t mut Connection);

impl Leases<'_> {
    /// The lease of this name, if it was ever taken.
    pub async fn find(&mut self, lease: &str) -> Result<Option<Lease>, DbError> {
        let row = sqlx::query("SELECT * FROM leases WHERE lease = $1")
            .bind(lease)
            .fetch_optional(&mut *self.0)
            .await?;
        let Some(row) = row else { return Ok(None) };
        let columns = Columns(&row);
        Ok(Some(Lease {
            holder: columns.text("holder")?,
            fence: Fence(columns.number("fence")?),
            until: columns.time("until_ms")?,
        }))
    }

    /// Writes the lease as it is from now on.
    pub async fn put(&mut self, lease: &str, state: &Lease) -> Result<(), DbError> {
        sqlx::query(
            "INSERT INTO leases (lease, holder, fence, until_ms) VALUES ($1, $2, $3, $4)
             ON CONFLICT (lease) DO UPDATE SET
                holder = excluded.holder, fence = excluded.fence, until_ms = excluded.until_ms",
        )
        .bind(lease)
        .bind(&state.holder)
        .bind(signed(state.fence.0))
        .bind(state.until.0)
        .execute(&mut *self.0)
        .await?;
        Ok(())
    }
}
