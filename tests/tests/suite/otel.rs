//! Traces and metrics as a collector gets them: the protocol is decoded, and every span is held against what was promised.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};

use gleaner_tests::harness::{Bench, Output, Running, Signal, TIMEOUT};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use crate::papers::{PRESS, UNPAYWALL, bench, doi, dois, enqueue, held};

/// A collector: takes OTLP over HTTP/1.1 and keeps what it is told.
struct Collector {
    address: String,
    got: Arc<(Mutex<Got>, Condvar)>,
}

#[derive(Default)]
struct Got {
    spans: Vec<Span>,
    /// Name, attributes, value; the last export of each.
    metrics: BTreeMap<(String, String), f64>,
    resources: Vec<String>,
    headers: Vec<String>,
    /// Metrics that it refuses before it takes any.
    refusals: usize,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let got = Arc::<(Mutex<Got>, Condvar)>::default();
        let shared = Arc::clone(&got);
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { address, got }
    }

    fn with<T>(&self, look: impl FnOnce(&Got) -> T) -> T {
        look(&self.got.0.lock().unwrap())
    }

    fn spans(&self) -> Vec<Span> {
        self.with(|got| got.spans.clone())
    }

    /// Waits until a span of that name has come.
    fn wait_for(&self, name: &str) {
        let missing = |got: &mut Got| !got.spans.iter().any(|span| span.name == name);
        let got = self.got.0.lock().unwrap();
        let waited = self.got.1.wait_timeout_while(got, TIMEOUT, missing).unwrap().1;
        assert!(!waited.timed_out(), "no span {name} came");
    }
}

fn serve(stream: TcpStream, got: &(Mutex<Got>, Condvar)) {
    let mut out = stream.try_clone().unwrap();
    let mut input = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if input.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
        });
        let mut body = vec![0; length.expect("a length")];
        input.read_exact(&mut body).unwrap();
        assert!(head.to_lowercase().contains("content-type: application/x-protobuf"), "{head}");
        let mut keep = got.0.lock().unwrap();
        if head.starts_with("POST /v1/traces ") {
            let request = ExportTraceServiceRequest::decode(&*body).expect("OTLP traces");
            for of in request.resource_spans {
                keep.resources.push(text(&of.resource.unwrap().attributes));
                keep.spans.extend(of.scope_spans.into_iter().flat_map(|scope| scope.spans));
            }
        } else if head.starts_with("POST /v1/metrics ") {
            note_metrics(&mut keep, ExportMetricsServiceRequest::decode(&*body).expect("OTLP metrics"));
        } else {
            panic!("no path of OTLP: {head}");
        }
        let refuses = head.starts_with("POST /v1/metrics ") && keep.refusals > 0;
        keep.refusals -= usize::from(refuses);
        let status = if refuses { "503 Service Unavailable" } else { "200 OK" };
        keep.headers.push(head);
        drop(keep);
        got.1.notify_all();
        if write!(out, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").is_err() {
            return;
        }
    }
}

fn note_metrics(got: &mut Got, request: ExportMetricsServiceRequest) {
    let scopes = request.resource_metrics.into_iter().flat_map(|of| of.scope_metrics);
    for metric in scopes.flat_map(|scope| scope.metrics) {
        let points = match metric.data.unwrap() {
            Data::Sum(sum) => sum.data_points,
            Data::Gauge(gauge) => gauge.data_points,
            Data::Histogram(histogram) => {
                for point in histogram.data_points {
                    let key = (metric.name.clone(), text(&point.attributes));
                    got.metrics.insert(key, point.count as f64);
                }
                continue;
            }
            other => panic!("no kind of ours: {other:?}"),
        };
        for point in points {
            let Some(number_data_point::Value::AsDouble(value)) = point.value else { panic!("{point:?}") };
            got.metrics.insert((metric.name.clone(), text(&point.attributes)), value);
        }
    }
}

/// `name=value` of each, in the order of their names.
fn text(attributes: &[KeyValue]) -> String {
    let mut all: Vec<String> =
        attributes.iter().map(|one| format!("{}={}", one.key, value(one.value.as_ref()))).collect();
    all.sort_unstable();
    all.join(" ")
}

fn value(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(is)) => is.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    }
}

fn attribute(span: &Span, name: &str) -> String {
    let found = span.attributes.iter().find(|one| one.key == name);
    value(found.unwrap_or_else(|| panic!("{} has no {name}: {span:?}", span.name)).value.as_ref())
}

fn spawn(bench: &Bench, variables: &[(&str, &str)], args: &[&str]) -> Running {
    let variables: Vec<String> = variables.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let under: Vec<&str> = std::iter::once("env").chain(variables.iter().map(String::as_str)).collect();
    bench.spawn_under(&under, args)
}

fn run(bench: &Bench, variables: &[(&str, &str)], args: &[&str]) -> Output {
    spawn(bench, variables, args).wait(TIMEOUT)
}

/// The names of a span's ancestors, from the outermost on, and its own.
fn path(spans: &[Span], span: &Span) -> String {
    match spans.iter().find(|other| other.span_id == span.parent_span_id) {
        Some(parent) => format!("{}/{}", path(spans, parent), span.name),
        None => span.name.clone(),
    }
}

#[test]
fn spans_nest_as_promised_and_all_arrive_at_the_end() {
    let (bench, collector) = (bench(3), Collector::start());
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.address),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-token=sesame-4711"),
        ("OTEL_RESOURCE_ATTRIBUTES", "deployment=test"),
        // Longer than the run: whatever arrives was sent at its end.
        ("OTEL_BSP_SCHEDULE_DELAY", "600000"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "600000"),
    ];
    let ids = dois(3);
    let mut args = vec!["get"];
    args.extend(ids.iter().map(String::as_str));
    run(&bench, &variables, &args).expect_code(0);
    let spans = collector.spans();
    let mut paths: BTreeMap<String, usize> = BTreeMap::new();
    for span in &spans {
        *paths.entry(path(&spans, span)).or_default() += 1;
    }
    assert_eq!(paths["job"], 3, "{paths:?}");
    assert_eq!(paths["job/dispatch/resolve"], 3, "{paths:?}");
    assert_eq!(paths["job/dispatch/fetch"], 3, "{paths:?}");
    assert_eq!(paths["job/dispatch/resolve/http.request"], 3, "{paths:?}");
    assert_eq!(paths["job/dispatch/fetch/http.request"], 3, "{paths:?}");
    assert!(paths.keys().all(|path| path.starts_with("job")), "{paths:?}");
    let traces: std::collections::BTreeSet<_> = spans.iter().map(|span| &span.trace_id).collect();
    assert_eq!(traces.len(), 3, "one trace a work");
    for span in &spans {
        assert!(span.start_time_unix_nano <= span.end_time_unix_nano, "{span:?}");
        // Queries have contacts and keys in them.
        assert!(!text(&span.attributes).contains(['?', '@']), "{span:?}");
    }
    let request = spans.iter().find(|span| path(&spans, span).ends_with("fetch/http.request")).unwrap();
    assert_eq!(request.kind, 3, "a client's");
    assert_eq!(attribute(request, "http.request.method"), "GET");
    assert_eq!(attribute(request, "http.response.status_code"), "200");
    assert_eq!(attribute(request, "server.address"), PRESS);
    assert_eq!(attribute(request, "server.port"), "443");
    assert!(attribute(request, "url.full").starts_with("https://press.example.org/"));
    let job = spans.iter().find(|span| span.name == "job").unwrap();
    assert_eq!(
        (attribute(job, "gleaner.state"), attribute(job, "gleaner.reason")),
        ("done".into(), "ok".into())
    );
    collector.with(|got| {
        assert!(got.headers.iter().all(|head| head.contains("x-token: sesame-4711")));
        assert!(
            got.resources
                .iter()
                .all(|one| one.contains("service.name=gleaner") && one.contains("deployment=test"))
        );
        let metric = |name: &str, labels: &str| got.metrics[&(name.to_owned(), labels.to_owned())];
        assert_eq!(metric("gleaner_jobs_completed_total", "outcome=done reason=ok"), 3.0);
        assert_eq!(metric("gleaner_queue_depth", "state=done"), 3.0);
        assert_eq!(metric("gleaner_http_latency_seconds", "role=content"), 3.0);
    });
}

#[test]
fn a_trace_goes_on_after_a_kill() {
    let ((bench, barrier), collector) = (held(1), Collector::start());
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.address), ("OTEL_BSP_SCHEDULE_DELAY", "50")];
    enqueue(&bench, 1);
    let running = spawn(&bench, &variables, &["queue", "run", "--drain"]);
    bench.wait_for_requests(PRESS, 1);
    collector.wait_for("resolve");
    running.signal(Signal::KILL);
    running.wait(TIMEOUT);
    let before = collector.spans();
    assert!(
        before.iter().any(|span| span.name == "resolve") && !before.iter().any(|span| span.name == "job")
    );
    barrier.open();
    run(&bench, &variables, &["queue", "run", "--drain"]).expect_code(0);
    let spans = collector.spans();
    let traces: std::collections::BTreeSet<_> = spans.iter().map(|span| &span.trace_id).collect();
    assert_eq!(traces.len(), 1, "{spans:#?}");
    let job = spans.iter().find(|span| span.name == "job").expect("the whole job");
    // What the first process sent stands under the span that only the second could send.
    let resolve = before.iter().find(|span| span.name == "resolve").unwrap();
    assert!(
        job.start_time_unix_nano <= resolve.end_time_unix_nano + 1_000_000_000,
        "it began before the kill"
    );
    let dispatches = spans.iter().filter(|span| span.name == "dispatch");
    assert!(dispatches.clone().all(|span| span.parent_span_id == job.span_id), "{spans:#?}");
    assert!(spans.iter().any(|span| path(&spans, span) == "job/dispatch/fetch/http.request"));
}

#[test]
fn what_is_sampled_is_traced_whole_and_the_rest_not_at_all() {
    let (mut bench, collector) = (bench(24), Collector::start());
    bench.configure(&format!("[telemetry]\notlp-endpoint = \"{}\"\nsample = 0.5", collector.address));
    enqueue(&bench, 24);
    bench.run(&["queue", "run", "--drain"]).expect_code(0);
    let spans = collector.spans();
    let jobs = spans.iter().filter(|span| span.name == "job").count();
    // The ids follow from the directory, which is another in each run of this test.
    assert!((1..24).contains(&jobs), "{jobs} of 24");
    assert!(spans.iter().all(|span| path(&spans, span).starts_with("job")), "part of a trace was sent");
    assert_eq!(spans.iter().filter(|span| span.name == "fetch").count(), jobs);
    collector.with(|got| {
        let done = got.metrics[&("gleaner_jobs_completed_total".into(), "outcome=done reason=ok".into())];
        assert_eq!(done, 24.0, "counts are never sampled");
    });
}

#[test]
fn nothing_is_sent_unless_it_is_asked_for() {
    let (mut bench, collector) = (bench(2), Collector::start());
    bench.run(&["get", &doi(1)]).expect_code(0);
    let both = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.address), ("OTEL_SDK_DISABLED", "true")];
    run(&bench, &both, &["get", &doi(2)]).expect_code(0);
    assert_eq!(collector.with(|got| got.headers.len()), 0);
    bench.configure(&format!("[telemetry]\notlp-endpoint = \"{}\"", collector.address));
    let none = [("OTEL_TRACES_EXPORTER", "none")];
    run(&bench, &none, &["get", &doi(2)]).expect_code(0);
    assert!(
        collector
            .with(|got| got.spans.is_empty() && got.headers.iter().all(|head| head.contains("/v1/metrics")))
    );
}

#[test]
fn a_collector_that_is_dead_or_deaf_stops_nothing() {
    let bench = bench(2);
    // Nobody listens there.
    let dead = [("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")];
    let said = run(&bench, &dead, &["get", &doi(1)]).expect_code(0).stderr;
    for signal in ["traces", "metrics"] {
        let complaint = format!("{signal} do not reach the collector at 127.0.0.1:1: Connection refused");
        assert_eq!(said.matches(&complaint).count(), 1, "{said}");
    }
    assert!(!said.contains("were not sent"), "{said}");
    // Somebody listens and never answers.
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", deaf.local_addr().unwrap());
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*address), ("OTEL_EXPORTER_OTLP_TIMEOUT", "300")];
    let output = run(&bench, &variables, &["--format", "json", "get", &doi(2)]).expect_code(0);
    assert_eq!(output.json()["done"], 1);
    assert_eq!(bench.sim().seen(UNPAYWALL).requests.len(), 2);
}

#[test]
fn a_collector_that_comes_back_is_said_to() {
    let collector = Collector::start();
    collector.got.0.lock().unwrap().refusals = 3;
    let variables =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.address), ("OTEL_METRIC_EXPORT_INTERVAL", "50")];
    let bench = bench(0);
    let run = spawn(&bench, &variables, &["queue", "run"]);
    let address = collector.address.trim_start_matches("http://");
    let again = format!("metrics reach the collector at {address} again");
    run.wait_until_it_says(&again);
    run.signal(Signal::TERM);
    let said = run.wait(TIMEOUT).expect_code(0).stderr;
    let lost =
        format!("metrics do not reach the collector at {address}: it answered 503 Service Unavailable");
    assert_eq!((said.matches(&lost).count(), said.matches(&again).count()), (1, 1), "{said}");
}

#[test]
fn a_collector_is_trusted_by_the_certificate_that_is_named() {
    let bench = bench(2);
    // Its certificate is signed by an authority that no system knows.
    let collector = bench.sim().addr().to_string();
    let (endpoint, ca) = (format!("https://{collector}"), bench.path("ca.pem").display().to_string());
    let got = || {
        let requests = bench.sim().seen(&collector).requests;
        requests.into_iter().map(|seen| seen.target).collect::<std::collections::BTreeSet<_>>()
    };
    let variables = [("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint)];
    run(&bench, &variables, &["get", &doi(1)]).expect_code(0);
    assert!(got().is_empty(), "it showed no certificate to trust: {:?}", got());
    let variables = [variables[0], ("OTEL_EXPORTER_OTLP_CERTIFICATE", &*ca)];
    run(&bench, &variables, &["get", &doi(2)]).expect_code(0);
    assert_eq!(got(), ["/v1/metrics", "/v1/traces"].map(str::to_owned).into());
    let variables = [variables[0], ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nothing/ca.pem")];
    let error = run(&bench, &variables, &["get", &doi(2)]).expect_code(3).stderr;
    assert!(error.contains("OTEL_EXPORTER_OTLP_CERTIFICATE names /nothing/ca.pem"), "{error}");
}

#[test]
fn secrets_are_in_no_attribute() {
    let (mut bench, collector) = (bench(1), Collector::start());
    bench.configure(&format!(
        "[telemetry]\notlp-endpoint = \"{}\"\n[resolvers.unpaywall]\ninject = [{{ host = \"{UNPAYWALL}\", query = \"key\", secret = \"example-key\" }}]",
        collector.address
    ));
    let secret = [("GLEANER_SECRET_EXAMPLE_KEY", "sesame-4711-open")];
    run(&bench, &secret, &["get", &doi(1)]).expect_code(0);
    let seen = bench.sim().seen(UNPAYWALL).requests;
    assert!(seen.iter().any(|seen| seen.target.contains("sesame-4711-open")), "it was to be sent");
    let spans = collector.spans();
    assert!(spans.iter().any(|span| span.name == "http.request"));
    assert!(spans.iter().all(|span| !format!("{span:?}").contains("sesame")));
}

#[test]
fn variables_that_make_no_sense_are_named() {
    let bench = bench(1);
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1");
    let variables = [endpoint, ("OTEL_TRACES_SAMPLER", "sometimes")];
    let error = run(&bench, &variables, &["get", &doi(1)]).expect_code(3).stderr;
    assert!(error.contains("OTEL_TRACES_SAMPLER is \"sometimes\""), "{error}");
}
