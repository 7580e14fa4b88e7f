//! The resolvers of a run: loaded plugins with what the operator set for them and allows them.
//!
//! A request for rights is never a right: what a plugin may reach is computed here, from the operator's
//! configuration, and nowhere else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gleaner_egress::{Injection, PluginPolicy};
use gleaner_model::key::{HostKey, Key, ResolverName};
use gleaner_model::next::Takes;
use gleaner_runtime::{Catalogue, Plugin, Sandbox};

use crate::config::{Carrier, Grants, InjectConfig, ResolverConfig};

/// A plugin that was found and is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its file.
    pub path: PathBuf,
    /// Why, and what to do.
    pub problem: String,
}

/// One resolver, ready to be asked.
pub(crate) struct Installed {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) settings: Arc<BTreeMap<String, String>>,
    /// What egress allows it.
    pub(crate) policy: Arc<PluginPolicy>,
    pub(crate) sandbox: Sandbox,
    /// The keys of the hosts that it asks, the usual one first.
    pub(crate) host_keys: Arc<[Key]>,
}

/// What a resolver in use has, from its own requests and the operator's configuration. Shows no secret.
#[derive(Debug)]
pub struct Rights<'a> {
    /// Hosts it may reach.
    pub hosts: &'a [String],
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
    /// up by name. A file that is refused leaves the plugin that it was in `before` in use, if the configuration allows
    /// that one.
    pub fn assemble(
        catalogue: Catalogue,
        bundled: Option<&Path>,
        configs: &BTreeMap<ResolverName, ResolverConfig>,
        contact: Option<&str>,
        sandbox: Sandbox,
        secret: &dyn Fn(&str) -> Option<String>,
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
            let trusted = bundled.is_some()
                && path.parent().and_then(|dir| dir.canonicalize().ok()).as_deref() == bundled;
            let install = |plugin| install(plugin, config, trusted, contact, sandbox, secret);
            let installed = match install(plugin) {
                Ok(installed) => Some(installed),
                Err(problem) => {
                    let before = before.and_then(|before| before.get(&name));
                    let before = before.filter(|before| before.plugin.info.path == path);
                    let kept = before.and_then(|before| install(Arc::clone(&before.plugin)).ok());
                    resolvers.refuse(path, problem, kept.is_some());
                    kept
                }
            };
            if let Some(installed) = installed {
                say_if_shut_in(&installed, before.and_then(|before| before.get(&name)));
                resolvers.installed.insert(name, installed);
            }
        }
        resolvers
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
                Some(_) => {}
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

/// Says once that a plugin may reach nothing of what it asks for, and how to allow it.
fn say_if_shut_in(one: &Installed, before: Option<&Installed>) {
    let asked = |one: &Installed| one.plugin.info.hosts.clone();
    let is_shut_in = |one: &Installed| one.policy.hosts.is_empty() && !one.plugin.info.hosts.is_empty();
    let was_said = before.is_some_and(|before| is_shut_in(before) && asked(before) == asked(one));
    if is_shut_in(one) && !was_said {
        let info = &one.plugin.info;
        tracing::warn!(
            plugin = %info.name,
            "may reach no host; to allow what it asks for, write [resolvers.{}] grants = {{ hosts = {:?} }}",
            info.name, info.hosts
        );
    }
}

fn install(
    plugin: Arc<Plugin>,
    config: &ResolverConfig,
    trusted: bool,
    contact: Option<&str>,
    sandbox: Sandbox,
    secret: &dyn Fn(&str) -> Option<String>,
) -> Result<Installed, String> {
    let info = &plugin.info;
    if let Some(pin) = &config.sha256
        && !pin.eq_ignore_ascii_case(&info.sha256)
    {
        return Err(format!(
            "the component's SHA-256 is {}, and resolvers.{}.sha256 asks for {pin}; if the new file is meant, change the pin",
            info.sha256, info.name
        ));
    }
    let spelt = |grants: &Grants| grants.hosts.iter().map(ToString::to_string).collect::<Vec<_>>();
    let granted = config.grants.as_ref().map(spelt);
    let own_base = config.base_url.as_ref().and_then(HostKey::of).map(|host| host.to_string());
    let mut hosts = match granted {
        Some(granted) => granted,
        None if trusted => info.hosts.clone(),
        None => Vec::new(),
    };
    // The usual host first: it is the one a permit is reserved for.
    if let Some(base) = own_base {
        hosts.retain(|host| *host != base);
        hosts.insert(0, base);
    }
    let mut settings = config.settings.clone();
    if let Some(url) = &config.base_url {
        settings.insert("base-url".into(), url.as_str().trim_end_matches('/').to_owned());
    }
    if let Some(contact) = contact {
        settings.entry("contact".into()).or_insert_with(|| contact.to_owned());
    }
    let injections =
        config.inject.iter().map(|inject| injection(inject, secret)).collect::<Result<_, _>>()?;
    // A pattern names no host, so there is nothing to reserve for it.
    let exact = hosts.iter().filter(|host| !host.contains('*'));
    let host_keys =
        exact.map(|host| Key::Host(HostKey::from_normalised(&host.to_ascii_lowercase()))).collect();
    let sandbox = sandbox.with(&config.sandbox.unwrap_or_default());
    let policy = PluginPolicy {
        name: info.name.clone(),
        hosts,
        injections,
        max_requests: Some(sandbox.requests),
        max_bytes: Some(sandbox.bytes.0),
    };
    Ok(Installed { settings: Arc::new(settings), policy: Arc::new(policy), sandbox, host_keys, plugin })
}

fn injection(config: &InjectConfig, secret: &dyn Fn(&str) -> Option<String>) -> Result<Injection, String> {
    let value = secret(&config.secret).ok_or_else(|| {
        let variable = config.secret.to_ascii_uppercase().replace('-', "_");
        format!(
            "the secret {:?} is not set; set the environment variable GLEANER_SECRET_{variable}",
            config.secret
        )
    })?;
    let (header, query) = match config.carrier.clone() {
        Carrier::Header(name) => (Some(name), None),
        Carrier::Query(name) => (None, Some(name)),
    };
    Ok(Injection { host: config.host.to_string(), header, query, secret: value })
}
