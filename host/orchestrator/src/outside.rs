//! What comes from outside: ten thousand mutations of the sections `[orchestrator]`, `[tiers]` and
//! `[resolvers.NAME]`; and every error of this crate as people read it, approved in `messages.txt`.

use std::time::Duration;

use gleaner_testing::{Messages, each_mutation};
use serde::Deserialize;

use crate::RunError;
use crate::config::{
    Carrier, GrantedHost, InjectConfig, OrchestratorConfig, ResolverConfig, SuspendConfig, TiersConfig,
};

#[derive(Debug, Deserialize)]
struct File {
    orchestrator: OrchestratorConfig,
    plugins: Plugins,
    tiers: TiersConfig,
    resolvers: std::collections::BTreeMap<String, ResolverConfig>,
}

#[derive(Debug, Deserialize)]
struct Plugins {
    suspend: SuspendConfig,
}

const SECTIONS: &str = r#"[orchestrator]
workers = 8
max-fetches = 64
lease-ttl = "10m"
heartbeat = "1m"
max-attempts = 4
backoff = "30s"
gather = "10s"
grace = "30s"
fetch-deadline = "10m"
recheck-after = "30d"
[plugins.suspend]
after = 10
pause = "10m"
[tiers]
prefer = "published"
license = "open"
blocking-hosts = ["www.Publisher.example"]
budgets = { attempts = 30, time = "7d" }
list = [{ name = "open", resolvers = ["unpaywall", "arxiv"], width = 1 }, { name = "rest", resolvers = [] }]
[resolvers.unpaywall]
enabled = true
base-url = "https://mirror.example/v2"
settings = { "closed-links" = "true" }
sandbox = { memory = "64MiB", cpu = "2s", wall = "60s", requests = 32 }
grants = { hosts = ["api.example.org", "*.Example.org", "*"] }
inject = [{ host = "api.example.org", header = "x-key", secret = "key" }, { host = "b.example:8443", query = "k", secret = "s" }]
sha256 = "00"
sidecar-sha256 = "00"
"#;

#[test]
fn mutated_sections_are_refused_or_can_be_run_with() {
    each_mutation(&[SECTIONS], |text| {
        let Ok(file) = toml::from_str::<File>(text) else { return };
        let run = &file.orchestrator;
        assert!((1..=256).contains(&run.workers.get()) && (1..=4096).contains(&run.max_fetches.get()));
        assert!(run.heartbeat.0 >= Duration::from_secs(5) && run.heartbeat < run.lease_ttl);
        assert!(file.plugins.suspend.after.get() > 0 && !file.plugins.suspend.pause.0.is_zero());
        assert_eq!(file.tiers.lower().0.len(), file.tiers.list.len());
        for resolver in file.resolvers.values() {
            resolver.inject.iter().for_each(assert_leads_to_one_host);
        }
    });
}

/// A secret goes to one host, in a header or a parameter that can be sent.
fn assert_leads_to_one_host(inject: &InjectConfig) {
    assert!(!inject.host.to_string().contains('*'));
    if let Carrier::Header(name) = &inject.carrier {
        assert!(http::HeaderName::try_from(name).is_ok());
    }
}

#[test]
fn a_star_is_not_spelt_in_disguise() {
    assert!(GrantedHost::try_from("%2A".to_owned()).is_err());
    assert!(GrantedHost::try_from("f%2Aple.org".to_owned()).is_err());
}

#[test]
fn a_mutated_grant_is_refused_or_normalised() {
    let seeds = [
        "API.Example.org",
        "api.example.org:8443",
        "*.Example.org",
        "*",
        "bücher.example",
        "[::1]:80",
        "f%2Aple.org",
    ];
    each_mutation(&seeds, |text| {
        let Ok(grant) = GrantedHost::try_from(text.to_owned()) else { return };
        let spelt = grant.to_string();
        assert_eq!(GrantedHost::try_from(spelt.clone()).as_ref(), Ok(&grant), "{text:?} became {spelt:?}");
        assert!(!spelt.contains(|c: char| c.is_ascii_uppercase() || c.is_whitespace() || "/@?#".contains(c)));
        // Only what says so reaches more than one host.
        assert!(!spelt.contains('*') || text.starts_with('*'), "{text:?} became {spelt:?}");
        assert_eq!(spelt == "*", text == "*", "{text:?} became {spelt:?}");
    });
}

#[test]
fn messages_are_as_they_were_read_and_approved() {
    let mut messages = Messages::new();
    let detail = "cannot write library/tmp: no space left on device (os error 28)".to_owned();
    messages.error(&RunError::Files { detail });
    messages.error(&RunError::Heartbeat);
    messages.text("log", "the key could not be claimed; its request waits");
    messages.text("log", "another process was faster with this file");
    messages.text("log", "asking for a file again panicked; it stays due");
    messages.text("log", "works that ended long ago without a file are forgotten");
    messages.text("log", "this process stood still; it goes on with the keys that no other has taken");
    for (from, to) in [
        ("workers = 8", "workers = 500"),
        ("heartbeat = \"1m\"", "heartbeat = \"1s\""),
        ("lease-ttl = \"10m\"", "lease-ttl = \"1m\""),
        ("width = 1", "width = 17"),
        ("\"www.Publisher.example\"", "\"*.publisher.example\""),
        ("pause = \"10m\"", "pause = \"0s\""),
        ("\"api.example.org\", ", "\"https://api.example.org/\", "),
        ("{ host = \"api.example.org\"", "{ host = \"*\""),
        ("header = \"x-key\"", "header = \"two words\""),
        ("header = \"x-key\", ", ""),
    ] {
        let text = SECTIONS.replace(from, to);
        assert_ne!(text, SECTIONS, "{from}");
        let said = toml::from_str::<File>(&text).unwrap_err();
        messages.text(&format!("{from} as {to}"), said.message());
    }
    // What the runtime holds guests to before: kept from going unread all the same.
    messages.text("a request of a guest", "\"two words\" is not a header's name");
    messages.text("a request of a guest", "the value of x-key has a character that headers cannot carry");
    for text in [
        "the resolver is not loaded",
        "the whole download took too long",
        "the component's SHA-256 is 00, and resolvers.arxiv.sha256 asks for 11; if the new file is meant, change the pin",
        "its sidecar's SHA-256 is 00, and resolvers.arxiv.sidecar-sha256 asks for 11; if the new file is meant, change the pin",
        "its sidecar's SHA-256 is of no file, and resolvers.arxiv.sidecar-sha256 asks for 11; if the new file is meant, change the pin",
        "resolvers.arxiv.sha256 pins the component, and nothing pins this file, so it counts for nothing; `gleaner plugin grant arxiv --pin` pins it too",
        "line 3: unknown field `grants`, expected one of `hosts`, `settings`, `sandbox`; what it said before stays in use",
        "65 hosts; at most 64 may be named; the plugin counts as asking for nothing more",
        "cannot be read: it is no regular file",
        "cannot be read: it is larger than 65536 bytes",
        "cannot be read: it is not UTF-8 text",
        "setting \"A\" is not a name of lower-case letters, digits and '-'",
        "the setting \"contact\" is the operator's alone; leave it out",
        "the setting \"rows\" has more than 4096 bytes",
        "may reach no host, and asks for export.arxiv.org; `gleaner plugin grant arxiv` shows and allows it",
        "runs with what it is granted, and asks for more: *.arxiv.org, memory 128MiB (now 64MiB); `gleaner plugin grant arxiv` shows and allows it",
        "the sidecar of arxiv is another",
        "a secret of arxiv is another",
        "the secret \"key\": cannot read keys/key: No such file or directory (os error 2); the secret as it was before stays in use",
        "others can read or change keys/key; run `chmod 600 keys/key`",
        "keys/key is empty; write the secret into it",
        "keys/key has more than one line; write the secret alone into it",
        "is empty; copy or build it again; what was loaded from it before stays in use",
        "arxiv 1.0.0 is new",
        "arxiv is replaced by 1.1.0 (0f3a9c21)",
    ] {
        messages.text("a step or a resolver", text);
    }
    for text in [
        "the step is past its deadline and was stopped; its lease expires",
        "the lease was lost; its step was stopped",
        "the lease was lost; its work is discarded",
        "its worker died too often; it ended as poison",
        "a worker panicked; its job comes back when its lease expires",
    ] {
        messages.text("log", text);
    }
    messages.assert_approved(env!("CARGO_MANIFEST_DIR"));
}
