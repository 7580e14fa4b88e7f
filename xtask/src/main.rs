//! `cargo xtask`: what a person or CI runs in this workspace. It drives cargo and the finished programs; it
//! must never depend on a host crate or on wasmtime, so that it builds in seconds on a fresh machine.

mod bench;
mod check;
mod crash;
mod debian;
mod demo;
mod example_tools;
mod examples;
mod guest_toolchain;
mod guests;
mod simweb;
mod stage;
mod test;
mod workspace;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Builds the plugins, runs the tests and the demo, checks the workspace's own rules.
#[derive(Parser)]
#[command(name = "cargo xtask", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Build all plugins and test guests to components, under TARGET/plugins and TARGET/guests.
    Plugins,
    /// Build the plugins, then run every test of the workspace.
    Test {
        /// Passed on to `cargo test`.
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Harvest examples/reading-list.txt from the simulated scholarly web, twice.
    Demo,
    /// Kill gleaner with SIGKILL at random moments and fault points, restart it, and check that nothing was lost.
    Crash {
        /// How often
        #[arg(long, default_value_t = 200)]
        kills: usize,
        /// Draws the moments
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Measure a release build; one JSON line per figure on standard output.
    Bench(bench::Arguments),
    /// Build the resolvers in examples/ to components, under TARGET/examples; fetches their tools into the cache.
    Examples,
    /// Hold the rules of the workspace: dependencies, licenses, duplicates, sources.
    Check,
}

fn main() -> ExitCode {
    let (name, outcome) = match Arguments::parse().command {
        Command::Plugins => ("plugins", guests::command()),
        Command::Test { arguments } => ("test", test::command(&arguments)),
        Command::Demo => ("demo", demo::command()),
        Command::Crash { kills, seed } => ("crash", crash::command(kills, seed)),
        Command::Bench(arguments) => ("bench", bench::command(&arguments)),
        Command::Examples => ("examples", examples::command()),
        Command::Check => ("check", check::command()),
    };
    stage::verdict(name, outcome)
}
