//! What commands need, opened when they need it: configuration, library, plugins, the parts of a run.
//!
//! Must never open what a command does not use: `config show` works without a library.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner_content::Content;
use gleaner_desk::{Look, Rules, suspended_now};
use gleaner_limits::KeyedLimiter;
use gleaner_model::clock::{SharedClock, SystemClock, UnixMillis};
use gleaner_model::key::ResolverName;
use gleaner_model::manifest::RunIdentity;
use gleaner_model::next::Planner;
use gleaner_orchestrator::{Blocking, Breakers, Live, Pieces, Resolvers, Sources};
use gleaner_runtime::{Catalogue, Runtime, RuntimeConfig};
use gleaner_store::Library;
use gleaner_telemetry::Observer;
use toml::Value;

use crate::args::Global;
use crate::config::{self, ConfigError, Layers, Loaded};
use crate::exit::{Exit, Failed};
use crate::generations::{self, PluginFiles};
use crate::output::Output;

/// The configuration and what is made from it.
pub(crate) struct Context {
    pub(crate) loaded: Loaded,
    pub(crate) output: Output,
    pub(crate) quiet: bool,
    rules: Rules,
    clock: SharedClock,
    read_again: ReadAgain,
}

/// Reads the configuration as it was read at the start, flags included; with another text in place of a file, to see what
/// would come of it.
pub(crate) type ReadAgain = Arc<dyn Fn(Option<(&Path, &str)>) -> Result<Loaded, ConfigError> + Send + Sync>;

impl Context {
    /// Reads the configuration; `flags` are the command's own, laid over everything.
    pub(crate) fn new(
        global: &Global,
        flags: impl Fn(&mut Layers) + Send + Sync + 'static,
    ) -> Result<Self, Failed> {
        let given = global.clone();
        let read_again: ReadAgain = Arc::new(move |instead| {
            config::load(given.config.as_deref(), given.library.as_deref(), instead, |layers| {
                if let Some(library) = &given.library {
                    layers.set(&["library", "path"], path_value(library), "--library");
                }
                if !given.plugins.is_empty() {
                    let dirs = given.plugins.iter().map(|dir| path_value(dir)).collect();
                    layers.set(&["plugins", "dirs"], Value::Array(dirs), "--plugins");
                }
                flags(layers);
            })
        });
        let loaded = read_again(None)?;
        for dir in &global.plugins {
            if !dir.is_dir() {
                return Err(Failed::configuration(format!(
                    "--plugins {}: no such directory; give one that has .wasm files in it",
                    dir.display()
                )));
            }
        }
        Ok(Self {
            rules: generations::rules(&loaded.config),
            loaded,
            output: Output::new(global.format),
            quiet: global.quiet,
            clock: Arc::new(SystemClock),
            read_again,
        })
    }

    /// The configuration, read anew each time it is called.
    pub(crate) fn read_again(&self) -> ReadAgain {
        Arc::clone(&self.read_again)
    }

    pub(crate) fn now(&self) -> UnixMillis {
        self.clock.now()
    }

    /// One look at a library.
    pub(crate) fn look<'a>(&'a self, library: &'a Library) -> Look<'a> {
        Look { library, rules: &self.rules, now: self.now() }
    }

    pub(crate) fn library_dir(&self) -> &Path {
        &self.loaded.config.library.path
    }

    /// The library, made if it is not there.
    pub(crate) fn library(&self) -> Result<Library, Failed> {
        self.check_library_dir()?;
        Ok(Library::open(self.library_dir(), &self.loaded.config.queue, Arc::clone(&self.clock))?)
    }

    /// The library for reading; an error when it is not there.
    pub(crate) fn existing_library(&self) -> Result<Library, Failed> {
        self.check_library_dir()?;
        Ok(Library::open_read_only(self.library_dir(), &self.loaded.config.queue, Arc::clone(&self.clock))?)
    }

    /// The library for writing; an error when it is not there.
    pub(crate) fn library_to_change(&self) -> Result<Library, Failed> {
        drop(self.existing_library()?);
        self.library()
    }

    /// Another library for reading, as this configuration reads its own.
    pub(crate) fn library_at(&self, dir: &Path) -> Result<Library, Failed> {
        Ok(Library::open_read_only(dir, &self.loaded.config.queue, Arc::clone(&self.clock))?)
    }

    fn check_library_dir(&self) -> Result<(), Failed> {
        let dir = self.library_dir();
        if dir.exists() && !dir.is_dir() {
            let message = format!(
                "{} is a file, and a library is a directory; name another with --library",
                dir.display()
            );
            return Err(Failed { exit: Exit::Storage, error: anyhow::anyhow!(message) });
        }
        Ok(())
    }

    pub(crate) fn content(&self) -> Result<Content, Failed> {
        self.content_at(self.library_dir())
    }

    /// The files of another library.
    pub(crate) fn content_at(&self, dir: &Path) -> Result<Content, Failed> {
        let config = &self.loaded.config;
        Ok(Content::open(dir, config.content.clone(), config.library.name_template.clone())?)
    }

    /// The plugin runtime, with its cache of compiled components in the user's cache directory.
    pub(crate) fn runtime(&self) -> Result<Runtime, Failed> {
        let cache_dir = generations::components_dir();
        let config = &self.loaded.config;
        let workers = config.orchestrator.workers.get().into();
        let cache_size = config.plugins.cache_size.0;
        Ok(Runtime::new(RuntimeConfig { cache_dir, cache_size, workers, ..RuntimeConfig::default() })?)
    }

    /// Every plugin found, with what the operator set for it.
    pub(crate) async fn resolvers(&self, runtime: &Runtime) -> Resolvers {
        self.assemble(self.catalogue(runtime).await)
    }

    /// Every plugin found.
    pub(crate) async fn catalogue(&self, runtime: &Runtime) -> Catalogue {
        PluginFiles::new(runtime.clone()).catalogue(&self.loaded.config).await
    }

    /// Plugins with what the operator set for them.
    pub(crate) fn assemble(&self, catalogue: Catalogue) -> Resolvers {
        generations::assemble(&self.loaded.config, generations::bundled_dir().as_deref(), catalogue, None)
    }

    /// The resolvers that are suspended now, as the library knows it, and until when.
    pub(crate) async fn suspended(
        &self,
        library: &Library,
        resolvers: &Resolvers,
    ) -> Result<BTreeMap<ResolverName, UnixMillis>, Failed> {
        let held = suspended_now(library.suspensions().await?, resolvers, self.now());
        Ok(held.into_iter().map(|one| (one.resolver, one.until)).collect())
    }

    pub(crate) fn planner(&self, resolvers: &Resolvers) -> Planner {
        generations::planner(&self.loaded.config, resolvers)
    }

    /// Who this run is.
    pub(crate) fn identity(&self) -> RunIdentity {
        let started = self.clock.now().to_string();
        let run_id = format!("{}-{:08x}", started.replace([':', '.'], ""), fastrand::u32(..));
        RunIdentity { run_id, config_hash: self.loaded.hash.clone() }
    }

    pub(crate) fn clock(&self) -> SharedClock {
        Arc::clone(&self.clock)
    }

    pub(crate) fn limiter(&self) -> KeyedLimiter {
        KeyedLimiter::new(self.loaded.config.limits.clone(), self.clock())
    }

    /// What it takes to ask these resolvers. Answers are kept in `cache`; without, none.
    pub(crate) fn sources(&self, resolvers: Resolvers, cache: Option<PathBuf>) -> Result<Sources, Failed> {
        let config = &self.loaded.config;
        let limiter = self.limiter();
        let egress = generations::egress(config, limiter.clone(), self.clock(), cache)?;
        let live = Arc::new(Live::new(generations::generation(config, resolvers, egress)));
        let suspend = &config.plugins.suspend;
        let breakers = Breakers::new(suspend.after, suspend.pause.0, self.clock());
        Ok(Sources { live, breakers, blocking: Blocking::default(), limiter, clock: self.clock() })
    }

    /// The parts of a run on this library.
    pub(crate) fn pieces(
        &self,
        library: Library,
        sources: Sources,
        identity: RunIdentity,
        observer: Arc<dyn Observer>,
    ) -> Result<Arc<Pieces>, Failed> {
        let config = self.loaded.config.orchestrator.clone();
        Ok(Pieces::new(sources, library, self.content()?, config, identity, observer))
    }
}

fn path_value(path: &Path) -> Value {
    Value::String(path.to_string_lossy().into_owned())
}
