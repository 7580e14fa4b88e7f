//! The simulated scholarly web as a program: serves the world of the reading list until its standard input closes.
//!
//! Prints `ready` when it can be used and one JSON line with what it saw at the end. Must never bind but to loopback.
#![allow(clippy::print_stdout, reason = "its report is its output")]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use gleaner_tests::simweb::{SimWeb, reading_list};

/// Serves the works of examples/reading-list.txt under their real host names, on 127.0.0.1.
#[derive(Parser)]
struct Args {
    /// Where to write ca.pem and gleaner.toml; made if need be
    #[arg(long)]
    dir: PathBuf,
    /// Milliseconds to wait before every answer
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.dir)?;
    let sim = SimWeb::start(reading_list::world(Duration::from_millis(args.delay_ms))).await?;
    sim.write_config(&args.dir)?;
    println!("ready");
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    println!("{}", serde_json::to_string(&sim.report())?);
    Ok(())
}
