//! What is measured with: the built programs, lists of works, configurations, and libraries that are filled once and
//! copied for each run. Everything lies in one directory, which is emptied before and after.

use super::gleaner::Gleaner;
use crate::stage;
use crate::workspace::Workspace;
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs and the directory.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) gleaner: PathBuf,
    pub(super) simweb: PathBuf,
    pub(super) corpus: PathBuf,
    pub(super) root: PathBuf,
    pub(super) target: PathBuf,
    benches: BTreeMap<String, PathBuf>,
    scratch: PathBuf,
    /// How often each figure is measured.
    pub(super) runs: usize,
    /// Jobs of the largest library.
    pub(super) jobs: usize,
}

/// A library that is filled once: so many jobs that may run, behind so many that are held back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Filled {
    name: &'static str,
    pub(super) held: usize,
    pub(super) free: usize,
}

impl Place {
    /// Empties the directory.
    pub(super) fn prepare(
        workspace: &Workspace,
        benches: BTreeMap<String, PathBuf>,
        runs: usize,
        jobs: usize,
    ) -> Result<Self> {
        let place = Self {
            gleaner: workspace.release_binary("gleaner"),
            simweb: workspace.release_binary("simweb"),
            corpus: workspace.release_binary("corpus"),
            root: workspace.root().to_owned(),
            target: workspace.target().to_owned(),
            benches,
            scratch: workspace.target().join("bench"),
            runs,
            jobs,
        };
        place.clear()?;
        fs::create_dir_all(&place.scratch)?;
        Ok(place)
    }

    /// Removes everything: a million jobs are some hundred megabytes, several times.
    pub(super) fn clear(&self) -> Result<()> {
        remove(&self.scratch)
    }

    /// The largest library: every job may run.
    pub(super) fn large(&self) -> Filled {
        Filled { name: "large", held: 0, free: self.jobs }
    }

    /// A tenth of it: what a drain is measured with.
    pub(super) fn medium(&self) -> Filled {
        Filled { name: "medium", held: 0, free: self.jobs / 10 }
    }

    /// A hundredth of it, but enough for some claims.
    pub(super) fn small(&self) -> Filled {
        Filled { name: "small", held: 0, free: (self.jobs / 100).max(2000) }
    }

    /// The largest, but 95 in 100 jobs are held back.
    pub(super) fn skewed(&self) -> Filled {
        let free = self.jobs / 20;
        Filled { name: "skewed", held: self.jobs - free, free }
    }

    /// Those of the skewed library that may run, alone.
    pub(super) fn alone(&self) -> Filled {
        Filled { name: "alone", held: 0, ..self.skewed() }
    }

    /// An empty directory of that name.
    pub(super) fn fresh(&self, name: &str) -> Result<PathBuf> {
        let path = self.scratch.join(name);
        self.put_away(&path)?;
        fs::create_dir_all(&path)?;
        Ok(path)
    }

    /// Puts a directory out of the way, its files emptied. They are not removed before the end: ext4 looks past every inode
    /// that was given back within the last minutes whenever a file is made, and that would be measured too.
    pub(super) fn put_away(&self, directory: &Path) -> Result<()> {
        if !directory.exists() {
            return Ok(());
        }
        let away = self.scratch.join("away");
        fs::create_dir_all(&away)?;
        let place = away.join(fs::read_dir(&away)?.count().to_string());
        fs::rename(directory, &place).with_context(|| format!("cannot move {}", directory.display()))?;
        empty(&place)?;
        // Else who syncs next pays for it.
        let status = Command::new("sync").arg("-f").arg(&place).status().context("cannot run sync")?;
        ensure!(status.success(), "sync -f {} ended with {status}", place.display());
        Ok(())
    }

    /// Gleaner on a library that is not there yet.
    pub(super) fn empty_library(&self, configuration: PathBuf) -> Result<Gleaner> {
        let library = self.scratch.join("library");
        self.put_away(&library)?;
        Ok(Gleaner { program: self.gleaner.clone(), library, configuration })
    }

    /// Gleaner on a copy of a filled library, as it was filled.
    pub(super) fn copy_of(&self, filled: Filled) -> Result<Gleaner> {
        let from = self.filled(filled)?;
        let copy = self.empty_library(from.configuration.clone())?;
        fs::create_dir_all(&copy.library)?;
        for entry in fs::read_dir(&from.library)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                let to = copy.library.join(entry.file_name());
                fs::copy(entry.path(), &to)?;
                // Else the system writes the copy out while something is measured.
                File::open(&to)?.sync_all()?;
            }
        }
        Ok(copy)
    }

    /// Gleaner on the filled library itself, for what only reads. It is filled at the first call.
    pub(super) fn filled(&self, filled: Filled) -> Result<Gleaner> {
        let library = self.scratch.join(format!("filled-{}", filled.name));
        let is_there = library.exists();
        let gleaner = Gleaner { program: self.gleaner.clone(), library, configuration: self.noop()? };
        if !is_there {
            if filled.held > 0 {
                let list = self.held_works(filled)?;
                // No other resolver takes them on, however long they wait.
                gleaner.run(&[
                    "queue",
                    "enqueue",
                    "--resolver",
                    "hostile",
                    "--input",
                    &list.to_string_lossy(),
                ])?;
            }
            let list = self.works(filled)?;
            gleaner.run(&["queue", "import", &list.to_string_lossy()])?;
        }
        Ok(gleaner)
    }

    /// Makes a library that a measurement has filled the filled one.
    pub(super) fn keep(&self, gleaner: &Gleaner, filled: Filled) -> Result<()> {
        let kept = self.scratch.join(format!("filled-{}", filled.name));
        remove(&kept)?;
        fs::rename(&gleaner.library, kept).context("cannot keep a library for the next measurement")
    }

    /// A JSON-lines file with the works of a filled library that may run.
    pub(super) fn works(&self, filled: Filled) -> Result<PathBuf> {
        self.list(&format!("works-{}.jsonl", filled.name), FREE, filled.free)
    }

    /// The same of those that are held back.
    fn held_works(&self, filled: Filled) -> Result<PathBuf> {
        self.list(&format!("held-{}.jsonl", filled.name), HELD, filled.held)
    }

    fn list(&self, name: &str, prefix: &str, count: usize) -> Result<PathBuf> {
        let path = self.scratch.join(name);
        let mut file = BufWriter::new(File::create(&path)?);
        for n in 0..count {
            let doi = format!("{prefix}/bench.{n}");
            writeln!(file, "{{\"doi\":\"{doi}\",\"title\":\"Work number {n}\",\"year\":2020}}")?;
        }
        file.flush()?;
        Ok(path)
    }

    /// Two guests that do nothing, and no other resolver. `noop` takes every DOI. `hostile` takes those of a prefix,
    /// but needs a host whose limit lets nothing through for an hour: jobs that wait for it are held back.
    pub(super) fn noop(&self) -> Result<PathBuf> {
        let path = self.scratch.join("noop.toml");
        let guests = self.scratch.join("guests");
        if path.exists() {
            return Ok(path);
        }
        fs::create_dir_all(&guests)?;
        for guest in ["noop.wasm", "hostile.wasm"] {
            fs::copy(self.target.join("guests").join(guest), guests.join(guest))?;
        }
        let mut text = format!(
            "contact = \"bench@example.org\"\n\
             [plugins]\ndirs = [{guests:?}]\n\
             [tiers]\nlist = [{{ name = \"noop\", resolvers = [\"hostile\", \"noop\"] }}]\n\
             [limits.hosts]\n\"files.example.org\" = {{ concurrency = 1, rate = \"1/1h\", burst = 1 }}\n\
             [resolvers.hostile]\ngrants = {{ hosts = [\"files.example.org\"] }}\n"
        );
        // Every bundled resolver would be asked as well.
        for bundled in fs::read_dir(self.target.join("plugins"))? {
            let name = bundled?.path().file_stem().map(|stem| stem.to_string_lossy().into_owned());
            writeln!(text, "[resolvers.{}]\nenabled = false", name.unwrap_or_default())?;
        }
        fs::write(&path, text)?;
        Ok(path)
    }

    /// The same two guests, of which `hostile` needs no host and may reach none: it does what its works say.
    pub(super) fn beside(&self, more: &str) -> Result<PathBuf> {
        let noop = fs::read_to_string(self.noop()?)?;
        let needs = "[resolvers.hostile]\ngrants = { hosts = [\"files.example.org\"] }\n";
        let path = self.scratch.join(format!("beside-{}.toml", more.len()));
        fs::write(&path, noop.replace(needs, "") + more)?;
        Ok(path)
    }

    /// One run of a measurement that has to know a host crate, made by a benchmark of that crate.
    pub(super) fn bench(&self, name: &str) -> Result<Command> {
        let program = self.benches.get(name).with_context(|| format!("no benchmark {name} was built"))?;
        let mut command = Command::new(program);
        command.env("GLEANER_TARGET_DIR", &self.target);
        Ok(command)
    }

    /// What the store's benchmark answers: an object of numbers.
    pub(super) fn store(&self, arguments: &[&str]) -> Result<BTreeMap<String, f64>> {
        let text = stage::capture(self.bench("queue")?.args(arguments))?;
        serde_json::from_str(&text).with_context(|| format!("the store's benchmark answered {text:?}"))
    }
}

/// DOI prefixes: the one that `hostile` takes, and one that only `noop` does.
const HELD: &str = "10.5555";
const FREE: &str = "10.1000";

/// A member of what [`Place::store`] returned.
pub(super) fn number(answer: &BTreeMap<String, f64>, name: &str) -> Result<f64> {
    answer.get(name).copied().with_context(|| format!("the store's benchmark did not say {name}"))
}

/// Files become empty, directories stay.
fn empty(directory: &Path) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            empty(&entry.path())?;
        } else if let Ok(file) = fs::File::options().write(true).open(entry.path()) {
            // One that may not be written to keeps its place on the disk until the end.
            file.set_len(0)?;
        }
    }
    Ok(())
}

fn remove(directory: &Path) -> Result<()> {
    match fs::remove_dir_all(directory) {
        Err(failure) if failure.kind() != ErrorKind::NotFound => {
            Err(failure).with_context(|| format!("cannot remove {}", directory.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simweb::tests::stand_in;

    fn place(scratch: &Path, gleaner: PathBuf) -> Place {
        let target = scratch.join("target");
        for folder in ["guests", "plugins", "bench"] {
            fs::create_dir_all(target.join(folder)).unwrap();
        }
        fs::write(target.join("guests/noop.wasm"), "noop").unwrap();
        fs::write(target.join("guests/hostile.wasm"), "hostile").unwrap();
        fs::write(target.join("plugins/other.wasm"), "other").unwrap();
        Place {
            gleaner,
            simweb: PathBuf::new(),
            corpus: PathBuf::new(),
            root: scratch.to_owned(),
            scratch: target.join("bench"),
            target,
            benches: BTreeMap::new(),
            runs: 1,
            jobs: 20_000,
        }
    }

    #[test]
    fn a_library_is_filled_once_and_copied_for_each_run() {
        let scratch = tempfile::tempdir().unwrap();
        // --quiet --library DIR --config FILE queue import LIST
        let script = "mkdir -p \"$3/files\"; for list; do :; done; wc -l < \"$list\" >> \"$3/library.db\"";
        let place = place(scratch.path(), stand_in(scratch.path(), "gleaner", script));
        for _ in 0..2 {
            let copy = place.copy_of(place.skewed()).unwrap();
            assert_eq!(fs::read_to_string(copy.library.join("library.db")).unwrap(), "19000\n1000\n");
            fs::write(copy.library.join("library.db"), "changed by a run").unwrap();
        }
        place.clear().unwrap();
        assert!(!place.scratch.exists());
    }

    #[test]
    fn the_parts_of_a_skewed_library_are_95_and_5_in_100() {
        let scratch = tempfile::tempdir().unwrap();
        let place = place(scratch.path(), PathBuf::new());
        let (skewed, alone) = (place.skewed(), place.alone());
        assert_eq!((skewed.held, skewed.free, alone.held, alone.free), (19_000, 1000, 0, 1000));
        let works = fs::read_to_string(place.works(skewed).unwrap()).unwrap();
        assert_eq!(works, fs::read_to_string(place.works(alone).unwrap()).unwrap());
        assert!(works.lines().last().unwrap().contains("10.1000/bench.999\""));
        let held = fs::read_to_string(place.held_works(skewed).unwrap()).unwrap();
        assert_eq!(held.lines().filter(|line| line.contains("10.5555/")).count(), 19_000);
    }

    #[test]
    fn the_configuration_can_be_read_and_shuts_bundled_resolvers_out() {
        let scratch = tempfile::tempdir().unwrap();
        let place = place(scratch.path(), PathBuf::new());
        let text = fs::read_to_string(place.noop().unwrap()).unwrap();
        let table = text.parse::<toml::Table>().unwrap();
        assert_eq!(table["resolvers"]["other"]["enabled"].as_bool(), Some(false));
        assert!(place.scratch.join("guests/hostile.wasm").is_file());
        let beside = place.beside("[plugins.suspend]\nafter = 7\n").unwrap();
        let table = fs::read_to_string(beside).unwrap().parse::<toml::Table>().unwrap();
        assert!(table["resolvers"].get("hostile").is_none());
        assert_eq!(table["plugins"]["suspend"]["after"].as_integer(), Some(7));
    }

    #[test]
    fn what_is_put_away_takes_no_space_and_is_still_there() {
        let scratch = tempfile::tempdir().unwrap();
        let place = place(scratch.path(), PathBuf::new());
        for _ in 0..2 {
            let out = place.fresh("out").unwrap();
            fs::create_dir(out.join("inner")).unwrap();
            fs::write(out.join("inner/file"), "bytes").unwrap();
        }
        let out = place.fresh("out").unwrap();
        assert_eq!(fs::read_dir(out).unwrap().count(), 0);
        for n in ["0", "1"] {
            let file = place.scratch.join("away").join(n).join("inner/file");
            assert_eq!(fs::metadata(file).unwrap().len(), 0);
        }
    }
}
