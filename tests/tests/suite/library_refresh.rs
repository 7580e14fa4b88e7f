//! `library refresh`: what changed at its source is kept beside what was there, and nothing is asked for needlessly.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use gleaner_tests::harness::{Bench, Signal, TIMEOUT};
use gleaner_tests::simweb::{Barrier, Reply, RetryAfter};
use serde_json::{Value, json};

use crate::papers::{self, PRESS, json as run, json_lines};
use crate::queue_commands::wait_until;

/// A bench with so many papers, each with an `ETag`, all fetched; the web has forgotten who asked.
fn fetched(count: usize) -> Bench {
    let bench = papers::bench(count);
    for number in 1..=count {
        bench.sim().set(&papers::url(number), Reply::pdf(4096).header("etag", &format!("\"{number}\"")));
    }
    get(&bench, count);
    bench.sim().forget();
    bench
}

fn get(bench: &Bench, count: usize) {
    let dois = papers::dois(count);
    let args: Vec<&str> = std::iter::once("get").chain(dois.iter().map(String::as_str)).collect();
    assert_eq!(run(bench, &args)["done"], count);
}

fn refresh(bench: &Bench, args: &[&str]) -> Value {
    run(bench, &[&["library", "refresh"], args].concat())
}

/// Every file, whenever it was fetched.
fn refresh_all(bench: &Bench) -> Value {
    refresh(bench, &["--older-than", "0s"])
}

fn blob(bench: &Bench, sha256: &str) -> PathBuf {
    bench.library().join("blobs").join(&sha256[..2]).join(&sha256[2..])
}

/// Hash and name of what a paper's job holds.
fn held(bench: &Bench, number: usize) -> (String, String) {
    let file = run(bench, &["queue", "show", &papers::doi(number)])["file"].clone();
    let text = |field: &str| file[field].as_str().unwrap().to_owned();
    (text("sha256"), text("name"))
}

fn rechecks(bench: &Bench) -> Vec<Value> {
    let mut records = json_lines(bench, &["library", "manifest"]);
    records.retain(|record| record["recheck"] == true);
    records
}

fn requests(bench: &Bench) -> usize {
    bench.sim().report().requests
}

fn expect_whole(bench: &Bench, checked: usize) {
    let verdict = run(bench, &["library", "verify"]);
    assert_eq!(
        (&verdict["checked"], verdict["bad"].as_array().unwrap().len()),
        (&checked.into(), 0),
        "{verdict}"
    );
}

#[test]
fn a_second_run_over_the_same_list_asks_for_nothing() {
    let bench = fetched(3);
    get(&bench, 3);
    papers::json(&bench, &["queue", "run", "--drain"]);
    assert_eq!(requests(&bench), 0);
}

#[test]
fn what_has_not_changed_is_not_fetched() {
    let bench = fetched(2);
    let before = json_lines(&bench, &["library", "list"]);
    let told = refresh_all(&bench);
    assert_eq!(
        (&told["not_modified"], &told["bytes"], &told["failed"]),
        (&2.into(), &0.into(), &0.into()),
        "{told}"
    );
    let seen = bench.sim().seen(PRESS).requests;
    let mut sent: Vec<_> = seen.iter().map(|seen| seen.header("if-none-match").unwrap()).collect();
    sent.sort_unstable();
    assert_eq!(sent, ["\"1\"", "\"2\""]);
    assert_eq!(requests(&bench), 2, "nobody else was asked");
    assert_eq!(json_lines(&bench, &["library", "list"]), before);
    let run = told["run_id"].as_str().unwrap();
    let records = json_lines(&bench, &["library", "manifest", "--run", run]);
    assert_eq!(records.len(), 2);
    for record in &records {
        let what = ["outcome", "reason", "status", "recheck", "resolver"].map(|field| record[field].clone());
        assert_eq!(Value::from(what.to_vec()), json!(["answered", "not_modified", 304, true, "unpaywall"]));
        assert!(record["sha256"].is_string() && record["candidate_url"].is_string());
    }
    // Who has just been asked is not asked again.
    let told = refresh(&bench, &["--older-than", "1h"]);
    assert_eq!((&told["not_modified"], requests(&bench)), (&0.into(), 2));
}

#[test]
fn last_modified_is_a_validator_too() {
    let bench = papers::bench(1);
    let at = "Wed, 25 Nov 2026 08:00:00 GMT";
    bench.sim().set(&papers::url(1), Reply::pdf(4096).header("last-modified", at));
    get(&bench, 1);
    bench.sim().forget();
    assert_eq!(refresh_all(&bench)["not_modified"], 1);
    assert_eq!(bench.sim().seen(PRESS).requests[0].header("if-modified-since"), Some(at));
}

#[test]
fn both_versions_are_kept_when_a_file_has_changed() {
    let bench = fetched(2);
    let (first, first_name) = held(&bench, 1);
    bench.sim().set(&papers::url(1), Reply::pdf(6000).header("etag", "\"new\""));
    let output = bench.run(&["--format", "json", "library", "refresh", "--older-than", "0s"]).expect_code(0);
    let told = output.json();
    assert_eq!((&told["changed"], &told["not_modified"]), (&1.into(), &1.into()), "{told}");
    assert!(output.stderr.contains("both versions are kept"), "{}", output.stderr);
    let (second, second_name) = held(&bench, 1);
    assert!(first != second && first_name != second_name);
    let paths = json_lines(&bench, &["library", "path", "--all", &papers::doi(1)]);
    let hashes: Vec<_> = paths.iter().map(|path| path["sha256"].as_str().unwrap()).collect();
    assert_eq!(hashes, [&*second, &*first], "the one of now first");
    for (sha256, name) in [(&first, &first_name), (&second, &second_name)] {
        let bytes = fs::read(bench.library().join(name)).unwrap();
        assert_eq!(crate::holdings::sha256(&bytes), **sha256);
        assert!(blob(&bench, sha256).is_file());
    }
    let newest = rechecks(&bench).into_iter().find(|record| record["outcome"] == "accepted").unwrap();
    assert_eq!((&newest["sha256"], &newest["path"]), (&second.clone().into(), &second_name.clone().into()));
    assert_eq!(papers::count(&bench, "done"), 2, "the jobs are as they were");
    expect_whole(&bench, 3);
    let copy = bench.path("copy");
    assert_eq!(run(&bench, &["library", "backup", &copy.display().to_string()])["problems"], json!([]));
    assert!(copy.join(&first_name).is_file() && copy.join(&second_name).is_file(), "a backup has both");
    // An earlier version is no leftover.
    assert_eq!(run(&bench, &["library", "gc", "--grace", "0s"])["blobs"], 0);
    // Its own validator counts from now on; and back again is a third version.
    assert_eq!(refresh_all(&bench)["not_modified"], 2);
    bench.sim().set(&papers::url(1), Reply::pdf(4096).header("etag", "\"1\""));
    assert_eq!(refresh_all(&bench)["changed"], 1);
    assert_eq!(held(&bench, 1), (first, first_name));
    assert_eq!(json_lines(&bench, &["library", "path", "--all", &papers::doi(1)]).len(), 3);
}

#[test]
fn what_is_gone_or_spoilt_at_its_source_stays() {
    let bench = fetched(3);
    let before = json_lines(&bench, &["library", "list"]);
    bench.sim().set(&papers::url(1), Reply::error(410));
    bench.sim().set(&papers::url(2), Reply::html("Moved to our new site"));
    let told =
        bench.run(&["--format", "json", "library", "refresh", "--older-than", "0s"]).expect_code(1).json();
    assert_eq!(
        (&told["gone"], &told["failed"], &told["not_modified"]),
        (&1.into(), &1.into(), &1.into()),
        "{told}"
    );
    let mut reasons: Vec<_> =
        rechecks(&bench).iter().map(|record| record["reason"].as_str().unwrap().to_owned()).collect();
    reasons.sort();
    assert_eq!(reasons, ["html_instead_of_pdf", "not_found", "not_modified"]);
    assert_eq!(json_lines(&bench, &["library", "list"]), before);
    expect_whole(&bench, 3);
}

#[test]
fn without_validators_only_force_asks() {
    let bench = papers::bench(1);
    get(&bench, 1);
    bench.sim().forget();
    let told = refresh_all(&bench);
    assert_eq!((&told["without_validators"], requests(&bench)), (&1.into(), 0), "{told}");
    let told = refresh(&bench, &["--older-than", "0s", "--force"]);
    assert_eq!((&told["unchanged"], requests(&bench)), (&1.into(), 1), "{told}");
    assert!(told["bytes"].as_u64().unwrap() > 1024);
    expect_whole(&bench, 1);
}

#[test]
fn a_lost_or_damaged_file_is_fetched_anew() {
    let bench = fetched(2);
    let (lost, lost_name) = held(&bench, 1);
    let (damaged, damaged_name) = held(&bench, 2);
    fs::remove_file(blob(&bench, &lost)).unwrap();
    fs::remove_file(bench.library().join(&lost_name)).unwrap();
    // The name is a link to the same bytes, which spoil under both.
    let path = blob(&bench, &damaged);
    let mut bytes = fs::read(&path).unwrap();
    bytes[2000] ^= 1;
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    fs::write(&path, bytes).unwrap();
    bench.run(&["library", "verify"]).expect_code(1);
    bench.run(&["library", "path", &papers::doi(1)]).expect_code(1);
    let told = refresh_all(&bench);
    assert_eq!((&told["renewed"], &told["changed"]), (&2.into(), &0.into()), "{told}");
    assert!(bench.sim().seen(PRESS).requests.iter().all(|seen| seen.header("if-none-match").is_none()));
    for (sha256, name, number) in [(lost, lost_name, 1), (damaged, damaged_name, 2)] {
        assert_eq!(held(&bench, number), (sha256.clone(), name.clone()));
        assert_eq!(crate::holdings::sha256(&fs::read(bench.library().join(name)).unwrap()), sha256);
    }
    expect_whole(&bench, 2);
}

#[test]
fn an_interrupted_refresh_goes_on_where_it_was() {
    let bench = fetched(6);
    let barrier = Barrier::new();
    for number in 4..=6 {
        let held = Reply::pdf(4096).header("etag", &format!("\"{number}\"")).held_by(&barrier);
        bench.sim().set(&papers::url(number), held);
    }
    let running = bench.spawn(&["--format", "json", "library", "refresh", "--older-than", "0s"]);
    bench.wait_for_requests(PRESS, 6);
    // An answer that has come is not yet one that is written down.
    wait_until("three answers are written down", || rechecks(&bench).len() == 3);
    running.signal(Signal::INT);
    running.wait_until_it_says("stopping");
    // The second one ends what runs.
    running.signal(Signal::INT);
    let told = running.wait(TIMEOUT).expect_code(130).json();
    assert_eq!((&told["not_modified"], &told["interrupted"]), (&3.into(), &true.into()), "{told}");
    barrier.open();
    bench.sim().forget();
    let told = refresh(&bench, &["--older-than", "1ms"]);
    assert!(told["not_modified"].as_u64().unwrap() >= 3, "{told}");
    assert_eq!(rechecks(&bench).iter().filter(|record| record["reason"] != "not_modified").count(), 0);
    expect_whole(&bench, 6);
}

#[test]
fn hosts_are_asked_within_their_limits_and_pauses() {
    let mut bench = fetched(8);
    bench.configure(&format!("[limits.hosts.\"{PRESS}\"]\nconcurrency = 2\nrate = \"1000/s\"\nburst = 2"));
    bench.sim().set(
        &papers::url(1),
        Reply::pdf(4096).header("etag", "\"1\"").after_first(1, Reply::too_many(RetryAfter::Seconds(1))),
    );
    let told = refresh_all(&bench);
    assert_eq!((&told["not_modified"], &told["put_off"]), (&8.into(), &0.into()), "{told}");
    assert!(bench.sim().seen(PRESS).most_in_flight <= 2);
    assert_eq!(rechecks(&bench).len(), 8, "a try that was put off is no attempt");
    bench.sim().set(&papers::url(1), Reply::too_many(RetryAfter::Seconds(3600)));
    let told = refresh(&bench, &["--max-wait", "1s", &papers::doi(1)]);
    assert_eq!(told["put_off"], 1, "{told}");
}

/// Beside a run that works on the same library and host: both come to their end, and the host sees one limit.
#[test]
fn a_refresh_beside_a_run_keeps_one_limit_with_it() {
    let mut bench = fetched(4);
    let barrier = Barrier::new();
    bench.configure(&format!("[limits.hosts.\"{PRESS}\"]\nconcurrency = 2\nrate = \"1000/s\"\nburst = 1000"));
    let new = [
        "https://press.example.org/a.pdf",
        "https://press.example.org/b.pdf",
        "https://press.example.org/c.pdf",
    ];
    for url in new {
        bench.sim().set(url, Reply::pdf(9000).header("etag", "\"new\"").held_by(&barrier));
    }
    let get = bench.spawn(&[&["--format", "json", "get"], &new[..]].concat());
    bench.wait_for_requests(PRESS, 2);
    let refreshing =
        bench.spawn(&["--format", "json", "library", "refresh", "--older-than", "0s", "--max-wait", "1m"]);
    // As long as the files are held, the limit is used up, and the refresh has to wait.
    assert!(!bench.has_seen(PRESS, 3, Duration::from_secs(2)), "{:?}", bench.sim().seen(PRESS));
    barrier.open();
    assert_eq!(get.wait(TIMEOUT).expect_code(0).json()["done"], 3);
    let told = refreshing.wait(TIMEOUT).expect_code(0).json();
    assert!(told["not_modified"].as_u64() >= Some(4), "{told}");
    assert_eq!((&told["failed"], &told["put_off"]), (&0.into(), &0.into()), "{told}");
    assert!(bench.sim().seen(PRESS).most_in_flight <= 2);
    expect_whole(&bench, 7);
}

#[test]
fn a_dry_run_lists_and_sends_nothing_and_works_can_be_named() {
    let bench = fetched(2);
    let rows = json_lines(&bench, &["library", "refresh", "--older-than", "0s", "--dry-run"]);
    assert_eq!(
        (rows.len(), &rows[0]["how"], &rows[0]["url"]),
        (2, &"conditional".into(), &papers::url(1).into())
    );
    assert_eq!(json_lines(&bench, &["library", "refresh", "--dry-run"]).len(), 0, "all are of today");
    assert_eq!((requests(&bench), rechecks(&bench).len()), (0, 0));
    assert_eq!(refresh(&bench, &[&format!("https://doi.org/{}", papers::doi(2))])["not_modified"], 1);
    assert_eq!(bench.sim().seen(PRESS).hits("/2.pdf"), 1);
    assert_eq!(requests(&bench), 1);
    let output = bench.run(&["library", "refresh", "10.5555/none"]).expect_code(1);
    assert!(output.stderr.contains("the library has no file of it"), "{}", output.stderr);
}
