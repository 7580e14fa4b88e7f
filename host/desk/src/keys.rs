//! What steps are limited by, as an operator sees and sets it.
//!
//! Must never set a limit for one host of a group: they share one, whose key the answer names.

use std::collections::HashSet;
use std::num::NonZeroU32;

use gleaner_limits::{Limit, day_of, end_of_day};
use gleaner_model::clock::UnixMillis;
use gleaner_model::key::Key;
use gleaner_model::setting::{KeyLimit, KeySetting};
use gleaner_model::suspension::Suspension;
use gleaner_model::units::Rate;
use gleaner_store::{KeyRow, StoreError};
use schemars::JsonSchema;
use serde::Serialize;

use crate::look::{Look, Rules};

/// A key with all that holds for it now.
#[derive(Debug, Clone)]
pub struct KeyNow {
    /// What the library knows of it.
    pub row: KeyRow,
    /// None for planning, which is not limited.
    pub limit: Option<Limit>,
    /// An upstream's pause that is not over.
    pub cooldown_until: Option<UnixMillis>,
    /// Whether that pause is a breaker's, and not one that the upstream asked for.
    pub is_broken: bool,
    /// Its budget of the day is used up until then.
    pub spent_until: Option<UnixMillis>,
    /// Why its plugin is not called, and until when.
    pub suspended: Option<Suspension>,
    /// The process that owns it, if that has said in time that it lives.
    pub owner_pid: Option<u32>,
}

impl KeyNow {
    fn new(look: Look<'_>, row: KeyRow, alive: &HashSet<u32>) -> Self {
        let KeySetting { key, cooldown_until, limit, condition, .. } = &row.setting;
        let (limit, today) = (effective(look.rules, key, limit), day_of(look.now));
        let budget = limit.and_then(|limit| limit.per_day).filter(|_| condition.day == today);
        let is_spent = budget.is_some_and(|budget| condition.used >= budget.get());
        Self {
            limit,
            is_broken: condition.is_broken,
            spent_until: is_spent.then(|| end_of_day(today)),
            cooldown_until: Some(*cooldown_until).filter(|until| *until > look.now),
            suspended: None,
            owner_pid: row.owner_pid.filter(|pid| alive.contains(pid)),
            row,
        }
    }

    /// Which.
    pub fn key(&self) -> &Key {
        &self.row.setting.key
    }

    /// Whether an operator paused it.
    pub fn is_paused(&self) -> bool {
        self.row.setting.paused
    }

    fn is_set(&self) -> bool {
        self.row.setting.limit != KeyLimit::default()
    }

    /// Whether there is anything to say of it: the library also remembers keys for which nothing holds any more.
    pub fn is_of_interest(&self) -> bool {
        let KeyRow { ready, delayed, leased, .. } = self.row;
        let has_jobs = ready + delayed + leased > 0;
        let is_held = self.is_paused()
            || self.is_set()
            || self.cooldown_until.is_some()
            || self.suspended.is_some()
            || self.spent_until.is_some();
        has_jobs || is_held || self.owner_pid.is_some()
    }

    /// As it is shown.
    pub fn view(&self) -> KeyView {
        let limit = self.limit;
        KeyView {
            key: self.key().to_string(),
            ready: self.row.ready,
            delayed: self.row.delayed,
            in_flight: self.row.leased,
            concurrency: limit.map(|limit| limit.concurrency),
            rate: limit.and_then(|limit| limit.rate),
            burst: limit.map(|limit| limit.burst),
            source: source(&self.row.setting.limit),
            cooldown_until: self.cooldown_until.map(|until| until.to_string()),
            breaker: self.cooldown_until.is_some() && self.is_broken,
            pace: self.row.setting.condition.pace,
            per_day: limit.and_then(|limit| limit.per_day),
            spent_until: self.spent_until.map(|until| until.to_string()),
            suspended_until: self.suspended.as_ref().map(|one| one.until.to_string()),
            suspended_because: self.suspended.as_ref().map(|one| one.because.clone()),
            paused: self.is_paused(),
            owner_pid: self.owner_pid,
        }
    }
}

/// A key, as it is shown.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct KeyView {
    /// `resolver:NAME` or `host:HOST`.
    pub key: String,
    /// Jobs that may run when it may.
    pub ready: u64,
    /// Jobs that wait for a time.
    pub delayed: u64,
    /// Jobs under a lease.
    pub in_flight: u64,
    /// How many at once.
    pub concurrency: Option<NonZeroU32>,
    /// How often, like `5/s`; absent: as often as comes.
    #[schemars(with = "Option<String>")]
    pub rate: Option<Rate>,
    /// How many tokens of the rate may pile up.
    pub burst: Option<NonZeroU32>,
    /// Where the limit is from: `configuration` or `set`.
    pub source: &'static str,
    /// An upstream's pause, or a breaker's: RFC 3339.
    pub cooldown_until: Option<String>,
    /// Whether that pause is a breaker's.
    pub breaker: bool,
    /// What is used of the limit, in per cent: less than 100 after the upstream showed strain.
    pub pace: u8,
    /// The budget of a day.
    pub per_day: Option<NonZeroU32>,
    /// Until when the day's budget is used up: RFC 3339.
    pub spent_until: Option<String>,
    /// Until when its plugin is not called: RFC 3339.
    pub suspended_until: Option<String>,
    /// The last failure that its plugin is suspended for.
    pub suspended_because: Option<String>,
    /// Whether an operator paused it.
    pub paused: bool,
    /// The process that owns it.
    pub owner_pid: Option<u32>,
}

/// A library's keys, and which processes work on it.
pub struct Keys {
    /// By name.
    pub keys: Vec<KeyNow>,
    /// Processes that have said in time that they live.
    pub alive: HashSet<u32>,
}

impl Keys {
    /// All of them.
    ///
    /// # Errors
    /// When the library cannot be read.
    pub async fn read(look: Look<'_>) -> Result<Self, StoreError> {
        let (now, library) = (look.now, look.library);
        let processes = library.others().await?.processes;
        let alive = processes.iter().filter(|one| one.alive_until > now).map(|one| one.pid).collect();
        let keys = library.keys().await?;
        let mut keys: Vec<_> = keys.into_iter().map(|row| KeyNow::new(look, row, &alive)).collect();
        for one in library.suspensions().await?.into_iter().filter(|one| one.lasts(now)) {
            let key = Key::Resolver(one.resolver.clone());
            let place =
                keys.iter().position(|now| now.key().to_string() >= key.to_string()).unwrap_or(keys.len());
            if keys.get(place).is_none_or(|now| *now.key() != key) {
                keys.insert(place, KeyNow::new(look, KeyRow::without_jobs(key), &alive));
            }
            keys[place].suspended = Some(one);
        }
        Ok(Self { keys, alive })
    }

    /// What is known of a key; none when nothing is.
    pub fn get(&self, key: &Key) -> Option<&KeyNow> {
        self.keys.iter().find(|one| one.key() == key)
    }
}

/// The configuration's limit with what was set in place of it.
fn effective(rules: &Rules, key: &Key, set: &KeyLimit) -> Option<Limit> {
    rules.limits.limit(key).map(|limit| limit.with(set))
}

fn source(set: &KeyLimit) -> &'static str {
    if *set == KeyLimit::default() { "configuration" } else { "set" }
}

/// A limit for people: `4 at once, 5/s, burst 5`.
pub fn in_words(limit: &Limit) -> String {
    match limit.rate {
        Some(rate) => format!("{} at once, {rate}, burst {}", limit.concurrency, limit.burst),
        None => format!("{} at once", limit.concurrency),
    }
}

/// Whether a key is stopped.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PausedView {
    /// The key whose limit counts.
    pub key: String,
    /// Whether an operator paused it.
    pub paused: bool,
}

/// Stops a key or lets it go on, over restarts too; one that goes on is not suspended any more. Returns what was done,
/// and what is known of the key then.
///
/// # Errors
/// When the library cannot be read or written.
pub async fn set_paused(
    look: Look<'_>,
    key: &Key,
    paused: bool,
) -> Result<(PausedView, Option<KeyNow>), StoreError> {
    let key = look.rules.limits.canonical(key);
    look.library.pause(key.clone(), paused).await?;
    if let (false, Key::Resolver(name)) = (paused, &key) {
        look.library.end_suspension(name.clone()).await?;
    }
    let now = Keys::read(look).await?.get(&key).cloned();
    Ok((PausedView { key: key.to_string(), paused }, now))
}

/// What an operator sets of a limit.
#[derive(Debug, Clone, Copy)]
pub enum LimitChange {
    /// These parts; those that are not given stay as they are. Without any, nothing is changed.
    Set(KeyLimit),
    /// Back to the configuration's.
    Reset,
}

impl LimitChange {
    /// Whether it only asks what the limit is.
    pub fn is_question(&self) -> bool {
        matches!(self, Self::Set(limit) if *limit == KeyLimit::default())
    }
}

/// The limit of a key.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LimitView {
    /// The key whose limit counts.
    pub key: String,
    /// How many at once.
    pub concurrency: NonZeroU32,
    /// How often.
    #[schemars(with = "Option<String>")]
    pub rate: Option<Rate>,
    /// How many tokens of the rate may pile up.
    pub burst: NonZeroU32,
    /// Where it is from: `configuration` or `set`.
    pub source: &'static str,
    /// The parts that are set in place of the configuration's.
    pub set: KeyLimit,
}

/// Changes the limit of a key, and returns what holds with the limit as it is used; none for planning, which is not
/// limited.
///
/// # Errors
/// When the library cannot be read or written.
pub async fn change_limit(
    look: Look<'_>,
    key: &Key,
    change: LimitChange,
) -> Result<Option<(LimitView, Limit)>, StoreError> {
    let key = look.rules.limits.canonical(key);
    let settings = look.library.key_settings().await?;
    let before = settings.into_iter().find(|setting| setting.key == key).map(|setting| setting.limit);
    let before = before.unwrap_or_default();
    let set = match change {
        LimitChange::Reset => KeyLimit::default(),
        LimitChange::Set(given) => KeyLimit {
            concurrency: given.concurrency.or(before.concurrency),
            rate: given.rate.or(before.rate),
            burst: given.burst.or(before.burst),
        },
    };
    if !change.is_question() {
        look.library.limit(key.clone(), set).await?;
    }
    Ok(effective(look.rules, &key, &set).map(|limit| {
        let Limit { concurrency, rate, burst, .. } = limit;
        (LimitView { key: key.to_string(), concurrency, rate, burst, source: source(&set), set }, limit)
    }))
}
