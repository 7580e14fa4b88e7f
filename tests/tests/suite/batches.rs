//! Works that wait for the same resolver are asked about together where it can: fewer calls, and every work with an answer,
//! a record and an end of its own.
//!
//! The guest `batch` takes 50 works a call and says on the wire how many it was asked about. Must never assume in which
//! order works are leased.

use std::collections::BTreeSet;
use std::time::Duration;

use gleaner_tests::harness::{Bench, Output};
use gleaner_tests::simweb::{
    Access, Article, Behaviour, CentralArticle, Deposit, Holding, Listing, OpenArticle, Paper, Reply,
    RetryAfter, Source, World,
};
use serde_json::Value;

use crate::holdings::{self, attempts, end, job, manifest, text};
use crate::papers::{json, json_lines};

const API: &str = "batch.example.org";

fn doi(word: &str, n: usize) -> String {
    format!("10.5555/batch.{word}.{n}")
}

/// A world where the guest's service answers so, and each number below 1000 has a file.
fn world(answer: impl Into<Behaviour>) -> World {
    let mut world = World::new();
    world.set_host(API, answer);
    for n in 0..1000 {
        world.set(&format!("https://files.example.org/{n}.pdf"), Reply::pdf(4000));
    }
    world
}

/// A bench where the guest alone is asked, and keeps no answers.
fn bench(world: World) -> Bench {
    let mut bench = holdings::bench_with(world, &[]);
    bench.configure(&format!(
        "egress.cache.size = \"0\"
        [tiers]
        list = [{{ name = \"only\", resolvers = [\"batch\"] }}]
        [resolvers.batch]
        grants = {{ hosts = [\"{API}\"] }}"
    ));
    bench.plugins(bench.guests());
    bench
}

/// Enqueues these and drains the queue.
fn run(bench: &Bench, works: &[String], code: i32) -> Output {
    let list = bench.file("list", &works.join("\n"));
    bench.run(&["--format", "json", "get", "--input", &list]).expect_code(code)
}

/// The totals of that.
fn drain(bench: &Bench, works: &[String], code: i32) -> Value {
    run(bench, works, code).json()
}

/// How many works each call was about.
fn calls(bench: &Bench) -> Vec<usize> {
    let seen = bench.sim().seen(API);
    let paths = seen.requests.iter().map(|request| request.target.split('/').collect::<Vec<_>>());
    let paths = paths.filter(|path| path[1] != "more");
    paths.map(|path| if path[1] == "many" { path[2].parse().unwrap() } else { 1 }).collect()
}

#[test]
fn works_that_wait_for_one_resolver_are_asked_about_together() {
    let bench = bench(world(Reply::empty()));
    let works: Vec<_> = (0..120).map(|n| doi("file", n)).collect();
    assert_eq!(drain(&bench, &works, 0)["done"], 120);
    let mut calls = calls(&bench);
    calls.sort_unstable();
    assert_eq!(calls, [20, 50, 50]);
    let records = manifest(&bench);
    let answered = records.iter().filter(|record| text(record, "outcome") == "answered").count();
    assert_eq!((answered, records.len()), (120, 240), "an answer and a file for every work");
    let listed = json(&bench, &["plugin", "inspect", "batch"]);
    assert_eq!(listed["works_a_call"], 50);
}

/// Works come to the resolver one by one, from one that is asked about each alone.
fn on_their_way(works: usize, more: &str) -> (Bench, Vec<String>) {
    let mut bench = holdings::bench_with(world(Reply::empty()), &["unpaywall"]);
    bench.configure(&format!(
        "[tiers]
        list = [{{ name = \"first\", resolvers = [\"unpaywall\"] }}, {{ name = \"then\", resolvers = [\"batch\"], width = 1 }}]
        [resolvers.batch]
        grants = {{ hosts = [\"{API}\"] }}
        [limits]
        default-host = {{ concurrency = 8, rate = \"10000/s\", burst = 1000 }}
        {more}"
    ));
    bench.plugins(bench.guests());
    (bench, (0..works).map(|n| doi("file", n)).collect())
}

#[test]
fn works_wait_for_others_that_are_on_their_way_to_the_same_call() {
    // Longer than the run: what ends the wait is a full call, or that nobody else can come.
    let (bench, works) = on_their_way(120, "[orchestrator]\ngather = \"10m\"");
    assert_eq!(drain(&bench, &works, 0)["done"], 120);
    let calls = calls(&bench);
    assert!(calls.len() <= 6, "the first are full, and the last need not wait for downloads: {calls:?}");
    assert!(calls.contains(&50), "{calls:?}");
}

#[test]
fn nobody_waits_where_that_is_not_wanted_or_nobody_else_is_there() {
    let (bench, works) = on_their_way(60, "[orchestrator]\ngather = \"0s\"");
    assert_eq!(drain(&bench, &works, 0)["done"], 60);
    assert!(calls(&bench).len() > 6, "each goes on as it comes: {:?}", calls(&bench));
    let (bench, works) = on_their_way(1, "[orchestrator]\ngather = \"10m\"");
    assert_eq!(drain(&bench, &works, 0)["done"], 1);
}

#[test]
fn each_work_of_a_call_has_its_own_answer() {
    let bench = bench(world(Reply::empty()));
    let words = ["file", "none", "give-up", "retry"];
    let works: Vec<_> = words.iter().enumerate().map(|(n, word)| doi(word, n)).collect();
    let totals = drain(&bench, &works, 1);
    assert_eq!([&totals["done"], &totals["skipped"], &totals["error"]], [1, 1, 2], "{totals}");
    for (work, state, tries) in
        [(&works[0], "done", 1), (&works[1], "skipped", 1), (&works[2], "error", 1), (&works[3], "error", 3)]
    {
        let job = job(&bench, work);
        let made = attempts(&job).iter().filter(|(what, _)| *what == "batch").count();
        assert_eq!((end(&job).0, made), (state, tries), "{work}");
    }
    // The one that is tried again is then asked about alone.
    assert_eq!(calls(&bench), [4, 1, 1]);
}

#[test]
fn a_work_that_breaks_the_call_costs_the_others_nothing() {
    for (word, done, reason) in [("trap", 29, ("error", "plugin_trap")), ("short", 30, ("done", "ok"))] {
        let bench = bench(world(Reply::empty()));
        let works: Vec<_> = (0..30).map(|n| doi(if n == 17 { word } else { "file" }, n)).collect();
        let run = run(&bench, &works, i32::from(word == "trap"));
        assert_eq!(run.json()["done"], done, "{word}: {}", run.stdout);
        let said =
            "a call for several works ended without answers; they are asked about again, fewer at a time";
        assert!(run.stderr.contains(said), "{}", run.stderr);
        for work in &works {
            let job = job(&bench, work);
            let expected = if work.contains(word) { reason } else { ("done", "ok") };
            assert_eq!(end(&job), expected, "{work}");
            let asked = attempts(&job).iter().filter(|(what, _)| *what == "batch").count();
            assert_eq!(asked, 1, "{work}: only calls with answers are recorded");
        }
        let calls = calls(&bench);
        assert!(calls[0] == 30 && calls.len() < 30, "{word}: {calls:?}");
    }
}

#[test]
fn one_work_that_traps_is_found_while_others_go_on() {
    let bench = bench(world(Reply::empty()));
    let works: Vec<_> = (0..400).map(|n| doi(if n == 3 { "trap" } else { "file" }, n)).collect();
    assert_eq!(drain(&bench, &works, 1)["done"], 399);
    assert_eq!(end(&job(&bench, &works[3])), ("error", "plugin_trap"));
    // Neither is the resolver suspended for one work.
    let batch =
        json_lines(&bench, &["plugin", "list"]).into_iter().find(|one| text(one, "name") == "batch").unwrap();
    assert!(batch["suspended"].is_null(), "{batch}");
}

#[test]
fn a_work_that_spoils_the_request_for_all_fails_alone() {
    // The service refuses every request for several works, as it would where one of them breaks the request.
    let mut world = world(Reply::empty());
    for count in 2..=50 {
        for n in 0..60 {
            world.set(&format!("https://{API}/many/{count}/{n}"), Reply::error(400));
        }
    }
    world.set_host(API, Behaviour::of_host());
    for n in 0..60 {
        world.set(&format!("https://{API}/one/{n}"), Reply::empty());
    }
    let bench = bench(world);
    let works: Vec<_> = (0..60).map(|n| doi("file", n)).collect();
    assert_eq!(drain(&bench, &works, 0)["done"], 60);
    for work in &works {
        let asked = attempts(&job(&bench, work)).iter().filter(|(what, _)| *what == "batch").count();
        assert_eq!(asked, 1, "{work}: only its own answer is recorded");
    }
}

/// Each work takes three requests more, and a call has 32: those of ten works at most.
#[test]
fn a_call_that_runs_out_of_requests_is_made_about_fewer_works_and_none_fails() {
    let bench = bench(world(Reply::empty()));
    let works: Vec<_> = (0..40).map(|n| doi("costly", n)).collect();
    assert_eq!(drain(&bench, &works, 0)["done"], 40);
    let failed = manifest(&bench).iter().filter(|record| text(record, "outcome") == "failed").count();
    assert_eq!(failed, 0, "what a call had no requests for is no attempt");
    let mut about = calls(&bench);
    about.sort_unstable();
    assert!(about.contains(&40) && about.contains(&10), "{about:?}");
}

/// What `config/default.toml` lets PMC send is enough for as many works as one of its calls takes, each of which costs the most.
#[test]
fn a_call_to_pmc_has_requests_enough_for_all_of_its_works() {
    let mut world = World::new();
    let works: Vec<String> = (0..80).map(|n| format!("10.5555/older.{n}")).collect();
    for (n, doi) in works.iter().enumerate() {
        world.central(CentralArticle {
            pmcid: format!("PMC90{n}"),
            pmid: None,
            doi: Some(doi.clone()),
            holding: Holding::OlderSite,
        });
    }
    let mut bench = holdings::bench_with(world, &["pmc"]);
    bench.configure(
        "[limits.hosts.\"www.ncbi.nlm.nih.gov\"]
        shared = [\"pmc.ncbi.nlm.nih.gov\", \"ftp.ncbi.nlm.nih.gov\"]
        concurrency = 8
        rate = \"1000/s\"
        burst = 1000",
    );
    assert_eq!(drain(&bench, &works, 0)["done"], 80);
    let requests = bench.sim().seen("pmc.ncbi.nlm.nih.gov").requests;
    let conversions = requests.iter().filter(|request| request.target.starts_with("/tools/idconv/")).count();
    assert_eq!(conversions, 2, "40 works each");
}

#[test]
fn a_service_that_asks_to_slow_down_is_asked_once_and_then_later() {
    let slow = Reply::empty().after_first(1, Reply::too_many(RetryAfter::Seconds(1)));
    let bench = bench(world(slow));
    let works: Vec<_> = (0..40).map(|n| doi("file", n)).collect();
    assert_eq!(drain(&bench, &works, 0)["done"], 40);
    let calls = calls(&bench);
    assert_eq!((calls[0], calls[1..].iter().sum()), (40, 40), "{calls:?}");
    let seen = bench.sim().seen(API);
    assert!(seen.requests[1].at - seen.requests[0].at >= Duration::from_secs(1));
    let asked = manifest(&bench).iter().filter(|record| text(record, "outcome") == "answered").count();
    assert_eq!(asked, 40, "what was put off is no attempt");
}

#[test]
fn a_call_for_many_counts_once_against_the_resolvers_limit() {
    let mut bench = bench(world(Reply::empty()));
    bench.configure("[limits.resolvers]\nbatch = { concurrency = 1, per-day = 2 }");
    let works: Vec<_> = (0..100).map(|n| doi("none", n)).collect();
    assert_eq!(drain(&bench, &works, 0)["skipped"], 100);
    assert_eq!(calls(&bench), [50, 50]);
}

/// The bundled resolvers that can be asked about several works at once.
pub(crate) fn asked_together() -> BTreeSet<String> {
    let bench = Bench::with_every_resolver(World::new());
    let plugins = json_lines(&bench, &["plugin", "list"]).into_iter();
    let together = plugins.filter(|plugin| plugin["works_a_call"].as_u64() > Some(1));
    together.map(|plugin| text(&plugin, "name").to_owned()).collect()
}

/// Three works that only this source knows, and one that nobody does.
fn known_by(source: &str) -> (World, Vec<String>) {
    let mut world = World::new();
    let works: Vec<String> = (0..4).map(|n| format!("10.5555/{source}.{n}")).collect();
    for (n, doi) in works[..3].iter().enumerate() {
        let pdf = format!("https://repo.example.org/{source}/{n}.pdf");
        match source {
            "crossref" => drop(world.deposit(Deposit::open(doi, &pdf))),
            "openalex" => drop(world.listing(Listing::open(Source::OpenAlex, doi, &format!("W{n}")))),
            "datacite" => drop(world.listing(Listing::open(Source::DataCite, doi, &format!("d{n}")))),
            "hal" => drop(world.listing(Listing::open(Source::Hal, doi, &format!("hal-0000000{n}")))),
            "semantic_scholar" => drop(world.paper(Paper::open(doi, &pdf, "GREEN"))),
            "doaj" => drop(world.open_article(OpenArticle::new(doi, &pdf, Some("PDF")))),
            "pmc" => drop(world.central(CentralArticle {
                pmcid: format!("PMC90{n}"),
                pmid: None,
                doi: Some(doi.clone()),
                holding: Holding::Datasets,
            })),
            _ => drop(world.article(Article {
                pmid: format!("70{n}"),
                pmcid: Some(format!("PMC80{n}")),
                doi: Some(doi.clone()),
                title: format!("Cells {n}"),
                access: Access::Open,
            })),
        }
        world.set(&pdf, Reply::pdf(5000 + n));
    }
    (world, works)
}

#[test]
fn bundled_resolvers_ask_about_many_works_in_one_request() {
    let services = [
        ("crossref", "api.crossref.org", "/works?"),
        ("datacite", "api.datacite.org", "/dois?"),
        ("openalex", "api.openalex.org", "/works?"),
        ("hal", "api.archives-ouvertes.fr", "/search/?"),
        ("semantic_scholar", "api.semanticscholar.org", "/graph/v1/paper/batch"),
        ("doaj", "doaj.org", "/api/search/articles/"),
        ("europe_pmc", "www.ebi.ac.uk", "/europepmc/webservices/rest/search"),
        ("pmc", "pmc.ncbi.nlm.nih.gov", "/tools/idconv/"),
    ];
    assert_eq!(
        services.iter().map(|(source, ..)| (*source).to_owned()).collect::<BTreeSet<_>>(),
        asked_together()
    );
    for (source, host, path) in services {
        let (world, works) = known_by(source);
        let bench = holdings::bench_with(world, &[source]);
        let totals = drain(&bench, &works, 0);
        assert_eq!(
            (&totals["done"], &totals["skipped"]),
            (&Value::from(3), &Value::from(1)),
            "{source}: {totals}"
        );
        let requests = bench.sim().seen(host).requests;
        let asked: Vec<_> = requests
            .iter()
            .map(|request| &request.target)
            .filter(|target| target.starts_with(path))
            .collect();
        assert_eq!(asked.len(), 1, "{source}: {asked:?}");
        let files: BTreeSet<_> = manifest(&bench)
            .iter()
            .filter(|record| text(record, "outcome") == "accepted")
            .map(|record| text(record, "sha256").to_owned())
            .collect();
        assert_eq!(files.len(), 3, "{source}: each has its own file");
    }
}
