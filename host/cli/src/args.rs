//! The command line, as clap reads it. Its words are a contract with scripts.
//!
//! Only shapes: what an argument means stands in the command that takes it.

use std::num::NonZeroU16;
use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use gleaner_model::job::JobState;
use gleaner_model::key::{HostKey, ResolverName};
use gleaner_model::reason::Reason;
use gleaner_model::units::Span;

/// Finds lawful open full texts for a list of works, fetches them politely, checks and files them.
#[derive(Debug, Parser)]
#[command(name = "gleaner", version, propagate_version = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The library to work on [default: ./library]
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) library: Option<PathBuf>,
    /// The configuration file [default: gleaner.toml beside the library, else the user's]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// A directory with resolvers, beside the bundled ones; may be given several times
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) plugins: Vec<PathBuf>,
    /// How results are printed
    #[arg(long, global = true, value_enum, default_value = "table")]
    pub(crate) format: Format,
    /// Say less: errors only, no progress
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more; may be given several times
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// One JSON document, or JSON lines where the command lists
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Fetch works: enqueue them and work until they have ended
    Get(Get),
    /// Ask resolvers where a work can be had; nothing is downloaded or enqueued
    Resolve(Resolve),
    /// The work queue
    #[command(subcommand)]
    Queue(Queue),
    /// Resolvers
    #[command(subcommand)]
    Plugin(Plugin),
    /// The files and their manifest
    #[command(subcommand)]
    Library(Library),
    /// The configuration
    #[command(subcommand)]
    Config(Config),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    Man {
        /// Write a page for every command into this directory instead
        #[arg(long, value_name = "DIR")]
        output: Option<PathBuf>,
    },
}

/// Works given on the command line or in a file.
#[derive(Debug, Args)]
pub(crate) struct Works {
    /// DOI, arXiv id, pmid:..., PMC..., isbn:..., or a URL
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// A list with one work a line (# begins a comment, { a JSON object); - for standard input
    #[arg(long, value_name = "FILE|-")]
    pub(crate) input: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    #[command(flatten)]
    pub(crate) works: Works,
    /// The longest pause to sit out; what must wait longer stays queued
    #[arg(long, value_name = "DUR", default_value = "10m")]
    pub(crate) max_wait: Span,
}

#[derive(Debug, Args)]
pub(crate) struct Resolve {
    /// The work
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Ask only this resolver; may be given several times
    #[arg(long, value_name = "NAME", value_parser = resolver_name)]
    pub(crate) resolver: Vec<ResolverName>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Queue {
    /// Add works
    Enqueue {
        #[command(flatten)]
        works: Works,
        /// Ask only this resolver
        #[arg(long, value_name = "NAME", value_parser = resolver_name)]
        resolver: Option<ResolverName>,
    },
    /// Add works from JSON lines: objects with artifact_id or any identifier
    Import {
        /// The file; - for standard input
        #[arg(value_name = "FILE.jsonl")]
        file: PathBuf,
    },
    /// Work on the queue
    Run(Run),
    /// Count jobs per state
    Stats,
    /// Start failed jobs anew, those that used up their attempts too
    RetryFailed(RetryFailed),
    /// List jobs
    List {
        /// Only jobs in this state
        #[arg(long, value_name = "S", value_parser = state)]
        state: Option<JobState>,
    },
    /// Show everything about one job
    Show {
        /// Identifier, artifact id or job number
        #[arg(value_name = "ID")]
        id: String,
    },
}

/// Which jobs to start anew; all that is given must hold.
#[derive(Debug, Args)]
pub(crate) struct RetryFailed {
    /// Only jobs that ended for this reason
    #[arg(long, value_name = "R", value_parser = reason)]
    pub(crate) reason: Option<Reason>,
    /// Only jobs with an attempt of this resolver
    #[arg(long, value_name = "N", value_parser = resolver_name)]
    pub(crate) resolver: Option<ResolverName>,
    /// Only jobs with an attempt that ended at this host
    #[arg(long, value_name = "H", value_parser = host)]
    pub(crate) host: Option<HostKey>,
    /// Jobs in this state: error or skipped [default: error]
    #[arg(long, value_name = "S", value_parser = ended_state)]
    pub(crate) state: Option<JobState>,
    /// Only jobs that ended longer ago than this
    #[arg(long, value_name = "D")]
    pub(crate) older_than: Option<Span>,
    /// Change nothing; say how many it would be
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// End when nothing is left to do
    #[arg(long)]
    pub(crate) drain: bool,
    /// With --drain, the longest pause to sit out
    #[arg(long, value_name = "DUR", default_value = "10m")]
    pub(crate) max_wait: Span,
    /// Plugin calls at once (1-256)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: Option<u16>,
    /// Calls at once per resolver
    #[arg(long, value_name = "a=2,b=3", value_delimiter = ',', value_parser = resolver_cap)]
    pub(crate) max_per_resolver: Vec<(ResolverName, NonZeroU16)>,
    /// Requests at once per host
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_per_host: Option<u16>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Plugin {
    /// List the resolvers in use, and the files that are not
    List,
    /// Show one resolver: what it takes, asks for and gets
    Inspect {
        /// A component file, or the name of a resolver
        #[arg(value_name = "FILE|NAME")]
        target: String,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Library {
    /// List the files
    List,
    /// Write the manifest as JSON lines, one record per attempt
    Export {
        /// Where to [default: standard output]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Hash every file and compare
    Verify,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Show every value and where it came from
    Show,
    /// Check the configuration and the plugins
    Check,
}

fn resolver_name(text: &str) -> Result<ResolverName, String> {
    ResolverName::new(text).map_err(|error| error.to_string())
}

fn reason(text: &str) -> Result<Reason, String> {
    let known = || Reason::ALL.iter().map(|reason| reason.as_str()).collect::<Vec<_>>().join(", ");
    text.parse().map_err(|_| format!("the reasons are {}", known()))
}

fn state(text: &str) -> Result<JobState, String> {
    text.parse().map_err(|error: gleaner_model::job::UnknownState| error.to_string())
}

fn ended_state(text: &str) -> Result<JobState, String> {
    match state(text)? {
        ended @ (JobState::Error | JobState::Skipped) => Ok(ended),
        other => Err(format!("a job that is {other} cannot be started anew; use error or skipped")),
    }
}

/// A host as users write it: `Example.org`, `example.org:8443`, or a URL of it.
fn host(text: &str) -> Result<HostKey, String> {
    let url = if text.contains("://") { text.to_owned() } else { format!("https://{text}/") };
    let is_host = text.contains("://") || !text.contains('/');
    let key = is_host.then(|| gleaner_limits::host_key(&url).ok()).flatten();
    key.ok_or_else(|| format!("{text:?} is not a host; write it like example.org"))
}

fn resolver_cap(text: &str) -> Result<(ResolverName, NonZeroU16), String> {
    let (name, cap) = text.split_once('=').ok_or_else(|| format!("{text:?}: write it like unpaywall=2"))?;
    let cap = cap.parse().map_err(|_| format!("{cap:?} is not a number from 1 to 65535"))?;
    Ok((resolver_name(name)?, cap))
}

#[cfg(test)]
mod outside;
