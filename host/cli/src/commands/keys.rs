//! `gleaner queue keys|pause|resume|limit`: what steps are limited by, for people.
//!
//! What holds and what is set is the desk's to know; must never decide it here.

use gleaner_desk::{KeyNow, Keys, LimitChange, change_limit, in_words, set_paused};
use gleaner_model::key::Key;
use gleaner_model::setting::KeyLimit;

use crate::args;
use crate::commands::enqueue::report;
use crate::context::Context;
use crate::exit::{Exit, Failed};

/// `gleaner queue keys`.
pub(crate) async fn list(context: &Context) -> Result<Exit, Failed> {
    let mut keys = Keys::read(context.look(&context.existing_library()?)).await?.keys;
    keys.retain(KeyNow::is_of_interest);
    if context.output.is_json() {
        keys.iter().try_for_each(|key| context.output.json(&key.view()))?;
        return Ok(Exit::Well);
    }
    let header =
        ["KEY", "READY", "DELAYED", "IN FLIGHT", "AT ONCE", "RATE", "BURST", "LIMIT", "HOLDS", "OWNER"];
    let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
    context.output.table(&header, &rows)?;
    Ok(Exit::Well)
}

fn row(now: &KeyNow) -> Vec<String> {
    let text = |value: Option<String>| value.unwrap_or_default();
    let pace = now.row.setting.condition.pace;
    let holds = match (now.is_paused(), &now.suspended, now.cooldown_until) {
        (true, ..) => "paused".to_owned(),
        (false, Some(one), _) => format!("suspended until {}: {}", one.until, one.because),
        (false, None, Some(until)) if now.is_broken => format!("fails; tried again at {until}"),
        (false, None, Some(until)) => format!("not before {until}"),
        (false, None, None) => match now.spent_until {
            Some(until) => format!("the day's budget is used up; not before {until}"),
            None if pace < 100 && now.owner_pid.is_some() => format!("slowed to {pace} %"),
            None => String::new(),
        },
    };
    vec![
        now.key().to_string(),
        now.row.ready.to_string(),
        now.row.delayed.to_string(),
        now.row.leased.to_string(),
        text(now.limit.map(|limit| limit.concurrency.to_string())),
        text(now.limit.and_then(|limit| limit.rate).map(|rate| rate.to_string())),
        text(now.limit.filter(|limit| limit.rate.is_some()).map(|limit| limit.burst.to_string())),
        text(now.limit.map(|_| now.view().source.to_owned())),
        holds,
        text(now.owner_pid.map(|pid| format!("process {pid}"))),
    ]
}

/// Hosts of a group share one limit, and whoever names another of them is told.
fn tell_of_group(context: &Context, key: &Key) -> Key {
    let canonical = context.loaded.config.limits.canonical(key);
    if canonical != *key {
        report(&format!("{key} shares the limit of {canonical}, so this is about all hosts that do"));
    }
    canonical
}

/// `gleaner queue pause` and `queue resume`.
pub(crate) async fn pause(context: &Context, key: &Key, paused: bool) -> Result<Exit, Failed> {
    let library = context.library_to_change()?;
    let key = tell_of_group(context, key);
    let (view, now) = set_paused(context.look(&library), &key, paused).await?;
    library.close().await;
    if context.output.is_json() {
        context.output.json(&view)?;
        return Ok(Exit::Well);
    }
    let (ready, delayed, leased) =
        now.as_ref().map_or((0, 0, 0), |now| (now.row.ready, now.row.delayed, now.row.leased));
    let waiting = match (ready, delayed) {
        (0, 0) => "nothing waits under it now (is it spelt as in `gleaner queue keys`?)".to_owned(),
        (ready, 0) => format!("{ready} works wait under it"),
        (ready, delayed) => format!("{} works wait under it", ready + delayed),
    };
    let said = match (paused, now.as_ref().and_then(|now| now.cooldown_until)) {
        (true, _) if leased > 0 => format!("{key} is paused: {waiting}; {leased} steps that run finish"),
        (true, _) => format!("{key} is paused: {waiting}"),
        (false, Some(until)) => {
            format!("{key} is not paused; the upstream asked to wait until {until}, and {waiting}")
        }
        (false, None) => format!("{key} goes on: {waiting}"),
    };
    context.output.line(&said)?;
    Ok(Exit::Well)
}

/// `gleaner queue limit`.
pub(crate) async fn limit(context: &Context, args: args::Limit) -> Result<Exit, Failed> {
    let args::Limit { key, concurrency, rate, burst, reset } = args;
    let key = tell_of_group(context, &key);
    let change =
        if reset { LimitChange::Reset } else { LimitChange::Set(KeyLimit { concurrency, rate, burst }) };
    let is_question = change.is_question();
    let library = if is_question { context.existing_library()? } else { context.library_to_change()? };
    let changed = change_limit(context.look(&library), &key, change).await?;
    library.close().await;
    // Planning has no limit, and is refused when the arguments are read.
    let Some((view, limit)) = changed else { return Ok(Exit::Well) };
    if context.output.is_json() {
        context.output.json(&view)?;
    } else {
        let source = match view.source {
            "set" => "set for it; `--reset` goes back to the configuration's".to_owned(),
            _ => "of the configuration".to_owned(),
        };
        context.output.line(&format!("{key}: {} ({source})", in_words(&limit)))?;
    }
    Ok(Exit::Well)
}
