//! The configuration: embedded defaults, a file, the environment, flags; each value with its origin.
//!
//! A [`Config`] exists only when all of it is valid. Must never show a secret: only where secrets stand is in it.

mod annotated;
mod edit;
mod layers;
mod load;
#[cfg(test)]
mod reference;
mod schema;

use std::collections::BTreeMap;
use std::path::PathBuf;

use gleaner_content::{ContentConfig, NameTemplate};
use gleaner_egress::EgressConfig;
use gleaner_limits::LimitRules;
use gleaner_model::key::ResolverName;
use gleaner_model::units::ByteSize;
use gleaner_orchestrator::SecretConfig;
use gleaner_orchestrator::config::{OrchestratorConfig, ResolverConfig, SuspendConfig, TiersConfig};
use gleaner_runtime::Sandbox;
use gleaner_serve::ServeConfig;
use gleaner_store::StoreOptions;
use gleaner_telemetry::TelemetryConfig;
use serde::Deserialize;

pub(crate) use annotated::template;
pub(crate) use edit::{Change, replace};
pub(crate) use layers::Layers;
pub(crate) use load::{ConfigError, Loaded, beside, load};
pub(crate) use schema::schema;

/// The effective configuration.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Config {
    /// E-mail address for the User-Agent and for polite pools.
    pub(crate) contact: Option<Contact>,
    /// The directory that is worked on.
    pub(crate) library: LibraryConfig,
    /// Where resolvers are, and what a call of one may use.
    pub(crate) plugins: PluginsConfig,
    /// What is set for one resolver, by its name.
    #[serde(default)]
    pub(crate) resolvers: BTreeMap<ResolverName, ResolverConfig>,
    /// Where secrets stand, by name; the environment wins.
    #[serde(default)]
    pub(crate) secrets: BTreeMap<String, SecretConfig>,
    /// Who is asked in which order, and what a work may cost.
    pub(crate) tiers: TiersConfig,
    /// What resolvers and hosts may do.
    pub(crate) limits: LimitRules,
    /// Requests to the outside.
    pub(crate) egress: EgressConfig,
    /// What counts as a file.
    pub(crate) content: ContentConfig,
    /// How a run works.
    pub(crate) orchestrator: OrchestratorConfig,
    /// How the database is written.
    pub(crate) queue: StoreOptions,
    /// What is told to a collector of yours.
    pub(crate) telemetry: TelemetryConfig,
    pub(crate) serve: ServeConfig,
}

/// `[library]`.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct LibraryConfig {
    /// The directory.
    pub(crate) path: PathBuf,
    /// How files are named for people.
    pub(crate) name_template: NameTemplate,
}

/// `[plugins]`.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct PluginsConfig {
    /// Directories beside the bundled one.
    pub(crate) dirs: Vec<PathBuf>,
    /// The most that compiled plugins may take in the cache.
    pub(crate) cache_size: ByteSize,
    /// What one call may use, unless its resolver's section says otherwise.
    pub(crate) sandbox: Sandbox,
    /// When a plugin is not called for a while.
    pub(crate) suspend: SuspendConfig,
}

/// An e-mail address, as far as a program can tell.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(try_from = "String")]
#[schemars(into = "String")]
pub(crate) struct Contact(String);

impl Contact {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Contact {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fits = text.len() <= 254
            && text.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'(' | b')' | b'<' | b'>' | b'"'))
            && text.split_once('@').is_some_and(|(user, host)| !user.is_empty() && host.contains('.'));
        if fits {
            Ok(Self(text))
        } else {
            Err(format!("{text:?} is not an e-mail address like you@example.org"))
        }
    }
}
