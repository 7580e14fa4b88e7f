//! Keys: what waits under each, what holds for it, and the forms that change that.
//!
//! Must never change anything by a link.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::Response;
use gleaner_desk::{Ago, KeyView};
use gleaner_model::clock::UnixMillis;
use maud::{Markup, html};
use serde::Deserialize;

use super::act::{Told, notice};
use super::layout::{Page, page};
use super::parts::{countdown, encoded, number, time, token};
use super::sent;
use crate::api::{KeysQuery, keys_of};
use crate::problem::Problem;
use crate::site::Site;

/// Keys of a page.
const ROWS: u32 = 50;

/// What stands behind the question mark.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    text: Option<String>,
    after: Option<String>,
    did: Option<String>,
    count: Option<u64>,
}

/// `GET /keys`.
pub(super) async fn show(
    State(site): State<Site>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Response, Problem> {
    let Asked { text, after, did, count } = asked?.0;
    let query = KeysQuery { text, after, limit: Some(ROWS) };
    let found = keys_of(&site, &query).await?;
    let text = query.text.as_deref().unwrap_or_default();
    let content = html! {
        (notice(&Told { did, count }))
        form.search method="get" action="/keys" role="search" {
            p { label for="text" { "Resolver or host" } input #text type="search" name="text" value=(text); }
            p { button type="submit" { "Find" } }
        }
        @if found.keys.is_empty() { p { "No key of that name has jobs or a setting." } }
        ul.cards { @for key in &found.keys { (card(&site, key)) } }
        @if let Some(next) = &found.next {
            nav.pages aria-label="Pages of this list" {
                a rel="next" href={ "/keys?text=" (encoded(text)) "&after=" (encoded(next)) } { "Next page" }
            }
        }
    };
    Ok(sent(page(&site, Page::Keys, "Keys", content)))
}

fn card(site: &Site, key: &KeyView) -> Markup {
    // Keys that differ in a dot alone have ids that differ.
    let id = format!("live-{}", encoded(&key.key));
    html! {
        li.card {
            h2 { (key.key) }
            div id=(id) data-live { (facts(site, key)) }
            @if key.concurrency.is_some() { (forms(site, key)) }
        }
    }
}

fn moment(at: &Option<String>) -> Option<UnixMillis> {
    // What the view wrote reads back.
    at.as_deref()?.parse::<Ago>().ok().map(|at| at.before(UnixMillis(0)))
}

fn facts(site: &Site, key: &KeyView) -> Markup {
    let until = |at: &Option<String>| {
        html! { @if let (Some(text), Some(at)) = (at, moment(at)) { (countdown(site, at)) " " span.quiet { (time(text)) } } }
    };
    html! {
        dl {
            dt { "Ready" } dd { (number(key.ready)) }
            dt { "Delayed" } dd { (number(key.delayed)) }
            dt { "Runs" } dd { (number(key.in_flight)) @if let Some(most) = key.concurrency { " of " (most) } }
            @if let Some(rate) = key.rate { dt { "Rate" } dd { (rate) @if let Some(burst) = key.burst { ", burst " (burst) } } }
            @if let Some(per_day) = key.per_day { dt { "A day" } dd { (per_day) } }
            @if key.concurrency.is_some() { dt { "Limit" } dd { @if key.source == "set" { "set here" } @else { "of the configuration" } } }
            @if key.pace < 100 { dt { "Pace" } dd { (key.pace) " %" } }
            @if let Some(pid) = key.owner_pid { dt { "Owner" } dd { "process " (pid) } }
        }
        @if key.paused { p { span.state.error { "paused" } " by an operator" } }
        @if key.cooldown_until.is_some() {
            p {
                span.state.skipped { @if key.breaker { "fails" } @else { "cools down" } }
                " goes on " (until(&key.cooldown_until))
            }
        }
        @if key.spent_until.is_some() { p { span.state.skipped { "the day's budget is used up" } " goes on " (until(&key.spent_until)) } }
        @if key.suspended_until.is_some() {
            p {
                span.state.error { "suspended" } " is tried " (until(&key.suspended_until))
                @if let Some(because) = &key.suspended_because { br; (because) }
            }
        }
    }
}

fn forms(site: &Site, key: &KeyView) -> Markup {
    let id = |part: &str| format!("{part}-{}", key.key);
    let (action, verb) =
        if key.paused || key.suspended_until.is_some() { ("resume", "Resume") } else { ("pause", "Pause") };
    html! {
        form method="post" action={ "/do/" (action) } {
            (token(site))
            input type="hidden" name="key" value=(key.key);
            button type="submit" aria-label={ (verb) " " (key.key) } { (verb) }
        }
        details {
            summary { "Limit" }
            form method="post" action="/do/limit" {
                (token(site))
                input type="hidden" name="key" value=(key.key);
                p { label for=(id("concurrency")) { "At once" } input id=(id("concurrency")) type="number" name="concurrency" min="1" max="65535" placeholder=[key.concurrency]; }
                p { label for=(id("rate")) { "How often, like 5/s or 1/3s" } input id=(id("rate")) type="text" name="rate" size="8" placeholder=[key.rate]; }
                p { label for=(id("burst")) { "Burst" } input id=(id("burst")) type="number" name="burst" min="1" max="65535" placeholder=[key.rate.and(key.burst)]; }
                button type="submit" { "Set" }
                button type="submit" name="reset" value="true" { "As configured" }
            }
        }
    }
}
