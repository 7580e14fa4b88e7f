//! Progress while a run works: a bar on a terminal, a line now and then in a pipe, nothing when quiet.
//!
//! Listens to events only; must never slow the run down or write to standard output.

use std::collections::HashMap;
use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use gleaner_model::job::JobState;
use gleaner_model::key::Key;
use gleaner_telemetry::{Event, Observer};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use tokio::time::Instant;

/// In a pipe, a line of progress every so often.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Shows how a run gets on.
pub(crate) struct Progress {
    bars: MultiProgress,
    bar: ProgressBar,
    state: Mutex<State>,
    mode: Mode,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Terminal,
    Lines,
    Quiet,
}

struct State {
    done: u64,
    skipped: u64,
    error: u64,
    bytes: u64,
    /// Hosts by when their last download ended.
    hosts: HashMap<String, Instant>,
    last_line: Instant,
}

impl Progress {
    /// Progress of a run over `total` jobs; unknown when zero.
    pub(crate) fn new(total: u64, quiet: bool) -> Self {
        let mode = match (quiet, io::stderr().is_terminal()) {
            (true, _) => Mode::Quiet,
            (false, true) => Mode::Terminal,
            (false, false) => Mode::Lines,
        };
        let bars = MultiProgress::new();
        let bar =
            if mode == Mode::Terminal { bars.add(ProgressBar::new(total)) } else { ProgressBar::hidden() };
        bar.set_length(total);
        let style =
            ProgressStyle::with_template("{bar:30} {pos}/{len} works  {per_sec}  eta {eta}\n{wide_msg}");
        if let Ok(style) = style {
            bar.set_style(style);
        }
        let state = State {
            done: 0,
            skipped: 0,
            error: 0,
            bytes: 0,
            hosts: HashMap::new(),
            last_line: Instant::now(),
        };
        Self { bars, bar, state: Mutex::new(state), mode }
    }

    /// Takes the bar away, so that a summary can follow.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
        let _ = self.bars.clear();
    }

    fn say(&self, line: String) {
        let _ = match self.mode {
            Mode::Quiet => Ok(()),
            Mode::Terminal => self.bars.println(line),
            Mode::Lines => writeln!(io::stderr().lock(), "{line}"),
        };
    }

    fn show(&self, state: &mut State) {
        let counts = format!(
            "{} done, {} skipped, {} error, {}",
            state.done,
            state.skipped,
            state.error,
            crate::output::bytes(state.bytes)
        );
        match self.mode {
            Mode::Quiet => {}
            Mode::Terminal => {
                let recent = Duration::from_secs(5);
                state.hosts.retain(|_, at| at.elapsed() < recent);
                let mut hosts: Vec<&str> = state.hosts.keys().map(String::as_str).collect();
                hosts.sort_unstable();
                self.bar.set_message(format!("{counts}  {}", hosts.join(" ")));
            }
            Mode::Lines if state.last_line.elapsed() >= LINE_EVERY => {
                state.last_line = Instant::now();
                // A closed pipe must not end the run.
                let _ = writeln!(io::stderr().lock(), "{counts}");
            }
            Mode::Lines => {}
        }
    }
}

/// A bar over so many bytes; hidden when quiet or not on a terminal.
pub(crate) fn bytes_bar(total: u64, quiet: bool) -> ProgressBar {
    if quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(total);
    let style = ProgressStyle::with_template(
        "{bar:30} {binary_bytes}/{binary_total_bytes}  {binary_bytes_per_sec}  eta {eta}",
    );
    style.map_or(bar.clone(), |style| bar.with_style(style))
}

impl Observer for Progress {
    fn on(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Step(step) => {
                if let (Mode::Terminal, Key::Host(host)) = (self.mode, &step.key) {
                    state.hosts.insert(host.to_string(), Instant::now());
                }
            }
            Event::Job(job) => {
                match job.state {
                    JobState::Done => state.done += 1,
                    JobState::Skipped => state.skipped += 1,
                    _ => {
                        state.error += 1;
                        if self.mode == Mode::Terminal {
                            let line = format!("{}: {} {}", job.artifact, job.reason, job.detail);
                            let _ = self.bars.println(line);
                        }
                    }
                }
                state.bytes += job.bytes;
                self.bar.inc(1);
            }
            Event::Cooldown { key, until } => {
                self.say(format!("{key} asks to slow down; nothing of it runs before {until}"));
            }
            // The log says it, with the cause.
            Event::Suspended(_) => {}
            Event::Resumed(resolver) => self.say(format!("{resolver} is called again")),
        }
        self.show(&mut state);
    }
}
