//! How plugins come into service, measured from outside: how long a start with many of them takes, and how soon a changed
//! file is in use. Must never judge.

use super::figure::{Figures, median};
use super::place::Place;
use super::watched::pause;
use anyhow::{Context, Result, bail};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Plugins that a start is measured with.
const PLUGINS: usize = 20;
/// Changes of a file that are measured in one run.
const CHANGES: usize = 10;

/// `plugin.warm_start_20`: milliseconds of the whole process of `gleaner plugin list` that loads 20 plugins: the bundled
/// ones that are enabled, and copies of one of them that are other files to the host. All were compiled before.
pub(super) fn warm_start(place: &Place) -> Result<()> {
    let dir = place.fresh("twenty")?;
    let one = fs::read(place.target.join("plugins/crossref.wasm"))?;
    let configuration = configuration("twenty.toml", &dir)?;
    // Some of the bundled ones are not enabled by default.
    let (enabled, ..) = list(place, &configuration)?;
    for n in enabled..PLUGINS {
        fs::write(dir.join(format!("copy-{n}.wasm")), marked(&one, &format!("copy {n}")))?;
    }
    let mut figures = Figures::default();
    // The first one fills the cache.
    for run in 0..=place.runs {
        let (listed, took, said) = list(place, &configuration)?;
        if listed != PLUGINS {
            bail!("{listed} plugins were listed, and {PLUGINS} are there: {said}");
        }
        if run > 0 {
            figures.add("plugin.warm_start_20", "ms", took);
        }
    }
    figures.print()
}

/// How many plugins are listed, those included that are named as not used because another one has their name; the
/// milliseconds that took, and what was said beside.
fn list(place: &Place, configuration: &Path) -> Result<(usize, f64, String)> {
    let mut command = Command::new(&place.gleaner);
    command.arg("--config").arg(configuration).args(["--format", "json", "plugin", "list"]);
    let started = Instant::now();
    let output = command.stdin(Stdio::null()).output()?;
    let took = started.elapsed().as_secs_f64() * 1000.0;
    let listed = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    Ok((listed, took, String::from_utf8_lossy(&output.stderr).into_owned()))
}

/// `plugin.reload_latency`: milliseconds from the moment at which a plugin never seen before is renamed into the place of
/// another one until a run that goes on says that it is in service. The median of ten changes is a run.
pub(super) fn reload_latency(place: &Place) -> Result<()> {
    let dir = place.fresh("hot")?;
    let noop = fs::read(place.target.join("guests/noop.wasm"))?;
    fs::write(dir.join("noop.wasm"), &noop)?;
    let library = place.empty_library(configuration("hot.toml", &dir)?)?;
    let mut command = Command::new(&library.program);
    command.arg("--library").arg(&library.library).arg("--config").arg(&library.configuration);
    let command =
        command.args(["queue", "run"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut run = Ended(command.spawn()?);
    let mut said = BufReader::new(run.0.stderr.take().context("its messages are piped")?);
    // Made when the plugins are loaded.
    while !library.library.join("library.db").exists() {
        if run.0.try_wait()?.is_some() {
            bail!("the run ended before it began");
        }
        pause(Duration::from_millis(5));
    }
    // Unlike those of any benchmark before, so that none is in the cache.
    let once = std::process::id();
    let mut figures = Figures::default();
    for measured in 0..place.runs {
        let mut times = Vec::with_capacity(CHANGES);
        for n in 0..CHANGES {
            fs::write(dir.join("new"), marked(&noop, &format!("{once} {measured} {n}")))?;
            let started = Instant::now();
            fs::rename(dir.join("new"), dir.join("noop.wasm"))?;
            let mut line = String::new();
            while !line.contains("noop is replaced by") {
                line.clear();
                if said.read_line(&mut line)? == 0 {
                    bail!("the run ended while a plugin was being replaced");
                }
            }
            times.push(started.elapsed().as_secs_f64() * 1000.0);
        }
        figures.add("plugin.reload_latency", "ms", median(&times));
    }
    figures.print()
}

/// A process that ends with the measurement.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Plugins from that directory, besides the bundled ones.
fn configuration(name: &str, dir: &Path) -> Result<PathBuf> {
    let path = dir.with_file_name(name);
    fs::write(&path, format!("contact = \"bench@example.org\"\n[plugins]\ndirs = [{dir:?}]\n"))?;
    Ok(path)
}

/// The component with a custom section of its own: another file that does the same.
fn marked(component: &[u8], mark: &str) -> Vec<u8> {
    let mut bytes = component.to_vec();
    let name = b"mark";
    // Lengths of less than 128 are one byte.
    bytes.extend([0, (1 + name.len() + mark.len()) as u8 & 0x7f, name.len() as u8]);
    bytes.extend(name);
    bytes.extend(mark.as_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::marked;

    #[test]
    fn a_mark_is_a_whole_custom_section() {
        let bytes = marked(b"wasm", "one");
        assert_eq!(bytes, b"wasm\0\x08\x04markone");
    }
}
