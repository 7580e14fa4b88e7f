//! Resolvers as they are shown: what each is, asks for, may reach and lacks, and the files that are not used.
//!
//! Must never show a secret, only what carries it.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::PathBuf;

use gleaner_model::clock::UnixMillis;
use gleaner_model::next::Takes;
use gleaner_model::suspension::Suspension;
use gleaner_orchestrator::{Refused, Resolvers, Wish};
use gleaner_runtime::PluginInfo;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

/// What a plugin is and says of itself.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PluginBase {
    /// The resolver's name.
    pub name: String,
    /// As it says.
    pub version: String,
    /// What it does, in a sentence.
    pub summary: String,
    /// The component.
    pub path: PathBuf,
    /// Of the component, in lower-case hex.
    pub sha256: String,
    /// Bytes of the component.
    pub size: u64,
    /// The interface it was built for.
    pub wit: String,
    /// What it takes: schemes of identifiers, `landing-page`, `failed-url`.
    pub takes: Vec<String>,
    /// Hosts it asks for.
    pub hosts: Vec<String>,
    /// Hosts it may reach; null where it is not used.
    pub granted_hosts: Option<Vec<String>>,
    /// What it can be told; a name with `!` is required.
    pub settings: Vec<PluginSetting>,
    /// Interfaces it takes.
    pub imports: Vec<String>,
    /// Interfaces it gives.
    pub exports: Vec<String>,
    /// Most works that one call can be for.
    pub works_a_call: u32,
    /// What an instance takes from the start.
    #[schemars(with = "Map<String, Value>")]
    pub needs: gleaner_runtime::Needs,
    /// How long it took to compile or to read from the cache.
    pub compile_ms: u64,
}

/// Something that a plugin can be told.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PluginSetting {
    /// As the configuration names it; with `!` it is required.
    pub name: String,
    /// What it means.
    pub meaning: String,
}

impl PluginBase {
    /// One that may reach these hosts, or is not used.
    pub fn new(info: &PluginInfo, asked: &[String], granted: Option<&[String]>) -> Self {
        let setting = |(name, meaning): &(String, String)| PluginSetting {
            name: name.clone(),
            meaning: meaning.clone(),
        };
        Self {
            name: info.name.to_string(),
            version: info.version.clone(),
            summary: info.summary.clone(),
            path: info.path.clone(),
            sha256: info.sha256.clone(),
            size: info.size,
            wit: info.wit.clone(),
            takes: info.takes.iter().map(takes_word).collect(),
            hosts: asked.to_vec(),
            granted_hosts: granted.map(<[String]>::to_vec),
            settings: info.settings.iter().map(setting).collect(),
            imports: info.imports.clone(),
            exports: info.exports.clone(),
            works_a_call: info.most.map_or(1, NonZeroU32::get),
            needs: info.needs,
            compile_ms: u64::try_from(info.compile.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

/// A plugin that is not called for a while.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Held {
    /// RFC 3339.
    pub until: String,
    /// Failures in a row.
    pub failures: u32,
    /// The last of them.
    pub because: String,
}

/// A limit of a call that a plugin asks to be larger than it is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LackingLimit {
    /// As the configuration names it.
    pub limit: String,
    /// What is asked for.
    pub asked: String,
    /// What it is.
    pub allowed: String,
}

impl From<&Wish> for LackingLimit {
    fn from(wish: &Wish) -> Self {
        Self {
            limit: wish.limit.to_string(),
            asked: wish.asked.to_string(),
            allowed: wish.allowed.to_string(),
        }
    }
}

/// A resolver in use.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PluginView {
    /// What it is.
    #[serde(flatten)]
    pub base: PluginBase,
    /// Hosts it asks for and may not reach.
    pub not_granted: Vec<String>,
    /// Limits of a call that it asks to be larger.
    pub not_granted_limits: Vec<LackingLimit>,
    /// Why it is not called, if it is not.
    pub suspended: Option<Held>,
}

impl PluginView {
    /// Every resolver in use.
    pub fn all(resolvers: &Resolvers, suspended: &[Suspension]) -> Vec<Self> {
        let in_use = resolvers.list().filter_map(|(plugin, _)| {
            let info = &plugin.info;
            let rights = resolvers.rights(&info.name)?;
            let held = suspended.iter().find(|one| one.resolver == info.name);
            Some(Self {
                base: PluginBase::new(info, rights.asked, Some(rights.hosts)),
                not_granted_limits: rights.lacking.limits.iter().map(LackingLimit::from).collect(),
                not_granted: rights.lacking.hosts,
                suspended: held.map(|one| Held {
                    until: one.until.to_string(),
                    failures: one.failures,
                    because: one.because.clone(),
                }),
            })
        });
        in_use.collect()
    }
}

/// The suspensions that hold for the components in use.
pub fn suspended_now(mut all: Vec<Suspension>, resolvers: &Resolvers, now: UnixMillis) -> Vec<Suspension> {
    all.retain(|one| resolvers.sha256(&one.resolver).is_some_and(|sha256| one.holds(&sha256, now)));
    all
}

/// A file that is not used.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RefusedView {
    /// Which.
    pub path: PathBuf,
    /// Why.
    pub problem: String,
}

impl From<&Refused> for RefusedView {
    fn from(refused: &Refused) -> Self {
        Self { path: refused.path.clone(), problem: refused.problem.clone() }
    }
}

/// Required settings that are not there, each with where to give it.
pub fn problems_of_settings(info: &PluginInfo, given: &BTreeMap<String, String>) -> Vec<String> {
    let name = &info.name;
    let required = info.settings.iter().filter_map(|(setting, _)| setting.strip_suffix('!'));
    let missing = required.filter(|setting| !given.contains_key(*setting));
    missing
        .map(|setting| {
            let place = match setting {
                "contact" => "at the top of the configuration".to_owned(),
                "base-url" => format!("under [resolvers.{name}]"),
                other => format!("as resolvers.{name}.settings.{other}"),
            };
            format!("resolver {name} needs the setting {setting:?}; give it {place}")
        })
        .collect()
}

/// What a plugin takes, in words.
pub fn takes(info: &PluginInfo) -> String {
    info.takes.iter().map(takes_word).collect::<Vec<_>>().join(" ")
}

fn takes_word(takes: &Takes) -> String {
    match takes {
        Takes::Identifier(scheme, prefix) if prefix.is_empty() => scheme.to_string(),
        Takes::Identifier(scheme, prefix) => format!("{scheme}:{prefix}"),
        Takes::LandingPage => "landing-page".into(),
        Takes::FailedUrl => "failed-url".into(),
    }
}
