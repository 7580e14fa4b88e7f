//! What plugins ask for, against what they are allowed.
//!
//! Must never change what is allowed: it only tells the difference.

use std::fmt;

use gleaner_runtime::{PluginInfo, Sandbox};

use crate::sidecar::Sidecar;

/// What a plugin asks for and does not have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lacking {
    /// Hosts and patterns.
    pub hosts: Vec<String>,
    /// Limits of a call.
    pub limits: Vec<Wish>,
}

impl Lacking {
    /// The difference between what is asked for and these grants and limits.
    pub fn of(asked: &[String], sidecar: Option<&Sidecar>, granted: &[String], sandbox: &Sandbox) -> Self {
        Self { hosts: not_granted(asked, granted), limits: wishes(sidecar, sandbox) }
    }

    /// Whether it has all that it asks for.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty() && self.limits.is_empty()
    }
}

impl fmt::Display for Lacking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let limit = |wish: &Wish| format!("{} {} (now {})", wish.limit, wish.asked, wish.allowed);
        let all: Vec<String> = self.hosts.iter().cloned().chain(self.limits.iter().map(limit)).collect();
        f.write_str(&all.join(", "))
    }
}

/// Every host that a plugin asks for: those of its description, then those of its sidecar.
pub fn asked_hosts(info: &PluginInfo, sidecar: Option<&Sidecar>) -> Vec<String> {
    let mut hosts = info.hosts.clone();
    for host in sidecar.iter().flat_map(|sidecar| &sidecar.hosts).map(ToString::to_string) {
        if !hosts.contains(&host) {
            hosts.push(host);
        }
    }
    hosts
}

/// Hosts and patterns that are asked for and that no grant covers.
fn not_granted(asked: &[String], granted: &[String]) -> Vec<String> {
    asked.iter().filter(|host| !granted.iter().any(|grant| covers(grant, host))).cloned().collect()
}

/// Whether a grant allows every host that a request means. One without a port means the usual ports only.
fn covers(grant: &str, asked: &str) -> bool {
    let has_port = asked.trim_end_matches(|c: char| c.is_ascii_digit()).ends_with(':');
    match grant.strip_prefix('*') {
        _ if grant == asked => true,
        None => false,
        Some("") => !has_port,
        Some(below) => asked.strip_prefix('*').unwrap_or(asked).ends_with(below) && asked != "*",
    }
}

/// A limit of a call that a plugin asks to be larger than it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    /// As the configuration names it: `memory`.
    pub limit: &'static str,
    /// As the configuration would say it: `128MiB`, `64`.
    pub asked: String,
    /// What holds instead.
    pub allowed: String,
}

/// The limits that a sidecar asks to be larger than they are.
fn wishes(sidecar: Option<&Sidecar>, has: &Sandbox) -> Vec<Wish> {
    fn larger<T: PartialOrd + ToString>(limit: &'static str, asked: Option<T>, has: T) -> Option<Wish> {
        let asked = asked.filter(|asked| *asked > has)?;
        Some(Wish { limit, asked: asked.to_string(), allowed: has.to_string() })
    }
    let Some(Sidecar { sandbox: asked, .. }) = sidecar else { return Vec::new() };
    let all = [
        larger("memory", asked.memory, has.memory),
        larger("cpu", asked.cpu, has.cpu),
        larger("wall", asked.wall, has.wall),
        larger("requests", asked.requests, has.requests),
        larger("response", asked.response, has.response),
        larger("bytes", asked.bytes, has.bytes),
        larger("log-lines", asked.log_lines, has.log_lines),
        larger("reuse", asked.reuse, has.reuse),
    ];
    all.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grant_covers_what_it_says() {
        for (grant, asked, covered) in [
            ("a.example", "a.example", true),
            ("a.example", "a.example:8443", false),
            ("*.example", "a.example", true),
            ("*.example", "example", false),
            ("*.example", "*.b.example", true),
            ("*.example", "*.example", true),
            ("*.b.example", "*.example", false),
            ("*.example", "a.example:8443", false),
            ("*.example", "badexample", false),
            ("a.example", "*.example", false),
            ("*", "*", true),
            ("*", "*.example", true),
            ("*", "a.example:8443", false),
            ("*.example", "*", false),
        ] {
            assert_eq!(covers(grant, asked), covered, "{grant} {asked}");
        }
    }

    #[test]
    fn only_larger_limits_are_wishes() {
        let sidecar = Sidecar::parse(
            "x.toml".into(),
            "sandbox = { memory = \"128MiB\", cpu = \"1s\", requests = 64, reuse = 1 }",
        )
        .unwrap();
        let wishes = wishes(Some(&sidecar), &Sandbox::default());
        let said: Vec<_> = wishes.iter().map(|wish| (wish.limit, &*wish.asked, &*wish.allowed)).collect();
        assert_eq!(said, [("memory", "128MiB", "64MiB"), ("requests", "64", "32")]);
    }
}
