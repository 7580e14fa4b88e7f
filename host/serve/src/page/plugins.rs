//! Plugins: which are in use, how they fare, what they ask for and may reach, and what was loaded anew.
//!
//! Must never show a secret.

use axum::extract::State;
use axum::response::Response;
use maud::{Markup, html};

use super::layout::{Page, page};
use super::parts::{bytes, number, time, took};
use super::sent;
use crate::api::{PluginUse, Plugins, plugins_of};
use crate::problem::Problem;
use crate::site::Site;

/// `GET /plugins`.
pub(super) async fn show(State(site): State<Site>) -> Result<Response, Problem> {
    let all = plugins_of(&site).await?;
    let content = html! { div #live-plugins data-live { (whole(&all)) } };
    Ok(sent(page(&site, Page::Plugins, "Plugins", content)))
}

fn whole(all: &Plugins) -> Markup {
    html! {
        p { "Generation " (number(all.generation)) ", " (all.plugins.len()) " resolvers in use." }
        @if !all.refused.is_empty() {
            section aria-labelledby="refused" {
                h2 #refused { "Not used" }
                ul { @for one in &all.refused { li { code { (one.path.display()) } ": " (one.problem) } } }
            }
        }
        ul.cards { @for one in &all.plugins { (card(one)) } }
        section aria-labelledby="reloads" {
            h2 #reloads { "Loaded anew" }
            @if all.reloads.is_empty() { p { "Nothing since the server began." } }
            @else { ul { @for one in &all.reloads { li { (time(&one.at)) " " (one.says) } } } }
        }
    }
}

fn card(one: &PluginUse) -> Markup {
    let (base, calls) = (&one.plugin.base, &one.calls);
    let list = |hosts: &[String]| html! { @if hosts.is_empty() { "none" } @for host in hosts { code { (host) } " " } };
    html! {
        li.card {
            h2 { (base.name) " " span.quiet { (base.version) } }
            p { (base.summary) }
            @if let Some(held) = &one.plugin.suspended {
                p { span.state.error { "suspended" } " until " (time(&held.until)) " after " (held.failures) " failures in a row: " (held.because) }
            }
            dl {
                dt { "Calls" } dd { (number(calls.calls)) }
                dt { "Failures" }
                dd { (number(calls.failures)) @if let Some(last) = &calls.last_failure { ", the last: " (last) } }
                dt { "Latency" }
                dd { @match calls.mean_ms() { Some(mean) => { (took(mean)) " on average, at most " (took(calls.longest_ms)) }, None => "not called yet" } }
                dt { "Takes" } dd { (base.takes.join(" ")) }
                dt { "May reach" } dd { (list(base.granted_hosts.as_deref().unwrap_or_default())) }
                @if !one.plugin.not_granted.is_empty() || !one.plugin.not_granted_limits.is_empty() {
                    dt { "Not granted" }
                    dd {
                        (list(&one.plugin.not_granted))
                        @for wish in &one.plugin.not_granted_limits { (wish.limit) " " (wish.asked) " (now " (wish.allowed) ") " }
                        br; span.quiet { "gleaner plugin grant " (base.name) }
                    }
                }
            }
            details {
                summary { "Component" }
                dl {
                    dt { "File" } dd { code { (base.path.display()) } }
                    dt { "SHA-256" } dd { code.long { (base.sha256) } }
                    dt { "Size" } dd { (bytes(base.size)) ", ready in " (took(base.compile_ms)) }
                    dt { "Interface" } dd { (base.wit) }
                    dt { "Asks for" } dd { (list(&base.hosts)) }
                }
            }
        }
    }
}
