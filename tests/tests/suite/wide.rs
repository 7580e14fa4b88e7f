//! A tier that asks several resolvers at once: who is asked when, what bounds it, and what a kill in the middle costs.
//!
//! Services are held back by barriers, so that no test depends on how fast anything is.

use std::time::Duration;

use gleaner_tests::harness::{Bench, Signal, TIMEOUT};
use gleaner_tests::simweb::{Barrier, Location, Reply, Work, World};
use serde_json::json;

use crate::holdings::{attempts, files_in, job};
use crate::papers::{UNPAYWALL, json};

const CROSSREF: &str = "api.crossref.org";
const EUROPE_PMC: &str = "www.ebi.ac.uk";
const PRESS: &str = "press.example.org";
const DOI: &str = "10.1000/x";

/// Long enough for a request that should not come to show itself.
const A_WHILE: Duration = Duration::from_millis(700);

/// No pause, and one tier of three services.
fn bench(width: u32, more: &str) -> Bench {
    let mut world = World::new();
    world.work(Work::new(DOI, [Location::publisher("https://press.example.org/x.pdf")]));
    world.set_host(EUROPE_PMC, Reply::json(&json!({"hitCount": 0, "resultList": {"result": []}})));
    world.set_host(CROSSREF, Reply::error(404));
    let mut bench = Bench::new(world);
    let free = "{ concurrency = 8, rate = \"1000/s\", burst = 1000 }";
    bench.configure(&format!(
        "[limits]\ndefault-host = {free}\n[limits.hosts]\n\"{CROSSREF}\" = {free}\n\"{EUROPE_PMC}\" = {free}\n\
         [orchestrator]\nbackoff = \"1ms\"\n[tiers]\n\
         list = [{{ name = \"all\", resolvers = [\"crossref\", \"europe_pmc\", \"unpaywall\"], width = {width} }}]\n"
    ));
    for other in ["arxiv", "direct", "doi", "landing_page"] {
        bench.configure(&format!("[resolvers.{other}]\nenabled = false"));
    }
    bench.configure(more);
    bench
}

/// Holds a host's answers back.
fn hold(bench: &Bench, host: &str, reply: Reply) -> Barrier {
    let barrier = Barrier::new();
    bench.sim().change(|world| {
        world.set_host(host, reply.held_by(&barrier));
    });
    barrier
}

fn hold_the_first(bench: &Bench) -> Barrier {
    hold(bench, CROSSREF, Reply::error(404))
}

fn asked(bench: &Bench) -> [usize; 3] {
    [CROSSREF, EUROPE_PMC, UNPAYWALL].map(|host| bench.sim().seen(host).requests.len())
}

#[test]
fn a_width_of_three_asks_three_at_once_and_the_first_file_ends_the_others() {
    let bench = bench(3, "");
    let _crossref = hold_the_first(&bench);
    let _europe_pmc = hold(&bench, EUROPE_PMC, Reply::error(404));
    // Two services never answer, and the file is there all the same.
    let totals = json(&bench, &["get", DOI]);
    assert_eq!(totals["done"], 1, "{totals}");
    assert_eq!(asked(&bench), [1, 1, 1]);
    let job = job(&bench, DOI);
    assert_eq!(attempts(&job), [("unpaywall", "ok"), ("https://press.example.org/x.pdf", "ok")]);
    assert_eq!(files_in(&bench, "blobs").len(), 1);
}

#[test]
fn a_width_of_one_asks_nobody_before_the_first_has_answered() {
    let bench = bench(1, "");
    let crossref = hold_the_first(&bench);
    let run = bench.spawn(&["get", DOI]);
    bench.wait_for_requests(CROSSREF, 1);
    assert!(!bench.has_seen(UNPAYWALL, 1, A_WHILE), "a second one was asked");
    assert_eq!(asked(&bench), [1, 0, 0]);
    crossref.open();
    run.wait(TIMEOUT).expect_code(0);
    assert_eq!(asked(&bench), [1, 1, 1]);
}

#[test]
fn permits_bound_a_wide_tier() {
    // Two calls at once in all, whatever the width.
    let bench = bench(3, "[orchestrator]\nworkers = 2");
    let held = [hold_the_first(&bench), hold(&bench, EUROPE_PMC, Reply::error(404))];
    let run = bench.spawn(&["get", DOI]);
    bench.wait_for_requests(CROSSREF, 1);
    bench.wait_for_requests(EUROPE_PMC, 1);
    assert!(!bench.has_seen(UNPAYWALL, 1, A_WHILE), "a third one was asked");
    held.iter().for_each(Barrier::open);
    run.wait(TIMEOUT).expect_code(0);
    assert_eq!(asked(&bench), [1, 1, 1]);
}

#[test]
fn a_kill_in_the_middle_asks_again_only_whom_it_has_no_answer_of() {
    let bench = bench(3, "");
    // One keeps the job, two have answered.
    let crossref = hold_the_first(&bench);
    let file = Barrier::new();
    bench.sim().set("https://press.example.org/x.pdf", Reply::pdf(4096).held_by(&file));
    json(&bench, &["queue", "enqueue", DOI]);
    let run = bench.spawn(&["queue", "run", "--drain"]);
    // The file is asked for after the answer that names it was recorded.
    bench.wait_for_requests(PRESS, 1);
    bench.wait_for_requests(EUROPE_PMC, 1);
    // Each look is a process, so that this is no busy wait.
    while job(&bench, DOI)["attempts_made"].as_array().unwrap().len() < 2 {}
    run.signal(Signal::KILL);
    run.wait(TIMEOUT);
    bench.sim().forget();
    crossref.open();
    file.open();
    assert_eq!(json(&bench, &["queue", "run", "--drain"])["done"], 1);
    let [_, europe_pmc, unpaywall] = asked(&bench);
    assert_eq!((europe_pmc, unpaywall), (0, 0), "an answer that was recorded was asked for again");
    assert_eq!(bench.sim().seen(PRESS).hits("/x.pdf"), 1);
}

#[test]
fn a_preference_for_the_published_version_waits_for_the_tier() {
    let bench = bench(3, "[tiers]\nprefer = \"published\"");
    let crossref = hold_the_first(&bench);
    let run = bench.spawn(&["get", DOI]);
    bench.wait_for_requests(UNPAYWALL, 1);
    bench.wait_for_requests(CROSSREF, 1);
    assert!(!bench.has_seen(PRESS, 1, A_WHILE), "a file was fetched before all had answered");
    crossref.open();
    run.wait(TIMEOUT).expect_code(0);
    assert_eq!(bench.sim().seen(PRESS).hits("/x.pdf"), 1);
}
