//! The calls of the work queue, on both.

use std::time::Duration;

use gleaner_model::artifact::Artifact;
use gleaner_model::clock::UnixMillis;
use gleaner_model::identifier::Identifier;
use gleaner_model::job::{JobId, JobResult, JobState, Priority};
use gleaner_model::key::{HostKey, ResolverName};
use gleaner_model::manifest::{AttemptOutcome, ManifestRecord, RunIdentity};
use gleaner_model::plan::Plan;
use gleaner_model::reason::Reason;
use gleaner_store::{AfterRecord, Enqueued, Fenced, Lease, NewJob, RetryFilter, WorkQueue};

use crate::model::calls::{Next, Notes};
use crate::model::expected::{Job, Note, Place};
use crate::model::pair::Pair;
use crate::model::{MAX_ATTEMPTS, key};
use crate::scratch::{TTL, done, job};

const RECHECK: Duration = Duration::from_secs(5000);
const RESOLVERS: [&str; 2] = ["r", "s"];
const HOSTS: [&str; 2] = ["a.org", "b.org"];
const REASONS: [Reason; 5] =
    [Reason::NotOpen, Reason::NoCandidate, Reason::Tls, Reason::Poison, Reason::Cancelled];

/// The states that the bits name. Those that no call takes are among them.
fn states(bits: u8) -> Vec<JobState> {
    let all = [JobState::Error, JobState::Skipped, JobState::Done];
    all.into_iter().enumerate().filter(|(bit, _)| bits & (1 << bit) != 0).map(|(_, state)| state).collect()
}

/// The one with that number, from 1 on; more numbers than there are mean none.
fn pick<T: Clone>(all: &[T], number: u8) -> Option<T> {
    all.get(usize::from(number).checked_sub(1)?).cloned()
}

impl Pair {
    fn place(&self, until: UnixMillis) -> Place {
        if until > self.now() { Place::Delayed(until) } else { Place::Ready }
    }

    pub(super) async fn enqueue(&mut self, by: usize, works: Vec<u8>, at: usize, priority: i32, delay: u64) {
        let (until, priority) = (self.later(delay), Priority(priority));
        let new = |work: &u8| {
            let name = format!("10.1000/{work}");
            NewJob { priority, key: key(at), not_before: Some(until), ..job(&name) }
        };
        let answers =
            self.handles[by].library.enqueue(works.iter().map(new).collect(), RECHECK).await.unwrap();
        assert_eq!(answers.len(), works.len());
        let (now, place) = (self.now(), self.place(until));
        for (work, answer) in works.into_iter().zip(answers) {
            let mut fresh = Job { place, key: key(at), priority, attempts: 0, tries: 0, notes: vec![] };
            match self.expected.works.get(&work) {
                None => {
                    let Enqueued::New(id) = answer else { panic!("{answer:?}") };
                    self.expected.works.insert(work, id);
                    assert!(self.expected.jobs.insert(id, fresh).is_none(), "job {id} is there already");
                }
                Some(&id) => match &self.expected.jobs[&id] {
                    Job { place: Place::Ended(JobState::Skipped, _, at), notes, .. }
                        if at.after(RECHECK) <= now =>
                    {
                        assert_eq!(answer, Enqueued::Requeued(id));
                        fresh.notes.clone_from(notes);
                        self.expected.jobs.insert(id, fresh);
                    }
                    _ => assert_eq!(answer, Enqueued::Known(id)),
                },
            }
        }
    }

    pub(super) async fn take(&mut self, by: usize, wanted: Vec<(usize, u32)>) {
        let (until, me) = (self.now().after(TTL), self.handles[by].id);
        self.expected.processes.entry(me).or_default();
        let asked = wanted.iter().map(|(at, most)| (key(*at), *most)).collect();
        let mut leased = self.handles[by].library.lease(asked, TTL).await.unwrap().into_iter();
        for (at, most) in wanted {
            let of_key = key(at);
            if self.expected.owner(&of_key).is_some_and(|owner| owner != me) {
                continue;
            }
            let jobs = self.expected.jobs.iter();
            let waiting = jobs.filter(|(_, job)| job.place == Place::Ready && job.key == of_key);
            let mut turn: Vec<_> = waiting.map(|(id, job)| (job.priority, *id)).collect();
            turn.sort();
            for (priority, id) in turn.into_iter().take(most as usize) {
                let one = leased.next().unwrap_or_else(|| panic!("job {id} of {of_key} was not leased"));
                assert_eq!((one.job, &one.key, one.priority), (id, &of_key, priority));
                let job = self.expected.jobs.get_mut(&id).unwrap();
                job.attempts += 1;
                job.place = Place::Leased(one.token, until, me);
                assert_eq!((one.attempts, one.until, one.plan.tries), (job.attempts, until, job.tries));
                self.leases.push(one.lease());
            }
        }
        assert_eq!(leased.next(), None);
    }

    /// Records to write, and what they should leave behind.
    fn notes(&self, notes: &Notes) -> (Vec<ManifestRecord>, Vec<Note>) {
        let run_id = self.expected.runs.last().cloned().unwrap_or_else(|| "no run".into());
        let run = RunIdentity { run_id: run_id.clone(), config_hash: "c0ffee".into() };
        let artifact = Artifact::of(Identifier::parse("10.1000/0").unwrap());
        let one = |(resolver, host): &(u8, u8)| {
            let resolver = RESOLVERS[usize::from(*resolver)];
            let host = pick(&HOSTS, *host).map(str::to_owned);
            let mut record = ManifestRecord::new(&run, &artifact, resolver, self.now());
            (record.outcome, record.host) = (AttemptOutcome::Answered, host.clone());
            (record, Note { run: run_id.clone(), resolver: resolver.into(), host })
        };
        notes.iter().map(one).unzip()
    }

    pub(super) async fn record(
        &mut self,
        by: usize,
        lease: Lease,
        next: Next,
        at: usize,
        until: UnixMillis,
        notes: Notes,
    ) {
        let tries = self.expected.jobs.get(&lease.job).map_or(0, |job| job.tries) + 1;
        let plan = Plan { tries, ..Plan::default() };
        let (records, notes) = self.notes(&notes);
        let (library, to) = (&self.handles[by].library, key(at));
        let answer = match next {
            Next::Keep => library.record(lease, plan, records, AfterRecord::Keep { key: to, until }).await,
            Next::Queue => library.record(lease, plan, records, AfterRecord::Queue { key: to }).await,
            Next::Wait => library.record(lease, plan, records, AfterRecord::Wait { key: to, until }).await,
            Next::FailAndRetry => library.fail_and_retry(lease, plan, records, to, until).await,
        };
        let waits = if matches!(next, Next::Queue) { Place::Ready } else { self.place(until) };
        let held = self.expected.held(lease).map(|job| {
            (job.key, job.tries, job.attempts) = (key(at), tries, 0);
            job.notes.extend(notes);
            job.place = match (next, job.place) {
                (Next::Keep, Place::Leased(token, _, by)) => {
                    job.attempts = 1;
                    Place::Leased(token, until, by)
                }
                _ => waits,
            };
        });
        assert_eq!(answer.unwrap(), held.map_or(Fenced::Lost, Fenced::Held));
    }

    pub(super) async fn snooze(&mut self, by: usize, lease: Lease, at: usize, until: UnixMillis) {
        let answer = self.handles[by].library.snooze(lease, key(at), Some(until)).await.unwrap();
        let waits = self.place(until);
        let held = self.expected.held(lease).map(|job| {
            (job.place, job.key) = (waits, key(at));
            job.attempts -= 1;
        });
        assert_eq!(answer, held.map_or(Fenced::Lost, Fenced::Held));
    }

    pub(super) async fn ack(&mut self, by: usize, lease: Lease, end: u8, notes: Notes) {
        let (now, detail) = (self.now(), String::new());
        let (result, file) = match end {
            0 => done('a'),
            1 => (JobResult::Skipped { reason: Reason::NotOpen, detail }, None),
            2 => (JobResult::Skipped { reason: Reason::NoCandidate, detail }, None),
            _ => (JobResult::Error { reason: Reason::Tls, detail }, None),
        };
        let ended = Place::Ended(result.state(), result.reason(), now);
        let (records, notes) = self.notes(&notes);
        let library = &self.handles[by].library;
        let answer = library.ack(lease, Plan::default(), records, result, file).await.unwrap();
        let held = self.expected.held(lease).map(|job| {
            job.place = ended;
            job.notes.extend(notes);
        });
        assert_eq!(answer, held.map_or(Fenced::Lost, Fenced::Held));
    }

    pub(super) async fn heartbeat(&mut self, by: usize, leases: Vec<(usize, u64)>) {
        let extend: Vec<(Lease, UnixMillis)> =
            leases.into_iter().map(|(lease, delay)| (self.lease(lease), self.later(delay))).collect();
        let lost = self.handles[by].library.heartbeat(extend.clone()).await.unwrap();
        let mut expected = Vec::new();
        for (lease, until) in extend {
            match self.expected.held(lease) {
                Some(Job { place: Place::Leased(_, ends, _), .. }) => *ends = until,
                _ => expected.push(lease),
            }
        }
        assert_eq!(lost, expected);
    }

    pub(super) async fn expire(&mut self, by: usize) {
        let now = self.now();
        let expected = self.expected.take_back(now, |until, _| until <= now);
        let mut expired = self.handles[by].library.expire(MAX_ATTEMPTS).await.unwrap();
        expired.poisoned.sort();
        assert_eq!((expired.requeued, expired.poisoned), expected);
    }

    pub(super) async fn promote(&mut self, by: usize) {
        let now = self.now();
        let jobs = self.expected.jobs.values_mut();
        let due = jobs.filter(|job| matches!(job.place, Place::Delayed(due) if due <= now));
        let count = due.map(|job| job.place = Place::Ready).count();
        assert_eq!(self.handles[by].library.promote_due().await.unwrap(), count as u64);
    }

    pub(super) async fn retry(
        &mut self,
        by: usize,
        bits: u8,
        (reason, resolver, host): (u8, u8, u8),
        older_than: u64,
    ) {
        let (reason, resolver, host) =
            (pick(&REASONS, reason), pick(&RESOLVERS, resolver), pick(&HOSTS, host));
        let (now, age) = (self.now(), Duration::from_secs(older_than));
        let wanted = if bits == 0 { vec![JobState::Error] } else { states(bits) };
        let mut count = 0;
        for job in self.expected.jobs.values_mut() {
            let Place::Ended(state, why, at) = job.place else { continue };
            let fits = state != JobState::Done
                && wanted.contains(&state)
                && at.after(age) <= now
                && reason.is_none_or(|reason| reason == why)
                && resolver.is_none_or(|name| job.notes.iter().any(|note| note.resolver == name))
                && host.is_none_or(|name| job.notes.iter().any(|note| note.host.as_deref() == Some(name)));
            if fits {
                (job.place, job.key, job.attempts, job.tries) = (Place::Ready, key(0), 0, 0);
                count += 1;
            }
        }
        let filter = RetryFilter {
            states: states(bits),
            reason,
            resolver: resolver.map(|name| ResolverName::new(name).unwrap()),
            host: host.map(HostKey::from_normalised),
            older_than: (older_than > 0).then_some(age),
        };
        let library = &self.handles[by].library;
        assert_eq!(library.retry_failed(filter.clone(), true).await.unwrap(), count);
        assert_eq!(library.retry_failed(filter, false).await.unwrap(), count);
    }

    pub(super) async fn cancel(&mut self, by: usize, jobs: Vec<u8>) {
        let (now, jobs) = (self.now(), jobs.into_iter().map(|id| JobId(id.into())).collect::<Vec<_>>());
        let mut expected = Vec::new();
        for id in &jobs {
            let job = self.expected.jobs.get_mut(id);
            let Some(job) = job.filter(|job| !matches!(job.place, Place::Ended(..))) else { continue };
            job.place = Place::Ended(JobState::Skipped, Reason::Cancelled, now);
            expected.push(*id);
        }
        assert_eq!(self.handles[by].library.cancel(jobs).await.unwrap(), expected);
    }

    pub(super) async fn purge(&mut self, by: usize, bits: u8, older_than: u64) {
        let (now, age) = (self.now(), Duration::from_secs(older_than));
        let wanted = if bits == 0 { vec![JobState::Error, JobState::Skipped] } else { states(bits) };
        let before = self.expected.jobs.len();
        self.expected.jobs.retain(|_, job| match job.place {
            Place::Ended(JobState::Done, ..) => true,
            Place::Ended(state, _, at) => !wanted.contains(&state) || at.after(age) > now,
            _ => true,
        });
        let Self { expected, handles, .. } = self;
        expected.works.retain(|_, id| expected.jobs.contains_key(id));
        let count = (before - expected.jobs.len()) as u64;
        let library = &handles[by].library;
        assert_eq!(library.purge(states(bits), age, true).await.unwrap(), count);
        assert_eq!(library.purge(states(bits), age, false).await.unwrap(), count);
    }

    pub(super) async fn begin_run(&mut self, by: usize) {
        let run_id = format!("run {}", self.expected.runs.len());
        let run = RunIdentity { run_id: run_id.clone(), config_hash: "c0ffee".into() };
        self.handles[by].library.begin_run(run).await.unwrap();
        self.expected.runs.push(run_id);
    }
}
