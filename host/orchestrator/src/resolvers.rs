//! The resolvers of a run: loaded plugins with what the operator set for them and allows them.
//!
//! Must never hide a file that is not used: each is in [`Resolvers::refused`] with its reason. What a plugin may reach is
//! computed by `install`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner_egress::Injection;
use gleaner_model::key::ResolverName;
use gleaner_model::next::Takes;
use gleaner_runtime::{Catalogue, Plugin, Sandbox};

use crate::asked::Lacking;
use crate::config::ResolverConfig;
use crate::install::{Installed, Rules};
use crate::sidecar::Sidecar;

/// A plugin that was found and is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its file.
    pub path: PathBuf,
    /// Why, and what to do.
    pub problem: String,
}

/// What a resolver in use has, from its own requests and the operator's configuration. Shows no secret.
#[derive(Debug)]
pub struct Rights<'a> {
    /// Hosts it may reach.
    pub hosts: &'a [String],
    /// Hosts it asks for, in its description and in its sidecar.
    pub asked: &'a [String],
    /// What it asks for and does not have.
    pub lacking: Lacking,
    /// Its sidecar, if it has one that counts.
    pub sidecar: Option<&'a Sidecar>,
    /// The settings that it finds.
    pub settings: &'a BTreeMap<String, String>,
    /// Limits of one call.
    pub sandbox: &'a Sandbox,
    /// Secrets that the host adds to its requests: the host they are for, and what carries them.
    pub injected: Vec<(&'a str, String)>,
}

/// All resolvers of a run.
#[derive(Default)]
pub struct Resolvers {
    installed: BTreeMap<ResolverName, Installed>,
    refused: Vec<Refused>,
}

impl Resolvers {
    /// Puts plugins and configuration together. Plugins in `bundled`, a canonical path, may reach the hosts they ask for,
    /// others only those granted. `sandbox` is for those whose configuration says nothing else. `secret` looks a secret
    /// up by name, or says why there is none. A file that is refused leaves the plugin that it was in `before` in use, if the configuration allows
    /// that one.
    pub fn assemble(
        catalogue: Catalogue,
        bundled: Option<&Path>,
        configs: &BTreeMap<ResolverName, ResolverConfig>,
        contact: Option<&str>,
        sandbox: Sandbox,
        secret: &dyn Fn(&str) -> Result<String, String>,
        before: Option<&Self>,
    ) -> Self {
        let mut resolvers = Self::default();
        for broken in catalogue.broken {
            resolvers.refuse(broken.path, broken.problem.to_string(), broken.kept);
        }
        let none = ResolverConfig::default();
        for (name, plugin) in catalogue.plugins {
            let config = configs.get(&name).unwrap_or(&none);
            if config.enabled == Some(false) {
                continue;
            }
            let path = plugin.info.path.clone();
            let trusted = is_bundled(&path, bundled);
            let known = before.and_then(|before| before.get(&name));
            let known = known.filter(|before| before.plugin.info.path == path);
            let rules = Rules { config, trusted, contact, sandbox, secret, before: known };
            let sidecar = resolvers.sidecar(&plugin, config, known);
            let installed = match rules.install(plugin, sidecar) {
                Ok(installed) => Some(installed),
                Err(problem) => {
                    let again =
                        |before: &Installed| rules.install(before.plugin.clone(), before.sidecar.clone());
                    let kept = known.and_then(|before| again(before).ok());
                    resolvers.refuse(path, problem, kept.is_some());
                    kept
                }
            };
            if let Some(installed) = installed {
                say_what_is_lacking(&installed, before.and_then(|before| before.get(&name)));
                resolvers.installed.insert(name, installed);
            }
        }
        resolvers
    }

    /// The sidecar that counts. A broken one leaves the one before in use, or none.
    fn sidecar(
        &mut self,
        plugin: &Plugin,
        config: &ResolverConfig,
        before: Option<&Installed>,
    ) -> Option<Arc<Sidecar>> {
        let (name, component) = (&plugin.info.name, &plugin.info.path);
        match Sidecar::read(component) {
            Ok(Some(sidecar)) if config.sha256.is_some() && config.sidecar_sha256.is_none() => {
                let problem = format!(
                    "resolvers.{name}.sha256 pins the component, and nothing pins this file, so it counts for nothing; `gleaner plugin grant {name} --pin` pins it too"
                );
                self.refused.push(Refused { path: sidecar.path, problem });
                None
            }
            Ok(sidecar) => sidecar.map(Arc::new),
            Err(problem) => {
                let kept = before.and_then(|before| before.sidecar.clone());
                let instead = match kept {
                    Some(_) => "what it said before stays in use",
                    None => "the plugin counts as asking for nothing more",
                };
                let problem = format!("{problem}; {instead}");
                self.refused.push(Refused { path: Sidecar::path_of(component), problem });
                kept
            }
        }
    }

    fn refuse(&mut self, path: PathBuf, mut problem: String, is_kept: bool) {
        if is_kept {
            problem.push_str("; what was loaded from it before stays in use");
        }
        self.refused.push(Refused { path, problem });
    }

    /// In what this differs from those before: a text for each plugin that came, went, or is another now.
    pub fn changes(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (name, one) in &self.installed {
            let info = &one.plugin.info;
            match before.installed.get(name) {
                None => changes.push(format!("{name} {} is new", info.version)),
                Some(other) if other.plugin.info.sha256 != info.sha256 => {
                    let digest = info.sha256.get(..8).unwrap_or_default();
                    changes.push(format!("{name} is replaced by {} ({digest})", info.version));
                }
                Some(other) => {
                    if other.sidecar != one.sidecar {
                        changes.push(format!("the sidecar of {name} is another"));
                    }
                    let differs = |(name, value)| other.secrets.get(name).is_some_and(|old| old != value);
                    if one.secrets.iter().any(differs) {
                        changes.push(format!("a secret of {name} is another"));
                    }
                }
            }
        }
        let gone = before.installed.keys().filter(|name| !self.installed.contains_key(*name));
        changes.extend(gone.map(|name| format!("{name} is gone")));
        changes
    }

    /// What each takes, for the planner.
    pub fn takes(&self) -> BTreeMap<ResolverName, Vec<Takes>> {
        self.installed.iter().map(|(name, one)| (name.clone(), one.plugin.info.takes.clone())).collect()
    }

    /// Every plugin in use, with the hosts it may reach.
    pub fn list(&self) -> impl Iterator<Item = (&Arc<Plugin>, &[String])> {
        self.installed.values().map(|one| (&one.plugin, one.policy.hosts.as_slice()))
    }

    /// What one of them has.
    pub fn rights(&self, name: &ResolverName) -> Option<Rights<'_>> {
        let one = self.installed.get(name)?;
        let carrier = |injection: &Injection| match (&injection.header, &injection.query) {
            (Some(header), _) => format!("header {header}"),
            (None, Some(query)) => format!("query parameter {query}"),
            (None, None) => String::new(),
        };
        let injections = one.policy.injections.iter();
        Some(Rights {
            hosts: &one.policy.hosts,
            asked: &one.asked,
            lacking: one.lacking(),
            sidecar: one.sidecar.as_deref(),
            settings: &one.settings,
            sandbox: &one.sandbox,
            injected: injections.map(|one| (one.host.as_str(), carrier(one))).collect(),
        })
    }

    /// Every file that is not in use, and why.
    pub fn refused(&self) -> &[Refused] {
        &self.refused
    }

    /// The digest of a resolver's component, in lower-case hex.
    pub fn sha256(&self, name: &ResolverName) -> Option<String> {
        self.installed.get(name).map(|one| one.plugin.info.sha256.clone())
    }

    pub(crate) fn get(&self, name: &ResolverName) -> Option<&Installed> {
        self.installed.get(name)
    }
}

/// Whether a component lies in the directory of bundled ones, a canonical path.
pub fn is_bundled(component: &Path, bundled: Option<&Path>) -> bool {
    let dir = || component.parent().and_then(|dir| dir.canonicalize().ok());
    bundled.is_some() && dir().as_deref() == bundled
}

/// Says once that a plugin asks for more than it has, and how to allow it.
fn say_what_is_lacking(one: &Installed, before: Option<&Installed>) {
    let lacking = one.lacking();
    if lacking.is_empty() || before.is_some_and(|before| before.lacking() == lacking) {
        return;
    }
    let name = &one.plugin.info.name;
    if one.policy.hosts.is_empty() {
        tracing::warn!(
            plugin = %name,
            "may reach no host, and asks for {lacking}; `gleaner plugin grant {name}` shows and allows it"
        );
    } else {
        tracing::warn!(
            plugin = %name,
            "runs with what it is granted, and asks for more: {lacking}; `gleaner plugin grant {name}` shows and allows it"
        );
    }
}
