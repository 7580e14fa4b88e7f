//! Jobs: found by state, reason, resolver, host or text, a page at a time.
//!
//! Must never show more than a page, however many there are.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use gleaner_desk::JobLine;
use gleaner_model::job::JobState;
use gleaner_model::reason::Reason;
use maud::{Markup, html};
use serde::Deserialize;

use super::act::{Told, notice};
use super::layout::{Page, page};
use super::parts::{encoded, number, state, state_word, time, token, works};
use super::sent;
use crate::api::{JobsQuery, jobs_of};
use crate::problem::Problem;
use crate::site::Site;

/// Rows of a page.
const ROWS: u32 = 50;

/// What stands behind the question mark.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    state: Option<String>,
    reason: Option<String>,
    resolver: Option<String>,
    host: Option<String>,
    text: Option<String>,
    after: Option<i64>,
    did: Option<String>,
    count: Option<u64>,
}

/// `GET /jobs`.
pub(super) async fn show(
    State(site): State<Site>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Asked { state, reason, resolver, host, text, after, did, count } = asked?.0;
    let query = JobsQuery { state, reason, resolver, host, text, after, limit: Some(ROWS) };
    let found = jobs_of(&site, &query).await?;
    let is_failed = [Some("error"), Some("skipped")].contains(&query.state.as_deref());
    let content = html! {
        (notice(&Told { did, count }))
        (search(&query))
        // A search looks through thousands of works: once, and not with every change.
        div #live-jobs data-live[!is_dear(&query)] {
            @if is_dear(&query) { p.quiet { "What is found here is of when you asked; find again to see what has changed." } }
            table.rows {
                caption.quiet {
                    @if found.jobs.is_empty() { "No work " } @else { (works(found.jobs.len() as u64)) " " }
                    @if let Some(after) = query.after { "behind number " (after) ", " }
                    @if found.looked_at as usize > found.jobs.len() { "of " (number(found.looked_at.into())) " looked at" }
                }
                thead {
                    tr {
                        th scope="col" { "Work" } th scope="col" { "State" }
                        th scope="col" { "Why, or what it waits for" } th scope="col" { "When" }
                    }
                }
                tbody { @for job in &found.jobs { (row(job)) } }
            }
        }
        nav.pages aria-label="Pages of this list" {
            @if query.after.is_some() { a href={ "/jobs?" (link(&query, None)) } { "First page" } }
            @if let Some(next) = found.next {
                a rel="next" href={ "/jobs?" (link(&query, Some(next.0))) } {
                    @if found.jobs.len() < ROWS as usize { "Look further" } @else { "Next page" }
                }
            }
        }
        @if is_failed { (retry(&site, &query)) }
    };
    Ok(sent(page(&site, Page::Jobs, "Jobs", content)))
}

/// Whether works are looked at one by one.
fn is_dear(query: &JobsQuery) -> bool {
    let given = [&query.text, &query.resolver, &query.host];
    given.iter().any(|one| one.as_deref().is_some_and(|one| !one.trim().is_empty()))
}

fn row(job: &JobLine) -> Markup {
    html! {
        tr {
            th scope="row" {
                a href={ "/jobs/" (job.job) } { (job.title.as_deref().unwrap_or(&job.artifact_id)) }
                @if job.title.is_some() { br; span.quiet { (job.artifact_id) } }
            }
            td data-label="State" { (state(job.state)) }
            td data-label="Why" {
                @if let Some(reason) = job.reason { span title=(reason.meaning()) { (reason) } " " (job.detail) }
                @if let Some(key) = &job.key { (key) }
            }
            td data-label="When" { @if let Some(at) = &job.at { (time(at)) } }
        }
    }
}

fn search(query: &JobsQuery) -> Markup {
    let is = |given: &Option<String>, value: &str| given.as_deref() == Some(value);
    html! {
        form.search method="get" action="/jobs" role="search" {
            p {
                label for="text" { "Title, author, identifier" }
                input #text type="search" name="text" value=[query.text.as_deref()];
            }
            p {
                label for="state" { "State" }
                select #state name="state" {
                    option value="" { "any" }
                    @for state in JobState::ALL {
                        option value=(state) selected[is(&query.state, state.as_str())] { (state_word(state)) }
                    }
                }
            }
            p {
                label for="reason" { "Reason" }
                select #reason name="reason" {
                    option value="" { "any" }
                    @for reason in Reason::ALL {
                        option value=(reason) selected[is(&query.reason, reason.as_str())] { (reason) }
                    }
                }
            }
            p {
                label for="resolver" { "Resolver" }
                input #resolver type="text" name="resolver" size="14" value=[query.resolver.as_deref()];
            }
            p {
                label for="host" { "Host" }
                input #host type="text" name="host" size="18" value=[query.host.as_deref()];
            }
            p { button type="submit" { "Find" } }
        }
    }
}

/// Starts all of a kind anew, with what is asked for now.
fn retry(site: &Site, query: &JobsQuery) -> Markup {
    let kept = [
        ("state", &query.state),
        ("reason", &query.reason),
        ("resolver", &query.resolver),
        ("host", &query.host),
    ];
    html! {
        @if query.text.as_deref().unwrap_or_default().is_empty() {
            form method="post" action="/do/retry" {
                (token(site))
                @for (name, value) in kept { input type="hidden" name=(name) value=(value.as_deref().unwrap_or_default()); }
                button type="submit" { "Start all works of this list anew" }
            }
        }
    }
}

fn link(query: &JobsQuery, after: Option<i64>) -> String {
    let pairs = [
        ("state", &query.state),
        ("reason", &query.reason),
        ("resolver", &query.resolver),
        ("host", &query.host),
        ("text", &query.text),
    ];
    let given = pairs.iter().filter_map(|(name, value)| {
        let value = value.as_deref().filter(|value| !value.is_empty())?;
        Some(format!("{name}={}", encoded(value)))
    });
    given.chain(after.map(|after| format!("after={after}"))).collect::<Vec<_>>().join("&")
}
