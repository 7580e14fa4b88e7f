//! From a configuration and plugin files to what steps go by: the one way to a generation, at the start and while a run
//! goes on.
//!
//! Decides nothing by itself: what a resolver may reach is computed by the orchestrator, from the configuration.

use std::env::VarError;
use std::path::{Path, PathBuf};

use gleaner_desk::Rules;
use gleaner_egress::{Egress, EgressError, Exchange};
use gleaner_limits::KeyedLimiter;
use gleaner_model::clock::SharedClock;
use gleaner_model::next::Planner;
use gleaner_orchestrator::{Generation, Resolvers};
use gleaner_runtime::{Catalogue, Loader, Runtime};
use gleaner_serve::{InForce, Token};
use gleaner_telemetry::RequestEnded;

use crate::config::{Config, Contact, Loaded};
use crate::environment;
use crate::exit::Failed;

/// The files of the plugin directories, loaded as far as they have changed.
pub(crate) struct PluginFiles {
    loader: Loader,
    /// Where bundled resolvers lie, as it was at the start: the binary may be replaced meanwhile.
    bundled: Option<PathBuf>,
}

impl PluginFiles {
    pub(crate) fn new(runtime: Runtime) -> Self {
        Self { loader: Loader::new(runtime), bundled: bundled_dir() }
    }

    /// The directories that count, whether they are there or not.
    pub(crate) fn dirs(&self, config: &Config) -> Vec<PathBuf> {
        config.plugins.dirs.iter().cloned().chain(self.bundled.clone()).collect()
    }

    /// Every plugin found.
    pub(crate) async fn catalogue(&mut self, config: &Config) -> Catalogue {
        let mut dirs = self.dirs(config);
        dirs.retain(|dir| dir.is_dir());
        self.loader.load(&dirs).await
    }

    /// Every plugin found, with what the operator set for it. `before` is what they were when this was called last.
    pub(crate) async fn resolvers(&mut self, config: &Config, before: Option<&Resolvers>) -> Resolvers {
        let catalogue = self.catalogue(config).await;
        assemble(config, self.bundled.as_deref(), catalogue, before)
    }
}

/// Plugins with what the operator set for them.
pub(crate) fn assemble(
    config: &Config,
    bundled: Option<&Path>,
    catalogue: Catalogue,
    before: Option<&Resolvers>,
) -> Resolvers {
    let (contact, sandbox) = (config.contact.as_ref().map(Contact::as_str), config.plugins.sandbox);
    let secret = |name: &str| secret(config, name);
    Resolvers::assemble(catalogue, bundled, &config.resolvers, contact, sandbox, &secret, before)
}

/// What steps go by with these resolvers.
pub(crate) fn generation(config: &Config, resolvers: Resolvers, egress: Egress) -> Generation {
    let planner = planner(config, &resolvers);
    Generation { resolvers, planner, egress, max_body: config.egress.max_body.0 }
}

pub(crate) fn planner(config: &Config, resolvers: &Resolvers) -> Planner {
    config.tiers.planner(resolvers.takes())
}

/// What views need of a configuration.
pub(crate) fn rules(config: &Config) -> Rules {
    let (_, budgets) = config.tiers.lower();
    let recheck_after = config.orchestrator.recheck_after;
    Rules { limits: config.limits.clone(), tries: budgets.attempts.get(), recheck_after }
}

/// What the server shows of a configuration.
pub(crate) fn in_force(loaded: &Loaded) -> InForce {
    InForce {
        rules: rules(&loaded.config),
        settings: loaded.layers.settings(),
        file: loaded.file.clone(),
        hash: loaded.hash.clone(),
    }
}

/// What everybody has to show to the server: from `GLEANER_SECRET_SERVE_TOKEN`, else from the file that `[serve]` names;
/// none where neither is.
pub(crate) fn serve_token(config: &Config) -> Result<Token, String> {
    let text = match (from_environment("serve-token")?, &config.serve.token) {
        (Some(text), _) => Some(text),
        (None, None) => None,
        (None, Some(secret)) => Some(secret.read().map_err(|problem| format!("serve.token: {problem}"))?),
    };
    config.serve.token(text.as_deref()).map_err(|error| error.to_string())
}

/// A secret's variable, if it is set. One that cannot be read is not passed over: what it should have kept closed would be
/// open.
fn from_environment(secret: &str) -> Result<Option<String>, String> {
    let variable = variable(secret);
    match std::env::var(&variable) {
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(format!(
            "the environment variable {variable} is not UTF-8; write the secret in letters and digits"
        )),
    }
}

fn variable(secret: &str) -> String {
    format!("GLEANER_SECRET_{}", secret.to_ascii_uppercase().replace('-', "_"))
}

/// The way out. It keeps answers in `cache`; without, none.
pub(crate) fn egress(
    config: &Config,
    limiter: KeyedLimiter,
    clock: SharedClock,
    cache: Option<PathBuf>,
) -> Result<Egress, EgressError> {
    let contact = config.contact.as_ref().map(Contact::as_str);
    let mut egress = config.egress.clone();
    egress.cache.dir = cache;
    let egress = Egress::new(&egress, contact, limiter, clock)?;
    Ok(egress.listened_by(|Exchange { role, status, took }| {
        gleaner_telemetry::metrics().on_request(&RequestEnded { role: role.as_str(), status, took });
    }))
}

/// Where compiled plugins are kept, if the user has a cache directory.
pub(crate) fn components_dir() -> Option<PathBuf> {
    environment::base_dir(environment::CACHE_HOME, ".cache").map(|dir| dir.join("gleaner/components"))
}

/// Where a library keeps answers.
pub(crate) fn cache_dir(library: &Path) -> PathBuf {
    library.join("cache")
}

/// Public services want to know whom to write to: without a contact there is no point in beginning, unless another
/// address stands in for every host.
pub(crate) fn require_contact(config: &Config) -> Result<(), Failed> {
    if config.contact.is_some() || config.egress.connect_to.target("public.example.org", 443).is_some() {
        return Ok(());
    }
    Err(Failed::configuration(
        "no contact is configured, and public services want to know whom to write to; \
         set GLEANER_CONTACT=you@example.org, or contact = \"you@example.org\" in gleaner.toml",
    ))
}

/// The directory of bundled resolvers: beside the binary, where packages put data, or in a checkout's target
/// directory.
pub(crate) fn bundled_dir() -> Option<PathBuf> {
    let binary = std::env::current_exe().ok()?.canonicalize().ok()?;
    let folder = binary.parent()?;
    let places = ["plugins", "../plugins", "../lib/gleaner/plugins", "../share/gleaner/plugins"];
    places
        .iter()
        .map(|place| folder.join(place))
        .find(|dir| dir.is_dir())
        .and_then(|dir| dir.canonicalize().ok())
}

/// A secret by its name: from `GLEANER_SECRET_<NAME>`, else from the file that `[secrets]` names.
pub(crate) fn secret(config: &Config, name: &str) -> Result<String, String> {
    if let Some(value) = from_environment(name)? {
        return Ok(value);
    }
    let variable = variable(name);
    let Some(secret) = config.secrets.get(name) else {
        return Err(format!(
            "the secret {name:?} is not set; write secrets.{name}.file = \"PATH\", or set the environment variable {variable}"
        ));
    };
    secret.read().map_err(|problem| format!("the secret {name:?}: {problem}"))
}
