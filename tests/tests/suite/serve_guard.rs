//! Who may ask the server, and what browsers are told: by name, by token, by origin.
//!
//! Must never trust a client: each request here is what an attacker would send.

use std::io::{Read, Write};

use gleaner_tests::harness::{Bench, Signal, TIMEOUT};
use gleaner_tests::simweb::World;
use serde_json::json;

use crate::papers;
use crate::serve::Served;

const TOKEN: &str = "sesame-4711-open-sesame";

fn with_token(bench: &Bench, listen: &str) -> Served {
    let env = format!("GLEANER_SECRET_SERVE_TOKEN={TOKEN}");
    Served::of(bench.spawn_under(&["env", &env, "GLEANER_LOG=trace"], &["-vv", "serve", "--listen", listen]))
}

#[test]
fn an_address_that_others_reach_needs_a_token() {
    let mut bench = Bench::new(World::default());
    let refused = bench.run(&["serve", "--listen", "0.0.0.0:0"]).expect_code(3).stderr;
    assert!(refused.contains("0.0.0.0:0 is not a loopback address"), "{refused}");
    assert!(refused.contains("GLEANER_SECRET_SERVE_TOKEN"), "{refused}");
    let weak = bench
        .spawn_under(&["env", "GLEANER_SECRET_SERVE_TOKEN=short"], &["serve", "--listen", "127.0.0.1:0"]);
    assert!(weak.wait(TIMEOUT).expect_code(3).stderr.contains("too short"));
    bench.configure(&format!("[serve]\ntoken = {{ file = \"{}\" }}", bench.path("token").display()));
    let missing = bench.run(&["serve", "--listen", "0.0.0.0:0"]).expect_code(3).stderr;
    assert!(missing.contains("serve.token: cannot read"), "{missing}");
    let file = bench.file("token", &format!("{TOKEN}\n"));
    assert!(bench.run(&["serve", "--listen", "0.0.0.0:0"]).expect_code(3).stderr.contains("chmod 600"));
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let mut served = Served::of(bench.spawn(&["serve", "--listen", "0.0.0.0:0"]));
    served.address = served.address.replace("0.0.0.0", "127.0.0.1");
    served.get("/api/v1/stats").expect_problem(401, "no-token");
    let taken = bench.run(&["serve", "--listen", &served.address]).expect_code(3).stderr;
    assert!(taken.contains("cannot listen on"), "{taken}");
    served.stop();
}

#[test]
fn without_the_token_nothing_is_told_or_done() {
    let bench = papers::bench(1);
    papers::enqueue(&bench, 1);
    let served = with_token(&bench, "127.0.0.1:0");
    for path in ["/", "/jobs", "/jobs/1", "/api/v1/stats", "/api/v1/events", "/metrics", "/nothing"] {
        let stranger = served.get(path).expect_problem(401, "no-token");
        assert_eq!(stranger.header("www-authenticate"), "Bearer");
        for wrong in ["Bearer sesame", "Basic bWU6c2VzYW1l", "Bearer"] {
            served.request("GET", path, &format!("authorization: {wrong}\r\n"), "").expect(401);
        }
        let person = served.request("GET", path, "accept: text/html\r\n", "").expect(401);
        if !path.starts_with("/api") {
            assert!(person.header("www-authenticate").starts_with("Basic"), "{person:?}");
            assert!(!person.body.contains("library"), "{person:?}");
        }
    }
    let json = "content-type: application/json\r\n";
    served.request("POST", "/api/v1/jobs/cancel", json, "{\"ids\":[\"1\"]}").expect_problem(401, "no-token");
    for path in ["/healthz", "/readyz", "/static/gleaner.css"] {
        served.get(path).expect(200);
    }
    let right = format!("authorization: Bearer {TOKEN}\r\n");
    served.request("GET", "/api/v1/stats", &right, "").expect(200);
    // "me:" and the token.
    let basic = "authorization: Basic bWU6c2VzYW1lLTQ3MTEtb3Blbi1zZXNhbWU=\r\naccept: text/html\r\n";
    let page = served.request("GET", "/settings", basic, "").expect(200).body;
    assert!(!page.contains(TOKEN));
    let said = served.run.said();
    assert!(!said.contains(TOKEN) && said.contains("listening on"), "{said}");
    served.stop();
}

#[test]
fn a_foreign_name_is_refused() {
    let bench = Bench::new(World::default());
    let served = Served::start(&bench);
    let asked_as = |host: &str| {
        served.send(&format!("GET /api/v1/stats HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"))
    };
    for host in ["evil.example", "evil.example:8417", "127.0.0.1.evil.example", ""] {
        asked_as(host).expect_problem(421, "foreign-host");
    }
    for host in ["localhost", "127.0.0.1:1", "[::1]:8417"] {
        asked_as(host).expect(200);
    }
    served.stop();
    let mut bench = bench;
    bench.configure("[serve]\nhosts = [\"gleaner.example.org\"]");
    let served = Served::start(&bench);
    let own = "GET /api/v1/stats HTTP/1.1\r\nhost: Gleaner.example.org:80\r\nconnection: close\r\n\r\n";
    served.send(own).expect(200);
    served.stop();
}

/// Writes a secret that others cannot read, as an operator replaces one: whole, and by a rename.
fn write_secret(bench: &Bench, name: &str, text: &str) {
    let new = bench.file(&format!("{name}.new"), &format!("{text}\n"));
    std::fs::set_permissions(&new, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::rename(new, bench.path(name)).unwrap();
}

#[test]
fn another_token_holds_at_once_and_no_token_never() {
    let mut bench = Bench::new(World::default());
    write_secret(&bench, "token", TOKEN);
    let configuration = format!("[serve]\ntoken = {{ file = \"{}\" }}", bench.path("token").display());
    bench.configure(&configuration);
    let served = Served::start(&bench);
    let asks = |token: &str| {
        let header = format!("authorization: Bearer {token}\r\n");
        served.request("GET", "/api/v1/stats", &header, "").status
    };
    let mut stream = std::net::TcpStream::connect(&served.address).unwrap();
    stream.set_read_timeout(Some(TIMEOUT)).unwrap();
    let head = format!("host: {}\r\nauthorization: Bearer {TOKEN}\r\n", served.address);
    write!(stream, "GET /api/v1/events HTTP/1.1\r\nconnection: close\r\n{head}\r\n").unwrap();
    assert_eq!(asks(TOKEN), 200);

    let second = "another-token-of-4712";
    write_secret(&bench, "token", second);
    served.run.wait_until_it_says("the token of the server is another one from now on");
    assert_eq!((asks(TOKEN), asks(second)), (401, 200));
    let mut heard = String::new();
    stream.read_to_string(&mut heard).expect("who watched by the old token is let go");
    assert!(heard.contains("watching"), "{heard}");

    write_secret(&bench, "token", "short");
    served.run.wait_until_it_says("the old one stays in force: the token of [serve] is too short");
    std::fs::remove_file(bench.path("token")).unwrap();
    served.run.wait_until_it_says("the old one stays in force: serve.token: cannot read");
    let text = std::fs::read_to_string(bench.path("gleaner.toml")).unwrap();
    let without = text.split_once("[serve.token]").expect("a section of its own").0;
    bench.file("gleaner.toml", without);
    served.run.wait_until_it_says("the old one stays in force: the server has a token and would have none");
    assert_eq!((asks("short"), asks(second)), (401, 200));

    let third = "a-third-token-of-4713";
    write_secret(&bench, "other", third);
    bench.configure(&configuration.replace("/token\"", "/other\""));
    served.run.wait_until_it_says("what changed in serve.token holds from now on");
    assert_eq!((asks(second), asks(third)), (401, 200));
    served.run.signal(Signal::TERM);
    let log = served.run.wait(TIMEOUT).expect_code(0).stderr;
    assert!([TOKEN, second, third].iter().all(|token| !log.contains(token)), "{log}");
}

#[test]
fn a_page_of_another_site_changes_nothing() {
    let bench = papers::bench_with_unpaywall_alone(1);
    papers::enqueue(&bench, 1);
    bench.run(&["queue", "pause", "resolver:unpaywall"]).expect_code(0);
    let served = Served::start(&bench);
    let own = format!("http://{}", served.address);
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    for foreign in [
        "sec-fetch-site: cross-site\r\n".to_owned(),
        "sec-fetch-site: same-site\r\n".to_owned(),
        "origin: https://evil.example\r\n".to_owned(),
        "origin: null\r\n".to_owned(),
        format!("sec-fetch-site: cross-site\r\norigin: {own}\r\n"),
    ] {
        let json = format!("content-type: application/json\r\n{foreign}");
        served
            .request("POST", "/api/v1/keys/resolver:unpaywall/resume", &json, "")
            .expect_problem(403, "foreign-site");
        let body = "form_token=x&key=resolver:unpaywall";
        served
            .request("POST", "/do/resume", &format!("{form}{foreign}"), body)
            .expect_problem(403, "foreign-site");
    }
    // From its own page, but not from its own form.
    let from_here = format!("{form}sec-fetch-site: same-origin\r\n");
    let guessed = served.request("POST", "/do/resume", &from_here, "form_token=00&key=resolver:unpaywall");
    guessed.expect_problem(403, "foreign-site");
    for path in ["/do/resume?key=resolver:unpaywall", "/api/v1/keys/resolver:unpaywall/resume"] {
        served.get(path).expect_problem(405, "wrong-method");
    }
    assert_eq!(served.api("/keys")["keys"][0]["paused"], true);
    let json = format!("content-type: application/json\r\norigin: {own}\r\n");
    served.request("POST", "/api/v1/keys/resolver:unpaywall/resume", &json, "").expect(200);
    served.stop();
}

#[test]
fn bodies_are_bounded_and_understood_or_refused() {
    let bench = Bench::new(World::default());
    let served = Served::start(&bench);
    let json = "content-type: application/json\r\n";
    let post = |headers: &str, body: &str| served.request("POST", "/api/v1/jobs", headers, body);
    post(json, "{").expect_problem(400, "bad-body");
    post(json, "{\"works\":7}").expect_problem(422, "bad-body");
    post(json, "{\"works\":[\"10.5555/x\"],\"wroks\":1}").expect_problem(422, "bad-body");
    post("", "{\"works\":[\"10.5555/x\"]}").expect_problem(415, "bad-body");
    post(json, "{\"works\":[]}").expect_problem(400, "bad-value");
    post(json, "{\"works\":[\"10.5555/x\"],\"not_before\":\"soon\"}").expect_problem(400, "bad-value");
    let large = json!({ "works": ["x".repeat(2 << 20)] }).to_string();
    post(json, &large).expect_problem(413, "bad-body");
    assert_eq!(served.api("/stats")["total"], 0);
    served.stop();
}

#[test]
fn browsers_are_told_to_keep_to_the_server() {
    let bench = Bench::new(World::default());
    let served = Served::start(&bench);
    for path in ["/", "/api/v1/stats", "/healthz", "/static/gleaner.js", "/nothing"] {
        let answer = served.get(path);
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("access-control-allow-origin"), "");
    }
    let style = served.get("/static/gleaner.css").expect(200);
    let known = format!("if-none-match: {}\r\n", style.header("etag"));
    assert_eq!(served.request("GET", "/static/gleaner.css", &known, "").expect(304).body, "");
    served.stop();
}
