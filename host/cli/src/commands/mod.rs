//! One file per command; this one finds the right one.

mod backup;
mod cancel;
mod check;
mod config;
mod enqueue;
mod explain;
mod get;
mod grant;
mod keys;
mod library;
mod library_cache;
mod pages;
mod plugin;
mod project;
mod queue;
mod reload;
mod resolve;
mod run;

use crate::args::{Cli, Command};
use crate::context::Context;
use crate::exit::{Exit, Failed};

/// Runs the command that the user asked for.
pub(crate) async fn dispatch(cli: Cli) -> Result<Exit, Failed> {
    let context = || Context::new(&cli.global, |_| {});
    match cli.command {
        Command::Get(args) => get::get(&context()?, &args).await,
        Command::Resolve(args) => resolve::resolve(&context()?, &args).await,
        Command::Queue(command) => queue::queue(&cli.global, command).await,
        Command::Plugin(command) => plugin::plugin(&cli.global, command).await,
        Command::Library(command) => library::library(&context()?, command).await,
        Command::Config(command) => config::config(&context()?, command).await,
        Command::Completions { shell } => pages::completions(shell),
        Command::Man { output } => pages::manual(output.as_deref()),
    }
}
