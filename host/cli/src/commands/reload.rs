//! Taking in a changed configuration while a run goes on: on SIGHUP, and when the file has changed.
//!
//! Only `[limits]` can change under a run; what else has changed is named. A configuration that is not valid must never
//! replace one that is.

use std::time::Duration;

use gleaner_limits::KeyedLimiter;
use tokio::signal::unix::{Signal, SignalKind, signal};
use toml::Table;

use crate::config::{Loaded, Stamp};
use crate::context::{Context, ReadAgain};

/// How often the file is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A file that changed is read once it has stayed the same for so long: it may be written in pieces.
const SETTLED: Duration = Duration::from_millis(200);
/// The section that a run can take in.
const LIMITS: &str = "limits";

/// The configuration in force.
struct Reload {
    read_again: ReadAgain,
    limiter: KeyedLimiter,
    in_force: Table,
    /// The file as it was when it was last read.
    read: Option<Stamp>,
}

/// Keeps the limits as the configuration has them, until it is dropped.
pub(crate) fn watch(
    context: &Context,
    limiter: KeyedLimiter,
) -> std::io::Result<impl Future<Output = ()> + use<>> {
    let mut hangups = signal(SignalKind::hangup())?;
    let mut reload = Reload {
        read_again: context.read_again(),
        limiter,
        in_force: context.loaded.layers.merged().clone(),
        read: context.loaded.stamp.clone(),
    };
    Ok(async move {
        loop {
            let occasion = reload.wait(&mut hangups).await;
            reload.take_in(occasion);
        }
    })
}

impl Reload {
    /// Waits until there is reason to read the configuration again, and says which.
    async fn wait(&self, hangups: &mut Signal) -> &'static str {
        loop {
            tokio::select! {
                Some(()) = hangups.recv() => return "SIGHUP",
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            // A file that is gone is on its way to being replaced, or stays in force.
            let Some(mut seen) = self.read.as_ref().and_then(Stamp::again) else { continue };
            if Some(&seen) == self.read.as_ref() {
                continue;
            }
            loop {
                tokio::time::sleep(SETTLED).await;
                match seen.again() {
                    Some(now) if now != seen => seen = now,
                    _ => break,
                }
            }
            return "its file has changed";
        }
    }

    fn take_in(&mut self, occasion: &str) {
        // Before reading: what is written meanwhile is read the next time.
        let before = self.read.as_ref().and_then(Stamp::again);
        match (self.read_again)() {
            Ok(loaded) => self.apply(occasion, loaded),
            Err(error) => {
                self.read = before.or(self.read.take());
                tracing::warn!(
                    "the configuration was read again ({occasion}), and the old one stays in force: {error}"
                );
            }
        }
    }

    fn apply(&mut self, occasion: &str, loaded: Loaded) {
        let new = loaded.layers.merged();
        let changed = changed_sections(&self.in_force, new);
        let (limits, others): (Vec<_>, Vec<_>) = changed.into_iter().partition(|section| section == LIMITS);
        let mut said = Vec::new();
        if !limits.is_empty() {
            said.push("[limits] holds from now on".to_owned());
            match new.get(LIMITS) {
                Some(section) => self.in_force.insert(LIMITS.to_owned(), section.clone()),
                None => self.in_force.remove(LIMITS),
            };
        }
        if !others.is_empty() {
            let named: Vec<_> = others.iter().map(|section| in_brackets(section, new)).collect();
            said.push(format!("what changed in {} holds from the next start on", named.join(", ")));
        }
        if said.is_empty() {
            said.push("nothing in it has changed".to_owned());
        }
        self.limiter.set_rules(loaded.config.limits);
        self.read = loaded.stamp;
        tracing::warn!("the configuration was read again ({occasion}): {}", said.join("; "));
    }
}

/// The sections and single values at the top in which two configurations differ.
fn changed_sections(old: &Table, new: &Table) -> Vec<String> {
    let added = new.keys().filter(|section| !old.contains_key(*section));
    old.keys().chain(added).filter(|section| old.get(*section) != new.get(*section)).cloned().collect()
}

fn in_brackets(section: &str, table: &Table) -> String {
    if table.get(section).is_none_or(toml::Value::is_table) {
        format!("[{section}]")
    } else {
        section.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_that_differ_are_named_as_they_are_written() {
        let table = |text: &str| text.parse::<Table>().unwrap();
        let old = table("contact = \"a@b.org\"\n[limits]\nx = 1\n[egress]\ny = 1\n[gone]\nz = 1");
        let new = table("contact = \"c@b.org\"\n[limits]\nx = 2\n[egress]\ny = 1\n[more]\nz = 1");
        let mut changed = changed_sections(&old, &new);
        changed.sort();
        let named: Vec<_> = changed.iter().map(|section| in_brackets(section, &new)).collect();
        assert_eq!(named, ["contact", "[gone]", "[limits]", "[more]"]);
        assert!(changed_sections(&old, &old).is_empty());
    }
}
