//! The `gleaner` command: reads arguments and environment, runs one command, ends with its exit code.
//!
//! The only crate that prints, and that reads the environment.

mod args;
mod commands;
mod config;
mod context;
mod environment;
mod exit;
mod generations;
mod input;
mod notify;
mod output;
mod progress;

/// Small allocations of many threads are what a run at full speed consists of.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use std::io::{IsTerminal, Write};
use std::panic::resume_unwind;
use std::process::ExitCode;

use clap::Parser;
use gleaner_telemetry::{LogFormat, Sending, TelemetryConfig, Verbosity};

use crate::args::{Cli, Command, Library, Queue};
use crate::exit::{Exit, Failed};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let exit = match start(cli) {
        Ok(exit) => exit,
        Err(failed) if is_closed_pipe(&failed.error) => Exit::Well,
        Err(failed) => {
            // Nothing is left to do when even this cannot be written.
            let _ = writeln!(std::io::stderr(), "gleaner: {}", failed.error);
            failed.exit
        }
    };
    ExitCode::from(exit as u8)
}

fn start(cli: Cli) -> Result<Exit, Failed> {
    #[cfg(debug_assertions)]
    arm_fault_point()?;
    // A large page is cleared and resident as a whole, however little of it is used: without them a run needs a hundred
    // megabytes less, and no more time. A system that knows no such switch has none either.
    let _ = nix::sys::prctl::set_thp_disable(true);
    let colour = std::io::stderr().is_terminal() && !environment::is_colourless();
    let format = match environment::LOG_FORMAT.text().as_deref() {
        Some("json") => LogFormat::Json,
        Some(other) if other != "console" => {
            return Err(Failed::configuration(format!(
                "GLEANER_LOG_FORMAT is {other:?}; use console or json"
            )));
        }
        _ => LogFormat::Console { colour },
    };
    let louder = i8::try_from(cli.global.verbose).unwrap_or(i8::MAX);
    let verbosity = Verbosity(if cli.global.quiet { -1 } else { louder });
    let filter = environment::LOG.text();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (config, variables) = (telemetry_of(&cli), environment::of_otel());
    let sending =
        config.as_ref().map(|config| Sending { config, variables: &variables, runtime: runtime.handle() });
    gleaner_telemetry::init(format, verbosity, filter.as_deref(), sending, std::io::stderr)
        .map_err(Failed::configuration)?;
    // On a thread of the runtime: this one would be put to sleep and woken whenever the command waits.
    let command = runtime.spawn(commands::dispatch(cli));
    let exit = runtime.block_on(command).unwrap_or_else(|error| resume_unwind(error.into_panic()));
    gleaner_telemetry::shutdown();
    // A blocked look-up or compile must not keep the program from ending.
    runtime.shutdown_background();
    exit
}

/// What is sent to a collector, for commands that do work. A configuration that is not valid is the command's to tell.
fn telemetry_of(cli: &Cli) -> Option<TelemetryConfig> {
    let works = matches!(
        cli.command,
        Command::Get(_)
            | Command::Resolve(_)
            | Command::Serve(_)
            | Command::Queue(Queue::Run(_))
            | Command::Library(Library::Refresh(_))
    );
    let global = &cli.global;
    let load = || config::load(global.config.as_deref(), global.library.as_deref(), None, |_| {});
    works.then(load)?.ok().map(|loaded| loaded.config.telemetry)
}

/// `GLEANER_FAULT=NAME:N` kills a debug build at the N-th pass of that fault point, as a power cut would.
#[cfg(debug_assertions)]
fn arm_fault_point() -> Result<(), Failed> {
    use rustix::process::{Signal, getpid, kill_process};
    let Some(spec) = environment::FAULT.text() else { return Ok(()) };
    gleaner_model::fault::arm(&spec, || {
        let _ = kill_process(getpid(), Signal::KILL);
        std::process::abort()
    })
    .map_err(|error| Failed::configuration(format!("GLEANER_FAULT: {error}")))
}

/// Whether the reader of our output went away, which is its right.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<std::io::Error>().is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
            || cause
                .downcast_ref::<serde_json::Error>()
                .is_some_and(|json| json.io_error_kind() == Some(std::io::ErrorKind::BrokenPipe))
    })
}
