//! One file per command; this one finds the right one.

mod backup;
mod cancel;
mod cassette;
mod check;
mod config;
mod doctor;
mod enqueue;
mod explain;
mod gc;
mod get;
mod grant;
mod keys;
mod library;
mod library_cache;
mod manifest;
mod measure;
mod pages;
mod path;
mod plugin;
mod project;
mod queue;
mod refresh;
mod reload;
mod resolve;
mod run;
#[cfg(test)]
pub(crate) mod said;
mod serve;
mod verify;

use crate::args::{Cli, Command, Format, Library};
use crate::context::Context;
use crate::exit::{Exit, Failed};

/// Runs the command that the user asked for.
pub(crate) async fn dispatch(cli: Cli) -> Result<Exit, Failed> {
    let context = || Context::new(&cli.global, |_| {});
    let has_rows = matches!(cli.command, Command::Library(Library::Manifest(_) | Library::Export { .. }));
    if cli.global.format == Format::Csv && !has_rows {
        return Err(Failed::usage(
            "only `gleaner library manifest` and `export` print CSV; use --format json here",
        ));
    }
    match cli.command {
        Command::Get(args) => {
            let license = args.license;
            let context = Context::new(&cli.global, move |layers| run::lay_license(license, layers))?;
            get::get(&context, &args).await
        }
        Command::Resolve(args) => {
            let license = args.license;
            let context = Context::new(&cli.global, move |layers| run::lay_license(license, layers))?;
            resolve::resolve(&context, &args).await
        }
        Command::Queue(command) => queue::queue(&cli.global, command).await,
        Command::Serve(args) => {
            let flags = args.clone();
            let context = Context::new(&cli.global, move |layers| serve::lay_flags(&flags, layers))?;
            serve::serve(&context).await
        }
        Command::Plugin(command) => plugin::plugin(&cli.global, command).await,
        Command::Library(command) => library::library(&context()?, command).await,
        Command::Config(command) => config::config(&cli.global, command).await,
        Command::Doctor { offline } => doctor::doctor(&context()?, offline).await,
        Command::Completions { shell } => pages::completions(shell),
        Command::Man { output } => pages::manual(output.as_deref()),
    }
}
