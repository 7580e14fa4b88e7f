//! The pages in a real browser: each view in phone and desktop width, light and dark, for eyes, keyboard and screen
//! reader; each action; and live changes.
//!
//! Must never judge how a page looks: screenshots are kept for that.

use gleaner_tests::harness::Bench;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::papers;
use crate::queue_commands::wait_until;
use crate::serve::{Served, harvested};

/// Every view, and what its screenshots are called.
const VIEWS: [(&str, &str); 8] = [
    ("/", "overview"),
    ("/jobs", "jobs"),
    ("/jobs/1", "job"),
    ("/jobs/4", "waiting"),
    ("/keys", "keys"),
    ("/plugins", "plugins"),
    ("/settings", "settings"),
    ("/jobs/99", "unknown"),
];

/// Works that have ended in each way, one that waits, and a key that is paused.
fn busy() -> (Bench, Served) {
    let (bench, served) = harvested();
    bench.run(&["queue", "enqueue", "10.5555/later", "--not-before", "2h"]).expect_code(0);
    bench.run(&["queue", "pause", "host:slow.example.org"]).expect_code(0);
    wait_until("the overview has counted", || served.page("/").contains("unpaywall"));
    (bench, served)
}

#[test]
fn every_view_fits_a_phone_and_a_desk_in_light_and_dark() {
    let Some(browser) = Browser::start() else { return };
    let (_bench, served) = busy();
    for (width, device) in [(390, "phone"), (1280, "desk")] {
        for (is_dark, scheme) in [(false, "light"), (true, "dark")] {
            browser.looks(width, is_dark);
            for (path, name) in VIEWS {
                browser.open(&served, path);
                let name = format!("{name}-{device}-{scheme}");
                let over = browser.asks("document.documentElement.scrollWidth - window.innerWidth");
                assert!(over.as_i64().unwrap() <= 0, "{name} is {over} pixels too wide");
                assert_eq!(browser.asks("document.querySelectorAll('h1').length"), 1, "{name}");
                assert_eq!(browser.asks(FAINT), json!([]), "{name}: too faint to read");
                let nameless = "[...document.querySelectorAll('input:not([type=hidden]),select,textarea,button,a')]\
                    .filter(one => !(one.labels?.length || one.textContent.trim() || one.getAttribute('aria-label')))\
                    .map(one => one.outerHTML)";
                assert_eq!(browser.asks(nameless), json!([]), "{name}: nobody can tell what these are");
                browser.shoot(&name);
            }
        }
    }
    let complaints = browser.complaints();
    let others =
        complaints.iter().filter(|line| !line["message"].to_string().contains("404")).collect::<Vec<_>>();
    assert!(others.is_empty(), "{others:#?}");
    served.stop();
}

/// Texts whose colour stands out from what is behind them by less than 4.5 to 1 (WCAG 2, AA).
const FAINT: &str = "(() => {
    const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = (colour) => {
        const [r, g, b] = parts(colour).map((part) => part / 255)
            .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const behind = (one) => {
        for (; one; one = one.parentElement) {
            const colour = getComputedStyle(one).backgroundColor;
            if ((parts(colour)[3] ?? 1) > 0) return colour;
        }
        return 'rgb(255, 255, 255)';
    };
    const has_text = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    return [...document.body.querySelectorAll('*')].filter(has_text).map((one) => {
        const [text, back] = [getComputedStyle(one).color, behind(one)].map(light);
        const ratio = (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
        return [ratio, one.outerHTML];
    }).filter(([ratio]) => ratio < 4.5);
})()";

/// What can be worked with, in the order of the page, as far as it is to be seen.
const CONTROLS: &str = "[...document.querySelectorAll('a[href],button,input:not([type=hidden]),select,textarea,summary')]\
    .filter((one) => one.checkVisibility() && one.getClientRects().length)";

#[test]
fn every_view_is_worked_with_the_keyboard_alone() {
    const TAB: char = '\u{e004}';
    const ENTER: char = '\u{e007}';
    let Some(browser) = Browser::start() else { return };
    let (_bench, served) = busy();
    browser.looks(1280, false);
    for (path, name) in VIEWS {
        browser.open(&served, path);
        let all = browser.asks(&format!("{CONTROLS}.length")).as_u64().unwrap();
        assert!(all > 6, "{name} has {all} controls");
        // The head, and then enough of what follows to see the order: tables repeat themselves.
        for place in 0..all.min(40) {
            browser.press(TAB);
            let at = browser.asks(&format!("{CONTROLS}.indexOf(document.activeElement)"));
            assert_eq!(at, place, "{name}: {}", browser.asks("document.activeElement.outerHTML"));
            let outline = browser.asks("getComputedStyle(document.activeElement).outlineStyle");
            assert_ne!(outline, "none", "{name}: nobody sees where the keyboard is");
        }
        browser.open(&served, path);
        browser.press(TAB);
        assert_eq!(browser.asks("document.activeElement.innerText"), "Skip to the content", "{name}");
        browser.press(ENTER);
        wait_until("the head is skipped", || browser.asks("document.activeElement.id") == "main");
        browser.press(TAB);
        let is_beyond = "document.activeElement.closest('main,footer,body') !== null && !document.activeElement.closest('header')";
        assert_eq!(browser.asks(is_beyond), true, "{name}");
    }
    browser.open(&served, "/keys?text=unpaywall");
    browser.asks("document.querySelector('details summary').focus()");
    browser.press(ENTER);
    assert_eq!(browser.asks("document.querySelector('details').open"), true);
    browser.asks("document.querySelector(\"form[action='/do/pause'] button\").focus()");
    browser.press(ENTER);
    wait_until("the key is paused", || browser.text().contains("Paused. Steps"));
    served.stop();
}

#[test]
fn a_screen_reader_is_told_what_everything_is() {
    let Some(browser) = Browser::start() else { return };
    let (_bench, served) = busy();
    for (path, name) in VIEWS {
        browser.open(&served, path);
        let read = browser.read_out();
        let count = |role: &str| read.iter().filter(|(one, _)| one == role).count();
        for landmark in ["banner", "main", "contentinfo", "status"] {
            assert_eq!(count(landmark), 1, "{name}: {landmark} in {read:?}");
        }
        assert!(read.contains(&("navigation".into(), "Pages".into())), "{name}: {read:?}");
        let roles =
            ["link", "button", "textbox", "searchbox", "spinbutton", "combobox", "table", "image", "heading"];
        let nameless =
            read.iter().find(|(role, text)| roles.contains(&role.as_str()) && text.trim().is_empty());
        assert_eq!(nameless, None, "{name}: {read:?}");
        let tables = browser.asks("document.querySelectorAll('main table').length").as_u64().unwrap();
        assert_eq!(count("table") as u64, tables, "{name}: tables are told as such: {read:?}");
    }
    served.stop();
}

#[test]
fn what_changes_is_shown_and_what_is_clicked_is_done() {
    let Some(browser) = Browser::start() else { return };
    let bench = papers::bench_with_unpaywall_alone(4);
    papers::enqueue(&bench, 1);
    bench.run(&["queue", "pause", "resolver:unpaywall"]).expect_code(0);
    let served = Served::start(&bench);
    browser.looks(1280, false);
    browser.open(&served, "/");
    let queued = || browser.asks("document.querySelector('#live-queue td').innerText");
    assert_eq!(queued(), "1");
    wait_until("the page listens", || browser.text().contains("Live: "));
    bench.run(&["queue", "enqueue", &papers::doi(2)]).expect_code(0);
    wait_until("the change is shown", || queued() == "2");
    browser.fill("#works", &papers::doi(3));
    browser.click("form[action='/do/enqueue'] button");
    wait_until("it is added", || browser.text().contains("1 work added."));
    assert_eq!(papers::count(&bench, "queued"), 3);
    browser.open(&served, "/jobs");
    browser.fill("#text", &papers::doi(3));
    browser.click("form.search button");
    wait_until("it is found", || browser.asks("document.querySelector('caption').innerText") == "1 work");
    browser.click("table.rows th a");
    wait_until("the job is shown", || browser.text().contains("Where it stands"));
    browser.click("form[action='/do/cancel'] button");
    wait_until("it is cancelled", || browser.text().contains("Cancelled."));
    browser.open(&served, "/jobs?state=skipped");
    browser.click("form[action='/do/retry'] button");
    wait_until("it starts anew", || browser.text().contains("1 work starts anew."));
    browser.open(&served, "/keys?text=unpaywall");
    browser.click("details summary");
    browser.fill("input[name=concurrency]", "3");
    browser.click("form[action='/do/limit'] button");
    wait_until("the limit is set", || browser.text().contains("The limit is set."));
    browser.click("form[action='/do/resume'] button");
    wait_until("it goes on", || browser.text().contains("It goes on."));
    wait_until("all are done", || papers::count(&bench, "done") == 3);
    browser.open(&served, "/");
    browser.shoot("after-all");
    assert_eq!(browser.complaints(), Vec::<Value>::new());
    served.stop();
}
