//! How many answers are made at once, and how long a body may take.
//!
//! Must never give a turn to a request whose body is not there yet: who sends slowly, or stops, would keep others waiting.

use std::time::Duration;

use axum::body::{Body, Bytes, to_bytes};
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
    let body = match whole(body).await {
        Ok(body) => body,
        Err(problem) => return problem.into_response(),
    };
    let request = Request::from_parts(head, Body::from(body));
    // It is never closed.
    let turn = site.turns.acquire().await;
    let response = next.run(request).await;
    drop(turn);
    response
}

async fn whole(body: Body) -> Result<Bytes, Problem> {
    match timeout(BODY_WITHIN, to_bytes(body, MOST_BODY)).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(error)) => {
            let is_too_long = error.into_inner().is::<LengthLimitError>();
            let status = if is_too_long { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
            Err(Problem::body(status, "the body could not be read whole".to_owned()))
        }
        Err(_) => {
            let detail = format!("the body was not there within {} s", BODY_WITHIN.as_secs());
            Err(Problem::body(StatusCode::REQUEST_TIMEOUT, detail))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::convert::Infallible;

    use futures_util::stream;

    use super::*;

    /// What becomes of a body that never ends, of one that breaks off, and of one that is too large.
    pub(crate) async fn refused() -> [Problem; 3] {
        let first = stream::iter([Ok::<_, Infallible>("{")]);
        let unended = Body::from_stream(futures_util::StreamExt::chain(first, stream::pending()));
        let broken = Body::from_stream(stream::iter([Err::<&str, _>(std::io::Error::other("gone"))]));
        let large = Body::from(vec![b' '; MOST_BODY + 1]);
        let mut problems = Vec::new();
        for body in [unended, broken, large] {
            problems.push(whole(body).await.unwrap_err());
        }
        problems.try_into().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_come_is_given_up_and_one_of_the_full_size_is_read() {
        let began = tokio::time::Instant::now();
        let statuses = refused().await.map(|problem| problem.status);
        assert_eq!(statuses, [408, 400, 413]);
        assert_eq!(began.elapsed(), BODY_WITHIN);
        assert_eq!(whole(Body::from(vec![b' '; MOST_BODY])).await.unwrap().len(), MOST_BODY);
    }
}
