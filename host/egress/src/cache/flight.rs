//! Identical requests at the same time: one asks, the others get what it gets.
//!
//! Whoever leads lands its flight exactly once, also by being dropped; then one of those who wait takes over. Must
//! never keep anybody waiting for a flight that nobody leads, nor keep a flight that has landed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::key::Key;
use super::stored::Stored;

/// How a flight ended.
#[derive(Debug, Clone)]
pub(super) enum Landed {
    /// With an answer for everybody who waited.
    With(Arc<Stored>),
    /// With one that is its leader's alone: the others ask for themselves, all at once.
    Alone,
    /// Not at all: another one takes over.
    Nowhere,
}

/// What to do about a request.
#[derive(Debug)]
pub(super) enum Place {
    /// Ask, and tell the others.
    Leads(Lead),
    /// Ask, for nobody else.
    Solo,
    /// Use this.
    Gets(Arc<Stored>),
    /// The time is up.
    Late,
}

type Landings = HashMap<Key, watch::Receiver<Option<Landed>>>;

/// The requests in flight.
#[derive(Debug, Default, Clone)]
pub(super) struct Flights(Arc<Mutex<Landings>>);

/// Leads one flight.
#[derive(Debug)]
pub(super) struct Lead {
    flights: Flights,
    key: Key,
    landing: Option<watch::Sender<Option<Landed>>>,
}

impl Flights {
    /// Leads the flight of that key, or waits for the one who does, until `end`. `before_wait` runs before the first
    /// wait: a permit must not be held meanwhile, since the leader may need it.
    pub(super) async fn join(&self, key: Key, end: Instant, before_wait: impl Fn()) -> Place {
        loop {
            let mut landing = match self.lead_or_wait(key) {
                Ok(lead) => return Place::Leads(lead),
                Err(landing) => landing,
            };
            before_wait();
            let landed = match tokio::time::timeout_at(end, landing.wait_for(Option::is_some)).await {
                Err(_) => return Place::Late,
                // The sender is never dropped without a word; if it were, another one takes over.
                Ok(landed) => landed.ok().and_then(|landed| landed.clone()).unwrap_or(Landed::Nowhere),
            };
            match landed {
                Landed::With(stored) => return Place::Gets(stored),
                Landed::Alone => return Place::Solo,
                Landed::Nowhere => {}
            }
        }
    }

    fn lead_or_wait(&self, key: Key) -> Result<Lead, watch::Receiver<Option<Landed>>> {
        let mut landings = self.lock();
        if let Some(landing) = landings.get(&key) {
            return Err(landing.clone());
        }
        let (sender, receiver) = watch::channel(None);
        landings.insert(key, receiver);
        Ok(Lead { flights: self.clone(), key, landing: Some(sender) })
    }

    fn lock(&self) -> MutexGuard<'_, Landings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lead {
    /// Ends the flight.
    pub(super) fn land(mut self, landed: Landed) {
        self.end(landed);
    }

    fn end(&mut self, landed: Landed) {
        if let Some(landing) = self.landing.take() {
            // First: whoever comes now begins a flight of its own.
            self.flights.lock().remove(&self.key);
            landing.send_replace(Some(landed));
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.end(Landed::Nowhere);
    }
}
