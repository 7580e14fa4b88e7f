//! Further resolvers as components in the real binary: each finds what nobody else knows, and is not taken in by a closed
//! work, another work's record, or a page in place of a file.
//!
//! The shapes of answers are the plugins' own tests'. Here it is who asks whom, with the limits of the defaults, and what
//! is kept. Each bench has the usual resolvers and the one under test.

use gleaner_tests::harness::{Bench, TIMEOUT, USUAL};
use gleaner_tests::simweb::{
    CORE_KEY, CentralArticle, CoreWork, Eprint, Holding, Kept, Location, OpenArticle, Paper, Reply, Snapshot,
    Work, World,
};
use serde_json::Value;

use crate::holdings::{attempts, end, files_in, get, job, manifest, text, walk};

const DOI: &str = "10.5555/a";
const FILE: &str = "https://press.example.org/a.pdf";
const CONVERTER: &str = "pmc.ncbi.nlm.nih.gov";
const DATASETS: &str = "pmc-oa-opendata.s3.amazonaws.com";
const SCHOLAR: &str = "api.semanticscholar.org";

fn bench(world: World, resolver: &str) -> Bench {
    let mut bench = Bench::with_resolvers(world, &[&USUAL[..], &[resolver]].concat());
    bench.configure("orchestrator.backoff = \"20ms\"");
    bench
}

/// A world in which a file is, that nobody names yet.
fn with_file() -> World {
    let mut world = World::new();
    world.set(FILE, Reply::pdf(20_000));
    world
}

/// The work is harvested; what was kept came from this URL and was proposed by this resolver.
fn expect_found(bench: &Bench, id: &str, resolver: &str, url: &str) {
    let totals = get(bench, &[id], 0);
    assert_eq!(totals["done"], 1, "{:#}", job(bench, id));
    let records = manifest(bench);
    let kept = records.iter().find(|record| record["outcome"] == "accepted").unwrap();
    assert_eq!((text(kept, "resolver"), text(kept, "candidate_url")), (resolver, url), "{kept}");
}

/// Nothing is kept, and the job ends so.
fn expect_nothing(bench: &Bench, id: &str, state: &str, reason: &str) {
    get(bench, &[id], i32::from(state == "error"));
    let job = job(bench, id);
    assert_eq!(end(&job), (state, reason), "{job:#}");
    assert_eq!(files_in(bench, "blobs").len(), 0);
}

/// What was asked of a host, without what robots.txt says.
fn asked(bench: &Bench, host: &str) -> Vec<String> {
    let requests = bench.sim().seen(host).requests;
    requests.into_iter().map(|seen| seen.target).filter(|target| target != "/robots.txt").collect()
}

fn central(holding: Holding) -> CentralArticle {
    CentralArticle {
        pmcid: "PMC888".to_owned(),
        pmid: Some("777".to_owned()),
        doi: Some("10.5555/A".to_owned()),
        holding,
    }
}

#[test]
fn pmc_finds_a_file_in_the_datasets_by_the_doi() {
    let (mut world, article) = (World::new(), central(Holding::Datasets));
    let file = article.pdf().unwrap();
    world.central(article);
    let bench = bench(world, "pmc");
    expect_found(&bench, DOI, "pmc", &file);
    assert_eq!(attempts(&job(&bench, DOI)), [("unpaywall", "ok"), ("pmc", "ok"), (&file, "ok")]);
    let converted = "/tools/idconv/api/v1/articles/?ids=10.5555%2Fa&idtype=doi&format=json&tool=gleaner&email=reader%40example.org";
    assert_eq!(asked(&bench, CONVERTER), [converted]);
}

#[test]
fn pmc_finds_a_file_that_is_on_the_older_site_only() {
    let (mut world, article) = (World::new(), central(Holding::OlderSite));
    let file = article.pdf().unwrap();
    world.central(article);
    let bench = bench(world, "pmc");
    expect_found(&bench, "PMC888", "pmc", &file);
    assert!(asked(&bench, CONVERTER).is_empty(), "a PMCID needs no conversion");
}

#[test]
fn a_page_of_pmc_that_wants_a_proof_of_work_is_no_file() {
    let (mut world, article) = (World::new(), central(Holding::Datasets));
    world.set(&article.pdf().unwrap(), Reply::challenge_page()).central(article);
    expect_nothing(&bench(world, "pmc"), "PMC888", "error", "challenge_page");
}

#[test]
fn an_article_of_pmc_that_is_not_open_is_not_fetched() {
    let mut world = World::new();
    world.central(central(Holding::Closed));
    let bench = bench(world, "pmc");
    expect_nothing(&bench, "PMID:777", "skipped", "no_candidate");
    assert_eq!(asked(&bench, DATASETS).len(), 1, "the listing that does not have it");
}

#[test]
fn semantic_scholar_finds_an_open_copy() {
    let mut world = with_file();
    world.paper(Paper::open("10.5555/A", FILE, "GREEN"));
    let bench = bench(world, "semantic_scholar");
    expect_found(&bench, DOI, "semantic_scholar", FILE);
    assert_eq!(asked(&bench, SCHOLAR), ["/graph/v1/paper/DOI:10.5555/a?fields=externalIds%2CopenAccessPdf"]);
}

#[test]
fn a_copy_that_semantic_scholar_has_at_doi_org_is_found_on_its_page() {
    let mut world = with_file();
    let page = "https://press.example.org/article/1";
    world.doi(DOI, page).set(page, Reply::landing_page("A cell", FILE));
    world.paper(Paper::open(DOI, "https://doi.org/10.5555/a", "HYBRID"));
    let bench = bench(world, "semantic_scholar");
    expect_found(&bench, DOI, "landing_page", FILE);
}

#[test]
fn a_joined_or_closed_paper_of_semantic_scholar_is_not_taken() {
    let joined = Paper { doi: Some("10.5555/other".to_owned()), ..Paper::open(DOI, FILE, "GREEN") };
    for paper in [joined, Paper::closed(DOI)] {
        let mut world = with_file();
        world.paper(paper);
        let bench = bench(world, "semantic_scholar");
        expect_nothing(&bench, DOI, "skipped", "no_candidate");
        assert!(asked(&bench, "press.example.org").is_empty());
    }
}

#[test]
fn doaj_finds_the_file_of_an_open_article() {
    let mut world = with_file();
    world.open_article(OpenArticle::new("10.5555/A", FILE, None));
    let bench = bench(world, "doaj");
    expect_found(&bench, DOI, "doaj", FILE);
    assert_eq!(asked(&bench, "doaj.org"), ["/api/search/articles/doi:%2210.5555%2Fa%22?pageSize=10"]);
}

#[test]
fn the_page_that_doaj_names_leads_to_the_file() {
    let mut world = with_file();
    let page = "https://press.example.org/article/1";
    world
        .open_article(OpenArticle::new(DOI, page, Some("HTML")))
        .set(page, Reply::landing_page("A cell", FILE));
    expect_found(&bench(world, "doaj"), DOI, "landing_page", FILE);
}

#[test]
fn an_article_of_doaj_with_another_doi_is_not_taken_and_a_page_called_pdf_is_no_file() {
    let mut world = with_file();
    let article = OpenArticle { doi: "10.5555/other".to_owned(), ..OpenArticle::new(DOI, FILE, Some("PDF")) };
    world.open_article(article);
    let other = bench(world, "doaj");
    expect_nothing(&other, DOI, "skipped", "no_candidate");
    assert!(asked(&other, "press.example.org").is_empty());
    let mut world = World::new();
    world.open_article(OpenArticle::new(DOI, FILE, Some("PDF"))).set(FILE, Reply::html("Read it here"));
    expect_nothing(&bench(world, "doaj"), DOI, "error", "html_instead_of_pdf");
}

/// CORE is off by default; with a key an operator switches it on.
fn core(world: World) -> Bench {
    let mut bench = bench(world, "core");
    bench.configure("[resolvers.core]\nenabled = true");
    bench
}

fn get_with_key(bench: &Bench, key: &str, ids: &[&str], code: i32) -> Value {
    let env = format!("GLEANER_SECRET_CORE_KEY=Bearer {key}");
    let args = [&["--format", "json", "get"], ids].concat();
    bench.spawn_under(&["env", &env, "GLEANER_LOG=trace"], &args).wait(TIMEOUT).expect_code(code).json()
}

#[test]
fn core_is_asked_only_when_it_is_switched_on_and_has_a_key() {
    let mut world = with_file();
    world.core_work(CoreWork::new(DOI, FILE));
    let off = bench(world, "core");
    expect_nothing(&off, DOI, "skipped", "no_candidate");
    assert!(asked(&off, "api.core.ac.uk").is_empty());
    let without = core(World::new());
    let said = without.run(&["plugin", "check", "core"]);
    assert_eq!(said.code, Some(3), "{}", said.stdout);
    assert!(said.stdout.contains("GLEANER_SECRET_CORE_KEY"), "{}", said.stdout);
    let refused = core(World::new());
    assert_eq!(get_with_key(&refused, "core-wrong", &[DOI], 1)["error"], 1);
    assert_eq!(end(&job(&refused, DOI)), ("error", "http_status"));
}

/// The default limit of CORE makes a request wait longer than a step may: its step goes back, and is done later.
#[test]
fn core_finds_copies_with_a_key_that_stays_secret_however_slow_it_must_be_asked() {
    let mut world = with_file();
    let other = "https://press.example.org/b.pdf";
    world.set(other, Reply::pdf(20_000));
    world.core_work(CoreWork::new("10.5555/A", FILE)).core_work(CoreWork::new("10.5555/b", other));
    let bench = core(world);
    assert_eq!(get_with_key(&bench, CORE_KEY, &[DOI, "10.5555/b"], 0)["done"], 2);
    assert_eq!(asked(&bench, "api.core.ac.uk").len(), 2);
    for record in manifest(&bench).iter().filter(|record| record["resolver"] == "core") {
        assert_eq!((&record["attempt"], text(record, "reason")), (&Value::from(1), "ok"), "{record}");
    }
    let mut files = Vec::new();
    walk(&bench.library(), &mut files);
    for path in files {
        let bytes = std::fs::read(&path).unwrap();
        let told = bytes.windows(CORE_KEY.len()).any(|window| window == CORE_KEY.as_bytes());
        assert!(!told, "the key is in {}", path.display());
    }
}

#[test]
fn an_eprint_that_core_knows_by_its_page_is_found_at_arxiv() {
    let mut world = World::new();
    world.eprint(Eprint { id: "2401.00001".to_owned(), versions: 1, title: "Cells".to_owned() });
    world.core_work(CoreWork::new(DOI, "http://arxiv.org/abs/2401.00001"));
    let bench = core(world);
    assert_eq!(get_with_key(&bench, CORE_KEY, &[DOI], 0)["done"], 1);
    let job = job(&bench, DOI);
    assert_eq!(attempts(&job).last(), Some(&("https://arxiv.org/pdf/2401.00001v1", "ok")), "{job:#}");
}

/// A work whose only copy is gone, and what the archive kept.
fn gone(snapshots: &[(&str, &str, Kept)]) -> World {
    let mut world = World::new();
    world.work(Work::new(DOI, [Location::publisher(FILE)])).set(FILE, Reply::error(404));
    for (timestamp, url, kept) in snapshots {
        world.snapshot(Snapshot::new(timestamp, url, *kept));
    }
    world
}

#[test]
fn wayback_finds_the_file_that_is_gone() {
    let bench = bench(
        gone(&[("20180101000000", FILE, Kept::Pdf), ("20200101000000", FILE, Kept::TooMany)]),
        "wayback",
    );
    let snapshot = format!("https://web.archive.org/web/20180101000000id_/{FILE}");
    expect_found(&bench, DOI, "wayback", &snapshot);
    assert_eq!(attempts(&job(&bench, DOI))[1], (FILE, "not_found"));
    assert_eq!(asked(&bench, "archive.org").len(), 1);
    assert_eq!(asked(&bench, "web.archive.org").len(), 2, "the index and the snapshot");
}

#[test]
fn what_the_archive_kept_in_place_of_a_file_is_not_asked_for() {
    for snapshot in [
        ("20200101000000", FILE, Kept::Page),
        ("20200101000000", FILE, Kept::TooMany),
        ("20200101000000", "https://press.example.org/b.pdf", Kept::Pdf),
    ] {
        let bench = bench(gone(&[snapshot]), "wayback");
        expect_nothing(&bench, DOI, "error", "not_found");
        let snapshots =
            asked(&bench, "web.archive.org").into_iter().filter(|target| target.contains("/web/"));
        assert_eq!(snapshots.count(), 0);
    }
}

#[test]
fn the_archive_is_not_asked_about_a_work_whose_files_are_there() {
    let mut world = with_file();
    world.work(Work::new(DOI, [Location::publisher(FILE)])).snapshot(Snapshot::new("2020", FILE, Kept::Pdf));
    let there = bench(world, "wayback");
    expect_found(&there, DOI, "unpaywall", FILE);
    let closed = bench(World::new(), "wayback");
    expect_nothing(&closed, DOI, "skipped", "no_candidate");
    for bench in [there, closed] {
        assert!(asked(&bench, "archive.org").is_empty() && asked(&bench, "web.archive.org").is_empty());
    }
}

/// The archive gives what it kept with the status that it had: that is no word of its own.
#[test]
fn a_refusal_that_the_archive_kept_is_no_wish_of_the_archive() {
    let place = |url: &str| format!("https://web.archive.org/web/20200101000000id_/{url}");
    let mut world = World::new();
    let other = "https://press.example.org/b.pdf";
    world.snapshot(Snapshot::new("20200101000000", FILE, Kept::TooMany));
    world.snapshot(Snapshot::new("20200101000000", other, Kept::Pdf));
    let mut bench = bench(world, "wayback");
    bench.configure("orchestrator.max-attempts = 1");
    let totals = get(&bench, &[&place(FILE), &place(other), "--max-wait", "30s"], 1);
    assert_eq!((&totals["done"], &totals["error"]), (&Value::from(1), &Value::from(1)), "{totals}");
    let paused = bench.run(&["queue", "keys"]).expect_code(0).stdout;
    assert!(!paused.contains("slow down"), "{paused}");
}

#[test]
fn with_every_resolver_a_work_that_nobody_knows_costs_each_service_one_request() {
    let mut bench = Bench::with_every_resolver(World::new());
    bench.configure("orchestrator.backoff = \"20ms\"");
    expect_nothing(&bench, "10.5555/nobody", "skipped", "no_candidate");
    for host in ["api.unpaywall.org", CONVERTER, SCHOLAR, "doaj.org", "api.crossref.org"] {
        assert_eq!(asked(&bench, host).len(), 1, "{host}");
    }
    for host in [DATASETS, "www.ncbi.nlm.nih.gov", "api.core.ac.uk", "archive.org", "web.archive.org"] {
        assert!(asked(&bench, host).is_empty(), "{host}");
    }
}
