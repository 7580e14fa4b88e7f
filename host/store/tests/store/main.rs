//! The suites of the store, on real files.

#![expect(clippy::unwrap_used, clippy::panic, reason = "the whole crate is tests")]

mod conformance;
mod crash;
mod library;
mod model;
mod outside;
mod scratch;
mod sharing;
mod suspensions;
