//! The events of a run, one type each, and who listens to them.
//!
//! An event tells what has happened and is committed. It must never be used to decide anything.

use std::time::Duration;

use gleaner_model::clock::UnixMillis;
use gleaner_model::job::{JobId, JobState};
use gleaner_model::key::{Key, ResolverName};
use gleaner_model::reason::Reason;
use gleaner_model::suspension::Suspension;

/// Which kind of step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepKind {
    /// A resolver was called.
    Resolve,
    /// A candidate was fetched.
    Fetch,
}

/// One step was carried out and its result recorded.
#[derive(Debug, Clone)]
pub struct StepEnded {
    /// Of which job.
    pub job: JobId,
    /// Its artifact.
    pub artifact: String,
    /// What it was.
    pub kind: StepKind,
    /// What it was limited by.
    pub key: Key,
    /// The resolver that was called, or that proposed the candidate.
    pub resolver: String,
    /// What came of it; [`Reason::Ok`] for an answer or an accepted file.
    pub reason: Reason,
    /// What more there is to say.
    pub detail: String,
    /// Bytes of the file received.
    pub bytes: u64,
    /// Which try of this step it was; 1 is the first.
    pub number: u32,
    /// From start to record.
    pub took: Duration,
}

/// One request was answered, or not. Tells no URL: a query may have a key in it.
#[derive(Debug, Clone, Copy)]
pub struct RequestEnded {
    /// What it was for: `metadata`, `landing`, `content`.
    pub role: &'static str,
    /// The status; none when no answer came.
    pub status: Option<u16>,
    /// From sending to the headers of the answer.
    pub took: Duration,
}

/// One job reached its end.
#[derive(Debug, Clone)]
pub struct JobEnded {
    /// Which.
    pub job: JobId,
    /// Its artifact.
    pub artifact: String,
    /// In which state.
    pub state: JobState,
    /// Why.
    pub reason: Reason,
    /// What more there is to say.
    pub detail: String,
    /// Size of its file.
    pub bytes: u64,
    /// The resolver whose candidate was accepted.
    pub resolver: Option<String>,
    /// When its first step was recorded.
    pub started: Option<UnixMillis>,
}

/// Everything a run tells.
#[derive(Debug, Clone)]
pub enum Event {
    /// A step ended.
    Step(StepEnded),
    /// A job ended.
    Job(JobEnded),
    /// An upstream asked to slow down: nothing of this key runs before `until`.
    Cooldown {
        /// What pauses.
        key: Key,
        /// Until when.
        until: UnixMillis,
    },
    /// A plugin failed too often in a row by its own doing: it is not called for a while.
    Suspended(Suspension),
    /// A suspended plugin is called again: a call showed that it works, its file was replaced, or an operator said so.
    Resumed(ResolverName),
}

impl Event {
    /// Writes the event to the log of the process, and the whole of an ended job to its trace: ended jobs and cooldowns at `info`, steps at `debug`,
    /// suspensions at `warn`.
    pub fn trace(&self) {
        match self {
            Self::Step(step) => tracing::debug!(
                job = %step.job, artifact = %step.artifact, key = %step.key, resolver = %step.resolver,
                reason = %step.reason, detail = %step.detail, bytes = step.bytes,
                took_ms = u64::try_from(step.took.as_millis()).unwrap_or(u64::MAX), "step ended"
            ),
            Self::Job(job) => {
                crate::otel::job_ended(job);
                tracing::info!(
                    job = %job.job, artifact = %job.artifact, state = %job.state, reason = %job.reason,
                    detail = %job.detail, bytes = job.bytes, resolver = job.resolver.as_deref(), "job ended"
                );
            }
            Self::Cooldown { key, until } => tracing::info!(key = %key, until = %until, "cooling down"),
            Self::Suspended(Suspension { resolver, sha256, until, failures, because, .. }) => tracing::warn!(
                resolver = %resolver, sha256, until = %until, failures, because, "plugin suspended"
            ),
            Self::Resumed(resolver) => tracing::info!(resolver = %resolver, "plugin is called again"),
        }
    }
}

/// Somebody who listens: progress on a terminal, a test.
pub trait Observer: Send + Sync {
    /// Called for each event, in the order of commits of one job. Must return at once.
    fn on(&self, event: &Event);
}

/// Nobody.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Observer for Silent {
    fn on(&self, _: &Event) {}
}
