//! Harvests works with a known truth from the simulated web, and says how many files were found, which were wrong, and
//! what was asked for them. `cargo xtask bench resolve` runs it.
//!
//! Must never build anything: what it runs has been built before.
#![allow(clippy::print_stdout, reason = "its report is its output")]

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use gleaner_tests::corpus::harvest;
use gleaner_tests::harness::{Bench, bundled_resolvers};

/// Longer than any harvest takes.
const PATIENCE: Duration = Duration::from_secs(3600);

/// Harvests a corpus; prints one JSON object.
#[derive(Parser)]
struct Args {
    /// How many works; every hundred of them have the same shares
    #[arg(long, default_value_t = 2000)]
    works: usize,
    /// The build of gleaner that is run
    #[arg(long)]
    gleaner: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let Args { works, gleaner } = Args::parse();
    let start = |world| {
        let mut bench = Bench::with_every_resolver(world);
        bench.program(gleaner);
        bench
    };
    let harvest = harvest(works, start, &bundled_resolvers(), PATIENCE);
    println!("{}", serde_json::to_string(&harvest)?);
    Ok(())
}
