//! A bench for the real binary: a library in a scratch directory, a simulated web, a configuration that joins them.
//!
//! Everything a suite does goes through the command line, as a user's would. Must never build anything: `cargo xtask
//! test` does, and the error says so. Must never let the caller's environment or home directory reach the binary.

mod running;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Runtime;

pub use running::{Output, Running};
pub use rustix::process::Signal;

use crate::simweb::{SimWeb, World};

/// How long a command may take before it is killed and the test fails.
pub const TIMEOUT: Duration = Duration::from_secs(120);

/// The bundled resolvers that take part in [`Bench::new`]. The list is closed, so that no further resolver changes what a
/// suite counts: suites about others name them, see [`Bench::with_resolvers`].
pub const USUAL: [&str; 7] =
    ["arxiv", "crossref", "direct", "doi", "europe_pmc", "landing_page", "unpaywall"];

/// One library, one web, one configuration. All of its methods panic with a message where a test should stop.
#[derive(Debug)]
pub struct Bench {
    sim: SimWeb,
    runtime: Runtime,
    target: PathBuf,
    dir: TempDir,
    config: toml::Table,
    plugins: Vec<PathBuf>,
    program: PathBuf,
}

impl Bench {
    /// A bench in `world`, with the [`USUAL`] resolvers and no setting but those that lead to the simulated web.
    pub fn new(world: World) -> Self {
        Self::with_resolvers(world, &USUAL)
    }

    /// The same with these bundled resolvers alone, however many there are by now; the others are switched off.
    pub fn with_resolvers(world: World, names: &[&str]) -> Self {
        let mut bench = Self::with_every_resolver(world);
        let bundled = bench.bundled_names();
        for name in names {
            assert!(bundled.contains(*name), "no bundled resolver is called {name:?}: {bundled:?}");
        }
        for name in bundled.iter().filter(|name| !names.contains(&name.as_str())) {
            bench.configure(&format!("[resolvers.{name}]\nenabled = false"));
        }
        bench
    }

    /// The same with every bundled resolver, as a user's. What is counted here must hold whatever resolvers there are.
    pub fn with_every_resolver(world: World) -> Self {
        let target = target_dir();
        let plugins = vec![built(&target, "plugins")];
        let program = built(&target, "debug/gleaner");
        let dir = tempfile::tempdir().expect("a scratch directory");
        let runtime = Runtime::new().expect("a runtime for the simulated web");
        let sim = runtime.block_on(SimWeb::start(world)).expect("the simulated web");
        sim.write_config(dir.path()).expect("the simulated web's configuration");
        let config =
            read(&dir.path().join("gleaner.toml")).parse().expect("the configuration was just written");
        Self { sim, runtime, target, dir, config, plugins, program }
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

    /// Runs this build of `gleaner` in place of the one for debugging.
    pub fn program(&mut self, program: impl Into<PathBuf>) -> &mut Self {
        self.program = program.into();
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

    /// Where the bundled resolvers are built to.
    pub fn bundled(&self) -> PathBuf {
        built(&self.target, "plugins")
    }

    /// The names of the bundled plugins.
    pub fn bundled_names(&self) -> BTreeSet<String> {
        components(&self.bundled())
    }

    /// Runs `gleaner` to its end; kills it and panics after [`TIMEOUT`].
    pub fn run(&self, args: &[&str]) -> Output {
        self.spawn(args).wait(TIMEOUT)
    }

    /// The same, with a text on standard input.
    pub fn run_with_input(&self, args: &[&str], input: &str) -> Output {
        let file = File::open(self.file("stdin", input)).expect("the file was just written");
        self.start(&[], args, file.into()).wait(TIMEOUT)
    }

    /// Starts `gleaner` and returns at once.
    pub fn spawn(&self, args: &[&str]) -> Running {
        self.start(&[], args, Stdio::null())
    }

    /// The same, with the command as the last arguments of another: `&["strace", "-o", "calls"]`, `&["env", "NAME=value"]`.
    pub fn spawn_under(&self, tool: &[&str], args: &[&str]) -> Running {
        self.start(tool, args, Stdio::null())
    }

    /// Waits until a host has seen that many requests; panics after [`TIMEOUT`].
    pub fn wait_for_requests(&self, host: &str, count: usize) {
        if !self.has_seen(host, count, TIMEOUT) {
            panic!("{host} saw {} requests, not {count}", self.sim.seen(host).requests.len());
        }
    }

    /// Waits until a host has seen that many requests, but no longer than `timeout`; tells whether it has.
    pub fn has_seen(&self, host: &str, count: usize, timeout: Duration) -> bool {
        let waiting = async { tokio::time::timeout(timeout, self.sim.wait_for_requests(host, count)).await };
        self.runtime.block_on(waiting).is_ok()
    }

    /// `gleaner` without a single argument, in the bench's environment and scratch directory: for suites that choose
    /// library, configuration and variables themselves. [`Running::of`] starts it.
    pub fn bare(&self) -> Command {
        self.prepared(Command::new(&self.program))
    }

    fn start(&self, tool: &[&str], args: &[&str], stdin: Stdio) -> Running {
        let mut command = match tool {
            [] => self.bare(),
            [program, options @ ..] => {
                let mut command = Command::new(program);
                command.args(options).arg(&self.program);
                self.prepared(command)
            }
        };
        command.arg("--library").arg(self.library()).arg("--config").arg(self.path("gleaner.toml"));
        for dir in &self.plugins {
            command.arg("--plugins").arg(dir);
        }
        command.args(args).stdin(stdin);
        Running::start(command, args)
    }

    fn prepared(&self, mut command: Command) -> Command {
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("GLEANER_") {
                command.env_remove(name);
            }
        }
        command
            .current_dir(self.dir.path())
            .env("NO_COLOR", "1")
            .env("HOME", self.dir.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            // Compiled plugins are worth keeping from test to test; nothing else of a run outlives its bench.
            .env("XDG_CACHE_HOME", self.target.join("test-cache"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
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

/// The names of all bundled resolvers, as far as they have been built.
pub fn bundled_resolvers() -> BTreeSet<String> {
    components(&built(&target_dir(), "plugins"))
}

/// The names of the components in a directory.
fn components(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("cannot list {}: {error}", dir.display()));
    let paths = entries.map(|entry| entry.expect("an entry of a directory").path());
    let components = paths.filter(|path| path.extension().is_some_and(|ending| ending == "wasm"));
    components.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect()
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

    #[test]
    fn tables_of_a_configuration_merge_and_values_are_replaced() {
        let mut config = "a = 1\n[egress]\nx = 1\ny = 1".parse().unwrap();
        merge(&mut config, "[egress]\ny = 2\n[limits]\nz = 3".parse().unwrap());
        assert_eq!(config, "a = 1\n[egress]\nx = 1\ny = 2\n[limits]\nz = 3".parse().unwrap());
    }
}
