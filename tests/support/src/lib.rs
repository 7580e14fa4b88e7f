//! What the tests of every crate share, host and plugins alike: mutated inputs for parsers, and messages that were
//! read and approved. A dev-dependency only: it must never import a crate of ours, nor be part of what is shipped.

mod approved;
mod mutations;

pub use approved::Messages;
pub use mutations::{CASES, each_mutation, each_mutation_of_bytes, mutated, mutated_bytes};
