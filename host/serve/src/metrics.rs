//! `/metrics`: what a Prometheus reads.
//!
//! What is counted, and under which names, is telemetry's. Must never have a label with values that nobody bounds.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use gleaner_store::WorkQueue;
use gleaner_telemetry::Metrics;
use http::header;

use crate::problem::Problem;
use crate::site::Site;

/// `GET /metrics`: the counts of this process, and the library's jobs as they stand now.
pub(crate) async fn metrics(State(site): State<Site>) -> Result<Response, Problem> {
    let stats = site.library.stats().await?;
    let metrics = gleaner_telemetry::metrics();
    metrics.set_depths(&stats.by_state());
    Ok(([(header::CONTENT_TYPE, Metrics::CONTENT_TYPE)], metrics.render()).into_response())
}
