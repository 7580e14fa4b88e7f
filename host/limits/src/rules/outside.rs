//! What comes from outside: ten thousand mutations of the `[limits]` section and of URLs, and every error of this
//! crate as people read it, approved in `messages.txt`.

use std::time::Duration;

use gleaner_model::clock::{FakeClock, UnixMillis};
use gleaner_testing::{Messages, each_mutation};

use super::*;

const SECTIONS: [&str; 2] = [
    r#"default-host = { concurrency = 6, rate = "5/s", burst = 9 }
default-resolver = { concurrency = 4294967295 }
resolvers.unpaywall = { concurrency = 1, rate = "1000/5m" }
[hosts]
"ArXiv.org" = { shared = ["export.arxiv.org", "*.arxiv.org"], concurrency = 1, rate = "1/3s" }
"*.example.org" = { concurrency = 2 }
"www.example.org:8080" = { burst = 9 }
"#,
    "default-host = { rate = \"1/30d\" }\n[hosts]\n\"[2001:db8::1]:8443\" = { concurrency = 2 }\n\"bücher.example\" = { shared = [\"a.example\"] }\n",
];

fn host(text: &str) -> Key {
    Key::Host(HostKey::from_normalised(text))
}

/// A section is refused, or limits everything: no limit is zero, and a limiter can keep each of them.
#[tokio::test]
async fn a_mutated_section_is_refused_or_limits() {
    let keys = [
        host("arxiv.org"),
        host("export.arxiv.org"),
        host("www.example.org:8080"),
        host("a.b.example.org"),
        host("nowhere.example"),
        Key::Resolver(ResolverName::new("unpaywall").unwrap()),
        Key::Resolver(ResolverName::new("other").unwrap()),
    ];
    let clock = FakeClock::at(UnixMillis(0));
    each_mutation(&SECTIONS, |text| {
        let rules = match toml::from_str::<LimitRules>(text) {
            Ok(rules) => rules,
            Err(error) => return assert!(!error.message().is_empty()),
        };
        for key in &keys {
            let limit = rules.limit(key).unwrap();
            assert!(limit.rate.is_none_or(|rate| !rate.per.is_zero() && rate.interval() <= rate.per));
            let canonical = rules.canonical(key);
            assert_eq!(rules.canonical(&canonical), canonical, "a group has one key");
        }
        let limiter = crate::KeyedLimiter::new(rules, clock.clone());
        let mut asked = std::collections::BTreeSet::new();
        for key in &keys {
            let first = limiter.try_now(key);
            // Buckets start empty; and hosts that share a limit share its tokens.
            let interval = limiter
                .get_limit(key)
                .and_then(|limit| limit.rate)
                .map(|rate| rate.interval() + Duration::from_micros(1));
            let is_first = asked.insert(limiter.canonical(key));
            let comes_in_time = |blocked: &crate::Blocked| !is_first || blocked.retry_in <= interval;
            assert!(first.as_ref().err().is_none_or(comes_in_time), "{key}: {first:?}");
            drop((first, limiter.try_now(key), limiter.room(key)));
            assert!(limiter.throttled(key, Some(Duration::from_secs(u64::MAX))) <= crate::cooldown::LONGEST);
        }
    });
}

#[test]
fn a_host_key_of_any_text_is_normalised() {
    let seeds = [
        "https://api.crossref.org/works",
        "HTTP://User:pw@EXAMPLE.com.:8080/",
        "https://bücher.example/",
        "https://[::ffff:1.2.3.4]:443/",
        "data:text/plain,x",
    ];
    each_mutation(&seeds, |text| match crate::host_key(text) {
        Ok(key) => {
            assert!(!key.as_str().is_empty());
            // The key is a host, so that its URL has that key.
            if let Ok(again) = crate::host_key(&format!("https://{key}/")) {
                assert_eq!(again, HostKey::from_normalised(key.as_str().trim_end_matches(":443")));
            }
        }
        Err(error) => assert!(error.to_string().len() < 2500),
    });
}

#[test]
fn messages_are_as_they_were_read_and_approved() {
    let mut messages = Messages::new();
    messages.error(&crate::host_key("example.org").unwrap_err());
    for error in [
        RuleError::Host("https://arxiv.org/".into()),
        RuleError::SharedPattern("*.example.org".into()),
        RuleError::TwoGroups {
            group: "b.org".into(),
            member: "c.org".into(),
            other: HostKey::from_normalised("a.org"),
        },
    ] {
        messages.error(&error);
    }
    let wrong = toml::from_str::<LimitRules>("default-host = { concurrency = 0 }").unwrap_err();
    messages.text("a limit of nothing", wrong.message());
    messages.assert_approved(env!("CARGO_MANIFEST_DIR"));
}
