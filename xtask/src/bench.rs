//! `cargo xtask bench`: figures of a release build, as JSON lines on standard output, each a median with the
//! runs behind it. It measures whole programs from outside, and never judges: a timed assertion flakes.

use crate::guests::Guests;
use crate::simweb::Simweb;
use crate::stage::{self, Stages};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// What is measured together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// Import, and drains of jobs that do nothing.
    Queue,
    /// Calls of a plugin.
    Plugins,
    /// Downloads.
    Content,
}

/// Lines of an import, and jobs of a drain.
const IMPORTED: usize = 200_000;
const DRAINED: usize = 20_000;
/// Files of a download run, and their size in bytes.
const FILES: usize = 2000;
const FILE_SIZE: &str = "262144";

/// Builds, measures, prints.
pub(crate) fn command(group: Option<Group>, runs: usize) -> Result<String> {
    let mut stages = Stages::default();
    let workspace = Workspace::load()?;
    Guests::build(&workspace, &mut stages)?;
    stages.loud("build the programs for release", || {
        stage::run(workspace.cargo().args(["build", "--release", "--workspace", "--bins", "--locked"]))
    })?;
    let bench = Bench::prepare(&workspace, runs.max(1))?;
    let wanted = |one: Group| group.is_none_or(|group| group == one);
    if wanted(Group::Queue) {
        stages.loud("queue.import", || bench.import())?;
        stages.loud("queue.drain_noop", || bench.drain_noop())?;
    }
    if wanted(Group::Plugins) {
        stages.loud("plugin.call", || bench.plugin_calls(&workspace))?;
    }
    if wanted(Group::Content) {
        stages.loud("content.download_256k", || bench.downloads())?;
    }
    Ok(stages.summary())
}

struct Bench {
    gleaner: PathBuf,
    simweb: PathBuf,
    guests: PathBuf,
    scratch: PathBuf,
    runs: usize,
}

impl Bench {
    fn prepare(workspace: &Workspace, runs: usize) -> Result<Self> {
        let scratch = workspace.target().join("bench");
        match fs::remove_dir_all(&scratch) {
            Err(failure) if failure.kind() != std::io::ErrorKind::NotFound => return Err(failure.into()),
            _ => fs::create_dir_all(&scratch)?,
        }
        Ok(Self {
            gleaner: workspace.release_binary("gleaner"),
            simweb: workspace.release_binary("simweb"),
            guests: workspace.target().join("guests"),
            scratch,
            runs,
        })
    }

    /// Jobs a second of `gleaner queue import`, the whole process.
    fn import(&self) -> Result<()> {
        let list = self.works(IMPORTED)?;
        let configuration = self.noop_configuration()?;
        let list = list.to_string_lossy().into_owned();
        self.figure("queue.import", "jobs/s", |library| {
            let took = self.gleaner(library, &configuration, &["queue", "import", &list])?;
            Ok(IMPORTED as f64 / took)
        })
    }

    /// Jobs a second of `gleaner queue run --drain`, each through a sandboxed plugin call.
    fn drain_noop(&self) -> Result<()> {
        let list = self.works(DRAINED)?.to_string_lossy().into_owned();
        let configuration = self.noop_configuration()?;
        self.figure("queue.drain_noop", "jobs/s", |library| {
            self.gleaner(library, &configuration, &["queue", "import", &list])?;
            let took = self.gleaner(library, &configuration, &["queue", "run", "--drain"])?;
            Ok(DRAINED as f64 / took)
        })
    }

    /// Instantiate and resolve, measured inside a process; the bench target prints its own figures.
    fn plugin_calls(&self, workspace: &Workspace) -> Result<()> {
        let mut cargo = workspace.cargo();
        // The whole workspace, so that features unite as in the build above, and nothing is compiled twice.
        cargo.args(["bench", "--workspace", "--locked", "--bench", "calls"]);
        cargo.env("GLEANER_TARGET_DIR", workspace.target()).env("GLEANER_BENCH_RUNS", self.runs.to_string());
        stage::run(&mut cargo)
    }

    /// Files a second of `gleaner get` over TLS from loopback, 16 at once: fetched, hashed, checked, stored.
    fn downloads(&self) -> Result<()> {
        let web = self.scratch.join("web");
        fs::create_dir_all(&web)?;
        let simweb =
            Simweb::start_with(&self.simweb, &web, &["--corpus", &FILES.to_string(), "--size", FILE_SIZE])?;
        let mut configuration = fs::read_to_string(simweb.configuration())?;
        configuration.push_str(
            "\n[limits]\ndefault-host = { concurrency = 16, rate = \"100000/s\", burst = 100000 }\n",
        );
        let file = self.scratch.join("content.toml");
        fs::write(&file, configuration)?;
        let list = web.join("corpus.txt").to_string_lossy().into_owned();
        self.figure("content.download_256k", "files/s", |library| {
            let took = self.gleaner(library, &file, &["get", "--input", &list])?;
            Ok(FILES as f64 / took)
        })?;
        simweb.stop().map(drop)
    }

    /// Measures so often, each time in a fresh library, and prints the median.
    fn figure(&self, name: &str, unit: &str, mut once: impl FnMut(&Path) -> Result<f64>) -> Result<()> {
        let library = self.scratch.join("library");
        let mut values = Vec::new();
        for _ in 0..self.runs {
            values.push(once(&library)?);
            fs::remove_dir_all(&library).context("cannot remove the library of a run")?;
        }
        let runs = values.iter().map(|value| format!("{value:.1}")).collect::<Vec<_>>().join(",");
        let median = median(&mut values);
        stage::result(format_args!(
            "{{\"bench\":\"{name}\",\"value\":{median:.1},\"unit\":\"{unit}\",\"runs\":[{runs}]}}"
        ))
    }

    /// Seconds that a run of gleaner takes.
    fn gleaner(&self, library: &Path, configuration: &Path, arguments: &[&str]) -> Result<f64> {
        let mut command = Command::new(&self.gleaner);
        command
            .arg("--quiet")
            .arg("--library")
            .arg(library)
            .arg("--config")
            .arg(configuration)
            .args(arguments);
        let started = Instant::now();
        let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
        if !status.success() {
            bail!("{command:?} ended with {status}");
        }
        Ok(started.elapsed().as_secs_f64())
    }

    /// A JSON-lines file of so many works.
    fn works(&self, count: usize) -> Result<PathBuf> {
        let path = self.scratch.join(format!("works-{count}.jsonl"));
        let mut text = String::new();
        for n in 0..count {
            writeln!(text, "{{\"doi\":\"10.1000/bench.{n}\",\"title\":\"Work number {n}\",\"year\":2020}}")?;
        }
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Only the no-op guest is asked, eight calls at once.
    fn noop_configuration(&self) -> Result<PathBuf> {
        let path = self.scratch.join("noop.toml");
        let guests = self.scratch.join("guests");
        fs::create_dir_all(&guests)?;
        fs::copy(self.guests.join("noop.wasm"), guests.join("noop.wasm"))?;
        let mut text = format!("contact = \"bench@example.org\"\n[plugins]\ndirs = [{guests:?}]\n");
        // Every bundled resolver would be asked as well.
        text.push_str("[tiers]\nlist = [{ name = \"noop\", resolvers = [\"noop\"] }]\n");
        for bundled in fs::read_dir(self.guests.with_file_name("plugins"))? {
            let name = bundled?.path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
            writeln!(text, "[resolvers.{}]\nenabled = false", name.unwrap_or_default())?;
        }
        fs::write(&path, text)?;
        Ok(path)
    }
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn the_median_is_the_middle_one() {
        assert_eq!(median(&mut [5.0, 1.0, 9.0]), 5.0);
        assert_eq!(median(&mut [7.0]), 7.0);
    }
}
