//! The library as it is, beside the library as it should be.
//!
//! Must never skip a call that a process could make.

use std::collections::BTreeSet;
use std::time::Duration;

use gleaner_model::clock::{Clock, UnixMillis};
use gleaner_model::job::{JobId, LeaseToken};
use gleaner_store::{Lease, Library, Membership, ProcessId};

use crate::model::PROCESSES;
use crate::model::calls::{Call, What};
use crate::model::expected::{Expected, Process};
use crate::scratch::{Scratch, options};

/// A process: opens of one library in one process are strangers to each other, as processes are.
pub(super) struct Handle {
    pub(super) library: Library,
    pub(super) id: ProcessId,
    pub(super) member: Option<Membership>,
}

pub(super) struct Pair {
    pub(super) scratch: Scratch,
    pub(super) expected: Expected,
    pub(super) handles: Vec<Handle>,
    /// Only reads, and is no process of the library.
    pub(super) observer: Library,
    /// Every lease that was ever given, and every process that ever was.
    pub(super) leases: Vec<Lease>,
    pub(super) strangers: Vec<ProcessId>,
    pub(super) calls: usize,
}

impl Pair {
    pub(super) async fn new() -> Self {
        let scratch = Scratch::new();
        scratch.open().close().await;
        let observer = Library::open_read_only(scratch.path(), &options(), scratch.clock.clone()).unwrap();
        let (expected, handles, leases, strangers) = (Expected::default(), vec![], vec![], vec![]);
        let mut pair = Self { scratch, expected, handles, observer, leases, strangers, calls: 0 };
        for _ in 0..PROCESSES {
            let handle = pair.open().await;
            pair.handles.push(handle);
        }
        pair
    }

    /// Another process, not yet joined. It says that it lives for no time, which shows its number.
    pub(super) async fn open(&mut self) -> Handle {
        let library = self.scratch.open();
        library.renew(Duration::ZERO).await.unwrap();
        let known: BTreeSet<ProcessId> = self.expected.processes.keys().copied().collect();
        let rows = self.observer.others().await.unwrap().processes;
        let id = rows.iter().map(|row| row.id).find(|id| !known.contains(id)).unwrap();
        let row = Process { alive_until: self.now(), ..Process::default() };
        self.expected.processes.insert(id, row);
        self.strangers.push(id);
        Handle { library, id, member: None }
    }

    pub(super) fn now(&self) -> UnixMillis {
        self.scratch.clock.now()
    }

    pub(super) fn later(&self, seconds: u64) -> UnixMillis {
        self.now().after(Duration::from_secs(seconds))
    }

    /// A lease that was given, or one that never was.
    pub(super) fn lease(&self, index: usize) -> Lease {
        let unknown = Lease { job: JobId(99), token: LeaseToken(7) };
        self.leases.get(index % (self.leases.len() + 1)).copied().unwrap_or(unknown)
    }

    pub(super) async fn call(&mut self, Call { by, what }: Call) {
        self.calls += 1;
        match what {
            What::Enqueue { works, key, priority, delay } => {
                self.enqueue(by, works, key, priority, delay).await
            }
            What::Lease { wanted } => self.take(by, wanted).await,
            What::Record { lease, next, key, delay, notes } => {
                self.record(by, self.lease(lease), next, key, self.later(delay), notes).await;
            }
            What::Snooze { lease, key, delay } => {
                self.snooze(by, self.lease(lease), key, self.later(delay)).await
            }
            What::Ack { lease, end, notes } => self.ack(by, self.lease(lease), end, notes).await,
            What::Heartbeat { leases } => self.heartbeat(by, leases).await,
            What::Expire => self.expire(by).await,
            What::Promote => self.promote(by).await,
            What::Retry { states, reason, resolver, host, older_than } => {
                self.retry(by, states, (reason, resolver, host), older_than).await;
            }
            What::Cancel { jobs } => self.cancel(by, jobs).await,
            What::Purge { states, older_than } => self.purge(by, states, older_than).await,
            What::Run => self.begin_run(by).await,
            What::Claim { keys, wish, is_needed } => self.claim(by, keys, self.later(wish), is_needed).await,
            What::Give { keys, to } => self.give(by, keys, to).await,
            What::Pause { key, paused } => self.pause(by, key, paused).await,
            What::Limit { key, limit } => self.limit(by, key, limit).await,
            What::Cooldown { key, seconds } => self.cooldown(by, key, self.later(seconds)).await,
            What::Prune => self.prune(by).await,
            What::Join { ttl } => self.join(by, ttl).await,
            What::Renew { ttl } => self.renew(by, ttl).await,
            What::Leave => self.leave(by).await,
            What::Crash { closes } => self.crash(by, closes).await,
            What::Bury => self.bury(by).await,
            What::Advance { seconds } => self.scratch.clock.advance(Duration::from_secs(seconds)),
        }
    }
}
