//! The steps that run right now: their leases, deadlines and how to stop them.
//!
//! In memory only. A crash forgets it, and the leases' expiry is what remains.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use gleaner_model::clock::UnixMillis;
use gleaner_model::job::JobId;
use gleaner_model::key::Key;
use gleaner_store::Lease;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// One step that runs.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) lease: Lease,
    pub(crate) key: Key,
    pub(crate) deadline: Instant,
    abort: Option<AbortHandle>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Running(Mutex<HashMap<JobId, Entry>>);

impl Running {
    /// A step of a leased job begins; it has until `deadline`.
    pub(crate) fn begin(&self, lease: Lease, key: Key, deadline: Instant) {
        let mut entries = self.lock();
        let abort = entries.get_mut(&lease.job).and_then(|entry| entry.abort.take());
        entries.insert(lease.job, Entry { lease, key, deadline, abort });
    }

    /// The task that carries the job's steps out, so that it can be stopped.
    pub(crate) fn set_task(&self, job: JobId, task: AbortHandle) {
        if let Some(entry) = self.lock().get_mut(&job) {
            entry.abort = Some(task);
        }
    }

    /// The job's lease was given back.
    pub(crate) fn end(&self, job: JobId) {
        self.lock().remove(&job);
    }

    /// Stops the job's task; its lease is not given back.
    pub(crate) fn abort(&self, job: JobId) {
        if let Some(task) = self.lock().remove(&job).and_then(|entry| entry.abort) {
            task.abort();
        }
    }

    /// The leases to extend, each up to `ttl` from now or its step's deadline; and the jobs whose step has
    /// outlived its deadline.
    pub(crate) fn due(&self, ttl: Duration, now: UnixMillis) -> (Vec<(Lease, UnixMillis)>, Vec<JobId>) {
        let (mut extend, mut hung) = (Vec::new(), Vec::new());
        for (job, entry) in self.lock().iter() {
            let left = entry.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                hung.push(*job);
            } else {
                extend.push((entry.lease, now.after(left.min(ttl))));
            }
        }
        (extend, hung)
    }

    /// Stops every task and tells what they held.
    pub(crate) fn stop_all(&self) -> Vec<Entry> {
        let entries: Vec<Entry> = self.lock().drain().map(|(_, entry)| entry).collect();
        for task in entries.iter().filter_map(|entry| entry.abort.as_ref()) {
            task.abort();
        }
        entries
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<JobId, Entry>> {
        crate::pieces::lock(&self.0)
    }
}
