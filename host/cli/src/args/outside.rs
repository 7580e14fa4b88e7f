//! Ten thousand mutations of what people write behind the options: each is refused with a message, or is a value that
//! reads back.

use gleaner_testing::each_mutation;

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

/// The whole command line: words that are mutated one by one, as a script with a mistake in it makes them.
#[test]
fn a_mutated_command_line_is_refused_or_understood() {
    let seeds = [
        "get 10.1000/x --input list.txt --library books",
        "queue run --drain --workers 4 --max-per-resolver a=2,b=3 --max-wait 10m",
        "queue retry-failed --reason timeout --host example.org --state error --older-than 30d --dry-run",
        "--format json -vv -q --config my.toml queue list --state queued",
        "plugin inspect unpaywall",
    ];
    each_mutation(&seeds, |text| {
        let words = std::iter::once("gleaner").chain(text.split(' '));
        if let Err(error) = <Cli as clap::Parser>::try_parse_from(words) {
            assert!(!error.to_string().is_empty());
        }
    });
}
