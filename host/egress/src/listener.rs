//! Who is told of requests: counts and latencies, for whoever keeps them.
//!
//! Must never be told a URL: a query may have a key in it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::scope::Role;

/// One request that was sent.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// What it was for.
    pub role: Role,
    /// The status; none when no answer came.
    pub status: Option<u16>,
    /// From sending to the headers of the answer.
    pub took: Duration,
}

/// Somebody who is told of each request. Must return at once.
#[derive(Clone, Default)]
pub(crate) struct Listener(Option<Arc<dyn Fn(Exchange) + Send + Sync>>);

impl Listener {
    pub(crate) fn new(listener: impl Fn(Exchange) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(listener)))
    }

    pub(crate) fn tell(&self, role: Role, status: Option<u16>, took: Duration) {
        if let Some(listener) = &self.0 {
            listener(Exchange { role, status, took });
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listener({})", self.0.is_some())
    }
}
