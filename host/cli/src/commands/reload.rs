//! Taking in what changes while a run goes on: plugin files and the configuration, when they have changed and on SIGHUP.
//!
//! Whatever changed, the next generation is made whole, beside the one in service, and replaces it or does not. Must
//! never let a configuration that is not valid, or a file that is no plugin, replace one that is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use gleaner_desk::Setting;
use gleaner_egress::Egress;
use gleaner_limits::KeyedLimiter;
use gleaner_model::clock::SharedClock;
use gleaner_orchestrator::{Generation, Live, Resolvers, Sources};
use gleaner_serve::{InForce, Ledger, Token};
use gleaner_watch::{Watch, Watched};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use toml::Value;

use crate::config::{Config, Layers, Loaded};
use crate::context::{Context, ReadAgain};
use crate::exit::Failed;
use crate::generations::{self, PluginFiles};

/// What a run can take in; anything else holds from the next start on.
const TAKEN_IN: [&str; 9] = [
    "contact",
    "egress",
    "limits",
    "plugins.dirs",
    "plugins.sandbox",
    "resolvers",
    "secrets",
    "serve.token",
    "tiers",
];
/// Generations that may be in use by running calls when the next one is made.
const MOST_RETAINED: usize = 16;
/// Between two looks whether one of them is free.
const UNTIL_FREED: Duration = Duration::from_millis(100);

/// Makes the generations of a run.
pub(crate) struct Reload {
    read_again: ReadAgain,
    files: PluginFiles,
    live: Arc<Live>,
    limiter: KeyedLimiter,
    clock: SharedClock,
    watch: Watch,
    in_force: Loaded,
    /// What the run began with, for what holds until its end.
    began: Vec<Setting>,
    /// Why the configuration, as it was read last, is not in force.
    complaint: Option<String>,
    /// Who else hears of it.
    told: Option<Told>,
}

/// Who hears what is loaded anew, and what holds then.
pub(crate) struct Told {
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) in_force: watch::Sender<Arc<InForce>>,
    pub(crate) token: watch::Sender<Token>,
}

/// A configuration that may replace the one in force.
struct Valid {
    loaded: Loaded,
    egress: Egress,
    /// What has to be shown to the server, if there is one.
    token: Option<Token>,
}

/// Why everything is looked at again.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Occasion {
    Asked,
    FilesChanged,
}

impl Reload {
    /// The first generation, and what makes the next ones. What cannot be used is said before anything is begun.
    pub(crate) async fn begin(context: &Context) -> Result<(Sources, Self), Failed> {
        let in_force = context.loaded.clone();
        let config = &in_force.config;
        generations::require_contact(config)?;
        let mut files = PluginFiles::new(context.runtime()?);
        // Before they are read, so that no change falls between.
        let watch = Watch::start(watched(&files, &in_force)).await;
        let resolvers = files.resolvers(config, None).await;
        refused(&resolvers, None).iter().for_each(|says| tracing::warn!("{says}"));
        if resolvers.list().next().is_none() {
            tracing::warn!("no resolver is loaded, so nothing can be found; see `gleaner plugin list`");
        }
        let sources = context.sources(resolvers, Some(generations::cache_dir(context.library_dir())))?;
        let (live, limiter, clock) = (Arc::clone(&sources.live), sources.limiter.clone(), context.clock());
        let read_again = context.read_again();
        let (began, complaint, told) = (in_force.layers.settings(), None, None);
        let reload =
            Self { read_again, files, live, limiter, clock, watch, in_force, began, complaint, told };
        Ok((sources, reload))
    }

    /// Tells somebody else too.
    pub(crate) fn telling(self, told: Told) -> Self {
        Self { told: Some(told), ..self }
    }

    /// Into the log, and to who else hears.
    fn say(&self, says: String) {
        tracing::warn!("{says}");
        if let Some(told) = &self.told {
            told.ledger.reloaded(says);
        }
    }

    /// Takes in what changes, until it is dropped.
    pub(crate) fn keep_up(mut self) -> std::io::Result<impl Future<Output = ()>> {
        let mut hangups = signal(SignalKind::hangup())?;
        Ok(async move {
            loop {
                let occasion = tokio::select! {
                    Some(()) = hangups.recv() => Occasion::Asked,
                    () = self.watch.changed() => Occasion::FilesChanged,
                };
                self.take_in(occasion).await;
            }
        })
    }

    async fn take_in(&mut self, occasion: Occasion) {
        // Each of them holds compiled code. A call ends within its wall time.
        while self.live.retained() >= MOST_RETAINED {
            tokio::time::sleep(UNTIL_FREED).await;
        }
        let before = self.live.now();
        let new = self.read(occasion, &before);
        let config = new.as_ref().map_or(&self.in_force.config, |new| &new.loaded.config);
        let resolvers = self.files.resolvers(config, Some(&before.resolvers)).await;
        let changes = resolvers.changes(&before.resolvers);
        refused(&resolvers, Some(&before.resolvers)).into_iter().for_each(|says| self.say(says));
        if new.is_none() && changes.is_empty() && resolvers.refused() == before.resolvers.refused() {
            return;
        }
        let egress = new.as_ref().map_or(&before.egress, |new| &new.egress).clone();
        let limits = config.limits.clone();
        let number = self.live.replace(generations::generation(config, resolvers, egress));
        // Also when they are the same: who waits for a host that only a removed plugin asks is planned anew.
        self.limiter.set_rules(limits);
        if !changes.is_empty() {
            self.say(format!("plugins have changed (generation {number}): {}", changes.join(", ")));
        }
        if let Some(new) = new {
            self.put_in_force(occasion, new.loaded);
        }
    }

    /// The configuration, if it is valid and there is something to say of it.
    fn read(&mut self, occasion: Occasion, before: &Generation) -> Option<Valid> {
        // A file that is gone is on its way to being replaced, or stays in force.
        let is_gone = self.in_force.file.as_ref().is_some_and(|file| !file.exists());
        if is_gone && occasion == Occasion::FilesChanged {
            return None;
        }
        match self.read_valid(before) {
            Err(failed) => {
                self.complain(occasion, failed.error.to_string());
                None
            }
            Ok(valid) => {
                self.complaint = None;
                self.renew(valid.token);
                let is_as_before = valid.loaded.layers.merged() == self.in_force.layers.merged();
                Some(valid).filter(|_| occasion == Occasion::Asked || !is_as_before)
            }
        }
    }

    /// From now on this has to be shown, and who watches by the old one is let go.
    fn renew(&self, token: Option<Token>) {
        let Some((told, token)) = self.told.as_ref().zip(token) else { return };
        let is_another = |now: &mut Token| std::mem::replace(now, token) != token;
        if told.token.send_if_modified(is_another) {
            self.say("the token of the server is another one from now on".to_owned());
        }
    }

    fn read_valid(&self, before: &Generation) -> Result<Valid, Failed> {
        let loaded = (self.read_again)(None)?;
        generations::require_contact(&loaded.config)?;
        let (new, old) = (&loaded.config, &self.in_force.config);
        let token = self.told.as_ref().map(|told| token(new, *told.token.borrow())).transpose()?;
        // It keeps its connections as long as it can.
        let egress = if new.egress == old.egress && new.contact == old.contact {
            before.egress.clone()
        } else {
            let cache = generations::cache_dir(&old.library.path);
            generations::egress(new, self.limiter.clone(), Arc::clone(&self.clock), Some(cache))?
        };
        Ok(Valid { loaded, egress, token })
    }

    fn put_in_force(&mut self, occasion: Occasion, new: Loaded) {
        let mut said = said_of(&self.in_force.layers, &new.layers);
        if said.is_empty() {
            said.push("nothing in it has changed".to_owned());
        }
        self.watch.set(watched(&self.files, &new));
        self.in_force = new;
        // What is told holds by then.
        if let Some(told) = &self.told {
            let mut in_force = generations::in_force(&self.in_force);
            in_force.settings =
                Setting::taken_in(&self.began, in_force.settings, |key| part_taken_in(key).is_some());
            // Of `[orchestrator]`, which holds from the next start on.
            in_force.rules.recheck_after = told.in_force.borrow().rules.recheck_after;
            told.in_force.send_replace(Arc::new(in_force));
        }
        self.say(format!("the configuration was read again ({occasion}): {}", said.join("; ")));
    }

    /// Once for each mistake, however often other files change meanwhile.
    fn complain(&mut self, occasion: Occasion, error: String) {
        if occasion == Occasion::Asked || self.complaint.as_ref() != Some(&error) {
            self.say(format!(
                "the configuration was read again ({occasion}), and the old one stays in force: {error}"
            ));
        }
        self.complaint = Some(error);
    }
}

impl std::fmt::Display for Occasion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Asked => "SIGHUP",
            Self::FilesChanged => "its file has changed",
        })
    }
}

/// What has to be shown to the server in place of `before`.
fn token(config: &Config, before: Token) -> Result<Token, Failed> {
    let token = generations::serve_token(config).map_err(Failed::configuration)?;
    Ok(before.replaced_by(token)?)
}

fn watched(files: &PluginFiles, loaded: &Loaded) -> Watched {
    let config = &loaded.config;
    let secrets = config.secrets.values().chain(&config.serve.token).map(|secret| secret.file.clone());
    let single = loaded.candidates.iter().cloned().chain(secrets).collect();
    Watched { dirs: files.dirs(&loaded.config), endings: vec!["wasm", "toml"], files: single }
}

/// What is not used and was not said before.
fn refused(resolvers: &Resolvers, before: Option<&Resolvers>) -> Vec<String> {
    let known = before.map(Resolvers::refused).unwrap_or_default();
    let new = resolvers.refused().iter().filter(|refused| !known.contains(refused));
    new.map(|refused| format!("{} is not used: {}", refused.path.display(), refused.problem)).collect()
}

/// The part of what a run takes in that a key belongs to.
fn part_taken_in(key: &str) -> Option<&'static str> {
    let has =
        |part: &&str| key.strip_prefix(*part).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    TAKEN_IN.into_iter().find(has)
}

/// What changed between two configurations: sections that a run takes in, and single values that it cannot.
fn said_of(old: &Layers, new: &Layers) -> Vec<String> {
    let rows = |layers: &Layers| layers.flattened().into_iter().collect::<BTreeMap<String, Value>>();
    let (old, new) = (rows(old), rows(new));
    let keys: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let (mut taken_in, mut others) = (Vec::new(), Vec::new());
    for key in keys.into_iter().filter(|key| old.get(*key) != new.get(*key)) {
        match part_taken_in(key) {
            Some(part) if !taken_in.contains(&part) => taken_in.push(part),
            Some(_) => {}
            None => others.push(key.as_str()),
        }
    }
    let mut said = Vec::new();
    if !taken_in.is_empty() {
        said.push(format!("what changed in {} holds from now on", taken_in.join(", ")));
    }
    if !others.is_empty() {
        said.push(format!("what changed in {} holds from the next start on", others.join(", ")));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_in_is_told_from_what_is_not() {
        let layers = |text: &str| {
            let mut layers = Layers::default();
            layers.add_toml(text, "my.toml").unwrap();
            layers
        };
        let old = layers(
            "contact = \"a@b.org\"\n[limits]\nx = 1\ny = 1\n[egress]\ny = 1\n[plugins]\ndirs = []\ncache-size = 1",
        );
        let new = layers(
            "contact = \"c@b.org\"\n[limits]\nx = 2\ny = 2\n[egress]\ny = 1\n[plugins]\ndirs = [1]\ncache-size = 2\n[library]\npath = \"x\"",
        );
        assert_eq!(
            said_of(&old, &new),
            [
                "what changed in contact, limits, plugins.dirs holds from now on",
                "what changed in library.path, plugins.cache-size holds from the next start on",
            ]
        );
        assert!(said_of(&old, &old).is_empty());
    }
}
