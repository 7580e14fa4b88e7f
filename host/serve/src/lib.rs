//! The HTTP server beside a run: health, an API, a live page.
//!
//! What it shows and does is the desk's, and so the same as what commands show and do. Must never answer to a stranger:
//! who asks by another name, without the token, or from another site is refused before anything is read.

mod api;
mod assets;
mod config;
mod error;
mod guard;
mod health;
mod ledger;
mod live;
mod metrics;
mod overview;
mod page;
mod patient;
mod problem;
#[cfg(test)]
mod said;
mod server;
mod site;
mod turn;

pub use config::{ServeConfig, Token};
pub use error::ServeError;
pub use ledger::Ledger;
pub use server::{Bound, bind};
pub use site::{InForce, Parts};
