//! Ten thousand mutations of what people write behind the options: each is refused with a message, or is a value that
//! reads back.

use gleaner_testing::each_mutation;

use gleaner_model::clock::UnixMillis;

use super::values::{When, ended_state, host, key, reason, resolver_cap, resolver_name, state};
use super::*;

#[test]
fn a_mutated_host_is_refused_or_one_key() {
    let seeds = [
        "Example.org",
        "example.org:8443",
        "https://User:pw@example.org/x",
        "bücher.example",
        "[2001:db8::1]:80",
        "http://0x7f.1",
    ];
    each_mutation(&seeds, |text| match host(text) {
        Ok(key) => {
            assert!(!key.as_str().contains(|c: char| c.is_ascii_uppercase() || "/@?#".contains(c)), "{key}");
            assert_eq!(host(key.as_str()).as_ref(), Ok(&key), "{text:?} became {key}");
        }
        Err(message) => assert!(message.ends_with("is not a host; write it like example.org")),
    });
}

#[test]
fn a_mutated_cap_is_refused_or_limits() {
    each_mutation(&["unpaywall=2", "europe_pmc=65535", "a=0"], |text| match resolver_cap(text) {
        Ok((name, cap)) => {
            assert_eq!(resolver_cap(&format!("{name}={cap}")), Ok((name, cap)));
            assert!(cap.get() > 0);
        }
        Err(message) => assert!(!message.is_empty()),
    });
}

#[test]
fn a_mutated_word_of_a_list_is_refused_or_in_it() {
    each_mutation(&["html_instead_of_pdf", "error", "skipped", "in_progress", "unpaywall"], |text| {
        assert!(reason(text).is_ok_and(|reason| reason.as_str() == text) || reason(text).is_err());
        assert!(state(text).is_ok_and(|state| state.as_str() == text) || state(text).is_err());
        assert!(ended_state(text).is_ok() == matches!(text, "error" | "skipped"));
        assert!(resolver_name(text).is_ok_and(|name| name.as_str() == text) || resolver_name(text).is_err());
    });
}

#[test]
fn a_mutated_key_is_refused_or_one_key() {
    let seeds =
        ["resolver:unpaywall", "host:Example.org", "example.org:8443", "https://example.org/x", "plan"];
    each_mutation(&seeds, |text| match key(text) {
        Ok(read) => assert_eq!(key(&read.to_string()).as_ref(), Ok(&read), "{text:?}"),
        Err(message) => assert!(!message.is_empty()),
    });
}

#[test]
fn a_mutated_time_is_refused_or_a_moment() {
    let seeds = ["2h", "2030-01-31T08:00:00Z", "2030-01-31T10:00:00.250+02:00"];
    each_mutation(&seeds, |text| match text.parse::<When>() {
        Ok(when) => assert!(when.from(UnixMillis(0)).0 > -86_400_000, "{text:?}"),
        Err(message) => assert!(message.contains("2030-01-31T08:00:00Z")),
    });
}

/// The whole command line: words that are mutated one by one, as a script with a mistake in it makes them.
#[test]
fn a_mutated_command_line_is_refused_or_understood() {
    let seeds = [
        "get 10.1000/x --input list.txt --library books",
        "queue run --drain --workers 4 --max-per-resolver a=2,b=3 --max-wait 10m",
        "queue retry-failed --reason timeout --host example.org --state error --older-than 30d --dry-run",
        "--format json -vv -q --config my.toml queue list --state queued",
        "plugin inspect unpaywall",
        "queue limit resolver:unpaywall --concurrency 2 --rate 1/3s --burst 4",
        "queue import works.jsonl --priority -5 --not-before 2h",
    ];
    each_mutation(&seeds, |text| {
        let words = std::iter::once("gleaner").chain(text.split(' '));
        if let Err(error) = <Cli as clap::Parser>::try_parse_from(words) {
            assert!(!error.to_string().is_empty());
        }
    });
}
