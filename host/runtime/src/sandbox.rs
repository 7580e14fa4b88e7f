//! What one call of a guest may use.
//!
//! Must never have a value that means "no limit".

use std::num::NonZeroU32;
use std::time::Duration;

use gleaner_model::units::{ByteSize, Span};
use serde::{Deserialize, Serialize};

/// Limits of one call of a plugin, as in `[plugins] sandbox = { memory = "64MiB", ... }`: all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Sandbox {
    /// All linear memories and tables together, at their largest. What is handed over to the host at a time is held
    /// to it too.
    pub memory: ByteSize,
    /// Time the guest computes, to 10 ms.
    pub cpu: Span,
    /// Time from the start of the call to its answer, waiting for requests included.
    pub wall: Span,
    /// Requests sent.
    pub requests: u32,
    /// The body of one answer to a request. The interface's 16 MiB and `[egress] max-body` hold too, and the
    /// smallest counts.
    pub response: ByteSize,
    /// Bodies of all requests and answers together; what is left is shared evenly by requests that are sent
    /// at once.
    pub bytes: ByteSize,
    /// Lines logged; further ones are counted and dropped.
    pub log_lines: u32,
    /// Calls of one instance, one after the other, as long as each of them answers. At 1 each call has a fresh one
    /// and finds nothing of the calls before it. The other limits are of each call all the same.
    pub reuse: NonZeroU32,
}

/// What one resolver has in place of the limits for all, as in `[resolvers.NAME] sandbox = { memory = "256MiB" }`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct SandboxPart {
    /// All memories and tables together, at their largest.
    pub memory: Option<ByteSize>,
    /// Computing.
    pub cpu: Option<Span>,
    /// From the start of a call to its answer.
    pub wall: Option<Span>,
    /// Requests sent.
    pub requests: Option<u32>,
    /// The body of one answer.
    pub response: Option<ByteSize>,
    /// The bodies of all requests and answers together.
    pub bytes: Option<ByteSize>,
    /// Lines logged.
    pub log_lines: Option<u32>,
    /// Calls of one instance.
    pub reuse: Option<NonZeroU32>,
}

impl Default for Sandbox {
    /// For tests and benchmarks; a test holds it to `config/default.toml`.
    fn default() -> Self {
        Self {
            memory: ByteSize(64 << 20),
            cpu: Span(Duration::from_secs(2)),
            wall: Span(Duration::from_secs(60)),
            requests: 32,
            response: ByteSize(16 << 20),
            bytes: ByteSize(64 << 20),
            log_lines: 100,
            reuse: NonZeroU32::MIN,
        }
    }
}

impl Sandbox {
    /// With what one resolver has in place of it.
    #[must_use]
    pub fn with(self, part: &SandboxPart) -> Self {
        Self {
            memory: part.memory.unwrap_or(self.memory),
            cpu: part.cpu.unwrap_or(self.cpu),
            wall: part.wall.unwrap_or(self.wall),
            requests: part.requests.unwrap_or(self.requests),
            response: part.response.unwrap_or(self.response),
            bytes: part.bytes.unwrap_or(self.bytes),
            log_lines: part.log_lines.unwrap_or(self.log_lines),
            reuse: part.reuse.unwrap_or(self.reuse),
        }
    }

    /// What `describe` may use: no requests at all, and a second.
    pub(crate) fn describe() -> Self {
        Self {
            memory: ByteSize(64 << 20),
            cpu: Span(Duration::from_secs(1)),
            wall: Span(Duration::from_secs(1)),
            requests: 0,
            response: ByteSize(0),
            bytes: ByteSize(0),
            log_lines: 10,
            reuse: NonZeroU32::MIN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resolvers_own_limits_replace_those_for_all_one_by_one() {
        let read = |json| serde_json::from_str::<SandboxPart>(json);
        let small = read(r#"{"memory":"8MiB","cpu":"500ms","log-lines":3,"reuse":9}"#).unwrap();
        let small = Sandbox::default().with(&small);
        assert_eq!(small.memory.0, 8 << 20);
        assert_eq!(small.cpu.0, Duration::from_millis(500));
        assert_eq!((small.log_lines, small.reuse.get()), (3, 9));
        let rest = Sandbox { memory: small.memory, cpu: small.cpu, log_lines: 3, ..Sandbox::default() };
        assert_eq!(small, Sandbox { reuse: small.reuse, ..rest });
        assert!(read(r#"{"memorry":"8MiB"}"#).unwrap_err().to_string().contains("memorry"));
        assert!(read(r#"{"reuse":0}"#).is_err());
        assert!(serde_json::from_str::<Sandbox>("{}").is_err(), "defaults stand in config/default.toml");
    }
}
