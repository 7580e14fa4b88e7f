//! The steps of one job: what became of those that were tried, and which are still to come.
//!
//! What comes next is asked of the planner, as a run does; must never be guessed here.

use std::collections::{BTreeMap, BTreeSet};

use gleaner_model::clock::UnixMillis;
use gleaner_model::job::{JobResult, JobState};
use gleaner_model::next::{LONG, Next, Planner, Situation};
use gleaner_model::plan::{Fate, Plan, Step};
use gleaner_store::JobView;
use schemars::JsonSchema;
use serde::Serialize;

use crate::keys::Keys;
use crate::look::Look;

/// A step and its name.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Named {
    /// `ask` or `fetch`.
    step: &'static str,
    /// The resolver that is asked, or that proposed the URL.
    resolver: String,
    /// What is fetched.
    url: Option<String>,
}

impl Named {
    fn new(plan: &Plan, step: &Step) -> Self {
        match step {
            Step::Resolve(name) => Self { step: "ask", resolver: name.to_string(), url: None },
            Step::Fetch(index) => {
                let candidate = plan.candidates.get(*index).map(|proposed| &proposed.candidate);
                Self {
                    step: "fetch",
                    resolver: candidate.map_or(String::new(), |candidate| candidate.resolver.to_string()),
                    url: candidate.map(|candidate| candidate.url.as_url().to_string()),
                }
            }
        }
    }

    fn target(&self) -> &str {
        self.url.as_deref().unwrap_or(&self.resolver)
    }
}

/// A step that was tried at least once, or a page that was proposed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Tried {
    /// Which.
    #[serde(flatten)]
    step: Named,
    /// `answered`, `accepted`, `failed` (and is tried again), `closed`.
    is: &'static str,
    /// Failed tries so far, of a step that is tried again.
    failures: u32,
    /// Why it failed or was closed.
    reason: Option<String>,
    /// What more there is to say.
    detail: String,
    /// Not before then: RFC 3339.
    retry_at: Option<String>,
}

impl Tried {
    fn new(view: &JobView, step: Named, fate: &Fate) -> Option<Self> {
        let tried = |is| Self {
            step: step.clone(),
            is,
            failures: 0,
            reason: None,
            detail: String::new(),
            retry_at: None,
        };
        match fate {
            Fate::Open { failures: 0, .. } => None,
            Fate::Open { failures, retry_at } => {
                // The plan keeps how often, the manifest why.
                let record = view
                    .records
                    .iter()
                    .rev()
                    .find(|record| record.resolver == step.resolver && record.candidate_url == step.url);
                Some(Self {
                    failures: *failures,
                    reason: record.map(|record| record.reason.to_string()),
                    detail: record.map_or(String::new(), |record| record.detail.clone()),
                    retry_at: retry_at.map(|at| at.to_string()),
                    ..tried("failed")
                })
            }
            Fate::Answered => {
                let found =
                    view.plan.candidates.iter().filter(|p| p.candidate.resolver.as_str() == step.resolver);
                let detail = match found.count() {
                    0 => "nothing new".to_owned(),
                    count => format!("{count} proposed"),
                };
                Some(Self { detail, ..tried("answered") })
            }
            Fate::Accepted { sha256, .. } => Some(Self { detail: sha256.clone(), ..tried("accepted") }),
            Fate::Closed { reason, detail } => {
                Some(Self { reason: Some(reason.to_string()), detail: detail.clone(), ..tried("closed") })
            }
        }
    }

    /// As a row of a table: step, from, came to, detail.
    pub fn row(&self) -> Vec<String> {
        let is = match (&self.reason, self.failures) {
            (Some(reason), 0) => reason.clone(),
            (reason, 1..) => {
                format!("{}, {} times so far", reason.as_deref().unwrap_or(self.is), self.failures)
            }
            (None, 0) => self.is.to_owned(),
        };
        vec![self.step.step.to_owned(), self.step.target().to_owned(), is, self.detail.clone()]
    }
}

/// Everything that was tried: resolvers in the order of asking, then files in the order in which they became known.
pub(super) fn tried(view: &JobView) -> Vec<Tried> {
    let plan = &view.plan;
    let asked = plan.asked.iter().map(|asked| (Step::Resolve(asked.resolver.clone()), &asked.fate));
    let fetched = plan.candidates.iter().enumerate().map(|(index, one)| (Step::Fetch(index), &one.fate));
    asked.chain(fetched).filter_map(|(step, fate)| Tried::new(view, Named::new(plan, &step), fate)).collect()
}

/// Which failed step the job waits for that long, in words.
pub(super) fn put_off(view: &JobView, at: UnixMillis) -> Option<String> {
    let tried = tried(view);
    let step = tried.iter().find(|tried| tried.retry_at.as_deref() == Some(&*at.to_string()))?;
    let reason = step.reason.as_deref().map_or(String::new(), |reason| format!(" ({reason})"));
    let times = if step.failures == 1 { "once".to_owned() } else { format!("{} times", step.failures) };
    let verb = if step.step.url.is_some() { "fetching" } else { "asking" };
    Some(format!("{verb} {} failed {times}{reason}", step.step.target()))
}

/// A step that is still to come.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Coming {
    /// Which.
    #[serde(flatten)]
    step: Named,
    /// What it is limited by.
    key: String,
    /// Not before then: RFC 3339.
    not_before: Option<String>,
    /// Whether an operator paused its key.
    paused: bool,
    /// The tier that its resolver is asked in.
    tier: Option<String>,
    /// How many of the tier are asked at once.
    width: Option<u16>,
    /// Who else would be asked at once with it, where limits allow it.
    beside: Vec<String>,
}

impl Coming {
    /// As a row of a table: step, where, when, tier.
    pub fn row(&self) -> Vec<String> {
        let when = match (self.paused, &self.not_before) {
            (true, _) => format!("when {} is resumed", self.key),
            (false, Some(at)) => format!("not before {at}"),
            (false, None) => "when it may".to_owned(),
        };
        let mut tier = self.tier.clone().unwrap_or_default();
        if let Some(width) = self.width.filter(|width| *width > 1) {
            tier += &format!(", {width} at once");
        }
        if !self.beside.is_empty() {
            tier += &format!(", with {}", self.beside.join(", "));
        }
        vec![self.step.step.to_owned(), self.step.target().to_owned(), when, tier]
    }
}

/// What becomes of the job.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum Ending {
    /// Nothing is left: it ends so when a run looks at it.
    Now {
        /// In which state.
        state: JobState,
        /// Why.
        reason: &'static str,
        /// What more there is to say.
        detail: String,
        /// What the reason means.
        #[serde(skip)]
        meaning: &'static str,
    },
    /// When none of the steps gives a file.
    Later {
        /// Tries of its budget that are left.
        tries_left: u32,
    },
}

impl Ending {
    fn now(result: &JobResult) -> Self {
        let reason = result.reason();
        let (reason, meaning) = (reason.as_str(), reason.meaning());
        Self::Now { state: result.state(), reason, detail: result.detail().to_owned(), meaning }
    }

    /// For people.
    pub fn in_words(&self) -> String {
        match self {
            Self::Now { state, reason, detail, meaning } => format!(
                "No step is left: it ends as {state}, {reason} ({})",
                if detail.is_empty() { meaning } else { detail.as_str() },
            ),
            Self::Later { tries_left } => format!(
                "Answers may add files and resolvers to this. If nothing gives a file it ends; {tries_left} tries of its \
                 budget are left."
            ),
        }
    }
}

/// Every step that is still to come, in the order of a run, and what becomes of the job then.
pub(super) fn coming(
    look: Look<'_>,
    view: &JobView,
    keys: &Keys,
    planner: &Planner,
) -> (Vec<Coming>, Option<Ending>) {
    let now = look.now;
    let suspended = keys.keys.iter().filter_map(|key| key.suspended.as_ref());
    let suspended: BTreeMap<_, _> = suspended.map(|one| (one.resolver.clone(), one.until)).collect();
    let limits = &look.rules.limits;
    let held_of = |step: &Step| keys.get(&limits.canonical(&view.plan.key(step)));
    // As far as its own key tells; a run also looks at the hosts that a resolver asks.
    let stopped = |step: &Step| {
        let held = held_of(step)?;
        let until = held.cooldown_until.max(held.spent_until).filter(|until| now.until(*until) > LONG);
        if held.is_paused() { Some(UnixMillis(i64::MAX)) } else { until }
    };
    let situation = Situation { suspended: &suspended, blocking: &BTreeSet::new(), stopped: &stopped };
    let first = match planner.next_in(&view.plan, &view.artifact, now, &situation) {
        Next::End(result) => return (Vec::new(), Some(Ending::now(&result))),
        Next::Step(step) | Next::Wait(step, _) => step,
    };
    let retry_at = |step: &Step| match view.plan.fate(step) {
        Fate::Open { retry_at, .. } => retry_at.filter(|at| *at > now),
        _ => None,
    };
    let until = |step: &Step| match step {
        Step::Resolve(name) => suspended.get(name).copied(),
        Step::Fetch(_) => None,
    };
    let mut steps = planner.open_steps(&view.plan, &view.artifact);
    // As a run does it: a step that failed, or whose key is stopped, waits behind those that can run.
    steps.sort_by_key(|step| (*step != first, retry_at(step).max(until(step)).max(stopped(step))));
    let coming = |step: Step| {
        let key = limits.canonical(&view.plan.key(&step));
        let held = held_of(&step);
        let cooldown = held.and_then(|held| held.cooldown_until);
        let suspended = held.and_then(|held| held.suspended.as_ref()).map(|one| one.until);
        let (tier, beside) = match &step {
            Step::Resolve(name) => {
                (planner.tier_of(name), planner.beside(name, &view.plan, &view.artifact, now, &situation))
            }
            Step::Fetch(_) => (None, Vec::new()),
        };
        let whole_job = view.row.at.filter(|at| *at > now && view.row.state == JobState::Queued);
        Coming {
            step: Named::new(&view.plan, &step),
            not_before: [retry_at(&step), cooldown, suspended, whole_job]
                .into_iter()
                .flatten()
                .max()
                .map(|at| at.to_string()),
            paused: held.is_some_and(|held| held.is_paused()),
            key: key.to_string(),
            tier: tier.map(|tier| tier.name.clone()),
            width: tier.map(|tier| tier.width.get()),
            beside: beside.iter().map(ToString::to_string).collect(),
        }
    };
    let tries_left = look.rules.tries.saturating_sub(view.plan.tries);
    (steps.into_iter().map(coming).collect(), Some(Ending::Later { tries_left }))
}
