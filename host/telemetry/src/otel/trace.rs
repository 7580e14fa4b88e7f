//! The trace of a job: its ids, whether it is traced at all, and the span that all others stand under.
//!
//! Ids follow from the library, the job's number and its work, so that nothing has to be written down and every process
//! that works on the job has the same ones, before and after a crash. Must never ask the clock or the database.

use std::cell::Cell;
use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

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
use tracing_opentelemetry::OpenTelemetrySpanExt;

use crate::event::JobEnded;

/// What traces of jobs are made with.
#[derive(Debug)]
pub(super) struct Traces {
    pub(super) tracer: SdkTracer,
    pub(super) sampler: Sampler,
    library: OnceLock<String>,
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
    pub(super) fn new(tracer: SdkTracer, sampler: Sampler) -> Self {
        Self { tracer, sampler, library: OnceLock::new() }
    }

    /// Numbers of jobs are unique in one library only.
    pub(super) fn set_library(&self, dir: &Path) {
        let _ = self.library.set(dir.display().to_string());
    }

    /// Puts a span of a job under the job's own.
    pub(super) fn adopt(&self, span: &tracing::Span, job: JobId, artifact: &str) {
        let (trace, root) = self.ids(job, artifact);
        let flags = if self.is_sampled(trace) { TraceFlags::SAMPLED } else { TraceFlags::default() };
        let parent = SpanContext::new(trace, root, flags, true, TraceState::default());
        // Fails for a span that nobody records.
        let _ = span.set_parent(Context::new().with_remote_span_context(parent));
    }

    /// Tells the whole of a job that ended: the span that all others of it stand under.
    pub(super) fn end(&self, ended: &JobEnded) {
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
        GIVEN.set(Some(self.ids(ended.job, &ended.artifact)));
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

    /// A job is traced whole or not at all, by whichever process.
    fn is_sampled(&self, trace: TraceId) -> bool {
        let result = self.sampler.should_sample(None, trace, "job", &SpanKind::Internal, &[], &[]);
        result.decision == SamplingDecision::RecordAndSample
    }
}
