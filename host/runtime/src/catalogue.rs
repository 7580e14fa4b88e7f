//! The plugins of the configured directories.
//!
//! Must never hide a file that gives no plugin: each is in [`Catalogue::broken`] with its reason.

use std::collections::btree_map::{BTreeMap, Entry};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner_model::key::ResolverName;

use crate::engine::Runtime;
use crate::error::LoadError;
use crate::plugin::Plugin;

/// Every plugin found, and every file that is none.
#[derive(Debug, Default)]
pub struct Catalogue {
    /// By name.
    pub plugins: BTreeMap<ResolverName, Arc<Plugin>>,
    /// What could not be used, in the order found.
    pub broken: Vec<Broken>,
}

/// A file or directory that gives no plugin.
#[derive(Debug)]
pub struct Broken {
    /// Where it is.
    pub path: PathBuf,
    /// Why.
    pub problem: LoadError,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path.display(), self.problem)
    }
}

impl Runtime {
    /// Loads every `*.wasm` of the directories, by directory and then by file name. Of two with one name the
    /// first counts; the other, broken files, and directories that cannot be read are in
    /// [`Catalogue::broken`]. A directory that is named twice is read once.
    pub async fn load_dirs(&self, dirs: &[PathBuf]) -> Catalogue {
        let mut catalogue = Catalogue::default();
        let mut seen = Vec::new();
        for dir in dirs {
            let files = dir.canonicalize().and_then(|real| {
                let again = seen.contains(&real);
                seen.push(real);
                if again { Ok(Vec::new()) } else { wasm_files(dir) }
            });
            match files {
                Ok(files) => {
                    for file in files {
                        let loaded = self.load(&file).await;
                        catalogue.add(file, loaded);
                    }
                }
                Err(error) => catalogue.broken.push(Broken { path: dir.clone(), problem: error.into() }),
            }
        }
        catalogue
    }
}

impl Catalogue {
    /// One plugin alone.
    pub fn of(plugin: Plugin) -> Self {
        let plugins = BTreeMap::from([(plugin.info.name.clone(), Arc::new(plugin))]);
        Self { plugins, broken: Vec::new() }
    }

    fn add(&mut self, path: PathBuf, loaded: Result<Plugin, LoadError>) {
        let problem = match loaded {
            Err(problem) => problem,
            Ok(plugin) => match self.plugins.entry(plugin.info.name.clone()) {
                Entry::Vacant(entry) => {
                    entry.insert(Arc::new(plugin));
                    return;
                }
                Entry::Occupied(entry) => LoadError::Duplicate {
                    name: plugin.info.name.to_string(),
                    other: entry.get().info.path.clone(),
                },
            },
        };
        self.broken.push(Broken { path, problem });
    }
}

/// The directory's `*.wasm`, by name.
fn wasm_files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
