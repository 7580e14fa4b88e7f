//! The resolvers of single indexes and repositories, as components in the real binary: each finds a file that nobody
//! else knows, and does not fall for what looks like one.
//!
//! The shapes of answers are the plugins' own tests'. Here it is who asks whom, with which rights, and what is kept.

use gleaner_tests::harness::{Bench, Signal, TIMEOUT};
use gleaner_tests::simweb::{Listing, Reply, Source, World};
use serde_json::{Value, json as object};
use url::Url;

use crate::holdings::{attempts, bench_with, end, files_in, get, job, manifest, text};
use crate::papers::{count, json, json_lines};
use crate::queue_commands::wait_until;

/// A resolver, where it asks, and a work that it finds there: the DOI, the source's own name of it.
const RESOLVERS: [(&str, &str, Source, &str, &str); 7] = [
    ("openalex", "api.openalex.org", Source::OpenAlex, "10.5555/A", "W123"),
    ("datacite", "api.datacite.org", Source::DataCite, "10.5555/A", "55"),
    ("zenodo", "zenodo.org", Source::Zenodo, "10.5281/zenodo.123", "123"),
    ("osf", "api.osf.io", Source::Osf, "10.31234/osf.io/ab1cd", "ab1cd"),
    ("hal", "api.archives-ouvertes.fr", Source::Hal, "10.5555/A", "hal-01234567"),
    ("figshare", "api.figshare.com", Source::Figshare, "10.6084/m9.figshare.1234567", "1234567"),
    ("openaire", "api.openaire.eu", Source::OpenAire, "10.5555/A", "55"),
];

/// With one resolver alone, and without limits that make it wait.
fn bench(world: World, name: &str, host: &str) -> Bench {
    let mut bench = bench_with(world, &[name]);
    let quick = "{ concurrency = 8, rate = \"1000/s\", burst = 1000 }";
    bench.configure(&format!("[resolvers.{name}]\nenabled = true\n[limits.hosts]\n\"{host}\" = {quick}"));
    bench
}

fn world(listing: Listing) -> World {
    let mut world = World::new();
    world.listing(listing);
    world
}

#[test]
fn each_finds_a_file_that_nobody_else_knows() {
    for (name, host, source, doi, id) in RESOLVERS {
        let listing = Listing::open(source, doi, id);
        let file = listing.file().unwrap();
        let bench = bench(world(listing), name, host);
        assert_eq!(get(&bench, &[doi], 0)["done"], 1, "{name}");
        assert_eq!(attempts(&job(&bench, doi)), [(name, "ok"), (&*file, "ok")]);
        let records = manifest(&bench);
        let kept = records.iter().find(|record| record["outcome"] == "accepted").unwrap();
        assert_eq!(text(kept, "resolver"), name);
        assert_eq!(files_in(&bench, "blobs").len(), 1, "{name}");
        let asked = bench.sim().seen(host).requests;
        let asked = asked.iter().filter(|request| !request.target.contains("/content")).count();
        assert_eq!(asked, if name == "osf" { 2 } else { 1 }, "{name}");
    }
}

#[test]
fn a_closed_work_is_known_and_not_fetched() {
    for (name, host, source, doi, id) in RESOLVERS {
        let bench = bench(world(Listing::closed(source, doi, id)), name, host);
        assert_eq!(get(&bench, &[doi], 0)["skipped"], 1, "{name}");
        let job = job(&bench, doi);
        assert_eq!((end(&job), attempts(&job)), (("skipped", "no_candidate"), vec![(name, "ok")]));
        assert_eq!(bench.sim().seen(host).requests.len(), 1, "{name}");
    }
}

#[test]
fn a_page_in_place_of_the_file_is_not_kept() {
    for (name, host, source, doi, id) in RESOLVERS {
        let listing = Listing::open(source, doi, id);
        let file = listing.file().unwrap();
        let mut world = world(listing);
        world.set(&file, Reply::landing_page("A paper", &file));
        let bench = bench(world, name, host);
        assert_eq!(get(&bench, &[doi], 1)["error"], 1, "{name}");
        assert_eq!(end(&job(&bench, doi)), ("error", "html_instead_of_pdf"), "{name}");
        assert_eq!(files_in(&bench, "blobs").len(), 0, "{name}");
    }
}

#[test]
fn the_record_of_another_work_is_not_taken() {
    for (name, host, source, doi, id) in RESOLVERS {
        let other = Listing::open(source, "10.5555/another", id).mistaken();
        let file = Url::parse(&other.file().unwrap()).unwrap();
        let bench = bench(world(other), name, host);
        assert_eq!(get(&bench, &[doi], 0)["skipped"], 1, "{name}");
        let job = job(&bench, doi);
        assert_eq!((end(&job), attempts(&job)), (("skipped", "no_candidate"), vec![(name, "ok")]));
        assert_eq!(bench.sim().seen(host).requests.len(), 1, "{name}");
        assert_eq!(bench.sim().seen(file.host_str().unwrap()).hits(file.path()), 0, "{name}");
    }
}

#[test]
fn a_repositorys_own_name_finds_a_work_without_a_doi() {
    for (name, host, source, id, asked) in [
        ("openalex", "api.openalex.org", Source::OpenAlex, "W123", "openalex:W123"),
        ("zenodo", "zenodo.org", Source::Zenodo, "123", "https://zenodo.org/records/123"),
        ("osf", "api.osf.io", Source::Osf, "ab1cd", "osf:ab1cd"),
        ("hal", "api.archives-ouvertes.fr", Source::Hal, "hal-01234567", "hal:hal-01234567"),
    ] {
        let bench = bench(world(Listing::open(source, "10.5555/a", id)), name, host);
        assert_eq!(get(&bench, &[asked], 0)["done"], 1, "{name}");
    }
}

#[test]
fn a_spent_budget_keeps_the_works_for_later() {
    let mut world = World::new();
    let spent = object!({ "error": "Rate limit exceeded", "retryAfter": 49_093 });
    world.set_host("api.openalex.org", Reply::json(&spent).status(429).header("retry-after", "49093"));
    let mut bench = bench(world, "openalex", "api.openalex.org");
    bench.configure("[limits.hosts.\"api.openalex.org\"]\nconcurrency = 1");
    json(&bench, &["queue", "enqueue", "10.5555/a", "10.5555/b"]);
    let run = bench.spawn(&["queue", "run"]);
    let cooldown = || {
        let keys = json_lines(&bench, &["queue", "keys"]);
        keys.iter().any(|key| key["key"] == "host:api.openalex.org" && key["cooldown_until"].is_string())
    };
    wait_until("the host cools down", cooldown);
    run.signal(Signal::INT);
    run.wait(TIMEOUT);
    assert_eq!(bench.sim().seen("api.openalex.org").requests.len(), 1);
    assert_eq!((count(&bench, "error"), count(&bench, "skipped")), (0, 0));
}

/// One page and one API, as the operator described them.
fn zotero(world: World, hosts: &[&str]) -> Bench {
    let mut bench = bench_with(world, &["zotero"]);
    let sources: Value = object!([
        { "name": "Page", "method": "GET", "url": "https://papers.example.org/{doi}", "mode": "html",
          "selector": "div.files > a[href$='.pdf']", "attribute": "href" },
        { "name": "API", "method": "GET", "url": "https://api.example.org/find?doi={doi}", "mode": "json",
          "selector": ".copies.url" },
    ]);
    let settings = format!("settings = {{ resolvers = '''{sources}''' }}");
    bench.configure(&format!(
        "[resolvers.zotero]\nenabled = true\n{settings}\ngrants = {{ hosts = {hosts:?} }}"
    ));
    bench
}

/// Both know the work: the page names a file, the API another.
fn described() -> World {
    let mut world = World::new();
    let page = "<div class=files><a href='/about.html'>About</a> <a href='/files/1.pdf'>PDF</a></div>";
    let answer = object!({ "copies": [{ "url": "https://files.example.org/2.pdf" }] });
    world
        .set("https://papers.example.org/10.5555/a", Reply::bytes("text/html", page))
        .set("https://papers.example.org/files/1.pdf", Reply::pdf(20_000))
        .set("https://api.example.org/find", Reply::json(&answer))
        .set("https://files.example.org/2.pdf", Reply::pdf(30_000));
    world
}

#[test]
fn sources_described_as_zotero_does_find_files_where_the_operator_lets_them() {
    let both = zotero(described(), &["papers.example.org", "api.example.org"]);
    assert_eq!(get(&both, &["10.5555/a"], 0)["done"], 1);
    let file = "https://papers.example.org/files/1.pdf";
    assert_eq!(attempts(&job(&both, "10.5555/a")), [("zotero", "ok"), (file, "ok")]);
    let one = zotero(described(), &["api.example.org"]);
    assert_eq!(get(&one, &["10.5555/a"], 0)["done"], 1);
    let file = "https://files.example.org/2.pdf";
    assert_eq!(attempts(&job(&one, "10.5555/a")), [("zotero", "ok"), (file, "ok")]);
    assert!(one.sim().seen("papers.example.org").requests.is_empty());
    assert_eq!(one.sim().seen("api.example.org").requests[0].target, "/find?doi=10.5555%2Fa");
}

#[test]
fn a_described_source_that_names_a_page_for_a_file_gives_none() {
    let mut world = described();
    world
        .set("https://papers.example.org/files/1.pdf", Reply::landing_page("A paper", "/files/1.pdf"))
        .set("https://api.example.org/find", Reply::json(&object!({ "copies": [] })));
    let bench = zotero(world, &["papers.example.org", "api.example.org"]);
    assert_eq!(get(&bench, &["10.5555/a"], 1)["error"], 1);
    assert_eq!(end(&job(&bench, "10.5555/a")), ("error", "html_instead_of_pdf"));
}
