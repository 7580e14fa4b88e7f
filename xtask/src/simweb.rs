//! The simulated scholarly web as a child process. It ends with this value, however the caller ends.

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

/// A running simulated web.
pub(crate) struct Simweb {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
    directory: PathBuf,
}

/// What the simulated web saw. It says more; xtask reads this.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Report {
    /// Requests of any kind to any host.
    pub(crate) requests: u64,
    /// How often a limit was broken that it was told of with `--promise`.
    pub(crate) violations: Option<u64>,
}

impl Simweb {
    /// Starts it and waits until it serves. Its CA and its configuration for gleaner are in the directory then.
    pub(crate) fn start(program: &Path, directory: &Path) -> Result<Self> {
        Self::start_with(program, directory, &[])
    }

    /// As [`Simweb::start`], with further arguments.
    pub(crate) fn start_with(program: &Path, directory: &Path, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(program);
        command.arg("--dir").arg(directory).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let output = child.stdout.take().context("a piped program has a standard output")?;
        let output = BufReader::new(output).lines();
        let mut simweb = Self { child, output, directory: directory.to_owned() };
        while simweb.output.next().context("the simulated web ended before it was ready")?? != "ready" {}
        Ok(simweb)
    }

    /// The configuration that leads gleaner here.
    pub(crate) fn configuration(&self) -> PathBuf {
        self.directory.join("gleaner.toml")
    }

    /// Ends it and returns what it saw.
    pub(crate) fn stop(mut self) -> Result<Report> {
        drop(self.child.stdin.take()); // the sign to end
        let lines = self.output.by_ref().collect::<Result<Vec<_>, _>>()?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the simulated web ended with {status}");
        }
        last_report(&lines).context("the simulated web ended without a report")
    }
}

impl Drop for Simweb {
    fn drop(&mut self) {
        // After `stop` there is nothing left to end; both calls then say so, and that is well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn last_report(lines: &[String]) -> Option<Report> {
    lines.iter().rev().find_map(|line| serde_json::from_str(line).ok())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A shell script that stands in for a program. Another process writes it: a file that this one has open
    /// for writing could reach a program that another test starts, and would not be executable meanwhile.
    pub(crate) fn stand_in(folder: &Path, name: &str, script: &str) -> PathBuf {
        let path = folder.join(name);
        let write = r#"printf '#!/bin/sh\n%s\n' "$1" > "$0" && chmod +x "$0""#;
        crate::stage::capture(Command::new("sh").arg("-c").arg(write).arg(&path).arg(script)).unwrap();
        path
    }

    #[test]
    fn it_is_ready_before_use_and_reports_at_its_end() {
        let scratch = tempfile::tempdir().unwrap();
        let script = "touch \"$2/gleaner.toml\"; echo ready; cat >/dev/null; echo '{\"requests\":7,\"hosts\":{},\"violations\":2}'; echo bye";
        let simweb = Simweb::start(&stand_in(scratch.path(), "simweb", script), scratch.path()).unwrap();
        assert!(simweb.configuration().is_file());
        let report = simweb.stop().unwrap();
        assert_eq!((report.requests, report.violations), (7, Some(2)));
    }

    #[test]
    fn one_that_fails_or_says_nothing_is_an_error() {
        let scratch = tempfile::tempdir().unwrap();
        let start = |script| Simweb::start(&stand_in(scratch.path(), "simweb", script), scratch.path());
        assert!(start("exit 0").is_err());
        assert!(start("echo ready; cat >/dev/null").unwrap().stop().is_err());
        assert!(
            start("echo ready; cat >/dev/null; echo '{\"requests\":1}'; exit 1").unwrap().stop().is_err()
        );
    }
}
