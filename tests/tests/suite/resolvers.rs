//! The resolvers beside Unpaywall and arXiv, as components in the real binary: each finds what nobody else knows.
//!
//! The shapes of answers are the plugins' own tests'. Here it is who asks whom, with which rights, and what is kept.

use std::time::Duration;

use gleaner_tests::harness::{Bench, USUAL};
use gleaner_tests::simweb::{
    Access, Article, Deposit, Location, Reply, RetryAfter, Work, World, reading_list,
};
use serde_json::Value;

use crate::holdings::{attempts, end, files_in, get, job, manifest, text};
use crate::papers::{json, json_lines};

const CROSSREF: &str = "api.crossref.org";
const EUROPE_PMC: &str = "www.ebi.ac.uk";
const PAGE: &str = "https://press.example.org/article/1";
const FILE: &str = "https://press.example.org/article/1.pdf?a=1&b=2";

/// With the usual resolvers and the limits of the defaults.
fn bench(world: World) -> Bench {
    let mut bench = Bench::new(world);
    bench.configure("orchestrator.backoff = \"20ms\"");
    bench
}

/// A world in which only a landing page names the file of `10.5555/A`.
fn paged(page: Reply) -> World {
    let mut world = World::new();
    world.doi("10.5555/A", PAGE).set(PAGE, page).set(FILE, Reply::pdf(20_000));
    world
}

/// The URLs fetched for a work, and what came of each.
fn fetches(job: &Value) -> Vec<(&str, &str)> {
    attempts(job).into_iter().filter(|(what, _)| what.starts_with("http")).collect()
}

#[test]
fn a_bench_has_the_resolvers_that_it_names_and_no_others() {
    let names = |bench: Bench| {
        let listed = json_lines(&bench, &["plugin", "list"]);
        listed.iter().map(|plugin| text(plugin, "name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(bench(World::new())), USUAL);
    assert_eq!(names(Bench::with_resolvers(World::new(), &["direct"])), ["direct"]);
    let every = names(Bench::with_every_resolver(World::new()));
    assert!(USUAL.iter().all(|usual| every.iter().any(|name| name == usual)), "{every:?}");
}

#[test]
fn crossref_finds_an_open_file_that_unpaywall_does_not_know() {
    let mut world = World::new();
    world.deposit(Deposit::open("10.5555/A", "https://press.example.org/a.pdf"));
    let bench = bench(world);
    assert_eq!(get(&bench, &["10.5555/a"], 0)["done"], 1);
    let job = job(&bench, "10.5555/a");
    let asked = [
        ("unpaywall", "ok"),
        ("europe_pmc", "ok"),
        ("crossref", "ok"),
        ("https://press.example.org/a.pdf", "ok"),
    ];
    assert_eq!(attempts(&job), asked);
    let records = manifest(&bench);
    let kept = records.iter().find(|record| record["outcome"] == "accepted").unwrap();
    assert_eq!((text(kept, "resolver"), text(kept, "version")), ("crossref", "published"));
    assert!(text(kept, "license").contains("creativecommons.org"), "{kept}");
    let requests = bench.sim().seen(CROSSREF).requests;
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].target, "/works/10.5555/a?mailto=reader%40example.org");
}

#[test]
fn a_link_to_a_closed_article_is_followed_only_when_the_operator_asks() {
    let world = || {
        let mut world = World::new();
        world.deposit(Deposit::closed("10.5555/A", "https://press.example.org/a.pdf"));
        world
    };
    let cautious = bench(world());
    assert_eq!(get(&cautious, &["10.5555/a"], 0)["skipped"], 1);
    assert!(cautious.sim().seen("press.example.org").requests.is_empty());
    let mut subscribed = bench(world());
    subscribed.configure("[resolvers.crossref]\nsettings = { closed-links = \"true\" }");
    assert_eq!(get(&subscribed, &["10.5555/a"], 0)["done"], 1);
}

#[test]
fn europe_pmc_finds_a_work_that_has_a_pmid_only() {
    let mut world = World::new();
    let article = Article {
        pmid: "777".to_owned(),
        pmcid: Some("PMC888".to_owned()),
        doi: Some("10.5555/A".to_owned()),
        title: "Nine cells".to_owned(),
        access: Access::Free,
    };
    world.article(article);
    let bench = bench(world);
    assert_eq!(get(&bench, &["PMID:777"], 0)["done"], 1);
    let job = job(&bench, "PMID:777");
    let file = "https://europepmc.org/articles/PMC888?pdf=render";
    assert_eq!(attempts(&job), [("europe_pmc", "ok"), (file, "ok")]);
    assert_eq!(bench.sim().seen(EUROPE_PMC).requests.len(), 1);
    let records = manifest(&bench);
    let kept = records.iter().find(|record| record["outcome"] == "accepted").unwrap();
    assert_eq!((text(kept, "resolver"), text(kept, "version")), ("europe_pmc", "accepted"));
}

#[test]
fn what_europe_pmc_calls_a_work_lets_others_find_it() {
    let mut world = World::new();
    let article = Article {
        pmid: "777".to_owned(),
        pmcid: None,
        doi: Some("10.5555/A".to_owned()),
        title: "Ten cells".to_owned(),
        access: Access::Closed,
    };
    world
        .article(article)
        .work(Work::new("10.5555/A", [Location::repository("https://repo.example.org/a.pdf")]));
    let bench = bench(world);
    assert_eq!(get(&bench, &["PMID:777"], 0)["done"], 1);
    let job = job(&bench, "PMID:777");
    assert_eq!(
        attempts(&job),
        [("europe_pmc", "ok"), ("unpaywall", "ok"), ("https://repo.example.org/a.pdf", "ok")]
    );
}

#[test]
fn a_file_that_only_the_landing_page_names_is_found_through_doi_org() {
    let bench = bench(paged(Reply::landing_page("Eleven cells", FILE)));
    assert_eq!(get(&bench, &["doi:10.5555/A"], 0)["done"], 1);
    let job = job(&bench, "10.5555/a");
    let asked = [
        ("unpaywall", "ok"),
        ("europe_pmc", "ok"),
        ("crossref", "ok"),
        ("doi", "ok"),
        ("landing_page", "ok"),
        (FILE, "ok"),
    ];
    assert_eq!(attempts(&job), asked);
    assert_eq!(bench.sim().seen("doi.org").hits("/10.5555/a"), 1);
    let press = bench.sim().seen("press.example.org");
    assert_eq!((press.requests.len(), press.hits("/robots.txt")), (3, 1));
}

#[test]
fn a_landing_page_that_is_the_file_is_fetched_as_one() {
    let bench = bench(paged(Reply::pdf(30_000)));
    assert_eq!(get(&bench, &["10.5555/a"], 0)["done"], 1);
    assert_eq!(fetches(&job(&bench, "10.5555/a")), [(PAGE, "ok")]);
}

#[test]
fn a_page_that_wants_a_proof_or_a_login_ends_without_a_file() {
    for page in [
        Reply::challenge_page(),
        Reply::challenge_page().status(403),
        Reply::login_page(),
        Reply::error(403),
        Reply::error(404),
        Reply::html("About the work"),
    ] {
        let bench = bench(paged(page));
        assert_eq!(get(&bench, &["10.5555/a"], 0)["skipped"], 1);
        let job = job(&bench, "10.5555/a");
        assert_eq!((end(&job), fetches(&job).len()), (("skipped", "no_candidate"), 0));
        assert_eq!(files_in(&bench, "blobs").len(), 0);
    }
}

#[test]
fn a_stated_file_behind_a_login_ends_as_an_error() {
    let mut world = paged(Reply::landing_page("Twelve cells", FILE));
    world.set(FILE, Reply::login_page());
    let bench = bench(world);
    assert_eq!(get(&bench, &["10.5555/a"], 1)["error"], 1);
    assert_eq!(end(&job(&bench, "10.5555/a")), ("error", "login_page"));
    assert_eq!(files_in(&bench, "blobs").len(), 0);
}

#[test]
fn a_page_that_asks_to_slow_down_is_read_later() {
    let mut world = paged(Reply::pdf(0));
    let page = Reply::landing_page("Thirteen cells", FILE);
    world.set(PAGE, page.after_first(1, Reply::too_many(RetryAfter::Seconds(1))));
    let bench = bench(world);
    assert_eq!(get(&bench, &["10.5555/a"], 0)["done"], 1);
    let press = bench.sim().seen("press.example.org");
    assert_eq!((press.requests.len(), press.hits("/robots.txt")), (4, 1));
}

#[test]
fn a_work_that_nobody_knows_is_skipped_after_one_request_to_each() {
    let bench = bench(World::new());
    assert_eq!(get(&bench, &["10.5555/nobody"], 0)["skipped"], 1);
    assert_eq!(end(&job(&bench, "10.5555/nobody")), ("skipped", "no_candidate"));
    for host in ["api.unpaywall.org", EUROPE_PMC, CROSSREF, "doi.org"] {
        let seen = bench.sim().seen(host);
        assert_eq!(seen.requests.len() - seen.hits("/robots.txt"), 1, "{host}");
    }
}

#[test]
fn a_landing_page_reader_may_be_confined_by_the_operator() {
    let mut bench = bench(paged(Reply::landing_page("Fourteen cells", FILE)));
    bench.configure("[resolvers.landing_page]\ngrants = { hosts = [\"doi.org\"] }");
    assert_eq!(get(&bench, &["10.5555/a"], 0)["skipped"], 1);
    assert!(bench.sim().seen("press.example.org").requests.is_empty());
    let hosts = json(&bench, &["plugin", "inspect", "landing_page"]);
    assert!(hosts.to_string().contains("doi.org"), "{hosts}");
}

#[test]
fn works_of_the_reading_list_that_unpaywall_has_no_file_of_are_found_elsewhere() {
    let bench = bench(reading_list::world(Duration::ZERO));
    let found = ["PMID:22388286", "PMC2690996", "PMC8071313", "10.7249/wr1244"];
    let closed = ["PMID: 13054692", "10.1109/5.771073", "10.5061/dryad.8515"];
    for id in found.iter().chain(&closed) {
        assert!(reading_list::LIST.lines().any(|line| line.trim() == *id), "{id}");
    }
    let totals = get(&bench, &[&found[..], &closed].concat(), 0);
    assert_eq!((&totals["done"], &totals["skipped"]), (&Value::from(4), &Value::from(3)), "{totals}");
    for id in found {
        assert_eq!(end(&job(&bench, id)), ("done", "ok"), "{id}");
    }
}
