//! What the program says about itself while it works: typed events, and `tracing` set up for people or
//! for machines.
//!
//! Events are emitted after the commit that made them true, never before. They never carry a secret or a
//! request's query.

mod config;
mod event;
mod metrics;
mod otel;
mod subscriber;

pub use config::{Endpoint, Sample, TelemetryConfig};
pub use event::{Event, JobEnded, Observer, RequestEnded, Silent, StepEnded, StepKind};
pub use metrics::catalogue;
pub use metrics::{Metrics, metrics};
pub use otel::{OtelError, OtelVariables, adopt, shutdown, trace_library};
pub use subscriber::{LogFormat, Sending, TelemetryError, Verbosity, init, log_run};
