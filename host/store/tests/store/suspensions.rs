//! Suspensions outlive a restart, and the jobs of a suspended plugin's key can be planned anew.

use std::time::Duration;

use gleaner_model::clock::{Clock, UnixMillis};
use gleaner_model::key::{Key, ResolverName};
use gleaner_model::suspension::Suspension;
use gleaner_store::{NewJob, WorkQueue};

use crate::scratch::{Scratch, TTL, job};

fn suspension(name: &str, until: i64) -> Suspension {
    Suspension {
        resolver: ResolverName::new(name).unwrap(),
        sha256: "ab".repeat(32),
        until: UnixMillis(until),
        pause: Duration::from_secs(600),
        failures: 10,
        because: "plugin_trap: unreachable".into(),
    }
}

#[tokio::test]
async fn suspensions_outlive_a_restart_and_the_last_one_of_a_resolver_counts() {
    let scratch = Scratch::new();
    let library = scratch.open();
    assert_eq!(library.suspensions().await.unwrap(), []);
    for (name, until) in [("b", 5), ("a", 7), ("b", i64::MAX)] {
        library.suspend(suspension(name, until)).await.unwrap();
    }
    library.close().await;
    let library = scratch.open();
    assert_eq!(library.suspensions().await.unwrap(), [suspension("a", 7), suspension("b", i64::MAX)]);
    library.end_suspension(ResolverName::new("b").unwrap()).await.unwrap();
    library.end_suspension(ResolverName::new("unknown").unwrap()).await.unwrap();
    assert_eq!(library.suspensions().await.unwrap(), [suspension("a", 7)]);
}

#[tokio::test]
async fn who_waits_for_a_suspended_resolver_is_due_when_that_ends() {
    let scratch = Scratch::new();
    let library = scratch.open();
    let later = scratch.clock.now().after(TTL);
    for (name, key) in [("10.1000/a", "resolver:broken"), ("10.1000/b", "resolver:other")] {
        let key = Key::parse(key).unwrap();
        let waiting = NewJob { key, not_before: Some(later), ..job(name) };
        library.enqueue(vec![waiting], TTL).await.unwrap();
    }
    library.end_suspension(ResolverName::new("broken").unwrap()).await.unwrap();
    assert_eq!(library.backlog().await.unwrap().next_due, Some(scratch.clock.now()));
    assert_eq!(library.promote_due().await.unwrap(), 1);
    assert_eq!(library.backlog().await.unwrap().next_due, Some(later));
    assert_eq!(library.problems().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn jobs_of_a_key_are_handed_over_a_part_at_a_time_and_counted_where_they_are() {
    let scratch = Scratch::new();
    let library = scratch.open();
    let key = Key::parse("resolver:broken").unwrap();
    let jobs = ["10.1000/a", "10.1000/b", "10.1000/c"].map(|name| NewJob { key: key.clone(), ..job(name) });
    library.enqueue(jobs.to_vec(), TTL).await.unwrap();
    // Only the owner leases, and one that is leased is not there to be moved.
    assert_eq!(library.lease(vec![(key.clone(), 1)], TTL).await.unwrap().len(), 1);
    assert_eq!(library.hand_over(key.clone(), Key::Plan, 1).await.unwrap(), 1);
    let ready = library.backlog().await.unwrap().ready;
    assert_eq!(ready, [(Key::Plan, 1), (key.clone(), 1)]);
    assert_eq!(library.hand_over(key.clone(), Key::Plan, 10).await.unwrap(), 1);
    assert_eq!(library.hand_over(key.clone(), Key::Plan, 10).await.unwrap(), 0);
    assert_eq!(library.backlog().await.unwrap().ready, [(Key::Plan, 2)]);
    assert_eq!(library.lease(vec![(Key::Plan, 10)], TTL).await.unwrap().len(), 2);
    assert_eq!(library.problems().await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn jobs_that_wait_are_looked_at_in_parts_and_moved_one_by_one() {
    let scratch = Scratch::new();
    let library = scratch.open();
    let [stopped, other] = ["resolver:stopped", "resolver:other"].map(|key| Key::parse(key).unwrap());
    let names = ["10.1000/a", "10.1000/b", "10.1000/c"];
    let jobs = names.map(|name| NewJob { key: stopped.clone(), ..job(name) });
    library.enqueue(jobs.to_vec(), TTL).await.unwrap();
    let first = library.waiting(stopped.clone(), None, 2).await.unwrap();
    assert_eq!(first.len(), 2);
    let rest = library.waiting(stopped.clone(), Some(first[1].place), 2).await.unwrap();
    let seen: Vec<_> = first.iter().chain(&rest).map(|job| job.artifact.id.to_string()).collect();
    assert_eq!(seen, names.map(|name| format!("doi:{name}")));
    assert!(library.waiting(stopped.clone(), Some(rest[0].place), 2).await.unwrap().is_empty());
    // One that has been leased since is not there any more.
    let leased = library.lease(vec![(stopped.clone(), 1)], TTL).await.unwrap();
    assert_eq!(leased[0].artifact.id, first[0].artifact.id);
    let moves = [first[0].place, rest[0].place].map(|place| (place, other.clone()));
    assert_eq!(library.pass_on(stopped.clone(), moves.to_vec()).await.unwrap(), 1);
    assert_eq!(library.backlog().await.unwrap().ready, [(other.clone(), 1), (stopped, 1)]);
    assert_eq!(library.lease(vec![(other, 9)], TTL).await.unwrap()[0].artifact.id, rest[0].artifact.id);
    assert_eq!(library.problems().await.unwrap(), Vec::<String>::new());
}
