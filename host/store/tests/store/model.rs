//! Random calls, compared with a model of the queue that is plain to see right.

use std::collections::BTreeMap;
use std::time::Duration;

use gleaner_model::clock::{Clock, UnixMillis};
use gleaner_model::job::{JobId, JobResult, JobState, LeaseToken, Priority};
use gleaner_model::key::{Key, ResolverName};
use gleaner_model::plan::Plan;
use gleaner_model::reason::Reason;
use gleaner_store::{AfterRecord, Enqueued, Fenced, Lease, Library, NewJob, RetryFilter, WorkQueue};
use proptest::prelude::*;

use crate::scratch::{Scratch, TTL, done, job};

const MAX_ATTEMPTS: u32 = 2;
const RECHECK: Duration = Duration::from_secs(5000);

/// A call. `lease` picks one of all leases that were ever given, stale ones among them.
#[derive(Debug, Clone)]
enum Call {
    Enqueue { work: u8, priority: i32, delay: u64 },
    Lease { most: u32, resolver: bool },
    Record { lease: usize, next: u8, delay: u64 },
    Snooze { lease: usize, delay: u64 },
    Ack { lease: usize, end: u8 },
    Heartbeat { lease: usize, delay: u64 },
    Expire,
    Promote,
    Retry,
    Advance { seconds: u64 },
}

fn call() -> impl Strategy<Value = Call> {
    let delay = || prop_oneof![Just(0), 1..1000_u64];
    prop_oneof![
        4 => (0..6_u8, -1..2, delay()).prop_map(|(work, priority, delay)| Call::Enqueue { work, priority, delay }),
        5 => (0..3_u32, any::<bool>()).prop_map(|(most, resolver)| Call::Lease { most, resolver }),
        3 => (any::<usize>(), 0..3_u8, delay()).prop_map(|(lease, next, delay)| Call::Record { lease, next, delay }),
        1 => (any::<usize>(), delay()).prop_map(|(lease, delay)| Call::Snooze { lease, delay }),
        2 => (any::<usize>(), 0..3_u8).prop_map(|(lease, end)| Call::Ack { lease, end }),
        1 => (any::<usize>(), delay()).prop_map(|(lease, delay)| Call::Heartbeat { lease, delay }),
        2 => Just(Call::Expire),
        2 => Just(Call::Promote),
        1 => Just(Call::Retry),
        2 => (1..1000_u64).prop_map(|seconds| Call::Advance { seconds }),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Ready,
    Delayed(UnixMillis),
    Leased(LeaseToken, UnixMillis),
    Ended(JobState, UnixMillis),
}

#[derive(Debug, Clone)]
struct Job {
    place: Place,
    key: Key,
    priority: Priority,
    attempts: u32,
    tries: u32,
}

/// The queue as it should be, beside the queue as it is.
struct Pair {
    scratch: Scratch,
    library: Library,
    jobs: BTreeMap<JobId, Job>,
    works: BTreeMap<u8, JobId>,
    leases: Vec<Lease>,
}

impl Pair {
    fn now(&self) -> UnixMillis {
        self.scratch.clock.now()
    }

    fn place(&self, until: UnixMillis) -> Place {
        if until > self.now() { Place::Delayed(until) } else { Place::Ready }
    }

    fn lease(&self, index: usize) -> Lease {
        let unknown = Lease { job: JobId(99), token: LeaseToken(7) };
        self.leases.get(index % (self.leases.len() + 1)).copied().unwrap_or(unknown)
    }

    /// The job, if the lease is held.
    fn held(&mut self, lease: Lease) -> Option<&mut Job> {
        let job = self.jobs.get_mut(&lease.job)?;
        matches!(job.place, Place::Leased(token, _) if token == lease.token).then_some(job)
    }

    async fn call(&mut self, call: Call) {
        match call {
            Call::Enqueue { work, priority, delay } => self.enqueue(work, Priority(priority), delay).await,
            Call::Lease { most, resolver } => self.take(most, if resolver { key() } else { Key::Plan }).await,
            Call::Record { lease, next, delay } => self.record(self.lease(lease), next, delay).await,
            Call::Snooze { lease, delay } => self.snooze(self.lease(lease), delay).await,
            Call::Ack { lease, end } => self.ack(self.lease(lease), end).await,
            Call::Heartbeat { lease, delay } => self.heartbeat(self.lease(lease), delay).await,
            Call::Expire => self.expire().await,
            Call::Promote => self.promote().await,
            Call::Retry => self.retry().await,
            Call::Advance { seconds } => self.scratch.clock.advance(Duration::from_secs(seconds)),
        }
    }

    async fn enqueue(&mut self, work: u8, priority: Priority, delay: u64) {
        let until = later(self.now(), delay);
        let new = NewJob { priority, not_before: Some(until), ..job(&format!("10.1000/{work}")) };
        let answer = self.library.enqueue(vec![new], RECHECK).await.unwrap().remove(0);
        let place = self.place(until);
        let fresh = Job { place, key: Key::Plan, priority, attempts: 0, tries: 0 };
        match self.works.get(&work) {
            None => {
                let Enqueued::New(id) = answer else { panic!("{answer:?}") };
                self.works.insert(work, id);
                self.jobs.insert(id, fresh);
            }
            Some(&id) => match self.jobs[&id].place {
                Place::Ended(JobState::Skipped, at) if at.after(RECHECK) <= self.now() => {
                    assert_eq!(answer, Enqueued::Requeued(id));
                    self.jobs.insert(id, fresh);
                }
                _ => assert_eq!(answer, Enqueued::Known(id)),
            },
        }
    }

    async fn take(&mut self, most: u32, key: Key) {
        let until = self.now().after(TTL);
        let mut expected: Vec<_> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.place == Place::Ready && job.key == key)
            .map(|(id, job)| (job.priority, *id))
            .collect();
        expected.sort();
        expected.truncate(most as usize);
        let leased = self.library.lease(vec![(key, most)], TTL).await.unwrap();
        assert_eq!(leased.iter().map(|one| (one.priority, one.job)).collect::<Vec<_>>(), expected);
        for one in leased {
            let job = self.jobs.get_mut(&one.job).unwrap();
            job.attempts += 1;
            job.place = Place::Leased(one.token, until);
            assert_eq!((one.attempts, one.until, one.plan.tries), (job.attempts, until, job.tries));
            self.leases.push(one.lease());
        }
    }

    async fn record(&mut self, lease: Lease, next: u8, delay: u64) {
        let until = later(self.now(), delay);
        let tries = self.jobs.get(&lease.job).map_or(0, |job| job.tries) + 1;
        let plan = Plan { tries, ..Plan::default() };
        let answer = match next {
            0 => self.library.record(lease, plan, vec![], AfterRecord::Keep { key: key(), until }).await,
            1 => self.library.record(lease, plan, vec![], AfterRecord::Queue { key: key() }).await,
            _ => self.library.fail_and_retry(lease, plan, vec![], key(), until).await,
        };
        let waits = if next == 1 { Place::Ready } else { self.place(until) };
        let expected = self.held(lease).map(|job| {
            (job.key, job.tries, job.attempts) = (key(), tries, u32::from(next == 0));
            job.place = if next == 0 { Place::Leased(lease.token, until) } else { waits };
        });
        assert_eq!(answer.unwrap(), expected.map_or(Fenced::Lost, Fenced::Held));
    }

    async fn snooze(&mut self, lease: Lease, delay: u64) {
        let until = later(self.now(), delay);
        let answer = self.library.snooze(lease, Key::Plan, Some(until)).await.unwrap();
        let waits = self.place(until);
        let expected = self.held(lease).map(|job| {
            (job.place, job.key) = (waits, Key::Plan);
            job.attempts -= 1;
        });
        assert_eq!(answer, expected.map_or(Fenced::Lost, Fenced::Held));
    }

    async fn ack(&mut self, lease: Lease, end: u8) {
        let (now, detail) = (self.now(), String::new());
        let (result, file) = match end {
            0 => done('a'),
            1 => (JobResult::Skipped { reason: Reason::NotOpen, detail }, None),
            _ => (JobResult::Error { reason: Reason::Tls, detail }, None),
        };
        let state = result.state();
        let answer = self.library.ack(lease, Plan::default(), vec![], result, file).await.unwrap();
        let expected = self.held(lease).map(|job| job.place = Place::Ended(state, now));
        assert_eq!(answer, expected.map_or(Fenced::Lost, Fenced::Held));
    }

    async fn heartbeat(&mut self, lease: Lease, delay: u64) {
        let until = later(self.now(), delay);
        let lost = self.library.heartbeat(vec![(lease, until)]).await.unwrap();
        let held = self.held(lease).map(|job| job.place = Place::Leased(lease.token, until));
        assert_eq!(lost, if held.is_some() { vec![] } else { vec![lease] });
    }

    async fn expire(&mut self) {
        let now = self.now();
        let (mut requeued, mut poisoned) = (0, Vec::new());
        for (id, job) in &mut self.jobs {
            match job.place {
                Place::Leased(_, until) if until <= now && job.attempts >= MAX_ATTEMPTS => {
                    job.place = Place::Ended(JobState::Error, now);
                    poisoned.push(*id);
                }
                Place::Leased(_, until) if until <= now => {
                    job.place = Place::Ready;
                    requeued += 1;
                }
                _ => {}
            }
        }
        let mut expired = self.library.expire(MAX_ATTEMPTS).await.unwrap();
        expired.poisoned.sort();
        assert_eq!((expired.requeued, expired.poisoned), (requeued, poisoned));
    }

    async fn promote(&mut self) {
        let now = self.now();
        let due = self.jobs.values_mut().filter(|job| matches!(job.place, Place::Delayed(due) if due <= now));
        let count = due.map(|job| job.place = Place::Ready).count();
        assert_eq!(self.library.promote_due().await.unwrap(), count as u64);
    }

    async fn retry(&mut self) {
        let failed =
            self.jobs.values_mut().filter(|job| matches!(job.place, Place::Ended(JobState::Error, _)));
        let count = failed
            .map(|job| (job.place, job.key, job.attempts, job.tries) = (Place::Ready, Key::Plan, 0, 0))
            .count() as u64;
        assert_eq!(self.library.retry_failed(RetryFilter::default(), true).await.unwrap(), count);
        assert_eq!(self.library.retry_failed(RetryFilter::default(), false).await.unwrap(), count);
    }

    async fn compare(&self) {
        let rows = self.library.list(None, None, 100).await.unwrap();
        assert_eq!(rows.len(), self.jobs.len());
        for (row, (id, job)) in rows.iter().zip(&self.jobs) {
            let (state, key, at) = match job.place {
                Place::Ready => (JobState::Queued, Some(&job.key), None),
                Place::Delayed(due) => (JobState::Queued, Some(&job.key), Some(due)),
                Place::Leased(_, until) => (JobState::InProgress, Some(&job.key), Some(until)),
                Place::Ended(state, at) => (state, None, Some(at)),
            };
            assert_eq!((row.id, row.state, row.key.as_ref(), row.at), (*id, state, key, at));
            assert_eq!(row.attempts, job.attempts, "of job {id}");
        }
        assert_eq!(self.library.problems().await.unwrap(), Vec::<String>::new());
    }
}

fn key() -> Key {
    Key::Resolver(ResolverName::new("r").unwrap())
}

fn later(now: UnixMillis, seconds: u64) -> UnixMillis {
    now.after(Duration::from_secs(seconds))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_queue_is_as_its_model(calls in prop::collection::vec(call(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let scratch = Scratch::new();
            let library = scratch.open();
            let (jobs, works, leases) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
            let mut pair = Pair { scratch, library, jobs, works, leases };
            for call in calls {
                pair.call(call).await;
                pair.compare().await;
            }
        });
    }
}
