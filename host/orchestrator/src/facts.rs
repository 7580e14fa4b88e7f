//! What a step came to, and what of it there is to record.
//!
//! Failures are facts too. Must never hold a plan: others may add to a job's while its step runs.

use std::time::Duration;

use gleaner_model::artifact::Artifact;
use gleaner_model::clock::UnixMillis;
use gleaner_model::manifest::ManifestRecord;
use gleaner_model::plan::{Fate, Plan, Resolution, Step};
use gleaner_model::reason::Reason;
use gleaner_store::StoredFile;
use gleaner_telemetry::StepEnded;
use url::Url;

/// What a step came to.
pub(crate) enum Done {
    /// Facts to record.
    Facts(Box<Facts>),
    /// The library's disk refused: no job's fault, and no other job would fare better.
    NoDisk {
        /// What happened.
        detail: String,
    },
    /// Its plugin was suspended before it began.
    Suspended,
    /// A call for several jobs gave it no answer.
    Again,
    /// It could not run: its limit, or the upstream, asks to wait.
    Blocked {
        /// At least so long.
        retry_after: Duration,
    },
}

/// What there is to record of a step.
pub(crate) struct Facts {
    /// Which.
    pub(crate) step: Step,
    pub(crate) finding: Finding,
    pub(crate) record: ManifestRecord,
    /// The file that was accepted.
    pub(crate) file: Option<StoredFile>,
    /// What to tell once it is recorded.
    pub(crate) event: StepEnded,
}

/// What a step adds to its job's plan. Apart from the plan, because others may have added to it meanwhile.
pub(crate) enum Finding {
    /// The resolver answered.
    Answer(Resolution),
    /// The step is closed so: with a file, or for good without one after these URLs.
    Fate(Fate, Vec<Url>),
    /// It failed, and may be tried again from then on unless that was its last try.
    Fails { reason: Reason, detail: String, retry_at: UnixMillis },
}

impl Facts {
    /// Adds what was found to the job's plan as it is now.
    pub(crate) fn note(&mut self, plan: &mut Plan, artifact: &Artifact, max_attempts: u32, now: UnixMillis) {
        match std::mem::replace(&mut self.finding, Finding::Answer(Resolution::default())) {
            Finding::Answer(resolution) => {
                plan.note(&self.step, Fate::Answered, now);
                plan.take_in(resolution, &artifact.identifiers);
            }
            Finding::Fate(fate, chain) => {
                plan.note(&self.step, fate, now);
                plan.close_with(&self.step, &chain);
            }
            Finding::Fails { reason, detail, retry_at } => {
                plan.note_failure(&self.step, (reason, detail), retry_at, max_attempts, now);
            }
        }
    }
}
