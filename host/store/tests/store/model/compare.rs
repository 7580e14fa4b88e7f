//! Whether everything that the library shows is what the model says.

use std::collections::{BTreeMap, BTreeSet};

use gleaner_model::clock::UnixMillis;
use gleaner_model::job::{JobId, JobState};
use gleaner_model::key::Key;
use gleaner_model::setting::KeySetting;
use gleaner_store::{JobRow, Library, Process, ProcessId, Scope, Wish, WorkQueue};

use crate::model::expected::{Expected, Job, Place, holds, says_something};
use crate::model::pair::Pair;

impl Pair {
    /// Looks with the eyes of each process in turn.
    pub(super) async fn compare(&self) {
        let handle = &self.handles[self.calls % self.handles.len()];
        self.compare_jobs(&handle.library).await;
        self.compare_keys(&handle.library, handle.id).await;
        self.compare_runs(&self.observer).await;
    }

    /// Closes everything, and looks whether the file alone says the same.
    pub(super) async fn reopen(mut self) {
        assert_eq!(self.observer.problems().await.unwrap(), Vec::<String>::new());
        for handle in std::mem::take(&mut self.handles) {
            drop(handle.member);
            handle.library.close().await;
        }
        let (library, nobody) = (self.scratch.open(), ProcessId(0));
        self.compare_jobs(&library).await;
        self.compare_keys(&library, nobody).await;
        self.compare_runs(&library).await;
        assert_eq!(library.problems().await.unwrap(), Vec::<String>::new());
    }

    async fn compare_jobs(&self, library: &Library) {
        let rows = library.list(None, None, 100).await.unwrap();
        let seen: Vec<_> = rows.iter().map(seen).collect();
        let expected: Vec<_> = self.expected.jobs.iter().map(|(id, job)| wanted(*id, job)).collect();
        assert_eq!(seen, expected);
        assert_eq!(library.stats().await.unwrap(), self.expected.stats());
        assert_eq!(library.backlog().await.unwrap(), self.expected.backlog());
    }

    async fn compare_keys(&self, library: &Library, me: ProcessId) {
        let (now, expected) = (self.now(), &self.expected);
        let mut keys = library.keys().await.unwrap();
        keys.retain(|row| says_something(row, now));
        assert_eq!(keys, expected.key_rows(now));
        let mut settings = library.key_settings().await.unwrap();
        settings.sort_by_key(|setting| setting.key.to_string());
        let rows = expected.key_rows(now).into_iter().map(|row| row.setting);
        assert_eq!(settings, rows.filter(|setting| holds(setting, now)).collect::<Vec<KeySetting>>());
        let mut owned = library.owned().await.unwrap();
        owned.sort();
        let ours = expected.keys.iter().filter(|(_, facts)| facts.owner == Some(me));
        assert_eq!(owned, ours.map(|(key, _)| key.clone()).collect::<Vec<_>>());
        let mut others = library.others().await.unwrap();
        others.processes.sort_by_key(|row| row.id);
        others.wishes.sort_by_key(|wish| (wish.key.clone(), wish.process));
        assert_eq!(others.processes, expected.others(me));
        assert_eq!(others.wishes, expected.wishes(me, now));
    }

    async fn compare_runs(&self, library: &Library) {
        for run in &self.expected.runs {
            let summary = library.summary(Scope::Run(run.clone())).await.unwrap();
            let mut states = summary.states;
            states.sort();
            let mut expected = BTreeMap::new();
            let jobs = self.expected.jobs.values();
            for job in jobs.filter(|job| job.notes.iter().any(|note| note.run == *run)) {
                let state = match job.place {
                    Place::Ready | Place::Delayed(_) => (JobState::Queued, None),
                    Place::Leased(..) => (JobState::InProgress, None),
                    Place::Ended(state, reason, _) => (state, Some(reason)),
                };
                *expected.entry(state).or_insert(0) += 1;
            }
            let expected = expected.into_iter().map(|((state, reason), count)| (state, reason, count));
            assert_eq!(states, expected.collect::<Vec<_>>(), "of {run}");
        }
    }
}

type Seen = (JobId, JobState, Option<Key>, Option<gleaner_model::reason::Reason>, u32, Option<UnixMillis>);

fn seen(row: &JobRow) -> Seen {
    (row.id, row.state, row.key.clone(), row.reason, row.attempts, row.at)
}

fn wanted(id: JobId, job: &Job) -> Seen {
    let key = Some(job.key.clone());
    match job.place {
        Place::Ready => (id, JobState::Queued, key, None, job.attempts, None),
        Place::Delayed(due) => (id, JobState::Queued, key, None, job.attempts, Some(due)),
        Place::Leased(_, until, _) => (id, JobState::InProgress, key, None, job.attempts, Some(until)),
        Place::Ended(state, reason, at) => (id, state, None, Some(reason), job.attempts, Some(at)),
    }
}

impl Expected {
    /// When the leases of the key end that others hold.
    pub(super) fn leases_of_others(&self, key: &Key, me: ProcessId, now: UnixMillis) -> Vec<UnixMillis> {
        let ends = self.jobs.values().filter(|job| job.key == *key).filter_map(|job| match job.place {
            Place::Leased(_, until, by) if by != me && until > now => Some(until),
            _ => None,
        });
        let mut ends: Vec<_> = ends.collect();
        ends.sort();
        ends
    }

    fn others(&self, me: ProcessId) -> Vec<Process> {
        let pid = std::process::id();
        let rows = self.processes.iter().filter(|(id, _)| **id != me);
        let busy = |id: ProcessId| {
            let ready = self.jobs.values().filter(|job| matches!(job.place, Place::Ready));
            let keys: BTreeSet<&Key> = ready.map(|job| &job.key).collect();
            keys.into_iter().filter(|key| self.owner(key) == Some(id)).count() as u64
        };
        rows.map(|(id, row)| {
            let (alive_until, busy_keys) = (row.alive_until, busy(*id));
            Process { id: *id, pid, alive_until, busy_keys }
        })
        .collect()
    }

    fn wishes(&self, me: ProcessId, now: UnixMillis) -> Vec<Wish> {
        let lives = |id: &ProcessId| self.processes[id].alive_until > now;
        let heard: BTreeSet<&(Key, ProcessId)> = self
            .wishes
            .iter()
            .filter(|((key, by), wish)| {
                self.owner(key) == Some(me) && *by != me && wish.until > now && lives(by)
            })
            .map(|(who, _)| who)
            .collect();
        let wish = |(key, process): &(Key, ProcessId)| Wish {
            key: key.clone(),
            process: *process,
            is_needed: self.wishes[&(key.clone(), *process)].is_needed,
        };
        heard.into_iter().map(wish).collect()
    }
}
