//! Whether the process lives, and whether it does its work.
//!
//! Must never need the token, and never say what is in the library.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use gleaner_store::WorkQueue;
use http::StatusCode;
use serde_json::json;

use crate::site::Site;

/// How long the library may take to answer.
const WITHIN: Duration = Duration::from_secs(2);

/// `/healthz`: it answers, so it lives.
pub(crate) async fn alive() -> &'static str {
    "alive\n"
}

/// `/readyz`: 200, or 503 with every reason.
pub(crate) async fn ready(State(site): State<Site>) -> Response {
    let mut reasons = Vec::new();
    match tokio::time::timeout(WITHIN, site.library.stats()).await {
        Ok(Ok(_)) => {}
        Ok(Err(error)) => {
            // Whoever asks need not have the token, and the error names files.
            tracing::warn!("/readyz: {error}");
            reasons.push("the library cannot be read; the log says why".to_owned());
        }
        Err(_) => reasons.push(format!("the library does not answer within {} s", WITHIN.as_secs())),
    }
    if site.live.now().resolvers.list().next().is_none() {
        reasons.push("no resolver is loaded; see `gleaner plugin list`".to_owned());
    }
    let status = if reasons.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(json!({ "ready": reasons.is_empty(), "reasons": reasons }))).into_response()
}
