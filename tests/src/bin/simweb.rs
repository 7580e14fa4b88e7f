//! The simulated scholarly web as a program: serves the world of the reading list until its standard input closes.
//!
//! Prints `ready` when it can be used and one JSON line with what it saw at the end. Must never bind but to loopback.
#![allow(clippy::print_stdout, reason = "its report is its output")]

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use gleaner_tests::simweb::{HostLimit, Reply, SimWeb, reading_list};

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
    /// Spread them over so many hosts: files0.example.org, files1.example.org, ...
    #[arg(long)]
    hosts: Option<usize>,
    /// Serve so many more from slow.example.org, and write their URLs to slow.txt
    #[arg(long, default_value_t = 0)]
    slow: usize,
    /// Milliseconds that slow.example.org waits before every answer
    #[arg(long, default_value_t = 30_000)]
    slow_ms: u64,
    /// A limit that a host was promised, as HOST=CONCURRENCY,PER_SECOND,BURST; the report counts what broke one
    #[arg(long, value_parser = promise)]
    promise: Vec<(String, HostLimit)>,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    std::fs::create_dir_all(&args.dir)?;
    let mut world = reading_list::world(Duration::from_millis(args.delay_ms));
    let host = |n: usize| args.hosts.map_or_else(String::new, |hosts| (n % hosts.max(1)).to_string());
    let corpus: Vec<String> =
        (0..args.corpus).map(|n| format!("https://files{}.example.org/{n}.pdf", host(n))).collect();
    for url in &corpus {
        world.set(url, Reply::pdf(args.size));
    }
    std::fs::write(args.dir.join("corpus.txt"), corpus.join("\n"))?;
    let slow: Vec<String> = (0..args.slow).map(|n| format!("https://slow.example.org/{n}.pdf")).collect();
    for url in &slow {
        world.set(url, Reply::pdf(args.size).delayed(Duration::from_millis(args.slow_ms)));
    }
    std::fs::write(args.dir.join("slow.txt"), slow.join("\n"))?;
    let sim = SimWeb::start(world).await?;
    sim.write_config(&args.dir)?;
    println!("ready");
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink())).await??;
    let mut report = serde_json::to_value(sim.report())?;
    if !args.promise.is_empty() {
        let broken = args.promise.iter().map(|(host, limit)| limit.violations(&sim.seen(host)));
        report["violations"] = broken.sum::<usize>().into();
    }
    println!("{report}");
    Ok(())
}

fn promise(text: &str) -> Result<(String, HostLimit)> {
    let (host, limit) = text.split_once('=').context("write it as HOST=CONCURRENCY,PER_SECOND,BURST")?;
    Ok((host.to_owned(), limit.parse().map_err(anyhow::Error::msg)?))
}
