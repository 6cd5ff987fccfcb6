//! What comes of one write of metadata that was lost, torn, misplaced or spoiled.
//!
//! While the server runs, a client may get an errno that is documented, a call may be refused with a reason, and an operator
//! then stops the server. Nobody ever gets wrong bytes. After that, `check` says what is wrong, the next start is refused with
//! a reason or everything that can be read is right; and where `check` finds nothing, nothing is wrong and life goes on.
//!
//! One thing cannot be found out (`FORMAT.md`): the last record of the journal, if nothing was appended behind it. The pool is
//! then what it was before that commit.

use std::panic::{AssertUnwindSafe, catch_unwind};

use ashlar_engine::Pool;
use ashlar_volume::ErrorKind;

use super::*;
use crate::lies::MetadataLie;
use crate::oracle::World;

/// What `check` and an opening make of a pool.
enum Verdict {
    /// It is what it should be.
    Sound,
    /// The last commit is missing, and may be.
    LacksLastCommit,
    /// Blocks or disks are errors; so many.
    Errors(usize),
    /// The start is refused.
    Refused(String),
}

impl History {
    pub(super) fn lie_about_metadata(&self) -> Option<MetadataLie> {
        self.ground.shared.lock().lies.told_of_metadata()
    }

    /// Whether a client has met what an operator has to look into. Otherwise the server is killed soon, before what was wrong
    /// is written over.
    pub(super) fn check_broken(&self) -> Result<(), Stop> {
        if let Some(reason) = self.ground.shared.lock().broken.take() {
            return Err(Stop::Broken(reason));
        }
        if self.lie_about_metadata().is_some() && self.below(4) == 0 {
            return Err(Stop::Broken("nobody has noticed anything yet".to_owned()));
        }
        Ok(())
    }

    /// The server is down, and the medium has lied about metadata. `false` if the pool is damaged, and the history ends.
    pub(super) fn look_at_metadata(&mut self, lie: MetadataLie) -> Result<bool, String> {
        self.event("lie about metadata");
        let checked = check_in(Arc::new(self.ground.disk.fork()));
        let found = match &checked {
            Ok(report) => report.findings.clone(),
            Err(error) => vec![error.to_string()],
        };
        let verdict =
            self.open_damaged().map_err(|failure| format!("{lie:?}: {failure}, check: {found:?}"))?;
        let (event, told, goes_on) = match verdict {
            Verdict::Sound if found.is_empty() => ("lie without effect", String::new(), true),
            Verdict::Sound => ("found by check", String::new(), false),
            Verdict::LacksLastCommit => ("last commit lost", String::new(), false),
            Verdict::Errors(count) => ("damaged metadata", format!("{count} errors"), false),
            Verdict::Refused(reason) => ("refused start", reason, false),
        };
        self.event(event);
        if !goes_on {
            self.event("metadata is damaged");
        }
        self.line(&format!("{event}: {told}; check: {found:?}"));
        // What wraps a key is the server's to know: the engine's check sees a slot, not what is in it.
        let must_be_found =
            matches!(event, "damaged metadata" | "refused start") && lie.role != FileRole::Keys;
        if must_be_found && found.is_empty() {
            return Err(format!("{lie:?}: {event} ({told}), and check finds nothing"));
        }
        Ok(goes_on)
    }

    /// Opens a copy of the pool, and compares it with what it may be.
    fn open_damaged(&self) -> Result<Verdict, String> {
        let medium = Arc::new(self.ground.disk.fork());
        let options = self.ground.options();
        let pool = match catch_unwind(AssertUnwindSafe(|| Pool::open_in(medium, options))) {
            Ok(Ok(pool)) => pool,
            Ok(Err(error)) => return refusal(&error),
            Err(_) => return Err("the opening panicked".to_owned()),
        };
        let shared = self.ground.shared.lock();
        let mut failures = Vec::new();
        for mut world in shared.candidates() {
            match world.recover(&pool, Tolerance::ERRORS) {
                Ok(damaged) if damaged.is_empty() => return Ok(Verdict::Sound),
                Ok(damaged) => return Ok(Verdict::Errors(damaged.len())),
                Err(failure) => failures.push(failure),
            }
        }
        for mut world in lacking_last_commit(&shared) {
            match world.recover(&pool, Tolerance::ERRORS) {
                Ok(_) => return Ok(Verdict::LacksLastCommit),
                Err(failure) => failures.push(failure),
            }
        }
        Err(format!("wrong bytes or names: {}", failures.join("; or ")))
    }
}

/// What the pool may be if the last record of the journal is gone.
fn lacking_last_commit(shared: &Shared) -> Vec<World> {
    let is_of_journal = shared.lies.metadata.is_some_and(|lie| lie.role == FileRole::Journal);
    let Some(before) = shared.before_lie.as_ref().filter(|_| is_of_journal && shared.lies.was_last_write())
    else {
        return Vec::new();
    };
    let candidates = shared.candidates();
    candidates.iter().flat_map(|world| world.without_last_commit(before)).collect()
}

fn refusal(error: &ashlar_volume::VolumeError) -> Result<Verdict, String> {
    let has_reason =
        matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Io) && error.to_string().len() >= 20;
    if has_reason {
        Ok(Verdict::Refused(error.to_string()))
    } else {
        Err(format!("a refusal without a reason: {error} ({:?})", error.kind()))
    }
}
