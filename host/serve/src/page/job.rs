//! One job: where it stands, why, what was tried with every address on the way, what comes next, its file.
//!
//! Must never link to an address that is not http or https.

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use gleaner_desk::{Explained, JobDocument};
use gleaner_model::job::JobState;
use gleaner_model::manifest::ManifestRecord;
use maud::{Markup, html};

use super::act::{Told, notice};
use super::layout::{Page, page};
use super::parts::{bytes, state, time, token, took};
use super::sent;
use crate::api::{explained, found};
use crate::problem::Problem;
use crate::site::Site;

/// `GET /jobs/ID`.
pub(super) async fn show(
    State(site): State<Site>,
    id: Result<Path<String>, PathRejection>,
    Query(told): Query<Told>,
) -> Result<Response, Problem> {
    let view = found(&site, &id?.0).await?;
    let explained = explained(&site, &view).await?;
    let job = JobDocument::from(view);
    let title = job.line.title.clone().unwrap_or_else(|| job.line.artifact_id.clone());
    let content = html! {
        (notice(&told))
        div #live-job data-live {
            section aria-labelledby="where" { h2 #where { "Where it stands" } (stands(&job, &explained)) }
            @if job.file.is_some() { section aria-labelledby="file" { h2 #file { "File" } (file(&site, &job)) } }
            section aria-labelledby="plan" { h2 #plan { "Plan" } (plan(&explained)) }
            section aria-labelledby="attempts" { h2 #attempts { "Attempts" } (attempts(&job.attempts_made)) }
        }
        @if [JobState::Queued, JobState::InProgress].contains(&job.line.state) {
            form method="post" action="/do/cancel" {
                (token(&site))
                input type="hidden" name="id" value=(job.line.job);
                button.danger type="submit" { "Cancel this work" }
            }
        }
    };
    Ok(sent(page(&site, Page::Jobs, &title, content)))
}

fn stands(job: &JobDocument, explained: &Explained) -> Markup {
    let artifact = &job.artifact;
    html! {
        dl {
            dt { "State" } dd { (state(job.line.state)) @if let Some(at) = &job.line.at { (at_word(job.line.state)) (time(at)) } }
            dt { "Work" } dd { (job.line.artifact_id) " " span.quiet { "job " (job.line.job) } }
            @if !artifact.authors.is_empty() {
                dt { "Authors" } dd { (artifact.authors.join("; ")) @if let Some(year) = artifact.year { ", " (year) } }
            }
            dt { "Identifiers" }
            dd { @for one in artifact.identifiers.iter().chain(&job.plan.discovered) { code { (one) } " " } }
        }
        ul {
            @for why in &explained.why {
                li { (why.says) @if let Some(to_do) = &why.to_do { br; span.quiet { (to_do) } } }
            }
        }
    }
}

/// What the time of a job is.
fn at_word(state: JobState) -> &'static str {
    match state {
        JobState::Queued => ", not before ",
        JobState::InProgress => ", its lease lasts until ",
        JobState::Done | JobState::Skipped | JobState::Error => " at ",
    }
}

fn file(site: &Site, job: &JobDocument) -> Markup {
    html! {
        @if let Some(file) = &job.file {
            dl {
                dt { "Name" } dd { code { (site.library.dir().join(&file.name).display()) } }
                dt { "Kind" } dd { (file.media_type) ", " (bytes(file.size)) }
                dt { "SHA-256" } dd { code.long { (file.sha256) } }
                dt { "Stored" } dd { (time(&file.stored_at.to_string())) }
            }
        }
    }
}

fn plan(explained: &Explained) -> Markup {
    html! {
        table.rows {
            caption.quiet { "What comes next, in this order, until a file is accepted" }
            thead { tr { th scope="col" { "Step" } th scope="col" { "Where" } th scope="col" { "When" } th scope="col" { "Tier" } } }
            tbody {
                @for row in explained.next.iter().map(|next| next.row()) {
                    tr { @for cell in &row { td { (cell) } } }
                }
                @if explained.next.is_empty() { tr { td colspan="4" { "Nothing is left to do." } } }
            }
        }
        @if let Some(ending) = &explained.then { p { (ending.in_words()) } }
    }
}

fn attempts(records: &[ManifestRecord]) -> Markup {
    let longest = records.iter().map(|record| record.durations.total_ms).max().unwrap_or(0);
    html! {
        @if records.is_empty() { p { "None yet." } }
        ol.attempts {
            @for record in records {
                li {
                    p {
                        strong { (record.resolver) } " "
                        span class={ "state " (outcome_class(record)) } { (record.reason) } " "
                        (record.detail) " " span.quiet { (time(&record.time)) }
                    }
                    @if !record.url_chain.is_empty() {
                        ol.chain aria-label="Addresses on the way" {
                            @for url in &record.url_chain { li { (address(url)) } }
                        }
                    } @else if let Some(url) = &record.candidate_url { p { (address(url)) } }
                    p.quiet {
                        @if let Some(status) = record.status { "HTTP " (status) " · " }
                        @if let Some(size) = record.bytes { (bytes(size)) " · " }
                        @if let Some(count) = record.candidates { (count) " candidates · " }
                        @if let Some(version) = &record.resolver_version { (record.resolver) " " (version) " · " }
                        "try " (record.attempt)
                    }
                    (timing(record, longest))
                }
            }
        }
    }
}

fn outcome_class(record: &ManifestRecord) -> &'static str {
    use gleaner_model::manifest::AttemptOutcome;
    match record.outcome {
        AttemptOutcome::Answered | AttemptOutcome::Accepted => "done",
        AttemptOutcome::Rejected => "skipped",
        AttemptOutcome::Failed => "error",
    }
}

fn address(url: &str) -> Markup {
    let is_web = url.starts_with("https://") || url.starts_with("http://");
    html! {
        @if is_web { a href=(url) rel="noreferrer noopener nofollow" { (url) } } @else { code { (url) } }
    }
}

/// How long each part took, against the longest attempt of the job.
fn timing(record: &ManifestRecord, longest: u64) -> Markup {
    let durations = &record.durations;
    let parts = [
        ("waiting", "queued", durations.wait_ms),
        ("asking", "in_progress", durations.resolve_ms),
        ("first byte", "skipped", durations.first_byte_ms),
    ];
    let known: u64 = parts.iter().filter_map(|(.., ms)| *ms).sum();
    let rest = durations.total_ms.saturating_sub(known);
    let mut parts: Vec<_> = parts
        .into_iter()
        .filter_map(|(name, class, ms)| Some((name, class, ms.filter(|ms| *ms > 0)?)))
        .collect();
    if rest > 0 {
        parts.push(("the rest", "done", rest));
    }
    let share = |ms: u64| if longest == 0 { 0.0 } else { ms as f64 * 100.0 / longest as f64 };
    let says =
        parts.iter().map(|(name, _, ms)| format!("{name} {}", took(*ms))).collect::<Vec<_>>().join(", ");
    let mut from = 0;
    html! {
        p.timing {
            span { "took " (took(durations.total_ms)) @if !says.is_empty() { ": " (says) } }
            svg.bar width="100%" height="10" aria-hidden="true" focusable="false" {
                rect.rail width="100%" height="10" rx="3" {}
                @for (_, class, ms) in &parts {
                    rect class=(class) x={ (format!("{:.2}", share(from))) "%" } width={ (format!("{:.2}", share(*ms))) "%" } height="10" {}
                    @let () = from += ms;
                }
            }
        }
    }
}
