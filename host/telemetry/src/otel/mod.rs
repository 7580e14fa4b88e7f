//! Traces and metrics over OTLP (HTTP/protobuf), to a collector of the operator's.
//!
//! The only place that knows OpenTelemetry. Nothing is set up unless it is asked for, and then nothing waits for it: what a
//! collector does not take in time is dropped, never the work. Must never put a query, a header or a message of the log
//! into an attribute.

mod client;
mod meter;
mod trace;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use gleaner_model::job::JobId;
use opentelemetry::KeyValue;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use tokio::runtime::Handle;

use crate::config::{Endpoint, TelemetryConfig};
use crate::event::JobEnded;
use crate::metrics::metrics;
use client::Collector;
use meter::Instruments;
use trace::{Ids, Traces};

/// Spans that may wait to be sent, unless a variable says otherwise: what a busy run makes while a batch is under way.
const MOST_WAITING: usize = 65_536;
/// How long the last export may take when the program ends.
const AT_THE_END: Duration = Duration::from_secs(5);

/// What the standard variables say, as far as the libraries do not read them themselves.
#[derive(Debug, Clone, Default)]
pub struct OtelVariables {
    /// `OTEL_SDK_DISABLED`.
    pub is_disabled: bool,
    /// Whether `OTEL_EXPORTER_OTLP_ENDPOINT` or the one of a signal names a collector.
    pub has_endpoint: bool,
    /// `OTEL_TRACES_EXPORTER` is not `none`.
    pub wants_traces: bool,
    /// `OTEL_METRICS_EXPORTER` is not `none`.
    pub wants_metrics: bool,
    /// `OTEL_TRACES_SAMPLER`.
    pub sampler: Option<String>,
    /// `OTEL_TRACES_SAMPLER_ARG`.
    pub sampler_arg: Option<String>,
    /// `OTEL_EXPORTER_OTLP_TIMEOUT`, in milliseconds.
    pub timeout: Option<Duration>,
    /// `OTEL_EXPORTER_OTLP_CERTIFICATE`: whose certificates a collector may show.
    pub certificate: Option<PathBuf>,
    /// Whether `OTEL_SERVICE_NAME` or `OTEL_RESOURCE_ATTRIBUTES` names the service.
    pub has_service_name: bool,
    /// Whether `OTEL_BSP_MAX_QUEUE_SIZE` is set.
    pub has_queue_size: bool,
}

/// OpenTelemetry, set up.
#[derive(Debug)]
pub(crate) struct Otel {
    spans: Option<(SdkTracerProvider, Traces)>,
    meters: Option<SdkMeterProvider>,
    /// Whether spans, and whether metrics, are known not to arrive.
    failing: [Arc<AtomicBool>; 2],
}

static OTEL: OnceLock<Otel> = OnceLock::new();

/// Why traces and metrics cannot be sent.
#[derive(Debug, thiserror::Error)]
#[error("traces and metrics cannot be sent: {0}; see [telemetry] and the OTEL_ variables")]
pub struct OtelError(String);

/// Sets exporters up if the section or a variable names a collector; connections are worked on by `runtime`. Returns what
/// records spans, if they are wanted.
pub(crate) fn start(
    config: &TelemetryConfig,
    variables: &OtelVariables,
    runtime: &Handle,
) -> Result<Option<SdkTracer>, OtelError> {
    let endpoint = config.otlp_endpoint.as_ref().filter(|_| !variables.has_endpoint);
    if variables.is_disabled || !(variables.has_endpoint || endpoint.is_some()) {
        return Ok(None);
    }
    let timeout = variables.timeout.unwrap_or(Duration::from_secs(10));
    let client = Collector::new(runtime.clone(), timeout, variables.certificate.as_deref());
    let client = client.map_err(|error| OtelError(error.to_string()))?;
    let clients = ["traces", "metrics"].map(|signal| client.of(signal));
    let failing = clients.each_ref().map(Collector::failing);
    let [of_spans, of_metrics] = clients;
    let spans = match variables.wants_traces {
        true => Some(spans(config, variables, endpoint, of_spans)?),
        false => None,
    };
    let meters = match variables.wants_metrics {
        true => Some(meters(variables, endpoint, of_metrics)?),
        false => None,
    };
    if let Some(meters) = &meters {
        metrics().pass_on(Box::new(Instruments::new(&meters.meter("gleaner"))));
    }
    let tracer = spans.as_ref().map(|(_, traces)| traces.tracer.clone());
    // Set up once, with the log.
    let _ = OTEL.set(Otel { spans, meters, failing });
    Ok(tracer)
}

fn spans(
    config: &TelemetryConfig,
    variables: &OtelVariables,
    endpoint: Option<&Endpoint>,
    client: Collector,
) -> Result<(SdkTracerProvider, Traces), OtelError> {
    let builder = SpanExporter::builder().with_http().with_http_client(client);
    let builder = match endpoint {
        Some(endpoint) => builder.with_endpoint(endpoint.of("traces")),
        None => builder,
    };
    let exporter = builder.build().map_err(|error| OtelError(error.to_string()))?;
    let batches = match variables.has_queue_size {
        true => BatchConfigBuilder::default(),
        false => BatchConfigBuilder::default().with_max_queue_size(MOST_WAITING),
    };
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches.build()).build();
    let sampler = sampler(config, variables)?;
    let provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_sampler(Sampler::ParentBased(Box::new(sampler.clone())))
        .with_id_generator(Ids::default())
        .with_resource(resource(variables))
        .build();
    let tracer = provider.tracer("gleaner");
    // Who names a sampler gets what it says.
    Ok((provider, Traces::new(tracer, sampler, variables.sampler.is_none())))
}

fn meters(
    variables: &OtelVariables,
    endpoint: Option<&Endpoint>,
    client: Collector,
) -> Result<SdkMeterProvider, OtelError> {
    let builder = MetricExporter::builder().with_http().with_http_client(client);
    let builder = match endpoint {
        Some(endpoint) => builder.with_endpoint(endpoint.of("metrics")),
        None => builder,
    };
    let exporter = builder.build().map_err(|error| OtelError(error.to_string()))?;
    Ok(SdkMeterProvider::builder()
        .with_periodic_exporter(exporter)
        .with_resource(resource(variables))
        .build())
}

fn resource(variables: &OtelVariables) -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attribute(version);
    if variables.has_service_name { builder.build() } else { builder.with_service_name("gleaner").build() }
}

/// Whether a trace is kept, by its id alone. `parentbased_` makes no difference: every trace begins here.
fn sampler(config: &TelemetryConfig, variables: &OtelVariables) -> Result<Sampler, OtelError> {
    let Some(name) = &variables.sampler else { return Ok(Sampler::TraceIdRatioBased(config.sample.part())) };
    match name.strip_prefix("parentbased_").unwrap_or(name) {
        "always_on" => Ok(Sampler::AlwaysOn),
        "always_off" => Ok(Sampler::AlwaysOff),
        "traceidratio" => {
            let text = variables.sampler_arg.as_deref().unwrap_or("1");
            let part = text.parse::<f64>().ok().filter(|part| (0.0..=1.0).contains(part));
            let wrong = || OtelError(format!("OTEL_TRACES_SAMPLER_ARG is {text:?}, and has to be 0 to 1"));
            part.map(Sampler::TraceIdRatioBased).ok_or_else(wrong)
        }
        _ => Err(OtelError(format!(
            "OTEL_TRACES_SAMPLER is {name:?}; known are always_on, always_off, traceidratio, and these with parentbased_"
        ))),
    }
}

/// Which library the jobs are of whose traces follow.
pub fn trace_library(dir: &Path) {
    if let Some((_, traces)) = OTEL.get().and_then(|otel| otel.spans.as_ref()) {
        traces.set_library(dir);
    }
}

/// A span of a job in the job's trace, which is the same in every process and over restarts; none where it is not traced.
pub fn adopt(job: JobId, artifact: &str, make: impl FnOnce() -> tracing::Span) -> tracing::Span {
    let traces = OTEL.get().and_then(|otel| otel.spans.as_ref());
    traces.map_or_else(tracing::Span::none, |(_, traces)| traces.adopt(job, artifact, make))
}

/// Tells the whole of a job that ended.
pub(crate) fn job_ended(ended: &JobEnded) {
    if let Some((_, traces)) = OTEL.get().and_then(|otel| otel.spans.as_ref()) {
        traces.end(ended);
    }
}

/// Sends what is left, for at most some seconds. Blocks: call it when the work is done, outside of the runtime.
pub fn shutdown() {
    let Some(Otel { spans, meters, failing: [no_traces, no_metrics] }) = OTEL.get() else { return };
    // Why exports fail has been said.
    if let Some((spans, _)) = spans
        && let Err(error) = spans.shutdown_with_timeout(AT_THE_END)
        && !no_traces.load(Relaxed)
    {
        tracing::warn!("the last spans were not sent: {error}");
    }
    if let Some(meters) = meters
        && let Err(error) = meters.shutdown()
        && !no_metrics.load(Relaxed)
    {
        tracing::warn!("the last metrics were not sent: {error}");
    }
}

pub(crate) use trace::is_of_untraced;

/// Every error of this module, for those who approve messages.
#[cfg(test)]
pub(crate) fn examples() -> Vec<OtelError> {
    let config: TelemetryConfig = serde_json::from_str(r#"{"sample":1.0}"#).unwrap();
    let of = |name: &str, arg: &str| {
        let variables = OtelVariables {
            sampler: Some(name.into()),
            sampler_arg: Some(arg.into()),
            ..OtelVariables::default()
        };
        sampler(&config, &variables).unwrap_err()
    };
    let none = client::read(Path::new("/nothing/ca.pem")).unwrap_err();
    let empty = client::read(Path::new("/dev/null")).unwrap_err();
    let certificates = [none, empty].map(|error| OtelError(error.to_string()));
    [of("sometimes", ""), of("parentbased_traceidratio", "much")].into_iter().chain(certificates).collect()
}

/// What is said of a collector that is away, likewise.
#[cfg(test)]
pub(crate) fn complaints() -> [String; 2] {
    let collector = "otel.example.org:4318";
    [
        client::lost("traces", collector, "Connection refused (os error 111)"),
        client::found("traces", collector),
    ]
}
