//! Who runs the jobs: a task for each, a bounded number of them inside the stores at a time.
//!
//! The journal alone says what is to be done; what is held here is only who is at it, and who waits.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ashlar_db::{JobId, JobPhase, JobRecord, NewJob, Transaction};
use ashlar_types::Region;
use ashlar_volume::{ErrorKind, VolumeError};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use super::effect::{self, Survey};
use super::ending::Ending;
use super::{Step, Work};
use crate::control::Control;
use crate::error::{ControlError, JobError, JobErrorKind};

/// How a run of a job ended, for those who wait.
type End = Result<(), JobError>;
type EndReceiver = watch::Receiver<Option<End>>;

/// What a test does to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "only tests play faults"))]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The step fails before it does anything.
    FailBefore,
    /// The step does its work, then fails.
    FailAfter,
    /// The server dies before the step.
    HaltBefore,
    /// The server dies after the step, before the journal knows.
    HaltAfter,
    /// The step runs twice.
    Twice,
}

/// The seam through which tests break steps.
pub(crate) trait StepHook: Send + Sync {
    /// Asked each time a step of a job is about to run.
    fn at(&self, work: &Work, step: Step) -> Fault;

    /// Told when a `Halt` has stopped everything.
    fn halted(&self);
}

/// What the server holds of its jobs besides the journal.
pub(crate) struct Runner {
    running: Mutex<HashMap<JobId, EndReceiver>>,
    running_count: watch::Sender<usize>,
    turns: Semaphore,
    stopping: watch::Sender<bool>,
    hook: Option<Arc<dyn StepHook>>,
}

impl Runner {
    pub(crate) fn new(jobs_at_once: u64, hook: Option<Arc<dyn StepHook>>) -> Self {
        let turns = usize::try_from(jobs_at_once.max(1)).unwrap_or(1).min(Semaphore::MAX_PERMITS);
        Self {
            running: Mutex::default(),
            running_count: watch::Sender::new(0),
            turns: Semaphore::new(turns),
            stopping: watch::Sender::new(false),
            hook,
        }
    }

    /// Lets the steps under way end, and no other begin.
    pub(crate) async fn stop(&self) {
        self.stopping.send_replace(true);
        // The sender lives in `self`: the wait cannot fail.
        let _ = self.running_count.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Waits until nobody runs a job here.
    pub(crate) async fn idle(&self) {
        let _ = self.running_count.subscribe().wait_for(|count| *count == 0).await;
    }

    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    fn fault(&self, work: &Work, step: Step) -> Fault {
        self.hook.as_ref().map_or(Fault::None, |hook| hook.at(work, step))
    }
}

/// Takes a job off the list of running ones however its task ends.
struct Leave {
    control: Control,
    job: JobId,
}

impl Drop for Leave {
    fn drop(&mut self) {
        let runner = &self.control.runner;
        runner.running.lock().remove(&self.job);
        runner.running_count.send_modify(|count| *count -= 1);
    }
}

/// Where a run of a job stands after a step.
pub(super) enum Next {
    /// The journal names the next step.
    Again,
    /// The job has ended.
    Ended(End),
}

impl Control {
    /// Writes a job into the transaction that states the intent.
    pub(crate) async fn write_job(
        &self,
        tx: &mut Transaction,
        region: &Region,
        work: &Work,
    ) -> Result<JobId, ControlError> {
        let text = serde_json::to_string(work).map_err(|error| broken(&error))?;
        let step = work.steps().first().map_or(Step::Settle, |step| *step).name();
        let job = NewJob { region, kind: work.kind(), work: &text, step };
        Ok(tx.jobs().insert(&job, self.now()).await?)
    }

    /// Runs a job unless somebody is at it, and gives where its end can be learnt.
    pub(crate) fn start_job(&self, job: JobId) -> EndReceiver {
        let mut running = self.runner.running.lock();
        if let Some(end) = running.get(&job) {
            return end.clone();
        }
        let (tell, end) = watch::channel(None);
        running.insert(job, end.clone());
        self.runner.running_count.send_modify(|count| *count += 1);
        drop(running);

        let leave = Leave { control: self.clone(), job };
        tokio::spawn(async move {
            let outcome = leave.control.run_job(job).await;
            if let Err(error) = &outcome {
                tracing::warn!(job = job.0, kind = ?error.kind, detail = %error.detail, "a job did not succeed");
            }
            // First off the list, then the news: who hears it and starts the job again must find it free.
            drop(leave);
            tell.send_replace(Some(outcome));
        });
        end
    }

    /// Runs a job and waits for its end, but no longer than calls may wait: then the states show the rest.
    pub(crate) async fn await_job(&self, job: JobId) -> Result<(), ControlError> {
        match self.job_end(job).await {
            Some(end) => Ok(end?),
            None => Ok(()),
        }
    }

    /// The same for a call that may not answer before its work is done: work that takes too long is taken
    /// back.
    pub(crate) async fn await_or_cancel_job(&self, job: JobId) -> Result<(), ControlError> {
        match self.job_end(job).await {
            Some(Err(error)) if error.kind == JobErrorKind::Stopping => self.cancel(job, error).await,
            Some(end) => Ok(end?),
            None => {
                let detail = "the wait for an answer ended".to_owned();
                self.cancel(job, JobError { kind: JobErrorKind::TimedOut, detail }).await
            }
        }
    }

    async fn job_end(&self, job: JobId) -> Option<End> {
        let mut end = self.start_job(job);
        let wait = Duration::from_millis(self.limits().answer_wait_ms);
        let told = tokio::time::timeout(wait, end.wait_for(Option::is_some)).await.ok()?;
        match told {
            Ok(end) => end.clone(),
            // The task is gone without a word: it panicked. The journal still has the job.
            Err(_) => Some(Err(JobError {
                kind: JobErrorKind::StoreFailed,
                detail: format!("job {job} stopped halfway"),
            })),
        }
    }

    /// Turns a job round unless it has ended meanwhile.
    async fn cancel(&self, job: JobId, error: JobError) -> Result<(), ControlError> {
        let mut tx = self.db.write().await?;
        let Some(record) = tx.jobs().find(job).await? else { return Err(error.into()) };
        match record.phase {
            JobPhase::Forward => {
                turn_round(&mut tx, &record, &work_of(&record)?, &error).await?;
                tx.commit().await?;
                Err(error.into())
            }
            JobPhase::Undo => Err(error.into()),
            JobPhase::Succeeded => Ok(()),
            JobPhase::Failed => Err(error_of(&record).into()),
        }
    }

    /// What became of a job that may have ended long ago.
    pub(crate) async fn await_any_job(&self, job: JobId) -> Result<(), ControlError> {
        let found = self.db.look().await?.jobs().find(job).await?;
        match found.as_ref().map(|record| record.phase) {
            // Only jobs that ended are ever forgotten, and those that failed took their traces with them.
            None | Some(JobPhase::Succeeded) => Ok(()),
            Some(JobPhase::Failed) => Err(found.as_ref().map_or_else(unknown, error_of).into()),
            Some(JobPhase::Forward | JobPhase::Undo) => self.await_or_cancel_job(job).await,
        }
    }

    /// Runs a job to its end. An error of the way back leaves it in the journal for the next try.
    async fn run_job(&self, job: JobId) -> End {
        loop {
            if self.runner.is_stopping() {
                return Err(stopping(job));
            }
            match self.run_next_step(job).await {
                Ok(Next::Again) => {}
                Ok(Next::Ended(end)) => return end,
                Err(ControlError::Job(error)) => return Err(error),
                Err(error) => {
                    let detail = std::error::Error::source(&error)
                        .map_or_else(|| error.to_string(), |source| format!("{error} ({source})"));
                    return Err(JobError { kind: JobErrorKind::StoreFailed, detail });
                }
            }
        }
    }

    async fn run_next_step(&self, job: JobId) -> Result<Next, ControlError> {
        let found = self.db.look().await?.jobs().find(job).await?;
        let Some(record) = found else { return Ok(Next::Ended(Ok(()))) };
        match record.phase {
            JobPhase::Succeeded => return Ok(Next::Ended(Ok(()))),
            JobPhase::Failed => return Ok(Next::Ended(Err(error_of(&record)))),
            JobPhase::Forward | JobPhase::Undo => {}
        }
        let work = work_of(&record)?;
        let step = Step::from_name(&record.step).ok_or_else(|| broken(&format!("step `{}`", record.step)))?;
        match step {
            Step::Settle | Step::GiveBack => self.run_last_step(&record, &work, step).await,
            Step::MakeVolumes
            | Step::DeleteVolumes
            | Step::ResizeVolume
            | Step::ResetVolumes
            | Step::RollBackVolume
            | Step::PublishExports
            | Step::WithdrawExports
            | Step::TakeSnapshot
            | Step::WithdrawSnapshots
            | Step::DeleteSnapshots
            | Step::PublishSnapshots
            | Step::RenameSnapshot
            | Step::RenameSnapshotBack
            | Step::FreezeCopy
            | Step::DropCopy => self.run_effects(&record, &work, step).await,
            Step::PrepareCopy | Step::CopyBlocks | Step::VerifyCopy => {
                self.run_copy_step(&record, &work, step).await
            }
        }
    }

    /// Runs the steps in the stores, from this one on, and then the last one. The journal needs no line in between, because
    /// every step may be run twice: whoever dies on the way begins with this one again.
    async fn run_effects(&self, record: &JobRecord, work: &Work, first: Step) -> Result<Next, ControlError> {
        let steps = if record.phase == JobPhase::Undo { work.undo_steps() } else { work.steps() };
        let mut step = first;
        while !matches!(step, Step::Settle | Step::GiveBack) {
            let outcome = self.run_effect(record, work, step).await;
            if self.runner.is_stopping() {
                return Err(stopping(record.id).into());
            }
            match (outcome, record.phase) {
                (Ok(()), _) => step = next_step(steps, step)?,
                (Err(error), JobPhase::Forward) => return self.after_failure(record, work, error).await,
                // The way back is blocked. Waiters learn it now; the journal keeps the job for the next try.
                (Err(error), JobPhase::Undo | JobPhase::Succeeded | JobPhase::Failed) => {
                    return Ok(Next::Ended(Err(error)));
                }
            }
        }
        self.run_last_step(record, work, step).await
    }

    /// Turns a job round whose way forward has failed.
    pub(super) async fn after_failure(
        &self,
        record: &JobRecord,
        work: &Work,
        error: JobError,
    ) -> Result<Next, ControlError> {
        if self.runner.is_stopping() {
            return Err(stopping(record.id).into());
        }
        let mut tx = self.db.write().await?;
        if is_still(&mut tx, record).await? {
            turn_round(&mut tx, record, work, &error).await?;
            tx.commit().await?;
        }
        Ok(Next::Again)
    }

    /// Runs a step in the stores, with the faults that tests play.
    async fn run_effect(&self, record: &JobRecord, work: &Work, step: Step) -> Result<(), JobError> {
        self.with_faults(work, step, || {
            let (region, work) = (record.region.clone(), work.clone());
            self.in_turn(move |this| effect::run(&this, &region, &work, step))
        })
        .await
    }

    /// Runs `effect` as often, and as well, as a test wants it.
    pub(super) async fn with_faults<T, F: Future<Output = Result<T, JobError>>>(
        &self,
        work: &Work,
        step: Step,
        effect: impl Fn() -> F,
    ) -> Result<T, JobError> {
        let fault = self.runner.fault(work, step);
        match fault {
            Fault::HaltBefore => match self.halt().await {},
            Fault::FailBefore => return Err(played()),
            Fault::None | Fault::FailAfter | Fault::HaltAfter | Fault::Twice => {}
        }
        let mut outcome = effect().await;
        if fault == Fault::Twice && outcome.is_ok() {
            outcome = effect().await;
        }
        match fault {
            Fault::HaltAfter => match self.halt().await {},
            Fault::FailAfter => outcome.and(Err(played())),
            Fault::None | Fault::Twice | Fault::HaltBefore | Fault::FailBefore => outcome,
        }
    }

    /// Runs something in the stores, when it is this job's turn.
    pub(super) async fn in_turn<T: Send + 'static>(
        &self,
        effect: impl FnOnce(Control) -> Result<T, VolumeError> + Send + 'static,
    ) -> Result<T, JobError> {
        // The semaphore is never closed; without a turn the step merely runs beside more others.
        let _turn = self.runner.turns.acquire().await;
        let this = self.clone();
        let done = tokio::task::spawn_blocking(move || effect(this)).await;
        let done = done.unwrap_or_else(|panic| {
            Err(VolumeError::new(ErrorKind::Io, format!("the store stopped halfway: {panic}")))
        });
        done.map_err(|error| JobError::from(&error))
    }

    /// Ends the job, unless it was turned round meanwhile.
    async fn run_last_step(&self, record: &JobRecord, work: &Work, step: Step) -> Result<Next, ControlError> {
        let fault = self.runner.fault(work, step);
        if fault == Fault::HaltBefore {
            match self.halt().await {}
        }
        let survey = self.survey(record, work, step).await?;
        let mut tx = self.db.write().await?;
        if !is_still(&mut tx, record).await? {
            return Ok(Next::Again);
        }
        let ending = Ending { job: record.id, work, survey: &survey, now: self.now() };
        let mut has_expired = false;
        let end = if step == Step::Settle {
            has_expired = ending.settle(&mut tx).await?;
            Ok(())
        } else {
            let error = error_of(record);
            ending.give_back(&mut tx, &error).await?;
            Err(error)
        };
        tx.commit().await?;
        self.look_again_at_sizes(&record.region, &work.snapshots());
        let is_told = matches!(
            work,
            Work::ResizeDisk { .. } | Work::ChangeDiskType { .. } | Work::ApplyInstanceSnapshot { .. }
        );
        if is_told {
            self.tell_recorded_performance(&work.disks()).await?;
        }
        if matches!(work, Work::CopySnapshot { .. }) {
            // Nobody could delete what it was copied from.
            self.look_again_at_promises();
        } else if has_expired || work.leaves_blocks() {
            // It had to wait for this job; or the blocks have heirs.
            self.wake_reconcilers();
        }
        if fault == Fault::HaltAfter {
            match self.halt().await {}
        }
        Ok(Next::Ended(end))
    }

    /// What the pool holds. On the way forward the work is done, whatever the pool can still tell; on the way
    /// back it decides what is left.
    async fn survey(&self, record: &JobRecord, work: &Work, step: Step) -> Result<Survey, ControlError> {
        let (this, region, work) = (self.clone(), record.region.clone(), work.clone());
        let phase = record.phase;
        let found = self.blocking(move || effect::survey(&this, &region, &work, phase)).await;
        match found {
            Err(ControlError::Job(error)) if step == Step::Settle => {
                tracing::warn!(job = record.id.0, detail = %error.detail, "snapshot sizes are unknown");
                Ok(Survey::default())
            }
            other => other,
        }
    }

    /// The end of the server as tests play it: this job never goes on here.
    async fn halt(&self) -> Infallible {
        if let Some(hook) = &self.runner.hook {
            hook.halted();
        }
        std::future::pending().await
    }
}

/// Whether the journal still says what it said when the step began: a call that gave up may have turned the
/// job round.
pub(super) async fn is_still(tx: &mut Transaction, record: &JobRecord) -> Result<bool, ControlError> {
    Ok(tx
        .jobs()
        .find(record.id)
        .await?
        .is_some_and(|now| now.phase == record.phase && now.step == record.step))
}

async fn turn_round(
    tx: &mut Transaction,
    record: &JobRecord,
    work: &Work,
    error: &JobError,
) -> Result<(), ControlError> {
    let first = work.undo_steps().first().map_or(Step::GiveBack, |step| *step);
    let text = serde_json::to_string(error).map_err(|error| broken(&error))?;
    tx.jobs().note_error(record.id, &text).await?;
    Ok(tx.jobs().advance(record.id, JobPhase::Undo, first.name()).await?)
}

pub(super) fn next_step(steps: &[Step], step: Step) -> Result<Step, ControlError> {
    let at = steps.iter().position(|at| *at == step);
    let next = at.and_then(|at| steps.get(at + 1)).copied();
    next.ok_or_else(|| broken(&format!("no step follows {}", step.name())))
}

fn work_of(record: &JobRecord) -> Result<Work, ControlError> {
    serde_json::from_str(&record.work).map_err(|error| broken(&error))
}

fn error_of(record: &JobRecord) -> JobError {
    let noted = record.error.as_deref().and_then(|text| serde_json::from_str(text).ok());
    noted.unwrap_or_else(unknown)
}

fn unknown() -> JobError {
    JobError { kind: JobErrorKind::StoreFailed, detail: "the journal names no reason".to_owned() }
}

fn stopping(job: JobId) -> JobError {
    JobError { kind: JobErrorKind::Stopping, detail: format!("job {job} goes on at the next start") }
}

fn played() -> JobError {
    JobError { kind: JobErrorKind::StoreFailed, detail: "a fault that a test plays".to_owned() }
}

/// The journal holds what this build cannot read.
pub(super) fn broken(what: &dyn std::fmt::Display) -> ControlError {
    ashlar_db::DbError::new(ashlar_db::DbErrorKind::Corrupt, format!("journal of jobs: {what}")).into()
}
