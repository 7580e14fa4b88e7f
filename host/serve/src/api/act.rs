//! Changes through the API: what the commands of the same names do.
//!
//! Must never change anything before what was sent is understood; of several works to add, those that are not are named, and
//! the others added.

use axum::Json;
use axum::extract::rejection::{JsonRejection, PathRejection};
use axum::extract::{Path, State};
use gleaner_desk::{
    Added, Cancelled, Enqueuer, LimitChange, LimitView, PausedView, Retried, Retry, Turn, Wanted,
    change_limit, parse_ended_state, parse_host, parse_key, parse_reason, parse_resolver, set_paused,
    suspended_now,
};
use gleaner_model::job::Priority;
use gleaner_model::key::{Key, ResolverName};
use gleaner_model::setting::KeyLimit;
use gleaner_model::units::{Rate, Span};
use gleaner_store::{RetryFilter, WorkQueue};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashSet;
use std::num::NonZeroU32;

use super::read::given;
use crate::problem::Problem;
use crate::site::Site;

/// Each is looked up, and all are ended in one write, for which a run waits.
const MOST_CANCELLED: usize = 1000;

type Answer<T> = Result<Json<T>, Problem>;

/// Works to add.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Enqueue {
    /// Identifiers in any notation, and objects as `queue import` takes them.
    works: Vec<Value>,
    /// Ask only this resolver.
    resolver: Option<String>,
    /// Which go first: smaller numbers do.
    priority: Option<i32>,
    /// Not before then: a time like 2030-01-31T08:00:00Z or 2030-01-31, or how long from now, like 2h.
    not_before: Option<String>,
}

pub(super) async fn enqueue(
    State(site): State<Site>,
    body: Result<Json<Enqueue>, JsonRejection>,
) -> Answer<Added> {
    let Enqueue { works, resolver, priority, not_before } = body?.0;
    if works.is_empty() {
        return Err(Problem::value("works", "it is empty; give at least one"));
    }
    let turn =
        Turn { priority: priority.map(Priority), not_before: given("not_before", &not_before, str::parse)? };
    let resolver = given("resolver", &resolver, parse_resolver)?;
    let works = works.iter().map(|work| match work {
        Value::String(text) => Wanted::named(text),
        other => Wanted::described(other),
    });
    Ok(Json(enqueue_works(&site, works, resolver, turn).await?))
}

/// Adds works; those that nothing names are told of in the answer.
pub(crate) async fn enqueue_works(
    site: &Site,
    works: impl Iterator<Item = Result<Wanted, String>>,
    resolver: Option<ResolverName>,
    turn: Turn,
) -> Result<Added, Problem> {
    let (in_force, now) = (site.in_force(), site.live.now());
    let held = suspended_now(site.library.suspensions().await?, &now.resolvers, site.clock.now());
    let held = held.into_iter().map(|one| (one.resolver, one.until)).collect();
    let enqueuer = Enqueuer::new(site.look(&in_force.rules), now.planner.clone());
    let mut enqueuer = enqueuer.without(held).hint(resolver).turn(turn).keep_jobs();
    drop(now);
    for (position, work) in works.enumerate() {
        match work {
            // How long it was as text does not matter: the body is bounded.
            Ok(wanted) => enqueuer.add(wanted, 0).await?,
            Err(problem) => enqueuer.complain(format!("work {}: {problem}", position + 1)),
        }
    }
    Ok(enqueuer.finish().await?)
}

/// Which jobs to start anew; all that is given must hold.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetryBody {
    /// Only jobs that ended for this reason.
    pub(crate) reason: Option<String>,
    /// Only jobs with an attempt of this resolver.
    pub(crate) resolver: Option<String>,
    /// Only jobs with an attempt that ended at this host.
    pub(crate) host: Option<String>,
    /// Jobs in this state: error or skipped; error where it is not given.
    pub(crate) state: Option<String>,
    /// Only jobs that ended longer ago than this, like 2h.
    pub(crate) older_than: Option<String>,
    /// Change nothing; say how many it would be.
    #[serde(default)]
    pub(crate) dry_run: bool,
}

pub(super) async fn retry(
    State(site): State<Site>,
    body: Result<Json<RetryBody>, JsonRejection>,
) -> Answer<Retried> {
    Ok(Json(retry_jobs(&site, body?.0).await?))
}

/// Starts jobs anew.
pub(crate) async fn retry_jobs(site: &Site, which: RetryBody) -> Result<Retried, Problem> {
    let RetryBody { reason, resolver, host, state, older_than, dry_run } = which;
    let older_than =
        given("older_than", &older_than, |text| text.parse::<Span>().map_err(|error| error.to_string()))?;
    let filter = RetryFilter {
        states: given("state", &state, parse_ended_state)?.into_iter().collect(),
        reason: given("reason", &reason, parse_reason)?,
        resolver: given("resolver", &resolver, parse_resolver)?,
        host: given("host", &host, parse_host)?,
        older_than: older_than.map(|span| span.0),
    };
    Ok(Retry { filter, dry_run }.run(&site.library).await?)
}

/// Which jobs to end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CancelBody {
    /// Numbers as texts, artifact ids or identifiers.
    ids: Vec<String>,
}

pub(super) async fn cancel(
    State(site): State<Site>,
    body: Result<Json<CancelBody>, JsonRejection>,
) -> Answer<Cancelled> {
    let ids = body?.0.ids;
    if ids.is_empty() {
        return Err(Problem::value("ids", "it is empty; give at least one"));
    }
    if ids.len() > MOST_CANCELLED {
        return Err(too_many(ids.len()));
    }
    Ok(Json(cancel_jobs(&site, &ids).await?))
}

pub(crate) fn too_many(ids: usize) -> Problem {
    Problem::value("ids", format!("{ids} are too many at a time; send at most {MOST_CANCELLED}"))
}

/// Ends jobs; what no job is called is counted.
pub(crate) async fn cancel_jobs(site: &Site, ids: &[String]) -> Result<Cancelled, Problem> {
    let mut count = Cancelled::default();
    let mut jobs = HashSet::new();
    for id in ids {
        match site.library.find(id).await? {
            Some(view) => {
                jobs.insert(view.row.id);
            }
            None => count.unknown += 1,
        }
    }
    let named = jobs.len() as u64;
    count.cancelled = site.library.cancel(jobs.into_iter().collect()).await?.len() as u64;
    site.live.cancelled.notify_one();
    count.ended = named - count.cancelled;
    Ok(count)
}

/// The key that is meant.
pub(crate) fn key_of(text: &str) -> Result<Key, Problem> {
    parse_key(text).map_err(|problem| Problem::value("key", problem))
}

pub(super) async fn pause(
    State(site): State<Site>,
    key: Result<Path<String>, PathRejection>,
) -> Answer<PausedView> {
    Ok(Json(paused(&site, &key_of(&key?.0)?, true).await?))
}

pub(super) async fn resume(
    State(site): State<Site>,
    key: Result<Path<String>, PathRejection>,
) -> Answer<PausedView> {
    Ok(Json(paused(&site, &key_of(&key?.0)?, false).await?))
}

pub(crate) async fn paused(site: &Site, key: &Key, paused: bool) -> Result<PausedView, Problem> {
    let in_force = site.in_force();
    Ok(set_paused(site.look(&in_force.rules), key, paused).await?.0)
}

/// What to set of a limit; parts that are not given stay as they are.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LimitBody {
    /// How many at once.
    pub(crate) concurrency: Option<NonZeroU32>,
    /// How often: 5/s, 1/3s, 1000/5m.
    pub(crate) rate: Option<String>,
    /// How many may start at once after a quiet time.
    pub(crate) burst: Option<NonZeroU32>,
    /// Go back to what the configuration says; without anything else.
    #[serde(default)]
    pub(crate) reset: bool,
}

pub(super) async fn limit(
    State(site): State<Site>,
    key: Result<Path<String>, PathRejection>,
    body: Result<Json<LimitBody>, JsonRejection>,
) -> Answer<LimitView> {
    Ok(Json(limited(&site, &key_of(&key?.0)?, body?.0).await?))
}

pub(crate) async fn limited(site: &Site, key: &Key, body: LimitBody) -> Result<LimitView, Problem> {
    let LimitBody { concurrency, rate, burst, reset } = body;
    let rate = given("rate", &rate, |text| text.parse::<Rate>().map_err(|error| error.to_string()))?;
    let set = KeyLimit { concurrency, rate, burst };
    let change = match (reset, set == KeyLimit::default()) {
        (true, true) => LimitChange::Reset,
        (false, false) => LimitChange::Set(set),
        (true, false) => return Err(Problem::value("reset", "give it alone, or what to set")),
        (false, true) => return Err(Problem::value("the limit", "give concurrency, rate, burst or reset")),
    };
    let in_force = site.in_force();
    let changed = change_limit(site.look(&in_force.rules), key, change).await?;
    changed.map(|(view, _)| view).ok_or_else(|| Problem::value("key", "planning is not limited"))
}
