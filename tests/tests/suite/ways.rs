//! Every rule of egress, over every way out: `send`, `send-all` and `wasi:http`.
//!
//! One guest is ordered to send the same request through each way; a row of a table says what must come of it. What the
//! simulated web did not see was not sent.

use std::fs;
use std::time::Duration;

use gleaner_tests::harness::{Bench, TIMEOUT};
use gleaner_tests::simweb::{Barrier, Reply, RetryAfter, Seen, World};
use serde_json::{Value, json};

use crate::holdings::{job, manifest, text};
use crate::papers::json_lines;

pub(crate) const WAYS: [&str; 3] = ["send", "send-all", "wasi"];
const FILES: &str = "https://files.example.org";
const SECRET: &str = "a-secret-that-no-guest-sees";

const CONFIG: &str = r#"
[limits]
default-host = { concurrency = 64, rate = "100000/s", burst = 100000 }
hosts."*.slow.example.org" = { rate = "1/1h", burst = 1 }
[tiers]
list = [{ name = "all", resolvers = ["ways"] }]
budgets = { attempts = 100, time = "1d" }
[resolvers.ways]
sandbox = { requests = 8, bytes = "200KiB", wall = "30s" }
inject = [{ host = "secret.example.org", header = "x-api-key", secret = "ways" }]
"#;

/// One rule: what is ordered, and what must come of it whichever way it is sent.
pub(crate) struct Row {
    name: &'static str,
    order: Value,
    outcome: &'static str,
    /// Part of what the guest is told; over `wasi:http` of what the log says, where the guest is told no text.
    part: &'static str,
    /// What comes of it over `wasi:http`, where that differs.
    over_wasi: Option<&'static str>,
}

/// `{way}` in the order stands for the way, so that each has hosts of its own.
fn row(name: &'static str, order: Value, outcome: &'static str, part: &'static str) -> Row {
    Row { name, order, outcome, part, over_wasi: None }
}

pub(crate) fn get(name: &'static str, url: &str, outcome: &'static str, part: &'static str) -> Row {
    row(name, json!({ "url": url }), outcome, part)
}

/// A header that belongs to the host.
fn header(name: &'static str) -> Row {
    let order = json!({ "url": format!("{FILES}/header"), "headers": [[name, "x"]] });
    row(name, order, "denied", "")
}

/// A bench where `ways` is the only resolver.
pub(crate) fn bench(world: World, grants: &[&str]) -> Bench {
    let mut bench = Bench::new(world);
    bench.configure(CONFIG).configure(&format!("resolvers.ways.grants.hosts = {grants:?}"));
    // Each way is to be seen on the wire: no answer is kept, nor shared by who asks at the same time.
    bench.configure("egress.cache.size = \"0\"\norchestrator.workers = 1");
    for dir in [bench.bundled(), bench.guests()] {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            if path.extension().is_some_and(|extension| extension == "wasm") && name != "ways" {
                bench.configure(&format!("resolvers.{name}.enabled = false"));
            }
        }
    }
    bench.plugins(bench.guests());
    bench
}

fn doi(row: usize, way: &str) -> String {
    format!("10.5555/{row}.{way}")
}

/// Sends every row over every way, and returns what the run said on standard error.
fn send(bench: &Bench, rows: &[Row], flags: &[&str]) -> String {
    let mut lines = String::new();
    for (n, row) in rows.iter().enumerate() {
        for way in WAYS {
            let mut order: Value =
                serde_json::from_str(&row.order.to_string().replace("{way}", way)).unwrap();
            order["way"] = way.into();
            lines += &format!("{}\n", json!({ "doi": doi(n, way), "order": order }));
        }
    }
    let file = bench.file("orders.jsonl", &lines);
    bench.run(&["queue", "import", &file]).expect_code(0);
    let secret = format!("GLEANER_SECRET_WAYS={SECRET}");
    let args = [&["queue", "run", "--drain"], flags].concat();
    bench.spawn_under(&["env", &secret], &args).wait(TIMEOUT).expect_code(0).stderr
}

/// Sends every row over every way and compares what came of it.
pub(crate) fn expect(bench: &Bench, rows: &[Row]) {
    let said = send(bench, rows, &[]);
    let records = manifest(bench);
    let mut wrong = Vec::new();
    for (n, row) in rows.iter().enumerate() {
        for way in WAYS {
            let id = format!("doi:{}", doi(n, way));
            let record = records.iter().find(|record| record["artifact_id"] == id.as_str());
            let record = record.unwrap_or_else(|| panic!("{}: no attempt of {id} in\n{said}", row.name));
            let (outcome, told) = (extra(record, "outcome"), extra(record, "told"));
            let expected = if way == "wasi" { row.over_wasi.unwrap_or(row.outcome) } else { row.outcome };
            // Its error code says "denied" and no more; the rule goes into the call's log.
            let in_log = || {
                let mut lines = said.lines().filter(|line| line.contains("wasi:http: denied: "));
                told.is_empty() && lines.any(|line| line.contains(row.part))
            };
            let part = expected != row.outcome || told.contains(row.part) || way == "wasi" && in_log();
            if outcome != expected || !part {
                wrong.push(format!(
                    "{} over {way}: {outcome}: {told:?}, not {expected}: {:?}\n  {record}",
                    row.name, row.part
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}\n\n{said}", wrong.join("\n"));
}

/// What the guest reports in a record.
fn extra<'a>(record: &'a Value, key: &str) -> &'a str {
    let fields = record["extra"].as_array().map(Vec::as_slice).unwrap_or_default();
    let field = fields.iter().find(|field| field[0] == key);
    field.and_then(|field| field[1].as_str()).unwrap_or_default()
}

/// The requests that a host saw for that path.
fn seen(bench: &Bench, host: &str, path: &str) -> Vec<Seen> {
    let requests = bench.sim().seen(host).requests;
    requests.into_iter().filter(|seen| seen.target == path).collect()
}

fn hosts_seen(bench: &Bench) -> Vec<String> {
    bench.sim().report().hosts.into_keys().collect()
}

/// Where no request may go, in the notations that have fooled others; and behind a redirect.
#[test]
fn no_way_leads_to_a_private_address() {
    let targets = [
        ("loopback", "http://127.0.0.1/x"),
        ("loopback over TLS", "https://127.0.0.1/x"),
        ("short", "http://127.1/x"),
        ("decimal", "http://2130706433/x"),
        ("hexadecimal", "http://0x7f000001/x"),
        ("octal", "http://0177.0.0.1/x"),
        ("unspecified", "http://0.0.0.0/x"),
        ("private", "http://10.1.2.3/x"),
        ("private, the middle", "http://172.16.0.1/x"),
        ("private, at home", "http://192.168.1.1/x"),
        ("carrier", "http://100.64.0.1/x"),
        ("metadata", "http://169.254.169.254/latest/meta-data/"),
        ("metadata, 6", "http://[fd00:ec2::254]/x"),
        ("loopback, 6", "http://[::1]/x"),
        ("link-local, 6", "http://[fe80::1]/x"),
        ("mapped", "http://[::ffff:127.0.0.1]/x"),
        ("mapped, hexadecimal", "http://[::ffff:7f00:1]/x"),
        ("compatible", "http://[::7f00:1]/x"),
        ("NAT64", "http://[64:ff9b::7f00:1]/x"),
        ("6to4", "http://[2002:7f00:1::1]/x"),
        ("Teredo", "http://[2001:0:7f00:1::1]/x"),
        ("multicast", "http://224.0.0.1/x"),
        ("a name", "http://localhost/x"),
        ("a name, shouting", "http://LOCALHOST/x"),
    ];
    let mut world = World::new();
    let mut rows = Vec::new();
    for (n, (name, target)) in targets.iter().enumerate() {
        // From plain HTTP, so that it is not the step down from TLS that is refused.
        let from = if target.starts_with("http:") { "http" } else { "https" };
        let url = format!("{from}://files.example.org/{n}");
        world.set(&url, Reply::redirect(302, target));
        rows.push(get(name, target, "denied", "private, local or reserved"));
        rows.push(get(name, &url, "denied", "private, local or reserved"));
    }
    let mut bench = bench(world, &["*"]);
    bench.configure("egress.robots = false");
    // Only this name is sent elsewhere; tables of a configuration merge, so the file is written anew.
    let (secure, plain) = (bench.sim().addr(), bench.sim().plain_addr());
    bench.configure(&format!("egress.connect-to.\"files.example.org:443\" = \"{secure}\""));
    bench.configure(&format!("egress.connect-to.\"files.example.org:80\" = \"{plain}\""));
    let config = fs::read_to_string(bench.path("gleaner.toml")).unwrap();
    let only_files: Vec<_> = config.lines().filter(|line| !line.starts_with("\"*:")).collect();
    bench.file("gleaner.toml", &only_files.join("\n"));

    expect(&bench, &rows);
    assert_eq!(hosts_seen(&bench), ["files.example.org"]);
    assert_eq!(bench.sim().seen("files.example.org").requests.len(), targets.len() * WAYS.len());
}

#[test]
fn every_way_keeps_to_the_grants() {
    let mut world = World::new();
    let targets = [
        ("another host", "https://other.example.net/x", "not granted"),
        ("a host below", "https://x.files.example.org.evil.example.net/", "not granted"),
        ("another port", "https://files.example.org:8443/x", "not granted"),
        ("a user", "https://user:word@files.example.org/x", "password"),
        ("another scheme", "ftp://files.example.org/x", ""),
        ("a file", "file:///etc/passwd", ""),
        ("a file of a host", "file://files.example.org/etc/passwd", ""),
    ];
    let mut rows = Vec::new();
    for (n, (name, target, part)) in targets.iter().enumerate() {
        let url = format!("{FILES}/{n}");
        world.set(&url, Reply::redirect(307, target));
        rows.push(get(name, target, "denied", part));
        rows.push(get(name, &url, "denied", part));
    }
    // It leads back to itself in plain: one that leads elsewhere is asked there over https.
    world.set(&format!("{FILES}/down"), Reply::redirect(301, "http://files.example.org/down"));
    rows.push(get("a step down from TLS", &format!("{FILES}/down"), "denied", "from https to http"));
    let bench = bench(world, &["files.example.org"]);
    expect(&bench, &rows);
    assert_eq!(hosts_seen(&bench), ["files.example.org"]);
    assert_eq!(bench.sim().seen("files.example.org").requests.len(), (targets.len() + 1) * WAYS.len());
}

#[test]
fn every_way_keeps_to_the_interface() {
    let url = format!("{FILES}/ok");
    let mut world = World::new();
    world.set(&url, Reply::bytes("text/plain", "four"));
    let many: Vec<_> = (0..65).map(|n| [format!("x-{n}"), "y".to_owned()]).collect();
    let replaced = |name: &'static str, value: &str| Row {
        over_wasi: Some("answer"),
        ..row(name, json!({ "url": url, "headers": [[name, value]] }), "denied", "belongs to the host")
    };
    let rows = [
        header("host"),
        header("connection"),
        header("cookie"),
        header("transfer-encoding"),
        header("proxy-authorization"),
        header("te"),
        header("upgrade"),
        row("split", json!({ "url": url, "headers": [["x", "a\r\ny: b"]] }), "denied", ""),
        row("no name", json!({ "url": url, "headers": [["x y", "a"]] }), "denied", ""),
        row("no ASCII", json!({ "url": url, "headers": [["x", "é"]] }), "denied", ""),
        row("too many headers", json!({ "url": url, "headers": many }), "denied", "at most 64"),
        row(
            "too long a header",
            json!({ "url": url, "headers": [["x", "y".repeat(20_000)]] }),
            "denied",
            "16 KiB",
        ),
        row("PUT", json!({ "url": url, "method": "PUT" }), "denied", "GET, HEAD and POST"),
        row("CONNECT", json!({ "url": url, "method": "CONNECT" }), "denied", "GET, HEAD and POST"),
        row("get", json!({ "url": url, "method": "get" }), "denied", "GET, HEAD and POST"),
        row("a body", json!({ "url": url, "body": 9 }), "denied", "only POST"),
        row("too many at once", json!({ "url": url, "at-once": 17 }), "denied", ""),
        // What HTTP libraries set by themselves is set anew instead.
        replaced("user-agent", "a library"),
        replaced("content-length", "0"),
        row("POST", json!({ "url": url, "method": "POST", "body": 5000 }), "answer", ""),
        row("HEAD", json!({ "url": url, "method": "HEAD" }), "answer", ""),
    ];
    let bench = bench(world, &["files.example.org"]);
    expect(&bench, &rows);
    let seen = seen(&bench, "files.example.org", "/ok");
    assert!(seen.iter().all(|seen| seen.header("user-agent").unwrap().starts_with("gleaner/")), "{seen:?}");
    let posts =
        seen.iter().filter(|seen| seen.method == "POST" && seen.header("content-length") == Some("5000"));
    assert_eq!(posts.count(), WAYS.len());
    assert_eq!(seen.iter().filter(|seen| seen.method == "HEAD").count(), WAYS.len());
}

#[test]
fn every_way_keeps_to_the_caps_of_the_call() {
    let (mut world, barrier) = (World::new(), Barrier::new());
    let page = |path: &str| format!("{FILES}/{path}");
    world.set(&page("small"), Reply::bytes("text/plain", "x".repeat(1000)));
    world.set(&page("half"), Reply::bytes("text/plain", "x".repeat(90_000)));
    world.set(&page("large"), Reply::bytes("text/plain", "x".repeat(300_000)));
    world.set(&page("unsaid"), Reply::bytes("text/plain", "x".repeat(300_000)).chunked());
    world.set(&page("bomb"), Reply::bytes("text/plain", "x".repeat(20_000_000)).gzip());
    world.set(
        &page("slow"),
        Reply::bytes("text/plain", "x".repeat(9000)).dribbled(1, Duration::from_millis(50)),
    );
    world.set(&page("held"), Reply::bytes("text/plain", "late").held_by(&barrier));
    world.set(&page("cut"), Reply::bytes("text/plain", "x".repeat(9000)).cut_after(100));
    // On a connection of its own: this breaks it for every request that is on it.
    world.set("https://flood.example.org/x", Reply::bytes("text/plain", "x").header_flood(2000));
    world.set(&page("circle"), Reply::redirect(302, &page("circle-2")));
    world.set(&page("circle-2"), Reply::redirect(302, &page("circle")));
    for n in 0..6 {
        world.set(&page(&format!("hop-{n}")), Reply::redirect(302, &page(&format!("hop-{}", n + 1))));
    }
    world.set(&page("hop-6"), Reply::bytes("text/plain", "there"));
    let soon = |path: &str| json!({ "url": page(path), "timeout-ms": 500 });
    let rows = [
        row("too many requests", json!({ "url": page("small"), "times": 9 }), "denied", "8 requests"),
        row("ten thousand", json!({ "url": page("small"), "times": 10_000 }), "denied", "8 requests"),
        row("hops count", json!({ "url": page("hop-3"), "times": 3 }), "transport", "8 requests"),
        row("too much together", json!({ "url": page("half"), "times": 3 }), "too-large", ""),
        row("too much", json!({ "url": page("large") }), "too-large", ""),
        row("too much, unannounced", json!({ "url": page("unsaid") }), "too-large", ""),
        row("a bomb", json!({ "url": page("bomb") }), "too-large", ""),
        row(
            "too much to send",
            json!({ "url": page("small"), "method": "POST", "body": 300_000 }),
            "denied",
            "may have 200KiB together",
        ),
        row("a slow loris", soon("slow"), "timeout", ""),
        row("no answer", soon("held"), "timeout", ""),
        row("a cut answer", json!({ "url": page("cut") }), "transport", ""),
        get("a flood of headers", "https://flood.example.org/x", "transport", ""),
        row("a circle", json!({ "url": page("circle") }), "transport", "in a circle"),
        row("too far", json!({ "url": page("hop-1") }), "transport", "more than 4 redirects"),
        row("far enough", json!({ "url": page("hop-2") }), "answer", ""),
        row("within all caps", json!({ "url": page("half"), "times": 2 }), "answer", ""),
    ];
    let mut bench = bench(world, &["files.example.org", "flood.example.org"]);
    bench.configure("egress.max-redirects = 4");
    expect(&bench, &rows);
    barrier.open();
    // Eight of nine, and of ten thousand, for each way.
    assert!(seen(&bench, "files.example.org", "/small").len() <= 2 * 8 * WAYS.len());
}

#[test]
fn no_way_gives_a_secret_away() {
    let mut world = World::new();
    for way in WAYS {
        let (from, to) = (format!("https://{way}.example.org"), format!("https://{way}.example.net/landed"));
        world.set(&format!("{from}/same"), Reply::redirect(302, "/landed"));
        world.set(&format!("{from}/other"), Reply::redirect(302, &to));
        world.set(&format!("{from}/landed"), Reply::bytes("text/plain", "same"));
        world.set(&to, Reply::bytes("text/plain", "other"));
    }
    // One that lies about where it is.
    let liar = Reply::bytes("text/plain", "here").header("gleaner-url", "https://bank.example.org/");
    world.set("https://secret.example.org/stays", liar);
    world.set(
        "https://secret.example.org/leaves",
        Reply::redirect(307, "https://elsewhere.example.net/landed"),
    );
    world.set("https://elsewhere.example.net/landed", Reply::bytes("text/plain", "there"));
    let own = |path: &str| {
        let headers = [["authorization", "Bearer mine"], ["x-key", "mine"], ["accept", "text/plain"]];
        json!({ "url": format!("https://{{way}}.example.org/{path}"), "headers": headers })
    };
    let rows = [
        row("own headers stay", own("same"), "answer", ""),
        row("own headers do not leave", own("other"), "answer", ""),
        get("an injected secret stays", "https://secret.example.org/stays", "answer", ""),
        get("an injected secret does not leave", "https://secret.example.org/leaves", "answer", ""),
        get("over https also where plain http is asked for", "http://secret.example.org/plain", "answer", ""),
        get("and not at all where there is only that", "http://mute.example.org/plain", "transport", ""),
    ];
    let mut bench = bench(world, &["*.example.org", "*.example.net"]);
    bench.configure(
        "egress.connect-to.\"mute.example.org:443\" = \"127.0.0.1:1\"
        resolvers.ways.inject = [
            { host = \"secret.example.org\", header = \"x-api-key\", secret = \"ways\" },
            { host = \"mute.example.org\", header = \"x-api-key\", secret = \"ways\" },
        ]",
    );
    expect(&bench, &rows);
    assert!(!hosts_seen(&bench).contains(&"mute.example.org".to_owned()));
    for way in WAYS {
        let same = seen(&bench, &format!("{way}.example.org"), "/landed");
        assert!(same.iter().all(|seen| seen.header("authorization") == Some("Bearer mine")), "{same:?}");
        let other = seen(&bench, &format!("{way}.example.net"), "/landed");
        assert_eq!(other.len(), 1, "{way}");
        let kept = |name| other[0].header(name).is_some();
        assert_eq!([kept("accept"), kept("authorization"), kept("x-key")], [true, false, false], "{way}");
    }
    for path in ["/stays", "/leaves", "/plain"] {
        let asked = seen(&bench, "secret.example.org", path);
        assert_eq!(asked.len(), WAYS.len(), "{path}");
        assert!(asked.iter().all(|seen| seen.header("x-api-key") == Some(SECRET)), "{path}");
        assert!(asked.iter().all(|seen| seen.scheme == "https"), "{path}");
    }
    let elsewhere = seen(&bench, "elsewhere.example.net", "/landed");
    assert_eq!(elsewhere.len(), WAYS.len());
    assert!(elsewhere.iter().all(|seen| seen.header("x-api-key").is_none()));
    // Where an answer came from is known over every way.
    for record in manifest(&bench).into_iter().filter(|record| extra(record, "outcome") == "answer") {
        let from = extra(&record, "url");
        assert!(["/landed", "/stays", "/plain"].iter().any(|end| from.ends_with(end)), "{record}");
    }
}

#[test]
fn every_way_heeds_who_asks_to_wait() {
    let mut world = World::new();
    for way in WAYS {
        let host = |name: &str| format!("https://{way}.{name}.example.org/x");
        world.set(&host("many"), Reply::too_many(RetryAfter::Seconds(3600)));
        world.set(&host("busy"), Reply::error(503).retry_after(RetryAfter::Seconds(3600)));
        world.set(&host("broken"), Reply::error(503));
        world.set(&host("moved"), Reply::redirect(302, &format!("https://{way}.behind.example.org/x")));
        world.set(&host("behind"), Reply::too_many(RetryAfter::Seconds(3600)));
    }
    let ask = |name: &str| format!("https://{{way}}.{name}.example.org/x");
    let rows = [
        get("429", &ask("many"), "rate-limited", "3600"),
        get("503 with a time", &ask("busy"), "rate-limited", "3600"),
        get("503", &ask("broken"), "answer", ""),
        get("429 behind a redirect", &ask("moved"), "rate-limited", "3600"),
        get("the operator's limit", &ask("slow"), "rate-limited", ""),
        get("the operator's pause", &ask("paused"), "rate-limited", ""),
    ];
    let bench = bench(world, &["*.example.org"]);
    let nothing = bench.file("nothing.jsonl", "");
    bench.run(&["queue", "import", &nothing]).expect_code(0);
    for way in WAYS {
        bench.run(&["queue", "pause", &format!("{way}.paused.example.org")]).expect_code(0);
    }
    expect(&bench, &rows);
    for way in WAYS {
        for unasked in ["slow", "paused"] {
            assert_eq!(bench.sim().seen(&format!("{way}.{unasked}.example.org")).requests, [], "{way}");
        }
    }
    // The pauses are the library's, whichever way met them.
    let keys = json_lines(&bench, &["queue", "keys"]);
    for way in WAYS {
        for asking in ["many", "busy", "behind"] {
            let key = format!("host:{way}.{asking}.example.org");
            let row = keys.iter().find(|row| row["key"] == key.as_str());
            let row = row.unwrap_or_else(|| panic!("no {key} in {keys:?}"));
            assert!(!row["cooldown_until"].is_null(), "{row}");
        }
    }
}

/// A guest that gives up because its source asks to wait costs its job nothing, whichever way it asked.
#[test]
fn a_wait_over_any_way_puts_the_step_off() {
    let mut world = World::new();
    for way in WAYS {
        let url = format!("https://{way}.example.org/x");
        world.set(&url, Reply::too_many(RetryAfter::Seconds(3600)));
    }
    let bench = bench(world, &["*.example.org"]);
    let order = json!({ "url": "https://{way}.example.org/x", "fail": true });
    send(&bench, &[row("put off", order, "rate-limited", "")], &["--max-wait", "100ms"]);
    for way in WAYS {
        let job = job(&bench, &doi(0, way));
        assert_eq!((text(&job, "state"), &job["attempts_made"]), ("queued", &json!([])), "{way}: {job}");
    }
}
