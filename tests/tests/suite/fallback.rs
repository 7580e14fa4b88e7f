//! What a job does when a copy is bad or a service is down: the next copy, the next resolver, the same one later.

use std::time::Duration;

use gleaner_tests::harness::{Bench, Signal, TIMEOUT};
use gleaner_tests::simweb::{Behaviour, Eprint, Location, Reply, RetryAfter, Work, World};
use serde_json::{Value, json};

use crate::holdings::{self, attempts, end, files_in, get, job, manifest, text};
use crate::papers::{UNPAYWALL, count, json};

const PRESS: &str = "https://press.example.org";

fn press(name: &str) -> String {
    format!("{PRESS}/{name}")
}

#[test]
fn a_resolver_without_a_copy_is_followed_by_the_next() {
    let mut world = World::new();
    world.eprint(Eprint { id: "2401.00001".to_owned(), versions: 3, title: "Elsewhere".to_owned() });
    let mut bench = holdings::bench(world);
    bench.configure(
        r#"tiers.list = [{ name = "a", resolvers = ["unpaywall"] }, { name = "b", resolvers = ["arxiv"] }]"#,
    );
    assert_eq!(get(&bench, &["10.48550/arXiv.2401.00001"], 0)["done"], 1);
    let job = job(&bench, "arXiv:2401.00001");
    assert_eq!(
        attempts(&job),
        [("unpaywall", "ok"), ("arxiv", "ok"), ("https://arxiv.org/pdf/2401.00001v3", "ok")]
    );
    assert_eq!(job["attempts_made"][0]["candidates"], 0);
    assert_eq!(job["attempts_made"][2]["resolver"], "arxiv");
}

#[test]
fn no_copy_then_a_web_page_then_a_good_file_is_one_job_with_its_story() {
    let mut world = World::new();
    world.eprint(Eprint { id: "2401.00002".to_owned(), versions: 1, title: "A page".to_owned() });
    world.set("https://arxiv.org/pdf/2401.00002v1", Reply::html("Not today").media_type("application/pdf"));
    world.set(&press("good.pdf"), Reply::pdf(40_000));
    let mut bench = holdings::bench(world);
    bench.configure(
        r#"tiers.list = [{ name = "a", resolvers = ["unpaywall"] }, { name = "b", resolvers = ["arxiv"] }, { name = "c", resolvers = ["direct"] }]"#,
    );
    let work = json!({"doi": "10.1000/x", "arxiv": "2401.00002", "url": press("good.pdf")}).to_string();
    json(&bench, &["queue", "import", &bench.file("work.jsonl", &work)]);
    assert_eq!(json(&bench, &["queue", "run", "--drain"])["done"], 1);
    let job = job(&bench, "10.1000/x");
    assert_eq!(
        attempts(&job),
        [
            ("unpaywall", "ok"),
            ("arxiv", "ok"),
            ("https://arxiv.org/pdf/2401.00002v1", "html_instead_of_pdf"),
            ("direct", "ok"),
            (press("good.pdf").as_str(), "ok"),
        ]
    );
    assert_eq!((count(&bench, "total"), files_in(&bench, "blobs").len()), (1, 1));
}

#[test]
fn copies_are_tried_in_the_order_of_their_rank_until_one_is_good() {
    let urls = ["a", "b", "c", "d"].map(press);
    let mut world = World::new();
    // Unpaywall names the accepted version first; published ones rank before it.
    let published = urls[..3].iter().map(|url| Location::publisher(url));
    let locations = std::iter::once(Location::repository(&urls[3])).chain(published);
    world.work(Work::new("10.1000/x", locations));
    world.set(&urls[0], Reply::html("Full text"));
    world.set(&urls[1], Reply::error(404));
    let bench = holdings::bench(world);
    let ranked = json(&bench, &["resolve", "10.1000/x"]);
    let ranked: Vec<_> =
        ranked["candidates"].as_array().unwrap().iter().map(|one| text(one, "url")).collect();
    assert_eq!(ranked, urls.each_ref().map(String::as_str));
    assert_eq!(get(&bench, &["10.1000/x"], 0)["done"], 1);
    let job = job(&bench, "10.1000/x");
    let story =
        [("unpaywall", "ok"), (&urls[0], "html_instead_of_pdf"), (&urls[1], "not_found"), (&urls[2], "ok")];
    assert_eq!(attempts(&job), story);
    let outcomes = ["answered", "rejected", "rejected", "accepted"];
    assert_eq!(manifest(&bench).iter().map(|record| text(record, "outcome")).collect::<Vec<_>>(), outcomes);
    assert_eq!(bench.sim().seen("press.example.org").hits("/d"), 0, "a good file ends the job");
}

#[test]
fn a_job_whose_every_copy_is_bad_ends_with_the_reason_of_the_last() {
    let mut world = World::new();
    world.work(Work::new("10.1000/x", ["a", "b"].map(|name| Location::publisher(&press(name)))));
    world.set(&press("a"), Reply::error(404));
    world.set(&press("b"), Reply::login_page());
    let bench = holdings::bench(world);
    assert_eq!(get(&bench, &["10.1000/x"], 1)["error"], 1);
    let job = job(&bench, "10.1000/x");
    assert_eq!(end(&job), ("error", "login_page"));
    assert_eq!(attempts(&job)[1..], [(press("a").as_str(), "not_found"), (&press("b"), "login_page")]);
    let table = bench.run(&["queue", "list", "--state", "error"]).expect_code(0);
    assert!(table.stdout.contains("login_page"), "{}", table.stdout);
}

#[test]
fn a_service_that_fails_is_asked_again_and_then_the_job_ends_and_can_be_retried() {
    let mut world = World::new();
    world.work(Work::new("10.1000/x", [Location::publisher(&press("x"))]));
    world.set_host(UNPAYWALL, Reply::error(502));
    let mut bench = holdings::bench(world);
    bench.configure("orchestrator.max-attempts = 4");
    assert_eq!(get(&bench, &["10.1000/x"], 1)["error"], 1);
    assert_eq!(bench.sim().seen(UNPAYWALL).requests.len(), 4);
    let failed = job(&bench, "10.1000/x");
    assert_eq!(end(&failed), ("error", "http_status"));
    assert!(text(&failed, "detail").contains("502"), "{failed}");
    assert_eq!(attempts(&failed), [("unpaywall", "http_status"); 4]);
    let tries: Vec<_> = manifest(&bench).iter().map(|record| record["attempt"].as_u64().unwrap()).collect();
    assert_eq!(tries, [1, 2, 3, 4]);

    bench.sim().change(|world| {
        world.set_host(UNPAYWALL, Behaviour::of_host());
    });
    assert_eq!(get(&bench, &["10.1000/x"], 1)["error"], 1, "what has ended stays ended");
    assert_eq!(
        json(&bench, &["queue", "retry-failed", "--reason", "http_status", "--dry-run"])["retried"],
        1
    );
    assert_eq!(json(&bench, &["queue", "retry-failed", "--reason", "http_status"])["retried"], 1);
    assert_eq!(json(&bench, &["queue", "run", "--drain"])["done"], 1);
}

#[test]
fn a_failure_that_passes_costs_tries_and_nothing_else() {
    let mut world = World::new();
    world.work(Work::new("10.1000/x", [Location::publisher(&press("x"))]));
    world.set(&press("x"), Reply::pdf(30_000).after_first(2, Reply::error(500)));
    world.set_host(UNPAYWALL, Behaviour::of_host().first(1, Reply::error(503)));
    let bench = holdings::bench(world);
    assert_eq!(get(&bench, &["10.1000/x"], 0)["done"], 1);
    let reasons: Vec<_> = manifest(&bench).iter().map(|record| text(record, "reason").to_owned()).collect();
    assert_eq!(reasons, ["http_status", "ok", "http_status", "http_status", "ok"]);
}

/// A back-off waits; meanwhile the job goes on to what else it knows.
#[test]
fn a_copy_that_fails_for_now_waits_behind_the_next_copy() {
    let mut world = World::new();
    world.work(Work::new("10.1000/x", ["a", "b"].map(|name| Location::publisher(&press(name)))));
    world.set(&press("a"), Reply::error(500));
    let mut bench = holdings::bench(world);
    bench.configure("orchestrator.backoff = \"1h\"");
    assert_eq!(get(&bench, &["10.1000/x"], 0)["done"], 1);
    let job = job(&bench, "10.1000/x");
    assert_eq!(attempts(&job)[1..], [(press("a").as_str(), "http_status"), (&press("b"), "ok")]);
}

/// A bench with two papers at a press that refuses the first request so.
fn throttled(refusal: Reply) -> Bench {
    let mut world = World::new();
    for name in ["a", "b"] {
        world.work(Work::new(&format!("10.1000/{name}"), [Location::publisher(&press(name))]));
    }
    world.set_host("press.example.org", Behaviour::of_host().first(1, refusal));
    let mut bench = holdings::bench(world);
    bench.configure("[limits.hosts.\"press.example.org\"]\nconcurrency = 1\nrate = \"1000/s\"");
    bench
}

#[test]
fn a_host_that_asks_for_a_pause_gets_it_and_no_job_is_charged() {
    let refusals = [
        Reply::too_many(RetryAfter::Seconds(1)),
        Reply::too_many(RetryAfter::Date(1)),
        Reply::error(503).retry_after(RetryAfter::Seconds(1)),
    ];
    for refusal in refusals {
        let what = format!("{refusal:?}");
        let bench = throttled(refusal);
        assert_eq!(get(&bench, &["10.1000/a", "10.1000/b"], 0)["done"], 2, "{what}");
        let requests = bench.sim().seen("press.example.org").requests;
        assert_eq!(requests.len(), 3, "{what}");
        let pause = requests[1].at - requests[0].at;
        assert!(pause >= Duration::from_millis(990), "asked again after {pause:?}: {what}");
        for record in manifest(&bench) {
            assert_eq!(
                (&record["attempt"], &record["reason"]),
                (&json!(1), &json!("ok")),
                "{what}: {record}"
            );
        }
    }
}

/// Without a word of how long, it is a minute at first.
#[test]
fn a_host_that_asks_for_a_pause_without_saying_how_long_gets_one() {
    let bench = throttled(Reply::error(429));
    assert_eq!(get(&bench, &["10.1000/a", "10.1000/b", "--max-wait", "1s"], 0)["queued"], 2);
    assert_eq!(bench.sim().seen("press.example.org").requests.len(), 1);
    assert!(manifest(&bench).iter().all(|record| record["reason"] == "ok"));
}

/// The pause is the CDN's; its jobs wait under the press that leads there.
#[test]
fn a_host_behind_a_redirect_that_asks_for_a_pause_gets_it() {
    const CDN: &str = "cdn.example.org";
    let mut world = World::new();
    let urls: Vec<String> = (0..4).map(|n| press(&n.to_string())).collect();
    for (n, url) in urls.iter().enumerate() {
        let place = format!("https://{CDN}/{n}");
        world.set(url, Reply::redirect(302, &place));
        world.set(&place, Reply::pdf(9000));
    }
    world.set_host(CDN, Behaviour::of_host().first(1, Reply::too_many(RetryAfter::Seconds(1))));
    let mut bench = holdings::bench(world);
    bench.configure("limits.hosts.\"cdn.example.org\".concurrency = 1");
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    assert_eq!(get(&bench, &urls, 0)["done"], 4);
    let requests = bench.sim().seen(CDN).requests;
    assert_eq!(requests.len(), 5);
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(990), "{requests:?}");
    assert!(manifest(&bench).iter().all(|record| record["attempt"] == 1 && record["reason"] == "ok"));
}

#[test]
fn a_pause_outlives_the_process_and_is_reported() {
    let bench = throttled(Reply::too_many(RetryAfter::Seconds(600)));
    let totals = get(&bench, &["10.1000/a", "10.1000/b", "--max-wait", "100ms"], 0);
    let waiting =
        |totals: &Value| assert_eq!((&totals["queued"], &totals["done"]), (&json!(2), &json!(0)), "{totals}");
    waiting(&totals);
    assert_eq!(bench.sim().seen("press.example.org").requests.len(), 1, "nobody tried again in the pause");
    waiting(&json(&bench, &["queue", "run", "--drain", "--max-wait", "100ms"]));
    waiting(&get(&bench, &["10.1000/a", "10.1000/b", "--max-wait", "100ms"], 0));
    let told = bench.run(&["queue", "run", "--drain", "--max-wait", "100ms"]).expect_code(0);
    assert!(told.stdout.contains("2 works wait longer than --max-wait allows"), "{}", told.stdout);
    assert_eq!(bench.sim().seen("press.example.org").requests.len(), 1, "nobody tried after a restart");
    let failures = manifest(&bench).iter().filter(|record| record["reason"] != "ok").count();
    assert_eq!(failures, 0, "a pause is no failure");
    assert_eq!(get(&bench, &["10.1000/closed", "--max-wait", "100ms"], 0)["skipped"], 1, "others go on");
}

#[test]
fn a_pause_outlives_a_process_that_is_killed() {
    let bench = throttled(Reply::too_many(RetryAfter::Seconds(600)));
    json(&bench, &["queue", "enqueue", "10.1000/a", "10.1000/b"]);
    let run = bench.spawn(&["queue", "run"]);
    run.wait_until_it_says("press.example.org asks to slow down");
    run.signal(Signal::KILL);
    assert_eq!(run.wait(TIMEOUT).code, None);
    assert_eq!(json(&bench, &["queue", "run", "--drain", "--max-wait", "100ms"])["queued"], 2);
    assert_eq!(bench.sim().seen("press.example.org").requests.len(), 1);
}

#[test]
fn a_resolver_that_asks_for_a_pause_gets_it_and_no_job_is_charged() {
    let mut world = World::new();
    for n in 0..4 {
        world.work(Work::new(&format!("10.1000/{n}"), [Location::publisher(&press(&n.to_string()))]));
    }
    let refusal = Reply::too_many(RetryAfter::Seconds(1));
    world.set_host(UNPAYWALL, Behaviour::of_host().first(1, refusal));
    let bench = holdings::bench(world);
    assert_eq!(get(&bench, &["10.1000/0", "10.1000/1", "10.1000/2", "10.1000/3"], 0)["done"], 4);
    let requests = bench.sim().seen(UNPAYWALL).requests;
    assert_eq!(requests.len(), 5);
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(990), "{requests:?}");
    assert!(manifest(&bench).iter().all(|record| record["attempt"] == 1 && record["reason"] == "ok"));
}
