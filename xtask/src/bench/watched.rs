//! A process watched from outside until it ends: how long it took, its processor time, that of each of its threads,
//! and the most memory it had. All of it comes from `/proc`; the process is not asked, nor slowed down noticeably.
//!
//! The process' own time is read when it has ended and waits to be reaped, so it is whole. A thread's time is what
//! the last look saw of it, and memory what the last look before the end saw: both may lack [`LOOK`] at most.

use anyhow::{Context, Result, bail};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Between two looks.
const LOOK: Duration = Duration::from_millis(5);
/// `/proc` counts time in hundredths of a second on every Linux.
const TICK: Duration = Duration::from_millis(10);

/// What was seen of a process that has ended well.
#[derive(Debug, Default)]
pub(super) struct Watched {
    /// From its start to its end.
    pub(super) seconds: f64,
    /// Processor time of all its threads, user and system.
    pub(super) cpu_seconds: f64,
    /// The most memory that was resident, in MB.
    pub(super) peak_mb: f64,
    /// Processor time by the name of the thread; names are cut to 15 bytes by the system.
    threads: BTreeMap<String, f64>,
}

impl Watched {
    /// Processor time of the threads whose names begin so.
    pub(super) fn cpu_seconds_of(&self, beginning: &str) -> f64 {
        self.threads.iter().filter(|(name, _)| name.starts_with(beginning)).map(|(_, seconds)| seconds).sum()
    }
}

/// Runs a program to its end; any end but success is an error.
pub(super) fn run(command: &mut Command) -> Result<Watched> {
    let started = Instant::now();
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
    let mut child = child.with_context(|| format!("cannot start {command:?}"))?;
    let seen = to_its_end(&mut child, started);
    if seen.is_err() {
        // It may have ended by itself: there is nothing left to end then.
        let _ = child.kill();
    }
    let status = child.wait()?;
    let seen = seen?;
    if !status.success() {
        bail!("{command:?} ended with {status}");
    }
    Ok(seen)
}

/// Looks at a process until it has ended and waits to be reaped.
pub(super) fn to_its_end(child: &mut Child, started: Instant) -> Result<Watched> {
    let process = PathBuf::from(format!("/proc/{}", child.id()));
    let (mut threads, mut peak_kb) = (BTreeMap::new(), 0);
    loop {
        let stat = fs::read_to_string(process.join("stat")).context("cannot look at a process in /proc")?;
        let stat = Stat::parse(&stat).with_context(|| format!("not understood: {stat:?}"))?;
        if matches!(stat.state, 'Z' | 'X') {
            return Ok(Watched {
                seconds: started.elapsed().as_secs_f64(),
                cpu_seconds: seconds(stat.ticks),
                peak_mb: peak_kb as f64 * 1024.0 / 1e6,
                threads: by_name(threads),
            });
        }
        peak_kb = peak_kb.max(peak_of(&process));
        look_at_threads(&process, &mut threads);
        pause(LOOK);
    }
}

/// Waits by the clock, for what tells nothing by itself.
#[expect(clippy::disallowed_methods, reason = "a process that is watched from outside sends no events")]
pub(super) fn pause(span: Duration) {
    std::thread::sleep(span);
}

/// 0 between the last look and the end, when the memory is gone already.
fn peak_of(process: &Path) -> u64 {
    fs::read_to_string(process.join("status")).ok().and_then(|status| peak_kb(&status)).unwrap_or(0)
}

/// A thread that ends between the listing and the reading keeps what was seen of it before.
fn look_at_threads(process: &Path, threads: &mut BTreeMap<String, (String, u64)>) {
    let Ok(tasks) = fs::read_dir(process.join("task")) else { return };
    for task in tasks.flatten() {
        let stat = fs::read_to_string(task.path().join("stat"));
        if let Some(stat) = stat.ok().as_deref().and_then(Stat::parse) {
            let id = task.file_name().to_string_lossy().into_owned();
            threads.insert(id, (stat.name.to_owned(), stat.ticks));
        }
    }
}

fn by_name(threads: BTreeMap<String, (String, u64)>) -> BTreeMap<String, f64> {
    let mut named = BTreeMap::new();
    for (name, ticks) in threads.into_values() {
        *named.entry(name).or_default() += seconds(ticks);
    }
    named
}

fn seconds(ticks: u64) -> f64 {
    ticks as f64 * TICK.as_secs_f64()
}

/// What `/proc/PID/stat` and `/proc/PID/task/TID/stat` say, as far as it is wanted.
#[derive(Debug, PartialEq)]
struct Stat<'a> {
    name: &'a str,
    state: char,
    /// User and system time.
    ticks: u64,
}

impl<'a> Stat<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        // The name stands in parentheses and may hold some itself.
        let (head, fields) = text.rsplit_once(") ")?;
        let (_, name) = head.split_once(" (")?;
        let fields = fields.split(' ').collect::<Vec<_>>();
        let ticks = |field: usize| fields.get(field)?.parse::<u64>().ok();
        Some(Self { name, state: fields.first()?.chars().next()?, ticks: ticks(11)? + ticks(12)? })
    }
}

/// The high-water mark of resident memory in `/proc/PID/status`.
fn peak_kb(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_are_found_behind_any_name() {
        let text =
            "412 (a (b) c) S 9407 9407 6885 0 -1 4194304 98 0 0 0 150 25 0 0 20 0 1 0 64186 3133440 381";
        assert_eq!(Stat::parse(text), Some(Stat { name: "a (b) c", state: 'S', ticks: 175 }));
        assert_eq!(Stat::parse("412 (cut"), None);
        let status = "Name:\tx\nVmPeak:\t  9 kB\nVmHWM:\t  2048 kB\nVmRSS:\t 7 kB\n";
        assert_eq!(peak_kb(status), Some(2048));
        assert_eq!(peak_kb("Name:\tx\n"), None);
    }

    #[test]
    fn threads_of_a_name_are_counted_together() {
        let threads = [("7", "library-writer", 100), ("8", "library-checkpo", 50), ("9", "tokio", 25)];
        let threads = threads.map(|(id, name, ticks)| (id.to_owned(), (name.to_owned(), ticks)));
        let seen = Watched { threads: by_name(threads.into()), ..Watched::default() };
        assert_eq!(seen.cpu_seconds_of("library-"), 1.5);
        assert_eq!(seen.cpu_seconds_of("nothing"), 0.0);
    }

    #[test]
    fn a_process_is_watched_to_its_end() {
        let work = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let seen = run(Command::new("sh").args(["-c", work])).unwrap();
        assert!(seen.seconds > 0.0 && seen.cpu_seconds > 0.0 && seen.peak_mb > 0.1, "{seen:?}");
        assert!(seen.cpu_seconds_of("sh") > 0.0, "{seen:?}");
        let failure = run(Command::new("sh").args(["-c", "exit 3"])).unwrap_err().to_string();
        assert!(failure.contains('3'), "{failure}");
    }
}
