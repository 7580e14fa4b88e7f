//! What the simulated web saw: every request's start and end, in order, and the reports made from them.
//!
//! Must never influence an answer. Times are monotonic, counted from the start.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::Instant;

/// One request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// When it arrived, since the web was started.
    pub at: Duration,
    /// `GET`, `HEAD`, ...
    pub method: String,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// Path and query as they were sent.
    pub target: String,
    /// The `user-agent` header.
    pub user_agent: Option<String>,
    /// Every header, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Seen {
    /// The first header of that name, given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// What one host, or several counted as one, saw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostReport {
    /// The requests in the order of their arrival.
    pub requests: Vec<Seen>,
    /// The most requests that were in flight at once. A request is in flight from its arrival until the last piece of
    /// its answer is handed to the connection, so a client that keeps a cap is never seen above it; only a client that
    /// walks away from an answer may be, until the broken connection is noticed.
    pub most_in_flight: usize,
    /// The shortest time between the starts of two requests; none below two requests.
    pub min_interval: Option<Duration>,
    /// How many of the requests a service answered: no page, no file, no robots.txt.
    pub calls: usize,
}

impl HostReport {
    /// How many requests had exactly this path and query.
    pub fn hits(&self, target: &str) -> usize {
        self.requests.iter().filter(|seen| seen.target == target).count()
    }

    /// The most requests that started within any window of that length.
    pub fn most_within(&self, window: Duration) -> usize {
        let starts_from = |first: usize| {
            let end = self.requests[first].at + window;
            self.requests[first..].iter().take_while(|seen| seen.at < end).count()
        };
        (0..self.requests.len()).map(starts_from).max().unwrap_or(0)
    }
}

/// What all hosts saw; serialises to one JSON object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Requests to all hosts.
    pub requests: usize,
    /// How many of them services answered, see [`HostReport::calls`].
    pub calls: usize,
    /// Every host that saw a request.
    pub hosts: BTreeMap<String, Summary>,
}

/// A [`HostReport`] in four numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// How many requests arrived.
    pub requests: usize,
    /// See [`HostReport::most_in_flight`].
    pub most_in_flight: usize,
    /// See [`HostReport::min_interval`]; `null` in JSON below two requests.
    pub min_interval_ms: Option<u128>,
    /// See [`HostReport::calls`].
    pub calls: usize,
}

#[derive(Debug)]
enum Event {
    Start(Seen),
    /// The request is one to a service.
    Call,
    End,
}

#[derive(Debug, Default)]
struct Log {
    events: Vec<(Arc<str>, Event)>,
    /// Counts calls of `forget`, so that the end of a forgotten request is not taken for the end of another.
    chapter: u32,
}

/// The log that all connections write to.
#[derive(Debug)]
pub(super) struct Recorder {
    epoch: Instant,
    log: Arc<Mutex<Log>>,
    arrived: Notify,
}

impl Recorder {
    pub(super) fn start() -> Self {
        Self { epoch: Instant::now(), log: Arc::default(), arrived: Notify::new() }
    }

    pub(super) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    /// Notes a request; it is in flight until the guard is dropped.
    pub(super) fn begin(&self, host: &str, seen: impl FnOnce(Duration) -> Seen) -> InFlight {
        let host: Arc<str> = host.into();
        let mut log = locked(&self.log);
        // The time is taken under the lock, so that the order of the log is the order of the times.
        log.events.push((Arc::clone(&host), Event::Start(seen(self.epoch.elapsed()))));
        self.arrived.notify_waiters();
        InFlight { host, chapter: log.chapter, log: Arc::clone(&self.log) }
    }

    pub(super) fn seen(&self, hosts: &[&str]) -> HostReport {
        let mut report = HostReport::default();
        let mut in_flight = 0_usize;
        for (host, event) in &locked(&self.log).events {
            if !hosts.contains(&&**host) {
                continue;
            }
            match event {
                Event::Start(seen) => {
                    in_flight += 1;
                    report.requests.push(seen.clone());
                }
                Event::Call => report.calls += 1,
                Event::End => in_flight -= 1,
            }
            report.most_in_flight = report.most_in_flight.max(in_flight);
        }
        report.min_interval = report.requests.windows(2).map(|pair| pair[1].at - pair[0].at).min();
        report
    }

    pub(super) async fn wait_for(&self, host: &str, count: usize) {
        loop {
            // Made before the count is looked at, so that no arrival is missed between the two.
            let arrival = self.arrived.notified();
            if self.seen(&[host]).requests.len() >= count {
                return;
            }
            arrival.await;
        }
    }

    pub(super) fn report(&self) -> Report {
        let mut names: Vec<Arc<str>> =
            locked(&self.log).events.iter().map(|(host, _)| Arc::clone(host)).collect();
        names.sort();
        names.dedup();
        let summary = |host: &Arc<str>| {
            let seen = self.seen(&[host]);
            let summary = Summary {
                requests: seen.requests.len(),
                most_in_flight: seen.most_in_flight,
                min_interval_ms: seen.min_interval.map(|interval| interval.as_millis()),
                calls: seen.calls,
            };
            (host.to_string(), summary)
        };
        let hosts: BTreeMap<String, Summary> = names.iter().map(summary).collect();
        let calls = hosts.values().map(|host| host.calls).sum();
        Report { requests: hosts.values().map(|host| host.requests).sum(), calls, hosts }
    }

    pub(super) fn forget(&self) {
        let mut log = locked(&self.log);
        log.events.clear();
        log.chapter += 1;
    }
}

/// Keeps a request in flight.
#[derive(Debug)]
pub(super) struct InFlight {
    host: Arc<str>,
    chapter: u32,
    log: Arc<Mutex<Log>>,
}

impl InFlight {
    /// Notes that a service answers it.
    pub(super) fn is_call(&self) {
        self.note(Event::Call);
    }

    fn note(&self, event: Event) {
        let mut log = locked(&self.log);
        if log.chapter == self.chapter {
            log.events.push((Arc::clone(&self.host), event));
        }
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.note(Event::End);
    }
}

fn locked(log: &Mutex<Log>) -> MutexGuard<'_, Log> {
    log.lock().expect("no thread panicked while it wrote the log")
}
