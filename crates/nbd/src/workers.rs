//! The threads that wait, so that sessions need not.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

use crate::NbdLimits;
use crate::completion::{Job, Work};

/// Enough for a store's call chain, half the default. Only pages that are touched take memory.
pub(crate) const STACK_BYTES: usize = 1 << 20;

/// The workers of a server, shared by all sessions.
pub(crate) struct Workers {
    io: Pool,
    flush: Pool,
}

impl Workers {
    pub(crate) fn new(limits: &NbdLimits) -> Self {
        Self {
            io: Pool::new("nbd-io", limits.io_workers_max),
            flush: Pool::new("nbd-flush", limits.flush_workers_max),
        }
    }

    /// Has `job` done by another thread. How many jobs there can be is bounded by each session.
    pub(crate) fn submit(&self, job: Job) {
        match job.work {
            Work::Flush => self.flush.submit(job),
            Work::Read { .. }
            | Work::Write { .. }
            | Work::Cache { .. }
            | Work::Trim { .. }
            | Work::WriteZeroes { .. }
            | Work::BlockStatus { .. } => self.io.submit(job),
        }
    }

    /// Ends the workers when their queues are empty. Says whether all ended within `timeout` each.
    pub(crate) fn stop(&self, timeout: Duration) -> bool {
        let io = self.io.stop(timeout);
        self.flush.stop(timeout) && io
    }
}

struct Pool {
    name: &'static str,
    threads_max: usize,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    job_or_stop: Condvar,
    thread_ended: Condvar,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Job>,
    threads: usize,
    idle: usize,
    stopping: bool,
}

impl Pool {
    fn new(name: &'static str, threads_max: usize) -> Self {
        Self { name, threads_max: threads_max.max(1), shared: Arc::default() }
    }

    fn submit(&self, job: Job) {
        let mut state = self.shared.state.lock();
        state.queue.push_back(job);
        if state.idle >= state.queue.len() {
            drop(state);
            self.shared.job_or_stop.notify_one();
        } else if state.threads < self.threads_max {
            state.threads += 1;
            drop(state);
            self.start_thread();
        }
        // Otherwise all threads are busy, and one of them comes back to the queue.
    }

    fn start_thread(&self) {
        let shared = Arc::clone(&self.shared);
        let spawned = thread::Builder::new()
            .name(self.name.to_owned())
            .stack_size(STACK_BYTES)
            .spawn(move || shared.work());
        if let Err(error) = spawned {
            tracing::warn!(%error, pool = self.name, "cannot start a worker; the session does its work itself");
            self.shared.state.lock().threads -= 1;
            while let Some(job) = self.shared.take_now() {
                let mut rest = Some(job);
                while let Some(job) = rest {
                    rest = job.run();
                }
            }
        }
    }

    fn stop(&self, timeout: Duration) -> bool {
        let mut state = self.shared.state.lock();
        state.stopping = true;
        self.shared.job_or_stop.notify_all();
        self.shared.thread_ended.wait_while_for(&mut state, |state| state.threads > 0, timeout);
        state.threads == 0
    }
}

impl Shared {
    fn work(&self) {
        while let Some(job) = self.take() {
            if let Some(rest) = job.run() {
                // Behind the jobs of others: a long one holds nobody up. Whoever put it there is free to take it.
                self.state.lock().queue.push_back(rest);
            }
        }
    }

    /// Waits for a job; `None` when the pool stops.
    fn take(&self) -> Option<Job> {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.queue.pop_front() {
                return Some(job);
            }
            if state.stopping {
                state.threads -= 1;
                self.thread_ended.notify_all();
                return None;
            }
            state.idle += 1;
            self.job_or_stop.wait(&mut state);
            state.idle -= 1;
        }
    }

    fn take_now(&self) -> Option<Job> {
        self.state.lock().queue.pop_front()
    }
}
