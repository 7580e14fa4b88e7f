//! `gleaner queue explain`: why a job waits or how it ended, what was tried, what comes next and when.
//!
//! Says only what the library and the configuration say; must never change either, nor take longer with more jobs.

mod steps;

use std::time::Duration;

use gleaner_model::job::JobState;
use gleaner_model::key::Key;
use gleaner_model::next::Planner;
use gleaner_model::units::Span;
use gleaner_store::{JobView, Library};
use serde_json::{Value, json};

use self::steps::{Coming, Ending, Tried};
use crate::commands::keys::{KeyNow, Keys, in_words};
use crate::commands::queue::no_such_job;
use crate::context::Context;
use crate::exit::{Exit, Failed};

/// Works that go first are counted up to so many.
const MOST_AHEAD: u32 = 10_000;
/// How long after a pause of its upstream a job may be put off because of it.
const AFTER_A_PAUSE: Duration = Duration::from_secs(1);

/// One thing that there is to say of where the job stands.
struct Why {
    /// For programs.
    what: &'static str,
    says: String,
    /// What to do about it, if anything can be.
    to_do: Option<String>,
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

/// Everything there is to say.
struct Explained<'a> {
    view: &'a JobView,
    why: Vec<Why>,
    key: Option<&'a KeyNow>,
    /// Works that go first under its key; none when it is not ready.
    ahead: Option<u64>,
    tried: Vec<Tried>,
    next: Vec<Coming>,
    /// What becomes of it when nothing of that gives a file.
    ending: Option<Ending>,
}

/// `gleaner queue explain`.
pub(crate) async fn explain(context: &Context, id: &str) -> Result<Exit, Failed> {
    let library = context.existing_library()?;
    let view = library.find(id).await?.ok_or_else(|| no_such_job(context, id))?;
    let keys = Keys::read(context, &library).await?;
    let runtime = context.runtime()?;
    let planner = context.planner(&context.resolvers(&runtime).await);
    let explained = gather(context, &library, &view, &keys, &planner).await?;
    if context.output.is_json() {
        context.output.json(&as_json(&explained))?;
    } else {
        print(context, &explained)?;
    }
    Ok(Exit::Well)
}

async fn gather<'a>(
    context: &Context,
    library: &Library,
    view: &'a JobView,
    keys: &'a Keys,
    planner: &Planner,
) -> Result<Explained<'a>, Failed> {
    let key = view.row.key.as_ref().and_then(|key| keys.get(key));
    let ahead = library.ahead_of(view.row.id, MOST_AHEAD).await?;
    let tried = steps::tried(view);
    let (next, ending) = match view.row.state {
        JobState::Queued | JobState::InProgress => steps::coming(context, view, keys, planner),
        _ => (Vec::new(), None),
    };
    let why = match view.row.state {
        JobState::Queued => why_it_waits(context, view, key, ahead, keys),
        JobState::InProgress => vec![what_runs(context, view, key)],
        JobState::Done | JobState::Skipped | JobState::Error => vec![how_it_ended(context, view)],
    };
    Ok(Explained { view, why, key, ahead, tried, next, ending })
}

/// All that keeps a job from running, what lasts longest first.
fn why_it_waits(
    context: &Context,
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
        why.extend(match (at > context.now(), steps::put_off(view, at)) {
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

fn what_runs(context: &Context, view: &JobView, key: Option<&KeyNow>) -> Why {
    let step = match &view.row.key {
        Some(Key::Resolver(name)) => format!("{name} is being asked"),
        Some(Key::Host(host)) => format!("a file is being fetched from {host}"),
        Some(Key::Plan) | None => "it was just taken up".to_owned(),
    };
    let by = key.and_then(|now| now.owner_pid).map_or(String::new(), |pid| format!(" by process {pid}"));
    match view.row.at {
        Some(at) if at < context.now() => Why::new(
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

fn how_it_ended(context: &Context, view: &JobView) -> Why {
    let row = &view.row;
    let when = row.at.map_or(String::new(), |at| format!(" at {at}"));
    let reason = row.reason.map_or(String::new(), |reason| format!(", {reason}: {}", reason.meaning()));
    let detail = if row.detail.is_empty() { String::new() } else { format!(" ({})", row.detail) };
    let why = Why::new("ended", format!("it ended{when} as {}{reason}{detail}", row.state));
    let (Some(reason), None) = (row.reason, &view.file) else {
        let file = view.file.as_ref().map(|file| context.library_dir().join(&file.name));
        return match file {
            Some(path) => why.advising(format!("nothing is left to do: its file is {}", path.display())),
            None => why,
        };
    };
    let anew = "starts it anew, with all works that ended so";
    match row.state {
        JobState::Skipped => {
            let recheck = context.loaded.config.orchestrator.recheck_after;
            why.advising(format!(
                "`gleaner queue retry-failed --state skipped --reason {reason}` {anew}; enqueued again {recheck} \
                 after it ended it starts anew by itself"
            ))
        }
        _ => why.advising(format!("`gleaner queue retry-failed --reason {reason}` {anew}")),
    }
}

fn as_json(explained: &Explained<'_>) -> Value {
    let Explained { view, why, key, ahead, tried, next, ending } = explained;
    let row = &view.row;
    let at = |state: JobState| row.at.filter(|_| row.state == state).map(|at| at.to_string());
    json!({
        "job": row.id,
        "artifact_id": row.artifact_id,
        "state": row.state,
        "reason": row.reason,
        "detail": row.detail,
        "why": why
            .iter()
            .map(|why| json!({ "what": why.what, "says": why.says, "to_do": why.to_do }))
            .collect::<Vec<_>>(),
        "key": key.map(KeyNow::as_json),
        "ahead": ahead,
        "not_before": at(JobState::Queued),
        "lease_until": at(JobState::InProgress),
        "tried": tried.iter().map(Tried::as_json).collect::<Vec<_>>(),
        "next": next.iter().map(Coming::as_json).collect::<Vec<_>>(),
        "then": ending.as_ref().map(Ending::as_json),
    })
}

fn print(context: &Context, explained: &Explained<'_>) -> Result<(), Failed> {
    let Explained { view, why, tried, next, ending, .. } = explained;
    let row = &view.row;
    let out = &context.output;
    let title = view.artifact.title.as_deref().map_or(String::new(), |title| format!(", {title:?}"));
    let under = row.key.as_ref().map_or(String::new(), |key| format!(" under {key}"));
    out.line(&format!("Job {}: {}{title}\nIt is {}{under}.", row.id, row.artifact_id, row.state))?;
    for why in why {
        out.line(&format!("- {}", why.says))?;
        if let Some(to_do) = &why.to_do {
            out.line(&format!("  {to_do}"))?;
        }
    }
    if !tried.is_empty() {
        out.line("\nTried so far:")?;
        let rows: Vec<_> = tried.iter().map(Tried::row).collect();
        out.table(&["STEP", "FROM", "CAME TO", "DETAIL"], &rows)?;
    }
    if !next.is_empty() {
        out.line("\nWhat comes next, in this order, until a file is accepted:")?;
        let rows: Vec<_> = next.iter().map(Coming::row).collect();
        out.table(&["STEP", "WHERE", "WHEN"], &rows)?;
    }
    match ending {
        Some(ending) => Ok(out.line(&format!("\n{}", ending.in_words()))?),
        None => Ok(()),
    }
}
