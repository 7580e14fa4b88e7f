//! What holds for a key beyond the configuration: what an operator set while a run goes on, and the pause that an
//! upstream asked for. Stored in the library, obeyed by the limiter.
//!
//! Must never hold a whole limit: what is not set is the configuration's.

use std::num::NonZeroU32;

use serde::Serialize;

use crate::clock::UnixMillis;
use crate::key::Key;
use crate::units::Rate;

/// What differs from the configuration for a key. A rate without a burst has a burst of 1, as in the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct KeyLimit {
    /// At once.
    pub concurrency: Option<NonZeroU32>,
    /// How often.
    pub rate: Option<Rate>,
    /// How many tokens of the rate may pile up.
    pub burst: Option<NonZeroU32>,
}

/// What holds for a key beyond the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySetting {
    /// Which.
    pub key: Key,
    /// An upstream's pause, if it lies in the future.
    pub cooldown_until: UnixMillis,
    /// Whether an operator stopped it.
    pub paused: bool,
    /// The limit an operator set.
    pub limit: KeyLimit,
}

impl KeySetting {
    /// A key for which nothing holds.
    pub fn none(key: Key) -> Self {
        Self { key, cooldown_until: UnixMillis(0), paused: false, limit: KeyLimit::default() }
    }
}
