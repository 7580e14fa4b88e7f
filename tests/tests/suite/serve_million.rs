//! The pages of a library with a million works, in a real browser: paged through, filtered and found.
//!
//! The works are imported as anybody would, and their resolver is paused, so that they stay where they are. Must never time
//! anything: `cargo xtask bench serve` does.

use std::fmt::Write as _;

use gleaner_tests::harness::Bench;
use serde_json::Value;

use crate::browser::Browser;
use crate::papers;
use crate::queue_commands::wait_until;
use crate::serve::Served;

/// How many works there are in the library of [`a_million`].
const MILLION: usize = 1_000_000;
/// Those of them that have ended.
const ENDED: [usize; 3] = [7, 500_000, 999_990];

/// A library with a million works, of which three have ended and the others wait: imported as anybody would.
fn a_million() -> Bench {
    let bench = papers::bench_with_unpaywall_alone(1);
    let mut list = String::with_capacity(MILLION * 80);
    for number in 1..=MILLION {
        let _ = writeln!(list, "{{\"doi\":\"10.5555/m.{number}\",\"title\":\"Work {number} of many\"}}");
    }
    let list = bench.file("million.jsonl", &list);
    bench.run(&["queue", "import", &list]).expect_code(0);
    bench.run(&["queue", "pause", "resolver:unpaywall"]).expect_code(0);
    let ended = ENDED.map(|number| format!("10.5555/m.{number}"));
    bench.run(&["queue", "cancel", &ended[0], &ended[1], &ended[2]]).expect_code(0);
    bench
}

#[test]
fn a_million_works_are_paged_through_filtered_and_found() {
    let Some(browser) = Browser::start() else { return };
    let bench = a_million();
    let served = Served::start(&bench);
    browser.looks(1280, false);
    let has = |what: &str, text: &str| wait_until(what, || browser.text().contains(text));
    let rows = || browser.asks("document.querySelectorAll('#live-jobs tbody tr').length");
    let first = |number: usize| has("its first row", &format!("Work {number} of many"));
    browser.open(&served, "/");
    has("all are counted", "1\u{202f}000\u{202f}000 in all");
    has("those that wait are", "999\u{202f}997");
    browser.shoot("million-overview");
    browser.click("a[href='/jobs?state=queued']");
    has("the list", "50 works");
    first(1);
    assert_eq!(rows(), 50);
    browser.shoot("million-first-page");
    // Number 7 has ended, so that each page of those that wait begins one later.
    for page in 1..=4 {
        browser.click("nav.pages a[rel=next]");
        first(page * 50 + 2);
        assert_eq!(rows(), 50, "page {page}");
    }
    browser.shoot("million-fifth-page");
    browser.click("nav.pages a:first-child");
    first(1);
    browser.open(&served, &format!("/jobs?after={}", MILLION - 60));
    first(MILLION - 59);
    browser.click("nav.pages a[rel=next]");
    first(MILLION);
    assert_eq!(rows(), 10);
    let further = browser.asks("document.querySelectorAll('nav.pages a[rel=next]').length");
    assert_eq!(further, 0, "nothing is behind the last page");
    browser.shoot("million-last-page");
    browser.open(&served, "/jobs");
    browser.click("#state option[value=skipped]");
    browser.click("form.search button");
    has("those that ended", "3 works");
    for number in ENDED {
        first(number);
    }
    browser.shoot("million-filtered");
    // A whole identifier is found at once, wherever it stands.
    browser.open(&served, "/jobs");
    browser.fill("#text", &format!("10.5555/m.{MILLION}"));
    browser.click("form.search button");
    wait_until("it is found", || browser.asks("document.querySelector('caption').innerText") == "1 work");
    first(MILLION);
    // A part of a title is looked for in so many works at a time, and one can go on.
    browser.fill("#text", &format!("work {}", MILLION / 50));
    browser.click("form.search button");
    has("what was looked at is told", "of 10\u{202f}000 looked at");
    browser.click("nav.pages a[rel=next]");
    first(MILLION / 50);
    browser.shoot("million-found");
    browser.click("#live-jobs tbody th a");
    has("the work", "Where it stands");
    has("why it waits", "was paused by an operator");
    browser.shoot("million-one-work");
    browser.open(&served, "/keys");
    has("the backlog", "999\u{202f}997");
    browser.shoot("million-keys");
    assert_eq!(browser.complaints(), Vec::<Value>::new());
    served.stop();
}
