//! What the store and SQLite alone do on this machine: one run of one measurement a call, printed as one JSON
//! object. `cargo xtask bench queue` calls it and makes medians of the runs. Must never judge.
//!
//! | call | measures |
//! |---|---|
//! | `raw-insert LIBRARY DIR` | plain insertion of a library's rows into the same schema |
//! | `raw-lease-ack DIR JOBS` | lease and ack on one table with a state column |
//! | `raw-lease-ack-tables DIR JOBS` | lease and ack on a table per state |
//! | `claim LIBRARY TURNS` | the latency of the store's `lease` |
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "its figures are its output, and nobody goes on without them"
)]

mod claim;
mod raw;
mod raw_insert;
mod raw_lease;

use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["raw-insert", library, dir] => rate(raw_insert::insert(Path::new(library), Path::new(dir))),
        ["raw-lease-ack", dir, jobs] => rate(raw_lease::one_table(Path::new(dir), jobs.parse().unwrap())),
        ["raw-lease-ack-tables", dir, jobs] => {
            rate(raw_lease::table_per_state(Path::new(dir), jobs.parse().unwrap()));
        }
        ["claim", library, turns] => {
            let (p50, p99) = claim::latency(Path::new(library), turns.parse().unwrap());
            println!("{{\"p50_ms\":{p50:.3},\"p99_ms\":{p99:.3}}}");
        }
        // `cargo bench` and `cargo test --benches` start this without asking for a figure.
        _ => {}
    }
}

fn rate(jobs_per_second: f64) {
    println!("{{\"jobs_per_s\":{jobs_per_second:.1}}}");
}
