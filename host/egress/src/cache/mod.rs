//! A shared cache of answers (RFC 9111) for what plugins ask: in front of limits and connections, behind every check.
//!
//! One request goes through it like this: [`Cache::turn`] says whether to use a kept answer or to ask; who asks gets an
//! [`Asking`], and that type alone leads to an answer being kept: confirmed by a 304, standing in for a failure, or
//! recorded while its body comes, which counts only when the body came whole. Must never give an answer to a request
//! with another key, keep a secret, or block an async thread on a disk.

mod asking;
mod config;
mod disk;
mod flight;
mod freshness;
mod key;
mod stored;
mod sweep;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use gleaner_model::clock::{SharedClock, UnixMillis};
use http::header::{AGE, HeaderMap, HeaderValue};
use tokio::time::Instant;
use url::Url;

use crate::redirect::Hop;
use crate::scope::{Role, Scope};
pub(crate) use asking::{Asking, Recording};
pub use config::CacheConfig;
use disk::Disk;
use flight::{Flights, Landed, Lead, Place};
use freshness::Rules;
use key::Key;
pub(crate) use stored::Stored;
pub use sweep::{CacheUse, cache_use, clear_cache};

/// The cache. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Cache(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: CacheConfig,
    user_agent: HeaderValue,
    clock: SharedClock,
    flights: Flights,
    disk: Option<Arc<Disk>>,
}

/// What becomes of one request.
#[derive(Debug)]
pub(crate) enum Turn {
    /// It is none of the cache's business.
    Past,
    /// This is the answer.
    Kept(Arc<Stored>),
    /// Ask.
    Ask(Box<Asking>),
    /// It waited for another's answer until its time was up.
    Late,
}

impl Cache {
    pub(crate) fn new(config: &CacheConfig, user_agent: &HeaderValue, clock: SharedClock) -> Self {
        let dir = config.dir.clone().filter(|_| config.size.0 > 0);
        let disk = dir.map(|dir| Arc::new(Disk::new(dir, config.size.0, config.max_entry.0)));
        let (config, user_agent) = (config.clone(), user_agent.clone());
        Self(Arc::new(Inner { config, user_agent, clock, flights: Flights::default(), disk }))
    }

    /// Whose turn it is to ask for that: an answer that is fresh, or comes for another request of the same key, is
    /// used. `before_wait` runs before it waits for another one.
    pub(crate) async fn turn(&self, hop: &Hop, scope: &Scope, end: Instant, before_wait: impl Fn()) -> Turn {
        let Some(key) = Key::of(hop, scope, &self.0.user_agent) else { return Turn::Past };
        let role = scope.role(&hop.url);
        let lead = match self.0.flights.join(key, end, before_wait).await {
            Place::Gets(stored) => return Turn::Kept(stored),
            Place::Late => return Turn::Late,
            Place::Leads(lead) => Some(lead),
            Place::Solo => None,
        };
        let stale = match self.blocking(move |disk, now| disk.read(&key, now)).await {
            Some(stored) if self.rules(role).is_fresh(&stored, self.now()) => {
                let stored = Arc::new(stored);
                land(lead, Landed::With(Arc::clone(&stored)));
                return Turn::Kept(stored);
            }
            stale => stale,
        };
        let secrets = scope.injections(&hop.url).map(|injection| injection.secret.clone()).collect();
        Turn::Ask(Box::new(Asking { cache: self.clone(), key, role, lead, stale, secrets }))
    }

    /// The headers of a kept answer, with its age.
    pub(crate) fn headers(&self, stored: &Stored) -> HeaderMap {
        let mut headers = stored.headers.clone();
        headers.insert(AGE, HeaderValue::from(freshness::age_now(stored, self.now())));
        headers
    }

    /// After an unsafe request that was answered well: what was kept of that URL holds no more.
    pub(crate) async fn invalidate(&self, url: &Url) {
        let url = key::url_digest(url);
        self.blocking(move |disk, _| {
            disk.invalidate(&url);
            None::<()>
        })
        .await;
    }

    fn now(&self) -> UnixMillis {
        self.0.clock.now()
    }

    fn rules(&self, role: Role) -> Rules<'_> {
        Rules { config: &self.0.config, role }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Disk, UnixMillis) -> Option<T> + Send + 'static,
    ) -> Option<T> {
        let (disk, now) = (Arc::clone(self.0.disk.as_ref()?), self.now());
        tokio::task::spawn_blocking(move || work(&disk, now)).await.ok().flatten()
    }
}

fn land(lead: Option<Lead>, landed: Landed) {
    if let Some(lead) = lead {
        lead.land(landed);
    }
}
