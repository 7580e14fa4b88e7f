//! What forms do: the changes of the API, told on the page that comes back.
//!
//! Must never do anything for a form that is not of this server, nor go anywhere but to its pages.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::response::{IntoResponse, Redirect, Response};
use gleaner_desk::{Turn, Wanted};
use maud::{Markup, html};
use serde::Deserialize;

use super::parts::{encoded, works};
use crate::api::{self, LimitBody, RetryBody, given, key_of};
use crate::problem::Problem;
use crate::site::Site;

type Sent<T> = Result<Form<T>, FormRejection>;
type Answer = Result<Response, Problem>;

/// What was done, as the page says it that comes back.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Told {
    pub(super) did: Option<String>,
    pub(super) count: Option<u64>,
}

/// Nothing that was not done here is repeated: a link could say anything.
pub(super) fn notice(told: &Told) -> Markup {
    let count = told.count.unwrap_or(0);
    let says = match told.did.as_deref() {
        Some("enqueue") => Some(format!("{} added.", works(count))),
        Some("retry") if count == 1 => Some("1 work starts anew.".to_owned()),
        Some("retry") => Some(format!("{} start anew.", works(count))),
        Some("cancel") => Some("Cancelled.".to_owned()),
        Some("pause") => Some("Paused. Steps that run finish.".to_owned()),
        Some("resume") => Some("It goes on.".to_owned()),
        Some("limit") => Some("The limit is set.".to_owned()),
        _ => None,
    };
    html! { @if let Some(says) = says { p.notice role="status" { (says) } } }
}

fn back(to: &str, did: &str, count: u64) -> Response {
    let mark = if to.contains('?') { '&' } else { '?' };
    Redirect::to(&format!("{to}{mark}did={did}&count={count}")).into_response()
}

#[derive(Deserialize)]
pub(super) struct EnqueueForm {
    form_token: String,
    works: String,
}

pub(super) async fn enqueue(State(site): State<Site>, form: Sent<EnqueueForm>) -> Answer {
    let EnqueueForm { form_token, works } = form?.0;
    site.access.check_form(&form_token)?;
    let lines = works.lines().map(str::trim).filter(|line| !line.is_empty());
    // All or nothing: who wrote them is there to correct them.
    let works = lines.map(Wanted::named).collect::<Result<Vec<_>, _>>();
    let works = works.map_err(|problem| Problem::value("works", problem))?;
    if works.is_empty() {
        return Err(Problem::value("works", "it is empty; give at least one"));
    }
    let added = api::enqueue_works(&site, works.into_iter().map(Ok), None, Turn::default()).await?;
    Ok(back("/", "enqueue", added.new + added.requeued))
}

#[derive(Deserialize)]
pub(super) struct RetryForm {
    form_token: String,
    state: Option<String>,
    reason: Option<String>,
    resolver: Option<String>,
    host: Option<String>,
}

pub(super) async fn retry(State(site): State<Site>, form: Sent<RetryForm>) -> Answer {
    let RetryForm { form_token, state, reason, resolver, host } = form?.0;
    site.access.check_form(&form_token)?;
    let which = RetryBody { reason, resolver, host, state, ..RetryBody::default() };
    let retried = api::retry_jobs(&site, which).await?;
    Ok(back("/jobs", "retry", retried.retried))
}

#[derive(Deserialize)]
pub(super) struct CancelForm {
    form_token: String,
    id: String,
}

pub(super) async fn cancel(State(site): State<Site>, form: Sent<CancelForm>) -> Answer {
    let CancelForm { form_token, id } = form?.0;
    site.access.check_form(&form_token)?;
    let job = api::found(&site, &id).await?.row.id;
    let count = api::cancel_jobs(&site, &[job.to_string()]).await?;
    Ok(back(&format!("/jobs/{job}"), "cancel", count.cancelled))
}

#[derive(Deserialize)]
pub(super) struct KeyForm {
    form_token: String,
    key: String,
}

pub(super) async fn pause(State(site): State<Site>, form: Sent<KeyForm>) -> Answer {
    turned(&site, form?.0, true).await
}

pub(super) async fn resume(State(site): State<Site>, form: Sent<KeyForm>) -> Answer {
    turned(&site, form?.0, false).await
}

async fn turned(site: &Site, form: KeyForm, paused: bool) -> Answer {
    site.access.check_form(&form.form_token)?;
    let view = api::paused(site, &key_of(&form.key)?, paused).await?;
    let did = if paused { "pause" } else { "resume" };
    Ok(back(&format!("/keys?text={}", encoded(&view.key)), did, 1))
}

#[derive(Deserialize)]
pub(super) struct LimitForm {
    form_token: String,
    key: String,
    concurrency: Option<String>,
    rate: Option<String>,
    burst: Option<String>,
    reset: Option<String>,
}

pub(super) async fn limit(State(site): State<Site>, form: Sent<LimitForm>) -> Answer {
    let LimitForm { form_token, key, concurrency, rate, burst, reset } = form?.0;
    site.access.check_form(&form_token)?;
    let whole = |name: &str, text: &Option<String>| {
        given(name, text, |text| {
            text.parse().map_err(|_| format!("{text:?} is not a whole number from 1 on"))
        })
    };
    let body = match reset {
        Some(_) => LimitBody { reset: true, ..LimitBody::default() },
        None => LimitBody {
            concurrency: whole("concurrency", &concurrency)?,
            burst: whole("burst", &burst)?,
            rate,
            reset: false,
        },
    };
    let view = api::limited(&site, &key_of(&key)?, body).await?;
    Ok(back(&format!("/keys?text={}", encoded(&view.key)), "limit", 1))
}
