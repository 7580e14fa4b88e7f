//! A loaded plugin, what is asked of it, and what a call comes back with.
//!
//! Must never pass on what a guest said without checking it.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gleaner_model::identifier::Identifier;
use gleaner_model::key::ResolverName;
use gleaner_model::next::Takes;
use gleaner_model::plan::Resolution;
use gleaner_model::reason::{Failure, FailureClass};
use serde::Serialize;
use wasmtime::component::Component;

use crate::answer::{Answer, Refusal};
use crate::call::{Call, Callee};
use crate::host::GuestHost;
use crate::sandbox::Sandbox;
use crate::track_0_1::Question;

/// One generation of a plugin: a compiled component that was linked and has described itself.
pub struct Plugin {
    /// Who it is and what it asks for.
    pub info: PluginInfo,
    pub(crate) callee: Arc<Callee>,
    #[cfg(feature = "native")]
    pub(crate) native: Option<Native>,
}

/// A resolver that is compiled into this program.
#[cfg(feature = "native")]
pub type Native = fn(&Query, &dyn GuestHost) -> Result<Resolution, Failure>;

/// What a plugin says of itself, checked, and what its file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginInfo {
    /// The name in configuration, messages and limits.
    pub name: ResolverName,
    /// Of the plugin, as it says; semantic versioning.
    pub version: String,
    /// One line.
    pub summary: String,
    /// What a query must have for it to be asked; one match is enough.
    pub takes: Vec<Takes>,
    /// Hosts it asks to send requests to. Asking grants nothing.
    pub hosts: Vec<String>,
    /// Settings it reads: name and meaning. A name that ends in `!` is required.
    pub settings: Vec<(String, String)>,
    /// The file.
    pub path: PathBuf,
    /// Of the file, lower-case hex.
    pub sha256: String,
    /// Of the file, in bytes.
    pub size: u64,
    /// The interface it was built for: `gleaner:resolver@0.1.0`.
    pub wit: String,
    /// Time to compile it, or to read it from the cache.
    pub compile: Duration,
    /// How many works one call takes, where it can be asked about several at once.
    pub most: Option<NonZeroU32>,
    /// What an instance of it takes from the start.
    pub needs: Needs,
    /// Interfaces it imports.
    pub imports: Vec<String>,
    /// Interfaces and functions it exports.
    pub exports: Vec<String>,
}

/// What an instance takes before it does anything: it fits into the pool, or the file would not have been loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Needs {
    /// Linear memories.
    pub memories: u32,
    /// The first size of the largest memory, in bytes.
    pub memory_bytes: u64,
    /// Tables.
    pub tables: u32,
    /// The first size of the largest table, in elements.
    pub table_elements: u64,
}

impl Needs {
    pub(crate) fn of(component: &Component) -> Self {
        const PAGE: u64 = 64 << 10;
        // None for a component that gets its modules as imports, which no resolver may.
        component.resources_required().map_or(Self::default(), |needs| Self {
            memories: needs.num_memories,
            memory_bytes: needs.max_initial_memory_size.unwrap_or(0).saturating_mul(PAGE),
            tables: needs.num_tables,
            table_elements: needs.max_initial_table_size.unwrap_or(0),
        })
    }
}

/// One question to a plugin.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    /// The job, as the guest's log lines name it.
    pub job: String,
    /// 1 for the first try of this resolver at this job.
    pub attempt: u32,
    /// Wall time for the call; the sandbox's `wall` holds too, and the smaller counts.
    pub deadline: Duration,
    /// Every identifier known of the work.
    pub identifiers: Vec<Identifier>,
    /// As the user gave it.
    pub title: Option<String>,
    /// As the user gave them; the first 64 are passed on.
    pub authors: Vec<String>,
    /// As the user gave it.
    pub year: Option<u16>,
    /// URLs that the user gave.
    pub urls: Vec<String>,
    /// Landing pages that resolvers proposed, best first.
    pub landing_pages: Vec<String>,
    /// URLs that were fetched in vain.
    pub failed_urls: Vec<String>,
    /// A JSON object.
    pub metadata: Option<String>,
}

/// What came of a call. Complete whatever the guest did.
#[derive(Debug, Clone, PartialEq)]
pub struct CallReport {
    /// The checked answer, or why there is none.
    pub outcome: Result<Resolution, Failure>,
    /// Further fields of the answer for the manifest, as the guest gave them: at most 16, 4 KiB together.
    pub extra: Vec<(String, String)>,
    /// The last lines that the guest logged, at most 50, oldest first.
    pub log: Vec<LogLine>,
    /// Time the guest computed, to 10 ms.
    pub cpu: Duration,
    /// Time from call to answer.
    pub wall: Duration,
    /// Most bytes of linear memory at a time.
    pub peak_memory: u64,
    /// Requests passed on to [`GuestHost::send`].
    pub requests: u32,
    /// Time the guest waited for their answers.
    pub waited: Duration,
    /// Set when a request was answered with [`crate::GuestHttpError::RateLimited`], whatever the guest made
    /// of it: the longest wait asked for, or [`CallReport::UNSAID_WAIT`] where none said how long.
    pub rate_limited: Option<Duration>,
}

impl CallReport {
    /// The wait for a source that asks to slow down and does not say how long.
    pub const UNSAID_WAIT: Duration = Duration::from_secs(60);

    /// Whether it failed by its plugin's own doing.
    pub fn is_fault(&self) -> bool {
        self.outcome.as_ref().is_err_and(|failure| failure.class == FailureClass::PluginFault)
    }

    /// Whether its source asks to slow down.
    pub fn is_throttled(&self) -> bool {
        let failure = self.outcome.as_ref().err();
        failure.is_some_and(|failure| matches!(failure.class, FailureClass::Throttled { .. }))
    }
}

/// A message of a guest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// How grave.
    pub level: LogLevel,
    /// Cut at 4 KiB, fields included.
    pub message: String,
    /// Names and values.
    pub fields: Vec<(String, String)>,
}

/// How grave a guest thinks a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// For its author.
    Debug,
    /// For the curious.
    Info,
    /// For the operator.
    Warn,
    /// Something failed.
    Error,
}

impl fmt::Debug for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Plugin").field("info", &self.info).finish_non_exhaustive()
    }
}

impl Plugin {
    /// The same plugin, which answers by that function instead of its component.
    #[cfg(feature = "native")]
    #[must_use]
    pub fn natively(self, native: Native) -> Self {
        Self { native: Some(native), ..self }
    }

    /// Asks the plugin within the sandbox's limits: in a fresh instance, or in one whose last call ended with an
    /// answer where the sandbox says `reuse`. Waits for a free instance when all of `workers` are in use. Dropping
    /// the future ends the call and frees its instance.
    pub async fn resolve(&self, query: &Query, host: Arc<dyn GuestHost>, sandbox: &Sandbox) -> CallReport {
        #[cfg(feature = "native")]
        if let Some(native) = self.native {
            return crate::native::report(native, query, &*host);
        }
        let wall = sandbox.wall.0.min(query.deadline);
        let call = Call { job: query.job.clone(), question: Question::one(query, wall), wall };
        let (outcome, spent) = self.callee.call(&self.info.name, call, host, *sandbox).await;
        let (outcome, extra) = match outcome {
            Ok(said) => said
                .into_iter()
                .next()
                .map_or_else(|| (Ok(Resolution::default()), Vec::new()), |said| self.checked(said)),
            Err(failure) => (Err(failure), Vec::new()),
        };
        CallReport { outcome, extra, ..spent }
    }

    /// Asks about several works in one call, as [`Plugin::resolve`] does about one; as many as `info.most` at most. One
    /// report a query, in the order of the queries: each has the accounts of the whole call, and the first has its log.
    ///
    /// # Errors
    /// When the call ended without an answer to each of them: the report of the call.
    pub async fn resolve_many(
        &self,
        queries: &[Query],
        host: Arc<dyn GuestHost>,
        sandbox: &Sandbox,
    ) -> Result<Vec<CallReport>, Box<CallReport>> {
        let deadline = queries.iter().map(|query| query.deadline).min().unwrap_or_default();
        let job = match queries {
            [] => return Ok(Vec::new()),
            [one] => one.job.clone(),
            [first, others @ ..] => format!("{} and {} more", first.job, others.len()),
        };
        let wall = sandbox.wall.0.min(deadline);
        let call = Call { job, question: Question::many(queries, wall), wall };
        let (outcome, mut spent) = self.callee.call(&self.info.name, call, host, *sandbox).await;
        let said = match outcome {
            Ok(said) => said,
            Err(failure) => return Err(Box::new(CallReport { outcome: Err(failure), ..spent })),
        };
        let reports = said.into_iter().map(|said| {
            let (outcome, extra) = self.checked(said);
            let log = std::mem::take(&mut spent.log);
            CallReport { outcome, extra, log, ..spent.clone() }
        });
        Ok(reports.collect())
    }

    fn checked(&self, said: Result<Answer, Refusal>) -> (Result<Resolution, Failure>, Vec<(String, String)>) {
        match said {
            Ok(answer) => {
                let (resolution, extra) = answer.check(&self.info.name);
                (Ok(resolution), extra)
            }
            Err(refusal) => (Err(refusal.check()), Vec::new()),
        }
    }
}
