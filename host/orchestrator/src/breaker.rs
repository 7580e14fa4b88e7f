//! Suspends plugins that keep failing by their own doing, and lets one call show whether they work again.
//!
//! A breaker is of one component: a replaced file begins anew. Must never count what an upstream did, nor decide what
//! a job does instead: that is the planner's.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gleaner_model::clock::{SharedClock, UnixMillis};
use gleaner_model::key::ResolverName;
use gleaner_model::reason::{FailureClass, Reason};
use gleaner_model::suspension::Suspension;
use gleaner_runtime::CallReport;

use crate::pieces::lock;

/// The longest pause, however often a plugin fails.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The breakers of all resolvers of a run. Clones share them.
#[derive(Debug, Clone)]
pub struct Breakers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    after: NonZeroU32,
    pause: Duration,
    clock: SharedClock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    breakers: HashMap<ResolverName, Breaker>,
    /// What the library is to be told, in the order in which it happened.
    news: Vec<News>,
    /// How often the library was told: what was read of it before is not to be believed.
    told: u64,
}

#[derive(Debug)]
struct Breaker {
    sha256: String,
    /// Failures in a row.
    failures: u32,
    because: String,
    /// The last pause; the next one is twice as long.
    pause: Duration,
    is: Is,
    /// Whether the library knows the suspension.
    is_saved: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Is {
    /// Called as usual.
    Closed,
    /// Suspended until then; from then on one call is let through.
    Open { until: UnixMillis },
    /// That call runs.
    Trying,
}

/// What the library is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// It is suspended from now on, or longer.
    Suspended(Suspension),
    /// It is called again.
    Resumed(ResolverName),
}

/// Why a resolver is not to be called now: it is suspended for so long, or the call that decides still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Suspended(pub(crate) Option<Duration>);

/// The right to the one call that decides. Dropped without a verdict, the next call decides.
#[derive(Debug)]
pub(crate) struct Trial {
    breakers: Breakers,
    resolver: ResolverName,
}

impl Drop for Trial {
    fn drop(&mut self) {
        let now = self.breakers.0.clock.now();
        if let Some(breaker) = lock(&self.breakers.0.state).breakers.get_mut(&self.resolver)
            && breaker.is == Is::Trying
        {
            breaker.is = Is::Open { until: now };
        }
    }
}

/// What a call says of its plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// It answered, or said properly why it has no answer.
    Works,
    /// It failed by its own doing.
    Fails(String),
    /// It spent its time waiting for others.
    Unclear,
}

impl Verdict {
    fn of(report: &CallReport) -> Self {
        match &report.outcome {
            Err(failure) if failure.class == FailureClass::PluginFault => {
                let waited = failure.reason == Reason::PluginTimeout && report.waited >= report.wall / 2;
                if waited {
                    Self::Unclear
                } else {
                    Self::Fails(format!("{}: {}", failure.reason, failure.detail))
                }
            }
            _ => Self::Works,
        }
    }
}

impl Breakers {
    /// Breakers that suspend a plugin after so many failures in a row, for so long at first.
    pub fn new(after: NonZeroU32, pause: Duration, clock: SharedClock) -> Self {
        Self(Arc::new(Shared { after, pause, clock, state: Mutex::default() }))
    }

    /// Whether a resolver may be called now; with a [`Trial`] if that call is the one that decides.
    pub(crate) fn admit(&self, resolver: &ResolverName, sha256: &str) -> Result<Option<Trial>, Suspended> {
        let mut state = lock(&self.0.state);
        let Some(breaker) = state.of(resolver, sha256) else { return Ok(None) };
        match breaker.is {
            Is::Closed => Ok(None),
            Is::Trying => Err(Suspended(None)),
            Is::Open { until } => {
                let left = self.0.clock.now().until(until);
                if !left.is_zero() {
                    return Err(Suspended(Some(left)));
                }
                breaker.is = Is::Trying;
                Ok(Some(Trial { breakers: self.clone(), resolver: resolver.clone() }))
            }
        }
    }

    /// Whether a resolver that was admitted is suspended by now.
    pub(crate) fn is_suspended(&self, resolver: &ResolverName, sha256: &str) -> bool {
        let state = lock(&self.0.state);
        let breaker = state.breakers.get(resolver).filter(|breaker| breaker.sha256 == sha256);
        breaker.is_some_and(|breaker| matches!(breaker.is, Is::Open { .. }))
    }

    /// Takes in what a call of that component came to.
    pub(crate) fn note(
        &self,
        resolver: &ResolverName,
        sha256: &str,
        report: &CallReport,
        trial: Option<&Trial>,
    ) {
        self.judge(resolver, sha256, Verdict::of(report), trial.is_some());
    }

    fn judge(&self, resolver: &ResolverName, sha256: &str, verdict: Verdict, is_trial: bool) {
        let mut state = lock(&self.0.state);
        let State { breakers, news, .. } = &mut *state;
        let known = breakers.get_mut(resolver);
        let breaker = match (known, &verdict) {
            // What was called before the file was replaced says nothing of the new one.
            (Some(breaker), _) if breaker.sha256 != sha256 => return,
            (Some(breaker), _) => breaker,
            (None, Verdict::Fails(_)) => {
                breakers.entry(resolver.clone()).or_insert_with(|| Breaker::closed(sha256))
            }
            (None, _) => return,
        };
        match (verdict, breaker.is) {
            (Verdict::Works, Is::Closed) => breaker.failures = 0,
            (Verdict::Works, Is::Trying) if is_trial => {
                breakers.remove(resolver);
                news.push(News::Resumed(resolver.clone()));
            }
            (Verdict::Fails(because), Is::Closed) => {
                (breaker.failures, breaker.because) = (breaker.failures.saturating_add(1), because);
                if breaker.failures >= self.0.after.get() {
                    news.push(News::Suspended(breaker.open(resolver, self.0.pause, self.0.clock.now())));
                }
            }
            (Verdict::Fails(because), Is::Trying) if is_trial => {
                (breaker.failures, breaker.because) = (breaker.failures.saturating_add(1), because);
                let pause = breaker.pause.saturating_mul(2);
                news.push(News::Suspended(breaker.open(resolver, pause, self.0.clock.now())));
            }
            // Calls that began before the suspension change nothing of it.
            _ => {}
        }
    }

    /// The resolvers that are suspended, and until when: the planner asks others first.
    pub(crate) fn suspended(&self) -> BTreeMap<ResolverName, UnixMillis> {
        let state = lock(&self.0.state);
        let until = |(name, breaker): (&ResolverName, &Breaker)| match breaker.is {
            Is::Open { until } => Some((name.clone(), until)),
            _ => None,
        };
        state.breakers.iter().filter_map(until).collect()
    }

    /// What the library has not been told yet.
    pub(crate) fn take_news(&self) -> Vec<News> {
        std::mem::take(&mut lock(&self.0.state).news)
    }

    /// The library has been told.
    pub(crate) fn told(&self, news: &News) {
        let mut state = lock(&self.0.state);
        state.told += 1;
        if let News::Suspended(suspension) = news
            && let Some(breaker) = state.breakers.get_mut(&suspension.resolver)
            && breaker.sha256 == suspension.sha256
        {
            breaker.is_saved = true;
        }
    }

    /// How often the library has been told: to be asked before it is read.
    pub(crate) fn times_told(&self) -> u64 {
        lock(&self.0.state).told
    }

    /// Takes in the suspensions that the library knows: those of an earlier run and of other processes, and the ends
    /// that an operator or another process brought about. `sha256_of` tells the components in use. Returns the
    /// resolvers whose suspension has ended.
    pub(crate) fn take_in(
        &self,
        known: &[Suspension],
        told_before: u64,
        sha256_of: impl Fn(&ResolverName) -> Option<String>,
    ) -> Vec<ResolverName> {
        let mut state = lock(&self.0.state);
        if state.told != told_before || !state.news.is_empty() {
            return Vec::new();
        }
        let State { breakers, news, .. } = &mut *state;
        let mut ended = Vec::new();
        breakers.retain(|name, breaker| {
            let is_replaced = sha256_of(name).is_some_and(|sha256| sha256 != breaker.sha256);
            let is_known = known.iter().any(|one| one.resolver == *name && one.sha256 == breaker.sha256);
            let stays = !is_replaced && (!breaker.is_saved || is_known);
            if !stays && breaker.is != Is::Closed {
                ended.push(name.clone());
            }
            stays
        });
        for one in known {
            match sha256_of(&one.resolver) {
                Some(sha256) if sha256 == one.sha256 => {}
                // Its file was replaced.
                Some(_) => {
                    news.push(News::Resumed(one.resolver.clone()));
                    continue;
                }
                None => continue,
            }
            let breaker =
                breakers.entry(one.resolver.clone()).or_insert_with(|| Breaker::closed(&one.sha256));
            let is_longer = match breaker.is {
                Is::Closed => true,
                Is::Open { until } => until < one.until,
                Is::Trying => false,
            };
            if is_longer {
                *breaker = Breaker {
                    sha256: one.sha256.clone(),
                    failures: one.failures,
                    because: one.because.clone(),
                    pause: one.pause,
                    is: Is::Open { until: one.until },
                    is_saved: true,
                };
            }
        }
        ended
    }
}

impl State {
    /// The breaker of that component. That of another one of the name is of no use any more.
    fn of(&mut self, resolver: &ResolverName, sha256: &str) -> Option<&mut Breaker> {
        let breaker = self.breakers.get(resolver)?;
        if breaker.sha256 != sha256 {
            if breaker.is != Is::Closed {
                self.news.push(News::Resumed(resolver.clone()));
            }
            self.breakers.remove(resolver);
            return None;
        }
        self.breakers.get_mut(resolver)
    }
}

impl Breaker {
    fn closed(sha256: &str) -> Self {
        Self {
            sha256: sha256.to_owned(),
            failures: 0,
            because: String::new(),
            pause: Duration::ZERO,
            is: Is::Closed,
            is_saved: false,
        }
    }

    fn open(&mut self, resolver: &ResolverName, pause: Duration, now: UnixMillis) -> Suspension {
        self.pause = pause.min(LONGEST);
        let until = now.after(self.pause);
        self.is = Is::Open { until };
        Suspension {
            resolver: resolver.clone(),
            sha256: self.sha256.clone(),
            until,
            pause: self.pause,
            failures: self.failures,
            because: self.because.clone(),
        }
    }
}

#[cfg(test)]
mod tests;
