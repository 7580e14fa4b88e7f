//! Politeness as the simulated web sees it: robots.txt, breakers, budgets of a day, announced limits.
//!
//! The rules themselves are the crates' tests'. Here it is what a whole run does by them, and what it says of it.

use std::time::Duration;

use gleaner_tests::harness::Bench;
use gleaner_tests::simweb::{Behaviour, Location, Reply, RetryAfter, Work, World};

use crate::holdings::{get, job, manifest};
use crate::papers::{self, PRESS, UNPAYWALL, json, json_lines};

#[test]
fn a_page_that_robots_txt_disallows_is_not_asked_for() {
    const PAGE: &str = "https://press.example.org/article/1";
    let mut world = World::new();
    world
        .doi("10.5555/A", PAGE)
        .set(PAGE, Reply::landing_page("Cells", "https://press.example.org/1.pdf"))
        .set(
            "https://press.example.org/robots.txt",
            Reply::bytes("text/plain", "User-agent: *\nDisallow: /article"),
        );
    let bench = Bench::new(world);
    get(&bench, &["10.5555/a"], 1);
    let refused = manifest(&bench).into_iter().find(|record| record["resolver"] == "landing_page").unwrap();
    assert_eq!(refused["reason"], "robots_disallowed", "{refused}");
    let seen = bench.sim().seen(PRESS);
    assert_eq!((seen.hits("/robots.txt"), seen.hits("/article/1")), (1, 0));
}

#[test]
fn a_host_that_fails_is_left_alone_without_a_try_and_then_asked_by_one_request() {
    let mut bench = papers::bench(8);
    bench.configure("[orchestrator]\nmax-attempts = 10\n[limits]\nbreaker = { after = 3, pause = \"1h\" }\n[limits.hosts.\"press.example.org\"]\nconcurrency = 1\nrate = \"1000/s\"\nburst = 1000");
    for number in 1..=8 {
        bench.sim().set(&papers::url(number), Reply::error(500));
    }
    papers::enqueue(&bench, 8);
    json(&bench, &["queue", "run", "--drain", "--max-wait", "1s"]);
    assert_eq!(bench.sim().seen(PRESS).requests.len(), 3);
    let keys = json_lines(&bench, &["queue", "keys"]);
    let key = keys.iter().find(|key| key["key"] == "host:press.example.org").unwrap();
    assert_eq!((&key["breaker"], key["cooldown_until"].is_string()), (&true.into(), true), "{key}");
    let table = bench.run(&["queue", "keys"]).expect_code(0).stdout;
    assert!(table.contains("fails; tried again at 2"), "{table}");
    let waits = (1..=8).map(|number| bench.run(&["queue", "explain", &papers::doi(number)]).stdout);
    let says = "failed too often in a row, and is left alone until 2";
    assert!(waits.into_iter().any(|text| text.contains(says)), "nobody is told why it waits");
    let failed = manifest(&bench).iter().filter(|record| record["reason"] == "http_status").count();
    assert_eq!(failed, 3, "what waits was not charged");
}

/// Jobs of a quick host are leased a moment before there is room for them. When it asks to wait, they go back uncharged.
#[test]
fn jobs_that_stand_in_line_for_a_host_go_back_when_it_asks_to_wait() {
    const FILES: &str = "files.example.org";
    let urls: Vec<_> = (0..300).map(|n| format!("https://{FILES}/{n}.pdf")).collect();
    let mut world = World::new();
    for (url, size) in urls.iter().zip(2000..) {
        world.set(url, Reply::pdf(size));
    }
    let asks_to_wait = Reply::too_many(RetryAfter::Seconds(3600));
    world.set_host(FILES, Behaviour::of_host().at_most(150, Duration::from_secs(3600), asks_to_wait));
    let mut bench = Bench::new(world);
    bench.configure("[limits]\ndefault-host = { concurrency = 2, rate = \"100000/s\", burst = 100000 }\n");
    let list = bench.file("list.txt", &urls.join("\n"));
    bench.run(&["queue", "enqueue", "--input", &list]).expect_code(0);
    json(&bench, &["queue", "run", "--drain", "--max-wait", "1s"]);
    let seen = bench.sim().seen(FILES);
    assert_eq!(seen.most_in_flight, 2);
    assert!((151..=152).contains(&seen.requests.len()), "{} requests", seen.requests.len());
    let stats = json(&bench, &["queue", "stats"]);
    assert_eq!((&stats["done"], &stats["queued"]), (&150.into(), &150.into()), "{stats}");
    let waiting = json_lines(&bench, &["queue", "list", "--state", "queued"]);
    assert_eq!(waiting.len(), 150);
    let charged: Vec<_> = waiting.iter().filter(|job| job["attempts"] != 0).collect();
    assert!(charged.is_empty(), "{charged:?}");
}

#[test]
fn a_host_that_recovers_is_used_again_after_one_request_at_a_time() {
    let mut bench = papers::bench(6);
    bench.configure("[limits]\nbreaker = { after = 1, pause = \"1s\" }");
    bench.sim().set(&papers::url(1), Reply::pdf(4096).after_first(1, Reply::error(500)));
    papers::enqueue(&bench, 6);
    assert_eq!(json(&bench, &["queue", "run", "--drain"])["done"], 6);
}

#[test]
fn a_budget_of_a_day_holds_over_a_restart() {
    let mut bench = papers::bench(5);
    bench.configure("[limits.hosts.\"press.example.org\"]\nper-day = 2\nrate = \"1000/s\"\nburst = 1000");
    papers::enqueue(&bench, 5);
    for _ in 0..2 {
        json(&bench, &["queue", "run", "--drain", "--max-wait", "1s"]);
        assert_eq!(bench.sim().seen(PRESS).requests.len(), 2);
    }
    let keys = json_lines(&bench, &["queue", "keys"]);
    let key = keys.iter().find(|key| key["key"] == "host:press.example.org").unwrap();
    assert!(key["spent_until"].as_str().is_some_and(|until| until.contains("T00:00:00")), "{key}");
    let table = bench.run(&["queue", "keys"]).expect_code(0).stdout;
    assert!(table.contains("the day's budget is used up; not before 2"), "{table}");
    let waits = (1..=5).map(|number| bench.run(&["queue", "explain", &papers::doi(number)]).stdout);
    assert!(
        waits.into_iter().any(|text| text.contains("has used up its budget of the day, until 2")),
        "nobody is told why it waits"
    );
    let attempts = job(&bench, &papers::doi(1))["attempts"].as_array().map_or(0, Vec::len);
    assert!(attempts <= 2, "waiting costs nothing");
}

#[test]
fn an_announced_end_of_what_is_left_stops_further_requests() {
    let mut world = World::new();
    for number in 1..=3 {
        world.work(Work::new(&papers::doi(number), [Location::publisher(&papers::url(number))]));
    }
    let mut bench = Bench::new(world);
    bench.configure("[limits.resolvers.unpaywall]\nconcurrency = 1\n[limits.hosts.\"press.example.org\"]\nconcurrency = 1\nrate = \"1000/s\"\nburst = 1000");
    for number in 1..=3 {
        let last = Reply::pdf(4096).header("x-ratelimit-remaining", "0").header("x-ratelimit-reset", "3600");
        bench.sim().set(&papers::url(number), last);
    }
    papers::enqueue(&bench, 3);
    json(&bench, &["queue", "run", "--drain", "--max-wait", "1s"]);
    assert_eq!(bench.sim().seen(PRESS).requests.len(), 1);
    assert_eq!(bench.sim().seen(UNPAYWALL).requests.len(), 3);
}

/// As Crossref says it. The first answer tells, and from then on no more come than that.
#[test]
fn an_announced_rate_is_obeyed() {
    let mut bench = papers::bench(9);
    bench.configure("[limits.hosts.\"press.example.org\"]\nconcurrency = 1\nrate = \"1000/s\"\nburst = 1000");
    for number in 1..=9 {
        let answer = Reply::pdf(4096).header("x-rate-limit-limit", "2").header("x-rate-limit-interval", "1s");
        bench.sim().set(&papers::url(number), answer);
    }
    papers::enqueue(&bench, 9);
    assert_eq!(json(&bench, &["queue", "run", "--drain"])["done"], 9);
    let seen = bench.sim().seen(PRESS);
    let most = seen.most_within(std::time::Duration::from_millis(900));
    assert!((1..=5).contains(&most), "a burst of two, two more, and the one that was told first: {most}");
}
