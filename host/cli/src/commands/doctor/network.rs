//! Whether the hosts of the resolvers in use can be reached, and what their clocks say of ours.
//!
//! One request to each, under its limits and within the pauses that the library knows; a pause that a host asks for is
//! kept there. Must never ask a host that no resolver may reach.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::join_all;
use gleaner_egress::{Egress, EgressError, Reached};
use gleaner_model::clock::UnixMillis;
use gleaner_model::key::Key;
use gleaner_model::retry_after;
use gleaner_model::units::Span;
use gleaner_orchestrator::Resolvers;
use tokio::time::Instant;
use url::Url;

use super::{Finding, ok, problem, warning};
use crate::context::Context;
use crate::exit::Failed;
use crate::generations;

/// `Date` has whole seconds, and answers take some.
const APART: Duration = Duration::from_secs(120);
/// For one host, waiting for its limit included.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) async fn of_network(context: &Context, resolvers: Resolvers) -> Vec<Finding> {
    let hosts = hosts(&resolvers);
    let config = &context.loaded.config;
    let limiter = context.limiter();
    if let Ok(library) = context.existing_library()
        && let Ok(settings) = library.key_settings().await
    {
        limiter.apply(&settings);
    }
    let egress = match generations::egress(config, limiter.clone(), context.clock(), None) {
        Ok(egress) => egress,
        Err(error) => return vec![problem("network", error.to_string(), "the section [egress]")],
    };
    let asked = hosts.iter().map(|host| reach(&egress, host));
    let reached: Vec<_> = join_all(asked).await.into_iter().zip(&hosts).collect();
    let now = context.now();
    let mut findings: Vec<Finding> = reached.iter().map(|(answer, host)| of_answer(host, answer)).collect();
    findings.extend(of_clock(now, reached.iter().filter_map(|(answer, _)| answer.as_ref().ok())));
    // That a library is not there, or cannot be written to, is told by its own checks.
    drop(keep_pauses(context, limiter.take_cooldowns()).await);
    findings
}

/// A run obeys what this look was told.
async fn keep_pauses(context: &Context, pauses: Vec<(Key, UnixMillis)>) -> Result<(), Failed> {
    if pauses.is_empty() {
        return Ok(());
    }
    let library = context.library_to_change()?;
    for (key, until) in pauses {
        library.save_cooldown(key, until).await?;
    }
    library.close().await;
    Ok(())
}

/// Every host that a resolver in use may reach by name.
fn hosts(resolvers: &Resolvers) -> BTreeSet<String> {
    let of = |name| resolvers.rights(name).map(|rights| rights.hosts.to_vec()).unwrap_or_default();
    let all = resolvers.list().flat_map(|(plugin, _)| of(&plugin.info.name));
    all.filter(|host| !host.contains('*')).collect()
}

async fn reach(egress: &Egress, host: &str) -> Result<Reached, EgressError> {
    let url = Url::parse(&format!("https://{host}/"))
        .map_err(|error| EgressError::Denied { rule: format!("{host:?} is no host: {error}") })?;
    egress.reach(&url, Instant::now() + PATIENCE).await
}

fn of_answer(host: &str, answer: &Result<Reached, EgressError>) -> Finding {
    match answer {
        Ok(Reached { asks_to_wait: Some(wait), status, .. }) => warning(
            "network",
            format!("{host} can be reached, and asks to wait for {} ({status})", Span(*wait)),
            "wait, or lower its limit: [limits.hosts], `gleaner queue limit`",
        ),
        Ok(reached) => {
            let names = match reached.looked_up {
                Some(took) => format!("DNS in {} ms, ", took.as_millis()),
                None => String::new(),
            };
            ok(
                "network",
                format!("{host}: {names}TCP, TLS and answer in {} ms", reached.answered.as_millis()),
            )
        }
        Err(error @ EgressError::Blocked(_)) => warning(
            "network",
            format!("{host} was not asked: {error}"),
            "wait, or look at its limit: `gleaner queue keys`",
        ),
        Err(error) => {
            let change = match error {
                EgressError::Dns { .. } => {
                    "look at DNS: `getent hosts NAME`, or [egress] name-servers = [\"ADDRESS\"]"
                }
                EgressError::Tls { .. } => {
                    "is somebody between? [egress] extra-ca-certs = [\"FILE.pem\"], or set the clock"
                }
                EgressError::NoContact { .. } => {
                    "contact = \"you@example.org\" at the top of the configuration"
                }
                EgressError::PrivateAddress { .. } => {
                    "[egress] connect-to = { \"NAME:443\" = \"ADDRESS:PORT\" }"
                }
                _ => "look at the firewall, or [egress] proxy = \"http://PROXY:PORT\"",
            };
            problem("network", format!("{host} cannot be reached: {error}"), change)
        }
    }
}

/// Our clock against the median of theirs.
fn of_clock<'a>(now: UnixMillis, answers: impl Iterator<Item = &'a Reached>) -> Option<Finding> {
    let date = |reached: &Reached| retry_after::date(reached.headers.get("date")?.to_str().ok()?);
    let mut dates: Vec<UnixMillis> = answers.filter_map(date).collect();
    dates.sort_unstable();
    let theirs = *dates.get(dates.len() / 2)?;
    let apart = Duration::from_millis(theirs.0.abs_diff(now.0));
    Some(if apart > APART {
        let what = format!("it is {now} here and {theirs} elsewhere");
        warning("clock", what, "set the clock: `timedatectl set-ntp true`")
    } else {
        ok("clock", "as those of the hosts that answered")
    })
}
