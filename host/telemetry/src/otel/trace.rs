//! The trace of a job: its ids, whether it is traced at all, and the span that all others stand under.
//!
//! Of more than [`MOST_TRACES`] works a second a part is traced, unless the operator asks for another. Ids follow from the
//! library, the job's number and its work, so that nothing has to be written down and every process that works on the job
//! has the same ones, before and after a crash. Must never ask the database.

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

use gleaner_model::job::{JobId, JobState};
use opentelemetry::trace::{
    Span as _, SpanContext, SpanId, SpanKind, Status, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer as _,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{
    IdGenerator, RandomIdGenerator, Sampler, SamplingDecision, SdkTracer, ShouldSample,
};
use sha2::{Digest, Sha256};
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::Context as LayerContext;
use tracing_subscriber::registry::LookupSpan;

use crate::event::JobEnded;

/// What traces of jobs are made with.
#[derive(Debug)]
pub(super) struct Traces {
    pub(super) tracer: SdkTracer,
    sampler: Sampler,
    /// None where every trace that is sampled is wanted, however many they are.
    pace: Option<Mutex<Pace>>,
    library: OnceLock<String>,
}

/// Traces that are begun in a second: what a collector takes and people can look at.
const MOST_TRACES: u32 = 100;
const SECOND: Duration = Duration::from_secs(1);

/// How many traces are begun: of one job in `2^halvings`, by their numbers. So for most jobs no id has to be computed.
#[derive(Debug)]
struct Pace {
    since: Instant,
    begun: u32,
    halvings: u32,
}

impl Pace {
    /// Whether the job's trace may be begun now.
    fn admits(&mut self, job: JobId, now: Instant) -> bool {
        let halvings = if self.begun >= MOST_TRACES {
            // As often as it takes at this speed: one at a time would begin hundreds at the start of a quick run.
            let times = SECOND.as_nanos() / now.duration_since(self.since).as_nanos().max(1);
            self.halvings.saturating_add(times.checked_ilog2().unwrap_or(0).max(1)).min(u64::BITS)
        } else if now.duration_since(self.since) < SECOND {
            self.halvings
        } else if self.begun < MOST_TRACES / 2 {
            self.halvings.saturating_sub(1)
        } else {
            self.halvings
        };
        if halvings != self.halvings || now.duration_since(self.since) >= SECOND {
            *self = Self { since: now, begun: 0, halvings };
        }
        // Any multiplier without a pattern spreads numbers that follow each other (Knuth's multiplicative hash).
        let spread = (job.0 as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        spread.leading_zeros() >= self.halvings
    }
}

/// Whether jobs are worked on in this process: then nothing is begun that is not under the span of one, as those that are
/// not traced have none.
static HAS_JOBS: AtomicBool = AtomicBool::new(false);

/// Whether a span that would be begun now belongs to nothing that is traced.
pub(crate) fn is_of_untraced<S>(name: &str, now: &LayerContext<'_, S>) -> bool
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    name != "dispatch" && HAS_JOBS.load(Ordering::Relaxed) && now.lookup_current().is_none()
}

thread_local! {
    /// The ids of the next span that is begun on this thread.
    static GIVEN: Cell<Option<(TraceId, SpanId)>> = const { Cell::new(None) };
}

/// Random ids, but for the span of a job.
#[derive(Debug, Default)]
pub(super) struct Ids(RandomIdGenerator);

impl IdGenerator for Ids {
    fn new_trace_id(&self) -> TraceId {
        GIVEN.get().map_or_else(|| self.0.new_trace_id(), |(trace, _)| trace)
    }

    fn new_span_id(&self) -> SpanId {
        GIVEN.get().map_or_else(|| self.0.new_span_id(), |(_, span)| span)
    }
}

impl Traces {
    pub(super) fn new(tracer: SdkTracer, sampler: Sampler, is_bounded: bool) -> Self {
        let pace = || Mutex::new(Pace { since: Instant::now(), begun: 0, halvings: 0 });
        Self { tracer, sampler, pace: is_bounded.then(pace), library: OnceLock::new() }
    }

    /// Numbers of jobs are unique in one library only.
    pub(super) fn set_library(&self, dir: &Path) {
        let _ = self.library.set(dir.display().to_string());
    }

    /// A span of a job under the job's own; none where it is not traced.
    pub(super) fn adopt(&self, job: JobId, artifact: &str, make: impl FnOnce() -> Span) -> Span {
        HAS_JOBS.store(true, Ordering::Relaxed);
        let Some((trace, root)) = self.begin(job, artifact) else { return Span::none() };
        let span = make();
        let parent = SpanContext::new(trace, root, TraceFlags::SAMPLED, true, TraceState::default());
        // Fails for a span that nobody records.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
        span
    }

    /// Tells the whole of a job that ended: the span that all others of it stand under.
    pub(super) fn end(&self, ended: &JobEnded) {
        // One that is traced ends in its span, or nobody works on it.
        let ids = match Span::current().is_none() {
            true => self.begin(ended.job, &ended.artifact),
            false => Some(self.ids(ended.job, &ended.artifact)),
        };
        let Some(ids) = ids else { return };
        let builder = self.tracer.span_builder("job").with_kind(SpanKind::Internal).with_attributes([
            KeyValue::new("gleaner.job", ended.job.0),
            KeyValue::new("gleaner.artifact", ended.artifact.clone()),
            KeyValue::new("gleaner.state", ended.state.as_str()),
            KeyValue::new("gleaner.reason", ended.reason.as_str()),
        ]);
        let started = ended.started.and_then(|at| u64::try_from(at.0).ok());
        let builder = match started.map(|ms| UNIX_EPOCH + Duration::from_millis(ms)) {
            Some(at) => builder.with_start_time(at),
            None => builder,
        };
        GIVEN.set(Some(ids));
        let mut span = builder.start_with_context(&self.tracer, &Context::new());
        GIVEN.set(None);
        if ended.state == JobState::Error {
            span.set_status(Status::error(ended.reason.as_str()));
        }
        span.end();
    }

    fn ids(&self, job: JobId, artifact: &str) -> (TraceId, SpanId) {
        let library = self.library.get().map_or("", String::as_str);
        let digest = Sha256::digest(format!("{library}\0{}\0{artifact}", job.0));
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        trace.copy_from_slice(&digest[..16]);
        span.copy_from_slice(&digest[16..24]);
        (TraceId::from_bytes(trace), SpanId::from_bytes(span))
    }

    /// The ids of a trace, if it is begun. A job is traced whole or not at all, by whichever process, but for changes of the
    /// pace.
    fn begin(&self, job: JobId, artifact: &str) -> Option<(TraceId, SpanId)> {
        let pace = || self.pace.as_ref().map(|pace| pace.lock().unwrap_or_else(PoisonError::into_inner));
        if pace().is_some_and(|mut pace| !pace.admits(job, Instant::now())) {
            return None;
        }
        let ids = self.ids(job, artifact);
        let result = self.sampler.should_sample(None, ids.0, "job", &SpanKind::Internal, &[], &[]);
        if result.decision != SamplingDecision::RecordAndSample {
            return None;
        }
        if let Some(mut pace) = pace() {
            pace.begun += 1;
        }
        Some(ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begun(pace: &mut Pace, works: u32, since: Instant, every: Duration) -> usize {
        let mut begins = |number: u32| {
            let begins = pace.admits(JobId(number.into()), since + every * number);
            pace.begun += u32::from(begins);
            begins
        };
        (0..works).filter(|number| begins(*number)).count()
    }

    #[test]
    fn few_works_are_all_traced_and_of_many_a_part_that_is_bounded() {
        let since = Instant::now();
        let mut pace = Pace { since, begun: 0, halvings: 0 };
        assert_eq!(begun(&mut pace, 600, since, Duration::from_millis(20)), 600);
        let later = since + SECOND * 60;
        let many = begun(&mut pace, 200_000, later, Duration::from_micros(50));
        // Ten seconds of twenty thousand each, and what it takes to slow down.
        assert!((500..1300).contains(&many), "{many}");
        assert!(pace.halvings > 5, "{pace:?}");
        let calm = later + SECOND * 60;
        begun(&mut pace, 600, calm, Duration::from_millis(50));
        assert_eq!(pace.halvings, 0, "it comes back when there is room");
    }
}
