//! All integration suites in one program: each module is one suite, and one that is not named here does not compile.
//!
//! Run with `cargo xtask test`, which builds the binary, the plugins and the guests first.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod answers;
mod backup;
mod bad_days;
mod caps;
mod cli;
mod client;
mod compiled_cache;
mod configuration;
mod crash;
mod docs;
mod durability;
mod examples;
mod exit_codes;
mod fallback;
mod grants;
mod guard;
mod guests;
mod harvest;
mod holdings;
mod hot_plugins;
mod messages;
mod misdeeds;
mod never_stored;
mod papers;
mod plugin_check;
mod processes;
mod progress;
mod projects;
mod queue_commands;
mod queue_explain;
mod queue_keys;
mod reading_list;
mod recorded;
mod reload;
mod resolvers;
mod same_work;
mod secrets;
mod simweb_apis;
mod simweb_pdf;
mod simweb_program;
mod simweb_records;
mod simweb_replies;
mod simweb_tls;
mod stop;
mod ways;
mod wit;
mod write_a_resolver;
