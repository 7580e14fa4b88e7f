//! Keeps the plugins of directories loaded while their files come, change and go.
//!
//! A file is read again when what the system says of it has changed, and loaded again when its digest has. Must never
//! give up a plugin that works for a file that does not, nor load a file that is still being written.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::join_all;

use crate::catalogue::{Broken, Catalogue};
use crate::engine::Runtime;
use crate::error::LoadError;
use crate::plugin::Plugin;

/// The files of some directories, and what came of each.
#[derive(Debug)]
pub struct Loader {
    runtime: Runtime,
    files: BTreeMap<PathBuf, Known>,
}

/// What came of a file.
#[derive(Debug, Clone, Default)]
struct Known {
    /// As it was when it was read.
    stamp: Option<Stamp>,
    /// What it is, or was when it last was a plugin.
    good: Option<Arc<Plugin>>,
    /// What it is instead now.
    problem: Option<Arc<LoadError>>,
}

/// What tells that a file was written to or replaced: size, device and number, times of writing and of any change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp([i128; 5]);

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let found = std::fs::metadata(path).ok()?;
        let time =
            |seconds: i64, nanoseconds: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        Some(Self([
            found.len().into(),
            found.dev().into(),
            found.ino().into(),
            time(found.mtime(), found.mtime_nsec()),
            time(found.ctime(), found.ctime_nsec()),
        ]))
    }

    fn size(&self) -> u64 {
        u64::try_from(self.0[0]).unwrap_or(u64::MAX)
    }
}

/// A directory as it was given, with its files and their stamps in the order of their names.
type Listed = (PathBuf, io::Result<Vec<(PathBuf, Option<Stamp>)>>);

impl Loader {
    /// Knows no file yet.
    pub fn new(runtime: Runtime) -> Self {
        Self { runtime, files: BTreeMap::new() }
    }

    /// Loads what is new or has changed among the `*.wasm` of the directories, several at a time, and forgets what is
    /// gone. By directory and then by file name: of two with one name the first counts. A directory that is named
    /// twice is read once.
    ///
    /// A file that is no plugin any more, and a directory that cannot be read any more, leave what they were loaded
    /// as before; each is in [`Catalogue::broken`] with its reason.
    pub async fn load(&mut self, dirs: &[PathBuf]) -> Catalogue {
        let dirs = dirs.to_owned();
        let listed = tokio::task::spawn_blocking(move || list(dirs)).await.unwrap_or_default();
        let mut catalogue = Catalogue::default();
        let mut files = Vec::new();
        for (dir, listing) in listed {
            match listing {
                Ok(listing) => files.extend(listing),
                Err(error) => {
                    let of_dir = |(path, _): &(&PathBuf, &Known)| path.parent() == Some(&dir);
                    files.extend(
                        self.files.iter().filter(of_dir).map(|(path, known)| (path.clone(), known.stamp)),
                    );
                    catalogue.broken.push(Broken { path: dir, problem: Arc::new(error.into()), kept: false });
                }
            }
        }
        let known = join_all(files.into_iter().map(|(path, stamp)| self.know(path, stamp))).await;
        // What works now goes before what worked before.
        let works = |file: &Known| file.good.clone().filter(|_| file.problem.is_none());
        known.iter().filter_map(|(_, file)| works(file)).for_each(|plugin| catalogue.add(&plugin));
        for (path, file) in &known {
            match (&file.problem, &file.good) {
                (Some(problem), before) => catalogue.add_broken(path, problem, before.as_ref()),
                (None, Some(plugin)) => catalogue.note_duplicate(path, plugin),
                (None, None) => {}
            }
        }
        self.files = known.into_iter().collect();
        catalogue
    }

    async fn know(&self, path: PathBuf, stamp: Option<Stamp>) -> (PathBuf, Known) {
        let before = self.files.get(&path).cloned().unwrap_or_default();
        if stamp.is_some() && before.stamp == stamp {
            return (path, before);
        }
        // One that is not there, or not any more, is told when it is read.
        let size = stamp.as_ref().map_or(0, Stamp::size);
        let loaded = self.runtime.load_anew(&path, size, before.good.as_ref()).await;
        let settled = Stamp::of(&path) == stamp;
        let known = match loaded {
            Ok(plugin) if settled => Known { stamp, good: Some(plugin), problem: None },
            Err(problem) if settled => Known { stamp, problem: Some(Arc::new(problem)), ..before },
            // Not even its digest is certain.
            _ => Known { stamp, problem: Some(Arc::new(LoadError::Unsettled)), ..before },
        };
        (path, known)
    }
}

impl Runtime {
    /// Every plugin of the directories, as [`Loader::load`] finds it the first time.
    pub async fn load_dirs(&self, dirs: &[PathBuf]) -> Catalogue {
        Loader::new(self.clone()).load(dirs).await
    }
}

fn list(dirs: Vec<PathBuf>) -> Vec<Listed> {
    let mut seen = Vec::new();
    let mut listed = Vec::new();
    for dir in dirs {
        let files = dir.canonicalize().and_then(|real| {
            let again = seen.contains(&real);
            seen.push(real);
            if again { Ok(Vec::new()) } else { wasm_files(&dir) }
        });
        listed.push((dir, files));
    }
    listed
}

/// The directory's `*.wasm`, by name.
fn wasm_files(dir: &Path) -> io::Result<Vec<(PathBuf, Option<Stamp>)>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            let stamp = Stamp::of(&path);
            files.push((path, stamp));
        }
    }
    files.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(files)
}
