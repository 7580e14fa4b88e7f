//! All integration suites in one program: each module is one suite, and one that is not named here does not compile.
//!
//! Run with `cargo xtask test`, which builds the binary, the plugins and the guests first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod client;
mod crash;
mod durability;
mod reading_list;
mod simweb_apis;
mod simweb_pdf;
mod simweb_program;
mod simweb_records;
mod simweb_replies;
mod simweb_tls;
mod papers;
mod stop;
