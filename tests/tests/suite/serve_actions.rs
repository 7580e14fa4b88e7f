//! What the API and the forms of the server change is what commands see, and what a run obeys.
//!
//! Must never believe an answer: the queue itself is asked.

use gleaner_tests::harness::{Bench, Signal, TIMEOUT};
use serde_json::json;

use crate::papers::{self, PRESS, json, json_lines};
use crate::queue_commands::wait_until;
use crate::serve::{Answer, Served};

/// Papers whose resolver is paused, and their server.
fn paused(count: usize) -> (Bench, Served) {
    let bench = papers::bench_with_unpaywall_alone(count);
    bench.run(&["queue", "enqueue", "10.5555/paper.1"]).expect_code(0);
    bench.run(&["queue", "pause", "resolver:unpaywall"]).expect_code(0);
    let served = Served::start(&bench);
    (bench, served)
}

fn key(bench: &Bench, name: &str) -> serde_json::Value {
    json_lines(bench, &["queue", "keys"]).into_iter().find(|key| key["key"] == name).expect(name)
}

#[test]
fn works_are_added_and_cancelled_and_started_anew() {
    let (bench, served) = paused(3);
    let works = json!({ "works": ["10.5555/paper.1", "https://doi.org/10.5555/PAPER.2", { "doi": "10.5555/paper.3", "title": "T" }, "no such", 7] });
    let added = served.post("/jobs", &works).expect(200).json();
    assert_eq!(
        (&added["new"], &added["known"], &added["broken"]),
        (&2.into(), &1.into(), &2.into()),
        "{added}"
    );
    assert_eq!(added["jobs"], json!([1, 2, 3]));
    assert!(added["problems"][0].as_str().unwrap().starts_with("work 4: \"no such\""), "{added}");
    assert_eq!(json(&bench, &["queue", "show", "10.5555/paper.3"])["artifact"]["title"], "T");
    let cancelled =
        served.post("/jobs/cancel", &json!({ "ids": ["10.5555/paper.2", "3", "99"] })).expect(200).json();
    assert_eq!(cancelled, json!({ "cancelled": 2, "ended": 0, "unknown": 1 }));
    assert_eq!(json(&bench, &["queue", "show", "2"])["reason"], "cancelled");
    let again = served.post("/jobs/cancel", &json!({ "ids": ["2"] })).expect(200).json();
    assert_eq!(again, json!({ "cancelled": 0, "ended": 1, "unknown": 0 }));
    let body = json!({ "state": "skipped", "reason": "cancelled", "dry_run": true });
    assert_eq!(
        served.post("/jobs/retry", &body).expect(200).json(),
        json!({ "retried": 2, "dry_run": true })
    );
    let body = json!({ "state": "skipped", "reason": "cancelled" });
    assert_eq!(served.post("/jobs/retry", &body).expect(200).json()["retried"], 2);
    served.post("/keys/resolver:unpaywall/resume", &json!({})).expect(200);
    wait_until("all are done", || papers::count(&bench, "done") == 3);
    served.stop();
}

#[test]
fn keys_are_paused_and_limited_and_a_run_obeys() {
    let (bench, served) = paused(2);
    let paused =
        served.post("/keys/https%3A%2F%2Fpress.example.org%2Fx/pause", &json!({})).expect(200).json();
    assert_eq!(paused, json!({ "key": "host:press.example.org", "paused": true }));
    let limit =
        served.post("/keys/host:press.example.org/limit", &json!({ "concurrency": 2, "rate": "7/s" }));
    let limit = limit.expect(200).json();
    assert_eq!(
        (&limit["concurrency"], &limit["rate"], &limit["source"]),
        (&2.into(), &"7/s".into(), &"set".into())
    );
    assert_eq!(limit, json(&bench, &["queue", "limit", PRESS]));
    served.post("/keys/resolver:unpaywall/resume", &json!({})).expect(200);
    wait_until("the press is reached and holds", || key(&bench, "host:press.example.org")["ready"] == 1);
    assert_eq!(bench.sim().seen(PRESS).requests.len(), 0);
    let reset =
        served.post("/keys/host:press.example.org/limit", &json!({ "reset": true })).expect(200).json();
    assert_eq!(reset["source"], "configuration");
    for (wrong, body) in [
        ("/keys/plan/pause", json!({})),
        ("/keys/somebody/pause", json!({})),
        ("/keys/host:press.example.org/limit", json!({})),
        ("/keys/host:press.example.org/limit", json!({ "reset": true, "concurrency": 1 })),
        ("/keys/host:press.example.org/limit", json!({ "rate": "often" })),
    ] {
        served.post(wrong, &body).expect_problem(400, "bad-value");
    }
    served
        .post("/keys/host:press.example.org/limit", &json!({ "concurrency": 0 }))
        .expect_problem(422, "bad-body");
    served.post("/keys/host:press.example.org/resume", &json!({})).expect(200);
    wait_until("it is done", || papers::count(&bench, "done") == 1);
    served.stop();
}

/// Sends a form of a page as a browser does.
fn submit(served: &Served, action: &str, page: &str, fields: &str) -> Answer {
    let page = served.page(page);
    assert!(page.contains(&format!("action=\"{action}\"")), "no form for {action}: {page}");
    let token =
        page.split("name=\"form_token\" value=\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    let headers = format!(
        "accept: text/html\r\ncontent-type: application/x-www-form-urlencoded\r\norigin: http://{}\r\nsec-fetch-site: same-origin\r\n",
        served.address
    );
    served.request("POST", action, &headers, &format!("form_token={token}&{fields}"))
}

#[test]
fn forms_do_what_the_api_does_and_come_back() {
    let (bench, served) = paused(3);
    let sent =
        submit(&served, "/do/enqueue", "/", "works=10.5555%2Fpaper.2%0D%0A%0D%0A10.5555%2Fpaper.3%0D%0A");
    assert_eq!(sent.expect(303).header("location"), "/?did=enqueue&count=2");
    assert!(served.page("/?did=enqueue&count=2").contains("2 works added."));
    let wrong = submit(&served, "/do/enqueue", "/", "works=10.5555%2Fpaper.4%0D%0Anonsense").expect(400).body;
    assert!(wrong.contains("nonsense") && wrong.contains("<h1>"), "{wrong}");
    assert_eq!(papers::count(&bench, "queued"), 3);
    let sent = submit(&served, "/do/cancel", "/jobs/3", "id=3").expect(303);
    assert_eq!(sent.header("location"), "/jobs/3?did=cancel&count=1");
    assert_eq!(json(&bench, &["queue", "show", "3"])["state"], "skipped");
    let sent = submit(&served, "/do/retry", "/jobs?state=skipped", "state=skipped&reason=&resolver=&host=")
        .expect(303);
    assert_eq!(sent.header("location"), "/jobs?did=retry&count=1");
    let key_page = "/keys?text=resolver:unpaywall";
    submit(&served, "/do/limit", key_page, "key=resolver:unpaywall&concurrency=3&rate=&burst=").expect(303);
    assert_eq!(key(&bench, "resolver:unpaywall")["concurrency"], 3);
    submit(&served, "/do/limit", key_page, "key=resolver:unpaywall&concurrency=3&rate=&burst=&reset=true")
        .expect(303);
    assert_eq!(key(&bench, "resolver:unpaywall")["source"], "configuration");
    let sent = submit(&served, "/do/resume", key_page, "key=resolver:unpaywall").expect(303);
    assert_eq!(sent.header("location"), "/keys?text=resolver%3Aunpaywall&did=resume&count=1");
    wait_until("all are done", || papers::count(&bench, "done") == 3);
    submit(&served, "/do/pause", "/keys", "key=resolver:unpaywall").expect(303);
    assert_eq!(key(&bench, "resolver:unpaywall")["paused"], true);
    served.stop();
}

/// What is sent while the run stops is done or refused, and the run ends all the same.
#[test]
fn a_server_that_stops_does_not_hold_the_run() {
    let (_bench, served) = paused(1);
    let idle: Vec<_> = (0..5).map(|_| std::net::TcpStream::connect(&served.address).unwrap()).collect();
    served.run.signal(Signal::TERM);
    served.run.wait(TIMEOUT).expect_code(0);
    drop(idle);
}
