//! What one call of a guest may use.
//!
//! Must never have a value that means "no limit".

use std::time::Duration;

use gleaner_model::units::{ByteSize, Span};
use serde::{Deserialize, Serialize};

/// Limits of one call of a plugin, as in `[resolvers.NAME] sandbox = { memory = "64MiB", ... }`. What is
/// not given has its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Sandbox {
    /// All linear memories together, at their largest. Default 64 MiB.
    pub memory: ByteSize,
    /// Time the guest computes, to 10 ms. Default 2 s.
    pub cpu: Span,
    /// Time from the start of the call to its answer, waiting for requests included. Default 60 s.
    pub wall: Span,
    /// Requests sent. Default 32.
    pub requests: u32,
    /// Bodies of all requests and answers together; what is left is shared evenly by requests that are sent
    /// at once. Default 64 MiB.
    pub bytes: ByteSize,
    /// Lines logged; further ones are counted and dropped. Default 100.
    pub log_lines: u32,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            memory: ByteSize(64 << 20),
            cpu: Span(Duration::from_secs(2)),
            wall: Span(Duration::from_secs(60)),
            requests: 32,
            bytes: ByteSize(64 << 20),
            log_lines: 100,
        }
    }
}

impl Sandbox {
    /// What `describe` may use: no requests at all, and a second.
    pub(crate) fn describe() -> Self {
        Self {
            memory: ByteSize(64 << 20),
            cpu: Span(Duration::from_secs(1)),
            wall: Span(Duration::from_secs(1)),
            requests: 0,
            bytes: ByteSize(0),
            log_lines: 10,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_reads_like_its_documentation() {
        let read = |json| serde_json::from_str::<Sandbox>(json);
        let small = read(r#"{"memory":"8MiB","cpu":"500ms","log-lines":3}"#).unwrap();
        assert_eq!(small.memory.0, 8 << 20);
        assert_eq!(small.cpu.0, Duration::from_millis(500));
        assert_eq!((small.log_lines, small.requests), (3, Sandbox::default().requests));
        assert!(read(r#"{"memorry":"8MiB"}"#).unwrap_err().to_string().contains("memorry"));
    }
}
