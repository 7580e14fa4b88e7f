//! What the tests of every crate share, host and plugins alike: mutated inputs for parsers, messages that were read
//! and approved, tables of the documentation that tests are held to. A dev-dependency only: it must never import a crate of ours, nor be part of what is shipped.

mod approved;
mod contract;
mod mutations;
mod name_server;
mod table;

pub use approved::Messages;
pub use mutations::{CASES, each_mutation, each_mutation_of_bytes, mutated, mutated_bytes};
pub use name_server::{Answer, NameServer};
pub use table::{Row, quoted, rows_below};
