//! A plugin that is not called for a while, because it failed too often in a row by its own doing.
//!
//! Must never be about an upstream: those pause keys, by cooldowns.

use std::time::Duration;

use crate::clock::UnixMillis;
use crate::key::ResolverName;

/// One suspension, of one component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspension {
    /// Who.
    pub resolver: ResolverName,
    /// Of its component, in lower-case hex: another component of that name is not suspended.
    pub sha256: String,
    /// When one call may show whether it works again.
    pub until: UnixMillis,
    /// How long this pause is; if that call fails, the next is twice as long.
    pub pause: Duration,
    /// Failures in a row.
    pub failures: u32,
    /// The last of them: its reason and detail.
    pub because: String,
}

impl Suspension {
    /// Whether it holds for that component at that time.
    pub fn holds(&self, sha256: &str, now: UnixMillis) -> bool {
        self.sha256 == sha256 && self.lasts(now)
    }

    /// Whether its time has not passed.
    pub fn lasts(&self, now: UnixMillis) -> bool {
        self.until > now
    }
}
