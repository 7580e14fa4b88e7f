//! Why a job waits or how it ended, what was tried, what comes next and when.
//!
//! Says only what the library and the configuration say; must never change either, nor take longer with more jobs.

mod steps;

use std::time::Duration;

use gleaner_model::job::{JobId, JobState};
use gleaner_model::key::Key;
use gleaner_model::next::Planner;
use gleaner_model::reason::Reason;
use gleaner_model::units::Span;
use gleaner_store::{JobView, StoreError};
use schemars::JsonSchema;
use serde::Serialize;

pub use self::steps::{Coming, Ending, Tried};
use crate::keys::{KeyNow, KeyView, Keys, in_words};
use crate::look::Look;

/// Works that go first are counted up to so many.
const MOST_AHEAD: u32 = 10_000;
/// How long after a pause of its upstream a job may be put off because of it.
const AFTER_A_PAUSE: Duration = Duration::from_secs(1);

/// One thing that there is to say of where the job stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Why {
    /// For programs: `paused`, `cooldown`, `turn`, ...
    pub what: &'static str,
    /// For people.
    pub says: String,
    /// What to do about it, if anything can be.
    pub to_do: Option<String>,
}

impl Why {
    fn new(what: &'static str, says: impl Into<String>) -> Self {
        Self { what, says: says.into(), to_do: None }
    }

    fn advising(mut self, to_do: impl Into<String>) -> Self {
        self.to_do = Some(to_do.into());
        self
    }
}

/// Everything there is to say of where a job stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Explained {
    /// Its number.
    pub job: JobId,
    /// Its work.
    pub artifact_id: String,
    /// Where it stands.
    pub state: JobState,
    /// Why it ended.
    #[schemars(with = "Option<String>")]
    pub reason: Option<Reason>,
    /// What more there is to say.
    pub detail: String,
    /// What keeps it from running, what lasts longest first; or how it ended.
    pub why: Vec<Why>,
    /// What its step is limited by.
    pub key: Option<KeyView>,
    /// Works that go first under its key; none when it is not ready.
    pub ahead: Option<u64>,
    /// RFC 3339, of a job that waits for a time.
    pub not_before: Option<String>,
    /// RFC 3339, of a job that is worked on.
    pub lease_until: Option<String>,
    /// Every step that was tried.
    pub tried: Vec<Tried>,
    /// Every step that is known to come, in the order of a run.
    pub next: Vec<Coming>,
    /// What becomes of it when nothing of that gives a file.
    pub then: Option<Ending>,
}

/// Explains one job. `planner` is asked what comes next.
///
/// # Errors
/// When the library cannot be read.
pub async fn explain(look: Look<'_>, view: &JobView, planner: &Planner) -> Result<Explained, StoreError> {
    let keys = &Keys::read(look).await?;
    let row = &view.row;
    let key = row.key.as_ref().and_then(|key| keys.get(key));
    let ahead = look.library.ahead_of(row.id, MOST_AHEAD).await?;
    let (next, then) = match row.state {
        JobState::Queued | JobState::InProgress => steps::coming(look, view, keys, planner),
        _ => (Vec::new(), None),
    };
    let why = match row.state {
        JobState::Queued => why_it_waits(look, view, key, ahead, keys),
        JobState::InProgress => vec![what_runs(look, view, key)],
        JobState::Done | JobState::Skipped | JobState::Error => vec![how_it_ended(look, view)],
    };
    let at = |state: JobState| row.at.filter(|_| row.state == state).map(|at| at.to_string());
    Ok(Explained {
        job: row.id,
        artifact_id: row.artifact_id.to_string(),
        state: row.state,
        reason: row.reason,
        detail: row.detail.clone(),
        why,
        key: key.map(KeyNow::view),
        ahead,
        not_before: at(JobState::Queued),
        lease_until: at(JobState::InProgress),
        tried: steps::tried(view),
        next,
        then,
    })
}

/// All that keeps a job from running, what lasts longest first.
fn why_it_waits(
    look: Look<'_>,
    view: &JobView,
    key: Option<&KeyNow>,
    ahead: Option<u64>,
    keys: &Keys,
) -> Vec<Why> {
    let mut why = Vec::new();
    if keys.alive.is_empty() {
        let nobody = Why::new("nobody_works", "no process works on the queue");
        why.push(nobody.advising("`gleaner queue run` works on it, with --drain until it is empty"));
    }
    // A job that meets a pause of its upstream is put off until just after it: that is one thing, not two.
    let cooldown = key.and_then(|now| now.cooldown_until).map(|until| until.after(AFTER_A_PAUSE));
    let paused_until = cooldown.max(key.and_then(|now| now.suspended.as_ref()).map(|one| one.until));
    if let Some(at) = view.row.at {
        why.extend(match (at > look.now, steps::put_off(view, at)) {
            (true, Some(step)) => Some(Why::new("back_off", format!("{step}; it is tried again at {at}"))),
            (true, None) if paused_until.is_some_and(|until| at <= until) => None,
            (true, None) => Some(Why::new("not_before", format!("it was put off until {at}"))),
            (false, _) => Some(Why::new("due", format!("its time came at {at}; a run takes it up"))),
        });
    }
    if let Some(now) = key {
        why.extend(what_holds(now));
        why.extend(ahead.and_then(|ahead| whose_turn(now, ahead)));
    }
    if why.is_empty() {
        let says = match &view.row.key {
            Some(Key::Plan) | None => "its next step is found when a run takes it up".to_owned(),
            Some(key) => format!("nothing holds it: it is the next of {key}, and runs when a worker is free"),
        };
        why.push(Why::new("next", says));
    }
    why
}

/// What holds for all jobs of the key.
fn what_holds(now: &KeyNow) -> Vec<Why> {
    let key = now.key();
    let mut why = Vec::new();
    if now.is_paused() {
        let paused = Why::new("paused", format!("{key} was paused by an operator"));
        why.push(paused.advising(format!("`gleaner queue resume {key}` lets it go on")));
    }
    if let Some(one) = &now.suspended {
        let says = format!(
            "{} is suspended until {} because it failed {} times in a row, the last time with {}",
            one.resolver, one.until, one.failures, one.because
        );
        why.push(Why::new("suspended", says).advising(format!(
            "then one call shows whether it works again; another file of that name ends it at once, and so does \
             `gleaner queue resume {key}`"
        )));
    }
    if let Some(until) = now.cooldown_until {
        why.push(if now.is_broken {
            let says = format!("{key} failed too often in a row, and is left alone until {until}");
            Why::new("breaker", says)
        } else {
            Why::new("cooldown", format!("{key} asked to slow down, and nothing of it runs before {until}"))
        });
    }
    if let Some(until) = now.spent_until {
        why.push(Why::new("budget", format!("{key} has used up its budget of the day, until {until}")));
    }
    let in_flight = now.row.leased;
    if let Some(limit) = now.limit.filter(|limit| in_flight >= limit.concurrency.get().into()) {
        let says = format!("{in_flight} steps of {key} run, and {} at once is its limit", limit.concurrency);
        let full = Why::new("at_limit", says);
        why.push(full.advising(format!("`gleaner queue limit {key} --concurrency N` changes it")));
    }
    why
}

fn whose_turn(now: &KeyNow, ahead: u64) -> Option<Why> {
    if ahead == 0 {
        return None;
    }
    let key = now.key();
    let many = if ahead >= MOST_AHEAD.into() { format!("more than {ahead}") } else { ahead.to_string() };
    let limit = now.limit.map_or(String::new(), |limit| format!(" at {}", in_words(&limit)));
    let pace = now.limit.and_then(|limit| limit.rate).map(|rate| {
        let works = u32::try_from(ahead).unwrap_or(u32::MAX);
        let seconds = rate.interval().saturating_mul(works).as_secs().max(1);
        format!(", which takes at least {}", Span(Duration::from_secs(seconds)))
    });
    let says = format!("{many} works go first under {key}{limit}{}", pace.unwrap_or_default());
    Some(Why::new("turn", says))
}

fn what_runs(look: Look<'_>, view: &JobView, key: Option<&KeyNow>) -> Why {
    let step = match &view.row.key {
        Some(Key::Resolver(name)) => format!("{name} is being asked"),
        Some(Key::Host(host)) => format!("a file is being fetched from {host}"),
        Some(Key::Plan) | None => "it was just taken up".to_owned(),
    };
    let by = key.and_then(|now| now.owner_pid).map_or(String::new(), |pid| format!(" by process {pid}"));
    match view.row.at {
        Some(at) if at < look.now => Why::new(
            "lease_expired",
            format!("{step}{by}, and its lease expired at {at}: whoever worked on it does not answer"),
        )
        .advising("any run takes it back; `gleaner queue run` is one"),
        Some(at) => {
            Why::new("running", format!("{step}{by}; its lease lasts until {at} and is extended meanwhile"))
        }
        None => Why::new("running", format!("{step}{by}")),
    }
}

fn how_it_ended(look: Look<'_>, view: &JobView) -> Why {
    let row = &view.row;
    let when = row.at.map_or(String::new(), |at| format!(" at {at}"));
    let reason = row.reason.map_or(String::new(), |reason| format!(", {reason}: {}", reason.meaning()));
    let detail = if row.detail.is_empty() { String::new() } else { format!(" ({})", row.detail) };
    let why = Why::new("ended", format!("it ended{when} as {}{reason}{detail}", row.state));
    let (Some(reason), None) = (row.reason, &view.file) else {
        let file = view.file.as_ref().map(|file| look.library.dir().join(&file.name));
        return match file {
            Some(path) => why.advising(format!("nothing is left to do: its file is {}", path.display())),
            None => why,
        };
    };
    let anew = "starts it anew, with all works that ended so";
    match row.state {
        JobState::Skipped => {
            let recheck = look.rules.recheck_after;
            why.advising(format!(
                "`gleaner queue retry-failed --state skipped --reason {reason}` {anew}; enqueued again {recheck} \
                 after it ended it starts anew by itself"
            ))
        }
        _ => why.advising(format!("`gleaner queue retry-failed --reason {reason}` {anew}")),
    }
}
