//! The finished `gleaner` binary, run on a library: to its end, watched, or beside what asks how far it has come.
//! It never looks into a library itself: what a run has done is what `gleaner queue stats` says.

use super::watched::{self, Watched, pause};
use crate::stage;
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Nothing that is measured takes so long.
const GIVE_UP: Duration = Duration::from_secs(3600);

/// The program on one library.
#[derive(Debug, Clone)]
pub(super) struct Gleaner {
    pub(super) program: PathBuf,
    pub(super) library: PathBuf,
    pub(super) configuration: PathBuf,
}

/// What `queue stats` says, as far as it is wanted.
#[derive(Debug, Deserialize)]
pub(super) struct Stats {
    pub(super) done: u64,
    pub(super) skipped: u64,
    pub(super) error: u64,
}

impl Stats {
    /// Jobs that have ended, however.
    pub(super) fn ended(&self) -> u64 {
        self.done + self.skipped + self.error
    }
}

impl Gleaner {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.arg("--quiet").arg("--library").arg(&self.library);
        command.arg("--config").arg(&self.configuration).args(arguments);
        command
    }

    /// Runs a command to its end; returns the seconds it took as a whole process.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<f64> {
        let mut command = self.command(arguments);
        let started = Instant::now();
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
        let took = started.elapsed().as_secs_f64();
        if !status.success() {
            bail!("{command:?} ended with {status}");
        }
        Ok(took)
    }

    /// As [`Gleaner::run`], with a look at what it takes.
    pub(super) fn watch(&self, arguments: &[&str]) -> Result<Watched> {
        watched::run(&mut self.command(arguments))
    }

    /// The same with a variable set.
    pub(super) fn watch_with(&self, variable: &str, value: &str, arguments: &[&str]) -> Result<Watched> {
        watched::run(self.command(arguments).env(variable, value))
    }

    /// Starts a command that runs until it is ended, or this value is dropped.
    pub(super) fn start(&self, arguments: &[&str]) -> Result<Running> {
        let mut command = self.command(arguments);
        let started = Instant::now();
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        Ok(Running { child: child.with_context(|| format!("cannot start {command:?}"))?, started })
    }

    /// How jobs stand.
    pub(super) fn stats(&self) -> Result<Stats> {
        let text = stage::capture(&mut self.command(&["--format", "json", "queue", "stats"]))?;
        serde_json::from_str(&text).with_context(|| format!("`queue stats` answered {text:?}"))
    }

    /// The seconds from the start of `running` until `count` has reached `wanted`. It asks rarely: each time it waits
    /// for half of what seems to be left, but no longer than a quarter of the time so far, and at last for `finest`.
    /// The answer is late by that much at most, and by the time of one question.
    pub(super) fn time_until(
        &self,
        running: &mut Running,
        count: impl Fn(&Stats) -> u64,
        wanted: u64,
        finest: Duration,
    ) -> Result<f64> {
        loop {
            let asked = running.started.elapsed();
            let has_ended = running.child.try_wait()?;
            let counted = count(&self.stats()?);
            if counted >= wanted {
                return Ok(asked.as_secs_f64());
            }
            if let Some(status) = has_ended {
                bail!("gleaner ended with {status} when {counted} of {wanted} jobs had");
            }
            if asked > GIVE_UP {
                bail!("after {} s only {counted} of {wanted} jobs have ended", asked.as_secs());
            }
            pause(half_of_the_rest(asked, counted, wanted).max(finest));
        }
    }
}

/// Half of the time that the rest seems to take. At first little is known of that: a process starts, and nothing has
/// ended, or one job has.
fn half_of_the_rest(elapsed: Duration, counted: u64, wanted: u64) -> Duration {
    if counted == 0 {
        return Duration::ZERO;
    }
    let rest = wanted.saturating_sub(counted) as f64 / counted as f64;
    elapsed.mul_f64((rest / 2.0).min(0.25))
}

/// A run that goes on. It is killed when this value is dropped.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    started: Instant,
}

impl Running {
    /// SIGTERM, on which it ends by itself; returns what it took from its start to its end.
    pub(super) fn end(mut self) -> Result<Watched> {
        stage::run(Command::new("kill").arg(self.child.id().to_string()))?;
        let seen = watched::to_its_end(&mut self.child, self.started)?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("gleaner ended with {status}");
        }
        Ok(seen)
    }

    /// SIGKILL; returns when it is gone.
    pub(super) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // After `kill`, or when it ended by itself, nothing is left to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Seconds that a program takes as a whole, its output thrown away.
pub(super) fn seconds_of(program: &Path, arguments: &[&str]) -> Result<f64> {
    let started = Instant::now();
    stage::capture(Command::new(program).args(arguments))?;
    Ok(started.elapsed().as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simweb::tests::stand_in;

    #[test]
    fn it_asks_rarely_while_much_is_left() {
        let second = Duration::from_secs(1);
        assert_eq!(half_of_the_rest(second, 0, 100), Duration::ZERO);
        assert_eq!(half_of_the_rest(second, 80, 100), Duration::from_millis(125));
        assert_eq!(half_of_the_rest(second, 1, 1_000_000), Duration::from_millis(250));
        assert_eq!(half_of_the_rest(second, 101, 100), Duration::ZERO);
    }

    #[test]
    fn a_run_that_is_told_to_end_ends_and_what_it_took_is_known() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path();
        let script = "trap 'exit 0' TERM; echo > $0.ready; while :; do sleep 0.01; done";
        let program = stand_in(folder, "gleaner", script);
        let gleaner = Gleaner { program, library: folder.into(), configuration: folder.into() };
        let run = gleaner.start(&["run"]).unwrap();
        while !folder.join("gleaner.ready").exists() {
            pause(Duration::from_millis(1));
        }
        assert!(run.end().unwrap().seconds > 0.0);
    }

    #[test]
    fn a_run_is_asked_how_far_it_has_come() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path();
        let script = "case \"$*\" in *stats*) echo x >> $0.asked; n=$(wc -l < $0.asked); \
                      echo \"{\\\"done\\\":$n,\\\"skipped\\\":1,\\\"error\\\":0}\";; *never*) exit 7;; *) exec sleep 60;; esac";
        let program = stand_in(folder, "gleaner", script);
        let gleaner = Gleaner { program, library: folder.into(), configuration: folder.into() };
        assert_eq!(gleaner.stats().unwrap().ended(), 2);
        let finest = Duration::from_millis(1);
        let mut run = gleaner.start(&["run"]).unwrap();
        let took = gleaner.time_until(&mut run, Stats::ended, 4, finest).unwrap();
        assert!(took > 0.0 && run.child.try_wait().unwrap().is_none());
        run.kill().unwrap();
        let mut ended = gleaner.start(&["never"]).unwrap();
        while ended.child.try_wait().unwrap().is_none() {
            pause(finest);
        }
        let failure = gleaner.time_until(&mut ended, Stats::ended, 1000, finest).unwrap_err().to_string();
        assert!(failure.contains("1000 jobs"), "{failure}");
    }
}
