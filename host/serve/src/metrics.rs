//! `/metrics`: what a Prometheus reads.
//!
//! The one place for it: [`text`] is all of it. Must never have a label with values that nobody bounds.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use gleaner_store::{QueueStats, WorkQueue};
use http::header;

use crate::problem::Problem;
use crate::site::Site;

/// `GET /metrics`.
pub(crate) async fn metrics(State(site): State<Site>) -> Result<Response, Problem> {
    let text = text(&site.library.stats().await?);
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// In the text format of Prometheus.
fn text(stats: &QueueStats) -> String {
    let QueueStats { queued, in_progress, done, skipped, error, .. } = stats;
    let states = [
        ("queued", queued),
        ("in_progress", in_progress),
        ("done", done),
        ("skipped", skipped),
        ("error", error),
    ];
    let rows: String = states
        .iter()
        .map(|(state, jobs)| format!("gleaner_queue_depth{{state=\"{state}\"}} {jobs}\n"))
        .collect();
    format!("# HELP gleaner_queue_depth Jobs by state.\n# TYPE gleaner_queue_depth gauge\n{rows}")
}
