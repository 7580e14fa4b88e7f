//! `gleaner queue keys|pause|resume|limit`: what steps are limited by, as an operator sees and sets it.
//!
//! Must never set a limit for one host of a group: they share one, and the answer says so.

use std::collections::HashSet;

use gleaner_limits::{Limit, day_of, end_of_day};
use gleaner_model::clock::UnixMillis;
use gleaner_model::key::Key;
use gleaner_model::setting::{KeyLimit, KeySetting};
use gleaner_model::suspension::Suspension;
use gleaner_store::{KeyRow, Library};
use serde_json::{Value, json};

use crate::args;
use crate::commands::enqueue::report;
use crate::context::Context;
use crate::exit::{Exit, Failed};

/// A key with all that holds for it now.
pub(crate) struct KeyNow {
    pub(crate) row: KeyRow,
    /// None for planning, which is not limited.
    pub(crate) limit: Option<Limit>,
    /// An upstream's pause that is not over.
    pub(crate) cooldown_until: Option<UnixMillis>,
    /// Whether that pause is a breaker's, and not one that the upstream asked for.
    pub(crate) is_broken: bool,
    /// Its budget of the day is used up until then.
    pub(crate) spent_until: Option<UnixMillis>,
    /// Why its plugin is not called, and until when.
    pub(crate) suspended: Option<Suspension>,
    /// The process that owns it, if that has said in time that it lives.
    pub(crate) owner_pid: Option<u32>,
}

impl KeyNow {
    fn new(context: &Context, row: KeyRow, alive: &HashSet<u32>) -> Self {
        let KeySetting { key, cooldown_until, limit, condition, .. } = &row.setting;
        let (limit, today) = (effective(context, key, limit), day_of(context.now()));
        let budget = limit.and_then(|limit| limit.per_day).filter(|_| condition.day == today);
        let is_spent = budget.is_some_and(|budget| condition.used >= budget.get());
        Self {
            limit,
            is_broken: condition.is_broken,
            spent_until: is_spent.then(|| end_of_day(today)),
            cooldown_until: Some(*cooldown_until).filter(|until| *until > context.now()),
            suspended: None,
            owner_pid: row.owner_pid.filter(|pid| alive.contains(pid)),
            row,
        }
    }

    pub(crate) fn key(&self) -> &Key {
        &self.row.setting.key
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.row.setting.paused
    }

    fn is_set(&self) -> bool {
        self.row.setting.limit != KeyLimit::default()
    }

    /// Whether there is anything to say of it: the library also remembers keys for which nothing holds any more.
    fn is_of_interest(&self) -> bool {
        let KeyRow { ready, delayed, leased, .. } = self.row;
        let has_jobs = ready + delayed + leased > 0;
        let is_held = self.is_paused()
            || self.is_set()
            || self.cooldown_until.is_some()
            || self.suspended.is_some()
            || self.spent_until.is_some();
        has_jobs || is_held || self.owner_pid.is_some()
    }

    pub(crate) fn as_json(&self) -> Value {
        let limit = self.limit;
        json!({
            "key": self.key().to_string(),
            "ready": self.row.ready,
            "delayed": self.row.delayed,
            "in_flight": self.row.leased,
            "concurrency": limit.map(|limit| limit.concurrency),
            "rate": limit.and_then(|limit| limit.rate),
            "burst": limit.map(|limit| limit.burst),
            "source": source(&self.row.setting.limit),
            "cooldown_until": self.cooldown_until.map(|until| until.to_string()),
            "breaker": self.cooldown_until.is_some() && self.is_broken,
            "pace": self.row.setting.condition.pace,
            "per_day": limit.and_then(|limit| limit.per_day),
            "spent_until": self.spent_until.map(|until| until.to_string()),
            "suspended_until": self.suspended.as_ref().map(|one| one.until.to_string()),
            "suspended_because": self.suspended.as_ref().map(|one| &one.because),
            "paused": self.is_paused(),
            "owner_pid": self.owner_pid,
        })
    }
}

/// A library's keys, and which processes work on it.
pub(crate) struct Keys {
    pub(crate) keys: Vec<KeyNow>,
    /// Processes that have said in time that they live.
    pub(crate) alive: HashSet<u32>,
}

impl Keys {
    pub(crate) async fn read(context: &Context, library: &Library) -> Result<Self, Failed> {
        let now = context.now();
        let processes = library.others().await?.processes;
        let alive = processes.iter().filter(|one| one.alive_until > now).map(|one| one.pid).collect();
        let keys = library.keys().await?;
        let mut keys: Vec<_> = keys.into_iter().map(|row| KeyNow::new(context, row, &alive)).collect();
        for one in library.suspensions().await?.into_iter().filter(|one| one.until > now) {
            let key = Key::Resolver(one.resolver.clone());
            let place =
                keys.iter().position(|now| now.key().to_string() >= key.to_string()).unwrap_or(keys.len());
            if keys.get(place).is_none_or(|now| *now.key() != key) {
                keys.insert(place, KeyNow::new(context, KeyRow::without_jobs(key), &alive));
            }
            keys[place].suspended = Some(one);
        }
        Ok(Self { keys, alive })
    }

    /// What is known of a key; none when nothing is.
    pub(crate) fn get(&self, key: &Key) -> Option<&KeyNow> {
        self.keys.iter().find(|one| one.key() == key)
    }
}

/// The configuration's limit with what was set in place of it.
fn effective(context: &Context, key: &Key, set: &KeyLimit) -> Option<Limit> {
    context.loaded.config.limits.limit(key).map(|limit| limit.with(set))
}

fn source(set: &KeyLimit) -> &'static str {
    if *set == KeyLimit::default() { "configuration" } else { "set" }
}

/// A limit for people: `4 at once, 5/s, burst 5`.
pub(crate) fn in_words(limit: &Limit) -> String {
    match limit.rate {
        Some(rate) => format!("{} at once, {rate}, burst {}", limit.concurrency, limit.burst),
        None => format!("{} at once", limit.concurrency),
    }
}

/// `gleaner queue keys`.
pub(crate) async fn list(context: &Context) -> Result<Exit, Failed> {
    let mut keys = Keys::read(context, &context.existing_library()?).await?.keys;
    keys.retain(KeyNow::is_of_interest);
    if context.output.is_json() {
        keys.iter().try_for_each(|key| context.output.json(&key.as_json()))?;
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
        text(now.limit.map(|_| source(&now.row.setting.limit).to_owned())),
        holds,
        text(now.owner_pid.map(|pid| format!("process {pid}"))),
    ]
}

/// The key whose limit counts. Hosts of a group share one, and whoever names another of them is told.
fn canonical(context: &Context, key: &Key) -> Key {
    let canonical = context.loaded.config.limits.canonical(key);
    if canonical != *key {
        report(&format!("{key} shares the limit of {canonical}, so this is about all hosts that do"));
    }
    canonical
}

/// `gleaner queue pause` and `queue resume`.
pub(crate) async fn pause(context: &Context, key: &Key, paused: bool) -> Result<Exit, Failed> {
    let library = context.library_to_change()?;
    let key = canonical(context, key);
    library.pause(key.clone(), paused).await?;
    if let (false, Key::Resolver(name)) = (paused, &key) {
        library.end_suspension(name.clone()).await?;
    }
    let keys = Keys::read(context, &library).await?;
    library.close().await;
    if context.output.is_json() {
        context.output.json(&json!({ "key": key.to_string(), "paused": paused }))?;
        return Ok(Exit::Well);
    }
    let now = keys.get(&key);
    let (ready, delayed, leased) =
        now.map_or((0, 0, 0), |now| (now.row.ready, now.row.delayed, now.row.leased));
    let waiting = match (ready, delayed) {
        (0, 0) => "nothing waits under it now (is it spelt as in `gleaner queue keys`?)".to_owned(),
        (ready, 0) => format!("{ready} works wait under it"),
        (ready, delayed) => format!("{} works wait under it", ready + delayed),
    };
    let said = match (paused, now.and_then(|now| now.cooldown_until)) {
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
    let key = canonical(context, &key);
    let given = KeyLimit { concurrency, rate, burst };
    let is_question = !reset && given == KeyLimit::default();
    let library = if is_question { context.existing_library()? } else { context.library_to_change()? };
    let settings = library.key_settings().await?;
    let before = settings.into_iter().find(|setting| setting.key == key).map(|setting| setting.limit);
    let before = before.unwrap_or_default();
    let merged = KeyLimit {
        concurrency: given.concurrency.or(before.concurrency),
        rate: given.rate.or(before.rate),
        burst: given.burst.or(before.burst),
    };
    let set = if reset { KeyLimit::default() } else { merged };
    if !is_question {
        library.limit(key.clone(), set).await?;
    }
    library.close().await;
    // Planning has no limit, and is refused when the arguments are read.
    let Some(limit) = effective(context, &key, &set) else { return Ok(Exit::Well) };
    if context.output.is_json() {
        context.output.json(&json!({
            "key": key.to_string(),
            "concurrency": limit.concurrency,
            "rate": limit.rate,
            "burst": limit.burst,
            "source": source(&set),
            "set": set,
        }))?;
    } else {
        let source = match source(&set) {
            "set" => "set for it; `--reset` goes back to the configuration's".to_owned(),
            _ => "of the configuration".to_owned(),
        };
        context.output.line(&format!("{key}: {} ({source})", in_words(&limit)))?;
    }
    Ok(Exit::Well)
}
