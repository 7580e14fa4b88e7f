//! What is counted: events as measurements, kept for whoever asks, and passed on to OpenTelemetry where that is on.
//!
//! Counts nothing until somebody wants it, so that a run without readers pays nothing. Must never have more series than
//! [`MOST_VALUES`] allows, whatever comes from outside.

pub mod catalogue;
mod registry;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{LazyLock, Mutex, MutexGuard, OnceLock, PoisonError};

use gleaner_model::job::JobState;
use gleaner_model::reason::Reason;

use crate::event::{Event, Observer, RequestEnded, StepKind};
use catalogue::{Kind, Metric};
use registry::Registry;

/// Values of one open label; all further ones are counted as [`OTHER`].
pub(crate) const MOST_VALUES: usize = 100;
/// The value that stands for all beyond [`MOST_VALUES`].
pub(crate) const OTHER: &str = "other";

/// Who else is told of single values. Counters and gauges are read when they are wanted ([`Metrics::read`]).
pub(crate) trait Sink: Send + Sync {
    /// Notes one value of a histogram.
    fn note(&self, metric: &'static Metric, values: &[&str], amount: f64);
}

/// The measurements of this process.
#[derive(Default)]
pub struct Metrics {
    is_wanted: AtomicBool,
    state: Mutex<State>,
    sink: OnceLock<Box<dyn Sink>>,
}

#[derive(Default)]
struct State {
    registry: Registry,
    /// Values seen of each open label.
    known: BTreeMap<&'static str, BTreeSet<String>>,
}

impl Metrics {
    /// From now on, measurements are kept. Nothing was counted before.
    pub fn want(&self) {
        self.is_wanted.store(true, Ordering::Relaxed);
    }

    /// Whether somebody wants them.
    pub fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    /// The values of a counter or gauge, with those of its labels.
    pub(crate) fn read(&self, metric: &Metric, mut each: impl FnMut(&[String], f64)) {
        self.lock().registry.values(metric).for_each(|(labels, value)| each(labels, value));
    }

    /// Passes values of histograms on from now on; the first sink stays.
    pub(crate) fn pass_on(&self, sink: Box<dyn Sink>) {
        if self.sink.set(sink).is_ok() {
            self.want();
        }
    }

    /// How the library's jobs stand.
    pub fn set_depths(&self, states: &[(JobState, u64)]) {
        for (state, jobs) in states {
            self.note(catalogue::QUEUE_DEPTH, &[state.as_str()], *jobs as f64);
        }
    }

    /// How many jobs this process works on.
    pub fn set_inflight(&self, jobs: u64) {
        self.note(catalogue::JOBS_INFLIGHT, &[], jobs as f64);
    }

    /// A request was answered, or not.
    pub fn on_request(&self, request: &RequestEnded) {
        if !self.is_wanted() {
            return;
        }
        let status = match request.status {
            None => "none",
            Some(..200) => "1xx",
            Some(200..300) => "2xx",
            Some(300..400) => "3xx",
            Some(400..500) => "4xx",
            Some(500..) => "5xx",
        };
        self.note(catalogue::HTTP_REQUESTS, &[request.role, status], 1.0);
        self.note(catalogue::HTTP_LATENCY, &[request.role], request.took.as_secs_f64());
    }

    /// All of them in the text format of Prometheus, version 0.0.4: for `/metrics`, with [`Metrics::CONTENT_TYPE`].
    pub fn render(&self) -> String {
        self.lock().registry.render()
    }

    /// The media type of what [`Metrics::render`] gives.
    pub const CONTENT_TYPE: &'static str = "text/plain; version=0.0.4; charset=utf-8";

    fn note(&self, metric: &'static Metric, values: &[&str], amount: f64) {
        if !self.is_wanted() {
            return;
        }
        let mut state = self.lock();
        let State { registry, known } = &mut *state;
        let bounded: Vec<&str> = metric
            .labels
            .iter()
            .zip(values)
            .map(|(label, value)| if label.is_open { bound(known, label.name, value) } else { value })
            .collect();
        registry.note(metric, &bounded, amount);
        drop(state);
        if let (Kind::Histogram(_), Some(sink)) = (metric.kind, self.sink.get()) {
            sink.note(metric, &bounded, amount);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The measurements of this process: there is one log of it, and one set of counts.
pub fn metrics() -> &'static Metrics {
    static METRICS: LazyLock<Metrics> = LazyLock::new(Metrics::default);
    &METRICS
}

/// The value itself as long as there are few.
fn bound<'a>(
    known: &mut BTreeMap<&'static str, BTreeSet<String>>,
    label: &'static str,
    value: &'a str,
) -> &'a str {
    let values = known.entry(label).or_default();
    if values.contains(value) {
        return value;
    }
    if values.len() >= MOST_VALUES {
        return OTHER;
    }
    values.insert(value.to_owned());
    value
}

impl Observer for Metrics {
    fn on(&self, event: &Event) {
        if !self.is_wanted() {
            return;
        }
        match event {
            Event::Step(step) => {
                let status = if step.reason == Reason::Ok { "ok" } else { "failed" };
                let values = [step.resolver.as_str(), status, step.reason.as_str()];
                self.note(catalogue::ATTEMPTS, &values, 1.0);
                if step.number > 1 {
                    self.note(catalogue::RETRIES, &[], 1.0);
                }
                if step.kind == StepKind::Fetch && step.bytes > 0 {
                    self.note(catalogue::BYTES, &[], step.bytes as f64);
                }
            }
            Event::Job(job) => {
                self.note(catalogue::JOBS_COMPLETED, &[job.state.as_str(), job.reason.as_str()], 1.0);
                if job.state == JobState::Error {
                    self.note(catalogue::JOBS_FAILED, &[], 1.0);
                }
            }
            Event::Cooldown { key, .. } => self.note(catalogue::COOLDOWNS, &[&key.to_string()], 1.0),
            Event::Suspended(one) => self.note(catalogue::SUSPENSIONS, &[one.resolver.as_str()], 1.0),
            Event::Resumed(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use gleaner_model::clock::UnixMillis;
    use gleaner_model::job::JobId;
    use gleaner_model::key::Key;

    use super::*;
    use crate::event::{JobEnded, StepEnded};

    fn step(resolver: &str, reason: Reason, number: u32) -> Event {
        Event::Step(StepEnded {
            job: JobId(1),
            artifact: "doi:10.1000/x".into(),
            kind: StepKind::Fetch,
            key: Key::parse("host:a.example").unwrap(),
            resolver: resolver.into(),
            reason,
            detail: String::new(),
            bytes: 7,
            number,
            took: Duration::from_secs(1),
        })
    }

    fn metrics() -> Metrics {
        let metrics = Metrics::default();
        metrics.want();
        metrics
    }

    #[test]
    fn nothing_is_counted_until_it_is_wanted() {
        let metrics = Metrics::default();
        metrics.on(&step("arxiv", Reason::Ok, 1));
        metrics.set_depths(&[(JobState::Queued, 3)]);
        assert_eq!(metrics.render(), Metrics::default().render());
        assert!(!metrics.render().contains("arxiv"));
    }

    #[test]
    fn events_are_measured_by_their_names() {
        let metrics = metrics();
        metrics.on(&step("arxiv", Reason::Ok, 1));
        metrics.on(&step("arxiv", Reason::Timeout, 2));
        for (state, reason) in [(JobState::Done, Reason::Ok), (JobState::Error, Reason::Timeout)] {
            let (artifact, detail) = ("doi:10.1000/x".to_owned(), String::new());
            let (job, started) = (JobId(1), None);
            let ended = JobEnded { job, artifact, state, reason, detail, bytes: 7, resolver: None, started };
            metrics.on(&Event::Job(ended));
        }
        let took = Duration::from_millis(30);
        metrics.on_request(&RequestEnded { role: "metadata", status: Some(404), took });
        metrics.on_request(&RequestEnded { role: "content", status: None, took });
        metrics.set_depths(&[(JobState::Queued, 3), (JobState::Done, 1)]);
        metrics.set_inflight(2);
        let text = metrics.render();
        for line in [
            "gleaner_attempts_total{resolver=\"arxiv\",status=\"ok\",reason=\"ok\"} 1",
            "gleaner_attempts_total{resolver=\"arxiv\",status=\"failed\",reason=\"timeout\"} 1",
            "gleaner_retries_total 1",
            "gleaner_bytes_total 14",
            "gleaner_jobs_completed_total{outcome=\"done\",reason=\"ok\"} 1",
            "gleaner_jobs_failed_total 1",
            "gleaner_http_requests_total{role=\"metadata\",status=\"4xx\"} 1",
            "gleaner_http_requests_total{role=\"content\",status=\"none\"} 1",
            "gleaner_http_latency_seconds_bucket{role=\"metadata\",le=\"0.02\"} 0",
            "gleaner_http_latency_seconds_bucket{role=\"metadata\",le=\"0.05\"} 1",
            "gleaner_http_latency_seconds_bucket{role=\"metadata\",le=\"+Inf\"} 1",
            "gleaner_http_latency_seconds_count{role=\"metadata\"} 1",
            "gleaner_queue_depth{state=\"queued\"} 3",
            "gleaner_jobs_inflight 2",
            "# TYPE gleaner_http_latency_seconds histogram",
        ] {
            assert!(text.lines().any(|one| one == line), "{line} is missing in:\n{text}");
        }
    }

    /// Whatever the web brings, the number of series is bounded, and nothing is left out of the sums.
    #[test]
    fn ten_thousand_hosts_and_resolvers_are_a_hundred_series_and_one_for_all_others() {
        let metrics = metrics();
        for n in 0..10_000 {
            let key = Key::parse(&format!("host:h{n}.example")).unwrap();
            metrics.on(&Event::Cooldown { key, until: UnixMillis(0) });
            metrics.on(&step(&format!("r{n}"), Reason::Ok, 1));
        }
        let text = metrics.render();
        for (name, other) in [
            ("gleaner_cooldowns_total{", "gleaner_cooldowns_total{key=\"other\"} 9900"),
            (
                "gleaner_attempts_total{",
                "gleaner_attempts_total{resolver=\"other\",status=\"ok\",reason=\"ok\"} 9900",
            ),
        ] {
            assert_eq!(text.lines().filter(|line| line.starts_with(name)).count(), MOST_VALUES + 1);
            assert!(text.lines().any(|line| line == other), "{other}");
        }
        assert!(text.len() < 64 << 10, "{} bytes", text.len());
    }
}
