//! The pages: made here, small, and whole without a script. Each shows what the API says.
//!
//! Must never have a script or a style in it, and never a value that was not escaped.

mod act;
mod job;
mod jobs;
mod keys;
mod layout;
mod overview;
mod parts;
mod plugins;
mod settings;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{StatusCode, header};
use maud::{Markup, html};

use self::layout::{Page, page};
use crate::problem::Problem;
use crate::site::Site;

/// Every page and the actions of their forms.
pub(crate) fn router() -> Router<Site> {
    Router::new()
        .route("/", get(overview::show))
        .route("/jobs", get(jobs::show))
        .route("/jobs/{id}", get(job::show))
        .route("/keys", get(keys::show))
        .route("/plugins", get(plugins::show))
        .route("/settings", get(settings::show))
        .route("/do/enqueue", post(act::enqueue))
        .route("/do/retry", post(act::retry))
        .route("/do/cancel", post(act::cancel))
        .route("/do/pause", post(act::pause))
        .route("/do/resume", post(act::resume))
        .route("/do/limit", post(act::limit))
}

/// A page, as it goes out.
fn sent(markup: Markup) -> Response {
    ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], markup.into_string()).into_response()
}

/// What went wrong, for people.
pub(crate) fn problem(site: &Site, problem: &Problem, is_stranger: bool) -> Response {
    let content = html! {
        p { (problem.detail) }
        p { strong { "What to do: " } (problem.to_do) }
    };
    // To one who may not ask, nothing of the site is shown.
    let place = if is_stranger { Page::Stranger } else { Page::None };
    let mut response = sent(page(site, place, &problem.title, content));
    *response.status_mut() =
        StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response
}
