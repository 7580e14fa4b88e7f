//! Reading through the API. What commands show is shown by the same types.
//!
//! Must never read more than a page, whatever is asked for.

use axum::Json;
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use gleaner_desk::{
    Ago, Explained, JobDocument, JobLine, KeyView, Keys, PluginView, RefusedView, Setting, no_such_job,
    parse_host, parse_reason, parse_resolver, parse_state, suspended_now,
};
use gleaner_model::job::JobId;
use gleaner_model::manifest::ManifestRecord;
use gleaner_store::{JobFilter, JobView, ManifestFilter, QueueStats, WorkQueue};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ledger::{Calls, Reloaded};
use crate::overview::Overview;
use crate::problem::Problem;
use crate::site::Site;

/// Rows of a page where nothing else is asked for, and at most.
const ROWS: u32 = 100;
const MOST_ROWS: u32 = 1000;

type Answer<T> = Result<Json<T>, Problem>;

fn rows(limit: Option<u32>) -> u32 {
    limit.unwrap_or(ROWS).clamp(1, MOST_ROWS)
}

pub(super) async fn stats(State(site): State<Site>) -> Answer<QueueStats> {
    Ok(Json(site.library.stats().await?))
}

pub(super) async fn overview(State(site): State<Site>) -> Answer<Overview> {
    Ok(Json(crate::overview::overview(&site).await?))
}

/// Which jobs; all that is given must hold. What is empty counts as not given.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct JobsQuery {
    /// Only jobs in this state: queued, in_progress, done, skipped, error.
    pub(crate) state: Option<String>,
    /// Only jobs that ended for this reason.
    pub(crate) reason: Option<String>,
    /// Only jobs with an attempt of this resolver, or waiting for it.
    pub(crate) resolver: Option<String>,
    /// Only jobs with an attempt that ended at this host, or waiting for it.
    pub(crate) host: Option<String>,
    /// A whole identifier, artifact id or number; else a part of a title, an author, an identifier, or a year.
    pub(crate) text: Option<String>,
    /// Jobs behind this one: the last answer's `next`.
    pub(crate) after: Option<i64>,
    /// At most so many (1 to 1000).
    pub(crate) limit: Option<u32>,
}

impl JobsQuery {
    fn filter(&self) -> Result<JobFilter, Problem> {
        Ok(JobFilter {
            state: given("state", &self.state, parse_state)?,
            reason: given("reason", &self.reason, parse_reason)?,
            resolver: given("resolver", &self.resolver, parse_resolver)?,
            host: given("host", &self.host, parse_host)?,
            text: given("text", &self.text, |text| Ok(text.to_owned()))?,
        })
    }
}

/// A parameter that may be missing or empty.
pub(crate) fn given<T>(
    name: &str,
    text: &Option<String>,
    read: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, Problem> {
    let text = text.as_deref().map(str::trim).filter(|text| !text.is_empty());
    text.map(read).transpose().map_err(|problem| Problem::value(name, problem))
}

/// A page of jobs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Jobs {
    /// In the order of their numbers. With `text`, `resolver` or `host` there may be fewer than asked for, and more behind.
    pub(crate) jobs: Vec<JobLine>,
    /// `after` of the next page; null at the end.
    pub(crate) next: Option<JobId>,
    /// How many jobs were looked at.
    pub(crate) looked_at: u32,
}

pub(crate) async fn jobs_of(site: &Site, query: &JobsQuery) -> Result<Jobs, Problem> {
    let page = site.library.search(query.filter()?, query.after.map(JobId), rows(query.limit)).await?;
    Ok(Jobs {
        jobs: page.rows.iter().map(JobLine::from).collect(),
        next: page.next,
        looked_at: page.looked_at,
    })
}

pub(super) async fn jobs(
    State(site): State<Site>,
    query: Result<Query<JobsQuery>, QueryRejection>,
) -> Answer<Jobs> {
    Ok(Json(jobs_of(&site, &query?.0).await?))
}

/// The job that is meant.
pub(crate) async fn found(site: &Site, id: &str) -> Result<JobView, Problem> {
    let view = site.library.find(id).await?;
    view.ok_or_else(|| Problem::no_such_job(no_such_job(site.library.dir(), id)))
}

pub(super) async fn job(
    State(site): State<Site>,
    id: Result<Path<String>, PathRejection>,
) -> Answer<JobDocument> {
    Ok(Json(found(&site, &id?.0).await?.into()))
}

pub(crate) async fn explained(site: &Site, view: &JobView) -> Result<Explained, Problem> {
    let (in_force, now) = (site.in_force(), site.live.now());
    Ok(gleaner_desk::explain(site.look(&in_force.rules), view, &now.planner).await?)
}

pub(super) async fn explain(
    State(site): State<Site>,
    id: Result<Path<String>, PathRejection>,
) -> Answer<Explained> {
    let view = found(&site, &id?.0).await?;
    Ok(Json(explained(&site, &view).await?))
}

/// Which keys.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeysQuery {
    /// Only keys whose name has this in it.
    pub(crate) text: Option<String>,
    /// Keys behind this one: the last answer's `next`.
    pub(crate) after: Option<String>,
    /// At most so many (1 to 1000).
    pub(crate) limit: Option<u32>,
}

/// A page of keys.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct KeysPage {
    /// Those of which there is something to say, by name.
    pub(crate) keys: Vec<KeyView>,
    /// `after` of the next page; null at the end.
    pub(crate) next: Option<String>,
}

pub(crate) async fn keys_of(site: &Site, query: &KeysQuery) -> Result<KeysPage, Problem> {
    let in_force = site.in_force();
    let all = Keys::read(site.look(&in_force.rules)).await?.keys;
    let text = query.text.as_deref().unwrap_or_default().trim().to_lowercase();
    let mut names =
        all.iter().filter(|key| key.is_of_interest()).map(|key| (key.key().to_string(), key)).filter(
            |(name, _)| name.contains(&text) && query.after.as_ref().is_none_or(|after| name > after),
        );
    let rows = rows(query.limit) as usize;
    let keys: Vec<KeyView> = names.by_ref().take(rows).map(|(_, key)| key.view()).collect();
    let next = names.next().and(keys.last()).map(|last| last.key.clone());
    Ok(KeysPage { keys, next })
}

pub(super) async fn keys(
    State(site): State<Site>,
    query: Result<Query<KeysQuery>, QueryRejection>,
) -> Answer<KeysPage> {
    Ok(Json(keys_of(&site, &query?.0).await?))
}

/// Resolvers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Plugins {
    /// How many times plugins or configuration were loaded; 1 is the start.
    pub(crate) generation: u64,
    /// Those in use, by name.
    pub(crate) plugins: Vec<PluginUse>,
    /// Files that are not used.
    pub(crate) refused: Vec<RefusedView>,
    /// What was loaded anew, or was not, the last first.
    pub(crate) reloads: Vec<Reloaded>,
}

/// A resolver and how it fares.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct PluginUse {
    /// What it is, asks for and may reach.
    #[serde(flatten)]
    pub(crate) plugin: PluginView,
    /// Calls since the server began.
    pub(crate) calls: Calls,
}

pub(crate) async fn plugins_of(site: &Site) -> Result<Plugins, Problem> {
    let now = site.live.now();
    let suspended = suspended_now(site.library.suspensions().await?, &now.resolvers, site.clock.now());
    let plugins = PluginView::all(&now.resolvers, &suspended).into_iter().map(|plugin| {
        let calls = site.ledger.calls(&plugin.base.name);
        PluginUse { plugin, calls }
    });
    Ok(Plugins {
        generation: site.live.number(),
        plugins: plugins.collect(),
        refused: now.resolvers.refused().iter().map(RefusedView::from).collect(),
        reloads: site.ledger.reloads(),
    })
}

pub(super) async fn plugins(State(site): State<Site>) -> Answer<Plugins> {
    Ok(Json(plugins_of(&site).await?))
}

/// Which records; all that is given must hold.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ManifestQuery {
    /// Only records of this run.
    pub(crate) run: Option<String>,
    /// Only records of this job: number, artifact id or identifier.
    pub(crate) job: Option<String>,
    /// Only records of attempts that ended then or later: a time like 2030-01-31T08:00:00Z or 2030-01-31, or how long ago, like 7d.
    pub(crate) since: Option<String>,
    /// Records behind this one: the last answer's `next`.
    pub(crate) after: Option<i64>,
    /// At most so many (1 to 1000).
    pub(crate) limit: Option<u32>,
}

/// A page of the manifest.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Manifest {
    /// In the order of writing. With `run` or `since` there may be fewer than asked for, and more behind.
    pub(crate) records: Vec<ManifestRecord>,
    /// `after` of the next page; null at the end.
    pub(crate) next: Option<i64>,
}

pub(super) async fn manifest(
    State(site): State<Site>,
    query: Result<Query<ManifestQuery>, QueryRejection>,
) -> Answer<Manifest> {
    let ManifestQuery { run, job, since, after, limit } = query?.0;
    let job = match given("job", &job, |text| Ok(text.to_owned()))? {
        Some(id) => Some(found(&site, &id).await?.row.id),
        None => None,
    };
    let since = given("since", &since, str::parse::<Ago>)?.map(|since| since.before(site.clock.now()));
    let filter = ManifestFilter { run: run.filter(|run| !run.is_empty()), job, since };
    let page = site.library.manifest(&filter, after.unwrap_or(0), rows(limit)).await?;
    let numbered = |(number, mut record): (i64, ManifestRecord)| {
        record.seq = Some(number);
        record
    };
    Ok(Json(Manifest { records: page.records.into_iter().map(numbered).collect(), next: page.next }))
}

pub(super) async fn settings(State(site): State<Site>) -> Answer<Vec<Setting>> {
    Ok(Json(site.in_force().settings.clone()))
}
