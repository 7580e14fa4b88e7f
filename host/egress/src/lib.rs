//! The one way out: every request to the outside, whoever makes it, goes through [`Egress::send`].
//!
//! What holds for all of them stands here and nowhere else: which hosts and ports, which addresses, how often,
//! how long, how much, what a redirect may do, and which secrets go where. This crate is the only one that
//! knows reqwest. It must never follow a redirect unchecked, connect to an address that was not checked,
//! or show a secret in a URL, an error or a log line.

mod announced;
mod body;
mod cache;
mod client;
mod config;
mod connect;
mod connecting;
mod dns;
mod errand;
mod error;
mod guard;
mod hosts;
mod https_first;
mod listener;
mod of_hosts;
mod proxy;
mod redirect;
mod robots;
mod scope;
#[cfg(test)]
mod tests;
mod trust;
mod unpack;

pub use body::Body;
pub use cache::{CacheConfig, CacheUse, cache_use, clear_cache};
pub use client::{Egress, Reached, Request, Response};
pub use config::{ConnectTo, EgressConfig};
pub use error::{EgressError, Stage};
pub use hosts::{HostNames, HostPatterns, NameServers};
pub use listener::Exchange;
pub use proxy::ProxyUrl;
pub use scope::{Injection, PluginPolicy, Role, Scope, spellings};
