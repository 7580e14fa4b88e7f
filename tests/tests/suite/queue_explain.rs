//! `queue explain`: what it says of a job in every state that a user meets, through the real binary.
//!
//! Only the words for programs are held here; those for people are read by people.

use gleaner_tests::harness::{Bench, Signal, TIMEOUT};
use gleaner_tests::simweb::{Behaviour, Reply, RetryAfter};
use serde_json::{Value, json};

use crate::papers::{self, PRESS, UNPAYWALL};

fn explain(bench: &Bench, id: &str) -> Value {
    papers::json(bench, &["queue", "explain", id])
}

/// What keeps the job, in the words for programs.
fn why(explained: &Value) -> Vec<&str> {
    explained["why"].as_array().unwrap().iter().map(|why| why["what"].as_str().unwrap()).collect()
}

/// Everything that is said and advised, in one text.
fn words(explained: &Value) -> String {
    explained["why"].to_string()
}

#[test]
fn a_job_that_nobody_works_on_has_its_steps_before_it() {
    let bench = papers::bench(1);
    papers::enqueue(&bench, 1);
    let explained = explain(&bench, &papers::doi(1));
    assert_eq!(
        (&explained["state"], why(&explained)),
        (&"queued".into(), vec!["nobody_works"]),
        "{explained}"
    );
    assert!(words(&explained).contains("gleaner queue run"), "{explained}");
    assert_eq!(explained["key"]["key"], "resolver:unpaywall");
    assert_eq!((&explained["ahead"], &explained["tried"]), (&0.into(), &Value::Array(Vec::new())));
    let first = &explained["next"][0];
    assert_eq!((&first["step"], &first["resolver"]), (&"ask".into(), &"unpaywall".into()), "{explained}");
    assert!(explained["next"].as_array().unwrap().len() > 1, "others would be asked: {explained}");
}

#[test]
fn a_wide_tier_is_told_with_its_width_and_who_is_asked_beside_whom() {
    let mut bench = papers::bench(1);
    bench.configure(
        "[tiers]
        list = [{ name = \"first\", resolvers = [\"unpaywall\"], width = 1 },
                { name = \"then\", resolvers = [\"europe_pmc\", \"crossref\", \"doi\"], width = 2 }]",
    );
    papers::enqueue(&bench, 1);
    let explained = explain(&bench, &papers::doi(1));
    let tiers: Vec<_> = explained["next"].as_array().unwrap().iter().take(3).collect();
    let told = |next: &Value| json!([next["resolver"], next["tier"], next["width"], next["beside"]]);
    assert_eq!(
        tiers.into_iter().map(told).collect::<Vec<_>>(),
        [
            json!(["unpaywall", "first", 1, []]),
            json!(["europe_pmc", "then", 2, ["crossref"]]),
            json!(["crossref", "then", 2, ["europe_pmc"]]),
        ]
    );
    let people = bench.run(&["queue", "explain", &papers::doi(1)]).expect_code(0).stdout;
    assert!(people.contains("then, 2 at once, with crossref"), "{people}");
}

#[test]
fn what_runs_and_what_waits_behind_it_are_told_apart() {
    let (bench, barrier) = papers::held(6);
    papers::enqueue(&bench, 6);
    let run = bench.spawn(&["queue", "run"]);
    bench.wait_for_requests(PRESS, 4);
    bench.wait_for_requests(UNPAYWALL, 6);
    let of_state = |state: &str| {
        let listed = papers::json_lines(&bench, &["queue", "list", "--state", state]);
        listed.iter().map(|job| explain(&bench, &job["job"].to_string())).collect::<Vec<_>>()
    };
    crate::queue_commands::wait_until("two wait for the press", || {
        of_state("queued").iter().filter(|job| job["key"]["key"] == "host:press.example.org").count() == 2
    });
    for running in of_state("in_progress") {
        assert_eq!(why(&running), ["running"], "{running}");
        assert_eq!(running["key"]["owner_pid"], run.pid(), "{running}");
        assert!(running["lease_until"].is_string() && running["not_before"].is_null(), "{running}");
    }
    let mut ahead = Vec::new();
    for waiting in of_state("queued") {
        assert_eq!(why(&waiting)[0], "at_limit", "{waiting}");
        assert_eq!((&waiting["key"]["in_flight"], &waiting["key"]["concurrency"]), (&4.into(), &4.into()));
        let tried = &waiting["tried"][0];
        assert_eq!(
            (&tried["resolver"], &tried["is"]),
            (&"unpaywall".into(), &"answered".into()),
            "{waiting}"
        );
        assert_eq!(waiting["next"][0]["step"], "fetch", "{waiting}");
        ahead.push(waiting["ahead"].as_u64().unwrap());
    }
    ahead.sort_unstable();
    assert_eq!(ahead, [0, 1]);
    barrier.open();
    bench.wait_for_requests(PRESS, 6);
    run.signal(Signal::TERM);
    run.wait(TIMEOUT).expect_code(0);
}

#[test]
fn pauses_of_operators_and_of_upstreams_are_named_with_their_end() {
    let bench = papers::bench(1);
    bench.sim().change(|world| {
        world.set_host(PRESS, Behaviour::of_host().first(1, Reply::too_many(RetryAfter::Seconds(3600))));
    });
    papers::json(&bench, &["get", &papers::doi(1), "--max-wait", "5s"]);
    let explained = explain(&bench, &papers::doi(1));
    assert!(why(&explained).contains(&"cooldown"), "{explained}");
    let until = explained["key"]["cooldown_until"].as_str().unwrap();
    assert!(!why(&explained).contains(&"not_before"), "one pause is told once: {explained}");
    assert!(explained["next"][0]["not_before"].as_str().unwrap() >= until, "{explained}");
    assert!(words(&explained).contains(until), "{explained}");
    papers::json(&bench, &["queue", "pause", PRESS]);
    let explained = explain(&bench, &papers::doi(1));
    assert!(why(&explained).contains(&"paused"), "{explained}");
    assert!(words(&explained).contains("gleaner queue resume host:press.example.org"), "{explained}");
    assert_eq!(explained["next"][0]["paused"], true);
}

#[test]
fn a_back_off_is_told_with_the_step_that_failed_and_the_time() {
    let mut bench = papers::bench(1);
    bench.configure("orchestrator.backoff = \"1h\"");
    bench.sim().set(&papers::url(1), Reply::error(503));
    bench.run(&["get", &papers::doi(1), "--max-wait", "1s"]).expect_code(0);
    let explained = explain(&bench, &papers::doi(1));
    assert!(why(&explained).contains(&"back_off"), "{explained}");
    let tried = explained["tried"].as_array().unwrap();
    let failed = tried.iter().find(|tried| tried["url"] == papers::url(1)).expect("the file was tried");
    assert_eq!((&failed["is"], &failed["failures"]), (&"failed".into(), &1.into()), "{explained}");
    assert_eq!(failed["reason"], "http_status", "{explained}");
    assert_eq!(failed["retry_at"], explained["not_before"], "{explained}");
    let says = format!("fetching {} failed once", papers::url(1));
    assert!(words(&explained).contains(&says), "{explained}");
    assert_eq!(explained["next"][0]["url"], papers::url(1));
    assert!(explained["then"]["tries_left"].as_u64().unwrap() > 100);
}

#[test]
fn how_jobs_ended_is_told_with_what_can_be_done() {
    let bench = papers::bench(2);
    bench.sim().set(&papers::url(2), Reply::html("A page"));
    bench.run(&["get", &papers::doi(1), &papers::doi(2), "10.5555/nobody"]).expect_code(1);
    for (id, state, advice) in [
        (papers::doi(1), "done", "library/files/"),
        (papers::doi(2), "error", "queue retry-failed --reason html_instead_of_pdf"),
        ("10.5555/nobody".to_owned(), "skipped", "queue retry-failed --state skipped --reason no_candidate"),
    ] {
        let explained = explain(&bench, &id);
        assert_eq!((&explained["state"], why(&explained)), (&state.into(), vec!["ended"]), "{explained}");
        assert!(words(&explained).contains(advice), "{explained}");
        assert_eq!((&explained["next"], &explained["then"]), (&Value::Array(Vec::new()), &Value::Null));
        assert!(!explained["tried"].as_array().unwrap().is_empty(), "{explained}");
        let people = bench.run(&["queue", "explain", &id]).expect_code(0).stdout;
        assert!(people.contains(&format!("It is {state}")) && people.contains("Tried so far"), "{people}");
    }
}

#[test]
fn a_job_that_nobody_knows_is_a_mistake_of_usage() {
    let bench = papers::bench(0);
    papers::json(&bench, &["queue", "enqueue", "10.5555/known"]);
    let output = bench.run(&["queue", "explain", "10.5555/unknown"]).expect_code(2);
    assert!(
        output.stderr.contains("10.5555/unknown") && output.stderr.contains("queue list"),
        "{}",
        output.stderr
    );
}
