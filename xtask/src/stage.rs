//! Stages of a command: what runs is announced, timed, and summed up in one verdict at the end. The only file
//! of xtask that prints.

use anyhow::{Context, Result, bail};
use std::fmt::Display;
use std::io::Write;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// What a command did so far: each finished stage with its time.
#[derive(Default)]
pub(crate) struct Stages(Vec<(String, Duration)>);

impl Stages {
    /// A stage whose programs print for themselves.
    pub(crate) fn loud<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        say(name);
        let (value, took) = self.timed(name, work)?;
        say(format_args!("{name}: {:.1} s", took.as_secs_f64()));
        Ok(value)
    }

    /// A stage that prints nothing: one line says what happens, then how long it took.
    pub(crate) fn quiet<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        print(format_args!("xtask: {name} ... "));
        let outcome = self.timed(name, work);
        match &outcome {
            Ok((_, took)) => print(format_args!("{:.1} s\n", took.as_secs_f64())),
            Err(_) => print("failed\n"),
        }
        outcome.map(|(value, _)| value)
    }

    fn timed<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
        let start = Instant::now();
        let value = work().with_context(|| format!("stage `{name}` failed"))?;
        let took = start.elapsed();
        self.0.push((name.to_owned(), took));
        Ok((value, took))
    }

    /// The stages with their times and the sum, as lines of a table.
    pub(crate) fn summary(&self) -> String {
        let total = self.0.iter().map(|(_, took)| *took).sum();
        let rows = self.0.iter().map(|(name, took)| (name.as_str(), *took)).chain([("total", total)]);
        rows.map(|(name, took)| format!("  {:>7.1} s  {name}", took.as_secs_f64()))
            .collect::<Vec<_>>()
            .join("\n")
    }
}

/// One line for the person who started the command.
pub(crate) fn say(line: impl Display) {
    print(format_args!("xtask: {line}\n"));
}

/// To standard error, like cargo: standard output belongs to results. Whoever closed it does not want to read on;
/// the work goes on.
fn print(text: impl Display) {
    let _ = write!(std::io::stderr().lock(), "{text}");
}

/// One line of result on standard output.
pub(crate) fn result(line: impl Display) -> Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{line}")?)
}

/// Ends a command: `Ok` holds what was achieved, an error every cause. The last line says PASSED or FAILED.
pub(crate) fn verdict(command: &str, outcome: Result<String>) -> ExitCode {
    match outcome {
        Ok(achieved) => {
            print(format_args!("{achieved}\nxtask {command}: PASSED\n"));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            let causes = failure.chain().map(ToString::to_string).collect::<Vec<_>>().join("\n  because ");
            print(format_args!("{causes}\nxtask {command}: FAILED\n"));
            ExitCode::FAILURE
        }
    }
}

/// Runs a program on the terminal; any end but success is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} ended with {status}; its output is above");
    }
    Ok(())
}

/// Runs a program silently and returns its standard output; the error of a failed one has all it wrote.
pub(crate) fn capture(command: &mut Command) -> Result<String> {
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot start {command:?}"))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} ended with {}\n{}\n{}", output.status, stdout.trim_end(), stderr.trim_end());
    }
    Ok(stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_program_is_an_error_that_has_its_output() {
        let failure = capture(Command::new("sh").args(["-c", "echo lost; exit 3"])).unwrap_err().to_string();
        assert!(failure.contains("lost") && failure.contains('3'), "{failure}");
        assert_eq!(capture(Command::new("sh").args(["-c", "echo kept"])).unwrap(), "kept\n");
    }

    #[test]
    fn a_failed_stage_is_named_and_not_summed_up() {
        let mut stages = Stages::default();
        stages.quiet("first", || Ok(())).unwrap();
        let failure = stages.quiet("second", || -> Result<()> { bail!("no disk") }).unwrap_err();
        assert_eq!(format!("{failure:#}"), "stage `second` failed: no disk");
        assert!(stages.summary().contains("first") && !stages.summary().contains("second"));
    }
}
