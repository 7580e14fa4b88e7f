//! `cargo xtask demo`: the main job on a real reading list against the simulated scholarly web, then once more
//! to show that nothing is fetched twice. It judges by what it sees from outside: exit code, files, requests.

use crate::guests::Guests;
use crate::simweb::{Report, Simweb};
use crate::stage::{Stages, say};
use crate::workspace::Workspace;
use anyhow::{Context, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Builds all it needs, harvests into a fresh library twice, and judges.
pub(crate) fn command() -> Result<String> {
    let mut stages = Stages::default();
    let workspace = Workspace::load()?;
    Guests::build(&workspace, &mut stages)?;
    stages.loud("build the programs", || workspace.build_programs())?;

    let demo = Demo::prepare(&workspace)?;
    let first = stages.loud("harvest the reading list", || demo.harvest())?;
    let second = stages.loud("harvest it again", || demo.harvest())?;

    stages.loud("list the files", || demo.list_files())?;
    let files = full_texts(&demo.library)?;
    judge(&files, &first, &second)?;
    say(format_args!("first pass: {} requests, {} files stored", first.requests, files.len()));
    say("second pass: no request was sent, nothing was fetched again");
    Ok(format!("{}\nThe files are in {}", stages.summary(), place(&files, &demo.library).display()))
}

struct Demo {
    gleaner: PathBuf,
    simweb: PathBuf,
    target: PathBuf,
    list: PathBuf,
    library: PathBuf,
    web: PathBuf,
}

impl Demo {
    /// Wipes what an earlier demo left.
    fn prepare(workspace: &Workspace) -> Result<Self> {
        let target = workspace.target().to_owned();
        let (library, web) = (target.join("demo/library"), target.join("demo/web"));
        match fs::remove_dir_all(target.join("demo")) {
            Err(failure) if failure.kind() != std::io::ErrorKind::NotFound => {
                return Err(failure)
                    .with_context(|| format!("cannot wipe {}", target.join("demo").display()));
            }
            _ => fs::create_dir_all(&web)?,
        }
        Ok(Self {
            gleaner: workspace.binary("gleaner"),
            simweb: workspace.binary("simweb"),
            list: workspace.root().join("examples/reading-list.txt"),
            target,
            library,
            web,
        })
    }

    /// Prints every file with its size and hash.
    fn list_files(&self) -> Result<()> {
        let mut list = Command::new(&self.gleaner);
        list.arg("--library").arg(&self.library).args(["library", "list"]);
        let status = list.stdin(Stdio::null()).status().with_context(|| format!("cannot start {list:?}"))?;
        if !status.success() {
            bail!("{list:?} ended with {status}; its output is above");
        }
        Ok(())
    }

    /// One pass over the list, against a simulated web of its own, whose report it returns.
    fn harvest(&self) -> Result<Report> {
        let simweb = Simweb::start(&self.simweb, &self.web)?;
        let mut gleaner = Command::new(&self.gleaner);
        gleaner.arg("--library").arg(&self.library).arg("--config").arg(simweb.configuration());
        gleaner.args(["get", "--input"]).arg(&self.list).env("GLEANER_TARGET_DIR", &self.target);
        let status =
            gleaner.stdin(Stdio::null()).status().with_context(|| format!("cannot start {gleaner:?}"))?;
        // 1 is expected: three lines of the list are broken on purpose, and gleaner says so.
        if !matches!(status.code(), Some(0 | 1)) {
            bail!("{gleaner:?} ended with {status}; its output is above");
        }
        simweb.stop()
    }
}

fn judge(files: &[PathBuf], first: &Report, second: &Report) -> Result<()> {
    if files.is_empty() {
        bail!("no file was stored, after {} requests", first.requests);
    }
    if second.requests > 0 {
        bail!("the second pass sent {} requests; a finished job must not be fetched again", second.requests);
    }
    Ok(())
}

/// Every readable PDF in the library.
fn full_texts(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(full_texts(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "pdf") {
            found.push(path);
        }
    }
    Ok(found)
}

/// The folder in which a person looks for the files: the deepest one that holds them all.
fn place<'a>(files: &'a [PathBuf], library: &'a Path) -> &'a Path {
    let holds_all = |folder: &&Path| files.iter().all(|file| file.starts_with(folder));
    files.first().and_then(|file| file.ancestors().skip(1).find(holds_all)).unwrap_or(library)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simweb::tests::stand_in;

    #[test]
    fn a_pass_that_stores_nothing_or_fetches_again_is_refused() {
        let (files, none, some) =
            ([PathBuf::from("a.pdf")], Report::default(), Report { requests: 3, ..Report::default() });
        assert!(judge(&files, &some, &none).is_ok());
        assert!(judge(&[], &some, &none).unwrap_err().to_string().contains("no file"));
        assert!(judge(&files, &some, &some).unwrap_err().to_string().contains("second pass"));
    }

    #[test]
    fn broken_lines_are_expected_but_no_other_failure() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path();
        let simweb = stand_in(folder, "simweb", "echo ready; cat >/dev/null; echo '{\"requests\":2}'");
        for (code, accepted) in [(0, true), (1, true), (3, false), (101, false)] {
            let gleaner = stand_in(folder, "gleaner", &format!("exit {code}"));
            let demo = Demo {
                gleaner,
                simweb: simweb.clone(),
                target: folder.into(),
                list: folder.join("list"),
                library: folder.join("library"),
                web: folder.into(),
            };
            assert_eq!(demo.harvest().is_ok(), accepted, "exit code {code}");
        }
    }

    #[test]
    fn the_folder_named_holds_every_file() {
        let scratch = tempfile::tempdir().unwrap();
        let (library, nested) = (scratch.path(), scratch.path().join("files/b"));
        fs::create_dir_all(&nested).unwrap();
        fs::write(library.join("files/one.pdf"), b"").unwrap();
        fs::write(nested.join("two.pdf"), b"").unwrap();
        fs::write(library.join("library.db"), b"").unwrap();
        let files = full_texts(library).unwrap();
        assert_eq!(files.len(), 2);
        assert_eq!(place(&files, library), library.join("files"));
        assert_eq!(place(&[], library), library);
    }
}
