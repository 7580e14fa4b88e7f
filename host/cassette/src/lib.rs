//! Cassettes: what a plugin was asked, what it asked of the web and got, and what it answered, in a file that people can
//! read; and the same plugin, or a later one, held to it without a network.
//!
//! A [`Recorder`] stands between a guest and its host and notes what passes. [`play`] asks a plugin what a [`Call`] was
//! about, answers its requests from the call alone, and tells the [`Verdict`]. Must never send anything, and never give a
//! guest an answer that was not recorded for the request that it makes.

mod cassette;
mod exchange;
mod play;
mod record;
#[cfg(test)]
mod said;
mod verdict;

pub use cassette::{Asked, Call, Cassette, CassetteError};
pub use play::play;
pub use record::Recorder;
pub use verdict::{Difference, Verdict, said};
