//! How many answers are made at once, and how long a body may take.
//!
//! Must never give a turn to a request whose body is not there yet: who sends slowly, or stops, would keep others waiting.

use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http_body_util::LengthLimitError;
use tokio::time::timeout;

use crate::problem::Problem;
use crate::site::Site;

/// The largest body.
const MOST_BODY: usize = 1 << 20;
/// From the head of a request to the end of its body.
const BODY_WITHIN: Duration = Duration::from_secs(20);

/// So many at a time, each with its whole body: who sends slowly keeps nobody waiting.
pub(crate) async fn in_turn(State(site): State<Site>, request: Request, next: Next) -> Response {
    let (head, body) = request.into_parts();
    let body = match timeout(BODY_WITHIN, to_bytes(body, MOST_BODY)).await {
        Ok(Ok(body)) => body,
        Ok(Err(error)) => {
            let is_too_long = error.into_inner().is::<LengthLimitError>();
            let status = if is_too_long { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
            return Problem::body(status, "the body could not be read whole".to_owned()).into_response();
        }
        Err(_) => {
            let detail = format!("the body was not there within {} s", BODY_WITHIN.as_secs());
            return Problem::body(StatusCode::REQUEST_TIMEOUT, detail).into_response();
        }
    };
    let request = Request::from_parts(head, Body::from(body));
    // It is never closed.
    let turn = site.turns.acquire().await;
    let response = next.run(request).await;
    drop(turn);
    response
}
