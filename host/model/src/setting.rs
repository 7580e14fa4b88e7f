//! What holds for a key beyond the configuration: what an operator set while a run goes on, and the pause that an
//! upstream asked for. Stored in the library, obeyed by the limiter.
//!
//! Must never hold a whole limit: what is not set is the configuration's.

use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::Serialize;

use crate::clock::UnixMillis;
use crate::key::Key;
use crate::units::Rate;

/// What differs from the configuration for a key. A rate without a burst has a burst of 1, as in the configuration.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct KeyLimit {
    /// At once.
    pub concurrency: Option<NonZeroU32>,
    /// How often.
    #[schemars(with = "Option<String>")]
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
    /// How it fares.
    pub condition: Condition,
}

/// How a key fares, as the process that used it last wrote it down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// The pause is not one that the upstream asked for: it failed too often in a row.
    pub is_broken: bool,
    /// What is used of the limit, in per cent: less than 100 after the upstream showed strain.
    pub pace: u8,
    /// The day that `used` is of, counted from 1970-01-01.
    pub day: i64,
    /// What was used on that day, at most; only counted for keys with a budget.
    pub used: u32,
}

impl Default for Condition {
    fn default() -> Self {
        Self { is_broken: false, pace: 100, day: 0, used: 0 }
    }
}

impl KeySetting {
    /// A key for which nothing holds.
    pub fn none(key: Key) -> Self {
        Self {
            key,
            cooldown_until: UnixMillis(0),
            paused: false,
            limit: KeyLimit::default(),
            condition: Condition::default(),
        }
    }
}
