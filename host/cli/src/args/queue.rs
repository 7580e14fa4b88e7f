//! `gleaner queue` as clap reads it.
//!
//! Only shapes, as in the rest of the command line.

use std::num::{NonZeroU16, NonZeroU32};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use gleaner_model::job::{JobState, Priority};
use gleaner_model::key::{HostKey, Key, ResolverName};
use gleaner_model::reason::Reason;
use gleaner_model::units::{Rate, Span};

use super::values::{
    When, ended_state, forgotten_state, host, key, read_priority, reason, resolver_cap, resolver_name, state,
};
use super::{License, Works};

/// Whose turn it is. Works that have a job keep what that has.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct Turn {
    /// Which works go first: smaller numbers do; -100 is before the default [default: 0]
    #[arg(long, value_name = "N", allow_negative_numbers = true, value_parser = read_priority)]
    pub(crate) priority: Option<Priority>,
    /// Not before then: a time like 2030-01-31T08:00:00Z or 2030-01-31, or how long from now, like 2h
    #[arg(long, value_name = "TIME|DUR")]
    pub(crate) not_before: Option<When>,
}

impl From<Turn> for gleaner_desk::Turn {
    fn from(Turn { priority, not_before }: Turn) -> Self {
        Self { priority, not_before }
    }
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
        #[command(flatten)]
        turn: Turn,
    },
    /// Add works from JSON lines: objects with artifact_id or any identifier
    ///
    /// An object's own "priority" and "not_before" win over the options.
    Import {
        /// The file; - for standard input
        #[arg(value_name = "FILE.jsonl")]
        file: PathBuf,
        #[command(flatten)]
        turn: Turn,
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
    /// Say why a job waits or how it ended, what was tried, and what comes next and when
    ///
    /// Exit codes: 0, 2 when there is no such job.
    Explain {
        /// Identifier, artifact id or job number
        #[arg(value_name = "ID")]
        id: String,
    },
    /// List what steps are limited by: resolvers and hosts, with what waits, what runs and what holds for them
    Keys,
    /// Stop a resolver or a host, whoever works on it; steps that run finish
    ///
    /// Lasts over restarts until `gleaner queue resume`. Runs that go on obey within about a second.
    Pause {
        /// resolver:NAME, host:HOST, a host, or a URL of it
        #[arg(value_name = "KEY", value_parser = key)]
        key: Key,
    },
    /// Let a resolver or a host go on that was paused
    ///
    /// A pause that the upstream asked for is not ended.
    Resume {
        /// resolver:NAME, host:HOST, a host, or a URL of it
        #[arg(value_name = "KEY", value_parser = key)]
        key: Key,
    },
    /// Show or set the limit of a resolver or a host
    ///
    /// What is set here replaces the configuration's, lasts over restarts, and is obeyed by runs that go on within
    /// about a second. Parts that are not given stay as they are; without any the limit is shown.
    Limit(Limit),
    /// End jobs that nobody wants any more, as skipped with the reason cancelled
    ///
    /// A step that runs is stopped. Exit codes: 0, 1 when some are unknown, 2 when none was given.
    Cancel(Which),
    /// Forget works that ended long ago without a file, with their manifest records
    ///
    /// To keep the records, write them to a file first: `gleaner library export --output FILE`. Works that hold a
    /// file are never forgotten. A work that was forgotten can be enqueued as a new one.
    Purge(Purge),
}

#[derive(Debug, Args)]
pub(crate) struct Limit {
    /// resolver:NAME, host:HOST, a host, or a URL of it
    #[arg(value_name = "KEY", value_parser = key)]
    pub(crate) key: Key,
    /// How many at once
    #[arg(long, value_name = "N")]
    pub(crate) concurrency: Option<NonZeroU32>,
    /// How often: 5/s, 1/3s, 1000/5m
    #[arg(long, value_name = "RATE")]
    pub(crate) rate: Option<Rate>,
    /// How many may start at once after a quiet time; 1 where only a rate is set
    #[arg(long, value_name = "N")]
    pub(crate) burst: Option<NonZeroU32>,
    /// Go back to what the configuration says
    #[arg(long, conflicts_with_all = ["concurrency", "rate", "burst"])]
    pub(crate) reset: bool,
}

/// Jobs given on the command line or in a file.
#[derive(Debug, Args)]
pub(crate) struct Which {
    /// Identifiers, artifact ids or job numbers
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// A list with one job a line (# begins a comment, a line of `queue list --format json` is a job); - for
    /// standard input
    #[arg(long, value_name = "FILE|-")]
    pub(crate) input: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Purge {
    /// Only works that ended longer ago than this: 30d, or 0s for all
    #[arg(long, value_name = "D")]
    pub(crate) older_than: Span,
    /// Only works in this state: error or skipped [default: both]
    #[arg(long, value_name = "S", value_parser = forgotten_state)]
    pub(crate) state: Option<JobState>,
    /// Change nothing; say how many it would be
    #[arg(long)]
    pub(crate) dry_run: bool,
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

#[derive(Debug, Clone, Args)]
pub(crate) struct Run {
    /// End when nothing is left to do
    #[arg(long)]
    pub(crate) drain: bool,
    /// With --drain, the longest pause to sit out
    #[arg(long, value_name = "DUR", default_value = "10m")]
    pub(crate) max_wait: Span,
    #[command(flatten)]
    pub(crate) caps: Caps,
    /// Write metrics there every few seconds, for the textfile collector of Prometheus' node exporter
    #[arg(long, value_name = "PATH")]
    pub(crate) metrics_file: Option<PathBuf>,
}

/// What a run is to keep to, over the configuration.
#[derive(Debug, Clone, Args)]
pub(crate) struct Caps {
    /// Plugin calls at once (1-256)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) workers: Option<u16>,
    /// Calls at once per resolver
    #[arg(long, value_name = "a=2,b=3", value_delimiter = ',', value_parser = resolver_cap)]
    pub(crate) max_per_resolver: Vec<(ResolverName, NonZeroU16)>,
    /// Requests at once per host
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) max_per_host: Option<u16>,
    /// Which licences files may have [default: open]
    #[arg(long, value_enum)]
    pub(crate) license: Option<License>,
}
