//! What went wrong, for programs and for people: RFC 9457, with what to do about it.
//!
//! Must never say what is in the library to one who may not ask.

use std::fmt::Display;

use axum::extract::rejection::{FormRejection, JsonRejection, PathRejection, QueryRejection};
use axum::response::{IntoResponse, Response};
use gleaner_store::StoreError;
use http::{HeaderValue, StatusCode, header};
use schemars::JsonSchema;
use serde::Serialize;

/// A problem, as `application/problem+json` has it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Problem {
    /// Which kind it is, for programs: a tag URI.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// What happened.
    pub(crate) title: String,
    /// The HTTP status.
    pub(crate) status: u16,
    /// To which thing, and why.
    pub(crate) detail: String,
    /// What to do about it.
    pub(crate) to_do: String,
}

impl Problem {
    pub(crate) fn new(
        status: StatusCode,
        kind: &str,
        title: &str,
        detail: impl Display,
        to_do: impl Into<String>,
    ) -> Self {
        Self {
            kind: format!("tag:gleaner,2026:{kind}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: detail.to_string(),
            to_do: to_do.into(),
        }
    }

    /// A parameter, a field or a path that is not understood.
    pub(crate) fn value(name: &str, detail: impl Display) -> Self {
        let detail = format!("{name}: {detail}");
        let to_do = "correct it; /api/v1/openapi.json says what each can be";
        Self::new(StatusCode::BAD_REQUEST, "bad-value", "A value is not understood", detail, to_do)
    }

    pub(crate) fn no_such_job(detail: String) -> Self {
        let to_do = "look it up in /jobs, by a part of its title too";
        Self::new(StatusCode::NOT_FOUND, "unknown-job", "There is no such job", detail, to_do)
    }

    pub(crate) fn no_such_page(path: &str) -> Self {
        let detail = format!("nothing is at {path}");
        let to_do = "begin at /; the API is described in /api/v1/openapi.json";
        Self::new(StatusCode::NOT_FOUND, "unknown-path", "There is no such page", detail, to_do)
    }

    pub(crate) fn method(method: &http::Method, path: &str) -> Self {
        let detail = format!("{path} does not take {method}");
        let to_do = "read with GET, change with POST";
        let status = StatusCode::METHOD_NOT_ALLOWED;
        Self::new(status, "wrong-method", "The method is not allowed here", detail, to_do)
    }

    pub(crate) fn body(status: StatusCode, detail: String) -> Self {
        let to_do = match status {
            StatusCode::PAYLOAD_TOO_LARGE => "send less at a time; at most 1 MiB is taken",
            StatusCode::REQUEST_TIMEOUT => "send it again",
            StatusCode::UNSUPPORTED_MEDIA_TYPE => "send JSON, with content-type: application/json",
            _ => "correct it; /api/v1/openapi.json says what is expected",
        };
        Self::new(status, "bad-body", "The body is not understood", detail, to_do)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = (status, body).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        // A page is made of it where people ask.
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::warn!("an answer of the server failed: {error}");
        let status = StatusCode::SERVICE_UNAVAILABLE;
        let to_do = "ask again; if it stays so, the log and /readyz say more";
        Self::new(status, "library", "The library does not answer", error, to_do)
    }
}

impl From<JsonRejection> for Problem {
    fn from(error: JsonRejection) -> Self {
        Self::body(error.status(), error.body_text())
    }
}

impl From<FormRejection> for Problem {
    fn from(error: FormRejection) -> Self {
        Self::body(error.status(), error.body_text())
    }
}

impl From<QueryRejection> for Problem {
    fn from(error: QueryRejection) -> Self {
        Self::value("the query", error.body_text())
    }
}

impl From<PathRejection> for Problem {
    fn from(error: PathRejection) -> Self {
        Self::value("the path", error.body_text())
    }
}
