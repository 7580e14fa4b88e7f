//! What commands need, opened when they need it: configuration, library, plugins, the parts of a run.
//!
//! Must never open what a command does not use: `config show` works without a library.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner_content::Content;
use gleaner_egress::Egress;
use gleaner_limits::KeyedLimiter;
use gleaner_model::clock::{SharedClock, SystemClock, UnixMillis};
use gleaner_model::manifest::RunIdentity;
use gleaner_model::next::Planner;
use gleaner_orchestrator::{Pieces, Resolvers, Sources};
use gleaner_runtime::{Catalogue, Runtime, RuntimeConfig};
use gleaner_store::Library;
use gleaner_telemetry::Observer;
use toml::Value;

use crate::args::Global;
use crate::config::{self, ConfigError, Layers, Loaded};
use crate::exit::{Exit, Failed};
use crate::output::Output;

/// The configuration and what is made from it.
pub(crate) struct Context {
    pub(crate) loaded: Loaded,
    pub(crate) output: Output,
    pub(crate) quiet: bool,
    clock: SharedClock,
    read_again: ReadAgain,
}

/// Reads the configuration as it was read at the start, flags included.
pub(crate) type ReadAgain = Arc<dyn Fn() -> Result<Loaded, ConfigError> + Send + Sync>;

impl Context {
    /// Reads the configuration; `flags` are the command's own, laid over everything.
    pub(crate) fn new(
        global: &Global,
        flags: impl Fn(&mut Layers) + Send + Sync + 'static,
    ) -> Result<Self, Failed> {
        let given = global.clone();
        let read_again: ReadAgain = Arc::new(move || {
            config::load(given.config.as_deref(), given.library.as_deref(), |layers| {
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
        let loaded = read_again()?;
        for dir in &global.plugins {
            if !dir.is_dir() {
                return Err(Failed::configuration(format!(
                    "--plugins {}: no such directory; give one that has .wasm files in it",
                    dir.display()
                )));
            }
        }
        Ok(Self {
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
        let cache_dir = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")))
            .map(|dir| dir.join("gleaner/components"));
        let workers = self.loaded.config.orchestrator.workers.get().into();
        Ok(Runtime::new(RuntimeConfig { cache_dir, workers, ..RuntimeConfig::default() })?)
    }

    /// Every plugin found, with what the operator set for it.
    pub(crate) async fn resolvers(&self, runtime: &Runtime) -> Resolvers {
        self.assemble(self.catalogue(runtime).await)
    }

    /// Every plugin found.
    pub(crate) async fn catalogue(&self, runtime: &Runtime) -> Catalogue {
        let configured = self.loaded.config.plugins.dirs.iter().filter(|dir| dir.is_dir()).cloned();
        let dirs: Vec<PathBuf> = configured.chain(bundled_dir()).collect();
        runtime.load_dirs(&dirs).await
    }

    /// Plugins with what the operator set for them.
    pub(crate) fn assemble(&self, catalogue: Catalogue) -> Resolvers {
        let config = &self.loaded.config;
        let bundled = bundled_dir();
        let contact = config.contact.as_ref().map(config::Contact::as_str);
        Resolvers::assemble(catalogue, bundled.as_deref(), &config.resolvers, contact, &secret)
    }

    pub(crate) fn planner(&self, resolvers: &Resolvers) -> Planner {
        let (tiers, budgets) = self.loaded.config.tiers.lower();
        Planner::new(tiers, budgets, resolvers.takes())
    }

    /// Who this run is.
    pub(crate) fn identity(&self) -> RunIdentity {
        let started = self.clock.now().to_string();
        let run_id = format!("{}-{:08x}", started.replace([':', '.'], ""), fastrand::u32(..));
        RunIdentity { run_id, config_hash: self.loaded.hash.clone() }
    }

    /// Public services want to know whom to write to: without a contact there is no point in beginning,
    /// unless another address stands in for every host.
    pub(crate) fn require_contact(&self) -> Result<(), Failed> {
        let config = &self.loaded.config;
        if config.contact.is_some() || config.egress.connect_to.target("public.example.org", 443).is_some() {
            return Ok(());
        }
        Err(Failed::configuration(
            "no contact is configured, and public services want to know whom to write to; \
             set GLEANER_CONTACT=you@example.org, or contact = \"you@example.org\" in gleaner.toml",
        ))
    }

    /// What it takes to ask these resolvers.
    pub(crate) fn sources(&self, resolvers: Resolvers) -> Result<Sources, Failed> {
        let config = &self.loaded.config;
        let limiter = KeyedLimiter::new(config.limits.clone(), Arc::clone(&self.clock));
        let contact = config.contact.as_ref().map(config::Contact::as_str);
        let egress = Egress::new(&config.egress, contact, limiter.clone(), Arc::clone(&self.clock))?;
        let planner = self.planner(&resolvers);
        let max_body = config.egress.max_body.0;
        Ok(Sources { resolvers, planner, limiter, egress, max_body, clock: Arc::clone(&self.clock) })
    }

    /// All of the above, for a run: what cannot be used is said before anything is begun.
    pub(crate) async fn sources_to_use(&self) -> Result<Sources, Failed> {
        self.require_contact()?;
        let runtime = self.runtime()?;
        let resolvers = self.resolvers(&runtime).await;
        for refused in resolvers.refused() {
            tracing::warn!("{} is not used: {}", refused.path.display(), refused.problem);
        }
        if resolvers.list().next().is_none() {
            tracing::warn!("no resolver is loaded, so nothing can be found; see `gleaner plugin list`");
        }
        self.sources(resolvers)
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

/// The directory of bundled resolvers: beside the binary, where packages put data, or in a checkout's target
/// directory.
fn bundled_dir() -> Option<PathBuf> {
    let binary = std::env::current_exe().ok()?.canonicalize().ok()?;
    let folder = binary.parent()?;
    let places = ["plugins", "../plugins", "../lib/gleaner/plugins", "../share/gleaner/plugins"];
    places
        .iter()
        .map(|place| folder.join(place))
        .find(|dir| dir.is_dir())
        .and_then(|dir| dir.canonicalize().ok())
}

/// A secret by its name, from `GLEANER_SECRET_<NAME>`.
fn secret(name: &str) -> Option<String> {
    std::env::var(format!("GLEANER_SECRET_{}", name.to_ascii_uppercase().replace('-', "_"))).ok()
}

fn path_value(path: &Path) -> Value {
    Value::String(path.to_string_lossy().into_owned())
}
