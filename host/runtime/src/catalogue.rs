//! The plugins of the configured directories.
//!
//! Must never hide a file that gives no plugin: each is in [`Catalogue::broken`] with its reason.

use std::collections::btree_map::{BTreeMap, Entry};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner_model::key::ResolverName;

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
    pub problem: Arc<LoadError>,
    /// Whether the plugin that it was before is still in [`Catalogue::plugins`].
    pub kept: bool,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path.display(), self.problem)
    }
}

impl Catalogue {
    /// One plugin alone.
    pub fn of(plugin: Plugin) -> Self {
        let plugins = BTreeMap::from([(plugin.info.name.clone(), Arc::new(plugin))]);
        Self { plugins, broken: Vec::new() }
    }

    /// Adds a plugin under its name. Of two with one name the first counts.
    pub(crate) fn add(&mut self, plugin: &Arc<Plugin>) {
        self.plugins.entry(plugin.info.name.clone()).or_insert_with(|| Arc::clone(plugin));
    }

    /// Adds a plugin to the broken ones, if another one with its name counts.
    pub(crate) fn note_duplicate(&mut self, path: &Path, plugin: &Arc<Plugin>) {
        let name = &plugin.info.name;
        if let Some(other) = self.plugins.get(name).filter(|other| !Arc::ptr_eq(other, plugin)) {
            let problem = LoadError::Duplicate { name: name.to_string(), other: other.info.path.clone() };
            self.broken.push(Broken { path: path.to_owned(), problem: Arc::new(problem), kept: false });
        }
    }

    /// Adds a file that is no plugin. What it was before stays, unless another file is a plugin of that name now.
    pub(crate) fn add_broken(&mut self, path: &Path, problem: &Arc<LoadError>, before: Option<&Arc<Plugin>>) {
        let kept = before.is_some_and(|plugin| {
            let entry = self.plugins.entry(plugin.info.name.clone());
            let is_free = matches!(entry, Entry::Vacant(_));
            entry.or_insert_with(|| Arc::clone(plugin));
            is_free
        });
        self.broken.push(Broken { path: path.to_owned(), problem: Arc::clone(problem), kept });
    }
}
