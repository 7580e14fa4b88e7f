//! Checks of how jobs come, wait, end and start anew.
//!
//! Must never look into a lease's token: that is for `leases`.

use gleaner_model::clock::Clock;
use gleaner_model::job::{JobState, Priority};
use gleaner_model::key::{Key, ResolverName};
use gleaner_model::plan::Plan;
use gleaner_model::reason::Reason;
use std::time::Duration;

use super::{DAY, Fixture, TTL, done, failed, new_job, plan_of, resolver, skipped};
use crate::{Backlog, Enqueued, Fenced, NewJob, RetryFilter, StoreError};

pub(super) async fn enqueue_is_idempotent_by_any_identifier(f: Fixture) {
    let first = f.enqueue(&["10.1000/a", "pmid:1"]).await;
    let Enqueued::New(job) = first else { panic!("{first:?}") };
    for known in [&["10.1000/A"][..], &["pmid:1"], &["pmid:1", "arXiv:1706.03762"], &["arXiv:1706.03762"]] {
        assert_eq!(f.enqueue(known).await, Enqueued::Known(job), "{known:?}");
    }
    let Enqueued::New(other) = f.enqueue(&["10.1000/b"]).await else { panic!() };
    let Enqueued::Conflict { jobs } = f.enqueue(&["10.1000/b", "pmid:1", "pmid:2"]).await else { panic!() };
    assert_eq!(
        jobs.iter().map(|(id, name)| (*id, name.as_str())).collect::<Vec<_>>(),
        [(job, "doi:10.1000/a"), (other, "doi:10.1000/b")]
    );
    // The ambiguous line gave its new name to nobody.
    assert!(matches!(f.enqueue(&["pmid:2"]).await, Enqueued::New(_)));
    assert_eq!(f.queue.stats().await.unwrap().queued, 3);
    // A job gets what was added to it.
    let leased = f.lease(10).await;
    let names: Vec<String> = leased[0].artifact.identifiers.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["doi:10.1000/a", "pmid:1", "arxiv:1706.03762"]);
    // The same work twice in one call is one job.
    let twice = vec![new_job(&["10.1000/c"]), new_job(&["doi:10.1000/C"])];
    let answers = f.queue.enqueue(twice, DAY).await.unwrap();
    assert!(matches!(answers[..], [Enqueued::New(a), Enqueued::Known(b)] if a == b), "{answers:?}");
}

pub(super) async fn enqueue_starts_skipped_jobs_anew(f: Fixture) {
    f.enqueue(&["10.1000/a"]).await;
    let leased = f.lease_one().await;
    f.ack(&leased, skipped()).await;
    assert_eq!(f.enqueue(&["10.1000/a"]).await, Enqueued::Known(leased.job));
    f.clock.advance(DAY);
    assert_eq!(f.enqueue(&["10.1000/a"]).await, Enqueued::Requeued(leased.job));
    let again = f.lease_one().await;
    assert_eq!((again.job, &again.plan, again.attempts), (leased.job, &Plan::default(), 1));
    f.ack(&again, failed()).await;
    f.clock.advance(DAY);
    assert_eq!(f.enqueue(&["10.1000/a"]).await, Enqueued::Known(leased.job), "an error waits for a person");
}

pub(super) async fn a_failed_try_waits_until_due(f: Fixture) {
    f.enqueue(&["10.1000/a"]).await;
    let leased = f.lease_one().await;
    let (plan, until) = (plan_of("r", f.clock.now()), f.clock.now().after(TTL));
    let records = vec![f.manifest_record(&leased)];
    let failed = f.queue.fail_and_retry(leased.lease(), plan.clone(), records, resolver("r"), until);
    assert_eq!(failed.await.unwrap(), Fenced::Held(()));
    let backlog = f.queue.backlog().await.unwrap();
    assert_eq!((backlog.delayed, backlog.next_due, backlog.leased), (1, Some(until), 0));
    f.clock.advance(TTL - Duration::from_millis(1));
    assert_eq!(f.queue.promote_due().await.unwrap(), 0);
    f.clock.advance(Duration::from_millis(1));
    assert_eq!(f.queue.promote_due().await.unwrap(), 1);
    let again = f.lease_of(resolver("r"), 1).await.remove(0);
    assert_eq!((again.attempts, &again.plan), (1, &plan));
    // A time that has passed already is no reason to wait.
    let now = f.clock.now();
    let failed = f.queue.fail_and_retry(again.lease(), plan, vec![], Key::Plan, now).await;
    assert_eq!(failed.unwrap(), Fenced::Held(()));
    f.lease_one().await;
}

pub(super) async fn done_comes_with_its_file(f: Fixture) {
    f.enqueue(&["10.1000/a"]).await;
    let leased = f.lease_one().await;
    let (result, file) = done(&"a".repeat(64));
    let (_, other) = done(&"b".repeat(64));
    for (result, file) in [(result.clone(), None), (result.clone(), other), (skipped(), file.clone())] {
        let answer = f.queue.ack(leased.lease(), Plan::default(), vec![], result, file).await;
        assert!(matches!(answer, Err(StoreError::WrongResult { .. })), "{answer:?}");
    }
    let acked = f.queue.ack(leased.lease(), Plan::default(), vec![], result.clone(), file.clone()).await;
    assert_eq!(acked.unwrap(), Fenced::Held(()));
    // Another work may turn out to be the same file.
    f.enqueue(&["10.1000/b"]).await;
    let leased = f.lease_one().await;
    let acked = f.queue.ack(leased.lease(), Plan::default(), vec![], result, file).await;
    assert_eq!(acked.unwrap(), Fenced::Held(()));
    assert_eq!(f.queue.stats().await.unwrap().done, 2);
}

pub(super) async fn retry_failed_really_retries(f: Fixture) {
    for (work, result) in [("a", failed()), ("b", skipped()), ("c", failed())] {
        let mut job = new_job(&[&format!("10.1000/{work}")]);
        job.priority = Priority(5);
        f.queue.enqueue(vec![job], DAY).await.unwrap();
        let leased = f.lease_one().await;
        let records = if work == "a" { vec![f.manifest_record(&leased)] } else { vec![] };
        let plan = plan_of("r", f.clock.now());
        let acked = f.queue.ack(leased.lease(), plan, records, result, None).await.unwrap();
        assert_eq!(acked, Fenced::Held(()));
    }
    let count = async |filter: RetryFilter| f.queue.retry_failed(filter, true).await.unwrap();
    let any = RetryFilter::default;
    assert_eq!(count(any()).await, 2);
    assert_eq!(count(RetryFilter { reason: Some(Reason::Timeout), ..any() }).await, 2);
    assert_eq!(count(RetryFilter { reason: Some(Reason::Tls), ..any() }).await, 0);
    assert_eq!(count(RetryFilter { states: vec![JobState::Skipped], ..any() }).await, 1);
    let both = vec![JobState::Skipped, JobState::Error, JobState::Done];
    assert_eq!(count(RetryFilter { states: both, ..any() }).await, 3);
    assert_eq!(count(RetryFilter { resolver: Some(ResolverName::new("r").unwrap()), ..any() }).await, 1);
    assert_eq!(count(RetryFilter { resolver: Some(ResolverName::new("s").unwrap()), ..any() }).await, 0);
    assert_eq!(count(RetryFilter { older_than: Some(DAY), ..any() }).await, 0);
    f.clock.advance(DAY);
    assert_eq!(count(RetryFilter { older_than: Some(DAY), ..any() }).await, 2);
    assert_eq!(f.queue.stats().await.unwrap().error, 2, "dry runs changed nothing");
    assert_eq!(f.queue.retry_failed(any(), false).await.unwrap(), 2);
    let leased = f.lease(10).await;
    assert_eq!(leased.len(), 2);
    for leased in leased {
        assert_eq!((leased.attempts, leased.plan, leased.priority), (1, Plan::default(), Priority(5)));
    }
}

pub(super) async fn the_backlog_is_what_waits(f: Fixture) {
    assert_eq!(f.queue.backlog().await.unwrap(), Backlog::default());
    let mut jobs: Vec<NewJob> = (0..6).map(|n| new_job(&[&format!("10.1000/{n}")])).collect();
    let due = f.clock.now().after(DAY);
    jobs[0].not_before = Some(due);
    jobs[1].key = resolver("r");
    jobs[2].key = resolver("s");
    f.queue.enqueue(jobs, DAY).await.unwrap();
    let leased = f.lease_of(resolver("s"), 1).await.remove(0);
    let backlog = f.queue.backlog().await.unwrap();
    assert_eq!(backlog.ready, [(Key::Plan, 3), (resolver("r"), 1)]);
    assert_eq!((backlog.delayed, backlog.next_due), (1, Some(due)));
    assert_eq!((backlog.leased, backlog.next_expiry), (1, Some(leased.until)));
    let stats = f.queue.stats().await.unwrap();
    assert_eq!((stats.queued, stats.in_progress, stats.unfinished(), stats.total), (5, 1, 6, 6));
}
