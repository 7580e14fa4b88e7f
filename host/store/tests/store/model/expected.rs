//! The library as it should be: maps that are scanned.
//!
//! Must never keep a count.

use std::collections::{BTreeMap, BTreeSet};

use gleaner_model::clock::UnixMillis;
use gleaner_model::job::{JobId, JobState, LeaseToken, Priority};
use gleaner_model::key::Key;
use gleaner_model::reason::Reason;
use gleaner_model::setting::{KeyLimit, KeySetting};
use gleaner_store::{Backlog, KeyRow, Lease, ProcessId, QueueStats};

use crate::model::MAX_ATTEMPTS;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Place {
    Ready,
    Delayed(UnixMillis),
    Leased(LeaseToken, UnixMillis, ProcessId),
    Ended(JobState, Reason, UnixMillis),
}

#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) place: Place,
    pub(super) key: Key,
    pub(super) priority: Priority,
    pub(super) attempts: u32,
    /// What its plan says, so that the plan is seen to be kept.
    pub(super) tries: u32,
    pub(super) notes: Vec<Note>,
}

/// A manifest record.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Note {
    pub(super) run: String,
    pub(super) resolver: String,
    pub(super) host: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct KeyFacts {
    pub(super) owner: Option<ProcessId>,
    pub(super) released_at: UnixMillis,
    pub(super) cooldown_until: UnixMillis,
    pub(super) paused: bool,
    pub(super) limit: KeyLimit,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Process {
    pub(super) alive_until: UnixMillis,
    /// Holds its lock.
    pub(super) lives: bool,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Wish {
    pub(super) until: UnixMillis,
    pub(super) is_needed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Expected {
    pub(super) jobs: BTreeMap<JobId, Job>,
    pub(super) works: BTreeMap<u8, JobId>,
    pub(super) keys: BTreeMap<Key, KeyFacts>,
    pub(super) processes: BTreeMap<ProcessId, Process>,
    pub(super) wishes: BTreeMap<(Key, ProcessId), Wish>,
    pub(super) runs: Vec<String>,
}

impl Expected {
    /// The job, if the lease is held.
    pub(super) fn held(&mut self, lease: Lease) -> Option<&mut Job> {
        let job = self.jobs.get_mut(&lease.job)?;
        matches!(job.place, Place::Leased(token, ..) if token == lease.token).then_some(job)
    }

    pub(super) fn key(&mut self, key: &Key) -> &mut KeyFacts {
        self.keys.entry(key.clone()).or_default()
    }

    pub(super) fn owner(&self, key: &Key) -> Option<ProcessId> {
        self.keys.get(key)?.owner
    }

    /// Takes back the leases of which that is true; returns how many wait again, and who is poison.
    pub(super) fn take_back(
        &mut self,
        now: UnixMillis,
        is_lost: impl Fn(UnixMillis, ProcessId) -> bool,
    ) -> (u64, Vec<JobId>) {
        let (mut requeued, mut poisoned) = (0, Vec::new());
        for (id, job) in &mut self.jobs {
            match job.place {
                Place::Leased(_, until, by) if is_lost(until, by) => {
                    if job.attempts >= MAX_ATTEMPTS {
                        job.place = Place::Ended(JobState::Error, Reason::Poison, now);
                        poisoned.push(*id);
                    } else {
                        job.place = Place::Ready;
                        requeued += 1;
                    }
                }
                _ => {}
            }
        }
        (requeued, poisoned)
    }

    /// Takes back what everybody but this one holds who has no lock.
    pub(super) fn bury(&mut self, by: ProcessId, now: UnixMillis) -> (u64, Vec<JobId>) {
        let others = self.processes.iter().filter(|(id, _)| **id != by);
        let dead: BTreeSet<ProcessId> = others.filter(|(_, row)| !row.lives).map(|(id, _)| *id).collect();
        let taken = self.take_back(now, |_, holder| dead.contains(&holder));
        dead.into_iter().for_each(|id| self.forget(id, now));
        taken
    }

    /// Without the process; what it owned is nobody's.
    pub(super) fn forget(&mut self, process: ProcessId, now: UnixMillis) {
        self.processes.remove(&process);
        self.wishes.retain(|(_, by), _| *by != process);
        for facts in self.keys.values_mut().filter(|facts| facts.owner == Some(process)) {
            (facts.owner, facts.released_at) = (None, now);
        }
    }

    fn count(&self, is: impl Fn(&Job) -> bool) -> u64 {
        self.jobs.values().filter(|job| is(job)).count() as u64
    }

    pub(super) fn stats(&self) -> QueueStats {
        let ended = |state| self.count(|job| matches!(job.place, Place::Ended(end, ..) if end == state));
        let in_progress = self.count(|job| matches!(job.place, Place::Leased(..)));
        let (done, skipped, error) =
            (ended(JobState::Done), ended(JobState::Skipped), ended(JobState::Error));
        let total = self.jobs.len() as u64;
        QueueStats {
            queued: total - in_progress - done - skipped - error,
            in_progress,
            done,
            skipped,
            error,
            total,
        }
    }

    pub(super) fn backlog(&self) -> Backlog {
        let keys: BTreeSet<String> = self.jobs.values().map(|job| job.key.to_string()).collect();
        let keys = keys.into_iter().map(|name| Key::parse(&name).unwrap());
        let ready = keys.map(|key| {
            let jobs = self.count(|job| job.key == key && job.place == Place::Ready);
            (key, jobs)
        });
        let due = self.jobs.values().filter_map(|job| match job.place {
            Place::Delayed(due) => Some(due),
            _ => None,
        });
        let expiry = self.jobs.values().filter_map(|job| match job.place {
            Place::Leased(_, until, _) => Some(until),
            _ => None,
        });
        Backlog {
            ready: ready.filter(|(_, jobs)| *jobs > 0).collect(),
            delayed: due.clone().count() as u64,
            next_due: due.min(),
            leased: expiry.clone().count() as u64,
            next_expiry: expiry.min(),
        }
    }

    /// Every key of which there is something to say, by name.
    pub(super) fn key_rows(&self, now: UnixMillis) -> Vec<KeyRow> {
        let of_jobs = self.jobs.values().map(|job| &job.key);
        let names: BTreeSet<String> = of_jobs.chain(self.keys.keys()).map(Key::to_string).collect();
        let row = |name: String| {
            let key = Key::parse(&name).unwrap();
            let facts = self.keys.get(&key).cloned().unwrap_or_default();
            let jobs = |is: fn(&Place) -> bool| self.count(|job| job.key == key && is(&job.place));
            KeyRow {
                ready: jobs(|place| *place == Place::Ready),
                delayed: jobs(|place| matches!(place, Place::Delayed(_))),
                leased: jobs(|place| matches!(place, Place::Leased(..))),
                owner_pid: facts.owner.map(|_| std::process::id()),
                setting: KeySetting {
                    key,
                    cooldown_until: facts.cooldown_until,
                    paused: facts.paused,
                    limit: facts.limit,
                    condition: Default::default(),
                },
            }
        };
        names.into_iter().map(row).filter(|row| says_something(row, now)).collect()
    }
}

/// Whether the key has jobs, an owner, or something that is set for it.
pub(super) fn says_something(row: &KeyRow, now: UnixMillis) -> bool {
    row.ready + row.delayed + row.leased > 0 || row.owner_pid.is_some() || holds(&row.setting, now)
}

/// Whether anything holds for the key beyond the configuration.
pub(super) fn holds(setting: &KeySetting, now: UnixMillis) -> bool {
    setting.paused || setting.limit != KeyLimit::default() || setting.cooldown_until > now
}
