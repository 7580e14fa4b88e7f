//! The overview: how the queue stands and gets on, at a glance.
//!
//! Must never show a number that the API does not have.

use std::time::Duration;

use axum::extract::{Query, State};
use axum::response::Response;
use gleaner_model::job::JobState;
use maud::{Markup, html};

use super::act::{Told, notice};
use super::layout::{Page, page};
use super::parts::{bar, bytes, encoded, number, rounded, state_word, time, token, works};
use super::sent;
use crate::overview::{Breakdown, Overview, overview};
use crate::problem::Problem;
use crate::site::Site;

/// `GET /`.
pub(super) async fn show(State(site): State<Site>, Query(told): Query<Told>) -> Result<Response, Problem> {
    let now = overview(&site).await?;
    let content = html! {
        (notice(&told))
        div.columns {
            section aria-labelledby="queue" { h2 #queue { "Queue" } div #live-queue data-live { (queue(&now)) } }
            section aria-labelledby="pace" { h2 #pace { "Throughput" } div #live-pace data-live { (pace(&now)) } }
            section aria-labelledby="yield" { h2 #yield { "Yield by resolver" } div #live-yield data-live { (yields(&now)) } }
            section aria-labelledby="reasons" { h2 #reasons { "Without a file" } div #live-reasons data-live { (reasons(&now)) } }
            section aria-labelledby="active" { h2 #active { "At work" } div #live-active data-live { (active(&now)) } }
            section aria-labelledby="failures" { h2 #failures { "Last failures" } div #live-failures data-live { (failures(&now)) } }
        }
        section aria-labelledby="add" {
            h2 #add { "Add works" }
            form method="post" action="/do/enqueue" {
                (token(&site))
                label for="works" { "One work a line: DOI, arXiv id, pmid:…, PMC…, isbn:…, or a URL" }
                textarea #works name="works" rows="3" required {}
                button type="submit" { "Add" }
            }
        }
    };
    Ok(sent(page(&site, Page::Overview, "Overview", content)))
}

fn queue(now: &Overview) -> Markup {
    let stats = &now.stats;
    html! {
        table {
            caption.quiet { "Works by state, " (number(stats.total)) " in all" }
            thead { tr { th scope="col" { "State" } th.number scope="col" { "Works" } th.wide scope="col" { span.hidden { "Share" } } } }
            tbody {
                @for (state, count) in stats.by_state() {
                    tr {
                        th scope="row" { a href={ "/jobs?state=" (state) } { (state_word(state)) } }
                        td.number { (number(count)) }
                        td { (bar(count, stats.total, state.as_str())) }
                    }
                }
            }
        }
    }
}

fn pace(now: &Overview) -> Markup {
    let most = now.history.iter().copied().max().unwrap_or(0);
    html! {
        dl {
            dt { "Ended in a minute" }
            dd { @match now.per_minute { Some(rate) => (format!("{rate:.1}")), None => "not known yet" } }
            dt { "Left" }
            dd { (works(now.stats.unfinished())) }
            dt { "All done" }
            dd {
                @match now.eta_seconds {
                    _ if now.stats.unfinished() == 0 => "now: nothing is left",
                    Some(seconds) => { "in about " (rounded(Duration::from_secs(seconds))) },
                    None => "not known: nothing has ended lately",
                }
            }
        }
        @if now.history.len() > 1 {
            svg.spark viewBox={ "0 0 " (now.history.len()) " 40" } preserveAspectRatio="none" role="img"
                aria-label={ "Works that ended in each quarter of a minute of the last hour; at most " (most) } {
                @for (place, count) in now.history.iter().enumerate() {
                    @let height = if most == 0 { 0.0 } else { *count as f64 * 40.0 / most as f64 };
                    rect.done x=(place) y=(format!("{:.1}", 40.0 - height)) width="0.9" height=(format!("{height:.1}")) {}
                }
            }
        }
        p.quiet { "Since " (time(&now.since)) }
    }
}

fn counted(now: &Overview, show: impl FnOnce(&Breakdown) -> Markup) -> Markup {
    html! {
        @match &now.counted {
            Some(counted) => { (show(counted)) p.quiet { "As of " (time(&counted.at)) } },
            None => p { "Being counted." },
        }
    }
}

fn yields(now: &Overview) -> Markup {
    counted(now, |counted| {
        let most = counted.yields.iter().map(|one| one.files).max().unwrap_or(0);
        html! {
            table {
                caption.quiet { (number(counted.files)) " files, " (bytes(counted.bytes)) }
                thead { tr { th scope="col" { "Resolver" } th.number scope="col" { "Files" } th.wide scope="col" { span.hidden { "Share" } } } }
                tbody {
                    @for one in &counted.yields {
                        tr {
                            th scope="row" { a href={ "/jobs?state=done&resolver=" (encoded(&one.resolver)) } { (one.resolver) } }
                            td.number { (number(one.files)) }
                            td { (bar(one.files, most, "done")) }
                        }
                    }
                    @if counted.yields.is_empty() { tr { td colspan="3" { "No file yet." } } }
                }
            }
        }
    })
}

fn reasons(now: &Overview) -> Markup {
    counted(now, |counted| {
        let mut without: Vec<_> = counted.ended.iter().filter(|one| one.state != JobState::Done).collect();
        without.sort_by_key(|one| std::cmp::Reverse(one.jobs));
        let most = without.iter().map(|one| one.jobs).max().unwrap_or(0);
        html! {
            table {
                caption.quiet { "Why works ended without a file" }
                thead { tr { th scope="col" { "Reason" } th.number scope="col" { "Works" } th.wide scope="col" { span.hidden { "Share" } } } }
                tbody {
                    @for one in &without {
                        tr {
                            th scope="row" {
                                a href={ "/jobs?state=" (one.state) "&reason=" (one.reason) } title=(one.reason.meaning()) { (one.reason) }
                                " " span.quiet { (state_word(one.state)) }
                            }
                            td.number { (number(one.jobs)) }
                            td { (bar(one.jobs, most, one.state.as_str())) }
                        }
                    }
                    @if without.is_empty() { tr { td colspan="3" { "None." } } }
                }
            }
        }
    })
}

fn active(now: &Overview) -> Markup {
    html! {
        table {
            caption.quiet { "Resolvers and hosts with steps that run" }
            thead { tr { th scope="col" { "Key" } th.number scope="col" { "Runs" } th.number scope="col" { "Waits" } } }
            tbody {
                @for one in &now.active {
                    tr {
                        th scope="row" { a href={ "/keys?text=" (encoded(&one.key)) } { (one.key) } }
                        td.number { (number(one.in_flight)) }
                        td.number { (number(one.waiting)) }
                    }
                }
                @if now.active.is_empty() { tr { td colspan="3" { "Nothing runs." } } }
            }
        }
    }
}

fn failures(now: &Overview) -> Markup {
    html! {
        @if now.failures.is_empty() { p { "None since the server began." } }
        @else {
            ul.plain {
                @for one in &now.failures {
                    li {
                        a href={ "/jobs/" (one.job) } { (one.artifact_id) } " "
                        span.state.error { (one.reason) } " " (one.detail) " " span.quiet { (time(&one.at)) }
                    }
                }
            }
        }
    }
}
