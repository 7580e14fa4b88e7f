//! What must never be stored: each kind of bad answer has its reason, and leaves nothing on the disk.

use std::collections::BTreeMap;
use std::time::Duration;

use gleaner_tests::harness::Bench;
use gleaner_tests::simweb::{Behaviour, Location, Reply, Work, World};

use crate::holdings::{self, end, files_in, manifest, text};
use crate::papers::{json, json_lines};

/// A megabyte is as large as a file may be here.
const CONFIG: &str = "
content.max-size = \"1MiB\"
orchestrator.max-attempts = 2
";

/// Answers at URLs of their own, and the reason that each has to end with.
fn table() -> Vec<(&'static str, Behaviour, &'static str)> {
    let pdf = || Reply::pdf(60_000);
    let page = || Reply::html("Full text");
    let endless_gzip =
        Reply::bytes("application/pdf", [b"%PDF-1.7\n".as_slice(), &[b'~'; 2 << 20]].concat()).gzip();
    let mut table: Vec<(_, Behaviour, _)> = vec![
        ("404 page", Reply::error(404).into(), "not_found"),
        ("404 with a PDF", pdf().status(404).into(), "not_found"),
        ("410 page", Reply::error(410).into(), "not_found"),
        ("403 page", Reply::error(403).into(), "http_status"),
        ("500 page", Reply::error(500).into(), "http_status"),
        ("500 with a PDF", pdf().status(500).into(), "http_status"),
        ("206 with half a PDF", pdf().status(206).without_tail().into(), "http_status"),
        ("204", Reply::bytes("", "").status(204).into(), "http_status"),
        ("HTML as PDF", page().media_type("application/pdf").into(), "html_instead_of_pdf"),
        ("HTML as HTML", page().into(), "html_instead_of_pdf"),
        ("HTML as nothing", page().media_type("").into(), "html_instead_of_pdf"),
        ("gzip of HTML", page().media_type("application/pdf").gzip().into(), "html_instead_of_pdf"),
        (
            "JSON",
            Reply::bytes("application/json", format!("{{\"error\": \"{}\"}}", "x".repeat(4000))).into(),
            "not_a_pdf",
        ),
        ("text as PDF", Reply::bytes("application/pdf", "word ".repeat(1000)).into(), "not_a_pdf"),
        (
            "picture",
            Reply::bytes("image/png", [b"\x89PNG\r\n".as_slice(), &[7; 5000]].concat()).into(),
            "not_a_pdf",
        ),
        ("no tail", pdf().without_tail().into(), "truncated"),
        ("no tail, no length", pdf().without_tail().chunked().into(), "truncated"),
        ("empty", Reply::empty().into(), "empty"),
        ("empty, no length", Reply::empty().chunked().into(), "empty"),
        ("tiny", Reply::tiny_pdf().into(), "too_small"),
        ("large", Reply::pdf((1 << 20) + 1).into(), "too_large"),
        ("large, no length", Reply::pdf(2 << 20).chunked().into(), "too_large"),
        ("large once unpacked", endless_gzip.into(), "too_large"),
        ("endless", Reply::endless().into(), "too_large"),
        ("challenge", Reply::challenge_page().into(), "challenge_page"),
        ("challenge with 403", Reply::challenge_page().status(403).into(), "challenge_page"),
        ("login", Reply::login_page().into(), "login_page"),
        ("redirect to itself", Reply::redirect(302, "").into(), "redirect_loop"),
        ("redirect in a circle", Reply::redirect(301, "/circle").into(), "redirect_loop"),
        ("redirects without end", Reply::redirect(307, "/far/0").into(), "too_many_redirects"),
        ("redirect to a missing file", Reply::redirect(308, "/nowhere").into(), "not_found"),
        ("redirect without a place", Reply::error(302).into(), "http_status"),
    ];
    for cut in [0, 1, 1000, 30_000, 59_990] {
        table.push(("cut short", pdf().cut_after(cut).into(), "length_mismatch"));
        table.push(("cut short, no length", pdf().cut_after(cut).chunked().into(), "truncated"));
    }
    table
}

/// One bench in which every answer of the table is a URL of its own, on https and on http.
fn bench() -> (Bench, BTreeMap<String, (&'static str, &'static str)>) {
    let (mut world, mut expected) = (World::new(), BTreeMap::new());
    for scheme in ["https", "http"] {
        for (n, (what, behaviour, reason)) in table().into_iter().enumerate() {
            let url = format!("{scheme}://host{n}.example.org/file.pdf");
            world.set(&format!("{scheme}://host{n}.example.org/circle"), Reply::redirect(301, "/file.pdf"));
            for hop in 0..20 {
                let next = format!("/far/{}", hop + 1);
                world.set(&format!("{scheme}://host{n}.example.org/far/{hop}"), Reply::redirect(307, &next));
            }
            world.set(&url, behaviour);
            expected.insert(url, (what, reason));
        }
    }
    let mut bench = holdings::bench(world);
    bench.configure(CONFIG);
    (bench, expected)
}

fn expect_nothing_stored(bench: &Bench) {
    for part in ["blobs", "files", "tmp"] {
        assert_eq!(files_in(bench, part), Vec::<std::path::PathBuf>::new(), "{part}");
    }
    assert_eq!(json_lines(bench, &["library", "list"]), Vec::<serde_json::Value>::new());
    assert!(manifest(bench).iter().all(|record| record["sha256"].is_null() && record["path"].is_null()));
}

#[test]
fn bad_answers_have_their_reasons_and_leave_nothing_behind() {
    let (bench, expected) = bench();
    let list = bench.file("list", &expected.keys().cloned().collect::<Vec<_>>().join("\n"));
    let totals = bench.run(&["--format", "json", "get", "--input", &list]).expect_code(1).json();
    assert_eq!(totals["error"], expected.len(), "{totals}");
    let mut wrong = Vec::new();
    for job in json_lines(&bench, &["queue", "list"]) {
        let (what, reason) = expected[text(&job, "artifact_id").strip_prefix("url:").unwrap()];
        if end(&job) != ("error", reason) {
            wrong.push(format!("{what}: {reason} expected, {job}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    expect_nothing_stored(&bench);
}

#[test]
fn an_answer_that_stalls_is_given_up_and_leaves_nothing_behind() {
    let hour = Duration::from_secs(3600);
    let mut world = World::new();
    world.set("https://press.example.org/headers.pdf", Reply::pdf(60_000).delayed(hour));
    world.set("https://press.example.org/body.pdf", Reply::pdf(60_000).dribbled(20_000, hour));
    world.set("http://press.example.org/body.pdf", Reply::pdf(60_000).dribbled(20_000, hour));
    let mut bench = holdings::bench(world);
    bench.configure(
        "orchestrator.max-attempts = 2\negress = { timeout = \"300ms\", idle-timeout = \"200ms\" }",
    );
    let list = [
        "https://press.example.org/headers.pdf",
        "https://press.example.org/body.pdf",
        "http://press.example.org/body.pdf",
    ];
    assert_eq!(holdings::get(&bench, &list, 1)["error"], 3);
    for job in json_lines(&bench, &["queue", "list"]) {
        assert_eq!(end(&job), ("error", "timeout"), "{job}");
    }
    assert_eq!(bench.sim().seen("press.example.org").requests.len(), 6);
    expect_nothing_stored(&bench);
}

/// A deadline holds for the whole download, however steadily it trickles.
#[test]
fn a_download_that_trickles_for_ever_ends_at_its_deadline() {
    let mut world = World::new();
    let url = "https://press.example.org/x.pdf";
    world.set(url, Reply::pdf(60_000).dribbled(1, Duration::from_millis(20)));
    let mut bench = holdings::bench(world);
    bench.configure("orchestrator = { max-attempts = 1, fetch-deadline = \"500ms\" }");
    assert_eq!(holdings::get(&bench, &[url], 1)["error"], 1);
    assert_eq!(end(&holdings::job(&bench, url)), ("error", "timeout"));
    expect_nothing_stored(&bench);
}

/// What the rejected attempt knew is in the manifest: for the person who wonders why there is no file.
#[test]
fn a_rejected_answer_is_described() {
    let mut world = World::new();
    let url = "https://press.example.org/x.pdf";
    world.work(Work::new("10.1000/x", [Location::publisher(url)]));
    world.set(url, Reply::html("Full text").media_type("application/pdf"));
    let bench = holdings::bench(world);
    assert_eq!(holdings::get(&bench, &["10.1000/x"], 1)["error"], 1);
    let fetch = &manifest(&bench)[1];
    assert_eq!((text(fetch, "outcome"), text(fetch, "reason")), ("rejected", "html_instead_of_pdf"));
    assert_eq!(
        (text(fetch, "media_type_declared"), text(fetch, "media_type_found")),
        ("application/pdf", "text/html")
    );
    assert_eq!((&fetch["status"], text(fetch, "host")), (&200.into(), "press.example.org"));
    assert!(fetch["bytes"].as_u64().unwrap() > 1000);
    expect_nothing_stored(&bench);
}

/// A body that breaks off may be whole the next time.
#[test]
fn a_body_that_was_cut_is_fetched_again_and_then_stored_whole() {
    let mut world = World::new();
    let urls = ["https://press.example.org/a.pdf", "http://press.example.org/b.pdf"];
    for url in urls {
        world.set(url, Reply::pdf(60_000).after_first(1, Reply::pdf(60_000).cut_after(40_000)));
    }
    let bench = holdings::bench(world);
    assert_eq!(holdings::get(&bench, &urls, 0)["done"], 2);
    let sizes: Vec<_> =
        json_lines(&bench, &["library", "list"]).iter().map(|file| file["size"].clone()).collect();
    assert_eq!(sizes, [60_000, 60_000]);
    assert_eq!(json(&bench, &["library", "verify"])["bad"], serde_json::json!([]));
    assert_eq!(files_in(&bench, "tmp").len(), 0);
}
