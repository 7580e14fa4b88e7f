//! Plugins: loading components, calling them in a sandbox, and making sense of what they did.
//!
//! This is the only crate that knows wasmtime. It must never open a connection or a file on a guest's
//! behalf: what a guest may reach comes through [`GuestHost`], which the orchestrator implements.
//!
//! A [`Loader`] turns directories into a [`Catalogue`] of [`Plugin`]s, again and again; [`Plugin::resolve`] asks one
//! of them in a fresh instance and returns a [`CallReport`]. Everything a guest says is hostile until checked.

mod answer;
mod aside;
mod cache;
mod call;
mod catalogue;
mod engine;
mod error;
mod failure;
mod guest;
mod host;
mod info;
mod inspect;
mod load;
mod loader;
mod log;
mod memory;
#[cfg(feature = "native")]
mod native;
mod outbound;
#[cfg(test)]
mod outside;
mod plugin;
mod private;
mod reuse;
mod sandbox;
mod stderr;
mod text;
mod track_0_1;
mod wasi_http;

pub use catalogue::{Broken, Catalogue};
pub use engine::{Runtime, RuntimeConfig};
pub use error::{LoadError, RuntimeError};
pub use host::{GuestHost, GuestHttpError, GuestMethod, GuestRequest, GuestResponse};
pub use loader::Loader;
#[cfg(feature = "native")]
pub use plugin::Native;
pub use plugin::{CallReport, LogLevel, LogLine, Needs, Plugin, PluginInfo, Query};
pub use private::check as check_cache_dir;
pub use sandbox::{Sandbox, SandboxPart};
pub use text::tidy;
