//! The pages in a real browser: each view in phone and desktop width, light and dark, each action, and live changes.
//!
//! Drives Chromium through its driver (WebDriver), where that is installed; `GLEANER_BROWSER=required`, as CI sets it, fails
//! where it is not. Screenshots stand in `target/serve-screens`, for eyes. Must never look at pixels itself.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use gleaner_tests::harness::{Bench, TIMEOUT};
use serde_json::{Value, json};

use crate::papers;
use crate::queue_commands::wait_until;
use crate::serve::{Served, harvested};

/// A browser with one window.
struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    /// Starts one; none where no driver is installed and none is required.
    fn start() -> Option<Self> {
        let driver =
            Command::new("chromedriver").arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let Ok(mut driver) = driver else {
            let required = std::env::var_os("GLEANER_BROWSER").is_some();
            assert!(!required, "chromedriver is not installed: apt-get install chromium chromium-driver");
            return None;
        };
        let said = BufReader::new(driver.stdout.take().unwrap());
        let ports = said.lines().map_while(Result::ok).filter_map(|line| {
            line.split("successfully on port ").nth(1)?.trim_end_matches('.').parse().ok()
        });
        let port = ports.take(1).next().expect("the driver says its port");
        let mut browser = Self { driver, port, session: String::new() };
        let options =
            json!({ "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"] });
        let wanted = json!({ "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": { "browser": "ALL" } });
        let answer = browser.call("POST", "/session", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.session = format!("/session/{}", answer["sessionId"].as_str().expect("a session"));
        Some(browser)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = if method == "GET" { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        // The driver does not close what it answered.
        let (mut stream, mut length) = (BufReader::new(stream), 0);
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).expect("the driver answers");
            match line.trim_end().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().expect("a length");
                }
                None if line.trim_end().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).expect("the driver answers");
        let answer: Value = serde_json::from_slice(&body).expect("JSON");
        assert!(answer["value"]["error"].is_null(), "{method} {path}: {answer}");
        answer["value"].clone()
    }

    fn post(&self, path: &str, body: &Value) -> Value {
        self.call("POST", &format!("{}{path}", self.session), body)
    }

    fn protocol(&self, command: &str, parameters: &Value) -> Value {
        self.post("/goog/cdp/execute", &json!({ "cmd": command, "params": parameters }))
    }

    fn open(&self, served: &Served, path: &str) {
        self.post("/url", &json!({ "url": format!("http://{}{path}", served.address) }));
    }

    /// What a script in the page answers.
    fn asks(&self, script: &str) -> Value {
        self.post("/execute/sync", &json!({ "script": format!("return {script}"), "args": [] }))
    }

    fn text(&self) -> String {
        self.asks("document.body.innerText").as_str().unwrap().to_owned()
    }

    fn element(&self, selector: &str) -> String {
        let found = self.post("/element", &json!({ "using": "css selector", "value": selector }));
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }

    fn click(&self, selector: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/click"), &json!({}));
    }

    fn fill(&self, selector: &str, text: &str) {
        let element = self.element(selector);
        self.post(&format!("/element/{element}/clear"), &json!({}));
        self.post(&format!("/element/{element}/value"), &json!({ "text": text }));
    }

    fn looks(&self, width: u32, is_dark: bool) {
        let metrics = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.protocol("Emulation.setDeviceMetricsOverride", &metrics);
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.protocol("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    fn shoot(&self, name: &str) {
        let shot = self
            .protocol("Page.captureScreenshot", &json!({ "captureBeyondViewport": true, "format": "png" }));
        let dir = screens();
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(format!("{name}.png")), decoded(shot["data"].as_str().unwrap())).unwrap();
    }

    /// Whatever the page complained about since the last time: broken scripts, what the policy forbade.
    fn complaints(&self) -> Vec<Value> {
        let log = self.post("/se/log", &json!({ "type": "browser" }));
        log.as_array().unwrap().iter().filter(|line| line["level"] == "SEVERE").cloned().collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.call("DELETE", &self.session, &json!({}));
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn screens() -> PathBuf {
    std::env::current_exe().unwrap().ancestors().nth(3).unwrap().join("serve-screens")
}

fn decoded(base64: &str) -> Vec<u8> {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let sixes: Vec<u32> = base64
        .bytes()
        .filter_map(|byte| LETTERS.iter().position(|letter| *letter == byte))
        .map(|six| six as u32)
        .collect();
    let bytes = sixes.chunks(4).flat_map(|four| {
        let bits = four.iter().fold(0, |bits, six| bits << 6 | six) << (6 * (4 - four.len()));
        let bytes = [(bits >> 16) as u8, (bits >> 8) as u8, bits as u8];
        bytes.into_iter().take(four.len() - 1)
    });
    bytes.collect()
}

#[test]
fn every_view_fits_a_phone_and_a_desk_in_light_and_dark() {
    let Some(browser) = Browser::start() else { return };
    let (bench, served) = harvested();
    bench.run(&["queue", "enqueue", "10.5555/later", "--not-before", "2h"]).expect_code(0);
    bench.run(&["queue", "pause", "host:slow.example.org"]).expect_code(0);
    wait_until("the overview has counted", || served.page("/").contains("unpaywall"));
    for (width, device) in [(390, "phone"), (1280, "desk")] {
        for (is_dark, scheme) in [(false, "light"), (true, "dark")] {
            browser.looks(width, is_dark);
            for (path, name) in [
                ("/", "overview"),
                ("/jobs", "jobs"),
                ("/jobs/1", "job"),
                ("/jobs/4", "waiting"),
                ("/keys", "keys"),
                ("/plugins", "plugins"),
                ("/settings", "settings"),
                ("/jobs/99", "unknown"),
            ] {
                browser.open(&served, path);
                let name = format!("{name}-{device}-{scheme}");
                let over = browser.asks("document.documentElement.scrollWidth - window.innerWidth");
                assert!(over.as_i64().unwrap() <= 0, "{name} is {over} pixels too wide");
                assert_eq!(browser.asks("document.querySelectorAll('h1').length"), 1, "{name}");
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

#[test]
fn what_changes_is_shown_and_what_is_clicked_is_done() {
    let Some(browser) = Browser::start() else { return };
    let bench = papers::bench(4);
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
    wait_until("it is added", || browser.text().contains("1 works added."));
    assert_eq!(papers::count(&bench, "queued"), 3);
    browser.open(&served, "/jobs");
    browser.fill("#text", &papers::doi(3));
    browser.click("form.search button");
    wait_until("it is found", || browser.text().contains("1 works"));
    browser.click("table.rows th a");
    wait_until("the job is shown", || browser.text().contains("Where it stands"));
    browser.click("form[action='/do/cancel'] button");
    wait_until("it is cancelled", || browser.text().contains("Cancelled."));
    browser.open(&served, "/jobs?state=skipped");
    browser.click("form[action='/do/retry'] button");
    wait_until("it starts anew", || browser.text().contains("1 works start anew."));
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

/// How many works there are in the library of [`a_million`].
const MILLION: usize = 1_000_000;
/// Those of them that have ended.
const ENDED: [usize; 3] = [7, 500_000, 999_990];

/// A library with a million works, of which three have ended and the others wait: imported as anybody would.
fn a_million() -> Bench {
    let mut bench = papers::bench(1);
    bench.configure("[tiers]\nlist = [{ name = \"a\", resolvers = [\"unpaywall\"] }]");
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
    has("it is found", "1 works");
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
