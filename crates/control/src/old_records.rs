//! What is forgotten after a while, so that a busy installation stays as large as what is in it.

use ashlar_types::UnixMillis;

use crate::control::Control;
use crate::error::ControlError;
use crate::leader::Leadership;
use crate::reconcile::Reconciled;

const DAY_MS: i64 = 24 * 3600 * 1000;

/// Jobs that ended: a waiting call and a curious operator look at them.
const JOBS_KEPT_MS: i64 = 7 * DAY_MS;

/// Client tokens: clients repeat a call for minutes, machines that were down for days.
const CLIENT_TOKENS_KEPT_MS: i64 = 7 * DAY_MS;

/// Temporary keys after their end: until then a client learns that its token has expired, afterwards that there is
/// no such key.
const TEMPORARY_KEYS_KEPT_MS: i64 = DAY_MS;

/// Entries of the log of operations. The newest one of what still exists is kept: disks show it.
const OPERATIONS_KEPT_MS: i64 = 90 * DAY_MS;

/// So many entries go in one run: a short transaction, and the next run is seconds away.
const OPERATIONS_AT_ONCE: u64 = 2_000;

/// How often entries are looked through for old ones. What still exists keeps its newest entry however old it is, so
/// every look passes by all of these. A day.
const OPERATIONS_LOOK_MS: i64 = DAY_MS;

impl Control {
    /// Forgets what is old.
    pub(crate) async fn forget_old_records(&self, leader: Leadership) -> Result<Reconciled, ControlError> {
        let now = self.now();
        let Some(mut tx) = self.write_as(leader).await? else { return Ok(Reconciled::default()) };
        let mut items = tx.jobs().forget_ended(now.plus_ms(-JOBS_KEPT_MS)).await?;
        items += tx.client_tokens().forget(now.plus_ms(-CLIENT_TOKENS_KEPT_MS)).await?;
        items += tx.access().forget_temporary_keys(now.plus_ms(-TEMPORARY_KEYS_KEPT_MS)).await?;
        let is_recent = |last: UnixMillis| last <= now && now < last.plus_ms(OPERATIONS_LOOK_MS);
        let mut looked = *self.operations_forgotten.lock();
        if !looked.is_some_and(is_recent) {
            let gone = tx.operations().forget(now.plus_ms(-OPERATIONS_KEPT_MS), OPERATIONS_AT_ONCE).await?;
            looked = (gone < OPERATIONS_AT_ONCE).then_some(now);
            items += gone;
        }
        tx.commit().await?;
        *self.operations_forgotten.lock() = looked;
        Ok(Reconciled { items, failures: 0 })
    }
}
