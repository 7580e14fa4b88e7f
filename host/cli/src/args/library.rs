//! `gleaner library` as clap reads it: the arguments of its larger commands.
//!
//! Only shapes, as in the rest of the command line.

use std::path::PathBuf;

use clap::Args;
use gleaner_model::units::Span;

use super::values::Ago;

/// Which records, and where to.
#[derive(Debug, Default, Args)]
pub(crate) struct Manifest {
    /// Only attempts of this run
    #[arg(long, value_name = "ID")]
    pub(crate) run: Option<String>,
    /// Only attempts of this work: identifier, artifact id or job number
    #[arg(long, value_name = "ID")]
    pub(crate) job: Option<String>,
    /// Only attempts that ended then or later: a time like 2030-01-31T08:00:00Z or 2030-01-31, or how long ago, like 7d
    #[arg(long, value_name = "TIME|DUR")]
    pub(crate) since: Option<Ago>,
    /// Only records behind the one with this `seq`; as CSV without the line of column names then
    #[arg(long, value_name = "CURSOR", default_value_t = 0, hide_default_value = true)]
    pub(crate) after: i64,
    /// Where to [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Whose files.
#[derive(Debug, Args)]
pub(crate) struct PathOf {
    /// Identifiers, artifact ids or job numbers; or the SHA-256 of a file
    #[arg(value_name = "ID", required = true)]
    pub(crate) ids: Vec<String>,
    /// Earlier versions too, behind the file of now, the latest first; of a hash, every work's
    #[arg(long)]
    pub(crate) all: bool,
    /// The file under its hash, not under its readable name
    #[arg(long)]
    pub(crate) blob: bool,
    /// End each path with a zero byte, for `xargs -0`
    #[arg(short = '0', long)]
    pub(crate) null: bool,
}

/// What may go.
#[derive(Debug, Args)]
pub(crate) struct Gc {
    /// Leave what was touched more lately than this
    #[arg(long, value_name = "DUR", default_value = "1d")]
    pub(crate) grace: Span,
    /// Remove nothing; say what would go
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// Which files, and how.
#[derive(Debug, Args)]
pub(crate) struct Refresh {
    /// Only the files of these works: identifiers, artifact ids or job numbers
    #[arg(value_name = "ID")]
    pub(crate) ids: Vec<String>,
    /// Only files that were stored, and if they were asked for again, last asked for, longer ago than this [default: 1d,
    /// 0s for works that are named]
    #[arg(long, value_name = "DUR")]
    pub(crate) older_than: Option<Span>,
    /// Fetch files again whose source gave neither ETag nor Last-Modified
    #[arg(long)]
    pub(crate) force: bool,
    /// The longest pause of a host to sit out; its other files stay due
    #[arg(long, value_name = "DUR", default_value = "10m")]
    pub(crate) max_wait: Span,
    /// Send nothing; list what would be asked for
    #[arg(long)]
    pub(crate) dry_run: bool,
}
