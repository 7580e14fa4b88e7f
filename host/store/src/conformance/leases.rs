//! Checks of who holds what: leases, tokens, attempts, heartbeats.
//!
//! Must never trust a count alone: what is leased is compared job by job.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::clock::Clock;
use gleaner_model::job::{JobId, LeaseToken, Priority};
use gleaner_model::key::Key;
use gleaner_model::plan::Plan;
use gleaner_model::reason::Reason;

use super::{DAY, Fixture, MAX_ATTEMPTS, TTL, done, new_job, plan_of, resolver, skipped};
use crate::{AfterRecord, Enqueued, Expired, Fenced, Lease, NewJob, RetryFilter};

pub(super) async fn lease_goes_by_priority_then_age(f: Fixture) {
    let mut jobs: Vec<NewJob> = (0..4).map(|n| new_job(&[&format!("10.1000/{n}")])).collect();
    jobs[2].priority = Priority(-1);
    jobs[3].not_before = Some(f.clock.now().after(TTL));
    f.queue.enqueue(jobs, DAY).await.unwrap();
    let order: Vec<String> = f.lease(10).await.iter().map(|leased| leased.artifact.id.to_string()).collect();
    assert_eq!(order, ["doi:10.1000/2", "doi:10.1000/0", "doi:10.1000/1"]);
    f.clock.advance(TTL);
    assert_eq!(f.queue.promote_due().await.unwrap(), 1);
    assert_eq!(f.lease_one().await.artifact.id.as_str(), "doi:10.1000/3");
}

pub(super) async fn lease_returns_exactly_what_it_leased(f: Fixture) {
    const JOBS: usize = 400;
    let jobs = (0..JOBS).map(|n| new_job(&[&format!("10.1000/{n}")])).collect();
    f.queue.enqueue(jobs, DAY).await.unwrap();
    let leasers: Vec<_> = (0..8)
        .map(|_| {
            let queue = Arc::clone(&f.queue);
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let leased = queue.lease(vec![(Key::Plan, 7)], TTL).await.unwrap();
                    assert!(leased.len() <= 7);
                    if leased.is_empty() {
                        return mine;
                    }
                    mine.extend(leased);
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for leaser in leasers {
        all.extend(leaser.await.unwrap());
    }
    let jobs: HashSet<JobId> = all.iter().map(|leased| leased.job).collect();
    let tokens: HashSet<LeaseToken> = all.iter().map(|leased| leased.token).collect();
    assert_eq!((all.len(), jobs.len(), tokens.len()), (JOBS, JOBS, JOBS));
    let stats = f.queue.stats().await.unwrap();
    assert_eq!((stats.queued, stats.in_progress), (0, JOBS as u64));
    let held: Vec<_> = all.iter().map(|leased| (leased.lease(), f.clock.now().after(TTL))).collect();
    assert_eq!(f.queue.heartbeat(held).await.unwrap(), []);
}

pub(super) async fn a_stale_holder_changes_nothing(f: Fixture) {
    f.enqueue(&["10.1000/a"]).await;
    let stale = f.lease_one().await;
    f.clock.advance(TTL);
    assert_eq!(f.queue.expire(MAX_ATTEMPTS).await.unwrap().requeued, 1);
    f.assert_lost(stale.lease()).await;
    let holder = f.lease_one().await;
    assert_ne!(holder.token, stale.token);
    f.assert_lost(stale.lease()).await;
    f.assert_lost(Lease { job: JobId(holder.job.0 + 1), ..holder.lease() }).await;
    // Nothing that the stale holder tried is to be seen.
    let (job, answer) = done(&"a".repeat(64));
    let acked = f.queue.ack(holder.lease(), holder.plan.clone(), vec![], job, answer).await.unwrap();
    assert_eq!((acked, &holder.plan), (Fenced::Held(()), &Plan::default()));
    // Terminal states are final, for the holder too.
    f.assert_lost(holder.lease()).await;
    let stats = f.queue.stats().await.unwrap();
    assert_eq!((stats.done, stats.total), (1, 1));
}

pub(super) async fn what_is_unknown_is_lost_and_blocks_nobody(f: Fixture) {
    f.assert_lost(Lease { job: JobId(4711), token: LeaseToken(1) }).await;
    assert!(matches!(f.enqueue(&["10.1000/a"]).await, Enqueued::New(_)));
    assert_eq!(f.lease(0).await, []);
    assert_eq!(f.lease(1).await.len(), 1);
}

pub(super) async fn expiry_charges_and_ends_poison(f: Fixture) {
    f.enqueue(&["10.1000/a"]).await;
    for attempt in 1..=MAX_ATTEMPTS {
        let leased = f.lease_one().await;
        assert_eq!(leased.attempts, attempt);
        assert_eq!(leased.until, f.clock.now().after(TTL));
        f.clock.advance(TTL - Duration::from_millis(1));
        assert_eq!(f.queue.expire(MAX_ATTEMPTS).await.unwrap(), Expired::default());
        f.clock.advance(Duration::from_millis(1));
        let expired = f.queue.expire(MAX_ATTEMPTS).await.unwrap();
        if attempt < MAX_ATTEMPTS {
            assert_eq!((expired.requeued, expired.poisoned.len()), (1, 0));
        } else {
            assert_eq!((expired.requeued, expired.poisoned), (0, vec![leased.job]));
        }
    }
    assert_eq!(f.queue.stats().await.unwrap().error, 1);
    let poison = RetryFilter { reason: Some(Reason::Poison), ..RetryFilter::default() };
    assert_eq!(f.queue.retry_failed(poison, false).await.unwrap(), 1);
    assert_eq!(f.lease_one().await.attempts, 1);
}

pub(super) async fn a_record_clears_the_charge(f: Fixture) {
    f.enqueue(&["10.1000/a"]).await;
    f.lease_one().await;
    f.clock.advance(TTL);
    f.queue.expire(MAX_ATTEMPTS).await.unwrap();
    let leased = f.lease_one().await;
    assert_eq!(leased.attempts, 2);
    let plan = plan_of("r", f.clock.now());
    f.clock.advance(TTL / 2);
    let keep = AfterRecord::Keep { key: resolver("next"), until: f.clock.now().after(TTL) };
    assert_eq!(f.record(leased.lease(), &plan, keep).await, Fenced::Held(()));
    // The step that goes on has its own time, not what the step before it left.
    f.clock.advance(TTL / 2);
    assert_eq!(f.queue.expire(MAX_ATTEMPTS).await.unwrap().requeued, 0);
    // The step that goes on is charged: it expires with one attempt, under its own key.
    f.clock.advance(TTL);
    f.queue.expire(MAX_ATTEMPTS).await.unwrap();
    f.assert_lost(leased.lease()).await;
    let leased = f.lease_of(resolver("next"), 1).await.remove(0);
    assert_eq!((leased.attempts, &leased.plan), (2, &plan));
    let queue = AfterRecord::Queue { key: Key::Plan };
    assert_eq!(f.record(leased.lease(), &plan, queue).await, Fenced::Held(()));
    f.assert_lost(leased.lease()).await;
    assert_eq!(f.lease_one().await.attempts, 1);
}

pub(super) async fn snooze_is_free(f: Fixture) {
    f.enqueue(&["10.1000/a"]).await;
    for _ in 0..2 * MAX_ATTEMPTS {
        let leased = f.lease_one().await;
        assert_eq!(leased.attempts, 1);
        assert_eq!(f.queue.snooze(leased.lease(), Key::Plan, None).await.unwrap(), Fenced::Held(()));
    }
    let leased = f.lease_one().await;
    let until = f.clock.now().after(DAY);
    assert_eq!(f.queue.snooze(leased.lease(), resolver("r"), Some(until)).await.unwrap(), Fenced::Held(()));
    assert_eq!(f.queue.backlog().await.unwrap().next_due, Some(until));
    assert_eq!(f.lease_of(resolver("r"), 1).await, []);
    f.clock.advance(DAY);
    assert_eq!(f.queue.promote_due().await.unwrap(), 1);
    assert_eq!(f.lease_of(resolver("r"), 1).await[0].attempts, 1);
}

pub(super) async fn heartbeat_extends_and_tells_what_was_lost(f: Fixture) {
    f.enqueue(&["10.1000/a"]).await;
    f.enqueue(&["10.1000/b"]).await;
    let leased = f.lease(2).await;
    f.ack(&leased[1], skipped()).await;
    f.clock.advance(TTL / 2);
    let later = f.clock.now().after(TTL);
    let beats = leased.iter().map(|leased| (leased.lease(), later)).collect();
    assert_eq!(f.queue.heartbeat(beats).await.unwrap(), [leased[1].lease()]);
    f.clock.advance(TTL / 2);
    assert_eq!(f.queue.expire(MAX_ATTEMPTS).await.unwrap(), Expired::default());
    assert_eq!(f.queue.backlog().await.unwrap().next_expiry, Some(later));
    f.clock.advance(TTL / 2);
    assert_eq!(f.queue.expire(MAX_ATTEMPTS).await.unwrap().requeued, 1);
    assert_eq!(f.queue.heartbeat(vec![(leased[0].lease(), later)]).await.unwrap(), [leased[0].lease()]);
}
