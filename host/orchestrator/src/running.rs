//! The steps that run right now: their leases, deadlines and how to stop them.
//!
//! In memory only. A crash forgets it, and the leases' expiry is what remains.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use gleaner_model::clock::UnixMillis;
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
    began: Instant,
    abort: Option<AbortHandle>,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Running(Mutex<HashMap<Lease, Entry>>);

impl Running {
    /// A step of a leased job begins; it has until `deadline`.
    pub(crate) fn begin(&self, lease: Lease, key: Key, deadline: Instant) {
        let mut entries = self.lock();
        let abort = entries.get_mut(&lease).and_then(|entry| entry.abort.take());
        entries.insert(lease, Entry { lease, key, deadline, began: Instant::now(), abort });
    }

    /// The task that carries the job's steps out, so that it can be stopped.
    pub(crate) fn set_task(&self, lease: Lease, task: AbortHandle) {
        if let Some(entry) = self.lock().get_mut(&lease) {
            entry.abort = Some(task);
        }
    }

    /// The job's lease was given back.
    pub(crate) fn end(&self, lease: Lease) {
        self.lock().remove(&lease);
    }

    /// How many there are.
    pub(crate) fn count(&self) -> u64 {
        self.lock().len() as u64
    }

    /// The leases of steps that have run for so long.
    pub(crate) fn longer_than(&self, age: Duration) -> Vec<Lease> {
        self.lock().values().filter(|entry| entry.began.elapsed() >= age).map(|entry| entry.lease).collect()
    }

    /// Stops the job's task; its lease is not given back. Whether it was running.
    pub(crate) fn abort(&self, lease: Lease) -> bool {
        let task = self.lock().remove(&lease).and_then(|entry| entry.abort);
        task.inspect(AbortHandle::abort).is_some()
    }

    /// The leases to extend, each up to `ttl` from now or its step's deadline; and the jobs whose step has
    /// outlived its deadline.
    pub(crate) fn due(&self, ttl: Duration, now: UnixMillis) -> (Vec<(Lease, UnixMillis)>, Vec<Lease>) {
        let (mut extend, mut hung) = (Vec::new(), Vec::new());
        for (lease, entry) in self.lock().iter() {
            let left = entry.deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                hung.push(*lease);
            } else {
                extend.push((*lease, now.after(left.min(ttl))));
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

    fn lock(&self) -> MutexGuard<'_, HashMap<Lease, Entry>> {
        crate::pieces::lock(&self.0)
    }
}
