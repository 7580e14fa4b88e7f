//! Plugins: loading components, calling them in a sandbox, and making sense of what they did.
//!
//! This is the only crate that knows wasmtime. It must never open a connection or a file on a guest's
//! behalf: what a guest may reach comes through [`GuestHost`], which the orchestrator implements.
//!
//! [`Runtime::load_dirs`] turns directories into a [`Catalogue`] of [`Plugin`]s; [`Plugin::resolve`] asks one
//! of them in a fresh instance and returns a [`CallReport`]. Everything a guest says is hostile until checked.

mod answer;
mod cache;
mod catalogue;
mod engine;
mod error;
mod failure;
mod guest;
mod host;
mod info;
mod inspect;
mod load;
mod log;
mod memory;
mod outbound;
#[cfg(test)]
mod outside;
mod plugin;
mod sandbox;
mod stderr;
mod text;
mod track_0_1;
mod wasi_http;

pub use catalogue::{Broken, Catalogue};
pub use engine::{Runtime, RuntimeConfig};
pub use error::{LoadError, RuntimeError};
pub use host::{GuestHost, GuestHttpError, GuestMethod, GuestRequest, GuestResponse};
pub use plugin::{CallReport, LogLevel, LogLine, Needs, Plugin, PluginInfo, Query};
pub use sandbox::Sandbox;
