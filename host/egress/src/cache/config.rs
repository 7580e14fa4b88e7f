//! The `[egress.cache]` section.
//!
//! Must never name a service: what is kept goes by the role of a request, not by its host.

use std::path::PathBuf;
use std::time::Duration;

use gleaner_model::units::{ByteSize, Span};
use serde::Deserialize;

use crate::scope::Role;

/// The `[egress.cache]` section. Defaults are those of `config/default.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct CacheConfig {
    /// What all answers may take on disk together; none are kept with 0.
    pub size: ByteSize,
    /// A larger body is passed on and not kept.
    pub max_entry: ByteSize,
    /// How long an API's answer is fresh when it does not say so itself.
    pub metadata: Span,
    /// The same for a landing page.
    pub landing: Span,
    /// The same for 404 and 410, whoever answers.
    pub negative: Span,
    /// How long after it was fresh an answer may stand in for one that cannot be had; an answer's own
    /// `stale-if-error` (RFC 5861) wins.
    pub stale_if_error: Span,
    /// Where answers are kept; none: nowhere beyond the requests in flight. Made when the first one is kept.
    #[serde(skip)]
    pub dir: Option<PathBuf>,
}

impl CacheConfig {
    /// How long an answer without a word of its own is fresh.
    pub(super) fn unsaid(&self, role: Role, is_negative: bool) -> Duration {
        match role {
            _ if is_negative => self.negative.0,
            Role::Metadata => self.metadata.0,
            Role::Landing => self.landing.0,
            Role::Content | Role::Robots => Duration::ZERO,
        }
    }
}

impl Default for CacheConfig {
    fn default() -> Self {
        let hours = |n: u64| Span(Duration::from_secs(n * 3600));
        Self {
            size: ByteSize(256 << 20),
            max_entry: ByteSize(4 << 20),
            metadata: hours(24),
            landing: hours(24),
            negative: Span(Duration::from_secs(600)),
            stale_if_error: hours(7 * 24),
            dir: None,
        }
    }
}
