//! One request that is sent though the cache is there: from its conditions to what is kept of its answer.
//!
//! Must never keep what did not come whole, or more of it than is configured.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{StatusCode, Version};

use super::flight::{Landed, Lead};
use super::key::Key;
use super::stored::Stored;
use super::{Cache, freshness, land};
use crate::error::{EgressError, Stage};
use crate::scope::Role;

/// A request to send. Dropped without a word, it lets another one take over.
pub(crate) struct Asking {
    pub(super) cache: Cache,
    pub(super) key: Key,
    pub(super) role: Role,
    pub(super) lead: Option<Lead>,
    pub(super) stale: Option<Stored>,
    pub(super) secrets: Vec<String>,
}

/// An answer whose body is still coming.
pub(crate) struct Recording {
    asking: Box<Asking>,
    head: Stored,
    body: BytesMut,
}

impl Asking {
    /// The headers that ask whether the kept answer still holds, if there is one.
    pub(crate) fn conditions(&self) -> Option<HeaderMap> {
        self.stale.as_ref().and_then(freshness::conditions)
    }

    /// The kept answer, after the host confirmed it with a 304; or the asking again, when the 304 is about another one.
    pub(crate) async fn confirmed(mut self: Box<Self>, by: &HeaderMap) -> Result<Arc<Stored>, Box<Self>> {
        let Some(stale) = self.stale.take_if(|stale| freshness::confirms(by, stale)) else {
            let key = self.key;
            self.stale = None;
            self.cache
                .blocking(move |disk, _| {
                    disk.remove(&key);
                    None::<()>
                })
                .await;
            return Err(self);
        };
        let stored = Arc::new(stale.confirmed(by, self.cache.now()));
        self.keep(&stored).await;
        Ok(stored)
    }

    /// The kept answer, if it may stand in for one that this failure stands against.
    pub(crate) fn instead_of_error(&mut self, error: &EgressError) -> Option<Arc<Stored>> {
        let is_the_hosts = match error {
            EgressError::Dns { .. } | EgressError::Connection { .. } => true,
            EgressError::Timeout { stage, .. } => matches!(stage, Stage::Connect | Stage::Headers),
            EgressError::Throttled { status, .. } => status.is_server_error(),
            _ => false,
        };
        self.stand_in().filter(|_| is_the_hosts).inspect(|stored| self.land_with(stored))
    }

    /// The kept answer, if it may stand in for one with that status.
    pub(crate) fn instead_of_status(&mut self, status: StatusCode) -> Option<Arc<Stored>> {
        // RFC 5861, section 4.
        let failed = matches!(status.as_u16(), 500 | 502 | 503 | 504);
        self.stand_in().filter(|_| failed).inspect(|stored| self.land_with(stored))
    }

    /// Begins to keep an answer, if it may be kept. `ends_by_itself`: where its body ends does not matter.
    pub(crate) fn record(
        self: Box<Self>,
        status: StatusCode,
        version: Version,
        headers: &HeaderMap,
        ends_by_itself: bool,
    ) -> Option<Recording> {
        let head = Stored::new(status, headers, self.cache.now(), Bytes::new());
        // A body that ends with its connection may have been cut.
        let has_end = ends_by_itself
            || version >= Version::HTTP_2
            || headers.contains_key(CONTENT_LENGTH)
            || headers.contains_key(TRANSFER_ENCODING);
        let declared =
            headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        let fits = declared.is_none_or(|declared| declared <= self.cache.0.config.max_entry.0);
        if has_end && fits && self.cache.rules(self.role).may_keep(&head) {
            return Some(Recording { asking: self, head, body: BytesMut::new() });
        }
        land(self.lead, Landed::Alone);
        None
    }

    fn stand_in(&self) -> Option<Arc<Stored>> {
        let (rules, now) = (self.cache.rules(self.role), self.cache.now());
        let stale = self.stale.as_ref().filter(|stale| rules.may_stand_in(stale, now));
        stale.map(|stale| Arc::new(stale.clone()))
    }

    fn land_with(&mut self, stored: &Arc<Stored>) {
        land(self.lead.take(), Landed::With(Arc::clone(stored)));
    }

    /// Tells those who wait, then writes it down.
    async fn keep(mut self: Box<Self>, stored: &Arc<Stored>) {
        if stored.holds_any(&self.secrets) {
            land(self.lead.take(), Landed::Alone);
            return;
        }
        if self.cache.rules(self.role).is_fresh(stored, self.cache.now()) {
            self.land_with(stored);
        } else {
            // It has to be asked about each time (RFC 9111, section 4).
            land(self.lead.take(), Landed::Alone);
        }
        let (key, stored) = (self.key, Arc::clone(stored));
        self.cache
            .blocking(move |disk, now| {
                disk.write(&key, &stored, now);
                None::<()>
            })
            .await;
    }
}

impl Recording {
    /// The same with more of the body; none when that is more than is kept.
    pub(crate) fn with(mut self, chunk: &[u8]) -> Option<Self> {
        let most = self.asking.cache.0.config.max_entry.0;
        if (self.body.len() + chunk.len()) as u64 > most {
            land(self.asking.lead, Landed::Alone);
            return None;
        }
        self.body.extend_from_slice(chunk);
        Some(self)
    }

    /// The body has ended as it should: the answer is kept.
    pub(crate) async fn whole(self) {
        let mut stored = Stored { body: self.body.freeze(), ..self.head };
        let length = stored.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        if !stored.body.is_empty() && length != Some(stored.body.len().to_string().as_str()) {
            // It was that of the compressed bytes.
            stored.headers.remove(CONTENT_LENGTH);
        }
        let stored = Arc::new(stored);
        self.asking.keep(&stored).await;
    }
}

impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asking").field("role", &self.role).finish_non_exhaustive()
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("bytes", &self.body.len()).finish_non_exhaustive()
    }
}
