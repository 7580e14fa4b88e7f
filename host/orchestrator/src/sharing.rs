//! Sharing a library with other processes: who owns which key, that this process lives, and what others wish for.
//!
//! Only a key's owner uses it, so every limit holds over all processes together without asking anybody for a permit.
//! A key is claimed when its first job is about to run, and given back when it is idle or when another process
//! needs it more. Must never use a key longer than this process has said that it lives.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use gleaner_limits::{Claims, KeyedLimiter, Ownership};
use gleaner_model::clock::SharedClock;
use gleaner_model::job::JobId;
use gleaner_model::key::Key;
use gleaner_store::{Claim, Expired, Library, Others, Process, ProcessId, StoreError};
use tokio::time::Instant;

use crate::pieces::{Pieces, lock};

/// How long a process is believed to live after it said so. One that is stopped for longer loses its keys.
pub const ALIVE_FOR: Duration = Duration::from_secs(15);
/// How often it says so.
const RENEW_EVERY: Duration = Duration::from_secs(5);
/// How often it looks at the others.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often tables are made smaller.
const PRUNE_EVERY: Duration = Duration::from_secs(60);
/// To ask which of the awaited jobs have ended may take so much of the time.
const ASKS_COST: u32 = 20;
/// A wish is forgotten after so long, unless it is made again.
const WISH: Duration = Duration::from_secs(10);
/// A key that nobody has used for so long is idle.
const QUIET: Duration = Duration::from_secs(2);
/// So long a key that others need is kept before they get their turn.
const TURN: Duration = Duration::from_secs(10);

/// The keys of this process, as the library and the limiter know them.
#[derive(Debug)]
pub(crate) struct Sharing {
    library: Library,
    clock: SharedClock,
    /// Keys that are on their way to another process: to that one, or to whoever wants them.
    leaving: Mutex<Vec<(Key, Option<ProcessId>)>>,
}

impl Sharing {
    pub(crate) fn new(library: Library, clock: SharedClock) -> Arc<Self> {
        Arc::new(Self { library, clock, leaving: Mutex::default() })
    }

    /// Claims keys; returns those that another process owns. `is_needed` says that a step cannot go on without,
    /// while another process's jobs of a key are no business of ours.
    pub(crate) async fn claim_all(
        &self,
        limiter: &KeyedLimiter,
        mut keys: Vec<Key>,
        is_needed: bool,
    ) -> Result<HashSet<Key>, StoreError> {
        let leaving: HashSet<Key> = lock(&self.leaving).iter().map(|(key, _)| key.clone()).collect();
        let mut foreign: HashSet<Key> = keys.extract_if(.., |key| leaving.contains(key)).collect();
        if keys.is_empty() {
            return Ok(foreign);
        }
        let has_budget = |key: &Key| limiter.get_limit(key).is_some_and(|limit| limit.per_day.is_some());
        let is_counted = keys.iter().any(has_budget);
        let claims = self.library.claim(keys.clone(), self.clock.now().after(WISH), is_needed).await?;
        for (key, claim) in keys.into_iter().zip(claims) {
            match claim {
                Claim::Owned { cooldown_until, busy_until, released_at } => {
                    limiter.own(&key, &Ownership { cooldown_until, busy_until, released_at });
                }
                Claim::Foreign => drop(foreign.insert(key)),
            }
        }
        if is_counted {
            // What another process used of the day's budget.
            limiter.apply(&self.library.key_settings().await?);
        }
        Ok(foreign)
    }

    fn is_leaving(&self, key: &Key) -> bool {
        lock(&self.leaving).iter().any(|(other, _)| other == key)
    }
}

#[async_trait]
impl Claims for Sharing {
    async fn claim(&self, limiter: &KeyedLimiter, key: &Key) -> bool {
        match self.claim_all(limiter, vec![key.clone()], true).await {
            Ok(foreign) => foreign.is_empty(),
            Err(error) => {
                tracing::warn!(%key, %error, "the key could not be claimed; its request waits");
                false
            }
        }
    }
}

/// Keeps this process a good neighbour until it is dropped; returns only when the library fails.
pub(crate) async fn keep_up(pieces: Arc<Pieces>) -> StoreError {
    let (mut renewed, mut pruned) = (Instant::now(), Instant::now());
    let mut ask_at = Instant::now();
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        if let Err(error) = look_around(&pieces, &mut renewed, &mut pruned).await {
            return error;
        }
        let began = Instant::now();
        if ask_at <= began {
            if let Err(error) = pieces.note_what_others_ended().await {
                return error;
            }
            ask_at = Instant::now() + began.elapsed() * ASKS_COST;
        }
    }
}

async fn look_around(pieces: &Pieces, renewed: &mut Instant, pruned: &mut Instant) -> Result<(), StoreError> {
    let (library, limiter) = (&pieces.library, &pieces.sources.limiter);
    if renewed.elapsed() >= RENEW_EVERY {
        renew(pieces, renewed).await?;
    }
    limiter.apply(&library.key_settings().await?);
    pieces.take_in_suspensions().await?;
    let others = library.others().await?;
    if !others.processes.is_empty() {
        pieces.mourn(library.bury_the_dead(pieces.config.max_attempts.get()).await?);
        pieces.take_what_was_given(&others).await?;
        pieces.let_go(&others);
    }
    // Also when the other one is gone: what was on its way to it is anybody's then.
    give_what_is_free(pieces).await?;
    if pruned.elapsed() >= PRUNE_EVERY {
        *pruned = Instant::now();
        tidy_up(pieces).await?;
    }
    Ok(())
}

/// Forgets what is to be forgotten, and makes tables and file smaller.
pub(crate) async fn tidy_up(pieces: &Pieces) -> Result<(), StoreError> {
    if let Some(retention) = pieces.config.retention {
        let purged = pieces.queue.purge(Vec::new(), retention.0, false).await?;
        if purged > 0 {
            tracing::info!(purged, "works that ended long ago without a file are forgotten");
        }
    }
    pieces.library.prune().await
}

/// Says that this process lives. If it was stopped for so long that others may have taken its keys, it looks which
/// are left.
async fn renew(pieces: &Pieces, renewed: &mut Instant) -> Result<(), StoreError> {
    let (library, limiter) = (&pieces.library, &pieces.sources.limiter);
    let now = Instant::now();
    library.renew(ALIVE_FOR).await?;
    // Asked when it is written: the write may have waited, or this process have been stopped in it.
    if renewed.elapsed() >= ALIVE_FOR {
        let still: HashSet<Key> = library.owned().await?.into_iter().collect();
        limiter.keep_owned(|key| still.contains(key));
        tracing::warn!("this process stood still; it goes on with the keys that no other has taken");
    }
    limiter.certain_until(now + ALIVE_FOR);
    *renewed = now;
    Ok(())
}

/// Gives away what is on its way and not in use any more.
async fn give_what_is_free(pieces: &Pieces) -> Result<(), StoreError> {
    let (sharing, limiter) = (&pieces.sharing, &pieces.sources.limiter);
    let free = |(key, _): &(Key, Option<ProcessId>)| {
        limiter.in_flight(key) == 0 && !pieces.seats.holds(key) && limiter.is_idle(key, Duration::ZERO)
    };
    let ready: Vec<_> = lock(&sharing.leaving).iter().filter(|entry| free(entry)).cloned().collect();
    if ready.is_empty() {
        return Ok(());
    }
    pieces.library.give(ready.clone()).await?;
    lock(&sharing.leaving).retain(|entry| !ready.contains(entry));
    Ok(())
}

impl Pieces {
    /// Whether this process has had a key for a while and neither used it nor has jobs for it.
    fn is_unused(&self, key: &Key) -> bool {
        let is_used = lock(&self.schedule).has(key) || self.seats.holds(key);
        !is_used && self.sources.limiter.is_idle(key, QUIET)
    }

    /// Keys that this process owns and has work for.
    fn busy_keys(&self) -> Vec<(Key, Duration)> {
        let mut owned = self.sources.limiter.owned();
        let schedule = lock(&self.schedule);
        owned.retain(|(key, _)| schedule.has(key) || self.seats.holds(key));
        owned
    }

    /// Jobs that somebody waits for and that another process ended, or an operator cancelled, need not be waited for.
    async fn note_what_others_ended(&self) -> Result<(), StoreError> {
        let awaited: Vec<JobId> = lock(&self.awaited).iter().copied().collect();
        if awaited.is_empty() {
            return Ok(());
        }
        let open: HashSet<JobId> = self.library.unfinished(awaited).await?.into_iter().collect();
        lock(&self.awaited).retain(|job| open.contains(job));
        self.sources.limiter.changes().notify_one();
        Ok(())
    }

    /// Keys that others wish for and gave to this process before, and that it has not used yet: it has them now, and
    /// gives them back when they turn out not to be needed.
    async fn take_what_was_given(&self, others: &Others) -> Result<(), StoreError> {
        let owned: HashSet<Key> = self.sources.limiter.owned().into_iter().map(|(key, _)| key).collect();
        let unused = |key: &Key| !owned.contains(key) && !self.sharing.is_leaving(key);
        let given: HashSet<Key> =
            others.wishes.iter().map(|wish| wish.key.clone()).filter(|key| unused(key)).collect();
        if !given.is_empty() {
            self.sharing.claim_all(&self.sources.limiter, given.into_iter().collect(), false).await?;
        }
        Ok(())
    }

    /// Decides which keys to let go of: idle ones at once, busy ones so that each process has its share, and those
    /// that a request needs when they have been ours for a while.
    fn let_go(&self, others: &Others) {
        let limiter = &self.sources.limiter;
        let busy = self.busy_keys();
        let mut ours = busy.len() as u64;
        let held_by = |process: &Process| (process.id, process.busy_keys);
        let mut theirs: HashMap<ProcessId, u64> = others.processes.iter().map(held_by).collect();
        for to in lock(&self.sharing.leaving).iter().filter_map(|(_, to)| *to) {
            *theirs.entry(to).or_default() += 1;
        }
        for wish in others.wishes.iter().filter(|wish| !self.sharing.is_leaving(&wish.key)) {
            let held = busy.iter().find(|(key, _)| *key == wish.key).map(|(_, held)| *held);
            if held.is_none() && !self.is_unused(&wish.key) {
                continue;
            }
            let theirs = theirs.entry(wish.process).or_default();
            let is_shared = held.is_some() && ours >= *theirs + 2;
            let has_had_its_turn = held.is_some_and(|held| wish.is_needed && held >= TURN);
            if is_shared || has_had_its_turn || held.is_none() {
                if held.is_some() {
                    ours -= 1;
                    *theirs += 1;
                }
                tracing::debug!(key = %wish.key, "given to another process");
                limiter.disown(&wish.key);
                lock(&self.sharing.leaving).push((wish.key.clone(), Some(wish.process)));
            }
        }
        for (key, _) in limiter.owned() {
            if self.is_unused(&key) && !self.sharing.is_leaving(&key) {
                limiter.disown(&key);
                lock(&self.sharing.leaving).push((key, None));
            }
        }
    }

    /// Says what dead processes left behind, and ends the waiting for what ended as poison.
    pub(crate) fn mourn(&self, expired: Expired) {
        for job in &expired.poisoned {
            tracing::warn!(%job, "its worker died too often; it ended as poison");
            lock(&self.awaited).remove(job);
        }
    }
}
