//! What the program says about itself while it works: typed events, and `tracing` set up for people or
//! for machines.
//!
//! Events are emitted after the commit that made them true, never before. They never carry a secret or a
//! request's query.

mod event;
mod subscriber;

pub use event::{Event, JobEnded, Observer, Silent, StepEnded, StepKind};
pub use subscriber::{LogFormat, TelemetryError, Verbosity, init};
