//! How long the store's `lease` takes with a long backlog: 64 jobs of one key, which are acked at once, as workers
//! that do nothing would. Now and then as many new jobs come as have ended, so that the backlog keeps its length.
//!
//! Must never measure anything but the lease: acks and new jobs run between two leases.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use gleaner_model::artifact::Artifact;
use gleaner_model::clock::SystemClock;
use gleaner_model::identifier::Identifier;
use gleaner_model::job::{JobResult, Priority};
use gleaner_model::key::Key;
use gleaner_model::reason::Reason;
use gleaner_model::units::Span;
use gleaner_store::{Durability, Enqueued, Fenced, Leased, Library, NewJob, StoreOptions, WorkQueue};
use tokio::task::JoinSet;

const BATCH: u32 = 64;
const TTL: Duration = Duration::from_secs(600);
/// Turns between two additions of new jobs.
const REFILL: usize = 16;

/// As a library is opened by default.
pub(crate) fn options() -> StoreOptions {
    StoreOptions { durability: Durability::Full, busy_timeout: Span(Duration::from_secs(10)) }
}

/// The median and the 99th percentile of so many leases, in milliseconds. Works on the library itself.
pub(crate) fn latency(dir: &Path, turns: usize) -> (f64, f64) {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    tokio.block_on(async {
        let library = Library::open(dir, &options(), Arc::new(SystemClock)).unwrap();
        let backlog = library.backlog().await.unwrap();
        let key = backlog.ready.first().expect("the library has jobs that may run").0.clone();
        let mut times = Vec::with_capacity(turns);
        for turn in 0..turns {
            let wanted = vec![(key.clone(), BATCH)];
            let started = Instant::now();
            let leased = library.lease(wanted, TTL).await.unwrap();
            times.push(started.elapsed().as_secs_f64() * 1e3);
            assert_eq!(leased.len(), BATCH as usize, "the backlog is longer than a lease");
            ack(&library, leased).await;
            if turn % REFILL == REFILL - 1 {
                refill(&library, &key, turn).await;
            }
        }
        library.close().await;
        times.sort_by(f64::total_cmp);
        (times[turns / 2], times[turns * 99 / 100])
    })
}

/// All at once, as workers do.
async fn ack(library: &Library, leased: Vec<Leased>) {
    let mut acks = JoinSet::new();
    for job in leased {
        let library = library.clone();
        let result = JobResult::Skipped { reason: Reason::NoCandidate, detail: String::new() };
        acks.spawn(async move { library.ack(job.lease(), job.plan, vec![], result, None).await });
    }
    while let Some(acked) = acks.join_next().await {
        assert_eq!(acked.unwrap(), Ok(Fenced::Held(())));
    }
}

async fn refill(library: &Library, key: &Key, turn: usize) {
    let count = REFILL * BATCH as usize;
    let job = |n: usize| NewJob {
        artifact: Artifact::of(Identifier::parse(&format!("10.1000/refill.{turn}.{n}")).unwrap()),
        key: key.clone(),
        priority: Priority::default(),
        not_before: None,
    };
    let added = library.enqueue((0..count).map(job).collect(), TTL).await.unwrap();
    assert!(added.iter().all(|added| matches!(added, Enqueued::New(_))), "every name is a new one");
}
