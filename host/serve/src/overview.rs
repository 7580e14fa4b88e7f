//! How the queue stands and gets on: counts, throughput, what gave files and what failed.
//!
//! What costs more with more jobs is counted now and then beside the answers, and an answer says of when it is. Must
//! never count while somebody waits.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gleaner_desk::Keys;
use gleaner_model::clock::UnixMillis;
use gleaner_model::job::JobState;
use gleaner_model::reason::Reason;
use gleaner_store::{QueueStats, Scope, StoreError, Summary, WorkQueue};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::Instant;

use crate::ledger::LastFailure;
use crate::site::{Inner, Site};

/// Between two samples of the throughput that are kept, and how many are.
const SAMPLE_EVERY: Duration = Duration::from_secs(15);
const SAMPLES: usize = 241;
/// Throughput is of this long.
const RECENT: Duration = Duration::from_secs(300);
/// A count is good for so long at least, and so many times longer than it took.
const GOOD_FOR: Duration = Duration::from_secs(5);
const COUNTS_COST: u32 = 20;
/// Keys shown.
const MOST_KEYS: usize = 12;

/// How the queue stands and gets on.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Overview {
    /// RFC 3339.
    pub(crate) at: String,
    /// When the server began: RFC 3339.
    pub(crate) since: String,
    /// Jobs per state.
    pub(crate) stats: QueueStats,
    /// Jobs that ended in a minute, over the last five or since the server began; whoever works on them.
    pub(crate) per_minute: Option<f64>,
    /// Seconds until all have ended, if it goes on so.
    pub(crate) eta_seconds: Option<u64>,
    /// Jobs that ended in each quarter of a minute of the last hour, the last one last.
    pub(crate) history: Vec<u64>,
    /// What has ended, and why; absent while it is being counted for the first time.
    pub(crate) counted: Option<Breakdown>,
    /// Keys with steps that run, those with most of them first.
    pub(crate) active: Vec<ActiveKey>,
    /// The last jobs that ended by failure here, the last first.
    pub(crate) failures: Vec<LastFailure>,
}

/// What has ended, counted.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Breakdown {
    /// When it was counted: RFC 3339.
    pub(crate) at: String,
    /// Ended jobs by state and reason.
    pub(crate) ended: Vec<Ended>,
    /// Files by the resolver that proposed them, most first.
    pub(crate) yields: Vec<Yield>,
    /// Different files.
    pub(crate) files: u64,
    /// Bytes of those.
    pub(crate) bytes: u64,
}

/// Jobs that ended so.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Ended {
    /// In which state.
    pub(crate) state: JobState,
    /// Why.
    #[schemars(with = "String")]
    pub(crate) reason: Reason,
    /// How many.
    pub(crate) jobs: u64,
}

/// What a resolver gave.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct Yield {
    /// Which.
    pub(crate) resolver: String,
    /// Files accepted.
    pub(crate) files: u64,
}

/// A key with steps that run.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(crate) struct ActiveKey {
    /// Which.
    pub(crate) key: String,
    /// Steps that run.
    pub(crate) in_flight: u64,
    /// Jobs that wait under it.
    pub(crate) waiting: u64,
}

/// What is counted beside the answers.
#[derive(Default)]
pub(crate) struct Counted(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    /// Ended jobs at that time.
    samples: VecDeque<(Instant, u64)>,
    breakdown: Option<Breakdown>,
    /// When it is counted again, if somebody looks.
    due: Option<Instant>,
    is_wanted: bool,
}

impl Counted {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes how many have ended by now.
    pub(crate) fn sample(&self, stats: &QueueStats) {
        let now = Instant::now();
        let mut kept = self.kept();
        if kept.samples.back().is_some_and(|(at, _)| now - *at < SAMPLE_EVERY) {
            return;
        }
        if kept.samples.len() == SAMPLES {
            kept.samples.pop_front();
        }
        kept.samples.push_back((now, ended(stats)));
    }

    /// Counts what has ended, if somebody looks and the last count is old.
    pub(crate) async fn count(&self, site: &Inner, is_watched: bool) -> Result<(), StoreError> {
        let began = Instant::now();
        {
            let mut kept = self.kept();
            let is_due = kept.due.is_none_or(|due| due <= began);
            if !is_due || !(is_watched || kept.is_wanted || kept.breakdown.is_none()) {
                return Ok(());
            }
            kept.is_wanted = false;
        }
        let summary = site.library.summary(Scope::Library).await?;
        let breakdown = Breakdown::new(&summary, site.clock.now());
        let mut kept = self.kept();
        kept.breakdown = Some(breakdown);
        kept.due = Some(Instant::now() + GOOD_FOR.max(began.elapsed() * COUNTS_COST));
        Ok(())
    }

    /// Jobs that ended in a minute, and in each sample's time.
    fn throughput(&self, stats: &QueueStats) -> (Option<f64>, Vec<u64>) {
        let (now, ended) = (Instant::now(), ended(stats));
        let kept = self.kept();
        let first = kept.samples.iter().find(|(at, _)| now - *at <= RECENT);
        let rate = first.filter(|(at, _)| now > *at).map(|(at, before)| {
            // Jobs that were started anew have not ended any more.
            ended.saturating_sub(*before) as f64 * 60.0 / (now - *at).as_secs_f64()
        });
        let counts = kept.samples.iter().map(|(_, count)| *count).chain([ended]).collect::<Vec<_>>();
        let history = counts.windows(2).map(|pair| pair[1].saturating_sub(pair[0])).collect();
        (rate, history)
    }
}

impl Breakdown {
    fn new(summary: &Summary, at: UnixMillis) -> Self {
        let ended = summary.states.iter().filter_map(|(state, reason, jobs)| {
            Some(Ended { state: *state, reason: (*reason)?, jobs: *jobs })
        });
        let yields = summary.resolvers.iter();
        let yields = yields.map(|(resolver, files)| Yield { resolver: resolver.clone(), files: *files });
        let (files, bytes) = (summary.files, summary.bytes);
        Self { at: at.to_string(), ended: ended.collect(), yields: yields.collect(), files, bytes }
    }
}

fn ended(stats: &QueueStats) -> u64 {
    stats.done + stats.skipped + stats.error
}

/// How it stands now.
pub(crate) async fn overview(site: &Site) -> Result<Overview, StoreError> {
    let stats = site.library.stats().await?;
    let (per_minute, history) = site.counted.throughput(&stats);
    let eta = per_minute.filter(|rate| *rate > 0.0).map(|rate| stats.unfinished() as f64 * 60.0 / rate);
    let in_force = site.in_force();
    let keys = Keys::read(site.look(&in_force.rules)).await?.keys;
    let mut active: Vec<_> = keys.iter().filter(|key| key.row.leased > 0).collect();
    active.sort_by_key(|key| std::cmp::Reverse(key.row.leased));
    let active = active.into_iter().take(MOST_KEYS).map(|key| ActiveKey {
        key: key.key().to_string(),
        in_flight: key.row.leased,
        waiting: key.row.ready + key.row.delayed,
    });
    let counted = {
        let mut kept = site.counted.kept();
        kept.is_wanted = true;
        kept.breakdown.clone()
    };
    Ok(Overview {
        at: site.clock.now().to_string(),
        since: site.started.to_string(),
        eta_seconds: eta.map(|seconds| seconds as u64),
        per_minute: per_minute.map(|rate| (rate * 10.0).round() / 10.0),
        history,
        counted,
        active: active.collect(),
        failures: site.ledger.failures(),
        stats,
    })
}
