//! Kills the real binary so many times, and ends with an error if anything was lost. `cargo xtask crash` runs it.
//!
//! Must never build anything: what it kills has been built before.
#![allow(clippy::print_stdout, reason = "its report is its output")]

use clap::Parser;

/// Kills `gleaner` with SIGKILL at random moments and fault points, restarts it, and checks what is left.
#[derive(Parser)]
struct Args {
    /// How often
    #[arg(long, default_value_t = 200)]
    kills: usize,
    /// Draws the moments
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() {
    let Args { kills, seed } = Args::parse();
    println!("{}", gleaner_tests::crash::run(kills, seed));
}
