//! A loaded plugin, what is asked of it, and what a call comes back with.
//!
//! One call is one fresh instance, unless the operator lets a plugin reuse it. Must never use a store again after a
//! call that did not end with an answer.

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
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use wasmtime::Store;
use wasmtime::component::Component;

use crate::answer::{Answer, Refusal};
use crate::engine::Shared;
use crate::failure;
use crate::guest::{Guest, prepare};
use crate::host::GuestHost;
use crate::reuse::{Idle, Kept};
use crate::sandbox::Sandbox;
use crate::track_0_1::{Live, Track};

/// One generation of a plugin: a compiled component that was linked and has described itself.
pub struct Plugin {
    /// Who it is and what it asks for.
    pub info: PluginInfo,
    pub(crate) track: Track,
    pub(crate) shared: Arc<Shared>,
    /// Instances of earlier calls; none unless the sandbox says `reuse`.
    pub(crate) idle: Idle,
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
        let ask = async |live: &Live, store: &mut Store<Guest>| live.resolve(store, query).await;
        let (outcome, spent) =
            self.call((&query.job, query.deadline), host, sandbox, ask, Result::is_ok).await;
        let (outcome, extra) = match outcome {
            Ok(said) => self.checked(said),
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
        let ask = async |live: &Live, store: &mut Store<Guest>| {
            let said = live.resolve_many(store, queries).await?;
            let (given, wanted) = (said.len(), queries.len());
            // In the words of a failure that breaks the interface.
            wasmtime::ensure!(
                given == wanted,
                "resolve-many was asked about {wanted} works and gave {given} answers"
            );
            Ok(said)
        };
        let all_ok = |said: &Vec<_>| said.iter().all(Result::is_ok);
        let (outcome, mut spent) = self.call((&job, deadline), host, sandbox, ask, all_ok).await;
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

    /// One call in an instance of its own, and what it spent: a report that lacks an outcome. The instance may be used
    /// again only after what counts as an answer.
    async fn call<T>(
        &self,
        (job, deadline): (&str, Duration),
        host: Arc<dyn GuestHost>,
        sandbox: &Sandbox,
        ask: impl AsyncFnOnce(&Live, &mut Store<Guest>) -> wasmtime::Result<T>,
        is_answer: impl FnOnce(&T) -> bool,
    ) -> (Result<T, Failure>, CallReport) {
        // Held until the store is gone, which is declared later and so dropped before. Never closed, so
        // never an error.
        let _permit = self.shared.calls.acquire().await;
        let wall = sandbox.wall.0.min(deadline);
        let who = (self.info.name.as_str(), job);
        let (mut store, live, kept) = match self.idle.take(sandbox) {
            Some(Kept { mut store, live, use_of }) => {
                store.data_mut().begin(who, host, *sandbox, wall);
                prepare(&mut store);
                (store, Some(live), Some(use_of))
            }
            None => (Guest::new(who, host, *sandbox, wall).into_store(&self.shared), None, None),
        };
        // In its place, because a future that is moved is held twice.
        let result = timeout(wall, async {
            let live = match live {
                Some(live) => live,
                None => self.track.instantiate(&mut store).await?,
            };
            let answer = ask(&live, &mut store).await?;
            Ok((answer, live))
        })
        .await;
        let (outcome, answered) = match judged(result, store.data()) {
            Ok((said, live)) => {
                let answered = is_answer(&said).then_some(live);
                (Ok(said), answered)
            }
            Err(failure) => (Err(failure), None),
        };
        let guest = store.data_mut();
        guest.log_refusals();
        // What it began to send and did not wait for ends with the call, so its instance ends too.
        let answered = answered.filter(|_| guest.outbound.is_idle());
        let spent = CallReport {
            outcome: Ok(Resolution::default()),
            extra: Vec::new(),
            cpu: guest.cpu(),
            wall: guest.began.elapsed(),
            peak_memory: guest.memory.peak as u64,
            requests: guest.outbound.sent(),
            waited: guest.outbound.waited(),
            rate_limited: guest.outbound.rate_limited(),
            log: guest.log.finish(),
        };
        if let Some(live) = answered {
            self.idle.keep(&self.shared, sandbox, kept, (store, live));
        }
        (outcome, spent)
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

/// What came of a call, told with the accounts of the guest that made it.
pub(crate) fn judged<T>(result: Result<wasmtime::Result<T>, Elapsed>, guest: &Guest) -> Result<T, Failure> {
    match result {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(failure::of_error(&error, guest)),
        Err(_) => Err(failure::out_of_wall(guest)),
    }
}
