//! What views are made from: a library, what the configuration says of keys and plans, and the time.
//!
//! Must never hold more of the configuration than views need, nor anything that outlives the look.

use gleaner_limits::LimitRules;
use gleaner_model::clock::UnixMillis;
use gleaner_model::units::Span;
use gleaner_store::Library;

/// What the configuration says of keys and plans.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Limits of keys.
    pub limits: LimitRules,
    /// Tries of all steps of a job together.
    pub tries: u32,
    /// A skipped work that is enqueued again after this long is planned anew.
    pub recheck_after: Span,
}

/// One look at a library.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// Which.
    pub library: &'a Library,
    /// What holds.
    pub rules: &'a Rules,
    /// When.
    pub now: UnixMillis,
}
