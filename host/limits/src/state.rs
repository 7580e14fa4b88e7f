//! One key's state, as pure functions of the time: slots, tokens, cooldown and the queue.
//!
//! Must never wait or wake anybody: that is the limiter's part.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::clock::UnixMillis;
use gleaner_model::setting::Condition;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::bucket::Bucket;
use crate::circuit::Circuit;
use crate::cooldown::Cooldown;
use crate::daily::Daily;
use crate::heed::Announced;
use crate::limiter::{Room, Why};
use crate::pace::Pace;
use crate::rules::Limit;

/// What keeps a request from starting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Obstacle {
    /// All slots are taken, or others were first.
    Slots,
    /// No token before that time has passed.
    Tokens(Duration),
    /// Not before that time has passed, for that reason.
    Pause(Why, Duration),
    /// Stopped by an operator.
    Paused,
    /// Not this process's to use.
    NotOwned,
}

impl From<Obstacle> for Room {
    fn from(obstacle: Obstacle) -> Self {
        let (why, wait) = match obstacle {
            Obstacle::Slots => (Why::Full, None),
            Obstacle::Tokens(wait) => (Why::Rate, Some(wait)),
            Obstacle::Pause(why, wait) => (why, Some(wait)),
            Obstacle::Paused => (Why::Paused, None),
            Obstacle::NotOwned => (Why::NotOwned, None),
        };
        Self::Blocked { why, wait }
    }
}

#[derive(Debug)]
pub(crate) struct KeyState {
    /// As configured and set.
    given: Limit,
    /// What of it may be used now.
    limit: Limit,
    bucket: Option<Bucket>,
    in_flight: u32,
    /// Tokens taken so far; a token is known by its number.
    taken: u64,
    /// Tokens before this one do not come back: kept in the bucket, they would have overflowed meanwhile.
    good_from: u64,
    /// Steps of other processes that count as in flight until then.
    foreign: Vec<Instant>,
    last_used: Option<Instant>,
    /// How long permits were held lately: the last ones count most.
    held: Option<Duration>,
    /// Who waits, first come first.
    queue: VecDeque<Arc<Notify>>,
    pub(crate) cooldown: Cooldown,
    pub(crate) circuit: Circuit,
    pub(crate) pace: Pace,
    pub(crate) daily: Daily,
    pub(crate) announced: Announced,
}

impl KeyState {
    /// A key nobody has used since `start`, so that what its bucket would hold by now is there.
    pub(crate) fn new(limit: Limit, start: Instant) -> Self {
        let bucket = limit.rate.map(|rate| Bucket::empty_at(rate, limit.burst, start));
        Self {
            given: limit,
            limit,
            bucket,
            in_flight: 0,
            taken: 0,
            good_from: 0,
            foreign: Vec::new(),
            last_used: None,
            held: None,
            queue: VecDeque::new(),
            cooldown: Cooldown::default(),
            circuit: Circuit::default(),
            pace: Pace::default(),
            daily: Daily::default(),
            announced: Announced::default(),
        }
    }

    pub(crate) fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// Another limit from now on. Permits that are out stay out.
    pub(crate) fn change(&mut self, given: Limit, now: Instant) {
        self.given = given;
        self.refit(now);
    }

    /// What may be used of the limit.
    pub(crate) fn limit(&self) -> Limit {
        self.limit
    }

    /// Applies what the upstream announced, and the pace, to the limit that was given.
    pub(crate) fn refit(&mut self, now: Instant) {
        let limit = self.pace.of(self.announced.of(self.given));
        if limit != self.limit {
            self.fit(limit, now);
        }
    }

    fn fit(&mut self, limit: Limit, now: Instant) {
        self.bucket = match (self.bucket.take(), limit.rate) {
            (Some(mut bucket), Some(rate)) => {
                bucket.change(rate, limit.burst, now);
                Some(bucket)
            }
            (None, Some(rate)) => Some(Bucket::empty_at(rate, limit.burst, now)),
            (_, None) => None,
        };
        self.limit = limit;
        self.good_from = self.taken;
    }

    /// Another process had the key, and nobody has used it since `idle_since`; its steps may go on until then.
    pub(crate) fn taken_over(&mut self, idle_since: Instant, busy_until: Vec<Instant>) {
        self.bucket = self.limit.rate.map(|rate| Bucket::empty_at(rate, self.limit.burst, idle_since));
        self.foreign = busy_until;
        self.good_from = self.taken;
    }

    /// What keeps somebody from starting who has `ahead` others before them.
    pub(crate) fn obstacle(&self, ahead: u32, now: Instant) -> Option<Obstacle> {
        if let Some(left) = self.cooldown.left(now) {
            return Some(Obstacle::Pause(self.cooldown.why(), left));
        }
        if let Some(left) = self.limit.per_day.and_then(|budget| self.daily.spent(budget, now)) {
            return Some(Obstacle::Pause(Why::Budget, left));
        }
        let tokens = self.bucket.as_ref().map(|bucket| bucket.queue_wait(ahead.saturating_add(1), now));
        match tokens {
            Some(wait) if !wait.is_zero() => Some(Obstacle::Tokens(wait)),
            _ if self.free(now) > ahead => None,
            // Nothing tells when another process's step ends, so its time counts.
            _ => Some(match self.foreign.iter().filter(|end| **end > now).min() {
                Some(end) => Obstacle::Tokens(*end - now),
                None => Obstacle::Slots,
            }),
        }
    }

    /// How many may start now, behind those who wait.
    pub(crate) fn room(&self, now: Instant) -> Room {
        let waiting = self.waiting();
        match self.obstacle(waiting, now) {
            Some(obstacle) => obstacle.into(),
            None => {
                let tokens = self.bucket.as_ref().map_or(u32::MAX, |bucket| bucket.level(now));
                let today = self.limit.per_day.map_or(u32::MAX, |budget| self.daily.left(budget));
                // Those who wait may use up the day.
                Room::Now(self.free(now).min(tokens).min(today).saturating_sub(waiting).max(1))
            }
        }
    }

    /// Takes a slot and, where there is a rate, a token: its number.
    pub(crate) fn take(&mut self, ahead: u32, now: Instant) -> Result<Option<u64>, Obstacle> {
        if let Some(obstacle) = self.obstacle(ahead, now) {
            return Err(obstacle);
        }
        let mut token = None;
        if let Some(bucket) = &mut self.bucket {
            let overflows = bucket.would_overflow(self.in_flight, now);
            bucket.consume(1, now).map_err(Obstacle::Tokens)?;
            if overflows {
                self.good_from = self.taken;
            }
            token = Some(self.taken);
            self.taken += 1;
        }
        self.in_flight += 1;
        self.last_used = Some(now);
        Ok(token)
    }

    /// Counts a permit that was taken in the day's budget. Whether there is something new to write down.
    pub(crate) fn count_today(&mut self) -> bool {
        self.limit.per_day.is_some_and(|budget| self.daily.count(budget))
    }

    /// Begins a new day when there is one, for a key with a budget.
    pub(crate) fn look_at_the_day(&mut self, wall: impl FnOnce() -> UnixMillis, now: Instant) {
        if self.limit.per_day.is_some() {
            self.daily.look(wall(), now);
        }
    }

    /// What a pause that is taken in is for.
    pub(crate) fn pause_kind(&self) -> Why {
        if self.circuit.is_broken() { Why::Breaker } else { Why::Cooldown }
    }

    /// How it fares.
    pub(crate) fn condition(&self, now: Instant) -> Condition {
        let is_broken = self.cooldown.left(now).is_some() && self.cooldown.why() == Why::Breaker;
        let (day, used) = self.daily.to_write();
        Condition { is_broken, pace: self.pace.percent(), day, used }
    }

    /// A permit came back that was held for so long, with its token when that was not used.
    pub(crate) fn release(&mut self, held: Duration, is_spent: bool, token: Option<u64>, now: Instant) {
        self.in_flight -= 1;
        if is_spent {
            self.held = Some(match self.held {
                None => held,
                Some(before) if held < before => (before * 7 + held) / 8,
                // One that was held for long makes careful at once.
                Some(before) => (before + held) / 2,
            });
        }
        if !is_spent && self.limit.per_day.is_some() {
            self.daily.give_back();
        }
        let unspent = token.filter(|_| !is_spent);
        self.last_used = Some(now);
        if let (Some(bucket), Some(token)) = (&mut self.bucket, unspent)
            && token >= self.good_from
        {
            bucket.refund(1);
        }
    }

    /// Stands in line at the end.
    pub(crate) fn line_up(&mut self, ticket: Arc<Notify>) {
        self.queue.push_back(ticket);
    }

    /// How many stand before that ticket.
    pub(crate) fn ahead_of(&self, ticket: &Arc<Notify>) -> u32 {
        count(self.queue.iter().take_while(|other| !Arc::ptr_eq(other, ticket)).count())
    }

    /// Leaves the line, from wherever in it.
    pub(crate) fn leave(&mut self, ticket: &Arc<Notify>) {
        self.queue.retain(|other| !Arc::ptr_eq(other, ticket));
    }

    /// Lets the first in line look again. The notification is kept until it looks, so none is lost.
    pub(crate) fn wake_first(&self) {
        if let Some(first) = self.queue.front() {
            first.notify_one();
        }
    }

    /// How many permits come back in that time while all are out, by how long they were held lately.
    pub(crate) fn returns_within(&self, time: Duration) -> u32 {
        let Some(held) = self.held.filter(|_| !self.circuit.is_broken()) else { return 0 };
        let slots = u128::from(self.limit.concurrency.get());
        u32::try_from(slots * time.as_nanos() / held.as_nanos().max(1)).unwrap_or(u32::MAX)
    }

    /// Somebody waited so long for a slot: permits are held longer than was thought.
    pub(crate) fn waited_in_vain(&mut self, time: Duration) {
        self.held = self.held.map(|held| held.max(time));
    }

    /// Whether somebody who does not stand in line could get a permit now, or at another time than was thought: not while
    /// nothing but a permit that comes back changes anything for them.
    pub(crate) fn is_news(&self, now: Instant) -> bool {
        self.obstacle(self.waiting(), now) != Some(Obstacle::Slots)
    }

    pub(crate) fn waiting(&self) -> u32 {
        count(self.queue.len())
    }

    /// A new state would behave the same, so this one can be forgotten.
    pub(crate) fn is_idle(&self, now: Instant) -> bool {
        let full = self.bucket.as_ref().is_none_or(|bucket| bucket.level(now) >= self.limit.burst.get());
        self.is_quiet(Duration::ZERO, now)
            && full
            && self.cooldown.forgiven(now)
            && self.busy(now) == 0
            && self.circuit.is_whole()
            && self.pace.is_forgiven(now)
            && self.daily.is_empty()
    }

    /// Nobody has used it for so long, and nobody waits for it.
    pub(crate) fn is_quiet(&self, quiet: Duration, now: Instant) -> bool {
        let used_lately = self.last_used.is_some_and(|at| now.saturating_duration_since(at) < quiet);
        self.in_flight == 0 && self.queue.is_empty() && !used_lately
    }

    fn free(&self, now: Instant) -> u32 {
        let at_once = if self.circuit.is_broken() { 1 } else { self.limit.concurrency.get() };
        at_once.saturating_sub(self.in_flight).saturating_sub(self.busy(now))
    }

    fn busy(&self, now: Instant) -> u32 {
        count(self.foreign.iter().filter(|end| **end > now).count())
    }
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
