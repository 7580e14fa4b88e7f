//! The words of Gleaner as types, and its rules as pure functions.
//!
//! Everything else imports this crate and this crate imports nothing of ours. It must never do I/O, read
//! a clock other than through [`clock::Clock`], or know any scholarly service by name.

/// The target of spans that are traces of jobs, in every crate: what exporters take and logs leave out.
pub const SPANS: &str = "otel";

pub mod artifact;
pub mod backoff;
pub mod candidate;
pub mod canonical;
pub mod clock;
pub mod fault;
pub mod identifier;
pub mod job;
pub mod key;
pub mod manifest;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod mutations;
pub mod next;
pub mod plan;
pub mod rank;
pub mod reason;
pub mod retry_after;
pub mod setting;
pub mod suspension;
pub mod units;
