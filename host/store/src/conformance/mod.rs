//! What any [`WorkQueue`] has to keep, as checks that a backend's tests run.
//!
//! Must never know a backend: a check sees the trait and a clock that stands until it is moved.

#![expect(clippy::unwrap_used, clippy::panic, reason = "these are tests that other crates can run too")]

mod jobs;
mod leases;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::artifact::Artifact;
use gleaner_model::clock::{Clock, FakeClock, UnixMillis};
use gleaner_model::identifier::Identifier;
use gleaner_model::job::{JobResult, Priority};
use gleaner_model::key::{Key, ResolverName};
use gleaner_model::manifest::{ManifestRecord, RunIdentity};
use gleaner_model::plan::{Fate, Plan, Step};
use gleaner_model::reason::Reason;

use crate::{AfterRecord, Enqueued, Fenced, Lease, Leased, NewJob, StoredFile, WorkQueue};

/// An empty queue.
pub struct Fixture {
    /// The queue.
    pub queue: Arc<dyn WorkQueue>,
    /// The clock it reads.
    pub clock: Arc<FakeClock>,
    /// What has to live as long: a directory, a server.
    pub guard: Box<dyn Any>,
}

const TTL: Duration = Duration::from_secs(600);
const DAY: Duration = Duration::from_secs(86_400);
const MAX_ATTEMPTS: u32 = 3;

/// Runs every check, each on a queue of its own.
///
/// # Panics
/// When one fails.
pub async fn all(make: impl Fn() -> Fixture) {
    jobs::enqueue_is_idempotent_by_any_identifier(make()).await;
    jobs::enqueue_starts_skipped_jobs_anew(make()).await;
    leases::lease_goes_by_priority_then_age(make()).await;
    leases::lease_returns_exactly_what_it_leased(make()).await;
    leases::a_stale_holder_changes_nothing(make()).await;
    leases::what_is_unknown_is_lost_and_blocks_nobody(make()).await;
    leases::expiry_charges_and_ends_poison(make()).await;
    leases::a_record_clears_the_charge(make()).await;
    leases::snooze_is_free(make()).await;
    leases::heartbeat_extends_and_tells_what_was_lost(make()).await;
    jobs::a_failed_try_waits_until_due(make()).await;
    jobs::done_comes_with_its_file(make()).await;
    jobs::retry_failed_really_retries(make()).await;
    jobs::the_backlog_is_what_waits(make()).await;
}

impl Fixture {
    async fn enqueue(&self, names: &[&str]) -> Enqueued {
        self.queue.enqueue(vec![new_job(names)], DAY).await.unwrap().remove(0)
    }

    async fn lease_of(&self, key: Key, most: u32) -> Vec<Leased> {
        self.queue.lease(vec![(key, most)], TTL).await.unwrap()
    }

    async fn lease(&self, most: u32) -> Vec<Leased> {
        self.lease_of(Key::Plan, most).await
    }

    async fn lease_one(&self) -> Leased {
        let mut leased = self.lease(2).await;
        assert_eq!(leased.len(), 1);
        leased.remove(0)
    }

    async fn record(&self, lease: Lease, plan: &Plan, next: AfterRecord) -> Fenced {
        self.queue.record(lease, plan.clone(), vec![], next).await.unwrap()
    }

    async fn ack(&self, leased: &Leased, result: JobResult) {
        let acked = self.queue.ack(leased.lease(), leased.plan.clone(), vec![], result, None).await.unwrap();
        assert_eq!(acked, Fenced::Held(()));
    }

    /// No write under this lease does anything.
    async fn assert_lost(&self, lease: Lease) {
        let before = (self.queue.stats().await.unwrap(), self.queue.backlog().await.unwrap());
        let (now, plan, key) = (self.clock.now(), plan_of("stale", self.clock.now()), Key::Plan);
        let queue = &self.queue;
        for next in [
            AfterRecord::Keep { key: resolver("stale"), until: now.after(DAY) },
            AfterRecord::Queue { key: resolver("stale") },
            AfterRecord::Wait { key: resolver("stale"), until: now.after(DAY) },
        ] {
            assert_eq!(self.record(lease, &plan, next).await, Fenced::Lost);
        }
        let failed_try = queue.fail_and_retry(lease, plan.clone(), vec![], key.clone(), now.after(DAY)).await;
        assert_eq!(failed_try.unwrap(), Fenced::Lost);
        assert_eq!(queue.snooze(lease, key, Some(now)).await.unwrap(), Fenced::Lost);
        for (result, file) in [(skipped(), None), (failed(), None), done(&"f".repeat(64))] {
            assert_eq!(queue.ack(lease, plan.clone(), vec![], result, file).await.unwrap(), Fenced::Lost);
        }
        assert_eq!(queue.heartbeat(vec![(lease, now.after(DAY))]).await.unwrap(), [lease]);
        let after = (queue.stats().await.unwrap(), queue.backlog().await.unwrap());
        assert_eq!(before, after);
    }

    fn manifest_record(&self, leased: &Leased) -> ManifestRecord {
        let run = RunIdentity { run_id: "run".into(), config_hash: "hash".into() };
        ManifestRecord::new(&run, &leased.artifact, "r", self.clock.now())
    }
}

fn new_job(names: &[&str]) -> NewJob {
    let identifiers = names.iter().map(|name| Identifier::parse(name).unwrap()).collect();
    let artifact = Artifact::new(None, identifiers).unwrap();
    NewJob { artifact, key: Key::Plan, priority: Priority::default(), not_before: None }
}

fn resolver(name: &str) -> Key {
    Key::Resolver(ResolverName::new(name).unwrap())
}

/// A plan in which that resolver answered.
fn plan_of(name: &str, now: UnixMillis) -> Plan {
    let mut plan = Plan::default();
    plan.note(&Step::Resolve(ResolverName::new(name).unwrap()), Fate::Answered, now);
    plan
}

fn skipped() -> JobResult {
    JobResult::Skipped { reason: Reason::NoCandidate, detail: "1 resolvers asked".into() }
}

fn failed() -> JobResult {
    JobResult::Error { reason: Reason::Timeout, detail: "r: 30s".into() }
}

fn done(sha256: &str) -> (JobResult, Option<StoredFile>) {
    let file = StoredFile {
        sha256: sha256.into(),
        size: 1000,
        media_type: "application/pdf".into(),
        name: "files/A.pdf".into(),
    };
    (JobResult::Done { reason: Reason::Ok, sha256: sha256.into() }, Some(file))
}
