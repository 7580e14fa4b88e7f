//! The work queue as a trait, and the words of its calls.
//!
//! Delivery is at least once, and every write after a lease is fenced by the lease's token. Must never name
//! the database behind it: `conformance` says what any backend has to keep.

use std::time::Duration;

use async_trait::async_trait;
use gleaner_model::artifact::{Artifact, ArtifactId};
use gleaner_model::clock::UnixMillis;
use gleaner_model::job::{JobId, JobResult, JobState, LeaseToken, Priority};
use gleaner_model::key::{HostKey, Key, ResolverName};
use gleaner_model::manifest::ManifestRecord;
use gleaner_model::plan::Plan;
use gleaner_model::reason::Reason;

use crate::StoreError;

/// A work to enqueue.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// What is wanted.
    pub artifact: Artifact,
    /// What its first step is limited by.
    pub key: Key,
    /// Smaller numbers go first.
    pub priority: Priority,
    /// Not before then.
    pub not_before: Option<UnixMillis>,
}

/// What became of a [`NewJob`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enqueued {
    /// It is a new job.
    New(JobId),
    /// Its id or one of its identifiers has a job already; identifiers that were new have been added to it.
    Known(JobId),
    /// As `Known`, and the job had been skipped long enough ago: it starts anew.
    Requeued(JobId),
    /// Its names belong to several jobs. Nothing was changed.
    Conflict {
        /// Those jobs, in the order of their numbers.
        jobs: Vec<(JobId, ArtifactId)>,
    },
}

/// A job under a new lease.
#[derive(Debug, Clone, PartialEq)]
pub struct Leased {
    /// Which job.
    pub job: JobId,
    /// Proof of the lease.
    pub token: LeaseToken,
    /// The key under which it waited.
    pub key: Key,
    /// Smaller numbers go first.
    pub priority: Priority,
    /// Leases since the last record, this one included.
    pub attempts: u32,
    /// When the lease expires unless a heartbeat extends it.
    pub until: UnixMillis,
    /// What is wanted.
    pub artifact: Artifact,
    /// What is known.
    pub plan: Plan,
}

impl Leased {
    /// What every later write needs.
    pub fn lease(&self) -> Lease {
        Lease { job: self.job, token: self.token }
    }
}

/// A claim on a job, as every write after leasing presents it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// Which job.
    pub job: JobId,
    /// Proof of the lease.
    pub token: LeaseToken,
}

/// What became of a fenced write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a lost lease means that nothing was written"]
pub enum Fenced<T = ()> {
    /// The lease was held, and the write is durable.
    Held(T),
    /// The lease was not held any more, or never. Nothing was changed.
    Lost,
}

/// Where a job goes after [`WorkQueue::record`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AfterRecord {
    /// Stays leased under the same token, for a step of that key. The step is charged as a lease would.
    Keep {
        /// What the next step is limited by.
        key: Key,
        /// When the lease expires now.
        until: UnixMillis,
    },
    /// Waits for its turn.
    Queue {
        /// What the next step is limited by.
        key: Key,
    },
    /// Waits for its turn, but not before then.
    Wait {
        /// What the next step is limited by.
        key: Key,
        /// Not before then.
        until: UnixMillis,
    },
}

/// A file that stands in the library: the file comes before its row, always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// SHA-256 in lower-case hex.
    pub sha256: String,
    /// Bytes.
    pub size: u64,
    /// What the bytes are.
    pub media_type: String,
    /// Readable name, relative to the library.
    pub name: String,
}

/// A process that works on a library: its number there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId(pub i64);

/// What [`WorkQueue::expire`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Expired {
    /// Jobs that wait again; their attempt stays charged.
    pub requeued: u64,
    /// Jobs that used up their attempts without a record and ended as `error`, reason `poison`.
    pub poisoned: Vec<JobId>,
}

/// Which ended jobs [`WorkQueue::retry_failed`] starts anew. What is `None` or empty does not restrict.
#[derive(Debug, Clone, Default)]
pub struct RetryFilter {
    /// `Error`, `Skipped`; empty means `Error`. `Done` and states that are not terminal are ignored.
    pub states: Vec<JobState>,
    /// Ended for that reason.
    pub reason: Option<Reason>,
    /// Has an attempt of that resolver.
    pub resolver: Option<ResolverName>,
    /// Has an attempt that ended at that host.
    pub host: Option<HostKey>,
    /// Ended at least so long ago.
    pub older_than: Option<Duration>,
}

/// Jobs per state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct QueueStats {
    /// Wait for their next step, those that wait for a time included.
    pub queued: u64,
    /// Leased.
    pub in_progress: u64,
    /// Ended with a file.
    pub done: u64,
    /// Ended with nothing to fetch.
    pub skipped: u64,
    /// Ended by failure.
    pub error: u64,
    /// All of these.
    pub total: u64,
}

impl QueueStats {
    /// Jobs that have not ended.
    pub fn unfinished(&self) -> u64 {
        self.queued + self.in_progress
    }

    /// How many are in each state, in the order of [`JobState::ALL`].
    pub fn by_state(&self) -> [(JobState, u64); 5] {
        JobState::ALL.map(|state| {
            let jobs = match state {
                JobState::Queued => self.queued,
                JobState::InProgress => self.in_progress,
                JobState::Done => self.done,
                JobState::Skipped => self.skipped,
                JobState::Error => self.error,
            };
            (state, jobs)
        })
    }
}

/// What waits, as the dispatcher sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Keys with jobs that may run when their key may, and how many, by name.
    pub ready: Vec<(Key, u64)>,
    /// Jobs that wait for a time.
    pub delayed: u64,
    /// When the first of them is due.
    pub next_due: Option<UnixMillis>,
    /// Jobs under a lease.
    pub leased: u64,
    /// When the first lease expires.
    pub next_expiry: Option<UnixMillis>,
}

/// The durable queue of jobs. Every call is atomic, and durable when it returns. Any call may fail with a
/// [`StoreError`], which leaves nothing half done. A caller that stops waiting for the answer does not stop
/// the call: what a dropped `lease` leased comes back when it expires.
#[async_trait]
pub trait WorkQueue: Send + Sync {
    /// Adds jobs, one transaction for all of them, so give some thousands a call at most; answers in the same
    /// order. Idempotent: a work is found by its id or any of its identifiers. A job that was skipped at least
    /// `recheck_after` ago starts anew (zero forces it).
    async fn enqueue(&self, jobs: Vec<NewJob>, recheck_after: Duration) -> Result<Vec<Enqueued>, StoreError>;

    /// Leases at most so many jobs of each key, by priority, then in the order of enqueuing, until `ttl` from
    /// now. Returns exactly what it leased; the cost depends on that alone, not on the backlog. Each lease has
    /// a new token and charges an attempt. Jobs whose time has come are leased after `promote_due`. Nothing is
    /// leased of a key that another process owns.
    async fn lease(&self, wanted: Vec<(Key, u32)>, ttl: Duration) -> Result<Vec<Leased>, StoreError>;

    /// Sets when each lease expires; returns those that are not held any more.
    async fn heartbeat(&self, extend: Vec<(Lease, UnixMillis)>) -> Result<Vec<Lease>, StoreError>;

    /// Writes down what a step came to. Clears the charge.
    async fn record(
        &self,
        lease: Lease,
        plan: Plan,
        records: Vec<ManifestRecord>,
        next: AfterRecord,
    ) -> Result<Fenced, StoreError>;

    /// Writes down a failed try; the job waits under `key` until then. Clears the charge: how often a step
    /// failed is a fact of the plan.
    async fn fail_and_retry(
        &self,
        lease: Lease,
        plan: Plan,
        records: Vec<ManifestRecord>,
        key: Key,
        until: UnixMillis,
    ) -> Result<Fenced, StoreError>;

    /// Gives a lease back free of charge, nothing recorded: the job waits under `key`, until then if given.
    async fn snooze(&self, lease: Lease, key: Key, until: Option<UnixMillis>) -> Result<Fenced, StoreError>;

    /// Ends the job, for good. `Done` comes with its file, and only `Done` does;
    /// [`StoreError::WrongResult`] otherwise.
    async fn ack(
        &self,
        lease: Lease,
        plan: Plan,
        records: Vec<ManifestRecord>,
        result: JobResult,
        file: Option<StoredFile>,
    ) -> Result<Fenced, StoreError>;

    /// Takes back leases whose time has passed. The attempt stays charged; a job with `max_attempts` of them
    /// ends as `error`, reason `poison`.
    async fn expire(&self, max_attempts: u32) -> Result<Expired, StoreError>;

    /// Lets jobs run whose time has come, some thousands a call; returns how many. Call again while it is
    /// not zero.
    async fn promote_due(&self) -> Result<u64, StoreError>;

    /// Starts ended jobs anew: an empty plan, no attempts, under [`Key::Plan`]. Returns how many; with
    /// `dry_run`, how many it would be.
    async fn retry_failed(&self, filter: RetryFilter, dry_run: bool) -> Result<u64, StoreError>;

    /// Ends these jobs as `skipped`, reason `cancelled`, wherever they stand; returns those that had not ended.
    /// Whoever works on one finds its lease lost.
    async fn cancel(&self, jobs: Vec<JobId>) -> Result<Vec<JobId>, StoreError>;

    /// Forgets works that ended as `Error` or `Skipped` at least so long ago, with their manifest records;
    /// no states mean both. Returns how many; with `dry_run`, how many it would be.
    async fn purge(
        &self,
        states: Vec<JobState>,
        older_than: Duration,
        dry_run: bool,
    ) -> Result<u64, StoreError>;

    /// Jobs per state.
    async fn stats(&self) -> Result<QueueStats, StoreError>;

    /// What waits.
    async fn backlog(&self) -> Result<Backlog, StoreError>;
}
