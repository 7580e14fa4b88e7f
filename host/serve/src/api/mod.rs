//! The API: one table of operations, of which the routes and their description are made.
//!
//! Must never have an operation that is not described, nor describe one that is not there.

mod act;
mod openapi;
mod operation;
mod read;

use axum::Router;
use axum::routing::{get, post};
use gleaner_desk::{Added, Cancelled, Explained, JobDocument, LimitView, PausedView, Retried, Setting};
use gleaner_store::QueueStats;

use self::operation::Operation;
use crate::live;
use crate::overview::Overview;
use crate::site::Site;

#[cfg(test)]
pub(crate) use self::act::too_many;
pub(crate) use self::act::{
    LimitBody, RetryBody, cancel_jobs, enqueue_works, key_of, limited, paused, retry_jobs,
};
pub(crate) use self::read::{
    JobsQuery, KeysQuery, PluginUse, Plugins, explained, found, given, jobs_of, keys_of, plugins_of,
};

/// What all paths begin with.
const PREFIX: &str = "/api/v1";

/// Every operation.
fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/stats", "stats", "Jobs per state, as `queue stats` counts them")
            .answers::<QueueStats>()
            .by(get(read::stats)),
        Operation::get("/overview", "overview", "How the queue stands and gets on")
            .answers::<Overview>()
            .by(get(read::overview)),
        Operation::get("/jobs", "jobs", "Jobs, a page at a time, as `queue list` shows them")
            .query::<read::JobsQuery>()
            .answers::<read::Jobs>()
            .by(get(read::jobs)),
        Operation::get("/jobs/{id}", "job", "Everything about one job, as `queue show` does")
            .answers::<JobDocument>()
            .by(get(read::job)),
        Operation::get(
            "/jobs/{id}/explain",
            "explain",
            "Why a job waits or how it ended, as `queue explain` does",
        )
        .answers::<Explained>()
        .by(get(read::explain)),
        Operation::get(
            "/keys",
            "keys",
            "What steps are limited by, a page at a time, as `queue keys` shows it",
        )
        .query::<read::KeysQuery>()
        .answers::<read::KeysPage>()
        .by(get(read::keys)),
        Operation::get(
            "/plugins",
            "plugins",
            "Resolvers in use, as `plugin list` shows them, and how they fare",
        )
        .answers::<Plugins>()
        .by(get(read::plugins)),
        Operation::get(
            "/manifest",
            "manifest",
            "Records of attempts, a page at a time, as `library manifest` writes them",
        )
        .query::<read::ManifestQuery>()
        .answers::<read::Manifest>()
        .by(get(read::manifest)),
        Operation::get("/settings", "settings", "The configuration with its origins, as `config show` does")
            .answers::<Vec<Setting>>()
            .by(get(read::settings)),
        Operation::get(
            "/events",
            "events",
            "Server-sent events: `change`, at most one a second, when something has changed",
        )
        .streams::<live::Change>()
        .by(get(live::events)),
        Operation::post("/jobs", "enqueue", "Add works, as `queue enqueue` does")
            .takes::<act::Enqueue>()
            .answers::<Added>()
            .by(post(act::enqueue)),
        Operation::post("/jobs/retry", "retry", "Start failed jobs anew, as `queue retry-failed` does")
            .takes::<act::RetryBody>()
            .answers::<Retried>()
            .by(post(act::retry)),
        Operation::post(
            "/jobs/cancel",
            "cancel",
            "End jobs that nobody wants any more, as `queue cancel` does",
        )
        .takes::<act::CancelBody>()
        .answers::<Cancelled>()
        .by(post(act::cancel)),
        Operation::post("/keys/{key}/pause", "pause", "Stop a resolver or a host, as `queue pause` does")
            .answers::<PausedView>()
            .by(post(act::pause)),
        Operation::post(
            "/keys/{key}/resume",
            "resume",
            "Let a resolver or a host go on, as `queue resume` does",
        )
        .answers::<PausedView>()
        .by(post(act::resume)),
        Operation::post(
            "/keys/{key}/limit",
            "limit",
            "Set the limit of a resolver or a host, as `queue limit` does",
        )
        .takes::<act::LimitBody>()
        .answers::<LimitView>()
        .by(post(act::limit)),
    ]
}

/// All of it, and its description.
pub(crate) fn router() -> Router<Site> {
    let router = Router::new().route("/api/v1/openapi.json", get(openapi::document));
    operations()
        .into_iter()
        .fold(router, |router, one| router.route(&format!("{PREFIX}{}", one.path), one.handler))
}
