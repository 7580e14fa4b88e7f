//! Which keys may run, in memory: a ring of those that may, and for every other one what it waits for.
//!
//! Keys take turns, and one that is blocked is not looked at until what blocks it has changed. What is known of
//! the backlog is a guess between two looks at the library: a key that turns out empty costs one lease of nothing.
//! Must never hold jobs, and never decide whether a key may run: limits do.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use gleaner_model::key::Key;
use tokio::time::Instant;

/// Keys with jobs, and where each stands.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    keys: HashMap<Key, Entry>,
    /// By the slots they need: plugin calls, downloads.
    rings: [VecDeque<Key>; 2],
    timers: BTreeSet<(Instant, Key)>,
    /// Keys by the limit that has no room for them, those that wait for its time among them.
    blocked: HashMap<Key, HashSet<Key>>,
    /// Keys that could run, those that hold their share of the slots among them; by the slots they need.
    able: [usize; 2],
    /// Keys that hold their share of the slots.
    served: usize,
}

#[derive(Debug)]
struct Entry {
    ready: u64,
    place: Place,
    /// Has waited long enough for more jobs; until some of its jobs are leased.
    has_gathered: bool,
}

/// Where a key stands.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// May run, as far as is known.
    Ring,
    /// Given out by [`Schedule::next`].
    Turn,
    /// Holds its share of the slots.
    Served,
    /// Until that time, or until that limit changes.
    Until(Instant, Key),
    /// Until that limit has room.
    Behind(Key),
    /// Until that time, or until it has so many jobs: they are asked about in one call.
    Gathering(Instant, u64),
}

/// Which slots a step needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Slots {
    /// Plugin calls.
    Calls = 0,
    /// Downloads.
    Fetches = 1,
}

impl Slots {
    pub(crate) const ALL: [Self; 2] = [Self::Calls, Self::Fetches];

    pub(crate) fn of(key: &Key) -> Self {
        match key {
            Key::Host(_) => Self::Fetches,
            Key::Resolver(_) | Key::Plan => Self::Calls,
        }
    }
}

impl Schedule {
    /// Takes in a look at the library: these keys have so many jobs, and no others do.
    pub(crate) fn refresh(&mut self, backlog: &[(Key, u64)]) {
        let there: HashSet<&Key> = backlog.iter().map(|(key, _)| key).collect();
        let gone: Vec<Key> = self.keys.keys().filter(|key| !there.contains(key)).cloned().collect();
        for key in &gone {
            self.remove(key);
        }
        if !gone.is_empty() {
            let keys = &self.keys;
            self.rings.iter_mut().for_each(|ring| ring.retain(|key| keys.contains_key(key)));
        }
        for (key, ready) in backlog {
            match self.keys.get_mut(key) {
                Some(entry) => entry.ready = *ready,
                None => {
                    self.add(key, *ready);
                }
            }
            self.look_at_gathering(key);
        }
    }

    /// So many more jobs wait under the key. Whether it takes its turn because of them.
    pub(crate) fn add(&mut self, key: &Key, jobs: u64) -> bool {
        if let Some(entry) = self.keys.get_mut(key) {
            entry.ready += jobs;
            return self.look_at_gathering(key);
        }
        self.keys.insert(key.clone(), Entry { ready: jobs, place: Place::Ring, has_gathered: false });
        self.enter(key, Place::Ring);
        true
    }

    /// Whether jobs wait under that key, as far as is known.
    pub(crate) fn has(&self, key: &Key) -> bool {
        self.keys.contains_key(key)
    }

    /// How many jobs wait under that key, as far as is known.
    pub(crate) fn ready(&self, key: &Key) -> u64 {
        self.keys.get(key).map_or(0, |entry| entry.ready)
    }

    /// So many of its jobs wait under other keys now.
    pub(crate) fn lost(&mut self, key: &Key, jobs: u64) {
        match self.keys.get_mut(key) {
            Some(entry) if entry.ready > jobs => entry.ready -= jobs,
            Some(_) => self.emptied(key),
            None => {}
        }
    }

    /// Whether jobs wait under any key, as far as is known.
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether the key that `next` gave has waited long enough for more jobs.
    pub(crate) fn has_gathered(&self, key: &Key) -> bool {
        self.keys.get(key).is_some_and(|entry| entry.has_gathered)
    }

    /// Whether a key waits for a slot, or for its turn, in which it may find that none is free.
    pub(crate) fn waits_for_slots(&self) -> bool {
        self.may_run() || self.served > 0
    }

    /// Whether any key waits for its turn.
    pub(crate) fn may_run(&self) -> bool {
        self.rings.iter().any(|ring| !ring.is_empty())
    }

    /// The next key in turn, and its jobs. It has to be put somewhere again.
    pub(crate) fn next(&mut self, slots: Slots) -> Option<(Key, u64)> {
        let key = self.rings[slots as usize].pop_front()?;
        let entry = self.keys.get_mut(&key)?;
        entry.place = Place::Turn;
        Some((key, entry.ready))
    }

    /// So many of its jobs are about to be leased; the key goes to the end of the ring, or away if it has no more.
    pub(crate) fn took(&mut self, key: &Key, jobs: u64) {
        let Some(entry) = self.keys.get_mut(key) else { return };
        entry.ready = entry.ready.saturating_sub(jobs);
        entry.has_gathered = false;
        if entry.ready == 0 {
            self.remove(key);
        } else {
            self.move_to(key, Place::Ring);
        }
    }

    /// Fewer jobs were there than was thought: none is left.
    pub(crate) fn emptied(&mut self, key: &Key) {
        if self.keys.contains_key(key) {
            self.remove(key);
            self.rings[Slots::of(key) as usize].retain(|other| other != key);
        }
    }

    /// The key that `next` gave has to wait until then, because of that limit.
    pub(crate) fn park_until(&mut self, key: &Key, limit: &Key, until: Instant) {
        self.move_to(key, Place::Until(until, limit.clone()));
    }

    /// The key that `next` gave has to wait until that limit has room.
    pub(crate) fn park_behind(&mut self, key: &Key, limit: &Key) {
        self.move_to(key, Place::Behind(limit.clone()));
    }

    /// The key that `next` gave waits until then for more jobs, unless it has so many before.
    pub(crate) fn park_gathering(&mut self, key: &Key, until: Instant, enough: u64) {
        self.move_to(key, Place::Gathering(until, enough));
    }

    /// Lets the key take its turn that has waited longest for more jobs, if no other key could bring it some before then,
    /// or before `by`. Whether there is one. What runs could, too: that is the caller's to know.
    pub(crate) fn end_gathering(&mut self, by: Option<Instant>) -> bool {
        let is_gathering =
            |key: &Key| matches!(self.keys.get(key), Some(Entry { place: Place::Gathering(..), .. }));
        let Some((until, key)) = self.timers.iter().find(|(_, key)| is_gathering(key)).cloned() else {
            return false;
        };
        let until = by.map_or(until, |by| by.min(until));
        let mut sooner = self.timers.iter().take_while(|(at, _)| *at < until);
        if self.may_run() || sooner.any(|(_, other)| !is_gathering(other)) {
            return false;
        }
        self.gathered(&key);
        true
    }

    /// The key that `next` gave holds its share of the slots, and waits until one of them is free.
    pub(crate) fn park_served(&mut self, key: &Key) {
        self.move_to(key, Place::Served);
    }

    /// The key that `next` gave stays first in turn: no slot is free, or it has only now been claimed. Of several
    /// the one that came last goes back first.
    pub(crate) fn put_back(&mut self, key: Key) {
        if let Some(entry) = self.keys.get_mut(&key) {
            entry.place = Place::Ring;
            self.rings[Slots::of(&key) as usize].push_front(key);
        }
    }

    /// A limit may have room: who waited for it takes its turn. Its rate or its owner may be another now, so a
    /// time that was waited for says nothing.
    pub(crate) fn has_changed(&mut self, limit: &Key) {
        for key in self.blocked.get(limit).cloned().unwrap_or_default() {
            self.move_to(&key, Place::Ring);
        }
    }

    /// A slot of the key is free.
    pub(crate) fn has_slot(&mut self, key: &Key) {
        if matches!(self.keys.get(key), Some(Entry { place: Place::Served, .. })) {
            self.move_to(key, Place::Ring);
        }
    }

    /// Who waited until now takes its turn.
    pub(crate) fn tick(&mut self, now: Instant) {
        while let Some((_, key)) = self.timers.first().filter(|(at, _)| *at <= now).cloned() {
            self.gathered(&key);
        }
    }

    /// When the next key has waited long enough.
    pub(crate) fn next_timer(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// Whether other keys than this one could run with the same slots.
    pub(crate) fn is_contended(&self, key: &Key) -> bool {
        let own = usize::from(self.keys.get(key).is_some_and(|entry| entry.place.is_able()));
        self.able[Slots::of(key) as usize] > own
    }

    /// What waits for more jobs takes its turn when there are enough. Whether there are.
    fn look_at_gathering(&mut self, key: &Key) -> bool {
        let is_enough = matches!(self.keys.get(key),
            Some(Entry { ready, place: Place::Gathering(_, enough), .. }) if ready >= enough);
        if is_enough {
            self.gathered(key);
        }
        is_enough
    }

    /// The key takes its turn, and has waited long enough if it waited for more jobs.
    fn gathered(&mut self, key: &Key) {
        if let Some(entry) = self.keys.get_mut(key) {
            entry.has_gathered |= matches!(entry.place, Place::Gathering(..));
        }
        self.move_to(key, Place::Ring);
    }

    fn move_to(&mut self, key: &Key, place: Place) {
        if self.leave(key).is_some() {
            self.enter(key, place);
        }
    }

    fn remove(&mut self, key: &Key) {
        if self.leave(key).is_some() {
            self.keys.remove(key);
        }
    }

    /// Takes the key out of where it stands.
    fn leave(&mut self, key: &Key) -> Option<()> {
        let entry = self.keys.get(key)?;
        if let Place::Until(at, _) | Place::Gathering(at, _) = &entry.place {
            self.timers.remove(&(*at, key.clone()));
        }
        match &entry.place {
            // Nobody moves a key out of the middle of a ring; who removes it clears the ring as well.
            Place::Ring | Place::Turn | Place::Served | Place::Gathering(..) => {}
            Place::Until(_, limit) | Place::Behind(limit) => {
                if let Some(keys) = self.blocked.get_mut(limit) {
                    keys.remove(key);
                    if keys.is_empty() {
                        self.blocked.remove(limit);
                    }
                }
            }
        }
        if entry.place.is_able() {
            self.able[Slots::of(key) as usize] -= 1;
        }
        self.served -= usize::from(entry.place == Place::Served);
        Some(())
    }

    fn enter(&mut self, key: &Key, place: Place) {
        if let Place::Until(at, _) | Place::Gathering(at, _) = &place {
            self.timers.insert((*at, key.clone()));
        }
        match &place {
            Place::Ring => self.rings[Slots::of(key) as usize].push_back(key.clone()),
            Place::Turn | Place::Served | Place::Gathering(..) => {}
            Place::Until(_, limit) | Place::Behind(limit) => {
                self.blocked.entry(limit.clone()).or_default().insert(key.clone());
            }
        }
        if place.is_able() {
            self.able[Slots::of(key) as usize] += 1;
        }
        self.served += usize::from(place == Place::Served);
        if let Some(entry) = self.keys.get_mut(key) {
            entry.place = place;
        }
    }
}

impl Place {
    fn is_able(&self) -> bool {
        matches!(self, Self::Ring | Self::Turn | Self::Served)
    }
}

#[cfg(test)]
mod tests;
