//! What the integration suites share: the simulated scholarly web, and the harness that runs the real `gleaner` binary.
//!
//! Only tests and the demo use it. Must never be a dependency of a crate of the host or of a plugin.
#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test that cannot set up its world should stop at once and say why"
)]

pub mod corpus;
pub mod crash;
pub mod harness;
pub mod simweb;
