//! The run: jobs are leased when their key may run, one step is carried out, its facts are recorded.
//!
//! The dispatcher decides what starts, workers carry steps out, the heartbeat keeps their leases. Must never
//! wait for a limit with a lease in hand longer than egress does, nor sleep through a back-off.

mod ask;
mod asked;
mod blocking;
mod breaker;
pub mod config;
mod dispatcher;
mod ends;
mod facts;
mod fetch;
mod gather;
mod generation;
mod guest_host;
mod heartbeat;
mod install;
mod leasing;
mod line;
mod manifest;
#[cfg(test)]
mod outside;
mod pace;
mod pass_on;
mod pieces;
mod recheck;
mod redact;
mod reserve;
mod resolve;
mod resolvers;
mod run;
mod running;
mod schedule;
mod secrets;
mod sharing;
mod sidecar;
mod small_file;
mod sources;
mod step;
mod suspend;
mod wide;
mod worker;

pub use ask::{Answer, AskReport, News, Ranked, ask, ask_through};
pub use asked::{Lacking, Wish, asked_hosts};
pub use blocking::Blocking;
pub use breaker::Breakers;
pub use generation::{Generation, Live};
pub use pieces::{Pieces, RunError};
pub use recheck::{Recheck, Rechecked, Tally, Verdict};
pub use resolvers::{Refused, Resolvers, Rights, is_bundled};
pub use run::{Drain, Finish, RunReport, Stop};
pub use secrets::SecretConfig;
pub use sharing::ALIVE_FOR;
pub use sidecar::Sidecar;
pub use sources::Sources;
