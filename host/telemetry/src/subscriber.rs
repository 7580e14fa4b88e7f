//! `tracing` for a process: lines that people read, or JSON objects, on standard error.
//!
//! Must never write to standard output: that belongs to results.

use std::io;
use std::sync::OnceLock;

use gleaner_model::SPANS;
use tokio::runtime::Handle;
use tracing::Metadata;
use tracing::subscriber::Interest;
use tracing_subscriber::filter::{FilterExt, dynamic_filter_fn, filter_fn};
use tracing_subscriber::fmt::writer::{BoxMakeWriter, MakeWriter};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, fmt};

use crate::config::TelemetryConfig;
use crate::otel::{self, OtelError, OtelVariables};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Console {
        /// Whether to colour them.
        colour: bool,
    },
    /// One JSON object a line.
    Json,
}

/// How much is said: the balance of `-v` and `-q`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verbosity(pub i8);

impl Verbosity {
    /// The filter of that verbosity: warnings by default, nothing but errors when quiet.
    fn directives(self) -> &'static str {
        match self.0 {
            ..=-1 => "error",
            0 => "warn",
            1 => "warn,gleaner=info",
            2 => "info,gleaner=debug",
            _ => "debug,gleaner=trace",
        }
    }
}

/// The logger could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter given is not one.
    #[error("GLEANER_LOG is not a filter like \"warn,gleaner=debug\": {0}")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// The filter has a character outside ASCII, and its parser panics at some of them.
    #[error("GLEANER_LOG is not a filter like \"warn,gleaner=debug\": it has a character outside ASCII")]
    NotAscii,
    /// Traces and metrics cannot be sent.
    #[error(transparent)]
    Otel(#[from] OtelError),
    /// It was set up before.
    #[error("the log was set up twice: {0}")]
    Twice(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What sends traces and metrics, and with what.
#[derive(Debug)]
pub struct Sending<'a> {
    /// The section.
    pub config: &'a TelemetryConfig,
    /// The standard variables.
    pub variables: &'a OtelVariables,
    /// What works on connections to a collector.
    pub runtime: &'a Handle,
}

/// Sets the process's logger up, writing to what `writer` makes. `filter`, in the syntax of `tracing`, wins
/// over the verbosity. With `sending`, traces and metrics go to a collector if one is named. Call it once.
///
/// # Errors
/// When the filter is not well-formed, exporters cannot be set up, or a logger is there already.
pub fn init<W>(
    format: LogFormat,
    verbosity: Verbosity,
    filter: Option<&str>,
    sending: Option<Sending<'_>>,
    writer: impl Fn() -> W + Send + Sync + 'static,
) -> Result<(), TelemetryError>
where
    W: io::Write + 'static,
{
    let filter = read(filter.unwrap_or(verbosity.directives()))?;
    let tracer = match sending {
        Some(Sending { config, variables, runtime }) => otel::start(config, variables, runtime)?,
        None => None,
    };
    let lines = fmt::layer().with_writer(BoxMakeWriter::new(writer));
    let lines = match format {
        // On a terminal there is one run, and it is seen.
        LogFormat::Console { colour: true } => lines.with_target(false).compact().boxed(),
        LogFormat::Console { colour: false } => {
            let lines = lines.with_ansi(false).with_target(false).compact();
            lines.map_writer(|make| WithRun { make, form: Form::Text }).boxed()
        }
        LogFormat::Json => {
            lines.json().flatten_event(true).map_writer(|make| WithRun { make, form: Form::Json }).boxed()
        }
    };
    // Spans go to the collector whatever is logged, and lines of the log never do.
    let is_span = |of: &Metadata<'_>| of.is_span() && of.target() == SPANS;
    let spans = tracer.map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_level(false)
            .with_target(false)
            .with_filter(filter_fn(is_span))
    });
    // Over all layers: a span that only its own layer does not want is made and kept all the same.
    let traced = dynamic_filter_fn(move |of, now: &Context<'_, _>| {
        !is_span(of) || !otel::is_of_untraced(of.name(), now)
    })
    .with_callsite_filter(move |of| if is_span(of) { Interest::sometimes() } else { Interest::always() });
    let lines = lines.with_filter(filter.and(filter_fn(|of| of.target() != SPANS)));
    // Not a layer that is none: it counts as one that wants everything, and every span would be made for nobody.
    let logged = Registry::default().with(lines);
    let begun = match spans {
        Some(spans) => logged.with(spans).with(traced).try_init(),
        None => logged.try_init(),
    };
    begun.map_err(|error| TelemetryError::Twice(error.into()))
}

static RUN: OnceLock<String> = OnceLock::new();

/// From now on, every line of the log has this id as `run_id`, but on a terminal. A process has one run.
pub fn log_run(run_id: &str) {
    let _ = RUN.set(run_id.to_owned());
}

/// What lines are.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Json,
}

/// Writers whose lines have the run's id, once there is a run.
struct WithRun<M> {
    make: M,
    form: Form,
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for WithRun<M> {
    type Writer = Line<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line(self.make.make_writer(), self.form)
    }
}

/// Takes one line, in one piece.
struct Line<W>(W, Form);

/// The line with the id: in front in JSON, where anything may end it, and behind a text.
fn with_run(line: &[u8], form: Form, run: &str) -> Vec<u8> {
    // The id is ours and has no quote in it.
    match (form, line.strip_prefix(b"{"), line.strip_suffix(b"\n")) {
        (Form::Json, Some(rest), _) => [format!("{{\"run_id\":\"{run}\",").as_bytes(), rest].concat(),
        (Form::Text, _, Some(text)) => [text, format!(" run_id={run}\n").as_bytes()].concat(),
        _ => line.to_vec(),
    }
}

impl<W: io::Write> io::Write for Line<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match RUN.get() {
            // In one write, so that lines of threads do not mix.
            Some(run) => self.0.write_all(&with_run(line, self.1, run)).map(|()| line.len()),
            None => self.0.write_all(line).map(|()| line.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn read(filter: &str) -> Result<EnvFilter, TelemetryError> {
    if !filter.is_ascii() {
        return Err(TelemetryError::NotAscii);
    }
    Ok(EnvFilter::try_new(filter)?)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use gleaner_model::{clock::UnixMillis, key::Key};

    use super::*;
    use crate::Event;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn events_are_json_lines_at_the_asked_verbosity() {
        let written = Shared::default();
        let sink = written.clone();
        init(LogFormat::Json, Verbosity(1), None, None, move || sink.clone()).unwrap();
        Event::Cooldown { key: Key::parse("host:a.example").unwrap(), until: UnixMillis(0) }.trace();
        tracing::debug!("not shown at this verbosity");
        assert!(tracing::info_span!(target: SPANS, "dispatch").is_disabled(), "a span is made for nobody");
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        let lines: Vec<serde_json::Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert_eq!(lines.len(), 1, "{text}");
        assert_eq!(lines[0]["message"], "cooling down");
        assert_eq!(lines[0]["key"], "host:a.example");
        assert!(init(LogFormat::Json, Verbosity(0), None, None, io::sink).is_err());
    }

    #[test]
    fn a_line_has_its_run_and_stays_one_line() {
        let text = |line: &str, form| String::from_utf8(with_run(line.as_bytes(), form, "r-1")).unwrap();
        assert_eq!(text("WARN no room key=7\n", Form::Text), "WARN no room key=7 run_id=r-1\n");
        assert_eq!(text("{\"level\":\"WARN\"}\n", Form::Json), "{\"run_id\":\"r-1\",\"level\":\"WARN\"}\n");
        assert_eq!(text("half a line", Form::Text), "half a line");
    }

    #[test]
    fn a_mutated_filter_is_refused_or_filters() {
        gleaner_testing::each_mutation(&["warn,gleaner=debug", "gleaner[step{job=7}]=trace,off"], |text| {
            if let Err(error) = read(text) {
                assert!(error.to_string().starts_with("GLEANER_LOG is not a filter"));
            }
        });
    }

    #[test]
    fn messages_are_as_they_were_read_and_approved() {
        let mut messages = gleaner_testing::Messages::new();
        messages.error(&read("gleaner=louder").unwrap_err());
        // U+A0 where a space was meant, as copied from a web page.
        messages.error(&read("\u{a0}gleaner=debug").unwrap_err());
        for error in crate::otel::examples() {
            messages.error(&error);
            messages.error(&TelemetryError::from(error));
        }
        for text in crate::config::examples() {
            messages.text("a value of [telemetry]", &text);
        }
        for text in crate::otel::complaints() {
            messages.text("log", &text);
        }
        messages.text("log", "the last spans were not sent: Operation timed-out after 5 seconds");
        messages.text("log", "the last metrics were not sent: Operation timed-out after 5 seconds");
        messages.error(&TelemetryError::Twice("a global default subscriber is set".into()));
        messages.text("an event", "plugin suspended");
        messages.text("an event", "plugin is called again");
        messages.assert_approved(env!("CARGO_MANIFEST_DIR"));
    }

    #[test]
    fn a_wrong_filter_is_named() {
        let error = init(LogFormat::Json, Verbosity(0), Some("gleaner=louder"), None, io::sink).unwrap_err();
        assert!(error.to_string().contains("GLEANER_LOG"), "{error}");
    }
}
