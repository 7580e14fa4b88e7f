//! A bench for the real binary: a library in a scratch directory, a simulated web, a configuration that joins them.
//!
//! Everything a suite does goes through the command line, as a user's would. Must never build anything: `cargo xtask
//! test` does, and the error says so. Must never let the caller's environment or home directory reach the binary.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{self, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use rustix::process::{Pid, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

pub use rustix::process::Signal;

use crate::simweb::{SimWeb, World};

/// How long a command may take before it is killed and the test fails.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// One library, one web, one configuration. All of its methods panic with a message where a test should stop.
#[derive(Debug)]
pub struct Bench {
    sim: SimWeb,
    runtime: Runtime,
    target: PathBuf,
    dir: TempDir,
    config: toml::Table,
    plugins: Vec<PathBuf>,
}

impl Bench {
    /// A bench in `world`, with the bundled plugins and no setting but those that lead to the simulated web.
    pub fn new(world: World) -> Self {
        let target = target_dir();
        let plugins = vec![built(&target, "plugins")];
        built(&target, "debug/gleaner");
        let dir = tempfile::tempdir().expect("a scratch directory");
        let runtime = Runtime::new().expect("a runtime for the simulated web");
        let sim = runtime.block_on(SimWeb::start(world)).expect("the simulated web");
        sim.write_config(dir.path()).expect("the simulated web's configuration");
        let config =
            read(&dir.path().join("gleaner.toml")).parse().expect("the configuration was just written");
        Self { sim, runtime, target, dir, config, plugins }
    }

    /// The web, to change it or to ask what it saw.
    pub fn sim(&self) -> &SimWeb {
        &self.sim
    }

    /// The scratch directory, for input files.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The library that every command works on.
    pub fn library(&self) -> PathBuf {
        self.path("library")
    }

    /// Writes a file into the scratch directory and returns its path as an argument.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap_or_else(|error| panic!("cannot write {}: {error}", path.display()));
        path.display().to_string()
    }

    /// Adds settings in TOML. Tables are merged, values replaced.
    pub fn configure(&mut self, toml: &str) -> &mut Self {
        let more = toml.parse().unwrap_or_else(|error| panic!("not TOML: {error}\n{toml}"));
        merge(&mut self.config, more);
        self.file("gleaner.toml", &self.config.to_string());
        self
    }

    /// Loads the components of this directory too.
    pub fn plugins(&mut self, dir: impl Into<PathBuf>) -> &mut Self {
        self.plugins.push(dir.into());
        self
    }

    /// Where the hostile guests are built to.
    pub fn guests(&self) -> PathBuf {
        built(&self.target, "guests")
    }

    /// Runs `gleaner` to its end; kills it and panics after [`TIMEOUT`].
    pub fn run(&self, args: &[&str]) -> Output {
        self.start(args, Stdio::null()).wait(TIMEOUT)
    }

    /// The same, with a text on standard input.
    pub fn run_with_input(&self, args: &[&str], input: &str) -> Output {
        let file = File::open(self.file("stdin", input)).expect("the file was just written");
        self.start(args, file.into()).wait(TIMEOUT)
    }

    /// Starts `gleaner` and returns at once.
    pub fn spawn(&self, args: &[&str]) -> Running {
        self.start(args, Stdio::null())
    }

    /// Waits until a host has seen that many requests; panics after [`TIMEOUT`].
    pub fn wait_for_requests(&self, host: &str, count: usize) {
        let waiting = async { tokio::time::timeout(TIMEOUT, self.sim.wait_for_requests(host, count)).await };
        if self.runtime.block_on(waiting).is_err() {
            panic!("{host} saw {} requests, not {count}", self.sim.seen(host).requests.len());
        }
    }

    fn start(&self, args: &[&str], stdin: Stdio) -> Running {
        let mut command = Command::new(built(&self.target, "debug/gleaner"));
        command.arg("--library").arg(self.library()).arg("--config").arg(self.path("gleaner.toml"));
        for dir in &self.plugins {
            command.arg("--plugins").arg(dir);
        }
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GLEANER_") {
                command.env_remove(name);
            }
        }
        command
            .args(args)
            .current_dir(self.dir.path())
            .env("NO_COLOR", "1")
            .env("HOME", self.dir.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            // Compiled plugins are worth keeping from test to test; nothing else of a run outlives its bench.
            .env("XDG_CACHE_HOME", self.target.join("test-cache"))
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Running::start(command, args)
    }
}

/// A `gleaner` that runs. Killed when dropped before its end.
#[derive(Debug)]
pub struct Running {
    command: String,
    pid: Pid,
    end: Receiver<process::Output>,
    ended: bool,
}

impl Running {
    fn start(mut command: Command, args: &[&str]) -> Self {
        let child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let pid = Pid::from_child(&child);
        let (sender, end) = channel();
        std::thread::spawn(move || {
            if let Ok(output) = child.wait_with_output() {
                // The receiver is gone when the test failed meanwhile.
                let _ = sender.send(output);
            }
        });
        Self { command: format!("gleaner {}", args.join(" ")), pid, end, ended: false }
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap_or_else(|error| panic!("{} is gone: {error}", self.command));
    }

    /// Waits for the end; kills and panics when it does not come in time.
    pub fn wait(mut self, timeout: Duration) -> Output {
        let output = self.end.recv_timeout(timeout);
        let timed_out = matches!(output, Err(RecvTimeoutError::Timeout));
        let output = output.or_else(|_| {
            self.signal(Signal::KILL);
            self.end.recv()
        });
        let output = output.expect("a process that was started can be waited for");
        self.ended = true;
        let output = Output {
            command: self.command.clone(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        if timed_out {
            output.fail(&format!("did not end within {timeout:?}"));
        }
        output
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            // It may have ended by itself: then there is nothing to kill.
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }
}

/// What a command left behind.
#[derive(Debug, Clone)]
pub struct Output {
    command: String,
    /// The exit code; none when a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Itself, when it ended with this code; panics with all that it wrote otherwise.
    pub fn expect_code(self, code: i32) -> Self {
        if self.code != Some(code) {
            self.fail(&format!("ended with {:?}, not {code}", self.code));
        }
        self
    }

    /// Standard output as exactly one JSON document.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| self.fail(&format!("did not print one JSON document: {error}")))
    }

    /// Standard output as JSON lines.
    pub fn json_lines(&self) -> Vec<Value> {
        let parse = |line| {
            serde_json::from_str(line)
                .unwrap_or_else(|error| self.fail(&format!("printed a bad JSON line: {error}")))
        };
        self.stdout.lines().map(parse).collect()
    }

    fn fail(&self, why: &str) -> ! {
        panic!("`{}` {why}\n--- stdout\n{}\n--- stderr\n{}", self.command, self.stdout, self.stderr)
    }
}

/// `$GLEANER_TARGET_DIR`, or the directory that this test was built in: `target/debug/deps/suite-...` is three below it.
fn target_dir() -> PathBuf {
    std::env::var_os("GLEANER_TARGET_DIR").map(PathBuf::from).unwrap_or_else(|| {
        let test = std::env::current_exe().expect("a test knows where it is");
        test.ancestors().nth(3).expect("cargo puts tests into target/debug/deps").to_owned()
    })
}

/// A part of the target directory that has to be there.
fn built(target: &Path, part: &str) -> PathBuf {
    let path = target.join(part);
    assert!(path.exists(), "{} is missing: run `cargo xtask test`, which builds it first", path.display());
    path
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

fn merge(into: &mut toml::Table, more: toml::Table) {
    for (key, value) in more {
        match (into.get_mut(&key), value) {
            (Some(toml::Value::Table(old)), toml::Value::Table(new)) => merge(old, new),
            (_, value) => {
                into.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Running {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::start(command, &[script])
    }

    #[test]
    fn output_and_code_are_kept() {
        let output = shell("echo '{\"done\": 1}'; echo oh >&2; exit 3").wait(TIMEOUT).expect_code(3);
        assert_eq!((&output.json()["done"], &*output.stderr), (&Value::from(1), "oh\n"));
    }

    #[test]
    #[should_panic(expected = "did not end within 50ms")]
    fn a_command_that_hangs_is_killed() {
        shell("exec sleep 600").wait(Duration::from_millis(50));
    }

    #[test]
    fn a_signal_reaches_the_command() {
        let running = shell("exec sleep 600");
        running.signal(Signal::TERM);
        assert_eq!(running.wait(TIMEOUT).code, None);
    }

    #[test]
    fn tables_of_a_configuration_merge_and_values_are_replaced() {
        let mut config = "a = 1\n[egress]\nx = 1\ny = 1".parse().unwrap();
        merge(&mut config, "[egress]\ny = 2\n[limits]\nz = 3".parse().unwrap());
        assert_eq!(config, "a = 1\n[egress]\nx = 1\ny = 2\n[limits]\nz = 3".parse().unwrap());
    }
}
