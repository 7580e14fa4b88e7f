//! The simulated scholarly web as a program: serves the world of the reading list until its standard input closes.
//!
//! Prints `ready` when it can be used and one JSON line with what it saw at the end. Must never bind but to loopback.
#![allow(clippy::print_stdout, reason = "its report is its output")]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use gleaner_tests::simweb::{Reply, SimWeb, reading_list};

/// Serves the works of examples/reading-list.txt under their real host names, on 127.0.0.1.
#[derive(Parser)]
struct Args {
    /// Where to write ca.pem and gleaner.toml; made if need be
    #[arg(long)]
    dir: PathBuf,
    /// Milliseconds to wait before every answer
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Serve so many PDFs besides, and write their URLs to corpus.txt, one a line
    #[arg(long, default_value_t = 0)]
    corpus: usize,
    /// Size of each of them in bytes
    #[arg(long, default_value_t = 256 << 10)]
    size: usize,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.dir)?;
    let mut world = reading_list::world(Duration::from_millis(args.delay_ms));
    let corpus: Vec<String> =
        (0..args.corpus).map(|n| format!("https://files.example.org/{n}.pdf")).collect();
    for url in &corpus {
        world.set(url, Reply::pdf(args.size));
    }
    std::fs::write(args.dir.join("corpus.txt"), corpus.join("\n"))?;
    let sim = SimWeb::start(world).await?;
    sim.write_config(&args.dir)?;
    println!("ready");
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    println!("{}", serde_json::to_string(&sim.report())?);
    Ok(())
}
