//! The `[queue]` section of the configuration.
//!
//! Must never hold defaults: those stand in `config/default.toml`.

use gleaner_model::units::Span;
use serde::{Deserialize, Serialize};

/// How `library.db` is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct StoreOptions {
    /// What survives a power cut.
    pub durability: Durability,
    /// How long a write waits for another process that writes to the same library.
    pub busy_timeout: Span,
}

/// What survives a power cut. A crash of the process alone loses nothing either way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Durability {
    /// Everything that was answered (`synchronous = FULL`; one fsync a group of writes), but for leases, whose jobs then
    /// wait as before.
    Full,
    /// All but the last moments (`synchronous = NORMAL`). What was lost is done again.
    Normal,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_section_reads_as_documented() {
        let read = |text: &str| serde_json::from_str::<StoreOptions>(text);
        let options = read(r#"{"durability":"full","busy-timeout":"10s"}"#).unwrap();
        assert_eq!((options.durability, options.busy_timeout.0.as_secs()), (Durability::Full, 10));
        for wrong in [
            r#"{"durability":"full","busy-timeout":10}"#,
            r#"{"durability":"off","busy-timeout":"10s"}"#,
            r#"{"durability":"full","busy-timeout":"10s","workers":8}"#,
        ] {
            read(wrong).unwrap_err();
        }
    }
}
