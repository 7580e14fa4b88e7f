//! Answers of services, replayed by request under the services' names, and what the real binary makes of them with the real
//! components: the candidates are what the manifest of the answers expects.
//!
//! Always over the project's own answers; over recorded ones where `GLEANER_RECORDED` names their folder. Must never copy a
//! recorded answer into the project. What a resolver does with odd shapes is its own tests'.

mod table;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use gleaner_model::canonical::canonical;
use gleaner_model::identifier::Identifier;
use gleaner_tests::corpus;
use gleaner_tests::harness::{Bench, bundled_resolvers};
use gleaner_tests::simweb::World;
use serde_json::{Value, json as object};
use table::{Only, Recordings, Row};
use url::Url;

use crate::batches::asked_together;
use crate::holdings::{attempts, job, text};
use crate::papers::json;

const RECORDED: &str = include_str!("conformance/recorded.toml");
const OWN: &str = include_str!("conformance/own.toml");

/// Resolvers whose answers also name pages, which count as well; of others, only files do.
const PAGES_COUNT: [&str; 4] = ["datacite", "doaj", "openaire", "semantic_scholar"];

#[test]
fn every_recorded_answer_gives_what_its_manifest_expects() {
    let Some(folder) = std::env::var_os("GLEANER_RECORDED").map(PathBuf::from) else {
        return eprintln!("skipped: GLEANER_RECORDED does not name the folder with the recordings");
    };
    let checked = replay(&Recordings::of(&folder), &Row::read(RECORDED));
    assert!(checked > 100, "{checked} answers");
}

#[test]
fn every_answer_of_our_own_gives_what_its_manifest_expects() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/conformance/own");
    let (recordings, rows) = (Recordings::of(&folder), Row::read(OWN));
    let checked = replay(&recordings, &rows);
    assert!(checked >= 20, "{checked} answers");
}

/// Replays every row that asks a resolver, and returns how many those are.
fn replay(recordings: &Recordings, rows: &[Row]) -> usize {
    recordings.check(rows);
    let (bundled, together) = (bundled_resolvers(), asked_together());
    let (mut complaints, mut checked) = (Vec::new(), 0);
    let mut rounds: Vec<Vec<&Row>> = Vec::new();
    for row in rows {
        let Some((resolver, _)) = row.asks() else { continue };
        assert!(bundled.contains(resolver), "{}: no resolver is called {resolver:?}", row.file);
        checked += 1;
        match rounds.iter_mut().find(|round| round.iter().all(|other| may_share(row, other, &together))) {
            Some(round) => round.push(row),
            None => rounds.push(vec![row]),
        }
    }
    for round in rounds {
        let mut world = World::new();
        for row in &round {
            serve(&mut world, recordings, row);
            for part in rows.iter().filter(|part| part.serves.as_ref() == Some(&row.file)) {
                serve(&mut world, recordings, part);
            }
        }
        let bench = run(world, &round);
        complaints.extend(round.iter().filter_map(|row| complaint(&bench, recordings, row)));
    }
    assert!(complaints.is_empty(), "{} of {checked}:\n{}", complaints.len(), complaints.join("\n"));
    checked
}

/// Whether both can be asked for in one run. Where a resolver is `together`, it would ask for both in one request.
fn may_share(row: &Row, other: &Row, together: &BTreeSet<String>) -> bool {
    let is_alone = |row: &Row| row.gives.as_deref() == Some("put off");
    let resolver = row.resolver.as_deref().unwrap_or_default();
    row.ask != other.ask
        && !is_alone(row)
        && !is_alone(other)
        && reads_pages(row) == reads_pages(other)
        && !(row.resolver == other.resolver && together.contains(resolver))
}

/// Pages are read once another resolver has named them.
fn reads_pages(row: &Row) -> bool {
    row.resolver.as_deref() == Some("landing_page")
}

fn serve(world: &mut World, recordings: &Recordings, row: &Row) {
    let place = recordings.place(row);
    world.set_search(&place, recordings.reply(row));
    if let (true, Some(doi)) = (reads_pages(row), &row.ask)
        && !place.starts_with("https://doi.org/")
    {
        world.doi(doi, &place);
    }
}

/// Asks for the works of a round in one run: as many tries each as lead to the resolver's answer, and none to a file.
fn run(world: World, round: &[&Row]) -> Bench {
    let pages = reads_pages(round[0]);
    let mut bench = match pages {
        true => Bench::with_resolvers(world, &["doi", "landing_page"]),
        false => Bench::with_every_resolver(world),
    };
    bench.configure(&corpus::quick());
    bench.configure(&format!("tiers.budgets.attempts = {}", if pages { 2 } else { 1 }));
    if !pages {
        bench.configure("resolvers.openaire.enabled = true");
    }
    let works = round.iter().map(|row| {
        let mut work = object!({ "identifiers": [row.ask] });
        if !pages {
            work["resolver_hint"] = object!(row.resolver);
        }
        format!("{work}\n")
    });
    let list = bench.file("works.jsonl", &works.collect::<String>());
    let added = json(&bench, &["queue", "import", &list]);
    assert_eq!(added["new"], round.len(), "{added}");
    bench.run(&["queue", "run", "--drain", "--max-wait", "1ms"]);
    bench
}

/// What is wrong with what came of a row.
fn complaint(bench: &Bench, recordings: &Recordings, row: &Row) -> Option<String> {
    let (resolver, ask) = row.asks()?;
    let job = job(bench, ask);
    let wrong = |what: String| Some(format!("{} ({resolver}, {ask}): {what}", row.file));
    if row.gives.as_deref() == Some("put off") {
        let is_put_off = text(&job, "state") == "queued" && attempts(&job).is_empty();
        return if is_put_off { None } else { wrong(format!("it was not put off: {job}")) };
    }
    let reason = attempts(&job).iter().find(|(who, _)| *who == resolver).map(|(_, reason)| *reason);
    let wanted = row.gives.as_deref().unwrap_or("ok");
    if reason != Some(wanted) {
        return wrong(format!("the call ended with {reason:?}, not {wanted}: {job}"));
    }
    let mut found = candidates(&job, resolver);
    let mut expected: Vec<String> = Vec::new();
    for url in recordings.expected(row).iter().filter_map(|url| Url::parse(url).ok()) {
        let url = canonical(&url);
        if !expected.contains(&url) {
            expected.push(url);
        }
    }
    if row.only == Some(Only::First) {
        found.truncate(1);
    }
    found.sort();
    expected.sort();
    if found != expected {
        return wrong(format!("it gives {found:?}, and not {expected:?}"));
    }
    let named = job["plan"]["discovered"].as_array().cloned().unwrap_or_default();
    match &row.names {
        Some(name) if !named.contains(&Value::from(name.as_str())) => wrong(format!("it names {named:?}")),
        _ => None,
    }
}

/// What the resolver has proposed, in the form in which URLs are compared. Of Crossref's links, those that have a type.
fn candidates(job: &Value, resolver: &str) -> Vec<String> {
    let proposed = job["plan"]["candidates"].as_array().into_iter().flatten();
    let counts = |one: &&Value| {
        let is_file = text(one, "kind") != "landing-page";
        let is_typed = resolver != "crossref" || one["media_type"].is_string();
        text(one, "resolver") == resolver && is_typed && (is_file || PAGES_COUNT.contains(&resolver))
    };
    proposed.filter(counts).map(|one| canonical(&Url::parse(text(one, "url")).unwrap())).collect()
}

#[test]
#[should_panic(
    expected = "it gives [\"repo.example.org/a%20file.pdf\", \"repo.example.org/b.pdf\"], and not []"
)]
fn a_candidate_that_nobody_expects_is_noticed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/conformance/own");
    let file = "unpaywall/two_copies.json";
    let row = Row::read(OWN).into_iter().find(|row| row.file == file).unwrap();
    let others = Row { file: "*".to_owned(), not: Some("of no interest".to_owned()), ..Row::default() };
    replay(&Recordings::of(&folder), &[Row { reads: Vec::new(), ..row }, others]);
}

#[test]
fn a_recording_without_a_row_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let line = object!({ "file": "a/1.json", "expected": {} });
    std::fs::write(folder.path().join("MANIFEST.jsonl"), line.to_string()).unwrap();
    let recordings = Recordings::of(folder.path());
    let check = |rows: &str| {
        std::panic::catch_unwind(|| recordings.check(&Row::read(&format!("rows = [{rows}]")))).is_ok()
    };
    assert!(check(r#"{ file = "a/*", not = "why" }"#) && check(r#"{ file = "a/1.json", not = "why" }"#));
    assert!(!check("") && !check(r#"{ file = "b/*", not = "why" }"#));
    assert!(!check(r#"{ file = "a/*", not = "" }"#) && !check(r#"{ file = "a/1.json" }"#));
    assert!(Identifier::parse("abc").is_err(), "what is no identifier is refused before anybody is asked");
}
