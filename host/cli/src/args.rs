//! The command line, as clap reads it. Its words are a contract with scripts.
//!
//! Only shapes: what an argument means stands in the command that takes it.

mod library;
mod queue;
mod values;

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use gleaner_model::key::ResolverName;
use gleaner_model::units::Span;
use gleaner_orchestrator::config::GrantedHost;

pub(crate) use library::{Gc, Manifest, PathOf, Refresh};
pub(crate) use queue::{Caps, Limit, Purge, Queue, RetryFailed, Run, Turn, Which};
use values::{granted_host, resolver_name};

/// Finds lawful open full texts for a list of works, fetches them politely, checks and files them.
#[derive(Debug, Parser)]
#[command(name = "gleaner", version, propagate_version = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Clone, Args)]
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
    #[value(alias = "jsonl")]
    Json,
    /// CSV (RFC 4180): only of `library manifest`
    Csv,
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
    /// Work on the queue until told to stop, with a live page and an API beside it
    ///
    /// The page is at http://127.0.0.1:8417/ unless [serve] or --listen say otherwise; its API is described at
    /// /api/v1/openapi.json, /healthz and /readyz tell whether it lives and works. Any but a loopback address needs a
    /// token: [serve] token, or GLEANER_SECRET_SERVE_TOKEN. It stops on SIGINT and SIGTERM as `queue run` does.
    Serve(Serve),
    /// Resolvers
    #[command(subcommand)]
    Plugin(Plugin),
    /// The files and their manifest
    #[command(subcommand)]
    Library(Library),
    /// The configuration
    #[command(subcommand)]
    Config(Config),
    /// Look whether all is well: plugins, grants, contact, disk, database, clock, network; say what would change it
    ///
    /// Changes nothing, and asks each resolver's host at most once. Exit codes: 0, 1 when something keeps Gleaner or a
    /// resolver from working.
    Doctor {
        /// Ask nobody
        #[arg(long)]
        offline: bool,
    },
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
    #[command(flatten)]
    pub(crate) turn: Turn,
    /// The longest pause to sit out; what must wait longer stays queued
    #[arg(long, value_name = "DUR", default_value = "10m")]
    pub(crate) max_wait: Span,
    /// Which licences files may have [default: open]
    #[arg(long, value_enum)]
    pub(crate) license: Option<License>,
}

/// Which licences files may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum License {
    /// All but those that say that a copy is not open
    Open,
    /// Any
    Any,
}

impl License {
    /// As the configuration spells it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Any => "any",
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct Resolve {
    /// The work
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    /// Ask only this resolver; may be given several times
    #[arg(long, value_name = "NAME", value_parser = resolver_name)]
    pub(crate) resolver: Vec<ResolverName>,
    /// Which licences files may have [default: open]
    #[arg(long, value_enum)]
    pub(crate) license: Option<License>,
}

#[derive(Debug, Clone, Args)]
pub(crate) struct Serve {
    /// Where to listen [default: 127.0.0.1:8417]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) listen: Option<std::net::SocketAddr>,
    #[command(flatten)]
    pub(crate) caps: Caps,
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
    /// Check whether one resolver could go to work: its file, its interface, what it asks for and is allowed
    Check {
        /// A component file, or the name of a resolver
        #[arg(value_name = "FILE|NAME")]
        target: String,
    },
    /// Show what one resolver asks for and is not granted, and write the grant into the configuration
    Grant(Grant),
    /// Ask one resolver about works, as a run does, and write down what it asks of the web, gets and answers
    Record(Record),
    /// Hold one resolver to what was recorded of it, without a network
    Test(Test),
    /// Write a small resolver that works, to start from
    New {
        /// Its name: small letters, digits and _
        #[arg(value_name = "NAME", value_parser = resolver_name)]
        name: ResolverName,
        /// The language to write it in
        #[arg(long, value_enum)]
        lang: Language,
        /// Where to, a directory that is not there or empty [default: NAME]
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
    /// Build a resolver's project to a component, with the tools of its language
    ///
    /// A project is a directory as `plugin new` writes it: with wit/, and with Cargo.toml, package.json,
    /// requirements.txt or resolver.c, which tells the language. A tool that is missing is named, with how to get it.
    Build {
        /// The project
        #[arg(value_name = "DIR", default_value = ".")]
        dir: PathBuf,
        /// The component [default: in the project, called after its directory]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// Exit codes: 0 when it has what it asks for or the change was written, 2 when that was not confirmed, 3 when the file
/// cannot be changed.
#[derive(Debug, Args)]
pub(crate) struct Grant {
    /// The resolver
    #[arg(value_name = "NAME", value_parser = resolver_name)]
    pub(crate) name: ResolverName,
    /// Grant only these hosts of what it asks for, or others too: HOST, HOST:PORT, *.HOST
    #[arg(long, value_name = "HOST,...", value_delimiter = ',', value_parser = granted_host)]
    pub(crate) hosts: Vec<GrantedHost>,
    /// Grant only the limits of a call that it asks for; with --hosts, both
    #[arg(long, conflicts_with = "revoke")]
    pub(crate) limits: bool,
    /// Take hosts away instead, all or those of --hosts; limits and pins stay
    #[arg(long)]
    pub(crate) revoke: bool,
    /// Write the SHA-256 of its component and of its sidecar too: no other files are used then
    #[arg(long)]
    pub(crate) pin: bool,
    /// Write without asking
    #[arg(long)]
    pub(crate) yes: bool,
}

/// The resolver needs its grants. Secrets are not written, wherever they come back; settings that it reads are, the
/// contact too.
#[derive(Debug, Args)]
pub(crate) struct Record {
    /// A component file, or the name of a resolver
    #[arg(value_name = "FILE|NAME")]
    pub(crate) target: String,
    /// Works: DOI, arXiv id, pmid:..., PMC..., isbn:..., or a URL
    #[arg(value_name = "ID", required = true)]
    pub(crate) ids: Vec<String>,
    /// A landing page of the work, as others would have found it; may be given several times
    #[arg(long, value_name = "URL")]
    pub(crate) landing_page: Vec<url::Url>,
    /// Where to: a cassette, which is JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Also in place of a file that is there
    #[arg(long)]
    pub(crate) force: bool,
}

/// Each request is answered by what was recorded for it, once; the clock stands where it stood. Needs no grants, no
/// secrets and no contact. Exit codes: 0 when every answer is as it was, 1 when one differs or something else is asked.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// A component file, or the name of a resolver [default: the one that was recorded]
    #[arg(value_name = "FILE|NAME")]
    pub(crate) target: Option<String>,
    /// What `plugin record` wrote
    #[arg(long, value_name = "FILE")]
    pub(crate) cassette: PathBuf,
    /// Take over the answers of now, where nothing is asked that was not recorded
    #[arg(long)]
    pub(crate) update: bool,
}

/// What a resolver is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Language {
    /// Rust, with wit-bindgen
    Rust,
    /// TypeScript, with componentize-js
    Javascript,
    /// Python, with componentize-py
    Python,
    /// C, with clang
    C,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Library {
    /// List the files
    List,
    /// Write the manifest, one record per attempt: JSON lines, or CSV with --format csv
    ///
    /// docs/reference/manifest.md tells what the fields mean. Records come in the order of writing; to go on later, give
    /// the last one's seq to --after: nothing is missed and nothing comes twice.
    Manifest(Manifest),
    /// Write the whole manifest, as `library manifest` does
    Export {
        /// Where to [default: standard output]
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Hash every file and compare, several at a time; name what is missing, damaged, or nobody's
    ///
    /// Exit codes: 0, 1 when a file or the database is damaged. A file that nothing refers to is no damage.
    Verify,
    /// Print where works' files are
    ///
    /// Exit codes: 0, 1 when the library has no file of one of them.
    Path(PathOf),
    /// Ask the sources of files whether those have changed, by ETag and Last-Modified
    ///
    /// A file that has changed is fetched, checked and stored beside the earlier one, which stays under its name; a file
    /// that is lost or damaged is fetched anew. All limits hold, and each answer is a record of the manifest. What was
    /// asked for is not due again for a while, so an interrupted refresh goes on where it was. Exit codes: 0, 1 when
    /// some could not be compared or an id is unknown, 130 when interrupted.
    Refresh(Refresh),
    /// Remove what nothing refers to: files and names that a killed run left, old temporary files
    ///
    /// Safe while others work on the library. Files of yours under files/ are left.
    Gc(Gc),
    /// Show what the kept answers of services take
    ///
    /// They stand in the library's folder cache; [egress.cache] of the configuration says how many are kept, and for
    /// how long.
    Cache {
        /// Remove them all, so that every service is asked anew
        #[arg(long)]
        clear: bool,
    },
    /// Copy the library into a directory while others work on it
    ///
    /// The copy is a library of that moment, with every file that was in it. On the same file system the files are
    /// linked, which takes no space; to be safe from a disk that fails, copy to another. An interrupted backup is
    /// finished by running it again. The configuration is not part of it. Exit codes: 0, 1 when files are missing
    /// in the library, 2 when the directory is in use, 4 when it cannot be written.
    Backup {
        /// Where to: a directory that is not there or empty
        #[arg(value_name = "DIR")]
        dir: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Show every value and where it came from
    Show,
    /// Check the configuration and the plugins
    Check,
    /// Write a configuration file to start from, and its schema beside it
    ///
    /// Every default stands in it with its explanation, commented out; only the contact is yours to set. Editors that
    /// know `#:schema` complete and check it. Exit codes: 0, 2 when a file is there already.
    Init(Init),
    /// Print the JSON Schema of the configuration file
    Schema,
}

#[derive(Debug, Args)]
pub(crate) struct Init {
    /// The file [default: gleaner.toml beside the library]
    #[arg(value_name = "PATH")]
    pub(crate) path: Option<PathBuf>,
    /// Your e-mail address, which public services want to know
    #[arg(long, value_name = "EMAIL")]
    pub(crate) contact: Option<String>,
    /// Overwrite what is there
    #[arg(long)]
    pub(crate) force: bool,
}

#[cfg(test)]
mod outside;
