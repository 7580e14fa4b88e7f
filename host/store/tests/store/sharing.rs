//! Several writers at once: in one process, and from other ones.

use std::time::Duration;

use gleaner_model::clock::{Clock, UnixMillis};
use gleaner_model::job::{JobId, LeaseToken};
use gleaner_model::key::Key;
use gleaner_model::manifest::RunIdentity;
use gleaner_model::plan::Plan;
use gleaner_model::setting::KeyLimit;
use gleaner_model::units::Span;
use gleaner_store::{Claim, Lease, Library, NewJob, StoreError, StoreOptions, WorkQueue};

use crate::scratch::{Scratch, TTL, done, job, options};

#[tokio::test]
async fn what_a_dead_process_held_goes_back_at_once_and_a_living_one_keeps_it() {
    let scratch = Scratch::new();
    let (first, second) = (scratch.open(), scratch.open());
    let (member, _) = first.join(TTL, 3).await.unwrap();
    second.enqueue(vec![job("10.1000/a")], TTL).await.unwrap();
    assert_eq!(first.lease(vec![(Key::Plan, 9)], TTL).await.unwrap().len(), 1);
    let (_other, expired) = second.join(TTL, 3).await.unwrap();
    assert_eq!((expired.requeued, second.others().await.unwrap().processes.len()), (0, 1));
    // A membership that is dropped is a process that died.
    drop(member);
    let expired = second.bury_the_dead(3).await.unwrap();
    assert_eq!((expired.requeued, expired.poisoned), (1, vec![]));
    assert_eq!(second.others().await.unwrap().processes, []);
    let leased = second.lease(vec![(Key::Plan, 9)], TTL).await.unwrap();
    assert_eq!(leased[0].attempts, 2);
}

#[tokio::test]
async fn a_lease_that_was_taken_away_is_told_and_the_others_are_not() {
    let scratch = Scratch::new();
    let (first, second) = (scratch.open(), scratch.open());
    let (_member, _) = first.join(TTL, 3).await.unwrap();
    let jobs = ["10.1000/a", "10.1000/b"].map(job).to_vec();
    first.enqueue(jobs, TTL).await.unwrap();
    let leased = first.lease(vec![(Key::Plan, 9)], TTL).await.unwrap();
    let leases: Vec<Lease> = leased.iter().map(|one| one.lease()).collect();
    assert_eq!(first.lost(leases.clone()).await.unwrap(), []);
    second.cancel(vec![leases[0].job]).await.unwrap();
    assert_eq!(first.lost(leases.clone()).await.unwrap(), [leases[0]]);
    // Another lease of the same job is not this one.
    let stale = Lease { token: LeaseToken(leases[1].token.0 + 1), ..leases[1] };
    assert_eq!(first.lost(vec![stale, leases[1]]).await.unwrap(), [stale]);
}

#[tokio::test]
async fn whose_lease_dies_with_its_process_too_often_is_poison() {
    let scratch = Scratch::new();
    scratch.open().enqueue(vec![job("10.1000/a")], TTL).await.unwrap();
    for _ in 0..2 {
        let library = scratch.open();
        let (_member, expired) = library.join(TTL, 2).await.unwrap();
        assert_eq!(expired.poisoned, []);
        assert_eq!(library.lease(vec![(Key::Plan, 1)], TTL).await.unwrap().len(), 1);
    }
    let (_member, expired) = scratch.open().join(TTL, 2).await.unwrap();
    assert_eq!((expired.requeued, expired.poisoned), (0, vec![JobId(1)]));
}

/// Claims a key for a library.
async fn claim(library: &Library, key: &Key) -> Claim {
    let until = UnixMillis(i64::MAX);
    library.claim(vec![key.clone()], until, false).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_key_has_one_owner_who_alone_leases_its_jobs() {
    let scratch = Scratch::new();
    let (first, second) = (scratch.open(), scratch.open());
    let (member, _) = first.join(TTL, 3).await.unwrap();
    let (_other, _) = second.join(TTL, 3).await.unwrap();
    let key = Key::parse("host:a.example").unwrap();
    let jobs = (0..4).map(|n| NewJob { key: key.clone(), ..job(&format!("10.1000/{n}")) }).collect();
    first.enqueue(jobs, TTL).await.unwrap();

    let owned = |claim| matches!(claim, Claim::Owned { .. });
    assert!(owned(claim(&first, &key).await));
    assert_eq!(claim(&second, &key).await, Claim::Foreign);
    assert_eq!(second.lease(vec![(key.clone(), 1)], TTL).await.unwrap(), []);
    assert_eq!(first.lease(vec![(key.clone(), 1)], TTL).await.unwrap().len(), 1);
    let wishes = first.others().await.unwrap().wishes;
    assert_eq!(wishes.iter().map(|wish| &wish.key).collect::<Vec<_>>(), [&key]);

    // Given to who wished for it.
    first.give(vec![(key.clone(), Some(wishes[0].process))]).await.unwrap();
    assert_eq!(first.others().await.unwrap().wishes, []);
    assert_eq!(claim(&first, &key).await, Claim::Foreign);
    assert_eq!(second.owned().await.unwrap(), std::slice::from_ref(&key));
    let Claim::Owned { busy_until, released_at, .. } = claim(&second, &key).await else { panic!() };
    assert_eq!((busy_until.len(), released_at), (1, scratch.clock.now()), "the first one's step counts");

    // A process that stands still keeps its keys as long as it said, and then loses them.
    scratch.clock.advance(TTL - Duration::from_millis(1));
    first.renew(TTL).await.unwrap();
    assert_eq!(claim(&first, &key).await, Claim::Foreign);
    scratch.clock.advance(Duration::from_millis(1));
    assert!(owned(claim(&first, &key).await));
    assert_eq!(second.lease(vec![(key.clone(), 1)], TTL).await.unwrap(), []);
    assert_eq!(second.owned().await.unwrap(), []);
    // One that leaves takes nothing along.
    assert_eq!(first.expire(3).await.unwrap().requeued, 1);
    member.leave().await.unwrap();
    assert!(owned(claim(&second, &key).await));
}

/// Who gives a key that it has lost gives nothing, and takes nobody's wish away.
#[tokio::test]
async fn a_wish_is_open_until_its_key_is_given() {
    let scratch = Scratch::new();
    let [first, second, third] = [scratch.open(), scratch.open(), scratch.open()];
    let key = Key::parse("host:a.example").unwrap();
    let _members = (first.join(TTL, 3).await.unwrap(), second.join(2 * TTL, 3).await.unwrap());
    let _third = third.join(2 * TTL, 3).await.unwrap();
    claim(&first, &key).await;
    scratch.clock.advance(TTL);
    claim(&second, &key).await;
    assert_eq!(claim(&third, &key).await, Claim::Foreign);
    let wishes = second.others().await.unwrap().wishes;
    first.give(vec![(key.clone(), Some(wishes[0].process))]).await.unwrap();
    assert_eq!((second.others().await.unwrap().wishes, wishes.len()), (wishes, 1));
    assert_eq!(second.owned().await.unwrap(), [key]);
}

/// A need is told as long as it was meant to be, and does not come back with a later wish.
#[tokio::test]
async fn a_need_is_forgotten_with_its_wish() {
    let scratch = Scratch::new();
    let (first, second) = (scratch.open(), scratch.open());
    let _members = (first.join(2 * TTL, 3).await.unwrap(), second.join(2 * TTL, 3).await.unwrap());
    let key = Key::parse("host:a.example").unwrap();
    claim(&first, &key).await;
    let ask = async |is_needed| {
        let until = scratch.clock.now().after(Duration::from_secs(10));
        second.claim(vec![key.clone()], until, is_needed).await.unwrap();
        first.others().await.unwrap().wishes[0].is_needed
    };
    assert!(ask(true).await && ask(false).await, "the need holds on while its wish does");
    scratch.clock.advance(Duration::from_secs(10));
    assert!(!ask(false).await);
}

#[tokio::test]
async fn what_is_set_for_a_key_is_there_for_every_process() {
    let scratch = Scratch::new();
    let (first, second) = (scratch.open(), scratch.open());
    let key = Key::parse("resolver:arxiv").unwrap();
    let limit = KeyLimit { rate: Some("1/3s".parse().unwrap()), ..KeyLimit::default() };
    first.limit(key.clone(), limit).await.unwrap();
    first.pause(key.clone(), true).await.unwrap();
    first.save_cooldown(key.clone(), scratch.clock.now().after(TTL)).await.unwrap();
    let [set] = &second.key_settings().await.unwrap()[..] else { panic!() };
    assert_eq!((&set.key, set.paused, set.limit), (&key, true, limit));
    assert_eq!(set.cooldown_until, scratch.clock.now().after(TTL));
    assert_eq!(second.keys().await.unwrap()[0].setting, *set);
    second.pause(key.clone(), false).await.unwrap();
    second.limit(key.clone(), KeyLimit::default()).await.unwrap();
    scratch.clock.advance(TTL);
    assert_eq!(first.key_settings().await.unwrap(), []);
    scratch.clock.advance(Duration::from_secs(100_000));
    first.prune().await.unwrap();
    assert_eq!(first.keys().await.unwrap(), []);
}

#[tokio::test]
async fn a_write_that_cannot_wait_longer_says_so() {
    let scratch = Scratch::new();
    let brief = StoreOptions { busy_timeout: Span(Duration::from_millis(20)), ..options() };
    let library = Library::open(scratch.path(), &brief, scratch.clock.clone()).unwrap();
    let other = rusqlite::Connection::open(scratch.path().join(Library::DATABASE)).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = library.enqueue(vec![job("10.1000/a")], TTL).await.unwrap_err();
    assert!(matches!(&refused, StoreError::Busy { .. }), "{refused}");
    assert!(refused.to_string().contains("busy-timeout"));
    assert_eq!(library.stats().await.unwrap().total, 0, "reading goes on");
    other.execute_batch("ROLLBACK").unwrap();
    library.enqueue(vec![job("10.1000/a")], TTL).await.unwrap();
}

/// Nothing that another writer waits for stays behind after a call that came to nothing.
#[tokio::test]
async fn no_call_leaves_a_transaction_open() {
    let scratch = Scratch::new();
    let library = scratch.open();
    let unknown = Lease { job: JobId(4711), token: LeaseToken(1) };
    let lost = library.snooze(unknown, Key::Plan, None).await.unwrap();
    assert_eq!(lost, gleaner_store::Fenced::Lost);
    let run = || RunIdentity { run_id: "twice".into(), config_hash: String::new() };
    library.begin_run(run()).await.unwrap();
    library.begin_run(run()).await.unwrap_err();
    let other = rusqlite::Connection::open(scratch.path().join(Library::DATABASE)).unwrap();
    other.busy_timeout(Duration::ZERO).unwrap();
    other.execute_batch("BEGIN IMMEDIATE; COMMIT").unwrap();
}

/// Commands that wait are committed together; one that fails undoes itself alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failing_command_takes_no_other_with_it() {
    let scratch = Scratch::new();
    let library = scratch.open();
    let run = RunIdentity { run_id: "twice".into(), config_hash: String::new() };
    library.begin_run(run.clone()).await.unwrap();
    let writes: Vec<_> = (0..200)
        .map(|n| {
            let (library, run) = (library.clone(), run.clone());
            tokio::spawn(async move {
                match n % 4 {
                    0 => library.begin_run(run).await.is_err(),
                    _ => library.enqueue(vec![job(&format!("10.1000/{n}"))], TTL).await.is_ok(),
                }
            })
        })
        .collect();
    for write in writes {
        assert!(write.await.unwrap());
    }
    assert_eq!(library.stats().await.unwrap().queued, 150);
}

/// A clock that is set back makes what was put off wait longer, and loses nothing: leases hold, their results
/// count, and what was due falls due again.
#[tokio::test]
async fn a_clock_that_is_set_back_loses_nothing() {
    let scratch = Scratch::new();
    let library = scratch.open();
    let hour = Duration::from_secs(3600);
    let later = NewJob { not_before: Some(scratch.clock.now().after(TTL)), ..job("10.1000/later") };
    library.enqueue(vec![job("10.1000/a"), job("10.1000/b"), later], TTL).await.unwrap();
    let leased = library.lease(vec![(Key::Plan, 2)], TTL).await.unwrap();
    let (a, b) = (leased[0].lease(), leased[1].lease());
    scratch.clock.set_back(hour);

    let until = scratch.clock.now().after(TTL);
    assert_eq!(library.heartbeat(vec![(a, until), (b, until)]).await.unwrap(), []);
    let (result, file) = done('a');
    let acked = library.ack(a, Plan::default(), vec![], result, file).await.unwrap();
    assert_eq!(acked, gleaner_store::Fenced::Held(()));
    assert_eq!(library.promote_due().await.unwrap(), 0);
    scratch.clock.advance(TTL);
    let expired = library.expire(3).await.unwrap();
    assert_eq!(expired.requeued, 1, "a lease that was extended after the change expires by the new time");
    scratch.clock.advance(hour);
    assert_eq!(library.promote_due().await.unwrap(), 1);
    let stats = library.stats().await.unwrap();
    assert_eq!((stats.queued, stats.done, stats.total), (2, 1, 3));
}
