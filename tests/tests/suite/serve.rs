//! `gleaner serve` over real sockets: what the API reads, held against what the commands print. The other suites of the
//! server take their client from here.
//!
//! Must never need more than a socket: a request is the text that it is.

use std::io::{Read, Write};
use std::net::TcpStream;

use gleaner_tests::harness::{Bench, Running, Signal, TIMEOUT};
use gleaner_tests::simweb::{Location, Reply, Work};
use serde_json::{Value, json};

use crate::papers::{self, json, json_lines};
use crate::queue_commands::wait_until;

/// A server that runs.
pub(crate) struct Served {
    pub(crate) run: Running,
    pub(crate) address: String,
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    /// A header's value; empty when there is none.
    pub(crate) fn header(&self, name: &str) -> &str {
        let line = self.head.lines().filter_map(|line| line.split_once(": "));
        line.filter(|(header, _)| header.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .next()
            .unwrap_or("")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Itself, if it has that status.
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// A problem that says what, why and what to do.
    pub(crate) fn expect_problem(self, status: u16, kind: &str) -> Self {
        let answer = self.expect(status);
        assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
        let problem = answer.json();
        assert_eq!(problem["type"], format!("tag:gleaner,2026:{kind}"), "{problem}");
        assert_eq!(problem["status"], status);
        for part in ["title", "detail", "to_do"] {
            assert!(problem[part].as_str().is_some_and(|text| text.len() > 5), "{part}: {problem}");
        }
        answer
    }
}

impl Served {
    /// Starts a server on a port that the system chooses.
    pub(crate) fn start(bench: &Bench) -> Self {
        Self::of(bench.spawn(&["serve", "--listen", "127.0.0.1:0"]))
    }

    /// A server that was started so, as soon as it listens.
    pub(crate) fn of(run: Running) -> Self {
        run.wait_until_it_says("listening on http://");
        let said = run.said();
        let address = said.split("listening on http://").nth(1).and_then(|rest| rest.split('/').next());
        let address = address.expect("an address").to_owned();
        Self { run, address }
    }

    /// Sends a request as it stands, and reads to the end.
    pub(crate) fn send(&self, request: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).expect("the server listens");
        stream.set_read_timeout(Some(TIMEOUT)).unwrap();
        // It may answer, and close, before it has read a body that it does not want.
        let _ = stream.write_all(request.as_bytes());
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let text = String::from_utf8(bytes).expect("text");
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let body = if head.to_lowercase().contains("transfer-encoding: chunked") {
            unchunked(body)
        } else {
            body.to_owned()
        };
        Answer { status, head: head.to_owned(), body }
    }

    /// A request with these headers, each with its line's end.
    pub(crate) fn request(&self, method: &str, path: &str, headers: &str, body: &str) -> Answer {
        let length = body.len();
        self.send(&format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}",
            self.address
        ))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request("GET", path, "", "")
    }

    pub(crate) fn api(&self, path: &str) -> Value {
        self.get(&format!("/api/v1{path}")).expect(200).json()
    }

    pub(crate) fn page(&self, path: &str) -> String {
        let answer = self.request("GET", path, "accept: text/html\r\n", "").expect(200);
        assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
        answer.body
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.request(
            "POST",
            &format!("/api/v1{path}"),
            "content-type: application/json\r\n",
            &body.to_string(),
        )
    }

    /// Ends it as a service manager does.
    pub(crate) fn stop(self) {
        self.run.signal(Signal::TERM);
        self.run.wait(TIMEOUT).expect_code(0);
    }
}

fn unchunked(mut text: &str) -> String {
    let mut body = String::new();
    while let Some((size, rest)) = text.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).expect("the size of a chunk");
        body.push_str(&rest[..size]);
        text = &rest[(size + 2).min(rest.len())..];
        if size == 0 {
            break;
        }
    }
    body
}

/// Three papers: one that is fetched, one that nobody has, one with a file that is no file; and their server when all
/// have ended.
pub(crate) fn harvested() -> (Bench, Served) {
    let mut bench = papers::bench(1);
    bench.configure(
        "content.min-size = \"1KiB\"\n[tiers]\nlist = [{ name = \"a\", resolvers = [\"unpaywall\"] }]",
    );
    bench.sim().change(|world| {
        world.work(Work::new("10.5555/page", [Location::publisher("https://page.example.org/x.pdf")]));
        world.set("https://page.example.org/x.pdf", Reply::error(404));
    });
    let list = bench.file(
        "list.jsonl",
        "{\"doi\":\"10.5555/paper.1\",\"title\":\"Of wheat & <script>alert(1)</script>\",\"authors\":[\"Ruth\"],\"year\":1857}\n\
         {\"doi\":\"10.5555/none\",\"title\":\"Nobody has it\"}\n{\"doi\":\"10.5555/page\"}\n",
    );
    bench.run(&["queue", "import", &list]).expect_code(0);
    let served = Served::start(&bench);
    wait_until("all have ended", || {
        let stats = served.api("/stats");
        stats["queued"] == 0 && stats["in_progress"] == 0
    });
    (bench, served)
}

#[test]
fn the_api_says_what_the_commands_print() {
    let (bench, served) = harvested();
    assert_eq!(served.api("/stats"), json(&bench, &["queue", "stats"]));
    let all = served.api("/jobs");
    assert_eq!(all["jobs"], Value::from(json_lines(&bench, &["queue", "list"])));
    assert_eq!((&all["next"], &all["looked_at"]), (&Value::Null, &3.into()), "{all}");
    for id in ["1", "doi%3A10.5555%2Fpaper.1", "10.5555%2Fnone"] {
        let named = id.replace("%3A", ":").replace("%2F", "/");
        assert_eq!(served.api(&format!("/jobs/{id}")), json(&bench, &["queue", "show", &named]));
        assert_eq!(served.api(&format!("/jobs/{id}/explain")), json(&bench, &["queue", "explain", &named]));
    }
    assert_eq!(served.api("/keys")["keys"], Value::from(json_lines(&bench, &["queue", "keys"])));
    assert_eq!(served.api("/settings"), {
        let mut settings = json(&bench, &["config", "show"]);
        // What only the server was told.
        for one in settings.as_array_mut().unwrap() {
            if one["key"] == "serve.listen" {
                (one["value"], one["origin"]) = ("127.0.0.1:0".into(), "--listen".into());
            }
        }
        settings
    });
    let records = served.api("/manifest");
    assert_eq!(records["records"], Value::from(json_lines(&bench, &["library", "manifest"])));
    let listed = json_lines(&bench, &["plugin", "list"]);
    let plugins = served.api("/plugins");
    assert_eq!(plugins["generation"], 1);
    for (mut shown, mut listed) in plugins["plugins"].as_array().unwrap().clone().into_iter().zip(listed) {
        let calls = shown.as_object_mut().unwrap().remove("calls").unwrap();
        if shown["name"] == "unpaywall" {
            assert_eq!((&calls["calls"], calls["total_ms"].is_u64()), (&3.into(), true), "{calls}");
        }
        // How long loading took is another time's.
        (shown["compile_ms"], listed["compile_ms"]) = (0.into(), 0.into());
        assert_eq!(shown, listed);
    }
    served.stop();
}

#[test]
fn jobs_are_found_and_come_in_pages() {
    let (_bench, served) = harvested();
    let found = |query: &str| -> Vec<i64> {
        let page = served.api(&format!("/jobs?{query}"));
        page["jobs"].as_array().unwrap().iter().map(|job| job["job"].as_i64().unwrap()).collect()
    };
    assert_eq!(found("state=done"), [1]);
    assert_eq!(found("state=skipped&reason=no_candidate"), [2]);
    assert_eq!(found("reason=no_candidate"), [2]);
    assert_eq!(found("state=&reason=&text="), [1, 2, 3]);
    assert_eq!(found("text=WHEAT"), [1]);
    assert_eq!(found("text=ruth"), [1]);
    assert_eq!(found("text=1857"), [1]);
    assert_eq!(found("text=5555"), [1, 2, 3]);
    assert_eq!(found("text=https%3A%2F%2Fdoi.org%2F10.5555%2Fnone"), [2]);
    assert_eq!(found("text=10.5555%2Fnone&state=done"), [0; 0]);
    assert_eq!(found("host=page.example.org"), [3]);
    assert_eq!(found("resolver=unpaywall&state=done"), [1]);
    assert_eq!(found("resolver=nobody"), [0; 0]);
    assert_eq!(found("state=queued"), [0; 0]);
    let first = served.api("/jobs?limit=2");
    assert_eq!((first["jobs"].as_array().unwrap().len(), &first["next"]), (2, &2.into()));
    assert_eq!(found("limit=2&after=2"), [3]);
    let records = served.api("/manifest?limit=1");
    let next = records["next"].as_i64().unwrap();
    assert!(served.api(&format!("/manifest?after={next}"))["records"].as_array().unwrap().len() >= 2);
    let of_one = served.api("/manifest?job=10.5555%2Fnone");
    assert_eq!(of_one["records"][0]["artifact_id"], "doi:10.5555/none");
    served.stop();
}

#[test]
fn the_overview_counts_what_ended_and_how() {
    let (_bench, served) = harvested();
    wait_until("the end of all is counted", || {
        let counted = &served.api("/overview")["counted"];
        counted["ended"].as_array().is_some_and(|ended| ended.len() == 3)
    });
    let overview = served.api("/overview");
    assert_eq!(
        (&overview["stats"]["total"], &overview["counted"]["files"]),
        (&3.into(), &1.into()),
        "{overview}"
    );
    assert_eq!(overview["counted"]["yields"], json!([{ "resolver": "unpaywall", "files": 1 }]));
    assert!(overview["per_minute"].is_number(), "{overview}");
    served.stop();
}

#[test]
fn every_operation_that_is_described_is_there() {
    let (_bench, served) = harvested();
    let document = served.get("/api/v1/openapi.json").expect(200).json();
    let written = include_str!("../../../docs/reference/openapi.json");
    assert_eq!(document, serde_json::from_str::<Value>(written).unwrap());
    let mut operations = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.replace("{id}", "1").replace("{key}", "resolver:unpaywall");
        for method in methods.as_object().unwrap().keys() {
            operations += 1;
            if path.ends_with("/events") {
                continue;
            }
            let headers = "content-type: application/json\r\n";
            let answer = served.request(&method.to_uppercase(), &path, headers, "{}");
            assert!([200, 400, 422].contains(&answer.status), "{method} {path}: {answer:?}");
            // The other way to ask is refused.
            let other = if method == "get" { "DELETE" } else { "PUT" };
            served.request(other, &path, headers, "{}").expect_problem(405, "wrong-method");
        }
    }
    assert!(operations >= 16, "{operations}");
    served.stop();
}

#[test]
fn what_is_not_understood_is_a_problem_that_says_what_to_do() {
    let (_bench, served) = harvested();
    let api = |path: &str| served.get(&format!("/api/v1{path}"));
    for path in [
        "/jobs?state=finished",
        "/jobs?reason=because",
        "/jobs?resolver=No%20Such",
        "/jobs?host=a%2Fb",
        "/jobs?after=x",
        "/jobs?limit=-1",
        "/jobs?stat=done",
        "/manifest?since=yesterday",
        "/keys?what=1",
    ] {
        let said = api(path).expect_problem(400, "bad-value").body;
        assert!(!said.contains("panicked"), "{path}: {said}");
    }
    for path in ["/jobs/99", "/jobs/10.5555%2Fother", "/jobs/99/explain", "/manifest?job=99"] {
        api(path).expect_problem(404, "unknown-job");
    }
    for path in ["/nothing", "/jobs/1/none", "/../etc/passwd"] {
        api(path).expect_problem(404, "unknown-path");
    }
    served.stop();
}
