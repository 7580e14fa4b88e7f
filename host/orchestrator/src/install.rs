//! One plugin with what the operator set for it and allows it: what it may reach, use and read.
//!
//! A request for rights is never a right: what a plugin may reach is computed here, from the operator's configuration, and
//! nowhere else.

use std::collections::BTreeMap;
use std::sync::Arc;

use gleaner_egress::{Injection, PluginPolicy};
use gleaner_model::key::{HostKey, Key, ResolverName};
use gleaner_runtime::{Plugin, Sandbox};

use crate::asked::{Lacking, asked_hosts};
use crate::config::{Carrier, Grants, InjectConfig, ResolverConfig};
use crate::sidecar::Sidecar;

/// One resolver, ready to be asked.
pub(crate) struct Installed {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) settings: Arc<BTreeMap<String, String>>,
    /// What egress allows it.
    pub(crate) policy: Arc<PluginPolicy>,
    pub(crate) sandbox: Sandbox,
    /// The keys of the hosts that it asks, the usual one first.
    pub(crate) host_keys: Arc<[Key]>,
    pub(crate) sidecar: Option<Arc<Sidecar>>,
    /// Every host that it asks for.
    pub(crate) asked: Vec<String>,
    /// By name, as they were read.
    pub(crate) secrets: BTreeMap<String, String>,
}

impl Installed {
    pub(crate) fn lacking(&self) -> Lacking {
        Lacking::of(&self.asked, self.sidecar.as_deref(), &self.policy.hosts, &self.sandbox)
    }
}

/// What one plugin is held to.
pub(crate) struct Rules<'a> {
    pub(crate) config: &'a ResolverConfig,
    /// Bundled: gets the hosts it asks for, unless the operator says which.
    pub(crate) trusted: bool,
    pub(crate) contact: Option<&'a str>,
    pub(crate) sandbox: Sandbox,
    pub(crate) secret: &'a dyn Fn(&str) -> Result<String, String>,
    pub(crate) before: Option<&'a Installed>,
}

impl Rules<'_> {
    pub(crate) fn install(
        &self,
        plugin: Arc<Plugin>,
        sidecar: Option<Arc<Sidecar>>,
    ) -> Result<Installed, String> {
        let (config, info) = (self.config, &plugin.info);
        let name = &info.name;
        if let Some(pin) = &config.sha256
            && !pin.eq_ignore_ascii_case(&info.sha256)
        {
            return Err(format!(
                "the component's SHA-256 is {}, and resolvers.{name}.sha256 asks for {pin}; if the new file is meant, change the pin",
                info.sha256
            ));
        }
        if let Some(pin) = &config.sidecar_sha256
            && !sidecar.as_ref().is_some_and(|sidecar| pin.eq_ignore_ascii_case(&sidecar.sha256))
        {
            let digest = sidecar.as_ref().map_or("of no file", |sidecar| &sidecar.sha256);
            return Err(format!(
                "its sidecar's SHA-256 is {digest}, and resolvers.{name}.sidecar-sha256 asks for {pin}; if the new file is meant, change the pin"
            ));
        }
        let asked = asked_hosts(info, sidecar.as_deref());
        let spelt = |grants: &Grants| grants.hosts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let mut hosts = match config.grants.as_ref().map(spelt) {
            Some(granted) => granted,
            None if self.trusted => asked.clone(),
            None => Vec::new(),
        };
        // The usual host first: it is the one a permit is reserved for.
        if let Some(base) = config.base_url.as_ref().and_then(HostKey::of).map(|host| host.to_string()) {
            hosts.retain(|host| *host != base);
            hosts.insert(0, base);
        }
        let (injections, secrets) = self.injections(name)?;
        // A pattern names no host, so there is nothing to reserve for it.
        let exact = hosts.iter().filter(|host| !host.contains('*'));
        let host_keys =
            exact.map(|host| Key::Host(HostKey::from_normalised(&host.to_ascii_lowercase()))).collect();
        let sandbox = self.sandbox.with(&config.sandbox.unwrap_or_default());
        let policy = PluginPolicy {
            name: name.clone(),
            hosts,
            injections,
            max_requests: Some(sandbox.requests),
            max_bytes: Some(sandbox.bytes.0),
        };
        let settings = Arc::new(self.settings(sidecar.as_deref()));
        let policy = Arc::new(policy);
        Ok(Installed { settings, policy, sandbox, host_keys, sidecar, asked, secrets, plugin })
    }

    /// The operator's, then the contact, then what the sidecar has for want of them.
    fn settings(&self, sidecar: Option<&Sidecar>) -> BTreeMap<String, String> {
        let mut settings = self.config.settings.clone();
        if let Some(url) = &self.config.base_url {
            settings.insert("base-url".into(), url.as_str().trim_end_matches('/').to_owned());
        }
        if let Some(contact) = self.contact {
            settings.entry("contact".into()).or_insert_with(|| contact.to_owned());
        }
        for (name, value) in sidecar.iter().flat_map(|sidecar| &sidecar.settings) {
            settings.entry(name.clone()).or_insert_with(|| value.clone());
        }
        settings
    }

    /// What the host adds to requests, and the secrets by name. One that cannot be read any more stays as it was.
    fn injections(&self, name: &ResolverName) -> Result<(Vec<Injection>, BTreeMap<String, String>), String> {
        let (mut injections, mut secrets) = (Vec::new(), BTreeMap::new());
        for inject in &self.config.inject {
            let value = match (self.secret)(&inject.secret) {
                Ok(value) => value,
                Err(problem) => {
                    let before = self.before.and_then(|before| before.secrets.get(&inject.secret));
                    let Some(value) = before else { return Err(problem) };
                    tracing::warn!(plugin = %name, "{problem}; the secret as it was before stays in use");
                    value.clone()
                }
            };
            injections.push(injection(inject, value.clone()));
            secrets.insert(inject.secret.clone(), value);
        }
        Ok((injections, secrets))
    }
}

fn injection(config: &InjectConfig, secret: String) -> Injection {
    let (header, query) = match config.carrier.clone() {
        Carrier::Header(name) => (Some(name), None),
        Carrier::Query(name) => (None, Some(name)),
    };
    Injection { host: config.host.to_string(), header, query, secret }
}
